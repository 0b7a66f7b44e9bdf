//! The store of takes on sled: an exchange is acknowledged when it is on the disk, and damage is found out.

use super::committer::{Append, Committer};
use super::counts::{count_file, read_count};
use super::engine::{Engine, LOCK_PAUSE, LOCK_TRIES};
use super::format;
use super::log;
use super::orders::Orders;
use super::rows::{HEAD, Row, framed, row_key, row_number, take_number, unframed};
use super::takes::{Fault, Receipt, Take, Takes};
use crate::platform;
use crate::tape::exchange::{Exchange, Taped};
use crate::tape::row;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};
use tokio::sync::oneshot;

/// A store of takes in a folder, open in this process only.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    engine: Engine,
    /// None only while it is opened.
    orders: Option<Orders>,
    closed: RwLock<HashSet<u64>>,
    _lock: File,
}

#[derive(Serialize, Deserialize)]
struct TakeRow {
    cassette: String,
    started: u64,
    #[serde(default)]
    copied: u64,
    #[serde(default)]
    beside: Option<String>,
}

impl Journal {
    /// Opens the store in `path`, or makes it.
    ///
    /// # Errors
    /// When another process has it open, it is damaged, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        if is_anothers(path) {
            return Err(Fault::NoStore(path.to_owned()));
        }
        platform::private_dir(path).map_err(|source| Fault::io(path, "opened", source))?;
        let lock = lock(path)?;
        // A store is no part of anybody's repository.
        let ignore = path.join(".gitignore");
        if !ignore.exists() {
            let write = |file: &mut io::BufWriter<&mut File>| file.write_all(b"*\n");
            platform::replace_file(&ignore, write).map_err(|source| Fault::io(path, "opened", source))?;
        }
        format::check(path)?;
        let engine = Engine::open(path)?;
        log::take_over(path, |rows| take_over(path, &engine, rows.to_vec()))?;
        log::remove(path)?;
        let path = path.to_owned();
        let mut journal = Self { path, engine, orders: None, closed: RwLock::default(), _lock: lock };
        journal.check_counts()?;
        journal.orders = Some(journal.start()?);
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
            let Some(take) = take else { continue };
            let Some(counted) = read_count(&file).map_err(|why| self.damaged(why))? else { continue };
            let found = self.count(take)?;
            if found < counted {
                return Err(self.damaged(format!("take {take} has {found} of its {counted} exchanges")));
            }
        }
        Ok(())
    }

    fn count(&self, take: u64) -> Result<u64, Fault> {
        let last = self.engine.read(|engine| engine.rows.scan_prefix(take.to_be_bytes()).next_back().transpose())?;
        match last {
            None => Ok(0),
            Some((key, _)) => row_number(&key).map(|number| number + 1).ok_or_else(|| self.damaged("a key is no key")),
        }
    }

    /// How many exchanges of a take were acknowledged, as far as that is known outside the engine.
    fn acknowledged(&self, take: u64) -> Result<u64, Fault> {
        let count = read_count(&count_file(&self.path, take)).map_err(|why| self.damaged(why))?;
        Ok(count.unwrap_or(0))
    }

    fn start(&self) -> Result<Orders, Fault> {
        let committer = Committer::new(&self.path, self.engine.clone())?;
        Orders::start(committer).map_err(|source| Fault::io(&self.path, "opened", source))
    }

    fn orders(&self) -> Result<&Orders, Fault> {
        self.orders.as_ref().ok_or(Fault::Closed)
    }

    /// Hands an exchange over to be written, unless its take is closed.
    fn hand_over(
        &self,
        take: u64,
        arrival: u64,
        exchange: &Taped<Exchange>,
        under_way: usize,
        to: impl FnOnce(&Orders, Append),
    ) -> Receipt {
        let (sender, receipt) = oneshot::channel();
        let row = match row::write_after(HEAD, exchange) {
            Ok(row) => framed(arrival, row),
            Err(why) => {
                // Whoever waits for the receipt has it before it can be dropped.
                let _ = sender.send(Err(Fault::Unkeepable(why)));
                return receipt;
            }
        };
        let closed = self.closed.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(orders) = self.orders.as_ref().filter(|_| !closed.contains(&take)) {
            to(orders, Append { take, row, under_way, receipt: sender });
        }
        receipt
    }

    /// The whole row of an exchange; empty where there is none.
    ///
    /// Each is looked up by itself: sled lets go of pages only that are asked for again, so one scan over all rows would
    /// leave all of them in memory.
    fn row(&self, take: u64, number: u64) -> Result<Vec<u8>, Fault> {
        let from = row_key(take, number, 0);
        self.engine.read(|engine| {
            let pieces = engine.rows.scan_prefix(&from[..16]).values();
            pieces.collect::<sled::Result<Vec<_>>>().map(|pieces| pieces.concat())
        })
    }

    fn broken(&self, take: u64, number: u64, why: &str) -> Fault {
        self.damaged(format!("in take {take} exchange {} {why}", number + 1))
    }

    fn damaged(&self, why: impl Into<String>) -> Fault {
        Fault::Damaged { path: self.path.clone(), why: why.into() }
    }
}

