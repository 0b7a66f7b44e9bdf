//! Messages made of bytes: parts of a text, with a line `---` between them.

use graphdeck::tape::exchange::{Exchange, Headers, Request, Response};

/// The parts of a text.
pub fn parts(bytes: &[u8]) -> Option<impl Iterator<Item = &str>> {
    Some(std::str::from_utf8(bytes).ok()?.split("\n---\n"))
}

/// A request as a connection would give it, if one can carry this target.
pub fn request(target: &str, headers: Headers, body: &str) -> Option<Request> {
    http::uri::PathAndQuery::try_from(target).ok().filter(|_| target.starts_with('/') && !target.contains('#'))?;
    Some(Request {
        method: if body.is_empty() { "GET" } else { "POST" }.to_owned(),
        host: "graph.microsoft.com".to_owned(),
        target: target.to_owned(),
        headers,
        body: body.to_owned().into(),
    })
}

/// An exchange of target, a request's header, its body, an answer's header and its body.
pub fn exchange(bytes: &[u8]) -> Option<Exchange> {
    let mut parts = parts(bytes)?;
    let mut next = || parts.next().unwrap_or_default();
    let (target, prefer, sent, location, answered) = (next(), next(), next(), next(), next());
    let request = request(target, header("prefer", prefer)?, sent)?;
    let status = if sent.is_empty() { 200 } else { 201 };
    let response = Response { status, headers: header("location", location)?, body: answered.to_owned().into() };
    Some(Exchange { request, response, took: None })
}

/// A header, if a connection can carry this value; none for an empty one.
pub fn header(name: &str, value: &str) -> Option<Headers> {
    let carried = |c: char| c == '\t' || (c >= ' ' && c != '\x7f' && c <= 'ÿ');
    let sound = value.chars().all(carried) && http::HeaderName::try_from(name).is_ok();
    let fields = (!value.is_empty()).then_some((name, value.trim_matches([' ', '\t'])));
    sound.then(|| fields.into_iter().collect())
}

/// Says that a message is one line that a terminal shows as it stands.
pub fn is_told_on_one_line(fault: &impl std::fmt::Display) {
    let told = fault.to_string();
    assert!(!told.is_empty() && !told.chars().any(char::is_control), "{told:?}");
}
