//! Arrays whose order says nothing, put in one order that does not depend on their ids.

use super::place::PlacePattern;
use super::{graph, guid};
use serde_json::Value;

/// Sorts the elements of every array by what they say, ids aside; of those that are equal but for ids the order stays.
///
/// Ids are here GUIDs and what stands in id fields. An id of another kind in prose may change the order when it is
/// renamed: such requests are then told apart.
pub(super) fn sort_arrays(value: &mut Value, ignored: &[PlacePattern]) {
    sort(value, &mut Vec::new(), ignored);
}

/// The way to a value: the names of members, and none for any element of an array.
type Way = Vec<Option<String>>;

fn sort(value: &mut Value, way: &mut Way, ignored: &[PlacePattern]) {
    match value {
        Value::Array(elements) => {
            way.push(None);
            elements.iter_mut().for_each(|element| sort(element, way, ignored));
            elements.sort_by_cached_key(|element| {
                let mut said = String::new();
                say(element, false, way, ignored, &mut said);
                said
            });
            way.pop();
        }
        Value::Object(members) => {
            for (name, member) in members {
                way.push(Some(name.clone()));
                sort(member, way, ignored);
                way.pop();
            }
        }
        _ => {}
    }
}

/// A value as one text, members by name, ids as blanks, and without what is ignored.
fn say(value: &Value, is_id: bool, way: &mut Way, ignored: &[PlacePattern], said: &mut String) {
    if ignored.iter().any(|pattern| pattern.covers_way(way)) {
        return;
    }
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, member) in members {
                way.push(Some(name.clone()));
                if ignored.iter().any(|pattern| pattern.covers_way(way)) {
                    way.pop();
                    continue;
                }
                said.push_str(name);
                said.push('\0');
                say(member, graph::is_id_field(name), way, ignored, said);
                way.pop();
            }
        }
        Value::Array(elements) => {
            way.push(None);
            elements.iter().for_each(|element| say(element, is_id, way, ignored, said));
            way.pop();
        }
        Value::String(_) if is_id => said.push('?'),
        Value::String(text) => said.push_str(&guid::blanked(text)),
        literal => said.push_str(&literal.to_string()),
    }
    said.push('\0');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str) -> String {
        let mut value = serde_json::from_str(text).unwrap();
        sort_arrays(&mut value, &[]);
        value.to_string()
    }

    #[test]
    fn what_is_ignored_does_not_decide() {
        let ignored = [PlacePattern::parse("json:/items/*/at").unwrap()];
        let sorted = |text: &str| {
            let mut value = serde_json::from_str(text).unwrap();
            sort_arrays(&mut value, &ignored);
            value.to_string()
        };
        assert_eq!(
            sorted(r#"{"items":[{"at":1,"n":2},{"at":2,"n":1}]}"#),
            r#"{"items":[{"at":2,"n":1},{"at":1,"n":2}]}"#
        );
        assert_eq!(
            sorted(r#"{"items":[{"at":9,"n":2},{"at":3,"n":1}]}"#),
            r#"{"items":[{"at":3,"n":1},{"at":9,"n":2}]}"#
        );
        assert_eq!(sorted(r#"{"items":[{"at":9,"n":2},{"n":1}]}"#), r#"{"items":[{"n":1},{"at":9,"n":2}]}"#);
    }

    #[test]
    fn elements_come_in_one_order_however_they_were_written() {
        let one = sorted(r#"{"a":[{"n":2,"b":[3,1]},{"n":1}],"s":["y","x"]}"#);
        let other = sorted(r#"{"a":[{"n":1},{"b":[1,3],"n":2}],"s":["x","y"]}"#);
        let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert_eq!(value(&one), value(&other));
    }

    #[test]
    fn ids_do_not_decide() {
        let told = |a: &str, b: &str| sorted(&format!(r#"[{{"id":"{a}","n":2}},{{"id":"{b}","n":1}}]"#));
        let guid = "0385114b-b48f-4800-a046-f249eaba24b1";
        assert!(
            told("a", "b").starts_with(r#"[{"id":"b""#) && told("z", guid).starts_with(&format!(r#"[{{"id":"{guid}""#))
        );
        assert_eq!(sorted(r#"[{"id":"b"},{"id":"a"}]"#), r#"[{"id":"b"},{"id":"a"}]"#);
    }
}
