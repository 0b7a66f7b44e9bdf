//! `$batch`: the requests in one envelope, and the envelope for their answers.
//!
//! The rules are Graph's (<https://learn.microsoft.com/graph/json-batching>).

use super::exchange::{Exchange, Headers, Request, Response, is_field_name, is_field_value, is_method};
use super::graph;
use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD as BASE64};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

/// The most requests in one batch.
const MOST: usize = 20;

/// Base64 as programs write it: with the letters of addresses or the usual ones (see [`decode`]), padded or not.
const ANY_PADDING: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A request in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its id, as the client wrote it.
    pub id: String,
    /// The request, as if it had come alone.
    pub request: Request,
    /// The numbers of the parts that must succeed before it.
    pub depends_on: Vec<usize>,
}

/// Why Graph takes nothing of a batch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is not an envelope.
    #[error("the batch is no JSON object with an array `requests`{0}")]
    NoEnvelope(String),
    /// It holds none.
    #[error("the batch holds no request")]
    Empty,
    /// It holds too many.
    #[error("the batch holds {0} requests, and Graph takes {MOST} at most")]
    TooMany(usize),
    /// A request in it is none.
    #[error("request {number} of the batch {why}")]
    Part {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Whether a request is a batch: a POST to `/{version}/$batch`.
#[must_use]
pub fn is_batch(method: &str, path: &str) -> bool {
    // Nearly no path has what it must have.
    if method != "POST" || memchr::memchr2(b'$', b'%', path.as_bytes()).is_none() {
        return false;
    }
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let (version, name) = (segments.next(), segments.next());
    let is_named = |name| graph::percent_decode(name).eq_ignore_ascii_case("$batch");
    version.is_some() && name.is_some_and(is_named) && segments.next().is_none()
}

/// Reads the requests of a batch.
///
/// # Errors
/// When Graph would refuse all of it.
pub fn parts(batch: &Request) -> Result<Vec<Part>, Fault> {
    let envelope: Value = serde_json::from_slice(&batch.body).map_err(|why| Fault::NoEnvelope(format!(" ({why})")))?;
    let requests = envelope.get("requests").and_then(Value::as_array);
    let requests = requests.ok_or_else(|| Fault::NoEnvelope(String::new()))?;
    match requests.len() {
        0 => return Err(Fault::Empty),
        count @ 1..=MOST => count,
        count => return Err(Fault::TooMany(count)),
    };
    let mut numbers = HashMap::new();
    for (number, request) in requests.iter().enumerate() {
        let fault = |why: String| Fault::Part { number: number + 1, why };
        let id = request.get("id").and_then(text).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| fault("has no id".to_owned()))?;
        if numbers.insert(id.to_lowercase(), number).is_some() {
            return Err(fault(format!("has the id `{}` of another one", shown(&id))));
        }
    }
    let read =
        |(number, request)| part(batch, request, &numbers).map_err(|why| Fault::Part { number: number + 1, why });
    let parts: Vec<Part> = requests.iter().enumerate().map(read).collect::<Result<_, _>>()?;
    match order(&parts).len() {
        ordered if ordered == parts.len() => Ok(parts),
        ordered => Err(Fault::Part { number: ordered + 1, why: "depends on itself, by others or straight".to_owned() }),
    }
}

/// A text, or a number as some clients write ids.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(40).collect()
}

fn part(batch: &Request, written: &Value, numbers: &HashMap<String, usize>) -> Result<Part, String> {
    let field = |name: &str| written.get(name).and_then(Value::as_str);
    let method = field("method").filter(|method| is_method(method));
    let method = method.ok_or("has no method")?.to_ascii_uppercase();
    let target = target(batch.path(), field("url").ok_or("has no url")?);
    let headers: Headers = written
        .get("headers")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?)))
        .collect();
    let body = written.get("body").filter(|body| !body.is_null());
    let body = body.map(|body| bytes(body, headers.get("content-type"))).unwrap_or_default();
    // The Python SDK says `depends_on: []` for none, and so writes the name in another way.
    let depends_on = written.get("dependsOn").or_else(|| written.get("depends_on")).and_then(Value::as_array);
    let depends_on = depends_on.into_iter().flatten().map(|id| {
        let id = text(id).unwrap_or_default();
        numbers
            .get(&id.to_lowercase())
            .copied()
            .ok_or_else(|| format!("depends on `{}`, which is not in it", shown(&id)))
    });
    let depends_on = depends_on.collect::<Result<_, _>>()?;
    let id = written.get("id").and_then(text).unwrap_or_default();
    Ok(Part {
        id,
        request: Request { method, host: batch.host.clone(), target, headers, body: body.into() },
        depends_on,
    })
}

