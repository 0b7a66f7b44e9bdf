//! Compiled exchanges: held in memory, or kept outside it and read when they are played.

use super::echo::Stated;
use super::ids::Row;
use super::lent::Lent;
use super::matching::{Key, Varying};
use super::pattern::Packing;
use super::script::Script;
use super::template::Template;
use bytes::Bytes;
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};

/// An exchange, compiled: what is packed, in this order, and read where it stands.
#[derive(Debug, Serialize)]
pub struct Played {
    /// By how many values requests are near it; none where many others have its route.
    #[serde(serialize_with = "raw::numbers")]
    pub(super) marks: Box<[u32]>,
    /// Its request as it stands in the cassette, as JSON: for misses and reports.
    #[serde(serialize_with = "raw::bytes")]
    pub(super) request: Vec<u8>,
    /// How long it took in milliseconds, where that was recorded.
    pub(super) took: Option<u64>,
    pub(super) loose_key: Key,
    /// What fills the blanks of its shape, as in [`super::shapes::Shapes`].
    pub(super) loose_filling: Vec<u32>,
    pub(super) script: Script,
    /// What it said at ignored places.
    pub(super) varying: Vec<Varying>,
    /// What its request states that another answer may repeat.
    pub(super) stated: Stated<Template<Row>>,
}

impl Played {
    /// The bytes by which it is kept.
    #[must_use]
    pub fn packed(&self) -> Vec<u8> {
        let mut packed = Vec::new();
        self.pack(&mut packed);
        packed
    }

    /// Writes the bytes by which it is kept, in the stead of what was in `packed`.
    pub fn pack(&self, packed: &mut Vec<u8>) {
        with_sum(packed, |packed| Packing::Bytes(packed).pack(self));
    }
}

/// Whether the bytes of a packed exchange are those that were packed.
pub(super) fn is_whole(packed: &[u8]) -> bool {
    packed.split_first_chunk().is_some_and(|(sum, rest)| crc32fast::hash(rest) == u32::from_le_bytes(*sum))
}

/// What is many bytes, packed in one go.
mod raw {
    use serde::Serializer;

    pub(super) fn bytes<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(bytes)
    }

    pub(super) fn numbers<S: Serializer>(numbers: &[u32], to: S) -> Result<S::Ok, S::Error> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
        to.serialize_bytes(&bytes)
    }
}

/// How long the checksum before a packed exchange is.
const SUM: usize = 4;

/// What is written, behind its checksum, in the stead of what was in `packed`.
pub(super) fn with_sum(packed: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    packed.clear();
    packed.extend_from_slice(&[0; SUM]);
    write(packed);
    let sum = crc32fast::hash(&packed[SUM..]).to_le_bytes();
    packed[..SUM].copy_from_slice(&sum);
}

/// Where packed exchanges are kept outside memory.
pub trait Shelf: Send + Sync {
    /// The bytes in a range; none where they cannot be had.
    fn read(&self, range: Range<u64>) -> Option<Vec<u8>>;

    /// Told when bytes are not those that were kept.
    fn damaged(&self);
}

impl fmt::Debug for dyn Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf")
    }
}

/// An exchange that is kept outside memory is not what it was: what was checked when it was made has changed under a run.
#[derive(Debug, PartialEq, Eq)]
pub struct Damaged;

/// Runs what looks at exchanges, and tells when one of them is damaged: no answer is better than a wrong one. They are
/// looked at in many places, and it happens to hardly anybody, so it unwinds up to here, and is no panic.
///
/// # Errors
/// When an exchange is damaged.
pub fn whole<T>(run: impl FnOnce() -> T) -> Result<T, Damaged> {
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    outcome.map_err(|cause| cause.downcast().map_or_else(|other| panic::resume_unwind(other), |damaged| *damaged))
}

/// Exchanges that are kept outside memory.
#[derive(Debug)]
pub struct Kept {
    shelf: Box<dyn Shelf>,
    /// Where each begins; one more tells where the last ends.
    pub(super) from: Vec<u64>,
}

impl Kept {
    /// Exchanges on a shelf, each of which begins where `from` says; the last one ends there.
    #[must_use]
    pub fn new(shelf: Box<dyn Shelf>, from: Vec<u64>) -> Self {
        Self { shelf, from }
    }

    /// All of them, in memory; none where one is not as it was kept.
    pub(super) fn all(&self) -> Option<Held> {
        let (Some(first), Some(last)) = (self.from.first(), self.from.last()) else { return Some(Held::default()) };
        let held = Held { packed: self.shelf.read(*first..*last)?.into(), from: self.from.clone() };
        let are_whole = (0..).take(held.len()).all(|exchange| is_whole(&held.packed[held.range(exchange)]));
        are_whole.then_some(held)
    }

    fn get(&self, exchange: u32) -> Bytes {
        let range = self.from[exchange as usize]..self.from[exchange as usize + 1];
        let Some(read) = self.shelf.read(range).filter(|read| is_whole(read)) else {
            self.shelf.damaged();
            panic::resume_unwind(Box::new(Damaged));
        };
        read.into()
    }
}

/// Exchanges in memory, one behind the other.
#[derive(Debug, Default)]
pub struct Held {
    packed: Bytes,
    /// Where each begins; one more tells where the last ends.
    from: Vec<u64>,
}

impl Held {
    /// Those that were packed to these, in their order.
    pub(super) fn of(packed: &[Vec<u8>]) -> Self {
        let ends = packed.iter().scan(0, |end, packed| {
            *end += packed.len() as u64;
            Some(*end)
        });
        Self { from: [0].into_iter().chain(ends).collect(), packed: packed.concat().into() }
    }

    fn len(&self) -> usize {
        self.from.len().saturating_sub(1)
    }

    fn range(&self, exchange: u32) -> Range<usize> {
        let at = |number: usize| usize::try_from(self.from[number]).expect("it is in memory");
        // What was read from a shelf did not begin at 0.
        let (from, to) = (at(exchange as usize), at(exchange as usize + 1));
        from - at(0)..to - at(0)
    }
}

/// The compiled exchanges of a cassette, in recorded order.
#[derive(Debug)]
pub enum Exchanges {
    /// In memory.
    Held(Held),
    /// Outside it.
    Kept(Kept),
}

impl Default for Exchanges {
    fn default() -> Self {
        Self::Held(Held::default())
    }
}

impl Exchanges {
    pub(super) fn get(&self, exchange: u32) -> Lent<'_> {
        match self {
            Self::Held(held) => {
                let Range { start, end } = held.range(exchange);
                Lent::of(Cow::Borrowed(&held.packed), start + SUM..end)
            }
            Self::Kept(kept) => {
                let packed = kept.get(exchange);
                let whole = SUM..packed.len();
                Lent::of(Cow::Owned(packed), whole)
            }
        }
    }
}
