//! The text form of tape: literal text with placeholders such as `{{userStatuses.1}}` where ids stood.

use super::guid;
use super::spelling::Spelling;
use super::surroundings::Surroundings;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Range;
use std::str::FromStr;

/// How a literal `{{` is written, so that content never reads as a placeholder.
const ESCAPED_BRACES: &str = "{{'{{'}}";

/// The name of an id on tape: its collection and a number from 1, in order of first appearance.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Placeholder {
    /// The collection, such as `userStatuses`: ASCII letters, digits, `_` and `-`.
    pub name: String,
    /// The number within the collection.
    pub number: u32,
}

impl fmt::Display for Placeholder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.name, self.number)
    }
}

impl FromStr for Placeholder {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (name, digits) = text.rsplit_once('.').ok_or(())?;
        let number: u32 = digits.parse().map_err(|_| ())?;
        // One number has one spelling.
        let canonical = digits.starts_with(|first: char| matches!(first, '1'..='9'));
        if !canonical || !is_name(name) {
            return Err(());
        }
        Ok(Self { name: name.to_owned(), number })
    }
}

fn is_name(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic()) && name.bytes().all(plain)
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Piece<I> {
    /// Text that is spoken as it stands.
    Text(String),
    /// A slot for an id.
    Id(I, Spelling),
}

/// A text with slots for ids; `I` says which id, by name or by its row in a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template<I = Placeholder>(Vec<Piece<I>>);

/// A placeholder that cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Text between `{{` and `}}` that is no placeholder, or a `{{` that is never closed.
    #[error(
        "`{0}` is no placeholder: write `{{{{collection.1}}}}` for an id, or `{ESCAPED_BRACES}` for two literal braces"
    )]
    Malformed(String),
    /// A placeholder that the table does not have.
    #[error("the placeholder `{{{{{0}}}}}` is not in the `ids` table")]
    Unknown(Placeholder),
}

impl<I> Template<I> {
    /// Reads tape text, looking each placeholder up with `resolve`.
    ///
    /// # Errors
    /// When text between double braces is no placeholder, or one that `resolve` does not know.
    pub fn parse(text: &str, resolve: impl Fn(&Placeholder) -> Option<I>) -> Result<Self, Fault> {
        let mut template = Self(Vec::new());
        let mut rest = text;
        while let Some(at) = braces(rest) {
            template.push_text(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix(ESCAPED_BRACES) {
                template.push_text("{{");
                rest = after;
            } else if rest.starts_with("{{{") {
                // A literal brace stands before the placeholder, as in `{guid}`.
                template.push_text("{");
                rest = &rest[1..];
            } else {
                let end = rest.find("}}").ok_or_else(|| malformed(rest))?;
                let (placeholder, spelling) = slot(&rest[2..end]).ok_or_else(|| malformed(&rest[..end + 2]))?;
                let id = resolve(&placeholder).ok_or(Fault::Unknown(placeholder))?;
                template.0.push(Piece::Id(id, spelling));
                rest = &rest[end + 2..];
            }
        }
        template.push_text(rest);
        template.settle(text);
        Ok(template)
    }

    /// A text that is one id and nothing else.
    #[must_use]
    pub fn of_id(id: I) -> Self {
        Self(vec![Piece::Id(id, Spelling { codings: Some(Vec::new()), ..Spelling::default() })])
    }

    /// The text, where it has no slots.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match &*self.0 {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The ids of the slots, in order.
    pub fn ids(&self) -> impl Iterator<Item = &I> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Id(id, _) => Some(id),
            Piece::Text(_) => None,
        })
    }

    /// The same text with other names for what fills its slots.
    pub fn map<J>(self, mut name: impl FnMut(I) -> J) -> Template<J> {
        let map = |piece| match piece {
            Piece::Text(text) => Piece::Text(text),
            Piece::Id(id, spelling) => Piece::Id(name(id), spelling),
        };
        Template(self.0.into_iter().map(map).collect())
    }

    /// Puts slots in the stead of parts of the text that `value` speaks, which come in their order. A part that is not
    /// all between two ids stays as it is.
    pub fn cut<T: AsRef<str>>(&self, parts: Vec<(Range<usize>, I)>, mut value: impl FnMut(&I) -> T) -> Self
    where
        I: Clone,
    {
        let (mut template, mut at) = (Self(Vec::new()), 0);
        let mut parts = parts.into_iter().peekable();
        for piece in &self.0 {
            match piece {
                Piece::Id(id, spelling) => {
                    at += spelling.apply(value(id).as_ref()).len();
                    template.0.push(piece.clone());
                }
                Piece::Text(text) => {
                    let mut from = 0;
                    while let Some((part, id)) = parts.next_if(|(part, _)| part.start < at + text.len()) {
                        if part.start >= at + from && part.end <= at + text.len() {
                            template.push_text(&text[from..part.start - at]);
                            template.0.push(Piece::Id(id, Spelling::default()));
                            from = part.end - at;
                        }
                    }
                    template.push_text(&text[from..]);
                    at += text.len();
                }
            }
        }
        template
    }

    /// Changes how slots are spelled.
    pub fn respell(&mut self, mut respell: impl FnMut(&I, &mut Spelling)) {
        for piece in &mut self.0 {
            if let Piece::Id(id, spelled) = piece {
                respell(id, spelled);
            }
        }
    }

    /// Settles the codings of each slot that does not say its own, by what stands around it; `text` is what was parsed.
    fn settle(&mut self, text: &str) {
        // What stands after the last slot settles nothing.
        let Some(last) = self.0.iter().rposition(|piece| matches!(piece, Piece::Id(..))) else { return };
        let mut surroundings = Surroundings::of(text);
        for piece in &mut self.0[..=last] {
            match piece {
                Piece::Text(text) => surroundings.pass(text),
                Piece::Id(_, spelling) => {
                    spelling.codings.get_or_insert_with(|| surroundings.codings());
                    surroundings.pass_id();
                }
            }
        }
    }

    /// The text with every slot filled by `value`.
    pub fn speak<T: AsRef<str>>(&self, mut value: impl FnMut(&I) -> T) -> String {
        let length = |piece: &Piece<I>| if let Piece::Text(text) = piece { text.len() } else { guid::LENGTH };
        let mut spoken = String::with_capacity(self.0.iter().map(length).sum());
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => spoken.push_str(text),
                Piece::Id(id, spelling) => spoken.push_str(&spelling.apply(value(id).as_ref())),
            }
        }
        spoken
    }

    fn push_text(&mut self, text: &str) {
        match self.0.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.0.push(Piece::Text(text.to_owned())),
        }
    }
}

