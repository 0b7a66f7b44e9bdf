//! A cassette is compiled, exchange by exchange: each one's answer, and where it is found.

use super::cassette::{Cassette, Entry, Fault};
use super::echo::{self, Learnt};
use super::exchange::Request;
use super::id::Id;
use super::ids::{self, Ids, Row};
use super::index::{COMPARED, CREATES, HEARD, Index, LITERAL, NO_EXCHANGE, READS, TIMED, rows};
use super::matching::{self, Address, Key, Reading, Rules, Shape};
use super::mint::Mint;
use super::played::{Exchanges, Played};
use super::reading_cache::ReadingCache;
use super::row_set::RowSet;
use super::scribe;
use super::script::Script;
use super::shapes::Gathering;
use super::template::Template;
use super::values::Values;
use super::walk;
use std::collections::{BTreeMap, BTreeSet, HashMap};

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
        let mut compiler = Compiler::new(ids, people, rules);
        let mut held = Vec::new();
        for entry in entries {
            held.push(compiler.add(&entry)?);
            done();
        }
        compiler.done(Exchanges::Held(held), mint)
    }
}

/// Compiles a cassette.
#[derive(Debug)]
pub struct Compiler {
    ids: Ids,
    literals: Values,
    rules: Rules,
    minters: Vec<u32>,
    first_asked: Vec<u32>,
    shared: RowSet,
    exact: Gathering,
    loose: Gathering,
    traits: Vec<u8>,
    routes: BTreeMap<Key, Vec<u32>>,
    paths: BTreeMap<Key, Vec<u32>>,
    used: BTreeSet<(usize, String)>,
    /// The ids that an exchange has shown so far, and those of them that placeholders name.
    seen: RowSet,
    named: RowSet,
    learnt: Learnt,
}

impl Compiler {
    /// A compiler for a cassette with these ids; `people` is whether it is pseudonymous.
    #[must_use]
    pub fn new(ids: Ids, people: bool, rules: Rules) -> Self {
        Self {
            minters: vec![NO_EXCHANGE; ids.len()],
            first_asked: vec![NO_EXCHANGE; ids.len()],
            ids,
            literals: Values::default(),
            rules: rules.for_people(people),
            shared: RowSet::default(),
            exact: Gathering::default(),
            loose: Gathering::default(),
            traits: Vec::new(),
            routes: BTreeMap::new(),
            paths: BTreeMap::new(),
            used: BTreeSet::new(),
            seen: RowSet::default(),
            named: RowSet::default(),
            learnt: Learnt::default(),
        }
    }

    /// The ids of the cassette.
    #[must_use]
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// Whether the cassette is pseudonymous.
    #[must_use]
    pub fn people(&self) -> bool {
        self.rules.ids().people
    }

