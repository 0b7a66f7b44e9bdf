//! The head of an HTTP/1 request: where it ends, and what body it announces (RFC 9112).

use smallvec::SmallVec;
use std::ops::Range;
use std::time::Duration;

/// How large the head of a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLimits {
    /// All of it, in bytes.
    pub bytes: usize,
    /// Its headers.
    pub headers: usize,
}

/// Why nobody can say what a client sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It breaks a rule by which messages are told apart.
    #[error("the request is refused, since it could be read in more than one way: {0}")]
    Ambiguous(&'static str),
    /// Its head is too large.
    #[error("the head of the request is larger than {0} bytes (limits.header_bytes in config.toml)")]
    HeadTooLarge(usize),
    /// It has too many headers.
    #[error("the request has more than {0} headers (limits.headers in config.toml)")]
    TooManyHeaders(usize),
    /// Its head did not come to an end.
    #[error("the head of the request was not whole after {} s (limits.header_timeout in config.toml)", .0.as_secs())]
    SlowHead(Duration),
}

/// Reads the heads of one connection.
#[derive(Debug)]
pub(super) struct Heads {
    limits: HeadLimits,
    known: Known,
}

impl Heads {
    /// At the begin of a connection.
    pub(super) fn new(limits: HeadLimits) -> Self {
        Self { limits, known: Known::default() }
    }

    /// Where the head that begins here ends, and what body it announces; `None` where it is not whole yet. It is the head
    /// of this number on its connection.
    pub(super) fn read(&mut self, bytes: &[u8], number: u64) -> Result<Option<(usize, Body)>, Fault> {
        if let Some(again) = self.known.head(bytes).filter(|again| again.end <= self.limits.bytes) {
            let body = RequestLine::read(again.line).and_then(|request| again.fields.body(&request));
            return Ok(Some((again.end, body.map_err(Fault::Ambiguous)?)));
        }
        let Some(end) = end_of_head(bytes, self.limits)? else { return Ok(None) };
        let (fields, body) = read_head(&bytes[..end], self.limits)?;
        self.known.keep(&bytes[..end], fields, number);
        Ok(Some((end, body)))
    }

    /// The request that these bytes are, where they are all of one, and its fields came before.
    pub(super) fn again<'a>(&self, bytes: &'a [u8]) -> Option<Again<'a>> {
        let head = self.known.head(bytes).filter(|again| again.end <= self.limits.bytes)?;
        let request = RequestLine::read(head.line).ok().filter(|request| !request.is_1_0)?;
        let Ok(Body::Length(length)) = head.fields.body(&request) else { return None };
        let body = &bytes[head.end..];
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).ok();
        let again = Again {
            since: self.known.since,
            method: text(request.method)?,
            target: text(request.target)?,
            mark: head.mark,
            body,
        };
        (length == body.len() as u64).then_some(again)
    }
}

/// A whole request, the fields of which came before on its connection, but for how long its body is and by what it is
/// marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again<'a> {
    /// The number of the request with which these fields came first; all that came since had them too.
    pub since: u64,
    /// The method.
    pub method: &'a str,
    /// The target as it stands in the request line.
    pub target: &'a str,
    /// By what the client marks the call, where that may be another one each time.
    pub mark: Option<&'a [u8]>,
    /// The body.
    pub body: &'a [u8],
}

/// The fields of the head before, behind its request line: most clients send the same ones again and again.
#[derive(Debug, Default)]
struct Known {
    /// As they stand there, with the empty line behind them; empty where there was no such head.
    text: Vec<u8>,
    /// Where the same client may say something else each time, in order.
    holes: SmallVec<[(Range<usize>, Hole); 2]>,
    fields: Fields,
    /// The number of the head that had them first.
    since: u64,
}

/// What may be another one each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hole {
    /// The length of the body.
    Length,
    /// By what a call is marked.
    Mark,
}

/// A head with known fields.
struct KnownHead<'a> {
    line: &'a [u8],
    end: usize,
    fields: Fields,
    mark: Option<&'a [u8]>,
}

/// Fields of more bytes are not kept for each connection.
const KNOWN: usize = 4096;

