//! Echo: where a recorded answer repeats what a request said at an ignored place, the replayed answer repeats what the
//! live request says there: the answer to that request, or a later one that shows what it made or changed.

use super::exchange::Request;
use super::graph::{self, Segment};
use super::guid;
use super::ids::Row;
use super::matching::{Key, Varying};
use super::place::{self, Place};
use super::statements::Statements;
use super::template::Template;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Range;

/// How deep members of an answer are looked for.
const DEPTH: usize = 100;

/// A value of an answer that repeats what a request said at an ignored place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Echo {
    /// The value as it stands in the recorded answer.
    pub recorded: String,
    /// Whose value it is.
    pub source: Source,
}

/// Which request said what an answer repeats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// The one that is answered, at this place.
    Own(Place),
    /// An earlier one, of the entity with this id.
    Earlier(Fact<Template<Row>>),
}

/// What a request said of an entity in the recording; `I` is the entity's id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact<I> {
    id: I,
    name: String,
    recorded: String,
}

impl<I> Fact<I> {
    fn key(&self, id: &str) -> Key {
        key(id, &self.name, &self.recorded)
    }
}

/// The key of what was said of an entity.
fn key(id: &str, name: &str, said: &str) -> Key {
    // In GUIDs the case says nothing.
    let has_guid = guid::tokens(id).next().is_some();
    let id = if has_guid { Cow::Owned(id.to_ascii_lowercase()) } else { Cow::Borrowed(id) };
    let mut text = Vec::with_capacity(128);
    for part in [&id, name, said] {
        text.extend_from_slice(&part.len().to_le_bytes());
        text.extend_from_slice(part.as_bytes());
    }
    Key::of(blake3::Hasher::new().update(&text))
}

/// What an exchange lets later answers repeat: places of its request, and the fact that each one states.
pub(super) type Stated<I> = Vec<(Place, Fact<I>)>;

/// What the request of a recorded exchange said, at ignored places, of the entity that it is about.
pub(super) fn stated(request: &Request, answer: &[u8], varying: &[Varying]) -> Stated<String> {
    let fact = |varying: &Varying| Some((member(&varying.place)?, varying.clone()));
    let said: Vec<(String, Varying)> = varying.iter().filter_map(fact).collect();
    if said.is_empty() {
        return Vec::new();
    }
    let shown = serde_json::from_slice::<Value>(answer).ok();
    let shown = shown.as_ref().and_then(|answer| answer.get("id")).and_then(Value::as_str).map(str::to_owned);
    let asked = || match graph::segments(request.path()).pop() {
        Some(Segment::Key(key)) => Some(key.into_owned()),
        _ => None,
    };
    let Some(id) = shown.or_else(asked) else { return Vec::new() };
    said.into_iter().map(|(name, said)| (said.place, Fact { id: id.clone(), name, recorded: said.literal })).collect()
}

/// Where an answer, which has the values that `shown` tells, repeats what its own request said at ignored places, or an
/// earlier one.
pub(super) fn echoes(
    learnt: &mut Statements,
    answer: &[u8],
    own: &[Varying],
    shown: impl FnOnce() -> Vec<Shown>,
    template: impl Fn(&str) -> Template<Row>,
) -> Vec<(Range<usize>, Echo)> {
    let mut echoes = Vec::new();
    let Ok(text) = std::str::from_utf8(answer) else { return echoes };
    if own.is_empty() && learnt.is_empty() {
        return echoes;
    }
    // Of several that said the same, each is repeated once, in their order, before the first is again.
    let mut sources: HashMap<(String, String), VecDeque<&Place>> = HashMap::new();
    for own in own {
        let Some(name) = member(&own.place) else { continue };
        sources.entry((name, own.literal.clone())).or_default().push_back(&own.place);
    }
    for shown in shown() {
        let source = sources.get_mut(&(shown.name.clone(), shown.literal.clone()));
        let source = if let Some(places) = source.filter(|places| !places.is_empty()) {
            let place = places[0];
            places.rotate_left(1);
            Source::Own(place.clone())
        } else {
            let Some((id, key)) = &shown.entity else { continue };
            if !learnt.hear(*key) {
                continue;
            }
            Source::Earlier(Fact { id: template(id), name: shown.name, recorded: shown.literal })
        };
        echoes.push((shown.range.clone(), Echo { recorded: text[shown.range].to_owned(), source }));
    }
    echoes
}

