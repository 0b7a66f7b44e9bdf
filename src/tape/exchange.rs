//! Request, response and exchange as owned values: decoded, and free of any HTTP library.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

/// Header fields in the order they came, names in lower case.
///
/// A value holds one `char` per byte (ISO-8859-1, RFC 9110 section 5.5), so that any bytes survive.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Headers(Vec<(SmolStr, String)>);

impl Headers {
    /// Adds a field; a repeated name is kept as a field of its own.
    pub fn push(&mut self, name: impl AsRef<str>, value: impl Into<String>) {
        let name = name.as_ref();
        let is_lower = !name.bytes().any(|byte| byte.is_ascii_uppercase());
        let name = if is_lower { SmolStr::new(name) } else { name.to_ascii_lowercase().into() };
        self.0.push((name, value.into()));
    }

    /// None, with room for so many fields.
    #[must_use]
    pub fn with_room(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    /// The first value of `name`, which must be in lower case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, v)| v)
    }

    /// Every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (n.as_str(), v.as_str()))
    }

    /// Puts the fields in the order of their names, in which a cassette has them; fields of one name keep theirs.
    pub fn sort(&mut self) {
        self.0.sort_by(|(a, _), (b, _)| a.cmp(b));
    }

    /// Changes values where they stand.
    pub fn each_value(&mut self, change: impl FnMut(&mut String)) {
        self.0.iter_mut().map(|(_, value)| value).for_each(change);
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.0.retain(|(n, v)| keep(n, v));
    }
}

impl<N: AsRef<str>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let fields = fields.into_iter();
        let mut headers = Self::with_room(fields.size_hint().0);
        for (name, value) in fields {
            headers.push(name, value);
        }
        headers
    }
}

impl IntoIterator for Headers {
    type Item = (SmolStr, String);
    type IntoIter = std::vec::IntoIter<(SmolStr, String)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Whether a field may have this name, written in lower case.
pub(super) fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| TOKEN[usize::from(byte)] == IS_IN_NAMES)
}

/// Whether this is a method: a token, and one that begins with a letter, as all do. What begins with `#` would be a
/// comment where people write requests down.
pub(crate) fn is_method(text: &str) -> bool {
    is_token(text) && text.starts_with(|c: char| c.is_ascii_alphabetic())
}

/// RFC 9110 section 5.6.2.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| TOKEN[usize::from(byte)] != 0)
}

const IS_IN_NAMES: u8 = 1;
const IS_UPPER: u8 = 2;

/// Which bytes a token may have.
const TOKEN: [u8; 256] = {
    let mut token = [0; 256];
    let mut byte: u8 = 0;
    loop {
        token[byte as usize] = match byte {
            b'A'..=b'Z' => IS_UPPER,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~' => IS_IN_NAMES,
            b'a'..=b'z' | b'0'..=b'9' => IS_IN_NAMES,
            _ => 0,
        };
        if byte == u8::MAX {
            break token;
        }
        byte += 1;
    }
};

/// Whether a field can carry this value, of which each `char` is a byte.
pub(super) fn is_field_value(value: &str) -> bool {
    // Each byte is looked at, and so many at once.
    let plain = value.bytes().fold(true, |plain, byte| plain & ((b' '..0x7f).contains(&byte) || byte == b'\t'));
    plain || !value.chars().any(|c| (c < ' ' && c != '\t') || c == '\x7f' || c > 'ÿ')
}

/// What a client asked, with its body decoded from any content coding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The method, in the client's spelling (methods are case-sensitive).
    pub method: String,
    /// The host in lower case, with a port when it is not 443.
    pub host: String,
    /// Path and query as the client spelled them, beginning with `/`.
    pub target: String,
    /// The header fields.
    pub headers: Headers,
    /// The decoded body.
    pub body: Bytes,
}

impl Request {
    /// The path part of the target.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The query part of the target, without its `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// The whole address. Graph is spoken to over TLS only, so the scheme is always `https`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}{}", self.host, self.target)
    }
}

/// What was answered, with its body decoded from any content coding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The decoded body.
    pub body: Bytes,
}

/// One request and its response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    /// The request.
    pub request: Request,
    /// The response.
    pub response: Response,
    /// How many milliseconds passed between them, where that is kept.
    pub took: Option<u64>,
}

/// Marks what may be written down: secrets and run-to-run noise are gone from it.
///
/// Only [`crate::tape`] can make one, and `store` takes nothing else, so that a secret cannot reach
/// a disk by an oversight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taped<T>(T);

impl<T> Taped<T> {
    pub(in crate::tape) fn new(value: T) -> Self {
        Self(value)
    }

    /// Gives the value up, and its mark with it.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Taped<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_are_lower_case_and_repeats_are_kept() {
        let headers: Headers = [("Link", "a"), ("LINK", "b"), ("ETag", "c")].into_iter().collect();
        assert_eq!(headers.get("link"), Some("a"));
        assert_eq!(headers.iter().filter(|(n, _)| *n == "link").count(), 2);
        assert_eq!(headers.get("etag"), Some("c"));
    }

    #[test]
    fn a_target_splits_at_its_first_question_mark() {
        let request = Request {
            method: "GET".into(),
            host: "graph.microsoft.com".into(),
            target: "/beta/a?$filter=b eq '?'".into(),
            headers: Headers::default(),
            body: Bytes::new(),
        };
        assert_eq!(request.path(), "/beta/a");
        assert_eq!(request.query(), Some("$filter=b eq '?'"));
    }
}
