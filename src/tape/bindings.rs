//! What one session has settled: which live id stands for which placeholder, and what was played how often.

use super::guid::Guid;
use super::ids::Row;
use super::matching::{Key, Token};
use std::collections::HashMap;

/// The state of a session. It only grows: a live id that stands for a placeholder does so to the end.
#[derive(Debug, Default)]
pub struct Bindings {
    rows: HashMap<Guid, Row>,
    first_live: HashMap<Row, String>,
    plays: HashMap<(Key, u32), u32>,
    played: HashMap<u32, u32>,
    begins: HashMap<Key, usize>,
}

impl Bindings {
    /// The placeholder that a live id stands for.
    #[must_use]
    pub fn row(&self, live: Guid) -> Option<Row> {
        self.rows.get(&live).copied()
    }

    /// The first live id that stood for a placeholder, as its client spelled it.
    #[must_use]
    pub fn live(&self, row: Row) -> Option<&str> {
        self.first_live.get(&row).map(String::as_str)
    }

    /// Settles that `token` stands for `row` from now on.
    pub fn bind(&mut self, token: &Token, row: Row) {
        self.rows.insert(token.guid, row);
        self.first_live.entry(row).or_insert_with(|| token.spelled.clone());
    }

    /// How often `exchange` answered this very request.
    #[must_use]
    pub fn plays(&self, request: Key, exchange: u32) -> u32 {
        self.plays.get(&(request, exchange)).copied().unwrap_or(0)
    }

    /// How often `exchange` answered any request.
    #[must_use]
    pub fn played(&self, exchange: u32) -> u32 {
        self.played.get(&exchange).copied().unwrap_or(0)
    }

    /// The number of exchanges that answered at least once.
    #[must_use]
    pub fn distinct_played(&self) -> usize {
        self.played.len()
    }

    /// How many groups of a shape, from the first on, were played: a search for one that was not begins after them.
    pub fn begin(&mut self, shape: Key) -> &mut usize {
        self.begins.entry(shape).or_default()
    }

    /// Counts one more play.
    pub fn count(&mut self, request: Key, exchange: u32) {
        *self.plays.entry((request, exchange)).or_default() += 1;
        *self.played.entry(exchange).or_default() += 1;
    }
}
