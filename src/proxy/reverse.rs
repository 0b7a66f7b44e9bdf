//! Requests in origin form: whom they are for, by the tunnel or certificate through which they came.

use super::answer::Fault;
use super::front::{Front, split_port};
use crate::session::{HostKind, Target};
use http::header::HOST;
use http::{Request, Version};

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
        (Via::Own, Some(named)) if front.hosts.kind(split_port(named).0) != HostKind::Other => {
            Ok(front.hosts.target(split_port(named).0, true))
        }
        (Via::Own, _) => Ok(front.hosts.target(&front.hosts.reverse, true)),
    }
}

/// The host that a request names: in its `:authority`, or its one `Host` header (RFC 9112 section 3.2).
fn named_host<B>(request: &Request<B>) -> Result<Option<&str>, Fault> {
    if let Some(authority) = request.uri().authority() {
        return Ok(Some(authority.as_str()));
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host =
        hosts.next().map(|host| host.to_str().map_err(|_| Fault::BadRequest("the Host header is no text".into())));
    match (host.transpose()?, hosts.next()) {
        (_, Some(_)) => Err(Fault::BadRequest("the request has two Host headers".into())),
        (None, None) if request.version() == Version::HTTP_11 => {
            Err(Fault::BadRequest("the request has no Host header".into()))
        }
        (host, None) => Ok(host),
    }
}