/// What live requests said of entities at ignored places, for the answers that show these later.
#[derive(Debug, Default)]
pub(super) struct Said(BTreeMap<Key, Box<str>>);

impl Said {
    /// Adds to it.
    pub(super) fn extend(&mut self, said: Vec<(Key, Box<str>)>) {
        self.0.extend(said);
    }
}

impl Echo {
    /// The value in this run, if one was said: by the request that is answered, whose values at ignored places are
    /// `own`, or by an earlier one. `speak` gives an id its live value.
    pub(super) fn live<'a>(
        &self,
        own: &'a [Varying],
        said: &'a Said,
        speak: impl FnOnce(&Template<Row>) -> String,
    ) -> Option<&'a str> {
        match &self.source {
            Source::Own(place) => at(own, place),
            Source::Earlier(_) if said.0.is_empty() => None,
            Source::Earlier(fact) => said.0.get(&fact.key(&speak(&fact.id))).map(AsRef::as_ref),
        }
    }
}

/// What a live request says, at its ignored places, that other answers repeat; `speak` gives an id its live value.
pub(super) fn said(
    stated: &Stated<Template<Row>>,
    own: &[Varying],
    mut speak: impl FnMut(&Template<Row>) -> String,
) -> Vec<(Key, Box<str>)> {
    let live = |(place, fact): &(Place, Fact<_>)| Some((fact.key(&speak(&fact.id)), at(own, place)?.into()));
    stated.iter().filter_map(live).collect()
}

fn at<'a>(varying: &'a [Varying], place: &Place) -> Option<&'a str> {
    let found = varying.binary_search_by(|varying| varying.place.walked(place)).ok()?;
    Some(varying[found].literal.as_str())
}

/// The same statements, with what stands for the id of their entity.
pub(super) fn with_ids(stated: Stated<String>, template: impl Fn(&str) -> Template<Row>) -> Stated<Template<Row>> {
    let with_id = |fact: Fact<String>| Fact { id: template(&fact.id), name: fact.name, recorded: fact.recorded };
    stated.into_iter().map(|(place, fact)| (place, with_id(fact))).collect()
}

/// A value in a JSON text that holds no other.
#[derive(Debug)]
pub(super) struct Shown {
    /// The `id` of the object that it is a member of, and the key of what it says of that.
    entity: Option<(String, Key)>,
    name: String,
    range: Range<usize>,
    /// The value, as JSON writes it.
    literal: String,
}

/// What an answer shows.
pub(super) fn shown(answer: &[u8]) -> Vec<Shown> {
    std::str::from_utf8(answer).map(members).unwrap_or_default()
}

/// The keys of statements.
pub(super) fn keys(stated: &Stated<String>) -> Vec<Key> {
    stated.iter().map(|(_, fact)| fact.key(&fact.id)).collect()
}

/// The members of all objects of a JSON text, in the order of the text.
fn members(text: &str) -> Vec<Shown> {
    fn walk(raw: &str, from: usize, depth: usize, shown: &mut Vec<Shown>) {
        let at = |value: &RawValue| from + (value.get().as_ptr().addr() - raw.as_ptr().addr());
        if depth > DEPTH {
        } else if raw.starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
            elements.into_iter().for_each(|element| walk(element.get(), at(element), depth + 1, shown));
        } else if raw.starts_with('{') {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw).unwrap_or_default();
            let entity: Option<String> = members.get("id").and_then(|id| serde_json::from_str(id.get()).ok());
            for (name, value) in members {
                if value.get().starts_with(['{', '[']) {
                    walk(value.get(), at(value), depth + 1, shown);
                } else if let Some(literal) = literal(value.get()) {
                    let range = at(value)..at(value) + value.get().len();
                    let entity = entity.as_ref().map(|id| (id.clone(), key(id, &name, &literal)));
                    shown.push(Shown { entity, name, range, literal });
                }
            }
        }
    }
    let mut shown = Vec::new();
    let json = text.trim_start_matches('\u{feff}').trim_start();
    walk(json, text.len() - json.len(), 0, &mut shown);
    shown.sort_unstable_by_key(|shown| shown.range.start);
    shown
}

