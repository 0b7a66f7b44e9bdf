//! The first bytes of a connection, which tell TLS, HTTP/2 and HTTP/1 apart; they are read once and given back.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// What a client begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// A TLS ClientHello (RFC 8446 section 5.1: content type 22).
    Tls,
    /// The HTTP/2 connection preface (RFC 9113 section 3.4), without TLS.
    Http2,
    /// Anything else: HTTP/1, whose parser will tell if it is not.
    Http1,
}

const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads as many bytes as it takes to tell; `None` when the client leaves without a word.
///
/// # Errors
/// When the connection fails.
pub async fn read<S: AsyncRead + Unpin>(mut stream: S) -> io::Result<Option<(Opening, Prefixed<S>)>> {
    let mut seen = Vec::with_capacity(HTTP2.len());
    loop {
        let mut byte = [0; HTTP2.len()];
        let wanted = HTTP2.len() - seen.len();
        let count = stream.read(&mut byte[..wanted]).await?;
        if count == 0 && seen.is_empty() {
            return Ok(None);
        }
        seen.extend_from_slice(&byte[..count]);
        let opening = if seen[0] == 0x16 {
            Opening::Tls
        } else if seen == HTTP2 {
            Opening::Http2
        } else if count > 0 && HTTP2.starts_with(&seen) {
            continue;
        } else {
            Opening::Http1
        };
        return Ok(Some((opening, Prefixed::new(seen, stream))));
    }
}

/// A stream that gives back the bytes that were read from it before.
#[derive(Debug)]
pub struct Prefixed<S> {
    seen: Vec<u8>,
    given: usize,
    stream: S,
}

impl<S> Prefixed<S> {
    /// Gives `seen` back before what else comes on `stream`.
    pub fn new(seen: Vec<u8>, stream: S) -> Self {
        Self { seen, given: 0, stream }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Prefixed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let left = &self.seen[self.given..];
        if left.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buffer);
        }
        let count = left.len().min(buffer.remaining());
        buffer.put_slice(&left[..count]);
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Prefixed<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn openings_are_told_apart_however_they_are_cut_and_no_byte_is_lost() {
        for (bytes, expected) in [
            (&b"\x16\x03\x01rest"[..], Opening::Tls),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrest", Opening::Http2),
            (b"POST / HTTP/1.1\r\n", Opening::Http1),
            (b"PRI", Opening::Http1),
        ] {
            let (mut client, server) = tokio::io::duplex(1);
            let sending = async {
                client.write_all(bytes).await.unwrap();
                client.shutdown().await.unwrap();
            };
            let reading = async {
                let (opening, mut stream) = read(server).await.unwrap().unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.unwrap();
                (opening, all)
            };
            let ((), (opening, all)) = tokio::join!(sending, reading);
            assert_eq!((opening, &all[..]), (expected, bytes));
        }
    }

    #[tokio::test]
    async fn a_client_that_says_nothing_is_let_go() {
        assert!(read(&b""[..]).await.unwrap().is_none());
    }
}
