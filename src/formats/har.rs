//! HTTP Archive 1.2, read and written.
//!
//! Source: the HAR 1.2 specification; members that begin with `_` are each tool's own. `_graphdeck` holds the ids of the
//! cassette and what it claims of people, and `_encoding` says that the text of a request's body is base64, which 1.2 has for answers only;
//! `_took` says that a cassette keeps the time of an exchange.

use super::document::{Fault, Node};
use super::intake::{Draft, Origin, Part};
use crate::tape::exchange::{Exchange, Headers};
use crate::tape::ids::Ids;
use crate::tape::template::Placeholder;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(super) fn read(entry: &Node<'_>) -> Result<Draft, Fault> {
    let (request, response) = (entry.need("request")?, entry.need("response")?);
    let mut draft = Draft::new(&request.need("method")?.text()?, request.need("url")?.text()?);
    headers(&request, &mut draft.request)?;
    headers(&response, &mut draft.response)?;
    draft.status = response.need("status")?.status()?;
    draft.took = entry.get("_took").and_then(|took| took.number().ok());
    if let Some(posted) = request.get("postData") {
        match posted.get("text") {
            Some(text) => draft.request.body = body(&text, posted.get("_encoding").or(posted.get("encoding")))?,
            None if posted.get("params").is_some_and(|fields| fields.value() != &json!([])) => {
                return Ok(draft.left("its form is there by fields only, not as it was sent"));
            }
            None => {}
        }
    } else if size(&request, "bodySize") > 0 {
        return Ok(draft.left("the body of its request is not in the file"));
    }
    let Some(content) = response.get("content") else { return Ok(draft) };
    match content.get("text") {
        Some(text) => draft.response.body = body(&text, content.get("encoding"))?,
        None if size(&content, "size") > 0 && draft.method != "HEAD" => {
            return Ok(draft.left("the body of its answer is not in the file (save the HAR file with content)"));
        }
        None => {}
    }
    Ok(draft)
}

/// A size, which is -1 where it is not known.
fn size(node: &Node<'_>, name: &str) -> u64 {
    node.get(name).and_then(|size| size.number().ok()).unwrap_or(0)
}

fn headers(message: &Node<'_>, part: &mut Part) -> Result<(), Fault> {
    for header in message.elements_of("headers")? {
        part.header(
            &header.need("name")?.text()?,
            &header.get("value").map_or(Ok(String::new()), |value| value.text())?,
        );
    }
    Ok(())
}

fn body(text: &Node<'_>, encoding: Option<Node<'_>>) -> Result<Bytes, Fault> {
    match encoding {
        Some(encoding) if encoding.text()? == "base64" => text.base64(),
        _ => Ok(text.text()?.into()),
    }
}

/// What the file says of the cassette that it was made from.
pub(super) fn origin(root: &Node<'_>) -> Result<Option<Origin>, Fault> {
    let Some(own) = root.need("log")?.get("_graphdeck") else { return Ok(None) };
    let (ids, people) = (own.need("ids")?, own.get("people").is_some());
    let mut table = BTreeMap::new();
    for (name, value) in ids.members()? {
        let placeholder: Placeholder =
            name.parse().map_err(|()| ids.fault("a name is none of an id, such as `userStatuses.1`"))?;
        table.insert(placeholder, value.text()?);
    }
    let ids = Ids::new(table).map_err(|_| ids.fault("an id has no value, or one that another has too"))?;
    Ok(Some(Origin { ids, people }))
}

/// Exchanges as a HAR file.
///
/// HAR demands times that a cassette does not keep: the first exchange begins at the epoch, each next one a millisecond
/// later, and one whose time was not kept takes none.
#[must_use]
pub fn write(exchanges: impl Iterator<Item = Exchange>, ids: &Ids, people: bool) -> String {
    let entries: Vec<Value> = (0..).zip(exchanges).map(|(at, exchange)| entry(at, &exchange)).collect();
    let table: serde_json::Map<String, Value> =
        ids.iter().map(|(placeholder, value)| (placeholder.to_string(), json!(&*value))).collect();
    let mut own = json!({ "ids": table });
    if people {
        own["people"] = "pseudonym".into();
    }
    let file = json!({ "log": {
        "version": "1.2",
        "creator": { "name": "graphdeck", "version": env!("CARGO_PKG_VERSION") },
        "_graphdeck": own,
        "entries": entries,
    } });
    let mut text = serde_json::to_string_pretty(&file).expect("a JSON value prints to memory");
    text.push('\n');
    text
}

