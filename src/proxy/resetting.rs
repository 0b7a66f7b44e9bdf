//! A socket that can be reset: what is dropped then ends without a goodbye, as when a connection breaks.

use super::lingering::Linger;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Parts of no more bytes together are written as one, for which the system takes less time.
const SMALL: usize = 2048;

/// Asks for the reset of a socket when it is dropped.
#[derive(Clone, Debug, Default)]
pub struct Reset(Arc<AtomicBool>);

impl Reset {
    /// Asks for it.
    pub fn ask(&self) {
        self.0.store(true, Relaxed);
    }
}

/// The socket of a client.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    reset: Reset,
    linger: Linger,
}

impl Socket {
    /// A socket that is reset where that was asked for.
    pub fn new(stream: TcpStream, reset: Reset, linger: Linger) -> Self {
        Self { stream, reset, linger }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.reset.0.load(Relaxed) {
            // A system that refuses closes it as any other.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.linger.read(read, cx)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.linger.wrote();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.linger.wrote();
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if length > SMALL {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        }
        let (mut whole, mut at) = ([0; SMALL], 0);
        for part in parts {
            whole[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }
        Pin::new(&mut self.stream).poll_write(cx, &whole[..length])
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
