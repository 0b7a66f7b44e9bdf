//! Compiled exchanges: held in memory, or kept outside it and read when they are played.

use super::cassette::RequestEntry;
use super::echo::Stated;
use super::ids::Row;
use super::matching::{Key, Varying};
use super::script::Script;
use super::template::Template;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Deref, Range};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, PoisonError};

/// An exchange, compiled.
#[derive(Debug, Serialize, Deserialize)]
pub struct Played {
    /// By how many values requests are near it; none where many others have its route. They come first, as a miss reads
    /// no more of an exchange.
    pub(super) marks: Box<[u32]>,
    pub(super) script: Script,
    /// How long it took in milliseconds, where that was recorded.
    pub(super) took: Option<u64>,
    /// What its request states that another answer may repeat.
    pub(super) stated: Stated<Template<Row>>,
    pub(super) loose_key: Key,
    /// What fills the blanks of its shape, as in [`super::shapes::Shapes`].
    pub(super) loose_filling: Vec<u32>,
    /// What it said at ignored places.
    pub(super) varying: Vec<Varying>,
    /// Its request as it stands in the cassette, as JSON: for misses and reports.
    #[serde(with = "text")]
    pub(super) request: Vec<u8>,
}

impl Played {
    /// Its request as it stands in the cassette.
    pub(super) fn request(&self) -> RequestEntry {
        serde_json::from_slice(&self.request).expect("what was printed is read")
    }

    /// Writes the bytes by which it is kept outside memory, in the stead of what was in `packed`.
    pub fn pack(&self, packed: &mut Vec<u8>) {
        with_sum(packed, |packed| {
            postcard::serialize_with_flavor(self, Appended(packed)).expect("an exchange is packed to memory");
        });
    }

    /// The exchange that was packed; none where the bytes are others than those.
    fn unpacked(bytes: &[u8]) -> Option<Self> {
        let (sum, packed) = bytes.split_first_chunk()?;
        (crc32fast::hash(packed) == u32::from_le_bytes(*sum)).then(|| postcard::from_bytes(packed).ok()).flatten()
    }
}

/// A text as it is kept: as many numbers would be, but in one go.
mod text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(text: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        <&[u8]>::deserialize(from).map(<[u8]>::to_vec)
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

/// Packs to the end of a buffer that is used again.
struct Appended<'b>(&'b mut Vec<u8>);

impl Flavor for Appended<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
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

/// How many exchanges that were read are kept at hand.
const AT_HAND: usize = 256;

/// An exchange that was read, and its number.
type AtHand = Option<(u32, Arc<Played>)>;

/// Exchanges that are kept outside memory.
#[derive(Debug)]
pub struct Kept {
    shelf: Box<dyn Shelf>,
    /// Where each begins; one more tells where the last ends.
    pub(super) from: Vec<u64>,
    at_hand: Box<[Mutex<AtHand>]>,
}

impl Kept {
    /// Exchanges on a shelf, each of which begins where `from` says; the last one ends there.
    #[must_use]
    pub fn new(shelf: Box<dyn Shelf>, from: Vec<u64>) -> Self {
        Self { shelf, from, at_hand: (0..AT_HAND).map(|_| Mutex::default()).collect() }
    }

    fn read(&self, exchange: u32) -> Option<Played> {
        let range = self.from[exchange as usize]..self.from[exchange as usize + 1];
        self.shelf.read(range).and_then(|bytes| Played::unpacked(&bytes))
    }

    /// All of them, to be held in memory; none where one is not as it was kept.
    pub(super) fn all(&self) -> Option<Vec<Played>> {
        (0..).take(self.from.len().saturating_sub(1)).map(|exchange| self.read(exchange)).collect()
    }

    fn get(&self, exchange: u32) -> Arc<Played> {
        let place = &self.at_hand[exchange as usize % AT_HAND];
        let at_hand = || place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((number, played)) = &*at_hand()
            && *number == exchange
        {
            return Arc::clone(played);
        }
        let Some(read) = self.read(exchange) else {
            self.shelf.damaged();
            panic::resume_unwind(Box::new(Damaged));
        };
        let played = Arc::new(read);
        *at_hand() = Some((exchange, Arc::clone(&played)));
        played
    }
}

/// The compiled exchanges of a cassette, in recorded order.
#[derive(Debug)]
pub enum Exchanges {
    /// In memory.
    Held(Vec<Played>),
    /// Outside it.
    Kept(Kept),
}

impl Exchanges {
    pub(super) fn get(&self, exchange: u32) -> Lent<'_> {
        match self {
            Self::Held(held) => Lent::Held(&held[exchange as usize]),
            Self::Kept(kept) => Lent::Read(kept.get(exchange)),
        }
    }
}

/// An exchange, as long as it is looked at.
pub(super) enum Lent<'a> {
    Held(&'a Played),
    Read(Arc<Played>),
}

impl Deref for Lent<'_> {
    type Target = Played;

    fn deref(&self) -> &Played {
        match self {
            Self::Held(played) => played,
            Self::Read(played) => played,
        }
    }
}
