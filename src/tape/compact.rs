//! JSON as compact text: as a tree of it would print it, made while it is parsed and without the tree.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};
use std::fmt::{self, Write};
use std::ops::Range;

/// As what a number comes that is no plain integer: its text is kept.
const NUMBER: &str = "$serde_json::private::Number";
/// What the names begin with that mean something to the parser.
const OWN: &str = "$serde_json::private::";

/// How many names of an object are compared with one another; where there are more, a tree tells what is there twice.
const FEW: usize = 64;

/// JSON as compact text. What is said twice in an object is there once, as a tree has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Compact(String);

impl Compact {
    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// The tree that it is the text of.
    pub(super) fn tree(&self) -> Value {
        serde_json::from_str(&self.0).expect("it was written as JSON")
    }
}

impl<'de> Deserialize<'de> for Compact {
    fn deserialize<D: Deserializer<'de>>(parser: D) -> Result<Self, D::Error> {
        let mut written = Written { out: String::with_capacity(512), names: Vec::with_capacity(16), needs_tree: false };
        Next(&mut written).deserialize(parser)?;
        if written.needs_tree {
            let tree: Value = serde_json::from_str(&written.out).map_err(D::Error::custom)?;
            written.out = tree.to_string();
        }
        Ok(Self(written.out))
    }
}

/// What has been written.
struct Written {
    out: String,
    /// Where the names so far stand of the objects that are open, those of the innermost one last.
    names: Vec<Range<usize>>,
    needs_tree: bool,
}

impl Written {
    /// A text that came as it stands has nothing in it that is written with an escape.
    fn plain(&mut self, text: &str) {
        self.out.reserve(text.len() + 3);
        self.out.push('"');
        self.out.push_str(text);
        self.out.push('"');
    }

    fn escaped(&mut self, text: &str) {
        self.out.push_str(&Value::from(text).to_string());
    }

    /// Notes the name that begins here and was written last; the object has those from `first` on.
    fn note(&mut self, first: usize, begin: usize) {
        let Self { out, names, needs_tree } = self;
        let name = &out.as_bytes()[begin..];
        let is_twice = || names[first..].iter().any(|other| out.as_bytes()[other.clone()] == *name);
        *needs_tree |= names.len() - first >= FEW || name[1..].starts_with(OWN.as_bytes()) || is_twice();
        names.push(begin..out.len());
    }

    /// Ends an array or an object, whose last value has a comma behind it.
    fn end(&mut self, bracket: char) {
        if self.out.ends_with(',') {
            self.out.pop();
        }
        self.out.push(bracket);
    }
}

/// Writes the next value and all in it.
struct Next<'w>(&'w mut Written);

