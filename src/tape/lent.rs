//! An exchange as long as it is looked at: nothing of it is made, all is read from the bytes that it was packed to.

use super::cassette::RequestEntry;
use super::echo::Stated;
use super::guid;
use super::ids::Row;
use super::matching::{Key, Varying};
use super::script::{Blank, Message, carried};
use super::spelling::{self, Spelling};
use super::template::Template;
use bytes::Bytes;
use http::StatusCode;
use serde::Deserialize;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::ops::Range;

/// An exchange, packed.
#[derive(Debug)]
pub(super) struct Lent<'a> {
    /// What it is a part of.
    all: Cow<'a, Bytes>,
    at: Range<usize>,
}

/// How an exchange is played.
#[derive(Debug)]
pub(super) struct Play<'a> {
    /// How long it took in milliseconds, where that was recorded.
    pub(super) took: Option<u64>,
    pub(super) asked: Asked,
    pub(super) script: Script<'a>,
}

/// With what it was asked: the key of its loose shape, and what fills the blanks, as in [`super::shapes::Shapes`].
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) key: Key,
    pub(super) filling: SmallVec<[u32; 4]>,
}

/// A recorded response, packed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script<'a> {
    all: &'a Bytes,
    packed: Reader<'a>,
}

/// What follows the response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest<'a>(Reader<'a>);

impl<'a> Lent<'a> {
    /// The exchange that is packed there, behind its checksum, by which it was seen to be whole.
    pub(super) fn of(all: Cow<'a, Bytes>, at: Range<usize>) -> Self {
        Self { all, at }
    }

    fn reader(&self) -> Reader<'_> {
        Reader(&self.all[self.at.clone()])
    }

    /// By how many values requests are near it; none where many others have its route.
    pub(super) fn marks(&self) -> Vec<u32> {
        let marks = self.reader().bytes().chunks_exact(4);
        marks.map(|mark| u32::from_le_bytes(mark.try_into().expect("a chunk has four bytes"))).collect()
    }

    /// Its request as it stands in the cassette.
    pub(super) fn request(&self) -> RequestEntry {
        let mut reader = self.reader();
        reader.bytes();
        serde_json::from_slice(reader.bytes()).expect("what was printed is read")
    }

    /// How it is played.
    pub(super) fn play(&self) -> Play<'_> {
        let mut reader = self.reader();
        reader.bytes();
        reader.bytes();
        let took = reader.is_there().then(|| reader.number());
        let key = Key(*reader.array());
        let filling = (0..reader.count()).map(|_| reader.row()).collect();
        Play { took, asked: Asked { key, filling }, script: Script { all: &self.all, packed: reader } }
    }
}

impl<'a> Script<'a> {
    /// Speaks the response, with every blank filled in by `value`, as a message, and tells what follows it.
    pub(super) fn speak<T: AsRef<str>>(
        self,
        mut value: impl FnMut(&Blank) -> T,
        message: &mut impl Message,
    ) -> Rest<'a> {
        let Self { all, packed: mut reader } = self;
        let status = u16::try_from(reader.number()).ok().and_then(|status| StatusCode::from_u16(status).ok());
        let fixed = reader.is_there().then(|| reader.bytes());
        let spoken = if fixed.is_some() { Vec::new() } else { reader.speak(Reader::blank, &mut value) };
        let fields = reader.count();
        message.begin(status.expect("checked when the cassette was read"), fields);
        for _ in 0..reader.count() {
            message.lines(reader.bytes(), all);
            if reader.is_there() {
                let name = reader.bytes();
                if reader.is_there() {
                    message.field(name, reader.bytes());
                } else {
                    let spoken = reader.speak(|reader| Blank::Id(reader.row()), &mut value);
                    message.field(name, &carried(&spoken));
                }
            }
        }
        match fixed {
            Some(fixed) => message.end(all.slice_ref(fixed)),
            None => message.end(spoken),
        }
        Rest(reader)
    }
}

impl Rest<'_> {
    /// What the request said at ignored places.
    pub(super) fn varying(mut self) -> Vec<Varying> {
        self.0.take()
    }

    /// What the request states that another answer may repeat.
    pub(super) fn stated(mut self) -> Stated<Template<Row>> {
        let _: Vec<Varying> = self.0.take();
        self.0.take()
    }
}

/// Reads one packed value after another, those that are read for each answer by hand
/// (<https://postcard.jamesmunns.com/wire-format>).
#[derive(Clone, Copy, Debug)]
struct Reader<'a>(&'a [u8]);

/// Why nothing can be missing.
const WHOLE: &str = "what was packed, and is whole, is read";

