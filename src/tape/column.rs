//! A column of numbers that mostly go up as evenly as their places: block by block, as what each is off a line.

/// How many numbers a block has.
const BLOCK: u32 = 64;

/// Numbers by their places. A block that goes up evenly takes 16 bytes, and any other one, two or four bytes more for each
/// number, as far as the one is that is off most.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) lines: Vec<Line>,
    /// What the numbers of some blocks are above their line.
    pub(super) above: Vec<u8>,
    /// The numbers behind the last whole block.
    pub(super) rest: Vec<u32>,
}

/// The line of a block: no number of it is below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line {
    first: u32,
    step: u32,
    /// How many bytes each is above it, and before it there are so many for each number of a block.
    width: u32,
    from: u32,
}

impl Column {
    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.lines.len() * BLOCK as usize + self.rest.len()
    }

    /// The number at a place.
    pub(super) fn at(&self, place: u32) -> u32 {
        match self.lines.get((place / BLOCK) as usize) {
            Some(line) => line.at(place % BLOCK, &self.above),
            None => self.rest[place as usize - self.lines.len() * BLOCK as usize],
        }
    }

    /// The number at a place, where there is one.
    pub(super) fn get(&self, place: u32) -> Option<u32> {
        ((place as usize) < self.len()).then(|| self.at(place))
    }

    /// All numbers.
    pub(super) fn iter(&self) -> impl Iterator<Item = u32> {
        (0..).take(self.len()).map(|place| self.at(place))
    }

    /// Adds a number.
    pub(super) fn push(&mut self, number: u32) {
        self.rest.push(number);
        if self.rest.len() == BLOCK as usize {
            self.close();
        }
    }

    /// Makes a block of the rest.
    fn close(&mut self) {
        let ends = [0, self.rest.len() - 1].map(|at| i64::from(self.rest[at]));
        let mut step = (ends[1] - ends[0]) / i64::from(BLOCK - 1);
        let off = |step: i64| (0..).zip(&self.rest).map(move |(place, number)| i64::from(*number) - step * place);
        let mut first = off(step).min().unwrap_or_default();
        let most = off(step).map(|off| off - first).max().unwrap_or_default();
        let width = match most {
            0 => 0,
            1..=0xff => 1,
            0x100..=0xffff => 2,
            _ => {
                (first, step) = (0, 0);
                4
            }
        };
        let from = u32::try_from(self.above.len() / BLOCK as usize).expect("there are fewer than 2^32 numbers");
        self.lines.push(Line { first: low(first), step: low(step), width, from });
        let above = off(step).map(|off| low(off - first).to_le_bytes());
        above.for_each(|bytes| self.above.extend_from_slice(&bytes[..width as usize]));
        self.rest.clear();
    }

    /// Adds no more, and takes no more room than is needed.
    pub(super) fn shrink(&mut self) {
        self.lines.shrink_to_fit();
        self.above.shrink_to_fit();
        self.rest.shrink_to_fit();
    }
}

impl FromIterator<u32> for Column {
    fn from_iter<I: IntoIterator<Item = u32>>(numbers: I) -> Self {
        let mut column = Self::default();
        numbers.into_iter().for_each(|number| column.push(number));
        column.shrink();
        column
    }
}

impl Line {
    fn at(self, place: u32, above: &[u8]) -> u32 {
        let at = self.from as usize * BLOCK as usize + (place * self.width) as usize;
        let above = match self.width {
            0 => 0,
            1 => u32::from(above[at]),
            2 => u32::from(u16::from_le_bytes([above[at], above[at + 1]])),
            _ => u32::from_le_bytes([above[at], above[at + 1], above[at + 2], above[at + 3]]),
        };
        self.first.wrapping_add(self.step.wrapping_mul(place)).wrapping_add(above)
    }

    /// The bytes by which it is kept.
    pub(super) fn bytes(self) -> [u8; 16] {
        let numbers = [self.first, self.step, self.width, self.from].map(u32::to_le_bytes);
        let mut bytes = [0; 16];
        bytes.as_chunks_mut().0.iter_mut().zip(numbers).for_each(|(bytes, number)| *bytes = number);
        bytes
    }

    /// The line that was kept so.
    pub(super) fn of(bytes: [u8; 16]) -> Self {
        let number = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let [first, step, width, from] = [0, 4, 8, 12].map(number);
        Self { first, step, width, from }
    }
}

/// The low half of a number: reckoned with so, it comes out the same.
fn low(number: i64) -> u32 {
    u32::try_from(number & i64::from(u32::MAX)).expect("masked")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Numbers that go up by steps, here and there another.
    fn numbers() -> impl Strategy<Value = Vec<u32>> {
        let jump = prop_oneof![20 => Just(0u32), 2 => 0..500u32, 1 => 0..100_000u32, 1 => any::<u32>()];
        let step = prop_oneof![Just(0u32), Just(1), Just(u32::MAX), any::<u32>()];
        (any::<u32>(), step, prop::collection::vec(jump, 0..400)).prop_map(|(first, step, jumps)| {
            let number = |(place, jump): (u32, u32)| first.wrapping_add(step.wrapping_mul(place)).wrapping_add(jump);
            (0..).zip(jumps).map(number).collect()
        })
    }

    proptest! {
        #[test]
        fn it_has_what_was_added_also_when_it_is_kept(numbers in numbers()) {
            let mut column: Column = numbers.iter().copied().collect();
            prop_assert_eq!((column.len(), column.get(numbers.len().try_into().unwrap())), (numbers.len(), None));
            prop_assert!(column.iter().eq(numbers.iter().copied()));
            column.lines = column.lines.iter().map(|line| Line::of(line.bytes())).collect();
            prop_assert!((0..).zip(&numbers).all(|(place, number)| column.get(place) == Some(*number)));
        }
    }

    #[test]
    fn even_numbers_take_no_room_and_odd_ones_what_they_need() {
        let room = |number: fn(u32) -> u32| {
            let column: Column = (0..6400).map(number).collect();
            assert!(column.iter().eq((0..6400).map(number)));
            assert_eq!((column.lines.len(), column.rest.len()), (100, 0));
            column.above.len()
        };
        let room = [room(|_| u32::MAX), room(|n| 7 + 3 * n), room(|n| 9000 - n), room(|n| n - n % 5), room(|n| n * n)];
        assert_eq!(room, [0, 0, 0, 6400, 2 * 6400]);
        assert_eq!((0..64).map(|n| u32::MAX * (n % 2)).collect::<Column>().above.len(), 256);
    }
}
