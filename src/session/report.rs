//! What happened, to be told: the reports of sessions, and the run's, with its verdict.

use super::missed::Missed;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// The version of the JSON report, described in `docs/reports.md`.
pub const VERSION: u32 = 2;
/// The most unused exchanges of a session that are named.
const NAMED: usize = 1000;
/// The most unused exchanges that are told on a terminal.
const TOLD: usize = 20;

/// What a run of the deck does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It records.
    Record,
    /// It replays.
    Replay,
    /// It replays what is on tape, and records the rest.
    Auto,
}

impl Mode {
    /// Whether it can reach Graph.
    #[must_use]
    pub fn reaches_graph(self) -> bool {
        self != Self::Replay
    }

    /// What a deck says that it does.
    #[must_use]
    pub fn doing(self, cassette: &str) -> String {
        match self {
            Self::Record => format!("recording {cassette}"),
            Self::Replay => format!("replaying {cassette}"),
            Self::Auto => format!("replaying {cassette} and recording what is missing"),
        }
    }
}

/// An exchange that should have been recorded and was not.
#[derive(Clone, Debug, Serialize)]
pub struct Hole {
    /// `METHOD address`.
    pub request: String,
    /// Why it was not recorded.
    pub why: String,
}

/// What happened in one session.
#[derive(Clone, Debug, Serialize)]
pub struct SessionReport {
    /// The session; `default` is the one without a name.
    pub name: String,
    /// Its cassette.
    pub cassette: String,
    /// How many exchanges that has.
    pub exchanges: usize,
    /// Exchanges recorded.
    pub recorded: u64,
    /// Requests answered from tape.
    pub answered: u64,
    /// Of these, those beyond the tape.
    pub repeats: u64,
    /// Of these, those that differ from what was recorded, by the rules that allow it.
    pub ignored: BTreeMap<String, u64>,
    /// Requests that got a fault on demand.
    pub faulted: u64,
    /// How many of them by which rule.
    pub faults: BTreeMap<String, u64>,
    /// Requests that nothing answered.
    pub missed: u64,
    /// The first thousand of them.
    pub misses: Vec<Missed>,
    /// Exchanges that answered nothing.
    pub unused: usize,
    /// The names of the first thousand of them.
    pub unused_list: Vec<String>,
    /// The numbers of all of them, counted from 0.
    #[serde(skip)]
    pub unused_numbers: Vec<u32>,
    /// Exchanges that should have been recorded and were not.
    pub holes: u64,
    /// The first thousand of them.
    pub hole_list: Vec<Hole>,
    /// Requests to Graph that were not to be recorded.
    pub passed_through: BTreeMap<String, u64>,
    /// Connections to other hosts.
    pub tunnelled: BTreeMap<String, u64>,
    /// Connections that a replay does not make.
    pub refused: BTreeMap<String, u64>,
}

/// The exchanges of a session that answered nothing.
#[derive(Clone, Debug, Default)]
pub struct Unused {
    /// Their numbers, counted from 0.
    pub numbers: Vec<u32>,
    /// The names of the first of them.
    pub names: Vec<String>,
}

impl Unused {
    /// These exchanges, of which `name` tells the names.
    #[must_use]
    pub fn of(numbers: Vec<u32>, name: impl Fn(u32) -> String) -> Self {
        let names = numbers.iter().take(NAMED).map(|number| name(*number)).collect();
        Self { numbers, names }
    }
}

