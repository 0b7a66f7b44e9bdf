//! The values of a JSON text, seen while it is parsed: a tree of them would take ten times the room of the text.

use super::leaf::{Kind, Leaf};
use super::place::Place;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::fmt::{self, Write};

/// How many members one object may have: no request to Graph has so many. What has more is compared as one text.
const MEMBERS: usize = 2000;

/// As what a number comes that is no plain integer: its text is kept.
const NUMBER: &str = "$serde_json::private::Number";

/// Adds every value that holds no other, members in the order of their names; whether that could be done.
pub(super) fn add<'a>(text: &'a [u8], leaves: &mut Vec<Leaf<'a>>) -> bool {
    // Seen to be UTF-8 all at once, and not string by string.
    let Ok(text) = std::str::from_utf8(text) else { return false };
    let (begun, mut pointer) = (leaves.len(), String::with_capacity(64));
    let mut parser = serde_json::Deserializer::from_str(text);
    let values = Values { pointer: &mut pointer, leaves: &mut *leaves };
    let parsed = values.deserialize(&mut parser).and_then(|()| parser.end());
    if parsed.is_err() {
        leaves.truncate(begun);
    }
    parsed.is_ok()
}

/// Takes a value and all in it, and adds what it meets at `pointer` and below.
struct Values<'s, 'a> {
    pointer: &'s mut String,
    leaves: &'s mut Vec<Leaf<'a>>,
}

impl<'a> Values<'_, 'a> {
    fn leaf(&mut self, kind: Kind, text: impl Into<Cow<'a, str>>) {
        self.leaves.push(Leaf { place: Place::Json(self.pointer.as_str().into()), kind, text: text.into() });
    }

    fn below(&mut self) -> Values<'_, 'a> {
        Values { pointer: &mut *self.pointer, leaves: &mut *self.leaves }
    }
}

impl<'a> DeserializeSeed<'a> for Values<'_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Values<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.leaf(Kind::Literal, "null");
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.leaf(Kind::Literal, if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<(), E> {
        self.leaf(Kind::Literal, number.to_string());
        Ok(())
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<(), E> {
        self.leaf(Kind::Literal, number.to_string());
        Ok(())
    }

    fn visit_borrowed_str<E>(mut self, text: &'a str) -> Result<(), E> {
        self.leaf(Kind::Text, text);
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.leaf(Kind::Text, text.to_owned());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut elements: A) -> Result<(), A::Error> {
        let length = self.pointer.len();
        for number in 0_usize.. {
            write!(self.pointer, "/{number}").expect("a text takes a number");
            let more = elements.next_element_seed(self.below())?;
            self.pointer.truncate(length);
            if more.is_none() {
                if number == 0 {
                    self.leaf(Kind::Literal, "[]");
                }
                break;
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut members: A) -> Result<(), A::Error> {
        let (length, mut from) = (self.pointer.len(), self.leaves.len());
        let begun = from;
        // The names so far, in order, each with how many values are below it.
        let mut seen: Vec<(Cow<'a, str>, usize)> = Vec::with_capacity(8);
        while let Some(name) = members.next_key_seed(Name)? {
            if name == NUMBER && seen.is_empty() {
                let digits: String = members.next_value()?;
                self.leaf(Kind::Literal, digits);
                return Ok(());
            }
            step(self.pointer, &name);
            members.next_value_seed(self.below())?;
            self.pointer.truncate(length);
            let count = self.leaves.len() - from;
            from = self.leaves.len();
            match seen.binary_search_by(|(other, _)| other.cmp(&name)) {
                // What is said twice is parsed by who knows which one counts.
                Ok(_) => return Err(A::Error::custom("a member twice")),
                Err(_) if seen.len() == MEMBERS => return Err(A::Error::custom("too many members")),
                Err(at) => {
                    // Most clients write the names in one order, and many in this one.
                    if at < seen.len() {
                        let before: usize = seen[..at].iter().map(|(_, count)| count).sum();
                        self.leaves[begun + before..].rotate_right(count);
                    }
                    seen.insert(at, (name, count));
                }
            }
        }
        if seen.is_empty() {
            self.leaf(Kind::Literal, "{}");
        }
        Ok(())
    }
}

/// Adds the step into a member to a pointer (RFC 6901 section 3).
pub(super) fn step(pointer: &mut String, name: &str) {
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
}

/// The name of a member.
struct Name;

impl<'a> DeserializeSeed<'a> for Name {
    type Value = Cow<'a, str>;

    fn deserialize<D: Deserializer<'a>>(self, parser: D) -> Result<Cow<'a, str>, D::Error> {
        parser.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Name {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E>(self, name: &'a str) -> Result<Cow<'a, str>, E> {
        Ok(name.into())
    }

    fn visit_str<E>(self, name: &str) -> Result<Cow<'a, str>, E> {
        Ok(name.to_owned().into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::{parse_json, take_apart};
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn by_tree(text: &[u8]) -> Option<Vec<Leaf<'static>>> {
        let mut leaves = Vec::new();
        take_apart(parse_json(text)?, &mut String::new(), &mut leaves);
        Some(leaves)
    }

    fn by_parser(text: &[u8]) -> Option<Vec<Leaf<'_>>> {
        let mut leaves = Vec::new();
        add(text, &mut leaves).then_some(leaves)
    }

    #[test]
    fn what_a_tree_would_refuse_is_refused_and_what_is_said_twice() {
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for text in ["[1", "{\"a\":1,}", "{\"\\ud800\":1}", "[1] 2", "[1e]", &deep(128), "{\"a\":1,\"a\":2}"] {
            assert_eq!(by_parser(text.as_bytes()), None, "{text}");
        }
        assert_eq!(by_parser(deep(127).as_bytes()), by_tree(deep(127).as_bytes()));
        let many =
            |count: usize| format!("{{{}}}", (0..count).map(|n| format!("\"{n}\":1")).collect::<Vec<_>>().join(","));
        assert!(by_parser(many(MEMBERS).as_bytes()).is_some() && by_parser(many(MEMBERS + 1).as_bytes()).is_none());
    }

    fn value() -> impl Strategy<Value = Value> {
        let number = prop_oneof![
            Just("0"),
            Just("12"),
            Just("-7"),
            Just("18446744073709551616"),
            Just("1.10"),
            Just("-0"),
            Just("1E5"),
            Just("12345678901234567890123")
        ];
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number.prop_map(|text| serde_json::from_str(text).unwrap()),
            ".{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec(("[a-c~/é\"]{0,3}", inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_parser_sees_what_a_tree_holds(value in value()) {
            let text = Value::from(vec![value]).to_string();
            prop_assert_eq!(by_parser(text.as_bytes()), by_tree(text.as_bytes()));
        }
    }
}
