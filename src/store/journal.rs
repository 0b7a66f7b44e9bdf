//! The store of takes on sled: one committer thread, and an exchange is acknowledged when it is on the disk.
//!
//! What sled 0.34 asks for, and why each step is here: `flush_async` per exchange deadlocks (spacejam/sled#1308), so
//! one thread commits for all; `flush` is no fsync on Linux (#1351), so the data file is synced after it; values of
//! more than some kilobytes go to files that are never synced, so rows are cut into pieces; damage shows as a panic
//! or as an empty store, so panics are caught and rows are counted outside.

use super::counts::{count_file, open_count, read_count, write_count};
use super::rows::{framed, row_key, row_number, take_number, unframed};
use super::takes::{Fault, Receipt, Take, Takes};
use crate::platform;
use crate::tape::exchange::{Exchange, Taped};
use crate::tape::scribe;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The largest value handed to sled, in bytes: larger ones may land in files that it never syncs.
const PIECE: usize = 8 * 1024;
/// Sled's cache, in bytes; its default would grow to 1 GiB.
const CACHE: u64 = 64 * 1024 * 1024;
/// The most appends that one commit takes together.
const BATCH: usize = 1024;

/// A store of takes in a folder, open in this process only.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    db: sled::Db,
    takes: sled::Tree,
    rows: sled::Tree,
    data: File,
    committer: Option<(Sender<Append>, JoinHandle<()>)>,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct TakeRow {
    cassette: String,
    started: u64,
}

struct Append {
    take: u64,
    row: Vec<u8>,
    receipt: oneshot::Sender<Result<(), Fault>>,
}

impl Journal {
    /// Opens the store in `path`, or makes it.
    ///
    /// # Errors
    /// When another process has it open, it is damaged, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        platform::private_dir(path).map_err(|source| Fault::io(path, "opened", source))?;
        let lock = lock(path)?;
        let folder = path.join("sled");
        remove_unfinished_snapshots(&folder).map_err(|source| Fault::io(path, "opened", source))?;
        let config = sled::Config::new().path(&folder).cache_capacity(CACHE).flush_every_ms(None);
        let (db, takes, rows) = guarded(path, "opened", || {
            let db = config.open()?;
            Ok((db.clone(), db.open_tree("takes")?, db.open_tree("rows")?))
        })?;
        let data = File::open(folder.join("db")).map_err(|source| Fault::io(path, "opened", source))?;
        let mut journal = Self { path: path.to_owned(), db, takes, rows, data, committer: None, _lock: lock };
        journal.check_counts()?;
        journal.committer = Some(journal.start_committer()?);
        Ok(journal)
    }

    /// Whether a store was ever made in `path`.
    #[must_use]
    pub fn exists(path: &Path) -> bool {
        path.join("sled").is_dir()
    }

    /// Sees that no take has fewer rows than were acknowledged: a damaged sled file may open as an empty one.
    fn check_counts(&self) -> Result<(), Fault> {
        let files = match fs::read_dir(self.path.join("counts")) {
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
            files => files.map_err(|source| Fault::io(&self.path, "opened", source))?,
        };
        for file in files {
            let file = file.map_err(|source| Fault::io(&self.path, "opened", source))?.path();
            let take = file.file_name().and_then(|name| name.to_str()?.parse().ok());
            let (Some(take), Some(counted)) = (take, read_count(&file)) else { continue };
            let found = self.count(take)?;
            if found < counted {
                return Err(self.damaged(format!("take {take} has {found} of its {counted} exchanges")));
            }
        }
        Ok(())
    }

    fn count(&self, take: u64) -> Result<u64, Fault> {
        let last = guarded(&self.path, "read", || self.rows.scan_prefix(take.to_be_bytes()).next_back().transpose())?;
        match last {
            None => Ok(0),
            Some((key, _)) => row_number(&key).map(|number| number + 1).ok_or_else(|| self.damaged("a key is no key")),
        }
    }

    fn start_committer(&self) -> Result<(Sender<Append>, JoinHandle<()>), Fault> {
        let (sender, receiver) = channel();
        let committer = Committer {
            path: self.path.clone(),
            db: self.db.clone(),
            rows: self.rows.clone(),
            data: self.data.try_clone().map_err(|source| Fault::io(&self.path, "opened", source))?,
            take: None,
        };
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || committer.run(&receiver))
            .map_err(|source| Fault::io(&self.path, "opened", source))?;
        Ok((sender, thread))
    }

    fn sync(&self) -> Result<(), Fault> {
        sync(&self.path, &self.db, &self.data)
    }

    fn damaged(&self, why: impl Into<String>) -> Fault {
        Fault::Damaged { path: self.path.clone(), why: why.into() }
    }
}

