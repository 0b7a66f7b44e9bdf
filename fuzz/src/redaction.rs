//! Redaction: nothing that looks like a secret is left, once is enough, and a planted token is gone wherever it stood.

use super::messages::{header, parts, request};
use graphdeck::tape::exchange::{Exchange, Response};
use graphdeck::tape::redact;
use graphdeck::tape::scribe;
use graphdeck::tape::secrets::Secrets;
use std::sync::LazyLock;

static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

/// A token of the form that Graph's have, made up.
const TOKEN: &str = concat!(
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.",
    "eyJhdWQiOiJodHRwczovL2dyYXBoLm1pY3Jvc29mdC5jb20ifQ.",
    "c2VjcmV0LXNpZ25hdHVyZS1wbGFudGVk"
);

/// Takes an exchange to tape: of target, a header's name and its value, the kind of its body, and a body; `<token>` stands for a token.
pub fn redact(bytes: &[u8]) {
    let secrets = &*SECRETS;
    let clean = secrets.without(bytes);
    assert_eq!(secrets.find(&clean), None, "{:?}", String::from_utf8_lossy(&clean));
    assert_eq!(secrets.without(&clean), clean);
    if let Some(exchange) = planted(bytes) {
        let taped = scribe::tape_exchange(exchange, secrets).into_inner();
        let told = format!("{taped:?}");
        assert!(!told.contains(TOKEN), "{told}");
        assert_eq!(redact::leaks(&taped, secrets), []);
        assert_eq!(scribe::tape_exchange(taped.clone(), secrets).into_inner(), taped);
        let shown = redact::shown(&taped.request.target, secrets);
        assert_eq!(redact::shown(&shown, secrets), shown);
    }
}

fn planted(bytes: &[u8]) -> Option<Exchange> {
    let mut parts = parts(bytes)?;
    let mut next = || parts.next().unwrap_or_default().replace("<token>", TOKEN);
    let (target, name, value, kind, body) = (next(), next(), next(), next(), next());
    let mut headers = header(&name, &value)?;
    for (name, value) in header("content-type", &kind)?.iter() {
        headers.push(name, value);
    }
    let response = Response { status: 200, headers: headers.clone(), body: body.clone().into() };
    Some(Exchange { request: request(&target, headers, &body)?, response, took: None })
}
