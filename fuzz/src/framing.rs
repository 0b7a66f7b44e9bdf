//! HTTP/1 framing: what is found sound is read by a careless reader in the same way, however its bytes are cut.

use graphdeck::wire::framing::{Framing, HeadLimits, Step};

const LIMITS: HeadLimits = HeadLimits { bytes: 1000, headers: 20 };

/// Follows the requests of one connection.
pub fn follow(bytes: &[u8]) {
    let whole = in_pieces(bytes, bytes.len().max(1));
    for size in [1, 2, 7] {
        assert_eq!(in_pieces(bytes, size), whole, "in pieces of {size}");
    }
    if let Ok(heads) = whole {
        assert_eq!(careless(bytes), heads, "another reader counts other requests");
    }
}

/// How many heads are whole; a fault's words otherwise.
fn in_pieces(bytes: &[u8], size: usize) -> Result<u64, String> {
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
    Ok(framing.heads())
}

/// The number of heads that a reader finds who checks nothing: what he makes of sound bytes, every reader does.
fn careless(mut bytes: &[u8]) -> u64 {
    let mut heads = 0;
    loop {
        bytes = bytes.strip_prefix(b"\r\n").unwrap_or(bytes);
        let Some(end) = find(bytes, b"\r\n\r\n") else { return heads };
        let (head, rest) = bytes.split_at(end + 4);
        let head = String::from_utf8_lossy(head).to_ascii_lowercase();
        heads += 1;
        if bytes.starts_with(b"CONNECT ") {
            return heads;
        }
        let field =
            |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
        let body = match (field("transfer-encoding"), field("content-length")) {
            (Some(_), _) => chunks(rest),
            (None, length) => {
                length.map_or(Some(0), |length| length.parse().ok()).filter(|length| *length <= rest.len())
            }
        };
        let Some(body) = body else { return heads };
        bytes = &rest[body..];
    }
}

/// The length of a chunked body that is whole.
fn chunks(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        let size = String::from_utf8_lossy(&bytes[at..at + line]);
        let size = usize::from_str_radix(size.split(';').next()?, 16).ok()?;
        at += line + 2;
        if size == 0 {
            break;
        }
        at = at.checked_add(size)?.checked_add(2).filter(|at| *at <= bytes.len())?;
    }
    loop {
        let line = find(&bytes[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