fn entry(at: u64, exchange: &Exchange) -> Value {
    let (request, response) = (&exchange.request, &exchange.response);
    let query: Vec<Value> = request.query().into_iter().flat_map(|query| query.split('&')).map(option).collect();
    let mut asked = json!({
        "method": request.method, "url": request.url(), "httpVersion": "HTTP/1.1", "cookies": [],
        "headers": fields(&request.headers), "queryString": query, "headersSize": -1, "bodySize": request.body.len(),
    });
    if !request.body.is_empty() {
        let (text, encoding) = content(&request.body);
        let mut posted = json!({ "mimeType": mime_type(&request.headers), "text": text });
        if let Some(encoding) = encoding {
            posted["_encoding"] = encoding.into();
        }
        asked["postData"] = posted;
    }
    let mut answer = json!({ "size": response.body.len(), "mimeType": mime_type(&response.headers) });
    if !response.body.is_empty() {
        let (text, encoding) = content(&response.body);
        answer["text"] = text.into();
        if let Some(encoding) = encoding {
            answer["encoding"] = encoding.into();
        }
    }
    let reason = http::StatusCode::from_u16(response.status).ok().and_then(|status| status.canonical_reason());
    timed(
        exchange.took,
        json!({
            "startedDateTime": moment(at),
            "time": exchange.took.unwrap_or(0),
            "request": asked,
            "response": {
                "status": response.status, "statusText": reason.unwrap_or_default(), "httpVersion": "HTTP/1.1", "cookies": [],
                "headers": fields(&response.headers), "content": answer,
                "redirectURL": response.headers.get("location").unwrap_or_default(),
                "headersSize": -1, "bodySize": response.body.len(),
            },
            "cache": {},
            "timings": { "send": 0, "wait": exchange.took.unwrap_or(0), "receive": 0 },
        }),
    )
}

/// So many milliseconds after the epoch.
fn moment(at: u64) -> String {
    let (second, millisecond) = (at / 1000, at % 1000);
    let (minute, hour, day) = (second / 60 % 60, second / 3600 % 24, second / 86400 + 1);
    let second = second % 60;
    format!("1970-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

/// An entry that says how long its exchange took, where that was kept.
fn timed(took: Option<u64>, mut entry: Value) -> Value {
    if let Some(took) = took {
        entry["_took"] = took.into();
    }
    entry
}

fn fields(headers: &Headers) -> Vec<Value> {
    headers.iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn option(text: &str) -> Value {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    json!({ "name": name, "value": value })
}

fn mime_type(headers: &Headers) -> &str {
    headers.get("content-type").unwrap_or("application/octet-stream")
}

/// A body as text, and its encoding where it is no text.
fn content(body: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(body) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (BASE64.encode(body), Some("base64")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::File;
    use super::*;
    use crate::tape::exchange::{Request, Response};
    use crate::tape::scribe;
    use crate::tape::secrets::Secrets;
    use crate::tape::walk::IdPlaces;
    use proptest::prelude::*;

    fn body() -> impl Strategy<Value = Bytes> {
        let text = "(\\{\"a\": ?\"\\PC{0,9}\"\\}|\\PC{0,20}|\\{\\{[a-z.1]{0,9}\\}\\}\r?\n?)";
        prop_oneof![text.prop_map(Bytes::from), prop::collection::vec(any::<u8>(), 0..12).prop_map(Bytes::from)]
    }

    fn headers() -> impl Strategy<Value = Headers> {
        let fields = prop::collection::vec(("(prefer|link|x-[a-z]{1,4})", "[ -~¡-ÿ\t]{0,12}"), 0..4);
        fields.prop_map(|fields| fields.into_iter().collect())
    }

    fn exchange() -> impl Strategy<Value = Exchange> {
        let key = "(0385114b-b48f-4800-a046-f249eaba24b1|7E323DB2-3DB2-7E32-B23D-327EB23D327E|[a-z]{1,3})";
        let parts = (key, "(\\?[a-z$=&+%2{}']{0,9})?", headers(), body(), headers(), body(), 200u16..1000);
        parts.prop_map(|(key, query, asked, sent, answered, got, status)| Exchange {
            request: Request {
                method: "PATCH".into(),
                host: "graph.microsoft.com".into(),
                target: format!("/beta/deviceConfigurations('{key}'){query}"),
                headers: asked,
                body: sent,
            },
            response: Response { status, headers: answered, body: got },
            took: status.is_multiple_of(2).then(|| u64::from(status)),
        })
    }

    proptest! {
        #[test]
        fn a_cassette_comes_back_with_all_that_it_holds(
            exchanges in prop::collection::vec(exchange(), 1..5), people in any::<bool>()
        ) {
            let secrets = Secrets::default();
            let tape = |exchange| scribe::tape_exchange(exchange, &secrets);
            let places = IdPlaces { people, ..IdPlaces::default() };
            let taped: Vec<_> = exchanges.into_iter().map(tape).collect();
            let cassette = scribe::seal(&taped, &places);
            let text = write(taped.into_iter().map(|one| one.into_inner()), &cassette.ids, cassette.people);
            let found = File::parse(&text).unwrap().read(&["graph.microsoft.com".to_owned()]).unwrap();
            prop_assert_eq!(&found.left, &[]);
            let back: Vec<_> = found.exchanges.into_iter().map(|(_, one)| tape(one)).collect();
            let origin = found.origin.unwrap();
            prop_assert_eq!(scribe::seal_with(&back, &origin.ids, origin.people).print(), cassette.print());
        }
    }
}