impl SessionReport {
    /// Whether anything happened in it.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.recorded + self.answered + self.faulted + self.missed + self.holes == 0
    }

    /// What a table tells of it, with the heads of its columns; `faults` asks for those too.
    #[must_use]
    pub fn counts(&self, faults: bool) -> Vec<(&'static str, u64)> {
        let mut counts = vec![
            ("answered", self.answered),
            ("repeats", self.repeats),
            ("faulted", self.faulted),
            ("missed", self.missed),
            ("unused", self.unused as u64),
            ("recorded", self.recorded),
            ("holes", self.holes),
        ];
        counts.retain(|(head, _)| faults || *head != "faulted");
        counts
    }

    /// Adds what happened in another session of this name and cassette.
    pub fn absorb(&mut self, other: Self) {
        self.recorded += other.recorded;
        self.answered += other.answered;
        self.repeats += other.repeats;
        self.faulted += other.faulted;
        self.missed += other.missed;
        self.misses.extend(other.misses);
        self.misses.truncate(NAMED);
        self.holes += other.holes;
        self.hole_list.extend(other.hole_list);
        self.hole_list.truncate(NAMED);
        let unused: HashSet<u32> = other.unused_numbers.into_iter().collect();
        let named = std::mem::take(&mut self.unused_list).into_iter().zip(&self.unused_numbers);
        self.unused_list = named.filter(|(_, number)| unused.contains(number)).map(|(name, _)| name).collect();
        self.unused_numbers.retain(|number| unused.contains(number));
        self.unused = self.unused_numbers.len();
        let pairs = [
            (&mut self.ignored, other.ignored),
            (&mut self.faults, other.faults),
            (&mut self.passed_through, other.passed_through),
            (&mut self.tunnelled, other.tunnelled),
            (&mut self.refused, other.refused),
        ];
        for (counts, others) in pairs {
            others.into_iter().for_each(|(name, count)| *counts.entry(name).or_default() += count);
        }
    }

    /// Whether anything went past the tape.
    fn let_something_past(&self) -> bool {
        !(self.passed_through.is_empty() && self.tunnelled.is_empty() && self.refused.is_empty())
    }

    /// The report as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report prints to memory") + "\n"
    }
}

/// What happened in a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    version: u32,
    /// What the run did.
    pub mode: Mode,
    /// The cassette that it was started with.
    pub cassette: String,
    /// Sums over all sessions.
    pub recorded: u64,
    /// Requests answered.
    pub answered: u64,
    /// Requests beyond the tape.
    pub repeats: u64,
    /// Requests that got a fault on demand.
    pub faulted: u64,
    /// Requests that nothing answered.
    pub missed: u64,
    /// Exchanges of the run's cassettes that answered nothing in any session.
    pub unused: usize,
    /// Exchanges that should have been recorded and were not.
    pub holes: u64,
    /// The sessions, the one without a name first.
    pub sessions: Vec<SessionReport>,
}

impl Report {
    /// The report of a run; sessions in which nothing happened are left out where others have something to tell.
    #[must_use]
    pub fn of(mode: Mode, cassette: &str, mut sessions: Vec<SessionReport>) -> Self {
        if sessions.iter().any(|session| !session.is_idle()) {
            sessions.retain(|session| !session.is_idle() || session.let_something_past());
        }
        let sum = |count: fn(&SessionReport) -> u64| sessions.iter().map(count).sum();
        Self {
            version: VERSION,
            mode,
            cassette: cassette.to_owned(),
            recorded: sum(|session| session.recorded),
            answered: sum(|session| session.answered),
            repeats: sum(|session| session.repeats),
            faulted: sum(|session| session.faulted),
            missed: sum(|session| session.missed),
            unused: unused(&sessions).values().map(BTreeMap::len).sum(),
            holes: sum(|session| session.holes),
            sessions,
        }
    }

    /// Whether the run was all that it should be; `strict` asks that nothing be unused.
    #[must_use]
    pub fn is_clean(&self, strict: bool) -> bool {
        self.missed == 0 && self.holes == 0 && (!strict || self.unused == 0)
    }

