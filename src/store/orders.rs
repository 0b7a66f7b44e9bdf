//! Who commits: the one thread that does it for all who wait, or whoever finds nobody else at it.
//!
//! One at a time, because sled 0.34 deadlocks when many tasks flush for themselves (spacejam/sled#1308).

use super::committer::{Append, Committer};
use super::takes::Fault;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;

/// The most that is taken up at once.
const BATCH: usize = 1024;
/// A commit costs the processor nearly as much for one as for many: where so many exchanges are under way, it waits until a
/// quarter of them have come, for a few moments at most.
const CROWD: usize = 16;
const MOMENT: Duration = Duration::from_micros(500);
const MOMENTS: usize = 3;

/// Where no more exchanges than this are under way, one may well come alone.
const FEW: usize = 2;

/// What is larger takes long to be written, and the way to the thread is nothing beside that.
const SMALL: usize = 64 * 1024;

impl Append {
    /// Whether it may be as well to write it by itself.
    fn comes_alone(&self) -> bool {
        self.under_way <= FEW && self.row.len() <= SMALL
    }
}

/// What the thread is told, in order.
enum Order {
    Append(Append),
    /// All that came before is settled when this is answered.
    Settle(Sender<()>),
    /// To be done between two commits, when all that came before is in the engine: nothing else writes to it then. It is
    /// told where that failed.
    Work(Work),
}

type Work = Box<dyn FnOnce(Result<&mut Committer, Fault>) + Send>;

/// What is done together.
#[derive(Default)]
struct Round {
    appends: Vec<Append>,
    waiting: Vec<Sender<()>>,
    work: Option<Work>,
}

impl Round {
    /// Takes orders up, to the first that is to be done between two commits.
    fn gather(&mut self, orders: impl Iterator<Item = Order>) {
        for order in orders {
            match order {
                Order::Append(append) => self.appends.push(append),
                Order::Settle(settled) => self.waiting.push(settled),
                Order::Work(work) => {
                    self.work = Some(work);
                    return;
                }
            }
        }
    }

    /// Whether it is worth while to wait for more to be done with it.
    fn expects_more(&self) -> bool {
        let crowd = self.appends.iter().map(|append| append.under_way).max().filter(|crowd| *crowd >= CROWD);
        let is_free = self.waiting.is_empty() && self.work.is_none();
        crowd.is_some_and(|crowd| is_free && self.appends.len() < crowd / 4)
    }

    /// Does it.
    fn carry_out(self, committer: &mut Committer) {
        committer.settle(self.appends);
        for settled in self.waiting {
            // Who has gone needs no answer.
            let _ = settled.send(());
        }
        if let Some(work) = self.work {
            match committer.drain() {
                Ok(()) => work(Ok(committer)),
                Err(fault) => work(Err(fault)),
            }
        }
    }
}

/// The way to the committer of a store.
#[derive(Debug)]
pub(super) struct Orders {
    /// Poisoned where it panicked: nobody knows then what the disk has, and nothing is written any more.
    committer: Arc<Mutex<Committer>>,
    /// None only while it is dropped.
    sender: Option<Sender<Order>>,
    thread: Option<JoinHandle<()>>,
}

impl Orders {
    pub(super) fn start(committer: Committer) -> io::Result<Self> {
        let (sender, orders) = channel();
        let committer = Arc::new(Mutex::new(committer));
        let own = committer.clone();
        let thread = std::thread::Builder::new().name("journal".to_owned()).spawn(move || run(&own, &orders))?;
        Ok(Self { committer, sender: Some(sender), thread: Some(thread) })
    }

    /// Has something written, with what others have written at this time.
    pub(super) fn append(&self, append: Append) {
        // A committer that has gone drops the receipt's sender, which tells so.
        let _ = self.order(Order::Append(append));
    }

    /// Has something written, and does it at once where nobody else is at it: the way to the thread and back may take as
    /// long as a disk does.
    pub(super) fn append_among(&self, append: Append) {
        if !append.comes_alone() {
            return self.append(append);
        }
        let free = self.committer.try_lock().ok().filter(|committer| committer.is_at_ease());
        match free.filter(|_| may_wait()) {
            Some(committer) => caught(committer, |committer| committer.settle(vec![append])),
            None => self.append(append),
        }
    }

    /// Returns when all that was to be written is settled.
    pub(super) fn settle(&self) -> Result<(), Fault> {
        let (sender, settled) = channel();
        self.order(Order::Settle(sender))?;
        settled.recv().map_err(|_| Fault::Closed)
    }

    /// Has the committer do something when all that was appended is in the engine, and waits for it.
    pub(super) fn between_commits<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Committer) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let (sender, done) = channel();
        let work = Order::Work(Box::new(move |committer| {
            // Who asked waits for the answer.
            let _ = sender.send(committer.and_then(work));
        }));
        self.order(work)?;
        done.recv().map_err(|_| Fault::Closed)?
    }

    fn order(&self, order: Order) -> Result<(), Fault> {
        let sender = self.sender.as_ref().ok_or(Fault::Closed)?;
        sender.send(order).map_err(|_| Fault::Closed)
    }
}

impl Drop for Orders {
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A committer that panicked has told its clients so.
            let _ = thread.join();
        }
    }
}

