//! What the keys of a request are hashes of, with gaps for the texts that may be others in the next of its form.

use super::cutting;
use super::exchange::{Request, Taped};
use super::matching::{Key, Reading, Rules, Shaper, Varying, ids_of, part};
use super::secrets::Secrets;
use super::walk::{self, Kind, Leaf, Place};
use smallvec::SmallVec;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// What the two keys of a request are hashes of, but for its texts.
#[derive(Debug)]
pub(super) struct Outline {
    loose: Gapped,
    /// The hash of what goes into the loose key before the first text that differed, and which gap that was: mostly it is
    /// the same one again, and it is far behind.
    begun: OnceLock<(usize, blake3::Hasher)>,
    /// What is hashed behind the loose key; none where no place may vary.
    exact: Option<Gapped>,
    holes: Box<[Hole]>,
}

/// Where another text may stand.
#[derive(Debug)]
struct Hole {
    place: Place,
    /// The text there in the request that is known.
    known: Box<str>,
    /// Where the place need not be equal, which of those that vary it is.
    varies: Option<usize>,
    /// What it is known to be, and how another one is seen to be no more.
    only: Only,
}

/// What a text is known to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    Time,
    /// A [mute](cutting::is_mute) text, where such texts are no ids.
    Mute,
    /// It may be anything.
    Any,
}

/// The numbers of the texts that are others: of so many without memory of their own.
type Others = SmallVec<[usize; 8]>;

/// What is hashed, and where texts go in, each with its length before it.
#[derive(Debug)]
struct Gapped {
    fixed: Box<[u8]>,
    /// Where in it, and the number of the text.
    gaps: Box<[(usize, usize)]>,
}

impl Outline {
    /// The outline of a request with these texts, which are parts of its body; none where one of them is no value by
    /// itself.
    pub(super) fn of(request: &Taped<Request>, texts: &[&str], reading: &Reading, rules: &Rules) -> Option<Self> {
        let applied = rules.applied(request);
        let leaves = walk::leaves(request, &applied.view);
        let (ignored, compared): (Vec<_>, Vec<_>) =
            leaves.iter().partition(|leaf| applied.ignores(&leaf.place).is_some());
        let mut shaper = Shaper::new();
        let loose = Gapped::of(&mut shaper, &compared, texts, rules);
        let exact = (!ignored.is_empty()).then(|| Gapped::of(&mut shaper, &ignored, texts, rules));
        let secrets = rules.secrets();
        let are_words = secrets.know_words() && !secrets.find_any(&request.body);
        let hole = |text: &&str| {
            let leaf = leaves.iter().find(|leaf| is_there(text, leaf))?;
            let varies = reading.varying.iter().position(|one| one.place == leaf.place);
            let mut hole = Hole { place: leaf.place.clone(), known: (*text).into(), varies, only: Only::Any };
            if is_time(text) {
                hole.only = Only::Time;
            } else if are_words && hole.takes("x", rules) && cutting::is_mute(text.as_bytes(), secrets) {
                hole.only = Only::Mute;
            }
            Some(hole)
        };
        let begun = OnceLock::new();
        let outline = Self { loose, begun, exact, holes: texts.iter().map(hole).collect::<Option<_>>()? };
        // The way of all that follow must lead this one to where it is.
        let mut text = Vec::new();
        let loose = outline.loose(texts, &[], &mut text);
        let leads_here = [loose, outline.exact(loose, texts, &mut text)] == reading.keys()
            && outline.varying(texts, &reading.varying) == *reading.varying;
        leads_here.then_some(outline)
    }

    /// About how much memory it takes.
    pub(super) fn bytes(&self) -> usize {
        let gapped = |gapped: &Gapped| gapped.fixed.len() + size_of_val(&*gapped.gaps);
        let holes: usize =
            self.holes.iter().map(|hole| size_of_val(hole) + hole.place.named() + hole.known.len()).sum();
        size_of_val(self) + gapped(&self.loose) + self.exact.as_ref().map_or(0, gapped) + holes
    }

    /// The texts of the request that is known.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        self.holes.iter().map(|hole| &*hole.known)
    }

    /// The keys of a request with these texts, and what varies in it, where these are only texts: as the known one reads,
    /// `reading`, but for them.
    pub(super) fn keys(
        &self,
        texts: &[&str],
        body: &[u8],
        reading: &Reading,
        rules: &Rules,
    ) -> Option<([Key; 2], Arc<Vec<Varying>>)> {
        let others: Others = (0..self.holes.len()).filter(|number| self.is_other(*number, texts)).collect();
        let varying = Arc::clone(&reading.varying);
        if others.is_empty() {
            return Some((reading.keys(), varying));
        }
        let secrets = rules.secrets();
        let is_mute = |number: &usize| self.holes[*number].is_mute(texts[*number], secrets);
        let takes = |number: &usize| self.holes[*number].takes(texts[*number], rules);
        let hides_nothing = || others.iter().all(takes) && *secrets.without(body) == *body;
        if !(others.iter().all(is_mute) || hides_nothing()) {
            return None;
        }
        let [loose, _] = reading.keys();
        let is_compared = |number: &usize| self.holes[*number].varies.is_none();
        let mut text = Vec::with_capacity(512);
        let loose = if others.iter().any(is_compared) { self.loose(texts, &others, &mut text) } else { loose };
        let varies = !others.iter().all(is_compared);
        let varying = if varies { Arc::new(self.varying(texts, &varying)) } else { varying };
        Some(([loose, self.exact(loose, texts, &mut text)], varying))
    }

    /// Whether a text is another one than in the request that is known, of which it may be a part.
    fn is_other(&self, number: usize, texts: &[&str]) -> bool {
        let (known, text) = (&*self.holes[number].known, texts[number]);
        !std::ptr::eq(known, text) && known != text
    }

    /// The loose key where these of the texts are others; `text` is where what is hashed is written.
    fn loose(&self, texts: &[&str], others: &[usize], text: &mut Vec<u8>) -> Key {
        text.clear();
        let Gapped { fixed, gaps } = &self.loose;
        let first = gaps.iter().position(|(_, number)| others.contains(number));
        let begun = first.map(|first| {
            self.begun.get_or_init(|| {
                self.loose.fill(0..gaps[first].0, &gaps[..first], texts, text);
                let mut hash = blake3::Hasher::new();
                hash.update(text);
                text.clear();
                (first, hash)
            })
        });
        match begun {
            Some((begun, hash)) if first >= Some(*begun) => {
                self.loose.fill(gaps[*begun].0..fixed.len(), &gaps[*begun..], texts, text);
                Key::of(hash.clone().update(text))
            }
            _ => {
                self.loose.fill(0..fixed.len(), gaps, texts, text);
                Key::of_bytes(text)
            }
        }
    }

    fn exact(&self, loose: Key, texts: &[&str], text: &mut Vec<u8>) -> Key {
        let Some(exact) = &self.exact else { return loose };
        text.clear();
        text.extend_from_slice(&loose.0);
        exact.fill(0..exact.fixed.len(), &exact.gaps, texts, text);
        Key::of_bytes(text)
    }

    /// What varies, with these texts.
    fn varying(&self, texts: &[&str], varying: &[Varying]) -> Vec<Varying> {
        let mut varying = varying.to_vec();
        for (hole, text) in self.holes.iter().zip(texts) {
            if let Some(number) = hole.varies {
                varying[number].literal = ["\"", text, "\""].concat();
            }
        }
        varying
    }
}

