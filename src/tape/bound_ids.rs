//! The GUIDs that a session has bound: a table that grows with them one bucket at a time.

use super::guid::Guid;
use super::ids::Row;
use memchr::memchr_iter;
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// How many ids a bucket has on the average.
const EACH: usize = 96;
/// For how many more tags a full bucket makes room.
const MORE: usize = 16;
/// How many bytes a page has: as many as an allocation of 256 bytes leaves.
const PAGE: usize = 248;
/// How many bytes of an entry are the rest of a mark, and how many the first play.
const REST: usize = size_of::<u64>();
const FIRST: usize = 5;

/// What is known of a live id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bound {
    /// The placeholder that it stands for.
    pub(super) row: Row,
    /// The play by which it came to that, if it is kept here: nearly every play with a new id is the last of its kind.
    pub(super) first: First,
}

/// A request and an exchange as one number. By chance two of a million requests share one in one of ten million runs;
/// one of them is then taken for a repeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Play(pub(super) [u32; 2]);

/// As much of a play as is kept with an id. It is compared with those plays alone that are of requests with that id: of a
/// million such requests one is taken for a repeat in one of a million runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct First([u8; FIRST]);

impl First {
    /// No play, as none is so by chance.
    pub(super) const NONE: Self = Self([0; FIRST]);

    pub(super) fn of(Play([low, high]): Play) -> Self {
        let [a, b, c, d] = low.to_le_bytes();
        let [e, ..] = high.to_le_bytes();
        Self([a, b, c, d, e])
    }
}

/// What is known of each GUID, in some 18 bytes (linear hashing, as Litwin described it in 1980): no table is ever copied
/// to a larger one, which would need room for both.
///
/// A GUID is known by 72 bits. Whatever the GUIDs are, two of a million have the same ones in one of four thousand million
/// runs: the bits are the highest of a product with an odd number that is drawn by chance, and of all such numbers at most
/// 2 of 2^72 give two GUIDs the same ones (Dietzfelbinger and others, "A Reliable Randomized Algorithm for the Closest-Pair
/// Problem", 1997).
#[derive(Debug, Default)]
pub(super) struct BoundIds {
    buckets: Vec<Bucket>,
    len: usize,
    /// By chance, so that nobody can tell which ids share a bucket or a mark.
    factors: [u128; 2],
    /// The id that came last, its bucket and its place there: it is what the next question is about.
    newest: Option<(Guid, usize, usize)>,
}

/// What a GUID is known by: in its bucket one of 256 tags, and a rest that tells the bucket too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    tag: u8,
    rest: u64,
}

/// Ids in the order in which they came: a tag of each in a row, where it is soon found, and what else there is in pages of
/// one size. As all pages are alike, none leaves a hole that is too small for another.
#[derive(Debug, Default)]
struct Bucket {
    tags: Vec<u8>,
    #[expect(clippy::vec_box, reason = "a page stays where it is, and what grows is the list of them")]
    pages: Vec<Box<[u8; PAGE]>>,
    /// How many bytes a row takes.
    wide: usize,
}

impl BoundIds {
    /// What is known of a GUID.
    pub(super) fn get(&self, guid: Guid) -> Option<Bound> {
        let mark = self.mark(guid);
        let bucket = self.buckets.get(self.place(mark.rest))?;
        bucket.find(mark).map(|at| bucket.bound(at))
    }

    /// Settles what a GUID stands for, and tells whether it is new.
    pub(super) fn put(&mut self, guid: Guid, row: Row) -> bool {
        if self.buckets.is_empty() {
            let chance = RandomState::new();
            self.factors = [0, 2].map(|one| {
                let [high, low] = [one, one + 1].map(|half| u128::from(chance.hash_one(half)));
                high << 64 | low | 1
            });
            self.buckets.push(Bucket::default());
        }
        let mark = self.mark(guid);
        let place = self.place(mark.rest);
        let bucket = &mut self.buckets[place];
        if let Some(at) = bucket.find(mark) {
            bucket.set_row(at, row);
            return false;
        }
        self.newest = Some((guid, place, bucket.tags.len()));
        bucket.push(mark, row);
        self.len += 1;
        if self.len > EACH * self.buckets.len() {
            self.split();
        }
        true
    }

