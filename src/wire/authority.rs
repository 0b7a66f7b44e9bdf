//! The certificate authority: what the root's key signs for the hosts the deck opens.

use super::root::{self, Root};
use super::{constraints, tls};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use time::{Duration, OffsetDateTime};

/// How long a leaf is valid, and after how long a new one is made.
const LEAF_DAYS: i64 = 30;
const LEAF_RENEWAL_DAYS: i64 = 7;
/// Leaves begin this much in the past, for clocks that disagree.
const BACKDATED: Duration = Duration::days(1);

/// Signs certificates for the hosts that the deck opens.
#[derive(Debug)]
pub struct Authority {
    root: Root,
    leaf_key: KeyPair,
    leaves: Mutex<HashMap<String, (OffsetDateTime, Arc<ServerConfig>)>>,
}

/// Why there is no certificate for a host.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The root is not good for it, so clients would refuse what it signs.
    #[error(
        "no certificate for {0}: the root is good only for Graph's hosts, localhost and loopback addresses; call the deck by http:// there, or as a proxy"
    )]
    NotPermitted(String),
    /// It could not be made.
    #[error("no certificate for {host} could be made: {why}")]
    NotMade {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
}

impl Authority {
    /// An authority with this root.
    ///
    /// # Errors
    /// When the system gives no key.
    pub fn new(root: Root) -> Result<Self, Fault> {
        let leaf_key = root::new_key();
        let leaf_key = leaf_key.map_err(|why| Fault::NotMade { host: "any host".to_owned(), why: why.to_string() })?;
        Ok(Self { root, leaf_key, leaves: Mutex::new(HashMap::new()) })
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        self.root.certificate()
    }

    /// The root certificate as PEM text.
    #[must_use]
    pub fn root_pem(&self) -> String {
        tls::pem_bundle(std::slice::from_ref(self.root()))
    }

    /// The file that holds the root certificate alone.
    #[must_use]
    pub fn public_file(&self) -> &Path {
        self.root.public_file()
    }

    /// What to show to a client that asks for `host`, a name or an IP address.
    ///
    /// # Errors
    /// When the root is not good for it, or no certificate can be made.
    pub fn server_config(&self, host: &str) -> Result<Arc<ServerConfig>, Fault> {
        if !self.root.permits(host) {
            return Err(Fault::NotPermitted(host.to_owned()));
        }
        let now = OffsetDateTime::now_utc();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, config)) = leaves.get(host)
            && (now - *made).abs() < Duration::days(LEAF_RENEWAL_DAYS)
        {
            return Ok(Arc::clone(config));
        }
        let fault = |why: &dyn std::fmt::Display| Fault::NotMade { host: host.to_owned(), why: why.to_string() };
        let leaf = self.sign(host, now).map_err(|why| fault(&why))?;
        let chain = vec![leaf, self.root.issuing().clone()];
        let key = PrivateKeyDer::Pkcs8(self.leaf_key.serialize_der().into());
        let config = Arc::new(tls::server_config(chain, key).map_err(|why| fault(&why))?);
        leaves.insert(host.to_owned(), (now, Arc::clone(&config)));
        Ok(config)
    }

    fn sign(&self, host: &str, now: OffsetDateTime) -> Result<CertificateDer<'static>, rcgen::Error> {
        let until = self.root.until().min(now + Duration::days(LEAF_DAYS));
        let leaf = leaf(host, now - BACKDATED, until)?.signed_by(&self.leaf_key, self.root.issuer())?;
        Ok(leaf.der().clone())
    }
}

fn leaf(host: &str, from: OffsetDateTime, until: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    let mut names = vec![host.to_owned()];
    // Java does not say which name it asks for when that has no dot in it, and is shown what is for the address.
    if host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        names.push(constraints::OWN_NAME.to_owned());
    }
    // An IP address becomes an IP SAN here, a name a DNS SAN.
    let mut params = CertificateParams::new(names)?;
    // There is no common name: OpenSSL and Java hold one against the constraints, as if an address were a name.
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "Graphdeck");
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = from;
    params.not_after = until;
    Ok(params)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority(dir: &Path) -> Authority {
        let root = Root::open(dir, &["graph.microsoft.com".to_owned()], OffsetDateTime::now_utc()).unwrap();
        Authority::new(root).unwrap()
    }

    #[test]
    fn leaves_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let authority = authority(home.path());
        for host in ["graph.microsoft.com", "127.0.0.1", "::1"] {
            let one = authority.server_config(host).unwrap();
            assert!(Arc::ptr_eq(&one, &authority.server_config(host).unwrap()));
        }
    }

    #[test]
    fn a_leaf_is_valid_for_90_days_at_most_and_no_longer_than_its_root() {
        let home = tempfile::tempdir().unwrap();
        let authority = authority(home.path());
        let now = OffsetDateTime::now_utc();
        for made in [now, authority.root.until() - Duration::days(3)] {
            let leaf = authority.sign("graph.microsoft.com", made).unwrap();
            let (_, leaf) = x509_parser::parse_x509_certificate(&leaf).unwrap();
            let (from, until) = (leaf.validity().not_before.to_datetime(), leaf.validity().not_after.to_datetime());
            assert!(until - from <= Duration::days(90) && until <= authority.root.until(), "{from} {until}");
            assert!(from < made && made + Duration::days(2) < until, "{from} {until}");
        }
        const { assert!(LEAF_RENEWAL_DAYS < LEAF_DAYS, "a new one is made before the old one ends") };
    }

    #[test]
    fn for_a_host_that_the_root_is_not_good_for_there_is_no_leaf() {
        let home = tempfile::tempdir().unwrap();
        let authority = authority(home.path());
        for host in ["bank.example", "192.168.1.5", "graph.microsoft.com.bank.example"] {
            assert!(matches!(authority.server_config(host), Err(Fault::NotPermitted(_))), "{host}");
        }
        insta::assert_snapshot!(authority.server_config("192.168.1.5").unwrap_err().to_string());
    }
}
