//! Cases of requests, of their bodies and of compressed headers, by the sections of RFC 9113 and RFC 7541.

use super::frames::{END_HEADERS, END_STREAM, HEADERS, field, frame};
use super::http2::Wants::{Answer, Connection, Malformed};
use super::http2::{BAD, CALM, COMPRESSION, Case, GET, HTTPS, POST, SOUND, authority, block, case, data, post, reset};

/// All of them.
pub fn cases() -> Vec<Case> {
    [blocks(), requests(), framing_of_bodies(), compression()].into_iter().flatten().collect()
}

/// A request that is malformed by these fields, alone in its block.
fn bad(fields: &[&[u8]]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields.concat())
}

/// A request that is malformed by this field behind the others.
fn bad_field(name: &str, value: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(GET, BAD, &[field(name, value)]))
}

/// A POST that announces a body of this length.
fn announced(length: &str, more: &[Vec<u8>]) -> Vec<u8> {
    let fields = [&[field("content-length", length)], more].concat();
    frame(HEADERS, END_HEADERS, 1, &block(POST, BAD, &fields))
}

/// How a request and its trailers are made of frames (section 8.1).
fn blocks() -> Vec<Case> {
    let trailers = |flags, fields: &[u8]| frame(HEADERS, END_HEADERS | flags, 1, fields);
    let open = || frame(HEADERS, END_HEADERS, 1, &block(POST, BAD, &[]));
    vec![
        case("8.1", "trailers", &[post(1), data(1, 0, b"{}"), trailers(END_STREAM, &field("x-sum", "1"))], Answer),
        case(
            "8.1",
            "trailers that do not end the stream",
            &[open(), data(1, 0, b"{}"), trailers(0, &field("x-sum", "1"))],
            Malformed,
        ),
        case(
            "8.1",
            "trailers with a pseudo-field",
            &[post(1), data(1, 0, b"{}"), trailers(END_STREAM, &field(":method", "GET"))],
            Malformed,
        ),
        case(
            "8.1",
            "trailers with an upper-case name",
            &[open(), data(1, 0, b"{}"), trailers(END_STREAM, &field("X-Sum", "1"))],
            Malformed,
        ),
    ]
}

/// Fields that make a request malformed (sections 8.2 and 8.3), and who it is for.
fn requests() -> Vec<Case> {
    let path = field(":path", BAD);
    let authority = authority();
    let fields = [
        ("8.2", "an upper-case name", "X-Upper", "1"),
        ("8.2.1", "no name", "", "1"),
        ("8.2.1", "a name with a space", "x y", "1"),
        ("8.2.1", "a name with a line's end", "x\r\nhost", "a"),
        ("8.2.1", "a name with a colon", "x:y", "1"),
        ("8.2.1", "a name beyond ASCII", "x-\u{e4}", "1"),
        ("8.2.1", "a value with CR", "x", "a\rb"),
        ("8.2.1", "a value with LF", "x", "a\nb"),
        ("8.2.1", "a value with a whole line's end", "x", "a\r\nhost: b"),
        ("8.2.1", "a value with NUL", "x", "a\0b"),
        ("8.2.1", "a value that begins with a space", "x", " a"),
        ("8.2.1", "a value that ends with a tab", "x", "a\t"),
        ("8.2.2", "connection", "connection", "close"),
        ("8.2.2", "keep-alive", "keep-alive", "timeout=5"),
        ("8.2.2", "proxy-connection", "proxy-connection", "keep-alive"),
        ("8.2.2", "transfer-encoding", "transfer-encoding", "chunked"),
        ("8.2.2", "upgrade", "upgrade", "websocket"),
        ("8.2.2", "te that is more than trailers", "te", "trailers, gzip"),
        ("8.3", "a pseudo-field that nobody knows", ":test", "1"),
        ("8.3", "a pseudo-field of answers", ":status", "200"),
        ("8.3.1", ":method twice", ":method", "GET"),
        ("8.3.1", ":scheme twice", ":scheme", "https"),
        ("8.3.1", ":path twice", ":path", BAD),
        ("8.3.1", ":authority twice", ":authority", "graph.microsoft.com"),
        ("8.3.1", "another host", "host", "example.com"),
        ("8.3.1", "the same host at another port", "host", "graph.microsoft.com:8443"),
    ];
    let mut cases: Vec<_> =
        fields.map(|(section, name, field, value)| case(section, name, &[bad_field(field, value)], Malformed)).into();
    let odd: [(_, _, &[&[u8]]); 13] = [
        ("8.3", "a pseudo-field behind others", &[GET, HTTPS, &path, &field("x", "1"), &authority]),
        ("8.3.1", "no :method", &[HTTPS, &path, &authority]),
        ("8.3.1", "no :scheme", &[GET, &path, &authority]),
        ("8.3.1", "no :path", &[GET, HTTPS, &authority]),
        ("8.3.1", "an empty :path", &[GET, HTTPS, &field(":path", ""), &authority]),
        ("8.3.1", "a :path that is none", &[GET, HTTPS, &field(":path", "v1.0/bad"), &authority]),
        ("8.3.1", "a :path with a space", &[GET, HTTPS, &field(":path", "/v1.0/bad HTTP/1.1"), &authority]),
        ("8.3.1", "a :path with a line's end", &[GET, HTTPS, &field(":path", "/v1.0/bad\r\nhost: a"), &authority]),
        ("8.3.1", "a :method that is none", &[&field(":method", "GET /"), HTTPS, &path, &authority]),
        ("8.3.1", "an :authority with a user", &[GET, HTTPS, &path, &field(":authority", "a@graph.microsoft.com")]),
        (
            "8.3.1",
            "two hosts",
            &[GET, HTTPS, &path, &field("host", "graph.microsoft.com"), &field("host", "graph.microsoft.com")],
        ),
        ("8.5", "CONNECT with a :path", &[&field(":method", "CONNECT"), HTTPS, &path, &authority]),
        ("8.5", "CONNECT without :authority", &[&field(":method", "CONNECT")]),
    ];
    cases.extend(odd.map(|(section, name, fields)| case(section, name, &[bad(fields)], Malformed)));
    let sound = |name, more: &[Vec<u8>]| case("8.2", name, &[frame(HEADERS, 5, 1, &block(GET, SOUND, more))], Answer);
    cases.push(sound("te of trailers", &[field("te", "trailers")]));
    cases.push(sound("the same host once more", &[field("host", "graph.microsoft.com")]));
    cases.push(sound("cookies in pieces", &[field("cookie", "a=1"), field("cookie", "b=2")]));
    cases
}

