//! The one thread that writes exchanges to the disk, batch by batch, for all who wait.
//!
//! One, because sled 0.34 deadlocks when many tasks flush for themselves (spacejam/sled#1308).

use super::counts::{open_count, write_count};
use super::engine::{guarded, sync};
use super::rows::{row_key, row_number};
use super::takes::Fault;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender};
use tokio::sync::oneshot;

/// The largest value handed to sled, in bytes: larger ones may land in files that it never syncs.
const PIECE: usize = 8 * 1024;
/// The most appends that one commit takes together.
const BATCH: usize = 1024;

/// What the committer is told, in order.
pub(super) enum Order {
    Append(Append),
    /// All that came before is settled when this is answered.
    Settle(Sender<()>),
}

/// An exchange to be written.
pub(super) struct Append {
    pub(super) take: u64,
    pub(super) row: Vec<u8>,
    pub(super) receipt: oneshot::Sender<Result<(), Fault>>,
}

/// Commits appends for all who wait, batch by batch.
pub(super) struct Committer {
    pub(super) path: PathBuf,
    pub(super) db: sled::Db,
    pub(super) rows: sled::Tree,
    pub(super) data: File,
    pub(super) take: Option<OpenTake>,
}

pub(super) struct OpenTake {
    id: u64,
    exchanges: u64,
    count: File,
}

impl Committer {
    /// Writes what it is told to, until nobody is left to tell it anything.
    pub(super) fn run(mut self, orders: &Receiver<Order>) {
        while let Ok(first) = orders.recv() {
            let mut batch = Vec::new();
            let mut waiting = Vec::new();
            for order in std::iter::once(first).chain(orders.try_iter().take(BATCH - 1)) {
                match order {
                    Order::Append(append) => batch.push(append),
                    Order::Settle(settled) => waiting.push(settled),
                }
            }
            let outcome = batch.chunk_by(|a, b| a.take == b.take).try_for_each(|appends| self.commit(appends));
            if outcome.is_err() {
                // What part of it is on the disk is found out anew before the next commit.
                self.take = None;
            }
            // A client that has gone needs no receipt.
            for append in batch {
                let _ = append.receipt.send(outcome.as_ref().copied().map_err(Fault::again));
            }
            for settled in waiting {
                let _ = settled.send(());
            }
        }
    }

    fn commit(&mut self, appends: &[Append]) -> Result<(), Fault> {
        let first = appends[0].take;
        let before = self.open(first)?.exchanges;
        let mut batch = sled::Batch::default();
        for (append, number) in appends.iter().zip(before..) {
            for (piece, i) in append.row.chunks(PIECE).zip(0u32..) {
                batch.insert(&row_key(append.take, number, i)[..], piece);
            }
        }
        guarded(&self.path, "written", || self.rows.apply_batch(batch))?;
        sync(&self.path, &self.db, &self.data)?;
        let path = self.path.clone();
        let take = self.open(first)?;
        take.exchanges += appends.len() as u64;
        write_count(&mut take.count, take.exchanges).map_err(|source| Fault::io(&path, "written", source))
    }

    fn open(&mut self, id: u64) -> Result<&mut OpenTake, Fault> {
        if self.take.as_ref().is_none_or(|take| take.id != id) {
            let last = guarded(&self.path, "read", || self.rows.scan_prefix(id.to_be_bytes()).next_back().transpose())?;
            let exchanges = last.and_then(|(key, _)| row_number(&key)).map_or(0, |number| number + 1);
            let count = open_count(&self.path, id).map_err(|source| Fault::io(&self.path, "written", source))?;
            self.take = Some(OpenTake { id, exchanges, count });
        }
        Ok(self.take.as_mut().expect("opened above"))
    }
}

impl Fault {
    /// The same fault for another who waited on one commit.
    fn again(&self) -> Self {
        match self {
            Self::InUse { path, process } => Self::InUse { path: path.clone(), process: process.clone() },
            Self::Damaged { path, why } => Self::Damaged { path: path.clone(), why: why.clone() },
            Self::Unkeepable(why) => Self::Unkeepable(why.clone()),
            Self::NoStore(path) => Self::NoStore(path.clone()),
            Self::Closed => Self::Closed,
            Self::Io { path, what, source } => Self::io(path, what, io::Error::new(source.kind(), source.to_string())),
        }
    }
}
