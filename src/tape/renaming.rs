//! Two exchanges compared place by place, under a renaming of ids that is one to one.

use super::differences::{self, KEPT, between, quoted};
use super::exchange::{Exchange, Headers};
use super::id::Id;
use super::ids::Ids;
use super::lexicon::{self, Lexicon, Occurrence};
use super::matching::{self, Applied, Rules};
use super::place::{self, Place};
use super::volatile::{self, Steadiness};
use super::walk::{self, Leaf, View};
use std::collections::{HashMap, VecDeque};
use std::fmt;

/// Which id of one recording is which of another.
#[derive(Clone, Debug, Default)]
pub struct Renaming {
    there: HashMap<Id, Id>,
    back: HashMap<Id, Id>,
}

impl Renaming {
    /// Says that `one` is `other`.
    ///
    /// # Errors
    /// When one of them is another id already; its name there.
    pub fn pair(&mut self, one: &Id, other: &Id) -> Result<(), Id> {
        match (self.there.get(one), self.back.get(other)) {
            (None, None) => {
                self.there.insert(one.clone(), other.clone());
                self.back.insert(other.clone(), one.clone());
                Ok(())
            }
            (Some(known), _) if known == other => Ok(()),
            (Some(known), _) | (None, Some(known)) => Err(known.clone()),
        }
    }

    /// What an id of the first recording is in the other.
    #[must_use]
    pub fn there(&self, one: &Id) -> Option<&Id> {
        self.there.get(one)
    }

    /// What an id of the other recording is in the first.
    #[must_use]
    pub fn back(&self, other: &Id) -> Option<&Id> {
        self.back.get(other)
    }
}

/// A side of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// What was asked.
    Request,
    /// What was answered.
    Answer,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request => "request",
            Self::Answer => "answer",
        })
    }
}

/// A value of an exchange.
#[derive(Clone, Debug)]
pub struct Said {
    pub(super) side: Side,
    pub(super) leaf: Leaf<'static>,
    /// Its ids, and what might be one.
    pub(super) ids: Vec<Occurrence>,
    pub(super) steadiness: Steadiness,
}

/// How exchanges are read that are to be compared.
#[derive(Clone, Copy, Debug)]
pub struct Manner<'a> {
    /// What need not be equal, and where ids are.
    pub rules: &'a Rules,
    /// Whether everything is compared, also what rules let differ and what differs each time.
    pub exact: bool,
}

impl Manner<'_> {
    /// Every value of an exchange; `known` are texts that are ids wherever they stand.
    #[must_use]
    pub fn read(&self, exchange: &Exchange, known: &Lexicon) -> Vec<Said> {
        let applied = self.rules.applied(&exchange.request);
        let view = View { headers: names(&exchange.request.headers), ..applied.view.clone() };
        let asked = walk::leaves(&exchange.request, &view);
        let view = View { headers: names(&exchange.response.headers), ..View::default() };
        let answered = walk::answer_leaves(&exchange.response, &view);
        let mut own = matching::own(&asked);
        // An entity's id may stand in its addresses, before the member that says so.
        for leaf in answered.iter().filter(|leaf| matches!(&leaf.place, Place::Json(at) if at.ends_with("/id"))) {
            lexicon::in_key(&leaf.text, &[]).iter().for_each(|(_, id)| own.add(id));
        }
        let known = [known, &own];
        let said = |side: Side, leaf: Leaf<'_>| Said {
            ids: matching::ids_of(&leaf, self.rules, &known),
            steadiness: if self.exact { Steadiness::Steady } else { steadiness(side, &leaf, &applied) },
            leaf: Leaf { place: leaf.place.clone(), kind: leaf.kind, text: leaf.text.into_owned().into() },
            side,
        };
        let asked = asked.into_iter().map(|leaf| said(Side::Request, leaf));
        asked.chain(answered.into_iter().map(|leaf| said(Side::Answer, leaf))).collect()
    }
}

fn names(headers: &Headers) -> Vec<String> {
    headers.iter().map(|(name, _)| name.to_owned()).collect()
}

fn steadiness(side: Side, leaf: &Leaf<'_>, applied: &Applied<'_>) -> Steadiness {
    let repeated =
        |pointer: &str| applied.ignores_member(&place::unescaped(pointer.rsplit('/').next().unwrap_or_default()));
    match (side, &leaf.place) {
        (Side::Request, place) if applied.ignores(place).is_some() => Steadiness::Passing,
        (Side::Request, _) => Steadiness::Steady,
        (Side::Answer, Place::Json(pointer)) if repeated(pointer) => Steadiness::Passing,
        (Side::Answer, _) => volatile::steadiness(leaf),
    }
}

/// A place where two exchanges differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// On which side.
    pub side: Side,
    /// Where.
    pub place: Place,
    /// The value in the first exchange, its ids as placeholders; `None` where there is nothing.
    pub was: Option<String>,
    /// The value in the other one.
    pub is: Option<String>,
    /// Why an id that stands there is not the same one.
    pub id: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (was, is) = (differences::shown(&self.was), differences::shown(&self.is));
        write!(f, "{} {}: was {was}, is {is}", self.side, differences::shorten(&self.place.to_string()))?;
        self.id.as_ref().map_or(Ok(()), |why| write!(f, " ({})", differences::shorten(why)))
    }
}

/// Where two exchanges differ: the first places, and how many there are besides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The first ones.
    pub first: Vec<Change>,
    /// How many more there are.
    pub more: usize,
}

impl Changes {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    fn add(&mut self, change: Change) {
        if self.first.len() < KEPT { self.first.push(change) } else { self.more += 1 }
    }
}

