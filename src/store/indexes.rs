//! The indexes of large cassettes, beside the store: found again as long as nothing that they depend on has changed.

use crate::platform;
use crate::tape::index::Index;
use crate::tape::matching::Rules;
use crate::tape::mint::Mint;
use crate::tape::played::Shelf;
use crate::tape::streaming::Digests;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What an index begins with; the number is that of its format.
const MAGIC: &[u8; 16] = b"graphdeck index1";
/// How long the head of an index is.
const HEAD: u64 = 512;
/// The exchanges of an index up to this size are read into memory when it is opened, those of a larger one when they are
/// played.
pub const HELD: u64 = 32 << 20;
/// A file that was changed so shortly before it was read may be changed again without that being seen in its time.
const SETTLED: Duration = Duration::from_secs(2);

/// The indexes of a store.
#[derive(Clone, Debug)]
pub struct Indexes(PathBuf);

/// What tells that an index is of a cassette as it is now.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The file of the cassette.
    pub cassette: &'a Path,
    /// What the index depends on besides it.
    pub fingerprint: [u8; 32],
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    fingerprint: [u8; 32],
    length: u64,
    /// When the cassette was changed last; none where that was too shortly before to tell.
    changed: Option<Duration>,
    file: [u8; 32],
    text: [u8; 32],
    tables: u64,
    end: u64,
}

/// An index that is being written.
#[derive(Debug)]
pub struct Writing {
    file: BufWriter<Fresh>,
    at: u64,
    cassette: Metadata,
}

#[derive(Debug)]
enum Fresh {
    /// One that is kept.
    Named(tempfile::NamedTempFile, PathBuf),
    /// One that is gone with this process, where nothing can be kept.
    Passing(File),
}

impl Indexes {
    /// The indexes beside a store, which need not be there.
    #[must_use]
    pub fn of(store: &Path) -> Self {
        Self(store.join("index"))
    }

    fn path(&self, cassette: &Path) -> PathBuf {
        let whole = fs::canonicalize(cassette).unwrap_or_else(|_| cassette.to_owned());
        let stem: String = cassette.file_stem().unwrap_or_default().to_string_lossy().chars().take(64).collect();
        let digest = blake3::hash(whole.as_os_str().as_encoded_bytes()).to_hex();
        self.0.join(format!("{stem}-{}", &digest[..16]))
    }

    /// Opens the index of a cassette, if there is one that is current and whole.
    #[must_use]
    pub fn open(&self, wanted: Wanted<'_>, rules: &Rules, mint: impl Fn(&[u8; 32]) -> Mint) -> Option<Index> {
        let path = self.path(wanted.cassette);
        if !path.is_file() {
            return None;
        }
        match open(&path, wanted, rules, mint) {
            Ok(index) => {
                tracing::debug!("the index {} is current", path.display());
                Some(index)
            }
            Err(why) => {
                tracing::debug!("the index {} is not used: {why}", path.display());
                None
            }
        }
    }

    /// Begins an index of a cassette. Where none can be written beside the store it is one for this run only.
    ///
    /// # Errors
    /// When the cassette cannot be read, or no file can be written anywhere.
    pub fn begin(&self, cassette: &Path) -> io::Result<Writing> {
        let file = match self.fresh() {
            Ok(file) => Fresh::Named(file, self.path(cassette)),
            Err(why) => {
                tracing::debug!("no index is kept in {}: {why}", self.0.display());
                Fresh::Passing(tempfile::tempfile()?)
            }
        };
        let mut file = BufWriter::with_capacity(1 << 18, file);
        file.write_all(&[0; HEAD as usize])?;
        Ok(Writing { file, at: HEAD, cassette: fs::metadata(cassette)? })
    }

    fn fresh(&self) -> io::Result<tempfile::NamedTempFile> {
        fs::create_dir_all(&self.0)?;
        let ignore = self.0.join(".gitignore");
        if !ignore.exists() {
            fs::write(ignore, "*\n")?;
        }
        platform::temporary_file(&self.0, true)
    }
}