impl Takes for Journal {
    fn begin(&self, cassette: &str, started: u64) -> Result<u64, Fault> {
        let row = TakeRow { cassette: cassette.to_owned(), started };
        let row = serde_json::to_vec(&row).expect("a take prints to memory");
        let last = guarded(&self.path, "read", || self.takes.last())?;
        let id = last.and_then(|(key, _)| take_number(&key)).unwrap_or(0) + 1;
        guarded(&self.path, "written", || self.takes.insert(id.to_be_bytes(), row).map(drop))?;
        self.sync()?;
        Ok(id)
    }

    fn append(&self, take: u64, arrival: u64, exchange: &Taped<Exchange>) -> Receipt {
        let (sender, receipt) = oneshot::channel();
        let append = Append { take, row: framed(arrival, &scribe::row(exchange)), receipt: sender };
        if let Some((committer, _)) = &self.committer {
            // A committer that has gone drops the sender, and the receipt tells so.
            let _ = committer.send(append);
        }
        receipt
    }

    fn takes(&self) -> Result<Vec<Take>, Fault> {
        let rows = guarded(&self.path, "read", || self.takes.iter().collect::<sled::Result<Vec<_>>>())?;
        let take = |(key, value): (sled::IVec, sled::IVec)| {
            let id = take_number(&key).ok_or_else(|| self.damaged("a key is no key"))?;
            let row: TakeRow =
                serde_json::from_slice(&value).map_err(|why| self.damaged(format!("take {id}: {why}")))?;
            Ok(Take { id, cassette: row.cassette, started: row.started, exchanges: self.count(id)? })
        };
        rows.into_iter().map(take).collect()
    }

    fn read(&self, take: u64) -> Result<Vec<Taped<Exchange>>, Fault> {
        let pieces = guarded(&self.path, "read", || {
            self.rows.scan_prefix(take.to_be_bytes()).collect::<sled::Result<Vec<_>>>()
        })?;
        let mut framed: Vec<Vec<u8>> = Vec::new();
        for (key, piece) in pieces {
            match row_number(&key) {
                Some(number) if number == framed.len() as u64 => framed.push(piece.to_vec()),
                Some(number) if number + 1 == framed.len() as u64 => {
                    framed.last_mut().expect("one more than none").extend_from_slice(&piece);
                }
                _ => return Err(self.damaged(format!("in take {take} exchange {} is missing", framed.len() + 1))),
            }
        }
        let acknowledged = read_count(&count_file(&self.path, take)).unwrap_or(0);
        let mut rows = Vec::new();
        for (row, number) in framed.iter().zip(0..) {
            let broken = |why: &str| self.damaged(format!("in take {take} exchange {} {why}", number + 1));
            let Some((arrival, row)) = unframed(row) else {
                if number >= acknowledged {
                    // A crash cut it short before anyone was told that it is kept.
                    break;
                }
                return Err(broken("is not what was written"));
            };
            rows.push((arrival, scribe::from_row(row).map_err(|why| broken(&why))?));
        }
        rows.sort_by_key(|(arrival, _)| *arrival);
        Ok(rows.into_iter().map(|(_, exchange)| exchange).collect())
    }

