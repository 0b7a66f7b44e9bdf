//! Where a live request differs from a recorded one, place by place.

use super::address::Address;
use super::bindings::Bindings;
use super::exchange::{Request, Taped};
use super::id::Id;
use super::ids::Row;
use super::index::{Index, Slot};
use super::lexicon::{self, Lexicon};
use super::matching;
use super::redact;
use super::walk::{self, Kind, Leaf, Place};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// How much of a value is shown, in characters.
const SHOWN: usize = 120;

/// How many differences of one exchange are kept; the others are counted.
pub(super) const KEPT: usize = 50;

/// How many values are compared one by one where nothing answers; a body with more is told of as a whole.
const COMPARED: usize = 1500;

/// What a recorded body is called that is JSON, where the live one is none.
pub(super) const JSON: &str = "JSON";

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

/// Where a request is not as a recorded one was: the first places, and how many there are besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// The first ones.
    pub first: Vec<Difference>,
    /// How many more there are.
    pub more: usize,
}

impl Differences {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.first.len() + self.more
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    fn add(&mut self, found: Difference) {
        if self.first.len() < KEPT { self.first.push(found) } else { self.more += 1 }
    }
}

impl Difference {
    /// The place and both values, on a line.
    #[must_use]
    pub fn line(&self) -> String {
        let why = self.id.as_ref().map(|why| format!("  ({})", shorten(why))).unwrap_or_default();
        format!("{}  recorded {}  got {}{why}", self.named(), shown(&self.recorded), shown(&self.got))
    }

    /// The place, as it can be shown: what stands in it is the client's.
    #[must_use]
    pub fn named(&self) -> String {
        shorten(&self.place.to_string())
    }
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: recorded {}, got {}", self.named(), shown(&self.recorded), shown(&self.got))?;
        self.id.as_ref().map_or(Ok(()), |why| write!(f, " ({})", shorten(why)))
    }
}

pub(super) fn shown(value: &Option<String>) -> String {
    value.as_deref().map_or_else(|| "nothing".to_owned(), shorten)
}

/// A long value, shortened in the middle.
#[must_use]
pub fn shorten(value: &str) -> String {
    let (count, plain) = (value.chars().count(), redact::printable(value));
    if count <= SHOWN {
        return plain;
    }
    let head: String = plain.chars().take(SHOWN / 2).collect();
    let tail: String = plain.chars().skip(count - SHOWN / 2).collect();
    format!("{head}…{tail}")
}

/// A live request as it is compared, with what its session knows of its ids: comparing it needs the session no more.
#[derive(Clone, Debug)]
pub(super) struct Live {
    leaves: Vec<LiveLeaf>,
    /// Where it goes.
    pub(super) address: Address,
    /// By how many values others are near it.
    pub(super) marks: Box<[u32]>,
    /// The places that rules let differ in it.
    ignored: HashSet<Place>,
}

#[derive(Clone, Debug)]
struct LiveLeaf {
    leaf: Leaf<'static>,
    /// Its ids: where they stand, and what they stand for if that is known.
    ids: Box<[LiveId]>,
    /// The value with the names of the ids that are known, if there are any.
    named: Option<String>,
}

/// An id, where it stands, and what it stands for if that is known.
type LiveId = (Range<usize>, Id, Option<Row>);

impl LiveLeaf {
    fn parts(&self) -> Vec<&str> {
        between(&self.leaf.text, self.ids.iter().map(|(range, ..)| range))
    }

    fn quoted(&self) -> String {
        quoted(self.leaf.kind, self.named.as_deref().unwrap_or(&self.leaf.text))
    }
}

impl Live {
    /// Reads a request, of which `bindings` tells what its ids stand for.
    pub(super) fn of(index: &Index, bindings: &Bindings, request: &Taped<Request>) -> Self {
        let (mut leaves, address, ignored) = compared(index, request);
        if leaves.len() > COMPARED {
            let count = leaves.len();
            leaves.retain(|leaf| !matches!(leaf.place, Place::Json(_)));
            leaves.push(Leaf { place: Place::Body, kind: Kind::Text, text: format!("{count} values").into() });
        }
        let own = matching::own(&leaves);
        let known = [index.ids.lexicon(), bindings.lexicon(), &own];
        let marks = matching::marks(&leaves, &index.rules, &known);
        let live = |leaf: Leaf<'_>| {
            let ids = matching::ids_of(&leaf, &index.rules, &known).into_iter();
            let settled = ids.map(|(range, id)| (index.settled_row(&id, bindings), range, id));
            LiveLeaf {
                ids: settled.map(|(row, range, id)| (range, id, row)).collect(),
                named: with_names(index, bindings, &leaf.text),
                leaf: Leaf { place: leaf.place.clone(), kind: leaf.kind, text: leaf.text.into_owned().into() },
            }
        };
        Self { leaves: leaves.into_iter().map(live).collect(), address, marks, ignored }
    }
}

