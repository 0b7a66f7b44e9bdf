//! The deck's own pages, on its own address: health, report, root certificate.

use super::front::Front;
use super::reverse::Via;
use crate::session::Session;
use crate::wire::message::{self, Body};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};

/// Below this path the deck speaks of itself; Graph has no such path.
const ROOT: &str = "/_graphdeck/";

/// Answers a request for one of the deck's own pages; `None` when it is for something else.
#[must_use]
pub fn answer<B>(front: &Front, via: &Via, request: &Request<B>) -> Option<Response<Body>> {
    let page = request.uri().path().strip_prefix(ROOT)?;
    if *via != Via::Own {
        return None;
    }
    let mode = match front.session {
        Session::Record(_) => "record",
        Session::Replay(_) => "replay",
    };
    Some(match (request.method(), page) {
        (&Method::GET, "health") => json(format!("{{\"status\":\"ok\",\"mode\":\"{mode}\"}}\n")),
        (&Method::GET, "report") => json(front.session.tally().report().to_json()),
        (&Method::GET, "ca.pem") => typed("application/x-pem-file", front.authority.root_pem()),
        _ => {
            let mut response = typed("text/plain; charset=utf-8", page_list());
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    })
}

fn page_list() -> String {
    ["health", "report", "ca.pem"].map(|page| format!("GET {ROOT}{page}\n")).concat()
}

fn json(text: String) -> Response<Body> {
    typed("application/json", text)
}

fn typed(kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(message::full(text));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
