//! Floor 3, one run: sessions that record or replay, and that is chosen once.

pub mod auto;
pub mod missed;
pub mod name;
pub mod record;
pub mod rendering;
pub mod replay;
pub mod report;
pub mod sessions;
pub mod tally;
pub mod trouble;
pub mod wanted;

use auto::Auto;
use record::Recorder;
use replay::Player;
use report::{SessionReport, Unused};
use smol_str::SmolStr;
use tally::Tally;

/// One run of one program.
#[derive(Debug)]
pub enum Session {
    /// Asks Graph, and writes down what it said.
    Record(Box<Recorder>),
    /// Answers from tape. Nothing in it can reach a network.
    Replay(Box<Player>),
    /// Answers from tape what is on it, and records the rest.
    Auto(Box<Auto>),
}

impl Session {
    /// What has happened so far, to be added to.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        match self {
            Self::Record(recorder) => recorder.tally(),
            Self::Replay(player) => player.tally(),
            Self::Auto(auto) => auto.player.tally(),
        }
    }

    /// The part that reaches the network, if there is one.
    #[must_use]
    pub fn recorder(&self) -> Option<&Recorder> {
        match self {
            Self::Record(recorder) => Some(recorder),
            Self::Replay(_) => None,
            Self::Auto(auto) => Some(&auto.recorder),
        }
    }

    /// What has happened so far.
    #[must_use]
    pub fn report(&self) -> SessionReport {
        let player = match self {
            Self::Record(_) => return self.tally().report(Unused::default()),
            Self::Replay(player) => player,
            Self::Auto(auto) => &auto.player,
        };
        self.tally().report(Unused::of(player.unused(), |number| player.name(number)))
    }
}

/// Whom a request is for, as the front made out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host in lower case, with its port when that is not the scheme's own.
    pub host: SmolStr,
    /// What kind of host it is.
    pub kind: HostKind,
    /// Whether the host is spoken to over TLS.
    pub secure: bool,
}

/// What a host is to the deck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKind {
    /// An endpoint of Microsoft Graph.
    Graph,
    /// A host where programs sign in.
    SignIn,
    /// Any other.
    Other,
}
