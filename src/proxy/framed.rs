//! A stream of HTTP/1 requests that are framed beyond doubt: hyper, which reads more kindly, never sees any other, nor
//! those that came before and are answered at once.

use super::outgoing::Outgoing;
use crate::wire::framing::{Again, Fault, Framing, HeadLimits, Step};
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

/// Answers requests that came before, so that nobody need read them anew.
pub trait Shortcut: Send {
    /// How many answers of the connection were taken to be written.
    fn taken(&self) -> u64;

    /// Whether there is any that can be answered at once.
    fn may_answer(&self) -> bool;

    /// Appends the answer to a request, if it can be answered at once. None is under way then.
    fn answer(&self, request: &Again<'_>, answer: &mut Outgoing) -> bool;
}

/// A stream from which only sound requests can be read, and a stand-in for the first that is not.
pub struct Framed<S> {
    stream: S,
    framing: Framing,
    shortcut: Box<dyn Shortcut>,
    /// What was answered at once and is not yet written.
    outgoing: Outgoing,
    /// How many answers were on their way when all was written.
    settled: u64,
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
    pub fn new(stream: S, limits: HeadLimits, patience: Duration, shortcut: Box<dyn Shortcut>) -> Self {
        Self {
            stream,
            framing: Framing::new(limits),
            shortcut,
            outgoing: Outgoing::default(),
            settled: 0,
            limits,
            refused: Refused::default(),
            patience,
            held: Vec::new(),
            sound: 0,
            deadline: None,
            end: End::Open,
        }
    }

    /// The stream, and what was read of it and not yet given on.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        (self.stream, self.held)
    }

    /// Where the refused request is told.
    pub fn refused(&self) -> Refused {
        self.refused.clone()
    }

    /// Answers a request at once, if these bytes are all of one that can be, and everything before is answered.
    fn answer(&mut self, bytes: &[u8]) -> bool {
        if self.settled != self.framing.heads() || !self.shortcut.may_answer() {
            return false;
        }
        let Some(again) = self.framing.again(bytes) else { return false };
        let answered = self.shortcut.answer(&again, &mut self.outgoing);
        if answered {
            self.framing.pass();
            self.settled += 1;
        }
        answered
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

impl<S: AsyncWrite + Unpin> Framed<S> {
    /// Writes what was answered at once.
    fn poll_answer(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.outgoing.is_empty() {
            return Poll::Ready(Ok(()));
        }
        ready!(self.outgoing.poll_write(Pin::new(&mut self.stream), cx))?;
        // Where it is not flushed at once, whoever reads asks for it again.
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Framed<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_answer(cx))?;
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
            if self.answer(&buffer.filled()[before..]) {
                buffer.set_filled(before);
                continue;
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
        debug_assert!(self.outgoing.is_empty(), "nothing was given on before it was written");
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        debug_assert!(self.outgoing.is_empty(), "nothing was given on before it was written");
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Whoever writes asks for this when nothing of what was taken is left.
        let taken = self.shortcut.taken();
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        self.settled = taken;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_answer(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

    const LIMITS: HeadLimits = HeadLimits { bytes: 1000, headers: 5 };
    const HEAD: &str = "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n";

    /// Answers each request with its body, and knows how many answers of others were taken.
    #[derive(Clone, Default)]
    struct Echo(Arc<AtomicU64>);

    impl Shortcut for Echo {
        fn may_answer(&self) -> bool {
            true
        }

        fn taken(&self) -> u64 {
            self.0.load(Relaxed)
        }

        fn answer(&self, request: &Again<'_>, answer: &mut Outgoing) -> bool {
            self.0.fetch_add(1, Relaxed);
            answer.add(request.body);
            true
        }
    }

    /// A stream, its client and its shortcut, when one request was read, and answered if it was.
    async fn begun(is_answered: bool) -> (Framed<DuplexStream>, DuplexStream, Echo) {
        let (stream, mut client) = tokio::io::duplex(1000);
        let echo = Echo::default();
        let mut framed = Framed::new(stream, LIMITS, Duration::from_secs(9), Box::new(echo.clone()));
        client.write_all(format!("{HEAD}one").as_bytes()).await.unwrap();
        assert_eq!(read(&mut framed).await, format!("{HEAD}one"), "its fields are new");
        if is_answered {
            echo.0.fetch_add(1, Relaxed);
            framed.flush().await.unwrap();
        }
        (framed, client, echo)
    }

    async fn read(framed: &mut Framed<DuplexStream>) -> String {
        let mut bytes = [0; 1000];
        let count = framed.read(&mut bytes).await.unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[tokio::test]
    async fn what_comes_again_is_answered_and_never_read() {
        let (mut framed, mut client, echo) = begun(true).await;
        for said in ["two", "three"] {
            let head = HEAD.replace('3', &said.len().to_string());
            client.write_all(format!("{head}{said}").as_bytes()).await.unwrap();
            let mut heard = vec![0; said.len()];
            tokio::select! {
                biased;
                read = read(&mut framed) => panic!("{read}"),
                outcome = client.read_exact(&mut heard) => drop(outcome.unwrap()),
            }
            assert_eq!(heard, said.as_bytes());
        }
        assert_eq!(echo.taken(), 3);
        // What has other fields is read, and counted with the others.
        client.write_all(b"GET /\x01 HTTP/1.1\r\nHost: b\r\n\r\n").await.unwrap();
        assert!(read(&mut framed).await.contains("refused"));
        assert!(framed.refused().why(4).is_some());
    }

    #[tokio::test]
    async fn nothing_overtakes_what_is_under_way() {
        let (mut framed, mut client, echo) = begun(false).await;
        let again = format!("{HEAD}two");
        client.write_all(again.as_bytes()).await.unwrap();
        assert_eq!(read(&mut framed).await, again, "the first is not answered");
        echo.0.fetch_add(1, Relaxed);
        framed.flush().await.unwrap();
        client.write_all(again.as_bytes()).await.unwrap();
        assert_eq!(read(&mut framed).await, again, "the second is not");
        echo.0.fetch_add(2, Relaxed);
        client.write_all(again.as_bytes()).await.unwrap();
        assert_eq!(read(&mut framed).await, again, "not all of it is written");
    }

    #[tokio::test]
    async fn what_is_more_or_less_than_one_request_is_read() {
        for (at_once, rest) in [(format!("{HEAD}tw"), "o"), (format!("{HEAD}two{HEAD}"), "abc")] {
            let (mut framed, mut client, _) = begun(true).await;
            client.write_all(at_once.as_bytes()).await.unwrap();
            assert_eq!(read(&mut framed).await, at_once);
            client.write_all(rest.as_bytes()).await.unwrap();
            assert_eq!(read(&mut framed).await, rest);
        }
    }
}
