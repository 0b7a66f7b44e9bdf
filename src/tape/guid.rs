//! GUIDs as Graph writes them, and where they stand in a text.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A GUID by value: spelled in either case it is the same one.
///
/// Any 32 hexadecimal digits will do: Graph's documented ids carry no valid RFC 9562 version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub u128);

/// The length of a GUID's text: 32 digits and 4 hyphens.
pub const LENGTH: usize = 36;

/// A text no longer than a GUID's, without memory of its own.
pub type Text = arrayvec::ArrayString<LENGTH>;

const HYPHENS: [usize; 4] = [8, 13, 18, 23];

impl Guid {
    /// Reads a text that is one GUID and nothing else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        parse(text.as_bytes())
    }

    /// Its text in lower case, without a formatter's cost.
    #[must_use]
    pub fn text(self) -> Text {
        let mut text = [0; LENGTH];
        let text = uuid::Uuid::from_u128(self.0).hyphenated().encode_lower(&mut text);
        Text::from(text).expect("it has room for a GUID")
    }

    /// The same in upper case.
    #[must_use]
    pub fn upper_text(self) -> Text {
        let mut text = self.text();
        text.make_ascii_uppercase();
        text
    }

    /// Whether it has the version and variant that are free for anybody's use (RFC 9562 section 5.8).
    #[must_use]
    pub fn is_version_8(self) -> bool {
        self.0 >> 76 & 0xf == 8 && self.0 >> 62 & 0b11 == 0b10
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_u128(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn parse(bytes: &[u8]) -> Option<Guid> {
    let shaped = bytes.len() == LENGTH && HYPHENS.iter().all(|&i| bytes[i] == b'-');
    if !shaped {
        return None;
    }
    uuid::Uuid::try_parse_ascii(bytes).ok().map(|uuid| Guid(uuid.as_u128()))
}

/// Every GUID that stands in `text` as a token of its own, from left to right.
///
/// A token may be joined to others by anything but letters and digits: `('…')`, `a_b`, `%27…%27`,
/// the same percent-encoded once more, or a JSON escape such as `\u0027` before it.
pub fn tokens(text: &str) -> impl Iterator<Item = (Range<usize>, Guid)> {
    // In a shorter text there is none.
    let bytes = if text.len() < LENGTH { b"" } else { text.as_bytes() };
    let mut from = 0;
    std::iter::from_fn(move || {
        while let Some(hyphen) = memchr::memchr(b'-', &bytes[from..]).map(|i| from + i) {
            from = hyphen + 1;
            let Some(start) = hyphen.checked_sub(HYPHENS[0]) else { continue };
            let Some(candidate) = bytes.get(start..start + LENGTH) else { continue };
            if !starts_token(&bytes[..start]) || !ends_token(&bytes[start + LENGTH..]) {
                continue;
            }
            if let Some(guid) = parse(candidate) {
                from = start + LENGTH;
                return Some((start..from, guid));
            }
        }
        None
    })
}

/// A text with `?` in the stead of its GUIDs; as it is when it has none.
pub(super) fn blanked(text: &str) -> Cow<'_, str> {
    let (mut blanked, mut from) = (String::new(), 0);
    for (range, _) in tokens(text) {
        blanked.push_str(&text[from..range.start]);
        blanked.push('?');
        from = range.end;
    }
    if from == 0 { text.into() } else { (blanked + &text[from..]).into() }
}

/// Whether `text` is one GUID, or GUIDs joined by `_` as Intune's composite ids are.
#[must_use]
pub fn is_composite(text: &str) -> bool {
    text.len() >= LENGTH && text.split('_').all(|part| Guid::parse(part).is_some())
}

/// Whether a token may begin after `before`.
pub(super) fn starts_token(before: &[u8]) -> bool {
    match before.last() {
        Some(b'%') => false,
        Some(last) if last.is_ascii_alphanumeric() => ends_in_escape(before),
        _ => true,
    }
}

/// Whether the letter or digit before a token is the tail of an escape: `%27`, `%2527`, `\u0027` or `\n`.
fn ends_in_escape(before: &[u8]) -> bool {
    let hex = |n: usize| before.len() >= n && before[before.len() - n..].iter().all(u8::is_ascii_hexdigit);
    let (once, twice) = (before.len().saturating_sub(3), before.len().saturating_sub(5));
    let unicode = before.len().saturating_sub(6);
    // `%25` stands for a percent sign, behind which no token begins.
    (hex(2) && before[once] == b'%' && !before.ends_with(b"%25"))
        || (hex(2) && before.len() >= 5 && before[twice..].starts_with(b"%25"))
        || (hex(4) && before[unicode..].starts_with(b"\\u"))
        || (before.len() >= 2 && before[before.len() - 2] == b'\\' && b"bfnrt".contains(&before[before.len() - 1]))
}

/// Whether a token may end before `after`.
pub(super) fn ends_token(after: &[u8]) -> bool {
    !after.first().is_some_and(u8::is_ascii_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";
    const B: &str = "0385114B-B48F-4800-A046-F249EABA24B1";

    fn found(text: &str) -> Vec<String> {
        tokens(text).map(|(range, _)| text[range].to_owned()).collect()
    }

    #[test]
    fn tokens_are_found_in_every_spelling_that_graph_uses() {
        for text in [
            A.to_owned(),
            format!("/deviceConfigurations/{A}/userStatuses"),
            format!("deviceConfigurations('{A}')"),
            format!("deviceConfigurations(%27{A}%27)"),
            format!("deviceConfigurations%28%27{A}%27%29"),
            format!("managedDevices%2528%2527{A}%2527%2529"),
            format!("{{\"url\":\"x(\\u0027{A}\\u0027)\"}}"),
            format!("Line\\n{A}\\r"),
            format!("{{{A}}}"),
            format!("é{A}é"),
        ] {
            assert_eq!(found(&text), [A], "{text}");
        }
        assert_eq!(found(&format!("{A}_{B}_{A}")), [A, B, A]);
    }

    #[test]
    fn what_only_looks_like_a_token_is_none() {
        for text in [
            format!("x{A}"),
            format!("{A}0"),
            format!("%{A}"),
            format!("%25{A}"),
            format!("0{A}"),
            A[1..].to_owned(),
            A.replace('-', "_"),
            "--------".to_owned(),
            format!("{}g", &A[..35]),
        ] {
            assert_eq!(found(&text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn case_does_not_tell_guids_apart() {
        assert_eq!(Guid::parse(B), Guid::parse(&B.to_lowercase()));
        assert_eq!(Guid::parse(B).unwrap().to_string(), B.to_lowercase());
    }

    #[test]
    fn composites_are_guids_joined_by_underscores() {
        assert!(is_composite(A) && is_composite(&format!("{A}_{B}_{A}")));
        assert!(!is_composite("") && !is_composite(&format!("{A}_")) && !is_composite("Default.X"));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_the_scan_panic_or_overlap(text in ".{0,80}", id in proptest::num::u128::ANY) {
            let text = format!("{text}{}{text}", Guid(id));
            let mut end = 0;
            for (range, _) in tokens(&text) {
                assert!(range.start >= end && text.is_char_boundary(range.start) && text.is_char_boundary(range.end));
                end = range.end;
            }
        }
    }
}
