//! Where ids stand in a text: GUIDs by their look, other texts by their place or because they are known.

use super::graph;
use super::guid;
use super::id::{self, Id};
use super::spelling;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};

/// An id and where it stands.
pub type Occurrence = (Range<usize>, Id);

/// Texts that are ids wherever they stand, in every coding that is looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lexicon(BTreeMap<Box<str>, Box<str>>);

impl Lexicon {
    /// Adds an id; one that is not distinct is passed over.
    pub fn add(&mut self, id: &Id) {
        if let Id::Text(text) = id
            && id::is_distinct(text)
        {
            self.add_as(text, text);
        }
    }

    /// Adds a text that is an id, or whatever else is looked for, as `id`, however plain it is.
    pub(super) fn add_as(&mut self, text: &str, id: &str) {
        for (written, _) in spelling::every(text) {
            self.0.entry(written.into()).or_insert_with(|| id.into());
        }
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids that stand in `text` as tokens of their own, from left to right.
    pub(super) fn find(&self, text: &str, found: &mut Vec<Occurrence>) {
        let bytes = text.as_bytes();
        let mut from = 0;
        while from < bytes.len() {
            let starts = text.is_char_boundary(from) && guid::starts_token(&bytes[..from]);
            match starts.then(|| self.longest(&text[from..])).flatten() {
                Some((length, id)) if guid::ends_token(&bytes[from + length..]) => {
                    found.push((from..from + length, Id::Text(id.into())));
                    from += length;
                }
                _ => from += 1,
            }
        }
    }

    /// The longest entry that `text` begins with: the last one not after it, or else one of its own beginnings.
    fn longest(&self, text: &str) -> Option<(usize, &str)> {
        let mut text = text;
        loop {
            let bounds = (Bound::Unbounded, Bound::Included(text));
            let (written, id) = self.0.range::<str, _>(bounds).next_back()?;
            if text.starts_with(&**written) {
                return Some((written.len(), id));
            }
            let same = text.bytes().zip(written.bytes()).take_while(|(a, b)| a == b).count();
            text = &text[..(0..=same).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)];
            if text.is_empty() {
                return None;
            }
        }
    }
}

/// The ids in the whole text of a key or an id field: its GUIDs and what is known beside them, or else itself.
#[must_use]
pub fn in_key(text: &str, known: &[&Lexicon]) -> Vec<Occurrence> {
    let mut found: Vec<Occurrence> = guid::tokens(text).map(|(range, guid)| (range, Id::Guid(guid))).collect();
    if text.is_empty() || found.is_empty() {
        found.extend((!text.is_empty()).then(|| (0..text.len(), Id::Text(text.into()))));
        return found;
    }
    known.iter().filter(|lexicon| !lexicon.is_empty()).for_each(|lexicon| lexicon.find(text, &mut found));
    settle(found)
}

/// The ids in a text: GUIDs, keys of addresses, and what is in the lexicons.
#[must_use]
pub fn in_text(text: &str, known: &[&Lexicon]) -> Vec<Occurrence> {
    // Most texts have nothing of a GUID or an address in them. Each byte is looked at, and so many at once.
    let marked = |marked, byte| marked | matches!(byte, b'-' | b'/' | b'(' | b'%');
    if known.is_empty() && !text.bytes().fold(false, marked) {
        return Vec::new();
    }
    settle(candidates(text, known))
}

/// What may be ids in a text, those that are known first.
fn candidates(text: &str, known: &[&Lexicon]) -> Vec<Occurrence> {
    let mut found: Vec<Occurrence> = guid::tokens(text).map(|(range, guid)| (range, Id::Guid(guid))).collect();
    known.iter().filter(|lexicon| !lexicon.is_empty()).for_each(|lexicon| lexicon.find(text, &mut found));
    found.extend(keys(text));
    found
}

