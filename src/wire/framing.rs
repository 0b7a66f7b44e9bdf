//! Where an HTTP/1 request ends, as RFC 9112 has it: what could be read in two ways is refused, whoever reads it next.

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

/// How far the bytes of a connection have been followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// All of them belong to requests that are framed beyond doubt.
    Sound,
    /// From here on a head has begun that is not whole yet.
    Begun(usize),
    /// Up to here they are sound, and no further.
    Broken(usize, Fault),
}

/// Follows the requests of one connection.
#[derive(Debug)]
pub struct Framing {
    limits: HeadLimits,
    state: State,
    /// How many heads were whole.
    heads: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of a body, or of a chunk with its line end, are to come.
    Bytes(u64),
    Chunked(Chunk),
    /// A CONNECT: what follows is no HTTP of this connection.
    Tunnel,
}

/// Where in a chunked body (RFC 9112 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chunk {
    /// In the digits of a size, of which there have been so many.
    Size(u64, u8),
    /// Behind them, in an extension of so many bytes.
    Extension(u64, u16),
    /// At the line feed of a size.
    SizeEnd(u64),
    /// In the data.
    Data(u64),
    /// Behind it.
    DataCr,
    DataLf,
    /// In the trailer section, of which there have been so many bytes, at or behind the begin of a line.
    Trailer(u16, bool),
    /// At the line feed of a trailer, or of the empty line that ends the body.
    TrailerLf(u16, bool),
}

/// The most bytes that extensions of one chunk, or all trailers together, may have. Nobody needs either.
const CHUNK_EXTRAS: u16 = 4096;

impl Framing {
    /// At the begin of a connection.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        Self { limits, state: State::Head, heads: 0 }
    }

    /// How many heads were whole so far.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.heads
    }

    /// Whether a head was whole whose body is not.
    #[must_use]
    pub fn is_in_body(&self) -> bool {
        matches!(self.state, State::Bytes(_) | State::Chunked(_))
    }

    /// Follows the next bytes. After [`Step::Begun`] they must come again, with more behind them.
    pub fn follow(&mut self, bytes: &[u8]) -> Step {
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let followed = match self.state {
                State::Tunnel => return Step::Sound,
                State::Bytes(left) => {
                    let taken = left.min(rest.len() as u64);
                    self.state = if taken == left { State::Head } else { State::Bytes(left - taken) };
                    Ok(usize::try_from(taken).expect("no more than there are"))
                }
                State::Chunked(chunk) => self.follow_chunk(chunk, rest),
                State::Head => match end_of_head(rest, self.limits) {
                    Ok(None) => return Step::Begun(at),
                    Ok(Some(end)) => self.follow_head(&rest[..end]).map(|()| end),
                    Err(fault) => Err(fault),
                },
            };
            match followed {
                Ok(taken) => at += taken,
                Err(fault) => return Step::Broken(at, fault),
            }
        }
        Step::Sound
    }

    fn follow_head(&mut self, head: &[u8]) -> Result<(), Fault> {
        self.state = match body_of(head, self.limits)? {
            Body::Tunnel => State::Tunnel,
            Body::Length(0) => State::Head,
            Body::Length(length) => State::Bytes(length),
            Body::Chunked => State::Chunked(Chunk::Size(0, 0)),
        };
        self.heads += 1;
        Ok(())
    }

    fn follow_chunk(&mut self, chunk: Chunk, bytes: &[u8]) -> Result<usize, Fault> {
        if let Chunk::Data(left) = chunk {
            let taken = left.min(bytes.len() as u64);
            let next = if taken == left { Chunk::DataCr } else { Chunk::Data(left - taken) };
            self.state = State::Chunked(next);
            return Ok(usize::try_from(taken).expect("no more than there are"));
        }
        let next = chunk.after(bytes[0]).map_err(Fault::Ambiguous)?;
        self.state = next.map_or(State::Head, State::Chunked);
        Ok(1)
    }
}

