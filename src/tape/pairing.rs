//! Which exchange of one cassette is which of another: the same one, the same request, or the next on the same route.

use super::cassette::{Cassette, Fault};
use super::id::Id;
use super::ids::Ids;
use super::matching::Rules;
use super::place::Place;
use super::renaming::{self, Changes, Manner, Renaming, Said, Side, Tables};
use super::scribe;
use super::volatile::Steadiness;
use super::walk::Kind;
use std::collections::{HashMap, HashSet, VecDeque};

/// A digest of what exchanges have in common.
type Key = [u8; 16];

/// What two cassettes have in common, and what not; exchanges are numbered from 1.
#[derive(Debug, Default)]
pub struct Comparison {
    /// How many exchanges are the same in both, ids aside.
    pub same: usize,
    /// Exchanges of both that differ.
    pub changed: Vec<(usize, usize, Changes)>,
    /// Exchanges of the first cassette only.
    pub removed: Vec<usize>,
    /// Exchanges of the other cassette only.
    pub added: Vec<usize>,
    /// Exchanges of both with one request, that answer it in another turn.
    pub moved: Vec<(usize, usize)>,
}

impl Comparison {
    /// Whether the cassettes are the same, ids aside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.removed.is_empty() && self.added.is_empty() && self.moved.is_empty()
    }
}

/// A cassette, read to be compared.
pub struct Recording<'a> {
    cassette: &'a Cassette,
    rules: Rules,
    exact: bool,
    shapes: Vec<Shape>,
}

impl<'a> Recording<'a> {
    /// Reads a cassette. `step` is called for every exchange that was read.
    ///
    /// # Errors
    /// When an exchange cannot be used.
    pub fn of(cassette: &'a Cassette, manner: Manner<'_>, mut step: impl FnMut()) -> Result<Self, Fault> {
        let rules = manner.rules.clone().for_people(cassette.people);
        let mut recording = Self { cassette, rules, exact: manner.exact, shapes: Vec::new() };
        for number in 0..cassette.entries.len() {
            recording.shapes.push(Shape::of(&recording.read(number)?, &cassette.ids));
            step();
        }
        Ok(recording)
    }

    fn read(&self, number: usize) -> Result<Vec<Said>, Fault> {
        let exchange = scribe::recorded(&self.cassette.entries[number], &self.cassette.ids, number + 1)?;
        let manner = Manner { rules: &self.rules, exact: self.exact };
        Ok(manner.read(&exchange, self.cassette.ids.lexicon()))
    }

    /// What an exchange is called, whose number is counted from 1.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        let request = &self.cassette.entries[number - 1].request;
        format!("{} {}", request.method, request.url)
    }
}

/// Compares two cassettes.
#[must_use]
pub fn compare(one: &Recording<'_>, other: &Recording<'_>) -> Comparison {
    let colors = [colors(&one.shapes), colors(&other.shapes)];
    let mut pairing = Pairing {
        partners: vec![None; one.shapes.len()],
        used: vec![false; other.shapes.len()],
        renaming: Renaming::default(),
        changes: HashMap::new(),
    };
    let tables = Tables { one: &one.cassette.ids, other: Some(&other.cassette.ids) };
    for stage in STAGES {
        pairing.run(stage, [&one.shapes, &other.shapes], &colors, |a, b, renaming| {
            let read = |recording: &Recording<'_>, number| recording.read(number).expect("it was read before");
            renaming::changes(&read(one, a), &read(other, b), tables, renaming)
        });
    }
    pairing.told(&one.shapes)
}

/// An exchange without its ids, and its ids.
struct Shape {
    whole: Key,
    request: Key,
    route: Key,
    /// Its ids, each once, in the order in which they first stand in it.
    ids: Vec<Id>,
    /// How many of them stand in its request.
    asked: usize,
}