impl<'a> Reader<'a> {
    fn take<T: Deserialize<'a>>(&mut self) -> T {
        let (value, rest) = postcard::take_from_bytes(self.0).expect(WHOLE);
        self.0 = rest;
        value
    }

    #[inline]
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect(WHOLE);
        self.0 = rest;
        *first
    }

    #[inline]
    fn number(&mut self) -> u64 {
        match self.0 {
            [number @ ..0x80, rest @ ..] => {
                self.0 = rest;
                (*number).into()
            }
            _ => self.long_number(),
        }
    }

    #[cold]
    fn long_number(&mut self) -> u64 {
        let mut number = 0;
        for by in (0..64).step_by(7) {
            let byte = self.byte();
            number |= u64::from(byte & 0x7f) << by;
            if byte < 0x80 {
                break;
            }
        }
        number
    }

    /// How many values or bytes follow.
    #[inline]
    fn count(&mut self) -> usize {
        usize::try_from(self.number()).expect(WHOLE)
    }

    #[inline]
    fn row(&mut self) -> Row {
        Row::try_from(self.number()).expect(WHOLE)
    }

    #[inline]
    fn bytes(&mut self) -> &'a [u8] {
        let count = self.count();
        let (bytes, rest) = self.0.split_at_checked(count).expect(WHOLE);
        self.0 = rest;
        bytes
    }

    fn array<const N: usize>(&mut self) -> &'a [u8; N] {
        let (array, rest) = self.0.split_first_chunk().expect(WHOLE);
        self.0 = rest;
        array
    }

    /// Whether what may be there follows.
    #[inline]
    fn is_there(&mut self) -> bool {
        self.byte() == 1
    }

    /// What is filled in at a place in a body.
    #[inline]
    fn blank(&mut self) -> Blank {
        match self.0.first() {
            Some(0) => {
                self.byte();
                Blank::Id(self.row())
            }
            _ => self.take(),
        }
    }

    /// How an id is spelled.
    #[inline]
    fn spelling(&mut self) -> Spelled<'a> {
        let from = self.0;
        let case = self.byte();
        let codings = if self.is_there() { self.count() } else { 0 };
        // Each coding is one byte.
        let rest = self.0.get(codings..).expect(WHOLE);
        self.0 = rest;
        Spelled { is_same: case == 0, is_coded: codings > 0, packed: &from[..from.len() - rest.len()] }
    }

    /// The text of a template, with every slot, read by `slot`, filled by `value`.
    fn speak<T: AsRef<str>>(
        &mut self,
        slot: impl Fn(&mut Self) -> Blank,
        mut value: impl FnMut(&Blank) -> T,
    ) -> Vec<u8> {
        let pieces = self.count();
        let mut spoken = Vec::with_capacity(room(self.0.len(), pieces));
        for _ in 0..pieces {
            if self.byte() == 0 {
                spoken.extend_from_slice(self.bytes());
            } else {
                let blank = slot(self);
                let spelling = self.spelling();
                spelling.add(value(&blank).as_ref(), &mut spoken);
            }
        }
        spoken
    }
}

/// Room for a text of so many pieces, which has not more letters than there are bytes to come, but for ids.
fn room(to_come: usize, pieces: usize) -> usize {
    // The C library has pieces of memory up to that size at hand.
    if to_come < QUICK + QUICK / 2 { QUICK } else { to_come + guid::LENGTH * pieces }
}

/// What most answers have room in.
const QUICK: usize = 1024;

/// A packed [`Spelling`].
struct Spelled<'a> {
    is_same: bool,
    is_coded: bool,
    packed: &'a [u8],
}

impl Spelled<'_> {
    /// Adds a text, spelled so.
    fn add(&self, text: &str, to: &mut Vec<u8>) {
        if self.is_same && (!self.is_coded || spelling::is_plain(text)) {
            return to.extend_from_slice(text.as_bytes());
        }
        let spelling: Spelling = postcard::from_bytes(self.packed).expect(WHOLE);
        to.extend_from_slice(spelling.apply(text).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::super::played::{Exchanges, Held, Played};
    use super::super::script::{self, BodyScript, Field};
    use super::*;
    use http::Response;

    #[test]
    fn a_packed_response_is_spoken_as_a_message_with_framing_of_its_own() {
        let text = |text: &str| Template::parse(text, |_| Some(0)).unwrap();
        let fields = [
            ("vary", "a"),
            ("vary", "caf\u{e9}"),
            ("client-request-id", "x: y"),
            ("x-own", ""),
            ("location", "/x/{{a.1}}"),
            ("content-length", "7"),
            ("date", "now"),
        ];
        let fields = fields.map(|(name, value)| Field::of(name, text(value)));
        let bodies = [BodyScript::Text(text("<{{a.1|upper}}, {{a.1|json}}>")), BodyScript::Binary(b"<\0>"[..].into())];
        let guid = "7e323db2-3db2-7e32-b23d-327eb23d327e";
        for (body, spoken) in bodies.into_iter().zip([format!("<{}, {guid}>", guid.to_uppercase()), "<\0>".to_owned()])
        {
            let script = script::Script::new(201, fields.clone().into(), body);
            let rest =
                (Box::from([7, 1 << 30]), br#"{"method":"GET","url":"https://h/"}"#.to_vec(), Some(300), Key([5; 16]));
            let (marks, request, took, loose_key) = rest;
            let (loose_filling, varying, stated) = (vec![1, 2, 300], Vec::new(), Vec::new());
            let played = Played { marks, request, took, loose_key, loose_filling, script, varying, stated };
            let exchanges = Exchanges::Held(Held::of(&[b"one before".to_vec(), played.packed()]));
            let lent = exchanges.get(1);
            assert_eq!((lent.marks(), lent.request().method), (vec![7, 1 << 30], "GET".to_owned()));
            let play = lent.play();
            assert_eq!((play.took, play.asked.key, &*play.asked.filling), (Some(300), Key([5; 16]), &[1, 2, 300][..]));
            let mut message = Response::<Bytes>::default();
            let rest = play.script.speak(|_| guid, &mut message);
            assert_eq!((rest.varying(), rest.stated()), (Vec::new(), Vec::new()));
            assert_eq!((message.status().as_u16(), &**message.body()), (201, spoken.as_bytes()));
            let fields = message.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            let fields: Vec<_> = fields.collect();
            let expected = [("vary", &b"a"[..]), ("vary", b"caf\xe9"), ("client-request-id", b"x: y"), ("x-own", b"")];
            assert_eq!(
                fields,
                [&expected[..], &[("location", format!("/x/{guid}").as_bytes()), ("date", b"now")]].concat()
            );
        }
    }
}
