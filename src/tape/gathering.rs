//! The shapes of a cassette's requests, gathered exchange by exchange: the loose ones apart from the exact ones only from
//! where they are others.

use super::column::Column;
use super::finder::Finder;
use super::matching::Key;
use super::shapes::{Groups, Keys, MANY, Shapes, hash, hash_filling, number};
use std::sync::Arc;

/// Shapes that are being gathered.
#[derive(Debug, Default)]
pub(super) struct Gathering {
    keys: Keys,
    groups: Gathered,
    /// The keys of the loose shapes, and their groups, from the first exchange on whose are others than the exact ones.
    loose_keys: Option<Keys>,
    loose_groups: Option<Gathered>,
    /// For how many exchanges there is room.
    room: usize,
}

impl Gathering {
    /// Makes room for so many exchanges, should all of them differ.
    pub(super) fn expect(&mut self, exchanges: usize) {
        self.room = exchanges;
        self.keys = Keys { keys: Vec::with_capacity(exchanges), finder: Finder::expecting(exchanges) };
        self.groups.fillings.reserve(exchanges);
    }

    /// Adds the next exchange: the keys of its shapes, and what fills the blanks of the exact one, which are as many more as
    /// `compared` are the loose one's.
    pub(super) fn add(&mut self, exact: Key, loose: Key, filling: &[u32], compared: usize) {
        if self.loose_keys.is_none() && exact != loose {
            let mut keys = self.keys.clone();
            keys.keys.reserve(self.room.saturating_sub(keys.keys.len()));
            self.loose_keys = Some(keys);
        }
        let exact = self.keys.number(exact);
        let loose = self.loose_keys.as_mut().map_or(exact, |keys| keys.number(loose));
        if self.loose_groups.is_none() && (exact != loose || compared < filling.len()) {
            self.loose_groups = Some(self.groups.clone());
        }
        self.groups.add(exact, filling);
        if let Some(groups) = &mut self.loose_groups {
            groups.add(loose, &filling[..compared]);
        }
    }

    /// What fills the blanks of the loose shape of an exchange.
    pub(super) fn loose_filling(&self, exchange: u32) -> &[u32] {
        self.loose_groups.as_ref().unwrap_or(&self.groups).filling(exchange)
    }

    /// The exact shapes and the loose ones, when the last exchange was added.
    pub(super) fn done(self) -> [Shapes; 2] {
        let Self { keys, groups, loose_keys, loose_groups, .. } = self;
        let groups = Arc::new(groups.done(keys.keys.len()));
        let keys = Arc::new(keys.done());
        let loose_keys = loose_keys.map_or_else(|| Arc::clone(&keys), |keys| Arc::new(keys.done()));
        let loose_groups =
            loose_groups.map_or_else(|| Arc::clone(&groups), |groups| Arc::new(groups.done(loose_keys.keys.len())));
        [Shapes { keys, groups }, Shapes { keys: loose_keys, groups: loose_groups }]
    }
}

impl Keys {
    /// The number of a key, which is added if it is not there.
    fn number(&mut self, key: Key) -> u32 {
        self.find(key).unwrap_or_else(|| {
            self.keys.push(key);
            let keys = &self.keys;
            self.finder.add(number(keys.len() - 1), |shape| hash(keys[shape as usize]));
            number(keys.len() - 1)
        })
    }

    /// Takes no more room than is needed.
    fn done(mut self) -> Self {
        self.finder.shrink(|shape| hash(self.keys[shape as usize]));
        self.keys.shrink_to_fit();
        self
    }
}

/// The groups of shapes, gathered exchange by exchange.
#[derive(Clone, Debug, Default)]
struct Gathered {
    /// For each group its shape, and where its filling begins.
    shapes: Column,
    from: Column,
    fillings: Vec<u32>,
    /// For each shape its first group; any other is found by its filling.
    first: Column,
    by_filling: Finder,
    /// For each exchange its group.
    groups: Column,
}

impl Gathered {
    /// Adds the next exchange; a shape that is new is the next one by its number.
    fn add(&mut self, shape: u32, filling: &[u32]) {
        let known = match self.first.get(shape) {
            Some(first) => self.group(shape, first, filling),
            None => {
                self.first.push(number(self.shapes.len()));
                None
            }
        };
        let group = known.unwrap_or_else(|| {
            self.begin(shape, filling);
            number(self.shapes.len() - 1)
        });
        self.groups.push(group);
    }