impl Chunk {
    /// Where the body is after one more byte outside of its data; `None` at its end.
    fn after(self, byte: u8) -> Result<Option<Self>, &'static str> {
        let size = |size: u64| if size == 0 { Self::Trailer(0, true) } else { Self::Data(size) };
        Ok(Some(match (self, byte) {
            (Self::Size(_, 15..), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                return Err("a chunk's size is no length");
            }
            (Self::Size(size, digits), b'0'..=b'9') => Self::Size(size * 16 + u64::from(byte - b'0'), digits + 1),
            (Self::Size(size, digits), b'a'..=b'f') => Self::Size(size * 16 + u64::from(byte - b'a') + 10, digits + 1),
            (Self::Size(size, digits), b'A'..=b'F') => Self::Size(size * 16 + u64::from(byte - b'A') + 10, digits + 1),
            (Self::Size(size, 1..), b'\r') => Self::SizeEnd(size),
            (Self::Size(size, 1..), b';') => Self::Extension(size, 0),
            (Self::Size(..), _) => return Err("a chunk's size is no hexadecimal number"),
            (Self::Extension(size, _), b'\r') => Self::SizeEnd(size),
            (Self::Extension(_, CHUNK_EXTRAS..), _) => return Err("a chunk's extension is too long"),
            (Self::Extension(size, length), _) if is_field_byte(byte) => Self::Extension(size, length + 1),
            (Self::Extension(..), _) => return Err("a chunk's extension holds a control character"),
            (Self::SizeEnd(length), b'\n') => size(length),
            (Self::DataCr, b'\r') => Self::DataLf,
            (Self::DataLf, b'\n') => Self::Size(0, 0),
            (Self::TrailerLf(_, true), b'\n') => return Ok(None),
            (Self::TrailerLf(length, false), b'\n') => Self::Trailer(length, true),
            (Self::SizeEnd(_) | Self::TrailerLf(..), _) => return Err("a line in its body does not end in CR LF"),
            (Self::Data(_) | Self::DataCr | Self::DataLf, _) => return Err("a chunk is longer than its size says"),
            (Self::Trailer(length, first), b'\r') => Self::TrailerLf(length, first),
            (Self::Trailer(CHUNK_EXTRAS.., _), _) => return Err("its trailers are too long"),
            (Self::Trailer(_, true), _) if !is_token_byte(byte) => return Err("a trailer has no name"),
            (Self::Trailer(length, _), _) if is_field_byte(byte) => Self::Trailer(length + 1, false),
            (Self::Trailer(..), _) => return Err("a trailer holds a control character"),
        }))
    }
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
enum Body {
    Length(u64),
    Chunked,
    Tunnel,
}

/// Reads a whole head: what body it announces.
fn body_of(head: &[u8], limits: HeadLimits) -> Result<Body, Fault> {
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
    fields.body(&request).map_err(Fault::Ambiguous)
}

/// What of a request line matters for what follows it.
struct RequestLine {
    is_connect: bool,
    is_1_0: bool,
}

impl RequestLine {
    fn read(line: &[u8]) -> Result<Self, &'static str> {
        let mut parts = line.split(|&byte| byte == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("its first line is not a method, a target and a version with one space between them");
        };
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
        Ok(Self { is_connect, is_1_0 })
    }
}

/// The headers by which a request is framed and addressed.
#[derive(Default)]
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
        let digits = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        self.length = digits.and_then(|digits| digits.parse().ok());
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
    fn body(&self, request: &RequestLine) -> Result<Body, &'static str> {
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
fn is_token_byte(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'Z' | b'^'..=b'z' | b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'|' | b'~')
}

/// Whether all bytes are of a kind. It looks at each, and so at many at once.
fn all(bytes: &[u8], is: impl Fn(u8) -> bool) -> bool {
    bytes.iter().fold(true, |all, byte| all & is(*byte))
}

