//! Finds numbers by hash: a table hardly larger than its numbers, and the same in every process.

/// What stands where there is no number.
const NONE: u32 = u32::MAX;

/// Numbers by the hash of what they stand for, in one array with open addressing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finder {
    pub(super) places: Vec<u32>,
    len: usize,
}

impl Finder {
    /// One with room for so many numbers: what grows step by step looks for them in a table that is nearly full.
    pub(super) fn expecting(numbers: usize) -> Self {
        Self { places: vec![NONE; room(numbers)], len: 0 }
    }

    /// The number of this hash that `is` the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let first = place(hash, self.places.len());
        let places = self.places[first..].iter().chain(&self.places[..first]);
        places.copied().take_while(|number| *number != NONE).find(|number| is(*number))
    }

    /// Adds a number that is not there; `hash` tells those of the others too.
    pub(super) fn add(&mut self, number: u32, hash: impl Fn(u32) -> u64) {
        if (self.len + 1) * 5 > self.places.len() * 4 {
            self.rebuild((self.places.len() + self.places.len() / 2).max(8), &hash);
        }
        put(&mut self.places, number, hash(number));
        self.len += 1;
    }

    /// Takes no more room than is good for finding.
    pub(super) fn shrink(&mut self, hash: impl Fn(u32) -> u64) {
        self.rebuild(room(self.len), &hash);
    }

    fn rebuild(&mut self, size: usize, hash: &impl Fn(u32) -> u64) {
        if size == self.places.len() {
            return;
        }
        let mut places = vec![NONE; size];
        let numbers = self.places.iter().copied().filter(|number| *number != NONE);
        // Where there are all up to the last, their hashes are had sooner in their order.
        if numbers.clone().all(|number| (number as usize) < self.len) {
            (0..).take(self.len).for_each(|number| put(&mut places, number, hash(number)));
        } else {
            numbers.for_each(|number| put(&mut places, number, hash(number)));
        }
        self.places = places;
    }

    /// The table whose places were written down; one without a free place is none, as a search in it would not end soon.
    pub(super) fn of(places: Vec<u32>) -> Option<Self> {
        let len = places.iter().filter(|number| **number != NONE).count();
        (len < places.len() || places.is_empty()).then_some(Self { places, len })
    }
}

/// How many places are good for so many numbers.
fn room(numbers: usize) -> usize {
    if numbers == 0 { 0 } else { numbers + numbers / 4 + 1 }
}

fn put(places: &mut [u32], number: u32, hash: u64) {
    let mut at = place(hash, places.len());
    while places[at] != NONE {
        at = if at + 1 == places.len() { 0 } else { at + 1 };
    }
    places[at] = number;
}

/// The place of a hash among so many, whatever their number (Lemire, "Fast random integer generation in an interval").
fn place(hash: u64, size: usize) -> usize {
    usize::try_from((u128::from(hash) * size as u128) >> 64).expect("less than the size")
}

/// Mixes the bits of what need not be random yet.
pub(super) fn mixed(bits: u128) -> u64 {
    let [low, high] = [bits, bits >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).expect("masked"));
    let folded = u128::from(low ^ 0x9e37_79b9_7f4a_7c15) * u128::from(high ^ 0xbf58_476d_1ce4_e5b9 | 1);
    let [low, high] = [folded, folded >> 64].map(|half| u64::try_from(half & u128::from(u64::MAX)).expect("masked"));
    (low ^ high).wrapping_mul(0x94d0_49bb_1331_11eb).rotate_left(32).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_found_and_nothing_else() {
        let hash = |number: u32| mixed(u128::from(number));
        let mut finder = Finder::default();
        assert_eq!(finder.find(1, |_| true), None);
        (0..10_000).for_each(|number| finder.add(number, hash));
        finder.shrink(hash);
        assert!(finder.places.len() <= 12_501);
        for number in 0..20_000 {
            assert_eq!(finder.find(hash(number), |found| found == number), (number < 10_000).then_some(number));
        }
        assert_eq!(Finder::of(finder.places.clone()).as_ref(), Some(&finder));
        assert_eq!(Finder::of(vec![1, 2]), None);
        for room in [0, 10_000, 30_000] {
            let mut other = Finder::expecting(room);
            (0..10_000).for_each(|number| other.add(number, hash));
            other.shrink(hash);
            assert_eq!(other, finder, "it is the same however it grew");
        }
    }

    #[test]
    fn numbers_in_a_row_do_not_crowd() {
        let mut finder = Finder::default();
        // As GUIDs that are counted up, in either half.
        let hash = |number: u32| mixed(u128::from(number / 2) << (64 * (number % 2)));
        (2..50_000).for_each(|number| finder.add(number, hash));
        let run = finder.places.split(|number| *number == NONE).map(<[u32]>::len).max();
        assert!(run.is_some_and(|run| run < 500), "{run:?}");
    }
}
