//! Why nothing on tape answers a request: the nearest recorded exchange, and the first place where it differs.

use super::bindings::Bindings;
use super::exchange::{Request, Taped};
use super::graph;
use super::id::Id;
use super::index::{Index, Slot};
use super::lexicon::{self, Lexicon};
use super::matching::{self, Reading};
use super::walk::{self, Kind, Leaf, Place};
use std::collections::HashMap;

/// How many exchanges of a route are compared at most, so that a miss stays quick.
const COMPARED: usize = 10_000;
const RECORD_IT: &str = "To have it, record it: graphdeck record NAME --all -- COMMAND";
/// How much of a value is shown, in characters.
const SHOWN: usize = 120;

/// A request that nothing on tape answers, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// The request, as `METHOD address`.
    pub request: String,
    /// Why, in one sentence or two.
    pub message: String,
    /// What to do about it.
    pub way_out: String,
    /// The exchange that comes nearest, counted from 1.
    pub nearest: Option<usize>,
    /// The first place where that one differs.
    pub difference: Option<Difference>,
}

/// A place where a request is not as the recorded one was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where.
    pub place: Place,
    /// The value on tape, ids as placeholders; `None` where the tape has nothing.
    pub recorded: Option<String>,
    /// The value in the request, ids that are known as placeholders; `None` where the request has nothing.
    pub got: Option<String>,
    /// Why an id that differs may not take the value it has here.
    pub id: Option<String>,
}

/// Explains why nothing answers `request`.
#[must_use]
pub fn explain(index: &Index, bindings: &Bindings, request: &Taped<Request>, reading: &Reading) -> Miss {
    let candidates = index.on_route(reading);
    let live = compared_leaves(index, request);
    let differences = candidates.iter().take(COMPARED).map(|&exchange| {
        let recorded = index.recorded_request(exchange);
        let differences = differences(index, bindings, &compared_leaves(index, &recorded), &live);
        (differences, exchange as usize + 1)
    });
    let told = told(request);
    let Some((differences, nearest)) =
        differences.min_by_key(|(found, number)| (found.len(), found.iter().all(|found| found.id.is_none()), *number))
    else {
        let (message, way_out) = (nothing_recorded(index), RECORD_IT.to_owned());
        return Miss { request: told, message, way_out, nearest: None, difference: None };
    };
    let difference = differences.into_iter().next();
    let message = match &difference {
        Some(difference) => format!("the nearest is exchange {nearest}, which differs at {difference}"),
        None => format!(
            "exchange {nearest} is equal but for its ids: one id of the request stands where the recording has two, or two where it has one"
        ),
    };
    let way_out = way_out(request, difference.as_ref());
    Miss { request: told, message, way_out, nearest: Some(nearest), difference }
}

/// The rule that would let a place differ, or else how to have the exchange.
fn way_out(request: &Request, difference: Option<&Difference>) -> String {
    match difference {
        Some(Difference { place: place @ (Place::Json(_) | Place::Query(_)), id: None, .. }) => {
            let route = graph::route_template(request.path()).replace("{id}", "*");
            let rule = format!("[[match]] route = \"{} {route}\", ignore = [\"{place}\"]", request.method);
            format!("Record it anew, or let it differ by a rule in config.toml: {rule}")
        }
        _ => RECORD_IT.to_owned(),
    }
}

/// Explains, under `--strict`, that the exchange that would answer has been played.
#[must_use]
pub fn already_played(request: &Request, exchange: u32) -> Miss {
    let number = exchange as usize + 1;
    Miss {
        request: told(request),
        message: format!("exchange {number} was already played, and --strict plays each one once"),
        way_out: "Leave --strict out, or record the repetition too".to_owned(),
        nearest: Some(number),
        difference: None,
    }
}

fn told(request: &Request) -> String {
    format!("{} {}", request.method, request.url())
}

fn nothing_recorded(index: &Index) -> String {
    let count = match index.len() {
        1 => "1 exchange".to_owned(),
        count => format!("{count} exchanges"),
    };
    format!("nothing is recorded with its method, host and path (the cassette has {count})")
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = |value: &Option<String>| value.as_deref().map_or_else(|| "nothing".to_owned(), shorten);
        write!(f, "{}: recorded {}, got {}", self.place, value(&self.recorded), value(&self.got))?;
        self.id.as_ref().map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

/// A long value, shortened in the middle.
fn shorten(value: &str) -> String {
    let count = value.chars().count();
    if count <= SHOWN {
        return value.to_owned();
    }
    let head: String = value.chars().take(SHOWN / 2).collect();
    let tail: String = value.chars().skip(count - SHOWN / 2).collect();
    format!("{head}…{tail}")
}

fn compared_leaves<'a>(index: &Index, request: &'a Request) -> Vec<Leaf<'a>> {
    let ignored = index.rules.ignored(request);
    let mut leaves = walk::leaves(request);
    leaves.retain(|leaf| !ignored.iter().any(|pattern| pattern.covers(&leaf.place)));
    leaves
}

