//! A cassette made ready to answer: exchanges by shape, and what each id stands for.

use super::address::Address;
use super::column::Column;
use super::exchange::{Request, Taped};
use super::id::{Id, Written};
use super::ids::{Ids, Row};
use super::lent::Lent;
use super::matching::{Key, Reading, Rules};
use super::mint::Mint;
use super::played::Exchanges;
use super::reading_cache::{RawRequest, ReadingCache};
use super::row_set::RowSet;
use super::scribe;
use super::secrets::Secrets;
use super::shapes::Shapes;
use super::stand_ins::StandIns;
use super::template::Placeholder;
use super::values::Values;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;
use std::sync::Arc;

/// What fills a blank of a recorded request's shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    /// An id: the live request may have another value.
    Id(Row),
    /// Any other: the live request must have this one.
    Literal(Id),
}

/// Marks the number of a literal in a filling, where any other is the row of an id.
pub(super) const LITERAL: u32 = 1 << 31;

/// The number of no exchange.
pub(super) const NO_EXCHANGE: u32 = u32::MAX;

/// An exchange that is a POST that made an entity.
pub(super) const CREATES: u8 = 1;
/// One that only reads: asked again, it shows the same ids.
pub(super) const READS: u8 = 2;
/// One that stated what a later answer repeats.
pub(super) const HEARD: u8 = 4;

/// One of which it is known how long it took.
pub(super) const TIMED: u8 = 8;
/// One whose answer the compared part of its request tells alone: it shows no id but those asked for and those that it seals.
pub(super) const ALONE: u8 = 16;

/// How many exchanges of a route a miss compares at most, so that it stays quick.
pub(super) const COMPARED: usize = 10_000;

/// How an id came into the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client used it first.
    Given,
    /// The server made it up.
    Minted,
}

/// A cassette made ready to answer requests, with the mint of one seed.
#[derive(Clone, Debug)]
pub struct Index {
    pub(super) tables: Arc<Tables>,
    pub(super) mint: Mint,
    pub(super) rules: Rules,
}

/// What of a cassette is the same with every seed.
#[derive(Debug)]
pub struct Tables {
    pub(super) ids: Ids,
    /// What stands in requests where an id may stand, and is none.
    pub(super) literals: Values,
    pub(super) exchanges: Exchanges,
    /// What kind of exchange each is.
    pub(super) traits: Vec<u8>,
    /// For each id the exchange that minted it; none for a given one.
    pub(super) minters: Column,
    /// For each given id the first exchange whose request has it; of use for a check only, and not kept with an index.
    pub(super) first_asked: Column,
    /// The ids that were minted and are shown where the ids that they were minted with are not known, such as a user's
    /// id under many configurations. No other value could be told for them everywhere, whatever comes first.
    pub(super) shared: RowSet,
    pub(super) exact: Shapes,
    pub(super) loose: Shapes,
    /// The first exchanges of each route, in recorded order, and those of each path whatever method, host and version.
    pub(super) routes: BTreeMap<Key, Vec<u32>>,
    pub(super) paths: BTreeMap<Key, Vec<u32>>,
    /// The numbers of rules of the user's own that apply to a recorded request, and which of their places it has.
    pub(super) used: BTreeSet<(usize, String)>,
    /// How requests read that were asked of any session.
    pub(super) readings: ReadingCache,
}

impl Deref for Index {
    type Target = Tables;

    fn deref(&self) -> &Tables {
        &self.tables
    }
}

/// The ids in a filling.
pub(super) fn rows(filling: &[u32]) -> impl Iterator<Item = Row> {
    filling.iter().copied().filter(|filled| filled & LITERAL == 0)
}

