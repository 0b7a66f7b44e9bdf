//! The certificate authority: a root made once per user, and the leaves that it signs for the hosts the deck opens.

use super::tls;
use crate::platform;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::{fs, io};
use time::{Duration, OffsetDateTime};

/// How long the root is valid. It is this long because people put it into trust stores by hand.
const ROOT_DAYS: i64 = 3650;
/// How long a leaf is valid, and after how long a new one is made.
const LEAF_DAYS: i64 = 30;
const LEAF_RENEWAL_DAYS: i64 = 7;
/// Certificates begin this much in the past, for clocks that disagree.
const BACKDATED: Duration = Duration::days(1);

/// The file with root certificate and key: one file, so that no crash leaves one without the other.
const FILE: &str = "root.pem";
/// The file with the certificate alone, for people and programs to read.
const PUBLIC_FILE: &str = "ca.pem";

/// Signs certificates for the hosts that the deck opens.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
    public_file: PathBuf,
    leaf_key: KeyPair,
    leaves: Mutex<HashMap<String, (OffsetDateTime, Arc<ServerConfig>)>>,
}

/// Why there is no certificate authority, or no leaf.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system refused.
    #[error("the certificate authority's {} cannot be {what}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The file does not hold a root certificate and its key.
    #[error("{} is no certificate authority ({why}): remove it, and a new one is made (to be trusted anew)", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// There is no place for it.
    #[error("there is no folder for the certificate authority: set XDG_DATA_HOME or HOME")]
    Homeless,
    /// A certificate could not be signed.
    #[error("no certificate for {host} could be made: {why}")]
    Leaf {
        /// The host.
        host: String,
        /// The reason.
        why: String,
    },
}

/// The user's folder for the authority: `$XDG_DATA_HOME/graphdeck`, or the system's own place for such data.
///
/// # Errors
/// When the user has no home.
pub fn default_dir() -> Result<PathBuf, Fault> {
    let named = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    named.or_else(dirs::data_local_dir).map(|dir| dir.join("graphdeck")).ok_or(Fault::Homeless)
}

impl Authority {
    /// Opens the authority in `dir`, or makes it there.
    ///
    /// # Errors
    /// When it cannot be read or written, or is damaged.
    pub fn open(dir: &Path) -> Result<Self, Fault> {
        let file = dir.join(FILE);
        let stored = match fs::read_to_string(&file) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => create(dir, &file)?,
            stored => stored.map_err(|source| io_fault(&file, "read", source))?,
        };
        let damaged = |why: &dyn std::fmt::Display| Fault::Damaged { path: file.clone(), why: why.to_string() };
        let root = CertificateDer::from_pem_slice(stored.as_bytes()).map_err(|why| damaged(&why))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(stored.as_bytes()).map_err(|why| damaged(&why))?;
        let key = KeyPair::try_from(&key).map_err(|why| damaged(&why))?;
        let issuer = Issuer::from_ca_cert_der(&root, key).map_err(|why| damaged(&why))?;
        let public_file = write_public(dir, &root)?;
        let leaf_key = new_key().map_err(|why| damaged(&why))?;
        Ok(Self { issuer, root, public_file, leaf_key, leaves: Mutex::new(HashMap::new()) })
    }

    /// The root certificate.
    #[must_use]
    pub fn root(&self) -> &CertificateDer<'static> {
        &self.root
    }

    /// The root certificate as PEM text.
    #[must_use]
    pub fn root_pem(&self) -> String {
        tls::pem_bundle(std::slice::from_ref(&self.root))
    }

    /// The file that holds the root certificate alone.
    #[must_use]
    pub fn public_file(&self) -> &Path {
        &self.public_file
    }

    /// What to show to a client that asks for `host`, a name or an IP address.
    ///
    /// # Errors
    /// When no certificate can be made for it.
    pub fn server_config(&self, host: &str) -> Result<Arc<ServerConfig>, Fault> {
        let now = OffsetDateTime::now_utc();
        let mut leaves = self.leaves.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((made, config)) = leaves.get(host)
            && (now - *made).abs() < Duration::days(LEAF_RENEWAL_DAYS)
        {
            return Ok(Arc::clone(config));
        }
        let fault = |why: &dyn std::fmt::Display| Fault::Leaf { host: host.to_owned(), why: why.to_string() };
        let leaf = leaf(host, now).and_then(|params| params.signed_by(&self.leaf_key, &self.issuer));
        let chain = vec![leaf.map_err(|why| fault(&why))?.der().clone()];
        let key = PrivateKeyDer::Pkcs8(self.leaf_key.serialize_der().into());
        let config = Arc::new(tls::server_config(chain, key).map_err(|why| fault(&why))?);
        leaves.insert(host.to_owned(), (now, Arc::clone(&config)));
        Ok(config)
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").field("public_file", &self.public_file).finish_non_exhaustive()
    }
}

fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// Makes the root, unless another process is quicker; returns what then stands in the file.
fn create(dir: &Path, file: &Path) -> Result<String, Fault> {
    let written = |source| io_fault(file, "written", source);
    platform::private_dir(dir).map_err(|source| io_fault(dir, "written", source))?;
    let root = root().map_err(|why| Fault::Damaged { path: file.to_owned(), why: why.to_string() })?;
    // A temporary file is readable by its owner alone, and stays so.
    let mut fresh = tempfile::NamedTempFile::new_in(dir).map_err(written)?;
    fresh.write_all(root.as_bytes()).map_err(written)?;
    fresh.as_file().sync_all().map_err(written)?;
    match fresh.persist_noclobber(file) {
        Ok(_) => {}
        Err(fault) if fault.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(fault) => return Err(written(fault.error)),
    }
    platform::sync_dir(dir).map_err(written)?;
    fs::read_to_string(file).map_err(|source| io_fault(file, "read", source))
}

/// A new root certificate and its key, as PEM.
///
/// Key usage, and an authority key id in the leaves, are what strict checkers ask for: Python 3.13 by default, and
/// `openssl verify -x509_strict` (RFC 5280 sections 4.2.1.1 and 4.2.1.3).
fn root() -> Result<String, rcgen::Error> {
    let key = new_key()?;
    let now = OffsetDateTime::now_utc();
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Graphdeck root (made on this machine)");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - BACKDATED;
    params.not_after = now + Duration::days(ROOT_DAYS);
    Ok(params.self_signed(&key)?.pem() + &key.serialize_pem())
}

fn leaf(host: &str, now: OffsetDateTime) -> Result<CertificateParams, rcgen::Error> {
    // An IP address becomes an IP SAN here, a name a DNS SAN.
    let mut params = CertificateParams::new(vec![host.to_owned()])?;
    params.distinguished_name = name(host);
    params.is_ca = IsCa::ExplicitNoCa;
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.not_before = now - BACKDATED;
    params.not_after = now + Duration::days(LEAF_DAYS);
    Ok(params)
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

/// Sees that the certificate stands in a file of its own.
fn write_public(dir: &Path, root: &CertificateDer<'_>) -> Result<PathBuf, Fault> {
    let file = dir.join(PUBLIC_FILE);
    let pem = tls::pem_bundle(std::slice::from_ref(root));
    if fs::read_to_string(&file).is_ok_and(|found| found == pem) {
        return Ok(file);
    }
    platform::replace_file(&file, |fresh| fresh.write_all(pem.as_bytes()))
        .map_err(|source| io_fault(&file, "written", source))?;
    Ok(file)
}

fn io_fault(path: &Path, what: &'static str, source: io::Error) -> Fault {
    Fault::Io { path: path.to_owned(), what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_made_once_and_only_its_owner_reads_the_key() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("graphdeck");
        let first = Authority::open(&dir).unwrap();
        let again = Authority::open(&dir).unwrap();
        assert_eq!(first.root(), again.root());
        assert_eq!(fs::read_to_string(first.public_file()).unwrap(), first.root_pem());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
        }
    }

    #[test]
    fn two_that_begin_at_once_agree_on_one_root() {
        let home = tempfile::tempdir().unwrap();
        let open = || Authority::open(&home.path().join("x")).unwrap().root().clone();
        let roots: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn leaves_are_kept() {
        let home = tempfile::tempdir().unwrap();
        let authority = Authority::open(home.path()).unwrap();
        for host in ["graph.microsoft.com", "127.0.0.1", "::1"] {
            let one = authority.server_config(host).unwrap();
            assert!(Arc::ptr_eq(&one, &authority.server_config(host).unwrap()));
        }
    }

    #[test]
    fn a_damaged_file_is_named_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        fs::write(home.path().join(FILE), "nothing").unwrap();
        let fault = Authority::open(home.path()).unwrap_err().to_string();
        assert!(fault.contains("root.pem is no certificate authority") && fault.contains("remove it"), "{fault}");
    }
}
