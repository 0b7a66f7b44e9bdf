//! What is compared of a request: its reading, in which every id, and what might be one, is a blank.

use super::exchange::{Request, Taped};
use super::graph;
use super::id::{Id, Written};
use super::lexicon::{self, Lexicon, Occurrence};
use super::person_places::with_people;
pub use super::rules::{Applied, Repeat, Rule, Rules};
use super::walk::{self, Kind, Leaf, Place};
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};
use std::collections::HashMap;
use std::sync::Arc;

/// A hash of what must be equal; 128 bits, so that no two differing requests share one by chance or by craft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// The key that a hash makes.
    #[must_use]
    pub fn of(hasher: &blake3::Hasher) -> Self {
        Self::from_hash(hasher.finalize())
    }

    /// The key of some bytes.
    pub(super) fn of_bytes(bytes: &[u8]) -> Self {
        Self::from_hash(blake3::hash(bytes))
    }

    fn from_hash(hash: blake3::Hash) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&hash.as_bytes()[..16]);
        Self(key)
    }
}

/// An id that a request carries, or what might be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its value.
    pub id: Id,
    /// As the client spelled it where it first stands.
    pub spelled: Written<'static>,
}

/// A request with its ids taken out: the key of what remains, and the ids by first appearance.
///
/// Two requests have equal keys when they are equal but for a one-to-one renaming of what stands as an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape<'a> {
    /// The key.
    pub key: Key,
    /// The ids, each once.
    pub tokens: &'a [Token],
}

/// Everything by which a request finds its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The key with every place in it, and the one without the places that rules ignore.
    exact: Key,
    loose: Key,
    /// The ids, those at ignored places last: of the loose shape there are so many.
    tokens: Vec<Token>,
    compared: usize,
    /// How often an id stands in the request; `None` where headers are compared too, or elements in an order of the deck's.
    pub(super) occurrences: Option<usize>,
    very_request: Key,
    /// What stands at ignored places, in the order of these.
    pub varying: Arc<Vec<Varying>>,
    /// What a repeat of it gets.
    pub repeat: Repeat,
}

/// A value at a place that need not be equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Varying {
    /// Where.
    pub place: Place,
    /// The value, as JSON writes it.
    pub literal: String,
    /// The number of the rule that lets it vary.
    pub rule: usize,
}

impl Reading {
    /// Reads a request; `known` are the texts that are ids wherever they stand.
    #[must_use]
    pub fn of(request: &Taped<Request>, rules: &Rules, known: &[&Lexicon]) -> Self {
        let applied = rules.applied(request);
        Self::of_leaves(&walk::leaves(request, &applied.view), &applied, rules, known)
    }

    /// Reads a request that was walked.
    pub(super) fn of_leaves(leaves: &[Leaf<'_>], applied: &Applied<'_>, rules: &Rules, known: &[&Lexicon]) -> Self {
        let own = own(leaves);
        let known: Vec<&Lexicon> = known.iter().copied().chain([&own]).filter(|texts| !texts.is_empty()).collect();
        let mut shaper = Shaper::new();
        let mut varying = Vec::new();
        for leaf in leaves {
            match applied.ignores(&leaf.place) {
                Some(rule) => varying.push((leaf, Varying::of(leaf, rule))),
                None => shaper.add(leaf, rules, &known),
            }
        }
        let (loose, compared) = (shaper.key(), shaper.tokens.len());
        let exact = shaper.exact(loose, varying.iter().map(|(leaf, _)| *leaf), rules, &known);
        let mut varying: Vec<Varying> = varying.into_iter().map(|(_, varying)| varying).collect();
        varying.sort_by(|a, b| a.place.walked(&b.place));
        let Shaper { tokens, occurrences, .. } = shaper;
        let occurrences = (applied.view.headers.is_empty() && !applied.view.unordered).then_some(occurrences);
        let very_request = very_request(Shape { key: loose, tokens: &tokens[..compared] });
        let varying = Arc::new(varying);
        Self { exact, loose, tokens, compared, occurrences, very_request, varying, repeat: applied.repeat }
    }

    /// The reading of a request with other ids, and with these keys and this at places that may vary.
    pub(super) fn with(&self, tokens: Vec<Token>, [loose, exact]: [Key; 2], varying: Arc<Vec<Varying>>) -> Self {
        let very_request = very_request(Shape { key: loose, tokens: &tokens[..self.compared] });
        Self { exact, loose, tokens, varying, very_request, ..*self }
    }

    /// The key without the places that rules ignore, and the one with every place in it.
    pub(super) fn keys(&self) -> [Key; 2] {
        [self.loose, self.exact]
    }

    /// All ids, those at ignored places last.
    pub(super) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// The key of this very request, ignored places aside: its shape and its ids.
    #[must_use]
    pub fn very_request(&self) -> Key {
        self.very_request
    }

    /// The shape with every place in it.
    #[must_use]
    pub fn exact(&self) -> Shape<'_> {
        Shape { key: self.exact, tokens: &self.tokens }
    }

