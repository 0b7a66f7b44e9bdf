//! What is to be written to a client: a head with a small body, or with a large one behind it that is not copied.

use bytes::{Buf as _, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::AsyncWrite;

/// A body of at most so many bytes is written in one piece with its head.
const SMALL: usize = 4096;
/// Memory for heads of more bytes is not kept for what comes next.
const LARGE: usize = 2 * SMALL;

/// Bytes on their way to a client.
#[derive(Debug, Default)]
pub struct Outgoing {
    head: Vec<u8>,
    /// How much of the head is written.
    written: usize,
    body: Bytes,
}

impl Outgoing {
    /// Whether nothing is left to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.body.is_empty()
    }

    /// Makes room for so many bytes of a head.
    pub fn reserve(&mut self, bytes: usize) {
        self.head.reserve(bytes);
    }

    /// Adds to a head.
    pub fn add(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(bytes);
    }

    /// Ends a message with its body.
    pub fn end(&mut self, body: impl Into<Bytes> + AsRef<[u8]>) {
        if body.as_ref().len() <= SMALL {
            self.add(body.as_ref());
        } else {
            self.body = body.into();
        }
    }

    /// Forgets what was begun, of which nothing is written.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Writes all of it.
    pub fn poll_write(&mut self, mut stream: Pin<&mut impl AsyncWrite>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.head.len() {
            self.written += some(ready!(stream.as_mut().poll_write(cx, &self.head[self.written..]))?)?;
        }
        while !self.body.is_empty() {
            let written = some(ready!(stream.as_mut().poll_write(cx, &self.body))?)?;
            self.body.advance(written);
        }
        self.head.clear();
        self.written = 0;
        if self.head.capacity() > LARGE {
            self.head = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

/// A count of bytes that is not 0: else nothing more would ever be written.
fn some(written: usize) -> io::Result<usize> {
    if written == 0 { Err(io::ErrorKind::WriteZero.into()) } else { Ok(written) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::io::AsyncReadExt;

    #[tokio::test]
    async fn all_is_written_in_order_and_a_large_body_is_not_copied() {
        let large = Bytes::from(vec![7; 100_000]);
        for body in [Bytes::new(), Bytes::from_static(b"small"), large.clone()] {
            let mut outgoing = Outgoing::default();
            outgoing.add(b"he");
            outgoing.add(b"ad");
            outgoing.end(body.clone());
            assert_eq!(outgoing.body.is_empty(), body.len() <= SMALL);
            assert!(outgoing.head.capacity() < LARGE);
            // A narrow stream, so that it takes many steps.
            let (mut stream, mut client) = tokio::io::duplex(1000);
            let write = async {
                poll_fn(|cx| outgoing.poll_write(Pin::new(&mut stream), cx)).await.unwrap();
                drop(stream);
            };
            let mut read = Vec::new();
            let (_, outcome) = tokio::join!(write, client.read_to_end(&mut read));
            outcome.unwrap();
            assert_eq!(read, [&b"head"[..], &body].concat());
            assert!(outgoing.is_empty());
        }
    }
}