impl Takes for Journal {
    fn begin_with(
        &self,
        cassette: &str,
        started: u64,
        beside: Option<String>,
        exchanges: &[Taped<Exchange>],
    ) -> Result<u64, Fault> {
        let take = TakeRow { cassette: cassette.to_owned(), started, copied: exchanges.len() as u64, beside };
        let take = serde_json::to_vec(&take).expect("a take prints to memory");
        let row = |(arrival, exchange): (u64, &Taped<Exchange>)| Ok(framed(arrival, row::write_after(HEAD, exchange)?));
        let rows: Result<Vec<Vec<u8>>, String> = (1..).zip(exchanges).map(row).collect();
        let rows = rows.map_err(Fault::Unkeepable)?;
        self.orders()?.between_commits(move |committer| committer.begin(take, rows))
    }

    fn append(&self, take: u64, arrival: u64, exchange: &Taped<Exchange>) -> Receipt {
        self.hand_over(take, arrival, exchange, 0, Orders::append)
    }

    fn append_among(&self, under_way: usize, take: u64, arrival: u64, exchange: &Taped<Exchange>) -> Receipt {
        self.hand_over(take, arrival, exchange, under_way, Orders::append_among)
    }

    fn close(&self, take: u64) -> Result<(), Fault> {
        self.closed.write().unwrap_or_else(PoisonError::into_inner).insert(take);
        self.orders()?.settle()
    }

    fn takes(&self) -> Result<Vec<Take>, Fault> {
        let rows = self.engine.read(|engine| engine.takes.iter().collect::<sled::Result<Vec<_>>>())?;
        let take = |(key, value): (sled::IVec, sled::IVec)| {
            let id = take_number(&key).ok_or_else(|| self.damaged("a key is no key"))?;
            let row: TakeRow =
                serde_json::from_slice(&value).map_err(|why| self.damaged(format!("take {id}: {why}")))?;
            let TakeRow { cassette, started, copied, beside } = row;
            // What is in the log only was counted when it was acknowledged.
            let exchanges = self.count(id)?.max(self.acknowledged(id)?);
            Ok(Take { id, cassette, started, exchanges, copied, beside })
        };
        rows.into_iter().map(take).collect()
    }

