//! Exchanges by the shapes of their requests: the groups of each shape, in recorded order, in a few arrays.

use super::column::Column;
use super::finder::{Finder, mixed};
use super::matching::Key;
use std::ops::Range;
use std::sync::Arc;

/// Marks a group of more than one exchange: its entry tells where they are listed.
pub(super) const MANY: u32 = 1 << 31;

/// The shapes of a cassette's requests. Exact and loose ones may share what is the same of both.
#[derive(Clone, Debug, Default)]
pub(super) struct Shapes {
    pub(super) keys: Arc<Keys>,
    pub(super) groups: Arc<Groups>,
}

/// The keys of shapes, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Keys {
    pub(super) keys: Vec<Key>,
    pub(super) finder: Finder,
}

/// The groups of shapes. A group is the exchanges whose requests are equal, ids included, in recorded order; it is told by
/// the numbers that fill the blanks of its shape.
#[derive(Debug, Default)]
pub(super) struct Groups {
    /// Where the groups of each shape begin, and their fillings; one more tells where the last ends.
    pub(super) groups_from: Column,
    pub(super) fillings_from: Column,
    pub(super) fillings: Vec<u32>,
    /// The exchange of each group, or where its exchanges are listed.
    pub(super) exchanges: Vec<u32>,
    /// Lists of exchanges, each with its length before it.
    pub(super) lists: Vec<u32>,
    /// The groups of shapes that have several.
    pub(super) by_filling: Finder,
}

impl Keys {
    /// The number of a key.
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        self.finder.find(hash(key), |shape| self.keys[shape as usize] == key)
    }
}

impl Shapes {
    /// The number of a shape.
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        self.keys.find(key)
    }

    /// The number of shapes.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.keys.keys.len()).expect("there are no more shapes than exchanges")
    }

    /// The groups of a shape, in recorded order.
    pub(super) fn groups(&self, shape: u32) -> Range<u32> {
        self.groups.groups(shape)
    }

    /// What fills the blanks of a group of a shape.
    pub(super) fn filling(&self, shape: u32, group: u32) -> &[u32] {
        self.groups.filling(shape, group)
    }

    /// The group of a shape with this filling.
    pub(super) fn group(&self, shape: u32, filling: &[u32]) -> Option<u32> {
        let groups = self.groups(shape);
        if groups.len() == 1 {
            return (self.filling(shape, groups.start) == filling).then_some(groups.start);
        }
        let same = |group: u32| groups.contains(&group) && self.filling(shape, group) == filling;
        self.groups.by_filling.find(hash_filling(shape, filling), same)
    }

    /// The exchanges of a group, in recorded order; there is at least one.
    pub(super) fn exchanges(&self, group: u32) -> &[u32] {
        let Groups { exchanges, lists, .. } = &*self.groups;
        let entry = &exchanges[group as usize];
        if entry & MANY == 0 {
            return std::slice::from_ref(entry);
        }
        let at = (entry ^ MANY) as usize;
        &lists[at + 1..][..lists[at] as usize]
    }
}

impl Groups {
    /// The groups of a shape, in recorded order.
    pub(super) fn groups(&self, shape: u32) -> Range<u32> {
        self.groups_from.at(shape)..self.groups_from.at(shape + 1)
    }

    /// What fills the blanks of a group of a shape.
    pub(super) fn filling(&self, shape: u32, group: u32) -> &[u32] {
        let (groups, at) = (self.groups(shape), self.fillings_from.at(shape));
        let width = (self.fillings_from.at(shape + 1) - at) / (groups.end - groups.start);
        let from = (at + (group - groups.start) * width) as usize;
        &self.fillings[from..from + width as usize]
    }
}

/// The number of one among so many.
pub(super) fn number(count: usize) -> u32 {
    u32::try_from(count).ok().filter(|count| *count < MANY).expect("a cassette has fewer than 2^31 exchanges and ids")
}

/// The hash by which a key is found.
pub(super) fn hash(key: Key) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = key.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

/// The hash by which a group of a shape is found.
pub(super) fn hash_filling(shape: u32, filling: &[u32]) -> u64 {
    filling.iter().fold(mixed(u128::from(shape)), |hash, filled| mixed(u128::from(hash) << 64 | u128::from(*filled)))
}
