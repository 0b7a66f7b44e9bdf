//! Sled, with its panics caught and its writes synced.
//!
//! What sled 0.34 asks for: `flush` is no fsync on Linux (spacejam/sled#1351), so the data file is synced after it;
//! damage shows as a panic, so panics are caught; a cache without a bound grows to 1 GiB; and a snapshot that a crash
//! cut short keeps it from opening.

use super::rows::{Row, row_key};
use super::takes::Fault;
use crate::platform;
use std::cell::Cell;
use std::fs::{self, File, OpenOptions};
use std::io::{
    self,
    ErrorKind::{InvalidData, InvalidInput, UnexpectedEof},
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often a lock that is held is asked for again, and after what time.
pub(super) const LOCK_TRIES: u32 = 100;
pub(super) const LOCK_PAUSE: std::time::Duration = std::time::Duration::from_millis(10);

/// The largest value handed to sled, in bytes. What is larger than 128 KiB lands in files of its own, which sled never
/// syncs, and that goes for its leaves too: one holds up to 16 values, and 20 for a moment after two were merged.
const PIECE: usize = 4 * 1024;

/// How many bytes of rows are written together at least, if there are as many.
const PART: usize = 1024 * 1024;

/// Sled's cache, in bytes; its default would grow to 1 GiB. Rows are written and read in their order, so a large one only
/// takes memory: and what sled takes beside it for pages that it has not looked at again yet is more than this.
const CACHE: u64 = 8 * 1024 * 1024;

/// The engine of a store, open. One thread writes to it at a time.
#[derive(Clone, Debug)]
pub(super) struct Engine {
    path: PathBuf,
    db: sled::Db,
    pub(super) takes: sled::Tree,
    pub(super) rows: sled::Tree,
    data: Arc<File>,
}

impl Engine {
    /// Opens the engine of the store in `path`, in a folder of its own there.
    ///
    /// # Errors
    /// When it is damaged, or the system refuses.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let folder = path.join("sled");
        remove_unfinished_snapshots(&folder).map_err(|source| Fault::io(path, "opened", source))?;
        let config = sled::Config::new().path(&folder).cache_capacity(CACHE).flush_every_ms(None);
        let db = guarded(path, "opened", || open_soon(&config))?;
        let data = sync_files(&folder).map_err(|source| Fault::io(path, "opened", source))?;
        let (takes, rows) = guarded(path, "opened", || Ok((db.open_tree("takes")?, db.open_tree("rows")?)))?;
        Ok(Self { path: path.to_owned(), db, takes, rows, data: Arc::new(data) })
    }

    /// Reads from it.
    ///
    /// # Errors
    /// When it is damaged, or the system refuses.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Self) -> sled::Result<T>) -> Result<T, Fault> {
        guarded(&self.path, "read", || read(self))
    }

    /// Writes to it; [`Self::sync`] brings that to the disk.
    ///
    /// # Errors
    /// When it is damaged, or the system refuses.
    pub(super) fn write<T>(&self, write: impl FnOnce(&Self) -> sled::Result<T>) -> Result<T, Fault> {
        guarded(&self.path, "written", || write(self))
    }

    /// Brings all that was written to the disk.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn sync(&self) -> Result<(), Fault> {
        self.write(|engine| engine.db.flush())?;
        self.data.sync_data().map_err(|source| Fault::io(&self.path, "written", source))
    }

    /// Writes rows, and brings them to the disk part by part: of each part all are there or none.
    ///
    /// Whole batches, since a power cut amid rows that were inserted one by one left a file that sled could not open.
    ///
    /// # Errors
    /// When that fails.
    pub(super) fn put(&self, rows: &[Row<'_>]) -> Result<(), Fault> {
        let (mut batch, mut bytes) = (sled::Batch::default(), 0);
        for (left, row) in (0..rows.len()).rev().zip(rows) {
            insert(&mut batch, *row);
            bytes += row.row.len();
            if bytes >= PART || left == 0 {
                let part = std::mem::take(&mut batch);
                self.write(|engine| engine.rows.apply_batch(part))?;
                self.sync()?;
                bytes = 0;
            }
        }
        Ok(())
    }
}

/// Adds a row to a batch, in pieces.
fn insert(batch: &mut sled::Batch, Row { take, number, row }: Row<'_>) {
    for (piece, i) in row.chunks(PIECE).zip(0u32..) {
        batch.insert(&row_key(take, number, i)[..], piece);
    }
}

/// Makes durable that the engine's files are there, which sled leaves to the system, and returns the one with the data.
fn sync_files(folder: &Path) -> io::Result<File> {
    // Some systems sync only what is open for writing.
    let open = |name: &str| OpenOptions::new().write(true).open(folder.join(name));
    open("conf")?.sync_all()?;
    let data = open("db")?;
    data.sync_all()?;
    platform::sync_dir(folder)?;
    Ok(data)
}

/// Opens the engine, whose own lock may be held a moment longer than ours by a process that is just being started: it
/// has our files until it becomes another program.
fn open_soon(config: &sled::Config) -> sled::Result<sled::Db> {
    for _ in 0..LOCK_TRIES {
        match config.open() {
            Err(sled::Error::Io(fault)) if is_locked(&fault) => std::thread::sleep(LOCK_PAUSE),
            opened => return opened,
        }
    }
    config.open()
}

/// Sled tells a held lock as an error of its own, with the system's in its words.
fn is_locked(fault: &io::Error) -> bool {
    fault.to_string().contains("could not acquire lock")
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

/// Sled hands the system's errors on as the text of their parts, once it keeps them.
fn plain(fault: io::Error) -> io::Error {
    match fault.kind() {
        io::ErrorKind::Other => fault,
        _ if fault.raw_os_error().is_some() => fault,
        kind => kind.into(),
    }
}

/// Runs what calls sled, turning its panics and errors into faults of the store.
fn guarded<T>(path: &Path, what: &'static str, run: impl FnOnce() -> sled::Result<T>) -> Result<T, Fault> {
    GUARDED.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(run));
    GUARDED.set(false);
    let damaged = |why: String| Fault::Damaged { path: path.to_owned(), why };
    match outcome {
        Ok(Ok(value)) => Ok(value),
        // A file that ends too soon is no refusal of the system's.
        Ok(Err(sled::Error::Io(source))) if matches!(source.kind(), UnexpectedEof | InvalidData | InvalidInput) => {
            Err(damaged(source.to_string()))
        }
        Ok(Err(sled::Error::Io(source))) => Err(Fault::io(path, what, plain(source))),
        Ok(Err(sled::Error::Unsupported(why))) => {
            let why = why.split_inclusive(". ").next().unwrap_or_default().trim_end_matches(['.', ' ']).to_owned();
            Err(Fault::Version { path: path.to_owned(), why })
        }
        Ok(Err(fault)) => Err(damaged(fault.to_string())),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Err(damaged(said.unwrap_or("its content makes no sense").lines().next().unwrap_or_default().to_owned()))
        }
    }
}