impl<'de> DeserializeSeed<'de> for Next<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Next<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.0.out.push_str("null");
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.0.out.push_str(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        write!(self.0.out, "{number}").expect("a text takes a number");
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        write!(self.0.out, "{number}").expect("a text takes a number");
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<(), E> {
        self.0.plain(text);
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.escaped(text);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        self.0.out.push('[');
        while elements.next_element_seed(Next(self.0))?.is_some() {
            self.0.out.push(',');
        }
        self.0.end(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Self(written) = self;
        let first = written.names.len();
        written.out.push('{');
        let mut begin = written.out.len();
        while members.next_key_seed(Next(written))?.is_some() {
            let name = written.out[begin + 1..].strip_suffix('"');
            if name == Some(NUMBER) && written.names.len() == first {
                let digits: String = members.next_value()?;
                digits.parse::<Number>().map_err(A::Error::custom)?;
                written.out.truncate(begin - 1);
                written.out.push_str(&digits);
                return Ok(());
            }
            written.note(first, begin);
            written.out.push(':');
            members.next_value_seed(Next(written))?;
            written.out.push(',');
            begin = written.out.len();
        }
        written.names.truncate(first);
        written.end('}');
        Ok(())
    }
}

/// A JSON text without the white space that its lines begin with.
#[must_use]
pub fn unindented(text: &str) -> Vec<u8> {
    let mut lines = Vec::with_capacity(text.len());
    // Within a text of JSON there is no line end.
    let (text, mut from) = (text.as_bytes(), 0);
    for end in memchr::memchr_iter(b'\n', text).chain([text.len()]) {
        while from < end && text[from].is_ascii_whitespace() {
            from += 1;
        }
        lines.extend_from_slice(&text[from..end]);
        from = end;
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn both(text: &str) -> (Option<String>, Option<String>) {
        let compact = serde_json::from_str::<Compact>(text).ok().map(|Compact(text)| text);
        (compact, serde_json::from_str::<Value>(text).ok().map(|tree| tree.to_string()))
    }

    #[test]
    fn odd_texts_are_what_a_tree_of_them_is() {
        let many = |count: usize| (0..count).map(|n| format!("\"{n}\":[{n}]")).collect::<Vec<_>>().join(",");
        for text in [
            r#" { "a" : [ 1 , -2, 1.50, 1e+400, -0, 123456789012345678901234567890, {}, [ ] ], "\u0061": null } "#,
            r#"{"a":{"b":1,"c":2,"b":{"b":3}},"c":[],"a":[{"b":4},{"b":5}]}"#,
            r#"{"\u0022\u005c\n\u00e9\ud83d\ude00\u2028/":"\u0022\u005c\n\u00e9\ud83d\ude00\u007f\/"}"#,
            r#"{"$serde_json::private::Number":"1.0"}"#,
            r#"{"$serde_json::private::Number":"a"}"#,
            r#"{"$serde_json::private::Number":1}"#,
            r#"{"a":1,"$serde_json::private::Number":"a"}"#,
            r#"{"$serde_json::private::RawValue":"[1, 2]"}"#,
            r#"{"$serde_json::private::RawValue":"["}"#,
            r#"["\ud800"]"#,
            r#"{"a":"\ud800"}"#,
            "\"\u{1}\"",
            "[1",
            "{} {}",
            "true",
            "12",
            &format!("{{{}}}", many(FEW - 1)),
            &format!("{{{},\"7\":0}}", many(FEW + 1)),
            &format!("{}{}", "[".repeat(127), "]".repeat(127)),
            &format!("{}{}", "[".repeat(128), "]".repeat(128)),
        ] {
            let (compact, tree) = both(text);
            assert_eq!(compact, tree, "{text}");
        }
    }

    #[test]
    fn a_text_without_its_indents_says_the_same() {
        let text = "{\r\n  \"a\": [\n    \" \\n \",\n\n\t1 ],\n  \"b\": {}\n}";
        assert_eq!(unindented(text), b"{\r\"a\": [\" \\n \",1 ],\"b\": {}}");
    }

    proptest! {
        #[test]
        fn any_text_is_what_a_tree_of_it_is(text in "([{}\\[\\],:\" ]|\"a\"|\"b\":|\"\\\\\\\\u00e9\"|1|-0|1.50|1E5|null|true){0,20}", depth in 0usize..3) {
            let text = format!("{}{{\"a\":[{text}]}}{}", "[".repeat(depth), "]".repeat(depth));
            let (compact, tree) = both(&text);
            prop_assert_eq!(compact, tree);
        }

        #[test]
        fn members_said_again_are_what_a_tree_has(names in prop::collection::vec("[ab]", 0..6), inner in prop::collection::vec("[ab]", 0..4)) {
            let object = |names: &[String], value: &str| {
                let members: Vec<String> = names.iter().zip(0..).map(|(name, n)| format!("\"{name}\":[{n},{value}]")).collect();
                format!("{{{}}}", members.join(","))
            };
            let (compact, tree) = both(&object(&names, &object(&inner, "\"x\"")));
            prop_assert_eq!(compact, tree);
        }
    }
}
