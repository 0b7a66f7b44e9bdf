//! Which recorded exchange answers a request: by its shape, by the ids that are known, and then by recorded order.

use super::bindings::Bindings;
use super::id::Id;
use super::ids::Row;
use super::index::{Group, Groups, Index, Slot};
use super::matching::{Key, Reading, Shape, Token};
use std::collections::HashMap;

/// The exchange that answers, and how its ids stand in the live request.
#[derive(Debug)]
pub(super) struct Choice {
    pub(super) exchange: u32,
    pub(super) bound: Vec<(Row, Token)>,
    /// Whether a place had to be ignored.
    pub(super) ignored: bool,
}

impl Group {
    /// Whether any of it was played: they are played in order, so the first tells for all.
    fn is_begun(&self, bindings: &Bindings) -> bool {
        bindings.played(self.exchanges[0]) > 0
    }
}

impl Index {
    /// Finds the exchange that answers, preferring one for which no place is ignored.
    pub(super) fn choose(&self, reading: &Reading, bindings: &mut Bindings) -> Option<Choice> {
        let exact = self.choose_in(&self.exact, reading.exact(), reading, bindings, false);
        exact.or_else(|| self.choose_in(&self.loose, reading.loose(), reading, bindings, true))
    }

    fn choose_in(
        &self,
        shapes: &HashMap<Key, Groups>,
        shape: Shape<'_>,
        reading: &Reading,
        bindings: &mut Bindings,
        ignored: bool,
    ) -> Option<Choice> {
        let groups = shapes.get(&shape.key)?;
        let group = self.settled(groups, shape, bindings).or_else(|| self.nearest(groups, shape, bindings))?;
        let request = reading.very_request();
        let unplayed = group.exchanges.iter().find(|&&exchange| bindings.plays(request, exchange) == 0);
        let exchange = *unplayed.or(group.exchanges.last())?;
        let bound = group.slots.iter().zip(shape.tokens).filter_map(|(slot, token)| match slot {
            Slot::Id(row) => Some((*row, token.clone())),
            Slot::Literal(_) => None,
        });
        Some(Choice { exchange, bound: bound.collect(), ignored })
    }

    /// The group for the ids as they are known so far, if there is one: found without a search.
    fn settled<'a>(&self, groups: &'a Groups, shape: Shape<'_>, bindings: &Bindings) -> Option<&'a Group> {
        let slot = |token: &Token| {
            let row = self.settled_row(&token.id, bindings).or_else(|| self.recorded_row(&token.id));
            row.map_or_else(|| Slot::Literal(token.id.clone()), Slot::Id)
        };
        let slots: Vec<Slot> = shape.tokens.iter().map(slot).collect();
        groups.by_slots.get(&slots).map(|&at| &groups.groups[at])
    }

    /// The group that fits with the fewest new bindings; of equals one not yet played, then the first recorded.
    fn nearest<'a>(&self, groups: &'a Groups, shape: Shape<'_>, bindings: &mut Bindings) -> Option<&'a Group> {
        let groups = &groups.groups;
        let mut begin = *bindings.begin(shape.key);
        while groups.get(begin).is_some_and(|group| group.is_begun(bindings)) {
            begin += 1;
        }
        *bindings.begin(shape.key) = begin;
        let fresh = self.best(groups[begin..].iter().filter(|group| !group.is_begun(bindings)), shape, bindings);
        if fresh.is_some_and(|(new, _)| new <= 1) {
            return fresh.map(|(_, group)| group);
        }
        let worn = self.best(groups.iter().filter(|group| group.is_begun(bindings)), shape, bindings);
        match (fresh, worn) {
            (Some((new, fresh)), Some((least, _))) if new <= least => Some(fresh),
            (fresh, worn) => worn.or(fresh).map(|(_, group)| group),
        }
    }

    /// The first group that fits with the fewest new bindings. One is as few as there can be, since a group that needs
    /// none was looked up before: so the search seldom goes far.
    fn best<'a>(
        &self,
        groups: impl Iterator<Item = &'a Group>,
        shape: Shape<'_>,
        bindings: &Bindings,
    ) -> Option<(usize, &'a Group)> {
        let mut best: Option<(usize, &Group)> = None;
        for group in groups {
            let Some(new) = self.fit(&group.slots, shape.tokens, bindings) else { continue };
            if best.is_none_or(|(least, _)| new < least) {
                best = Some((new, group));
            }
            if new <= 1 {
                break;
            }
        }
        best
    }

    /// The number of new bindings by which live ids fill the slots, or `None` when they cannot.
    fn fit(&self, slots: &[Slot], tokens: &[Token], bindings: &Bindings) -> Option<usize> {
        let mut new = 0;
        for (slot, token) in slots.iter().zip(tokens) {
            new += usize::from(self.fills(slot, &token.id, self.settled_row(&token.id, bindings))?);
        }
        Some(new)
    }

    /// Whether a live id, which stands for a row or for none yet, can fill a slot, and if so whether that binds it anew.
    pub(super) fn fills(&self, slot: &Slot, live: &Id, settled: Option<Row>) -> Option<bool> {
        match slot {
            Slot::Literal(id) => (id == live).then_some(false),
            Slot::Id(row) => match settled {
                Some(settled) => (settled == *row).then_some(false),
                None if self.recorded_row(live) == Some(*row) => Some(false),
                None if self.is_foreign(*row, live) => None,
                None => Some(true),
            },
        }
    }

    /// The row whose recorded value a live id is, or whose person.
    pub(super) fn recorded_row(&self, live: &Id) -> Option<Row> {
        self.ids.find(live).or_else(|| self.ids.find(&self.rules.stand_in(live)?))
    }

    /// The row that a live id stands for beyond doubt: it was bound, or sealed by this deck's mint.
    pub(super) fn settled_row(&self, live: &Id, bindings: &Bindings) -> Option<Row> {
        bindings.row(live).or_else(|| self.unseal(live))
    }

    /// The row that a live id was sealed for.
    pub(super) fn unseal(&self, live: &Id) -> Option<Row> {
        let Id::Guid(guid) = live else { return None };
        self.mint.unseal(*guid).filter(|&row| (row as usize) < self.ids.len())
    }

    /// Whether an id was sealed by another mint: another seed, or another cassette.
    pub(super) fn is_foreign(&self, row: Row, live: &Id) -> bool {
        self.minters[row as usize].is_some() && matches!(live, Id::Guid(guid) if guid.is_version_8())
    }
}
