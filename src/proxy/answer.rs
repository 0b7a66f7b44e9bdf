//! One request in, one response out; every fault becomes a Graph-shaped error here.

use super::front::Front;
use crate::session::auto::Auto;
use crate::session::replay::Player;
use crate::session::{HostKind, Session, Target, missed, record, sessions};
use crate::tape::miss::Miss;
use crate::tape::playing::Answer;
use crate::tape::{graph, sign_in};
use crate::wire::coding;
use crate::wire::framing;
use crate::wire::message::{self, Body, Broken, Read};
use crate::wire::upstream;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};

/// The header by which a client can tell what the deck did.
const DECK: HeaderName = HeaderName::from_static("x-graphdeck");
/// The header by which a client marks a call; Graph sends it back.
const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// Why a request gets no answer of Graph's.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing on tape answers.
    #[error("no recorded answer for {}: {}", .0.request, .0.sentence())]
    Miss(Box<Miss>),
    /// A replay would have to reach the network.
    #[error("{0} is not on tape, and a replay does not reach the network")]
    Offline(String),
    /// The session cannot be had.
    #[error(transparent)]
    Session(#[from] sessions::Fault),
    /// The request makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// It is not clear where the request ends, or its head is too much.
    #[error(transparent)]
    Framing(#[from] framing::Fault),
    /// The request's body is too large.
    #[error("the request's body is larger than {0} bytes (body_limit in config.toml)")]
    TooLarge(usize),
    /// The request's body cannot be decoded.
    #[error("the request's body cannot be read: {0}")]
    Coding(coding::Fault),
    /// The client broke off.
    #[error("the request's body broke off: {0}")]
    Client(Broken),
    /// Graph was not reached, or broke off.
    #[error("{0}")]
    Upstream(#[from] upstream::Fault),
}

impl From<record::Fault> for Fault {
    fn from(fault: record::Fault) -> Self {
        match fault {
            record::Fault::Upstream(fault) => Self::Upstream(fault),
            record::Fault::Client(fault) => Self::Client(fault),
            record::Fault::Ended => Self::BadRequest(fault.to_string()),
            record::Fault::Request(fault) => Self::BadRequest(fault.to_string()),
        }
    }
}

/// Answers a request that is for `target`.
pub async fn answer(front: &Front, session: &Session, request: Request<Body>, target: &Target) -> Response<Body> {
    let mark = request.headers().get(&CLIENT_REQUEST_ID).cloned();
    let outcome = match session {
        Session::Record(recorder) => recorder.answer(request, target).await.map_err(Fault::from),
        Session::Replay(player) => replay(player, request, target, front, mark.as_ref()).await,
        Session::Auto(auto) => play_or_record(auto, request, target, front, mark.as_ref()).await,
    };
    outcome.unwrap_or_else(|fault| refuse(&fault, mark))
}

async fn replay(
    player: &Player,
    request: Request<Body>,
    target: &Target,
    front: &Front,
    mark: Option<&HeaderValue>,
) -> Result<Response<Body>, Fault> {
    let (limit, patience) = (front.body_limit, front.patience);
    let (head, body) = request.into_parts();
    let body = match message::read(body, limit.bytes, patience).await.map_err(Fault::Client)? {
        Read::Whole(bytes) => bytes,
        Read::TooLarge(_) => return Err(Fault::TooLarge(limit.bytes)),
    };
    let request = message::owned_request(&head, &target.host, &body, limit).map_err(Fault::Coding)?;
    if target.kind == HostKind::SignIn
        && front.sign_in.offline
        && let Some(response) = sign_in::answer(&request)
    {
        return Ok(marked(message::to_http(response), HeaderValue::from_static("sign-in"), mark));
    }
    let played = player.answer(&player.taped(request)).map_err(Fault::Miss)?;
    Ok(spoken(played, mark))
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
                let request = auto.player.taped(request);
                if let Ok(played) = auto.player.find(&request) {
                    return Ok(spoken(played, mark));
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

/// Says that Graph is asked about what the tape told of: it may have forgotten it since.
fn warn_of_old_id(id: &str, request: &crate::tape::exchange::Request) {
    let (method, url) = (&request.method, request.url());
    tracing::warn!(
        "{method} {url} goes to Graph with {id}, which is from the tape: if Graph knows it no more, record all anew with `graphdeck record`"
    );
}

/// An answer from tape as it goes to the client, with the mark of the client's call.
fn spoken(played: Answer, mark: Option<&HeaderValue>) -> Response<Body> {
    let told = format!("replay; exchange={}", played.exchange);
    let told = HeaderValue::try_from(told).expect("digits make a header");
    marked(message::to_http(played.response), told, mark)
}

/// An answer with what the deck did, and with the mark of the client's call.
fn marked(mut response: Response<Body>, told: HeaderValue, mark: Option<&HeaderValue>) -> Response<Body> {
    response.headers_mut().insert(DECK, told);
    if let Some(mark) = mark {
        response.headers_mut().insert(CLIENT_REQUEST_ID, mark.clone());
    }
    response
}

/// A fault as Graph would put it, so that SDKs show its message.
#[must_use]
pub fn refuse(fault: &Fault, mark: Option<HeaderValue>) -> Response<Body> {
    match fault {
        Fault::Miss(miss) => tracing::warn!("miss: {miss}"),
        _ => tracing::warn!("{}: {fault}", fault.kind()),
    }
    let mut inner = match fault {
        Fault::Miss(miss) => miss_details(miss),
        _ => Vec::new(),
    };
    if let Some(mark) = mark.as_ref().and_then(|mark| mark.to_str().ok()) {
        inner.push(("client-request-id", json!(mark)));
    }
    let body = graph::error_body(fault.code(), &fault.to_string(), &inner);
    let mut response = Response::new(message::full(body));
    *response.status_mut() = fault.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DECK, HeaderValue::from_static(fault.kind()));
    if let Some(mark) = mark {
        headers.insert(CLIENT_REQUEST_ID, mark);
    }
    response
}

fn miss_details(miss: &Miss) -> Vec<(&'static str, Value)> {
    vec![
        ("reason", json!(miss.reason.as_str())),
        ("hints", json!(miss.hints)),
        ("nearest", json!(missed::near(miss))),
        ("wayOut", json!(miss.way_out)),
    ]
}

impl Fault {
    /// The status. SDKs repeat a request on 429, 503 and 504, so a miss is 501.
    fn status(&self) -> StatusCode {
        match self {
            Self::Miss(_) => StatusCode::NOT_IMPLEMENTED,
            Self::Offline(_) | Self::Upstream(upstream::Fault::Refused(_)) => StatusCode::FORBIDDEN,
            Self::Client(Broken::Silent(_)) => StatusCode::REQUEST_TIMEOUT,
            Self::Framing(fault) => match fault {
                framing::Fault::Ambiguous(_) => StatusCode::BAD_REQUEST,
                framing::Fault::SlowHead(_) => StatusCode::REQUEST_TIMEOUT,
                framing::Fault::HeadTooLarge(_) | framing::Fault::TooManyHeaders(_) => {
                    StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
                }
            },
            Self::TooLarge(_) | Self::Coding(coding::Fault::TooLarge(_) | coding::Fault::Expands(_)) => {
                StatusCode::PAYLOAD_TOO_LARGE
            }
            Self::BadRequest(_) | Self::Coding(_) | Self::Client(_) | Self::Session(_) => StatusCode::BAD_REQUEST,
            Self::Upstream(upstream::Fault::Silent { .. } | upstream::Fault::Stalled { .. }) => {
                StatusCode::GATEWAY_TIMEOUT
            }
            Self::Upstream(_) => StatusCode::BAD_GATEWAY,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::Miss(_) => "graphdeckMiss",
            Self::Offline(_) => "graphdeckOffline",
            Self::Upstream(upstream::Fault::Refused(_)) => "graphdeckRefused",
            Self::Upstream(_) => "graphdeckUpstream",
            _ => "graphdeckBadRequest",
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Miss(_) => "miss",
            Self::Offline(_) => "offline",
            Self::Upstream(upstream::Fault::Refused(_)) => "refused",
            Self::Upstream(_) => "upstream",
            _ => "refused",
        }
    }
}
