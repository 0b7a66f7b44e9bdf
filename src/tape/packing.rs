//! An index as bytes: its tables one after another, as they stand in memory, so that reading them costs no more than that.

use super::adapting::Waits;
use super::column::{Column, Line};
use super::finder::Finder;
use super::ids::{Ids, Run};
use super::index::{Index, Tables};
use super::matching::{Key, Rules};
use super::mint::Mint;
use super::played::{Exchanges, Kept, Shelf};
use super::reading_cache::ReadingCache;
use super::row_set::RowSet;
use super::shapes::{Groups, Keys, Shapes};
use super::values::Values;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::sync::Arc;

/// Goes up with every change to what an index holds or to how requests are read, so that no index of another program is
/// taken for one of this.
const READING: u32 = 6;

/// What an index depends on besides its cassette: this program, and the rules by which messages are read.
#[must_use]
pub fn fingerprint(rules: &Rules, waits: Waits) -> [u8; 32] {
    let version = env!("CARGO_PKG_VERSION");
    // All that rules say is in the form in which they are debugged.
    *blake3::hash(format!("{version} {READING} {waits:?} {rules:?}").as_bytes()).as_bytes()
}

/// What is small in an index.
#[derive(Serialize, Deserialize)]
struct Small {
    people: bool,
    runs: Vec<Run>,
    routes: BTreeMap<Key, Vec<u32>>,
    paths: BTreeMap<Key, Vec<u32>>,
    used: BTreeSet<(usize, String)>,
}

impl Index {
    /// Writes the tables of an index whose exchanges are kept.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn pack(&self, writer: impl Write) -> io::Result<()> {
        let small = Small {
            people: self.rules.ids().people,
            runs: self.ids.runs.clone(),
            routes: self.routes.clone(),
            paths: self.paths.clone(),
            used: self.used.clone(),
        };
        let small = postcard::to_allocvec(&small).map_err(io::Error::other)?;
        let mut packer = Packer { writer, sum: crc32fast::Hasher::new(), buffer: Vec::new() };
        packer.bytes(&small)?;
        packer.values(&self.ids.values)?;
        packer.values(&self.literals)?;
        packer.bytes(&self.traits)?;
        packer.column(&self.minters)?;
        packer.numbers(&self.shared.0)?;
        packer.shapes(&self.exact, &self.loose)?;
        if let Exchanges::Kept(kept) = &self.exchanges {
            packer.table(&kept.from, |from| from.to_le_bytes())?;
        }
        let sum = packer.sum.finalize();
        packer.writer.write_all(&sum.to_le_bytes())
    }

    /// Reads the tables that [`Index::pack`] wrote, `length` bytes, of an index whose exchanges are on `shelf`.
    ///
    /// # Errors
    /// When the reader fails, or the bytes are not those that were written.
    pub fn unpack(reader: impl Read, length: u64, shelf: Box<dyn Shelf>, rules: Rules, mint: Mint) -> io::Result<Self> {
        let mut unpacker =
            Unpacker { reader, left: length, sum: crc32fast::Hasher::new(), buffer: vec![0; BUFFER].into() };
        let small: Small = postcard::from_bytes(&unpacker.bytes()?).map_err(io::Error::other)?;
        let ids = Ids::of_parts(small.runs, unpacker.values()?);
        let (literals, traits) = (unpacker.values()?, unpacker.bytes()?);
        let (minters, shared) = (unpacker.column()?, RowSet(unpacker.numbers()?));
        let [exact, loose] = unpacker.shapes()?;
        let tables = Tables {
            ids,
            literals,
            traits,
            minters,
            shared,
            first_asked: Column::default(),
            exact,
            loose,
            routes: small.routes,
            paths: small.paths,
            used: small.used,
            readings: ReadingCache::default(),
            exchanges: Exchanges::Kept(Kept::new(shelf, unpacker.table(u64::from_le_bytes)?)),
        };
        unpacker.end()?;
        Ok(Self { tables: Arc::new(tables), mint, rules: rules.for_people(small.people) })
    }
}

/// How much is packed or unpacked at once: it stays in the processor's cache.
const BUFFER: usize = 1 << 16;

struct Packer<W> {
    writer: W,
    sum: crc32fast::Hasher,
    buffer: Vec<u8>,
}

