//! What can be said of a recorded exchange by itself, so that many can be prepared at once.

use super::adapting::{self, Waits};
use super::address::{Address, Addresses};
use super::cassette::{Entry, Fault};
use super::compact::unindented;
use super::echo::{self, Shown, Stated};
use super::exchange::Request;
use super::form::{Form, Known};
use super::forming;
use super::forms::Forms;
use super::id::Id;
use super::ids::{Ids, Row};
use super::index::{COMPARED, CREATES, READS, Slot, TIMED};
use super::leaf::Leaf;
use super::matching::{self, Applied, Key, Reading, Rules, Varying};
use super::scribe::{self, Read};
use super::script::{Fields, Script};
use super::streaming;
use super::template::Template;
use super::walk;
use bytes::Bytes;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What the exchanges of a cassette are compiled by: its ids, and the rules by which its requests are read.
#[derive(Clone, Debug)]
pub struct Ground {
    pub(super) ids: Ids,
    pub(super) rules: Rules,
}

impl Ground {
    /// The ground of a cassette with these ids; `people` is whether it is pseudonymous.
    #[must_use]
    pub fn new(ids: Ids, people: bool, rules: Rules) -> Self {
        Self { ids, rules: rules.for_people(people) }
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

    /// A text of the recording, with slots for its ids.
    pub(super) fn template(&self, text: &str) -> Template<Row> {
        if let Some(row) = self.ids.find(&Id::of(text)) {
            return Template::of_id(row);
        }
        let text = self.ids.to_tape(text);
        Template::parse(&text, |placeholder| self.ids.row(placeholder)).expect("what was written is read")
    }
}

/// An exchange that only its place among the others is still to be found for.
#[derive(Debug)]
pub struct Prepared {
    pub(super) script: Script,
    pub(super) took: Option<u64>,
    /// The ids that placeholders of its request name.
    pub(super) named: Vec<Row>,
    pub(super) exact: Key,
    pub(super) loose: Key,
    /// What fills the blanks of its exact shape, and how many of them are the loose one's.
    pub(super) filling: Vec<Slot>,
    pub(super) compared: usize,
    pub(super) varying: Vec<Varying>,
    pub(super) traits: u8,
    pub(super) address: Address,
    pub(super) marks: Box<[u32]>,
    /// Which rules of the user's own have something in it, and where, as far as that was not told before.
    pub(super) used: Vec<(usize, String)>,
    pub(super) answer: Bytes,
    /// The values that its answer shows, where they are known to be of use.
    pub(super) shown: Option<Shown>,
    pub(super) states: Vec<Key>,
    pub(super) stated: Stated<Template<Row>>,
    pub(super) request: Vec<u8>,
}

/// Prepares exchanges of a cassette in recorded order, all or some of them.
#[derive(Debug)]
pub struct Preparer {
    ground: Arc<Ground>,
    /// How many exchanges of each route there were: who had so many that none is compared any more is past those that are.
    routes: BTreeMap<Key, usize>,
    used: BTreeSet<(usize, String)>,
    addresses: Addresses,
    fields: Fields,
    /// The names of the members that something was stated of which a later exchange may repeat.
    stated: BTreeSet<SmolStr>,
    forms: Forms,
}

/// The address of an exchange, the marks of its request, and which rules of the user's own it is the first to show
/// something of.
type Filed = (Address, Box<[u32]>, Vec<(usize, String)>);

/// An exchange made ready to be compiled.
#[derive(Debug)]
pub enum Ready {
    /// By itself.
    New(Box<Prepared>),
    /// By one of its form that came before.
    Known(Box<Known>),
}

/// Why the text of an exchange cannot be used.
#[derive(Debug)]
pub enum Unread {
    /// It is none.
    Text(streaming::Fault),
    /// What it says cannot be used.
    Entry(Fault),
}

impl From<streaming::Fault> for Unread {
    fn from(fault: streaming::Fault) -> Self {
        Self::Text(fault)
    }
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Entry(fault)
    }
}

impl Preparer {
    /// Prepares exchanges of a cassette with this ground.
    #[must_use]
    pub fn new(ground: Arc<Ground>) -> Self {
        let (forms, addresses, fields) = (Forms::of(&ground), Addresses::default(), Fields::kept());
        let (routes, used, stated) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { ground, routes, used, addresses, fields, stated, forms }
    }

