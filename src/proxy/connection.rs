//! One connection: its first bytes, TLS where it is spoken, and the requests inside, tunnels included.

use super::answer;
use super::control;
use super::fields;
use super::forward::{self, Connect};
use super::front::Front;
use super::naming;
use super::outgoing::Outgoing;
use super::preface::{self, Opening};
use super::protocol::{self, Abandoned, Answered, Service, Stream, Version};
use super::refusal::{self, Fault};
use super::resetting::Reset;
use super::reverse::{self, Via};
use super::seldom::Seldom;
use super::shortcut::{self, Road};
use super::troubled::Effect;
use crate::session::sessions::Name;
use crate::session::{HostKind, Session};
use crate::wire::framing::Again;
use crate::wire::message::{self, Body};
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_rustls::LazyConfigAcceptor;

/// How far the deck is with its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ending {
    /// It serves.
    No,
    /// It lets the exchanges under way finish.
    Soon,
    /// It waits no longer.
    Now,
}

/// What a connection needs besides its stream.
#[derive(Clone)]
pub struct Context {
    /// What all connections share.
    pub front: Arc<Front>,
    /// How far the deck is with its end; it waits until nobody holds this any more.
    pub ending: watch::Receiver<Ending>,
    /// The address at which the client came in.
    pub local: SocketAddr,
    /// The session that the client named when it came in.
    pub session: Name,
    /// Asks for the reset of its socket.
    pub reset: Reset,
    /// Its place among the connections at once, kept until nothing of it is left.
    pub place: Arc<OwnedSemaphorePermit>,
}

impl Context {
    /// Runs a task that goes on when its connection does not wait for it, and is cut off when the deck waits no longer.
    pub fn spawn(self, task: impl Future<Output = ()> + Send + 'static) {
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = task => {}
                () = Seldom::new(reached(self.ending, Ending::Now)) => {}
            }
        });
    }
}

/// Serves a connection from its first byte to its end.
pub fn serve(context: Context, stream: Stream, via: Via) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    // Boxed, because what is inside a tunnel is served by this same function.
    Box::pin(async move {
        let Some(Ok(Ok(Some((opening, stream))))) = until_ending(&context, preface::read(stream)).await else {
            return;
        };
        let stream: Stream = Box::new(stream);
        match opening {
            // A connection without TLS has no room for a handshake.
            Opening::Tls => Box::pin(serve_tls(context, stream, via)).await,
            Opening::Http2 => serve_http(context, stream, Version::Http2, via).await,
            Opening::Http1 => serve_http(context, stream, Version::Http1, via).await,
        }
    })
}

/// Waits until the deck is so far with its end.
async fn reached(mut ending: watch::Receiver<Ending>, stage: Ending) {
    // An error means that the deck has gone already.
    let _ = ending.wait_for(|ending| *ending >= stage).await;
}

/// Waits for a step of the client's, but neither too long nor when the deck is to end.
async fn until_ending<T>(context: &Context, step: impl Future<Output = T>) -> Option<Result<T, ()>> {
    tokio::select! {
        () = reached(context.ending.clone(), Ending::Soon) => None,
        outcome = tokio::time::timeout(context.front.limits.handshake_timeout, step) => Some(outcome.map_err(drop)),
    }
}

async fn serve_tls(context: Context, stream: Stream, via: Via) {
    let handshake = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), stream);
    let Some(Ok(Ok(start))) = until_ending(&context, handshake).await else { return };
    let named = start.client_hello().server_name().map(str::to_ascii_lowercase);
    let Some((host, via)) = certified(&context, named.as_deref(), via) else {
        tracing::warn!("refused TLS for {}: it is no host of Graph", named.unwrap_or_default());
        return;
    };
    let config = match context.front.authority.server_config(&host) {
        Ok(config) => config,
        Err(fault) => return tracing::warn!("{fault}"),
    };
    match until_ending(&context, start.into_stream(config)).await {
        Some(Ok(Ok(stream))) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve_http(context, Box::new(stream), if http2 { Version::Http2 } else { Version::Http1 }, via).await;
        }
        Some(Ok(Err(fault))) => {
            tracing::warn!("TLS with a client that asked for {host} failed: {fault} (does it trust `graphdeck ca`?)");
        }
        _ => {}
    }
}