/// What a value is made of (RFC 9110 section 5.5).
fn is_field_byte(byte: u8) -> bool {
    byte == b'\t' || (byte >= b' ' && byte != 0x7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: HeadLimits = HeadLimits { bytes: 1000, headers: 5 };

    /// What is left to come after these bytes, however they are cut.
    fn followed(bytes: &[u8]) -> Result<(u64, bool), String> {
        let whole = in_pieces(bytes, bytes.len().max(1));
        for size in [1, 2, 3, 7] {
            assert_eq!(in_pieces(bytes, size), whole, "in pieces of {size}: {}", String::from_utf8_lossy(bytes));
        }
        whole
    }

    fn in_pieces(bytes: &[u8], size: usize) -> Result<(u64, bool), String> {
        let mut framing = Framing::new(LIMITS);
        let mut held = Vec::new();
        for piece in bytes.chunks(size) {
            held.extend_from_slice(piece);
            match framing.follow(&held) {
                Step::Sound => held.clear(),
                Step::Begun(at) => drop(held.drain(..at)),
                Step::Broken(_, fault) => return Err(fault.to_string()),
            }
        }
        Ok((framing.heads(), framing.state == State::Head && held.is_empty()))
    }

    #[test]
    fn requests_are_followed_to_their_end() {
        for (bytes, heads, at_end) in [
            ("", 0, true),
            ("GET / HTTP/1.1\r\nHost: a\r\n", 0, false),
            ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, true),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1, true),
            ("GET / HTTP/1.0\r\n\r\n", 1, true),
            ("OPTIONS * HTTP/1.1\r\nhost: [::1]:80\r\n\r\n", 1, true),
            ("GET HTTP://a/x?y HTTP/1.1\r\nHost: a\r\nX-Utf: \u{e4}\t1\r\n\r\n", 1, true),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 1, false),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t 003 \r\n\r\nGETGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                2,
                true,
            ),
            ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n", 1, false),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0A;x=\"y\"\r\n\r\n\r\n\r\n\r\n\r\n\r\n0\r\nX: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
                2,
                true,
            ),
            ("CONNECT a:443 HTTP/1.0\r\n\r\n\x16\x03\x01\nanything", 1, false),
            ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\nGET", 1, false),
        ] {
            assert_eq!(followed(bytes.as_bytes()), Ok((heads, at_end)), "{bytes}");
        }
    }

    const HEADS: [(&str, &str); 10] = [
        ("GET / HTTP/1.1\nHost: a\n\n", "bare LF"),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "two spaces"),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", "version"),
        ("GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", "method"),
        ("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", "target"),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "form of the target"),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", "empty lines"),
        ("GET / HTTP/1.1\r\n\r\n", "no Host"),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "TE in 1.0"),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\n", "CONNECT with a body"),
    ];
    const FIELDS: [(&str, &str); 12] = [
        ("Host: a\r\n", "two Hosts"),
        ("X: 1\r\n 2\r\n", "fold"),
        ("X : 1\r\n", "space before colon"),
        ("X\r\n", "no colon"),
        ("X: \0\r\n", "control"),
        ("X: a\rb\r\n", "bare CR"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "CL and TE"),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", "two CL"),
        ("Content-Length: +1\r\n", "signed CL"),
        ("Transfer-Encoding: gzip, chunked\r\n", "TE"),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", "two TE"),
        ("X: 1\r\nX: 1\r\nX: 1\r\nX: 1\r\nX: 1\r\n", "many headers"),
    ];
    const CHUNKS: [(&str, &str); 11] = [
        ("x\r\n", "size"),
        ("\r\n", "no size"),
        ("1 \r\na\r\n", "space behind size"),
        ("fffffffffffffffff\r\n", "size without end"),
        ("1\na\r\n", "bare LF behind size"),
        ("1;\n", "bare LF in an extension"),
        ("1\rx", "bare CR behind size"),
        ("1\r\nab\r\n", "long chunk"),
        ("1\r\na\n", "bare LF behind data"),
        ("0\r\n X: 1\r\n\r\n", "fold in a trailer"),
        ("0\r\nX: \n", "bare LF in a trailer"),
    ];

    #[test]
    fn what_could_be_read_in_two_ways_is_refused_in_words() {
        let post = "POST / HTTP/1.1\r\nHost: a\r\n";
        let chunked = format!("{post}Transfer-Encoding: chunked\r\n\r\n");
        let mut cases: Vec<_> = HEADS.map(|(head, name)| (head.to_owned(), name)).into();
        cases.extend(FIELDS.map(|(fields, name)| (format!("{post}{fields}\r\n"), name)));
        cases.extend(CHUNKS.map(|(body, name)| (format!("{chunked}{body}"), name)));
        cases.extend([
            ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n".into(), "odd Host"),
            (format!("{chunked}1;{}", "x".repeat(5000)), "extension"),
            (format!("{chunked}0\r\n{}", "x".repeat(5000)), "trailers"),
            (format!("{post}X: {}\r\n\r\n", "x".repeat(1000)), "large head"),
            (format!("{post}X: {}", "x".repeat(1000)), "large head without end"),
            (format!("{post}X: {}\n\n", "x".repeat(1000)), "large head with a bare LF beyond the limit"),
            (format!("{post}\n{}", "x".repeat(1000)), "large head with a bare LF before the limit"),
        ]);
        let told: String = cases
            .iter()
            .map(|(bytes, name)| format!("{name}: {}\n", followed(bytes.as_bytes()).expect_err(name)))
            .collect();
        insta::assert_snapshot!(told);
    }
}
