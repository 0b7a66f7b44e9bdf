//! What one session has settled: which live id stands for which placeholder, and what was played how often.

use super::bound_ids::{Bound, BoundIds, First, Play};
use super::echo::Said;
use super::guid::Guid;
use super::id::{Id, Written};
use super::ids::Row;
use super::lexicon::Lexicon;
use super::matching::{Key, Token};
use super::paged::Paged;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The state of a session. It only grows: a live id that stands for a placeholder does so to the end.
///
/// What grows with each new id or request is kept in tables that are never much larger than what is in them.
#[derive(Debug, Default)]
pub struct Bindings {
    guids: BoundIds,
    /// For each text its row, and the digest of what it was derived from; none for a given one.
    texts: HashMap<Box<str>, (Row, Option<[u8; 32]>)>,
    lexicon: Lexicon,
    first_live: Paged<Live, 4>,
    /// The plays that came once, but for those that are kept with an id.
    once: BTreeSet<Play>,
    /// How often those were played that were played more than once.
    again: BTreeMap<Play, u32>,
    played: Paged<Plays, 64>,
    /// How many exchanges answered.
    distinct: usize,
    /// How many requests came.
    asked: u64,
    begins: BTreeMap<(bool, Key), usize>,
    pub(super) said: Said,
}

/// The first live id that stood for a placeholder, as its client spelled it. Most are GUIDs in one case, and take no memory
/// of their own.
#[derive(Debug, Default)]
enum Live {
    #[default]
    None,
    Lower([u8; 16]),
    Upper([u8; 16]),
    Other(Box<str>),
}

impl Live {
    fn of(spelled: &str) -> Self {
        let guid = Guid::parse(spelled);
        match guid.map(|guid| (guid, guid.0.to_le_bytes())) {
            Some((guid, bits)) if *guid.text() == *spelled => Self::Lower(bits),
            Some((guid, bits)) if *guid.upper_text() == *spelled => Self::Upper(bits),
            _ => Self::Other(spelled.into()),
        }
    }

    fn written(&self) -> Option<Written<'_>> {
        let guid = |bits: &[u8; 16]| Guid(u128::from_le_bytes(*bits));
        match self {
            Self::None => None,
            Self::Lower(bits) => Some(Written::Short(guid(bits).text())),
            Self::Upper(bits) => Some(Written::Short(guid(bits).upper_text())),
            Self::Other(text) => Some(Written::Long((&**text).into())),
        }
    }
}

/// How often an exchange answered, and which request it answered last, as far as these numbers go.
#[derive(Debug, Default)]
struct Plays {
    count: u32,
    last: u32,
}

impl Play {
    fn of(request: Key, exchange: u32) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = request.0;
        Self([u32::from_le_bytes([a, b, c, d]) ^ exchange, u32::from_le_bytes([e, f, g, h]) ^ exchange])
    }
}

impl Bindings {
    /// The placeholder that a live id stands for.
    #[must_use]
    pub fn row(&self, live: &Id) -> Option<Row> {
        self.bound(live).map(|bound| bound.row)
    }

    /// What is known of a live id.
    pub(super) fn bound(&self, live: &Id) -> Option<Bound> {
        match live {
            Id::Guid(guid) => self.guids.get(*guid),
            Id::Text(text) => self.texts.get(text).map(|(row, _)| Bound { row: *row, first: First::NONE }),
        }
    }

    /// The live texts that are ids wherever they stand.
    #[must_use]
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The first live id that stood for a placeholder, as its client spelled it.
    #[must_use]
    pub fn live(&self, row: Row) -> Option<Written<'_>> {
        self.first_live.get(row)?.written()
    }

    /// Settles that `token` stands for `row` from now on, and tells whether it is a new id.
    pub fn bind(&mut self, token: &Token, row: Row) -> bool {
        let new = self.know(&token.id, row, None);
        let first = self.first_live.get_mut(row);
        if matches!(first, Live::None) {
            *first = Live::of(&token.spelled);
        }
        new
    }

    /// What a text that was told to the client was derived from; `None` when it was not.
    #[must_use]
    pub fn origin(&self, text: &str) -> Option<[u8; 32]> {
        self.texts.get(text).and_then(|(_, origin)| *origin)
    }

    /// Settles that an id stands for `row` from now on, and tells whether it is a new one; `origin` is what it was derived
    /// from, if it was.
    pub fn know(&mut self, id: &Id, row: Row, origin: Option<[u8; 32]>) -> bool {
        match id {
            Id::Guid(guid) => self.guids.put(*guid, row),
            Id::Text(text) => {
                let new = !self.texts.contains_key(text);
                if new {
                    self.texts.insert(text.clone(), (row, origin));
                    self.lexicon.add(id);
                }
                new
            }
        }
    }

    /// How often `exchange` answered this very request; `bound` is what is known of its ids.
    pub(super) fn plays(&self, request: Key, exchange: u32, bound: &[Option<Bound>]) -> u32 {
        let play = Play::of(request, exchange);
        let first = First::of(play);
        let is_first = || bound.iter().flatten().any(|bound| bound.first == first) || self.once.contains(&play);
        self.again.get(&play).copied().unwrap_or_else(|| u32::from(is_first()))
    }

    /// How often `exchange` answered any request.
    #[must_use]
    pub fn played(&self, exchange: u32) -> u32 {
        self.played.get(exchange).map_or(0, |plays| plays.count)
    }

    /// The request, counted from 1, that `exchange` answered last.
    #[must_use]
    pub fn last_played(&self, exchange: u32) -> u64 {
        self.played.get(exchange).map_or(0, |plays| plays.last.into())
    }

    /// Counts a request that came.
    pub fn ask(&mut self) {
        self.asked += 1;
    }

    /// The number of exchanges that answered at least once.
    #[must_use]
    pub fn distinct_played(&self) -> usize {
        self.distinct
    }

    /// How many groups of a shape, from the first on, were played: a search for one that was not begins after them. With
    /// places `ignored` and without, a key may be of other groups.
    pub fn begin(&mut self, shape: Key, ignored: bool) -> &mut usize {
        self.begins.entry((ignored, shape)).or_default()
    }

    /// Counts one more play of a request that `exchange` answered so often; `new` is an id that it has bound.
    pub(super) fn count(&mut self, request: Key, exchange: u32, plays: u32, new: Option<Guid>) {
        let play = Play::of(request, exchange);
        if plays > 0 {
            self.again.insert(play, plays + 1);
        } else if !new.is_some_and(|guid| self.guids.set_first(guid, First::of(play))) {
            self.once.insert(play);
        }
        let plays = self.played.get_mut(exchange);
        self.distinct += usize::from(plays.count == 0);
        plays.count = plays.count.saturating_add(1);
        plays.last = u32::try_from(self.asked).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_live_id_is_told_as_it_was_spelled() {
        let guid = "7e323db2-3db2-7e32-b23d-327eb23d327e";
        let mut bindings = Bindings::default();
        for (row, spelled) in
            [&*guid.to_uppercase(), guid, "7E323db2-3db2-7e32-b23d-327eb23d327e", "a"].iter().enumerate()
        {
            let row = Row::try_from(row).unwrap();
            assert_eq!(bindings.live(row), None);
            for later in [spelled, "another"] {
                bindings.bind(&Token { id: Id::of(later), spelled: Written::of(later) }, row);
                assert_eq!(bindings.live(row).as_deref(), Some(*spelled));
            }
        }
        assert!(size_of::<Live>() <= 24);
    }
}