/// Lengths that contradict what comes (section 8.1.1).
fn framing_of_bodies() -> Vec<Case> {
    let is = |name, frames: &[Vec<u8>]| case("8.1.1", name, frames, Malformed);
    let alone = frame(HEADERS, 5, 1, &block(POST, BAD, &[field("content-length", "2")]));
    vec![
        is("more than content-length", &[announced("1", &[]), data(1, 1, b"{}")]),
        is("less than content-length", &[announced("3", &[]), data(1, 1, b"{}")]),
        is("more than content-length, in pieces", &[announced("1", &[]), data(1, 0, b"{"), data(1, 1, b"}")]),
        is("content-length and no body", &[alone]),
        is("a content-length of nothing, and a body", &[announced("0", &[]), data(1, 1, b"{}")]),
        is("a content-length that is none", &[announced("two", &[]), data(1, 1, b"{}")]),
        is("a content-length with a sign", &[announced("+2", &[]), data(1, 1, b"{}")]),
        is("a list as content-length", &[announced("2, 2", &[]), data(1, 1, b"{}")]),
        is("two content-lengths", &[announced("2", &[field("content-length", "3")]), data(1, 1, b"{}")]),
        is("the same content-length twice", &[announced("2", &[field("content-length", "2")]), data(1, 1, b"{}")]),
        case(
            "8.1.1",
            "as much as content-length",
            &[frame(HEADERS, 4, 1, &block(POST, SOUND, &[field("content-length", "2")])), data(1, 1, b"{}")],
            Answer,
        ),
    ]
}

/// Header blocks that cannot be read (RFC 7541), and some that can.
fn compression() -> Vec<Case> {
    let fails = |section, name, more: &[u8]| {
        let block = [&block(GET, BAD, &[])[..], more].concat();
        case(section, name, &[frame(HEADERS, 5, 1, &block)], Connection(&[COMPRESSION]))
    };
    let kept = [block(GET, SOUND, &[]), b"\x40\x01x\x01y".to_vec()].concat();
    let again = [block(GET, SOUND, &[]), b"\xbe".to_vec()].concat();
    let smaller = [b"\x20".to_vec(), block(GET, SOUND, &[])].concat();
    vec![
        fails("7541 2.3.3", "an index behind both tables", b"\xff\x80\x01"),
        fails("7541 2.3.3", "a name's index behind both tables", b"\x0f\xff\x01\x01a"),
        fails("7541 4.2", "a table's size at the end of a block", b"\x20"),
        fails("7541 5.1", "a number that does not end", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
        fails("7541 5.2", "a text that is cut", b"\x00\x01x\x05ab"),
        fails("7541 5.2", "Huffman padding of more than 7 bits", b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"),
        fails("7541 5.2", "Huffman padding of zeros", b"\x00\x85\xf2\xb2\x4a\x84\xff\x83\x49\x50\x90"),
        fails("7541 5.2", "Huffman text with EOS", b"\x00\x85\xf2\xb2\x4a\x84\xff\x88\x3f\xff\xff\xff\xd9\x25\x31\xff"),
        fails("7541 6.1", "the index 0", b"\x80"),
        case(
            "7541 6.3",
            "a table larger than SETTINGS say",
            &[frame(HEADERS, 5, 1, &[&b"\x3f\xe2\x1f\x3f\xff\xff\x03"[..], &block(GET, BAD, &[])].concat())],
            Connection(&[COMPRESSION]),
        ),
        case(
            "7541 6.2.1",
            "a field that the table keeps",
            &[frame(HEADERS, 5, 1, &kept), frame(HEADERS, 5, 3, &again)],
            Answer,
        ),
        case("7541 6.3", "a smaller table", &[frame(HEADERS, 5, 1, &smaller)], Answer),
        case(
            "7541 2.2",
            "a block that cannot be read, of a stream that is refused",
            &[post(1), reset(1), frame(HEADERS, 5, 3, b"\x80")],
            Connection(&[COMPRESSION, CALM]),
        ),
    ]
}
