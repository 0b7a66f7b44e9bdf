//! What is compared of a request: its reading, in which every id, and what might be one, is a blank.

use super::exchange::{Request, Taped};
use super::graph;
use super::id::Id;
use super::lexicon::{self, Lexicon, Occurrence};
use super::route::Route;
use super::walk::{self, IdPlaces, Kind, Leaf, Place, PlacePattern};
use std::collections::HashMap;

/// A hash of what must be equal; 128 bits, so that no two differing requests share one by chance or by craft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub [u8; 16]);

impl Key {
    /// The key that a hash makes.
    #[must_use]
    pub fn of(hasher: &blake3::Hasher) -> Self {
        let mut key = [0; 16];
        key.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        Self(key)
    }
}

/// The rules that name places: those which need not be equal, and those of ids.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    ids: IdPlaces,
}

/// Places that need not be equal on one route.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The requests that are meant.
    pub route: Route,
    /// The places.
    pub ignore: Vec<PlacePattern>,
}

impl Rules {
    /// The rules, in the order of config.
    #[must_use]
    pub fn new(rules: Vec<Rule>, ids: IdPlaces) -> Self {
        Self { rules, ids }
    }

    /// The places of ids.
    #[must_use]
    pub fn ids(&self) -> &IdPlaces {
        &self.ids
    }

    /// The places that need not be equal in this request.
    #[must_use]
    pub fn ignored(&self, request: &Request) -> Vec<&PlacePattern> {
        let applies = |rule: &&Rule| rule.route.matches(&request.method, request.path());
        self.rules.iter().filter(applies).flat_map(|rule| &rule.ignore).collect()
    }
}

/// An id that a request carries, or what might be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its value.
    pub id: Id,
    /// As the client spelled it where it first stands.
    pub spelled: String,
}

/// A request with its ids taken out: the key of what remains, and the ids by first appearance.
///
/// Two requests have equal keys when they are equal but for a one-to-one renaming of what stands as an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// The key.
    pub key: Key,
    /// The ids, each once.
    pub tokens: Vec<Token>,
}

/// Everything by which a request finds its answer.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The shape with every place in it.
    pub exact: Shape,
    /// The shape without the places that rules ignore.
    pub loose: Shape,
    /// The key of method, host and path, ids and versions of keys aside.
    pub route: Key,
    /// What stands at ignored places.
    pub varying: Vec<Varying>,
}

/// A value at a place that need not be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Varying {
    /// Where.
    pub place: Place,
    /// The value, as JSON writes it.
    pub literal: String,
}

impl Reading {
    /// Reads a request; `known` are the texts that are ids wherever they stand.
    #[must_use]
    pub fn of(request: &Taped<Request>, rules: &Rules, known: &[&Lexicon]) -> Self {
        let leaves = walk::leaves(request);
        let ignored = rules.ignored(request);
        let own = own(&leaves);
        let known = [known, &[&own]].concat();
        let exact = shape(leaves.iter(), rules, &known);
        let is_ignored = |leaf: &&Leaf<'_>| ignored.iter().any(|pattern| pattern.covers(&leaf.place));
        let varying: Vec<Varying> = leaves.iter().filter(is_ignored).map(Varying::of).collect();
        let loose = if varying.is_empty() {
            exact.clone()
        } else {
            shape(leaves.iter().filter(|leaf| !is_ignored(leaf)), rules, &known)
        };
        Self { exact, loose, route: route(&leaves), varying }
    }
}

impl Varying {
    fn of(leaf: &Leaf<'_>) -> Self {
        let literal = match leaf.kind {
            Kind::Literal => leaf.text.to_string(),
            _ => serde_json::Value::from(leaf.text.as_ref()).to_string(),
        };
        Self { place: leaf.place.clone(), literal }
    }
}

impl Shape {
    /// The key of this very request: its shape and its ids.
    #[must_use]
    pub fn very_request(&self) -> Key {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.key.0);
        for token in &self.tokens {
            hasher.update(&token.id.digest());
        }
        Key::of(&hasher)
    }
}

