//! `$batch`: an envelope cut and put together is the same, and its answers come out as they went in.

use graphdeck::tape::batch::{self, Part};
use graphdeck::tape::exchange::{Exchange, Headers, Request, Response};
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::{row, scribe};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::LazyLock;

static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

/// Reads a batch.
pub fn open(bytes: &[u8]) {
    let envelope = |body: &[u8]| Request {
        method: "POST".to_owned(),
        host: "graph.microsoft.com".to_owned(),
        target: "/v1.0/$batch".to_owned(),
        headers: Headers::default(),
        body: body.to_vec().into(),
    };
    // What Graph would answer is read of the same bytes.
    for (id, response) in batch::answers(bytes) {
        assert_eq!(id.to_lowercase(), id);
        assert!((100..1000).contains(&response.status));
    }
    let parts = match batch::parts(&envelope(bytes)) {
        Ok(parts) => parts,
        Err(fault) => return super::messages::is_told_on_one_line(&fault),
    };
    let ids: HashSet<String> = parts.iter().map(|part| part.id.to_lowercase()).collect();
    assert_eq!(ids.len(), parts.len());
    let order = batch::order(&parts);
    for (at, number) in order.iter().enumerate() {
        assert!(parts[*number].depends_on.iter().all(|on| order[..at].contains(on)));
    }
    let all: Vec<usize> = (0..parts.len()).collect();
    assert_eq!(batch::parts(&envelope(&batch::only(bytes, &all))).as_ref(), Ok(&parts));
    for (number, part) in parts.iter().enumerate() {
        let alone = batch::parts(&envelope(&batch::only(bytes, &[number]))).expect("a part of a batch is one");
        assert_eq!(alone, [Part { depends_on: Vec::new(), ..part.clone() }]);
    }
    answered(&parts);
    taped(envelope(bytes), bytes);
}

/// Takes each part to tape, where the same bytes hold its answer: a cassette can hold it.
fn taped(request: Request, answers: &[u8]) {
    let response = Response { status: 200, headers: Headers::default(), body: answers.to_vec().into() };
    let exchanges = batch::exchanges(&Exchange { request, response, took: None }).expect("it is a batch");
    for exchange in exchanges {
        let taped = scribe::tape_exchange(exchange, &SECRETS);
        let row = row::write(&taped).expect("what came in a batch can be kept");
        assert_eq!(row::read(&row).as_ref(), Ok(&taped));
    }
}

/// Answers each part with what it asked.
fn answered(parts: &[Part]) {
    let echo = |part: &Part| {
        let kind = part.request.headers.get("content-type").map(|kind| ("content-type", kind.to_owned()));
        let response = Response { status: 200, headers: kind.into_iter().collect(), body: part.request.body.clone() };
        (part.id.clone(), response)
    };
    let said: Vec<_> = parts.iter().map(echo).collect();
    let heard = batch::answers(&batch::envelope(&said));
    for (id, response) in said {
        let heard = &heard[&id.to_lowercase()];
        assert_eq!((heard.status, &heard.headers), (response.status, &response.headers));
        let json = |body: &[u8]| serde_json::from_slice::<Value>(body).ok();
        // JSON is spelled anew in an envelope.
        let same =
            heard.body == response.body || (json(&heard.body).is_some() && json(&heard.body) == json(&response.body));
        let is_json =
            response.headers.get("content-type").is_none_or(|kind| kind.to_ascii_lowercase().contains("json"));
        assert!(same || (is_json && json(&response.body).is_none()), "{heard:?} is not {response:?}");
    }
}
