//! A stream of HTTP/1 requests that are framed beyond doubt: hyper, which reads more kindly, never sees any other.

use crate::wire::framing::{Fault, Framing, HeadLimits, Step};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Stands in for a head that is refused, so that whoever answers requests gets to answer this one too, in its turn.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost: refused\r\nConnection: close\r\n\r\n";

/// The one request of a connection that is refused, if there is one: its number, from 1, and why.
#[derive(Clone, Debug, Default)]
pub struct Refused(Arc<OnceLock<(u64, Fault)>>);

impl Refused {
    /// Why the request of this number is refused.
    #[must_use]
    pub fn why(&self, number: u64) -> Option<&Fault> {
        self.0.get().filter(|(refused, _)| *refused == number).map(|(_, why)| why)
    }
}

/// A stream from which only sound requests can be read, and a stand-in for the first that is not.
#[derive(Debug)]
pub struct Framed<S> {
    stream: S,
    framing: Framing,
    limits: HeadLimits,
    refused: Refused,
    patience: Duration,
    /// What was read and not yet given on.
    held: Vec<u8>,
    /// How much of it may be given on.
    sound: usize,
    /// When a head that has begun must be whole.
    deadline: Option<Pin<Box<Sleep>>>,
    end: End,
}

/// How the stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// When its client ends it.
    Open,
    /// In the middle of a body, for its reader.
    Cut,
    /// Never: the answer to the stand-in closes the connection.
    Silent,
}

impl<S> Framed<S> {
    /// Reads sound requests from `stream`; a head that has begun must be whole within `patience`.
    pub fn new(stream: S, limits: HeadLimits, patience: Duration) -> Self {
        let framing = Framing::new(limits);
        let refused = Refused::default();
        Self { stream, framing, limits, refused, patience, held: Vec::new(), sound: 0, deadline: None, end: End::Open }
    }

    /// The stream, and what was read of it and not yet given on.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.held)
    }

    /// Where the refused request is told.
    pub fn refused(&self) -> Refused {
        self.refused.clone()
    }

    /// Follows bytes that were just read: how many of them can be given on at once.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        match self.framing.follow(bytes) {
            Step::Sound => bytes.len(),
            Step::Begun(at) => {
                self.held.extend_from_slice(&bytes[at..]);
                at
            }
            Step::Broken(at, fault) => {
                self.refuse(fault);
                at
            }
        }
    }

    /// Follows what is held, after more has come.
    fn follow_held(&mut self) {
        let held = std::mem::take(&mut self.held);
        let sound = self.follow(&held);
        let begun = std::mem::replace(&mut self.held, held);
        self.held.truncate(sound);
        self.held.extend_from_slice(&begun);
        self.sound = if begun.is_empty() || self.end == End::Silent { self.held.len() } else { sound };
    }

    fn refuse(&mut self, fault: Fault) {
        let whole = self.framing.heads();
        let in_body = self.framing.is_in_body();
        let _ = self.refused.0.set((if in_body { whole } else { whole + 1 }, fault));
        if in_body {
            self.end = End::Cut;
        } else {
            self.held.extend_from_slice(STAND_IN);
            self.end = End::Silent;
        }
    }
}

impl<S: AsyncRead + Unpin> Framed<S> {
    /// Gives on what is held and sound.
    fn give(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.sound.min(buffer.remaining());
        buffer.put_slice(&self.held[..count]);
        self.held.drain(..count);
        self.sound -= count;
    }

    /// Reads on in a head that has begun.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let patience = self.patience;
        // An empty line alone may be the end of a request before, as some clients send it.
        let begun = self.held != b"\r\n";
        let deadline = begun.then(|| self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience))));
        if deadline.is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready()) {
            self.held.clear();
            self.refuse(Fault::SlowHead(patience));
            self.sound = self.held.len();
            return Poll::Ready(Ok(()));
        }
        let mut bytes = [0; 4096];
        let mut read = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let read = read.filled();
        if read.is_empty() {
            // Half a head is nothing to be answered.
            self.end = End::Cut;
            self.held.clear();
            return Poll::Ready(Ok(()));
        }
        let may_end = memchr::memchr(b'\n', read).is_some();
        self.held.extend_from_slice(read);
        // A long head that comes in crumbs is not searched anew for each of them.
        if !may_end && self.held.len() <= self.limits.bytes {
            return Poll::Ready(Ok(()));
        }
        self.follow_held();
        if self.sound > 0 {
            self.deadline = None;
        }
        Poll::Ready(Ok(()))
    }

    /// Reads what still comes to its void, so that the client gets to read the refusal before the connection is reset.
    fn drain(&mut self, cx: &mut Context<'_>) {
        let mut bytes = [0; 4096];
        let mut read = ReadBuf::new(&mut bytes);
        while let Poll::Ready(Ok(())) = Pin::new(&mut self.stream).poll_read(cx, &mut read) {
            if read.filled().is_empty() {
                return;
            }
            read.clear();
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Framed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.sound > 0 {
                self.give(buffer);
                return Poll::Ready(Ok(()));
            }
            match self.end {
                End::Open => {}
                End::Cut => return Poll::Ready(Ok(())),
                End::Silent => {
                    self.drain(cx);
                    return Poll::Pending;
                }
            }
            if !self.held.is_empty() {
                ready!(self.poll_head(cx))?;
                continue;
            }
            let before = buffer.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
            if buffer.filled().len() == before {
                return Poll::Ready(Ok(()));
            }
            let sound = self.follow(&buffer.filled()[before..]);
            buffer.set_filled(before + sound);
            if self.end == End::Silent {
                self.sound = self.held.len();
            }
            if sound > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Framed<S> {
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
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
