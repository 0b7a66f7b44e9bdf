//! Echo: where a recorded answer repeats what a request said at an ignored place, the replayed answer repeats what the
//! live request says there: the answer to that request, or a later one that shows what it made or changed.

use super::exchange::Request;
use super::graph::{self, Segment};
use super::guid;
use super::id::Written;
use super::ids::Row;
use super::matching::{Key, Varying};
use super::place::{self, Place};
use super::statements::Statements;
use super::template::Template;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
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

/// What the request of a recorded exchange said, at ignored places, of the entity that it is about: of the one whose `id`
/// its answer shows.
pub(super) fn stated(request: &Request, shown: Option<String>, varying: &[Varying]) -> Stated<String> {
    let fact = |varying: &Varying| Some((member(&varying.place)?, varying.clone()));
    let said: Vec<(String, Varying)> = varying.iter().filter_map(fact).collect();
    if said.is_empty() {
        return Vec::new();
    }
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
    shown: impl FnOnce() -> Shown,
    template: impl Fn(&str) -> Template<Row>,
) -> Vec<(Range<usize>, Echo)> {
    let mut echoes = Vec::new();
    let Ok(text) = std::str::from_utf8(answer) else { return echoes };
    if own.is_empty() && learnt.is_empty() {
        return echoes;
    }
    // Of several that said the same, each is repeated once, in their order, before the first is again.
    let mut sources: HashMap<String, HashMap<&str, VecDeque<&Place>>> = HashMap::new();
    for own in own {
        let Some(name) = member(&own.place) else { continue };
        sources.entry(name).or_default().entry(&own.literal).or_default().push_back(&own.place);
    }
    for Single { entity, name, range } in shown().values {
        let own = sources.get_mut(&*name);
        // Few members have the name of one that was stated.
        if own.is_none() && !learnt.has_name(&name) {
            continue;
        }
        let Some(literal) = literal(&text[range.clone()]) else { continue };
        let places = own.and_then(|said| said.get_mut(&*literal));
        let source = if let Some(places) = places {
            let place = places[0];
            places.rotate_left(1);
            Source::Own(place.clone())
        } else {
            let Some(id) = entity.and_then(|id| serde_json::from_str::<String>(&text[id]).ok()) else { continue };
            if !learnt.hear(key(&id, &name, &literal)) {
                continue;
            }
            Source::Earlier(Fact { id: template(&id), name: name.into(), recorded: literal.into_owned() })
        };
        echoes.push((range.clone(), Echo { recorded: text[range].to_owned(), source }));
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

/// What an answer shows.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The `id` of the object that it is.
    pub(super) id: Option<String>,
    /// The members of all objects in it that hold no other, in the order of the text.
    values: Vec<Single>,
}

/// A member of a JSON text whose value holds no other.
#[derive(Debug)]
struct Single {
    /// Where the `id` stands of the object that it is a member of.
    entity: Option<Range<usize>>,
    name: SmolStr,
    range: Range<usize>,
}

impl Shown {
    /// The name of each value, and where it stands.
    pub(super) fn values(&self) -> impl Iterator<Item = (&SmolStr, &Range<usize>)> {
        self.values.iter().map(|value| (&value.name, &value.range))
    }
}

/// What an answer shows.
pub(super) fn shown(answer: &[u8]) -> Shown {
    let Ok(text) = std::str::from_utf8(answer) else { return Shown::default() };
    let (id, values) = members(text);
    Shown { id: own_id(text, id), values }
}

/// The names of the members that something is stated of.
pub(super) fn names<I>(stated: &Stated<I>) -> impl Iterator<Item = &str> {
    stated.iter().map(|(_, fact)| fact.name.as_str())
}

/// The keys of statements.
pub(super) fn keys(stated: &Stated<String>) -> Vec<Key> {
    stated.iter().map(|(_, fact)| fact.key(&fact.id)).collect()
}

/// The keys of statements of entities whose ids are spoken so, where `told` tells what was said.
pub(super) fn keys_of<'a>(
    stated: &Stated<Template<Row>>,
    speak: impl Fn(&Row) -> Written<'a>,
    told: impl Fn(&str) -> String,
) -> Vec<Key> {
    stated.iter().map(|(_, fact)| key(&fact.id.speak(&speak), &fact.name, &told(&fact.recorded))).collect()
}

/// The same statements, of entities whose ids have other rows.
pub(super) fn with_rows(stated: Stated<Template<Row>>, mut name: impl FnMut(Row) -> Row) -> Stated<Template<Row>> {
    let mut fact = |fact: Fact<Template<Row>>| Fact { id: fact.id.map(&mut name), ..fact };
    stated.into_iter().map(|(place, stated)| (place, fact(stated))).collect::<Vec<_>>()
}

/// Notes what an exchange stated, by the keys of its statements.
pub(super) fn note<I>(learnt: &mut Statements, stated: &Stated<I>, keys: Vec<Key>, exchange: u32) {
    stated.iter().for_each(|(_, fact)| learnt.note_name(&fact.name));
    learnt.note(keys, exchange);
}

