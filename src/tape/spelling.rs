//! How an occurrence of an id is written: its case, and the codings that its place asks for.

use super::guid::Guid;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Write;

/// The letters' case of an occurrence, against the id's value in the `ids` table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Case {
    /// As the value is.
    #[default]
    Same,
    /// In lower case, where the value is not.
    Lower,
    /// In upper case, where the value is not.
    Upper,
}

/// A way to write a text inside another, so that it reads as itself there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Coding {
    /// Quotes doubled, as in an OData key (OData 4.01 URL conventions, section 4.2).
    Quotes,
    /// Percent-encoded but for what may stand in a segment of a path (RFC 3986 section 3.3).
    Path,
    /// Percent-encoded but for letters, digits and `-._~`.
    Url,
    /// The same with lower-case digits.
    UrlLower,
    /// As in a JSON string.
    Json,
}

use Coding::{Json, Path, Quotes, Url, UrlLower};

impl Coding {
    const ALL: [(Self, &'static str); 5] =
        [(Quotes, "quotes"), (Path, "path"), (Url, "url"), (UrlLower, "url-lower"), (Json, "json")];

    fn apply(self, text: &str) -> String {
        let percent = |kept: &[u8], lower: bool| {
            let mut out = String::new();
            for &byte in text.as_bytes() {
                if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
                    out.push(char::from(byte));
                } else if lower {
                    write!(out, "%{byte:02x}").expect("a text takes an escape");
                } else {
                    write!(out, "%{byte:02X}").expect("a text takes an escape");
                }
            }
            out
        };
        match self {
            Quotes => text.replace('\'', "''"),
            Path => percent(b"-._~!$&'()*+,;=:@", false),
            Url => percent(b"-._~", false),
            UrlLower => percent(b"-._~", true),
            Json => {
                let quoted = serde_json::Value::from(text).to_string();
                quoted[1..quoted.len() - 1].to_owned()
            }
        }
    }
}

/// The codings below JSON's that are looked for, the usual first.
const CODINGS: [&[Coding]; 10] = [
    &[],
    &[Quotes],
    &[Quotes, Path],
    &[Quotes, Url],
    &[Quotes, UrlLower],
    &[Path],
    &[Url],
    &[UrlLower],
    &[Quotes, Url, Url],
    &[Url, Url],
];

/// The most levels of JSON in JSON that are looked for.
const LEVELS: usize = 3;

/// How an occurrence of an id is spelled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    /// The case of a GUID.
    pub case: Case,
    /// The codings, innermost first; `None` for those that the place asks for.
    pub codings: Option<Vec<Coding>>,
}

impl Case {
    /// How `value` must be spelled to read as `written`, the same GUID; `None` for a mixture of cases of its own.
    #[must_use]
    pub fn of(written: &str, value: &str) -> Option<Self> {
        [Self::Same, Self::Lower, Self::Upper].into_iter().find(|case| case.apply(value) == written)
    }

    /// Spells `value` this way. A text that is no GUID has the case that it has.
    #[must_use]
    pub fn apply(self, value: &str) -> Cow<'_, str> {
        match self {
            Self::Lower if Guid::parse(value).is_some() => value.to_ascii_lowercase().into(),
            Self::Upper if Guid::parse(value).is_some() => value.to_ascii_uppercase().into(),
            _ => value.into(),
        }
    }
}

impl Spelling {
    /// Spells `value` this way, in a place that asks for no coding unless the spelling says so.
    #[must_use]
    pub fn apply<'a>(&self, value: &'a str) -> Cow<'a, str> {
        let cased = self.case.apply(value);
        match &self.codings {
            Some(codings) if !is_plain(&cased) => encode(&cased, codings).into(),
            _ => cased,
        }
    }

    /// Reads what stands behind the name in a placeholder: `|lower`, `|quotes|url`, `|plain`.
    #[must_use]
    pub fn parse(filters: &str) -> Option<Self> {
        let mut spelling = Self::default();
        for filter in filters.split('|').skip(1) {
            match filter {
                "lower" => spelling.case = Case::Lower,
                "upper" => spelling.case = Case::Upper,
                "plain" => spelling.codings = Some(Vec::new()),
                coding => {
                    let (coding, _) = Coding::ALL.into_iter().find(|(_, name)| *name == coding)?;
                    spelling.codings.get_or_insert_default().push(coding);
                }
            }
        }
        (spelling.filters() == filters).then_some(spelling)
    }

    /// What stands behind the name in a placeholder.
    #[must_use]
    pub fn filters(&self) -> String {
        let mut filters = String::from(match self.case {
            Case::Same => "",
            Case::Lower => "|lower",
            Case::Upper => "|upper",
        });
        match self.codings.as_deref() {
            None => {}
            Some([]) => filters.push_str("|plain"),
            Some(codings) => {
                for coding in codings {
                    let (_, name) = Coding::ALL.into_iter().find(|(own, _)| own == coding).expect("all are there");
                    filters.push('|');
                    filters.push_str(name);
                }
            }
        }
        filters
    }
}

/// Writes `value` in these codings, innermost first.
#[must_use]
pub fn encode(value: &str, codings: &[Coding]) -> String {
    codings.iter().fold(value.to_owned(), |text, coding| coding.apply(&text))
}

/// The codings by which `value` reads as `written`, if there are any among those that are looked for.
#[must_use]
pub fn codings(value: &str, written: &str) -> Option<Vec<Coding>> {
    every(value).find(|(text, _)| text == written).map(|(_, codings)| codings)
}

/// Every way to write `value` that is looked for, with its codings; some may read the same.
pub fn every(value: &str) -> impl Iterator<Item = (String, Vec<Coding>)> + '_ {
    let plain = is_plain(value);
    let ways = CODINGS.into_iter().take(if plain { 1 } else { CODINGS.len() });
    ways.flat_map(move |codings| {
        (0..if plain { 1 } else { LEVELS }).map(move |levels| {
            let codings = [codings, &vec![Json; levels]].concat();
            (encode(value, &codings), codings)
        })
    })
}

/// Whether a text is the same in every coding.
pub(super) fn is_plain(text: &str) -> bool {
    // Each byte is looked at, and so many at once.
    text.bytes().fold(true, |plain, b| plain & (b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_as_they_are_written() {
        for filters in ["", "|lower", "|upper|plain", "|quotes|url|url", "|path|json", "|url-lower"] {
            assert_eq!(Spelling::parse(filters).unwrap().filters(), filters);
        }
        for filters in ["|title", "|", "|plain|json", "|json|lower"] {
            assert_eq!(Spelling::parse(filters), None, "{filters}");
        }
    }

    #[test]
    fn every_coding_keeps_a_text_readable_in_its_place() {
        let value = "a/b'c\"d: é";
        let written = [
            (vec![Quotes], "a/b''c\"d: é"),
            (vec![Quotes, Path], "a%2Fb''c%22d:%20%C3%A9"),
            (vec![Quotes, Url], "a%2Fb%27%27c%22d%3A%20%C3%A9"),
            (vec![UrlLower], "a%2fb%27c%22d%3a%20%c3%a9"),
            (vec![Json], "a/b'c\\\"d: é"),
            (vec![Url, Url], "a%252Fb%2527c%2522d%253A%2520%25C3%25A9"),
        ];
        for (own, text) in written {
            assert_eq!(encode(value, &own), text, "{own:?}");
            assert_eq!(codings(value, text), Some(own));
        }
        assert_eq!(codings(value, "a"), None);
    }
}
