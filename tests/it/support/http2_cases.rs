//! What clients of HTTP/2 may and may not do, by the sections of RFC 9113 and RFC 7541.

use super::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH_PROMISE,
    RST_STREAM, SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, field, frame, opened,
};

/// The codes of section 7.
pub const PROTOCOL: u32 = 1;
pub const FLOW: u32 = 3;
pub const CLOSED: u32 = 5;
pub const SIZE: u32 = 6;
pub const REFUSED: u32 = 7;
pub const COMPRESSION: u32 = 9;
pub const CALM: u32 = 11;

/// What a client does.
pub enum Step {
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Waits for the end of a stream's answer.
    Ended(u32),
    /// Waits for so much of its data in a frame.
    Data(u32, usize),
}

/// What the RFC asks for.
#[derive(Clone, Copy, Debug)]
pub enum Wants {
    /// An answer.
    Answer,
    /// An error of the connection, of one of these codes.
    Connection(&'static [u32]),
    /// An error of the stream, or of the connection, of one of these codes.
    Stream(&'static [u32]),
    /// The same of any code, or a 400.
    Malformed,
    /// A frame of this kind with ACK.
    Acknowledged(u8),
}

pub struct Case {
    pub section: &'static str,
    pub name: &'static str,
    pub steps: Vec<Step>,
    pub wants: Wants,
}

use Step::{Data, Ended, Send};
use Wants::{Acknowledged, Answer, Connection, Malformed, Stream};

/// The path of requests that are in order, whatever follows them.
pub const SOUND: &str = "/v1.0/sound";
/// The path of requests that must never be sent on.
pub const BAD: &str = "/v1.0/bad";

const GET: &[u8] = b"\x82";
const POST: &[u8] = b"\x83";
const HTTPS: &[u8] = b"\x87";

fn authority() -> Vec<u8> {
    field(":authority", "graph.microsoft.com")
}

/// The block of a request that lacks nothing, and more fields behind it.
fn block(method: &[u8], path: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [&[method, HTTPS, &field(":path", path), &authority()], &more.iter().map(Vec::as_slice).collect::<Vec<_>>()[..]]
        .concat()
        .concat()
}

pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(GET, SOUND, &[]))
}

/// A POST whose body is to come.
fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(POST, SOUND, &[]))
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

fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

fn window(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

fn priority(stream: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 15])
}

fn ping(flags: u8) -> Vec<u8> {
    frame(PING, flags, 0, b"graphdck")
}

const MALFORMED: &[u32] = &[PROTOCOL];

/// A case in an open connection.
fn case(section: &'static str, name: &'static str, frames: &[Vec<u8>], wants: Wants) -> Case {
    Case { section, name, steps: vec![Send([&[opened()], frames].concat().concat())], wants }
}

/// A case that goes on after its first stream is answered.
fn after_end(section: &'static str, name: &'static str, frames: &[Vec<u8>], wants: Wants) -> Case {
    let steps = vec![Send([opened(), get(1)].concat()), Ended(1), Send(frames.concat())];
    Case { section, name, steps, wants }
}

pub fn cases() -> Vec<Case> {
    [openings(), states(), frames(), control(), blocks(), requests(), framing_of_bodies(), compression()]
        .into_iter()
        .flatten()
        .collect()
}