/// The members of all objects of a JSON text, in the order of the text, and where the `id` stands of the object that it is.
fn members(text: &str) -> (Option<Range<usize>>, Vec<Single>) {
    fn walk(raw: &str, from: usize, depth: usize, shown: &mut Vec<Single>) -> Option<Range<usize>> {
        let at = |value: &RawValue| from + (value.get().as_ptr().addr() - raw.as_ptr().addr());
        if depth > DEPTH {
        } else if raw.starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(raw).unwrap_or_default();
            for element in elements {
                walk(element.get(), at(element), depth + 1, shown);
            }
        } else if raw.starts_with('{') {
            let Members(members) = serde_json::from_str(raw).unwrap_or_default();
            let id = members.iter().find(|(name, _)| name == "id").map(|(_, id)| id);
            let entity = id.filter(|id| id.get().starts_with('"')).map(|id| at(id)..at(id) + id.get().len());
            for (name, value) in members {
                if value.get().starts_with(['{', '[']) {
                    walk(value.get(), at(value), depth + 1, shown);
                } else {
                    let range = at(value)..at(value) + value.get().len();
                    shown.push(Single { entity: entity.clone(), name, range });
                }
            }
            return entity;
        }
        None
    }
    let mut shown = Vec::with_capacity(8);
    let json = text.trim_start_matches('\u{feff}').trim_start();
    let id = walk(json, text.len() - json.len(), 0, &mut shown);
    shown.sort_unstable_by_key(|shown| shown.range.start);
    (id, shown)
}

/// The members of an object, each name once: of what is said twice the last counts.
#[derive(Default)]
struct Members<'a>(Vec<(SmolStr, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::with_capacity(8);
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        let Members(mut members) = from.deserialize_map(Each)?;
        members.reverse();
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        members.dedup_by(|(a, _), (b, _)| a == b);
        Ok(Self(members))
    }
}

/// The `id` of the object that a JSON text is, which stands there if it is one.
fn own_id(text: &str, id: Option<Range<usize>>) -> Option<String> {
    // What a tree would not take is none; to tell takes a tree where there are escapes, or many levels.
    let levels = || memchr::memchr2_iter(b'{', b'[', text.as_bytes()).count();
    if text.starts_with('{') && memchr::memchr(b'\\', text.as_bytes()).is_none() && levels() <= DEPTH {
        return serde_json::from_str(&text[id?]).ok();
    }
    let tree: Value = serde_json::from_str(text).ok()?;
    tree.get("id").and_then(Value::as_str).map(str::to_owned)
}

/// A value that holds no other, as JSON writes it.
fn literal(raw: &str) -> Option<Cow<'_, str>> {
    // Numbers and escapes can be written in more ways than one.
    let plain = raw.starts_with(['"', 't', 'f', 'n']) && memchr::memchr(b'\\', raw.as_bytes()).is_none();
    if plain {
        return Some(raw.into());
    }
    serde_json::from_str::<Value>(raw).ok().map(|value| value.to_string().into())
}

/// The name of the member at a place of a JSON body.
pub(super) fn member(place: &Place) -> Option<String> {
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
        let found = echoes(&mut Statements::default(), answer.as_bytes(), own, || shown(answer.as_bytes()), plain);
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
            assert_eq!(literal(raw).as_deref(), Some(&*value.to_string()));
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
        let bodies = [("POST /beta/users", &br#"{"id":"new.user"}"#[..]), ("PATCH /beta/users/old.user", b"")];
        for (exchange, (line, answer)) in (0..).zip(bodies.into_iter().chain([("POST /beta/users", &b""[..])])) {
            let stated = stated(&request(line), shown(answer).id, &said);
            note(&mut learnt, &stated, keys(&stated), exchange);
        }
        let list = r#"{"value":[{"id":"new.user","at":"t1"},{"id":"old.user","at":"t1"},{"id":"x","at":"t1"}]}"#;
        assert_eq!(echoes(&mut learnt, list.as_bytes(), &[], || shown(list.as_bytes()), plain).len(), 2);
        assert_eq!([0, 1, 2].map(|exchange| learnt.is_heard(exchange)), [true, true, false]);
    }

    #[test]
    fn of_a_member_that_is_said_twice_the_last_counts_and_only_a_whole_text_has_an_id() {
        let text = r#" {"id":"a","at":1,"b":{"id":"c","at":[{"at":2}]},"id":"d","at":true} "#;
        let told = |value: &Single| (text[value.range.clone()].to_owned(), value.entity.clone().map(|id| &text[id]));
        let all: Vec<_> = members(text).1.iter().map(told).collect();
        let expected = [("\"c\"", Some("\"c\"")), ("2", None), ("\"d\"", Some("\"d\"")), ("true", Some("\"d\""))];
        assert_eq!(all, expected.map(|(value, id)| (value.to_owned(), id)));
        let deep = format!(r#"{{"id":"a","b":{}1{}}}"#, "[".repeat(127), "]".repeat(127));
        for (text, id) in [
            (text, Some("d")),
            (r#"{"id":"\u0061"}"#, Some("a")),
            (r#"{"id":"a","b":"\ud800"}"#, None),
            (r#"{"id":"a"} 1"#, None),
            (r#"{"id":1}"#, None),
            (r#"[{"id":"a"}]"#, None),
            (&deep, None),
        ] {
            assert_eq!(shown(text.as_bytes()).id.as_deref(), id, "{text}");
        }
    }

    #[test]
    fn json_that_is_nested_without_end_is_no_harm() {
        let deep = r#"{"a":["#.repeat(50_000);
        assert!(members(&(deep.clone() + &"]}".repeat(50_000))).1.is_empty());
        assert!(members(&deep).1.is_empty());
    }
}
