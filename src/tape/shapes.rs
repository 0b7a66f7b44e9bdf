//! Exchanges by the shapes of their requests: the groups of each shape, in recorded order, in a few arrays.

use super::finder::{Finder, mixed};
use super::matching::Key;
use std::ops::Range;

/// Marks a group of more than one exchange: its entry tells where they are listed.
const MANY: u32 = 1 << 31;

/// The shapes of a cassette's requests. A group is the exchanges whose requests are equal, ids included, in recorded
/// order; it is told by the numbers that fill the blanks of its shape.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shapes {
    pub(super) keys: Vec<Key>,
    pub(super) by_key: Finder,
    /// Where the groups of each shape begin, and their fillings; one more tells where the last ends.
    pub(super) groups_from: Vec<u32>,
    pub(super) fillings_from: Vec<u32>,
    pub(super) fillings: Vec<u32>,
    /// The exchange of each group, or where its exchanges are listed.
    pub(super) exchanges: Vec<u32>,
    /// Lists of exchanges, each with its length before it.
    pub(super) lists: Vec<u32>,
    /// The groups of shapes that have several.
    pub(super) by_filling: Finder,
}

impl Shapes {
    /// The number of a shape.
    pub(super) fn find(&self, key: Key) -> Option<u32> {
        self.by_key.find(hash(key), |shape| self.keys[shape as usize] == key)
    }

    /// The number of shapes.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.keys.len()).expect("there are no more shapes than exchanges")
    }

    /// The groups of a shape, in recorded order.
    pub(super) fn groups(&self, shape: u32) -> Range<u32> {
        self.groups_from[shape as usize]..self.groups_from[shape as usize + 1]
    }

    /// What fills the blanks of a group of a shape.
    pub(super) fn filling(&self, shape: u32, group: u32) -> &[u32] {
        let (groups, at) = (self.groups(shape), self.fillings_from[shape as usize]);
        let width = (self.fillings_from[shape as usize + 1] - at) / (groups.end - groups.start);
        let from = (at + (group - groups.start) * width) as usize;
        &self.fillings[from..from + width as usize]
    }

    /// The group of a shape with this filling.
    pub(super) fn group(&self, shape: u32, filling: &[u32]) -> Option<u32> {
        let groups = self.groups(shape);
        if groups.len() == 1 {
            return (self.filling(shape, groups.start) == filling).then_some(groups.start);
        }
        let same = |group: u32| groups.contains(&group) && self.filling(shape, group) == filling;
        self.by_filling.find(hash_filling(shape, filling), same)
    }

    /// The exchanges of a group, in recorded order; there is at least one.
    pub(super) fn exchanges(&self, group: u32) -> &[u32] {
        let entry = &self.exchanges[group as usize];
        if entry & MANY == 0 {
            return std::slice::from_ref(entry);
        }
        let at = (entry ^ MANY) as usize;
        &self.lists[at + 1..][..self.lists[at] as usize]
    }
}

/// Shapes that are being gathered, exchange by exchange.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    keys: Vec<Key>,
    by_key: Finder,
    /// For each group its shape, and where its filling begins.
    shapes: Vec<u32>,
    from: Vec<u32>,
    fillings: Vec<u32>,
    /// For each shape its first group; any other is found by its filling.
    first: Vec<u32>,
    by_filling: Finder,
    /// For each exchange its group.
    groups: Vec<u32>,
}

impl Gathering {
    /// Makes room for so many exchanges, should all of them differ.
    pub(super) fn expect(&mut self, exchanges: usize) {
        self.keys.reserve(exchanges);
        self.by_key = Finder::expecting(exchanges);
        for numbers in [&mut self.shapes, &mut self.from, &mut self.fillings, &mut self.first, &mut self.groups] {
            numbers.reserve(exchanges);
        }
    }

    /// Adds the next exchange.
    pub(super) fn add(&mut self, key: Key, filling: &[u32]) {
        let Self { keys, by_key, first, shapes, .. } = self;
        let known = by_key.find(hash(key), |shape| keys[shape as usize] == key);
        let shape = known.unwrap_or_else(|| {
            keys.push(key);
            by_key.add(number(keys.len() - 1), |shape| hash(keys[shape as usize]));
            first.push(number(shapes.len()));
            number(keys.len() - 1)
        });
        let group = known.and_then(|shape| self.group(shape, filling)).unwrap_or_else(|| {
            self.begin(shape, filling);
            number(self.shapes.len() - 1)
        });
        self.groups.push(group);
    }

    /// The group of a shape with this filling.
    fn group(&self, shape: u32, filling: &[u32]) -> Option<u32> {
        let first = self.first[shape as usize];
        if self.filling_of(first as usize) == filling {
            return Some(first);
        }
        let same = |group: u32| self.shapes[group as usize] == shape && self.filling_of(group as usize) == filling;
        self.by_filling.find(hash_filling(shape, filling), same)
    }

    /// Begins a group of a shape.
    fn begin(&mut self, shape: u32, filling: &[u32]) {
        let group = number(self.shapes.len());
        self.shapes.push(shape);
        self.from.push(number(self.fillings.len()));
        self.fillings.extend(filling);
        if self.first[shape as usize] != group {
            let mut by_filling = std::mem::take(&mut self.by_filling);
            by_filling.add(group, |group| hash_filling(self.shapes[group as usize], self.filling_of(group as usize)));
            self.by_filling = by_filling;
        }
    }

