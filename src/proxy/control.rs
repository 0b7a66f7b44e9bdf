//! The deck's own pages, on its own address: health, report, root certificate, sessions.

use super::front::{Front, split_port};
use super::reverse::Via;
use crate::session::sessions::{Fault, Name};
use crate::session::wanted::Wanted;
use crate::wire::message::{self, Body, Read};
use http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use serde::Deserialize;
use serde_json::json;
use std::net::SocketAddr;

/// Below this path the deck speaks of itself; Graph has no such path.
const ROOT: &str = "/_graphdeck/";
/// Below this one, requests for Graph name their session.
pub const SESSION_PATH: &str = "/_graphdeck/s/";
/// The name by which the deck is reached through itself as a proxy.
const OWN_NAME: &str = "graphdeck.local";
/// How browsers tell from where a request comes.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The description of these pages.
const OPENAPI: &str = include_str!("../../docs/openapi.json");
/// The largest request that is read, in bytes.
const LIMIT: usize = 64 * 1024;

/// What is wrong with a request for a page.
struct Refusal(StatusCode, String);

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let status = match fault {
            Fault::Name(_) | Fault::ProxyUser | Fault::Refused(_) | Fault::Cannot { .. } => StatusCode::BAD_REQUEST,
            Fault::Open(_) => StatusCode::CONFLICT,
            Fault::Unknown(_) => StatusCode::NOT_FOUND,
            Fault::TooMany => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, fault.to_string())
    }
}

/// Whether a path is the deck's own, or names a session of its.
#[must_use]
pub fn is_own(path: &str) -> bool {
    path.starts_with(ROOT.trim_end_matches('/'))
}

/// Whether a request is for one of the deck's own pages: by its own address, or as a proxy's client by its own name.
#[must_use]
pub fn is_for_us<B>(via: &Via, local: SocketAddr, request: &Request<B>) -> bool {
    if *via != Via::Own || request.uri().path().starts_with(SESSION_PATH) {
        return false;
    }
    let in_absolute_form = request.version() < Version::HTTP_2 && request.uri().scheme().is_some();
    match request.uri().authority().filter(|_| in_absolute_form) {
        Some(authority) if split_port(authority.as_str()).0.eq_ignore_ascii_case(OWN_NAME) => true,
        Some(authority) => {
            let is_root = |path: &str| path.starts_with(ROOT) || path == ROOT.trim_end_matches('/');
            let (host, port) = split_port(authority.as_str());
            let ours = host.eq_ignore_ascii_case("localhost") || host.parse() == Ok(local.ip());
            ours && port == Some(&local.port().to_string()) && is_root(request.uri().path())
        }
        None => request.uri().path().starts_with(ROOT) || request.uri().path() == ROOT.trim_end_matches('/'),
    }
}

/// Answers a request for one of the deck's own pages.
pub async fn answer(front: &Front, local: SocketAddr, request: Request<Body>) -> Response<Body> {
    let outcome = match from_elsewhere(&request) {
        None => page(front, local, request).await,
        Some(why) => Err(Refusal(StatusCode::FORBIDDEN, why)),
    };
    outcome.unwrap_or_else(|refusal| refused(&refusal))
}

fn refused(Refusal(status, why): &Refusal) -> Response<Body> {
    let body = json!({ "error": { "code": status.canonical_reason(), "message": why } });
    typed(*status, "application/json", format!("{body}\n"))
}

/// The refusal of a request to the deck's own address that a page elsewhere made a browser send; `known` tells the
/// hosts that the deck stands for.
pub fn refuse_page<B>(request: &Request<B>, known: impl Fn(&str) -> bool) -> Option<Response<Body>> {
    let host = host_of(request);
    let why = if known(split_port(host).0) { foreign_page(request, host) } else { from_elsewhere(request) };
    why.map(|why| refused(&Refusal(StatusCode::FORBIDDEN, why)))
}

/// Why a request is not from a program on this machine, if it is not: a page in a browser can be made to send requests
/// to this address, but neither hides its origin nor makes up a host. A host of one word is no name that strangers own.
fn from_elsewhere<B>(request: &Request<B>) -> Option<String> {
    let host = host_of(request);
    let (name, _) = split_port(host);
    let literal = name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok();
    let private = || [".localhost", ".internal", ".test"].iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    let by_proxy = request.uri().authority().is_some() && name.eq_ignore_ascii_case(OWN_NAME);
    if !literal && !by_proxy && name.contains('.') && !private() {
        return Some(format!(
            "`{host}` is not how the deck is called here: use its IP address, `localhost`, or `{OWN_NAME}` through the proxy"
        ));
    }
    foreign_page(request, host)
}

fn host_of<B>(request: &Request<B>) -> &str {
    let authority = request.uri().authority().map(|authority| authority.as_str());
    authority.or_else(|| header(request, &HOST)).unwrap_or_default()
}

