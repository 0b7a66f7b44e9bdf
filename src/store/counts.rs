//! How many exchanges of each take were acknowledged, kept outside the journal: a damaged one may open as an empty one.

use crate::platform;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

pub(super) fn count_file(path: &Path, take: u64) -> PathBuf {
    path.join("counts").join(take.to_string())
}

/// For how long the disk may have an older count than the system.
const BEHIND: Duration = Duration::from_millis(100);

/// The count of a take, open to be written.
///
/// What it counts is on the disk already, so it is brought there itself from time to time and not with every commit: the
/// system has it when this process is killed, and after a power cut it speaks of all but the last moment.
pub(super) struct Count {
    file: File,
    /// Until when what was written is to be on the disk.
    due: Option<Instant>,
}

impl Count {
    pub(super) fn open(path: &Path, take: u64) -> io::Result<Self> {
        let counts = path.join("counts");
        fs::create_dir_all(&counts)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(count_file(path, take))?;
        platform::sync_dir(&counts)?;
        platform::sync_dir(path)?;
        // The first one is on the disk when it is written.
        Ok(Self { file, due: Some(Instant::now()) })
    }

    /// Writes the count over the last one, always as long, so that no crash leaves half a number.
    pub(super) fn write(&mut self, count: u64) -> io::Result<()> {
        self.file.rewind()?;
        self.file.write_all(format!("{count:0DIGITS$}\n").as_bytes())?;
        let now = Instant::now();
        let due = *self.due.get_or_insert(now + BEHIND);
        if due <= now { self.sync() } else { Ok(()) }
    }

    /// Until when it is to be synced, if it is not.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Brings what was written to the disk.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if self.due.is_some() {
            self.file.sync_data()?;
            self.due = None;
        }
        Ok(())
    }
}

/// The count in a file; none where none was written yet, as when a crash came between the two.
///
/// # Errors
/// When it holds something else: then nobody knows how many were acknowledged.
pub(super) fn read_count(file: &Path) -> Result<Option<u64>, String> {
    let read = match fs::read(file) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        read => read.map_err(|fault| fault.to_string())?,
    };
    let text = std::str::from_utf8(&read).ok().and_then(|text| text.strip_suffix('\n'));
    match text.filter(|text| text.len() == DIGITS).and_then(|text| text.parse().ok()) {
        Some(count) => Ok(Some(count)),
        None if read.is_empty() => Ok(None),
        None => Err(format!("its file `counts/{}` holds no count", file.file_name().unwrap_or_default().display())),
    }
}

/// As many digits as a count may have.
const DIGITS: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_count_is_on_the_disk_at_once_and_later_ones_are_due() {
        let dir = tempfile::tempdir().unwrap();
        let mut count = Count::open(dir.path(), 7).unwrap();
        for (number, is_due) in [(1, false), (20, true), (300, true)] {
            count.write(number).unwrap();
            assert_eq!(count.due().is_some(), is_due);
            assert_eq!(read_count(&count_file(dir.path(), 7)), Ok(Some(number)));
        }
        count.sync().unwrap();
        assert_eq!(count.due(), None);
        count.due = Some(Instant::now());
        count.write(4000).unwrap();
        assert_eq!(count.due(), None);
    }
}
