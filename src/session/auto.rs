//! A tape that grows: what is on it is played, and what is missing is asked of Graph and recorded.

use super::record::Recorder;
use super::replay::Player;

/// Plays and records for one program. The player comes first; it cannot reach the network here either.
///
/// What is recorded in a run is played from the next one on: its ids are learnt when the take is sealed.
#[derive(Debug)]
pub struct Auto {
    /// Plays what is on tape.
    pub player: Player,
    /// Records the rest.
    pub recorder: Recorder,
}
