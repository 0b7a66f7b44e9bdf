//! What a request is but for its GUIDs, and for its times: these may be others in the next of its kind.

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

/// What stands in a skeleton for a GUID, whose number follows, for a time, and between parts. None of them is in a text.
const GUID: u8 = 0xff;
const TIME: u8 = 0xfe;
const END: u8 = 0xfd;

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
    pub(super) guids: SmallVec<[Spelled<'a>; 4]>,
    /// How often one stands in it.
    pub(super) occurrences: usize,
    pub(super) times: SmallVec<[&'a str; 4]>,
}

/// A GUID and how it is spelled wherever it stands.
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
        let mut skeleton = Self { text, guids: SmallVec::new(), occurrences: 0, times: SmallVec::new() };
        for head in heads {
            skeleton.text.extend_from_slice(head);
            skeleton.text.push(END);
        }
        skeleton.add(raw.target, false)?;
        skeleton.text.push(END);
        // How a larger body is compared may hang on its length.
        skeleton.add(body, body.len() < body::SMALL)?;
        Some(skeleton)
    }

    fn add(&mut self, text: &'a str, with_times: bool) -> Option<()> {
        let mut from = 0;
        for (range, value) in guid::tokens(text) {
            self.add_between(&text[from..range.start], with_times);
            self.occurrences += 1;
            from = range.end;
            let number = self.number(&text[range.clone()], value)?;
            stands_apart(text.as_bytes(), &range).then(|| self.text.extend_from_slice(&[GUID, number]))?;
        }
        self.add_between(&text[from..], with_times);
        Some(())
    }

    /// The number of a GUID; `None` where it is spelled in two ways, or where there are too many.
    fn number(&mut self, spelled: &'a str, value: Guid) -> Option<u8> {
        let number = self.guids.iter().position(|guid| guid.value == value).unwrap_or_else(|| {
            self.guids.push(Spelled { value, spelled });
            self.guids.len() - 1
        });
        let alike = number < GUIDS && self.guids[number].spelled == spelled;
        u8::try_from(number).ok().filter(|_| alike)
    }

    fn add_between(&mut self, text: &'a str, with_times: bool) {
        let mut from = 0;
        let days = memchr::memchr_iter(b'T', text.as_bytes()).filter(|_| with_times);
        for at in days {
            if let Some(time) = at.checked_sub(10).filter(|start| *start > from).and_then(|start| time(text, start)) {
                self.text.extend_from_slice(&text.as_bytes()[from..time.start]);
                self.text.push(TIME);
                from = time.end;
                self.times.push(&text[time]);
            }
        }
        self.text.extend_from_slice(&text.as_bytes()[from..]);
    }
}

/// Where the time ends that begins here, if all that stands between two quotes is one, as in `"2017-01-01T00:00:17Z"`
/// (RFC 3339 section 5.6): nothing longer, in which a secret could be hidden.
fn time(text: &str, start: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let end = start + memchr::memchr(b'"', &bytes[start..])?;
    let (whole, rest) = bytes[start..end].split_at_checked("2017-01-01T00:00:17".len())?;
    let fraction = rest.strip_prefix(b".").unwrap_or(rest);
    let digits =
        if fraction.len() == rest.len() { 0 } else { fraction.iter().take_while(|b| b.is_ascii_digit()).count() };
    let zone = &fraction[digits..];
    let is_zone = match zone {
        b"" | b"Z" => true,
        [b'+' | b'-', clock @ ..] => is_like(clock, b"00:00"),
        _ => false,
    };
    let is_time = is_like(whole, b"0000-00-00T00:00:00") && digits <= 9 && is_zone && bytes[start - 1] == b'"';
    is_time.then_some(start..end)
}

/// Whether a text has a digit wherever a model has one, and is the model everywhere else.
fn is_like(text: &[u8], model: &[u8]) -> bool {
    let alike = |(byte, model): (&u8, &u8)| if *model == b'0' { byte.is_ascii_digit() } else { byte == model };
    text.len() == model.len() && text.iter().zip(model).all(alike)
}

/// Whether nothing before or behind a GUID can make it a part of something else, such as a secret.
fn stands_apart(text: &[u8], guid: &Range<usize>) -> bool {
    let before = guid.start.checked_sub(1).map(|at| text[at]);
    let after = text.get(guid.end);
    before.is_none_or(|byte| b"\"/'(_".contains(&byte)) && after.is_none_or(|byte| b"\"/')_".contains(byte))
}
