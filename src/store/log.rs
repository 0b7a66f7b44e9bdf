//! The log: a file that is as long as it will be from the beginning, in which a commit is one write and one sync.
//!
//! It is a ring of frames. What it overwrites is in the engine, and a frame that is on the disk says so.

use super::frames::{self, SECTOR};
use super::rows::Row;
use super::takes::Fault;
use crate::platform::{self, synced::Synced};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// How many bytes of frames it holds.
pub(super) const CAPACITY: usize = 4 * 1024 * 1024;
/// The largest frame: so there is always room for one when all is in the engine, also where the ring begins anew.
pub(super) const LARGEST: usize = CAPACITY / 4;

const MAGIC: &[u8; 16] = b"graphdeck log 1\n";
/// Magic, salt (4), sum of both (4).
const HEAD: usize = 24;

fn file(path: &Path) -> PathBuf {
    path.join("log")
}

/// A place in the log: all up to it, and up to that number, was committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    end: u64,
    number: u64,
}

/// The log of a store, open to be written.
#[derive(Debug)]
pub(super) struct Log {
    file: Synced,
    salt: u32,
    ring: Ring,
    /// The number of the newest frame.
    number: u64,
    /// The number of the newest one with rows.
    rows: u64,
    /// Up to which number frames are in the engine.
    filled: u64,
    /// Up to where there is room once a frame on the disk says so.
    released: Option<Mark>,
    /// Up to where no rows are left but those of frames.
    erased: u64,
    frame: Vec<u8>,
}

/// Where frames stand: places count on and on, and the file holds them modulo its capacity.
#[derive(Clone, Copy, Debug)]
struct Ring {
    capacity: u64,
    /// What begins here or later may not be overwritten.
    begin: u64,
    end: u64,
}

impl Ring {
    /// Where the next frame goes, so that none is in two parts; none where there is no room that leaves `spare`.
    fn place(&self, length: u64, spare: u64) -> Option<Range<u64>> {
        let left = self.capacity - self.end % self.capacity;
        let from = if length > left { self.end + left } else { self.end };
        let place = from..from + length;
        (place.end + spare <= self.begin + self.capacity).then_some(place)
    }

    /// The parts of the file that a range of places is, but for the room of a sector after it.
    fn parts(&self, places: Range<u64>) -> Vec<Range<u64>> {
        let from = places.start.max(places.end.saturating_sub(self.capacity - SECTOR as u64));
        let begin = from % self.capacity;
        let end = begin + places.end.saturating_sub(from);
        let parts = [begin..end.min(self.capacity), 0..end.saturating_sub(self.capacity)];
        parts.into_iter().filter(|part| !part.is_empty()).collect()
    }
}

impl Log {
    /// Makes the log of a store, all of it on the disk.
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let mut content = vec![0; SECTOR + CAPACITY];
        let salt = uuid::Uuid::new_v4().as_fields().0;
        content[..HEAD].copy_from_slice(&head(salt));
        if !platform::new_private_file(&file(path), &content)? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Synced::open(&file(path))?;
        let ring = Ring { capacity: CAPACITY as u64, begin: 0, end: 0 };
        Ok(Self { file, salt, ring, number: 0, rows: 0, filled: 0, released: None, erased: 0, frame: Vec::new() })
    }

    /// Whether there is room for a frame of so many bytes, and for one more that says what is in the engine.
    pub(super) fn has_room(&self, length: usize) -> bool {
        self.ring.place(length as u64, SECTOR as u64).is_some()
    }

    /// Commits packed rows: they are on the disk when this returns.
    pub(super) fn commit(&mut self, rows: &[u8]) -> io::Result<Mark> {
        frames::write(&mut self.frame, rows, self.salt, self.number + 1, self.filled);
        let place = self.ring.place(self.frame.len() as u64, 0).ok_or(io::ErrorKind::StorageFull)?;
        self.file.write(SECTOR as u64 + place.start % self.ring.capacity, &self.frame)?;
        self.number += 1;
        self.ring.end = place.end;
        if let Some(released) = self.released.take() {
            self.ring.begin = released.end;
        }
        if !rows.is_empty() {
            self.rows = self.number;
        }
        Ok(Mark { end: place.end, number: self.number })
    }

    /// Notes that all up to a mark is in the engine and on its disk. The next frame says so, and then its room is free.
    pub(super) fn release(&mut self, mark: Mark) {
        // Frames without rows after it have nothing to be kept for either.
        self.filled = if mark.number == self.rows { self.number } else { mark.number };
        self.released = Some(mark);
    }

    /// Writes down what was released, without waiting for a frame with rows; whether there was anything.
    pub(super) fn write_down(&mut self) -> io::Result<bool> {
        if self.released.is_none() {
            return Ok(false);
        }
        self.commit(&[]).map(|_| true)
    }

    /// Overwrites all rows with zeros, when all of them are in the engine. The newest frame says so and has none: it stays.
    pub(super) fn erase(&mut self) -> io::Result<()> {
        self.write_down()?;
        let dirty = self.erased..self.ring.end.saturating_sub(SECTOR as u64);
        for part in self.ring.parts(dirty) {
            let zeros = vec![0; usize::try_from(part.end - part.start).expect("it is within the file")];
            self.file.write(SECTOR as u64 + part.start, &zeros)?;
        }
        self.erased = self.ring.end;
        Ok(())
    }
}