fn header<'a, B>(request: &'a Request<B>, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn foreign_page<B>(request: &Request<B>, host: &str) -> Option<String> {
    let is_own =
        |origin: &str| ["http", "https"].iter().any(|own| format!("{own}://{host}").eq_ignore_ascii_case(origin));
    let foreign = header(request, &ORIGIN).is_some_and(|origin| !is_own(origin))
        || header(request, &FETCH_SITE).is_some_and(|site| !matches!(site, "same-origin" | "none"));
    foreign.then(|| "a page from elsewhere may not use the deck".to_owned())
}

/// What is asked of a new session.
#[derive(Deserialize)]
struct New {
    name: String,
    #[serde(flatten)]
    wanted: serde_json::Map<String, serde_json::Value>,
}

async fn page(front: &Front, local: SocketAddr, request: Request<Body>) -> Result<Response<Body>, Refusal> {
    let path = request.uri().path();
    let page = path.strip_prefix(ROOT.trim_end_matches('/')).unwrap_or(path);
    let path = page.trim_start_matches('/').to_owned();
    let (method, sessions) = (request.method().clone(), &front.sessions);
    let steps: Vec<&str> = path.split('/').collect();
    // What HEAD asks for is sent without its body by the server.
    let asked = if method == Method::HEAD { "GET" } else { method.as_str() };
    match (asked, steps.as_slice()) {
        ("GET", ["health"]) => Ok(ok(json!({ "status": "ok", "mode": sessions.mode() }).to_string() + "\n")),
        ("GET", ["report"]) => Ok(ok(sessions.report().to_json())),
        ("GET", ["ca.pem"]) => Ok(typed(StatusCode::OK, "application/x-pem-file", front.authority.root_pem())),
        ("GET", ["openapi.json"]) => Ok(ok(OPENAPI.to_owned())),
        ("GET", ["sessions"]) => Ok(ok(list(front))),
        ("POST", ["sessions"]) => open(front, local, request).await,
        ("GET", ["sessions", name]) => {
            let name = Name::parse(name)?;
            let found = sessions.all().into_iter().find(|(open, _)| *open == name);
            let (_, session) = found.ok_or(Fault::Unknown(name))?;
            Ok(ok(session.report().to_json()))
        }
        ("POST", ["sessions", name, "reset"]) => {
            let session = sessions.reset(&Name::parse(name)?).await?;
            Ok(ok(session.report().to_json()))
        }
        ("DELETE", ["sessions", name]) => {
            let (report, sealed) = sessions.close(&Name::parse(name)?).await?;
            let closed = json!({ "report": report, "sealed": sealed });
            Ok(ok(format!("{closed:#}\n")))
        }
        _ => Err(no_page(&method, &path)),
    }
}

fn no_page(method: &Method, path: &str) -> Refusal {
    const PAGES: &str = "GET health, report, ca.pem, openapi.json, sessions, sessions/NAME; POST sessions, \
                         sessions/NAME/reset; DELETE sessions/NAME";
    let status = if path.starts_with("sessions") { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
    Refusal(status, format!("there is no page {method} {ROOT}{path}; there are {PAGES}"))
}

fn list(front: &Front) -> String {
    let told = |(name, session): &(Name, std::sync::Arc<crate::session::Session>)| {
        let (exchanges, answered, missed, recorded) = session.tally().brief();
        json!({
            "name": name.as_str(), "cassette": session.tally().cassette(), "exchanges": exchanges,
            "answered": answered, "missed": missed, "recorded": recorded,
        })
    };
    let sessions: Vec<_> = front.sessions.all().iter().map(told).collect();
    format!("{:#}\n", json!({ "sessions": sessions }))
}

async fn open(front: &Front, local: SocketAddr, request: Request<Body>) -> Result<Response<Body>, Refusal> {
    let bad = |why: String| Refusal(StatusCode::BAD_REQUEST, why);
    let kind = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.to_ascii_lowercase().starts_with("application/json") {
        let why = format!("the body must be application/json, not `{kind}`");
        return Err(Refusal(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    let body = match message::read(request.into_body(), LIMIT, front.patience).await {
        Ok(Read::Whole(body)) => body,
        Ok(Read::TooLarge(_)) => return Err(bad(format!("the body is larger than {LIMIT} bytes"))),
        Err(why) => return Err(bad(format!("the body broke off: {why}"))),
    };
    let example = "such as {\"name\": \"login-test\", \"cassette\": \"login\", \"strict\": true}";
    let New { name, wanted } = serde_json::from_slice(&body)
        .map_err(|why| bad(format!("the body is no session: {why}; write one {example}")))?;
    let wanted: Wanted = serde_json::from_value(wanted.into())
        .map_err(|why| bad(format!("the body is no session: {why}; write one {example}")))?;
    let name = Name::parse(&name)?;
    let session = front.sessions.open(&name, wanted).await?;
    let opened = json!({
        "name": name.as_str(),
        "cassette": session.tally().cassette(),
        "proxy": format!("http://{name}:x@{local}"),
        "url": format!("http://{local}{SESSION_PATH}{name}"),
    });
    Ok(typed(StatusCode::CREATED, "application/json", format!("{opened:#}\n")))
}

fn ok(text: String) -> Response<Body> {
    typed(StatusCode::OK, "application/json", text)
}

fn typed(status: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(message::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
