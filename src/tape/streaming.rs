//! A cassette read piece by piece, so that a large one is never in memory as a whole.
//!
//! It reads what this program writes: the members of the file in their order, the ids in theirs. Anything else, a fault
//! too, is left to [`Cassette::parse`](super::cassette::Cassette::parse), which takes the whole text and tells where in it
//! the fault is.

use super::cassette::{Entry, ResponseEntry, VERSION};
use super::ending::Scan;
use super::guid::{self, Guid};
use super::ids::Ids;
use super::template::Placeholder;
use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::io::{self, Read};

/// How much is read at once.
const CHUNK: usize = 256 * 1024;

/// How an exchange begins and ends that this program wrote. Within a text there is no line end.
const BEGIN: &[u8] = b"{\n      \"request\": {";
const END: &[u8] = b"\n    }";

/// Why a cassette is not read piece by piece.
#[derive(Debug)]
pub enum Fault {
    /// It is none, or not as this program writes it.
    Irregular,
    /// It cannot be read.
    Io(io::Error),
}

impl From<io::Error> for Fault {
    fn from(fault: io::Error) -> Self {
        Self::Io(fault)
    }
}

/// A cassette that is being read.
#[derive(Debug)]
pub struct Stream<R> {
    text: Text<R>,
    people: bool,
    first: bool,
}

/// What identifies a cassette that was read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digests {
    /// The digest of the file.
    pub file: [u8; 32],
    /// The same of its text, whatever line ends a checkout gave it.
    pub text: [u8; 32],
    /// The length of the file.
    pub length: u64,
}

impl<R: Read> Stream<R> {
    /// Begins to read a cassette: all before its exchanges.
    ///
    /// # Errors
    /// When it is not as this program writes it, or cannot be read.
    pub fn open(reader: R) -> Result<(Self, Ids), Fault> {
        let mut text = Text::new(reader);
        text.expect(b'{')?;
        text.member("graphdeck")?;
        if text.parsed::<u32>()? != VERSION {
            return Err(Fault::Irregular);
        }
        text.expect(b',')?;
        let mut name: String = text.parsed()?;
        let people = name == "people";
        if people {
            text.expect(b':')?;
            let claim: String = text.parsed()?;
            text.expect(b',')?;
            name = text.parsed()?;
            regular(claim == "pseudonym")?;
        }
        regular(name == "ids")?;
        text.expect(b':')?;
        let ids = text.ids()?;
        text.expect(b',')?;
        text.member("exchanges")?;
        text.expect(b'[')?;
        Ok((Self { text, people, first: true }, ids))
    }

    /// Whether it claims to be pseudonymous.
    #[must_use]
    pub fn people(&self) -> bool {
        self.people
    }

    /// How many bytes have been read.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.text.read
    }

    /// About how many exchanges are still to come in a file of so many bytes, as the next ones look; 0 where that cannot be
    /// told.
    #[must_use]
    pub fn expected(&self, length: u64) -> usize {
        let next = &self.text.held[self.text.at..];
        let (seen, size) = (memmem::find_iter(next, BEGIN).count() as u64, next.len() as u64);
        let left = (length.saturating_sub(self.text.read) + size).saturating_mul(seen) / size.max(1);
        usize::try_from(left + left / 32).unwrap_or(usize::MAX)
    }

    /// The next exchange; none after the last one.
    ///
    /// # Errors
    /// When it is none, or cannot be read.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, Fault> {
        Ok(self.next_text()?.map(entry).transpose()?.map(|(entry, _)| entry))
    }

    /// The text of the next exchange; none after the last one.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn next_text(&mut self) -> Result<Option<&[u8]>, Fault> {
        let next = self.text.peek()?;
        if next == Some(b']') {
            return Ok(None);
        }
        if !std::mem::take(&mut self.first) {
            self.text.expect(b',')?;
        }
        self.text.exchange().map(Some)
    }

    /// Reads on to the end, after the last exchange.
    ///
    /// # Errors
    /// When something else follows, or it cannot be read.
    pub fn finish(mut self) -> Result<Digests, Fault> {
        self.text.expect(b']')?;
        self.text.expect(b'}')?;
        regular(self.text.peek()?.is_none())?;
        Ok(self.text.digests())
    }
}

/// An [`Entry`] whose request is still a text.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Half<'t> {
    #[serde(borrow)]
    request: &'t RawValue,
    response: ResponseEntry,
    #[serde(default)]
    took: Option<u64>,
}

/// An exchange by its text, and the text of its request.
///
/// # Errors
/// When it is none.
pub fn entry(text: &[u8]) -> Result<(Entry, &str), Fault> {
    let irregular = |_| Fault::Irregular;
    // Seen to be UTF-8 all at once, and not string by string.
    let text = std::str::from_utf8(text).map_err(|_| Fault::Irregular)?;
    let Half { request, response, took } = serde_json::from_str(text).map_err(irregular)?;
    let entry = Entry { request: serde_json::from_str(request.get()).map_err(irregular)?, response, took };
    Ok((entry, request.get()))
}

