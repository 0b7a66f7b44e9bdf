//! A cassette is compiled, exchange by exchange: each one's answer, and where it is found.

use super::address::Address;
use super::cassette::{Cassette, Fault};
use super::echo;
use super::form::Known;
use super::gathering::Gathering;
use super::id::Id;
use super::ids::{self, Row};
use super::index::{ALONE, COMPARED, HEARD, Index, LITERAL, NO_EXCHANGE, Slot, Tables, rows};
use super::matching::{Key, Rules};
use super::mint::Mint;
use super::played::{Exchanges, Held, Played};
use super::preparing::{Ground, Prepared, Preparer, Ready};
use super::reading_cache::ReadingCache;
use super::row_set::RowSet;
use super::shapes;
use super::statements::Statements;
use super::values::Values;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

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
        let ground = Arc::new(Ground::new(ids, people, rules));
        let (mut preparer, mut compiler) = (Preparer::new(Arc::clone(&ground)), Compiler::new(ground));
        let mut packed = Vec::new();
        for (number, entry) in (1..).zip(entries) {
            let request = serde_json::to_vec(&entry.request).expect("an entry prints to memory");
            packed.push(compiler.add(preparer.prepare(&entry, request, number)?).packed());
            done();
        }
        compiler.done(Exchanges::Held(Held::of(&packed)), mint)
    }
}

/// Compiles a cassette.
#[derive(Debug)]
pub struct Compiler {
    ground: Arc<Ground>,
    literals: Values,
    /// For each id the exchange that minted it, or the one that asked for it first, marked so.
    origins: Vec<u32>,
    shared: RowSet,
    shapes: Gathering,
    traits: Vec<u8>,
    routes: BTreeMap<Key, Vec<u32>>,
    paths: BTreeMap<Key, Vec<u32>>,
    used: BTreeSet<(usize, String)>,
    /// The ids that an exchange has shown so far, and those of them that placeholders name.
    seen: RowSet,
    named: RowSet,
    learnt: Statements,
}

impl Compiler {
    /// A compiler for a cassette with this ground.
    #[must_use]
    pub fn new(ground: Arc<Ground>) -> Self {
        Self {
            origins: vec![NO_EXCHANGE; ground.ids.len()],
            ground,
            literals: Values::default(),
            shared: RowSet::default(),
            shapes: Gathering::default(),
            traits: Vec::new(),
            routes: BTreeMap::new(),
            paths: BTreeMap::new(),
            used: BTreeSet::new(),
            seen: RowSet::default(),
            named: RowSet::default(),
            learnt: Statements::default(),
        }
    }

    /// The same with room for so many exchanges that are played: what grows step by step is in memory twice at each, and
    /// leaves holes there.
    #[must_use]
    pub fn for_playing(ground: Arc<Ground>, exchanges: usize) -> Self {
        let mut compiler = Self::for_checking(ground, exchanges);
        compiler.learnt.expect(exchanges);
        compiler
    }

    /// The same for exchanges that are [checked](Self::check) and never played.
    #[must_use]
    pub fn for_checking(ground: Arc<Ground>, exchanges: usize) -> Self {
        let mut compiler = Self::new(ground);
        compiler.traits.reserve(exchanges);
        compiler.shapes.expect(exchanges);
        compiler
    }

    /// Takes the next exchange for no more than to tell which ids no exchange names, and which requests only their
    /// order [tells apart](Index::told_apart_by_order).
    pub fn check(&mut self, prepared: &Prepared) {
        let exact = self.filling(&prepared.filling);
        let shown: SmallVec<[Row; 8]> = prepared.script.rows().collect();
        self.note_ids(self.number(), &exact, &prepared.named, &shown);
        self.shapes.add(prepared.loose, prepared.loose, &exact[..prepared.compared], prepared.compared);
        self.traits.push(prepared.traits);
    }

    /// Compiles the next exchange.
    pub fn add(&mut self, prepared: Prepared) -> Played {
        let number = self.number();
        let Prepared { mut script, mut marks, compared, varying, answer, stated, .. } = prepared;
        let exact = self.filling(&prepared.filling);
        let loose = &exact[..compared];
        let shown: SmallVec<[Row; 8]> = script.rows().collect();
        self.note_ids(number, &exact, &prepared.named, &shown);
        self.shapes.add(prepared.exact, prepared.loose, &exact, compared);
        self.note_shared(loose, &shown);
        if !self.file(&prepared.address, number) {
            marks = Box::default();
        }
        self.used.extend(prepared.used);
        let shown = || prepared.shown.unwrap_or_else(|| echo::shown(&answer));
        let echoes = echo::echoes(&mut self.learnt, &answer, &varying, shown, |text| self.ground.template(text));
        script.echo(echoes, &self.ground.ids);
        echo::note(&mut self.learnt, &stated, prepared.states, number);
        let is_alone = script.echoes_itself_only() && self.is_told(loose, script.rows());
        self.traits.push(prepared.traits | if is_alone { ALONE } else { 0 });
        let (loose_key, loose_filling) = (prepared.loose, loose.to_vec());
        let (took, request) = (prepared.took, prepared.request);
        Played { took, marks, script, stated, loose_key, loose_filling, varying, request }
    }