/// The target of a part: relative to the batch's version, if it does not name one itself.
fn target(batch: &str, url: &str) -> String {
    let version = batch.trim_start_matches('/').split('/').next().unwrap_or_default();
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
        None => url.trim_start_matches('/'),
    };
    let first = path.split(['/', '?']).next().unwrap_or_default();
    let path = sendable(path);
    if ["v1.0", "beta"].iter().any(|known| first.eq_ignore_ascii_case(known)) {
        format!("/{path}")
    } else {
        format!("/{version}/{path}")
    }
}

/// An address as it would be sent alone: some clients decode those of parts, and no request line carries a blank.
fn sendable(path: &str) -> String {
    let path = path.split('#').next().unwrap_or_default();
    let carried = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    path.bytes().fold(String::with_capacity(path.len()), |mut sendable, byte| {
        if carried(byte) {
            sendable.push(char::from(byte));
        } else {
            write!(sendable, "%{byte:02X}").expect("a text takes a byte");
        }
        sendable
    })
}

/// The bytes of a part's body: JSON as it stands, anything else as base64 in a text.
fn bytes(body: &Value, content_type: Option<&str>) -> Vec<u8> {
    match body {
        Value::String(text) if !is_json(content_type) => decode(text).unwrap_or_else(|| text.clone().into_bytes()),
        body => body.to_string().into_bytes(),
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    ANY_PADDING.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// What says nothing of its kind is JSON.
fn is_json(content_type: Option<&str>) -> bool {
    content_type.is_none_or(|kind| kind.to_ascii_lowercase().contains("json"))
}

/// The numbers of the parts in an order in which each comes after those that it depends on; those that depend on
/// themselves are left out.
#[must_use]
pub fn order(parts: &[Part]) -> Vec<usize> {
    let mut done = vec![false; parts.len()];
    let mut order = Vec::new();
    while let Some(next) = (0..parts.len()).find(|&it| !done[it] && parts[it].depends_on.iter().all(|&on| done[on])) {
        done[next] = true;
        order.push(next);
    }
    order
}

/// A batch of only some of the parts, by their numbers: those that they depend on are taken for done.
#[must_use]
pub fn only(batch: &[u8], numbers: &[usize]) -> Vec<u8> {
    let mut envelope: Value = serde_json::from_slice(batch).unwrap_or_default();
    let Some(Value::Array(requests)) = envelope.get_mut("requests") else { return batch.to_vec() };
    let mut number = 0..;
    requests.retain(|_| number.next().is_some_and(|number| numbers.contains(&number)));
    let left: Vec<_> = requests.iter().filter_map(|request| request.get("id").and_then(text)).collect();
    let is_left = |on: &Value| text(on).is_some_and(|on| left.iter().any(|id| id.to_lowercase() == on.to_lowercase()));
    for request in requests {
        for name in ["dependsOn", "depends_on"] {
            if let Some(Value::Array(depends_on)) = request.get_mut(name) {
                depends_on.retain(is_left);
            }
        }
    }
    envelope.to_string().into_bytes()
}

/// What a part gets that depends on one that failed.
#[must_use]
pub fn failed_dependency() -> Response {
    let why = "the request was not made, since one that it depends on failed";
    let headers = [("content-type", "application/json".to_owned())].into_iter().collect();
    Response { status: 424, headers, body: graph::error_body("FailedDependency", why, &[]).into() }
}

#[derive(Serialize)]
struct Envelope {
    responses: Vec<Spoken>,
}

#[derive(Serialize)]
struct Spoken {
    id: String,
    status: u16,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<Box<RawValue>>,
}

/// The envelope of answers, by the ids of their parts.
#[must_use]
pub fn envelope(answers: &[(String, Response)]) -> Vec<u8> {
    let spoken = answers.iter().map(|(id, response)| {
        let mut headers: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in response.headers.iter() {
            let headers = headers.entry(title_case(name)).or_default();
            if !headers.is_empty() {
                headers.push_str(", ");
            }
            headers.push_str(value);
        }
        Spoken {
            id: id.clone(),
            status: response.status,
            headers,
            body: raw(&response.body, response.headers.get("content-type")),
        }
    });
    serde_json::to_vec(&Envelope { responses: spoken.collect() }).expect("texts and numbers make JSON")
}

/// A header's name as Graph writes it in batches: `Content-Type`.
fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        first.to_uppercase() + rest
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

/// A body in an envelope: what [`bytes`] reads it of again.
fn raw(body: &[u8], content_type: Option<&str>) -> Option<Box<RawValue>> {
    if body.is_empty() {
        return None;
    }
    let text = std::str::from_utf8(body).ok().filter(|_| is_json(content_type));
    let json = text.and_then(|text| RawValue::from_string(text.trim().to_owned()).ok());
    Some(json.unwrap_or_else(|| to_raw_value(&BASE64.encode(body)).expect("a text is JSON")))
}

/// The answers of an envelope that Graph sent, by the ids of their parts in lower case. What is none is left out.
#[must_use]
pub fn answers(envelope: &[u8]) -> HashMap<String, Response> {
    let envelope: Value = serde_json::from_slice(envelope).unwrap_or_default();
    let responses = envelope.get("responses").and_then(Value::as_array);
    let read = |response: &Value| {
        let id = response.get("id").and_then(text)?.to_lowercase();
        let status = response.get("status").and_then(Value::as_u64)?;
        let named = response.get("headers").and_then(Value::as_object);
        let named: Map<String, Value> = named.cloned().unwrap_or_default();
        let headers: Headers =
            named.iter().filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?))).collect();
        let body = response.get("body").filter(|body| !body.is_null());
        let body = body.map(|body| bytes(body, headers.get("content-type"))).unwrap_or_default();
        let status = u16::try_from(status).ok().filter(|status| (100..1000).contains(status))?;
        Some((id, Response { status, headers, body: body.into() }))
    };
    responses.into_iter().flatten().filter_map(read).collect()
}

