//! A cassette made ready to answer: exchanges by shape, and what each id stands for.

use super::cassette::{Cassette, Entry, Fault};
use super::echo::{self, Learnt, Stated};
use super::exchange::{Request, Taped};
use super::id::Id;
use super::ids::{self, Ids, Row};
use super::matching::{self, Address, Key, Reading, Rules, Shape, Token, Varying};
use super::mint::Mint;
use super::scribe::{self, Script};
use super::secrets::Secrets;
use super::template::Template;
use super::walk;
use std::collections::{HashMap, HashSet};

/// What fills a blank of a recorded request's shape.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Slot {
    /// An id: the live request may have another value.
    Id(Row),
    /// Any other: the live request must have this one.
    Literal(Id),
}

/// An exchange, compiled.
#[derive(Debug)]
pub(super) struct Played {
    pub(super) script: Script,
    /// What its request states that another answer repeats.
    pub(super) stated: Stated<Template<Row>>,
    /// Whether it is a POST that made an entity.
    pub(super) creates: bool,
    /// Whether it only reads: asked again, it shows the same ids.
    pub(super) reads: bool,
    pub(super) loose_key: Key,
    pub(super) loose_slots: Vec<Slot>,
    /// What it said at ignored places.
    pub(super) varying: Vec<Varying>,
    /// By how many values requests are near it; none where many others have its route.
    pub(super) marks: Box<[u32]>,
}

/// How many exchanges of a route a miss compares at most, so that it stays quick.
const COMPARED: usize = 10_000;

/// The recorded exchanges whose requests are equal, ids included, in recorded order.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) slots: Vec<Slot>,
    pub(super) exchanges: Vec<u32>,
}

/// The groups of one shape, in recorded order.
#[derive(Debug, Default)]
pub(super) struct Groups {
    pub(super) groups: Vec<Group>,
    pub(super) by_slots: HashMap<Vec<Slot>, usize>,
}

impl Groups {
    fn add(&mut self, slots: Vec<Slot>, exchange: u32) {
        let next = self.groups.len();
        let at = *self.by_slots.entry(slots.clone()).or_insert(next);
        if at == next {
            self.groups.push(Group { slots, exchanges: Vec::new() });
        }
        self.groups[at].exchanges.push(exchange);
    }
}

/// How an id came into the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The client used it first.
    Given,
    /// The server made it up.
    Minted,
}

/// A cassette made ready to answer requests.
#[derive(Debug)]
pub struct Index {
    pub(super) ids: Ids,
    pub(super) mint: Mint,
    pub(super) rules: Rules,
    pub(super) exchanges: Vec<Played>,
    pub(super) entries: Vec<Entry>,
    /// For each id the exchange that minted it; none for a given one.
    pub(super) minters: Vec<Option<u32>>,
    /// The ids that were minted and are shown where the ids that they were minted with are not known, such as a user's
    /// id under many configurations. No other value could be told for them everywhere, whatever comes first.
    pub(super) shared: HashSet<Row>,
    /// For each given id the first exchange whose request has it.
    first_asked: HashMap<Row, u32>,
    pub(super) exact: HashMap<Key, Groups>,
    pub(super) loose: HashMap<Key, Groups>,
    /// The exchanges of each route, in recorded order, and those of each path whatever method, host and version.
    routes: HashMap<Key, Vec<u32>>,
    paths: HashMap<Key, Vec<u32>>,
    /// The numbers of rules of the user's own that apply to a recorded request, and which of their places it has.
    used: HashSet<(usize, String)>,
}

/// The ids among slots.
fn rows(slots: &[Slot]) -> impl Iterator<Item = Row> {
    slots.iter().filter_map(|slot| match slot {
        Slot::Id(row) => Some(*row),
        Slot::Literal(_) => None,
    })
}

impl Index {
    /// Compiles a cassette; `mint` makes the ids that are derived.
    ///
    /// # Errors
    /// When an exchange cannot be used.
    pub fn new(cassette: Cassette, rules: Rules, mint: Mint) -> Result<Self, Fault> {
        Self::compile(cassette, rules, mint, || {})
    }

    /// The same, telling after each exchange that it is done.
    ///
    /// # Errors
    /// When an exchange cannot be used.
    pub fn compile(cassette: Cassette, rules: Rules, mint: Mint, done: impl Fn()) -> Result<Self, Fault> {
        let Cassette { ids, entries, people } = cassette;
        let mut index = Self {
            minters: vec![None; ids.len()],
            ids,
            mint,
            rules: rules.for_people(people),
            exchanges: Vec::new(),
            entries: Vec::new(),
            shared: HashSet::new(),
            first_asked: HashMap::new(),
            exact: HashMap::new(),
            loose: HashMap::new(),
            routes: HashMap::new(),
            paths: HashMap::new(),
            used: HashSet::new(),
        };
        let (mut seen, mut named, mut learnt) = (HashSet::new(), HashSet::new(), Learnt::default());
        for entry in entries {
            named.extend(index.add(entry, &mut seen, &mut learnt)?);
            done();
        }
        for exchange in index.exchanges.iter_mut().zip(0..).filter(|(_, number)| !learnt.is_heard(*number)) {
            exchange.0.stated = Vec::new();
        }
        index.note_shared();
        if let Some(((unused, _), _)) = index.ids.iter().zip(0..).find(|(_, row)| !named.contains(row)) {
            return Err(ids::Fault::Unused(unused.clone()).into());
        }
        Ok(index)
    }