impl Known {
    /// The head that begins here, if its fields are the known ones.
    fn head<'a>(&self, bytes: &'a [u8]) -> Option<KnownHead<'a>> {
        let (line, mut rest) = bytes.split_at_checked(memchr::memchr(b'\n', bytes)? + 1)?;
        let line = line.strip_suffix(b"\r\n").filter(|line| !self.text.is_empty() && !line.is_empty())?;
        let (mut fields, mut mark, mut from) = (self.fields, None, 0);
        for (range, hole) in &self.holes {
            rest = rest.strip_prefix(&self.text[from..range.start])?;
            let (said, behind) = rest.split_at(hole.filled(rest));
            match hole {
                _ if said.is_empty() => return None,
                Hole::Length => fields.length = Some(number(said)?),
                Hole::Mark => mark = Some(said),
            }
            (rest, from) = (behind, range.end);
        }
        rest = rest.strip_prefix(&self.text[from..])?;
        Some(KnownHead { line, end: bytes.len() - rest.len(), fields, mark })
    }

    fn keep(&mut self, head: &[u8], fields: Fields, since: u64) {
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let line = memchr::memchr(b'\n', head).map_or(0, |end| end + 1);
        self.text.clear();
        self.holes.clear();
        if head.len() - line <= KNOWN {
            self.text.extend_from_slice(&head[line..]);
            (self.fields, self.since) = (fields, since);
            self.cut();
        }
    }

    /// Finds where the same client may say something else.
    fn cut(&mut self) {
        let (mut begin, mut seen) = (0, SmallVec::<[Hole; 2]>::new());
        for end in memchr::memchr_iter(b'\n', &self.text) {
            let line = &self.text[std::mem::replace(&mut begin, end + 1)..=end];
            let Some(colon) = memchr::memchr(b':', line) else { continue };
            let hole = match colon {
                14 if line[..colon].eq_ignore_ascii_case(b"content-length") => Hole::Length,
                17 if line[..colon].eq_ignore_ascii_case(b"client-request-id") => Hole::Mark,
                _ => continue,
            };
            let value = colon + 1 + line[colon + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
            let filled = hole.filled(&line[value..]);
            // The first one of a name is what counts, whatever stands in it.
            let is_first = !seen.contains(&hole);
            seen.push(hole);
            if is_first && filled > 0 && line[value + filled..] == *b"\r\n" {
                let at = end + 1 - line.len() + value;
                self.holes.push((at..at + filled, hole));
            }
        }
    }
}

impl Hole {
    /// How many bytes from here on can stand in it.
    fn filled(self, bytes: &[u8]) -> usize {
        match self {
            Self::Length => bytes.iter().take(LENGTH_DIGITS).take_while(|byte| byte.is_ascii_digit()).count(),
            Self::Mark => bytes.iter().take(MARK).take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count(),
        }
    }
}

/// A length has at most so many digits, and a mark so many characters, where they may be others each time.
const LENGTH_DIGITS: usize = 10;
const MARK: usize = 64;

/// The number that digits are.
fn number(digits: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

/// Where the head that begins here ends, behind its empty line.
fn end_of_head(bytes: &[u8], limits: HeadLimits) -> Result<Option<usize>, Fault> {
    let mut begin = 0;
    // What stands beyond the limit is not looked at: the verdict is then the same however the bytes are cut.
    for end in memchr::memchr_iter(b'\n', &bytes[..bytes.len().min(limits.bytes)]) {
        if end == 0 || bytes[end - 1] != b'\r' {
            return Err(Fault::Ambiguous("a line of its head ends in LF alone"));
        }
        let empty = end == begin + 1;
        // An empty line before a request is an old client's mistake, to be skipped (RFC 9112 section 2.2).
        if empty && begin > 2 {
            return Ok(Some(end + 1));
        }
        if empty && begin == 2 {
            return Err(Fault::Ambiguous("it begins with more than one empty line"));
        }
        begin = end + 1;
    }
    if bytes.len() > limits.bytes { Err(Fault::HeadTooLarge(limits.bytes)) } else { Ok(None) }
}

/// What follows a head.
pub(super) enum Body {
    Length(u64),
    Chunked,
    Tunnel,
}

/// Reads a whole head: its fields, and what body it announces.
fn read_head(head: &[u8], limits: HeadLimits) -> Result<(Fields, Body), Fault> {
    let head = head.strip_prefix(b"\r\n").unwrap_or(head);
    let text = head.strip_suffix(b"\r\n").unwrap_or(head);
    // Every LF is known to stand behind a CR, so a CR that is left over in a line stands alone.
    let mut begin = 0;
    let mut lines = memchr::memchr_iter(b'\n', text).map(|end| &text[std::mem::replace(&mut begin, end + 1)..end - 1]);
    let request = RequestLine::read(lines.next().unwrap_or_default()).map_err(Fault::Ambiguous)?;
    let mut fields = Fields::default();
    for (count, line) in lines.enumerate() {
        if count >= limits.headers {
            return Err(Fault::TooManyHeaders(limits.headers));
        }
        fields.read(line).map_err(Fault::Ambiguous)?;
    }
    let body = fields.body(&request).map_err(Fault::Ambiguous)?;
    Ok((fields, body))
}

/// What of a request line matters for what follows it.
struct RequestLine<'a> {
    method: &'a [u8],
    target: &'a [u8],
    is_connect: bool,
    is_1_0: bool,
}

