//! The root certificate: made once per user, kept with the one key that it certified, renewed; what that key may sign.
//!
//! The root signs one certificate when it is made, the *issuing* one, and its own key is then forgotten: it is in no
//! file. The key that is kept is the issuing one's. Its certificate is constrained by name to the hosts that the deck
//! opens (RFC 5280 section 4.2.1.10), by usage to TLS servers, and by path length to leaves. A key that is stolen can
//! therefore sign for nothing else, also in the eyes of clients that ignore constraints of a root itself, as Java does.

use super::constraints::{self, Permitted};
use super::tls;
use crate::platform;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};
use time::{Duration, OffsetDateTime};

/// How long the root is valid. It is this long because people put it into trust stores by hand.
const DAYS: i64 = 3650;
/// From how many days before its end on the root is to be renewed.
const LAST_DAYS: i64 = 30;
/// The root begins this many days in the past, for clocks that are far behind: no key of it is that old.
const BACKDATED_DAYS: i64 = 2 * 366;

/// The file with root, issuing certificate and its key: one file, so that no crash leaves one without the other.
const FILE: &str = "root.pem";
/// The file with the root alone, for people and programs to read.
const PUBLIC_FILE: &str = "ca.pem";
/// The file with a root that was replaced while the system trusted it, so that it can be taken out there.
const REPLACED_FILE: &str = "ca-old.pem";

/// A root certificate, and the key that signs in its name.
pub struct Root {
    certificate: CertificateDer<'static>,
    issuing: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    permitted: Permitted,
    until: OffsetDateTime,
    file: PathBuf,
    public_file: PathBuf,
}