    /// Notes the ids that some answer shows without what they were minted with.
    fn note_shared(&mut self) {
        for exchange in &self.exchanges {
            let mut known: HashMap<Row, bool> = rows(&exchange.loose_slots).map(|row| (row, true)).collect();
            for row in exchange.script.rows() {
                if !self.can_be_derived(row, &mut known) {
                    self.shared.insert(row);
                }
            }
        }
    }

    /// Whether the ids that a row was minted with are known, as `known` has it; given ones only by the request itself.
    fn can_be_derived(&self, row: Row, known: &mut HashMap<Row, bool>) -> bool {
        if let Some(&known) = known.get(&row) {
            return known;
        }
        let can = match self.minters[row as usize] {
            // A given id says of itself what it is, and is not derived: but nothing can be derived from it here.
            None => false,
            Some(minter) => {
                let asked = rows(&self.exchanges[minter as usize].loose_slots);
                asked.collect::<Vec<_>>().into_iter().all(|row| self.can_be_derived(row, known))
            }
        };
        known.insert(row, can);
        can
    }

    /// Adds an exchange, and tells the ids that its placeholders name.
    fn add(&mut self, entry: Entry, seen: &mut HashSet<Row>, learnt: &mut Learnt) -> Result<Vec<Row>, Fault> {
        let number = u32::try_from(self.entries.len()).expect("a cassette has fewer than 2^32 exchanges");
        let recorded = scribe::recorded(&entry, &self.ids, number as usize + 1)?;
        let request = scribe::tape_request(recorded.request.clone(), self.rules.secrets());
        let reading = Reading::of(&request, &self.rules, &[self.ids.lexicon()]);
        let (exact_slots, loose_slots) = (self.slots(reading.exact()), self.slots(reading.loose()));
        let mut script = scribe::script(&entry, &self.ids, number as usize + 1)?;
        let asked = reading.exact().tokens.iter();
        let asked = asked.filter_map(|token| Some((self.ids.find(&token.id)?, token.spelled.clone()))).collect();
        script.respell(&self.ids, &asked);
        self.note_origins(number, &exact_slots, &script, seen);
        let mut named = scribe::request_rows(&entry, &self.ids, number as usize + 1)?;
        named.extend(script.rows());
        seen.extend(&named);
        let creates = request.method == "POST" && script.status() == 201;
        self.exact.entry(reading.exact().key).or_default().add(exact_slots, number);
        self.loose.entry(reading.loose().key).or_default().add(loose_slots.clone(), number);
        let marks = self.file(&request, number);
        let answer = &recorded.response.body;
        let template = |text: &str| self.template(text);
        script.echo(learnt.echoes(answer, &reading.varying, template), &self.ids);
        let stated = echo::stated(&request, answer, &reading.varying);
        learnt.note(&stated, number);
        let stated = echo::with_ids(stated, template);
        let reads = matches!(request.method.as_str(), "GET" | "HEAD");
        self.exchanges.push(Played {
            script,
            stated,
            creates,
            reads,
            loose_key: reading.loose().key,
            loose_slots,
            varying: reading.varying,
            marks,
        });
        self.entries.push(entry);
        Ok(named)
    }

    /// Files an exchange under its address, and tells by what misses see how near it is.
    fn file(&mut self, request: &Request, number: u32) -> Box<[u32]> {
        let applied = self.rules.applied(request);
        let mut leaves = walk::leaves(request, &applied.view);
        let address = Address::of(&leaves);
        let route = self.routes.entry(address.route).or_default();
        route.push(number);
        let marks = route.len() <= COMPARED;
        self.paths.entry(address.names).or_default().push(number);
        for (rule, own) in &applied.own {
            let covered = leaves.iter().filter_map(|leaf| own.names(&leaf.place));
            self.used.extend(covered.chain([String::new()]).map(|place| (*rule, place)));
        }
        leaves.retain(|leaf| applied.ignores(&leaf.place).is_none());
        if marks { matching::marks(&leaves, &self.rules, &[self.ids.lexicon()]) } else { Box::default() }
    }

    /// A text of the recording, with slots for its ids.
    fn template(&self, text: &str) -> Template<Row> {
        let whole = self.ids.find(&Id::of(text)).map(|row| format!("{{{{{}}}}}", self.ids.placeholder(row)));
        let tape = whole.unwrap_or_else(|| self.ids.to_tape(text));
        Template::parse(&tape, |placeholder| self.ids.row(placeholder)).expect("what was written is read")
    }

