//! The recorder: asks Graph, answers the client untouched, and writes down what was said.

use super::tally::Tally;
use super::{HostKind, Target};
use crate::store::takes::{self, Takes};
use crate::tape::exchange::{Exchange, Request, Taped};
use crate::tape::people::People;
use crate::tape::route::Route;
use crate::tape::secrets::Secrets;
use crate::tape::{batch, graph, redact, scribe};
use crate::wire::coding;
use crate::wire::message::{self, Body, BodyLimit, Broken, Read};
use crate::wire::upstream::{self, Upstream};
use bytes::Bytes;
use http::header::{EXPECT, HOST};
use http::request::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Method, Uri};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::sync::RwLock;

/// What a recorder works with.
#[derive(Debug)]
pub struct Settings {
    /// The way to Graph.
    pub upstream: Arc<Upstream>,
    /// Where exchanges go.
    pub store: Arc<dyn Takes>,
    /// The take that they belong to.
    pub take: u64,
    /// The number of the first request: exchanges are kept in the order of these numbers.
    pub first_arrival: u64,
    /// The requests that are recorded.
    pub routes: Vec<Route>,
    /// What is never written down.
    pub secrets: Secrets,
    /// Who was met, where stand-ins take the place of people.
    pub people: Option<Arc<Mutex<People>>>,
    /// How long a client may take for the next part of a body.
    pub client_timeout: Duration,
    /// The largest body that is recorded.
    pub body_limit: BodyLimit,
    /// Whether it is kept how long Graph takes.
    pub timings: bool,
}

/// Records one program.
#[derive(Debug)]
pub struct Recorder {
    settings: Settings,
    arrivals: AtomicU64,
    /// How many exchanges that are to be recorded are under way.
    under_way: AtomicUsize,
    /// The host that was asked first, ready for the next request to it.
    host: OnceLock<Authority>,
    tally: Arc<Tally>,
    /// Whether it has ended; held for reading by every exchange under way.
    ended: RwLock<bool>,
}

/// Why a client gets no answer of Graph's.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Graph was not reached, or broke off.
    #[error(transparent)]
    Upstream(#[from] upstream::Fault),
    /// The client broke off.
    #[error("the request's body broke off: {0}")]
    Client(Broken),
    /// The recording has ended.
    #[error("the session of this request was closed, and what it recorded is sealed")]
    Ended,
    /// The request cannot be sent on.
    #[error("the request cannot be sent on: {0}")]
    Request(http::Error),
}

impl Recorder {
    /// A recorder at the begin of a take.
    #[must_use]
    pub fn new(settings: Settings, tally: Arc<Tally>) -> Self {
        let arrivals = AtomicU64::new(settings.first_arrival);
        let (under_way, host) = (AtomicUsize::new(0), OnceLock::new());
        Self { arrivals, under_way, host, settings, tally, ended: RwLock::default() }
    }

    /// What has happened so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The take that it records.
    #[must_use]
    pub fn take(&self) -> u64 {
        self.settings.take
    }

    /// Takes no more requests, and waits until no exchange is under way.
    pub async fn end(&self) {
        *self.ended.write().await = true;
    }

    /// Whether an exchange is to be recorded. Of sign-in nothing would be left that a program could use.
    #[must_use]
    pub fn selects(&self, method: &str, path: &str, target: &Target) -> bool {
        let may = target.kind == HostKind::Graph && !redact::asks_for_token(path);
        may && self.settings.routes.iter().any(|route| route.matches(method, path))
    }

    /// Opens a tunnel to a host that is not Graph's.
    ///
    /// # Errors
    /// When the host cannot be reached.
    pub async fn tunnel(&self, authority: &str) -> Result<TcpStream, upstream::Fault> {
        let tunnel = self.settings.upstream.tunnel(authority).await?;
        self.tally.tunnelled(authority);
        Ok(tunnel)
    }