/// The keys of a request: where they stand in its other texts they are ids too.
fn own(leaves: &[Leaf<'_>]) -> Lexicon {
    let mut own = Lexicon::default();
    for leaf in leaves.iter().filter(|leaf| leaf.kind == Kind::Key) {
        lexicon::in_key(&leaf.text, &[]).iter().for_each(|(_, id)| own.add(id));
    }
    own
}

/// Where ids stand in a value, or what might be one.
pub(super) fn ids_of(leaf: &Leaf<'_>, rules: &Rules, known: &[&Lexicon]) -> Vec<Occurrence> {
    match &leaf.place {
        _ if matches!(leaf.kind, Kind::Word | Kind::Literal | Kind::Bytes) => Vec::new(),
        place if rules.ids.also.iter().any(|pattern| pattern.covers(place)) => lexicon::in_key(&leaf.text, known),
        _ if leaf.kind == Kind::Key => lexicon::in_key(&leaf.text, known),
        Place::Json(pointer) if is_id_field(pointer) && !leaf.text.contains("://") => {
            lexicon::in_key(&leaf.text, known)
        }
        Place::Query(_) | Place::Path(_) => lexicon::in_query(&leaf.text, known),
        _ => lexicon::in_text(&leaf.text, known),
    }
}

/// Whether the last member of a pointer is an id field.
fn is_id_field(pointer: &str) -> bool {
    let member = pointer.rsplit('/').find(|step| !step.bytes().all(|b| b.is_ascii_digit()));
    member.is_some_and(graph::is_id_field)
}

fn shape<'a>(leaves: impl Iterator<Item = &'a Leaf<'a>>, rules: &Rules, known: &[&Lexicon]) -> Shape {
    let mut hasher = blake3::Hasher::new();
    let mut tokens: Vec<Token> = Vec::new();
    let mut numbers: HashMap<Id, usize> = HashMap::new();
    for leaf in leaves {
        part(&mut hasher, leaf.place.to_string().as_bytes());
        hasher.update(&[leaf.kind as u8]);
        let mut from = 0;
        for (range, id) in ids_of(leaf, rules, known) {
            let number = *numbers.entry(id).or_insert_with_key(|id| {
                let spelled = match id {
                    Id::Guid(_) => leaf.text[range.clone()].to_owned(),
                    Id::Text(text) => text.to_string(),
                };
                tokens.push(Token { id: id.clone(), spelled });
                tokens.len()
            });
            part(&mut hasher, leaf.text[from..range.start].as_bytes());
            hasher.update(&number.to_le_bytes());
            from = range.end;
        }
        part(&mut hasher, leaf.text[from..].as_bytes());
    }
    Shape { key: Key::of(&hasher), tokens }
}

/// Hashes a part with its length, so that no two sequences of parts hash alike.
fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&bytes.len().to_le_bytes());
    hasher.update(bytes);
}

fn route(leaves: &[Leaf<'_>]) -> Key {
    let mut hasher = blake3::Hasher::new();
    for leaf in leaves {
        match leaf.kind {
            Kind::Word => part(&mut hasher, leaf.text.as_bytes()),
            Kind::Key => part(&mut hasher, b"{}"),
            // A function is told by its name; its arguments may differ as a query may.
            Kind::Text if matches!(leaf.place, Place::Path(_)) => {
                part(&mut hasher, leaf.text.split('(').next().unwrap_or_default().as_bytes());
            }
            _ => {}
        }
    }
    Key::of(&hasher)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::Headers;
    use crate::tape::scribe;

    const A: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";
    const B: &str = "0385114b-b48f-4800-a046-f249eaba24b1";

    fn read(target: &str, body: &str) -> Reading {
        let rules = Rules::new(
            vec![Rule {
                route: Route::parse("POST /**/userStatuses").unwrap(),
                ignore: vec![PlacePattern::parse("json:/at").unwrap()],
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
        Reading::of(&scribe::tape_request(request), &rules, &[])
    }

    #[test]
    fn renamed_requests_have_one_shape() {
        let one = read(&format!("/beta/x/{A}/userStatuses"), &format!(r#"{{"a":"{A} {B}"}}"#));
        let other = read(&format!("/beta/x('{B}')/userStatuses"), &format!(r#"{{"a":"{} {A}"}}"#, B.to_uppercase()));
        assert_eq!(one.exact.key, other.exact.key);
        assert_ne!(one.exact.very_request(), other.exact.very_request());
        assert_eq!(other.exact.tokens.iter().map(|t| t.spelled.as_str()).collect::<Vec<_>>(), [B, A]);
    }

    #[test]
    fn a_renaming_that_is_not_one_to_one_has_another_shape() {
        let one = read(&format!("/beta/x/{A}/userStatuses"), &format!(r#"{{"a":"{B}"}}"#));
        let other = read(&format!("/beta/x/{A}/userStatuses"), &format!(r#"{{"a":"{A}"}}"#));
        assert_ne!(one.exact.key, other.exact.key);
    }

    #[test]
    fn an_ignored_place_is_left_out_of_the_loose_shape_only() {
        let (one, other) = (read("/beta/x/userStatuses", r#"{"at":1}"#), read("/beta/x/userStatuses", r#"{"at":2}"#));
        assert_ne!(one.exact.key, other.exact.key);
        assert_eq!(one.loose.key, other.loose.key);
        assert_eq!(one.loose.key, read("/beta/x/userStatuses", "").loose.key);
        assert_ne!(read("/beta/x", r#"{"at":1}"#).loose.key, read("/beta/x", r#"{"at":2}"#).loose.key);
    }

    #[test]
    fn the_route_is_method_host_and_names() {
        let one = read(&format!("/beta/x/{A}/userStatuses?a=1"), "1");
        assert_eq!(one.route, read(&format!("/beta/X('{B}')/userStatuses"), "").route);
        assert_ne!(one.route, read(&format!("/v1.0/x/{A}/userStatuses"), "").route);
    }
}
