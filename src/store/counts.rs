//! How many exchanges of each take were acknowledged, kept outside the journal: a damaged one may open as an empty one.

use crate::platform;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(super) fn count_file(path: &Path, take: u64) -> PathBuf {
    path.join("counts").join(take.to_string())
}

pub(super) fn open_count(path: &Path, take: u64) -> io::Result<File> {
    let counts = path.join("counts");
    fs::create_dir_all(&counts)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(count_file(path, take))?;
    platform::sync_dir(&counts)?;
    platform::sync_dir(path)?;
    Ok(file)
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

/// Writes the count over the last one, always as long, so that no crash leaves half a number; and brings it to the disk,
/// since after a power cut it must not speak of fewer than were acknowledged.
pub(super) fn write_count(file: &mut File, count: u64) -> io::Result<()> {
    io::Seek::rewind(file)?;
    file.write_all(format!("{count:0DIGITS$}\n").as_bytes())?;
    file.sync_data()
}
