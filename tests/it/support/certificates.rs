//! Certificates of every kind, good and bad, and a TLS server that shows them.

use super::deck::Project;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    NameConstraints,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, SupportedProtocolVersion};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// What a server shows: the leaf first, and the leaf's key.
pub struct Shown {
    pub chain: Vec<CertificateDer<'static>>,
    pub key: PrivateKeyDer<'static>,
}

impl Shown {
    /// The certificate from `from` of the chain on, as PEM.
    pub fn pem(&self, from: usize, to: usize) -> String {
        let part = &self.chain[from.min(self.chain.len())..to.min(self.chain.len())];
        pem::encode_many(&part.iter().map(|der| pem::Pem::new("CERTIFICATE", der.as_ref())).collect::<Vec<_>>())
    }
}

/// Whoever can sign, with the certificates that lead from what it signs towards the root.
pub struct Signer {
    issuer: Issuer<'static, KeyPair>,
    above: Vec<CertificateDer<'static>>,
}

impl Signer {
    /// A root of one's own, and its certificate as PEM.
    pub fn root(name: &str) -> (Self, String) {
        let (params, key) = (authority(name), KeyPair::generate().unwrap());
        let pem = params.self_signed(&key).unwrap().pem();
        (Self { issuer: Issuer::new(params, key), above: Vec::new() }, pem)
    }

    /// What somebody can sign with who took the deck's own key.
    pub fn thief(project: &Project) -> Self {
        let stolen = std::fs::read_to_string(key_file(project)).unwrap();
        let certificates = CertificateDer::pem_slice_iter(stolen.as_bytes());
        let issuing: CertificateDer<'static> = certificates.last().unwrap().unwrap();
        let key = KeyPair::try_from(&PrivatePkcs8KeyDer::from_pem_slice(stolen.as_bytes()).unwrap()).unwrap();
        Self { issuer: Issuer::from_ca_cert_der(&issuing, key).unwrap(), above: vec![issuing] }
    }

    /// An authority below this one, without constraints.
    pub fn below(&self) -> Self {
        let (mut params, key) = (authority("An authority below"), KeyPair::generate().unwrap());
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Self { issuer: Issuer::new(params, key), above: [vec![certificate], self.above.clone()].concat() }
    }

    /// The same key and name under a certificate of one's own making, without constraints.
    pub fn remade(self) -> Self {
        let name = x509_parser::parse_x509_certificate(&self.above[0]).unwrap().1;
        let name = name.subject().iter_common_name().next().unwrap().as_str().unwrap();
        let params = authority(name);
        let certificate = params.self_signed(self.issuer.key()).unwrap().der().clone();
        Self { above: vec![certificate], ..self }
    }

    /// A certificate for these names and addresses, changed as wanted.
    pub fn sign(&self, names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Shown {
        let key = KeyPair::generate().unwrap();
        let leaf = leaf(names, change).signed_by(&key, &self.issuer).unwrap();
        Shown { chain: [vec![leaf.der().clone()], self.above.clone()].concat(), key: private(&key) }
    }
}

/// A certificate that nobody but its own key signed.
pub fn self_signed(names: &[&str]) -> Shown {
    let key = KeyPair::generate().unwrap();
    Shown { chain: vec![leaf(names, |_| {}).self_signed(&key).unwrap().der().clone()], key: private(&key) }
}

/// Where the deck keeps the key that signs.
pub fn key_file(project: &Project) -> PathBuf {
    project.file("data/graphdeck/root.pem")
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn leaf(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "A test");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    params
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::Pkcs8(key.serialize_der().into())
}

/// Serves TLS, in these versions, and answers every request with 200 and `{}`; it ends with the runtime.
pub async fn serve(shown: Shown, versions: &[&'static SupportedProtocolVersion]) -> SocketAddr {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    let config = config.with_no_client_auth().with_single_cert(shown.chain, shown.key).unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // Clients that refuse the certificate are what the tests are about.
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut head = [0; 4096];
                if stream.read(&mut head).await.is_ok_and(|read| read > 0) {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let _ = stream.write_all(answer).await;
                    let _ = stream.shutdown().await;
                }
            });
        }
    });
    address
}

/// Puts a root in the deck's place that is valid for so long from now on, as the deck would have made it earlier.
pub fn make_root(project: &Project, left: time::Duration) {
    let until = time::OffsetDateTime::now_utc() + left;
    let (key, issuing_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let subtree = |name: &str| GeneralSubtree::DnsName(name.to_owned());
    let permitted_subtrees = graphdeck::tape::graph::SIGN_IN_HOSTS.map(subtree).into_iter();
    let permitted_subtrees =
        permitted_subtrees.chain(graphdeck::config::Config::default().hosts.iter().map(|host| subtree(host))).collect();
    let constrained = |name: &str| {
        let mut params = authority(name);
        params.not_after = until;
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: Vec::clone(&permitted_subtrees),
            excluded_subtrees: Vec::new(),
        });
        params
    };
    let root = constrained("A root");
    let root_pem = root.self_signed(&key).unwrap().pem();
    let issuing = constrained("Issuing").signed_by(&issuing_key, &Issuer::new(root, key)).unwrap();
    let file = project.write("data/graphdeck/root.pem", root_pem + &issuing.pem() + &issuing_key.serialize_pem());
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
}
