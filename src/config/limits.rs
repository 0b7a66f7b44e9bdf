//! The section [limits]: how much one client may take.

use super::had;
use super::written::At;

/// How much one client may ask for, and how long it may take: bytes, counts and seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The head of a request, in bytes.
    pub header_bytes: u64,
    /// The headers of a request.
    pub headers: u64,
    /// The connections at once.
    pub connections: u64,
    /// The requests of one connection.
    pub requests_per_connection: u64,
    /// The first bytes of a connection, and the handshake of TLS, in seconds.
    pub handshake_timeout: u64,
    /// The head of a request, in seconds.
    pub header_timeout: u64,
    /// A connection on which nothing happens, in seconds.
    pub idle_timeout: u64,
    /// How many times its size on the wire a request's body may have once it is decoded.
    pub expansion: u64,
}

impl Limits {
    /// What is written, the shipped settings below it.
    pub(super) fn check(written: [Option<At<u64>>; 8]) -> Self {
        let [
            header_bytes,
            headers,
            connections,
            requests_per_connection,
            handshake_timeout,
            header_timeout,
            idle_timeout,
            expansion,
        ] = written.map(|limit| had(limit).value);
        Self {
            header_bytes,
            headers,
            connections,
            requests_per_connection,
            handshake_timeout,
            header_timeout,
            idle_timeout,
            expansion,
        }
    }
}
