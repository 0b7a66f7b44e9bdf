//! Bodies in a cassette: JSON where that loses nothing, else text, else base64.

use super::compact::Compact;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::borrow::Cow;
use std::io;

/// A body as it stands in a cassette file; no body at all is left out there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Form {
    #[serde(skip_serializing_if = "Option::is_none", default, deserialize_with = "present")]
    json: Option<Json>,
    #[serde(skip_serializing_if = "Layout::is_compact", default)]
    layout: Layout,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    base64: Option<String>,
}

/// Tells `"json": null` from no `json` at all.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Json>, D::Error> {
    Compact::deserialize(deserializer).map(|text| Some(Json::Text(text)))
}

/// A body that is JSON: as a tree where it was seen to print again to the byte, as a text where it was read.
#[derive(Clone, Debug)]
enum Json {
    Tree(Value),
    Text(Compact),
}

impl Json {
    fn tree(&self) -> Cow<'_, Value> {
        match self {
            Self::Tree(tree) => Cow::Borrowed(tree),
            Self::Text(text) => Cow::Owned(text.tree()),
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.tree() == other.tree()
    }
}

impl Serialize for Json {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        self.tree().serialize(to)
    }
}

/// The white space of a JSON text, by which it can be printed again to the byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// None, as Graph and most SDKs write.
    #[default]
    Compact,
    /// A space after `,` and `:`, as Python's `json.dumps` writes.
    Spaced,
    /// Two spaces a level and LF, as JavaScript's and .NET's indented form on Unix.
    #[serde(rename = "indented-2")]
    Indented2,
    /// Four spaces a level and LF.
    #[serde(rename = "indented-4")]
    Indented4,
}

impl Layout {
    const ALL: [Self; 4] = [Self::Compact, Self::Spaced, Self::Indented2, Self::Indented4];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    fn is_compact(&self) -> bool {
        *self == Self::Compact
    }

    fn print(self, value: &Value) -> Vec<u8> {
        match self {
            Self::Compact => print_with(value, CompactFormatter),
            Self::Spaced => print_with(value, SpacedFormatter),
            Self::Indented2 => print_with(value, PrettyFormatter::new()),
            Self::Indented4 => print_with(value, PrettyFormatter::with_indent(b"    ")),
        }
    }
}

fn print_with(value: &Value, formatter: impl Formatter) -> Vec<u8> {
    let mut printed = Vec::new();
    value.serialize(&mut Serializer::with_formatter(&mut printed, formatter)).expect("a JSON value prints to memory");
    printed
}

struct SpacedFormatter;

impl SpacedFormatter {
    fn comma<W: ?Sized + io::Write>(writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }
}

impl Formatter for SpacedFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        Self::comma(writer, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        Self::comma(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}

/// A body that a person wrote into a cassette in a way that cannot be understood.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// None, or more than one, of the three forms.
    #[error("a body has exactly one of `json`, `text` and `base64`")]
    NotOneForm,
    /// Text that is no base64.
    #[error("`base64` is not valid: {0}")]
    Base64(#[from] base64::DecodeError),
}

/// A body's bytes, and whether ids are looked for in them.
#[derive(Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// UTF-8 text, in which placeholders stand for ids.
    Text(Cow<'a, str>),
    /// Any other bytes, which are left alone.
    Binary(Vec<u8>),
}

impl Form {
    /// The most readable form of `content` that loses nothing; `None` for an empty body.
    #[must_use]
    pub fn of(content: Content<'_>) -> Option<Self> {
        let blank = Self { json: None, layout: Layout::Compact, text: None, base64: None };
        match content {
            Content::Binary(bytes) => Some(Self { base64: Some(BASE64.encode(bytes)), ..blank }),
            Content::Text(text) if text.is_empty() => None,
            Content::Text(text) => Some(match as_json(&text) {
                Some((value, layout)) => Self { json: Some(Json::Tree(value)), layout, ..blank },
                None => Self { text: Some(text.into_owned()), ..blank },
            }),
        }
    }

    /// The content again.
    ///
    /// # Errors
    /// When not exactly one form is given, or the base64 is damaged.
    pub fn content(&self) -> Result<Content<'_>, Fault> {
        match (&self.json, &self.text, &self.base64) {
            (Some(Json::Text(text)), None, None) if self.layout.is_compact() => Ok(Content::Text(text.text().into())),
            (Some(value), None, None) => {
                let printed = self.layout.print(&value.tree());
                Ok(Content::Text(String::from_utf8(printed).expect("JSON is printed as UTF-8").into()))
            }
            (None, Some(text), None) => Ok(Content::Text(text.into())),
            (None, None, Some(text)) => Ok(Content::Binary(BASE64.decode(text)?)),
            _ => Err(Fault::NotOneForm),
        }
    }
}

/// How deep JSON may be nested to stand as JSON: in a cassette it is some levels deeper, and the parser's limit is 128.
const DEPTH: usize = 100;

/// From how many bytes on a body has longer values than smaller ones.
const LARGE: usize = 32 * 1024;

