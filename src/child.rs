//! Runs a program behind the deck: the proxy and trust variables that its runtime may read, signals, exit code.

use crate::platform::{self, Signal, Signals};
use crate::wire::authority::Authority;
use crate::wire::tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::ffi::{OsStr, OsString};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The password of the Java trust store: Java asks for one, and this is the usual one. It guards nothing.
const STORE_PASSWORD: &str = "changeit";
/// Where the program is to go by itself: its own services on this machine.
const NO_PROXY: &str = "localhost,127.0.0.1,::1";
/// Variables that may name a file with roots that the user added to the system's.
const USERS_BUNDLES: [&str; 5] =
    ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS", "DENO_CERT"];

/// Why a program could not be run.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// There is no such command.
    #[error("{0}: command not found")]
    NotFound(String),
    /// The command cannot be run.
    #[error("{command}: cannot be run: {source}")]
    NotRun {
        /// The command.
        command: String,
        /// The reason.
        source: io::Error,
    },
    /// The files that make it trust the deck could not be written.
    #[error("the trust files for the program cannot be written: {0}")]
    Trust(io::Error),
}

impl Fault {
    /// The exit code, as a shell's would be.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 127,
            Self::NotRun { .. } => 126,
            Self::Trust(_) => 2,
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code; `asked` tells whether a signal had asked for the end.
    Exited {
        /// The exit code.
        code: u8,
        /// Whether a signal came first.
        asked: bool,
    },
    /// It was killed, because a second signal asked to stop at once.
    AtOnce(Signal),
}

/// Files by which a program trusts the system's roots and the deck's; they go when this does.
#[derive(Debug)]
pub struct Trust {
    _dir: TempDir,
    bundle: PathBuf,
    store: PathBuf,
}

impl Trust {
    /// Writes the files. They hold the user's roots too, since some programs read nothing else then.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn write(authority: &Authority) -> Result<Self, Fault> {
        let mut roots = tls::system_roots();
        for bundle in USERS_BUNDLES.iter().filter_map(std::env::var_os) {
            // A bundle that cannot be read is of no use to the program either.
            let certificates = CertificateDer::pem_file_iter(bundle).into_iter().flatten().flatten();
            roots.extend(certificates);
        }
        roots.push(authority.root().clone());
        roots.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        roots.dedup();
        let write = || {
            let dir = tempfile::Builder::new().prefix("graphdeck-").tempdir()?;
            let (bundle, store) = (dir.path().join("roots.pem"), dir.path().join("roots.p12"));
            std::fs::write(&bundle, tls::pem_bundle(&roots))?;
            std::fs::write(&store, tls::pkcs12_bundle(&roots, STORE_PASSWORD).map_err(io::Error::other)?)?;
            Ok(Self { _dir: dir, bundle, store })
        };
        write().map_err(Fault::Trust)
    }
}

/// The variables that lead a program, whatever it is written in, through the deck at `address`.
#[must_use]
pub fn environment(address: SocketAddr, authority: &Authority, trust: &Trust) -> Vec<(&'static str, OsString)> {
    let url = format!("http://{address}");
    let mut variables: Vec<(&str, OsString)> = Vec::new();
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "GRAPHDECK_PROXY", "GRAPHDECK_URL"] {
        variables.push((name, url.clone().into()));
    }
    for name in ["NO_PROXY", "no_proxy"] {
        variables.push((name, NO_PROXY.into()));
    }
    // Most of these replace the roots that a program would trust, so they get a bundle of all.
    for name in [
        "SSL_CERT_FILE",
        "REQUESTS_CA_BUNDLE",
        "CURL_CA_BUNDLE",
        "NODE_EXTRA_CA_CERTS",
        "DENO_CERT",
        "CARGO_HTTP_CAINFO",
    ] {
        variables.push((name, trust.bundle.clone().into()));
    }
    variables.push(("NODE_USE_ENV_PROXY", "1".into()));
    variables.push(("GRAPHDECK_CA", authority.public_file().into()));
    variables.push(("JAVA_TOOL_OPTIONS", java_options(address, trust)));
    variables
}

fn java_options(address: SocketAddr, trust: &Trust) -> OsString {
    let mut options = std::env::var_os("JAVA_TOOL_OPTIONS").unwrap_or_default();
    if !options.is_empty() {
        options.push(" ");
    }
    options.push(format!(
        "-Dhttps.proxyHost={} -Dhttps.proxyPort={} -Dhttp.nonProxyHosts=localhost|127.*|[::1] \
         -Djavax.net.ssl.trustStoreType=PKCS12 -Djavax.net.ssl.trustStorePassword={STORE_PASSWORD} \
         \"-Djavax.net.ssl.trustStore=",
        address.ip(),
        address.port()
    ));
    options.push(&trust.store);
    options.push("\"");
    options
}

/// Starts a program with these variables over its own.
///
/// # Errors
/// When there is no such command, or it cannot be run.
pub fn start(command: &[OsString], variables: &[(&'static str, OsString)]) -> Result<Child, Fault> {
    let (program, arguments) = command.split_first().expect("a command has at least its name");
    let started = Command::new(program)
        .args(arguments)
        .envs(variables.iter().map(|(name, value)| (OsStr::new(name), value)))
        .kill_on_drop(true)
        .spawn();
    started.map_err(|source| {
        let command = program.to_string_lossy().into_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Fault::NotFound(command),
            _ => Fault::NotRun { command, source },
        }
    })
}

/// Waits for a program to end. The first signal is passed on to it, the second kills it.
pub async fn wait(mut child: Child, signals: &mut Signals) -> Ended {
    let mut asked = false;
    loop {
        let signal = tokio::select! {
            status = child.wait() => return Ended::Exited { code: status.map_or(1, platform::exit_code), asked },
            signal = signals.next() => signal,
        };
        if asked {
            // The wait below only reaps it; that it has gone already is as good.
            let _ = child.kill().await;
            return Ended::AtOnce(signal);
        }
        asked = true;
        // At a terminal Ctrl-C goes to the whole group: the program has had it already.
        let had_it = signal == Signal::Interrupt && platform::is_in_foreground();
        if let Some(process) = child.id().filter(|_| !had_it) {
            platform::pass_on(signal, process);
        }
    }
}
