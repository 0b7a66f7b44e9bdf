//! YAML read into the same values as JSON.
//!
//! Plain scalars are resolved as JSON has them and keep the way they are written. A `!!binary` that is UTF-8 is a text;
//! any other becomes what VCR itself writes in its stead: `{ base64_string: … }`.

use super::document::Fault;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};
use std::collections::HashMap;

/// How deep lists and mappings may be nested, as serde_json has it for JSON.
const DEPTH: usize = 128;

/// How many bytes anchors and aliases may add to a document, for each of its own, and in any case.
const EXPANSION: usize = 8;
const SMALL: usize = 64 * 1024;

/// Reads the first document.
pub(super) fn parse(text: &str) -> Result<Value, Fault> {
    let mut loader = Loader { budget: text.len() * EXPANSION + SMALL, ..Loader::default() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|fault| fault_at(fault.marker(), fault.info()))?;
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        loader.take(event).map_err(|why| fault_at(&span.start, why))?;
    }
    Ok(loader.root)
}

fn fault_at(marker: &Marker, what: &str) -> Fault {
    Fault::Syntax { line: marker.line(), column: marker.col() + 1, what: what.to_owned() }
}

/// A list or a mapping that is being read.
struct Open {
    anchor: usize,
    list: Vec<Value>,
    map: Option<(Map<String, Value>, Option<String>)>,
}

#[derive(Default)]
struct Loader {
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    root: Value,
    budget: usize,
}

impl Loader {
    fn take(&mut self, event: Event<'_>) -> Result<(), &'static str> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref())?;
                self.put(value, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open { anchor, list: Vec::new(), map: None }),
            Event::MappingStart(anchor, _) => {
                self.begin(Open { anchor, list: Vec::new(), map: Some((Map::new(), None)) })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let value = open.map.map_or(Value::Array(open.list), |(map, _)| Value::Object(map));
                self.put(value, open.anchor)
            }
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).ok_or("an alias names what is not there yet")?;
                let size = size(value);
                self.budget =
                    self.budget.checked_sub(size).ok_or("aliases make this document far larger than it is")?;
                let value = value.clone();
                self.put(value, 0)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), &'static str> {
        if self.open.len() >= DEPTH {
            return Err("this is nested too deeply");
        }
        self.open.push(open);
        Ok(())
    }

    fn put(&mut self, value: Value, anchor: usize) -> Result<(), &'static str> {
        if anchor > 0 {
            // What is kept to be repeated costs memory too.
            self.budget =
                self.budget.checked_sub(size(&value)).ok_or("aliases make this document far larger than it is")?;
            self.anchors.insert(anchor, value.clone());
        }
        match self.open.last_mut() {
            None => self.root = value,
            Some(Open { map: None, list, .. }) => list.push(value),
            Some(Open { map: Some((map, key)), .. }) => match key.take() {
                Some(key) => {
                    map.insert(key, value);
                }
                None => match value {
                    Value::String(text) => *key = Some(text),
                    Value::Array(_) | Value::Object(_) => return Err("the name of a member must be a text"),
                    other => *key = Some(other.to_string()),
                },
            },
        }
        Ok(())
    }
}

/// About how many bytes a value takes.
fn size(value: &Value) -> usize {
    32 + match value {
        Value::String(text) => text.len(),
        Value::Array(list) => list.iter().map(size).sum(),
        Value::Object(map) => map.iter().map(|(name, value)| name.len() + size(value)).sum(),
        _ => 0,
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, &'static str> {
    // Ruby writes `!binary`, Python `!!binary`.
    if tag.is_some_and(|tag| tag.suffix == "binary") {
        let plain: String = text.split_whitespace().collect();
        let bytes = BASE64.decode(&plain).map_err(|_| "this is no valid base64")?;
        return Ok(String::from_utf8(bytes).map_or_else(|_| json!({ "base64_string": plain }), Value::String));
    }
    let is_text = style != ScalarStyle::Plain || tag.is_some_and(|tag| tag.suffix == "str");
    Ok(match text {
        _ if is_text => text.into(),
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or_else(|| text.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_reads_as_the_json_that_it_means() {
        for (yaml, json) in [
            ("a: 1\nb: [x, \"1\", 1.10, ~, true]\n", r#"{"a":1,"b":["x","1",1.10,null,true]}"#),
            ("a: !!binary aGVsbG8=\n", r#"{"a":"hello"}"#),
            ("a: !binary |-\n  H4sI\n  AAA=\n", r#"{"a":{"base64_string":"H4sIAAA="}}"#),
            ("a: &x [1]\nb: *x\n", r#"{"a":[1],"b":[1]}"#),
            ("a: |\n  x\n  y\nb: 'it''s'\n200: !!str 1\n", r#"{"a":"x\ny\n","b":"it's","200":"1"}"#),
            ("a: 007\nb: 2017-01-01\nc: !!python/unicode 'é'\n", r#"{"a":"007","b":"2017-01-01","c":"é"}"#),
        ] {
            assert_eq!(parse(yaml).map(|value| value.to_string()), Ok(json.to_owned()), "{yaml}");
        }
    }

    #[test]
    fn what_would_cost_far_more_than_its_size_is_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", "));
        }
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        let told = [bomb.as_str(), &deep, "a: [1\n", "? [a]\n: b\n", "a: !!binary '!'\n", "a: &a [*a]\n"];
        let told = told.map(|text| parse(text).unwrap_err().to_string());
        insta::assert_snapshot!(told.join("\n"));
    }
}