    /// The shape without the places that rules ignore.
    #[must_use]
    pub fn loose(&self) -> Shape<'_> {
        Shape { key: self.loose, tokens: &self.tokens[..self.compared] }
    }
}

impl Varying {
    fn of(leaf: &Leaf<'_>, rule: usize) -> Self {
        let literal = match leaf.kind {
            Kind::Literal => leaf.text.to_string(),
            _ if is_plain(&leaf.text) => format!("\"{}\"", leaf.text),
            _ => serde_json::Value::from(leaf.text.as_ref()).to_string(),
        };
        Self { place: leaf.place.clone(), literal, rule }
    }
}

/// Whether JSON writes a text as it stands, but for the quotes.
fn is_plain(text: &str) -> bool {
    // Each byte is looked at, and so many at once.
    text.bytes().fold(true, |plain, byte| plain & (byte >= b' ' && byte != b'"' && byte != b'\\'))
}

/// The key of a request with these ids: its shape and they.
fn very_request(shape: Shape<'_>) -> Key {
    let mut text: SmallVec<[u8; 128]> = smallvec![0; 16 * (1 + shape.tokens.len())];
    let parts = [shape.key.0].into_iter().chain(shape.tokens.iter().map(|token| token.id.digest()));
    text.chunks_exact_mut(16).zip(parts).for_each(|(place, part)| place.copy_from_slice(&part));
    Key::of_bytes(&text)
}