    /// Compiles the next exchange.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn add(&mut self, entry: &Entry) -> Result<Played, Fault> {
        let number = u32::try_from(self.traits.len()).expect("a cassette has fewer than 2^32 exchanges");
        let read = scribe::read(entry, &self.ids, number as usize + 1)?;
        let answer = read.script.recorded(&self.ids).body;
        let request = scribe::tape_request(read.request, self.rules.secrets());
        let reading = Reading::of(&request, &self.rules, &[self.ids.lexicon()]);
        let mut script = read.script;
        let asked = reading.exact().tokens.iter();
        let asked = asked.filter_map(|token| Some((self.ids.find(&token.id)?, token.spelled.clone()))).collect();
        script.respell(&self.ids, &asked);
        let [exact, loose] = [reading.exact(), reading.loose()].map(|shape| self.filling(shape));
        self.note_origins(number, &exact, &script);
        for row in read.rows.into_iter().chain(script.rows()) {
            self.seen.insert(row);
            self.named.insert(row);
        }
        self.exact.add(reading.exact().key, &exact);
        self.loose.add(reading.loose().key, &loose);
        self.note_shared(&loose, &script);
        let marks = self.file(&request, number);
        let echoes = self.learnt.echoes(&answer, &reading.varying, |text| template(&self.ids, text));
        script.echo(echoes, &self.ids);
        let stated = echo::stated(&request, &answer, &reading.varying);
        self.learnt.note(&stated, number);
        let stated = echo::with_ids(stated, |text| template(&self.ids, text));
        let creates = if request.method == "POST" && script.status() == 201 { CREATES } else { 0 };
        let reads = if matches!(request.method.as_str(), "GET" | "HEAD") { READS } else { 0 };
        let timed = if entry.took.is_some() { TIMED } else { 0 };
        self.traits.push(creates | reads | timed);
        let request = serde_json::to_vec(&entry.request).expect("an entry prints to memory");
        let (loose_key, varying) = (reading.loose().key, reading.varying);
        Ok(Played { took: entry.took, marks, script, stated, loose_key, loose_filling: loose, varying, request })
    }

    /// The index of all that were compiled; `mint` makes the ids that are derived.
    ///
    /// # Errors
    /// When there is an id that no exchange names.
    pub fn done(mut self, exchanges: Exchanges, mint: Mint) -> Result<Index, Fault> {
        for (traits, exchange) in self.traits.iter_mut().zip(0..) {
            *traits |= if self.learnt.is_heard(exchange) { HEARD } else { 0 };
        }
        drop(std::mem::take(&mut self.learnt));
        if let Some(unused) = (0..).take(self.ids.len()).find(|row| !self.named.contains(*row)) {
            return Err(ids::Fault::Unused(self.ids.placeholder(unused)).into());
        }
        self.literals.shrink();
        Ok(Index {
            ids: self.ids,
            literals: self.literals,
            mint,
            rules: self.rules,
            exchanges,
            traits: self.traits,
            minters: self.minters,
            shared: self.shared,
            first_asked: self.first_asked,
            exact: self.exact.done(),
            loose: self.loose.done(),
            routes: self.routes,
            paths: self.paths,
            used: self.used,
            readings: ReadingCache::default(),
        })
    }

    /// What fills the blanks of a shape.
    fn filling(&mut self, shape: Shape<'_>) -> Vec<u32> {
        let Self { ids, literals, .. } = self;
        let literal = |id: &Id| LITERAL | literals.find(id).unwrap_or_else(|| added(literals.add(&id.to_string())));
        let mut literal = literal;
        shape.tokens.iter().map(|token| ids.find(&token.id).unwrap_or_else(|| literal(&token.id))).collect()
    }

    /// Notes which ids this exchange minted: those that its answer shows and nothing showed before.
    fn note_origins(&mut self, number: u32, asked: &[u32], script: &Script) {
        for row in rows(asked) {
            if self.seen.insert(row) {
                self.first_asked[row as usize] = number;
            }
        }
        for row in script.rows() {
            if self.seen.insert(row) {
                self.minters[row as usize] = number;
            }
        }
    }

    /// Notes the ids that an answer shows without what they were minted with. Those that it shows are all minted by
    /// now, if they ever are.
    fn note_shared(&mut self, asked: &[u32], script: &Script) {
        let mut known: HashMap<Row, bool> = rows(asked).map(|row| (row, true)).collect();
        for row in script.rows() {
            if !self.can_be_derived(row, &mut known) {
                self.shared.insert(row);
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
            NO_EXCHANGE => false,
            minter => rows(self.loose.filling(minter)).all(|row| self.can_be_derived(row, known)),
        };
        known.insert(row, can);
        can
    }

    /// Files an exchange under its address, and tells by what misses see how near it is.
    fn file(&mut self, request: &Request, number: u32) -> Box<[u32]> {
        let applied = self.rules.applied(request);
        let mut leaves = walk::leaves(request, &applied.view);
        let address = Address::of(&leaves);
        let file = |addresses: &mut BTreeMap<Key, Vec<u32>>, key| {
            let filed = addresses.entry(key).or_default();
            let first = filed.len() < COMPARED;
            filed.extend(first.then_some(number));
            first
        };
        let marks = file(&mut self.routes, address.route);
        file(&mut self.paths, address.names);
        for (rule, own) in &applied.own {
            let covered = leaves.iter().filter_map(|leaf| own.names(&leaf.place));
            self.used.extend(covered.chain([String::new()]).map(|place| (*rule, place)));
        }
        leaves.retain(|leaf| applied.ignores(&leaf.place).is_none());
        if marks { matching::marks(&leaves, &self.rules, &[self.ids.lexicon()]) } else { Box::default() }
    }
}

fn added(number: Result<u32, u32>) -> u32 {
    number.unwrap_or_else(|same| same)
}

/// A text of the recording, with slots for its ids.
fn template(ids: &Ids, text: &str) -> Template<Row> {
    if let Some(row) = ids.find(&Id::of(text)) {
        return Template::of_id(row);
    }
    Template::parse(&ids.to_tape(text), |placeholder| ids.row(placeholder)).expect("what was written is read")
}
