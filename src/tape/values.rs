//! Ids by value, numbered as they come: some 20 bytes for each GUID.

use super::finder::{Finder, mixed};
use super::guid::Guid;
use super::id::{Id, Written};
use super::row_set::RowSet;

/// A GUID in lower case: its bits are the value's.
const LOWER: u8 = 0;
/// A GUID in upper case.
const UPPER: u8 = 1;
/// Any other text: the bits tell where it stands among the texts.
const TEXT: u8 = 2;

/// Ids by value, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Values {
    pub(super) bits: Vec<u128>,
    pub(super) kinds: Vec<u8>,
    pub(super) texts: String,
    pub(super) finder: Finder,
}

impl Values {
    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.bits.len()
    }

    /// Adds a value and tells its number; or the number of the same one that is there already.
    pub(super) fn add(&mut self, text: &str) -> Result<u32, u32> {
        if let Some(number) = self.find(&Id::of(text)) {
            return Err(number);
        }
        let number = self.push(text);
        let Self { bits, kinds, texts, finder } = self;
        finder.add(number, |number| hash(&id_at(bits, kinds, texts, number)));
        Ok(number)
    }

    /// Adds a value that is not found before all that were added so are [indexed](Self::index), and tells its number.
    pub(super) fn push(&mut self, text: &str) -> u32 {
        let number = u32::try_from(self.len()).expect("there are fewer than 2^32 ids");
        let (bits, kind) = match Id::of(text) {
            Id::Guid(guid) if !text.bytes().any(|b| b.is_ascii_uppercase()) => (guid.0, LOWER),
            Id::Guid(guid) if !text.bytes().any(|b| b.is_ascii_lowercase()) => (guid.0, UPPER),
            _ => {
                let bits = range(self.texts.len(), text);
                self.texts.push_str(text);
                (bits, TEXT)
            }
        };
        self.bits.push(bits);
        self.kinds.push(kind);
        number
    }

    /// Makes all values found that were pushed, and tells whether each is there once.
    pub(super) fn index(&mut self) -> bool {
        let mut finder = Finder::expecting(self.len());
        let Self { bits, kinds, texts, .. } = self;
        let id = |number| id_at(bits, kinds, texts, number);
        let mut numbers = (0..).take(bits.len());
        let is_new = numbers.all(|number| {
            let own = id(number);
            let known = finder.find(hash(&own), |other| is_at(bits, kinds, texts, other, &own));
            finder.add(number, |number| hash(&id(number)));
            known.is_none()
        });
        self.finder = finder;
        is_new
    }

    /// Adds no more, and takes no more room than is needed.
    pub(super) fn shrink(&mut self) {
        let Self { bits, kinds, texts, finder } = self;
        finder.shrink(|number| hash(&id_at(bits, kinds, texts, number)));
        self.bits.shrink_to_fit();
        self.kinds.shrink_to_fit();
        self.texts.shrink_to_fit();
    }

    /// Keeps these values only, and puts them in this order. They change places with one another, so that they are not in
    /// memory twice.
    pub(super) fn pick(&mut self, mut order: Vec<u32>) {
        self.finder = Finder::default();
        let (kept, mut is_kept) = (order.len(), RowSet::default());
        is_kept.extend(order.iter().copied());
        order.extend((0..).take(self.len()).filter(|number| !is_kept.contains(*number)));
        for start in (0..).take(order.len()) {
            let mut at: u32 = start;
            loop {
                let from = std::mem::replace(&mut order[at as usize], at);
                if from == start {
                    break;
                }
                self.bits.swap(at as usize, from as usize);
                self.kinds.swap(at as usize, from as usize);
                at = from;
            }
        }
        drop(order);
        self.bits.truncate(kept);
        self.kinds.truncate(kept);
        let texts = std::mem::take(&mut self.texts);
        for (bits, _) in self.bits.iter_mut().zip(&self.kinds).filter(|(_, kind)| **kind == TEXT) {
            let text = text_at(*bits, &texts);
            *bits = range(self.texts.len(), text);
            self.texts.push_str(text);
        }
        self.index();
        self.shrink();
    }

    /// The number of a value.
    pub(super) fn find(&self, id: &Id) -> Option<u32> {
        self.finder.find(hash(id), |number| self.is(number, id))
    }

    /// Whether a value is the one of a number.
    pub(super) fn is(&self, number: u32, id: &Id) -> bool {
        is_at(&self.bits, &self.kinds, &self.texts, number, id)
    }

    /// The value of a number.
    pub(super) fn id(&self, number: u32) -> Id {
        id_at(&self.bits, &self.kinds, &self.texts, number)
    }

    /// The value of a number as it was spelled when it was added.
    pub(super) fn text(&self, number: u32) -> Written<'_> {
        let at = number as usize;
        match self.kinds[at] {
            LOWER => Written::Short(Guid(self.bits[at]).text()),
            UPPER => Written::Short(Guid(self.bits[at]).upper_text()),
            _ => Written::Long(text_at(self.bits[at], &self.texts).into()),
        }
    }

    /// Whether a value is a GUID in upper case, or one in lower case; `None` for any other text.
    pub(super) fn is_upper(&self, number: u32) -> Option<bool> {
        let kind = self.kinds[number as usize];
        (kind != TEXT).then_some(kind == UPPER)
    }

    /// The values that are texts of some other kind than GUIDs in one case.
    pub(super) fn plain_texts(&self) -> impl Iterator<Item = &str> {
        let texts = self.bits.iter().zip(&self.kinds).filter(|(_, kind)| **kind == TEXT);
        texts.map(|(bits, _)| text_at(*bits, &self.texts))
    }
}