    /// Answers a request with what its host says to it.
    ///
    /// A fault of recording is no fault of the answer: it becomes a hole.
    ///
    /// # Errors
    /// When the host does not answer, or the client breaks off.
    pub async fn answer(&self, request: http::Request<Body>, target: &Target) -> Result<http::Response<Body>, Fault> {
        let (head, body) = request.into_parts();
        let ended = self.ended.read().await;
        if *ended {
            return Err(Fault::Ended);
        }
        let (method, path) = (head.method.as_str(), head.uri.path());
        // What is in a batch is known only when it was read.
        let is_batch = target.kind == HostKind::Graph && batch::is_batch(method, path);
        if is_batch || self.selects(method, path, target) {
            return self.record(head, body, target).await;
        }
        let route = format!("{} {}", head.method, self.shown(&graph::route_template(head.uri.path())));
        let response = self.pass(head, body, target).await?;
        match target.kind {
            HostKind::Graph => self.tally.passed(route),
            _ => self.tally.tunnelled(&target.host),
        }
        Ok(response)
    }

    async fn pass(&self, head: Parts, body: Body, target: &Target) -> Result<http::Response<Body>, Fault> {
        let request = self.outgoing(head, body, target).map_err(Fault::Request)?;
        let response = self.settings.upstream.send(request).await?;
        Ok(incoming(response.map(message::streaming)))
    }

    async fn record(&self, head: Parts, body: Body, target: &Target) -> Result<http::Response<Body>, Fault> {
        let arrival = self.arrival();
        let mut hole = Hole::open(self, &head, target);
        let limit = self.settings.body_limit.bytes;
        let read = message::read(body, limit, self.settings.client_timeout).await;
        let sent = match read.map_err(|why| hole.because(Fault::Client(why)))? {
            Read::Whole(bytes) => bytes,
            Read::TooLarge(body) => {
                hole.say(format!("the request's body is larger than {limit} bytes (body_limit)"));
                return self.pass(head, body, target).await;
            }
        };
        // Before it goes on, so that nothing of its head is copied for that.
        let asked = message::owned_request(&head, &target.host, &sent, self.settings.body_limit);
        let request =
            self.outgoing(head, message::full(sent), target).map_err(|why| hole.because(Fault::Request(why)))?;
        let sending = self.settings.timings.then(Instant::now);
        let response = self.settings.upstream.send(request).await.map_err(|why| hole.because(why.into()))?;
        let (answer_head, answer_body) = response.into_parts();
        let broken = |why| match why {
            Broken::Connection(why) => upstream::broken(&target.host, &why).into(),
            Broken::Silent(limit) => {
                upstream::Fault::Stalled { host: target.host.to_string(), seconds: limit.as_secs() }.into()
            }
        };
        let answer = message::streaming(answer_body);
        let read = message::read(answer, limit, self.settings.upstream.timeout()).await;
        let read = read.map_err(|why| hole.because(broken(why)))?;
        let body = match read {
            Read::Whole(bytes) => {
                self.write_down(asked, target, (&answer_head, &bytes, sending), arrival, &mut hole).await;
                message::full(bytes)
            }
            Read::TooLarge(body) => {
                hole.say(format!("the answer's body is larger than {limit} bytes (body_limit)"));
                body
            }
        };
        Ok(incoming(http::Response::from_parts(answer_head, body)))
    }

    /// A path as it may be told of.
    fn shown(&self, path: &str) -> String {
        let shown = redact::shown(path, &self.settings.secrets);
        match &self.settings.people {
            Some(people) => people.lock().unwrap_or_else(PoisonError::into_inner).shown(&shown),
            None => shown,
        }
    }