/// The host whose certificate is shown, and whom requests are then for.
fn certified(context: &Context, named: Option<&str>, via: Via) -> Option<(String, Via)> {
    let hosts = &context.front.hosts;
    match (via, named) {
        (Via::As(target), _) => Some((super::front::split_port(&target.host).0.to_owned(), Via::As(target))),
        (Via::Own, None) => Some((context.local.ip().to_canonical().to_string(), Via::Own)),
        (Via::Own, Some("localhost")) => Some(("localhost".to_owned(), Via::Own)),
        (Via::Own, Some(name)) => {
            let opened = context.front.opens(hosts.kind(name));
            opened.then(|| (name.to_owned(), Via::As(hosts.target(name, true))))
        }
    }
}

async fn serve_http(context: Context, stream: Stream, version: Version, via: Via) {
    let front = Arc::clone(&context.front);
    let ended = reached(context.ending.clone(), Ending::Soon);
    let connection = Connection { context, via, road: Mutex::default(), has_road: AtomicBool::new(false) };
    protocol::serve(stream, version, &front.limits, ended, Arc::new(connection)).await;
}

/// A connection on which HTTP is spoken.
struct Connection {
    context: Context,
    via: Via,
    /// Where the fields of its last request lead.
    road: Mutex<Option<Road>>,
    /// Whether there is one: where Graph is asked there never is.
    has_road: AtomicBool,
}

impl Connection {
    /// Notes the road of a request, by its number, if it is one for others too.
    fn note(&self, at: Option<(u64, u64)>, road: impl FnOnce((u64, u64), Option<Road>) -> Option<Road>) {
        if let Some(at) = at {
            let mut noted = self.road.lock().unwrap_or_else(PoisonError::into_inner);
            *noted = road(at, noted.take());
            self.has_road.store(noted.is_some(), Ordering::Relaxed);
        }
    }
}

impl Service for Connection {
    fn answer(self: Arc<Self>, request: Request<Incoming>, number: u64) -> Answered {
        // In a box from the beginning: else each step on its way would have room for all of it.
        let request = Box::new(request.map(message::streaming));
        Box::pin(async move { answered(&self, request, number).await })
    }

    fn may_recall(&self) -> bool {
        self.has_road.load(Ordering::Relaxed)
    }

    fn recall(&self, request: &Again<'_>, answer: &mut Outgoing) -> bool {
        let road = self.road.lock().unwrap_or_else(PoisonError::into_inner);
        road.as_ref().is_some_and(|road| road.recall(&self.context.front, request, answer))
    }
}

async fn answered(
    connection: &Connection,
    request: Box<Request<Body>>,
    number: u64,
) -> Result<Response<Body>, Abandoned> {
    let context = &connection.context;
    let is_connect = request.method() == Method::CONNECT;
    // Over HTTP/2 it is the request's stream that is reset: the connection belongs to others too.
    let of_its_own = request.version() < http::Version::HTTP_2;
    let (mut response, doubtful) = match reverse::check_host(&request).and_then(|()| fields::check(&request)) {
        Ok(()) => (dispatch(connection, request, number).await, false),
        Err(fault) => (refusal::refuse(&fault, None), true),
    };
    // What follows a CONNECT is not read as HTTP, whatever the answer.
    if doubtful || (is_connect && !response.status().is_success()) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    match response.extensions().get::<Effect>() {
        None => return Ok(response),
        Some(Effect::Reset) if of_its_own => context.reset.ask(),
        Some(Effect::Stall) => {
            drop(response);
            Box::pin(reached(context.ending.clone(), Ending::Soon)).await;
        }
        Some(_) => {}
    }
    Err(Abandoned)
}

