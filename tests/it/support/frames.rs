//! HTTP/2 as it is on the wire: frames (RFC 9113 section 4.1) and fields of a header block (RFC 7541 section 6).

use std::io::{ErrorKind, Read};

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const ACK: u8 = 1;
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 32;

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Opens a connection as a client does.
pub fn opened() -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, b"")].concat()
}

/// A field that no table keeps, its name and value as they stand.
pub fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    assert!(name.len() < 127 && value.len() < 127, "a longer text has another form");
    [&[0][..], &text(name), &text(value)].concat()
}

/// A frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The code of a RST_STREAM, or of a GOAWAY behind its last stream.
    pub fn code(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }

    pub fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// The next frame, or none where the connection ends, or goes on in HTTP/1.
pub fn next(stream: &mut impl Read) -> Option<Frame> {
    let mut head = [0; 9];
    let mut fill = |bytes: &mut [u8]| match stream.read_exact(bytes) {
        Ok(()) => true,
        Err(fault) => {
            assert!(!matches!(fault.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "nothing came: {fault}");
            false
        }
    };
    if !fill(&mut head) || head.starts_with(b"HTTP/1.") {
        return None;
    }
    let number = |bytes: &[u8]| bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let mut payload = vec![0; number(&head[..3]) as usize];
    fill(&mut payload).then(|| Frame {
        kind: head[3],
        flags: head[4],
        stream: number(&head[5..]) & 0x7fff_ffff,
        payload,
    })
}
