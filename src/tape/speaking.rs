//! The value of every id in one answer: as its request has it, as it was bound before, or as it is minted in this run.

use super::bindings::Bindings;
use super::choosing::{Choice, Standing};
use super::echo::{self, Echo, Stated};
use super::guid::Guid;
use super::id::{Id, Written};
use super::ids::Row;
use super::index::{CREATES, Index, READS, Slot};
use super::lent::{Asked, Play};
use super::matching::{Key, Varying};
use super::stand_ins;
use super::template::Template;
use smallvec::{SmallVec, smallvec};

/// How many texts of one length are tried before a longer one.
const TRIES: u32 = 64;

/// How an id that the server minted is chosen in a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The recorded one where the very recorded request is played first, else one computed from the request.
    #[default]
    Derive,
    /// Always the recorded one.
    Recorded,
    /// A fresh one each time, to find programs that lean on fixed ids; with a mint whose seed is random.
    Random,
}

/// Knows the live value of every id, for one answer.
#[derive(Debug)]
pub(super) struct Speaker<'a> {
    index: &'a Index,
    bindings: &'a Bindings,
    policy: Policy,
    exchange: u32,
    /// How the exchange is played, and how often this very request got its answer before.
    play: &'a Play<'a>,
    plays: u32,
    /// What the request itself says.
    standing: &'a [Standing<'a>],
    /// What was made for this answer, in the order of rows, in which ids mostly come.
    made: SmallVec<[(Row, Written<'a>); 2]>,
    /// The ids made for this answer that nothing but a table can tell later.
    pub(super) told: Vec<Told>,
}

/// An id that was made for an answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) row: Row,
    pub(super) id: Id,
    pub(super) origin: [u8; 32],
}

impl<'a> Speaker<'a> {
    pub(super) fn new(
        index: &'a Index,
        bindings: &'a Bindings,
        policy: Policy,
        choice: &'a Choice<'_>,
        (play, plays): (&'a Play<'a>, u32),
    ) -> Self {
        let (exchange, standing) = (choice.exchange, &*choice.standing);
        Self { index, bindings, policy, exchange, play, plays, standing, made: SmallVec::new(), told: Vec::new() }
    }