async fn dispatch(connection: &Connection, mut request: Box<Request<Body>>, number: u64) -> Response<Body> {
    let Connection { context, via, .. } = connection;
    if control::is_for_us(via, context.local, &request) {
        return Box::pin(control::answer(&context.front, context.local, *request)).await;
    }
    // Before a session that its path may name is taken out of that.
    let is_graphs = shortcut::is_graphs(request.uri().path());
    let is_connect = request.method() == Method::CONNECT;
    let origin_form = request.version() >= http::Version::HTTP_2 || request.uri().scheme().is_none();
    let own_address = *via == Via::Own && !is_connect && origin_form;
    if own_address {
        let hosts = &context.front.hosts;
        let known = |name: &str| hosts.kind(name) != HostKind::Other;
        if let Some(refusal) = control::refuse_page(&request, known) {
            return refusal;
        }
    }
    let named = naming::by_proxy(request.headers())
        .and_then(|by_proxy| Ok(naming::take(&mut request, own_address)?.or(by_proxy)));
    let named = match named {
        Ok(named) => named,
        Err(fault) => return refusal::refuse(&fault, None),
    };
    let name = named.as_ref().unwrap_or(&context.session);
    // Counted before: what changes meanwhile is seen by the next request.
    let changes = context.front.sessions.changes();
    let session = match context.front.sessions.get(name).await {
        Ok(session) => session,
        Err(fault) => return refusal::refuse(&Fault::from(fault), None),
    };
    if is_connect {
        return Box::pin(connect(Context { session: name.clone(), ..context.clone() }, &session, *request)).await;
    }
    let begins = is_graphs && matches!(*session, Session::Replay(_)) && shortcut::begins(&request);
    ask(connection, &session, request, begins.then_some((number, changes))).await
}

/// Answers a request in a session, and notes the road that those with the same fields may go.
async fn ask(
    connection: &Connection,
    session: &Arc<Session>,
    request: Box<Request<Body>>,
    road: Option<(u64, u64)>,
) -> Response<Body> {
    let Connection { context, via, .. } = connection;
    let front = &context.front;
    let in_absolute_form =
        *via == Via::Own && request.version() < http::Version::HTTP_2 && request.uri().scheme().is_some();
    let target =
        if in_absolute_form { forward::absolute(front, request.uri()) } else { reverse::target(front, via, &request) };
    match target {
        Ok(target) => {
            let headers = request.headers();
            connection.note(road, |at, before| Road::of(at, session, &target, headers, before));
            answer::answer(front, session, request, &target).await
        }
        Err(fault) => refuse(session, &fault),
    }
}

fn refuse(session: &Session, fault: &Fault) -> Response<Body> {
    if let Fault::Offline(host) = fault {
        session.tally().refused(host);
    }
    refusal::refuse(fault, None)
}

async fn connect(context: Context, session: &Session, mut request: Request<Body>) -> Response<Body> {
    let connect = forward::connect(&context.front, request.uri());
    let outcome = match connect {
        Ok(Connect::Open(target)) => {
            let upgrade = hyper::upgrade::on(&mut request);
            context.clone().spawn(async move {
                if let Ok(inside) = upgrade.await {
                    serve(context, protocol::upgraded(inside), Via::As(target)).await;
                }
            });
            Ok(Response::new(message::empty()))
        }
        Ok(Connect::Tunnel(authority)) => tunnel(context, session, request, &authority).await,
        Err(fault) => Err(fault),
    };
    outcome.unwrap_or_else(|fault| refuse(session, &fault))
}

/// Connects a client with a host that is not Graph's, unopened.
async fn tunnel(
    context: Context,
    session: &Session,
    mut request: Request<Body>,
    authority: &str,
) -> Result<Response<Body>, Fault> {
    let recorder = session.recorder().ok_or_else(|| Fault::Offline(authority.to_owned()))?;
    let mut outside = recorder.tunnel(authority).await?;
    let upgrade = hyper::upgrade::on(&mut request);
    context.clone().spawn(async move {
        let Ok(inside) = upgrade.await else { return };
        let mut inside = protocol::upgraded(inside);
        tokio::select! {
            () = reached(context.ending, Ending::Soon) => {}
            // Either side may end the tunnel in any way it likes.
            _ = tokio::io::copy_bidirectional(&mut inside, &mut outside) => {}
        }
    });
    Ok(Response::new(message::empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function makes.
    fn size<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_connection_takes_little_room() {
        // Neither HTTP/2 nor a handshake of TLS has room in it: with them it was 8 KB.
        let serving = size(serve_http);
        assert!(serving < 2048, "{serving} bytes");
    }
}
