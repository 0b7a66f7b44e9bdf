//! How many exchanges of each take were acknowledged, kept outside the journal: a damaged one may open as an empty one.

use crate::platform;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(super) fn count_file(path: &Path, take: u64) -> PathBuf {
    path.join("counts").join(take.to_string())
}

/// The count of a take, open to be written.
///
/// The system has it with each commit, so it is right when this process is killed. It comes to the disk with the rows that
/// it counts when these leave the log: after a power cut it speaks of all that the engine has.
#[derive(Debug)]
pub(super) struct Count(File);

impl Count {
    /// Opens the count of a take that has so many exchanges. From here on it needs no more room on the disk.
    pub(super) fn open(path: &Path, take: u64, count: u64) -> io::Result<Self> {
        let counts = path.join("counts");
        fs::create_dir_all(&counts)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(count_file(path, take))?;
        let opened = Self(file);
        opened.write(count)?;
        opened.0.sync_all()?;
        platform::sync_dir(&counts)?;
        platform::sync_dir(path)?;
        Ok(opened)
    }

    /// Writes the count over the last one, always as long, so that no crash leaves half a number.
    pub(super) fn write(&self, count: u64) -> io::Result<()> {
        let mut line = [b'0'; DIGITS + 1];
        let mut digits = itoa::Buffer::new();
        let digits = digits.format(count).as_bytes();
        line[DIGITS - digits.len()..DIGITS].copy_from_slice(digits);
        line[DIGITS] = b'\n';
        platform::write_at(&self.0, 0, &line)
    }
}

/// Brings the count of a take to the disk.
pub(super) fn sync(path: &Path, take: u64) -> io::Result<()> {
    // Some systems sync only what is open for writing.
    OpenOptions::new().write(true).open(count_file(path, take))?.sync_data()
}

/// Removes the count of a take, if there is one.
pub(super) fn remove(path: &Path, take: u64) -> io::Result<()> {
    match fs::remove_file(count_file(path, take)) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.and_then(|()| platform::sync_dir(&path.join("counts"))),
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
    fn a_count_takes_no_more_room_when_it_grows_and_is_gone_when_it_is_removed() {
        let dir = tempfile::tempdir().unwrap();
        let file = count_file(dir.path(), 7);
        assert_eq!(read_count(&file), Ok(None));
        let count = Count::open(dir.path(), 7, 1).unwrap();
        let length = fs::metadata(&file).unwrap().len();
        for number in [20, u64::MAX] {
            count.write(number).unwrap();
            assert_eq!(read_count(&file), Ok(Some(number)));
        }
        sync(dir.path(), 7).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), length);
        for _ in 0..2 {
            remove(dir.path(), 7).unwrap();
            assert_eq!(read_count(&file), Ok(None));
        }
    }
}