impl Shape {
    fn of(said: &[Said], table: &Ids) -> Self {
        let mut numbers: HashMap<&Id, usize> = HashMap::new();
        let (mut ids, mut hasher) = (Vec::new(), blake3::Hasher::new());
        let mut side = |side: Side, hasher: &mut blake3::Hasher, ids: &mut Vec<Id>| {
            for said in said.iter().filter(|said| said.side == side) {
                part(hasher, said.leaf.place.to_string().as_bytes());
                if said.steadiness == Steadiness::Passing {
                    continue;
                }
                let mut from = 0;
                for (range, id) in &said.ids {
                    let is_id = table.find(id).is_some();
                    let is_mark = said.steadiness == Steadiness::Marked && matches!(id, Id::Guid(_));
                    if !is_id && !is_mark {
                        continue;
                    }
                    part(hasher, said.leaf.text[from..range.start].as_bytes());
                    from = range.end;
                    if is_id {
                        let number = *numbers.entry(id).or_insert_with(|| {
                            ids.push(id.clone());
                            ids.len()
                        });
                        hasher.update(&number.to_le_bytes());
                    }
                }
                part(hasher, said.leaf.text[from..].as_bytes());
            }
        };
        side(Side::Request, &mut hasher, &mut ids);
        let (request, asked) = (key(&hasher), ids.len());
        side(Side::Answer, &mut hasher, &mut ids);
        Self { whole: key(&hasher), request, route: route(said), ids, asked }
    }

    fn ids(&self, stage: Stage) -> &[Id] {
        match stage.by {
            By::Whole => &self.ids,
            By::Request => &self.ids[..self.asked],
            By::Route => &[],
        }
    }
}

/// Method, host, and the names of the path.
fn route(said: &[Said]) -> Key {
    let mut hasher = blake3::Hasher::new();
    for said in said.iter().filter(|said| said.side == Side::Request) {
        if matches!(said.leaf.place, Place::Method | Place::Host | Place::Path(_)) {
            let text = if said.leaf.kind == Kind::Key { "" } else { &said.leaf.text };
            part(&mut hasher, text.as_bytes());
        }
    }
    key(&hasher)
}

fn part(hasher: &mut blake3::Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

fn key(hasher: &blake3::Hasher) -> Key {
    let mut key = [0; 16];
    hasher.finalize_xof().fill(&mut key);
    key
}

/// What each id is like: where it stands, in which exchanges, beside which ids, by two rounds of colour refinement. So
/// two cassettes tell apart in the same way what only a name tells apart within one.
fn colors(shapes: &[Shape]) -> HashMap<&Id, u128> {
    let mut colors: HashMap<&Id, u128> = HashMap::new();
    for _ in 0..2 {
        let mut next: HashMap<&Id, u128> = HashMap::new();
        for shape in shapes {
            let mut whole = blake3::Hasher::new();
            whole.update(&shape.whole);
            for id in &shape.ids {
                whole.update(&colors.get(id).copied().unwrap_or_default().to_le_bytes());
            }
            for (at, id) in shape.ids.iter().enumerate() {
                let stands = u128::from_le_bytes(key(whole.clone().update(&at.to_le_bytes())));
                // A sum, as the order of exchanges says nothing here.
                let color = next.entry(id).or_default();
                *color = color.wrapping_add(stands);
            }
        }
        colors = next;
    }
    colors
}

/// By what exchanges are paired.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Whole,
    Request,
    Route,
}

#[derive(Clone, Copy)]
struct Stage {
    by: By,
    /// Whether their ids are alike.
    colors: bool,
    /// Whether their ids have the same values.
    values: bool,
}

/// What is most alike is paired first.
const STAGES: [Stage; 7] = [
    Stage { by: By::Whole, colors: true, values: true },
    Stage { by: By::Whole, colors: true, values: false },
    Stage { by: By::Whole, colors: false, values: true },
    Stage { by: By::Whole, colors: false, values: false },
    Stage { by: By::Request, colors: false, values: true },
    Stage { by: By::Request, colors: false, values: false },
    Stage { by: By::Route, colors: false, values: false },
];

impl Stage {
    fn key(self, shape: &Shape, colors: &HashMap<&Id, u128>) -> Key {
        let mut hasher = blake3::Hasher::new();
        hasher.update(match self.by {
            By::Whole => &shape.whole,
            By::Request => &shape.request,
            By::Route => &shape.route,
        });
        for id in shape.ids(self) {
            if self.colors {
                hasher.update(&colors.get(id).copied().unwrap_or_default().to_le_bytes());
            }
            if self.values {
                hasher.update(&id.digest());
            }
        }
        key(&hasher)
    }
}

/// Exchanges of the other cassette that may be partners, found by their key and by what is known of their ids.
struct Pool<'a> {
    stage: Stage,
    shapes: &'a [Shape],
    by_key: HashMap<Key, Vec<usize>>,
    /// Which ids of a key's exchanges they were sorted by.
    sorted: HashSet<(Key, Vec<bool>)>,
    queues: HashMap<(Key, Key), VecDeque<usize>>,
}

