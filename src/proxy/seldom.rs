//! A future that is asked only when it has something to say, and not whenever what is awaited beside it has.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

/// A future that is polled when it was woken: the end of a connection need not be looked for with each of its requests.
#[derive(Debug)]
pub struct Seldom<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
    /// The task that was noted last: it is nearly always the same, and no lock is taken then.
    noted: Option<Waker>,
}

#[derive(Debug)]
struct Woken {
    is_it: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl<F: Future> Seldom<F> {
    /// The same future, polled seldom.
    pub fn new(future: F) -> Self {
        let woken = Woken { is_it: AtomicBool::new(true), task: Mutex::default() };
        Self { future: Box::pin(future), woken: Arc::new(woken), noted: None }
    }
}

impl<F: Future> Future for Seldom<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        // The task is noted first: whoever wakes it from now on is either seen below or wakes it.
        if !self.noted.as_ref().is_some_and(|noted| noted.will_wake(cx.waker())) {
            self.noted = Some(cx.waker().clone());
            *self.woken.task() = self.noted.clone();
        }
        if !self.woken.is_it.load(SeqCst) || !self.woken.is_it.swap(false, SeqCst) {
            return Poll::Pending;
        }
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }
}

impl Woken {
    fn task(&self) -> MutexGuard<'_, Option<Waker>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_it.store(true, SeqCst);
        let task = self.task().clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::Notify;

    #[tokio::test]
    async fn it_is_polled_when_it_was_woken() {
        let (polls, notify) = (AtomicUsize::new(0), Notify::new());
        let mut inner = Box::pin(notify.notified());
        let mut seldom = Seldom::new(std::future::poll_fn(|cx| {
            polls.fetch_add(1, SeqCst);
            inner.as_mut().poll(cx)
        }));
        for _ in 0..3 {
            let polled = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut seldom).poll(cx))).await;
            assert!(polled.is_pending());
        }
        assert_eq!(polls.load(SeqCst), 1);
        notify.notify_one();
        seldom.await;
        assert_eq!(polls.load(SeqCst), 2);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn its_task_is_woken() {
        let (tell, told) = tokio::sync::oneshot::channel();
        let waiting = tokio::spawn(Seldom::new(told));
        tokio::spawn(async move { tell.send(7) });
        assert_eq!(waiting.await.unwrap(), Ok(7));
    }
}
