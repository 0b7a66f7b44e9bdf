//! The text of an exchange, cut at what is another in the next one of its form.

use super::redact;
use std::ops::Range;

/// The largest exchange that is cut, in bytes, and how many parts it may have. What is larger takes long in any case.
pub(super) const LARGEST: usize = 16 * 1024;
const PARTS: usize = 256;
/// The longest text that may be another.
const LONGEST: usize = 512;
/// How much of a text may stand before a placeholder: more would tell less of how an id is written there.
const BEFORE: usize = 1000;
/// How many values there may be: where there are many, their number tells how a body is compared.
const VALUES: usize = 300;
/// What the names begin with that mean something to the parser.
const OWN: &str = "$serde_json::private";

/// What may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spot<'t> {
    /// A whole text of a JSON body.
    Text(&'t str),
    /// The number of a placeholder, by the name before it.
    Row(&'t str, &'t str),
    /// How long the exchange took.
    Took(&'t str),
}

/// A part that may be another.
#[derive(Clone, Debug)]
pub(super) struct Part<'t> {
    /// What stands before it, and is the same.
    pub(super) before: &'t str,
    pub(super) spot: Spot<'t>,
    /// Whether it stands in the request.
    pub(super) asked: bool,
}

/// A text that was cut.
#[derive(Debug)]
pub(super) struct Cut<'t> {
    pub(super) parts: Vec<Part<'t>>,
    /// What stands behind the last part.
    pub(super) end: &'t str,
}

/// Cuts the text of an exchange; none where nobody could tell by it what the next one would come to.
pub(super) fn cut(text: &str) -> Option<Cut<'_>> {
    let is_own = |c: char| ('\u{e000}'..='\u{f8ff}').contains(&c);
    let values = text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count();
    if text.len() > LARGEST || values > VALUES || text.contains(OWN) || text.contains(is_own) {
        return None;
    }
    let mut cutter = Cutter { text, from: 0, open: Vec::new(), parts: Vec::new() };
    let mut at = 0;
    while at < text.len() {
        at = cutter.step(at)?;
    }
    Some(Cut { parts: cutter.parts, end: &text[cutter.from..] })
}

struct Cutter<'t> {
    text: &'t str,
    /// Where the next part's `before` begins.
    from: usize,
    /// For each object or array that is open the name of the member that was met last.
    open: Vec<&'t str>,
    parts: Vec<Part<'t>>,
}

impl<'t> Cutter<'t> {
    /// Goes past what begins here, and tells where.
    fn step(&mut self, at: usize) -> Option<usize> {
        match self.text.as_bytes()[at] {
            b'"' => return self.string(at + 1),
            b'{' | b'[' => self.open.push(""),
            b'}' | b']' => self.open.truncate(self.open.len().checked_sub(1)?),
            byte if byte.is_ascii_digit() && *self.open == ["took"] => {
                let count = self.text[at..].bytes().take_while(u8::is_ascii_digit).count();
                self.part(at..at + count, Spot::Took(&self.text[at..at + count]))?;
                return Some(at + count);
            }
            _ => {}
        }
        Some(at + 1)
    }

    /// Goes past the string whose content begins here.
    fn string(&mut self, begin: usize) -> Option<usize> {
        let mut end = begin;
        loop {
            end += memchr::memchr2(b'"', b'\\', &self.text.as_bytes()[end..])?;
            if self.text.as_bytes()[end] == b'"' {
                break;
            }
            end += 2;
            self.text.get(end..)?;
        }
        let content = &self.text[begin..end];
        let rest = self.text[end + 1..].trim_start();
        if rest.starts_with(':') {
            // A name is the same in all of a form.
            let name = self.open.last_mut()?;
            *name = content;
            return (!content.contains("{{")).then_some(end + 1);
        }
        self.value(begin..end)?;
        Some(end + 1)
    }

