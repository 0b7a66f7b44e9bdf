//! Bytes with blanks for what is another in each exchange of a form.

use super::ids::Row;
use super::matching::{Key, part};
use postcard::ser_flavors::Flavor;
use serde::Serialize;
use smallvec::SmallVec;

/// What the blanks of a form's patterns are filled with.
#[derive(Debug, Default)]
pub(super) struct Filling<'t> {
    pub(super) texts: SmallVec<[&'t [u8]; 16]>,
    pub(super) rows: SmallVec<[Row; 4]>,
    /// How the number of each row's placeholder is written.
    pub(super) digits: SmallVec<[&'t [u8]; 4]>,
    pub(super) took: u64,
}

impl Filling<'_> {
    /// The text of a number.
    pub(super) fn text(&self, number: u16) -> &[u8] {
        number.checked_sub(DIGITS).map_or_else(|| self.texts[usize::from(number)], |row| self.digits[usize::from(row)])
    }
}

/// From here on the numbers of texts are those of rows, as their placeholders write them.
pub(super) const DIGITS: u16 = 0x800;

/// Which of them stands in a blank, and how.
#[derive(Clone, Debug)]
enum Blank {
    /// A text as it is.
    Text(u16),
    /// The length of a text that has so much besides these.
    Length(usize, Box<[u16]>),
    /// A text with its length, as in what a key is made of.
    Part(u16),
    Row(u16),
    Took,
    /// The key of the request without what may vary.
    Key,
}

/// Bytes with blanks.
#[derive(Clone, Debug, Default)]
pub(super) struct Pattern {
    bytes: Vec<u8>,
    /// Each with where the bytes end that stand before it and behind the last one.
    blanks: Vec<(usize, Blank)>,
    /// Where what was written last begins.
    last: usize,
}

/// The character that stands for a text of this number while a pattern is made: no text has it that one is made of.
pub(super) fn stand_in(number: u16) -> char {
    char::from_u32(FIRST + u32::from(number)).expect("a form has fewer texts than there are such characters")
}

/// The number of the text that a character stands for.
pub(super) fn stood_for(c: char) -> Option<u16> {
    u32::from(c).checked_sub(FIRST).and_then(|number| u16::try_from(number).ok()).filter(|number| *number < 0x1000)
}

/// The number of the text that a whole text stands for.
pub(super) fn whole(text: &str) -> Option<u16> {
    let mut chars = text.chars();
    chars.next().and_then(stood_for).filter(|_| chars.next().is_none())
}

/// The first character for private use.
const FIRST: u32 = 0xe000;

/// How many rows a form may have.
pub(super) const MOST_ROWS: u16 = 64;

/// What stands for a row, and for how long an exchange took, while a pattern is made.
pub(super) const ROWS: Row = 0x6000_0000;
pub(super) const TOOK: u64 = 0x6000_0000_0000_0000;

impl Pattern {
    /// Adds what a value is packed to, where characters and numbers stand for what is filled in.
    pub(super) fn add(&mut self, value: &impl Serialize) {
        Packing::Pattern(self).pack(value);
    }

    /// Adds bytes as they are.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn blank(&mut self, blank: Blank) {
        self.blanks.push((self.bytes.len(), blank));
    }

    /// Adds a text of this number, with its length, as in what a key is made of.
    pub(super) fn part(&mut self, number: u16) {
        self.blank(Blank::Part(number));
    }

    /// Adds the key of the request without what may vary.
    pub(super) fn key(&mut self) {
        self.blank(Blank::Key);
    }

    /// Adds a text with its length before it.
    pub(super) fn text(&mut self, text: &str) {
        let numbers: Box<[u16]> = text.chars().filter_map(stood_for).collect();
        let fixed = text.len() - numbers.iter().map(|number| stand_in(*number).len_utf8()).sum::<usize>();
        self.blank(Blank::Length(fixed, numbers));
        for c in text.split_inclusive(|c| stood_for(c).is_some()) {
            let number = c.chars().next_back().and_then(stood_for);
            self.raw(&c.as_bytes()[..c.len() - number.map_or(0, |number| stand_in(number).len_utf8())]);
            if let Some(number) = number {
                self.blank(Blank::Text(number));
            }
        }
    }

    /// Puts a blank in the stead of a key that is in it; none where it is not there once.
    pub(super) fn with_key(mut self, key: Key) -> Option<Self> {
        let mut found = memchr::memmem::find_iter(&self.bytes, &key.0);
        let (at, None) = (found.next()?, found.next()) else { return None };
        let end = at + key.0.len();
        if self.blanks.iter().any(|(before, _)| (at + 1..end).contains(before)) {
            return None;
        }
        self.bytes.drain(at..end);
        self.blanks.iter_mut().filter(|(before, _)| *before >= end).for_each(|(before, _)| *before -= key.0.len());
        let place = self.blanks.partition_point(|(before, _)| *before <= at);
        self.blanks.insert(place, (at, Blank::Key));
        Some(self)
    }

    /// Takes off what stands before the first blank.
    pub(super) fn begin(&mut self) -> Vec<u8> {
        let end = self.blanks.first().map_or(self.bytes.len(), |(end, _)| *end);
        self.blanks.iter_mut().for_each(|(before, _)| *before -= end);
        self.bytes.drain(..end).collect()
    }

    /// How long it is but for what is filled in.
    pub(super) fn length(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is the same however it is filled.
    pub(super) fn is_fixed(&self) -> bool {
        self.blanks.is_empty()
    }

    /// Adds the bytes to others, with the blanks filled in.
    pub(super) fn fill(&self, filling: &Filling<'_>, key: Key, out: &mut Vec<u8>) {
        let text = |number: &u16| filling.text(*number);
        let mut from = 0;
        for (end, blank) in &self.blanks {
            out.extend_from_slice(&self.bytes[from..*end]);
            from = *end;
            match blank {
                Blank::Text(number) => out.extend_from_slice(text(number)),
                Blank::Length(fixed, numbers) => {
                    number(out, (fixed + numbers.iter().map(|number| text(number).len()).sum::<usize>()) as u64);
                }
                Blank::Part(number) => part(out, text(number)),
                Blank::Row(row) => number(out, filling.rows[usize::from(*row)].into()),
                Blank::Took => number(out, filling.took),
                Blank::Key => out.extend_from_slice(&key.0),
            }
        }
        out.extend_from_slice(&self.bytes[from..]);
    }
}