    fn slots(&self, shape: Shape<'_>) -> Vec<Slot> {
        let slot = |token: &Token| self.ids.find(&token.id).map_or_else(|| Slot::Literal(token.id.clone()), Slot::Id);
        shape.tokens.iter().map(slot).collect()
    }

    /// Notes which ids this exchange minted: those that its answer shows and nothing showed before.
    fn note_origins(&mut self, number: u32, slots: &[Slot], script: &Script, seen: &mut HashSet<Row>) {
        for row in rows(slots) {
            if seen.insert(row) {
                self.first_asked.insert(row, number);
            }
        }
        for row in script.rows() {
            if seen.insert(row) {
                self.minters[row as usize] = Some(number);
            }
        }
    }

    /// What an exchange is called: its number, counted from 1, method and address.
    #[must_use]
    pub fn name(&self, number: u32) -> String {
        let request = &self.entries[number as usize].request;
        format!("exchange {} {} {}", number + 1, request.method, request.url)
    }

    /// The name of a rule: its route.
    #[must_use]
    pub fn rule_name(&self, number: usize) -> &str {
        self.rules.rule(number).route.as_str()
    }

    /// What rules of the user's own name that no recorded request has, each with its line in config and in words.
    #[must_use]
    pub fn idle_rules(&self) -> Vec<(usize, String)> {
        let mut idle = Vec::new();
        for (number, rule) in self.rules.iter().enumerate() {
            let Some(line) = rule.line else { continue };
            let headers = rule.headers.iter().map(|name| format!("header:{name}"));
            let named = rule.ignore.iter().map(ToString::to_string).chain(headers);
            let route = rule.route.as_str();
            if self.used.contains(&(number, String::new())) {
                let unused = named.filter(|place| !self.used.contains(&(number, place.clone())));
                let told = |place| {
                    format!(
                        "the rule for `{route}` names {place}, which no recorded request of it has: it is of use where only a live one does"
                    )
                };
                idle.extend(unused.map(|place| (line, told(place))));
            } else {
                idle.push((line, format!("there is a rule for `{route}`, and no such request is recorded")));
            }
        }
        idle
    }

    /// The rules for secrets, by which live requests go down the road too.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        self.rules.secrets()
    }

    /// The number of exchanges.
    #[must_use]
    pub fn len(&self) -> usize {
        self.exchanges.len()
    }

    /// The number of exchanges whose time was not kept.
    #[must_use]
    pub fn without_times(&self) -> usize {
        self.entries.iter().filter(|entry| entry.took.is_none()).count()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exchanges.is_empty()
    }

    /// The exchanges as they stand in the cassette.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The ids, and how each came into the recording.
    pub fn origins(&self) -> impl Iterator<Item = (&super::template::Placeholder, &str, Origin)> {
        self.ids.iter().zip(&self.minters).map(|((placeholder, value), minter)| {
            (placeholder, value, if minter.is_none() { Origin::Given } else { Origin::Minted })
        })
    }

    /// Pairs of exchanges, counted from 1, that ask the very same of ids which nothing asked about before: a run that
    /// uses neither of the recorded ids tells them apart by order only.
    #[must_use]
    pub fn told_apart_by_order(&self) -> Vec<(usize, usize)> {
        let mut pairs = Vec::new();
        for groups in self.loose.values() {
            for pair in groups.groups.windows(2) {
                let (one, other) = (pair[0].exchanges[0], pair[1].exchanges[0]);
                let new = |slot: &Slot, exchange| matches!(slot, Slot::Id(row) if self.first_asked.get(row) == Some(&exchange));
                let mut slots = pair[0].slots.iter().zip(&pair[1].slots);
                if slots.all(|(a, b)| a == b || (new(a, one) && new(b, other))) {
                    pairs.push((one as usize + 1, other as usize + 1));
                }
            }
        }
        pairs.sort_unstable();
        pairs
    }

    /// The recorded exchanges that a request might have meant: those of its route, or else of its path, or else any.
    pub(super) fn near(&self, address: Address) -> Vec<u32> {
        let found = self.routes.get(&address.route).or_else(|| self.paths.get(&address.names));
        let all = || (0..u32::try_from(self.len().min(COMPARED)).unwrap_or(u32::MAX)).collect();
        found.map_or_else(all, |found| found.iter().take(COMPARED).copied().collect())
    }

    /// Whether anything was recorded for the route of an address, and for its path whatever method, host and version.
    pub(super) fn knows(&self, address: Address) -> (bool, bool) {
        (self.routes.contains_key(&address.route), self.paths.contains_key(&address.names))
    }

    /// The request of an exchange as it was recorded.
    pub(super) fn recorded_request(&self, exchange: u32) -> Taped<Request> {
        let recorded = scribe::recorded(&self.entries[exchange as usize], &self.ids, exchange as usize + 1)
            .expect("every entry was read when the index was made");
        scribe::tape_request(recorded.into_inner().request, self.rules.secrets())
    }
}