fn openings() -> Vec<Case> {
    let raw = |name, bytes: Vec<u8>, wants| Case { section: "3.4", name, steps: vec![Send(bytes)], wants };
    vec![
        raw("a preface and its SETTINGS", [opened(), get(1)].concat(), Answer),
        raw("a preface that is none", b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec(), Connection(MALFORMED)),
        raw("PING instead of the first SETTINGS", [PREFACE, &ping(0)].concat(), Connection(MALFORMED)),
        raw("HEADERS instead of the first SETTINGS", [PREFACE, &get(1)].concat(), Connection(MALFORMED)),
        case("3.4", "SETTINGS are acknowledged", &[setting(0x3, 10)], Acknowledged(SETTINGS)),
        case("4.1", "a frame of an unknown kind", &[frame(0x77, 0, 0, b"x"), get(1)], Answer),
        case(
            "4.1",
            "a frame of an unknown kind on a stream",
            &[post(1), frame(0x77, 0xff, 1, b"x"), data(1, 1, b"{}")],
            Answer,
        ),
        case("4.1", "undefined flags", &[ping(0xfe), get(1)], Answer),
        case("4.1", "a reserved bit that is set", &[frame(PING, 0, 1 << 31, b"graphdck"), get(1)], Answer),
        case("4.2", "DATA as large as may be", &[post(1), data(1, 1, &[b' '; 16_384])], Answer),
        case("4.2", "DATA that is larger", &[post(1), data(1, 1, &[b' '; 16_385])], Stream(&[SIZE])),
        case("4.2", "HEADERS that are larger", &[frame(HEADERS, 5, 1, &[0; 16_385])], Connection(&[SIZE])),
        case("4.2", "SETTINGS that are larger", &[frame(SETTINGS, 0, 0, &[0; 16_386])], Connection(&[SIZE])),
        case("5.5", "an unknown setting", &[setting(0x99, 1), get(1)], Answer),
        case(
            "5.5",
            "an unknown kind inside a header block",
            &[frame(HEADERS, 1, 1, &block(GET, BAD, &[])), frame(0x77, 0, 0, b""), frame(CONTINUATION, 4, 1, b"")],
            Connection(MALFORMED),
        ),
    ]
}

fn states() -> Vec<Case> {
    let idle = Connection(MALFORMED);
    let over = Stream(&[CLOSED, PROTOCOL]);
    let many: Vec<Vec<u8>> = (0..=200).map(|number| post(2 * number + 1)).collect();
    vec![
        case("5.1", "idle: DATA", &[data(1, 1, b"x")], idle),
        case("5.1", "idle: RST_STREAM", &[reset(1)], idle),
        case("5.1", "idle: WINDOW_UPDATE", &[window(1, 1)], idle),
        case("5.1", "idle: CONTINUATION", &[frame(CONTINUATION, 4, 1, &block(GET, BAD, &[]))], idle),
        case("5.1", "idle: PRIORITY", &[priority(3), get(1)], Answer),
        case("5.1", "half-closed: DATA", &[get(1), data(1, 1, b"x")], Stream(&[CLOSED])),
        case("5.1", "half-closed: HEADERS", &[get(1), get(1)], over),
        case(
            "5.1",
            "half-closed: CONTINUATION",
            &[get(1), frame(CONTINUATION, 4, 1, b"")],
            Connection(&[PROTOCOL, CLOSED]),
        ),
        case("5.1", "half-closed: WINDOW_UPDATE and PRIORITY", &[get(1), window(1, 1), priority(1)], Answer),
        case("5.1", "reset: DATA", &[post(1), reset(1), data(1, 1, b"x")], Stream(&[CLOSED])),
        case("5.1", "reset: HEADERS", &[post(1), reset(1), get(1)], over),
        case(
            "5.1",
            "reset: CONTINUATION",
            &[post(1), reset(1), frame(CONTINUATION, 4, 1, b"")],
            Connection(&[PROTOCOL, CLOSED]),
        ),
        after_end("5.1", "closed: DATA", &[data(1, 1, b"x")], Stream(&[CLOSED])),
        after_end("5.1", "closed: HEADERS", &[get(1)], Connection(&[CLOSED, PROTOCOL])),
        after_end("5.1", "closed: CONTINUATION", &[frame(CONTINUATION, 4, 1, b"")], Connection(&[PROTOCOL, CLOSED])),
        after_end(
            "5.1",
            "closed: WINDOW_UPDATE, PRIORITY, RST_STREAM",
            &[window(1, 1), priority(1), reset(1), get(3)],
            Answer,
        ),
        case("5.1.1", "an even stream", &[get(2)], Connection(MALFORMED)),
        case("5.1.1", "a stream below another", &[get(5), get(3)], Connection(&[PROTOCOL, CLOSED])),
        case("5.1.1", "streams are skipped", &[get(5)], Answer),
        case("5.1.2", "more streams than may be", &many, Stream(&[REFUSED, PROTOCOL])),
        case(
            "5.4.1",
            "an error, and nothing is answered after it",
            &[frame(PING, 0, 1, b"graphdck"), frame(HEADERS, 5, 1, &block(GET, BAD, &[]))],
            Connection(MALFORMED),
        ),
    ]
}