    /// Keeps the first play with a GUID, and tells whether that is there.
    pub(super) fn set_first(&mut self, guid: Guid, first: First) -> bool {
        let newest = self.newest.filter(|(newest, ..)| *newest == guid);
        let found = newest.map(|(_, place, at)| (place, at)).or_else(|| {
            let mark = self.mark(guid);
            let place = self.place(mark.rest);
            self.buckets.get(place)?.find(mark).map(|at| (place, at))
        });
        let Some((place, at)) = found else { return false };
        self.buckets[place].entry_mut(at)[REST..REST + FIRST].copy_from_slice(&first.0);
        true
    }

    /// Makes one bucket more, for some of the ids of the one whose turn it is.
    fn split(&mut self) {
        let new = self.buckets.len();
        self.buckets.push(Bucket::default());
        let whole = std::mem::take(&mut self.buckets[below(new)]);
        for half in [below(new), new] {
            let tags = Vec::with_capacity(whole.tags.len() / 2 + MORE);
            self.buckets[half] = Bucket { tags, pages: Vec::new(), wide: whole.wide };
        }
        for (at, tag) in whole.tags.iter().enumerate() {
            let entry = whole.entry(at);
            let place = self.place(rest(entry));
            self.buckets[place].push_entry(*tag).copy_from_slice(entry);
        }
        self.newest = None;
    }

    fn mark(&self, guid: Guid) -> Mark {
        let [one, other] = self.factors;
        let mixed = guid.0.wrapping_mul(one);
        let mixed = (mixed ^ mixed >> 64).wrapping_mul(other);
        let [tag, rest @ ..] = mixed.to_be_bytes();
        Mark { tag, rest: u64::from_be_bytes(*rest.first_chunk().expect("15 bytes are left")) }
    }

    fn place(&self, rest: u64) -> usize {
        let hash = usize::try_from(rest >> 32).expect("32 bits fit");
        let most = self.buckets.len().next_power_of_two();
        let place = hash & (most - 1);
        if place < self.buckets.len() { place } else { below(place) }
    }
}

/// The bucket from which one was, or will be, split: its number without the highest bit.
fn below(place: usize) -> usize {
    place & !(1 << place.checked_ilog2().unwrap_or_default())
}

/// The rest of the mark that an entry begins with.
fn rest(entry: &[u8]) -> u64 {
    u64::from_le_bytes(*entry.first_chunk().expect("an entry begins with it"))
}

impl Bucket {
    fn find(&self, mark: Mark) -> Option<usize> {
        memchr_iter(mark.tag, &self.tags).find(|at| rest(self.entry(*at)) == mark.rest)
    }

    fn bound(&self, at: usize) -> Bound {
        let (first, row) = self.entry(at)[REST..].split_first_chunk().expect("a play comes after the mark");
        let row = row.iter().rev().fold(0, |row, byte| row << 8 | Row::from(*byte));
        Bound { row, first: First(*first) }
    }

    /// Adds an id without a play.
    fn push(&mut self, mark: Mark, row: Row) {
        let at = self.tags.len();
        self.push_entry(mark.tag)[..REST].copy_from_slice(&mark.rest.to_le_bytes());
        self.set_row(at, row);
    }

    /// Makes an entry, of zeros.
    fn push_entry(&mut self, tag: u8) -> &mut [u8] {
        let at = self.tags.len();
        if at == self.tags.capacity() {
            self.tags.reserve_exact(MORE);
        }
        self.tags.push(tag);
        let (page, range) = self.range(at);
        if page == self.pages.len() {
            self.pages.push(Box::new([0; PAGE]));
        }
        &mut self.pages[page][range]
    }

