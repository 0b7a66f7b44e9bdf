//! Which hosts a recording may reach besides Graph: public ones, and those that its user named.

use http::Uri;
use hyper_util::client::legacy::connect::dns::Name;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

/// What is reached whatever its address.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The endpoints of Graph and the hosts where programs sign in, in lower case.
    pub known: Vec<String>,
    /// Hosts and ports that the user named, in lower case; `*.NAME` is any host below a name.
    pub tunnels: Vec<(String, u16)>,
}

/// A host that is not reached.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{host} is not reached: {why}; if that is meant, name it under [record] tunnels in config.toml")]
pub struct Refusal {
    host: String,
    why: String,
}

impl Reach {
    /// Sees whether an address may be connected to. `true` when it may whatever it resolves to; `false` when that must
    /// be public.
    ///
    /// # Errors
    /// When it may not be.
    pub fn check(&self, to: &Uri) -> Result<bool, Refusal> {
        let host = to.host().unwrap_or_default().to_ascii_lowercase();
        let own = if to.scheme_str() == Some("https") { 443 } else { 80 };
        let port = to.port_u16().unwrap_or(own);
        if self.known.contains(&host) || self.tunnels.iter().any(|tunnel| names(tunnel, &host, port)) {
            return Ok(true);
        }
        let refusal = |why: &str| Err(Refusal { host: format!("{host}:{port}"), why: why.to_owned() });
        if port != own {
            return refusal(&format!("a recording connects with other hosts than Graph at port {own} only"));
        }
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) if !is_public(address) => refusal("it is no public address"),
            // Whoever resolves a name of one word, or one of these, does it with a private network in mind.
            Err(_)
                if !host.contains('.')
                    || [".local", ".localhost", ".internal"].iter().any(|end| host.ends_with(end)) =>
            {
                refusal("it is no public name")
            }
            _ => Ok(false),
        }
    }
}

fn names((name, at): &(String, u16), host: &str, port: u16) -> bool {
    let is = match name.strip_prefix('*') {
        Some(below) => host.len() > below.len() && host.ends_with(below),
        None => name == host,
    };
    is && *at == port
}

/// Resolves names, and refuses those of which any address is not public: what is checked here is what is connected to.
#[derive(Clone, Copy, Debug)]
pub struct PublicResolver;

impl Service<Name> for PublicResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let addresses: Vec<_> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            if let Some(private) = addresses.iter().find(|address| !is_public(address.ip())) {
                let why = format!("it is at {}, which is no public address", private.ip());
                // Boxed as an I/O error too, since that is what connectors hand on whole.
                return Err(io::Error::other(Refusal { host, why }).into());
            }
            Ok(addresses.into_iter())
        })
    }
}

/// Whether an address belongs to somebody on the Internet, by the registries of special-purpose addresses that IANA
/// keeps (RFC 6890), and is none at which a cloud speaks to its machines.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let octets = address.octets();
    let special = match octets {
        [0 | 10 | 127, ..] | [224..=255, ..] | [169, 254, ..] | [192, 168, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [172, second, ..] => second & 0xf0 == 16,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Azure's wire server, which gives secrets to whoever asks on the machine.
        [168, 63, 129, 16] => true,
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from((u32::from(high) << 16) | u32::from(low)));
    match segments {
        // IPv4 in other clothes: mapped, translated (RFC 6052), 6to4 (RFC 3056).
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low),
        // Assignments of protocols, Teredo among them, and documentation.
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => false,
        [0x3fff, second, ..] => second & 0xf000 != 0,
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUBLIC: &str =
        "20.190.159.0 8.8.8.8 172.15.0.1 172.32.0.1 100.63.0.1 2603:1030::1 ::ffff:8.8.8.8 2002:808:808::1
        64:ff9b::808:808";
    const NOT_PUBLIC: &str =
        "0.0.0.0 10.0.0.1 127.0.0.1 127.1.2.3 169.254.169.254 192.168.1.1 172.16.0.1 172.31.255.255
        100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1 198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 255.255.255.255
        168.63.129.16 :: ::1 ::7f00:1 fe80::1 fc00::1 fd00:ec2::254 ff02::1 2001:db8::1 2001::1 fec0::1 ::ffff:127.0.0.1
        ::ffff:a9fe:a9fe 64:ff9b::7f00:1 64:ff9b:1::1 2002:7f00:1:: 3fff::1";

    #[test]
    fn public_addresses_are_told_from_all_others() {
        for (addresses, public) in [(PUBLIC, true), (NOT_PUBLIC, false)] {
            for address in addresses.split_whitespace() {
                assert_eq!(is_public(address.parse().unwrap()), public, "{address}");
            }
        }
    }

    #[test]
    fn graph_named_tunnels_and_public_hosts_are_reached() {
        let reach = Reach {
            known: vec!["graph.microsoft.com".into()],
            tunnels: vec![("localhost".into(), 8443), ("*.corp.example".into(), 443), ("10.0.0.5".into(), 443)],
        };
        for (to, outcome) in [
            ("https://graph.microsoft.com:8443", Ok(true)),
            ("https://LOCALHOST:8443", Ok(true)),
            ("https://a.corp.example", Ok(true)),
            ("https://10.0.0.5", Ok(true)),
            ("https://example.com", Ok(false)),
            ("http://example.com", Ok(false)),
            ("https://corp.example", Ok(false)),
            ("https://8.8.8.8", Ok(false)),
            ("https://example.com:22", Err("port 443 only")),
            ("https://localhost:443", Err("no public name")),
            ("https://metadata.google.internal", Err("no public name")),
            ("http://169.254.169.254", Err("no public address")),
            ("https://[::1]", Err("no public address")),
            ("https://[::ffff:127.0.0.1]", Err("no public address")),
        ] {
            let told = reach.check(&to.parse().unwrap()).map_err(|refusal| refusal.to_string());
            match outcome {
                Ok(expected) => assert_eq!(told, Ok(expected), "{to}"),
                Err(why) => assert!(told.as_ref().is_err_and(|told| told.contains(why)), "{to}: {told:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_machine_is_refused() {
        let refused = PublicResolver.call("localhost".parse().unwrap()).await.unwrap_err().to_string();
        assert!(refused.contains("no public address") && refused.contains("[record] tunnels"), "{refused}");
    }
}