fn frames() -> Vec<Case> {
    let padded = |pad: u8, payload: &[u8]| [&[pad], payload, &vec![0; pad as usize]].concat();
    let request = block(GET, SOUND, &[]);
    let weighed = [&[0, 0, 0, 0, 15][..], &request].concat();
    vec![
        case("6.1", "DATA of no stream", &[data(0, 1, b"x")], Connection(MALFORMED)),
        case("6.1", "DATA with padding", &[post(1), data(1, END_STREAM | PADDED, &padded(5, b"{}"))], Answer),
        case(
            "6.1",
            "DATA with more padding than there is",
            &[post(1), data(1, END_STREAM | PADDED, b"\x05{}")],
            Connection(MALFORMED),
        ),
        case(
            "6.1",
            "DATA without its padding's length",
            &[post(1), data(1, END_STREAM | PADDED, b"")],
            Connection(&[SIZE, PROTOCOL]),
        ),
        case("6.2", "HEADERS of no stream", &[frame(HEADERS, 5, 0, &request)], Connection(MALFORMED)),
        case(
            "6.2",
            "HEADERS with padding and a weight",
            &[frame(HEADERS, 5 | PADDED | WITH_PRIORITY, 1, &padded(9, &weighed))],
            Answer,
        ),
        case(
            "6.2",
            "HEADERS with more padding than there is",
            &[frame(HEADERS, 5 | PADDED, 1, &[&[255], &request[..]].concat())],
            Connection(MALFORMED),
        ),
        case(
            "6.2",
            "HEADERS without their weight",
            &[frame(HEADERS, 5 | WITH_PRIORITY, 1, b"\0")],
            Connection(&[SIZE, PROTOCOL]),
        ),
        case(
            "6.2",
            "DATA inside a header block",
            &[frame(HEADERS, 0, 1, &block(POST, BAD, &[])), data(1, 1, b"x")],
            Connection(MALFORMED),
        ),
        case(
            "6.2",
            "other HEADERS inside a header block",
            &[frame(HEADERS, 1, 1, &block(GET, BAD, &[])), frame(HEADERS, 5, 3, &block(GET, BAD, &[]))],
            Connection(MALFORMED),
        ),
        case("6.3", "PRIORITY of no stream", &[priority(0)], Connection(MALFORMED)),
        case("6.3", "PRIORITY of another length", &[frame(PRIORITY, 0, 1, &[0; 4])], Stream(&[SIZE])),
        case(
            "6.3",
            "PRIORITY inside a header block",
            &[frame(HEADERS, 1, 1, &block(GET, BAD, &[])), priority(1)],
            Connection(MALFORMED),
        ),
        case("6.4", "RST_STREAM of no stream", &[reset(0)], Connection(MALFORMED)),
        case("6.4", "RST_STREAM of another length", &[post(1), frame(RST_STREAM, 0, 1, &[0; 3])], Connection(&[SIZE])),
        case("6.4", "RST_STREAM, and others go on", &[post(1), reset(1), get(3)], Answer),
        case(
            "6.6",
            "PUSH_PROMISE by a client",
            &[get(1), frame(PUSH_PROMISE, 4, 1, &[&[0, 0, 0, 2], &request[..]].concat())],
            Connection(MALFORMED),
        ),
        case(
            "6.10",
            "CONTINUATION, twice",
            &[
                frame(HEADERS, 1, 1, &request[..4]),
                frame(CONTINUATION, 0, 1, &request[4..9]),
                frame(CONTINUATION, 4, 1, &request[9..]),
            ],
            Answer,
        ),
        case(
            "6.10",
            "CONTINUATION of another stream",
            &[frame(HEADERS, 1, 1, &block(GET, BAD, &[])), frame(CONTINUATION, 4, 3, b"")],
            Connection(MALFORMED),
        ),
        case(
            "6.10",
            "CONTINUATION of no stream",
            &[frame(HEADERS, 1, 1, &block(GET, BAD, &[])), frame(CONTINUATION, 4, 0, b"")],
            Connection(MALFORMED),
        ),
        case(
            "6.10",
            "CONTINUATION behind a whole header block",
            &[post(1), frame(CONTINUATION, 4, 1, b"")],
            Connection(MALFORMED),
        ),
        case(
            "6.10",
            "CONTINUATION behind DATA",
            &[post(1), data(1, 0, b"x"), frame(CONTINUATION, 4, 1, b"")],
            Connection(MALFORMED),
        ),
    ]
}

