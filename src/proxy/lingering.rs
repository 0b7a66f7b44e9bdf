//! What waits for a client's next request looks for it a moment longer before it sleeps, where it is the only one.
//!
//! A processor that sleeps takes some 50 µs to be awake again on a virtual machine, as long as all else of an exchange
//! takes there. A program that sends one request after the other has its next one ready before that.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// How long it is looked for. No more than that is lost to others with each answer.
const MOMENT: Duration = Duration::from_micros(50);

/// Tells whether a connection is the only one, where it may linger at all.
#[derive(Clone, Debug)]
pub struct Alone(Option<Arc<Semaphore>>);

impl Alone {
    /// Of a deck that has so many places, each taken by a connection. Where it has one thread, as on one processor, the time
    /// is better left to the client.
    pub fn of(places: &Arc<Semaphore>) -> Self {
        let several = Handle::current().metrics().num_workers() > 1;
        Self(several.then(|| Arc::clone(places)))
    }

    fn is_true(&self, most: usize) -> bool {
        self.0.as_ref().is_some_and(|places| places.available_permits() + 1 >= most)
    }
}

/// How one connection lingers.
#[derive(Debug)]
pub struct Linger {
    alone: Alone,
    /// How many places there are.
    most: usize,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// It waits as long as it takes.
    No,
    /// Something came.
    Asked,
    Answered,
    Until(Instant),
}

impl Linger {
    /// One that begins with the first answer; there are so many places for connections.
    pub fn new(alone: Alone, most: usize) -> Self {
        Self { alone, most, stage: Stage::No }
    }

    /// Notes that something was written. What nobody asked for, as in a tunnel, is no answer.
    pub fn wrote(&mut self) {
        if matches!(self.stage, Stage::Asked) {
            self.stage = Stage::Answered;
        }
    }

    /// What a read came to: where nothing is there yet, the task is asked again after all others had their turn.
    pub fn read<T>(&mut self, read: Poll<T>, cx: &mut Context<'_>) -> Poll<T> {
        if read.is_ready() {
            self.stage = Stage::Asked;
        } else if self.goes_on() {
            // It is only asked to wake the task.
            let _ = pin!(tokio::task::yield_now()).poll(cx);
        }
        read
    }

    fn goes_on(&mut self) -> bool {
        let until = match self.stage {
            Stage::No | Stage::Asked => return false,
            Stage::Answered if self.alone.is_true(self.most) => Instant::now() + MOMENT,
            Stage::Until(until) if Instant::now() < until => until,
            Stage::Answered | Stage::Until(_) => {
                self.stage = Stage::No;
                return false;
            }
        };
        self.stage = Stage::Until(until);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::{Wake, Waker};

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    /// How often a task is woken to read what does not come, and for how long.
    fn lingers(linger: &mut Linger) -> (usize, Duration) {
        let (woken, began) = (Arc::new(Woken::default()), Instant::now());
        let waker = Waker::from(Arc::clone(&woken));
        for asked in 1.. {
            let _ = linger.read(Poll::<()>::Pending, &mut Context::from_waker(&waker));
            if woken.0.load(Relaxed) < asked {
                return (asked - 1, began.elapsed());
            }
        }
        unreachable!("it ends")
    }

    #[test]
    fn the_only_connection_lingers_for_a_moment_after_an_answer() {
        let places = Arc::new(Semaphore::new(2));
        let _one = places.try_acquire().unwrap();
        let mut linger = Linger::new(Alone(Some(Arc::clone(&places))), 2);
        let answer = |linger: &mut Linger| {
            let _ = linger.read(Poll::Ready(()), &mut Context::from_waker(Waker::noop()));
            linger.wrote();
        };
        assert_eq!(lingers(&mut linger).0, 0, "nothing was answered");
        linger.wrote();
        assert_eq!(lingers(&mut linger).0, 0, "nothing was asked");
        answer(&mut linger);
        let (woken, long) = lingers(&mut linger);
        assert!(woken > 0 && long >= MOMENT, "{woken} in {long:?}");
        linger.wrote();
        assert_eq!(lingers(&mut linger).0, 0, "once");
        answer(&mut linger);
        let _ = linger.read(Poll::Ready(()), &mut Context::from_waker(Waker::noop()));
        assert_eq!(lingers(&mut linger).0, 0, "something came");
        let _other = places.try_acquire().unwrap();
        answer(&mut linger);
        assert_eq!(lingers(&mut linger).0, 0, "it is not the only one");
        let mut never = Linger::new(Alone(None), 2);
        answer(&mut never);
        assert_eq!(lingers(&mut never).0, 0);
    }
}