/// A value that holds no other, as JSON writes it.
fn literal(raw: &str) -> Option<String> {
    // Numbers and escapes can be written in more ways than one.
    let plain = raw.starts_with(['"', 't', 'f', 'n']) && memchr::memchr(b'\\', raw.as_bytes()).is_none();
    if plain {
        return Some(raw.to_owned());
    }
    serde_json::from_str::<Value>(raw).ok().map(|value| value.to_string())
}

/// The name of the member at a place of a JSON body.
fn member(place: &Place) -> Option<String> {
    let Place::Json(pointer) = place else { return None };
    let (_, last) = pointer.rsplit_once('/')?;
    Some(place::unescaped(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varying(place: &str, literal: &str) -> Varying {
        Varying { place: Place::Json(place.into()), literal: literal.into(), rule: 0 }
    }

    fn plain(text: &str) -> Template<Row> {
        Template::parse(text, |_| None).unwrap()
    }

    fn found<'a>(answer: &'a str, own: &[Varying]) -> Vec<&'a str> {
        let found = echoes(&mut Statements::default(), answer.as_bytes(), own, || members(answer), plain);
        found.into_iter().map(|(range, _)| &answer[..range.end]).collect()
    }

    #[test]
    fn what_was_repeated_is_found_by_name_and_value() {
        let own = [varying("/at", r#""t1""#), varying("/n", "1")];
        let answer = "\u{feff} {\"at\":\"\\u00741\", \"n\" : 1,\"created\":\"t1\",\"deep\":[{\"n\":12,\"at\":\"t1\"}]}";
        let ends: Vec<&str> = found(answer, &own).iter().map(|text| text.rsplit(['{', ',']).next().unwrap()).collect();
        assert_eq!(ends, [r#""at":"\u00741""#, r#" "n" : 1"#, r#""at":"t1""#]);
    }

    #[test]
    fn a_value_is_told_as_json_writes_it() {
        for raw in [r#""a""#, r#""\u0061\n""#, r#""é\"""#, "1.50", "1E5", "-0", "true", "false", "null"] {
            let value: Value = serde_json::from_str(raw).unwrap();
            assert_eq!(literal(raw), Some(value.to_string()));
        }
        assert_eq!([r#""\ud800""#, "1."].map(literal), [None, None]);
    }

    #[test]
    fn an_answer_of_its_own_is_no_echo() {
        let own = [varying("/at", r#""t1""#)];
        for answer in [r#"{"at":"t2"}"#, r#"{"other":"t1"}"#, "[1", "t1", ""] {
            assert_eq!(found(answer, &own), [""; 0], "{answer}");
        }
        assert_eq!(found(r#"{"at":"t1"}"#, &[]), [""; 0]);
    }

    fn request(line: &str) -> Request {
        let (method, target) = line.split_once(' ').unwrap();
        let headers = crate::tape::exchange::Headers::default();
        Request { method: method.into(), host: "h".into(), target: target.into(), headers, body: "".into() }
    }

    #[test]
    fn an_entity_is_told_by_the_answer_or_else_by_the_address() {
        let said = [varying("/at", r#""t1""#)];
        let mut learnt = Statements::default();
        learnt.note(keys(&stated(&request("POST /beta/users"), br#"{"id":"new.user"}"#, &said)), 0);
        learnt.note(keys(&stated(&request("PATCH /beta/users/old.user"), b"", &said)), 1);
        learnt.note(keys(&stated(&request("POST /beta/users"), b"", &said)), 2);
        let list = r#"{"value":[{"id":"new.user","at":"t1"},{"id":"old.user","at":"t1"},{"id":"x","at":"t1"}]}"#;
        assert_eq!(echoes(&mut learnt, list.as_bytes(), &[], || members(list), plain).len(), 2);
        assert_eq!([0, 1, 2].map(|exchange| learnt.is_heard(exchange)), [true, true, false]);
    }

    #[test]
    fn json_that_is_nested_without_end_is_no_harm() {
        let deep = r#"{"a":["#.repeat(50_000);
        assert!(members(&(deep.clone() + &"]}".repeat(50_000))).is_empty());
        assert!(members(&deep).is_empty());
    }
}
