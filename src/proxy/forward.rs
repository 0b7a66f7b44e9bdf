//! The forward proxy: what to do with a CONNECT, and whom a request in absolute form is for.

use super::front::{Front, split_port};
use super::refusal::Fault;
use crate::session::{HostKind, Target};
use http::Uri;

/// What to do with a CONNECT.
#[derive(Debug)]
pub enum Connect {
    /// Open it: speak TLS as the host, and answer what is asked inside.
    Open(Target),
    /// Tunnel it unopened to `host:port`.
    Tunnel(String),
}

/// Decides on a CONNECT to an authority.
///
/// # Errors
/// When no host and port are named, or a replay would have to reach the network.
pub fn connect(front: &Front, uri: &Uri) -> Result<Connect, Fault> {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    let (host, port) = split_port(authority);
    if host.is_empty() || port.is_none() || authority.contains('@') {
        let named = without_user(authority);
        return Err(Fault::BadRequest(format!("CONNECT must name a host and a port, and nothing else, not `{named}`")));
    }
    let kind = front.hosts.kind(host);
    if front.opens(kind) {
        return Ok(Connect::Open(front.hosts.target(authority, true)));
    }
    if front.sessions.mode().reaches_graph() {
        Ok(Connect::Tunnel(authority.to_owned()))
    } else {
        Err(Fault::Offline(authority.to_ascii_lowercase()))
    }
}

/// Whom a request in absolute form is for.
///
/// # Errors
/// When a replay would have to reach the network.
pub fn absolute(front: &Front, uri: &Uri) -> Result<Target, Fault> {
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if authority.is_empty() || authority.contains('@') {
        let named = without_user(authority);
        return Err(Fault::BadRequest(format!("the address must name a host, and no user, not `{named}`")));
    }
    let target = front.hosts.target(authority, uri.scheme_str() == Some("https"));
    if target.kind == HostKind::Other && !front.sessions.mode().reaches_graph() {
        return Err(Fault::Offline(target.host.into()));
    }
    Ok(target)
}

/// An authority without its user and password, which may be secrets.
fn without_user(authority: &str) -> &str {
    authority.rsplit('@').next().unwrap_or_default()
}
