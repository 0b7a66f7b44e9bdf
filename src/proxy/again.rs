//! A future that is asked again at once where it was woken while it was asked.
//!
//! Hyper wakes a connection whose request's body was taken within the connection's own task. By way of the runtime that
//! would wake another thread, which takes longer than the question, and often the task too.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// What asks a future, and once more where it was woken meanwhile; after that it is the runtime's turn.
#[derive(Debug)]
pub struct Again {
    woken: Arc<Woken>,
    waker: Waker,
}

#[derive(Debug, Default)]
struct Woken {
    state: AtomicU8,
    task: Mutex<Option<Waker>>,
}

/// It is not being asked: who wakes it wakes its task.
const AWAY: u8 = 0;
/// It is being asked.
const ASKED: u8 = 1;
/// It was woken while it was asked.
const WOKEN: u8 = 2;

impl Default for Again {
    fn default() -> Self {
        let woken = Arc::new(Woken::default());
        Self { waker: Waker::from(Arc::clone(&woken)), woken }
    }
}

impl Again {
    /// Asks a future, always the same one.
    pub fn ask<F: Future>(&self, mut future: Pin<&mut F>, cx: &Context<'_>) -> Poll<F::Output> {
        self.woken.note(cx.waker());
        let own = &mut Context::from_waker(&self.waker);
        for _ in 0..2 {
            self.woken.state.store(ASKED, SeqCst);
            let polled = future.as_mut().poll(own);
            if polled.is_ready() || self.woken.state.swap(AWAY, SeqCst) == ASKED {
                return polled;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Woken {
    fn note(&self, waker: &Waker) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if !task.as_ref().is_some_and(|task| task.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Whoever asks it looks at this afterwards.
        let noted = self.state.compare_exchange(ASKED, WOKEN, SeqCst, SeqCst);
        if noted == Err(AWAY) {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(task) = task {
                task.wake();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    /// How often a future is asked that wakes itself so often, and its task woken.
    fn asked(wakes: usize) -> (usize, usize) {
        let (count, again, mut asked) = (Arc::new(Count::default()), Again::default(), 0);
        let mut future = std::pin::pin!(std::future::poll_fn(|cx| {
            asked += 1;
            if asked <= wakes {
                cx.waker().wake_by_ref();
            }
            Poll::<()>::Pending
        }));
        assert!(again.ask(future.as_mut(), &Context::from_waker(&Waker::from(Arc::clone(&count)))).is_pending());
        (asked, count.0.load(SeqCst))
    }

    #[test]
    fn it_is_asked_once_more_where_it_woke_itself_and_then_by_its_task() {
        assert_eq!([asked(0), asked(1), asked(2)], [(1, 0), (2, 0), (2, 1)]);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn its_task_is_woken_from_elsewhere() {
        for _ in 0..1000 {
            let (tell, mut told) = oneshot::channel();
            let again = Again::default();
            let waiting = tokio::spawn(std::future::poll_fn(move |cx| again.ask(Pin::new(&mut told), cx)));
            tokio::spawn(async move { tell.send(7) });
            assert_eq!(waiting.await.unwrap(), Ok(7));
        }
    }
}