fn regular(is: bool) -> Result<(), Fault> {
    if is { Ok(()) } else { Err(Fault::Irregular) }
}

/// The text of a JSON file, of which a part is in memory.
#[derive(Debug)]
struct Text<R> {
    reader: R,
    held: Vec<u8>,
    at: usize,
    read: u64,
    file: blake3::Hasher,
    /// The digest without the first halves of line ends, once there are any.
    text: Option<blake3::Hasher>,
    /// Whether what was read last ends in the middle of a line end.
    in_line_end: bool,
    end: memmem::Finder<'static>,
}

impl<R: Read> Text<R> {
    fn new(reader: R) -> Self {
        let file = blake3::Hasher::new();
        let end = memmem::Finder::new(END);
        Self { reader, held: Vec::new(), at: 0, read: 0, file, text: None, in_line_end: false, end }
    }

    /// Reads more; whether there was more.
    fn fill(&mut self) -> Result<bool, Fault> {
        self.held.drain(..self.at);
        self.at = 0;
        let before = self.held.len();
        self.reader.by_ref().take(CHUNK as u64).read_to_end(&mut self.held)?;
        let fresh = &self.held[before..];
        self.read += fresh.len() as u64;
        if self.text.is_none() && memchr::memchr(b'\r', fresh).is_some() {
            self.text = Some(self.file.clone());
        }
        self.file.update(fresh);
        if let Some(text) = &mut self.text {
            hash_lines(text, fresh, &mut self.in_line_end);
        }
        Ok(!fresh.is_empty())
    }

    fn digests(mut self) -> Digests {
        if let Some(text) = self.text.as_mut().filter(|_| self.in_line_end) {
            text.update(b"\r");
        }
        let file = *self.file.finalize().as_bytes();
        let text = self.text.map_or(file, |text| *text.finalize().as_bytes());
        Digests { file, text, length: self.read }
    }

    /// The next byte that is no white space; it stays there.
    fn peek(&mut self) -> Result<Option<u8>, Fault> {
        loop {
            match self.held[self.at..].iter().position(|byte| !byte.is_ascii_whitespace()) {
                Some(blank) => {
                    self.at += blank;
                    return Ok(Some(self.held[self.at]));
                }
                None => self.at = self.held.len(),
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        regular(self.peek()? == Some(byte))?;
        self.at += 1;
        Ok(())
    }

    fn member(&mut self, name: &str) -> Result<(), Fault> {
        regular(self.parsed::<String>()? == name)?;
        self.expect(b':')
    }

    fn parsed<T: for<'de> Deserialize<'de>>(&mut self) -> Result<T, Fault> {
        serde_json::from_slice(self.value()?).map_err(|_| Fault::Irregular)
    }

    /// The text of the next value.
    fn value(&mut self) -> Result<&[u8], Fault> {
        self.peek()?;
        let mut scan = Scan::default();
        while !scan.goes_on(&self.held[self.at..]) {
            if !self.fill()? {
                // A number may end where the text does; anything else is cut off, which the parser tells.
                scan.length = self.held.len() - self.at;
                break;
            }
        }
        let from = self.at;
        self.at += scan.length;
        Ok(&self.held[from..self.at])
    }

    /// The text of the next exchange.
    fn exchange(&mut self) -> Result<&[u8], Fault> {
        self.peek()?;
        let Some(length) = self.written() else { return self.value() };
        let from = self.at;
        self.at += length;
        Ok(&self.held[from..self.at])
    }

    /// How long the next exchange is where it is laid out as this program does it, and is followed by another that is:
    /// by that its end is found sooner than by what opens and closes in it.
    fn written(&self) -> Option<usize> {
        let text = &self.held[self.at..];
        if !text.starts_with(BEGIN) {
            return None;
        }
        let length = self.end.find(text)? + END.len();
        let next = text[length..].strip_prefix(b",\n    ")?;
        next.starts_with(BEGIN).then_some(length)
    }

    fn ids(&mut self) -> Result<Ids, Fault> {
        let mut ids = Ids::default();
        self.expect(b'{')?;
        while self.peek()? != Some(b'}') {
            if !ids.is_empty() {
                self.expect(b',')?;
                self.peek()?;
            }
            if let Some((length, guid)) = ids.next().and_then(|next| next_row(&self.held[self.at..], next)) {
                ids.push_next(guid);
                self.at += length;
                continue;
            }
            let placeholder: Placeholder = self.parsed()?;
            self.expect(b':')?;
            let value: String = self.parsed()?;
            regular(ids.last().is_none_or(|last| last < placeholder))?;
            ids.push_unseen(placeholder, &value).map_err(|_| Fault::Irregular)?;
        }
        self.at += 1;
        regular(ids.settle_pushed())?;
        Ok(ids)
    }
}

/// The row that a text begins with, how long it is and its GUID, where it has this name and number and is laid out as this
/// program does it.
fn next_row<'t>(text: &'t [u8], (name, number): (&str, u32)) -> Option<(usize, &'t str)> {
    let digits = text.strip_prefix(b"\"")?.strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
    let mut rest = digits;
    let mut read = 0u32;
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        read = read.checked_mul(10)?.checked_add(u32::from(digit - b'0'))?;
        rest = after;
    }
    let value = rest.strip_prefix(b"\": \"")?;
    let (guid, after) = value.split_at_checked(guid::LENGTH)?;
    let guid = std::str::from_utf8(guid).ok().filter(|guid| Guid::parse(guid).is_some())?;
    let is_next = read == number && digits[0] != b'0' && after.first() == Some(&b'"');
    is_next.then_some((text.len() - after.len() + 1, guid))
}

