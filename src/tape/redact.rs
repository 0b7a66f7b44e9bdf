//! Secrets out, before anything is written, compared or shown.

use super::exchange::{Exchange, Headers, Request, Response};
use super::graph;
use super::secrets::{self, Secrets};
use bytes::Bytes;
use std::borrow::Cow;

/// Takes out of a request what may never be written down: credentials, and all that is said to a sign-in host.
pub fn request(request: &mut Request, secrets: &Secrets) {
    headers(&mut request.headers, secrets);
    if is_sign_in(request) {
        request.body = Bytes::new();
        request.target = request.path().to_owned();
    }
    if let Some(target) = target(&request.target, secrets) {
        request.target = target;
    }
    body(&mut request.body, &request.headers, secrets);
}

/// Takes out of a response what may never be written down.
pub fn response(response: &mut Response, secrets: &Secrets) {
    headers(&mut response.headers, secrets);
    body(&mut response.body, &response.headers, secrets);
}

/// The path of an address as it may be shown: without secrets, and with nothing that a terminal would act on.
#[must_use]
pub fn shown(path: &str, secrets: &Secrets) -> String {
    printable(&target(path, secrets).unwrap_or_else(|| path.to_owned()))
}

/// A text on one line, with nothing that a terminal would act on.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// An address or a form without its secrets, if there are any: as they stand, and as they read when they are decoded.
fn target(target: &str, secrets: &Secrets) -> Option<String> {
    let clean = secrets.without_in(target);
    if memchr::memchr2(b'%', b'+', clean.as_bytes()).is_none() {
        return (clean != target).then(|| clean.into_owned());
    }
    let part = |part: &str| {
        let decoded = graph::percent_decode(&part.replace('+', " ")).into_owned();
        let hidden = secrets.find(decoded.as_bytes()).is_some();
        let (name, _) = part.split_once('=').unwrap_or_default();
        if !hidden {
            part.to_owned()
        } else if name.is_empty() {
            secrets::REDACTED.to_owned()
        } else {
            format!("{name}={}", secrets::REDACTED)
        }
    };
    let mut told = String::new();
    for piece in clean.split_inclusive(['/', '?', '&']) {
        let (text, end) = piece.split_at(piece.trim_end_matches(['/', '?', '&']).len());
        told.push_str(&part(text));
        told.push_str(end);
    }
    (told != target).then_some(told)
}

/// Whether a body is a form, whose fields are encoded as those of a query are.
fn is_form(headers: &Headers) -> bool {
    headers.get("content-type").is_some_and(|kind| names_form(kind.as_bytes()))
}

/// Whether a `Content-Type` is that of a form.
pub(super) fn names_form(content_type: &[u8]) -> bool {
    const FORM: &[u8] = b"application/x-www-form-urlencoded";
    content_type.get(..FORM.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(FORM))
}

fn body(body: &mut Bytes, headers: &Headers, secrets: &Secrets) {
    if is_form(headers)
        && let Some(clean) = std::str::from_utf8(body).ok().and_then(|form| target(form, secrets))
    {
        *body = clean.into();
        return;
    }
    if let Cow::Owned(clean) = secrets.without(body) {
        *body = clean.into();
    }
}

/// What in an exchange looks like a secret, by place and by kind; nothing in what went down the road to tape.
#[must_use]
pub fn leaks(exchange: &Exchange, secrets: &Secrets) -> Vec<(String, String)> {
    let Exchange { request, response, .. } = exchange;
    let mut leaks = Vec::new();
    let mut look = |place: String, text: &[u8]| leaks.extend(secrets.find(text).map(|kind| (place, kind.to_owned())));
    look("request url".to_owned(), request.target.as_bytes());
    if leaks.is_empty() && target(&request.target, secrets).is_some() {
        leaks.push(("request url".to_owned(), "encoded".to_owned()));
    }
    let mut look = |place: String, text: &[u8]| leaks.extend(secrets.find(text).map(|kind| (place, kind.to_owned())));
    for (side, headers) in [("request", &request.headers), ("response", &response.headers)] {
        for (name, value) in headers.iter() {
            look(format!("{side} header `{name}`"), value.as_bytes());
        }
    }
    look("request body".to_owned(), &request.body);
    look("response body".to_owned(), &response.body);
    for (side, headers, body) in
        [("request", &request.headers, &request.body), ("response", &response.headers, &response.body)]
    {
        if is_form(headers) && std::str::from_utf8(body).is_ok_and(|form| target(form, secrets).is_some()) {
            leaks.push((format!("{side} body"), "encoded".to_owned()));
        }
    }
    for (side, headers) in [("request", &request.headers), ("response", &response.headers)] {
        let secret = headers.iter().filter(|(name, _)| secrets.hide_header(name));
        leaks.extend(secret.map(|(name, _)| (format!("{side} header `{name}`"), "credentials".to_owned())));
    }
    leaks
}

/// Whether a request is to a host where programs sign in: of such an exchange neither side is kept.
#[must_use]
pub fn is_sign_in(request: &Request) -> bool {
    let is_named = |name: &&str| {
        let port = request.host.strip_prefix(*name);
        port.is_some_and(|port| port.is_empty() || port.starts_with(':'))
    };
    graph::SIGN_IN_HOSTS.iter().any(is_named) || asks_for_token(request.path())
}

/// Whether a path is where tokens are asked for, whatever host is asked: a program whose sign-in was led to the deck's own
/// address says the same there.
#[must_use]
pub fn asks_for_token(path: &str) -> bool {
    let ends = |end: &str| {
        let tail = path.len().checked_sub(end.len()).and_then(|at| path.get(at..));
        tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    ends("/oauth2/v2.0/token") || ends("/oauth2/token")
}

fn headers(headers: &mut Headers, secrets: &Secrets) {
    headers.retain(|name, _| !secrets.hide_header(name));
    headers.each_value(|value| {
        if let Cow::Owned(clean) = secrets.without_in(value) {
            *value = clean;
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &str) -> Request {
        Request {
            method: "POST".into(),
            host: host.into(),
            target: "/t/oauth2/v2.0/token?code=SECRET".into(),
            headers: [("Authorization", "Bearer SECRET"), ("Cookie", "SECRET"), ("Prefer", "x")].into_iter().collect(),
            body: Bytes::from_static(b"client_secret=SECRET"),
        }
    }

    #[test]
    fn credentials_are_gone_and_the_rest_stays() {
        let mut asked = to("graph.microsoft.com");
        asked.target = "/v1.0/me?code=SECRET&a=Bearer%20abcdefghijklmnopqrstuvwxyz".into();
        request(&mut asked, &Secrets::default());
        assert_eq!(asked.headers.iter().collect::<Vec<_>>(), [("prefer", "x")]);
        assert_eq!(asked.body, "client_secret=REDACTED");
        assert_eq!(asked.target, "/v1.0/me?code=REDACTED&a=Bearer%20REDACTED");
        let mut answered =
            Response { status: 200, headers: [("Set-Cookie", "SECRET")].into_iter().collect(), body: Bytes::new() };
        response(&mut answered, &Secrets::default());
        assert_eq!(answered.headers, Headers::default());
    }

    #[test]
    fn nothing_said_to_a_sign_in_host_is_kept() {
        // Also by the deck's own address, where it is the path that tells.
        for host in graph::SIGN_IN_HOSTS.into_iter().chain(["graph.microsoft.com"]) {
            let mut asked = to(host);
            request(&mut asked, &Secrets::default());
            assert!(!format!("{asked:?}").contains("SECRET"), "{asked:?}");
        }
    }
}