fn control() -> Vec<Case> {
    let trickle = vec![Send([opened(), setting(0x4, 1), get(1)].concat()), Data(1, 1), Send(window(1, 100))];
    vec![
        case("6.5", "SETTINGS of a stream", &[frame(SETTINGS, 0, 1, b"")], Connection(MALFORMED)),
        case("6.5", "SETTINGS with ACK and content", &[frame(SETTINGS, ACK, 0, &[0; 6])], Connection(&[SIZE])),
        case("6.5", "SETTINGS that are cut", &[frame(SETTINGS, 0, 0, &[0; 5])], Connection(&[SIZE])),
        case("6.5.2", "ENABLE_PUSH of 2", &[setting(0x2, 2)], Connection(MALFORMED)),
        case("6.5.2", "INITIAL_WINDOW_SIZE above 2^31-1", &[setting(0x4, 1 << 31)], Connection(&[FLOW])),
        case("6.5.2", "MAX_FRAME_SIZE below 2^14", &[setting(0x5, 16_383)], Connection(MALFORMED)),
        case("6.5.2", "MAX_FRAME_SIZE above 2^24-1", &[setting(0x5, 1 << 24)], Connection(MALFORMED)),
        case("6.5.3", "SETTINGS twice at once", &[setting(0x4, 100), setting(0x4, 1000), get(1)], Answer),
        case("6.7", "PING", &[ping(0)], Acknowledged(PING)),
        case("6.7", "PING with ACK", &[ping(ACK), get(1)], Answer),
        case("6.7", "PING of a stream", &[frame(PING, 0, 1, b"graphdck")], Connection(MALFORMED)),
        case("6.7", "PING of another length", &[frame(PING, 0, 0, b"graph")], Connection(&[SIZE])),
        case("6.8", "GOAWAY of a stream", &[frame(GOAWAY, 0, 1, &[0; 8])], Connection(MALFORMED)),
        case("6.8", "GOAWAY, and what is under way is answered", &[get(1), frame(GOAWAY, 0, 0, &[0; 8])], Answer),
        Case { section: "6.9", name: "no more DATA than the window takes", steps: trickle, wants: Answer },
        case("6.9", "WINDOW_UPDATE by nothing", &[window(0, 0)], Connection(MALFORMED)),
        case("6.9", "WINDOW_UPDATE by nothing, of a stream", &[post(1), window(1, 0)], Stream(MALFORMED)),
        case("6.9", "WINDOW_UPDATE of another length", &[frame(WINDOW_UPDATE, 0, 0, &[0; 3])], Connection(&[SIZE])),
        case("6.9.1", "a window above 2^31-1", &[window(0, 0x7fff_ffff)], Connection(&[FLOW])),
        case("6.9.1", "a window above 2^31-1, of a stream", &[post(1), window(1, 0x7fff_ffff)], Stream(&[FLOW])),
        case(
            "6.9.2",
            "a window above 2^31-1 by SETTINGS",
            &[post(1), window(1, 1000), setting(0x4, 0x7fff_ffff)],
            Connection(&[FLOW]),
        ),
    ]
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
