//! Places of a message, and the patterns by which rules name them.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;
use std::cmp::Ordering;
use std::fmt;

/// Where a value stands in a message, in the words of config rules, misses and reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// The method.
    Method,
    /// The status of an answer.
    Status,
    /// The host: national clouds are told apart.
    Host,
    /// A segment of the path in normal form, counted from 1; the version is the first. 0 is the whole path behind it.
    Path(usize),
    /// A query option by its decoded name.
    Query(SmolStr),
    /// A header by its name in lower case.
    Header(SmolStr),
    /// A JSON Pointer (RFC 6901) into the body.
    Json(SmolStr),
    /// The body as a whole, where it is no JSON.
    Body,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("method"),
            Self::Status => f.write_str("status"),
            Self::Host => f.write_str("host"),
            Self::Path(0) => f.write_str("path"),
            Self::Path(number) => write!(f, "path:{number}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Json(pointer) => write!(f, "json:{pointer}"),
            Self::Body => f.write_str("body"),
        }
    }
}

impl Place {
    /// Writes its name, as it is displayed, without a formatter's cost.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        let (kind, name) = match self {
            Self::Query(name) => ("query:", name),
            Self::Header(name) => ("header:", name),
            Self::Json(pointer) => ("json:", pointer),
            Self::Path(number @ 1..=9) => {
                text.extend_from_slice(b"path:");
                text.push(b'0' + u8::try_from(*number).expect("one digit"));
                return;
            }
            Self::Method | Self::Host | Self::Path(_) | Self::Body | Self::Status => {
                text.extend_from_slice(self.to_string().as_bytes());
                return;
            }
        };
        text.extend_from_slice(kind.as_bytes());
        text.extend_from_slice(name.as_bytes());
    }

    /// How many bytes its name has, where it has one of its own.
    pub(super) fn named(&self) -> usize {
        match self {
            Self::Query(name) | Self::Header(name) | Self::Json(name) => name.len(),
            _ => 0,
        }
    }

    /// The order of places in a walk of a message: elements of arrays by their numbers.
    #[must_use]
    pub fn walked(&self, other: &Self) -> Ordering {
        let (Self::Json(one), Self::Json(two)) = (self, other) else { return self.cmp(other) };
        if one == two {
            return Ordering::Equal;
        }
        let step = |a: &str, b: &str| match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            // Of every three steps each is before the next, or it would be no order.
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        let (mut ones, mut twos) = (one.split('/'), two.split('/'));
        loop {
            match (ones.next(), twos.next()) {
                (None, None) => return one.cmp(two),
                (None, Some(_)) => return Ordering::Less,
                (Some(_), None) => return Ordering::Greater,
                (Some(a), Some(b)) => match step(a, b) {
                    Ordering::Equal => {}
                    unequal => return unequal,
                },
            }
        }
    }
}

/// The name that a step of a pointer spells.
#[must_use]
pub fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// A rule's way to name places: a query option, or a JSON Pointer in which `*` stands for any one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlacePattern {
    /// A query option.
    Query(String),
    /// A header, by its name in lower case.
    Header(String),
    /// The steps of a pointer, still escaped; `None` for `*`.
    Json(Vec<Option<String>>),
}

