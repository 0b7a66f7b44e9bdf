//! What one session has settled: which live id stands for which placeholder, and what was played how often.

use super::echo::Said;
use super::guid::Guid;
use super::id::Id;
use super::ids::Row;
use super::lexicon::Lexicon;
use super::matching::{Key, Token};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The state of a session. It only grows: a live id that stands for a placeholder does so to the end.
///
/// What grows with each new id or request is kept in trees, which are never much larger than what is in them.
#[derive(Debug, Default)]
pub struct Bindings {
    guids: BTreeMap<Guid, Row>,
    /// For each text its row, and the digest of what it was derived from; none for a given one.
    texts: HashMap<Box<str>, (Row, Option<[u8; 32]>)>,
    lexicon: Lexicon,
    first_live: BTreeMap<Row, String>,
    /// The digests of request and exchange that were played once.
    once: BTreeSet<u64>,
    /// How often those were played that were played more than once.
    again: BTreeMap<u64, u32>,
    /// How often each exchange answered, and which request it answered last.
    played: BTreeMap<u32, (u32, u64)>,
    /// How many requests came.
    asked: u64,
    begins: BTreeMap<Key, usize>,
    pub(super) said: Said,
}

impl Bindings {
    /// The placeholder that a live id stands for.
    #[must_use]
    pub fn row(&self, live: &Id) -> Option<Row> {
        match live {
            Id::Guid(guid) => self.guids.get(guid).copied(),
            Id::Text(text) => self.texts.get(text).map(|(row, _)| *row),
        }
    }

    /// The live texts that are ids wherever they stand.
    #[must_use]
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The first live id that stood for a placeholder, as its client spelled it.
    #[must_use]
    pub fn live(&self, row: Row) -> Option<&str> {
        self.first_live.get(&row).map(String::as_str)
    }

    /// Settles that `token` stands for `row` from now on.
    pub fn bind(&mut self, token: &Token, row: Row) {
        self.know(&token.id, row, None);
        self.first_live.entry(row).or_insert_with(|| token.spelled.clone());
    }

    /// What a text that was told to the client was derived from; `None` when it was not.
    #[must_use]
    pub fn origin(&self, text: &str) -> Option<[u8; 32]> {
        self.texts.get(text).and_then(|(_, origin)| *origin)
    }

    /// Settles that an id stands for `row` from now on; `origin` is what it was derived from, if it was.
    pub fn know(&mut self, id: &Id, row: Row, origin: Option<[u8; 32]>) {
        match id {
            Id::Guid(guid) => drop(self.guids.insert(*guid, row)),
            Id::Text(text) => {
                if !self.texts.contains_key(text) {
                    self.texts.insert(text.clone(), (row, origin));
                    self.lexicon.add(id);
                }
            }
        }
    }

    /// How often `exchange` answered this very request.
    #[must_use]
    pub fn plays(&self, request: Key, exchange: u32) -> u32 {
        let play = play(request, exchange);
        self.again.get(&play).copied().unwrap_or_else(|| u32::from(self.once.contains(&play)))
    }

    /// How often `exchange` answered any request.
    #[must_use]
    pub fn played(&self, exchange: u32) -> u32 {
        self.played.get(&exchange).map_or(0, |(count, _)| *count)
    }

    /// The request, counted from 1, that `exchange` answered last.
    #[must_use]
    pub fn last_played(&self, exchange: u32) -> u64 {
        self.played.get(&exchange).map_or(0, |(_, last)| *last)
    }

    /// Counts a request that came.
    pub fn ask(&mut self) {
        self.asked += 1;
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
        let play = play(request, exchange);
        if !self.once.insert(play) {
            *self.again.entry(play).or_insert(1) += 1;
        }
        let (count, last) = self.played.entry(exchange).or_default();
        *count += 1;
        *last = self.asked;
    }
}

/// A request and an exchange as one number. By chance two of a million requests share one in one of ten million runs;
/// one of them is then taken for a repeat.
fn play(request: Key, exchange: u32) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = request.0;
    u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ (u64::from(exchange) << 32 | u64::from(exchange))
}
