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
use super::preparing::Ground;
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
    pub(super) marks: Vec<u32>,
    pub(super) packed: Vec<u8>,
}

impl Form {
    /// What stands in an exchange, where it is one of this form.
    pub(super) fn fits<'t>(&self, text: &'t [u8], ground: &Ground) -> Option<Filling<'t>> {
        let (mut filling, mut rest) = (Filling::default(), text);
        for (before, spot) in &self.layout.parts {
            rest = rest.strip_prefix(&self.layout.text.as_bytes()[before.clone()])?;
            rest = match spot {
                Spot::Text(number) => self.text(*number, rest, &mut filling, ground)?,
                Spot::Row(number) => self.row(*number, rest, &mut filling, &ground.ids)?,
                Spot::Took => {
                    let (digits, rest) = digits(rest);
                    filling.took = digits.parse().ok().filter(|_| digits.len() == 1 || !digits.starts_with('0'))?;
                    rest
                }
            };
        }
        let end = self.layout.parts.last().map_or(0, |(before, _)| before.end);
        let is_end = rest == &self.layout.text.as_bytes()[end..] && text.len() <= 2 * cutting::LARGEST;
        let texts = &filling.texts;
        let is_apart = |one: &u16| {
            let one = usize::from(*one);
            texts.iter().enumerate().all(|(number, text)| number == one || *text != texts[one])
        };
        (is_end && self.apart.iter().all(is_apart)).then_some(filling)
    }

    /// Takes the text of a number off, where it may be this; what is left.
    fn text<'t>(&self, number: u16, rest: &'t [u8], filling: &mut Filling<'t>, ground: &Ground) -> Option<&'t [u8]> {
        let number = usize::from(number);
        if let Some(text) = filling.texts.get(number) {
            return rest.strip_prefix(*text);
        }
        let (text, rest) = rest.split_at(memchr::memchr(b'"', rest)?);
        filling.texts.push(text);
        let Text { asked, first } = &self.texts[number];
        let fits = || cutting::is_plain(text) && (!asked || says_nothing(text, ground));
        (*text == **first || fits()).then_some(rest)
    }

    /// Takes the number of a placeholder off, where it may be this; what is left.
    fn row<'t>(&self, number: u16, rest: &'t [u8], filling: &mut Filling<'t>, ids: &Ids) -> Option<&'t [u8]> {
        let Rows { name, upper } = &self.rows[usize::from(number)];
        let (digits, rest) = digits(rest);
        if let Some(known) = filling.digits.get(usize::from(number)) {
            return (*known == digits.as_bytes()).then_some(rest);
        }
        let row = cutting::is_number(digits).then(|| ids.row_of(name, digits.parse().ok()?)).flatten()?;
        let fits = ids.is_upper(row) == Some(*upper) && ids.is_lettered(row) && !filling.rows.contains(&row);
        filling.rows.push(row);
        filling.digits.push(digits.as_bytes());
        fits.then_some(rest)
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
        let mut packed = Vec::with_capacity(form.packed.length() + form.packed.length() / 4);
        form.packed.fill(filling, loose, &mut packed);
        let speak = |row: &Row| ids.recorded(filling.rows[*row as usize]);
        let states = echo::keys_of(&form.stated, speak, |text| told(text, filling).into_owned());
        let marks = if with_marks { form.marks.of(filling) } else { Vec::new() };
        Known { form: Arc::clone(form), rows: filling.rows.clone(), loose, exact, states, marks, packed }
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

    /// Writes down what [`super::played::Played::pack`] writes behind its checksum.
    pub(super) fn write(&self, with_marks: bool, packed: &mut Vec<u8>) {
        let marks = if with_marks { &*self.marks } else { &[] };
        number(packed, marks.len() as u64);
        marks.iter().for_each(|mark| number(packed, (*mark).into()));
        packed.extend_from_slice(&self.packed);
    }
}

/// Whether neither an id nor a secret can stand in a text that a request says.
pub(super) fn says_nothing(text: &[u8], ground: &Ground) -> bool {
    let hides_nothing = || {
        let told = std::str::from_utf8(text).unwrap_or_default();
        let quoted = ["\"", told, "\""].concat();
        let secrets = ground.rules.secrets();
        super::guid::tokens(told).next().is_none() && matches!(secrets.without(quoted.as_bytes()), Cow::Borrowed(_))
    };
    cutting::is_word(text) && (!cutting::may_hide(text) || hides_nothing())
}

/// The digits that a text begins with, and the rest.
fn digits(text: &[u8]) -> (&str, &[u8]) {
    let count = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(count);
    (std::str::from_utf8(digits).expect("digits are ASCII"), rest)
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
