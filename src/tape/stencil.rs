//! The form of a request that is known, laid over one that comes: it shows what stands between what is the same.
//!
//! It tells what [`super::skeleton`] would, without writing that down, and looks only at what may be another: what is the
//! same is compared many bytes at once, and so are the texts of the request before.

use super::body;
use super::guid::{self, Guid};
use super::skeleton::{END, GUID, Parts, RawRequest, Skeleton, TEXT};

/// What the requests of one form have in common.
#[derive(Debug)]
pub(super) struct Stencil {
    method: Box<str>,
    host: Box<str>,
    content_type: Box<[u8]>,
    target: Sheet,
    body: Sheet,
}

/// A text with gaps.
#[derive(Debug, Default)]
struct Sheet {
    fixed: Box<[u8]>,
    /// Where in it each is, and what stands there.
    gaps: Box<[(usize, Gap)]>,
}

#[derive(Clone, Copy, Debug)]
enum Gap {
    /// A GUID, by its number.
    Guid(u8),
    /// The next text.
    Text,
}

impl Stencil {
    /// The stencil of a request with this skeleton; none where it hangs on more than on what is the same.
    pub(super) fn of(raw: &RawRequest<'_>, skeleton: &Skeleton<'_>) -> Option<Self> {
        let heads = [raw.method.len(), raw.host.len(), raw.content_type.len()].map(|length| length + 1);
        let rest = skeleton.text.get(heads.iter().sum()..)?;
        let end = memchr::memchr(END, rest)?;
        (raw.body.len() < body::SMALL).then(|| Self {
            method: raw.method.into(),
            host: raw.host.into(),
            content_type: raw.content_type.into(),
            target: Sheet::of(&rest[..end]),
            body: Sheet::of(&rest[end + 1..]),
        })
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let sheet = |sheet: &Sheet| sheet.fixed.len() + size_of_val(&*sheet.gaps);
        let heads = self.method.len() + self.host.len() + self.content_type.len();
        size_of_val(self) + heads + sheet(&self.target) + sheet(&self.body)
    }

    /// The GUIDs and the texts of a request, where it is one of this form; `known` are the texts of the one before.
    pub(super) fn parts<'p>(&self, raw: &RawRequest<'p>, known: impl Iterator<Item = &'p str>) -> Option<Parts<'p>> {
        // How a larger body is compared may hang on its length.
        let is_one = raw.method == &*self.method
            && raw.host == &*self.host
            && *raw.content_type == *self.content_type
            && raw.body.len() < body::SMALL;
        if !is_one {
            return None;
        }
        let mut parts = Parts::default();
        let none = std::iter::empty();
        self.target.lay(raw.target.as_bytes(), none, &mut parts)?;
        self.body.lay(raw.body, known, &mut parts)?;
        Some(parts)
    }
}

impl Sheet {
    /// The sheet of a part of a skeleton.
    fn of(text: &[u8]) -> Self {
        let (mut fixed, mut gaps) = (Vec::with_capacity(text.len()), Vec::new());
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            match *byte {
                GUID => gaps.extend(bytes.next().map(|number| (fixed.len(), Gap::Guid(*number)))),
                TEXT => gaps.push((fixed.len(), Gap::Text)),
                byte => fixed.push(byte),
            }
        }
        Self { fixed: fixed.into(), gaps: gaps.into() }
    }

    /// Adds what stands in the gaps, where this text is one with nothing else between them.
    fn lay<'p>(&self, text: &'p [u8], mut known: impl Iterator<Item = &'p str>, parts: &mut Parts<'p>) -> Option<()> {
        let (mut rest, mut from) = (text, 0);
        for (at, gap) in &self.gaps {
            rest = rest.strip_prefix(&self.fixed[from..*at])?;
            from = *at;
            let length = match gap {
                Gap::Guid(number) => {
                    let spelled = std::str::from_utf8(rest.get(..guid::LENGTH)?).ok()?;
                    parts.add_guid(Guid::parse(spelled)?, spelled, *number)?;
                    guid::LENGTH
                }
                Gap::Text => {
                    let known = known.next()?;
                    let is_known = rest.get(known.len()) == Some(&b'"') && rest.starts_with(known.as_bytes());
                    let text = if is_known { known } else { other(rest)? };
                    parts.texts.push(text);
                    text.len()
                }
            };
            rest = &rest[length..];
        }
        (*rest == self.fixed[from..]).then_some(())
    }
}

/// The text before the next quote, where it is one that a skeleton leaves out.
fn other(rest: &[u8]) -> Option<&str> {
    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\')).filter(|end| *end > 0 && rest[*end] == b'"')?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    guid::tokens(text).next().is_none().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw<'a>(target: &'a str, body: &'a [u8]) -> RawRequest<'a> {
        RawRequest { method: "POST", host: "graph.microsoft.com", target, content_type: b"application/json", body }
    }

    /// Pieces of targets and of bodies: GUIDs by number, and what stands between.
    fn pieces(odd: &'static [&'static str]) -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec!["<1>", "<2>", "<3>", "<4>"]).prop_map(str::to_owned),
            6 => prop::sample::select(odd).prop_map(str::to_owned),
            1 => "[a-f0-9-]{0,9}",
        ];
        prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
    }

    const TARGET: &[&str] = &["/", "/x", "('", "')", "_", "-", "a", "é", "/beta/deviceConfigurations", "%27", "?a"];
    const BODY: &[&str] =
        &["\"", "\"", "\":\"", "\",\"", "{\"a\":\"", "\"}", "x", "_", "/", "('", "-", "\\", ":", " ", "é", "[", "1"];

    fn filled(text: &str, ids: &[String; 4]) -> String {
        ids.iter().zip(["<1>", "<2>", "<3>", "<4>"]).fold(text.to_owned(), |text, (id, name)| text.replace(name, id))
    }

    fn ids() -> impl Strategy<Value = [String; 4]> {
        let guid = prop_oneof![
            3 => "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            1 => Just("0385114b-b48f-4800-a046-f249eaba24b1".to_owned()),
            1 => Just("0385114B-B48F-4800-A046-F249EABA24B1".to_owned()),
            2 => "[a-z \"\\-]{0,5}",
            1 => Just("0385114b-b48f-4800-a046-f249eaba24b1x".to_owned()),
        ];
        prop::array::uniform4(guid)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]
        #[test]
        fn what_is_shown_is_what_a_skeleton_leaves_out(
            target in pieces(TARGET),
            body in pieces(BODY),
            one in ids(),
            other in ids(),
            odd in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let [first, second] = [&one, &other].map(|ids| (filled(&target, ids), filled(&body, ids)));
            let before = raw(&first.0, first.1.as_bytes());
            let mut bytes = second.1.into_bytes();
            if let Some((at, byte)) = odd.filter(|_| !bytes.is_empty()) {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            let (Some(skeleton), now) = (Skeleton::of(&before), raw(&second.0, &bytes)) else { return Ok(()) };
            let stencil = Stencil::of(&before, &skeleton).unwrap();
            let found = stencil.parts(&now, skeleton.parts.texts.iter().copied());
            let told = Skeleton::of(&now).filter(|other| other.text == skeleton.text).map(|other| other.parts);
            prop_assert_eq!(found, told);
        }
    }
}
