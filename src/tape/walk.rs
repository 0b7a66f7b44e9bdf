//! The one walk over every value of a message that matching, ids and misses share.

use super::body;
use super::exchange::{Headers, Request, Response};
use super::graph::{self, Segment};
use super::guid;
use super::json_values;
pub use super::leaf::{Kind, Leaf};
use super::ordering;
pub use super::place::{IdPlaces, Place, PlacePattern};
use serde_json::Value;
use std::borrow::Cow;

/// What a walk sees besides what it always sees, and what it passes over.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Headers, by their names in lower case.
    pub headers: Vec<String>,
    /// Whether the order of elements in the body's arrays says nothing. Elements are then counted in an order of the
    /// deck's own.
    pub unordered: bool,
    /// What then does not decide their order either.
    pub ignored: Vec<PlacePattern>,
}

/// All that is compared of a request, in an order that does not depend on how the client wrote it.
#[must_use]
pub fn leaves<'a>(request: &'a Request, view: &View) -> Vec<Leaf<'a>> {
    let mut leaves = Vec::with_capacity(24);
    leaves.push(Leaf { place: Place::Method, kind: Kind::Word, text: request.method.as_str().into() });
    leaves.push(Leaf { place: Place::Host, kind: Kind::Word, text: request.host.as_str().into() });
    for (i, segment) in graph::segments(request.path()).into_iter().enumerate() {
        let (kind, text) = match segment {
            // The arguments of a function may hold ids, and a name may have one in it.
            Segment::Name(name) if name.contains('(') || guid::tokens(&name).next().is_some() => (Kind::Text, name),
            Segment::Name(name) => (Kind::Word, lower(name)),
            Segment::Key(key) => (Kind::Key, key),
        };
        leaves.push(Leaf { place: Place::Path(i + 1), kind, text });
    }
    for (name, value) in query_options(request.query().unwrap_or_default()) {
        leaves.push(Leaf { place: Place::Query(name.into()), kind: Kind::Text, text: value.into() });
    }
    header_leaves(&request.headers, view, &mut leaves);
    body_leaves(&request.body, view, &mut leaves);
    leaves
}

/// All that can be compared of an answer, in an order that does not depend on how it was written.
#[must_use]
pub fn answer_leaves<'a>(response: &'a Response, view: &View) -> Vec<Leaf<'a>> {
    let mut leaves = vec![Leaf { place: Place::Status, kind: Kind::Word, text: response.status.to_string().into() }];
    header_leaves(&response.headers, view, &mut leaves);
    body_leaves(&response.body, view, &mut leaves);
    leaves
}

fn header_leaves<'a>(headers: &'a Headers, view: &View, leaves: &mut Vec<Leaf<'a>>) {
    for (name, value) in headers.iter().filter(|(name, _)| view.headers.iter().any(|seen| seen == name)) {
        leaves.push(Leaf { place: Place::Header(name.into()), kind: Kind::Text, text: value.into() });
    }
}

fn lower(name: Cow<'_, str>) -> Cow<'_, str> {
    if !name.is_ascii() {
        name.to_lowercase().into()
    } else if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        name.to_ascii_lowercase().into()
    } else {
        name
    }
}

/// The options of a query, decoded and sorted: their order says nothing. One whose name holds an id stands by that name
/// without it, and as a whole.
fn query_options(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| graph::percent_decode(&text.replace('+', " ")).into_owned();
    let mut options: Vec<_> = query
        .split('&')
        .filter(|option| !option.is_empty())
        .map(|option| option.split_once('=').unwrap_or((option, "")))
        .map(|(name, value)| (decode(name), decode(value)))
        .map(|(name, value)| match guid::blanked(&name) {
            Cow::Owned(blanked) => (blanked, format!("{name}={value}")),
            Cow::Borrowed(_) => (name, value),
        })
        .collect();
    options.sort();
    options
}

fn body_leaves<'a>(body: &'a [u8], view: &View, leaves: &mut Vec<Leaf<'a>>) {
    if body.is_empty() {
        return;
    }
    if !body::is_dense(body) && json_leaves(body, view, leaves) {
        return;
    }
    let (kind, text) = match std::str::from_utf8(body) {
        Ok(text) => (Kind::Text, text.to_owned()),
        Err(_) => (Kind::Bytes, format!("{} bytes, BLAKE3 {}", body.len(), blake3::hash(body).to_hex())),
    };
    leaves.push(Leaf { place: Place::Body, kind, text: text.into() });
}

/// The largest body, in bytes, that is read as a tree where its members are too many or said twice: a tree takes ten
/// times as much, and no client of Graph writes a larger one so.
const TREE: usize = 32 * 1024;

/// Adds the values of a body that is JSON, and tells whether it is.
fn json_leaves<'a>(body: &'a [u8], view: &View, leaves: &mut Vec<Leaf<'a>>) -> bool {
    let Some(text) = structured(body) else { return false };
    // To tell in which order elements would stand takes a tree: where that would be too much, they stand as they came.
    let unordered = view.unordered && !body::is_dense_for_a_tree(body);
    if !unordered && json_values::add(text, leaves) {
        return true;
    }
    let small = unordered || body.len() <= TREE;
    let Some(mut value) = small.then(|| parse_json(body)).flatten() else { return false };
    if unordered {
        ordering::sort_arrays(&mut value, &view.ignored);
    }
    take_apart(value, &mut String::new(), leaves);
    true
}