    fn remove(&self, take: u64) -> Result<(), Fault> {
        // The count goes first: a take without one is whole, a count without its take means damage.
        match fs::remove_file(count_file(&self.path, take)) {
            Err(fault) if fault.kind() != io::ErrorKind::NotFound => {
                return Err(Fault::io(&self.path, "written", fault));
            }
            _ => {}
        }
        guarded(&self.path, "written", || {
            self.takes.remove(take.to_be_bytes())?;
            for key in self.rows.scan_prefix(take.to_be_bytes()).keys() {
                self.rows.remove(key?)?;
            }
            Ok(())
        })?;
        self.sync()
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        if let Some((sender, thread)) = self.committer.take() {
            drop(sender);
            // A committer that panicked has told its clients so.
            let _ = thread.join();
        }
    }
}

/// Commits appends for all who wait, batch by batch.
struct Committer {
    path: PathBuf,
    db: sled::Db,
    rows: sled::Tree,
    data: File,
    take: Option<OpenTake>,
}

struct OpenTake {
    id: u64,
    exchanges: u64,
    count: File,
}

impl Committer {
    fn run(mut self, appends: &Receiver<Append>) {
        while let Ok(first) = appends.recv() {
            let batch: Vec<Append> = std::iter::once(first).chain(appends.try_iter().take(BATCH - 1)).collect();
            let outcome = batch.chunk_by(|a, b| a.take == b.take).try_for_each(|appends| self.commit(appends));
            for append in batch {
                // A client that has gone needs no receipt.
                let _ = append.receipt.send(outcome.as_ref().copied().map_err(Fault::again));
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
            Self::Io { path, what, source } => Self::io(path, what, io::Error::new(source.kind(), source.to_string())),
        }
    }
}

fn sync(path: &Path, db: &sled::Db, data: &File) -> Result<(), Fault> {
    guarded(path, "written", || db.flush().map(drop))?;
    data.sync_data().map_err(|source| Fault::io(path, "written", source))
}

/// Takes the lock of a store. It ends with the process, however that ends.
fn lock(path: &Path) -> Result<File, Fault> {
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path.join("lock"));
    let mut file = opened.map_err(|source| Fault::io(path, "opened", source))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut process = String::new();
            let told = file.read_to_string(&mut process).is_ok() && !process.trim().is_empty();
            let process = told.then(|| process.trim().to_owned());
            return Err(Fault::InUse { path: path.to_owned(), process });
        }
        Err(TryLockError::Error(source)) => return Err(Fault::io(path, "opened", source)),
    }
    // The number only helps a message; a store whose disk is full can still be read.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

/// A snapshot that a crash cut short keeps sled from opening, and is made again from the log.
fn remove_unfinished_snapshots(folder: &Path) -> io::Result<()> {
    let files = match fs::read_dir(folder) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        if file.file_name().to_string_lossy().ends_with(".generating") {
            fs::remove_file(file.path())?;
        }
    }
    Ok(())
}

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Keeps panics of sled that are caught and told as faults from being printed as well. To be called once.
pub fn hush_caught_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !GUARDED.get() {
            print(panic);
        }
    }));
}

