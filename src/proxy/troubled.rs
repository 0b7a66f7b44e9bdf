//! Faults on demand, as the client meets them.

use super::front::Front;
use super::refusal::DECK;
use crate::session::replay::Player;
use crate::session::trouble::{Asked, Fault};
use crate::tape::exchange::{self, Taped};
use crate::tape::faults::{Coming, Kind};
use crate::tape::graph_error::{self, Ids};
use crate::tape::throttle::Caller;
use crate::wire::message::{self, Body};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Frame;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// What becomes of a request's connection in place of an answer; an extension of one that is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It is reset.
    Reset,
    /// Nothing comes of it.
    Stall,
}

/// The client of a request.
#[derive(Clone, Debug)]
pub struct Client {
    caller: Caller,
    /// When it asks, in milliseconds since the deck began.
    now: u64,
    /// Its mark of the call.
    mark: Option<String>,
}

impl Client {
    /// The client of a request that is to be played, with its mark of the call; none where no trouble is asked for.
    pub fn of(front: &Front, player: &Player, request: &exchange::Request, mark: Option<&HeaderValue>) -> Option<Self> {
        let trouble = player.trouble();
        let caller = || Caller::of(request.headers.get("authorization"));
        trouble.is_any().then(|| Self {
            caller: if trouble.throttles() { caller() } else { Caller::default() },
            now: u64::try_from(front.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            mark: mark.and_then(|mark| mark.to_str().ok()).map(str::to_owned),
        })
    }

    /// What a request of this client gets in place of its answer, if it gets a fault.
    pub fn struck(&self, player: &Player, request: &Taped<exchange::Request>) -> Option<Response<Body>> {
        self.response(player, request, Coming::Alone)
    }

    /// The same for a batch as a whole.
    pub fn struck_batch(&self, player: &Player, request: &Taped<exchange::Request>) -> Option<Response<Body>> {
        self.response(player, request, Coming::Batch)
    }

    /// The same for a request in a batch, which has a mark of its own at most.
    pub fn struck_part(
        &self,
        player: &Player,
        request: &Taped<exchange::Request>,
        mark: Option<&str>,
    ) -> Option<exchange::Response> {
        let fault = self.fault(player, request, Coming::Part)?;
        error(&fault, request, mark.or(self.mark.as_deref()))
    }

    fn response(&self, player: &Player, request: &Taped<exchange::Request>, coming: Coming) -> Option<Response<Body>> {
        let fault = self.fault(player, request, coming)?;
        let mut response = match fault.kind {
            Kind::Error(_) => message::to_http(error(&fault, request, self.mark.as_deref())?),
            Kind::Truncate => truncated(request),
            Kind::Reset | Kind::Stall => Response::new(message::empty()),
        };
        match fault.kind {
            Kind::Reset => drop(response.extensions_mut().insert(Effect::Reset)),
            Kind::Stall => drop(response.extensions_mut().insert(Effect::Stall)),
            Kind::Error(_) | Kind::Truncate => {}
        }
        response.headers_mut().insert(DECK, HeaderValue::try_from(told(&fault)).expect("digits make a header"));
        Some(response)
    }

    fn fault(&self, player: &Player, request: &Taped<exchange::Request>, coming: Coming) -> Option<Fault> {
        let (method, path) = (request.method.as_str(), request.path());
        player.strike(request, Asked { method, path, coming, caller: self.caller, now: self.now })
    }
}

/// Lets the time pass that an answer takes.
pub async fn wait(millis: u64) {
    if millis > 0 {
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

/// What a faulted answer says of itself.
fn told(fault: &Fault) -> String {
    fault.rule.map_or_else(|| "fault; throttle".to_owned(), |rule| format!("fault; rule={rule}"))
}

fn error(fault: &Fault, request: &exchange::Request, mark: Option<&str>) -> Option<exchange::Response> {
    let Kind::Error(error) = fault.kind else { return None };
    let mut response = graph_error::response(error, request, Ids { request: &fault.request_id, client: mark });
    response.headers.push(DECK.as_str(), told(fault));
    Some(response)
}

/// An answer of which only the begin comes.
fn truncated(request: &exchange::Request) -> Response<Body> {
    let version = request.path().split('/').find(|segment| !segment.is_empty()).unwrap_or("v1.0");
    let begin = format!("{{\"@odata.context\":\"https://{}/{version}/$metadata#", request.host);
    let whole = begin.len() * 4;
    let mut response = Response::new(message::other(Cut { begin: Some(begin.into()), given: false }));
    *response.status_mut() = if request.method == "POST" { StatusCode::CREATED } else { StatusCode::OK };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, whole.into());
    response
}

/// A body that ends before the length that was told.
struct Cut {
    begin: Option<Bytes>,
    /// Whether there was time to send the begin.
    given: bool,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Some(begin) = self.begin.take() {
            return Poll::Ready(Some(Ok(Frame::data(begin))));
        }
        if !self.given {
            self.given = true;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(None)
    }
}
