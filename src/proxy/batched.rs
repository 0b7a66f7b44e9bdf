//! The requests in a batch, each answered on its own, and the envelope made anew.

use super::front::Front;
use super::refusal::{self, CLIENT_REQUEST_ID, Fault, marked};
use super::troubled::{self, Client};
use crate::session::Target;
use crate::session::auto::Auto;
use crate::session::replay::Player;
use crate::tape::batch::{self, Part};
use crate::tape::exchange;
use crate::wire::message::{self, Body, Read};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::request::Parts;
use http::{Request, Response};

/// The answers to the parts of a batch, in the order of the parts; `answer` is asked in an order in which each comes after
/// those that it depends on, and not where one of these failed.
pub fn play(parts: &[Part], mut answer: impl FnMut(&Part) -> exchange::Response) -> Vec<(String, exchange::Response)> {
    let mut answers: Vec<Option<exchange::Response>> = vec![None; parts.len()];
    for number in batch::order(parts) {
        let part = &parts[number];
        let failed = |on: &usize| answers[*on].as_ref().is_none_or(|answer| answer.status >= 400);
        let response = if part.depends_on.iter().any(failed) { batch::failed_dependency() } else { answer(part) };
        answers[number] = Some(response);
    }
    let named = parts.iter().zip(answers).map(|(part, answer)| (part.id.clone(), answer));
    named.map(|(id, answer)| (id, answer.unwrap_or_else(batch::failed_dependency))).collect()
}

/// What a player says to a part: a fault on demand, the recorded answer, or the miss as Graph would put an error.
/// `slowest` becomes how long it takes, where that is longer.
pub fn told(player: &Player, part: &Part, client: Option<&Client>, slowest: &mut u64) -> exchange::Response {
    let request = player.taped(part.request.clone());
    if let Some(struck) = client.and_then(|client| client.struck_part(player, &request, own_mark(part))) {
        return struck;
    }
    match player.answer(&request) {
        Ok(played) => {
            *slowest = player.latency(&request, &played).max(*slowest);
            message::owned(played.response)
        }
        Err(miss) => {
            let (status, body) = refusal::error(&Fault::Miss(miss), None);
            let headers = [("content-type", "application/json".to_owned())].into_iter().collect();
            exchange::Response { status: status.as_u16(), headers, body: body.into() }
        }
    }
}

/// The mark of a call that a part has of its own.
fn own_mark(part: &Part) -> Option<&str> {
    part.request.headers.get(CLIENT_REQUEST_ID.as_str())
}

/// A batch that a client asks.
pub struct Asked {
    /// The head of its request.
    pub head: Parts,
    /// Its body, decoded.
    pub body: Bytes,
    /// The requests in it.
    pub parts: Vec<Part>,
    /// The client, where that matters.
    pub client: Option<Client>,
}

/// Plays the parts that are on tape, and asks Graph for the others, in one batch.
pub async fn play_or_record(
    auto: &Auto,
    asked: Asked,
    target: &Target,
    front: &Front,
    mark: Option<&HeaderValue>,
) -> Result<Response<Body>, Fault> {
    let Asked { mut head, body, parts, client } = asked;
    let mut slowest = 0;
    let find = |part: &Part| {
        let request = auto.player.taped(part.request.clone());
        let client = client.as_ref().filter(|_| auto.player.has(&request));
        if let Some(struck) = client.and_then(|it| it.struck_part(&auto.player, &request, own_mark(part))) {
            return Some(struck);
        }
        let played = auto.player.find(&request).ok()?;
        slowest = auto.player.latency(&request, &played).max(slowest);
        Some(message::owned(played.response))
    };
    let mut answers: Vec<Option<exchange::Response>> = parts.iter().map(find).collect();
    troubled::wait(slowest).await;
    let missing: Vec<usize> = (0..parts.len()).filter(|number| answers[*number].is_none()).collect();
    if !missing.is_empty() {
        let all = missing.len() == parts.len();
        let left = if all { body } else { batch::only(&body, &missing).into() };
        head.headers.remove(CONTENT_ENCODING);
        head.headers.remove(CONTENT_LENGTH);
        let response = auto.recorder.answer(Request::from_parts(head, message::full(left)), target).await?;
        if all || !response.status().is_success() {
            return Ok(response);
        }
        let (head, body) = response.into_parts();
        let limit = front.body_limit.bytes;
        let Read::Whole(bytes) = message::read(body, limit, front.patience).await.map_err(Fault::Client)? else {
            return Err(Fault::TooLarge(limit));
        };
        let said = message::owned_response(&head, &bytes, limit).map_err(Fault::Coding)?;
        let mut said = batch::answers(&said.body);
        for number in missing {
            answers[number] = said.remove(&parts[number].id.to_lowercase());
        }
    }
    let answers = parts.into_iter().zip(answers).filter_map(|(part, answer)| Some((part.id, answer?)));
    Ok(spoken(&answers.collect::<Vec<_>>(), mark))
}

/// The envelope with these answers, as it goes to the client.
pub fn spoken(answers: &[(String, exchange::Response)], mark: Option<&HeaderValue>) -> Response<Body> {
    let mut response = Response::new(message::full(batch::envelope(answers)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    marked(response, HeaderValue::from_static("replay; batch"), mark)
}
