//! What happens in a session, counted from many tasks at once.

use super::missed::Missed;
use super::report::{Hole, SessionReport, Unused};
use crate::tape::miss::Miss;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The most misses, holes or routes that are kept by name; beyond that they are only counted.
const KEPT: usize = 1000;

/// Counts what happens in one session.
#[derive(Debug)]
pub struct Tally {
    session: String,
    cassette: String,
    exchanges: usize,
    answered: AtomicU64,
    repeats: AtomicU64,
    events: Mutex<Events>,
}

#[derive(Clone, Debug, Default)]
struct Events {
    recorded: u64,
    ignored: BTreeMap<String, u64>,
    faults: BTreeMap<String, u64>,
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

impl Tally {
    /// A tally for a session with a cassette of so many exchanges.
    #[must_use]
    pub fn new(session: &str, cassette: &str, exchanges: usize) -> Self {
        Self {
            session: session.to_owned(),
            cassette: cassette.to_owned(),
            exchanges,
            answered: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            events: Mutex::default(),
        }
    }

    fn events(&self) -> MutexGuard<'_, Events> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A few counts: exchanges of the cassette, answered, missed, recorded.
    #[must_use]
    pub fn brief(&self) -> (usize, u64, u64, u64) {
        let events = self.events();
        (self.exchanges, self.answered.load(Relaxed), events.missed.count, events.recorded)
    }

    /// The name of the session's cassette.
    #[must_use]
    pub fn cassette(&self) -> &str {
        &self.cassette
    }

    /// An exchange was recorded.
    pub fn recorded(&self) {
        self.events().recorded += 1;
    }

    /// A request was answered from tape; rules allowed it to differ from what was recorded.
    pub fn answered<'a>(&self, repeat: bool, rules: impl Iterator<Item = &'a str>) {
        // The lock is taken for what is rarer.
        self.answered.fetch_add(1, Relaxed);
        if repeat {
            self.repeats.fetch_add(1, Relaxed);
        }
        let mut rules = rules.peekable();
        if rules.peek().is_some() {
            let mut events = self.events();
            rules.for_each(|rule| count(&mut events.ignored, rule));
        }
    }

    /// A request got a fault on demand, by this rule.
    pub fn faulted(&self, rule: &str) {
        count(&mut self.events().faults, rule);
    }

    /// Nothing on tape answered.
    pub fn missed(&self, miss: &Miss) {
        self.events().missed.add(Missed::of(miss));
    }

    /// An exchange should have been recorded and was not.
    pub fn hole(&self, request: &str, why: &str) {
        self.events().holes.add(Hole { request: request.to_owned(), why: why.to_owned() });
    }

    /// An exchange passed through that no route selects.
    pub fn passed(&self, request: String) {
        count(&mut self.events().passed, &request);
    }

    /// Something for a host that is not Graph's passed through.
    pub fn tunnelled(&self, host: &str) {
        count(&mut self.events().tunnelled, host);
    }

    /// A connection was refused, because a replay does not reach the network.
    pub fn refused(&self, host: &str) {
        count(&mut self.events().refused, host);
    }

    /// What has happened so far; `unused` are the exchanges that answered nothing.
    #[must_use]
    pub fn report(&self, unused: Unused) -> SessionReport {
        let events = self.events().clone();
        SessionReport {
            name: self.session.clone(),
            cassette: self.cassette.clone(),
            exchanges: self.exchanges,
            recorded: events.recorded,
            answered: self.answered.load(Relaxed),
            repeats: self.repeats.load(Relaxed),
            ignored: events.ignored,
            faulted: events.faults.values().sum(),
            faults: events.faults,
            missed: events.missed.count,
            misses: events.missed.first,
            unused: unused.numbers.len(),
            unused_list: unused.names,
            unused_numbers: unused.numbers,
            holes: events.holes.count,
            hole_list: events.holes.first,
            passed_through: events.passed,
            tunnelled: events.tunnelled,
            refused: events.refused,
        }
    }
}

/// Counts one more of `name`, as long as there are not too many names.
fn count(counts: &mut BTreeMap<String, u64>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count += 1;
    } else if counts.len() < KEPT {
        counts.insert(name.to_owned(), 1);
    } else {
        *counts.entry("…".to_owned()).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bounded_and_counts_are_not() {
        let tally = Tally::new("default", "a", 0);
        (0..KEPT + 10).for_each(|n| {
            tally.passed(format!("GET /{n}"));
            tally.hole("r", "w");
        });
        let report = tally.report(Unused::default());
        assert_eq!((report.passed_through["…"], report.holes, report.hole_list.len()), (10, 1010, KEPT));
    }
}
