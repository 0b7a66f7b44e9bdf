//! The one road from wire form to tape form, and the one road back.
//!
//! The order of the steps is fixed here: secrets out, passing headers out, then (when a recording is sealed and all
//! of its ids are known) ids to placeholders.

use super::body::{Content, Form};
use super::cassette::{Cassette, Entry, Fault, RequestEntry, ResponseEntry, Values};
use super::exchange::{Exchange, Headers, Request, Taped, is_field_name, is_field_value, is_method};
use super::graph;
use super::holding;
use super::id::Written;
use super::ids::{Ids, Row};
use super::learning::Learner;
use super::redact;
use super::row_set::RowSet;
use super::script::{BodyScript, Field, Fields, Script};
use super::secrets::Secrets;
use super::template::Template;
use super::walk::IdPlaces;
use bytes::Bytes;
use std::collections::BTreeMap;

/// A request on tape: no secrets, no headers that differ from run to run.
#[must_use]
pub fn tape_request(mut request: Request, secrets: &Secrets) -> Taped<Request> {
    // What does not come onto tape need not be searched.
    request.headers.retain(|name, _| !graph::is_passing_request_header(name));
    redact::request(&mut request, secrets);
    request.headers.sort();
    Taped::new(request)
}

/// An exchange on tape: no secrets, no headers that differ from run to run.
#[must_use]
pub fn tape_exchange(exchange: Exchange, secrets: &Secrets) -> Taped<Exchange> {
    let Exchange { request, mut response, took } = exchange;
    response.headers.retain(|name, _| !graph::is_passing_response_header(name));
    redact::response(&mut response, secrets);
    if redact::is_sign_in(&request) {
        response.body = Bytes::new();
    }
    response.headers.sort();
    Taped::new(Exchange { request: tape_request(request, secrets).into_inner(), response, took })
}

/// The exchanges of a take as a cassette: all ids learnt first, then every text written with them.
///
/// An id that stands nowhere in a way that a placeholder would give back, such as one with escapes of its own, is left
/// as it is.
#[must_use]
pub fn seal(exchanges: &[Taped<Exchange>], places: &IdPlaces) -> Cassette {
    let mut learner = Learner::new(places.clone());
    exchanges.iter().for_each(|exchange| learner.study(exchange));
    seal_with(exchanges, &learner.ids(), places.people)
}

/// The exchanges as a cassette with these ids, of which those are kept that stand anywhere; `people` is what it claims.
#[must_use]
pub fn seal_with(exchanges: &[Taped<Exchange>], ids: &Ids, people: bool) -> Cassette {
    let entries: Vec<Entry> = exchanges.iter().map(|exchange| entry(exchange, ids)).collect();
    let mut named = RowSet::default();
    for (number, entry) in (1..).zip(&entries) {
        named.extend(rows(entry, ids, number).expect("what was written is read"));
    }
    Cassette { ids: ids.clone().only(&named), entries, people }
}

/// The ids that the placeholders of an entry name.
///
/// # Errors
/// When the entry cannot be used; `number`, counted from 1, is what the error calls it.
pub fn rows(entry: &Entry, ids: &Ids, number: usize) -> Result<Vec<Row>, Fault> {
    let Read { mut rows, script, .. } = read(entry, ids, number, &mut Fields::default())?;
    rows.extend(script.rows());
    Ok(rows)
}

/// An exchange as it stands in a cassette, its ids written as placeholders.
#[must_use]
pub fn entry(exchange: &Taped<Exchange>, ids: &Ids) -> Entry {
    let (request, response) = (&exchange.request, &exchange.response);
    Entry {
        request: request_entry(request, ids),
        response: ResponseEntry {
            status: response.status,
            headers: header_entries(&response.headers, ids),
            body: body_entry(&response.body, ids),
        },
        took: exchange.took,
    }
}

/// A request as it stands in a cassette; it must be redacted already.
pub(super) fn request_entry(request: &Request, ids: &Ids) -> RequestEntry {
    RequestEntry {
        method: request.method.clone(),
        url: ids.address_to_tape(&request.url()),
        headers: header_entries(&request.headers, ids),
        body: body_entry(&request.body, ids),
    }
}

