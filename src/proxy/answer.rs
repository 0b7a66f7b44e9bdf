//! One request in, one response out.

use super::batched;
use super::front::Front;
use super::refusal::{CLIENT_REQUEST_ID, Fault, marked, refuse};
use super::troubled::{self, Client};
use crate::session::auto::Auto;
use crate::session::replay::Player;
use crate::session::{HostKind, Session, Target};
use crate::tape::exchange::{self, Taped};
use crate::tape::playing::Answer;
use crate::tape::reading_cache::RawRequest;
use crate::tape::{batch, sign_in};
use crate::wire::message::{self, Body, Read};
use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, Uri};

/// What the deck says that it did when it plays an exchange, whose number follows.
pub const PLAYED: &str = "replay; exchange=";

/// Answers a request that is for `target`.
pub async fn answer(front: &Front, session: &Session, request: Box<Request<Body>>, target: &Target) -> Response<Body> {
    let mark = request.headers().get(&CLIENT_REQUEST_ID).cloned();
    let outcome = match session {
        // Boxed, so that an answer from tape is not as large under way as one from Graph.
        Session::Record(recorder) => Box::pin(recorder.answer(*request, target)).await.map_err(Fault::from),
        Session::Replay(player) => replay(player, request, target, front, mark.as_ref()).await,
        Session::Auto(auto) => Box::pin(play_or_record(auto, *request, target, front, mark.as_ref())).await,
    };
    outcome.unwrap_or_else(|fault| refuse(&fault, mark))
}

async fn replay(
    player: &Player,
    mut request: Box<Request<Body>>,
    target: &Target,
    front: &Front,
    mark: Option<&HeaderValue>,
) -> Result<Response<Body>, Fault> {
    let (limit, patience) = (front.body_limit, front.patience);
    let body = std::mem::replace(request.body_mut(), message::empty());
    let body = match message::read(body, limit.bytes, patience).await.map_err(Fault::Client)? {
        Read::Whole(bytes) => bytes,
        Read::TooLarge(_) => return Err(Fault::TooLarge(limit.bytes)),
    };
    let raw = raw(player, (request.method(), request.uri(), request.headers()), target, &body);
    if let Some(recalled) = raw.and_then(|raw| player.recall(&raw, |_| Response::default())) {
        return recalled.map(|played| spoken(played, mark)).map_err(Fault::Miss);
    }
    // Boxed, so that what is recalled is not as large under way.
    Box::pin(anew(player, *request, &body, target, front, mark)).await
}

/// Answers a request that was not recalled.
async fn anew(
    player: &Player,
    request: Request<Body>,
    body: &Bytes,
    target: &Target,
    front: &Front,
    mark: Option<&HeaderValue>,
) -> Result<Response<Body>, Fault> {
    let (head, _) = request.into_parts();
    let raw = raw(player, (&head.method, &head.uri, &head.headers), target, body);
    let request = message::owned_request(&head, &target.host, body, front.body_limit).map_err(Fault::Coding)?;
    if target.kind == HostKind::SignIn
        && front.sign_in.offline
        && let Some(response) = sign_in::answer(&request)
    {
        return Ok(marked(message::to_http(response), HeaderValue::from_static("sign-in"), mark));
    }
    let client = Client::of(front, player, &request, mark).filter(|_| target.kind == HostKind::Graph);
    if target.kind == HostKind::Graph && batch::is_batch(&request.method, request.path()) {
        let parts = batch::parts(&request)?;
        if let Some(struck) = client.as_ref().and_then(|it| it.struck_batch(player, &player.taped(request))) {
            return Ok(struck);
        }
        let mut slowest = 0;
        let answers = batched::play(&parts, |part| batched::told(player, part, client.as_ref(), &mut slowest));
        troubled::wait(slowest).await;
        return Ok(batched::spoken(&answers, mark));
    }
    let request = player.taped(request);
    if let Some(struck) = client.and_then(|client| client.struck(player, &request)) {
        return Ok(struck);
    }
    let played = player.answer_raw(&request, raw.as_ref()).map_err(Fault::Miss)?;
    troubled::wait(player.latency(&request, &played)).await;
    Ok(spoken(played, mark))
}

