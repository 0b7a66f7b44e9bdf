//! The names of sessions, and why there is none of a name.

use std::fmt;

/// The most sessions that may be open at once.
pub(super) const MOST: usize = 4096;
/// The longest name of a session, in characters.
const LONGEST: usize = 64;
/// What the session without a name is called.
const DEFAULT: &str = "default";

/// The name of a session: letters, digits, `.`, `_` and `-`, the first of them no `.`, 64 characters at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name.
    ///
    /// # Errors
    /// When the text is none.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let good = !text.is_empty() && text.len() <= LONGEST && text.bytes().all(plain) && !text.starts_with('.');
        // What is shown of it is plain: it may come from anywhere.
        let shown = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
        let told = || Fault::Name(text.chars().take(LONGEST + 1).map(shown).collect());
        if good { Ok(Self(text.to_owned())) } else { Err(told()) }
    }

    /// The name as a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the session without a name.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0 == DEFAULT
    }
}

impl Default for Name {
    fn default() -> Self {
        Self(DEFAULT.to_owned())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a session cannot be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The name is none.
    #[error(
        "`{0}` is no name of a session: it has letters, digits, `.`, `_` and `-`, {LONGEST} at most, and begins with no `.`"
    )]
    Name(String),
    /// The user of the proxy's address is none. It is not shown: it may be a credential for another proxy.
    #[error("the user part of the proxy's address is no name of a session: it has letters, digits, `.`, `_` and `-`")]
    ProxyUser,
    /// There is one of that name already.
    #[error("the session `{0}` is open already: close it first, or reset it")]
    Open(Name),
    /// There is none of that name.
    #[error("there is no session `{0}`")]
    Unknown(Name),
    /// There are too many.
    #[error("there are {MOST} sessions already: close some with DELETE /_graphdeck/sessions/NAME")]
    TooMany,
    /// What was asked cannot be done with this session.
    #[error("{0}")]
    Refused(String),
    /// It cannot be made.
    #[error("the session `{name}` cannot be opened: {why}")]
    Cannot {
        /// The session.
        name: Name,
        /// The reason.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        for good in ["a", "login-test", "A.b_c", &"x".repeat(64)] {
            assert_eq!(Name::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", ".a", "a/b", "a b", "é", "a%20b", &"x".repeat(65)] {
            assert!(Name::parse(bad).is_err(), "{bad}");
        }
    }
}
