//! What stands around an id in a text, and so how it must be written there: in an address, in quotes, in JSON.

use super::spelling::Coding::{self, Json, Path, Quotes, Url};

/// How much of the text before an id is looked at, in bytes: longer than an address is.
const TAIL: usize = 2048;

/// The text before an id, as far as it says how the id is written.
///
/// It is the same for a text with ids and for one with placeholders in their stead, so that a cassette need not say it.
#[derive(Debug)]
pub struct Surroundings {
    tail: String,
    json: Option<Strings>,
}

impl Surroundings {
    fn new(json: bool) -> Self {
        Self { tail: String::new(), json: json.then(Strings::default) }
    }

    /// The begin of this text, which is JSON when it looks so.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        Self::new(text.starts_with('[') || (text.starts_with('{') && !text.starts_with("{{")))
    }

    /// Passes over text.
    pub fn pass(&mut self, text: &str) {
        if let Some(json) = &mut self.json {
            json.pass(text);
        }
        self.tail.push_str(text);
        if self.tail.len() > 2 * TAIL {
            let mut at = self.tail.len() - TAIL;
            while !self.tail.is_char_boundary(at) {
                at += 1;
            }
            self.tail.drain(..at);
        }
    }

    /// Passes over an id: whatever it is, what follows stands in the same place.
    pub fn pass_id(&mut self) {
        self.tail.push('x');
    }

    /// The codings that an id has here, unless it is recorded otherwise.
    #[must_use]
    pub fn codings(&self) -> Vec<Coding> {
        let mut codings = codings(&self.tail);
        codings.extend(vec![Json; self.json.as_ref().map_or(0, Strings::levels)]);
        codings
    }
}

fn codings(before: &str) -> Vec<Coding> {
    // An id that is joined to others stands where the first of them does.
    let joined = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    let mut before = before;
    let quotes = ["%27", "%2527", "\\u0027"];
    while !quotes.iter().any(|quote| before.ends_with(quote)) && before.ends_with(joined) {
        before = &before[..before.len() - 1];
    }
    if before.ends_with("%2527") {
        return vec![Quotes, Url, Url];
    }
    if before.ends_with("%27") {
        return vec![Quotes, Url];
    }
    let word = before.rsplit(|c: char| c.is_whitespace() || "\"<>\\".contains(c)).next().unwrap_or_default();
    let address = word.contains("://") || word.starts_with('/');
    let quoted = before.strip_suffix('\'').or_else(|| before.strip_suffix("\\u0027"));
    let key = quoted.is_some_and(|before| before.ends_with(['(', '=', ',']) || before.ends_with("%28"));
    match (key, address) {
        (true, true) => vec![Quotes, Path],
        (true, false) => vec![Quotes],
        (false, true) => vec![Path],
        (false, false) => Vec::new(),
    }
}

/// The JSON string that a text has come to, and whether that is JSON itself.
#[derive(Debug, Default)]
struct Strings {
    open: bool,
    escaped: bool,
    /// Whether the string's first character opens an object or an array; `None` before it.
    nested: Option<bool>,
}

impl Strings {
    fn pass(&mut self, text: &str) {
        let mut bytes = text.as_bytes();
        while let Some(first) = bytes.first() {
            let mut passed = 1;
            match first {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.open => self.escaped = true,
                b'"' => {
                    self.open = !self.open;
                    self.nested = None;
                }
                // Within a character, which its first byte is told by.
                0x80..=0xbf => {}
                first if self.open && self.nested.is_none() => self.nested = Some(matches!(first, b'{' | b'[')),
                // What follows up to the next of these changes nothing.
                _ => passed = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len()).max(1),
            }
            bytes = &bytes[passed..];
        }
    }

    fn levels(&self) -> usize {
        usize::from(self.open) + usize::from(self.open && self.nested == Some(true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(before: &str, json: bool) -> Vec<Coding> {
        let mut surroundings = Surroundings::new(json);
        surroundings.pass(before);
        surroundings.codings()
    }

    #[test]
    fn a_place_says_how_an_id_is_written() {
        for (before, codings) in [
            ("a ", &[][..]),
            ("/users/", &[Path]),
            ("see https://graph.microsoft.com/users/", &[Path]),
            ("https://h/users('", &[Quotes, Path]),
            ("Resource users('", &[Quotes]),
            ("users(\\u0027", &[Quotes]),
            ("https://h/users(%27", &[Quotes, Url]),
            ("users%28%27x_", &[Quotes, Url]),
            ("users%2528%2527", &[Quotes, Url, Url]),
        ] {
            assert_eq!(asked(before, false), codings, "{before}");
        }
    }

    #[test]
    fn json_is_told_by_level() {
        assert_eq!(asked(r#"{"id":""#, true), [Json]);
        assert_eq!(asked(r#"{"a":"{}","at":"/users/"#, true), [Path, Json]);
        assert_eq!(asked(r#"{"a":"he said \"hi\" "#, true), [Json]);
        assert_eq!(asked(r#"{"message":"{ \"id\": \""#, true), [Json, Json]);
    }
}
