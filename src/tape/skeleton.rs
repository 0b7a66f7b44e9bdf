//! What a request is but for its GUIDs, and for the texts in its body: these may be others in the next of its kind.

use super::body;
use super::exchange::Request;
use super::guid::{self, Guid};
use super::redact;
use smallvec::SmallVec;
use std::ops::Range;

/// The largest request that is kept, in bytes.
const LARGEST: usize = 16 * 1024;
/// How many GUIDs a request may have.
const GUIDS: usize = 16;

/// What stands in a skeleton for a GUID, whose number follows, for a text, and between parts. None of them is in a text.
pub(super) const GUID: u8 = 0xff;
pub(super) const TEXT: u8 = 0xfe;
pub(super) const END: u8 = 0xfd;

/// A request as it comes, before it goes down the road to tape.
#[derive(Clone, Copy, Debug)]
pub struct RawRequest<'a> {
    /// The method.
    pub method: &'a str,
    /// The host.
    pub host: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The value of `Content-Type`, by which secrets are looked for.
    pub content_type: &'a [u8],
    /// The body, of which nothing was encoded.
    pub body: &'a [u8],
}

impl RawRequest<'_> {
    /// The request with no other headers than that.
    #[must_use]
    pub fn request(&self) -> Request {
        let content_type = self.content_type.iter().copied().map(char::from).collect::<String>();
        Request {
            method: self.method.to_owned(),
            host: self.host.to_owned(),
            target: self.target.to_owned(),
            headers: [("content-type", content_type)].into_iter().collect(),
            body: self.body.to_vec().into(),
        }
    }
}

/// A request, its GUIDs as numbers by first appearance.
pub(super) struct Skeleton<'a> {
    pub(super) text: Vec<u8>,
    /// How often a GUID stands in it.
    pub(super) occurrences: usize,
    pub(super) parts: Parts<'a>,
}

/// What is left out of a skeleton.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts<'a> {
    pub(super) guids: SmallVec<[Spelled<'a>; 4]>,
    /// Values of the body between two quotes, without GUIDs and none of them empty.
    pub(super) texts: SmallVec<[&'a str; 8]>,
}

/// A GUID and how it is spelled wherever it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Spelled<'a> {
    pub(super) value: Guid,
    pub(super) spelled: &'a str,
}

impl<'a> Skeleton<'a> {
    /// The skeleton of a request; `None` for one that is not kept.
    pub(super) fn of(raw: &RawRequest<'a>) -> Option<Self> {
        let body = std::str::from_utf8(raw.body).ok()?;
        // Escapes may hide GUIDs, and options of a query are put in order by their values.
        let plain = memchr::memchr2(b'%', b'?', raw.target.as_bytes()).is_none();
        // Fields of forms are looked at in pieces, if one of them has an escape.
        if !plain
            || redact::names_form(raw.content_type)
            || body.len() + raw.target.len() > LARGEST
            || memchr::memchr(b'\\', raw.body).is_some()
        {
            return None;
        }
        let heads = [raw.method.as_bytes(), raw.host.as_bytes(), raw.content_type];
        let length = heads.iter().map(|head| head.len()).sum::<usize>() + raw.target.len() + body.len() + 8;
        let text = Vec::with_capacity(length);
        let mut skeleton = Self { text, occurrences: 0, parts: Parts::default() };
        for head in heads {
            skeleton.text.extend_from_slice(head);
            skeleton.text.push(END);
        }
        skeleton.add(raw.target)?;
        skeleton.text.push(END);
        // How a larger body is compared may hang on its length.
        if body.len() < body::SMALL { skeleton.add_body(body) } else { skeleton.add(body) }?;
        Some(skeleton)
    }

