//! The thread that puts rows from the log into the engine, off the road of those who wait.

use super::counts;
use super::engine::Engine;
use super::frames;
use super::takes::Fault;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::thread::JoinHandle;

/// The thread, for the one that hands it rows.
#[derive(Debug)]
pub(super) struct Filler {
    /// None only while it is dropped.
    rows: Option<Sender<Vec<u8>>>,
    done: Receiver<Result<Vec<u8>, Fault>>,
    thread: Option<JoinHandle<()>>,
}

impl Filler {
    pub(super) fn start(path: &Path, engine: Engine) -> io::Result<Self> {
        let ((rows, orders), (outcome, done)) = (channel::<Vec<u8>>(), channel());
        let path = path.to_owned();
        let thread = std::thread::Builder::new().name("filler".to_owned()).spawn(move || {
            while let Ok(mut rows) = orders.recv() {
                let put = put(&path, &engine, &rows);
                rows.clear();
                // Whoever handed them over takes the outcome, unless it has gone.
                let _ = outcome.send(put.map(|()| rows));
            }
        })?;
        Ok(Self { rows: Some(rows), done, thread: Some(thread) })
    }

    /// Hands packed rows over. One outcome is to be taken for each time.
    pub(super) fn hand_over(&self, rows: Vec<u8>) {
        // Where the thread has gone, the outcome says so.
        let _ = self.rows.as_ref().map(|orders| orders.send(rows));
    }

    /// What came of rows that were handed over, with the memory that they had; none where that is not known yet and is not
    /// waited for.
    pub(super) fn outcome(&self, wait: bool) -> Option<Result<Vec<u8>, Fault>> {
        if wait {
            return Some(self.done.recv().unwrap_or(Err(Fault::Closed)));
        }
        match self.done.try_recv() {
            Ok(outcome) => Some(outcome),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(Fault::Closed)),
        }
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        self.rows = None;
        if let Some(thread) = self.thread.take() {
            // If it panicked, the outcome said that it has gone.
            let _ = thread.join();
        }
    }
}

/// Puts rows into the engine, and brings to the disk how many each take has.
fn put(path: &Path, engine: &Engine, rows: &[u8]) -> Result<(), Fault> {
    let mut rows = frames::unpack(rows).expect("they were packed here");
    // So that those of each are together.
    rows.sort_by_key(|row| row.take);
    engine.put(&rows)?;
    let synced = rows.chunk_by(|a, b| a.take == b.take).try_for_each(|rows| counts::sync(path, rows[0].take));
    synced.map_err(|source| Fault::io(path, "written", source))
}