impl Writing {
    /// Adds the next exchange, packed, and tells where it ends.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, packed: &[u8]) -> io::Result<u64> {
        self.file.write_all(packed)?;
        self.at += packed.len() as u64;
        Ok(self.at)
    }

    /// Where the first exchange begins.
    #[must_use]
    pub fn first(&self) -> u64 {
        HEAD
    }

    /// The shelf of the exchanges that were added.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn shelf(&mut self) -> io::Result<Box<dyn Shelf>> {
        self.file.flush()?;
        let (file, path) = match self.file.get_ref() {
            Fresh::Named(file, path) => (file.as_file().try_clone()?, Some(path.clone())),
            Fresh::Passing(file) => (file.try_clone()?, None),
        };
        Ok(Box::new(IndexFile { file, path }))
    }

    /// Writes all else of the index, and keeps it.
    ///
    /// # Errors
    /// When it cannot be written; the index can be used all the same.
    pub fn keep(mut self, index: &Index, fingerprint: [u8; 32], digests: &Digests) -> io::Result<()> {
        if matches!(self.file.get_ref(), Fresh::Passing(_)) {
            return Ok(());
        }
        let tables = self.at;
        index.pack(&mut self.file)?;
        let end = self.file.stream_position()?;
        let Digests { file, text, length } = *digests;
        // What was changed while it was read is another than the one that was read: its length or digest tells so.
        let changed = self.cassette.modified().ok().filter(|at| at.elapsed().is_ok_and(|since| since > SETTLED));
        let changed = changed.and_then(since_epoch);
        let head = Head { fingerprint, length, changed, file, text, tables, end };
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&head.packed())?;
        self.file.flush()?;
        let Ok(Fresh::Named(file, path)) = self.file.into_inner().map_err(io::IntoInnerError::into_error) else {
            return Ok(());
        };
        file.persist(&path).map_err(|fault| fault.error)?;
        tracing::debug!("the index {} is made", path.display());
        Ok(())
    }
}

impl Write for Fresh {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Named(file, _) => file.write(bytes),
            Self::Passing(file) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Fresh {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        match self {
            Self::Named(file, _) => file.seek(to),
            Self::Passing(file) => file.seek(to),
        }
    }
}

impl Head {
    fn packed(&self) -> Vec<u8> {
        let head = postcard::to_allocvec(self).expect("a head is packed to memory");
        let length = u16::try_from(head.len()).expect("a head is short");
        let mut packed = [&MAGIC[..], &crc32fast::hash(&head).to_le_bytes(), &length.to_le_bytes(), &head].concat();
        packed.resize(HEAD as usize, 0);
        packed
    }

    fn unpacked(bytes: &[u8; HEAD as usize]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (sum, rest) = rest.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        let head = rest.get(..u16::from_le_bytes(*length).into())?;
        (crc32fast::hash(head) == u32::from_le_bytes(*sum)).then(|| postcard::from_bytes(head).ok()).flatten()
    }
}

fn since_epoch(time: SystemTime) -> Option<Duration> {
    time.duration_since(SystemTime::UNIX_EPOCH).ok()
}

fn open(
    path: &Path,
    wanted: Wanted<'_>,
    rules: &Rules,
    mint: impl Fn(&[u8; 32]) -> Mint,
) -> Result<Index, Box<dyn std::error::Error>> {
    let mut file = File::open(path)?;
    let mut head = [0; HEAD as usize];
    file.read_exact(&mut head)?;
    let head = Head::unpacked(&head).ok_or("its head is not as it was written")?;
    if head.fingerprint != wanted.fingerprint {
        return Err("it was made by another program or by other rules".into());
    }
    if head.end != file.metadata()?.len() {
        return Err("it has another length than it was written with".into());
    }
    if !is_current(&head, path, wanted.cassette)? {
        return Err("the cassette has changed".into());
    }
    file.seek(SeekFrom::Start(head.tables))?;
    let shelf = IndexFile { file: file.try_clone()?, path: Some(path.to_owned()) };
    let length = head.end - head.tables;
    let index = Index::unpack(file, length, Box::new(shelf), rules.clone(), mint(&head.text))?;
    if head.end > HELD {
        return Ok(index);
    }
    index.held().ok_or_else(|| "an exchange in it is not as it was written".into())
}

/// Whether a cassette is the one of an index. Where only its time is another it is read to tell, and the time noted.
fn is_current(head: &Head, path: &Path, cassette: &Path) -> io::Result<bool> {
    let found = fs::metadata(cassette)?;
    if found.len() != head.length {
        return Ok(false);
    }
    let changed = found.modified().ok();
    let time = changed.and_then(since_epoch);
    if time.is_some() && time == head.changed {
        return Ok(true);
    }
    let mut hasher = blake3::Hasher::new();
    io::copy(&mut BufReader::with_capacity(1 << 18, File::open(cassette)?), &mut hasher)?;
    if *hasher.finalize().as_bytes() != head.file {
        return Ok(false);
    }
    if changed.is_some_and(|at| at.elapsed().is_ok_and(|since| since > SETTLED)) {
        let noted = Head { changed: time, ..head.clone() }.packed();
        // It only saves the next start some time.
        let _ = fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(&noted));
    }
    Ok(true)
}

/// An index as the shelf of its exchanges.
#[derive(Debug)]
struct IndexFile {
    file: File,
    path: Option<PathBuf>,
}

impl Shelf for IndexFile {
    fn read(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = vec![0; usize::try_from(range.end.checked_sub(range.start)?).ok()?];
        platform::read_at(&self.file, range.start, &mut bytes).ok()?;
        Some(bytes)
    }

    fn damaged(&self) {
        if let Some(path) = &self.path {
            // The next run makes it anew.
            let _ = fs::remove_file(path);
            tracing::error!("the index {} was damaged, and is removed: start the deck again", path.display());
        }
    }
}
