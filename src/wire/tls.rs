//! TLS in one place: the one crypto provider, what is trusted, and trust bundles for other programs.

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::sync::Arc;

/// The protocols offered and taken, the preferred one first.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// The provider is named wherever a configuration is made: a default of the process might be another library's.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The roots that the system trusts, or Mozilla's where the system has none to show.
///
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` take the place of the system's, as they do for OpenSSL.
#[must_use]
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() { webpki_root_certs::TLS_SERVER_ROOT_CERTS.to_vec() } else { found }
}

/// A client configuration that trusts these roots; ALPN is left to the HTTP connector.
#[must_use]
pub fn client_config(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    // A root that cannot be parsed is not trusted: systems carry some that are too old to be.
    store.add_parsable_certificates(roots);
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_root_certificates(store)
        .with_no_client_auth()
}

/// A server configuration that shows one certificate and speaks HTTP/2 and HTTP/1.1.
///
/// # Errors
/// When the key does not fit the certificate.
pub fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: rustls::pki_types::PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(config)
}

/// The certificates as one PEM text.
#[must_use]
pub fn pem_bundle(certificates: &[CertificateDer<'_>]) -> String {
    let pems: Vec<_> = certificates.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect();
    pem::encode_many_config(&pems, pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF))
}

/// The certificates as a PKCS#12 trust store, which is what Java reads.
///
/// # Errors
/// When the store cannot be made.
pub fn pkcs12_bundle(
    certificates: &[CertificateDer<'_>],
    password: &str,
) -> Result<Vec<u8>, p12_keystore::error::Error> {
    let mut store = p12_keystore::KeyStore::new();
    for (i, der) in certificates.iter().enumerate() {
        // As above: what cannot be parsed is not trusted.
        if let Ok(certificate) = p12_keystore::Certificate::from_der(der) {
            store.add_entry(&format!("root-{i}"), p12_keystore::KeyStoreEntry::Certificate(certificate));
        }
    }
    store.writer(password).write()
}