/// Where the first double brace stands.
fn braces(text: &str) -> Option<usize> {
    memchr::memchr_iter(b'{', text.as_bytes()).find(|at| text.as_bytes().get(at + 1) == Some(&b'{'))
}

fn slot(inner: &str) -> Option<(Placeholder, Spelling)> {
    let (name, filters) = inner.split_at(inner.find('|').unwrap_or(inner.len()));
    Some((name.parse().ok()?, Spelling::parse(filters)?))
}

fn malformed(text: &str) -> Fault {
    Fault::Malformed(text.chars().take(40).collect())
}

/// Writes tape text, piece by piece.
#[derive(Debug, Default)]
pub struct Writer(String);

impl Writer {
    /// Appends literal text, its double braces escaped.
    pub fn text(&mut self, text: &str) {
        let mut parts = text.split("{{");
        self.0.push_str(parts.next().unwrap_or_default());
        for part in parts {
            self.0.push_str(ESCAPED_BRACES);
            self.0.push_str(part);
        }
    }

    /// Appends a placeholder.
    pub fn id(&mut self, placeholder: &Placeholder, spelling: &Spelling) {
        self.0.push_str("{{");
        self.0.push_str(&placeholder.to_string());
        self.0.push_str(&spelling.filters());
        self.0.push_str("}}");
    }

    /// The text written.
    #[must_use]
    pub fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<Template, Fault> {
        Template::parse(text, |p| Some(p.clone()))
    }

    fn write(pieces: &[Piece<Placeholder>]) -> String {
        let mut writer = Writer::default();
        for piece in pieces {
            match piece {
                Piece::Text(text) => writer.text(text),
                Piece::Id(id, spelling) => writer.id(id, spelling),
            }
        }
        writer.finish()
    }

    #[test]
    fn a_slot_is_filled_in_its_own_spelling() {
        let template = parse("/a/{{b.1}}/{{b.1|upper}}/{{{b.2|lower}}}").unwrap();
        let id = "7e323DB2-3db2-7e32-b23d-327eb23d327e";
        let spoken = template.speak(|p| if p.number == 1 { id } else { "No Guid" });
        assert_eq!(spoken, format!("/a/{id}/{}/{{No%20Guid}}", id.to_uppercase()));
    }

    #[test]
    fn parts_between_ids_become_slots_and_others_stay() {
        let template = parse("ab{{a.1}}cd").unwrap();
        let slot = |number| Placeholder { name: "n".into(), number };
        let parts = [(0..1, 1), (1..3, 2), (3..4, 3), (4..5, 4), (5..6, 5)];
        let parts = parts.map(|(part, number)| (part, slot(number))).into();
        let spoken = template.cut(parts, |_| "xx").speak(|p| format!("<{p}>"));
        assert_eq!(spoken, "<n.1>b<a.1><n.4><n.5>");
    }

    #[test]
    fn what_is_no_placeholder_is_an_error_that_says_how_to_write_one() {
        let faults = ["{{a}}", "{{a.0}}", "{{a.01}}", "{{.1}}", "{{a.1|title}}", "x {{a.1", "{{ a.1 }}"]
            .map(|text| parse(text).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
        let unknown = Template::<usize>::parse("{{a.1}}", |_| None).unwrap_err();
        assert_eq!(unknown.to_string(), "the placeholder `{{a.1}}` is not in the `ids` table");
    }

    fn piece() -> impl Strategy<Value = Piece<Placeholder>> {
        let spelling = prop_oneof![Just(""), Just("|lower"), Just("|upper|plain"), Just("|quotes|json")];
        let spelling = spelling.prop_map(|filters| Spelling::parse(filters).unwrap());
        let id = ("[a-z][A-Za-z0-9_-]{0,6}", 1u32..99, spelling)
            .prop_map(|(name, number, spelling)| Piece::Id(Placeholder { name, number }, spelling));
        prop_oneof![id, "[{}'a.1|]{1,12}".prop_map(Piece::Text), ".{1,8}".prop_map(Piece::Text)]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(pieces in prop::collection::vec(piece(), 0..8)) {
            let mut merged = Template(Vec::new());
            let settled = |mut template: Template, text: &str| { template.settle(text); template };
            for piece in pieces {
                match piece {
                    Piece::Text(text) => merged.push_text(&text),
                    id => merged.0.push(id),
                }
            }
            let text = write(&merged.0);
            prop_assert_eq!(parse(&text), Ok(settled(merged, &text)));
        }
    }
}
