//! What happened in a session: answered, missed, unused, recorded, passed through, holes; as JSON and as text.

use crate::tape::miss::Miss;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most misses, holes or routes that are kept by name; beyond that they are only counted.
const KEPT: usize = 1000;

/// The most unused exchanges that are told on a terminal.
const TOLD: usize = 20;

/// The version of the JSON report.
pub const REPORT_VERSION: u32 = 1;

/// Counts what happens, from many tasks at once.
#[derive(Debug)]
pub struct Tally {
    mode: Mode,
    cassette: String,
    events: Mutex<Events>,
}

/// What a session does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It records.
    Record,
    /// It replays.
    Replay,
}

#[derive(Clone, Debug, Default)]
struct Events {
    recorded: u64,
    answered: u64,
    repeats: u64,
    ignored: u64,
    exchanges: usize,
    played: usize,
    missed: Kept<Missed>,
    holes: Kept<Hole>,
    passed: BTreeMap<String, u64>,
    tunnelled: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
}

/// Things that are counted, the first of them by name.
#[derive(Clone, Debug)]
struct Kept<T> {
    count: u64,
    first: Vec<T>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { count: 0, first: Vec::new() }
    }
}

impl<T> Kept<T> {
    fn add(&mut self, thing: T) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(thing);
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct Missed {
    request: String,
    message: String,
    nearest: Option<usize>,
    place: Option<String>,
}

/// An exchange that should have been recorded and was not.
#[derive(Clone, Debug, Serialize)]
struct Hole {
    request: String,
    why: String,
}

/// The tally as a report: what `--report FILE` writes.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    version: u32,
    mode: Mode,
    cassette: String,
    recorded: u64,
    answered: u64,
    repeats: u64,
    ignored_places: u64,
    missed: u64,
    misses: Vec<Missed>,
    unused: usize,
    unused_list: Vec<String>,
    holes: u64,
    hole_list: Vec<Hole>,
    passed_through: BTreeMap<String, u64>,
    tunnelled: BTreeMap<String, u64>,
    refused: BTreeMap<String, u64>,
}

impl Tally {
    /// A tally for a session with a cassette of so many exchanges.
    #[must_use]
    pub fn new(mode: Mode, cassette: &str, exchanges: usize) -> Self {
        let events = Events { exchanges, ..Events::default() };
        Self { mode, cassette: cassette.to_owned(), events: Mutex::new(events) }
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An exchange was recorded.
    pub fn recorded(&self) {
        self.events().recorded += 1;
    }

    /// A request was answered from tape; `played` exchanges have now answered at least once.
    pub fn answered(&self, repeat: bool, ignored: bool, played: usize) {
        let mut events = self.events();
        events.answered += 1;
        events.repeats += u64::from(repeat);
        events.ignored += u64::from(ignored);
        events.played = events.played.max(played);
    }

    /// Nothing on tape answered.
    pub fn missed(&self, miss: &Miss) {
        let place = miss.difference.as_ref().map(|difference| difference.place.to_string());
        self.events().missed.add(Missed {
            request: miss.request.clone(),
            message: miss.message.clone(),
            nearest: miss.nearest,
            place,
        });
    }

    /// An exchange should have been recorded and was not.
    pub fn hole(&self, request: &str, why: &str) {
        self.events().holes.add(Hole { request: request.to_owned(), why: why.to_owned() });
    }

    /// An exchange passed through that no route selects.
    pub fn passed(&self, request: String) {
        count(&mut self.events().passed, request);
    }

    /// Something for a host that is not Graph's passed through.
    pub fn tunnelled(&self, host: &str) {
        count(&mut self.events().tunnelled, host.to_owned());
    }

    /// A connection was refused, because a replay does not reach the network.
    pub fn refused(&self, host: &str) {
        count(&mut self.events().refused, host.to_owned());
    }

    /// The number of exchanges recorded so far.
    #[must_use]
    pub fn count_recorded(&self) -> u64 {
        self.events().recorded
    }

    /// Whether the session was all that it should be; `strict` asks that nothing be unused.
    #[must_use]
    pub fn is_clean(&self, strict: bool) -> bool {
        let events = self.events();
        let unused = events.exchanges - events.played;
        events.missed.count == 0 && events.holes.count == 0 && (!strict || unused == 0)
    }

    /// The report as it stands.
    #[must_use]
    pub fn report(&self) -> Report {
        let events = self.events().clone();
        Report {
            version: REPORT_VERSION,
            mode: self.mode,
            cassette: self.cassette.clone(),
            recorded: events.recorded,
            answered: events.answered,
            repeats: events.repeats,
            ignored_places: events.ignored,
            missed: events.missed.count,
            misses: events.missed.first,
            unused: events.exchanges - events.played,
            unused_list: Vec::new(),
            holes: events.holes.count,
            hole_list: events.holes.first,
            passed_through: events.passed,
            tunnelled: events.tunnelled,
            refused: events.refused,
        }
    }
}

/// Counts one more of `name`, as long as there are not too many names.
fn count(counts: &mut BTreeMap<String, u64>, name: String) {
    if counts.len() < KEPT || counts.contains_key(&name) {
        *counts.entry(name).or_default() += 1;
    } else {
        *counts.entry("…".to_owned()).or_default() += 1;
    }
}

impl Report {
    /// The report as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report prints to memory") + "\n"
    }

