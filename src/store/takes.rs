//! What recording needs of a store: takes that are begun, appended to, read again and removed.

use crate::platform;
use crate::tape::exchange::{Exchange, Taped};
use std::io;
use std::path::{Path, PathBuf};
use tokio::sync::oneshot;

/// One recording of a cassette, from its begin until it is sealed or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Take {
    /// Its number in the store, from 1.
    pub id: u64,
    /// The cassette that it is to become.
    pub cassette: String,
    /// When it was begun, in seconds since 1970.
    pub started: u64,
    /// The number of exchanges in it.
    pub exchanges: u64,
    /// How many of these it had when it was begun.
    pub copied: u64,
    /// The digest of the cassette that stood when it was begun; `None` where there was none.
    pub beside: Option<String>,
}

/// The answer to an append: it comes when the exchange is on the disk.
pub type Receipt = oneshot::Receiver<Result<(), Fault>>;

/// A store of takes. What is acknowledged survives a crash of this process and of the machine.
pub trait Takes: Send + Sync {
    /// Begins a take and returns its number.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn begin(&self, cassette: &str, started: u64) -> Result<u64, Fault> {
        self.begin_with(cassette, started, None, &[])
    }

    /// Begins a take that has these exchanges from the start: all of them, or it is not begun. No number of a take is
    /// given twice. `beside` is the digest of the cassette that stands when it begins.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn begin_with(
        &self,
        cassette: &str,
        started: u64,
        beside: Option<String>,
        exchanges: &[Taped<Exchange>],
    ) -> Result<u64, Fault>;

    /// Adds an exchange. `arrival` orders the exchanges of a take by when their requests came.
    fn append(&self, take: u64, arrival: u64, exchange: &Taped<Exchange>) -> Receipt;

    /// The same where so many exchanges are under way, this one among them. Where it comes alone, and nothing else is being
    /// written, it is on the disk when this returns; in a crowd it waits a moment for others, to be written with them.
    fn append_among(&self, under_way: usize, take: u64, arrival: u64, exchange: &Taped<Exchange>) -> Receipt;

    /// Takes no more exchanges for a take, and returns when those on their way are settled.
    ///
    /// # Errors
    /// When the store has stopped.
    fn close(&self, take: u64) -> Result<(), Fault>;

    /// Every take, in the order in which they were begun.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn takes(&self) -> Result<Vec<Take>, Fault>;

    /// The numbers by which the exchanges of a take are read, by arrival.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is damaged.
    fn order(&self, take: u64) -> Result<Vec<u64>, Fault>;

    /// An exchange of a take, by its number.
    ///
    /// # Errors
    /// When the store cannot be read, or the row is damaged.
    fn exchange(&self, take: u64, number: u64) -> Result<Taped<Exchange>, Fault>;

    /// The exchanges of a take, by arrival.
    ///
    /// # Errors
    /// When the store cannot be read, or a row is damaged.
    fn read(&self, take: u64) -> Result<Vec<Taped<Exchange>>, Fault> {
        self.order(take)?.into_iter().map(|number| self.exchange(take, number)).collect()
    }

    /// Removes a take.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn remove(&self, take: u64) -> Result<(), Fault>;
}

impl std::fmt::Debug for dyn Takes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Takes")
    }
}

/// Why a store cannot do what was asked; every message names the folder and a way out.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// Another process has it open.
    #[error(
        "the store {} is in use by another graphdeck{}: wait until it ends, or give this one a store of its own with --store DIR",
        .path.display(), .process.as_ref().map(|id| format!(" (process {id})")).unwrap_or_default()
    )]
    InUse {
        /// The folder.
        path: PathBuf,
        /// The other process, where it could be told.
        process: Option<String>,
    },
    /// Its content is not what was written.
    #[error(
        "the store {} is damaged: {why}. Cassette files are not affected; move the folder away and record again",
        .path.display()
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// What was found.
        why: String,
    },
    /// Another version of this program wrote it.
    #[error(
        "the store {} is of another version of graphdeck ({why}): use that version, or give this one a store of its own with --store DIR",
        .path.display()
    )]
    Version {
        /// The folder.
        path: PathBuf,
        /// By what it was told.
        why: String,
    },
    /// The folder holds other things.
    #[error("{} is not empty and holds no store: give --store a folder of its own", .0.display())]
    NoStore(PathBuf),
    /// An exchange that a cassette cannot hold.
    #[error("a cassette cannot hold it: {0}")]
    Unkeepable(String),
    /// The take is closed, or the store has stopped.
    #[error("the recording has ended")]
    Closed,
    /// The system refused.
    #[error("the store {} cannot be {what}: {source}{}", .path.display(), platform::way_out(.source, "--store DIR"))]
    Io {
        /// The folder.
        path: PathBuf,
        /// `opened`, `read` or `written`.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl Fault {
    /// A fault of the system.
    #[must_use]
    pub fn io(path: &Path, what: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_owned(), what, source }
    }

    /// The same fault for another who waited.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::InUse { path, process } => Self::InUse { path: path.clone(), process: process.clone() },
            Self::Damaged { path, why } => Self::Damaged { path: path.clone(), why: why.clone() },
            Self::Unkeepable(why) => Self::Unkeepable(why.clone()),
            Self::Version { path, why } => Self::Version { path: path.clone(), why: why.clone() },
            Self::NoStore(path) => Self::NoStore(path.clone()),
            Self::Closed => Self::Closed,
            Self::Io { path, what, source } => Self::io(path, what, io::Error::new(source.kind(), source.to_string())),
        }
    }
}
