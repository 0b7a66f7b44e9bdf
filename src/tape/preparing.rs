//! Exchanges are prepared, so that many can be at once: by themselves, or by one of their form before.

use super::adapting::{self, Waits};
use super::address::Addresses;
use super::cassette::{Entry, Fault};
use super::compact::unindented;
use super::echo;
use super::form::{Form, Known};
use super::forming;
use super::forms::Forms;
use super::index::COMPARED;
use super::leaf::Leaf;
use super::matching::{self, Applied, Key, Reading};
use super::prepared::{Filed, prepared};
pub use super::prepared::{Ground, Prepared};
use super::scribe;
use super::script::Fields;
use super::streaming;
use smol_str::SmolStr;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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