/// The keys of a request: where they stand in its other texts they are ids too.
pub(super) fn own(leaves: &[Leaf<'_>]) -> Lexicon {
    let mut own = Lexicon::default();
    for leaf in leaves.iter().filter(|leaf| leaf.kind == Kind::Key) {
        lexicon::in_key(&leaf.text, &[]).iter().for_each(|(_, id)| own.add(id));
    }
    own
}

/// Where ids stand in a value, or what might be one.
pub(super) fn ids_of(leaf: &Leaf<'_>, rules: &Rules, known: &[&Lexicon]) -> Vec<Occurrence> {
    let found = match &leaf.place {
        _ if matches!(leaf.kind, Kind::Word | Kind::Literal | Kind::Bytes) => Vec::new(),
        place if rules.ids().also.iter().any(|pattern| pattern.covers(place)) => lexicon::in_key(&leaf.text, known),
        _ if leaf.kind == Kind::Key => lexicon::in_key(&leaf.text, known),
        Place::Json(pointer) if is_id_field(pointer) && !leaf.text.contains("://") => {
            lexicon::in_key(&leaf.text, known)
        }
        Place::Query(_) | Place::Path(_) => lexicon::in_query(&leaf.text, known),
        _ => lexicon::in_text(&leaf.text, known),
    };
    if rules.ids().people { with_people(leaf, found) } else { found }
}

/// Whether the last member of a pointer is an id field.
fn is_id_field(pointer: &str) -> bool {
    let mut above = pointer;
    while let Some(at) = memchr::memrchr(b'/', above.as_bytes()) {
        let step = &above[at + 1..];
        if !step.bytes().all(|b| b.is_ascii_digit()) {
            return graph::is_id_field(step);
        }
        above = &above[..at];
    }
    false
}

/// Writes values down as they go into a key, ids as numbers by first appearance.
pub(super) struct Shaper {
    /// One text, hashed in one go.
    pub(super) text: Vec<u8>,
    tokens: Vec<Token>,
    occurrences: usize,
    /// The numbers of tokens, once there are more than a few.
    numbers: HashMap<Id, usize>,
}

/// Up to so many ids are looked through one by one.
const FEW: usize = 16;

impl Shaper {
    /// With room for what programs usually ask.
    pub(super) fn new() -> Self {
        let (text, tokens) = (Vec::with_capacity(1024), Vec::with_capacity(2));
        Self { text, tokens, occurrences: 0, numbers: HashMap::new() }
    }

    fn key(&self) -> Key {
        Key::of_bytes(&self.text)
    }

    /// The key of what has the key `loose` without these values that may vary, if there are any.
    fn exact<'l>(
        &mut self,
        loose: Key,
        mut varying: impl Iterator<Item = &'l Leaf<'l>>,
        rules: &Rules,
        known: &[&Lexicon],
    ) -> Key {
        let Some(first) = varying.next() else { return loose };
        self.text.clear();
        self.text.extend_from_slice(&loose.0);
        [first].into_iter().chain(varying).for_each(|leaf| self.add(leaf, rules, known));
        self.key()
    }

    pub(super) fn add(&mut self, leaf: &Leaf<'_>, rules: &Rules, known: &[&Lexicon]) {
        place(&mut self.text, &leaf.place);
        self.text.push(leaf.kind as u8);
        let mut from = 0;
        for (range, id) in ids_of(leaf, rules, known) {
            part(&mut self.text, leaf.text[from..range.start].as_bytes());
            from = range.end;
            self.occurrences += 1;
            let number = self.number(id, &leaf.text[range]);
            length(&mut self.text, number);
        }
        part(&mut self.text, leaf.text[from..].as_bytes());
    }

    /// The number of an id, from 1; `written` is how it stands here.
    fn number(&mut self, id: Id, written: &str) -> usize {
        let known = match self.numbers.get(&id) {
            Some(number) => Some(*number),
            None if self.tokens.len() > FEW => None,
            None => self.tokens.iter().position(|token| token.id == id).map(|at| at + 1),
        };
        known.unwrap_or_else(|| {
            let spelled = match &id {
                Id::Text(text) if !written.eq_ignore_ascii_case(text) => text,
                _ => written,
            };
            let spelled = Written::of(spelled);
            self.tokens.push(Token { id, spelled });
            if self.tokens.len() > FEW {
                let new = if self.numbers.is_empty() { 0 } else { self.tokens.len() - 1 };
                self.numbers
                    .extend((new + 1..).zip(&self.tokens[new..]).map(|(number, token)| (token.id.clone(), number)));
            }
            self.tokens.len()
        })
    }
}

/// Writes a part with its length, so that no two sequences of parts are written alike.
pub(super) fn part(text: &mut Vec<u8>, bytes: &[u8]) {
    length(text, bytes.len());
    text.extend_from_slice(bytes);
}

/// Writes a number so that it says where it ends: nearly all are small.
fn length(text: &mut Vec<u8>, number: usize) {
    match u8::try_from(number) {
        Ok(small) if small < SHORT => text.push(small),
        _ => {
            text.push(SHORT);
            text.extend_from_slice(&number.to_le_bytes());
        }
    }
}

/// Numbers below this take one byte.
const SHORT: u8 = 0xff;

/// Writes a place as a part.
fn place(text: &mut Vec<u8>, place: &Place) {
    let begin = text.len();
    text.push(0);
    place.write(text);
    match u8::try_from(text.len() - begin - 1) {
        Ok(short) if short < SHORT => text[begin] = short,
        _ => {
            let long = text.split_off(begin + 1);
            text.truncate(begin);
            part(text, &long);
        }
    }
}