    /// Writes an exchange down, and returns when it is on the disk.
    async fn write_down(
        &self,
        asked: Result<Request, coding::Fault>,
        target: &Target,
        (answer_head, answer, sending): (&http::response::Parts, &Bytes, Option<Instant>),
        arrival: u64,
        hole: &mut Hole<'_>,
    ) {
        let took = sending.map(|sent| u64::try_from(sent.elapsed().as_millis()).unwrap_or(u64::MAX));
        let request = match asked {
            Ok(request) => request,
            Err(why) => return hole.say(format!("the request's body: {why}")),
        };
        let response = match message::owned_response(answer_head, answer, self.settings.body_limit.bytes) {
            Ok(response) => response,
            Err(why) => return hole.say(format!("the answer's body: {why}")),
        };
        let exchanges = self.exchanges(Exchange { request, response, took }, target);
        if exchanges.is_empty() {
            self.tally.passed(format!("{} {}", hole.method, self.shown(&graph::route_template(hole.uri.path()))));
            return hole.fill();
        }
        let mut arrivals = std::iter::once(arrival).chain(std::iter::repeat_with(|| self.arrival()));
        // Those of a batch come together, and wait for no others.
        let among = (exchanges.len() == 1).then(|| self.under_way.load(Ordering::Relaxed));
        let mut receipts = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            let exchange = self.taped(exchange);
            let arrival = arrivals.next().expect("numbers do not end");
            let (store, take) = (&self.settings.store, self.settings.take);
            receipts.push(match among {
                Some(under_way) => store.append_among(under_way, take, arrival, &exchange),
                None => store.append(take, arrival, &exchange),
            });
        }
        // From here on it is written whether the client stays or not.
        hole.fill();
        for receipt in receipts {
            match receipt.await {
                Ok(Ok(())) => self.tally.recorded(),
                Ok(Err(why)) => hole.reopen(why.to_string()),
                Err(_) => hole.reopen(takes::Fault::Closed.to_string()),
            }
        }
    }

    fn arrival(&self) -> u64 {
        self.arrivals.fetch_add(1, Ordering::Relaxed)
    }

    fn taped(&self, exchange: Exchange) -> Taped<Exchange> {
        let exchange = scribe::tape_exchange(exchange, &self.settings.secrets);
        match &self.settings.people {
            Some(people) => people.lock().unwrap_or_else(PoisonError::into_inner).hide(exchange),
            None => exchange,
        }
    }

    /// What is written down of an exchange: itself, or of a batch the parts that routes select and Graph answered.
    fn exchanges(&self, exchange: Exchange, target: &Target) -> Vec<Exchange> {
        if !batch::is_batch(&exchange.request.method, exchange.request.path()) {
            // It was selected when it came.
            return vec![exchange];
        }
        let selects = |one: &Exchange| self.selects(&one.request.method, one.request.path(), target);
        let parts = batch::exchanges(&exchange).unwrap_or_else(|| vec![exchange]);
        parts.into_iter().filter(selects).collect()
    }

    /// The request as it goes to its host: all that the client said, but for what concerns this connection only.
    fn outgoing(&self, mut head: Parts, body: Body, target: &Target) -> Result<http::Request<Body>, http::Error> {
        message::remove_hop_by_hop(&mut head.headers);
        // The deck has answered `Expect: 100-continue` itself, and the host's name may have been the deck's own.
        head.headers.remove(EXPECT);
        head.headers.remove(HOST);
        let mut parts = std::mem::take(&mut head.uri).into_parts();
        parts.scheme = Some(if target.secure { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(self.authority(&target.host)?);
        parts.path_and_query.get_or_insert_with(|| PathAndQuery::from_static("/"));
        head.uri = Uri::from_parts(parts)?;
        Ok(http::Request::from_parts(head, body))
    }

    /// A host as an address has it. Nearly all requests go to the same one.
    fn authority(&self, host: &str) -> Result<Authority, http::Error> {
        if let Some(known) = self.host.get().filter(|known| known.as_str() == host) {
            return Ok(known.clone());
        }
        let authority = Authority::try_from(host)?;
        // Whoever was first is as good.
        let _ = self.host.set(authority.clone());
        Ok(authority)
    }
}

/// The answer as it goes to the client: all that the host said, but for what concerns that connection only.
fn incoming(mut response: http::Response<Body>) -> http::Response<Body> {
    message::remove_hop_by_hop(response.headers_mut());
    *response.version_mut() = http::Version::HTTP_11;
    response
}

/// An exchange that should be recorded: counted as a hole unless it is filled, even when its client goes away.
struct Hole<'a> {
    recorder: &'a Recorder,
    method: Method,
    host: &'a str,
    uri: Uri,
    why: Option<String>,
    state: HoleState,
    /// Whether it counts as under way.
    is_counted: bool,
}