    /// The group of a shape with this filling.
    fn group(&self, shape: u32, first: u32, filling: &[u32]) -> Option<u32> {
        if self.filling_of(first) == filling {
            return Some(first);
        }
        let same = |group: u32| self.shapes.at(group) == shape && self.filling_of(group) == filling;
        self.by_filling.find(hash_filling(shape, filling), same)
    }

    /// Begins a group of a shape.
    fn begin(&mut self, shape: u32, filling: &[u32]) {
        let group = number(self.shapes.len());
        self.shapes.push(shape);
        self.from.push(number(self.fillings.len()));
        self.fillings.extend(filling);
        if self.first.at(shape) != group {
            let mut by_filling = std::mem::take(&mut self.by_filling);
            by_filling.add(group, |group| hash_filling(self.shapes.at(group), self.filling_of(group)));
            self.by_filling = by_filling;
        }
    }

    /// What fills the blanks of an exchange's request.
    fn filling(&self, exchange: u32) -> &[u32] {
        self.filling_of(self.groups.at(exchange))
    }

    fn filling_of(&self, group: u32) -> &[u32] {
        let end = self.from.get(group + 1).map_or(self.fillings.len(), |end| end as usize);
        &self.fillings[self.from.at(group) as usize..end]
    }

    /// The groups of so many shapes, when the last exchange was added.
    fn done(mut self, shapes: usize) -> Groups {
        // What is not needed any more makes room for what is made of the rest.
        (self.by_filling, self.first) = (Finder::default(), Column::default());
        let (groups_from, order) = sorted(&std::mem::take(&mut self.shapes), shapes);
        let count = self.from.len();
        let mut groups = Groups { groups_from, ..Groups::default() };
        self.fill(&mut groups, order.as_deref());
        let kinds = match order {
            None => self.groups,
            Some(order) => {
                let mut new = vec![0; order.len()];
                (0..).zip(order).for_each(|(at, group)| new[group as usize] = at);
                self.groups.iter().map(|group| new[group as usize]).collect()
            }
        };
        groups.list(&kinds, count);
        groups.index();
        groups
    }

    /// Puts the fillings in the order of groups, which is the one in which they came where there is none.
    fn fill(&mut self, groups: &mut Groups, order: Option<&[u32]>) {
        let shapes = groups.groups_from.len() - 1;
        let firsts = groups.groups_from.iter().take(shapes);
        groups.fillings = match order {
            None => {
                groups.fillings_from = firsts.map(|group| self.from.at(group)).collect();
                std::mem::take(&mut self.fillings)
            }
            Some(order) => {
                let mut fillings = Vec::with_capacity(self.fillings.len());
                let mut from = Column::default();
                for (first, end) in firsts.zip(groups.groups_from.iter().skip(1)) {
                    from.push(number(fillings.len()));
                    let groups = order[first as usize..end as usize].iter();
                    groups.for_each(|group| fillings.extend(self.filling_of(*group)));
                }
                groups.fillings_from = from;
                fillings
            }
        };
        groups.fillings_from.push(number(groups.fillings.len()));
        groups.fillings.shrink_to_fit();
        (self.fillings, self.from) = (Vec::new(), Column::default());
    }
}

impl Groups {
    /// Lists the exchanges of each group, of which there are so many; `groups` tells the one of each exchange.
    fn list(&mut self, groups: &Column, count: usize) {
        let (from, order) = sorted(groups, count);
        let exchange = |at: u32| order.as_ref().map_or(at, |order| order[at as usize]);
        self.exchanges.reserve_exact(count);
        for (first, end) in from.iter().zip(from.iter().skip(1)) {
            let entry = if end - first == 1 {
                exchange(first)
            } else {
                let at = number(self.lists.len());
                self.lists.push(end - first);
                self.lists.extend((first..end).map(exchange));
                at | MANY
            };
            self.exchanges.push(entry);
        }
        self.lists.shrink_to_fit();
    }

    /// Makes the groups found of shapes that have several.
    fn index(&mut self) {
        let shapes = 0..number(self.groups_from.len() - 1);
        let several = shapes.filter(|shape| self.groups(*shape).len() > 1);
        let groups = several.clone().map(|shape| self.groups(shape).len()).sum();
        let mut by_filling = Finder::expecting_of(groups, self.exchanges.len());
        for shape in several {
            for group in self.groups(shape) {
                by_filling.add(group, |group| hash_filling(shape, self.filling(shape, group)));
            }
        }
        self.by_filling = by_filling;
    }
}