impl Hole {
    /// Whether a text is no more than that here: JSON has it as it stands, and no id is in it.
    fn takes(&self, text: &str, rules: &Rules) -> bool {
        let leaf = Leaf { place: self.place.clone(), kind: Kind::Text, text: text.into() };
        text.bytes().all(|byte| byte >= b' ') && ids_of(&leaf, rules, &[]).is_empty()
    }

    /// Whether that is so, and no secret either can come of a text here, which is told without a look at any other.
    fn is_mute(&self, text: &str, secrets: &Secrets) -> bool {
        match self.only {
            Only::Time => is_time(text),
            Only::Mute => cutting::is_mute(text.as_bytes(), secrets),
            Only::Any => false,
        }
    }
}

/// Whether a value is this very text, and not only an equal one.
fn is_there(text: &str, leaf: &Leaf<'_>) -> bool {
    std::ptr::eq(text, &*leaf.text)
}

impl Gapped {
    fn of(shaper: &mut Shaper, leaves: &[&Leaf<'_>], texts: &[&str], rules: &Rules) -> Self {
        let mut gaps = Vec::new();
        shaper.text.clear();
        for leaf in leaves {
            shaper.add(leaf, rules, &[]);
            if let Some(number) = texts.iter().position(|text| is_there(text, leaf)) {
                let mut written = Vec::new();
                part(&mut written, leaf.text.as_bytes());
                shaper.text.truncate(shaper.text.len().saturating_sub(written.len()));
                gaps.push((shaper.text.len(), number));
            }
        }
        Self { fixed: shaper.text.as_slice().into(), gaps: gaps.into() }
    }

    /// Writes a part of what is hashed, with these texts in the gaps in it.
    fn fill(&self, range: Range<usize>, gaps: &[(usize, usize)], texts: &[&str], text: &mut Vec<u8>) {
        let mut from = range.start;
        for (at, number) in gaps {
            text.extend_from_slice(&self.fixed[from..*at]);
            part(text, texts[*number].as_bytes());
            from = *at;
        }
        text.extend_from_slice(&self.fixed[from..range.end]);
    }
}

/// Whether a text is a time and nothing more, as in `2017-01-01T00:00:17.7769392-08:00` (RFC 3339 section 5.6): there is
/// nothing in it that could mean more, or be a secret.
fn is_time(text: &str) -> bool {
    let Some((whole, rest)) = text.as_bytes().split_at_checked("2017-01-01T00:00:17".len()) else { return false };
    let fraction = rest.strip_prefix(b".").unwrap_or(rest);
    let digits =
        if fraction.len() == rest.len() { 0 } else { fraction.iter().take_while(|b| b.is_ascii_digit()).count() };
    let is_zone = match &fraction[digits..] {
        b"" | b"Z" => true,
        [b'+' | b'-', clock @ ..] => is_like(clock, b"00:00"),
        _ => false,
    };
    is_like(whole, b"0000-00-00T00:00:00") && digits <= 9 && is_zone
}

/// Whether a text has a digit wherever a model has one, and is the model everywhere else.
fn is_like(text: &[u8], model: &[u8]) -> bool {
    let alike = |(byte, model): (&u8, &u8)| if *model == b'0' { byte.is_ascii_digit() } else { byte == model };
    text.len() == model.len() && text.iter().zip(model).all(alike)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_one_in_full() {
        for (text, is) in [
            ("2017-01-01T00:00:17Z", true),
            ("2017-01-01T00:00:17", true),
            ("2017-01-01T00:00:17.7769392-08:00", true),
            ("2017-01-01T00:00:17.123456789+08:00", true),
            ("2017-01-01T00:00:17.1234567890Z", false),
            ("2017-01-01T00:00:17+8", false),
            ("2017-01-01T00:00:17Z ", false),
            ("2017-01-01 00:00:17Z", false),
            ("2017-01-01T0-1234-1234-1234-1234-1234", false),
            ("2017-01-01", false),
            ("", false),
        ] {
            assert_eq!(is_time(text), is, "{text}");
        }
    }
}