fn header_entries(headers: &Headers, ids: &Ids) -> BTreeMap<String, Values> {
    let mut entries: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers.iter() {
        entries.entry(name.to_owned()).or_default().push(ids.to_tape(value));
    }
    let single = |mut values: Vec<String>| match values.len() {
        1 => Values::One(values.remove(0)),
        _ => Values::Many(values),
    };
    entries.into_iter().map(|(name, values)| (name, single(values))).collect()
}

fn body_entry(body: &[u8], ids: &Ids) -> Option<Form> {
    Form::of(match std::str::from_utf8(body) {
        Ok(text) => Content::Text(ids.to_tape(text).into()),
        Err(_) => Content::Binary(body.to_vec()),
    })
}

/// The exchange as it was recorded, its placeholders filled with the recorded ids.
///
/// # Errors
/// When the entry cannot be used; `number`, counted from 1, is what the error calls it.
pub fn recorded(entry: &Entry, ids: &Ids, number: usize) -> Result<Taped<Exchange>, Fault> {
    let request = recorded_request(&entry.request, ids, number)?;
    Ok(Taped::new(Exchange { request, response: script(entry, ids, number)?.recorded(ids), took: entry.took }))
}

/// A request that stands by itself as it would in a cassette without ids.
///
/// # Errors
/// When it cannot be used.
pub fn request(entry: &RequestEntry) -> Result<Request, Fault> {
    recorded_request(entry, &Ids::default(), 1)
}

/// The request of an entry as it was recorded.
///
/// # Errors
/// When it cannot be used; `number`, counted from 1, is what the error calls it.
pub(super) fn recorded_request(request: &RequestEntry, ids: &Ids, number: usize) -> Result<Request, Fault> {
    spoken_request(request, ids, number, |row| ids.recorded(*row))
}

/// A request of a cassette, spoken with other ids than those recorded.
///
/// # Errors
/// When the entry cannot be used; `number`, counted from 1, is what the error calls it.
pub fn spoken_request<'a>(
    request: &RequestEntry,
    ids: &Ids,
    number: usize,
    value: impl Fn(&Row) -> Written<'a>,
) -> Result<Request, Fault> {
    Ok(read_parts(request, ids, number, value)?.0)
}

/// The request of an entry, its ids spoken by `value`, and these ids.
fn read_parts<'a>(
    request: &RequestEntry,
    ids: &Ids,
    number: usize,
    value: impl Fn(&Row) -> Written<'a>,
) -> Result<(Request, Vec<Row>), Fault> {
    let reader = Reader { ids, number };
    let url_template = reader.template(|| "request url".to_owned(), &request.url)?;
    let url = url_template.speak(&value);
    let address = holding::address(&request.url, &url);
    let (host, target) = address.map_err(|why| reader.fault("request url", why))?;
    if !is_method(&request.method) {
        return Err(reader.fault("request method", format!("`{}` is no method", request.method)));
    }
    let headers = reader.headers(&request.headers)?;
    let body = reader.body("request", request.body.as_ref())?;
    let mut rows: Vec<Row> =
        url_template.ids().chain(headers.iter().flat_map(|(_, text)| text.ids())).copied().collect();
    if let BodyScript::Text(text) = &body {
        rows.extend(text.ids());
    }
    let request = Request {
        method: request.method.clone(),
        host: host.to_owned(),
        target: target.to_owned(),
        headers: headers.iter().map(|(name, text)| (name, text.speak(&value))).collect(),
        body: body.speak(&value),
    };
    Ok((request, rows))
}

/// An entry, read: its request as it was recorded, the ids in that, and its response.
pub(super) struct Read {
    pub(super) request: Request,
    pub(super) rows: Vec<Row>,
    pub(super) script: Script,
}

/// Reads an entry; `known` are header fields that were read before.
///
/// # Errors
/// When it cannot be used; `number`, counted from 1, is what the error calls it.
pub(super) fn read(entry: &Entry, ids: &Ids, number: usize, known: &mut Fields) -> Result<Read, Fault> {
    let (request, rows) = read_parts(&entry.request, ids, number, |row| ids.recorded(*row))?;
    Ok(Read { request, rows, script: script_with(entry, ids, number, known)? })
}

