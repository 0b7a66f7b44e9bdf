//! How other tools write exchanges down: files read into exchanges, and a cassette written for other tools.
//!
//! Pure as `tape` is: what comes out is wire form, which `tape` takes its road of. Faults name the entry and the place,
//! and repeat nothing of the content: there may be a secret in it.

mod dev_proxy;
mod document;
pub mod har;
pub mod http_file;
mod intake;
mod test_proxy;
mod vcr;
mod wiremock;
mod yaml;

pub use document::Fault;
pub use intake::{Found, Left, Origin};

use crate::tape::request_text;
use document::Node;
use intake::{Draft, Intake};
use serde_json::Value;
use std::fmt;

/// A format of another tool that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// HTTP Archive 1.2: browsers, mitmproxy, Dev Proxy.
    Har,
    /// The mocks file of Microsoft Dev Proxy's MockResponsePlugin.
    DevProxy,
    /// A recording of the Azure SDKs' test proxy.
    TestProxy,
    /// A cassette of vcrpy or of Ruby's VCR.
    Vcr,
    /// A mapping of WireMock, or several.
    WireMock,
}

/// Whether a text means to be a cassette of graphdeck, damaged or not.
#[must_use]
pub fn is_cassette(text: &str) -> bool {
    let head: String = text.chars().take(1000).collect();
    head.split("\"graphdeck\"").skip(1).any(|after| after.trim_start().starts_with(':'))
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Har => "a HAR file",
            Self::DevProxy => "a mocks file of Dev Proxy",
            Self::TestProxy => "a recording of the Azure SDK test proxy",
            Self::Vcr => "a VCR cassette",
            Self::WireMock => "mappings of WireMock",
        })
    }
}

/// A file of another tool, its format known.
#[derive(Debug)]
pub struct File {
    format: Format,
    root: Value,
}

impl File {
    /// Parses a file, and tells its format by its content.
    ///
    /// # Errors
    /// When it is neither JSON nor YAML, or of no format that is known here.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim_start_matches('\u{feff}');
        let root = if text.trim_start().starts_with(['{', '[']) {
            serde_json::from_str(text).map_err(|fault| document::syntax(&fault))?
        } else {
            // A `.http` file may be YAML by accident.
            let unknown = |fault| if request_text::parse(text).is_ok() { Fault::Requests } else { fault };
            yaml::parse(text).and_then(|root| detect(&root).map(|_| root).ok_or(Fault::Unknown)).map_err(unknown)?
        };
        let format = detect(&root).ok_or(Fault::Unknown)?;
        Ok(Self { format, root })
    }

    /// What it was taken for.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Reads every entry; exchanges with other hosts than these are left out.
    ///
    /// # Errors
    /// When an entry is not of the form that the format has.
    pub fn read(&self, hosts: &[String]) -> Result<Found, Fault> {
        let mut entries: Vec<_> = (1..).zip(self.entries()?).collect();
        let known = entries.len();
        if self.format == Format::DevProxy {
            entries = dev_proxy::in_order_of_play(entries)?;
        }
        let read: fn(&Node<'_>) -> Result<Draft, Fault> = match self.format {
            Format::Har => har::read,
            Format::DevProxy => dev_proxy::read,
            Format::TestProxy => test_proxy::read,
            Format::Vcr => vcr::read,
            Format::WireMock => wiremock::read,
        };
        let mut intake = Intake::new(hosts, known);
        for (number, entry) in entries {
            intake.take(number, read(&entry)?);
        }
        let origin = if self.format == Format::Har { har::origin(&Node::root(&self.root))? } else { None };
        Ok(intake.found(origin))
    }

    fn entries(&self) -> Result<Vec<Node<'_>>, Fault> {
        let root = Node::root(&self.root);
        match self.format {
            Format::Har => root.need("log")?.need("entries")?.entries("entry"),
            Format::DevProxy => root.need("mocks")?.entries("mock"),
            Format::TestProxy => root.need("Entries")?.entries("entry"),
            Format::Vcr => match root.get("http_interactions") {
                Some(list) => list.entries("interaction"),
                None => root.need("interactions")?.entries("interaction"),
            },
            Format::WireMock => match root.get("mappings") {
                Some(list) => list.entries("mapping"),
                None if root.value().is_array() => root.entries("mapping"),
                None => Ok(vec![root.named("mapping 1")]),
            },
        }
    }
}