/// The ids in a text of a query, where every text in quotes may be one.
#[must_use]
pub fn in_query(text: &str, known: &[&Lexicon]) -> Vec<Occurrence> {
    let mut found = in_text(text, known);
    let mut from = 0;
    while let Some(at) = text[from..].find('\'').map(|at| from + at + 1) {
        let Some(end) = closing(text, at, "'") else { break };
        if end > at && guid::tokens(&text[at..end]).next().is_none() {
            found.push((at..end, Id::Text(text[at..end].replace("''", "'").into())));
        }
        from = end + 1;
    }
    settle(found)
}

/// The ids of a table in a message as it is on the wire: as in a text, and the values of id fields, of which `more` has
/// names beside Graph's.
#[must_use]
pub fn in_message(text: &str, known: &Lexicon, more: &[String], is_id: impl Fn(&Id) -> bool) -> Vec<Occurrence> {
    let mut found = candidates(text, &[known]);
    for (at, _) in text.match_indices('"') {
        let value = text[at + 1..].split(['"', '\\']).next().unwrap_or_default();
        if !value.is_empty() && is_id_field(&text[..at], more) && guid::tokens(value).next().is_none() {
            found.push((at + 1..at + 1 + value.len(), Id::Text(value.into())));
        }
    }
    found.retain(|(_, id)| is_id(id));
    settle(found)
}

/// Puts occurrences in order; of two that overlap the one that begins first stays, or the longer.
pub(super) fn settle(mut found: Vec<Occurrence>) -> Vec<Occurrence> {
    found.sort_by(|(a, _), (b, _)| a.start.cmp(&b.start).then(b.end.cmp(&a.end)));
    let mut end = 0;
    found.retain(|(range, _)| {
        let apart = range.start >= end;
        end = if apart { range.end } else { end };
        apart
    });
    found
}

/// How a key in quotes may begin and end, and how a quote within it is written.
const QUOTED: [(&str, &str); 7] = [
    ("('", "'"),
    ("(id='", "'"),
    ("%28'", "'"),
    ("(%27", "%27"),
    ("%28%27", "%27"),
    ("%2528%2527", "%2527"),
    ("(\\u0027", "\\u0027"),
];

/// The keys of addresses in a text, GUIDs aside: in quotes, or after the name of a collection.
fn keys(text: &str) -> Vec<Occurrence> {
    let mut found = Vec::new();
    // Most texts have neither.
    let may_be_quoted = memchr::memchr2(b'(', b'%', text.as_bytes()).is_some();
    for (open, quote) in QUOTED.into_iter().filter(|_| may_be_quoted) {
        for (at, _) in text.match_indices(open) {
            let start = at + open.len();
            if let Some(end) = closing(text, start, quote) {
                let inner = text[start..end].replace(&quote.repeat(2), quote);
                push(&mut found, start..end, decoded(&inner, quote));
            }
        }
    }
    for at in memchr::memchr_iter(b'/', text.as_bytes()) {
        let name = &text[memchr::memrchr(b'/', &text.as_bytes()[..at]).map_or(0, |before| before + 1)..at];
        if !graph::is_collection(name) {
            continue;
        }
        let end = text[at + 1..].find(|c: char| c.is_whitespace() || "/?#\"'\\<>(),;".contains(c));
        let range = at + 1..end.map_or(text.len(), |end| at + 1 + end);
        if !graph::is_no_key(&text[range.clone()]) {
            let key = graph::percent_decode(&text[range.clone()]);
            push(&mut found, range, key);
        }
    }
    found
}

fn push(found: &mut Vec<Occurrence>, range: Range<usize>, key: Cow<'_, str>) {
    if !key.is_empty() && guid::tokens(&key).next().is_none() {
        found.push((range, Id::Text(key.into())));
    }
}

/// Where the text in quotes ends that begins at `start`; a quote that is doubled does not end it.
fn closing(text: &str, start: usize, quote: &str) -> Option<usize> {
    let mut from = start;
    loop {
        let at = from + text[from..].find(quote)?;
        let after = at + quote.len();
        if !text[after..].starts_with(quote) {
            return Some(at);
        }
        from = after + quote.len();
    }
}