impl<'a> Pool<'a> {
    fn new(stage: Stage, shapes: &'a [Shape], used: &[bool], colors: &HashMap<&Id, u128>) -> Self {
        let mut by_key: HashMap<Key, Vec<usize>> = HashMap::new();
        for (number, shape) in shapes.iter().enumerate().filter(|(number, _)| !used[*number]) {
            by_key.entry(stage.key(shape, colors)).or_default().push(number);
        }
        Self { stage, shapes, by_key, sorted: HashSet::new(), queues: HashMap::new() }
    }

    /// The first exchange of this key whose ids are those that are known, and else any that are nobody's yet.
    fn take(&mut self, key: Key, known: &[Option<&Id>], used: &[bool], renaming: &Renaming) -> Option<usize> {
        let numbers = self.by_key.get(&key)?;
        let mask: Vec<bool> = known.iter().map(Option::is_some).collect();
        let digest = |ids: &mut dyn Iterator<Item = Option<&Id>>| {
            let mut hasher = blake3::Hasher::new();
            for id in ids {
                hasher.update(&id.map(Id::digest).unwrap_or_default());
                hasher.update(&[u8::from(id.is_some())]);
            }
            self::key(&hasher)
        };
        if self.sorted.insert((key, mask.clone())) {
            for number in numbers {
                let ids = self.shapes[*number].ids(self.stage);
                let mut known = ids.iter().zip(&mask).map(|(id, known)| known.then_some(id));
                self.queues.entry((key, digest(&mut known))).or_default().push_back(*number);
            }
        }
        let queue = self.queues.get_mut(&(key, digest(&mut known.iter().copied())))?;
        while let Some(number) = queue.pop_front() {
            let ids = self.shapes[number].ids(self.stage);
            let free = |(id, known): (&Id, &bool)| *known || renaming.back(id).is_none();
            if !used[number] && ids.iter().zip(&mask).all(free) {
                return Some(number);
            }
        }
        None
    }
}

struct Pairing {
    partners: Vec<Option<(usize, By)>>,
    used: Vec<bool>,
    renaming: Renaming,
    changes: HashMap<usize, Changes>,
}

impl Pairing {
    fn run(
        &mut self,
        stage: Stage,
        [one, other]: [&[Shape]; 2],
        colors: &[HashMap<&Id, u128>; 2],
        changes: impl Fn(usize, usize, &mut Renaming) -> Changes,
    ) {
        let mut pool = Pool::new(stage, other, &self.used, &colors[1]);
        for (a, shape) in one.iter().enumerate() {
            if self.partners[a].is_some() {
                continue;
            }
            let ids = shape.ids(stage);
            let known: Vec<_> = ids.iter().map(|id| self.renaming.there(id)).collect();
            let Some(b) = pool.take(stage.key(shape, &colors[0]), &known, &self.used, &self.renaming) else { continue };
            (self.partners[a], self.used[b]) = (Some((b, stage.by)), true);
            for (one, other) in ids.iter().zip(other[b].ids(stage)) {
                self.renaming.pair(one, other).expect("only what is nobody's yet was taken");
            }
            if stage.by != By::Whole {
                self.changes.insert(a, changes(a, b, &mut self.renaming));
            }
        }
    }

    fn told(mut self, one: &[Shape]) -> Comparison {
        let mut comparison = Comparison { moved: self.moved(one), ..Comparison::default() };
        for (a, partner) in self.partners.iter().enumerate() {
            let changes = self.changes.remove(&a).filter(|changes| !changes.is_empty());
            match (partner, changes) {
                (None, _) => comparison.removed.push(a + 1),
                (Some((b, _)), Some(changes)) => comparison.changed.push((a + 1, b + 1, changes)),
                (Some(_), None) => comparison.same += 1,
            }
        }
        let added = self.used.iter().enumerate().filter(|(_, used)| !**used);
        comparison.added = added.map(|(b, _)| b + 1).collect();
        comparison
    }

    /// Exchanges that answer one request in another turn: a replay gives their answers in that order.
    fn moved(&self, one: &[Shape]) -> Vec<(usize, usize)> {
        let mut last: HashMap<(Key, &[Id]), usize> = HashMap::new();
        let mut moved = Vec::new();
        for (a, (shape, partner)) in one.iter().zip(&self.partners).enumerate() {
            let Some((b, By::Whole | By::Request)) = partner else { continue };
            let latest = last.entry((shape.request, &shape.ids[..shape.asked])).or_insert(*b);
            if b < latest {
                moved.push((a + 1, b + 1));
            }
            *latest = *b.max(latest);
        }
        moved
    }
}