fn detect(root: &Value) -> Option<Format> {
    let has = |name: &str| root.get(name).is_some();
    let is_mapping = |value: &Value| value.get("request").is_some() && value.get("response").is_some();
    if root.get("log").and_then(|log| log.get("entries")).is_some() {
        Some(Format::Har)
    } else if has("mocks") {
        Some(Format::DevProxy)
    } else if has("Entries") {
        Some(Format::TestProxy)
    } else if has("http_interactions") || has("interactions") {
        Some(Format::Vcr)
    } else if has("mappings") || is_mapping(root) || root.get(0).is_some_and(is_mapping) {
        Some(Format::WireMock)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_format_is_told_by_its_content() {
        for (text, format) in [
            (r#"{"log":{"entries":[]}}"#, Ok(Format::Har)),
            ("\u{feff}{\"mocks\":[]}", Ok(Format::DevProxy)),
            ("mocks: []", Ok(Format::DevProxy)),
            (r#"{"Entries":[],"Variables":{}}"#, Ok(Format::TestProxy)),
            ("---\ninteractions: []\nversion: 1\n", Ok(Format::Vcr)),
            (r#"{"http_interactions":[]}"#, Ok(Format::Vcr)),
            (r#"{"mappings":[]}"#, Ok(Format::WireMock)),
            (r#"{"request":{},"response":{}}"#, Ok(Format::WireMock)),
            (r#"[{"request":{},"response":{}}]"#, Ok(Format::WireMock)),
            (r#"{"a":1}"#, Err(Fault::Unknown)),
            ("GET https://graph.microsoft.com/v1.0/me", Err(Fault::Requests)),
            ("", Err(Fault::Unknown)),
        ] {
            assert_eq!(File::parse(text).map(|file| file.format()), format, "{text}");
        }
    }

    #[test]
    fn a_fault_names_the_entry_and_the_place_and_repeats_nothing() {
        let secret = "Hunter2Hunter2";
        let wrong = [
            "{\"log\":{\"entries\":[\n{\"request\":".to_owned(),
            format!(r#"{{"log":{{"entries":"{secret}"}}}}"#),
            format!(r#"{{"log":{{"entries":[{{"request":{{"method":"GET","url":["{secret}"]}}}}]}}}}"#),
            format!(r#"{{"log":{{"entries":[{{"request":{{"method":"GET"}},"x":"{secret}"}}]}}}}"#),
            format!(
                r#"{{"log":{{"entries":[{{"request":{{"method":"GET","url":"https://graph.microsoft.com/v1.0/me"}},"response":{{"status":"{secret}"}}}}]}}}}"#
            ),
            format!(r#"{{"mocks":[{{"request":"{secret}","response":{{}}}}]}}"#),
            format!(r#"{{"Entries":[{{"RequestUri":"https://x","RequestMethod":"GET","StatusCode":"{secret}"}}]}}"#),
            format!("interactions:\n- request: {secret}\n"),
            format!("interactions:\n- request: [{secret}\n"),
            format!("interactions: &a\n- *{secret}\n"),
            format!(
                r#"{{"mappings":[{{"request":{{"method":"GET","url":"/v1.0/me"}},"response":{{"base64Body":"{secret}!"}}}}]}}"#
            ),
        ];
        let hosts = ["graph.microsoft.com".to_owned()];
        let told = wrong.map(|text| {
            let told = File::parse(&text).and_then(|file| file.read(&hosts)).unwrap_err().to_string();
            assert!(!told.contains(secret), "{told}");
            told
        });
        insta::assert_snapshot!(told.join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "(mocks: |interactions:\n- |\\{\"log\":)?\\PC{0,200}") {
            let _ = File::parse(&text).and_then(|file| file.read(&[]));
        }
    }
}
