//! A form: what is the same in exchanges that differ by their ids, by texts and by how long they took.
//!
//! Where the text of an exchange is that of one before but for these, what it is compiled to is what that one was compiled
//! to, with these in it. [`super::forming`] makes one.

use super::address::Address;
use super::cutting;
use super::echo::{self, Stated};
use super::ids::{Ids, Row};
use super::matching::{Key, part};
use super::pattern::{Filling, Pattern, number, stood_for};
use super::played;
use super::prepared::Ground;
use super::statements::Statements;
use super::template::Template;
use smallvec::SmallVec;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The texts that are the same in all exchanges of a form, and what stands between them.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) text: String,
    /// Each with where the text is that stands before it.
    pub(super) parts: Vec<(Range<usize>, Spot)>,
}

impl Layout {
    /// What stands between the texts that are the same; none where these are others.
    fn split<'t>(&self, text: &'t [u8]) -> Option<SmallVec<[&'t [u8]; 24]>> {
        let (mut parts, mut rest) = (SmallVec::new(), text);
        for (before, spot) in &self.parts {
            rest = rest.strip_prefix(&self.text.as_bytes()[before.clone()])?;
            let length = match spot {
                Spot::Text(_) => memchr::memchr(b'"', rest)?,
                Spot::Row(_) | Spot::Took => rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
            };
            let (part, after) = rest.split_at(length);
            parts.push(part);
            rest = after;
        }
        let end = self.parts.last().map_or(0, |(before, _)| before.end);
        let is_end = *rest == self.text.as_bytes()[end..] && text.len() <= 2 * cutting::LARGEST;
        is_end.then_some(parts)
    }
}

/// What stands there, by its number: in two places with one number is the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spot {
    Text(u16),
    Row(u16),
    Took,
}

/// What the texts with one number have in common.
#[derive(Debug)]
pub(super) struct Text {
    /// Whether it stands in the request.
    pub(super) asked: bool,
    /// The one of which the form was made: many come again.
    pub(super) first: Box<[u8]>,
}

/// What the rows with one number have in common.
#[derive(Debug)]
pub(super) struct Rows {
    /// The name of their placeholders.
    pub(super) name: String,
    /// Whether they are GUIDs in upper case.
    pub(super) upper: bool,
}

/// What a key of a request is made of.
#[derive(Debug)]
pub(super) enum Keyed {
    /// It is the same in all.
    Fixed(Key),
    /// What stands before the first text was hashed.
    Begun(Box<blake3::Hasher>, Pattern),
}

impl Keyed {
    pub(super) fn of(mut pattern: Pattern) -> Self {
        let begin = pattern.begin();
        if pattern.is_fixed() {
            return Self::Fixed(Key::of_bytes(&begin));
        }
        let mut begun = blake3::Hasher::new();
        begun.update(&begin);
        Self::Begun(Box::new(begun), pattern)
    }

    /// The key; `text` is where what is hashed is written.
    fn key(&self, filling: &Filling<'_>, text: &mut Vec<u8>) -> Key {
        match self {
            Self::Fixed(key) => *key,
            Self::Begun(begun, pattern) => {
                text.clear();
                pattern.fill(filling, Key([0; 16]), text);
                let mut hasher = blake3::Hasher::clone(begun);
                Key::of(hasher.update(text))
            }
        }
    }
}

/// The numbers by which a miss compares requests.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pub(super) fixed: Vec<u32>,
    /// What is hashed before each text.
    pub(super) texts: Vec<(Vec<u8>, u16)>,
}

/// A form of exchanges.
#[derive(Debug)]
pub(super) struct Form {
    pub(super) layout: Layout,
    pub(super) texts: Vec<Text>,
    pub(super) rows: Vec<Rows>,
    /// The texts that an answer may repeat: which do is the same, so no other text is like one of them.
    pub(super) apart: Vec<u16>,
    pub(super) loose: Keyed,
    pub(super) exact: Option<Pattern>,
    pub(super) marks: Marks,
    /// All behind the marks of what an exchange is packed to.
    pub(super) packed: Pattern,
    /// The rows of the request's placeholders, of its blanks, and of its answer; of the second how many are compared.
    pub(super) named: Vec<u16>,
    pub(super) filling: Vec<u16>,
    pub(super) compared: usize,
    pub(super) shown: Vec<u16>,
    pub(super) traits: u8,
    pub(super) address: Address,
    pub(super) stated: Stated<Template<Row>>,
    /// The names of the answer's values that are not of its own request.
    pub(super) foreign: Vec<SmolStr>,
    pub(super) hearing: Hearing,
}

