//! Trouble on demand in one session: faults by rule, throttling, and how long answers take.

use crate::tape::faults::{Coming, Counts, Error, Kind, Rule, Struck, drawn};
use crate::tape::latency::Latency;
use crate::tape::matching::Key;
use crate::tape::throttle::{Caller, Throttle, Windows};
use std::sync::{Mutex, PoisonError};

/// What trouble there is.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The rules for faults, the first of them that strikes first.
    pub faults: Vec<Rule>,
    /// The limits that are kept.
    pub throttle: Option<Throttle>,
    /// How long answers take.
    pub latency: Latency,
    /// What is drawn is drawn from.
    pub seed: String,
}

/// The trouble of one session, and how far it has come.
#[derive(Debug, Default)]
pub struct Trouble {
    settings: Settings,
    state: Mutex<(Counts, Windows)>,
}

/// A request that may get a fault.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its path.
    pub path: &'a str,
    /// How it comes.
    pub coming: Coming,
    /// Whose it is.
    pub caller: Caller,
    /// When it comes, in milliseconds from any begin.
    pub now: u64,
}

/// A fault that a request gets.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The number of its rule, from 1; none where a limit was reached.
    pub rule: Option<usize>,
    /// The rule as it was written.
    pub name: String,
    /// What becomes of the request.
    pub kind: Kind,
    /// The id by which Graph would call it.
    pub request_id: String,
}

impl Trouble {
    /// The trouble at the begin of a session.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, state: Mutex::default() }
    }

    /// Whether any request can get a fault.
    #[must_use]
    pub fn is_any(&self) -> bool {
        !self.settings.faults.is_empty() || self.throttles()
    }

    /// Whether neither faults nor latency are asked for.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.is_any() && self.settings.latency == Latency::None
    }

    /// Whether it matters whose a request is.
    #[must_use]
    pub fn throttles(&self) -> bool {
        self.settings.throttle.is_some()
    }

    /// The fault that a request gets, if it gets one; `key` tells what request it is.
    pub fn strike(&self, asked: Asked<'_>, key: impl Fn() -> Key) -> Option<Fault> {
        let Settings { faults, throttle, seed, .. } = &self.settings;
        // A panic elsewhere leaves counts whole.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (counts, windows) = &mut *state;
        if let Some(struck) = counts.strike(faults, (asked.method, asked.path), asked.coming, seed, &key) {
            let (rule, name) = (Some(struck.rule + 1), faults[struck.rule].as_str().to_owned());
            return Some(Fault { rule, name, kind: struck.kind, request_id: request_id(seed, &struck) });
        }
        let throttle = throttle.as_ref().filter(|_| asked.coming != Coming::Batch)?;
        let wait = windows.strike(throttle, asked.method, asked.caller, asked.now)?;
        let (key, time) = counts.see(key());
        let kind = Kind::Error(Error { status: 429, retry_after: Some(wait), claims: false });
        let struck = Struck { rule: usize::MAX, kind, key, time };
        Some(Fault { rule: None, name: "throttle".to_owned(), kind, request_id: request_id(seed, &struck) })
    }

    /// How long the answer to a request takes, in milliseconds.
    #[must_use]
    pub fn latency(&self, took: Option<u64>, key: impl FnOnce() -> Key) -> u64 {
        self.settings.latency.of(&self.settings.seed, took, key)
    }
}

/// The id of an error: another one for each, and the same ones in every run.
fn request_id(seed: &str, struck: &Struck) -> String {
    let part = |half: u8| {
        let (rule, time) = (struck.rule.to_le_bytes(), struck.time.to_le_bytes());
        drawn(&[b"request-id", seed.as_bytes(), &rule, &struck.key.0, &time, &[half]])
    };
    let id = uuid::Builder::from_u128(u128::from(part(0)) << 64 | u128::from(part(1)));
    id.with_variant(uuid::Variant::RFC4122).with_version(uuid::Version::Random).into_uuid().to_string()
}
