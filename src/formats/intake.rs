//! What comes of the entries of a file: exchanges, and a list of what could not be carried over.

use super::document::{Fault, Node};
use crate::tape::exchange::{Exchange, Headers, Request, Response, is_method};
use crate::tape::ids::Ids;
use crate::tape::redact;
use bytes::Bytes;

/// What a file holds for a cassette.
#[derive(Debug, Default)]
pub struct Found {
    /// The exchanges in their order, each with the number of its entry, counted from 1.
    pub exchanges: Vec<(usize, Exchange)>,
    /// What was not carried over.
    pub left: Vec<Left>,
    /// What the file says of the cassette that it was made from.
    pub origin: Option<Origin>,
    /// How many entries there are.
    pub entries: usize,
}

/// What a file says of the cassette that it was made from.
#[derive(Debug)]
pub struct Origin {
    /// Its ids.
    pub ids: Ids,
    /// Whether it claimed to be pseudonymous.
    pub people: bool,
}

/// What could not be carried over of an entry.
#[derive(Debug, PartialEq, Eq)]
pub struct Left {
    /// Its number, counted from 1.
    pub entry: usize,
    /// Its method.
    pub method: String,
    /// Its address as it stands in the file: it must be redacted before anybody sees it.
    pub url: String,
    /// What, and why.
    pub why: String,
    /// Whether nothing of it was carried over.
    pub whole: bool,
}

/// An entry as it was read.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub(super) method: String,
    pub(super) url: String,
    pub(super) request: Part,
    pub(super) status: u16,
    pub(super) response: Part,
    /// How long it took, where a cassette is to say so.
    pub(super) took: Option<u64>,
    /// Why nothing of it can be carried over.
    pub(super) left: Option<&'static str>,
    /// What of it is lost.
    pub(super) lost: Vec<String>,
}

/// The headers and the body of a message.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub(super) headers: Headers,
    pub(super) body: Bytes,
    odd: usize,
}

impl Part {
    /// Adds a header as tools write it: repeated values on lines of their own, HTTP/2's own fields (`:path`) among them.
    pub(super) fn header(&mut self, name: &str, value: &str) {
        if name.starts_with(':') {
            return;
        }
        // A key in PEM is one value on many lines: in pieces nobody would know it for what it is.
        let one = value.contains("-----BEGIN ").then(|| value.replace(['\r', '\n'], " "));
        for line in one.as_deref().unwrap_or(value).split('\n').map(|line| line.trim_end_matches('\r')) {
            let carried = !line.chars().any(|c| (c < ' ' && c != '\t') || c == '\x7f');
            if carried && http::HeaderName::try_from(name).is_ok() {
                self.headers.push(name, bytewise(line));
            } else {
                self.odd += 1;
            }
        }
    }

    /// Adds headers that stand as members, each with one value or a list of them.
    pub(super) fn headers(&mut self, members: Vec<(&str, Node<'_>)>) -> Result<(), Fault> {
        for (name, value) in members {
            let values = if value.value().is_array() { value.elements()? } else { vec![value] };
            for value in values.iter().filter(|value| !value.value().is_null()) {
                self.header(name, &value.text()?);
            }
        }
        Ok(())
    }
}

/// A header's value with a character for each byte.
fn bytewise(value: &str) -> String {
    if value.chars().all(|c| c <= 'ÿ') { value.to_owned() } else { value.bytes().map(char::from).collect() }
}

impl Draft {
    pub(super) fn new(method: &str, url: String) -> Self {
        Self { method: method.to_ascii_uppercase(), url, ..Self::default() }
    }

    pub(super) fn left(self, why: &'static str) -> Self {
        Self { left: Some(why), ..self }
    }

    pub(super) fn lose(&mut self, what: impl Into<String>) {
        self.lost.push(what.into());
    }
}

/// Sorts drafts into what is taken and what is left.
pub(super) struct Intake<'a> {
    hosts: &'a [String],
    found: Found,
}

impl<'a> Intake<'a> {
    pub(super) fn new(hosts: &'a [String], entries: usize) -> Self {
        Self { hosts, found: Found { entries, ..Found::default() } }
    }

    pub(super) fn take(&mut self, entry: usize, mut draft: Draft) {
        let odd = draft.request.odd + draft.response.odd;
        if odd > 0 {
            let headers = if odd == 1 { "1 header is".to_owned() } else { format!("{odd} headers are") };
            draft.lose(format!("{headers} not in it, since HTTP cannot carry such"));
        }
        let (method, url) = (draft.method.clone(), draft.url.clone());
        let (lost, exchange) = match self.exchange(&mut draft) {
            Ok(exchange) => (draft.lost, Some(exchange)),
            Err(why) => (vec![why.to_owned()], None),
        };
        for why in lost {
            let left = Left { entry, method: method.clone(), url: url.clone(), why, whole: exchange.is_none() };
            if !self.found.left.contains(&left) {
                self.found.left.push(left);
            }
        }
        self.found.exchanges.extend(exchange.map(|exchange| (entry, exchange)));
    }

    fn exchange(&self, draft: &mut Draft) -> Result<Exchange, &'static str> {
        let (scheme, rest) = draft.url.split_once("://").ok_or("its address names no host")?;
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let host = authority.to_ascii_lowercase();
        let host = host.strip_suffix(":443").unwrap_or(&host);
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        let request = Request {
            method: std::mem::take(&mut draft.method),
            host: host.to_owned(),
            target,
            headers: std::mem::take(&mut draft.request.headers),
            body: std::mem::take(&mut draft.request.body),
        };
        if redact::is_sign_in(&request) {
            return Err("this is sign-in, of which nothing is kept");
        }
        let name = host.split(':').next().unwrap_or_default();
        if !self.hosts.iter().any(|known| known == name) {
            return Err("its host is none of Graph's (`hosts` under [graph] in config.toml)");
        }
        if !scheme.eq_ignore_ascii_case("https") {
            return Err("it was asked without TLS, and Graph is asked over https only");
        }
        if let Some(why) = draft.left {
            return Err(why);
        }
        if !is_method(&request.method) {
            return Err("its method is none");
        }
        if http::uri::PathAndQuery::try_from(request.target.as_str()).is_err() {
            return Err("its address has characters that no request can carry");
        }
        if draft.status < 200 {
            return Err("no answer came to it, or none that was final");
        }
        let (headers, body) = (std::mem::take(&mut draft.response.headers), std::mem::take(&mut draft.response.body));
        Ok(Exchange { request, response: Response { status: draft.status, headers, body }, took: draft.took })
    }

    pub(super) fn found(mut self, origin: Option<Origin>) -> Found {
        self.found.left.sort_by_key(|left| (!left.whole, left.entry));
        self.found.origin = origin;
        self.found
    }
}
