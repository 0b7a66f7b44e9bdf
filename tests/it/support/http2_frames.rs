//! Cases of frames, streams, settings and windows, by the sections of RFC 9113.

use super::frames::{
    ACK, CONTINUATION, END_STREAM, GOAWAY, HEADERS, PADDED, PING, PREFACE, PRIORITY, PUSH_PROMISE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, WITH_PRIORITY, frame, opened,
};
use super::http2::Step::{Data, Send};
use super::http2::Wants::{Acknowledged, Answer, Connection, Stream};
use super::http2::{
    BAD, CLOSED, Case, FLOW, GET, MALFORMED, POST, PROTOCOL, REFUSED, SIZE, SOUND, after_end, block, case, data, get,
    ping, post, priority, reset, setting, window,
};

/// All of them.
pub fn cases() -> Vec<Case> {
    [openings(), states(), frames(), control()].into_iter().flatten().collect()
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
