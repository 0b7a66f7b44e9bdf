//! Where an HTTP/1 request ends, as RFC 9112 has it: what could be read in two ways is refused, whoever reads it next.

pub use super::head::{Again, Fault, HeadLimits};
use super::head::{Body, Heads, is_field_byte, is_token_byte};

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
    reader: Heads,
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
        Self { reader: Heads::new(limits), state: State::Head, heads: 0 }
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

    /// The request that the next bytes are, where they are all of one, and its fields came before on the connection.
    #[must_use]
    pub fn again<'a>(&self, bytes: &'a [u8]) -> Option<Again<'a>> {
        if self.state == State::Head { self.reader.again(bytes) } else { None }
    }

    /// Counts a request that came [again](Self::again), which is not followed then.
    pub fn pass(&mut self) {
        self.heads += 1;
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
                State::Head => match self.reader.read(rest, self.heads + 1) {
                    Ok(None) => return Step::Begun(at),
                    Ok(Some((end, body))) => {
                        self.follow_head(&body);
                        Ok(end)
                    }
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

    fn follow_head(&mut self, body: &Body) {
        self.state = match *body {
            Body::Tunnel => State::Tunnel,
            Body::Length(0) => State::Head,
            Body::Length(length) => State::Bytes(length),
            Body::Chunked => State::Chunked(Chunk::Size(0, 0)),
        };
        self.heads += 1;
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    proptest! {
        /// A head whose fields were known is judged as one that is the first.
        #[test]
        fn known_fields_change_no_verdict(
            line in "(GET|CONNECT|G T|) ?(/|a:1|)[a-z#\\x00]{0,3} HTTP/1\\.[01](\r)?",
            fields in prop::sample::subsequence(
                vec!["Host: a", "Content-Length: 3", "client-request-id: 1", "Transfer-Encoding: chunked", "X: y", "", "A: b\n", "B: \r"], 0..5),
            known in 0..4usize,
            length in "(3|3|3|4|03|3 | 3|x|99999999999|)",
            mark in "([0-9a-f-]{0,3}|a b|\x00|é)",
        ) {
            let fields = fields.iter().map(|field| format!("{field}\r\n")).collect::<String>();
            let later = fields.replace("Length: 3", &format!("Length: {length}")).replace("id: 1", &format!("id: {mark}"));
            let second = format!("{line}\n{later}\r\nabc");
            let mut lines = vec!["GET / HTTP/1.1\r", "POST / HTTP/1.0\r", "CONNECT a:1 HTTP/1.1\r"];
            lines.truncate(known);
            for first in lines {
                let mut framing = Framing::new(LIMITS);
                if framing.follow(format!("{first}\n{fields}\r\n").as_bytes()) != Step::Sound {
                    continue;
                }
                framing.state = State::Head;
                let mut fresh = Framing::new(LIMITS);
                let again = framing.again(second.as_bytes()).map(|again| again.body.len());
                prop_assert_eq!(framing.follow(second.as_bytes()), fresh.follow(second.as_bytes()));
                prop_assert_eq!(framing.state, fresh.state);
                let is_whole = (fresh.heads, fresh.state, "abc".len());
                prop_assert!(again.is_none_or(|body| is_whole == (1, State::Head, body)));
            }
        }
    }

    #[test]
    fn a_request_comes_again_with_another_length_and_mark() {
        let request = |target: &str, fields: &str, body: &str| {
            let length = body.len();
            format!("POST {target} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
        };
        let mut framing = Framing::new(LIMITS);
        let first = request("/a", "Client-Request-Id: a-1\r\n", "abc");
        assert_eq!(framing.again(first.as_bytes()), None);
        assert_eq!(framing.follow(first.as_bytes()), Step::Sound);
        for (target, fields, body, mark) in [
            ("/b", "Client-Request-Id: a-1\r\n", "0123456789", Some("a-1")),
            ("/a", "Client-Request-Id: 0f\r\n", "", Some("0f")),
            ("/a", "Client-Request-Id: a b\r\n", "", None),
            ("/a", "Client-Request-Id:\r\n", "", None),
            ("/a", "client-request-id: a-1\r\n", "", None),
            ("/a", "", "", None),
        ] {
            let request = request(target, fields, body);
            let again = framing.again(request.as_bytes());
            let expected = mark.map(|mark| Again {
                since: 1,
                method: "POST",
                target,
                mark: Some(mark.as_bytes()),
                body: body.as_bytes(),
            });
            assert_eq!(again, expected, "{request}");
        }
        let whole = request("/a", "Client-Request-Id: a-1\r\n", "abc");
        for other in [format!("{whole}x"), whole[..whole.len() - 1].to_owned(), whole.replace("1.1", "1.0")] {
            assert_eq!(framing.again(other.as_bytes()), None, "{other}");
        }
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
