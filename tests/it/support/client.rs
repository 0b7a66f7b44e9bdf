//! Clients, by the way in which they come to the deck.

use super::deck::Deck;
use reqwest::{Certificate, Client, ClientBuilder, Proxy};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// The ways to come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Front {
    /// Through a CONNECT tunnel.
    Connect,
    /// With the whole address in the first line.
    Absolute,
    /// TLS straight to the port, by the name of Graph.
    Tls,
    /// TLS straight to the port, by its address.
    TlsByAddress,
    /// The deck's address as base URL.
    Reverse,
}

impl Front {
    pub const ALL: [Self; 5] = [Self::Connect, Self::Absolute, Self::Tls, Self::TlsByAddress, Self::Reverse];

    /// A client that comes this way and speaks HTTP/2 or only HTTP/1.1.
    pub fn client(self, deck: &Deck<'_>, ca_pem: &str, http2: bool) -> Client {
        let mut builder = bare(ca_pem);
        let proxy = format!("http://{}", deck.address);
        builder = match self {
            Self::Connect => builder.proxy(Proxy::https(&proxy).unwrap()),
            // HTTP/2 has no absolute form; there the name of Graph stands in :authority.
            Self::Absolute if http2 => builder.resolve("graph.microsoft.com", deck.address).http2_prior_knowledge(),
            Self::Absolute => builder.proxy(Proxy::http(&proxy).unwrap()),
            Self::Tls => builder.resolve("graph.microsoft.com", deck.address),
            Self::Reverse if http2 => builder.http2_prior_knowledge(),
            Self::TlsByAddress | Self::Reverse => builder,
        };
        if !http2 {
            builder = builder.http1_only();
        }
        builder.build().unwrap()
    }

    /// The address that such a client asks for.
    pub fn url(self, deck: &Deck<'_>, path: &str, http2: bool) -> String {
        match self {
            Self::Connect => format!("https://graph.microsoft.com{path}"),
            Self::Absolute if http2 => format!("http://graph.microsoft.com:{}{path}", deck.address.port()),
            Self::Absolute => format!("http://graph.microsoft.com{path}"),
            Self::Tls => format!("https://graph.microsoft.com:{}{path}", deck.address.port()),
            Self::TlsByAddress => format!("https://{}{path}", deck.address),
            Self::Reverse => deck.url(path),
        }
    }
}

/// A client that trusts the deck and takes nothing from its surroundings.
pub fn bare(ca_pem: &str) -> ClientBuilder {
    let root = Certificate::from_pem(ca_pem.as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([root])
}

/// The usual client: CONNECT, and HTTP/2 as the deck prefers.
pub fn through(deck: &Deck<'_>, ca_pem: &str) -> Client {
    Front::Connect.client(deck, ca_pem, true)
}

/// TLS of a client that believes this root alone.
pub fn trusting(ca_pem: &str) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(ca_pem.as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    config.with_root_certificates(roots).with_no_client_auth()
}