/// The exchanges of a batch: each part that was answered, as if it had come alone, so without headers that only an
/// envelope can hold; `None` of what is no batch.
#[must_use]
pub fn exchanges(exchange: &Exchange) -> Option<Vec<Exchange>> {
    let Exchange { request, response, took } = exchange;
    let parts = is_batch(&request.method, request.path()).then(|| parts(request).ok()).flatten()?;
    let mut answers = answers(&response.body);
    let answered = parts.into_iter().filter_map(|part| Some((part.request, answers.remove(&part.id.to_lowercase())?)));
    let alone = |(mut request, mut response): (Request, Response)| {
        for headers in [&mut request.headers, &mut response.headers] {
            headers.retain(|name, value| is_field_name(name) && is_field_value(value));
        }
        Exchange { request, response, took: *took }
    };
    Some(answered.filter(|(_, response)| response.status >= 200).map(alone).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(body: &str) -> Request {
        Request {
            method: "POST".to_owned(),
            host: "graph.microsoft.com".to_owned(),
            target: "/beta/$batch".to_owned(),
            headers: Headers::default(),
            body: body.to_owned().into(),
        }
    }

    #[test]
    fn a_batch_is_told_by_its_path() {
        for (method, path, is) in [
            ("POST", "/v1.0/$batch", true),
            ("POST", "/beta/%24Batch/", true),
            ("GET", "/v1.0/$batch", false),
            ("POST", "/$batch", false),
            ("POST", "/v1.0/$batch/x", false),
        ] {
            assert_eq!(is_batch(method, path), is, "{method} {path}");
        }
    }

    #[test]
    fn parts_are_requests_as_if_they_had_come_alone() {
        let parts = parts(&batch(
            r#"{"requests":[
                {"id":"A","method":"get","url":"/users/1?$select=id"},
                {"id":2,"method":"POST","url":"v1.0/users","headers":{"Content-Type":"application/json"},"body":{"a":1.0},"dependsOn":["a"]},
                {"id":"3","method":"PUT","url":"/me/photo/$value","headers":{"content-type":"image/png"},"body":"AAEC","depends_on":[]}
            ]}"#,
        ))
        .unwrap();
        let told: Vec<_> = parts
            .iter()
            .map(|Part { id, request, depends_on }| {
                (
                    id.as_str(),
                    request.method.as_str(),
                    request.target.as_str(),
                    &request.body[..],
                    depends_on.as_slice(),
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                ("A", "GET", "/beta/users/1?$select=id", &b""[..], &[][..]),
                ("2", "POST", "/v1.0/users", b"{\"a\":1.0}", &[0]),
                ("3", "PUT", "/beta/me/photo/$value", &[0, 1, 2], &[]),
            ]
        );
        assert_eq!(parts[1].request.headers.get("content-type"), Some("application/json"));
    }

    #[test]
    fn addresses_and_bodies_are_read_as_clients_write_them() {
        for (url, target) in [
            ("/users?$filter=displayName eq 'Ä b'", "/beta/users?$filter=displayName%20eq%20'%C3%84%20b'"),
            ("users/a%20b", "/beta/users/a%20b"),
            ("https://graph.microsoft.com/v1.0/me#x", "/v1.0/me"),
            ("BETA/me", "/BETA/me"),
            ("", "/beta/"),
        ] {
            assert_eq!(super::target("/beta/$batch", url), target, "{url}");
        }
        for text in ["-_8AAA==", "+/8AAA==", "-_8AAA"] {
            assert_eq!(bytes(&text.into(), Some("image/png")), [0xfb, 0xff, 0, 0], "{text}");
        }
        assert_eq!(bytes(&"no base64!".into(), Some("text/plain")), b"no base64!");
    }

    #[test]
    fn a_batch_can_be_cut() {
        let whole = r#"{"requests":[{"id":"A","url":"/a"},{"id":"b","url":"/b","dependsOn":["a"]},{"id":"c","dependsOn":["B","A"]}]}"#;
        let cut = String::from_utf8(only(whole.as_bytes(), &[1, 2])).unwrap();
        assert_eq!(cut, r#"{"requests":[{"id":"b","url":"/b","dependsOn":[]},{"id":"c","dependsOn":["B"]}]}"#);
    }

    #[test]
    fn what_graph_refuses_is_refused_in_words() {
        let one = |id: &str, more: &str| format!(r#"{{"id":"{id}","method":"GET","url":"/me"{more}}}"#);
        let many: Vec<_> = (0..21).map(|number| one(&number.to_string(), "")).collect();
        let told: String = [
            "[".to_owned(),
            "{}".to_owned(),
            r#"{"requests":[]}"#.to_owned(),
            format!(r#"{{"requests":[{}]}}"#, many.join(",")),
            format!(r#"{{"requests":[{},{}]}}"#, one("a", ""), one("A", "")),
            format!(r#"{{"requests":[{}]}}"#, one("1", r#","dependsOn":["2"]"#)),
            format!(r#"{{"requests":[{},{}]}}"#, one("1", r#","dependsOn":["2"]"#), one("2", r#","dependsOn":["1"]"#)),
            r#"{"requests":[{"method":"GET","url":"/me"}]}"#.to_owned(),
            r#"{"requests":[{"id":"1","url":"/me"}]}"#.to_owned(),
            r#"{"requests":[{"id":"1","method":"GET"}]}"#.to_owned(),
        ]
        .iter()
        .map(|body| format!("{}\n", parts(&batch(body)).unwrap_err()))
        .collect();
        insta::assert_snapshot!(told);
    }

    #[test]
    fn an_envelope_holds_what_was_put_into_it() {
        let response = |status, kind: &str, body: &[u8]| Response {
            status,
            headers: [("content-type", kind.to_owned())].into_iter().collect(),
            body: body.to_vec().into(),
        };
        let said = vec![
            ("One".to_owned(), response(201, "application/json", b"{\"b\":1.50,\"a\":2}")),
            ("2".to_owned(), response(200, "image/png", &[0, 255])),
            ("3".to_owned(), Response { status: 204, headers: Headers::default(), body: Vec::new().into() }),
        ];
        let envelope = envelope(&said);
        insta::assert_snapshot!(String::from_utf8_lossy(&envelope));
        let back = answers(&envelope);
        for (id, response) in said {
            assert_eq!(back[&id.to_lowercase()], response);
        }
        assert!(answers(b"{\"responses\":[{\"id\":\"1\"}]}").is_empty());
    }
}