impl<'a> RequestLine<'a> {
    fn read(line: &'a [u8]) -> Result<Self, &'static str> {
        let mut spaces = memchr::memchr_iter(b' ', line);
        let (Some(first), Some(second), None) = (spaces.next(), spaces.next(), spaces.next()) else {
            return Err("its first line is not a method, a target and a version with one space between them");
        };
        let (method, target, version) = (&line[..first], &line[first + 1..second], &line[second + 1..]);
        if method.is_empty() || !all(method, is_token_byte) {
            return Err("its method is no word");
        }
        let is_1_0 = match version {
            b"HTTP/1.1" => false,
            b"HTTP/1.0" => true,
            _ => return Err("its version is neither HTTP/1.1 nor HTTP/1.0"),
        };
        // RFC 3986 section 2 has nothing else in an address, and a fragment never leaves the client.
        if !all(target, |byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err("its target holds what no address holds");
        }
        let is_connect = method == b"CONNECT";
        let absolute = || {
            let scheme = |scheme: &[u8]| target.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
            scheme(b"http://") || scheme(b"https://")
        };
        match target.first() {
            Some(b'/') if !is_connect => {}
            Some(b'*') if target.len() == 1 && method == b"OPTIONS" => {}
            Some(_) if is_connect || absolute() => {}
            _ => return Err("its target is neither a path nor an http address"),
        }
        Ok(Self { method, target, is_connect, is_1_0 })
    }
}

/// The headers by which a request is framed and addressed.
#[derive(Clone, Copy, Debug, Default)]
struct Fields {
    length: Option<u64>,
    chunked: bool,
    hosts: u8,
}

impl Fields {
    fn read(&mut self, line: &[u8]) -> Result<(), &'static str> {
        if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) {
            return Err("a header goes on in the next line");
        }
        let colon = memchr::memchr(b':', line).ok_or("a header has no colon")?;
        let (name, value) = (&line[..colon], &line[colon + 1..]);
        if name.is_empty() || !all(name, is_token_byte) {
            return Err("a header's name is no word");
        }
        if !all(value, is_field_byte) {
            return Err("a header holds a control character");
        }
        let value = value.trim_ascii();
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            14 if name.eq_ignore_ascii_case(b"content-length") => self.content_length(value),
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => self.transfer_encoding(value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), &'static str> {
        self.hosts = self.hosts.saturating_add(1);
        let sound = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:[]%".contains(byte);
        if self.hosts > 1 {
            Err("it has two Host headers")
        } else if value.is_empty() || !value.iter().all(sound) {
            Err("its Host header names no host")
        } else {
            Ok(())
        }
    }

    fn content_length(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if self.length.is_some() {
            return Err("it has two Content-Length headers");
        }
        self.length = number(value);
        self.length.map(drop).ok_or("its Content-Length is no length")
    }

    fn transfer_encoding(&mut self, value: &[u8]) -> Result<(), &'static str> {
        if self.chunked {
            return Err("it has two Transfer-Encoding headers");
        }
        self.chunked = value.eq_ignore_ascii_case(b"chunked");
        if self.chunked { Ok(()) } else { Err("its Transfer-Encoding is not `chunked`") }
    }

    /// What follows, by RFC 9112 section 6.3, where that leaves no doubt.
    fn body(&self, request: &RequestLine<'_>) -> Result<Body, &'static str> {
        match (self.chunked, self.length) {
            _ if self.hosts == 0 && !request.is_1_0 => Err("it has no Host header"),
            (true, Some(_)) => Err("it has both Content-Length and Transfer-Encoding"),
            (true, None) if request.is_1_0 => Err("HTTP/1.0 knows no Transfer-Encoding"),
            (true, _) | (_, Some(1..)) if request.is_connect => Err("a CONNECT has no body"),
            (true, None) => Ok(Body::Chunked),
            _ if request.is_connect => Ok(Body::Tunnel),
            (false, length) => Ok(Body::Length(length.unwrap_or(0))),
        }
    }
}

/// What a name is made of (RFC 9110 section 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'|' | b'~')
}

/// Whether all bytes are of a kind. It looks at each, and so at many at once.
fn all(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & is(*byte))
}

/// What a value is made of (RFC 9110 section 5.5).
pub(super) fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}