fn decoded<'a>(inner: &'a str, quote: &str) -> Cow<'a, str> {
    let once = graph::percent_decode(inner);
    match quote {
        "%2527" => graph::percent_decode(&once).replace("''", "'").into(),
        "%27" => once.replace("''", "'").into(),
        _ => once.replace("''", "'").into(),
    }
}

/// Whether a quote that opens here, after `before`, holds the value of an id field or an element of one.
fn is_id_field(before: &str, more: &[String]) -> bool {
    let mut rest = before.trim_end_matches('\\').trim_end();
    if rest.ends_with([',', '[']) {
        let Some(open) = rest.rfind('[').filter(|open| !rest[*open..].contains(['{', '}', ']', ':'])) else {
            return false;
        };
        rest = rest[..open].trim_end();
    }
    let Some(name) = rest.strip_suffix(':') else { return false };
    let Some(name) = name.trim_end().strip_suffix('"') else { return false };
    let name = name.trim_end_matches('\\').rsplit(['"', '\\']).next().unwrap_or_default();
    graph::is_id_field(name) || more.iter().any(|field| field == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(found: Vec<Occurrence>) -> Vec<String> {
        found.into_iter().map(|(_, id)| id.to_string()).collect()
    }

    #[test]
    fn keys_are_found_in_every_spelling_of_an_address() {
        for (text, key) in [
            ("https://h/beta/users('a b')/x", "a b"),
            ("https://h/beta/users/19:a@thread.tacv2/x", "19:a@thread.tacv2"),
            ("https://h/beta/users/19%3Aa%40t?x", "19:a@t"),
            ("x users%28%27O%27%27Neil%2Fx%27%29", "O'Neil/x"),
            ("users%2528%2527Default%252FX%2527%2529", "Default/X"),
            ("users(\\u00271\\u0027)", "1"),
        ] {
            assert_eq!(told(in_text(text, &[])), [key], "{text}");
        }
        for text in ["/users/$count", "/users/microsoft.graph.user", "/a/b/c", "1 and ' '"] {
            assert_eq!(told(in_text(text, &[])), [""; 0], "{text}");
        }
    }

    #[test]
    fn a_distinct_id_is_found_wherever_it_stands_and_the_longest_first() {
        let mut known = Lexicon::default();
        for text in ["Default.Policy", "Default.Policy.X", "a/b c:d ee", "1"] {
            known.add(&Id::of(text));
        }
        let text = "see Default.Policy.X, Default.Policy; a%2Fb%20c:d%20ee not Default.PolicyX nor 1";
        assert_eq!(told(in_text(text, &[&known])), ["Default.Policy.X", "Default.Policy", "a/b c:d ee"]);
    }

    #[test]
    fn id_fields_are_ids_and_prose_is_none() {
        let text = r#"{"id":"1","userId": "2","groupIds":["3","4"],"n":"5","valid":"6","m":"{\"id\":\"7\"}"}"#;
        assert_eq!(told(in_message(text, &Lexicon::default(), &[], |_| true)), ["1", "2", "3", "4", "7"]);
    }

    #[test]
    fn a_query_has_ids_in_quotes() {
        assert_eq!(told(in_query("a eq 'x' or b eq 'O''Neil'", &[])), ["x", "O'Neil"]);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_search_panic(text in "([/'\"(%27,:\\[]|users|id|é| |\\\\|a){0,30}") {
            let mut known = Lexicon::default();
            known.add(&Id::of("a/users'(id"));
            for found in [in_message(&text, &known, &[], |_| true), in_query(&text, &[&known])] {
                let mut end = 0;
                for (range, _) in found {
                    assert!(range.start >= end && text.get(range.clone()).is_some());
                    end = range.end;
                }
            }
        }
    }
}