/// Where each kind begins when things are put in order by their kind, and the numbers of the things then; none where
/// they are in that order as they are.
fn sorted(kinds: &Column, count: usize) -> (Column, Option<Vec<u32>>) {
    if kinds.iter().is_sorted() {
        let mut from = Column::default();
        for (kind, thing) in kinds.iter().chain([number(count)]).zip(0..) {
            (from.len()..=kind as usize).for_each(|_| from.push(thing));
        }
        from.shrink();
        return (from, None);
    }
    let mut from = vec![0u32; count + 1];
    for kind in kinds.iter() {
        from[kind as usize + 1] += 1;
    }
    for at in 1..from.len() {
        from[at] += from[at - 1];
    }
    let mut order = vec![0; kinds.len()];
    for (kind, thing) in kinds.iter().zip(0..) {
        order[from[kind as usize] as usize] = thing;
        from[kind as usize] += 1;
    }
    // Now each says where its kind ends, which is where the next one begins.
    from.rotate_right(1);
    from[0] = 0;
    (from.into_iter().collect(), Some(order))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// What is expected of shapes: of each key, and what fills its blanks, the exchanges.
    type Expected = BTreeMap<(u8, Vec<u32>), Vec<u32>>;

    fn assert_are(shapes: &Shapes, expected: &Expected) {
        assert_eq!(shapes.groups.exchanges.len(), expected.len());
        for ((key, filling), exchanges) in expected {
            let shape = shapes.find(Key([*key; 16])).unwrap();
            let group = shapes.group(shape, filling).unwrap();
            assert_eq!((shapes.filling(shape, group), shapes.exchanges(group)), (&filling[..], &exchanges[..]));
        }
        let firsts = |shape| shapes.groups(shape).map(|group| shapes.exchanges(group)[0]).collect::<Vec<_>>();
        assert!((0..shapes.len()).all(|shape| firsts(shape).is_sorted()));
        assert_eq!(shapes.find(Key([255; 16])), None);
    }

    #[test]
    fn exchanges_are_found_by_shape_and_filling_in_recorded_order() {
        let (mut gathering, mut expected) = (Gathering::default(), Expected::new());
        for exchange in 0..5000u32 {
            let shape = u8::try_from(exchange % 7).unwrap();
            let filling: Vec<u32> = (0..u32::from(shape)).map(|n| (exchange / 13 * n) % 500).collect();
            gathering.add(Key([shape; 16]), Key([shape; 16]), &filling, filling.len());
            assert_eq!(gathering.loose_filling(exchange), filling);
            expected.entry((shape, filling)).or_default().push(exchange);
        }
        let [exact, loose] = gathering.done();
        assert!(Arc::ptr_eq(&exact.keys, &loose.keys) && Arc::ptr_eq(&exact.groups, &loose.groups));
        assert_eq!(exact.len(), 7);
        assert_are(&exact, &expected);
        assert_eq!(exact.group(exact.find(Key([3; 16])).unwrap(), &[1, 1, 1]), None);
    }

    proptest! {
        #[test]
        fn loose_shapes_are_their_own_from_wherever_they_differ(
            exchanges in prop::collection::vec((0..40u8, 0..9u32, 0..9u32), 1..200), from in 0..200usize, cut: bool, room in 0..300usize,
        ) {
            let (mut gathering, mut exact, mut loose) = (Gathering::default(), Expected::new(), Expected::new());
            gathering.expect(room);
            for ((number, (key, a, b)), at) in (0..).zip(&exchanges).zip(0..) {
                let (mut other, filling, mut compared) = (*key, [*a, *b], 2);
                if at >= from {
                    (other, compared) = if cut { (*key, 1) } else { (key / 2, 2) };
                }
                // A key tells how many blanks there are.
                let other = if compared < 2 { other + 100 } else { other };
                gathering.add(Key([*key; 16]), Key([other; 16]), &filling, compared);
                exact.entry((*key, filling.to_vec())).or_default().push(number);
                loose.entry((other, filling[..compared].to_vec())).or_default().push(number);
                prop_assert_eq!(gathering.loose_filling(number), &filling[..compared]);
            }
            let shapes = gathering.done();
            assert_are(&shapes[0], &exact);
            assert_are(&shapes[1], &loose);
        }
    }
}
