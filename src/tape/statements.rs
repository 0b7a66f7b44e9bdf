//! What the requests of a cassette stated, while it is made ready, and which of it later answers repeat.

use super::finder::Finder;
use super::matching::Key;
use super::row_set::RowSet;
use super::shapes::{hash, number};

/// The statements of the exchanges so far: some 30 bytes for each.
#[derive(Debug, Default)]
pub(super) struct Statements {
    facts: Vec<Key>,
    by_key: Finder,
    /// For each fact the last statement of it.
    last: Vec<u32>,
    /// For each statement its exchange, and the statement of the same fact before it; of the first one itself.
    statements: Vec<[u32; 2]>,
    /// The exchanges that stated what a later answer repeats.
    heard: RowSet,
}

impl Statements {
    /// Notes what an exchange stated.
    pub(super) fn note(&mut self, stated: Vec<Key>, exchange: u32) {
        for key in stated {
            let statement = number(self.statements.len());
            let fact = self.find(key);
            let before = fact.map_or(statement, |fact| std::mem::replace(&mut self.last[fact as usize], statement));
            self.statements.push([exchange, before]);
            if fact.is_none() {
                self.facts.push(key);
                self.last.push(statement);
                let facts = &self.facts;
                self.by_key.add(number(facts.len() - 1), |fact| hash(facts[fact as usize]));
            }
        }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.statements.is_empty()
    }

    fn find(&self, key: Key) -> Option<u32> {
        self.by_key.find(hash(key), |fact| self.facts[fact as usize] == key)
    }

    /// Notes that a fact is repeated, and by that all statements of it; whether there are any.
    pub(super) fn hear(&mut self, key: Key) -> bool {
        let Some(fact) = self.find(key) else { return false };
        let last = self.last[fact as usize];
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
