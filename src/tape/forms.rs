//! The forms of the exchanges before, by which most that follow are known.

use super::adapting::Waits;
use super::form::Form;
use super::forming;
use super::pattern::Filling;
use super::prepared::{Ground, Prepared};
use smol_str::SmolStr;
use std::collections::BTreeSet;
use std::sync::Arc;

/// How many forms are known at once: those that were of use last.
const MOST: usize = 24;
/// What it takes to make a form, what is earned by an exchange that is known by one and by any other, and how much can be
/// earned: where no exchange is like another, hardly any form is made.
const COST: u32 = 32;
const KNOWN: u32 = 8;
const OTHER: u32 = 1;
const ENOUGH: u32 = 512;

/// The forms that are known.
#[derive(Debug)]
pub(super) struct Forms {
    known: Vec<Arc<Form>>,
    earned: u32,
    /// Whether the cassette and the rules are such that exchanges are known by their forms.
    are_told: bool,
}

impl Forms {
    /// None yet, for a cassette with this ground.
    pub(super) fn of(ground: &Ground) -> Self {
        Self {
            known: Vec::new(),
            earned: ENOUGH,
            are_told: ground.ids.are_guids() && ground.rules.are_blind_to_guids(),
        }
    }

    /// The form of an exchange, and what stands in it.
    pub(super) fn find<'t>(&mut self, text: &'t [u8], ground: &Ground) -> Option<(Arc<Form>, Filling<'t>)> {
        let fits = |(at, form): (usize, &Arc<Form>)| form.fits(text, ground).map(|filling| (at, filling));
        let (at, filling) = self.known.iter().enumerate().find_map(fits)?;
        self.known[..=at].rotate_right(1);
        self.earned = (self.earned + KNOWN).min(ENOUGH);
        let form = &self.known[0];
        (!form.may_hear()).then(|| (Arc::clone(form), filling))
    }

    /// Makes the form of an exchange that was prepared, and keeps it; `stated` are the names of members that something was
    /// stated of.
    pub(super) fn keep(
        &mut self,
        text: &[u8],
        prepared: &Prepared,
        waits: Waits,
        ground: &Ground,
        stated: &BTreeSet<SmolStr>,
    ) {
        self.earned = (self.earned + OTHER).min(ENOUGH);
        if !self.are_told || self.earned < COST {
            return;
        }
        self.earned -= COST;
        let form = std::str::from_utf8(text).ok().and_then(|text| forming::of(text, prepared, waits, ground));
        // What may repeat an earlier statement is looked at by itself.
        if let Some(form) = form.filter(|form| !form.shows(stated)) {
            // Behind those that have been of use.
            self.known.truncate(MOST - 1);
            self.known.insert(self.known.len().min(MOST / 2), form);
        }
    }
}
