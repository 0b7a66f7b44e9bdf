//! Puts the rooms together and runs them; the one place that knows them all.

pub mod certificates;
pub mod diffing;
pub mod explain;
mod importing;
pub mod library;
mod opening;
mod progress;
mod readying;
pub mod run;
mod scanning;
mod sealing;
mod telling;
pub mod verifying;
mod workers;

use crate::store::{cassettes, takes};
use crate::wire::{authority, root};
use crate::{child, config, platform};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] config::Fault),
    /// The store cannot be used.
    #[error(transparent)]
    Store(#[from] takes::Fault),
    /// A cassette cannot be used.
    #[error(transparent)]
    Cassette(#[from] cassettes::Fault),
    /// The root certificate cannot be used.
    #[error(transparent)]
    Root(#[from] root::Fault),
    /// The certificate authority cannot be used.
    #[error(transparent)]
    Authority(#[from] authority::Fault),
    /// The system's trust store cannot be changed.
    #[error(transparent)]
    Trust(#[from] platform::trust::Fault),
    /// The program cannot be run.
    #[error(transparent)]
    Child(#[from] child::Fault),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {source}{}", hint(.source))]
    Listen {
        /// The address.
        address: String,
        /// The reason.
        source: io::Error,
    },
    /// A cassette would have what should not be in it.
    #[error("{} was not written, since there is in it what should not be:{told}", .path.display())]
    Leaks {
        /// The file.
        path: PathBuf,
        /// Exchange, place and kind, a line each.
        told: String,
    },
    /// A file of another tool cannot be taken over.
    #[error("{}: {why}", .path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// The entry, and what is wrong.
        why: String,
    },
    /// A flag's value cannot be used.
    #[error("{flag}: {why}")]
    Flag {
        /// The flag.
        flag: &'static str,
        /// What is wrong.
        why: String,
    },
    /// A file cannot be written or read.
    #[error("{} cannot be {what}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The system refused.
    #[error("cannot start: {0}")]
    System(io::Error),
}

fn hint(fault: &io::Error) -> &'static str {
    match fault.kind() {
        io::ErrorKind::AddrInUse => "; another program has the port: give --listen 127.0.0.1:0 for a free one",
        _ => "",
    }
}

impl Fault {
    /// The exit code: a shell's own when a command is not there, else 2.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Child(fault) => fault.exit_code(),
            _ => 2,
        }
    }
}

/// Whether only what goes wrong is told.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Tells from now on only what goes wrong.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether only what goes wrong is told.
fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Writes a line for people.
pub(crate) fn say(line: impl std::fmt::Display) {
    if !is_quiet() {
        complain(line);
    }
}

/// Writes a line of what went wrong: in one piece, since a program behind the deck writes to the same place.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let line = format!("graphdeck: {line}\n");
    // Where standard error is gone there is nobody to tell.
    let _ = io::stderr().write_all(line.as_bytes());
}