impl Index {
    /// An exchange, compiled.
    pub(super) fn exchange(&self, number: u32) -> Lent<'_> {
        self.exchanges.get(number)
    }

    /// Whether an exchange is of this kind.
    pub(super) fn is(&self, number: u32, kind: u8) -> bool {
        self.traits[number as usize] & kind != 0
    }

    /// The exchange that minted an id; none for a given one.
    pub(super) fn minter(&self, row: Row) -> Option<u32> {
        Some(self.minters.at(row)).filter(|minter| *minter != NO_EXCHANGE)
    }

    /// What fills a blank, by its number in a filling.
    pub(super) fn slot(&self, filled: u32) -> Slot {
        if filled & LITERAL == 0 { Slot::Id(filled) } else { Slot::Literal(self.literals.id(filled ^ LITERAL)) }
    }

    /// What an exchange is called: its number, counted from 1, method and address.
    #[must_use]
    pub fn name(&self, number: u32) -> String {
        let request = self.exchange(number).request();
        format!("exchange {} {} {}", number + 1, request.method, request.url)
    }

    /// The name of a rule: its route.
    #[must_use]
    pub fn rule_name(&self, number: usize) -> &str {
        self.rules.rule(number).route.as_str()
    }

    /// What rules of the user's own name that no recorded request has, each with its line in config and in words.
    #[must_use]
    pub fn idle_rules(&self) -> Vec<(usize, String)> {
        let mut idle = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(line) = rule.line else { continue };
            let headers = rule.headers.iter().map(|name| format!("header:{name}"));
            let named = rule.ignore.iter().map(ToString::to_string).chain(headers);
            let route = rule.route.as_str();
            if self.used.contains(&(number, String::new())) {
                let unused = named.filter(|place| !self.used.contains(&(number, place.clone())));
                let told = |place| {
                    format!(
                        "the rule for `{route}` names {place}, which no recorded request of it has: it is of use where only a live one does"
                    )
                };
                idle.extend(unused.map(|place| (line, told(place))));
            } else {
                idle.push((line, format!("there is a rule for `{route}`, and no such request is recorded")));
            }
        }
        idle
    }

    /// The same index with its exchanges in memory; none where one is not as it was kept, or others share it.
    #[must_use]
    pub fn held(mut self) -> Option<Self> {
        if let Exchanges::Kept(kept) = &self.exchanges {
            let held = kept.all()?;
            Arc::get_mut(&mut self.tables)?.exchanges = Exchanges::Held(held);
        }
        Some(self)
    }

    /// The same for another seed.
    #[must_use]
    pub fn with_seed(&self, seed: &str) -> Self {
        Self { mint: self.mint.with_seed(seed), ..self.clone() }
    }

    /// Whether stand-ins are in the place of people.
    #[must_use]
    pub fn people(&self) -> bool {
        self.rules.ids().people
    }

    /// The same index, with the key by which a live request's people are known.
    #[must_use]
    pub fn with_stand_ins(self, stand_ins: Option<StandIns>) -> Self {
        Self { rules: self.rules.with_stand_ins(stand_ins), ..self }
    }

    /// How a request reads, where it is one that was read before but for its GUIDs.
    #[must_use]
    pub fn recall(&self, raw: &RawRequest<'_>) -> Option<Reading> {
        self.readings.recall(raw, &self.rules)
    }

    /// Keeps how a request reads in a session without texts that are ids wherever they stand, to recall it.
    pub fn keep(&self, raw: &RawRequest<'_>, request: &Taped<Request>, reading: &Reading) {
        if self.ids.lexicon().is_empty() {
            self.readings.keep(raw, request, reading, &self.rules);
        }
    }

    /// The rules for secrets, by which live requests go down the road too.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        self.rules.secrets()
    }

    /// The number of exchanges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.traits.len()
    }

    /// The number of exchanges whose time was not kept.
    #[must_use]
    pub fn without_times(&self) -> usize {
        self.traits.iter().filter(|traits| **traits & TIMED == 0).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.traits.is_empty()
    }

    /// The ids, and how each came into the recording.
    pub fn origins(&self) -> impl Iterator<Item = (Placeholder, Written<'_>, Origin)> {
        self.ids.iter().zip(self.minters.iter()).map(|((placeholder, value), minter)| {
            (placeholder, value, if minter == NO_EXCHANGE { Origin::Given } else { Origin::Minted })
        })
    }

    /// Pairs of exchanges, counted from 1, that ask the very same of ids which nothing asked about before: a run that
    /// uses neither of the recorded ids tells them apart by order only.
    #[must_use]
    pub fn told_apart_by_order(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for shape in 0..self.loose.len() {
            let groups: Vec<u32> = self.loose.groups(shape).collect();
            for pair in groups.windows(2) {
                let [one, other] = [pair[0], pair[1]].map(|group| self.loose.exchanges(group)[0]);
                let new =
                    |filled: u32, exchange| filled & LITERAL == 0 && self.first_asked.get(filled) == Some(exchange);
                let [a, b] = [pair[0], pair[1]].map(|group| self.loose.filling(shape, group));
                if a.iter().zip(b).all(|(a, b)| a == b || (new(*a, one) && new(*b, other))) {
                    pairs.push((one as usize + 1, other as usize + 1));
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }

    /// The recorded exchanges that a request might have meant: those of its route, or else of its path, or else any.
    pub(super) fn near(&self, address: Address) -> Vec<u32> {
        let found = self.routes.get(&address.route).or_else(|| self.paths.get(&address.names));
        let all = || (0..u32::try_from(self.len().min(COMPARED)).unwrap_or(u32::MAX)).collect();
        found.map_or_else(all, |found| found.iter().take(COMPARED).copied().collect())
    }

    /// Whether anything was recorded for the route of an address, and for its path whatever method, host and version.
    pub(super) fn knows(&self, address: Address) -> (bool, bool) {
        (self.routes.contains_key(&address.route), self.paths.contains_key(&address.names))
    }

    /// The request of an exchange as it was recorded.
    pub(super) fn recorded_request(&self, exchange: u32) -> Taped<Request> {
        let recorded = scribe::recorded_request(&self.exchange(exchange).request(), &self.ids, exchange as usize + 1)
            .expect("every entry was read when the index was made");
        scribe::tape_request(recorded, self.rules.secrets())
    }
}