/// The tables of ids of two recordings.
#[derive(Clone, Copy, Debug)]
pub struct Tables<'a> {
    /// The first one's.
    pub one: &'a Ids,
    /// The other one's; of what was just said there is none, and whatever stands for an id is one.
    pub other: Option<&'a Ids>,
}

/// Where two exchanges differ, ids aside; `renaming` learns which ids are which.
#[must_use]
pub fn changes(one: &[Said], other: &[Said], tables: Tables<'_>, renaming: &mut Renaming) -> Changes {
    let mut unmatched: HashMap<(Side, &Place), VecDeque<&Said>> = HashMap::new();
    for said in other {
        unmatched.entry((said.side, &said.leaf.place)).or_default().push_back(said);
    }
    let (mut changes, mut whole) = (Changes::default(), Vec::new());
    for side in [Side::Request, Side::Answer] {
        whole.extend(other_kind_of_body(side, one, other, tables));
    }
    let passed_over = |said: &Said| {
        let in_body = matches!(said.leaf.place, Place::Json(_) | Place::Body);
        in_body && whole.iter().any(|change| change.side == said.side)
    };
    for said in one.iter().filter(|said| !passed_over(said)) {
        let paired = unmatched.get_mut(&(said.side, &said.leaf.place)).and_then(VecDeque::pop_front);
        let id = match paired.map(|paired| compare(said, paired, tables, renaming)) {
            Some(Comparison::Equal) => continue,
            Some(Comparison::Id(why)) => Some(why),
            Some(Comparison::Differs) | None => None,
        };
        let was = Some(tables.told(said, true));
        let is = paired.map(|paired| tables.told(paired, false));
        changes.add(Change { side: said.side, place: said.leaf.place.clone(), was, is, id });
    }
    for said in other.iter().filter(|said| !passed_over(said)) {
        if unmatched.get_mut(&(said.side, &said.leaf.place)).and_then(VecDeque::pop_front).is_some() {
            let (place, is) = (said.leaf.place.clone(), Some(tables.told(said, false)));
            changes.add(Change { side: said.side, place, was: None, is, id: None });
        }
    }
    whole.into_iter().for_each(|change| changes.add(change));
    changes
}

/// A body that is JSON in one exchange and none in the other differs as a whole.
fn other_kind_of_body(side: Side, one: &[Said], other: &[Said], tables: Tables<'_>) -> Option<Change> {
    let of_side = |all: &[Said], is: fn(&Place) -> bool| {
        all.iter().find(|said| said.side == side && is(&said.leaf.place)).cloned()
    };
    let json = |all: &[Said]| of_side(all, |place| matches!(place, Place::Json(_))).is_some();
    let text = |all: &[Said]| of_side(all, |place| *place == Place::Body);
    let (was, is) = match (json(one), text(one), json(other), text(other)) {
        (true, _, _, Some(text)) => (differences::JSON.to_owned(), tables.told(&text, false)),
        (_, Some(text), true, _) => (tables.told(&text, true), differences::JSON.to_owned()),
        _ => return None,
    };
    Some(Change { side, place: Place::Body, was: Some(was), is: Some(is), id: None })
}

impl Tables<'_> {
    /// A value as it is told: its ids by their names, where they have one.
    fn told(self, said: &Said, first: bool) -> String {
        let table = if first { Some(self.one) } else { self.other };
        let text = table.map_or_else(|| said.leaf.text.to_string(), |ids| ids.to_tape(&said.leaf.text));
        quoted(said.leaf.kind, &text)
    }

    /// Whether both are ids, which may have two names.
    fn both_know(self, one: &Id, other: &Id) -> bool {
        self.one.find(one).is_some() && self.other.is_none_or(|table| table.find(other).is_some())
    }

    fn name(self, one: &Id) -> String {
        self.one.find(one).map_or_else(|| one.to_string(), |row| format!("{{{{{}}}}}", self.one.placeholder(row)))
    }
}

enum Comparison {
    Equal,
    Differs,
    Id(String),
}

fn compare(one: &Said, other: &Said, tables: Tables<'_>, renaming: &mut Renaming) -> Comparison {
    if one.leaf.kind != other.leaf.kind {
        return Comparison::Differs;
    }
    let parts = |said: &Said| -> Vec<String> {
        between(&said.leaf.text, said.ids.iter().map(|(range, _)| range)).into_iter().map(str::to_owned).collect()
    };
    let passing = one.steadiness == Steadiness::Passing && other.steadiness == Steadiness::Passing;
    if one.ids.len() != other.ids.len() || parts(one) != parts(other) {
        // What is an id in one of them only is still the same text.
        let same = passing || one.leaf.text == other.leaf.text;
        return if same { Comparison::Equal } else { Comparison::Differs };
    }
    let marked = one.steadiness == Steadiness::Marked;
    for ((_, one), (_, other)) in one.ids.iter().zip(&other.ids) {
        if tables.both_know(one, other) {
            match renaming.pair(one, other) {
                Err(_) if passing => {}
                Err(known) => return Comparison::Id(why(one, &known, tables, renaming)),
                Ok(()) => {}
            }
        } else if one != other && !passing && !(marked && matches!((one, other), (Id::Guid(_), Id::Guid(_)))) {
            return Comparison::Differs;
        }
    }
    Comparison::Equal
}

/// Why an id is not the same one as another.
fn why(one: &Id, known: &Id, tables: Tables<'_>, renaming: &Renaming) -> String {
    match renaming.there(one) {
        Some(known) => format!("{} is {known} elsewhere", tables.name(one)),
        None => format!("that is {} elsewhere", tables.name(known)),
    }
}