/// Whether an answer may repeat what an earlier request said.
#[derive(Debug, Default)]
pub(super) struct Hearing {
    /// Of how many names with statements it is known that none of them is shown.
    silent: AtomicUsize,
    /// It may: such exchanges are not known by their form.
    may: AtomicBool,
}

/// An exchange of a form that is known.
#[derive(Debug)]
pub struct Known {
    pub(super) form: Arc<Form>,
    pub(super) rows: SmallVec<[Row; 4]>,
    pub(super) loose: Key,
    pub(super) exact: Key,
    pub(super) states: Vec<Key>,
    /// What it is packed to, and where in that the marks are by which a miss compares it.
    pub(super) packed: Vec<u8>,
    marks: Range<usize>,
}

impl Form {
    /// What stands in an exchange, where it is one of this form.
    pub(super) fn fits<'t>(&self, text: &'t [u8], ground: &Ground) -> Option<Filling<'t>> {
        // Most that are of another form are told by what is the same in all of this one.
        let parts = self.layout.split(text)?;
        let mut filling = Filling::default();
        for ((_, spot), part) in self.layout.parts.iter().zip(parts) {
            let fits = match spot {
                Spot::Text(number) => self.text(*number, part, &mut filling, ground),
                Spot::Row(number) => self.row(*number, part, &mut filling, &ground.ids),
                Spot::Took => {
                    let took = digits(part).filter(|took| took.len() == 1 || !took.starts_with('0'));
                    took.and_then(|took| took.parse().ok()).map(|took| filling.took = took).is_some()
                }
            };
            if !fits {
                return None;
            }
        }
        let texts = &filling.texts;
        let is_apart = |one: &u16| {
            let one = usize::from(*one);
            texts.iter().enumerate().all(|(number, text)| number == one || *text != texts[one])
        };
        self.apart.iter().all(is_apart).then_some(filling)
    }

    /// Notes the text of a number, and tells whether it may be this.
    fn text<'t>(&self, number: u16, text: &'t [u8], filling: &mut Filling<'t>, ground: &Ground) -> bool {
        let number = usize::from(number);
        if let Some(known) = filling.texts.get(number) {
            return *known == text;
        }
        filling.texts.push(text);
        let Text { asked, first } = &self.texts[number];
        *text == **first || (cutting::is_plain(text) && (!asked || cutting::says_nothing(text, ground.rules.secrets())))
    }

    /// Notes the row of a number by the number of a placeholder, and tells whether it may be this.
    fn row<'t>(&self, number: u16, part: &'t [u8], filling: &mut Filling<'t>, ids: &Ids) -> bool {
        if let Some(known) = filling.digits.get(usize::from(number)) {
            return *known == part;
        }
        let Rows { name, upper } = &self.rows[usize::from(number)];
        let digits = digits(part).filter(|digits| cutting::is_number(digits));
        let Some(row) = digits.and_then(|digits| ids.row_of(name, digits.parse().ok()?)) else { return false };
        let fits = ids.is_upper(row) == Some(*upper) && ids.is_lettered(row) && !filling.rows.contains(&row);
        filling.rows.push(row);
        filling.digits.push(part);
        fits
    }

    /// What an exchange of this form is made ready to; with marks, if it is among those that a miss compares.
    pub(super) fn known(form: &Arc<Self>, filling: &Filling<'_>, ids: &Ids, with_marks: bool) -> Known {
        let mut text = Vec::with_capacity(512);
        let loose = form.loose.key(filling, &mut text);
        let exact = form.exact.as_ref().map_or(loose, |pattern| {
            text.clear();
            pattern.fill(filling, loose, &mut text);
            Key::of_bytes(&text)
        });
        let (mut packed, mut marks) = (Vec::with_capacity(form.packed.length() + form.packed.length() / 4), 0..0);
        played::with_sum(&mut packed, |packed| {
            let begin = packed.len();
            form.marks.write(filling, with_marks, packed);
            marks = begin..packed.len();
            form.packed.fill(filling, loose, packed);
        });
        let speak = |row: &Row| ids.recorded(filling.rows[*row as usize]);
        let states = echo::keys_of(&form.stated, speak, |text| told(text, filling).into_owned());
        Known { form: Arc::clone(form), rows: filling.rows.clone(), loose, exact, states, packed, marks }
    }

    /// Whether no answer of this form repeats what an earlier request said. Once one may, it is not asked again.
    pub(super) fn is_silent(&self, learnt: &Statements) -> bool {
        let names = learnt.names();
        // Names are only added.
        if self.hearing.silent.load(Ordering::Relaxed) == names {
            return true;
        }
        let may = self.foreign.iter().any(|name| learnt.has_name(name));
        self.hearing.silent.store(if may { usize::MAX } else { names }, Ordering::Relaxed);
        self.hearing.may.store(may, Ordering::Relaxed);
        !may
    }

    /// Whether its answers show something by one of these names that is not of their own requests.
    pub(super) fn shows(&self, names: &BTreeSet<SmolStr>) -> bool {
        self.foreign.iter().any(|name| names.contains(name))
    }

    /// Whether its answers may repeat what an earlier request said.
    pub(super) fn may_hear(&self) -> bool {
        self.hearing.may.load(Ordering::Relaxed)
    }
}

