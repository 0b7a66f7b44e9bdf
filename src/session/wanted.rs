//! How a session is wanted by who opens it.

use serde::Deserialize;

/// How a session is wanted; what is left out is as for the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Its cassette. Left out, a replay takes the one of the session's name, when there is one, or else the run's; a
    /// recording takes the session's name.
    pub cassette: Option<String>,
    /// Replay: whether repeats beyond the tape are misses.
    pub strict: Option<bool>,
    /// Replay: how minted ids are chosen: `derive`, `recorded` or `random`.
    pub ids: Option<String>,
    /// Replay: what derived ids are computed from.
    pub seed: Option<String>,
    /// Replay: the faults on demand, in place of the run's.
    pub faults: Option<Vec<String>>,
    /// Replay: the limits that are kept: `none`, `intune` or WRITES/SECONDS.
    pub throttle: Option<String>,
    /// Replay: how long answers take.
    pub latency: Option<String>,
}

impl Wanted {
    /// Whether it wants what only a replay has.
    #[must_use]
    pub fn asks_of_a_replay(&self) -> bool {
        let texts = [&self.ids, &self.seed, &self.throttle, &self.latency];
        self.strict.is_some() || self.faults.is_some() || texts.into_iter().any(Option::is_some)
    }
}
