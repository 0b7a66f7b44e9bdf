//! Why a request gets no answer of Graph's, and how Graph would say so.

use crate::session::{missed, record, sessions};
use crate::tape::miss::Miss;
use crate::tape::{batch, graph};
use crate::wire::coding;
use crate::wire::framing;
use crate::wire::message::{self, Body, Broken};
use crate::wire::upstream;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

/// The header by which a client can tell what the deck did.
pub const DECK: HeaderName = HeaderName::from_static("x-graphdeck");
/// The header by which a client marks a call; Graph sends it back.
pub const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

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
    /// It is no batch that Graph would take.
    #[error(transparent)]
    Batch(#[from] batch::Fault),
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

/// An answer with what the deck did, and with the mark of the client's call.
#[must_use]
pub fn marked(mut response: Response<Body>, told: HeaderValue, mark: Option<&HeaderValue>) -> Response<Body> {
    response.headers_mut().insert(DECK, told);
    if let Some(mark) = mark {
        response.headers_mut().insert(CLIENT_REQUEST_ID, mark.clone());
    }
    response
}

/// A fault as Graph would put it, so that SDKs show its message.
#[must_use]
pub fn refuse(fault: &Fault, mark: Option<HeaderValue>) -> Response<Body> {
    message::held(refused(fault, mark))
}

/// The same, with its body at hand.
pub fn refused(fault: &Fault, mark: Option<HeaderValue>) -> Response<Bytes> {
    let (status, body) = error(fault, mark.as_ref());
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(DECK, HeaderValue::from_static(fault.kind()));
    if let Some(mark) = mark {
        headers.insert(CLIENT_REQUEST_ID, mark);
    }
    response
}

/// The status and the body by which Graph would tell a fault; the log tells it too.
pub fn error(fault: &Fault, mark: Option<&HeaderValue>) -> (StatusCode, Vec<u8>) {
    match fault {
        Fault::Miss(miss) => tracing::warn!("miss: {miss}"),
        _ => tracing::warn!("{}: {fault}", fault.kind()),
    }
    let mut inner = match fault {
        Fault::Miss(miss) => miss_details(miss),
        _ => Vec::new(),
    };
    if let Some(mark) = mark.and_then(|mark| mark.to_str().ok()) {
        inner.push(("client-request-id", json!(mark)));
    }
    (fault.status(), graph::error_body(fault.code(), &fault.to_string(), &inner))
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
            Self::BadRequest(_) | Self::Batch(_) | Self::Coding(_) | Self::Client(_) | Self::Session(_) => {
                StatusCode::BAD_REQUEST
            }
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
            // As Graph calls it.
            Self::Batch(_) => "BadRequest",
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