    fn order(&self, take: u64) -> Result<Vec<u64>, Fault> {
        self.orders()?.between_commits(|_| Ok(()))?;
        let (count, acknowledged) = (self.count(take)?, self.acknowledged(take)?);
        let mut arrivals = Vec::new();
        for number in 0..count {
            let row = self.row(take, number)?;
            if row.is_empty() {
                return Err(self.damaged(format!("in take {take} exchange {} is missing", number + 1)));
            }
            match unframed(&row) {
                Some((arrival, _)) => arrivals.push((arrival, number)),
                // A crash cut it short before anyone was told that it is kept.
                None if number >= acknowledged => break,
                None => return Err(self.broken(take, number, "is not what was written")),
            }
        }
        arrivals.sort_by_key(|(arrival, _)| *arrival);
        Ok(arrivals.into_iter().map(|(_, number)| number).collect())
    }

    fn exchange(&self, take: u64, number: u64) -> Result<Taped<Exchange>, Fault> {
        let row = self.row(take, number)?;
        let (_, row) = unframed(&row).ok_or_else(|| self.broken(take, number, "is not what was written"))?;
        row::read(row).map_err(|why| self.broken(take, number, &why))
    }

    fn remove(&self, take: u64) -> Result<(), Fault> {
        self.orders()?.between_commits(move |committer| committer.remove(take))
    }
}

/// Puts into the engine what the last process left in its log. A crash on the way repeats that.
fn take_over(path: &Path, engine: &Engine, mut rows: Vec<Row<'_>>) -> Result<(), Fault> {
    // So that those of each are together.
    rows.sort_by_key(|row| row.take);
    for rows in rows.chunk_by(|a, b| a.take == b.take) {
        // It was begun before they were written, and they are gone from the log before it is removed.
        let take = rows[0].take;
        if !engine.read(|engine| engine.takes.contains_key(take.to_be_bytes()))? {
            let why = format!("take {take} is missing, and its log has exchanges of it");
            return Err(Fault::Damaged { path: path.to_owned(), why });
        }
    }
    engine.put(&rows)
}

/// Whether a folder holds other things than a store: it is left as it is then.
fn is_anothers(path: &Path) -> bool {
    let holds = |name: &str| path.join(name).exists();
    let empty = fs::read_dir(path).map_or(true, |mut files| files.next().is_none());
    !empty && !holds("sled") && !holds("lock") && !holds("index")
}

/// Takes a lock that may be held a moment longer than its owner by a process that is just being started: it has our files
/// until it becomes another program.
fn lock_soon(file: &File) -> Result<(), TryLockError> {
    for _ in 0..LOCK_TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            taken => return taken,
        }
    }
    file.try_lock()
}

