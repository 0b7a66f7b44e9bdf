//! Work on one thing after another by as many threads as there are cores.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic;
use std::thread;

/// How many things are under way for each core: while the first of all is waited for, the others are worked on.
const AHEAD: usize = 2;

/// Works on what `next` gives, each thing in a thread, and takes what comes of it in the order in which it was given.
/// `worker` begins a way to work, which does one thing after another. After a fault all that came before it is taken still.
///
/// # Errors
/// The first fault, by that order.
pub(super) fn in_order<T: Send, R: Send, E, F: FnMut(T) -> R + Send>(
    mut next: impl FnMut() -> Result<Option<T>, E>,
    worker: impl Fn() -> F,
    mut take: impl FnMut(R) -> Result<(), E>,
) -> Result<(), E> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut idle: Vec<F> = (0..cores * AHEAD).map(|_| worker()).collect();
    thread::scope(|scope| {
        let (mut busy, mut end) = (VecDeque::new(), None);
        loop {
            while end.is_none()
                && let Some(mut work) = idle.pop()
            {
                match next().transpose() {
                    Some(Ok(thing)) => busy.push_back(scope.spawn(move || {
                        let done = work(thing);
                        (work, done)
                    })),
                    Some(Err(fault)) => end = Some(Err(fault)),
                    None => end = Some(Ok(())),
                }
            }
            let Some(first) = busy.pop_front() else { return end.unwrap_or(Ok(())) };
            let (work, done) = first.join().unwrap_or_else(|cause| panic::resume_unwind(cause));
            idle.push(work);
            take(done)?;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