    /// The one line that says how a replay went.
    #[must_use]
    pub fn replayed(&self) -> String {
        let mut line = format!(
            "replayed {}: {} answered, {} missed, {} unused",
            self.cassette, self.answered, self.missed, self.unused
        );
        if self.repeats > 0 {
            line += &format!(" ({} beyond the tape)", self.repeats);
        }
        if self.ignored_places > 0 {
            line += &format!(" ({} with an ignored place)", self.ignored_places);
        }
        line
    }

    /// Adds the names of the exchanges that were not used.
    pub fn name_unused(&mut self, names: Vec<String>) {
        self.unused_list = names;
    }

    /// What else is to be said, a line each: what went past the tape, what should not have, and if that fails the run
    /// what was not used.
    #[must_use]
    pub fn asides(&self, strict: bool) -> Vec<String> {
        let holes = self
            .hole_list
            .iter()
            .map(|hole| format!("not recorded, though it should be: {}: {}", hole.request, hole.why));
        let mut lines: Vec<String> = holes.collect();
        if strict {
            lines.extend(self.unused_list.iter().take(TOLD).map(|name| format!("unused: {name}")));
            if self.unused_list.len() > TOLD {
                lines.push(format!("unused: {} more (all of them: --report FILE)", self.unused_list.len() - TOLD));
            }
        }
        let mut aside = |what: &str, counts: &BTreeMap<String, u64>, hint: &str| {
            if !counts.is_empty() {
                let counts: Vec<_> = counts.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
                lines.push(format!("{what}: {}{hint}", counts.join(", ")));
            }
        };
        aside("passed through, not recorded", &self.passed_through, " (to record everything: --all)");
        aside("passed through to other hosts", &self.tunnelled, "");
        aside("refused, because a replay does not reach the network", &self.refused, "");
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miss() -> Miss {
        Miss {
            request: "GET https://h/a".into(),
            message: "why".into(),
            way_out: String::new(),
            nearest: Some(2),
            difference: None,
        }
    }

    #[test]
    fn a_replay_is_told_in_one_line_and_in_json() {
        let tally = Tally::new(Mode::Replay, "my-run", 5);
        tally.answered(false, false, 1);
        tally.answered(true, true, 1);
        tally.missed(&miss());
        tally.refused("example.com:443");
        let report = tally.report();
        insta::assert_snapshot!(format!(
            "{}\n{}\n{}",
            report.replayed(),
            report.asides(true).join("\n"),
            report.to_json()
        ));
    }

    #[test]
    fn a_recording_tells_what_it_let_past() {
        let tally = Tally::new(Mode::Record, "my-run", 0);
        (0..3).for_each(|_| tally.passed("GET /deviceManagement/deviceConfigurations".into()));
        tally.tunnelled("login.microsoftonline.com:443");
        tally.hole("POST https://h/a", "the body is too large");
        insta::assert_snapshot!(tally.report().asides(false).join("\n"));
    }

    #[test]
    fn clean_means_no_miss_no_hole_and_if_strict_nothing_unused() {
        let tally = Tally::new(Mode::Replay, "a", 1);
        assert!(tally.is_clean(false) && !tally.is_clean(true));
        tally.answered(false, false, 1);
        assert!(tally.is_clean(true));
        tally.missed(&miss());
        assert!(!tally.is_clean(false));
    }

    #[test]
    fn names_are_bounded_and_counts_are_not() {
        let tally = Tally::new(Mode::Record, "a", 0);
        (0..KEPT + 10).for_each(|n| {
            tally.passed(format!("GET /{n}"));
            tally.hole("r", "w");
        });
        let report = tally.report();
        assert_eq!((report.passed_through["…"], report.holes, report.hole_list.len()), (10, 1010, KEPT));
    }
}
