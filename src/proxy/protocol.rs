//! HTTP/1 or HTTP/2 on one stream, within its limits and to its end; what a request means is not known here.

use super::activity::{Activity, Counted, Taken};
use super::framed::{Framed, Refused, Shortcut};
use super::front::Limits;
use super::outgoing::Outgoing;
use super::preface::Prefixed;
use super::refusal::{self, Fault};
use super::seldom::Seldom;
use crate::wire::framing::{self, Again};
use crate::wire::message::Body;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::pin::Pin;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};

/// What a client is read from and written to.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// A stream of any kind: one type, so that HTTP and TLS are compiled once and not for each kind.
pub type Stream = Box<dyn Duplex>;

/// An answer under way.
pub type Answered = Pin<Box<dyn Future<Output = Result<Response<Body>, Abandoned>> + Send>>;

/// A request that gets no answer: its connection ends, or over HTTP/2 its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request is left without an answer on demand")]
pub struct Abandoned;

/// The version that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 and HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Who answers the requests of a connection.
pub trait Service: Send + Sync + 'static {
    /// Answers one; it is the connection's request of this number, from 1.
    fn answer(self: Arc<Self>, request: Request<Incoming>, number: u64) -> Answered;

    /// Whether there is any that it might answer at once.
    fn may_recall(&self) -> bool;

    /// Appends the answer to a request of HTTP/1.1, as it goes to the client, if it can be given at once: its fields came
    /// before.
    fn recall(&self, request: &Again<'_>, answer: &mut Outgoing) -> bool;
}

/// What a connection answers without reading it anew, up to its last request but one.
struct AtOnce<S> {
    service: Arc<S>,
    activity: Arc<Activity>,
    most: u64,
}

impl<S: Service> Shortcut for AtOnce<S> {
    fn taken(&self) -> u64 {
        self.activity.taken()
    }

    fn may_answer(&self) -> bool {
        self.service.may_recall()
    }

    fn answer(&self, request: &Again<'_>, answer: &mut Outgoing) -> bool {
        // The last one is told that it is.
        let answered = self.activity.asked() + 1 < self.most && self.service.recall(request, answer);
        if answered {
            self.activity.pass();
        }
        answered
    }
}

/// Serves the requests of a stream until its client leaves, its limits are reached, or `ended` is ready; those that are
/// being answered then are answered to their end.
pub async fn serve(
    stream: Stream,
    version: Version,
    limits: &Limits,
    ended: impl Future<Output = ()>,
    answers: Arc<impl Service>,
) {
    let activity = Arc::new(Activity::default());
    let stream = Counted::new(stream, Arc::clone(&activity));
    let most = limits.requests_per_connection;
    let service = |refused: Refused| {
        let (activity, answers) = (Arc::clone(&activity), Arc::clone(&answers));
        service_fn(move |request| {
            let asked = activity.ask();
            asked.spend(most);
            let answering = Arc::clone(&answers).answer(request, asked.number());
            let (refused, activity) = (refused.clone(), Arc::clone(&activity));
            async move {
                let answer = unless_refused(&refused, asked.number(), answering).await?;
                Ok::<_, Abandoned>(answer.map(|body| Taken::new(body, activity)))
            }
        })
    };
    let outcome = match version {
        Version::Http1 => {
            let at_once = AtOnce { service: Arc::clone(&answers), activity: Arc::clone(&activity), most };
            let framed = Framed::new(stream, limits.head, limits.header_timeout, Box::new(at_once));
            let service = service(framed.refused());
            let connection = http1(limits).serve_connection(TokioIo::new(framed), service).with_upgrades();
            drive(Box::pin(connection), |it| it.graceful_shutdown(), limits, &activity, ended).await
        }
        Version::Http2 => {
            let connection = http2(limits).serve_connection(TokioIo::new(stream), service(Refused::default()));
            drive(Box::pin(connection), |it| it.graceful_shutdown(), limits, &activity, ended).await
        }
    };
    if let Err(fault) = outcome {
        tracing::debug!("a connection ended early: {fault}");
    }
}

/// The stream on which HTTP is spoken no more after an upgrade. What read HTTP/1 on it is taken off again: else each byte
/// of a tunnel would go through it.
pub fn upgraded(upgraded: Upgraded) -> Stream {
    match upgraded.downcast::<TokioIo<Framed<Counted<Stream>>>>() {
        Ok(Parts { io, read_buf, .. }) => {
            let (stream, held) = io.into_inner().into_parts();
            let (stream, seen) = (stream.into_inner(), [&*read_buf, &*held].concat());
            if seen.is_empty() { stream } else { Box::new(Prefixed::new(seen, stream)) }
        }
        // In HTTP/2 a tunnel is one stream of many.
        Err(upgraded) => Box::new(TokioIo::new(upgraded)),
    }
}

/// The answer to a request, or its refusal: how a request is framed may turn out before it is answered, or meanwhile.
async fn unless_refused(refused: &Refused, number: u64, answering: Answered) -> Result<Response<Body>, Abandoned> {
    let refuse = |why: &framing::Fault| {
        let mut response = refusal::refuse(&Fault::Framing(why.clone()), None);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    };
    if let Some(why) = refused.why(number) {
        return Ok(refuse(why));
    }
    let answer = answering.await;
    refused.why(number).map_or(answer, |why| Ok(refuse(why)))
}

// No Date header is added: a replay gives the same bytes whenever it runs.

fn http1(limits: &Limits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // How long a head and a silence may last is kept elsewhere, for both versions alike.
    builder.timer(TokioTimer::new()).header_read_timeout(None).auto_date_header(false);
    // Within hyper's own limit of 100 there is no allocation for headers.
    if limits.head.headers > 100 {
        builder.max_headers(limits.head.headers);
    }
    builder.max_buf_size(limits.head.bytes.max(64 * 1024));
    builder
}

fn http2(limits: &Limits) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.timer(TokioTimer::new()).auto_date_header(false);
    builder.max_header_list_size(u32::try_from(limits.head.bytes).unwrap_or(u32::MAX));
    builder
}

/// Drives a connection to its end, and towards it when it is time. It is in a box: else each step on its way would have
/// room for all of it.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<Box<C>>,
    end: fn(Pin<&mut C>),
    limits: &Limits,
    activity: &Activity,
    ended: impl Future<Output = ()>,
) -> hyper::Result<()> {
    let over = Seldom::new(async {
        tokio::select! {
            () = ended => {}
            () = activity.spent() => {}
            () = activity.quiet(limits.idle_timeout) => {}
        }
    });
    tokio::select! {
        biased;
        outcome = connection.as_mut() => return outcome,
        () = over => {}
    }
    end(connection.as_mut());
    // What is under way goes on to its end, unless its client has stopped taking it.
    tokio::select! {
        outcome = connection => outcome,
        () = activity.quiet(limits.idle_timeout) => Ok(()),
    }
}