/// Why there is no root certificate that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system refused.
    #[error("the certificate authority's {} cannot be {what}: {source}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// `read`, `written` or `removed`.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The file does not hold what it should.
    #[error("{} is no certificate authority ({why}): `graphdeck ca --renew` makes a new one, to be trusted anew", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// It was made before there were constraints.
    #[error(
        "the root certificate in {} is of an earlier version, and whoever has its key can sign for any host: `graphdeck ca --renew` makes one that is good for Graph's hosts alone; trust that one instead, and remove the old one wherever it is trusted",
        .path.display()
    )]
    Unconstrained {
        /// The file.
        path: PathBuf,
    },
    /// It is no longer valid.
    #[error(
        "the root certificate in {} expired on {on}: `graphdeck ca --renew` makes a new one, to be trusted in its place (if this machine's clock is right)",
        .path.display()
    )]
    Expired {
        /// The file.
        path: PathBuf,
        /// The day.
        on: String,
    },
    /// It is not good for hosts that the settings name.
    #[error(
        "the root certificate in {} is not good for {}, which the settings name: `graphdeck ca --renew` makes one that is, to be trusted in its place",
        .path.display(),
        .hosts.join(", ")
    )]
    Uncovered {
        /// The file.
        path: PathBuf,
        /// The hosts.
        hosts: Vec<String>,
    },
    /// There is no place for it.
    #[error("there is no folder for the certificate authority: set XDG_DATA_HOME or HOME")]
    Homeless,
    /// It could not be made.
    #[error("no root certificate could be made for {}: {why}", .hosts.join(", "))]
    NotMade {
        /// The hosts.
        hosts: Vec<String>,
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

/// A root certificate without its key, as others are given it.
#[derive(Clone, Debug)]
pub struct Public {
    /// The file that it is in.
    pub file: PathBuf,
    /// Its common name.
    pub name: String,
    /// Whether the system trusts it.
    pub trusted: bool,
}

impl Public {
    /// The root in `dir`, expired or not.
    #[must_use]
    pub fn current(dir: &Path) -> Option<Self> {
        Self::read(dir.join(PUBLIC_FILE))
    }

    /// The root in `dir` that was replaced while the system trusted it.
    #[must_use]
    pub fn replaced(dir: &Path) -> Option<Self> {
        Self::read(dir.join(REPLACED_FILE))
    }

    fn read(file: PathBuf) -> Option<Self> {
        let certificate = CertificateDer::from_pem_file(&file).ok()?;
        let trusted = tls::system_roots().contains(&certificate);
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let name = parsed.subject().iter_common_name().next()?.as_str().ok()?.to_owned();
        Some(Self { file, name, trusted })
    }

    /// Keeps it in `dir`, since another is to take its place.
    ///
    /// # Errors
    /// When it cannot be copied.
    pub fn keep(&self, dir: &Path) -> Result<(), Fault> {
        let file = dir.join(REPLACED_FILE);
        fs::copy(&self.file, &file).map(drop).map_err(|source| io_fault(&file, "written", source))
    }

    /// Keeps it no longer: it is out of the system's trust.
    ///
    /// # Errors
    /// When its file cannot be removed.
    pub fn forget(self) -> Result<(), Fault> {
        fs::remove_file(&self.file).map_err(|source| io_fault(&self.file, "removed", source))
    }
}

impl Root {
    /// Opens the root in `dir`; where there is none, makes one for `hosts` and the deck's own loopback addresses.
    ///
    /// # Errors
    /// When it cannot be read or written, is damaged, of an earlier version, or expired.
    pub fn open(dir: &Path, hosts: &[String], now: OffsetDateTime) -> Result<Self, Fault> {
        let file = dir.join(FILE);
        match fs::read_to_string(&file) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                match store(dir, hosts, now)?.persist_noclobber(&file) {
                    // Another process may have been quicker, and then its root is the one.
                    Err(fault) if fault.error.kind() != io::ErrorKind::AlreadyExists => {
                        return Err(io_fault(&file, "written", fault.error));
                    }
                    _ => platform::sync_dir(dir).map_err(|source| io_fault(dir, "written", source))?,
                }
                Self::read(dir, file, now)
            }
            _ => Self::read(dir, file, now),
        }
    }

    /// Makes a new root for `hosts` in the place of what is in `dir`, in one step. The old one's key is then gone.
    ///
    /// # Errors
    /// When it cannot be made or written.
    pub fn renew(dir: &Path, hosts: &[String], now: OffsetDateTime) -> Result<Self, Fault> {
        let file = dir.join(FILE);
        let fresh = store(dir, hosts, now)?;
        fresh.persist(&file).map_err(|fault| io_fault(&file, "written", fault.error))?;
        platform::sync_dir(dir).map_err(|source| io_fault(dir, "written", source))?;
        Self::read(dir, file, now)
    }

    fn read(dir: &Path, file: PathBuf, now: OffsetDateTime) -> Result<Self, Fault> {
        let stored = fs::read_to_string(&file).map_err(|source| io_fault(&file, "read", source))?;
        let damaged = |why: &dyn std::fmt::Display| Fault::Damaged { path: file.clone(), why: why.to_string() };
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(stored.as_bytes()).collect();
        let mut certificates = certificates.map_err(|why| damaged(&why))?.into_iter();
        let certificate = certificates.next().ok_or_else(|| damaged(&"there is no certificate in it"))?;
        let key = PrivatePkcs8KeyDer::from_pem_slice(stored.as_bytes());
        let key = key.map_err(|_| damaged(&"there is no private key in it"))?;
        let key = KeyPair::try_from(&key).map_err(|why| damaged(&why))?;
        let Some(issuing) = certificates.next() else { return Err(Fault::Unconstrained { path: file }) };
        let (permitted, until) = read_issuing(&issuing, &key).map_err(|why| damaged(&why))?;
        let issuer = Issuer::from_ca_cert_der(&issuing, key).map_err(|why| damaged(&why))?;
        if until <= now {
            return Err(Fault::Expired { path: file, on: day(until) });
        }
        let public_file = write_public(dir, &certificate)?;
        Ok(Self { certificate, issuing, issuer, permitted, until, file, public_file })
    }

    /// Sees that it is good for these hosts.
    ///
    /// # Errors
    /// When it is not good for some.
    pub fn covers(&self, hosts: &[String]) -> Result<(), Fault> {
        let hosts: Vec<String> = hosts.iter().filter(|host| !self.permits(host)).cloned().collect();
        if hosts.is_empty() { Ok(()) } else { Err(Fault::Uncovered { path: self.file.clone(), hosts }) }
    }

    /// Whether it is good for a host, a name or an IP address.
    #[must_use]
    pub fn permits(&self, host: &str) -> bool {
        self.permitted.has(host)
    }

    /// The names that it is good for, with all below each.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.permitted.names
    }

    /// The certificate.
    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate between the root and a leaf, which a server shows with the leaf.
    #[must_use]
    pub fn issuing(&self) -> &CertificateDer<'static> {
        &self.issuing
    }

    /// The file that holds the root certificate alone.
    #[must_use]
    pub fn public_file(&self) -> &Path {
        &self.public_file
    }

    /// The file that holds the key.
    #[must_use]
    pub fn key_file(&self) -> &Path {
        &self.file
    }

    /// When it expires.
    #[must_use]
    pub fn until(&self) -> OffsetDateTime {
        self.until
    }

    /// The day on which it expires.
    #[must_use]
    pub fn last_day(&self) -> String {
        day(self.until)
    }

    /// How many days are left, where they are so few that it is to be renewed.
    #[must_use]
    pub fn days_left(&self, now: OffsetDateTime) -> Option<i64> {
        Some((self.until - now).whole_days()).filter(|days| *days <= LAST_DAYS)
    }

    /// What signs leaves.
    pub(super) fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Reads what an issuing certificate is good for and until when, and sees that the key is its own.
