//! The one thread that writes exchanges to the disk, batch by batch, for all who wait.
//!
//! One, because sled 0.34 deadlocks when many tasks flush for themselves (spacejam/sled#1308).

use super::counts::{Count, count_file};
use super::engine::{guarded, sync};
use super::rows::{row_key, row_number, take_number};
use super::takes::Fault;
use crate::platform;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// The largest value handed to sled, in bytes. What is larger than 128 KiB lands in files of its own, which sled never
/// syncs, and that goes for its leaves too: one holds up to 16 values, and 20 for a moment after two were merged.
const PIECE: usize = 4 * 1024;
/// The most appends that one commit takes together.
const BATCH: usize = 1024;
/// A commit costs the processor nearly as much for one as for many: where so many wait already, it waits a moment for more.
const CROWD: usize = 8;
const MOMENT: Duration = Duration::from_micros(400);

/// What the committer is told, in order.
pub(super) enum Order {
    Append(Append),
    /// All that came before is settled when this is answered.
    Settle(Sender<()>),
    /// To be done between two commits: nothing else writes then.
    Work(Work),
}

type Work = Box<dyn FnOnce(&mut Committer) + Send>;

/// An exchange to be written.
pub(super) struct Append {
    pub(super) take: u64,
    pub(super) row: Vec<u8>,
    pub(super) receipt: oneshot::Sender<Result<(), Fault>>,
}

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
}

/// Commits appends for all who wait, batch by batch.
pub(super) struct Committer {
    pub(super) path: PathBuf,
    pub(super) db: sled::Db,
    pub(super) rows: sled::Tree,
    pub(super) data: File,
    pub(super) take: Option<OpenTake>,
    /// The last number that was given to a take: none is given twice while the store is open.
    pub(super) last_given: u64,
}

pub(super) struct OpenTake {
    id: u64,
    exchanges: u64,
    count: Count,
}

