//! A value of a message, and where it stands.

use super::place::Place;
use std::borrow::Cow;

/// What kind of value a leaf is: values of two kinds are never equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A word that holds no id: a method, a host, the name of a segment.
    Word,
    /// The key of a path segment.
    Key,
    /// A text, in which ids may stand.
    Text,
    /// A JSON number, `true`, `false`, `null`, `{}` or `[]`.
    Literal,
    /// A body that is no text, told by length and digest.
    Bytes,
}

/// A value of a message and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Where.
    pub place: Place,
    /// What kind.
    pub kind: Kind,
    /// The value in comparable form.
    pub text: Cow<'a, str>,
}