fn read_issuing(der: &CertificateDer<'_>, key: &KeyPair) -> Result<(Permitted, OffsetDateTime), String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).map_err(|why| why.to_string())?;
    if certificate.public_key().raw != key.subject_public_key_info() {
        return Err("the key in it belongs to another certificate".to_owned());
    }
    let permitted = Permitted::read(&certificate)?.ok_or("its issuing certificate has no name constraints")?;
    Ok((permitted, certificate.validity().not_after.to_datetime()))
}

pub(super) fn new_key() -> Result<KeyPair, rcgen::Error> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
}

/// Writes a new root to a temporary file in `dir`, all of it on the disk.
fn store(dir: &Path, hosts: &[String], now: OffsetDateTime) -> Result<tempfile::NamedTempFile, Fault> {
    let written = |source| io_fault(&dir.join(FILE), "written", source);
    platform::private_dir(dir).map_err(|source| io_fault(dir, "written", source))?;
    let root = make(hosts, now).map_err(|why| Fault::NotMade { hosts: hosts.to_vec(), why: why.to_string() })?;
    // A temporary file is readable by its owner alone, and stays so.
    let mut fresh = tempfile::NamedTempFile::new_in(dir).map_err(written)?;
    fresh.write_all(root.as_bytes()).map_err(written)?;
    fresh.as_file().sync_all().map_err(written)?;
    Ok(fresh)
}

/// A new root, the issuing certificate and its key, as PEM. The root's own key ends here.
fn make(hosts: &[String], now: OffsetDateTime) -> Result<String, rcgen::Error> {
    let (root_key, issuing_key) = (new_key()?, new_key()?);
    let root = authority(&format!("Graphdeck root, made here on {}", day(now)), 1, hosts, now);
    let mut issuing = authority("Graphdeck issuing certificate", 0, hosts, now);
    issuing.use_authority_key_identifier_extension = true;
    issuing.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let root_certificate = root.self_signed(&root_key)?;
    let issuing = issuing.signed_by(&issuing_key, &Issuer::new(root, root_key))?;
    Ok(root_certificate.pem() + &issuing.pem() + &issuing_key.serialize_pem())
}

/// A certificate that signs others.
///
/// Key usage, and an authority key id in what is signed, are what strict checkers ask for: Python 3.13 by default, and
/// `openssl verify -x509_strict` (RFC 5280 sections 4.2.1.1 and 4.2.1.3).
fn authority(name: &str, path_length: u8, hosts: &[String], now: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_length));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.name_constraints = Some(constraints::of(hosts));
    params.not_before = now - Duration::days(BACKDATED_DAYS);
    params.not_after = now + Duration::days(DAYS);
    params
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

/// A day as people and RFC 3339 write it.
pub(super) fn day(time: OffsetDateTime) -> String {
    format!("{:04}-{:02}-{:02}", time.year(), u8::from(time.month()), time.day())
}