impl<W: Write> Packer<W> {
    fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.sum.update(bytes);
        self.writer.write_all(bytes)
    }

    fn table<T: Copy, const N: usize>(&mut self, table: &[T], bytes: impl Fn(T) -> [u8; N]) -> io::Result<()> {
        self.put(&(table.len() as u64).to_le_bytes())?;
        for part in table.chunks(BUFFER / N) {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            part.iter().for_each(|one| buffer.extend(bytes(*one)));
            self.put(&buffer)?;
            self.buffer = buffer;
        }
        Ok(())
    }

    fn numbers(&mut self, numbers: &[u32]) -> io::Result<()> {
        self.table(numbers, u32::to_le_bytes)
    }

    fn values(&mut self, values: &Values) -> io::Result<()> {
        self.table(&values.bits, u128::to_le_bytes)?;
        self.bytes(&values.kinds)?;
        self.bytes(values.texts.as_bytes())?;
        self.finder(&values.finder)
    }

    fn finder(&mut self, finder: &Finder) -> io::Result<()> {
        let (bits, places) = finder.parts();
        self.put(&bits.to_le_bytes())?;
        self.numbers(places)
    }

    fn column(&mut self, column: &Column) -> io::Result<()> {
        self.table(&column.lines, Line::bytes)?;
        self.bytes(&column.above)?;
        self.numbers(&column.rest)
    }

    /// Writes what is the same of both once.
    fn shapes(&mut self, exact: &Shapes, loose: &Shapes) -> io::Result<()> {
        self.keys(&exact.keys)?;
        self.groups(&exact.groups)?;
        let own = [!Arc::ptr_eq(&exact.keys, &loose.keys), !Arc::ptr_eq(&exact.groups, &loose.groups)];
        self.bytes(&own.map(u8::from))?;
        if own[0] {
            self.keys(&loose.keys)?;
        }
        if own[1] {
            self.groups(&loose.groups)?;
        }
        Ok(())
    }

    fn keys(&mut self, keys: &Keys) -> io::Result<()> {
        self.table(&keys.keys, |key| key.0)?;
        self.finder(&keys.finder)
    }

    fn groups(&mut self, groups: &Groups) -> io::Result<()> {
        self.column(&groups.groups_from)?;
        self.column(&groups.fillings_from)?;
        self.numbers(&groups.fillings)?;
        self.numbers(&groups.exchanges)?;
        self.numbers(&groups.lists)?;
        self.finder(&groups.by_filling)
    }
}

struct Unpacker<R> {
    reader: R,
    left: u64,
    sum: crc32fast::Hasher,
    buffer: Box<[u8]>,
}

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl<R: Read> Unpacker<R> {
    fn length(&mut self, size: usize) -> io::Result<usize> {
        let mut length = [0; 8];
        self.take(&mut length)?;
        let length = u64::from_le_bytes(length);
        // A length that is damaged must not ask for memory.
        let fits = length.checked_mul(size as u64).is_some_and(|bytes| bytes <= self.left);
        usize::try_from(length).ok().filter(|_| fits).ok_or_else(damaged)
    }

    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.reader.read_exact(bytes)?;
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(damaged)?;
        self.sum.update(bytes);
        Ok(())
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.length(1)?];
        self.take(&mut bytes)?;
        Ok(bytes)
    }

    fn table<T, const N: usize>(&mut self, of: impl Fn([u8; N]) -> T) -> io::Result<Vec<T>> {
        let length = self.length(N)?;
        let mut table = Vec::with_capacity(length);
        let mut buffer = std::mem::take(&mut self.buffer);
        while table.len() < length {
            let part = &mut buffer[..(length - table.len()).min(BUFFER / N) * N];
            self.take(part)?;
            table.extend(part.as_chunks().0.iter().map(|bytes| of(*bytes)));
        }
        self.buffer = buffer;
        Ok(table)
    }

    fn numbers(&mut self) -> io::Result<Vec<u32>> {
        self.table(u32::from_le_bytes)
    }

    fn finder(&mut self) -> io::Result<Finder> {
        let mut bits = [0; 4];
        self.take(&mut bits)?;
        Finder::of(u32::from_le_bytes(bits), self.numbers()?).ok_or_else(damaged)
    }

    fn values(&mut self) -> io::Result<Values> {
        Ok(Values {
            bits: self.table(u128::from_le_bytes)?,
            kinds: self.bytes()?,
            texts: String::from_utf8(self.bytes()?).map_err(|_| damaged())?,
            finder: self.finder()?,
        })
    }

    fn column(&mut self) -> io::Result<Column> {
        Ok(Column { lines: self.table(Line::of)?, above: self.bytes()?, rest: self.numbers()? })
    }

    /// The exact shapes and the loose ones.
    fn shapes(&mut self) -> io::Result<[Shapes; 2]> {
        let exact = Shapes { keys: self.keys()?, groups: self.groups()? };
        let [keys, groups] = <[u8; 2]>::try_from(self.bytes()?).map_err(|_| damaged())?;
        let keys = if keys == 0 { Arc::clone(&exact.keys) } else { self.keys()? };
        let groups = if groups == 0 { Arc::clone(&exact.groups) } else { self.groups()? };
        Ok([exact, Shapes { keys, groups }])
    }

    fn keys(&mut self) -> io::Result<Arc<Keys>> {
        Ok(Arc::new(Keys { keys: self.table(Key)?, finder: self.finder()? }))
    }

    fn groups(&mut self) -> io::Result<Arc<Groups>> {
        Ok(Arc::new(Groups {
            groups_from: self.column()?,
            fillings_from: self.column()?,
            fillings: self.numbers()?,
            exchanges: self.numbers()?,
            lists: self.numbers()?,
            by_filling: self.finder()?,
        }))
    }

    /// Sees that all was as it was written.
    fn end(mut self) -> io::Result<()> {
        let sum = self.sum.clone().finalize();
        let mut written = [0; 4];
        self.take(&mut written)?;
        if u32::from_le_bytes(written) == sum && self.left == 0 { Ok(()) } else { Err(damaged()) }
    }
}