    /// Compiles the next exchange to the bytes by which it is kept, in the stead of what was in `packed`. One that is known by
    /// its form, and shows what an earlier one may have stated, is [prepared](Preparer) by itself first.
    ///
    /// # Errors
    /// When that cannot be done.
    pub fn pack<E>(
        &mut self,
        ready: Ready,
        packed: &mut Vec<u8>,
        prepare: impl FnOnce(usize) -> Result<Prepared, E>,
    ) -> Result<(), E> {
        match ready {
            Ready::Known(known) if known.form.is_silent(&self.learnt) => self.add_known(*known, packed),
            Ready::Known(_) => self.add(prepare(self.traits.len() + 1)?).pack(packed),
            Ready::New(prepared) => self.add(*prepared).pack(packed),
        }
        Ok(())
    }

    fn add_known(&mut self, mut known: Known, packed: &mut Vec<u8>) {
        let (number, form) = (self.number(), Arc::clone(&known.form));
        let rows = |numbers| known.rows(numbers).collect::<SmallVec<[Row; 8]>>();
        let (exact, shown) = (rows(&form.filling), rows(&form.shown));
        let loose = &exact[..form.compared];
        self.note_ids(number, &exact, &rows(&form.named), &shown);
        self.shapes.add(known.exact, known.loose, &exact, form.compared);
        self.note_shared(loose, &shown);
        let is_compared = self.file(&form.address, number);
        known.pack(is_compared, packed);
        echo::note(&mut self.learnt, &form.stated, known.states, number);
        // No answer that is known by a form repeats an earlier request.
        let is_alone = self.is_told(loose, shown.iter().copied());
        self.traits.push(form.traits | if is_alone { ALONE } else { 0 });
    }

    /// The number of the next exchange.
    fn number(&self) -> u32 {
        shapes::number(self.traits.len())
    }

    /// Notes which ids stand in an exchange, and where they came from.
    fn note_ids(&mut self, number: u32, asked: &[u32], named: &[Row], shown: &[Row]) {
        self.note_origins(number, asked, shown);
        for row in named.iter().chain(shown) {
            self.seen.insert(*row);
            self.named.insert(*row);
        }
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
        let Ground { ids, rules } = Arc::unwrap_or_clone(self.ground);
        if let Some(unused) = (0..).take(ids.len()).find(|row| !self.named.contains(*row)) {
            return Err(ids::Fault::Unused(ids.placeholder(unused)).into());
        }
        self.literals.shrink();
        let asked = |origin: u32| origin != NO_EXCHANGE && origin & ASKED != 0;
        let origins = || self.origins.iter().copied();
        let minters = origins().map(|origin| if asked(origin) { NO_EXCHANGE } else { origin }).collect();
        let first_asked = origins().map(|origin| if asked(origin) { origin ^ ASKED } else { NO_EXCHANGE }).collect();
        drop(self.origins);
        let [exact, loose] = self.shapes.done();
        let tables = Tables {
            ids,
            literals: self.literals,
            exchanges,
            traits: self.traits,
            minters,
            shared: self.shared,
            first_asked,
            exact,
            loose,
            routes: self.routes,
            paths: self.paths,
            used: self.used,
            readings: ReadingCache::default(),
        };
        Ok(Index { tables: Arc::new(tables), mint, rules })
    }

    /// What fills the blanks of a shape, as numbers.
    fn filling(&mut self, slots: &[Slot]) -> Vec<u32> {
        let literals = &mut self.literals;
        let mut literal = |id: &Id| LITERAL | literals.find(id).unwrap_or_else(|| added(literals.add(&id.to_string())));
        let number = |slot: &Slot| match slot {
            Slot::Id(row) => *row,
            Slot::Literal(id) => literal(id),
        };
        slots.iter().map(number).collect()
    }

    /// Notes which ids this exchange minted: those that its answer shows and nothing showed before.
    fn note_origins(&mut self, number: u32, asked: &[u32], shown: &[Row]) {
        for row in rows(asked) {
            if self.seen.insert(row) {
                self.origins[row as usize] = ASKED | number;
            }
        }
        for row in shown {
            if self.seen.insert(*row) {
                self.origins[*row as usize] = number;
            }
        }
    }

    /// Whether what the next exchange is asked with tells all ids that it shows.
    fn is_told(&self, asked: &[u32], mut shown: impl Iterator<Item = Row>) -> bool {
        let number = self.number();
        let is_sealed = |row: Row| self.origins[row as usize] == number && self.ground.ids.is_upper(row).is_some();
        // Of one with many ids it is not worth while to find out.
        asked.len() <= FEW && shown.all(|row| asked.contains(&row) || is_sealed(row))
    }

