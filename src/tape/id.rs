//! An id by value: a GUID, or any other text that stands for one thing.

use super::guid::{self, Guid};
use std::fmt;

/// An id by value. GUIDs are equal in either case, other texts only letter by letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Id {
    /// A GUID.
    Guid(Guid),
    /// An opaque text, decoded: `DefaultDeviceCompliancePolicy.X`, `AAMk…=`, `19:…@thread.tacv2`, `1616990032035`.
    Text(Box<str>),
}

/// The length from which a text that is no plain word cannot stand anywhere by chance.
const DISTINCT: usize = 10;

impl Id {
    /// The id that a whole text is.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Guid::parse(text).map_or_else(|| Self::Text(text.into()), Self::Guid)
    }

    /// The ids in the text of a key or an id field: the GUIDs in it, or else the whole of it.
    #[must_use]
    pub fn parts(text: &str) -> Vec<Self> {
        let guids: Vec<Self> = guid::tokens(text).map(|(_, guid)| Self::Guid(guid)).collect();
        if guids.is_empty() && !text.is_empty() { vec![Self::Text(text.into())] } else { guids }
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
    fn a_key_is_its_guids_or_else_itself() {
        let guid = "7e323db2-3db2-7e32-b23d-327eb23d327e";
        let told = |text: &str| Id::parts(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&format!("{guid}_1_{}", guid.to_uppercase())), [guid, guid]);
        assert_eq!(told("Default.X"), ["Default.X"]);
        assert_eq!(told(""), [""; 0]);
        assert_eq!(Id::of(guid), Id::of(&guid.to_uppercase()));
        assert_ne!(Id::of("AAMk"), Id::of("aamk"));
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
