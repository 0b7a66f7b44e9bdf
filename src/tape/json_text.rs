//! A JSON text written anew while it is parsed: compact, with as few escapes as can be, and some of its values changed.

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// As what a number comes that is no plain integer: its text is kept.
const NUMBER: &str = "$serde_json::private::Number";

/// Says what stands in the stead of a text or a number, if anything does; with the name of the member that it is.
pub(super) type Change<'c> = dyn FnMut(Option<&str>, &str) -> Option<String> + 'c;

/// The text written anew; `None` where it is no JSON.
pub(super) fn rewritten(text: &[u8], change: &mut Change<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let mut parser = serde_json::Deserializer::from_slice(text);
    let value = Written { name: None, out: &mut out, change };
    value.deserialize(&mut parser).and_then(|()| parser.end()).ok()?;
    Some(out)
}

/// Writes a value and all in it.
struct Written<'w, 'c> {
    name: Option<&'w str>,
    out: &'w mut Vec<u8>,
    change: &'w mut Change<'c>,
}

impl<'c> Written<'_, 'c> {
    fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn quoted(&mut self, text: &str) {
        serde_json::to_writer(&mut *self.out, text).expect("a text is written to memory");
    }

    fn number(&mut self, digits: &str) {
        match (self.change)(self.name, digits) {
            Some(changed) => self.quoted(&changed),
            None => self.raw(digits),
        }
    }

    /// Ends an array or an object, whose last value has a comma behind it.
    fn end(&mut self, bracket: &str) {
        if self.out.ends_with(b",") {
            self.out.pop();
        }
        self.raw(bracket);
    }

    fn within<'i>(&'i mut self, name: Option<&'i str>) -> Written<'i, 'c> {
        Written { name, out: &mut *self.out, change: &mut *self.change }
    }
}

impl<'de> DeserializeSeed<'de> for Written<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Written<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(mut self) -> Result<(), E> {
        self.raw("null");
        Ok(())
    }

    fn visit_bool<E>(mut self, value: bool) -> Result<(), E> {
        self.raw(if value { "true" } else { "false" });
        Ok(())
    }

    fn visit_u64<E>(mut self, number: u64) -> Result<(), E> {
        self.number(&number.to_string());
        Ok(())
    }

    fn visit_i64<E>(mut self, number: i64) -> Result<(), E> {
        self.number(&number.to_string());
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        let changed = (self.change)(self.name, text);
        self.quoted(changed.as_deref().unwrap_or(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut elements: A) -> Result<(), A::Error> {
        self.raw("[");
        while elements.next_element_seed(self.within(None))?.is_some() {
            self.raw(",");
        }
        self.end("]");
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        self.raw("{");
        while let Some(name) = members.next_key::<String>()? {
            if name == NUMBER && self.out.ends_with(b"{") {
                let digits: String = members.next_value()?;
                let is_number = digits.starts_with(|c: char| c == '-' || c.is_ascii_digit());
                if !is_number {
                    return Err(A::Error::custom("a member with the parser's own name"));
                }
                self.out.pop();
                self.number(&digits);
                return Ok(());
            }
            self.quoted(&name);
            self.raw(":");
            members.next_value_seed(self.within(Some(&name)))?;
            self.raw(",");
        }
        self.end("}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> Option<String> {
        rewritten(text.as_bytes(), &mut |_, _| None).map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn it_reads_as_it_did_and_has_no_needless_escape() {
        for (text, written) in [
            (
                r#" { "\u0061\/b" : [ 1 , -2, 1.50, 1e+400, 123456789012345678901234567890 ] } "#,
                Some(r#"{"a/b":[1,-2,1.50,1e+400,123456789012345678901234567890]}"#),
            ),
            (
                r#"{"a":{},"b":[],"a":[[],{"c":null}],"d":",","e":[","]}"#,
                Some(r#"{"a":{},"b":[],"a":[[],{"c":null}],"d":",","e":[","]}"#),
            ),
            (r#""\u0022\u005c\n\u00e9\ud83d\ude00""#, Some("\"\\\"\\\\\\n\u{e9}\u{1f600}\"")),
            ("true", Some("true")),
            ("[1", None),
            ("{} {}", None),
            (r#"["\ud800"]"#, None),
            (r#"{"$serde_json::private::Number":"a"}"#, None),
        ] {
            assert_eq!(plain(text).as_deref(), written, "{text}");
        }
    }

    #[test]
    fn texts_and_numbers_are_changed_by_name() {
        let mut change = |name: Option<&str>, value: &str| (name == Some("a")).then(|| format!("<{value}>"));
        let text = br#"{"a":"x","b":"x","c":[{"a":1.5},"a"],"a":["x",7],"d":{"a":true}}"#;
        let written = rewritten(text, &mut change).unwrap();
        let expected = r#"{"a":"<x>","b":"x","c":[{"a":"<1.5>"},"a"],"a":["x",7],"d":{"a":true}}"#;
        assert_eq!(String::from_utf8(written).unwrap(), expected);
    }
}