/// Takes the lock of a store. It ends with the process, however that ends.
fn lock(path: &Path) -> Result<File, Fault> {
    let opened = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path.join("lock"));
    let mut file = opened.map_err(|source| Fault::io(path, "opened", source))?;
    match lock_soon(&file) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Request, Response};
    use crate::tape::scribe;

    fn exchange(body: &str) -> Taped<Exchange> {
        let exchange = Exchange {
            request: Request {
                method: "POST".into(),
                host: "graph.microsoft.com".into(),
                target: "/beta/userStatuses".into(),
                headers: Headers::default(),
                body: body.to_owned().into(),
            },
            response: Response { status: 201, headers: Headers::default(), body: body.to_owned().into() },
            took: None,
        };
        scribe::tape_exchange(exchange, &crate::tape::secrets::Secrets::default())
    }

    fn append(journal: &Journal, take: u64, arrival: u64, exchange: &Taped<Exchange>) {
        journal.append(take, arrival, exchange).blocking_recv().unwrap().unwrap();
    }

    #[test]
    fn no_number_is_given_twice_and_a_copy_is_there_whole() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let first = journal.begin("a", 0).unwrap();
        journal.close(first).unwrap();
        journal.remove(first).unwrap();
        let copied: Vec<_> = (0..3000).map(|n| exchange(&format!("{{\"n\":{n}}}"))).collect();
        let second = journal.begin_with("b", 0, None, &copied).unwrap();
        assert_ne!(first, second);
        assert_eq!(journal.read(second).unwrap(), copied);
        append(&journal, second, u64::MAX, &exchange("last"));
        assert_eq!(journal.takes().unwrap()[0].exchanges, 3001);
        drop(journal);
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.read(second).unwrap().len(), 3001);
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

    /// What a store's folder holds at this moment, as one who opens it finds it after `kill -9`.
    fn killed(dir: &Path) -> tempfile::TempDir {
        fn copy(from: &Path, to: &Path) {
            for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
                let to = to.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    fs::create_dir(&to).unwrap();
                    copy(&entry.path(), &to);
                } else {
                    fs::copy(entry.path(), to).unwrap();
                }
            }
        }
        let copied = tempfile::tempdir().unwrap();
        copy(dir, copied.path());
        copied
    }

    #[test]
    fn what_is_in_the_log_only_is_counted_read_and_taken_over() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let takes = [journal.begin("a", 7).unwrap(), journal.begin("b", 8).unwrap()];
        let written: Vec<_> = (0..10).map(|n| exchange(&format!("exchange {n}"))).collect();
        for (number, exchange) in (0..).zip(&written) {
            append(&journal, takes[usize::try_from(number % 2).unwrap()], number, exchange);
        }
        let counts = |journal: &Journal| journal.takes().unwrap().iter().map(|take| take.exchanges).collect::<Vec<_>>();
        assert_eq!((counts(&journal), journal.count(takes[0]).unwrap()), (vec![5, 5], 0), "the engine has none yet");
        let killed_then = killed(dir.path());
        assert_eq!(journal.read(takes[0]).unwrap().len(), 5);
        assert_eq!(journal.count(takes[0]).unwrap(), 5);
        drop(journal);
        assert!(!dir.path().join("log").exists());

        // Twice: the first one may be killed as well before it has removed the log.
        let log = fs::read(killed_then.path().join("log")).unwrap();
        for _ in 0..2 {
            fs::write(killed_then.path().join("log"), &log).unwrap();
            let journal = Journal::open(killed_then.path()).unwrap();
            for (one, take) in takes.into_iter().enumerate() {
                let expected: Vec<_> = written.iter().skip(one).step_by(2).cloned().collect();
                assert_eq!(journal.read(take).unwrap(), expected);
            }
            assert!(!killed_then.path().join("log").exists());
        }
    }

    #[test]
    fn more_than_the_log_holds_is_kept_in_order_and_a_removed_take_leaves_it() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let (kept, removed) = (journal.begin("a", 7).unwrap(), journal.begin("b", 8).unwrap());
        // Some go by the log, as they are larger than all of it.
        let sizes = [10, 300_000, 3_000_000, 5, 700_000, 10, 600_000, 2_000_000, 400_000, 20];
        let written: Vec<_> = (0..).zip(sizes).map(|(n, size)| exchange(&format!("{n}").repeat(size))).collect();
        let receipts: Vec<_> = (0..).zip(&written).map(|(n, exchange)| journal.append(kept, n, exchange)).collect();
        receipts.into_iter().for_each(|receipt| receipt.blocking_recv().unwrap().unwrap());
        let marker = "this take is removed";
        append(&journal, removed, 0, &exchange(marker));
        let holds = |dir: &Path| memchr::memmem::find(&fs::read(dir.join("log")).unwrap(), marker.as_bytes()).is_some();
        assert!(holds(dir.path()));
        journal.remove(removed).unwrap();
        assert!(!holds(dir.path()));
        append(&journal, kept, 99, &exchange("last"));
        let expected = [&written[..], &[exchange("last")]].concat();
        let journals = [killed(dir.path()), {
            drop(journal);
            dir
        }];
        for dir in journals {
            let journal = Journal::open(dir.path()).unwrap();
            assert!(journal.read(kept).unwrap() == expected);
            assert_eq!(journal.read(removed).unwrap(), []);
        }
    }

    /// A row of so many bytes.
    fn framed_row(number: u64, size: usize) -> Vec<u8> {
        framed(number, [&[0; HEAD][..], &vec![number.to_le_bytes()[0]; size]].concat())
    }

    #[test]
    fn a_row_that_is_missing_is_no_other_one() {
        let earlier = |number: u64| {
            let row = [number.to_le_bytes()[0]; 100];
            let (arrival, length) = (number.to_be_bytes(), (row.len() as u64).to_be_bytes());
            [&arrival[..], &length, blake3::hash(&row).as_bytes(), &row].concat()
        };
        for row in [|number| framed_row(number, 100), |number| framed_row(number, 5000), earlier] {
            let dir = tempfile::tempdir().unwrap();
            let journal = Journal::open(dir.path()).unwrap();
            let take = journal.begin("run", 0).unwrap();
            let framed: Vec<Vec<u8>> = (0..8).map(row).collect();
            let rows: Vec<Row<'_>> = (0..).zip(&framed).map(|(number, row)| Row { take, number, row }).collect();
            journal.engine.put(&rows[..3]).unwrap();
            journal.engine.put(&rows[5..]).unwrap();
            for row in &rows {
                let kept = journal.row(take, row.number).unwrap();
                assert_eq!(kept, if (3..5).contains(&row.number) { &[][..] } else { row.row });
            }
            let fault = journal.order(take).unwrap_err().to_string();
            assert!(fault.contains("exchange 4 is missing"), "{fault}");
        }
    }

    #[test]
    fn a_log_that_lost_what_was_acknowledged_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        let take = journal.begin("a", 7).unwrap();
        (0..3).for_each(|n| append(&journal, take, n, &exchange("x")));
        type Damage = fn(&mut Vec<u8>);
        let cases: [(&str, Damage); 3] = [
            ("its file `log` has lost commit 2 of 3", |log| log[512 * 2 + 40] ^= 1),
            // The last one may be torn, but then it was not acknowledged, and not counted.
            ("take 1 has 2 of its 3 exchanges", |log| log[512 * 3 + 40] ^= 1),
            ("take 1 has 0 of its 3 exchanges", |log| log[512..].fill(0)),
        ];
        for (why, damage) in cases {
            let killed = killed(dir.path());
            let mut log = fs::read(killed.path().join("log")).unwrap();
            damage(&mut log);
            fs::write(killed.path().join("log"), log).unwrap();
            let fault = Journal::open(killed.path()).unwrap_err().to_string();
            assert!(fault.contains(why), "{fault}");
        }
        let killed = killed(dir.path());
        fs::remove_file(killed.path().join("log")).unwrap();
        let fault = Journal::open(killed.path()).unwrap_err().to_string();
        assert!(fault.contains("take 1 has 0 of its 3 exchanges"), "{fault}");
    }

    #[test]
    fn a_store_of_an_earlier_format_is_taken_over_with_its_rows() {
        for format in ["1\n", "2\n", "3\n"] {
            let dir = tempfile::tempdir().unwrap();
            filled(dir.path());
            fs::write(dir.path().join("format"), format).unwrap();
            let journal = Journal::open(dir.path()).unwrap();
            append(&journal, 1, 4, &exchange("new"));
            assert_eq!(journal.read(1).unwrap().len(), 4);
            assert_eq!(fs::read_to_string(dir.path().join("format")).unwrap(), "4\n");
        }
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
        crate::store::engine::hush_caught_panics();
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
    fn a_folder_with_other_things_in_it_becomes_no_store() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mine.txt"), "").unwrap();
        let fault = Journal::open(dir.path()).unwrap_err().to_string();
        assert!(fault.ends_with("is not empty and holds no store: give --store a folder of its own"), "{fault}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn an_unfinished_snapshot_does_not_keep_a_store_closed() {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        fs::write(dir.path().join("sled").join("snap.0000000000000001.generating"), "").unwrap();
        assert_eq!(Journal::open(dir.path()).unwrap().takes().unwrap().len(), 1);
    }
}
