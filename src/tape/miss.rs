//! Why nothing on tape answers a request: the reason, the nearest recorded exchanges, and the way out, in words.

use super::cassette::RequestEntry;
use super::differences::{self, Difference, Live};
use super::exchange::{Request, Taped};
use super::graph;
use super::index::Index;
use super::schema;
use super::walk::{self, Place};

/// How many of the nearest exchanges are told.
const NEAREST: usize = 3;
/// How many of those that seem nearest are compared value by value.
const LOOKED_AT: usize = 24;
/// How many differences of an exchange are told.
const TOLD: usize = 10;
/// How many places a rule is proposed for at most: what differs more is another request.
const PROPOSED: usize = 3;

/// A request that nothing on tape answers, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// The request, as `METHOD address`.
    pub request: String,
    /// The request as it would stand in a cassette, without ids: what `explain` takes.
    pub sent: RequestEntry,
    /// Why.
    pub reason: Reason,
    /// Why, in one sentence or two.
    pub message: String,
    /// What the documentation says of values that differ.
    pub hints: Vec<String>,
    /// The exchanges that come nearest, the nearest first.
    pub nearest: Vec<Near>,
    /// What to do about it.
    pub way_out: String,
}

/// Why nothing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is recorded for its route.
    NotRecorded,
    /// It is recorded with another method, version or host.
    Elsewhere,
    /// It was recorded, and played as often as it may be.
    AlreadyPlayed,
    /// An id stands in it that may not change.
    Id,
    /// It differs in its query, headers or body.
    Differs,
    /// Its body is no JSON.
    NotJson,
    /// Its body is no valid userStatus.
    Invalid,
}

impl Reason {
    /// The reason as a word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRecorded => "notRecorded",
            Self::Elsewhere => "recordedElsewhere",
            Self::AlreadyPlayed => "alreadyPlayed",
            Self::Id => "idMayNotChange",
            Self::Differs => "differs",
            Self::NotJson => "notJson",
            Self::Invalid => "invalidUserStatus",
        }
    }
}

/// A recorded exchange that comes near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its number, counted from 1.
    pub exchange: usize,
    /// Its request, as `METHOD address` with placeholders.
    pub request: String,
    /// Where the live request differs from it.
    pub differences: Vec<Difference>,
}

/// What is known of a request that nothing answers: enough to explain it without the session.
#[derive(Debug)]
pub struct Unanswered {
    pub(super) request: Taped<Request>,
    pub(super) live: Live,
    pub(super) played: Option<Played>,
}

/// The exchange that would answer, had it not been played.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) exchange: u32,
    /// The request that it answered last, by its number in the run.
    pub(super) by: u64,
    /// The rule that allows no repeat; none for `--strict`.
    pub(super) rule: Option<String>,
}

impl Unanswered {
    /// Explains why nothing answers; `cassette` is what the tape is called.
    #[must_use]
    pub fn explain(self, index: &Index, cassette: &str) -> Miss {
        let request = format!("{} {}", self.request.method, self.request.url());
        let record = format!("To have it, record it: graphdeck record {cassette} --append --all -- COMMAND");
        let sent = super::scribe::request_entry(&self.request, &super::ids::Ids::default());
        let miss = Miss {
            request,
            sent,
            reason: Reason::NotRecorded,
            message: String::new(),
            hints: Vec::new(),
            nearest: Vec::new(),
            way_out: record,
        };
        match &self.played {
            Some(played) => already_played(miss, index, played),
            None => compared(miss, index, &self),
        }
    }
}

fn already_played(miss: Miss, index: &Index, played: &Played) -> Miss {
    let number = played.exchange as usize + 1;
    let (why, way_out) = match &played.rule {
        None => ("--strict plays each one once".to_owned(), "Leave --strict out".to_owned()),
        Some(route) => (
            format!("the rule for `{route}` allows no repeat"),
            format!("Take `repeat = \"miss\"` out of the rule for `{route}`"),
        ),
    };
    Miss {
        reason: Reason::AlreadyPlayed,
        message: format!("exchange {number} was already played, for request {} of this run, and {why}", played.by),
        nearest: vec![near(index, played.exchange, Vec::new())],
        way_out: format!("{way_out}, or record the repetition too"),
        ..miss
    }
}

fn compared(miss: Miss, index: &Index, unanswered: &Unanswered) -> Miss {
    let nearest = nearest(index, &unanswered.live);
    let hints = hints(&unanswered.request, &nearest);
    let (reason, message) = reason(index, unanswered, &nearest, !hints.is_empty());
    let way_out = match rule(&unanswered.request, reason, &nearest) {
        Some(rule) => format!("Record it anew, or let it differ by a rule in config.toml: {rule}"),
        None => miss.way_out,
    };
    Miss { reason, message, hints, nearest, way_out, ..miss }
}

/// The exchanges that come nearest: those with the most values in common, then value by value.
fn nearest(index: &Index, live: &Live) -> Vec<Near> {
    let candidates = index.near(live.address);
    let apart = |exchange: u32| differences::distance(&index.exchanges[exchange as usize].marks, &live.marks);
    let mut ranked: Vec<(usize, u32)> = candidates.into_iter().map(|exchange| (apart(exchange), exchange)).collect();
    ranked.sort_unstable();
    let compare = |(_, exchange): &(usize, u32)| (differences::differences(index, *exchange, live), *exchange);
    let mut compared: Vec<(Vec<Difference>, u32)> = ranked.iter().take(LOOKED_AT).map(compare).collect();
    let rank = |found: &[Difference]| (found.len(), found.iter().all(|found| found.id.is_none()));
    compared.sort_by(|(a, one), (b, other)| rank(a).cmp(&rank(b)).then(one.cmp(other)));
    compared.into_iter().take(NEAREST).map(|(differences, exchange)| near(index, exchange, differences)).collect()
}