/// A body that is smaller, in bytes, is not [dense](is_dense).
pub(super) const SMALL: usize = 2048;

/// Whether a body has so many values for its size that comparing each of them would cost many times its memory: no
/// request to Graph has. It is kept and compared as one text.
#[must_use]
pub fn is_dense(body: &[u8]) -> bool {
    let large = body.len().saturating_sub(LARGE);
    body.len() >= SMALL && values(body) > 300 + (body.len() - large) / 16 + large / 32
}

/// Whether a body has so many values for its size that a tree of them would take a hundred times what it may have taken
/// on the wire.
pub(super) fn is_dense_for_a_tree(body: &[u8]) -> bool {
    body.len() >= SMALL && values(body) > 300 + body.len() / 48
}

/// How many values are in a body, if it is JSON: some more than there are.
fn values(body: &[u8]) -> usize {
    let (mut values, mut in_text, mut escaped) = (0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

/// The value and layout that print to exactly `text`, if there are any.
fn as_json(text: &str) -> Option<(Value, Layout)> {
    let structured = text.starts_with(['{', '[']) && !is_dense(text.as_bytes());
    let value: Value = structured.then(|| serde_json::from_str(text).ok()).flatten()?;
    if depth(&value) > DEPTH {
        return None;
    }
    let layout = Layout::ALL.into_iter().find(|layout| layout.print(&value) == text.as_bytes())?;
    Some((value, layout))
}

fn depth(value: &Value) -> usize {
    let deepest = match value {
        Value::Array(elements) => elements.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    1 + deepest.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_body_is_dense_when_no_program_would_write_it() {
        let list = |element: &str, count| format!("[{}]", [element].repeat(count).join(","));
        for (body, dense) in [
            (list("1", 900), false),
            (list("1", 1100), true),
            (list("{}", 1000), true),
            ("[".repeat(3000) + &"]".repeat(3000), true),
            (list("\"a, b, c, d, e, f, [g], {h}, \\\", i\"", 500), false),
            (list(r#"{"id":"0385114b-b48f-4800-a046-f249eaba24b1","enabled":true,"count":1}"#, 500), false),
        ] {
            assert_eq!(is_dense(body.as_bytes()), dense, "{}", &body[..40]);
        }
    }

    fn form(text: &str) -> String {
        serde_json::to_string(&Form::of(Content::Text(text.into()))).unwrap()
    }

    #[test]
    fn json_is_written_as_json_when_nothing_is_lost() {
        for (text, written) in [
            (r#"{"b":1,"a":[]}"#, r#"{"json":{"b":1,"a":[]}}"#),
            (r#"{"a": 1, "b": [1, 2]}"#, r#"{"json":{"a":1,"b":[1,2]},"layout":"spaced"}"#),
            ("{\n  \"a\": 1\n}", r#"{"json":{"a":1},"layout":"indented-2"}"#),
            ("{\n    \"a\": {}\n}", r#"{"json":{"a":{}},"layout":"indented-4"}"#),
            (r#"{"n":1.10,"big":12345678901234567890123}"#, r#"{"json":{"n":1.10,"big":12345678901234567890123}}"#),
        ] {
            assert_eq!(form(text), written);
        }
    }

    #[test]
    fn json_that_would_not_print_to_the_same_bytes_stays_text() {
        let deep = "[".repeat(120) + &"]".repeat(120);
        for text in [
            deep.as_str(),
            r#"{"a":1,"a":2}"#,
            r#"{"a":"\/"}"#,
            "{\"a\":1}\n",
            r#"{"a":"\ud800"}"#,
            "null",
            "12",
            "plain",
        ] {
            assert!(form(text).starts_with(r#"{"text":"#), "{text}");
        }
    }

    #[test]
    fn a_body_in_two_forms_or_none_is_refused() {
        for text in [r#"{"json":1,"text":""}"#, "{}"] {
            let form: Form = serde_json::from_str(text).unwrap();
            assert_eq!(form.content(), Err(Fault::NotOneForm), "{text}");
        }
        let null: Form = serde_json::from_str(r#"{"json":null}"#).unwrap();
        assert_eq!(null.content(), Ok(Content::Text("null".into())));
        let damaged: Form = serde_json::from_str(r#"{"base64":"A"}"#).unwrap();
        assert!(damaged.content().is_err());
    }

    proptest! {
        #[test]
        fn every_text_and_every_bytes_come_back(text in "(\\{.{0,20}\\}|.{1,20})", bytes in prop::collection::vec(any::<u8>(), 1..20)) {
            for content in [Content::Text(text.into()), Content::Binary(bytes)] {
                let copy = match &content {
                    Content::Text(text) => Content::Text(text.clone()),
                    Content::Binary(bytes) => Content::Binary(bytes.clone()),
                };
                let written = serde_json::to_string_pretty(&Form::of(content)).unwrap();
                let read: Form = serde_json::from_str(&written).unwrap();
                prop_assert_eq!(read.content(), Ok(copy));
            }
        }
    }
}
