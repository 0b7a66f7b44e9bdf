//! Secrets out, by rules that name places.

use super::exchange::{Headers, Request, Response};
use super::graph;
use bytes::Bytes;

/// Headers that carry credentials, on either side.
const SECRET_HEADERS: [&str; 6] =
    ["authorization", "cookie", "ocp-apim-subscription-key", "proxy-authorization", "set-cookie", "x-api-key"];

/// Takes out of a request what may never be written down: credentials, and all that is said to a sign-in host.
pub fn request(request: &mut Request) {
    headers(&mut request.headers);
    if is_sign_in(request) {
        request.body = Bytes::new();
        request.target = request.path().to_owned();
    }
}

/// Takes out of a response what may never be written down.
pub fn response(response: &mut Response) {
    headers(&mut response.headers);
}

/// Whether a request is to a host where programs sign in: of such an exchange neither side is kept.
#[must_use]
pub fn is_sign_in(request: &Request) -> bool {
    let name = request.host.split(':').next().unwrap_or_default();
    graph::SIGN_IN_HOSTS.contains(&name)
}

/// Whether a header, by its name in lower case, carries credentials.
#[must_use]
pub fn is_secret_header(name: &str) -> bool {
    SECRET_HEADERS.contains(&name)
}

fn headers(headers: &mut Headers) {
    headers.retain(|name, _| !is_secret_header(name));
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
        request(&mut asked);
        assert_eq!(asked.headers.iter().collect::<Vec<_>>(), [("prefer", "x")]);
        assert_eq!(asked.body, "client_secret=SECRET");
        let mut answered =
            Response { status: 200, headers: [("Set-Cookie", "SECRET")].into_iter().collect(), body: Bytes::new() };
        response(&mut answered);
        assert_eq!(answered.headers, Headers::default());
    }

    #[test]
    fn nothing_said_to_a_sign_in_host_is_kept() {
        for host in graph::SIGN_IN_HOSTS {
            let mut asked = to(host);
            request(&mut asked);
            assert!(!format!("{asked:?}").contains("SECRET"), "{asked:?}");
        }
    }
}