    fn set_row(&mut self, at: usize, row: Row) {
        let wide = size_of::<Row>() - row.leading_zeros() as usize / 8;
        if wide > self.wide {
            self.widen(wide);
        }
        let to = self.entry_mut(at)[REST + FIRST..].iter_mut();
        to.zip(row.to_le_bytes()).for_each(|(to, byte)| *to = byte);
    }

    /// Makes room for longer rows.
    fn widen(&mut self, wide: usize) {
        let narrow = std::mem::replace(self, Self { wide, ..Self::default() });
        for (at, tag) in narrow.tags.iter().enumerate() {
            let entry = narrow.entry(at);
            self.push_entry(*tag)[..entry.len()].copy_from_slice(entry);
        }
    }

    /// The page of an entry, and where it begins and ends there.
    fn range(&self, at: usize) -> (usize, Range<usize>) {
        let size = REST + FIRST + self.wide;
        let from = at % (PAGE / size) * size;
        (at / (PAGE / size), from..from + size)
    }

    fn entry(&self, at: usize) -> &[u8] {
        let (page, range) = self.range(at);
        &self.pages[page][range]
    }

    fn entry_mut(&mut self, at: usize) -> &mut [u8] {
        let (page, range) = self.range(at);
        &mut self.pages[page][range]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_tells_what_a_map_tells(
            ids in prop::collection::vec((0..2000u32, 0..33u32, any::<bool>()), 0..1500),
            high: bool,
        ) {
            // Ids that differ in a few bits alone, as people write them.
            let guid = |id: u32| Guid(u128::from(id) << if high { 96 } else { 0 });
            let (mut table, mut map) = (BoundIds::default(), BTreeMap::new());
            for (number, (id, bits, played)) in (0..).zip(ids) {
                let row = u32::try_from(u64::from(u32::MAX) >> bits).unwrap();
                prop_assert_eq!(table.put(guid(id), row), !map.contains_key(&id));
                let known = map.entry(id).or_insert(Bound { row, first: First::NONE });
                known.row = row;
                if played {
                    known.first = First::of(Play([number, u32::MAX - number]));
                    prop_assert!(table.set_first(guid(id), known.first));
                }
            }
            prop_assert_eq!(table.len, map.len());
            for id in 0..2000 {
                prop_assert_eq!(table.get(guid(id)), map.get(&id).copied());
            }
            prop_assert!(!table.set_first(guid(2000), First::NONE));
        }
    }

    #[test]
    fn no_bucket_is_much_longer_than_others_and_an_id_takes_few_bytes() {
        let mut table = BoundIds::default();
        for id in 0..100_000 {
            assert!(table.put(Guid(id), 255));
        }
        assert_eq!(table.buckets.len(), 100_000_usize.div_ceil(EACH));
        let longest = table.buckets.iter().map(|bucket| bucket.tags.len()).max();
        // One that is still to be split has up to twice the average: 192, with a deviation of 14.
        assert!(longest < Some(300), "{longest:?}");
        // A page is an allocation of 256 bytes, and one of tags has up to 24 bytes more than are asked for.
        let bytes = |bucket: &Bucket| {
            let table = size_of::<Bucket>() + bucket.pages.capacity() * size_of::<Box<[u8; PAGE]>>() + 16;
            table + bucket.pages.len() * 256 + bucket.tags.capacity() + 24
        };
        let each = table.buckets.iter().map(bytes).sum::<usize>() / 100_000;
        assert!(each < 20, "{each}");
    }

    #[test]
    fn marks_differ_in_all_their_bits() {
        let table = BoundIds { factors: [u128::MAX / 3, u128::MAX / 5], ..BoundIds::default() };
        let marks: Vec<Mark> = (0..1000).map(|id| table.mark(Guid(id))).collect();
        let ones = |bits: &dyn Fn(&Mark) -> u64| marks.iter().filter(|mark| bits(mark) & 1 == 1).count();
        for bit in 0..72 {
            let count =
                if bit < 64 { ones(&|mark| mark.rest >> bit) } else { ones(&|mark| u64::from(mark.tag) >> (bit - 64)) };
            assert!((400..600).contains(&count), "bit {bit}: {count}");
        }
    }
}