/// The ids of the request of an entry.
///
/// # Errors
/// When the entry cannot be used; `number`, counted from 1, is what the error calls it.
pub fn request_rows(entry: &Entry, ids: &Ids, number: usize) -> Result<Vec<Row>, Fault> {
    Ok(read_parts(&entry.request, ids, number, |row| ids.recorded(*row))?.1)
}

/// Compiles the response of an entry.
///
/// # Errors
/// When the entry cannot be used; `number`, counted from 1, is what the error calls it.
pub fn script(entry: &Entry, ids: &Ids, number: usize) -> Result<Script, Fault> {
    script_with(entry, ids, number, &mut Fields::default())
}

fn script_with(entry: &Entry, ids: &Ids, number: usize, known: &mut Fields) -> Result<Script, Fault> {
    let reader = Reader { ids, number };
    let response = &entry.response;
    holding::status(response.status).map_err(|why| reader.fault("response status", why))?;
    let fields = reader.fields(&response.headers, known)?;
    Ok(Script::new(response.status, fields, reader.body("response", response.body.as_ref())?))
}

/// Reads tape text, and says where a fault is.
struct Reader<'a> {
    ids: &'a Ids,
    number: usize,
}

impl Reader<'_> {
    fn fault(&self, place: impl Into<String>, why: impl ToString) -> Fault {
        Fault::Exchange { exchange: self.number, place: place.into(), why: why.to_string() }
    }

    fn template(&self, place: impl Fn() -> String, text: &str) -> Result<Template<Row>, Fault> {
        Template::parse(text, |placeholder| self.ids.row(placeholder)).map_err(|why| self.fault(place(), why))
    }

    /// The headers of a request.
    fn headers<'e>(&self, entries: &'e BTreeMap<String, Values>) -> Result<Vec<(&'e str, Template<Row>)>, Fault> {
        let mut headers = Vec::with_capacity(entries.len());
        for (name, values) in entries {
            let texts = self.texts("request", name, values)?;
            headers.extend(texts.into_iter().map(|text| (name.as_str(), text)));
        }
        Ok(headers)
    }

    /// The headers of a response.
    fn fields(&self, entries: &BTreeMap<String, Values>, known: &mut Fields) -> Result<Vec<Field>, Fault> {
        let mut fields = Vec::with_capacity(entries.len());
        for (name, values) in entries {
            if let Values::One(value) = values
                && let Some(field) = known.find(name, value)
            {
                fields.push(field);
                continue;
            }
            for (text, value) in self.texts("response", name, values)?.into_iter().zip(values.as_slice()) {
                let field = Field::of(name, text);
                known.keep(name, value, &field);
                fields.push(field);
            }
        }
        Ok(fields)
    }

    /// The values of a header.
    fn texts(&self, side: &str, name: &str, values: &Values) -> Result<Vec<Template<Row>>, Fault> {
        // Named only where there is a fault: a cassette may have millions of them.
        let place = || format!("{side} header `{name}`");
        if !is_field_name(name) {
            return Err(self.fault(place(), "this is no name of a header; names are written in lower case"));
        }
        let text = |value: &String| {
            let text = self.template(place, value)?;
            // An id may hold more than the text around it.
            let spoken = || text.speak(|row| self.ids.recorded(*row));
            if !is_field_value(value) || (text.fixed().is_none() && !is_field_value(&spoken())) {
                return Err(self.fault(place(), "the value has a character that no header can carry"));
            }
            Ok(text)
        };
        values.as_slice().iter().map(text).collect()
    }

    fn body(&self, side: &str, form: Option<&Form>) -> Result<BodyScript<Row>, Fault> {
        let place = || format!("{side} body");
        let Some(form) = form else { return Ok(BodyScript::Binary(Bytes::new())) };
        match form.content().map_err(|why| self.fault(place(), why))? {
            Content::Text(text) => Ok(BodyScript::Text(self.template(place, &text)?)),
            Content::Binary(bytes) => Ok(BodyScript::Binary(bytes.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange;
    use crate::tape::row;
    use proptest::prelude::*;

    const CONFIG: &str = "0385114b-b48f-4800-a046-f249eaba24b1";

    fn texts() -> impl Strategy<Value = String> {
        let id = Just(CONFIG.to_owned());
        let upper = Just(CONFIG.to_uppercase());
        let piece = prop_oneof![id, upper, "[ -~]{0,6}", "(\\{|\\}){0,5}", Just("{{a.1}}".to_owned())];
        prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
    }

    fn body() -> impl Strategy<Value = Bytes> {
        let json = texts().prop_map(|text| serde_json::json!({ "id": text, "n": 1 }).to_string().into());
        prop_oneof![json, texts().prop_map(Bytes::from), prop::collection::vec(any::<u8>(), 0..9).prop_map(Bytes::from)]
    }

    fn exchanges() -> impl Strategy<Value = Exchange> {
        (texts(), texts(), body(), body(), 200u16..600).prop_map(|(text, header, sent, answered, status)| Exchange {
            request: Request {
                method: "POST".into(),
                host: "graph.microsoft.com".into(),
                target: format!("/beta/deviceConfigurations/{CONFIG}/{}", text.replace(' ', "+")),
                headers: [("prefer", header.as_str())].into_iter().collect(),
                body: sent,
            },
            response: exchange::Response {
                status,
                headers: [("location", header.as_str())].into_iter().collect(),
                body: answered,
            },
            took: status.is_multiple_of(2).then(|| u64::from(status)),
        })
    }

    proptest! {
        #[test]
        fn the_road_to_tape_and_back_changes_nothing(exchanges in prop::collection::vec(exchanges(), 0..4)) {
            let taped: Vec<_> = exchanges.into_iter().map(|exchange| tape_exchange(exchange, &Secrets::default())).collect();
            for exchange in &taped {
                let read = row::read(&row::write(exchange).unwrap());
                prop_assert_eq!(read.as_ref(), Ok(exchange));
            }
            let cassette = seal(&taped, &IdPlaces::default());
            let mint = crate::tape::mint::Mint::new("", &[0; 32]);
            let played = crate::tape::index::Index::new(cassette.clone(), crate::tape::matching::Rules::default(), mint);
            prop_assert_eq!(played.map(|index| index.len()), Ok(taped.len()));
            let text = cassette.print();
            prop_assert!(taped.is_empty() || text.contains("{{deviceConfigurations.1}}"));
            let read = Cassette::parse(&text).unwrap();
            prop_assert_eq!(&read, &cassette);
            prop_assert_eq!(read.print(), text);
            for (i, (entry, exchange)) in read.entries.iter().zip(&taped).enumerate() {
                prop_assert_eq!(&recorded(entry, &read.ids, i + 1).unwrap(), exchange);
            }
        }
    }

    #[test]
    fn an_entry_that_cannot_be_used_is_told_by_number_and_place() {
        let good = r#"{"request":{"method":"GET","url":"https://h/a","headers":{"a":"b"}},"response":{"status":200,"body":{"text":"t"}}}"#;
        let placeholder = crate::tape::template::Placeholder { name: "a".into(), number: 2 };
        let ids = Ids::new([(placeholder, "b".to_owned())].into()).unwrap();
        let faults = [
            ("https://h/a", "http://h/a"),
            ("https://h/a", "https://h/{{a.1}}"),
            ("https://h/a", "https://{{a.2}}/a"),
            ("GET", "{{a.2}}"),
            ("\"a\":\"b\"", "\"A b\":\"b\""),
            ("\"a\":\"b\"", "\"a\\\"\":\"b\""),
            ("\"a\":\"b\"", "\"a\":\"b\\n\""),
            ("200", "100"),
            ("\"t\"", "\"{{t}}\""),
            ("\"text\":\"t\"", "\"base64\":\"!\""),
            ("\"text\":\"t\"", ""),
        ]
        .map(|(from, to)| {
            let entry: Entry = serde_json::from_str(&good.replace(from, to)).unwrap();
            recorded(&entry, &ids, 3).unwrap_err().to_string()
        });
        insta::assert_snapshot!(faults.join("\n"));
    }
}
