//! A tape that grows: what is on it is played, and what is missing is asked of Graph and recorded.

use super::record::Recorder;
use super::replay::Player;
use crate::tape::exchange::{Request, Taped};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

/// Plays and records for one program. The player comes first; it cannot reach the network here either.
///
/// What is recorded in a run is played from the next one on: its ids are learnt when the take is sealed.
#[derive(Debug)]
pub struct Auto {
    /// Plays what is on tape.
    pub player: Player,
    /// Records the rest.
    pub recorder: Recorder,
    /// The ids of the tape about which Graph was asked.
    asked: Mutex<HashSet<String>>,
}

impl Auto {
    /// Both of them.
    #[must_use]
    pub fn new(player: Player, recorder: Recorder) -> Self {
        Self { player, recorder, asked: Mutex::default() }
    }

    /// The first id of a request that is from the tape, where Graph was not asked about it before: it may know it no more.
    #[must_use]
    pub fn old_id(&self, request: &Taped<Request>) -> Option<String> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        self.player.minted_ids(request).into_iter().find(|id| asked.insert(id.clone()))
    }
}