/// Runs what calls sled, turning its panics and errors into faults of the store.
fn guarded<T>(path: &Path, what: &'static str, run: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(false);
    let damaged = |why: String| Fault::Damaged { path: path.to_owned(), why };
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(source))) => Err(Fault::io(path, what, source)),
        Ok(Err(fault)) => Err(damaged(fault.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(damaged(said.unwrap_or("its content makes no sense").lines().next().unwrap_or_default().to_owned()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Request, Response};

    fn exchange(body: &str) -> Taped<Exchange> {
        scribe::tape_exchange(Exchange {
            request: Request {
                method: "POST".into(),
                host: "graph.microsoft.com".into(),
                target: "/beta/userStatuses".into(),
                headers: Headers::default(),
                body: body.to_owned().into(),
            },
            response: Response { status: 201, headers: Headers::default(), body: body.to_owned().into() },
        })
    }

    fn append(journal: &Journal, take: u64, arrival: u64, exchange: &Taped<Exchange>) {
        journal.append(take, arrival, exchange).blocking_recv().unwrap().unwrap();
    }

    #[test]
    fn what_was_acknowledged_is_read_again_by_arrival() {
        let dir = tempfile::tempdir().unwrap();
        let large = exchange(&"large ".repeat(50_000));
        let journal = Journal::open(dir.path()).unwrap();
        let (one, other) = (journal.begin("a", 7).unwrap(), journal.begin("b", 8).unwrap());
        append(&journal, one, 2, &exchange("second"));
        append(&journal, other, 1, &large);
        append(&journal, one, 1, &exchange("first"));
        drop(journal);

        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.read(one).unwrap(), [exchange("first"), exchange("second")]);
        assert_eq!(journal.read(other).unwrap(), [large]);
        append(&journal, one, 3, &exchange("third"));
        let told: Vec<_> = journal.takes().unwrap().into_iter().map(|t| (t.cassette, t.started, t.exchanges)).collect();
        assert_eq!(told, [("a".to_owned(), 7, 3), ("b".to_owned(), 8, 1)]);

        journal.remove(one).unwrap();
        assert_eq!(journal.read(one).unwrap(), []);
        assert_eq!(journal.takes().unwrap().len(), 1);
        drop(journal);
        assert_eq!(Journal::open(dir.path()).unwrap().begin("c", 9).unwrap(), other + 1);
    }

    #[test]
    fn a_store_is_open_once() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let fault = Journal::open(dir.path()).unwrap_err().to_string();
        let expected = format!(
            "the store {} is in use by another graphdeck (process {}): wait until it ends, or give this one a store of its own with --store DIR",
            dir.path().display(),
            std::process::id()
        );
        assert_eq!(fault, expected);
        drop(journal);
        Journal::open(dir.path()).unwrap();
    }

    /// Makes a store with one take of three exchanges, and returns the path of its data file.
    fn filled(dir: &Path) -> PathBuf {
        let journal = Journal::open(dir).unwrap();
        let take = journal.begin("a", 7).unwrap();
        (1..=3).for_each(|n| append(&journal, take, n, &exchange(&"x".repeat(20_000))));
        dir.join("sled").join("db")
    }

    #[test]
    fn a_store_that_lost_its_content_is_not_taken_for_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        fs::remove_dir_all(dir.path().join("sled")).unwrap();
        let fault = Journal::open(dir.path()).unwrap_err().to_string();
        assert!(fault.contains("is damaged: take 1 has 0 of its 3 exchanges"), "{fault}");
    }

    #[test]
    fn damage_anywhere_is_a_fault_or_harmless_and_never_a_panic() {
        hush_caught_panics();
        let dir = tempfile::tempdir().unwrap();
        let data = filled(dir.path());
        let whole = fs::read(&data).unwrap();
        let snapshots: Vec<PathBuf> =
            fs::read_dir(data.parent().unwrap()).unwrap().map(|f| f.unwrap().path()).collect();
        let expected = vec![exchange(&"x".repeat(20_000)); 3];
        for step in 0..40 {
            for path in snapshots.iter().filter(|p| p.to_string_lossy().contains("snap.")) {
                let _ = fs::remove_file(path);
            }
            let mut damaged = whole.clone();
            let at = damaged.len() * step / 40 % (64 * 1024);
            damaged[at..(at + 64).min(whole.len())].iter_mut().for_each(|b| *b = !*b);
            fs::write(&data, &damaged).unwrap();
            let outcome = Journal::open(dir.path()).and_then(|journal| journal.read(1));
            assert!(outcome.is_err() || outcome.is_ok_and(|read| read == expected), "step {step}");
        }
    }

    #[test]
    fn an_unfinished_snapshot_does_not_keep_a_store_closed() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        fs::write(dir.path().join("sled").join("snap.0000000000000001.generating"), "").unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().takes().unwrap().len(), 1);
    }
}