fn head(salt: u32) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..16].copy_from_slice(MAGIC);
    head[16..20].copy_from_slice(&salt.to_be_bytes());
    let sum = crc32fast::hash(&head[..20]);
    head[20..].copy_from_slice(&sum.to_be_bytes());
    head
}

/// Hands over the rows in the log of a store that its engine may not have; none where there is no log.
///
/// # Errors
/// When it is damaged, or cannot be read.
pub(super) fn take_over(path: &Path, put: impl FnOnce(&[Row<'_>]) -> Result<(), Fault>) -> Result<(), Fault> {
    match fs::read(file(path)) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Fault::io(path, "read", source)),
        Ok(content) => match unfilled(&content) {
            Ok(rows) if rows.is_empty() => Ok(()),
            Ok(rows) => put(&rows),
            Err(why) => Err(Fault::Damaged { path: path.to_owned(), why }),
        },
    }
}

fn unfilled(content: &[u8]) -> Result<Vec<Row<'_>>, String> {
    if content.len() != SECTOR + CAPACITY {
        return Err(format!("its file `log` has {} bytes instead of {}", content.len(), SECTOR + CAPACITY));
    }
    let salt = u32::from_be_bytes(content[16..20].try_into().expect("four bytes"));
    if content[..HEAD] != head(salt) {
        return Err("its file `log` does not begin as one does".to_owned());
    }
    frames::unfilled(&content[SECTOR..], salt)
}