/// Where two requests differ, in the order in which the recorded one is walked, what only the live one has last.
fn differences(index: &Index, bindings: &Bindings, recorded: &[Leaf<'_>], live: &[Leaf<'_>]) -> Vec<Difference> {
    if let Some(difference) = other_kind_of_body(recorded, live) {
        return vec![difference];
    }
    let mut unmatched: HashMap<&Place, Vec<&Leaf<'_>>> = HashMap::new();
    for leaf in live.iter().rev() {
        unmatched.entry(&leaf.place).or_default().push(leaf);
    }
    let mut differences = Vec::new();
    for leaf in recorded {
        let other = unmatched.get_mut(&leaf.place).and_then(Vec::pop);
        let id = match other {
            Some(other) => match compare(index, bindings, leaf, other) {
                Comparison::Equal => continue,
                Comparison::Differs => None,
                Comparison::Id(why) => Some(why),
            },
            None => None,
        };
        let got = other.map(|other| quoted(other, &with_names(index, bindings, &other.text)));
        let recorded = Some(quoted(leaf, &index.ids.to_tape(&leaf.text)));
        differences.push(Difference { place: leaf.place.clone(), recorded, got, id });
    }
    for leaf in live {
        if unmatched.get_mut(&leaf.place).and_then(Vec::pop).is_some() {
            let got = Some(quoted(leaf, &with_names(index, bindings, &leaf.text)));
            differences.push(Difference { place: leaf.place.clone(), recorded: None, got, id: None });
        }
    }
    differences
}

/// A body that is no JSON where JSON was recorded differs as a whole.
fn other_kind_of_body(recorded: &[Leaf<'_>], live: &[Leaf<'_>]) -> Option<Difference> {
    let is_json = |leaves: &[Leaf<'_>]| leaves.iter().any(|leaf| matches!(leaf.place, Place::Json(_)));
    let text = live.iter().find(|leaf| leaf.place == Place::Body);
    let got = text.map(|leaf| format!("what is no JSON ({})", quoted(leaf, &leaf.text)));
    let differs = is_json(recorded) && !is_json(live);
    differs.then(|| Difference { place: Place::Body, recorded: Some("JSON".to_owned()), got, id: None })
}

enum Comparison {
    Equal,
    Differs,
    Id(String),
}

fn compare(index: &Index, bindings: &Bindings, recorded: &Leaf<'_>, live: &Leaf<'_>) -> Comparison {
    if recorded.kind != live.kind {
        return Comparison::Differs;
    }
    let known = [index.ids.lexicon(), bindings.lexicon()];
    let (ours, theirs) = (blanked(index, recorded, &known), blanked(index, live, &known));
    if ours.0 != theirs.0 {
        return Comparison::Differs;
    }
    for (recorded, live) in ours.1.into_iter().zip(theirs.1) {
        let slot = index.ids.find(&recorded).map_or_else(|| Slot::Literal(recorded), Slot::Id);
        if index.fills(&slot, &live, bindings).is_none() {
            return why_not(index, bindings, &slot, &live).map_or(Comparison::Differs, Comparison::Id);
        }
    }
    Comparison::Equal
}

/// A value without its ids, and the ids.
fn blanked<'a>(index: &Index, leaf: &'a Leaf<'_>, known: &[&Lexicon]) -> (Vec<&'a str>, Vec<Id>) {
    let (mut parts, mut ids, mut from) = (Vec::new(), Vec::new(), 0);
    for (range, id) in matching::ids_of(leaf, &index.rules, known) {
        parts.push(&leaf.text[from..range.start]);
        ids.push(id);
        from = range.end;
    }
    parts.push(&leaf.text[from..]);
    (parts, ids)
}

fn why_not(index: &Index, bindings: &Bindings, slot: &Slot, live: &Id) -> Option<String> {
    match slot {
        Slot::Literal(Id::Guid(_)) => Some("this GUID is no id in the recording, so it may not change".to_owned()),
        Slot::Literal(Id::Text(_)) => None,
        Slot::Id(row) => match index.settled_row(live, bindings) {
            Some(other) => Some(format!("{live} stands for {{{{{}}}}} in this run", index.ids.placeholder(other))),
            None if index.is_foreign(*row, live) => {
                Some(format!("{live} was made by a replay with another seed or of another cassette"))
            }
            None => None,
        },
    }
}

/// A text with the live ids that are known named by their placeholders.
fn with_names(index: &Index, bindings: &Bindings, text: &str) -> String {
    let (mut named, mut from) = (String::new(), 0);
    for (range, id) in lexicon::in_text(text, &[index.ids.lexicon(), bindings.lexicon()]) {
        let row = index.settled_row(&id, bindings).or_else(|| index.ids.find(&id));
        if let Some(row) = row {
            named.push_str(&text[from..range.start]);
            named.push_str(&format!("{{{{{}}}}}", index.ids.placeholder(row)));
            from = range.end;
        }
    }
    named.push_str(&text[from..]);
    named
}

fn quoted(leaf: &Leaf<'_>, text: &str) -> String {
    match leaf.kind {
        Kind::Text => format!("\"{text}\""),
        _ => text.to_owned(),
    }
}
