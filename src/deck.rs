//! The library's door: a replay within a Rust test, on a free port, until it is dropped.

use crate::app::{self, run};
use crate::config::{self, Config};
use crate::session::report::Report;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A deck that replays a cassette within this process.
///
/// Programs are led through it by its proxy address and its certificate, or take it for Graph by its base URL. A replay
/// reaches no network. Dropping the deck ends it.
///
/// ```
/// # use std::error::Error;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn Error>> {
/// use graphdeck::Deck;
///
/// let deck = Deck::replay("cassettes/user-statuses.json").strict(false).start().await?;
/// let client = reqwest::Client::builder()
///     .proxy(reqwest::Proxy::https(deck.proxy())?)
///     .tls_certs_only([reqwest::Certificate::from_pem(deck.ca_pem().as_bytes())?])
///     .build()?;
/// let statuses = "https://graph.microsoft.com/v1.0/deviceManagement/deviceConfigurations/6f9619ff-8b86-4011-b42d-00cf4fc964ff/userStatuses";
/// let answer = client.get(statuses).send().await?;
/// assert!(answer.status().is_success(), "{}", answer.text().await?);
/// assert_eq!((deck.report().answered, deck.report().missed), (1, 0));
/// # Ok(())
/// # }
/// ```
pub struct Deck {
    served: run::Served,
    runtime: Option<Runtime>,
    ca_pem: String,
    /// The folder of the certificate and its key, which go with the deck.
    _dir: TempDir,
}

/// How a deck replays: as `graphdeck replay` does, unless something else is said here.
#[derive(Clone, Debug)]
#[must_use = "a deck listens once it is started"]
pub struct Replay {
    cassette: PathBuf,
    config: Option<PathBuf>,
    strict: Option<bool>,
    seed: Option<String>,
    ids: Option<String>,
}

/// Why a deck could not be started: what is wrong, where, and what to do.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Fault(#[from] app::Fault);

impl Deck {
    /// A replay of a cassette file, such as `cassettes/my-run.json`.
    pub fn replay(cassette: impl Into<PathBuf>) -> Replay {
        Replay { cassette: cassette.into(), config: None, strict: None, seed: None, ids: None }
    }

    /// Where it listens: a free port of 127.0.0.1.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.served.address
    }

    /// The proxy that clients are to take for `https`, such as `http://127.0.0.1:41763`.
    #[must_use]
    pub fn proxy(&self) -> String {
        format!("http://{}", self.address())
    }

    /// What stands for `https://graph.microsoft.com` where a client can be given a base address: it takes neither a proxy
    /// nor a certificate then.
    #[must_use]
    pub fn base_url(&self) -> String {
        self.proxy()
    }

    /// The root certificate that clients of the proxy must trust, as PEM. It is made anew for each deck.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A file that holds it, for as long as the deck lives.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.served.authority().public_file().to_owned()
    }

    /// What has happened so far: answers, misses with their reasons, exchanges that answered nothing.
    #[must_use]
    pub fn report(&self) -> Report {
        self.served.report()
    }
}

impl fmt::Debug for Deck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deck").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Drop for Deck {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Whoever drops it may be in a runtime of their own, where nobody may wait.
            runtime.shutdown_background();
        }
    }
}

impl Replay {
    /// The settings [default: `./config.toml`, if there is one].
    pub fn config(mut self, file: impl Into<PathBuf>) -> Self {
        self.config = Some(file.into());
        self
    }

    /// Whether a repeat beyond the tape is a miss.
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = Some(strict);
        self
    }

    /// What derived ids are computed from.
    pub fn seed(mut self, seed: impl Into<String>) -> Self {
        self.seed = Some(seed.into());
        self
    }

    /// How ids that Graph made up are chosen: `derive`, `recorded` or `random`.
    pub fn ids(mut self, policy: impl Into<String>) -> Self {
        self.ids = Some(policy.into());
        self
    }

    /// Starts the deck. It runs on threads of its own, so that any kind of test may wait for it.
    ///
    /// # Errors
    /// When there is no such cassette, it or the settings cannot be used, or no port is free.
    pub async fn start(self) -> Result<Deck, Fault> {
        let mut config = Config::load(self.config.as_deref()).map_err(app::Fault::from)?;
        let name = self.place(&mut config)?;
        config.strict = self.strict.unwrap_or(config.strict);
        config.seed = self.seed.unwrap_or(config.seed);
        if let Some(policy) = &self.ids {
            let wrong = |why| app::Fault::Flag { flag: "ids", why };
            config.ids = config::parse_policy(policy).map_err(wrong)?;
        }
        "127.0.0.1:0".clone_into(&mut config.listen);
        let dir = tempfile::Builder::new().prefix("graphdeck-").tempdir().map_err(app::Fault::System)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(app::Fault::System)?;
        let root = dir.path().to_owned();
        let served = runtime.spawn(async move { run::serve_replay(config, &name, &root).await });
        let outcome = served.await.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()));
        match outcome {
            Ok(served) => Ok(Deck { ca_pem: served.authority().root_pem(), served, runtime: Some(runtime), _dir: dir }),
            Err(fault) => {
                runtime.shutdown_background();
                Err(fault.into())
            }
        }
    }

    /// Makes the cassette's folder the one of the settings, and gives its name there.
    fn place(&self, config: &mut Config) -> Result<String, app::Fault> {
        let wrong =
            |why: &str| app::Fault::Flag { flag: "Deck::replay", why: format!("{}: {why}", self.cassette.display()) };
        if self.cassette.extension().is_none_or(|end| end != "json") {
            return Err(wrong("name the cassette's file, which ends in .json"));
        }
        let name =
            self.cassette.file_stem().and_then(|stem| stem.to_str()).ok_or_else(|| wrong("its name is no UTF-8"))?;
        self.cassette.parent().unwrap_or(Path::new("")).clone_into(&mut config.cassettes);
        Ok(name.to_owned())
    }
}