fn io_fault(path: &Path, what: &'static str, source: io::Error) -> Fault {
    Fault::Io { path: path.to_owned(), what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn open(dir: &Path) -> Result<Root, Fault> {
        Root::open(dir, &hosts(&["graph.microsoft.com", "login.microsoftonline.com"]), OffsetDateTime::now_utc())
    }

    #[test]
    fn it_is_made_once_and_only_its_owner_reads_the_key() {
        let home = tempfile::tempdir().unwrap();
        let dir = home.path().join("graphdeck");
        let (first, again) = (open(&dir).unwrap(), open(&dir).unwrap());
        assert_eq!(first.certificate(), again.certificate());
        let public = fs::read_to_string(first.public_file()).unwrap();
        assert_eq!(public, tls::pem_bundle(std::slice::from_ref(first.certificate())));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&dir), mode(&dir.join(FILE))), (0o700, 0o600));
            let renewed = Root::renew(&dir, &hosts(&["graph.microsoft.com"]), OffsetDateTime::now_utc()).unwrap();
            assert_ne!(renewed.certificate(), first.certificate());
            assert_eq!(mode(&dir.join(FILE)), 0o600);
        }
    }

    #[test]
    fn two_that_begin_at_once_agree_on_one_root() {
        let home = tempfile::tempdir().unwrap();
        let open = || open(&home.path().join("x")).unwrap().certificate().clone();
        let roots: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(roots.windows(2).all(|pair| pair[0] == pair[1]));
    }

    #[test]
    fn a_crash_between_the_two_files_of_a_renewal_is_mended() {
        let home = tempfile::tempdir().unwrap();
        let old = open(home.path()).unwrap();
        // All that stands at any moment of a renewal: the old root or the new one, with the old public file.
        store(home.path(), &hosts(&["graph.microsoft.com"]), OffsetDateTime::now_utc())
            .unwrap()
            .persist(home.path().join(FILE))
            .unwrap();
        let new = open(home.path()).unwrap();
        assert_ne!(old.certificate(), new.certificate());
        let public = fs::read_to_string(new.public_file()).unwrap();
        assert_eq!(public, tls::pem_bundle(std::slice::from_ref(new.certificate())));
    }

    #[test]
    fn it_is_good_for_its_hosts_and_this_machine_alone() {
        let home = tempfile::tempdir().unwrap();
        let names =
            ["graph.microsoft.com", "canary.graph.microsoft.com", "Graph.Test", "graph.test", "10.1.2.3", "localhost"];
        let root = Root::renew(home.path(), &hosts(&names), OffsetDateTime::now_utc()).unwrap();
        assert_eq!(root.names(), ["graph.microsoft.com", "Graph.Test", "localhost"]);
        for (host, good) in [
            ("graph.microsoft.com", true),
            ("GRAPH.Microsoft.com", true),
            ("canary.graph.microsoft.com", true),
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.8.9.10", true),
            ("::1", true),
            ("10.1.2.3", true),
            ("graph.test", true),
            ("microsoft.com", false),
            ("evilgraph.microsoft.com", false),
            ("graph.microsoft.com.bank.example", false),
            ("bank.example", false),
            ("com", false),
            ("", false),
            ("10.1.2.4", false),
            ("128.0.0.1", false),
            ("::2", false),
            ("::ffff:127.0.0.1", false),
        ] {
            assert_eq!(root.permits(host), good, "{host}");
        }
    }

    #[test]
    fn its_end_is_told_ahead_and_then_is_a_fault() {
        let home = tempfile::tempdir().unwrap();
        let now = OffsetDateTime::now_utc();
        let root = open(home.path()).unwrap();
        assert_eq!(root.days_left(now), None);
        assert_eq!(root.days_left(now + Duration::days(DAYS - LAST_DAYS)), Some(LAST_DAYS - 1));
        let at = |days| Root::open(home.path(), &[], now + Duration::days(days));
        assert!(at(DAYS - 1).is_ok());
        assert!(at(DAYS + 1).unwrap_err().to_string().contains("expired on"));
    }

    #[test]
    fn what_cannot_be_used_is_named_with_the_way_out() {
        let home = tempfile::tempdir().unwrap();
        let made = || make(&hosts(&["graph.microsoft.com"]), OffsetDateTime::now_utc()).unwrap();
        let (one, other) = (made(), made());
        let key_at = |text: &str| text.find("-----BEGIN PRIVATE KEY").unwrap();
        let second_at = one[10..].find("-----BEGIN CERTIFICATE").unwrap() + 10;
        let crossed = one[..key_at(&one)].to_owned() + &other[key_at(&other)..];
        let earlier = one[..second_at].to_owned() + &one[key_at(&one)..];
        let mut said = String::new();
        for text in ["nothing", &one[..key_at(&one)], &one[key_at(&one)..], &crossed, &earlier] {
            fs::write(home.path().join(FILE), text).unwrap();
            said += &format!("{}\n", open(home.path()).unwrap_err()).replace(&*home.path().to_string_lossy(), "HOME");
        }
        Root::renew(home.path(), &hosts(&["graph.microsoft.com"]), OffsetDateTime::now_utc()).unwrap();
        let root = open(home.path()).unwrap();
        let covers = root.covers(&hosts(&["bank.example", "graph.microsoft.com", "graph.test"]));
        said += &covers.unwrap_err().to_string().replace(&*home.path().to_string_lossy(), "HOME");
        insta::assert_snapshot!(said);
    }
}