/// What is compared of a request, where it goes, and which places rules let differ.
fn compared<'a>(index: &Index, request: &'a Request) -> (Vec<Leaf<'a>>, Address, HashSet<Place>) {
    let applied = index.rules.applied(request);
    let leaves = walk::leaves(request, &applied.view);
    let address = Address::of(&leaves);
    let (ignored, leaves): (Vec<_>, Vec<_>) =
        leaves.into_iter().partition(|leaf| applied.ignores(&leaf.place).is_some());
    (leaves, address, ignored.into_iter().map(|leaf| leaf.place).collect())
}

/// How many values of two requests are not common to them: an estimate of how far they are apart.
pub(super) fn distance(one: &[u32], other: &[u32]) -> usize {
    let (mut i, mut j, mut common) = (0, 0, 0);
    while i < one.len() && j < other.len() {
        match one[i].cmp(&other[j]) {
            std::cmp::Ordering::Less => i += 1,
            std::cmp::Ordering::Greater => j += 1,
            std::cmp::Ordering::Equal => {
                common += 1;
                i += 1;
                j += 1;
            }
        }
    }
    one.len() + other.len() - 2 * common
}

/// Where a live request differs from that of an exchange, in the order in which the recorded one is walked, what only
/// the live one has last.
pub(super) fn differences(index: &Index, exchange: u32, live: &Live) -> Differences {
    let request = index.recorded_request(exchange);
    let (recorded, _, ignored) = compared(index, &request);
    let of_body = other_kind_of_body(&recorded, live);
    let passed_over = |place: &Place| {
        let in_body = matches!(place, Place::Json(_) | Place::Body);
        (of_body.is_some() && in_body) || ignored.contains(place) || live.ignored.contains(place)
    };
    let own = matching::own(&recorded);
    let known = [index.ids.lexicon(), &own];
    let mut unmatched: HashMap<&Place, Vec<&LiveLeaf>> = HashMap::new();
    for leaf in live.leaves.iter().rev().filter(|leaf| !passed_over(&leaf.leaf.place)) {
        unmatched.entry(&leaf.leaf.place).or_default().push(leaf);
    }
    let (mut differences, mut pairs) = (Differences::default(), Pairs::default());
    for leaf in recorded.iter().filter(|leaf| !passed_over(&leaf.place)) {
        let other = unmatched.get_mut(&leaf.place).and_then(Vec::pop);
        let id = match other.map(|other| compare(index, leaf, other, &known, &mut pairs)) {
            Some(Comparison::Equal) => continue,
            Some(Comparison::Id(why)) => Some(why),
            Some(Comparison::Differs) | None => None,
        };
        let got = other.map(LiveLeaf::quoted);
        let recorded = Some(quoted(leaf.kind, &index.ids.to_tape(&leaf.text)));
        differences.add(Difference { place: leaf.place.clone(), recorded, got, id });
    }
    for leaf in live.leaves.iter().filter(|leaf| !passed_over(&leaf.leaf.place)) {
        if unmatched.get_mut(&leaf.leaf.place).and_then(Vec::pop).is_some() {
            let got = Some(leaf.quoted());
            differences.add(Difference { place: leaf.leaf.place.clone(), recorded: None, got, id: None });
        }
    }
    of_body.into_iter().for_each(|found| differences.add(found));
    differences
}

/// Whether a difference says that a body is no JSON where JSON was recorded.
pub(super) fn is_other_kind_of_body(difference: &Difference) -> bool {
    difference.place == Place::Body && difference.recorded.as_deref() == Some(JSON)
}