impl Marks {
    /// Writes them as they are packed, or that there are none.
    fn write(&self, filling: &Filling<'_>, with_marks: bool, packed: &mut Vec<u8>) {
        let marks = if with_marks { self.of(filling) } else { Vec::new() };
        number(packed, size_of_val(&*marks) as u64);
        marks.iter().for_each(|mark| packed.extend_from_slice(&mark.to_le_bytes()));
    }

    fn of(&self, filling: &Filling<'_>) -> Vec<u32> {
        let mut text = Vec::with_capacity(256);
        let mut mark = |(before, number): &(Vec<u8>, u16)| {
            text.clear();
            text.extend_from_slice(before);
            part(&mut text, filling.text(*number));
            let [a, b, c, d, ..] = *blake3::hash(&text).as_bytes();
            u32::from_le_bytes([a, b, c, d])
        };
        let mut marks: Vec<u32> = self.texts.iter().map(&mut mark).collect();
        marks.extend(&self.fixed);
        marks.sort_unstable();
        marks
    }
}

impl Known {
    /// The rows of some numbers.
    pub(super) fn rows<'k>(&'k self, numbers: &'k [u16]) -> impl Iterator<Item = Row> + 'k {
        numbers.iter().map(|number| self.rows[usize::from(*number)])
    }

    /// What it is packed to, in the stead of what was in `packed`; without marks, where it is not among those that a miss
    /// compares.
    pub(super) fn pack(&mut self, with_marks: bool, packed: &mut Vec<u8>) {
        let has_marks = self.marks.len() > 1;
        if with_marks || !has_marks {
            std::mem::swap(packed, &mut self.packed);
            return;
        }
        played::with_sum(packed, |packed| {
            number(packed, 0);
            packed.extend_from_slice(&self.packed[self.marks.end..]);
        });
    }
}

/// A text of digits.
fn digits(text: &[u8]) -> Option<&str> {
    std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// A text of a form, with what stands in this exchange.
fn told<'s>(text: &'s str, filling: &Filling<'_>) -> Cow<'s, str> {
    let filled = |c| stood_for(c).map(|number| filling.text(number));
    if text.chars().all(|c| filled(c).is_none()) {
        return text.into();
    }
    let mut told = String::with_capacity(64);
    for c in text.chars() {
        match filled(c) {
            Some(text) => told.push_str(std::str::from_utf8(text).expect("seen to be UTF-8")),
            None => told.push(c),
        }
    }
    told.into()
}