    fn value(&mut self, range: Range<usize>) -> Option<()> {
        let content = &self.text[range.clone()];
        let regular = match self.open[..] {
            // Another layout is printed from a tree.
            [_, "body", "layout"] => false,
            // Fields of forms are looked at in pieces.
            ["request", "headers", "content-type", ..] => !redact::names_form(content.as_bytes()),
            // Options of a query are put in order by their values, and escapes may hide what they are.
            ["request", "url"] => {
                let (path, query) = content.split_once('?').unwrap_or((content, ""));
                !path.contains('%') && !query.contains("{{")
            }
            _ => true,
        };
        if !regular {
            return None;
        }
        if content.contains("{{") {
            return self.placeholders(range);
        }
        let is_json = matches!(self.open[..], [_, "body", "json", ..]);
        if is_json && is_plain(content.as_bytes()) && content.len() <= LONGEST {
            self.part(range, Spot::Text(content))?;
        }
        Some(())
    }

    /// Cuts a text at the numbers of its placeholders.
    fn placeholders(&mut self, range: Range<usize>) -> Option<()> {
        let mut at = range.start;
        while let Some(open) = self.text[at..range.end].find("{{").map(|found| at + found) {
            let inner = &self.text[open + 2..open + 2 + self.text[open + 2..range.end].find("}}")?];
            let after = open + 2 + inner.len() + 2;
            // What is written with braces or filters of its own is left to who reads it all.
            let (name, number) = inner.split('|').next()?.rsplit_once('.')?;
            let is_near = open - range.start <= BEFORE;
            if name.contains(['{', '\'']) || !is_number(number) || !is_near || !self.stands_apart(open, after) {
                return None;
            }
            let from = open + 2 + name.len() + 1;
            self.part(from..from + number.len(), Spot::Row(name, number))?;
            at = after;
        }
        Some(())
    }

    /// Whether nothing before or behind an id can make it a part of something else in a request, such as a secret.
    fn stands_apart(&self, open: usize, after: usize) -> bool {
        let bytes = self.text.as_bytes();
        !self.is_asked() || (b"\"/'(_".contains(&bytes[open - 1]) && b"\"/')_?".contains(&bytes[after]))
    }

    fn is_asked(&self) -> bool {
        self.open.first() == Some(&"request")
    }

    fn part(&mut self, range: Range<usize>, spot: Spot<'t>) -> Option<()> {
        let (before, asked) = (&self.text[self.from..range.start], self.is_asked());
        self.parts.push(Part { before, spot, asked });
        self.from = range.end;
        (self.parts.len() <= PARTS).then_some(())
    }
}

/// Whether a text is a number as placeholders have it.
pub(super) fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a text of JSON stands for itself whatever it says: without escapes, and with nothing that a placeholder has.
pub(super) fn is_plain(text: &[u8]) -> bool {
    let odd = |byte: u8| byte < b' ' || matches!(byte, b'"' | b'\\' | b'{' | b'}');
    let (is_odd, any) = text.iter().fold((false, 0), |(is_odd, any), byte| (is_odd | odd(*byte), any | byte));
    !text.is_empty() && text.len() <= LONGEST && !is_odd && (any < 0x80 || std::str::from_utf8(text).is_ok())
}

/// What a text may be that a request says: no id can stand in it, and no secret but for what [`may_hide`] tells.
pub(super) fn is_word(text: &[u8]) -> bool {
    // Without `/`, `(`, `%`, `'` there is no key; without `=`, `~`, `<` and two `-` in a row no secret that has them.
    let odd = |byte: u8| matches!(byte, b'/' | b'(' | b'%' | b'\'' | b'=' | b'~' | b'<' | b'&' | b';');
    let mut before = 0;
    text.iter().all(|byte| {
        let dashes = *byte == b'-' && before == b'-';
        before = *byte;
        !odd(*byte) && !dashes
    })
}

/// Whether a text has a part that is as long as the shortest secret and the shortest id that is told by its look.
pub(super) fn may_hide(text: &[u8]) -> bool {
    const SHORTEST: usize = 15;
    let joined = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'+');
    let mut run = 0;
    text.len() >= SHORTEST
        && text.iter().any(|byte| {
            run = if joined(*byte) { run + 1 } else { 0 };
            run >= SHORTEST
        })
}