    /// Prepares an exchange; `number`, counted from 1, is what an error calls it, and `request_text` its request as JSON.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn prepare(&mut self, entry: &Entry, request_text: Vec<u8>, number: usize) -> Result<Prepared, Fault> {
        let ground = Arc::clone(&self.ground);
        let read = scribe::read(entry, &ground.ids, number, &mut self.fields)?;
        let stated = !self.stated.is_empty();
        let with_shown = |reading: &Reading| stated || !reading.varying.is_empty();
        let prepared =
            prepared(&ground, read, entry, request_text, with_shown, |leaves, applied| self.file(leaves, applied));
        self.stated.extend(echo::names(&prepared.stated).map(SmolStr::from));
        Ok(prepared)
    }

    /// Prepares an exchange by its text; `number`, counted from 1, is what an error calls it, and `waits` says how long
    /// answers tell programs to wait.
    ///
    /// # Errors
    /// When it cannot be used, or is none.
    pub fn prepare_text(&mut self, text: &[u8], waits: Waits, number: usize) -> Result<Prepared, Unread> {
        let (mut entry, request) = streaming::entry(text)?;
        adapting::adapt(std::slice::from_mut(&mut entry), waits);
        Ok(self.prepare(&entry, unindented(request), number)?)
    }

    /// Makes an exchange ready by its text, by one of its form before where there was one.
    ///
    /// # Errors
    /// When it cannot be used, or is none.
    pub fn ready(&mut self, text: &[u8], waits: Waits, number: usize) -> Result<Ready, Unread> {
        if let Some(known) = self.recall(text) {
            debug_assert!(forming::agrees(&known, &self.apart(text, waits), &self.ground), "exchange {number}");
            return Ok(Ready::Known(Box::new(known)));
        }
        let prepared = self.prepare_text(text, waits, number)?;
        self.forms.keep(text, &prepared, waits, &self.ground, &self.stated);
        Ok(Ready::New(Box::new(prepared)))
    }

    /// An exchange by one of its form before.
    fn recall(&mut self, text: &[u8]) -> Option<Known> {
        let (form, filling) = self.forms.find(text, &self.ground)?;
        let filed = self.routes.entry(form.address.route).or_default();
        *filed += 1;
        Some(Form::known(&form, &filling, &self.ground.ids, *filed <= COMPARED))
    }

    /// An exchange that was recalled, as it would have been prepared.
    fn apart(&self, text: &[u8], waits: Waits) -> Prepared {
        let routes = self.routes.iter().map(|(route, filed)| (*route, filed - 1)).collect();
        let mut other = Self { routes, used: self.used.clone(), ..Self::new(Arc::clone(&self.ground)) };
        other.prepare_text(text, waits, 1).expect("one of its form was prepared")
    }

    /// The address of an exchange, by what misses see how near it is, and which rules of the user's own it is the first
    /// to show something of.
    fn file(&mut self, mut leaves: Vec<Leaf<'_>>, applied: &Applied<'_>) -> Filed {
        let Ground { ids, rules } = &*self.ground;
        let address = self.addresses.of(&leaves);
        let mut used = Vec::new();
        for (rule, own) in &applied.own {
            let covered = leaves.iter().filter_map(|leaf| own.names(&leaf.place));
            used.extend(covered.chain([String::new()]).map(|place| (*rule, place)));
        }
        used.retain(|one| !self.used.contains(one));
        self.used.extend(used.iter().cloned());
        let filed = self.routes.entry(address.route).or_default();
        *filed += 1;
        let mut marks = Box::default();
        if *filed <= COMPARED {
            leaves.retain(|leaf| applied.ignores(&leaf.place).is_none());
            marks = matching::marks(&leaves, rules, &[ids.lexicon()]);
        }
        (address, marks, used)
    }
}

/// What can be said of an exchange that was read; `with_shown` tells whether what its answer shows is of use, and `file` is
/// given the values of its request.
pub(super) fn prepared(
    ground: &Ground,
    read: Read,
    entry: &Entry,
    request_text: Vec<u8>,
    with_shown: impl FnOnce(&Reading) -> bool,
    file: impl FnOnce(Vec<Leaf<'_>>, &Applied<'_>) -> Filed,
) -> Prepared {
    let Ground { ids, rules } = ground;
    let answer = read.script.recorded_body(ids);
    let request = scribe::tape_request(read.request, rules.secrets());
    let applied = rules.applied(&request);
    let leaves = walk::leaves(&request, &applied.view);
    let reading = Reading::of_leaves(&leaves, &applied, rules, &[ids.lexicon()]);
    let filling = slots(&reading, ids);
    let mut script = read.script;
    script.respell(ids, &asked(&reading, &filling));
    let (address, marks, used) = file(leaves, &applied);
    let mut shown = with_shown(&reading).then(|| echo::shown(&answer));
    let id = shown.as_mut().and_then(|shown| shown.id.take());
    let stated = echo::stated(&request, id, &reading.varying);
    let compared = reading.loose().tokens.len();
    Prepared {
        traits: traits(&request, &script, entry),
        script,
        took: entry.took,
        named: read.rows,
        exact: reading.exact().key,
        loose: reading.loose().key,
        filling,
        compared,
        varying: reading.varying,
        address,
        marks,
        used,
        answer,
        shown,
        states: echo::keys(&stated),
        stated: echo::with_ids(stated, |text| ground.template(text)),
        request: request_text,
    }
}

/// What fills the blanks of a request's exact shape.
fn slots(reading: &Reading, ids: &Ids) -> Vec<Slot> {
    let slot = |id: &Id| ids.find(id).map_or_else(|| Slot::Literal(id.clone()), Slot::Id);
    reading.exact().tokens.iter().map(|token| slot(&token.id)).collect()
}

/// How a request spelled the ids in it.
fn asked<'r>(reading: &'r Reading, filling: &[Slot]) -> HashMap<Row, &'r str> {
    let tokens = reading.exact().tokens.iter().zip(filling);
    let spelled = tokens.filter_map(|(token, slot)| match slot {
        Slot::Id(row) => Some((*row, &*token.spelled)),
        Slot::Literal(_) => None,
    });
    spelled.collect()
}

fn traits(request: &Request, script: &Script, entry: &Entry) -> u8 {
    let creates = if request.method == "POST" && script.status() == 201 { CREATES } else { 0 };
    let reads = if matches!(request.method.as_str(), "GET" | "HEAD") { READS } else { 0 };
    let timed = if entry.took.is_some() { TIMED } else { 0 };
    creates | reads | timed
}