    /// The report as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a report prints to memory") + "\n"
    }

    /// The exchanges of a cassette that answered nothing in any session: the first thousand of them.
    #[must_use]
    pub fn unused_of(&self, cassette: &str) -> Vec<String> {
        unused(&self.sessions).get(cassette).into_iter().flat_map(|unused| named(unused).take(NAMED)).collect()
    }

    /// The misses of all sessions, each with its session's name.
    pub fn misses(&self) -> impl Iterator<Item = (&str, &Missed)> {
        self.sessions.iter().flat_map(|session| session.misses.iter().map(|miss| (session.name.as_str(), miss)))
    }

    /// What happened, in a few words.
    #[must_use]
    pub fn headline(&self) -> String {
        if self.mode == Mode::Record {
            return format!("recorded {}: {} recorded, {} holes", self.cassette, self.recorded, self.holes);
        }
        let mut line = format!(
            "replayed {}: {} answered, {} missed, {} unused",
            self.cassette, self.answered, self.missed, self.unused
        );
        if self.faulted > 0 {
            line += &format!(", {} faulted", self.faulted);
        }
        if self.mode == Mode::Auto {
            line += &format!(", {} recorded", self.recorded);
        }
        line
    }

    /// The one line that says how a replay went.
    #[must_use]
    pub fn replayed(&self) -> String {
        let mut line = self.headline();
        if self.repeats > 0 {
            line += &format!(" ({} beyond the tape)", self.repeats);
        }
        let mut rules: BTreeMap<&str, u64> = BTreeMap::new();
        for (rule, count) in self.sessions.iter().flat_map(|session| &session.ignored) {
            *rules.entry(rule).or_default() += count;
        }
        for (rule, count) in rules {
            line += &format!(" ({count} by the rule for `{rule}`)");
        }
        line
    }

    /// A short table of the sessions, a line each; nothing when there is only one.
    #[must_use]
    pub fn table(&self) -> Vec<String> {
        if self.sessions.len() < 2 {
            return Vec::new();
        }
        let width = self.sessions.iter().map(|session| session.name.chars().count()).max().unwrap_or(0).max(7);
        let row = |name: &str, cells: Vec<String>| format!("{name:width$} {}", cells.concat());
        let head = |(head, _): (&str, u64)| format!(" {head:>8}");
        let cell = |(_, count): (&str, u64)| format!(" {count:>8}");
        let counts = |session: &SessionReport| session.counts(self.faulted > 0).into_iter();
        let mut lines = vec![row("session", counts(&self.sessions[0]).map(head).collect())];
        let told = self.sessions.iter().map(|session| row(&session.name, counts(session).map(cell).collect()));
        lines.extend(told);
        lines
    }

    /// What should have been recorded and was not, a line each.
    #[must_use]
    pub fn holes_told(&self) -> Vec<String> {
        let holes = self.sessions.iter().flat_map(|session| &session.hole_list);
        holes.map(|hole| format!("not recorded, though it should be: {}: {}", hole.request, hole.why)).collect()
    }

    /// What else is to be said, a line each: what went past the tape, and if that fails the run what was not used.
    #[must_use]
    pub fn asides(&self, strict: bool) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        if strict {
            let unused = unused(&self.sessions);
            let of = |cassette: &str| if unused.len() > 1 { format!(" in {cassette}") } else { String::new() };
            let names =
                unused.iter().flat_map(|(cassette, exchanges)| named(exchanges).map(move |name| (*cassette, name)));
            lines.extend(names.take(TOLD).map(|(cassette, name)| format!("unused{}: {name}", of(cassette))));
            if self.unused > TOLD {
                lines.push(format!("unused: {} more (all of them: --report FILE)", self.unused - TOLD));
            }
        }
        let mut aside = |what: &str, counts: fn(&SessionReport) -> &BTreeMap<String, u64>, hint: &str| {
            let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
            for (name, count) in self.sessions.iter().flat_map(counts) {
                *sums.entry(name).or_default() += count;
            }
            if !sums.is_empty() {
                let sums: Vec<_> = sums.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
                lines.push(format!("{what}: {}{hint}", sums.join(", ")));
            }
        };
        aside("faults on demand", |session| &session.faults, "");
        aside("passed through, not recorded", |session| &session.passed_through, " (to record everything: --all)");
        aside("passed through to other hosts", |session| &session.tunnelled, "");
        aside("refused, because a replay does not reach the network", |session| &session.refused, "");
        lines
    }
}

