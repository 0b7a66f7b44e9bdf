//! What every connection shares: the session, the authority, and which hosts are what.

use crate::session::report::Mode;
use crate::session::sessions::Sessions;
use crate::session::{HostKind, Target};
use crate::wire::authority::Authority;
use crate::wire::framing::HeadLimits;
use crate::wire::message::BodyLimit;
use smol_str::StrExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The hosts that the deck knows, in lower case.
#[derive(Clone, Debug)]
pub struct Hosts {
    /// The endpoints of Graph.
    pub graph: Vec<String>,
    /// Where programs sign in.
    pub sign_in: Vec<String>,
    /// The endpoint of Graph that the deck stands for when it is called by its own address.
    pub reverse: String,
}

impl Hosts {
    /// What a host, without a port, is.
    #[must_use]
    pub fn kind(&self, host: &str) -> HostKind {
        let is = |known: &String| known.eq_ignore_ascii_case(host);
        if self.graph.iter().any(is) || self.reverse.eq_ignore_ascii_case(host) {
            HostKind::Graph
        } else if self.sign_in.iter().any(is) {
            HostKind::SignIn
        } else {
            HostKind::Other
        }
    }

    /// The target that an authority, a host and perhaps a port, names. Graph and sign-in are always spoken to over TLS.
    #[must_use]
    pub fn target(&self, authority: &str, secure: bool) -> Target {
        let (name, port) = split_port(authority);
        let kind = self.kind(name);
        let secure = secure || kind != HostKind::Other;
        let own = if secure { "443" } else { "80" };
        let host = match port {
            // A port that belongs to the other scheme is not meant when TLS is put in place of it.
            Some(port) if port != own && !(secure && port == "80") => authority,
            _ => name,
        };
        Target { host: host.to_ascii_lowercase_smolstr(), kind, secure }
    }
}

/// Splits `host:port`; an IPv6 address keeps its brackets.
#[must_use]
pub fn split_port(authority: &str) -> (&str, Option<&str>) {
    // By bytes, as each request asks for it: digits are no parts of other characters.
    let digits = authority.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (before, port) = authority.split_at(authority.len() - digits);
    before.strip_suffix(':').map_or((authority, None), |name| (name, (digits > 0).then_some(port)))
}

/// How much one client may ask for, and how long it may take.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The head of a request.
    pub head: HeadLimits,
    /// The connections at once.
    pub connections: usize,
    /// The requests of one connection.
    pub requests_per_connection: u64,
    /// The first bytes of a connection, and the handshake of TLS.
    pub handshake_timeout: Duration,
    /// The head of a request, from its first byte.
    pub header_timeout: Duration,
    /// A connection on which no byte moves and nothing is answered.
    pub idle_timeout: Duration,
}

/// What is done with the hosts where programs sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Whether a replay answers itself what a program asks there.
    pub offline: bool,
    /// Whether a recording opens connections to them. Nothing of that is written down.
    pub open: bool,
}

/// What every connection shares.
#[derive(Debug)]
pub struct Front {
    /// The sessions that answer.
    pub sessions: Arc<Sessions>,
    /// Signs certificates for the hosts that are opened.
    pub authority: Authority,
    /// The hosts that are known.
    pub hosts: Hosts,
    /// The largest request body that a replay reads.
    pub body_limit: BodyLimit,
    /// What is done with sign-in.
    pub sign_in: SignIn,
    /// How long a client may take for the next part of a body.
    pub patience: Duration,
    /// What one client may ask for.
    pub limits: Limits,
    /// When the deck began.
    pub started: Instant,
}

impl Front {
    /// Whether connections to a host of this kind are opened, rather than tunnelled or refused.
    ///
    /// In record mode sign-in is not, unless that is asked for: what is said there is no business of the deck's.
    #[must_use]
    pub fn opens(&self, kind: HostKind) -> bool {
        match kind {
            HostKind::Graph => true,
            HostKind::SignIn => self.sessions.mode() == Mode::Replay || self.sign_in.open,
            HostKind::Other => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_split_from_its_host() {
        for (authority, name, port) in [
            ("a:80", "a", Some("80")),
            ("a", "a", None),
            ("a1", "a1", None),
            ("a:", "a", None),
            ("a:b", "a:b", None),
            ("[::1]", "[::1]", None),
            ("[::1]:8080", "[::1]", Some("8080")),
            ("\u{e9}:1", "\u{e9}", Some("1")),
            ("80", "80", None),
            ("", "", None),
        ] {
            assert_eq!(split_port(authority), (name, port), "{authority}");
        }
    }

    #[test]
    fn an_authority_becomes_a_target() {
        let hosts = Hosts {
            graph: vec!["graph.microsoft.com".into()],
            sign_in: vec!["login.microsoftonline.com".into()],
            reverse: "graph.microsoft.us".into(),
        };
        for (authority, secure, host, kind) in [
            ("Graph.Microsoft.com:443", true, "graph.microsoft.com", HostKind::Graph),
            ("graph.microsoft.com:80", false, "graph.microsoft.com", HostKind::Graph),
            ("graph.microsoft.com:8443", true, "graph.microsoft.com:8443", HostKind::Graph),
            ("graph.microsoft.us", false, "graph.microsoft.us", HostKind::Graph),
            ("login.microsoftonline.com", true, "login.microsoftonline.com", HostKind::SignIn),
            ("example.com:80", false, "example.com", HostKind::Other),
            ("[::1]:8080", false, "[::1]:8080", HostKind::Other),
            ("[::1]", false, "[::1]", HostKind::Other),
        ] {
            let target = hosts.target(authority, secure);
            assert_eq!((target.host.as_str(), target.kind), (host, kind), "{authority}");
            assert!(target.secure || target.kind == HostKind::Other);
        }
    }
}
