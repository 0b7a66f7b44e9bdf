//! Echo: where a recorded answer repeats what a request said at an ignored place, the replayed answer repeats what the
//! live request says there: the answer to that request, or a later one that shows what it made.

use super::body;
use super::exchange::Request;
use super::matching::Rules;
use super::walk::{self, Kind, Leaf, Place};
use bytes::Bytes;
use serde_json::Value;
use std::collections::HashMap;

/// A member of an answer that repeats an ignored place of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Echo {
    place: Place,
    /// The member as it stands in the recorded answer, name and value.
    recorded: String,
    /// Its name, quoted, with the colon and what space there is behind it.
    name: String,
}

/// What the answer to a recorded request repeats of its ignored places: members of the same name and the same value.
pub(super) fn learn(request: &Request, answer: &[u8], rules: &Rules) -> Vec<Echo> {
    let (Ok(answer), ignored) = (std::str::from_utf8(answer), rules.ignored(request)) else { return Vec::new() };
    if ignored.is_empty() {
        return Vec::new();
    }
    let leaves = walk::leaves(request).into_iter();
    let leaves = leaves.filter(|leaf| ignored.iter().any(|pattern| pattern.covers(&leaf.place)));
    let echo = |leaf: Leaf<'_>| {
        let member = member(&leaf.place)?;
        let names = ["", " "].map(|space| format!("{}:{space}", quoted(&member)));
        let mut found = names.into_iter().map(|name| (format!("{name}{}", literal(&leaf)), name));
        let (recorded, name) = found.find(|(recorded, _)| answer.contains(recorded))?;
        Some(Echo { place: leaf.place, recorded, name })
    };
    leaves.filter_map(echo).collect()
}

/// The answer with every echo taken from the live request; what that one does not say stays as it was recorded.
pub(super) fn speak(echoes: &[Echo], request: &Request, answer: Bytes) -> Bytes {
    if echoes.is_empty() {
        return answer;
    }
    let Ok(mut text) = String::from_utf8(answer.to_vec()) else { return answer };
    let leaves = walk::leaves(request);
    for echo in echoes {
        if let Some(live) = leaves.iter().find(|leaf| leaf.place == echo.place) {
            text = text.replace(&echo.recorded, &format!("{}{}", echo.name, literal(live)));
        }
    }
    text.into()
}

/// What live requests said of entities at ignored places, for the answers that show these later.
#[derive(Debug, Default)]
pub(super) struct Said(HashMap<String, Vec<Member>>);

/// A member of an entity, as its request said it in the recording and in this run.
#[derive(Debug)]
struct Member {
    name: String,
    recorded: Value,
    live: Value,
}

impl Said {
    /// Notes what a request said of the entity that `answer` shows, which has its echoes in it.
    pub(super) fn note(&mut self, echoes: &[Echo], request: &Request, answer: &[u8]) {
        let Some(Value::Object(entity)) = walk::parse_json(answer) else { return };
        let Some(Value::String(id)) = entity.get("id") else { return };
        let leaves = walk::leaves(request);
        let members = echoes.iter().filter_map(|echo| {
            let live = leaves.iter().find(|leaf| leaf.place == echo.place)?;
            let recorded = serde_json::from_str(echo.recorded.strip_prefix(&echo.name)?).ok()?;
            Some(Member { name: member(&echo.place)?, recorded, live: serde_json::from_str(&literal(live)).ok()? })
        });
        let members: Vec<Member> = members.collect();
        if !members.is_empty() {
            self.0.insert(id.clone(), members);
        }
    }

    /// An answer that shows entities, with what was said of them in place of what was recorded.
    pub(super) fn speak(&self, answer: Bytes) -> Bytes {
        if self.0.is_empty() {
            return answer;
        }
        let Ok(text) = std::str::from_utf8(&answer) else { return answer };
        body::edited(text, |value| self.edit(value)).map_or(answer, Bytes::from)
    }

    fn edit(&self, value: &mut Value) -> bool {
        let mut changed = false;
        match value {
            Value::Array(elements) => elements.iter_mut().for_each(|element| changed |= self.edit(element)),
            Value::Object(members) => {
                let said = members.get("id").and_then(Value::as_str).and_then(|id| self.0.get(id));
                for Member { name, recorded, live } in said.into_iter().flatten() {
                    if let Some(shown) = members.get_mut(name).filter(|shown| *shown == recorded) {
                        *shown = live.clone();
                        changed = true;
                    }
                }
                members.values_mut().for_each(|member| changed |= self.edit(member));
            }
            _ => {}
        }
        changed
    }
}

/// The name of the member at a place of a JSON body.
fn member(place: &Place) -> Option<String> {
    let Place::Json(pointer) = place else { return None };
    let (_, last) = pointer.rsplit_once('/')?;
    Some(last.replace("~1", "/").replace("~0", "~"))
}

fn literal(leaf: &Leaf<'_>) -> String {
    if leaf.kind == Kind::Text { quoted(&leaf.text) } else { leaf.text.to_string() }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::Headers;
    use crate::tape::matching::Rule;
    use crate::tape::route::Route;
    use crate::tape::walk::{IdPlaces, PlacePattern};

    fn rules() -> Rules {
        let ignore = ["json:/at", "json:/n"].map(|place| PlacePattern::parse(place).unwrap()).into();
        Rules::new(vec![Rule { route: Route::parse("POST /**").unwrap(), ignore }], IdPlaces::default())
    }

    fn post(body: &str) -> Request {
        Request {
            method: "POST".into(),
            host: "graph.microsoft.com".into(),
            target: "/beta/userStatuses".into(),
            headers: Headers::default(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn what_was_repeated_is_repeated_and_the_rest_stays() {
        let answer = r#"{"at":"t1","n": 1,"created":"t1","kept":"x"}"#;
        let echoes = learn(&post(r#"{"at":"t1","n":1,"kept":"x"}"#), answer.as_bytes(), &rules());
        let spoken = |live: &str| speak(&echoes, &post(live), Bytes::from_static(answer.as_bytes()));
        assert_eq!(spoken(r#"{"at":"\"now\"","n":22}"#), r#"{"at":"\"now\"","n": 22,"created":"t1","kept":"x"}"#);
        assert_eq!(spoken(r#"{"n":1}"#), answer);
    }

    #[test]
    fn an_answer_of_its_own_is_no_echo() {
        assert_eq!(learn(&post(r#"{"at":"t1"}"#), br#"{"at":"t2"}"#, &rules()), []);
        assert_eq!(learn(&post(r#"{"at":"t1"}"#), b"\xff", &rules()), []);
        assert_eq!(learn(&post(r#"{"at":"t1"}"#), br#"{"at":"t1"}"#, &Rules::default()), []);
    }
}