#[derive(PartialEq, Eq)]
enum HoleState {
    Open,
    /// The client is told why, and so is the log.
    Told,
    Filled,
}

impl<'a> Hole<'a> {
    fn open(recorder: &'a Recorder, head: &Parts, target: &'a Target) -> Self {
        let (method, uri) = (head.method.clone(), head.uri.clone());
        recorder.under_way.fetch_add(1, Ordering::Relaxed);
        Self { recorder, method, host: &target.host, uri, why: None, state: HoleState::Open, is_counted: true }
    }

    fn say(&mut self, why: String) {
        self.leave();
        self.why = Some(why);
    }

    /// It is no more among those that are to be recorded.
    fn leave(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            self.recorder.under_way.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn because(&mut self, fault: Fault) -> Fault {
        self.say(fault.to_string());
        self.state = HoleState::Told;
        fault
    }

    fn reopen(&mut self, why: String) {
        self.state = HoleState::Open;
        self.say(why);
    }

    fn fill(&mut self) {
        self.state = HoleState::Filled;
    }
}

impl Drop for Hole<'_> {
    fn drop(&mut self) {
        self.leave();
        if self.state == HoleState::Filled {
            return;
        }
        let why = self.why.as_deref().unwrap_or("the client went away before it was answered");
        let request = format!("{} https://{}{}", self.method, self.host, self.recorder.shown(self.uri.path()));
        if self.state == HoleState::Open {
            tracing::warn!("not recorded: {request}: {why}");
        }
        self.recorder.tally.hole(&request, why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::journal::Journal;

    fn target(host: &str, secure: bool) -> Target {
        Target { host: host.into(), kind: HostKind::Graph, secure }
    }

    fn head(uri: &str) -> Parts {
        http::Request::builder().uri(uri).header(HOST, "deck").header("prefer", "a").body(()).unwrap().into_parts().0
    }

    fn recorder(dir: &std::path::Path) -> Recorder {
        let settings = Settings {
            upstream: Arc::new(Upstream::new(upstream::Settings::default())),
            store: Arc::new(Journal::open(dir).unwrap()),
            take: 1,
            first_arrival: 1,
            routes: Vec::new(),
            secrets: Secrets::default(),
            people: None,
            client_timeout: Duration::MAX,
            body_limit: BodyLimit { bytes: 1, expansion: 1 },
            timings: false,
        };
        Recorder::new(settings, Arc::new(Tally::new("a", "a", 0)))
    }

    #[test]
    fn an_exchange_is_under_way_until_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let (recorder, target, head) = (recorder(dir.path()), target("h", true), head("/a"));
        let under_way = || recorder.under_way.load(Ordering::Relaxed);
        let mut holes = [(); 2].map(|()| Hole::open(&recorder, &head, &target));
        assert_eq!(under_way(), 2);
        holes[0].say("it is too large".to_owned());
        assert_eq!(under_way(), 1, "it is not to be recorded");
        drop(holes);
        assert_eq!(under_way(), 0);
    }

    #[test]
    fn a_request_goes_to_its_own_host_whatever_was_asked_before() {
        let dir = tempfile::tempdir().unwrap();
        let recorder = recorder(dir.path());
        for (uri, host, secure, address) in [
            ("/a?b=%20", "h", true, "https://h/a?b=%20"),
            ("/a", "other:8443", true, "https://other:8443/a"),
            ("http://deck:1/a", "h", false, "http://h/a"),
            ("http://deck", "h", true, "https://h/"),
            ("https://user@deck/?q", "h", true, "https://h/?q"),
        ] {
            let request = recorder.outgoing(head(uri), message::empty(), &target(host, secure)).unwrap();
            assert_eq!(request.uri().to_string(), address, "{uri}");
            assert_eq!(request.headers().keys().map(|name| name.as_str()).collect::<Vec<_>>(), ["prefer"]);
        }
        assert!(recorder.outgoing(head("/a"), message::empty(), &target("no host", true)).is_err());
    }
}