impl Committer {
    /// Writes what it is told to, until nobody is left to tell it anything.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Some(first) = self.next(orders) {
            let mut round = Round::default();
            round.gather(std::iter::once(first).chain(orders.try_iter().take(BATCH - 1)));
            if round.appends.len() >= CROWD && round.waiting.is_empty() && round.work.is_none() {
                std::thread::sleep(MOMENT);
                round.gather(orders.try_iter().take(BATCH));
            }
            let Round { appends, waiting, work } = round;
            self.settle(appends);
            if !waiting.is_empty() || work.is_some() {
                self.sync_count();
            }
            for settled in waiting {
                // Who has gone needs no answer.
                let _ = settled.send(());
            }
            if let Some(work) = work {
                work(&mut self);
                // It may have removed what is open here.
                self.take = None;
            }
        }
    }

    /// The next order. While none comes, what is known of the open take comes to the disk in time.
    fn next(&mut self, orders: &Receiver<Order>) -> Option<Order> {
        loop {
            let Some(due) = self.take.as_ref().and_then(|take| take.count.due()) else { return orders.recv().ok() };
            match orders.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(order) => return Some(order),
                Err(RecvTimeoutError::Timeout) => self.sync_count(),
                Err(RecvTimeoutError::Disconnected) => {
                    self.sync_count();
                    return None;
                }
            }
        }
    }

    /// Brings the count of the open take to the disk. Nobody waits for it: all that it counts is there.
    fn sync_count(&mut self) {
        if let Some(Err(fault)) = self.take.as_mut().map(|take| take.count.sync()) {
            tracing::warn!("{}", Fault::io(&self.path, "written", fault));
            self.take = None;
        }
    }

    fn settle(&mut self, batch: Vec<Append>) {
        let outcome = batch.chunk_by(|a, b| a.take == b.take).try_for_each(|appends| self.commit(appends));
        if outcome.is_err() {
            // What part of it is on the disk is found out anew before the next commit.
            self.take = None;
        }
        for append in batch {
            // A client that has gone needs no receipt.
            let _ = append.receipt.send(outcome.as_ref().copied().map_err(Fault::again));
        }
    }

    /// Begins a take with these rows. It is listed when all of them are on the disk, and not before.
    pub(super) fn begin(&mut self, takes: &sled::Tree, row: Vec<u8>, rows: &[Vec<u8>]) -> Result<u64, Fault> {
        // Rows without their take are what a crash left of a removal, or of this: their number is not given again.
        let (take, piece) = guarded(&self.path, "read", || Ok((takes.last()?, self.rows.last()?)))?;
        let last = |entry: Option<(sled::IVec, sled::IVec)>| entry.and_then(|(key, _)| take_number(&key)).unwrap_or(0);
        let id = last(take).max(last(piece)).max(self.last_given) + 1;
        self.last_given = id;
        for (rows, from) in rows.chunks(BATCH).zip((0u64..).step_by(BATCH)) {
            let mut batch = sled::Batch::default();
            for (row, number) in rows.iter().zip(from..) {
                insert(&mut batch, id, number, row);
            }
            guarded(&self.path, "written", || self.rows.apply_batch(batch))?;
        }
        if !rows.is_empty() {
            sync(&self.path, &self.db, &self.data)?;
            let counted = Count::open(&self.path, id).and_then(|mut count| count.write(rows.len() as u64));
            counted.map_err(|source| Fault::io(&self.path, "written", source))?;
        }
        guarded(&self.path, "written", || takes.insert(id.to_be_bytes(), row).map(drop))?;
        sync(&self.path, &self.db, &self.data)?;
        Ok(id)
    }

    /// Removes a take and what is in it.
    pub(super) fn remove(&mut self, takes: &sled::Tree, take: u64) -> Result<(), Fault> {
        // The count goes first: a take without one is whole, a count without its take means damage.
        match fs::remove_file(count_file(&self.path, take)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::io(&self.path, "written", fault));
            }
            Ok(()) => {
                let synced = platform::sync_dir(&self.path.join("counts"));
                synced.map_err(|fault| Fault::io(&self.path, "written", fault))?;
            }
            Err(_) => {}
        }
        guarded(&self.path, "written", || {
            for key in self.rows.scan_prefix(take.to_be_bytes()).keys() {
                self.rows.remove(key?)?;
            }
            takes.remove(take.to_be_bytes()).map(drop)
        })?;
        sync(&self.path, &self.db, &self.data)
    }

    fn commit(&mut self, appends: &[Append]) -> Result<(), Fault> {
        let first = appends[0].take;
        let before = self.open(first)?.exchanges;
        let mut batch = sled::Batch::default();
        for (append, number) in appends.iter().zip(before..) {
            insert(&mut batch, append.take, number, &append.row);
        }
        guarded(&self.path, "written", || self.rows.apply_batch(batch))?;
        sync(&self.path, &self.db, &self.data)?;
        let path = self.path.clone();
        let take = self.open(first)?;
        take.exchanges += appends.len() as u64;
        take.count.write(take.exchanges).map_err(|source| Fault::io(&path, "written", source))
    }

    fn open(&mut self, id: u64) -> Result<&mut OpenTake, Fault> {
        if self.take.as_ref().is_none_or(|take| take.id != id) {
            let last = guarded(&self.path, "read", || self.rows.scan_prefix(id.to_be_bytes()).next_back().transpose())?;
            let exchanges = last.and_then(|(key, _)| row_number(&key)).map_or(0, |number| number + 1);
            let count = Count::open(&self.path, id).map_err(|source| Fault::io(&self.path, "written", source))?;
            self.take = Some(OpenTake { id, exchanges, count });
        }
        Ok(self.take.as_mut().expect("opened above"))
    }
}

/// Adds a row to a batch, in pieces.
fn insert(batch: &mut sled::Batch, take: u64, number: u64, row: &[u8]) {
    for (piece, i) in row.chunks(PIECE).zip(0u32..) {
        batch.insert(&row_key(take, number, i)[..], piece);
    }
}

impl Fault {
    /// The same fault for another who waited on one commit.
    fn again(&self) -> Self {
        match self {
            Self::InUse { path, process } => Self::InUse { path: path.clone(), process: process.clone() },
            Self::Damaged { path, why } => Self::Damaged { path: path.clone(), why: why.clone() },
            Self::Unkeepable(why) => Self::Unkeepable(why.clone()),
            Self::Version { path, why } => Self::Version { path: path.clone(), why: why.clone() },
            Self::NoStore(path) => Self::NoStore(path.clone()),
            Self::Closed => Self::Closed,
            Self::Io { path, what, source } => Self::io(path, what, io::Error::new(source.kind(), source.to_string())),
        }
    }
}
