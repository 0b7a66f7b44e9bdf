//! Writes exchanges to the disk, batch by batch, and begins and removes takes.

use super::backlog::Backlog;
use super::counts::{self, Count};
use super::engine::Engine;
use super::frames;
use super::log::LARGEST;
use super::rows::{Row, row_number, take_number};
use super::takes::Fault;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How soon a disk is done with a commit that is waited for by a thread with other work.
const SOON: Duration = Duration::from_millis(1);

/// How many keys are removed together.
const TOGETHER: usize = 1000;

/// An exchange to be written.
pub(super) struct Append {
    pub(super) take: u64,
    pub(super) row: Vec<u8>,
    /// How many exchanges are under way where it comes from: so many may come together. None where that is not known.
    pub(super) under_way: usize,
    pub(super) receipt: oneshot::Sender<Result<(), Fault>>,
}

/// Commits appends.
#[derive(Debug)]
pub(super) struct Committer {
    path: PathBuf,
    engine: Engine,
    backlog: Backlog,
    /// The takes that something was appended to.
    open: BTreeMap<u64, OpenTake>,
    /// The last number that was given to a take: none is given twice while the store is open.
    last_given: u64,
    at_ease: bool,
}

#[derive(Debug)]
struct OpenTake {
    exchanges: u64,
    count: Count,
}

impl OpenTake {
    fn count(&self) -> io::Result<()> {
        self.count.write(self.exchanges)
    }
}

impl Committer {
    pub(super) fn new(path: &Path, engine: Engine) -> Result<Self, Fault> {
        let backlog = Backlog::new(path, engine.clone())?;
        Ok(Self { path: path.to_owned(), engine, backlog, open: BTreeMap::new(), last_given: 0, at_ease: true })
    }

    /// Whether what was last committed came alone, and took no longer than a thread with other work may wait.
    pub(super) fn is_at_ease(&self) -> bool {
        self.at_ease
    }

    /// Puts all that was committed into the engine.
    pub(super) fn drain(&mut self) -> Result<(), Fault> {
        self.backlog.drain()
    }

    /// The same, and nothing is committed after that.
    pub(super) fn end(&mut self) -> Result<(), Fault> {
        self.backlog.end()
    }

    /// Commits appends, as many together as a frame of the log holds, and tells those who wait.
    pub(super) fn settle(&mut self, appends: Vec<Append>) {
        let (mut some, mut length) = (Vec::new(), 0);
        for append in appends {
            let more = frames::packed(append.row.len());
            if frames::size(length + more) > LARGEST && !some.is_empty() {
                self.commit(std::mem::take(&mut some));
                length = 0;
            }
            length += more;
            some.push(append);
        }
        if !some.is_empty() {
            self.commit(some);
        }
    }

    fn commit(&mut self, appends: Vec<Append>) {
        let began = Instant::now();
        let outcome = self.try_commit(&appends);
        self.at_ease = appends.len() == 1 && began.elapsed() < SOON;
        for append in appends {
            // A client that has gone needs no receipt.
            let _ = append.receipt.send(outcome.as_ref().copied().map_err(Fault::again));
        }
    }

    fn try_commit(&mut self, appends: &[Append]) -> Result<(), Fault> {
        let mut rows = Vec::with_capacity(appends.len());
        let mut ends = BTreeMap::new();
        for Append { take, row, .. } in appends {
            let end = match ends.get_mut(take) {
                Some(end) => end,
                None => ends.entry(*take).or_insert(self.opened(*take)?.exchanges),
            };
            rows.push(Row { take: *take, number: *end, row });
            *end += 1;
        }
        self.backlog.commit(&rows)?;
        for (take, end) in &ends {
            self.opened(*take)?.exchanges = *end;
        }
        let counted = ends.keys().filter_map(|take| self.open.get(take)).try_for_each(OpenTake::count);
        counted.map_err(|source| Fault::io(&self.path, "written", source))
    }

    /// What is known of a take. What the engine does not have of it was appended here, so it is known then.
    fn opened(&mut self, id: u64) -> Result<&mut OpenTake, Fault> {
        if !self.open.contains_key(&id) {
            let last = self.engine.read(|engine| engine.rows.scan_prefix(id.to_be_bytes()).next_back().transpose())?;
            let exchanges = last.and_then(|(key, _)| row_number(&key)).map_or(0, |number| number + 1);
            let count = Count::open(&self.path, id, exchanges);
            let count = count.map_err(|source| Fault::io(&self.path, "written", source))?;
            self.open.insert(id, OpenTake { exchanges, count });
        }
        Ok(self.open.get_mut(&id).expect("opened above"))
    }

    /// Begins a take with these rows. It is listed when all of them are on the disk, and not before.
    pub(super) fn begin(&mut self, take: Vec<u8>, rows: Vec<Vec<u8>>) -> Result<u64, Fault> {
        // Rows without their take are what a crash left of a removal, or of this: their number is not given again.
        let (last_take, last_row) = self.engine.read(|engine| Ok((engine.takes.last()?, engine.rows.last()?)))?;
        let last = |entry: Option<(sled::IVec, sled::IVec)>| entry.and_then(|(key, _)| take_number(&key)).unwrap_or(0);
        let id = last(last_take).max(last(last_row)).max(self.last_given) + 1;
        self.last_given = id;
        self.backlog.open()?;
        if !rows.is_empty() {
            let exchanges = rows.len() as u64;
            let rows: Vec<Row<'_>> = (0..).zip(&rows).map(|(number, row)| Row { take: id, number, row }).collect();
            self.engine.put(&rows)?;
            let counted = Count::open(&self.path, id, exchanges);
            counted.map_err(|source| Fault::io(&self.path, "written", source))?;
        }
        self.engine.write(|engine| engine.takes.insert(id.to_be_bytes(), take).map(drop))?;
        self.engine.sync()?;
        Ok(id)
    }

    /// Removes a take and what is in it.
    pub(super) fn remove(&mut self, take: u64) -> Result<(), Fault> {
        self.open.remove(&take);
        self.backlog.erase()?;
        // The count goes before the rows: a take without one is whole, a count without its take means damage.
        counts::remove(&self.path, take).map_err(|source| Fault::io(&self.path, "written", source))?;
        // The last rows go first: what a crash leaves of it is its beginning.
        let last = |engine: &Engine| {
            let keys = engine.rows.scan_prefix(take.to_be_bytes()).keys().rev().take(TOGETHER);
            keys.collect::<sled::Result<Vec<_>>>()
        };
        loop {
            let keys = self.engine.read(last)?;
            if keys.is_empty() {
                break;
            }
            let mut batch = sled::Batch::default();
            keys.into_iter().for_each(|key| batch.remove(key));
            self.engine.write(|engine| engine.rows.apply_batch(batch))?;
        }
        self.engine.write(|engine| engine.takes.remove(take.to_be_bytes()).map(drop))?;
        self.engine.sync()
    }
}
