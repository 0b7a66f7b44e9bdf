//! Requests in origin form: whom they are for, by the tunnel or certificate through which they came.

use super::front::{Front, split_port};
use super::refusal::Fault;
use crate::session::{HostKind, Target};
use http::header::{HOST, HeaderValue};
use http::{Method, Request};

/// How a request reached the deck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// By the deck's own address.
    Own,
    /// As one of the hosts that are opened, through a CONNECT or by that name in TLS.
    As(Target),
}

/// Whom a request is for that does not say so in its first line.
///
/// # Errors
/// When it names another host than the one whose certificate it was shown, or none where it must.
pub fn target<B>(front: &Front, via: &Via, request: &Request<B>) -> Result<Target, Fault> {
    let named = named_host(request)?;
    match (via, named) {
        // The port may be the deck's own, where a name service was bent to it, so names alone are compared.
        (Via::As(target), Some(named)) if !split_port(named).0.eq_ignore_ascii_case(split_port(&target.host).0) => {
            let to = &target.host;
            let named = named.rsplit('@').next().unwrap_or_default();
            Err(Fault::BadRequest(format!("the request is for `{named}`, but it came over a connection to {to}")))
        }
        (Via::As(target), _) => Ok(target.clone()),
        // A client whose name service was bent to the deck speaks to it as to Graph, at the deck's port.
        (Via::Own, named) => {
            let named = named.map(|named| front.hosts.target(split_port(named).0, true));
            let known = named.filter(|target| target.kind != HostKind::Other);
            Ok(known.unwrap_or_else(|| front.hosts.target(&front.hosts.reverse, true)))
        }
    }
}

/// The host that a request names: in its `:authority`, or its one `Host` header (RFC 9112 section 3.2).
fn named_host<B>(request: &Request<B>) -> Result<Option<&str>, Fault> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.as_str()));
    }
    let host = request.headers().get(HOST).map(HeaderValue::to_str);
    host.transpose().map_err(|_| Fault::BadRequest("the Host header is no text".into()))
}

/// Sees that a request names no two hosts: whoever reads it next might take the other one.
///
/// # Errors
/// When it has two `Host` headers, or one that contradicts its address.
pub fn check_host<B>(request: &Request<B>) -> Result<(), Fault> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let Some(host) = hosts.next() else { return Ok(()) };
    if hosts.next().is_some() {
        return Err(Fault::BadRequest("the request has two Host headers".into()));
    }
    let Some(authority) = request.uri().authority() else { return Ok(()) };
    let own = if request.uri().scheme_str() == Some("http") { "80" } else { "443" };
    let split = |authority: &str| {
        let (name, port) = split_port(authority);
        (name.to_ascii_lowercase(), port.unwrap_or(own).to_owned())
    };
    let ((name, port), (host_name, host_port)) = (split(authority.as_str()), split(host.to_str().unwrap_or_default()));
    // Some clients leave out the port in the Host header of a CONNECT, whatever it is.
    if name != host_name || (port != host_port && request.method() != Method::CONNECT) {
        let address = authority.as_str().rsplit('@').next().unwrap_or_default();
        return Err(Fault::BadRequest(format!(
            "the request is for `{address}`, but its Host header names another host"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_one_host() {
        for (method, uri, host, agrees) in [
            ("GET", "/x", "a", true),
            ("GET", "http://A/x", "a:80", true),
            ("GET", "https://a/x", "a:443", true),
            ("GET", "http://a/x", "a:443", false),
            ("GET", "http://a/x", "b", false),
            ("GET", "http://user@a/x", "a", false),
            ("CONNECT", "a:8443", "a", true),
            ("CONNECT", "a:443", "b:443", false),
        ] {
            let request = Request::builder().method(method).uri(uri).header(HOST, host).body(()).unwrap();
            assert_eq!(check_host(&request).is_ok(), agrees, "{method} {uri} {host}");
        }
        let twice = Request::builder().header(HOST, "a").header(HOST, "a").body(()).unwrap();
        assert!(check_host(&twice).is_err());
    }
}