/// Writes a number as it is packed.
pub(super) fn number(out: &mut Vec<u8>, mut number: u64) {
    while let more @ 1.. = number >> 7 {
        out.push(u8::try_from(number & 0x7f).expect("seven bits") | 0x80);
        number = more;
    }
    out.push(u8::try_from(number).expect("seven bits"));
}

/// What a value is packed to. Both are one type, so that what packs is compiled once.
pub(super) enum Packing<'p> {
    /// The end of a buffer that is used again.
    Bytes(&'p mut Vec<u8>),
    /// A pattern.
    Pattern(&'p mut Pattern),
}

impl Packing<'_> {
    /// Packs a value.
    pub(super) fn pack(self, value: &impl Serialize) {
        postcard::serialize_with_flavor(value, self).expect("it is packed to memory");
    }
}

impl Flavor for Packing<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        match self {
            Self::Bytes(packed) => packed.push(byte),
            Self::Pattern(pattern) => pattern.raw(&[byte]),
        }
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        match self {
            Self::Bytes(packed) => packed.extend_from_slice(bytes),
            Self::Pattern(pattern) => pattern.extend(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

impl Pattern {
    /// Adds what the packer writes at once: a number, or a text after its length.
    fn extend(&mut self, bytes: &[u8]) {
        let packed = (bytes.len() <= 10).then(|| postcard::from_bytes::<u64>(bytes).ok()).flatten();
        let row = packed.and_then(|packed| Row::try_from(packed).ok()).and_then(|packed| packed.checked_sub(ROWS));
        let text = std::str::from_utf8(bytes).ok().filter(|text| text.chars().any(|c| stood_for(c).is_some()));
        // A text that reads as so large a number reads as a larger one.
        if let Some(row) = row.and_then(|row| u16::try_from(row).ok()).filter(|row| *row < MOST_ROWS) {
            self.blank(Blank::Row(row));
        } else if packed == Some(TOOK) {
            self.blank(Blank::Took);
        } else if let Some(text) = text {
            // Its length was written before it.
            self.bytes.truncate(self.last);
            self.text(text);
        } else {
            self.last = self.bytes.len();
            self.raw(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_packed_as_what_it_is_filled_with() {
        let value = |first: &str, other: &str, row: Row, took: u64, key: [u8; 16]| {
            (
                7u16,
                format!("<{first}>{other}"),
                row,
                "fixed".to_owned(),
                Some(took),
                key,
                vec![row, 5],
                first.to_owned(),
            )
        };
        let [one, other] = [0, 1].map(|number| stand_in(number).to_string());
        let key = Key([0xa5; 16]);
        let mut pattern = Pattern::default();
        pattern.add(&value(&one, &other, ROWS + 1, TOOK, key.0));
        let pattern = pattern.with_key(key).unwrap();
        for (length, row, took) in [(1, 1, 1), (100, 200, 300), (200, 70_000, u64::MAX), (20_000, Row::MAX, 0)] {
            let text = "x".repeat(length);
            let texts = [text.as_bytes(), "é".as_bytes()].into_iter().collect();
            let filling = Filling { texts, rows: [0, row].into_iter().collect(), took, ..Filling::default() };
            let mut filled = Vec::new();
            pattern.fill(&filling, Key([3; 16]), &mut filled);
            assert_eq!(filled, postcard::to_allocvec(&value(&text, "é", row, took, [3; 16])).unwrap());
        }
    }
}
