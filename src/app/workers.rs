//! Work on one thing after another by as many threads as there are cores.

use std::num::NonZero;
use std::panic;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope, ScopedJoinHandle};

/// How many things are under way for each core: while the first of all is waited for, the others are worked on.
const AHEAD: usize = 2;

/// A thread that works, for the one that gives it things in turn with others.
struct Worker<'scope, T, R> {
    things: Sender<T>,
    done: Receiver<R>,
    thread: ScopedJoinHandle<'scope, ()>,
}

impl<'scope, T: Send + 'scope, R: Send + 'scope> Worker<'scope, T, R> {
    fn start(scope: &'scope Scope<'scope, '_>, work: impl FnMut(T) -> R + Send + 'scope) -> Self {
        let ((things, given), (outcome, done)) = (channel::<T>(), channel());
        let thread = scope.spawn(move || {
            // Whoever gives takes, unless there was a fault.
            given.into_iter().map(work).try_for_each(|done| outcome.send(done)).unwrap_or_default();
        });
        Self { things, done, thread }
    }
}

/// Works on what `next` gives, in a thread for each core, and takes what comes of it in the order in which it was given.
/// `worker` begins a way to work, which does one thing after another. After a fault all that came before it is taken still.
///
/// The threads are the same from the begin to the end: each has memory of its own, which goes from one thing to the next.
///
/// # Errors
/// The first fault, by that order.
pub(super) fn in_order<T: Send, R: Send, E, F: FnMut(T) -> R + Send>(
    mut next: impl FnMut() -> Result<Option<T>, E>,
    worker: impl Fn() -> F,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let mut workers: Vec<_> = (0..cores).map(|_| Worker::start(scope, worker())).collect();
        let (mut given, mut taken, mut end) = (0, 0, None);
        loop {
            while end.is_none() && given - taken < cores * AHEAD {
                match next().transpose() {
                    Some(Ok(thing)) => {
                        // Where the thread has gone, what it has done says so.
                        let _ = workers[given % cores].things.send(thing);
                        given += 1;
                    }
                    Some(Err(fault)) => end = Some(Err(fault)),
                    None => end = Some(Ok(())),
                }
            }
            if taken == given {
                return end.unwrap_or(Ok(()));
            }
            let Ok(done) = workers[taken % cores].done.recv() else {
                let cause = workers.swap_remove(taken % cores).thread.join();
                panic::resume_unwind(cause.expect_err("it ends before its time by a panic only"));
            };
            taken += 1;
            take(done)?;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_a_thread_is_one_of_whoever_asked() {
        let mut things = 0..9;
        let work = || |thing: u32| assert!(thing != 5, "not five");
        let run = || in_order::<_, _, (), _>(|| Ok(things.next()), work, |()| Ok(()));
        let cause = panic::catch_unwind(panic::AssertUnwindSafe(run)).unwrap_err();
        assert_eq!(cause.downcast_ref::<&str>(), Some(&"not five"));
    }

    #[test]
    fn what_comes_of_things_is_taken_in_their_order_up_to_the_first_fault() {
        for (end, fault) in [(1000, None), (1000, Some(7)), (0, None), (3, Some(400))] {
            let (mut things, mut taken) = (0..end, Vec::new());
            let next = || match things.next() {
                Some(thing) => Ok(Some(thing)),
                None if end == 3 => Err("given"),
                None => Ok(None),
            };
            let worker = || |thing: u32| if Some(thing) == fault { Err("worked on") } else { Ok(thing * 2) };
            let outcome = in_order(next, worker, |done: Result<u32, _>| done.map(|done| taken.push(done)));
            let (expected, told) = match (end, fault) {
                (3, _) => (3, Err("given")),
                (_, Some(fault)) => (fault, Err("worked on")),
                (end, None) => (end, Ok(())),
            };
            assert_eq!(outcome, told);
            assert!(taken.iter().copied().eq((0..expected).map(|thing| thing * 2)));
        }
    }
}