impl PlacePattern {
    /// Reads `query:NAME`, `header:NAME` or `json:/POINTER`; nothing else of a request is both compared and free to vary.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix("query:") {
            return (!name.is_empty()).then(|| Self::Query(name.to_owned()));
        }
        if let Some(name) = text.strip_prefix("header:") {
            return http::HeaderName::try_from(name).ok().map(|name| Self::Header(name.as_str().to_owned()));
        }
        let pointer = text.strip_prefix("json:")?.strip_prefix('/')?;
        // In a pointer `~` begins `~0` or `~1` (RFC 6901 section 3).
        if pointer.split('~').skip(1).any(|after| !after.starts_with(['0', '1'])) {
            return None;
        }
        let step = |text: &str| (text != "*").then(|| text.to_owned());
        Some(Self::Json(pointer.split('/').map(step).collect()))
    }

    /// The name of the member that is meant, if it has one.
    #[must_use]
    pub fn member(&self) -> Option<String> {
        match self {
            Self::Query(_) | Self::Header(_) => None,
            Self::Json(steps) => steps.iter().flatten().next_back().map(|step| unescaped(step)),
        }
    }

    /// Whether a value in a body is meant, or one that it stands in, to which this way leads: by the names of members,
    /// and none for any element of an array.
    #[must_use]
    pub fn covers_way(&self, way: &[Option<String>]) -> bool {
        let Self::Json(own) = self else { return false };
        own.len() <= way.len()
            && own.iter().zip(way).all(|(own, step)| match (own, step) {
                (None, _) => true,
                (Some(own), Some(step)) => unescaped(own) == *step,
                (Some(_), None) => false,
            })
    }

    /// Whether `place`, or a value that it stands in, is meant.
    #[must_use]
    pub fn covers(&self, place: &Place) -> bool {
        match (self, place) {
            (Self::Query(own), Place::Query(name)) | (Self::Header(own), Place::Header(name)) => own == name,
            (Self::Json(own), Place::Json(pointer)) => {
                own.iter().try_fold(pointer.as_bytes(), |rest, own| below(rest, own.as_deref())).is_some()
            }
            _ => false,
        }
    }
}

impl fmt::Display for PlacePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Json(steps) => {
                f.write_str("json:")?;
                steps.iter().try_for_each(|step| write!(f, "/{}", step.as_deref().unwrap_or("*")))
            }
        }
    }
}

/// What of a pointer is below its first step, where that is `step` or any will do.
fn below<'a>(pointer: &'a [u8], step: Option<&str>) -> Option<&'a [u8]> {
    let first = pointer.strip_prefix(b"/")?;
    let below = match step {
        Some(step) => first.strip_prefix(step.as_bytes())?,
        None => &first[memchr::memchr(b'/', first).unwrap_or(first.len())..],
    };
    matches!(below.first(), None | Some(b'/')).then_some(below)
}

/// What config says of ids: where they stand, against what the deck would think, and whether people have them too.
#[derive(Clone, Debug, Default)]
pub struct IdPlaces {
    /// What stands here is an id.
    pub also: Vec<PlacePattern>,
    /// What stands here is none, wherever else it stands.
    pub never: Vec<PlacePattern>,
    /// Whether stand-ins of people are ids too: then a run has its own people in their place.
    pub people: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_in_the_order_of_their_numbers() {
        let mut places = ["/items/10/at", "/items/2/at", "/a", "/items/2", "/items/1a", "/1a", "/10", "/2"]
            .map(|pointer| Place::Json(pointer.into()));
        places.sort_by(Place::walked);
        assert_eq!(
            places.map(|place| place.to_string().replace("json:", "")),
            ["/2", "/10", "/1a", "/a", "/items/2", "/items/2/at", "/items/10/at", "/items/1a"]
        );
    }

    #[test]
    fn patterns_cover_a_place_and_what_stands_in_it() {
        let place = |pointer: &str| Place::Json(pointer.into());
        let pattern = PlacePattern::parse("json:/value/*/at").unwrap();
        assert!(pattern.covers(&place("/value/0/at")) && pattern.covers(&place("/value/7/at/deep")));
        assert!(!pattern.covers(&place("/value/0")) && !pattern.covers(&place("/value/0/att")));
        assert!(PlacePattern::parse("query:$top").unwrap().covers(&Place::Query("$top".into())));
        assert!(PlacePattern::parse("header:Prefer").unwrap().covers(&Place::Header("prefer".into())));
        for text in ["json:/value/*/a~1b", "query:$top", "header:prefer"] {
            assert_eq!(PlacePattern::parse(text).unwrap().to_string(), text);
        }
        for bad in ["json:", "json:a", "json:/a~2", "json:/a~", "query:", "header:", "header:a b", "x"] {
            assert_eq!(PlacePattern::parse(bad), None, "{bad}");
        }
    }
}
