//! Shape keys: how a client spells and orders what it asks does not matter, what it asks does.

use super::messages::{parts, request};
use graphdeck::tape::body::is_dense;
use graphdeck::tape::exchange::{Headers, Request};
use graphdeck::tape::matching::{Reading, Rules};
use graphdeck::tape::scribe;
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::walk::parse_json;
use serde_json::Value;
use std::fmt::Write;
use std::sync::LazyLock;

static RULES: LazyLock<Rules> = LazyLock::new(Rules::default);
static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

/// Reads a request of target and body in several spellings.
pub fn compare(bytes: &[u8]) {
    let Some(mut parts) = parts(bytes) else { return };
    let (target, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Some(asked) = request(target, Headers::default(), body) else { return };
    let reading = read(asked.clone());
    assert_eq!(reading.exact(), read(asked.clone()).exact());
    let (path, query) = asked.target.split_once('?').map_or((asked.target.as_str(), None), |(p, q)| (p, Some(q)));
    let mut spelled = path.replace('/', "//");
    if let Some(query) = query {
        let mut options: Vec<&str> = query.split('&').collect();
        options.reverse();
        write!(spelled, "?{}&", options.join("&&")).unwrap();
    }
    // Where a secret in it ends depends on what follows.
    let other = Request { target: spelled, ..asked.clone() };
    let is_kept = |asked: &Request| scribe::tape_request(asked.clone(), &SECRETS).target == asked.target;
    if is_kept(&asked) && is_kept(&other) {
        assert_eq!(read(other).exact().key, reading.exact().key, "its address in another spelling");
    }
    let Some(value) = parse_json(body.as_bytes()).filter(|_| !is_dense(body.as_bytes())) else { return };
    let mut spelled = String::new();
    respell(&value, &mut spelled);
    let other = Request { body: spelled.clone().into(), ..asked.clone() };
    if SECRETS.find(body.as_bytes()).is_some() || SECRETS.find(value.to_string().as_bytes()).is_some() {
        // Where a secret ends depends on how what follows is written; none is left all the same.
        let taped = scribe::tape_request(other, &SECRETS);
        assert!(left_in(&taped.body).is_none(), "{:?} in {spelled}", left_in(&taped.body));
    } else if !is_dense(spelled.as_bytes()) {
        assert_eq!(read(other).exact(), reading.exact(), "{spelled}");
    }
    let other = Request { method: "PATCH".to_owned(), ..asked };
    assert_ne!(read(other).exact().key, reading.exact().key, "another method");
}

fn read(request: Request) -> Reading {
    Reading::of(&scribe::tape_request(request, &SECRETS), &RULES, &[])
}

/// What looks like a secret in a body once its escapes are read.
fn left_in(body: &[u8]) -> Option<String> {
    let body = parse_json(body).map_or_else(|| body.to_vec(), |value| value.to_string().into());
    SECRETS.find(&body).map(str::to_owned)
}

/// The same JSON: members from last to first, every letter an escape, white space wherever it may stand.
fn respell(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            out.push_str("{ ");
            for (at, (name, member)) in members.iter().rev().enumerate() {
                out.push_str(if at == 0 { "\n" } else { " ,\r\n" });
                quote(name, out);
                out.push_str("\t: ");
                respell(member, out);
            }
            out.push_str(" }");
        }
        Value::Array(elements) => {
            out.push_str("[ ");
            for (at, element) in elements.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { " , " });
                respell(element, out);
            }
            out.push_str(" ]");
        }
        Value::String(text) => quote(text, out),
        literal => out.push_str(&literal.to_string()),
    }
}

fn quote(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        write!(out, "\\u{unit:04X}").unwrap();
    }
    out.push('"');
}