fn id_at(bits: &[u128], kinds: &[u8], texts: &str, number: u32) -> Id {
    let at = number as usize;
    if kinds[at] == TEXT { Id::of(text_at(bits[at], texts)) } else { Id::Guid(Guid(bits[at])) }
}

fn is_at(bits: &[u128], kinds: &[u8], texts: &str, number: u32, id: &Id) -> bool {
    let at = number as usize;
    match id {
        Id::Guid(guid) if kinds[at] != TEXT => bits[at] == guid.0,
        Id::Text(_) if kinds[at] != TEXT => false,
        _ => id_at(bits, kinds, texts, number) == *id,
    }
}

/// The bits of a text that stands there among the texts.
fn range(at: usize, text: &str) -> u128 {
    (at as u128) << 64 | text.len() as u128
}

fn text_at(bits: u128, texts: &str) -> &str {
    let number = |bits: u128| usize::try_from(bits & u128::from(u64::MAX)).unwrap_or(usize::MAX);
    let (at, length) = (number(bits >> 64), number(bits));
    texts.get(at..at.saturating_add(length)).unwrap_or_default()
}

fn hash(id: &Id) -> u64 {
    match id {
        Id::Guid(guid) => mixed(guid.0),
        Id::Text(_) => mixed(u128::from_le_bytes(id.digest())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_come_back_as_they_were_spelled_and_are_found_in_either_case() {
        let guid = "0385114b-b48f-4800-a046-f249eaba24b1";
        let mut values = Values::default();
        let mixed = "72889532-6B1A-4f0e-9d57-08c2f1e3a4b5";
        let texts = [guid, "Default", "7E323DB2-3DB2-7E32-B23D-327EB23D327E", mixed, "é/ü"];
        for (text, number) in texts.iter().zip(0..) {
            assert_eq!(values.add(text), Ok(number));
        }
        assert_eq!(values.add(&guid.to_uppercase()), Err(0));
        assert_eq!(values.add(&mixed.to_lowercase()), Err(3));
        values.shrink();
        for (text, number) in texts.iter().zip(0..) {
            assert_eq!((values.text(number).as_ref(), values.find(&Id::of(text))), (*text, Some(number)));
            assert_eq!(values.id(number), Id::of(text));
        }
        assert_eq!(values.find(&Id::of("default")), None);
        let mut pushed = Values::default();
        texts.iter().for_each(|text| assert_eq!(pushed.push(text) as usize + 1, pushed.len()));
        assert!(pushed.index());
        assert_eq!(pushed, values);
        for twice in [&*guid.to_uppercase(), "Default"] {
            let mut pushed = pushed.clone();
            pushed.push(twice);
            assert!(!pushed.index(), "{twice}");
        }
        assert_eq!(values.plain_texts().collect::<Vec<_>>(), ["Default", mixed, "é/ü"]);
    }

    proptest! {
        #[test]
        fn some_values_in_another_order_are_as_if_they_had_been_added_so(order in Just((0..60).collect::<Vec<u32>>()).prop_shuffle(), kept in 0..=60usize) {
            let guid = |n: u32| format!("{n:08X}-6B1A-4F0E-9D57-08C2F1E3A4B5");
            let text = |n: u32| match n % 4 {
                0 => guid(n),
                1 => guid(n).to_lowercase(),
                2 => format!("text {n}"),
                _ => format!("{}x", "x".repeat(n as usize)),
            };
            let [mut all, mut expected] = [Values::default(), Values::default()];
            (0..60).for_each(|n| assert_eq!(all.add(&text(n)), Ok(n)));
            order[..kept].iter().for_each(|n| assert!(expected.add(&text(*n)).is_ok()));
            expected.shrink();
            all.pick(order[..kept].to_vec());
            prop_assert_eq!(all, expected);
        }
    }
}