/// What of each value goes into the keys of a request without keys of its own that are texts: those that rules ignore come
/// last, and are marked so.
pub(super) fn keyed<'l, 'a>(
    leaves: &'l [Leaf<'a>],
    applied: &Applied<'_>,
    rules: &Rules,
) -> Vec<(&'l Leaf<'a>, bool, Vec<u8>)> {
    let (mut shaper, is_ignored) = (Shaper::new(), |leaf: &Leaf<'_>| applied.ignores(&leaf.place).is_some());
    let mut write = |leaf| {
        shaper.text.clear();
        shaper.add(leaf, rules, &[]);
        shaper.text.clone()
    };
    let mut keyed = Vec::with_capacity(leaves.len());
    for ignored in [false, true] {
        let these = leaves.iter().filter(|leaf| is_ignored(leaf) == ignored);
        keyed.extend(these.map(|leaf| (leaf, ignored, write(leaf))));
    }
    keyed
}

/// A number for each value of a request, its place included and its ids left out, in order: requests that have many of
/// them in common are near one another. By chance two values share one in some billions.
#[must_use]
pub fn marks(leaves: &[Leaf<'_>], rules: &Rules, known: &[&Lexicon]) -> Box<[u32]> {
    let mut text = Vec::new();
    let mut mark = |leaf: &Leaf<'_>| {
        text.clear();
        place(&mut text, &leaf.place);
        text.push(leaf.kind as u8);
        let mut from = 0;
        for (range, _) in ids_of(leaf, rules, known) {
            part(&mut text, leaf.text[from..range.start].as_bytes());
            from = range.end;
        }
        part(&mut text, leaf.text[from..].as_bytes());
        let [a, b, c, d, ..] = *blake3::hash(&text).as_bytes();
        u32::from_le_bytes([a, b, c, d])
    };
    let mut marks: Box<[u32]> = leaves.iter().map(&mut mark).collect();
    marks.sort_unstable();
    marks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::Headers;
    use crate::tape::route::Route;
    use crate::tape::scribe;
    use crate::tape::walk::{IdPlaces, PlacePattern};

    const A: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";
    const B: &str = "0385114b-b48f-4800-a046-f249eaba24b1";

    fn read(target: &str, body: &str) -> Reading {
        let rules = Rules::new(
            vec![Rule {
                ignore: vec![PlacePattern::parse("json:/at").unwrap()],
                ..Rule::of(Route::parse("POST /**/userStatuses").unwrap())
            }],
            IdPlaces::default(),
        );
        let request = Request {
            method: "POST".into(),
            host: "graph.microsoft.com".into(),
            target: target.into(),
            headers: Headers::default(),
            body: body.to_owned().into(),
        };
        Reading::of(&scribe::tape_request(request, rules.secrets()), &rules, &[])
    }

    #[test]
    fn renamed_requests_have_one_shape() {
        let one = read(&format!("/beta/x/{A}/userStatuses"), &format!(r#"{{"a":"{A} {B}"}}"#));
        let other = read(&format!("/beta/x('{B}')/userStatuses"), &format!(r#"{{"a":"{} {A}"}}"#, B.to_uppercase()));
        assert_eq!(one.exact().key, other.exact().key);
        assert_ne!(one.very_request(), other.very_request());
        assert_eq!(other.exact().tokens.iter().map(|t| &*t.spelled).collect::<Vec<_>>(), [B, A]);
    }

    #[test]
    fn a_renaming_that_is_not_one_to_one_has_another_shape() {
        let one = read(&format!("/beta/x/{A}/userStatuses"), &format!(r#"{{"a":"{B}"}}"#));
        let other = read(&format!("/beta/x/{A}/userStatuses"), &format!(r#"{{"a":"{A}"}}"#));
        assert_ne!(one.exact().key, other.exact().key);
    }

    #[test]
    fn an_ignored_place_is_left_out_of_the_loose_shape_only() {
        let (one, other) = (read("/beta/x/userStatuses", r#"{"at":1}"#), read("/beta/x/userStatuses", r#"{"at":2}"#));
        assert_ne!(one.exact().key, other.exact().key);
        assert_eq!(one.loose().key, other.loose().key);
        assert_eq!(one.loose().key, read("/beta/x/userStatuses", "").loose().key);
        assert_ne!(read("/beta/x", r#"{"at":1}"#).loose().key, read("/beta/x", r#"{"at":2}"#).loose().key);
    }
}