/// Adds every value of a tree that holds no other, members in the order of their names. The tree is used up, so that
/// neither a text nor the whole is in memory twice.
pub(super) fn take_apart(value: Value, pointer: &mut String, leaves: &mut Vec<Leaf<'_>>) {
    let length = pointer.len();
    let (kind, text) = match value {
        Value::Object(members) if !members.is_empty() => {
            let mut members: Vec<(String, Value)> = members.into_iter().collect();
            members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            for (name, member) in members {
                json_values::step(pointer, &name);
                take_apart(member, pointer, leaves);
                pointer.truncate(length);
            }
            return;
        }
        Value::Array(elements) if !elements.is_empty() => {
            for (i, element) in elements.into_iter().enumerate() {
                json_values::step(pointer, &i.to_string());
                take_apart(element, pointer, leaves);
                pointer.truncate(length);
            }
            return;
        }
        Value::String(text) => (Kind::Text, text),
        literal => (Kind::Literal, literal.to_string()),
    };
    leaves.push(Leaf { place: Place::Json(pointer.as_str().into()), kind, text: text.into() });
}

/// A body as JSON, when it is an object or an array; a byte order mark before it is passed over.
#[must_use]
pub fn parse_json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(structured(body)?).ok()
}

/// What may be an object or an array, without the mark before it.
fn structured(body: &[u8]) -> Option<&[u8]> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let first = body.iter().find(|b| !b.is_ascii_whitespace());
    first.is_some_and(|b| matches!(b, b'{' | b'[')).then_some(body)
}

/// A step from a JSON container into one of its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step<'v> {
    /// Into a member of an object.
    Member(&'v str),
    /// Into an element of an array.
    Element(usize),
}

/// Visits every value that holds no other, members in the order of their names.
pub fn json<'v>(value: &'v Value, visit: &mut impl FnMut(&[Step<'v>], &'v Value)) {
    fn walk<'v>(value: &'v Value, steps: &mut Vec<Step<'v>>, visit: &mut impl FnMut(&[Step<'v>], &'v Value)) {
        match value {
            Value::Object(members) if !members.is_empty() => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_unstable_by_key(|(name, _)| *name);
                for (name, member) in members {
                    steps.push(Step::Member(name));
                    walk(member, steps, visit);
                    steps.pop();
                }
            }
            Value::Array(elements) if !elements.is_empty() => {
                for (i, element) in elements.iter().enumerate() {
                    steps.push(Step::Element(i));
                    walk(element, steps, visit);
                    steps.pop();
                }
            }
            leaf => visit(steps, leaf),
        }
    }
    walk(value, &mut Vec::new(), visit);
}

/// The JSON Pointer (RFC 6901) that the steps spell.
#[must_use]
pub fn pointer(steps: &[Step<'_>]) -> String {
    let mut pointer = String::new();
    for step in steps {
        pointer.push('/');
        match step {
            Step::Member(name) => pointer.push_str(&name.replace('~', "~0").replace('/', "~1")),
            Step::Element(i) => pointer.push_str(&i.to_string()),
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use super::*;
    fn request(target: &str, body: &str) -> Request {
        Request {
            method: "POST".into(),
            host: "graph.microsoft.com".into(),
            target: target.into(),
            headers: Headers::default(),
            body: body.to_owned().into(),
        }
    }

    fn told(request: &Request) -> String {
        leaves(request, &View::default()).iter().map(|l| format!("{} {:?} {}\n", l.place, l.kind, l.text)).collect()
    }

    #[test]
    fn every_value_is_told_by_its_place() {
        let body = r#"{"status":"compliant","n":12.0,"deep":{"a/b":["é",{}]},"none":null}"#;
        insta::assert_snapshot!(told(&request("/beta/users/a/userStatuses?$top=1&$filter=a+eq%20'b'", body)));
    }

    #[test]
    fn order_escapes_and_spelling_do_not_matter() {
        let one = request("/beta/A/userStatuses?a=1&b=2", r#"{"a":"é","b":[1]}"#);
        let other = request("/beta//a/userstatuses/?b=2&a=1", "{ \"b\" : [ 1 ],\n \"a\" : \"\\u00e9\" }");
        assert_eq!(told(&one), told(&other));
    }

    #[test]
    fn a_name_with_an_id_in_it_stands_without_it() {
        let asked = request("/a?b=1&x-0385114b-b48f-4800-a046-f249eaba24b1-y=2", "");
        assert!(
            told(&asked).ends_with("query:b Text 1\nquery:x-?-y Text x-0385114b-b48f-4800-a046-f249eaba24b1-y=2\n")
        );
    }

    #[test]
    fn elements_stand_in_any_order_where_there_are_not_too_many() {
        let view = View { unordered: true, ..View::default() };
        let told = |texts: &[String]| {
            let asked = request("/a", &format!("[{}]", texts.join(",")));
            leaves(&asked, &view).iter().map(|leaf| format!("{} {}\n", leaf.place, leaf.text)).collect::<String>()
        };
        for (count, in_any) in [(900, true), (1500, false)] {
            let texts: Vec<String> = (0..count).map(|number| format!("\"{number:030}\"")).collect();
            let turned: Vec<String> = texts.iter().rev().cloned().collect();
            assert_eq!(told(&texts) == told(&turned), in_any, "{count}");
            assert_eq!(told(&texts).lines().count(), 3 + count);
        }
    }

    #[test]
    fn bodies_that_are_no_json_are_one_value() {
        assert!(told(&request("/a", "plain {")).ends_with("body Text plain {\n"));
        let binary = Request { body: vec![0xff, 0xfe].into(), ..request("/a", "") };
        assert!(told(&binary).contains("body Bytes 2 bytes, BLAKE3 "));
    }
}
