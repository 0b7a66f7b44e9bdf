//! What a client of HTTP/2 does in a case of conformance, and what the RFCs ask for then.

use super::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, PING, PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, field, frame, opened,
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

use Step::{Ended, Send};

/// The path of requests that are in order, whatever follows them.
pub const SOUND: &str = "/v1.0/sound";
/// The path of requests that must never be sent on.
pub const BAD: &str = "/v1.0/bad";

pub const GET: &[u8] = b"\x82";
pub const POST: &[u8] = b"\x83";
pub const HTTPS: &[u8] = b"\x87";

pub fn authority() -> Vec<u8> {
    field(":authority", "graph.microsoft.com")
}

/// The block of a request that lacks nothing, and more fields behind it.
pub fn block(method: &[u8], path: &str, more: &[Vec<u8>]) -> Vec<u8> {
    [&[method, HTTPS, &field(":path", path), &authority()], &more.iter().map(Vec::as_slice).collect::<Vec<_>>()[..]]
        .concat()
        .concat()
}

pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(GET, SOUND, &[]))
}

/// A POST whose body is to come.
pub fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &block(POST, SOUND, &[]))
}

pub fn data(stream: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    frame(DATA, flags, stream, payload)
}

pub fn setting(name: u16, value: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
}

pub fn window(stream: u32, increment: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &increment.to_be_bytes())
}

pub fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

pub fn priority(stream: u32) -> Vec<u8> {
    frame(PRIORITY, 0, stream, &[0, 0, 0, 0, 15])
}

pub fn ping(flags: u8) -> Vec<u8> {
    frame(PING, flags, 0, b"graphdck")
}

pub const MALFORMED: &[u32] = &[PROTOCOL];

/// A case in an open connection.
pub fn case(section: &'static str, name: &'static str, frames: &[Vec<u8>], wants: Wants) -> Case {
    Case { section, name, steps: vec![Send([&[opened()], frames].concat().concat())], wants }
}

/// A case that goes on after its first stream is answered.
pub fn after_end(section: &'static str, name: &'static str, frames: &[Vec<u8>], wants: Wants) -> Case {
    let steps = vec![Send([opened(), get(1)].concat()), Ended(1), Send(frames.concat())];
    Case { section, name, steps, wants }
}
