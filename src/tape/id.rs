//! An id by value: a GUID, or any other text that stands for one thing.

use super::guid::{self, Guid};
use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

/// An id by value. GUIDs are equal in either case, other texts only letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A GUID.
    Guid(Guid),
    /// An opaque text, decoded: `DefaultDeviceCompliancePolicy.X`, `AAMk…=`, `19:…@thread.tacv2`, `1616990032035`.
    Text(Box<str>),
}

/// How an id is written: a GUID takes no memory of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Written<'a> {
    /// No longer than a GUID.
    Short(guid::Text),
    /// Any other.
    Long(Cow<'a, str>),
}

impl Written<'_> {
    /// A text of its own.
    #[must_use]
    pub fn of(text: &str) -> Written<'static> {
        guid::Text::from(text).map_or_else(|_| Written::Long(text.to_owned().into()), Written::Short)
    }

    /// The same text once more.
    #[must_use]
    pub fn again(&self) -> Written<'_> {
        match self {
            Self::Short(text) => Written::Short(*text),
            Self::Long(text) => Written::Long(text.as_ref().into()),
        }
    }
}

impl Deref for Written<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Short(text) => text,
            Self::Long(text) => text,
        }
    }
}

impl fmt::Display for Written<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self)
    }
}

impl AsRef<str> for Written<'_> {
    fn as_ref(&self) -> &str {
        self
    }
}

/// The length from which a text that is no plain word cannot stand anywhere by chance.
const DISTINCT: usize = 10;

impl Id {
    /// The id that a whole text is.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Guid::parse(text).map_or_else(|| Self::Text(text.into()), Self::Guid)
    }

    /// The bytes by which it goes into a hash: equal for equal ids.
    #[must_use]
    pub fn digest(&self) -> [u8; 16] {
        match self {
            Self::Guid(guid) => guid.0.to_le_bytes(),
            Self::Text(text) => {
                let mut digest = [0; 16];
                digest.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..16]);
                digest
            }
        }
    }
}

/// Whether a text is long and odd enough to be an id wherever it stands. Any other, such as `1` or `Default`, is one
/// only in key positions and id fields.
#[must_use]
pub fn is_distinct(text: &str) -> bool {
    text.len() >= DISTINCT && !text.bytes().all(|b| b.is_ascii_alphabetic())
}

/// A text of the length and alphabet of `model`, or longer by `more`: digits for digits, letters for letters of their
/// case, a first digit that is not 0, and everything else as it is.
#[must_use]
pub fn alike(model: &str, more: u32, origin: &blake3::Hasher) -> String {
    let mut chance = origin.finalize_xof();
    let mut letter = |first: u8, count: u8| {
        let mut bytes = [0; 8];
        chance.fill(&mut bytes);
        let offset = u8::try_from(u64::from_le_bytes(bytes) % u64::from(count)).expect("less than count");
        char::from(first + offset)
    };
    let mut text = String::new();
    for c in model.chars().chain(std::iter::repeat_n('0', more as usize)) {
        text.push(match c {
            '1'..='9' if text.is_empty() => letter(b'1', 9),
            '0'..='9' => letter(b'0', 10),
            'a'..='z' => letter(b'a', 26),
            'A'..='Z' => letter(b'A', 26),
            other => other,
        });
    }
    text
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Guid(guid) => guid.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_equal_in_either_case_and_texts_letter_by_letter() {
        let guid = "7e323db2-3db2-7e32-b23d-327eb23d327e";
        assert_eq!(Id::of(guid), Id::of(&guid.to_uppercase()));
        assert_eq!(Id::of(guid).digest(), Id::of(&guid.to_uppercase()).digest());
        assert_ne!(Id::of("AAMk"), Id::of("aamk"));
        assert_ne!(Id::of("AAMk").digest(), Id::of("aamk").digest());
    }

    #[test]
    fn short_texts_and_plain_words_are_not_distinct() {
        for text in ["1", "Default", "microsoftAuthenticator", "a.b"] {
            assert!(!is_distinct(text), "{text}");
        }
        for text in
            ["DefaultDeviceCompliancePolicy.X", "AAMkADYCQM0GfRAAAcrRD-AAA=", "19:a@thread.tacv2", "1616990032035"]
        {
            assert!(is_distinct(text), "{text}");
        }
    }
}