/// What no session used of its cassette, which several may share: by number, with its name where that is known.
fn unused(sessions: &[SessionReport]) -> BTreeMap<&str, BTreeMap<u32, Option<&String>>> {
    let mut left: BTreeMap<&str, BTreeMap<u32, Option<&String>>> = BTreeMap::new();
    for session in sessions {
        match left.get_mut(session.cassette.as_str()) {
            None => {
                let names = session.unused_list.iter().map(Some).chain(std::iter::repeat(None));
                let named = session.unused_numbers.iter().copied().zip(names);
                left.insert(&session.cassette, named.collect());
            }
            Some(names) => {
                let unused: HashSet<u32> = session.unused_numbers.iter().copied().collect();
                names.retain(|number, _| unused.contains(number));
            }
        }
    }
    left
}

/// The names of exchanges, or what they would be called.
fn named<'a>(exchanges: &'a BTreeMap<u32, Option<&String>>) -> impl Iterator<Item = String> + 'a {
    let called = |number: &u32| format!("exchange {}", number + 1);
    exchanges.iter().map(move |(number, name)| name.map_or_else(|| called(number), Clone::clone))
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;
    use crate::tape::miss::Miss;
    use crate::tape::miss::Reason;

    fn miss() -> Miss {
        let sent = serde_json::from_str(r#"{"method":"GET","url":"https://h/a"}"#).unwrap();
        Miss {
            request: "GET https://h/a".into(),
            sent,
            reason: Reason::NotRecorded,
            message: "why".into(),
            hints: Vec::new(),
            nearest: Vec::new(),
            way_out: "record it".into(),
        }
    }

    fn unused_of(names: &[&str]) -> Unused {
        let number = |name: &&str| name.rsplit(' ').next().unwrap().parse::<u32>().unwrap() - 1;
        let names_of = |number: u32| format!("exchange {}", number + 1);
        Unused::of(names.iter().map(number).collect(), names_of)
    }

    fn session(name: &str, unused: &[&str]) -> SessionReport {
        let tally = Tally::new(name, "my-run", 5);
        tally.answered(false, std::iter::empty());
        tally.answered(true, ["POST /**/userStatuses"].into_iter());
        tally.report(unused_of(unused))
    }

    #[test]
    fn a_replay_is_told_in_one_line_a_table_and_in_json() {
        let tally = Tally::new("default", "my-run", 5);
        tally.missed(&miss());
        tally.refused("example.com:443");
        let sessions = vec![tally.report(unused_of(&["exchange 1", "exchange 2"])), session("login", &["exchange 2"])];
        let report = Report::of(Mode::Replay, "my-run", sessions);
        insta::assert_snapshot!(format!(
            "{}\n{}\n{}\n{}",
            report.replayed(),
            report.table().join("\n"),
            report.asides(true).join("\n"),
            report.to_json()
        ));
    }

    #[test]
    fn a_recording_tells_what_it_let_past() {
        let tally = Tally::new("default", "my-run", 0);
        (0..3).for_each(|_| tally.passed("GET /deviceManagement/deviceConfigurations".into()));
        tally.tunnelled("login.microsoftonline.com:443");
        tally.hole("POST https://h/a", "the body is too large");
        let report = Report::of(Mode::Record, "my-run", vec![tally.report(Unused::default())]);
        insta::assert_snapshot!([report.holes_told(), report.asides(false)].concat().join("\n"));
    }

    #[test]
    fn clean_means_no_miss_no_hole_and_if_strict_nothing_unused_in_every_session() {
        let of = |sessions: Vec<SessionReport>| Report::of(Mode::Replay, "my-run", sessions);
        let idle = || Tally::new("default", "my-run", 2).report(unused_of(&["1", "2"]));
        assert!(of(vec![idle()]).is_clean(false) && !of(vec![idle()]).is_clean(true));
        assert!(of(vec![idle(), session("a", &["1"]), session("b", &["2"])]).is_clean(true));
        assert!(!of(vec![session("a", &["1", "2"]), session("b", &["2"])]).is_clean(true));
        let tally = Tally::new("default", "my-run", 0);
        tally.missed(&miss());
        assert!(!of(vec![tally.report(Unused::default())]).is_clean(false));
    }
}