/// Removes the log of a store: the engine has all that is in it.
///
/// # Errors
/// When that fails.
pub(super) fn remove(path: &Path) -> Result<(), Fault> {
    match fs::remove_file(file(path)) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| platform::sync_dir(path)).map_err(|source| Fault::io(path, "written", source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What happens to a log: a commit of a row of so many bytes; all but the last few come into the engine; the log says
    /// so; all of it is erased.
    #[derive(Clone, Copy, Debug)]
    enum Event {
        Commit(usize),
        Release(usize),
        WriteDown,
        Erase,
    }

    fn events() -> impl Strategy<Value = Vec<Event>> {
        let commit = prop_oneof![4 => 0usize..5_000, 1 => 0usize..(LARGEST - SECTOR)].prop_map(Event::Commit);
        let release = (0usize..4).prop_map(Event::Release);
        let event = prop_oneof![8 => commit, 2 => release, 1 => Just(Event::WriteDown), 1 => Just(Event::Erase)];
        prop::collection::vec(event, 1..40)
    }

    /// A log as it goes on, with what it must give back.
    struct Model {
        log: Log,
        dir: tempfile::TempDir,
        /// What the log must give back, of which the engine has the first few.
        kept: Vec<(Mark, u64)>,
        released: usize,
        number: u64,
    }

    impl Model {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            Self { log: Log::create(dir.path()).unwrap(), dir, kept: Vec::new(), released: 0, number: 0 }
        }

        fn release(&mut self, left: usize) {
            let released = self.kept.len().saturating_sub(left);
            if released > self.released {
                self.released = released;
                self.log.release(self.kept[released - 1].0);
            }
        }

        fn write_down(&mut self) {
            assert_eq!(self.log.write_down().unwrap(), self.released > 0);
            self.kept.drain(..std::mem::take(&mut self.released));
        }

        fn make_room(&mut self, length: usize) {
            if !self.log.has_room(frames::size(frames::packed(length))) {
                self.release(0);
                self.write_down();
            }
        }

        fn happen(&mut self, event: Event) {
            match event {
                Event::Commit(length) => {
                    self.make_room(length);
                    let (mut packed, number) = (Vec::new(), self.number);
                    frames::pack(&mut packed, &[Row { take: 1, number, row: &vec![7; length] }]);
                    let mark = self.log.commit(&packed).unwrap();
                    self.kept.drain(..std::mem::take(&mut self.released));
                    self.kept.push((mark, number));
                    self.number += 1;
                }
                Event::Release(left) => self.release(left),
                Event::WriteDown => self.write_down(),
                Event::Erase => {
                    self.release(0);
                    self.log.erase().unwrap();
                    (self.kept, self.released) = (Vec::new(), 0);
                    let content = fs::read(file(self.dir.path())).unwrap();
                    assert_eq!(memchr::memmem::find(&content, &[7; 8]), None);
                }
            }
        }

        fn expected(&self) -> Vec<u64> {
            self.kept.iter().map(|(_, number)| *number).collect()
        }
    }

    fn found(dir: &Path) -> Result<Vec<u64>, String> {
        let mut found = Vec::new();
        let taken = take_over(dir, |rows| {
            found.extend(rows.iter().map(|row| row.number));
            Ok(())
        });
        taken.map(|()| found).map_err(|fault| fault.to_string())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// After each step the process may be killed, and then all that is acknowledged and not in the engine is found.
        #[test]
        fn what_was_committed_is_found_and_what_was_erased_is_not(events in events()) {
            let mut model = Model::new();
            for event in events {
                model.happen(event);
                prop_assert_eq!(found(model.dir.path()), Ok(model.expected()));
            }
        }

        /// The last write may come to the disk in any of its sectors, and nothing that was acknowledged before it is lost.
        #[test]
        fn a_write_that_the_power_cuts_short_takes_nothing_else_along(
            events in events(),
            last in prop_oneof![Just(Event::WriteDown), (0usize..50_000).prop_map(Event::Commit)],
            came: u64,
        ) {
            let mut model = Model::new();
            events.into_iter().for_each(|event| model.happen(event));
            if let Event::Commit(length) = last {
                model.make_room(length);
            }
            let path = file(model.dir.path());
            let (before, acknowledged) = (fs::read(&path).unwrap(), model.expected());
            model.happen(last);
            let mut torn = fs::read(&path).unwrap();
            for (sector, old) in before.chunks(SECTOR).enumerate() {
                if came >> (sector % 64) & 1 == 0 {
                    torn[sector * SECTOR..][..old.len()].copy_from_slice(old);
                }
            }
            fs::write(&path, torn).unwrap();
            let found = found(model.dir.path()).unwrap();
            prop_assert!(found == acknowledged || found == model.expected(), "{:?} {:?}", found, acknowledged);
        }
    }

    #[test]
    fn a_log_that_is_not_as_it_was_made_is_told_of() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(found(dir.path()), Ok(vec![]));
        drop(Log::create(dir.path()).unwrap());
        assert!(Log::create(dir.path()).is_err());
        let whole = fs::read(file(dir.path())).unwrap();
        let cases = [(&whole[..SECTOR], "has 512 bytes instead of 4194816"), (&[], "has 0 bytes instead of 4194816")];
        let other = [&[b'x'][..], &whole[1..]].concat();
        for (content, why) in cases.into_iter().chain([(&other[..], "does not begin as one does")]) {
            fs::write(file(dir.path()), content).unwrap();
            let told = found(dir.path()).unwrap_err();
            assert!(told.contains("is damaged") && told.contains(why), "{told}");
        }
        remove(dir.path()).unwrap();
        assert_eq!(found(dir.path()), Ok(vec![]));
    }

    #[cfg(unix)]
    #[test]
    fn a_log_is_its_owners_only_and_never_grows() {
        let mut model = Model::new();
        let facts = |model: &Model| fs::metadata(file(model.dir.path())).unwrap();
        let length = facts(&model).len();
        (0..2000).for_each(|n| model.happen(Event::Commit(n * 4)));
        assert_eq!(facts(&model).len(), length);
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&facts(&model).permissions()) & 0o777, 0o600);
    }
}