/// Whether this thread may wait for a disk that answers soon: where a runtime has others, they do its work meanwhile.
/// To hand that over to one more (`block_in_place`) takes as long as the way to ours and back.
fn may_wait() -> bool {
    Handle::try_current().map_or(true, |runtime| runtime.metrics().num_workers() > 1)
}

/// Has the committer do something on a thread with other work. A panic poisons it, and drops the receipts of those who wait.
fn caught(mut committer: MutexGuard<'_, Committer>, work: impl FnOnce(&mut Committer)) {
    let _ = catch_unwind(AssertUnwindSafe(move || work(&mut committer)));
}

/// Does what it is told to, until nobody is left to tell it anything.
fn run(committer: &Mutex<Committer>, orders: &Receiver<Order>) {
    while let Ok(first) = orders.recv() {
        let mut round = Round::default();
        round.gather(std::iter::once(first).chain(orders.try_iter().take(BATCH - 1)));
        for _ in 0..MOMENTS {
            if !round.expects_more() {
                break;
            }
            std::thread::sleep(MOMENT);
            round.gather(orders.try_iter().take(BATCH));
        }
        let Ok(mut committer) = committer.lock() else { return };
        round.carry_out(&mut committer);
    }
    let Ok(mut committer) = committer.lock() else { return };
    if let Err(fault) = committer.end() {
        tracing::warn!("{fault}. What was acknowledged is kept in its log");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::Engine;
    use tokio::sync::oneshot::{self, error::TryRecvError};

    type Receipt = oneshot::Receiver<Result<(), Fault>>;

    fn orders() -> (tempfile::TempDir, Orders) {
        let dir = tempfile::tempdir().unwrap();
        let committer = Committer::new(dir.path(), Engine::open(dir.path()).unwrap()).unwrap();
        (dir, Orders::start(committer).unwrap())
    }

    fn append(under_way: usize) -> (Append, Receipt) {
        let (sender, receipt) = oneshot::channel();
        (Append { take: 1, row: vec![7; 100], under_way, receipt: sender }, receipt)
    }

    fn hand_over(to: impl FnOnce(Append)) -> Receipt {
        let (append, receipt) = append(1);
        to(append);
        receipt
    }

    #[test]
    fn what_comes_alone_is_written_at_once() {
        let (_dir, orders) = orders();
        assert!(matches!(hand_over(|append| orders.append_among(append)).try_recv(), Ok(Ok(()))));
    }

    #[test]
    fn what_is_large_or_comes_among_many_is_not_written_by_itself() {
        let large = Append { row: vec![7; SMALL + 1], ..append(1).0 };
        assert!(append(FEW).0.comes_alone() && !append(FEW + 1).0.comes_alone() && !large.comes_alone());
    }

    #[test]
    fn a_commit_waits_for_a_crowd_and_for_nothing_else() {
        let round = |count: usize, under_way: usize| Round {
            appends: (0..count).map(|_| append(under_way).0).collect(),
            ..Round::default()
        };
        for (count, under_way, waits) in [
            (1, 0, false),
            (1, 1, false),
            (3, 15, false),
            (3, 16, true),
            (4, 16, false),
            (15, 64, true),
            (16, 64, false),
        ] {
            assert_eq!(round(count, under_way).expects_more(), waits, "{count} of {under_way}");
        }
        // Nobody who waits for all to be settled waits for more to come.
        let asked = Round { waiting: vec![channel().0], ..round(1, 64) };
        let work = Round { work: Some(Box::new(|_| ())), ..round(1, 64) };
        assert!(!asked.expects_more() && !work.expects_more());
    }

    #[test]
    fn what_comes_while_another_writes_waits_for_it() {
        let (_dir, orders) = orders();
        let committer = orders.committer.lock().unwrap();
        let mut receipt = hand_over(|append| orders.append_among(append));
        assert!(matches!(receipt.try_recv(), Err(TryRecvError::Empty)));
        drop(committer);
        receipt.blocking_recv().unwrap().unwrap();
    }

    #[test]
    fn after_a_crowd_or_a_slow_disk_it_goes_by_the_thread() {
        let (_dir, orders) = orders();
        let crowd = |orders: &Orders| {
            let mut committer = orders.committer.lock().unwrap();
            committer.settle((0..2).map(|_| append(2).0).collect());
            committer.is_at_ease()
        };
        assert!(!crowd(&orders));
        hand_over(|append| orders.append_among(append)).blocking_recv().unwrap().unwrap();
    }

    #[tokio::test]
    async fn the_only_thread_of_a_runtime_does_not_wait_for_a_disk() {
        let (_dir, orders) = orders();
        assert!(!may_wait());
        hand_over(|append| orders.append_among(append)).await.unwrap().unwrap();
    }

    #[test]
    fn after_a_panic_nothing_is_written() {
        let (_dir, by_hand) = orders();
        caught(by_hand.committer.lock().unwrap(), |_| panic!("on a thread with other work"));
        let (_dir, by_thread) = orders();
        assert!(matches!(
            by_thread.between_commits(|_| -> Result<(), Fault> { panic!("on its own") }),
            Err(Fault::Closed)
        ));
        for orders in [by_hand, by_thread] {
            for append in [Orders::append, Orders::append_among] {
                assert!(hand_over(|it| append(&orders, it)).blocking_recv().is_err());
            }
            assert!(orders.settle().is_err());
        }
    }
}
