//! Arrays whose order says nothing, put in one order that does not depend on their ids.

use super::{graph, guid};
use serde_json::Value;

/// Sorts the elements of every array by what they say, ids aside; of those that are equal but for ids the order stays.
///
/// Ids are here GUIDs and what stands in id fields. An id of another kind in prose may change the order when it is
/// renamed: such requests are then told apart.
pub(super) fn sort_arrays(value: &mut Value) {
    match value {
        Value::Array(elements) => {
            elements.iter_mut().for_each(sort_arrays);
            elements.sort_by_cached_key(|element| {
                let mut said = String::new();
                say(element, false, &mut said);
                said
            });
        }
        Value::Object(members) => members.values_mut().for_each(sort_arrays),
        _ => {}
    }
}

/// A value as one text, members by name and ids as blanks.
fn say(value: &Value, is_id: bool, said: &mut String) {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, member) in members {
                said.push_str(name);
                said.push('\0');
                say(member, graph::is_id_field(name), said);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| say(element, is_id, said)),
        Value::String(_) if is_id => said.push('?'),
        Value::String(text) => {
            let mut from = 0;
            for (range, _) in guid::tokens(text) {
                said.push_str(&text[from..range.start]);
                said.push('?');
                from = range.end;
            }
            said.push_str(&text[from..]);
        }
        literal => said.push_str(&literal.to_string()),
    }
    said.push('\0');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(text: &str) -> String {
        let mut value = serde_json::from_str(text).unwrap();
        sort_arrays(&mut value);
        value.to_string()
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