    /// Notes the ids that an answer shows without what they were minted with. Those that it shows are all minted by
    /// now, if they ever are.
    fn note_shared(&mut self, asked: &[u32], shown: &[Row]) {
        // Most are asked for, or made by what they are asked with.
        let number = self.number();
        let is_near = |row: &Row| self.origins[*row as usize] == number || asked.contains(row);
        if asked.len() <= FEW && shown.iter().all(is_near) {
            return;
        }
        let mut known: HashMap<Row, bool> = rows(asked).map(|row| (row, true)).collect();
        for row in shown {
            if !self.can_be_derived(*row, &mut known) {
                self.shared.insert(*row);
            }
        }
    }

    /// Whether the ids that a row was minted with are known, as `known` has it; given ones only by the request itself.
    fn can_be_derived(&self, row: Row, known: &mut HashMap<Row, bool>) -> bool {
        if let Some(&known) = known.get(&row) {
            return known;
        }
        let can = match self.origins[row as usize] {
            // A given id says of itself what it is, and is not derived: but nothing can be derived from it here.
            given if given & ASKED != 0 => false,
            minter => rows(self.shapes.loose_filling(minter)).all(|row| self.can_be_derived(row, known)),
        };
        known.insert(row, can);
        can
    }

    /// Files an exchange under its address, and tells whether it is among those of its route that a miss compares.
    fn file(&mut self, address: &Address, number: u32) -> bool {
        let file = |addresses: &mut BTreeMap<Key, Vec<u32>>, key| {
            let filed = addresses.entry(key).or_default();
            let first = filed.len() < COMPARED;
            filed.extend(first.then_some(number));
            first
        };
        file(&mut self.paths, address.names);
        file(&mut self.routes, address.route)
    }
}

/// Marks the first exchange that asked for an id that none showed before; what has no origin is marked so too.
const ASKED: u32 = 1 << 31;

/// Up to so many ids are looked through one by one.
const FEW: usize = 16;

fn added(number: Result<u32, u32>) -> u32 {
    number.unwrap_or_else(|same| same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_finds_what_the_index_that_is_played_tells() {
        let entry = |config: &str, text: &str| {
            format!(
                r#"{{"request":{{"method":"POST","url":"https://graph.microsoft.com/beta/configs/{config}/a","body":{{"json":{{"of":"{{{{b.1}}}}","at":"{text}"}}}}}},
                "response":{{"status":201,"body":{{"json":{{"id":"{{{{a.1}}}}"}}}}}}}}"#
            )
        };
        let ids = r#""a.1":"0385114b-b48f-4800-a046-f249eaba24b1","b.1":"72889532-1029-4901-91f0-05454c445d59","c.1":"7e323db2-3db2-7e32-b23d-327eb23d327e","c.2":"020286da-41c6-4700-8e2b-822e444187c3""#;
        let text =
            |entries: &[String]| format!(r#"{{"graphdeck":1,"ids":{{{ids}}},"exchanges":[{}]}}"#, entries.join(","));
        let [one, other] = [entry("{{c.1}}", "x"), entry("{{c.2}}", "x")];
        for (entries, told) in [
            (vec![one.clone(), other.clone(), one.clone()], Ok(vec![(1, 2)])),
            (vec![one.clone(), entry("{{c.2}}", "y")], Ok(Vec::new())),
            (vec![one.clone()], Err("the id `c.2` is in no exchange")),
        ] {
            let cassette = Cassette::parse(&text(&entries));
            let Ok(cassette) = cassette else { panic!("{:?}", cassette.err()) };
            let ground = Arc::new(Ground::new(cassette.ids.clone(), false, Rules::default()));
            let (mut preparer, mut compiler) =
                (Preparer::new(Arc::clone(&ground)), Compiler::for_checking(ground, entries.len()));
            for (number, entry) in (1..).zip(&cassette.entries) {
                compiler.check(&preparer.prepare(entry, Vec::new(), number).unwrap());
            }
            drop(preparer);
            let mint = || Mint::new("", &[0; 32]);
            let checked = compiler.done(Exchanges::default(), mint());
            let compiled = Index::new(cassette, Rules::default(), mint());
            let [checked, compiled] = [checked, compiled].map(|index| match index {
                Ok(index) => Ok((index.told_apart_by_order(), index.len())),
                Err(fault) => Err(fault.to_string()),
            });
            assert_eq!(checked, compiled);
            match (checked, told) {
                (Ok((found, _)), Ok(told)) => assert_eq!(found, told),
                (found, told) => {
                    assert!(found.as_ref().err().is_some_and(|why| why.contains(told.clone().unwrap_err())))
                }
            }
        }
    }
}