/// A body that is no JSON where JSON was recorded differs as a whole.
fn other_kind_of_body(recorded: &[Leaf<'_>], live: &Live) -> Option<Difference> {
    let is_json = |place: &Place| matches!(place, Place::Json(_));
    let text = live.leaves.iter().find(|leaf| leaf.leaf.place == Place::Body)?;
    let got = Some(format!("what is no JSON ({})", text.quoted()));
    let differs = recorded.iter().any(|leaf| is_json(&leaf.place));
    differs.then(|| Difference { place: Place::Body, recorded: Some(JSON.to_owned()), got, id: None })
}

enum Comparison {
    Equal,
    Differs,
    Id(String),
}

/// Which recorded id a live one was seen for, and where: a renaming is one to one.
#[derive(Default)]
struct Pairs {
    live: HashMap<Slot, (Id, Place)>,
    recorded: HashMap<Id, (Slot, Place)>,
}

impl Pairs {
    /// Pairs two ids, or tells what each was paired with before.
    fn pair(&mut self, index: &Index, slot: &Slot, live: &Id, place: &Place) -> Result<(), String> {
        let (known, at) = self.live.entry(slot.clone()).or_insert_with(|| (live.clone(), place.clone()));
        if known != live {
            return Err(format!("{} is {known} at {at}", name(index, slot)));
        }
        let (known, at) = self.recorded.entry(live.clone()).or_insert_with(|| (slot.clone(), place.clone()));
        if known != slot {
            return Err(format!("{live} is {} at {at}", name(index, known)));
        }
        Ok(())
    }
}

fn name(index: &Index, slot: &Slot) -> String {
    match slot {
        Slot::Id(row) => format!("{{{{{}}}}}", index.ids.placeholder(*row)),
        Slot::Literal(id) => id.to_string(),
    }
}

fn compare(index: &Index, recorded: &Leaf<'_>, live: &LiveLeaf, known: &[&Lexicon], pairs: &mut Pairs) -> Comparison {
    let (parts, ids) = blanked(index, recorded, known);
    if recorded.kind != live.leaf.kind || parts != live.parts() {
        return Comparison::Differs;
    }
    for (recorded, (_, live_id, settled)) in ids.into_iter().zip(&live.ids) {
        let slot = index.ids.find(&recorded).map_or_else(|| Slot::Literal(recorded), Slot::Id);
        if index.fills(&slot, live_id, index.recorded_row(live_id), *settled).is_none() {
            return why_not(index, &slot, live_id, *settled).map_or(Comparison::Differs, Comparison::Id);
        }
        if let Err(why) = pairs.pair(index, &slot, live_id, &live.leaf.place) {
            return Comparison::Id(why);
        }
    }
    Comparison::Equal
}

/// A value without its ids, and the ids.
fn blanked<'a>(index: &Index, leaf: &'a Leaf<'_>, known: &[&Lexicon]) -> (Vec<&'a str>, Vec<Id>) {
    let (ranges, ids): (Vec<_>, Vec<_>) = matching::ids_of(leaf, &index.rules, known).into_iter().unzip();
    (between(&leaf.text, ranges.iter()), ids)
}

/// The parts of a text between ranges of it.
pub(super) fn between<'a, 'r>(text: &'a str, ranges: impl Iterator<Item = &'r Range<usize>>) -> Vec<&'a str> {
    let (mut parts, mut from) = (Vec::with_capacity(1), 0);
    for range in ranges {
        parts.push(&text[from..range.start]);
        from = range.end;
    }
    parts.push(&text[from..]);
    parts
}

fn why_not(index: &Index, slot: &Slot, live: &Id, settled: Option<Row>) -> Option<String> {
    match slot {
        Slot::Literal(Id::Guid(_)) => Some("this GUID is no id in the recording, so it may not change".to_owned()),
        Slot::Literal(Id::Text(_)) => None,
        Slot::Id(row) => match settled {
            Some(other) => Some(format!("{live} stands for {{{{{}}}}} in this run", index.ids.placeholder(other))),
            None if index.is_foreign(*row, live) => {
                Some(format!("{live} was made by a replay with another seed or of another cassette"))
            }
            None => None,
        },
    }
}

/// A text with the live ids that are known named by their placeholders, if it has any.
fn with_names(index: &Index, bindings: &Bindings, text: &str) -> Option<String> {
    let (mut named, mut from) = (String::new(), 0);
    for (range, id) in lexicon::in_text(text, &[index.ids.lexicon(), bindings.lexicon()]) {
        let row = index.settled_row(&id, bindings).or_else(|| index.ids.find(&id));
        if let Some(row) = row {
            named.push_str(&text[from..range.start]);
            named.push_str(&format!("{{{{{}}}}}", index.ids.placeholder(row)));
            from = range.end;
        }
    }
    (from > 0).then(|| named + &text[from..])
}

pub(super) fn quoted(kind: Kind, text: &str) -> String {
    if kind == Kind::Text { format!("\"{text}\"") } else { text.to_owned() }
}
