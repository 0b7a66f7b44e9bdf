//! Finds numbers by hash: a table hardly larger than its numbers, and the same in every process.

/// What stands where there is no number.
const NONE: u32 = u32::MAX;

/// Numbers by the hash of what they stand for, in one array with open addressing. What is left of each place besides the
/// number has bits of the hash: so what a number stands for, which is somewhere else in memory, is hardly ever looked at
/// in vain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Finder {
    places: Vec<u32>,
    /// How many bits of a place are the number's.
    bits: u32,
    len: usize,
}

impl Finder {
    /// One with room for so many numbers: what grows step by step looks for them in a table that is nearly full.
    pub(super) fn expecting(numbers: usize) -> Self {
        Self::expecting_of(numbers, numbers)
    }

    /// The same for so many of all numbers below one.
    pub(super) fn expecting_of(numbers: usize, below: usize) -> Self {
        let bits = bits_for(u32::try_from(below).unwrap_or(u32::MAX));
        Self { places: vec![NONE; room(numbers)], bits, len: 0 }
    }

    /// The number of this hash that `is` the one.
    pub(super) fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        if self.places.is_empty() {
            return None;
        }
        let first = place(hash, self.places.len());
        let (mark, mask) = (mark(hash, self.bits), (1u32 << self.bits) - 1);
        let places = self.places[first..].iter().chain(&self.places[..first]);
        let marked = places.take_while(|place| **place != NONE).filter(|place| **place & !mask == mark);
        marked.map(|place| place & mask).find(|number| is(*number))
    }

    /// Adds a number that is not there, and less than 2^31 - 1; `hash` tells those of the others too.
    pub(super) fn add(&mut self, number: u32, hash: impl Fn(u32) -> u64) {
        let bits = self.bits.max(bits_for(number));
        if (self.len + 1) * 5 > self.places.len() * 4 {
            self.rebuild((self.places.len() + self.places.len() / 2).max(8), bits, &hash);
        } else if bits > self.bits {
            self.rebuild(self.places.len(), bits, &hash);
        }
        put(&mut self.places, bits, number, hash(number));
        self.len += 1;
    }

    /// Takes no more room than is good for finding.
    pub(super) fn shrink(&mut self, hash: impl Fn(u32) -> u64) {
        let bits = self.numbers().max().map_or(0, bits_for);
        self.rebuild(room(self.len), bits, &hash);
    }

    fn numbers(&self) -> impl Iterator<Item = u32> + Clone {
        let mask = (1u32 << self.bits) - 1;
        self.places.iter().filter(|place| **place != NONE).map(move |place| place & mask)
    }

    fn rebuild(&mut self, size: usize, bits: u32, hash: &impl Fn(u32) -> u64) {
        if (size, bits) == (self.places.len(), self.bits) {
            return;
        }
        let mut places = vec![NONE; size];
        // Where there are all up to the last, their hashes are had sooner in their order.
        if self.numbers().all(|number| (number as usize) < self.len) {
            (0..).take(self.len).for_each(|number| put(&mut places, bits, number, hash(number)));
        } else {
            self.numbers().for_each(|number| put(&mut places, bits, number, hash(number)));
        }
        (self.places, self.bits) = (places, bits);
    }

    /// What there is to be written down: how many bits are a number's, and the places.
    pub(super) fn parts(&self) -> (u32, &[u32]) {
        (self.bits, &self.places)
    }

    /// The table whose parts were written down; one without a free place is none, as a search in it would not end soon.
    pub(super) fn of(bits: u32, places: Vec<u32>) -> Option<Self> {
        let len = places.iter().filter(|place| **place != NONE).count();
        let is_one = bits < u32::BITS && (len < places.len() || places.is_empty());
        is_one.then_some(Self { places, bits, len })
    }
}

/// How many bits it takes to have a number, and one more that none has, so that no place with a number is like one without.
fn bits_for(most: u32) -> u32 {
    (u32::BITS - most.saturating_add(1).leading_zeros()).min(u32::BITS - 1)
}

/// What of a hash stands in a place beside the number.
fn mark(hash: u64, bits: u32) -> u32 {
    u32::try_from(hash & u64::from(u32::MAX)).expect("masked") << bits
}

/// How many places are good for so many numbers.
fn room(numbers: usize) -> usize {
    if numbers == 0 { 0 } else { numbers + numbers / 4 + 1 }
}

fn put(places: &mut [u32], bits: u32, number: u32, hash: u64) {
    let mut at = place(hash, places.len());
    while places[at] != NONE {
        at = if at + 1 == places.len() { 0 } else { at + 1 };
    }
    places[at] = mark(hash, bits) | number;
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
        let (bits, places) = finder.parts();
        assert_eq!(Finder::of(bits, places.to_vec()).as_ref(), Some(&finder));
        assert_eq!(Finder::of(2, vec![1, 2]), None);
        for room in [0, 10_000, 30_000] {
            let mut other = Finder::expecting(room);
            (0..10_000).for_each(|number| other.add(number, hash));
            other.shrink(hash);
            assert_eq!(other, finder, "it is the same however it grew");
        }
    }

    #[test]
    fn large_numbers_are_found_among_few_and_hardly_any_is_looked_at_in_vain() {
        let hash = |number: u32| mixed(u128::from(number));
        let numbers = [0, 1, 2, 6, 7, 1 << 20, (1 << 31) - 2];
        let mut finder = Finder::default();
        for (count, added) in numbers.iter().enumerate() {
            finder.add(*added, hash);
            for number in numbers {
                let is_there = numbers[..=count].contains(&number);
                assert_eq!(finder.find(hash(number), |found| found == number), is_there.then_some(number));
            }
        }
        let mut finder = Finder::expecting(10_000);
        (0..10_000).for_each(|number| finder.add(number, hash));
        let looked = std::cell::Cell::new(0);
        for number in 10_000..20_000 {
            assert_eq!(
                finder.find(hash(number), |_| {
                    looked.set(looked.get() + 1);
                    false
                }),
                None
            );
        }
        assert!(looked.get() < 10, "{looked:?}");
    }

    #[test]
    fn numbers_in_a_row_do_not_crowd() {
        let mut finder = Finder::default();
        // As GUIDs that are counted up, in either half.
        let hash = |number: u32| mixed(u128::from(number / 2) << (64 * (number % 2)));
        (2..50_000).for_each(|number| finder.add(number, hash));
        let run = finder.places.split(|place| *place == NONE).map(<[u32]>::len).max();
        assert!(run.is_some_and(|run| run < 500), "{run:?}");
    }
}