    /// What fills the blanks of an exchange's request.
    pub(super) fn filling(&self, exchange: u32) -> &[u32] {
        self.filling_of(self.groups[exchange as usize] as usize)
    }

    fn filling_of(&self, group: usize) -> &[u32] {
        let end = self.from.get(group + 1).map_or(self.fillings.len(), |end| *end as usize);
        &self.fillings[self.from[group] as usize..end]
    }

    /// The shapes, when the last exchange was added.
    pub(super) fn done(mut self) -> Shapes {
        // What is not needed any more makes room for what is made of the rest.
        (self.by_filling, self.first) = (Finder::default(), Vec::new());
        let (groups_from, order) = sorted(&self.shapes, self.keys.len());
        self.shapes = Vec::new();
        let mut shapes = Shapes { groups_from, ..Shapes::default() };
        let mut new = vec![0; order.len()];
        for (group, at) in order.iter().zip(0..) {
            new[*group as usize] = at;
        }
        for shape in 0..self.keys.len() {
            shapes.fillings_from.push(number(shapes.fillings.len()));
            for group in &order[shapes.groups_from[shape] as usize..shapes.groups_from[shape + 1] as usize] {
                shapes.fillings.extend(self.filling_of(*group as usize));
            }
        }
        shapes.fillings_from.push(number(shapes.fillings.len()));
        (self.fillings, self.from) = (Vec::new(), Vec::new());
        let mut groups = self.groups;
        groups.iter_mut().for_each(|group| *group = new[*group as usize]);
        let (from, exchanges) = sorted(&groups, order.len());
        drop((groups, new, order));
        for bounds in from.windows(2) {
            let entry = match &exchanges[bounds[0] as usize..bounds[1] as usize] {
                [only] => *only,
                several => {
                    let at = number(shapes.lists.len());
                    shapes.lists.push(number(several.len()));
                    shapes.lists.extend(several);
                    at | MANY
                }
            };
            shapes.exchanges.push(entry);
        }
        shapes.keys = self.keys;
        shapes.by_key = self.by_key;
        shapes.index()
    }
}

impl Shapes {
    fn index(mut self) -> Self {
        let mut by_key = std::mem::take(&mut self.by_key);
        by_key.shrink(|shape| hash(self.keys[shape as usize]));
        let several = (0..self.len()).filter(|shape| self.groups(*shape).len() > 1);
        let mut by_filling = Finder::default();
        let shape_of = |group: u32| number(self.groups_from.partition_point(|from| *from <= group) - 1);
        let hash = |group: u32| hash_filling(shape_of(group), self.filling(shape_of(group), group));
        several.flat_map(|shape| self.groups(shape)).for_each(|group| by_filling.add(group, hash));
        by_filling.shrink(hash);
        self.keys.shrink_to_fit();
        self.fillings.shrink_to_fit();
        Self { by_key, by_filling, ..self }
    }
}

/// The numbers of things by their kind, in order, and where each kind begins.
fn sorted(kinds: &[u32], count: usize) -> (Vec<u32>, Vec<u32>) {
    let mut from = vec![0u32; count + 1];
    for kind in kinds {
        from[*kind as usize + 1] += 1;
    }
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let mut order = vec![0; kinds.len()];
    for (kind, thing) in kinds.iter().zip(0..) {
        order[from[*kind as usize] as usize] = thing;
        from[*kind as usize] += 1;
    }
    // Now each says where its kind ends, which is where the next one begins.
    from.rotate_right(1);
    from[0] = 0;
    (from, order)
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

fn hash_filling(shape: u32, filling: &[u32]) -> u64 {
    filling.iter().fold(mixed(u128::from(shape)), |hash, filled| mixed(u128::from(hash) << 64 | u128::from(*filled)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn exchanges_are_found_by_shape_and_filling_in_recorded_order() {
        let mut gathering = Gathering::default();
        let mut expected: BTreeMap<(u8, Vec<u32>), Vec<u32>> = BTreeMap::new();
        for exchange in 0..5000u32 {
            let shape = u8::try_from(exchange % 7).unwrap();
            let filling: Vec<u32> = (0..u32::from(shape)).map(|n| (exchange / 13 * n) % 500).collect();
            gathering.add(Key([shape; 16]), &filling);
            assert_eq!(gathering.filling(exchange), filling);
            expected.entry((shape, filling)).or_default().push(exchange);
        }
        let shapes = gathering.done();
        assert_eq!((shapes.len(), shapes.exchanges.len()), (7, expected.len()));
        for ((key, filling), exchanges) in &expected {
            let shape = shapes.find(Key([*key; 16])).unwrap();
            let group = shapes.group(shape, filling).unwrap();
            assert_eq!((shapes.filling(shape, group), shapes.exchanges(group)), (&filling[..], &exchanges[..]));
        }
        let firsts = |shape| shapes.groups(shape).map(|group| shapes.exchanges(group)[0]).collect::<Vec<_>>();
        assert!((0..7).all(|shape| firsts(shape).is_sorted()));
        assert_eq!(shapes.find(Key([9; 16])), None);
        assert_eq!(shapes.group(shapes.find(Key([3; 16])).unwrap(), &[1, 1, 1]), None);
    }
}