fn near(index: &Index, exchange: u32, differences: Vec<Difference>) -> Near {
    let request = &index.entries[exchange as usize].request;
    let request = format!("{} {}", request.method, request.url);
    Near { exchange: exchange as usize + 1, request, differences }
}

/// What the documentation says of values that the nearest exchange does not have.
fn hints(request: &Request, nearest: &[Near]) -> Vec<String> {
    let writes = matches!(request.method.as_str(), "POST" | "PATCH" | "PUT");
    let about = graph::route_template(request.path()).to_lowercase().contains("/userstatuses");
    let (Some(body), true) = (walk::parse_json(&request.body), writes && about) else { return Vec::new() };
    let differs = |name: &str| {
        let place = Place::Json(format!("/{name}"));
        nearest.first().is_none_or(|near| near.differences.iter().any(|found| found.place == place))
    };
    schema::faults(&body).into_iter().filter(|(name, _)| differs(name)).map(|(_, rule)| rule).collect()
}

fn reason(index: &Index, unanswered: &Unanswered, nearest: &[Near], invalid: bool) -> (Reason, String) {
    let (of_route, of_path) = index.knows(unanswered.live.address);
    let Some(first) = nearest.first().filter(|_| of_route || of_path) else {
        let count = match index.len() {
            1 => "1 exchange".to_owned(),
            count => format!("{count} exchanges"),
        };
        let route = graph::route_template(unanswered.request.path());
        let method = &unanswered.request.method;
        return (Reason::NotRecorded, format!("nothing is recorded for {method} {route} (the cassette has {count})"));
    };
    let exchange = first.exchange;
    if !of_route {
        return (Reason::Elsewhere, elsewhere(first));
    }
    let Some(difference) = first.differences.first() else {
        let message = format!("exchange {exchange} is equal but for its ids, which fit it only together with others");
        return (Reason::Id, message);
    };
    let is_text = walk::parse_json(&unanswered.request.body).is_none() && !unanswered.request.body.is_empty();
    if difference.place == Place::Body && is_text {
        let why = serde_json::from_slice::<serde_json::Value>(&unanswered.request.body).err();
        let why = why.map_or_else(|| "it is no object and no array".to_owned(), |why| why.to_string());
        return (Reason::NotJson, format!("the body is no JSON ({why}), and that of exchange {exchange} is"));
    }
    let more = match first.differences.len() - 1 {
        0 => String::new(),
        1 => ", and at 1 more place".to_owned(),
        more => format!(", and at {more} more places"),
    };
    let message = format!("the nearest is exchange {exchange}, which differs at {difference}{more}");
    let reason = match difference.id {
        Some(_) => Reason::Id,
        None if invalid => Reason::Invalid,
        None => Reason::Differs,
    };
    (reason, message)
}

/// How a request that is recorded somewhere else was recorded.
fn elsewhere(near: &Near) -> String {
    let what = |place: &Place| match place {
        Place::Method => Some("method"),
        Place::Host => Some("host"),
        Place::Path(1) => Some("version"),
        _ => None,
    };
    let told = near.differences.iter().filter_map(|found| {
        let (recorded, got) = (found.recorded.as_deref()?, found.got.as_deref()?);
        Some(format!("with the {} {recorded}, not {got}", what(&found.place)?))
    });
    let told: Vec<String> = told.collect();
    format!("it is recorded {} (exchange {})", told.join(" and "), near.exchange)
}

/// The rule that would let the nearest exchange answer, where one can.
fn rule(request: &Request, reason: Reason, nearest: &[Near]) -> Option<String> {
    let differences = &nearest.first()?.differences;
    let may_vary = |place: &Place| matches!(place, Place::Json(_) | Place::Query(_) | Place::Header(_));
    let fits = !differences.is_empty()
        && differences.len() <= PROPOSED
        && matches!(reason, Reason::Differs | Reason::Invalid)
        && differences.iter().all(|found| found.id.is_none() && may_vary(&found.place));
    let places: Vec<String> = differences.iter().map(|found| format!("\"{}\"", found.place)).collect();
    let route = graph::route_template(request.path()).replace("{id}", "*");
    fits.then(|| format!("[[match]] route = \"{} {route}\", ignore = [{}]", request.method, places.join(", ")))
}

impl Miss {
    /// Why, in one line: the reason, what the documentation says, and what to do.
    #[must_use]
    pub fn sentence(&self) -> String {
        let hints: String = self.hints.iter().map(|hint| format!(" ({hint})")).collect();
        format!("{}{hints}. {}", self.message, self.way_out)
    }
}

impl std::fmt::Display for Miss {
    /// The whole explanation, on lines of its own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no recorded answer for {}\n  {}", self.request, self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\n  {hint}"))?;
        for near in self.nearest.iter().filter(|near| !near.differences.is_empty()) {
            write!(f, "\n  exchange {}, {}", near.exchange, near.request)?;
            near.differences.iter().take(TOLD).try_for_each(|found| write!(f, "\n    {}", found.line()))?;
            if near.differences.len() > TOLD {
                write!(f, "\n    … and {} more places", near.differences.len() - TOLD)?;
            }
        }
        write!(f, "\n  {}", self.way_out)
    }
}
