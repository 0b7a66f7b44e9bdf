//! Whether anything happens on a connection: how many requests it brought, which are being answered, whether bytes move.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

/// How often in its time of silence a connection is looked at; no request has to read a clock for it.
const LOOKS: u32 = 4;

/// What happens on one connection.
#[derive(Debug, Default)]
pub struct Activity {
    reads_and_writes: AtomicU64,
    asked: AtomicU64,
    being_answered: AtomicU64,
    taken: AtomicU64,
    spent: Notify,
}

impl Activity {
    /// Counts a request. It is being answered until what is returned is dropped.
    pub fn ask(self: &Arc<Self>) -> Asked {
        self.being_answered.fetch_add(1, Relaxed);
        Asked { number: self.asked.fetch_add(1, Relaxed) + 1, activity: Arc::clone(self) }
    }

    /// How many requests it has brought.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.asked.load(Relaxed)
    }

    /// How many answers were taken by whoever writes them.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Relaxed)
    }

    /// Counts a request that was answered at once.
    pub fn pass(&self) {
        self.asked.fetch_add(1, Relaxed);
        self.taken.fetch_add(1, Relaxed);
    }

    /// Waits until the connection has brought as many requests as it may.
    pub async fn spent(&self) {
        self.spent.notified().await;
    }

    /// Waits until no byte has moved for `patience`, or up to a quarter longer, and no request is being answered.
    pub async fn quiet(&self, patience: Duration) {
        let mut seen = self.reads_and_writes.load(Relaxed);
        let mut still = 0;
        while still < LOOKS {
            tokio::time::sleep(patience / LOOKS).await;
            let now = self.reads_and_writes.load(Relaxed);
            let moves = now != seen || self.being_answered.load(Relaxed) > 0;
            still = if moves { 0 } else { still + 1 };
            seen = now;
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub struct Asked {
    number: u64,
    activity: Arc<Activity>,
}

impl Asked {
    /// Its number on its connection, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Ends the connection after this request, and those that are being answered, if it is the last of `most`.
    pub fn spend(&self, most: u64) {
        if self.number >= most {
            self.activity.spent.notify_one();
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.activity.being_answered.fetch_sub(1, Relaxed);
    }
}

/// The body of an answer: when it is dropped, the answer was taken. So it is for bodies without trailers, as all are that
/// the deck speaks itself.
#[derive(Debug)]
pub struct Taken<B> {
    body: B,
    activity: Arc<Activity>,
}

impl<B> Taken<B> {
    /// The body of an answer to a request of this connection.
    pub fn new(body: B, activity: Arc<Activity>) -> Self {
        Self { body, activity }
    }
}

impl<B> Drop for Taken<B> {
    fn drop(&mut self) {
        self.activity.taken.fetch_add(1, Relaxed);
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Taken<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream on which reads and writes are counted.
#[derive(Debug)]
pub struct Counted<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Counted<S> {
    /// Counts what happens on `stream`.
    pub fn new(stream: S, activity: Arc<Activity>) -> Self {
        Self { stream, activity }
    }

    /// The stream, which is counted no more.
    pub fn into_inner(self) -> S {
        self.stream
    }

    fn count<T>(&self, outcome: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.activity.reads_and_writes.fetch_add(1, Relaxed);
        }
        outcome
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.count(outcome)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.count(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.count(outcome)
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_quiet_when_nothing_moves_and_nothing_is_answered() {
        let activity = Arc::new(Activity::default());
        let patience = Duration::from_secs(8);
        let quiet = async || tokio::time::timeout(Duration::from_secs(9), activity.quiet(patience)).await.is_ok();
        assert!(quiet().await);
        let asked = activity.ask();
        assert!(!quiet().await);
        drop(asked);
        let moving = async {
            let mut stream = Counted::new(&b"abc"[..], Arc::clone(&activity));
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_secs(3)).await;
                stream.read_u8().await.unwrap();
            }
        };
        tokio::select! {
            () = activity.quiet(patience) => panic!("it moved every three seconds"),
            () = moving => {}
        }
    }

    #[tokio::test]
    async fn the_last_request_is_told() {
        let activity = Arc::new(Activity::default());
        for (number, last) in [(1, false), (2, true)] {
            let asked = activity.ask();
            assert_eq!(asked.number(), number);
            asked.spend(2);
            let told = tokio::time::timeout(Duration::ZERO, activity.spent()).await.is_ok();
            assert_eq!(told, last);
        }
    }
}
