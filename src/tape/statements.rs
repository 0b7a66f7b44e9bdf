//! What the requests of a cassette stated, while it is made ready, and which of it later answers repeat.

use super::finder::Finder;
use super::matching::Key;
use super::row_set::RowSet;
use super::shapes::{hash, number};
use smol_str::SmolStr;
use std::collections::BTreeSet;

/// Marks a fact that was stated more than once: then its entry tells its last statement.
const MANY: u32 = 1 << 31;

/// The statements of the exchanges so far: some 30 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Statements {
    facts: Vec<Key>,
    by_key: Finder,
    /// For each fact the exchange that stated it, or the last of several statements.
    last: Vec<u32>,
    /// For each of several its exchange, and the statement of the same fact before it; of the first one itself.
    statements: Vec<[u32; 2]>,
    /// The exchanges that stated what a later answer repeats.
    heard: RowSet,
    /// The names of members that something was stated of: there are few.
    names: BTreeSet<SmolStr>,
}

impl Statements {
    /// Makes room for statements of so many exchanges.
    pub(super) fn expect(&mut self, exchanges: usize) {
        self.facts.reserve(exchanges);
        self.by_key = Finder::expecting(exchanges);
        self.last.reserve(exchanges);
    }

    /// Notes what an exchange stated.
    pub(super) fn note(&mut self, stated: Vec<Key>, exchange: u32) {
        for key in stated {
            let Some(fact) = self.find(key) else {
                self.facts.push(key);
                self.last.push(exchange);
                let facts = &self.facts;
                self.by_key.add(number(facts.len() - 1), |fact| hash(facts[fact as usize]));
                continue;
            };
            let last = self.last[fact as usize];
            let before = if last & MANY == 0 { self.several(last, None) } else { last ^ MANY };
            self.last[fact as usize] = MANY | self.several(exchange, Some(before));
        }
    }

    /// Adds one of several statements, after the one before.
    fn several(&mut self, exchange: u32, before: Option<u32>) -> u32 {
        let statement = number(self.statements.len());
        self.statements.push([exchange, before.unwrap_or(statement)]);
        statement
    }

    /// Notes the name of a member that something was stated of.
    pub(super) fn note_name(&mut self, name: &str) {
        if !self.has_name(name) {
            self.names.insert(name.into());
        }
    }

    /// Whether anything was stated of a member of this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// How many members have something stated of them, by name.
    pub(super) fn names(&self) -> usize {
        self.names.len()
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }

    fn find(&self, key: Key) -> Option<u32> {
        self.by_key.find(hash(key), |fact| self.facts[fact as usize] == key)
    }

    /// Notes that a fact is repeated, and by that all statements of it; whether there are any.
    pub(super) fn hear(&mut self, key: Key) -> bool {
        let Some(fact) = self.find(key) else { return false };
        let last = self.last[fact as usize];
        if last & MANY == 0 {
            self.heard.insert(last);
            return true;
        }
        let last = last ^ MANY;
        let mut statement = last;
        loop {
            let [exchange, before] = self.statements[statement as usize];
            self.heard.insert(exchange);
            if before == statement {
                break;
            }
            statement = before;
        }
        // What was heard once need not be gone through again.
        self.statements[last as usize][1] = last;
        true
    }

    /// Whether a later answer repeats what an exchange stated.
    pub(super) fn is_heard(&self, exchange: u32) -> bool {
        self.heard.contains(exchange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fact_is_heard_of_all_who_stated_it_before_whatever_else_they_stated() {
        let mut learnt = Statements::default();
        let [one, other] = [1, 2].map(|said| Key([said; 16]));
        learnt.note(vec![other], 0);
        learnt.note(vec![one, other], 1);
        assert!(learnt.hear(one) && !learnt.hear(Key([3; 16])));
        assert_eq!([0, 1].map(|exchange| learnt.is_heard(exchange)), [false, true]);
        assert!(learnt.hear(other));
        learnt.note(vec![other], 2);
        learnt.note(vec![other], 3);
        assert_eq!([0, 1, 2, 3].map(|exchange| learnt.is_heard(exchange)), [true, true, false, false]);
        assert!(learnt.hear(other));
        assert_eq!([2, 3, 4].map(|exchange| learnt.is_heard(exchange)), [true, true, false]);
    }
}