/// How a request came, where its like may be answered without a long way.
fn raw<'a>(
    player: &Player,
    (method, uri, headers): (&'a Method, &'a Uri, &'a HeaderMap),
    target: &'a Target,
    body: &'a [u8],
) -> Option<RawRequest<'a>> {
    let path = uri.path_and_query().map_or("", PathAndQuery::as_str);
    let plain = player.trouble().is_none() && !headers.contains_key(CONTENT_ENCODING) && path.starts_with('/');
    (plain && target.kind == HostKind::Graph).then(|| RawRequest {
        method: method.as_str(),
        host: &target.host,
        target: path,
        content_type: headers.get(CONTENT_TYPE).map_or(b"", HeaderValue::as_bytes),
        body,
    })
}

/// Plays what is on tape, and asks for the rest; a request to a host that is not Graph's is never on tape.
async fn play_or_record(
    auto: &Auto,
    request: Request<Body>,
    target: &Target,
    front: &Front,
    mark: Option<&HeaderValue>,
) -> Result<Response<Body>, Fault> {
    if target.kind != HostKind::Graph {
        return Ok(auto.recorder.answer(request, target).await?);
    }
    let (limit, patience) = (front.body_limit, front.patience);
    let (head, body) = request.into_parts();
    let body = match message::read(body, limit.bytes, patience).await.map_err(Fault::Client)? {
        Read::Whole(bytes) => {
            // What cannot be decoded is not on tape.
            if let Ok(request) = message::owned_request(&head, &target.host, &bytes, limit) {
                if batch::is_batch(&request.method, request.path())
                    && let Ok(parts) = batch::parts(&request)
                {
                    let client = Client::of(front, &auto.player, &request, mark);
                    let asked = batched::Asked { head, body: request.body, parts, client };
                    return batched::play_or_record(auto, asked, target, front, mark).await;
                }
                let client = Client::of(front, &auto.player, &request, mark);
                let request = auto.player.taped(request);
                if let Some(answered) = played(&auto.player, &request, client, mark).await {
                    return Ok(answered);
                }
                if let Some(id) = auto.old_id(&request) {
                    warn_of_old_id(&id, &request);
                }
            }
            message::full(bytes)
        }
        Read::TooLarge(body) => body,
    };
    Ok(auto.recorder.answer(Request::from_parts(head, body), target).await?)
}

/// What a player says to a request that is on tape, if it is; a fault on demand strikes no other.
async fn played(
    player: &Player,
    request: &Taped<exchange::Request>,
    client: Option<Client>,
    mark: Option<&HeaderValue>,
) -> Option<Response<Body>> {
    let client = client.filter(|_| player.has(request));
    if let Some(struck) = client.and_then(|client| client.struck(player, request)) {
        return Some(struck);
    }
    let played = player.find(request).ok()?;
    troubled::wait(player.latency(request, &played)).await;
    Some(spoken(played, mark))
}

/// Says that Graph is asked about what the tape told of: it may have forgotten it since.
fn warn_of_old_id(id: &str, request: &exchange::Request) {
    let (method, url) = (&request.method, request.url());
    tracing::warn!(
        "{method} {url} goes to Graph with {id}, which is from the tape: if Graph knows it no more, record all anew with `graphdeck record`"
    );
}

/// An answer from tape as it goes to the client, with the mark of the client's call.
fn spoken(played: Answer, mark: Option<&HeaderValue>) -> Response<Body> {
    let told = [PLAYED, itoa::Buffer::new().format(played.exchange)].concat();
    let told = HeaderValue::try_from(told).expect("digits make a header");
    marked(message::held(played.response), told, mark)
}
