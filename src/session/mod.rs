//! Floor 3, one run: a session records or replays, and that is chosen once.

pub mod record;
pub mod replay;
pub mod tally;

use record::Recorder;
use replay::Player;
use tally::Tally;

/// One run of one program.
#[derive(Debug)]
pub enum Session {
    /// Asks Graph, and writes down what it said.
    Record(Box<Recorder>),
    /// Answers from tape. Nothing in it can reach a network.
    Replay(Box<Player>),
}

impl Session {
    /// What has happened so far.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        match self {
            Self::Record(recorder) => recorder.tally(),
            Self::Replay(player) => player.tally(),
        }
    }
}

/// Whom a request is for, as the front made out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The host in lower case, with its port when that is not the scheme's own.
    pub host: String,
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