    /// The text that stands for an id in this answer: as in the request, as bound before, or as minted in this run.
    pub(super) fn value(&mut self, row: Row) -> Written<'a> {
        if let Some(asked) = self.asked(row) {
            return asked.token.spelled.again();
        }
        if let Ok(at) = self.made.binary_search_by_key(&row, |(row, _)| *row) {
            return self.made[at].1.clone();
        }
        let recorded = || self.index.ids.recorded(row);
        let live = || self.bindings.live(row).unwrap_or_else(recorded);
        let value = match self.index.minter(row) {
            None => live(),
            // A person is not made up: who stands for it in this run is so to the end, and until then it stands for itself.
            Some(minter) if self.is_person(minter, row) => live(),
            Some(_) if self.policy == Policy::Recorded || self.index.shared.contains(row) => recorded(),
            Some(minter) => self.derive(row, minter),
        };
        // What it was derived from may have come to stand here meanwhile.
        if let Err(at) = self.made.binary_search_by_key(&row, |(row, _)| *row) {
            self.made.insert(at, (row, value.clone()));
        }
        value
    }

    /// What of the request stands for a row.
    fn asked(&self, row: Row) -> Option<&'a Standing<'a>> {
        self.standing.iter().find(|one| one.row == row)
    }

    /// The id that stands for a row in this answer, and whether it is the recorded one.
    fn live(&mut self, row: Row) -> (Id, bool) {
        if let Some(asked) = self.asked(row) {
            return (asked.token.id.clone(), asked.is_recorded);
        }
        let live = Id::of(&self.value(row));
        let is_recorded = self.index.is_recorded(row, &live);
        (live, is_recorded)
    }

    /// Whether a recorded id stands for somebody who was there before the recording made anything.
    fn is_person(&self, minter: u32, row: Row) -> bool {
        if !self.index.rules.ids().people {
            return false;
        }
        let recorded = self.index.ids.recorded(row);
        let made = Guid::parse(&recorded).is_some() && self.index.is(minter, CREATES);
        !made && stand_ins::is_stand_in(&recorded)
    }

    /// What stands for an echo in this answer; what this run did not say stays as it was recorded.
    pub(super) fn echo(&mut self, echo: &Echo, own: &[Varying]) -> Written<'a> {
        let said = &self.bindings.said;
        let live = echo.live(own, said, |id| id.speak(|row| self.value(*row)));
        Written::of(live.unwrap_or(&echo.recorded))
    }

    /// What the request says that other answers repeat.
    pub(super) fn said(&mut self, stated: &Stated<Template<Row>>, own: &[Varying]) -> Vec<(Key, Box<str>)> {
        echo::said(stated, own, |id| id.speak(|row| self.value(*row)))
    }

    /// The id that `minter` mints when it is played with the ids of this run.
    ///
    /// A POST that is played once more makes another entity, so what it shows for the first time it mints anew. The
    /// search for the ids that a minter was asked with comes to an end, since each was minted by an exchange before it.
    fn derive(&mut self, row: Row, minter: u32) -> Written<'a> {
        let creates = |exchange: u32| self.index.is(exchange, CREATES);
        let anew = minter == self.exchange && !self.index.is(minter, READS);
        let again = self.plays > 0 && (anew || (creates(minter) && creates(self.exchange)));
        let (minter, plays) = if again { (self.exchange, self.plays) } else { (minter, 0) };
        let index = self.index;
        // Mostly it is the one that is spoken.
        let own = (minter == self.exchange).then(|| self.play.asked.clone());
        let Asked { key, filling } = own.unwrap_or_else(|| index.exchange(minter).play().asked);
        let ids = 16..16 * (1 + filling.len());
        let mut origin: SmallVec<[u8; 128]> = smallvec![0; ids.end + 4];
        origin[..16].copy_from_slice(&key.0);
        let mut as_recorded = plays == 0;
        for (place, filled) in origin[ids.clone()].chunks_exact_mut(16).zip(&filling) {
            let id = match index.slot(*filled) {
                Slot::Literal(id) => id,
                Slot::Id(asked) => {
                    let (live, is_recorded) = self.live(asked);
                    as_recorded &= is_recorded;
                    live
                }
            };
            place.copy_from_slice(&id.digest());
        }
        if as_recorded && self.policy != Policy::Random {
            return index.ids.recorded(row);
        }
        origin[ids.end..].copy_from_slice(&plays.to_le_bytes());
        let sealed = || index.mint.seal(row, &origin);
        match index.ids.is_upper(row) {
            Some(false) => Written::Short(sealed().text()),
            Some(true) => Written::Short(sealed().upper_text()),
            None => match Id::of(&index.ids.recorded(row)) {
                Id::Guid(_) => Written::Short(sealed().upper_text()),
                Id::Text(text) => Written::Long(self.alike(row, &text, &origin).into()),
            },
        }
    }

    /// A text of the length and alphabet of the recorded one, that stands for nothing else in this session.
    ///
    /// Only where there are few such texts does it depend on those that were told before.
    fn alike(&mut self, row: Row, recorded: &str, origin: &[u8]) -> String {
        let origin = blake3::hash(&[origin, &row.to_le_bytes()].concat());
        let free = |text: &str| {
            let id = Id::of(text);
            let own = self.bindings.row(&id).is_none() || self.bindings.origin(text) == Some(*origin.as_bytes());
            own && self.index.ids.find(&id).is_none() && !self.told.iter().any(|told| told.id == id)
        };
        let mut tries = (0u32..).map(|attempt| {
            let mut attempted = blake3::Hasher::new();
            attempted.update(origin.as_bytes()).update(&attempt.to_le_bytes());
            self.index.mint.alike(recorded, attempt / TRIES, &attempted.finalize())
        });
        let text = tries.find(|text| free(text)).expect("the texts grow longer as they are tried");
        self.told.push(Told { row, id: Id::of(&text), origin: *origin.as_bytes() });
        text
    }
}