    /// Adds a text with its GUIDs left out.
    fn add(&mut self, text: &'a str) -> Option<()> {
        let mut from = 0;
        for (range, value) in guid::tokens(text) {
            self.text.extend_from_slice(&text.as_bytes()[from..range.start]);
            self.occurrences += 1;
            from = range.end;
            let number = self.parts.number(&text[range.clone()], value)?;
            stands_apart(text.as_bytes(), &range).then(|| self.text.extend_from_slice(&[GUID, number]))?;
        }
        self.text.extend_from_slice(&text.as_bytes()[from..]);
        Some(())
    }

    /// Adds a body with its texts left out, or their GUIDs where they have some. As nothing is escaped in it, texts are
    /// between every two quotes; one that names a member stays.
    fn add_body(&mut self, body: &'a str) -> Option<()> {
        let bytes = body.as_bytes();
        let mut quotes = quotes(bytes);
        let mut from = 0;
        while let Some(open) = quotes.next() {
            let close = quotes.next()?;
            let text = &body[open + 1..close];
            if text.is_empty() || is_name(&bytes[close + 1..]) {
                continue;
            }
            self.text.extend_from_slice(&bytes[from..=open]);
            from = close;
            if guid::tokens(text).next().is_some() {
                self.add(text)?;
            } else {
                self.text.push(TEXT);
                self.parts.texts.push(text);
            }
        }
        self.text.extend_from_slice(&bytes[from..]);
        Some(())
    }
}

impl<'a> Parts<'a> {
    /// The number of a GUID; `None` where it is spelled in two ways, or where there are too many.
    fn number(&mut self, spelled: &'a str, value: Guid) -> Option<u8> {
        let number = self.guids.iter().position(|guid| guid.value == value).unwrap_or_else(|| {
            self.guids.push(Spelled { value, spelled });
            self.guids.len() - 1
        });
        let alike = number < GUIDS && self.guids[number].spelled == spelled;
        u8::try_from(number).ok().filter(|_| alike)
    }

    /// Adds a GUID where one of this number stands; `None` where this is another one.
    pub(super) fn add_guid(&mut self, value: Guid, spelled: &'a str, number: u8) -> Option<()> {
        (self.number(spelled, value)? == number).then_some(())
    }
}

/// Where quotes stand. They are near one another, so each eight bytes are looked at at once.
fn quotes(bytes: &[u8]) -> impl Iterator<Item = usize> {
    const EACH: u64 = u64::MAX / 0xff;
    let (mut next, mut found) = (0, 0_u64);
    std::iter::from_fn(move || {
        while found == 0 {
            let rest = bytes.get(next..).filter(|rest| !rest.is_empty())?;
            let eight = rest.first_chunk().copied().unwrap_or_else(|| {
                let mut last = [0; 8];
                last[..rest.len()].copy_from_slice(rest);
                last
            });
            // A byte that is a quote is 0 then, and its highest bit alone is set in what is found.
            let others = u64::from_le_bytes(eight) ^ (EACH * u64::from(b'"'));
            found = !(((others & (EACH * 0x7f)) + EACH * 0x7f) | others | (EACH * 0x7f));
            next += 8;
        }
        let at = next - 8 + found.trailing_zeros() as usize / 8;
        found &= found - 1;
        Some(at)
    })
}

/// Whether a text is the name of a member, behind which this stands.
fn is_name(behind: &[u8]) -> bool {
    behind.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b':')
}

/// Whether nothing before or behind a GUID can make it a part of something else, such as a secret.
fn stands_apart(text: &[u8], guid: &Range<usize>) -> bool {
    let before = guid.start.checked_sub(1).map(|at| text[at]);
    let after = text.get(guid.end);
    before.is_none_or(|byte| b"\"/'(_".contains(&byte)) && after.is_none_or(|byte| b"\"/')_".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_quote_is_found(bytes in prop::collection::vec(prop_oneof![Just(b'"'), any::<u8>(), Just(b'\xa2'), Just(b'#'), Just(b'!')], 0..40)) {
            prop_assert!(quotes(&bytes).eq(memchr::memchr_iter(b'"', &bytes)));
        }
    }
}
