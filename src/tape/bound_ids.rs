//! The GUIDs that a session has bound: a table that grows with them one bucket at a time.

use super::finder::mixed;
use super::guid::Guid;
use super::ids::Row;
use std::hash::{BuildHasher, RandomState};

/// How many ids a bucket has on the average.
const EACH: usize = 16;
/// For how many more ids a full bucket makes room.
const MORE: usize = 4;

/// What is known of a live id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The placeholder that it stands for.
    pub(super) row: Row,
    /// The play by which it came to that, if it is kept here: nearly every play with a new id is the last of its kind.
    pub(super) first: Play,
}

/// A request and an exchange as one number. By chance two of a million requests share one in one of ten million runs;
/// one of them is then taken for a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Play(pub(super) [u32; 2]);

/// No play, as none is so by chance.
pub(super) const NO_PLAY: Play = Play([0; 2]);

/// What is known of each GUID, in some 32 bytes (linear hashing, as Litwin described it in 1980): no table is ever copied
/// to a larger one, which would need room for both, and an id is found by one look at a short row of others.
#[derive(Debug, Default)]
pub(super) struct BoundIds {
    buckets: Vec<Vec<Entry>>,
    len: usize,
    /// By chance, so that nobody can tell which ids share a bucket.
    seed: u64,
}

/// A GUID in parts, so that it takes no room for its alignment.
#[derive(Clone, Copy, Debug)]
struct Entry {
    guid: [u32; 4],
    bound: Bound,
}

impl BoundIds {
    /// What is known of a GUID.
    pub(super) fn get(&self, guid: Guid) -> Option<Bound> {
        let bucket = self.buckets.get(self.place(guid))?;
        let parts = parts(guid);
        bucket.iter().find(|entry| entry.guid == parts).map(|entry| entry.bound)
    }

    /// The same, to be changed.
    pub(super) fn get_mut(&mut self, guid: Guid) -> Option<&mut Bound> {
        let place = self.place(guid);
        let parts = parts(guid);
        let bucket = self.buckets.get_mut(place)?;
        bucket.iter_mut().find(|entry| entry.guid == parts).map(|entry| &mut entry.bound)
    }

    /// Adds a GUID that is not there.
    pub(super) fn add(&mut self, guid: Guid, bound: Bound) {
        if self.buckets.is_empty() {
            self.seed = RandomState::new().hash_one(0);
            self.buckets.push(Vec::new());
        }
        let place = self.place(guid);
        put(&mut self.buckets[place], Entry { guid: parts(guid), bound });
        self.len += 1;
        if self.len > EACH * self.buckets.len() {
            self.split();
        }
    }

    /// Makes one bucket more, for some of the ids of the one whose turn it is.
    fn split(&mut self) {
        let new = self.buckets.len();
        self.buckets.push(Vec::new());
        let whole = std::mem::take(&mut self.buckets[below(new)]);
        let goes = |table: &Self, entry: &Entry| table.place(guid(entry.guid)) == new;
        let count = whole.iter().filter(|entry| goes(self, entry)).count();
        let [mut stays, mut gone] = [whole.len() - count, count].map(Vec::with_capacity);
        for entry in whole {
            if goes(self, &entry) { gone.push(entry) } else { stays.push(entry) }
        }
        self.buckets[below(new)] = stays;
        self.buckets[new] = gone;
    }

    fn place(&self, guid: Guid) -> usize {
        let hash = usize::try_from(mixed(guid.0 ^ u128::from(self.seed)) >> 32).expect("32 bits fit");
        let most = self.buckets.len().next_power_of_two();
        let place = hash & (most - 1);
        if place < self.buckets.len() { place } else { below(place) }
    }
}

/// The bucket from which one was, or will be, split: its number without the highest bit.
fn below(place: usize) -> usize {
    place & !(1 << place.checked_ilog2().unwrap_or_default())
}

fn put(bucket: &mut Vec<Entry>, entry: Entry) {
    if bucket.len() == bucket.capacity() {
        bucket.reserve_exact(MORE);
    }
    bucket.push(entry);
}

fn parts(guid: Guid) -> [u32; 4] {
    [0, 32, 64, 96].map(|by| u32::try_from(guid.0 >> by & u128::from(u32::MAX)).expect("32 bits fit"))
}

fn guid(parts: [u32; 4]) -> Guid {
    Guid(parts.iter().rev().fold(0, |bits, part| bits << 32 | u128::from(*part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn bound(row: Row) -> Bound {
        Bound { row, first: NO_PLAY }
    }

    proptest! {
        #[test]
        fn it_tells_what_a_map_tells(ids in prop::collection::vec(0..2000u32, 0..1500), high: bool) {
            // Ids that differ in a few bits alone, as people write them.
            let guid = |id: u32| Guid(u128::from(id) << if high { 96 } else { 0 });
            let (mut table, mut map) = (BoundIds::default(), BTreeMap::new());
            for (row, id) in (0..).zip(ids) {
                match table.get_mut(guid(id)) {
                    Some(known) => known.row = row,
                    None => table.add(guid(id), bound(row)),
                }
                map.insert(id, row);
            }
            prop_assert_eq!(table.len, map.len());
            for id in 0..2000 {
                prop_assert_eq!(table.get(guid(id)), map.get(&id).copied().map(bound));
            }
        }
    }

    #[test]
    fn no_bucket_is_much_longer_than_others() {
        let mut table = BoundIds::default();
        for id in 0..100_000 {
            table.add(Guid(id), bound(0));
        }
        assert_eq!(table.buckets.len(), 100_000 / EACH);
        let longest = table.buckets.iter().map(Vec::len).max();
        // One that is still to be split has twice the average: 32, with a deviation of 6.
        assert!(longest < Some(80), "{longest:?}");
        assert!(table.buckets.iter().all(|bucket| bucket.capacity() < bucket.len() + MORE));
    }
}