/// Hashes a text with LF in the stead of CR LF; `in_line_end` is whether a CR came last.
fn hash_lines(hasher: &mut blake3::Hasher, text: &[u8], in_line_end: &mut bool) {
    let mut from = 0;
    if std::mem::take(in_line_end) && text.first() != Some(&b'\n') {
        hasher.update(b"\r");
    }
    for at in memchr::memchr_iter(b'\r', text) {
        match text.get(at + 1) {
            Some(b'\n') => {
                hasher.update(&text[from..at]);
                from = at + 1;
            }
            Some(_) => {}
            None => {
                hasher.update(&text[from..at]);
                from = text.len();
                *in_line_end = true;
            }
        }
    }
    hasher.update(&text[from..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::cassette::Cassette;

    /// Gives what it holds in pieces of some bytes.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(to.len());
            to[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn read(text: &str, piece: usize) -> Result<(Cassette, Digests), Fault> {
        let (mut stream, ids) = Stream::open(Slow(text.as_bytes(), piece))?;
        let mut entries = Vec::new();
        while let Some(entry) = stream.next_entry()? {
            entries.push(entry);
        }
        let people = stream.people();
        Ok((Cassette { ids, entries, people }, stream.finish()?))
    }

    fn text() -> String {
        let entry = r#"{"request":{"method":"GET","url":"https://h/a/{{a.1}}"},"response":{"status":200,"body":{"json":{"t":"\"}]\\","n":[1.10,{"b":[]}]}}}}"#;
        let large = entry.replace("/a/", &format!("/{}/", "x".repeat(CHUNK)));
        let head = r#"{"graphdeck":1,"people":"pseudonym","ids":{"a.1":"0385114b-b48f-4800-a046-f249eaba24b1","a.2":"x","b.1":"7"},"exchanges":["#;
        let text = format!("{head}{entry},{large},{entry}]}}");
        Cassette::parse(&text).unwrap().print()
    }

    #[test]
    fn it_reads_what_the_parser_reads_in_pieces_of_any_size() {
        let text = text();
        let expected = Cassette::parse(&text).unwrap();
        let small = text.replace(&"x".repeat(CHUNK), "x");
        let (stream, _) = Stream::open(small.as_bytes()).unwrap();
        assert_eq!([1, 2].map(|times| stream.expected(small.len() as u64 * times) / 3), [1, 2]);
        for piece in [7, CHUNK] {
            let (cassette, digests) = read(&text, piece).unwrap();
            assert_eq!(cassette, expected);
            let digest = *blake3::hash(text.as_bytes()).as_bytes();
            assert_eq!(digests, Digests { file: digest, text: digest, length: text.len() as u64 });
            let windows = text.replace('\n', "\r\n");
            let (cassette, digests) = read(&windows, piece).unwrap();
            assert_eq!((cassette, digests.text), (expected.clone(), digest));
            assert_eq!(digests.file, *blake3::hash(windows.as_bytes()).as_bytes());
        }
        assert!(read("{\"graphdeck\": 1, \"ids\": {}, \"exchanges\": []}", 1).unwrap().0.entries.is_empty());
    }

    #[test]
    fn what_is_not_as_it_is_written_is_left_to_the_parser() {
        let text = text();
        for other in [
            text.replace("\"graphdeck\": 1", "\"graphdeck\": 2"),
            text.replace("\"ids\"", "\"idds\""),
            text.replace("pseudonym", "none"),
            text.replace("\"a.2\": \"x\"", "\"a.2\": \"0385114B-B48F-4800-A046-F249EABA24B1\""),
            text.replace("\"b.1\"", "\"A.1\""),
            text.replace("\"status\"", "\"state\""),
            text[..text.len() / 2].to_owned(),
            text[..text.len() - 3].to_owned(),
            format!("{text}]"),
            "12".to_owned(),
            String::new(),
        ] {
            assert!(matches!(read(&other, CHUNK), Err(Fault::Irregular)), "{}", &other[..other.len().min(200)]);
        }
    }
}
