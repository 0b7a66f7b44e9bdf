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

pub(super) fn read_count(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Writes the count over the last one, always as long, so that no crash leaves half a number; and brings it to the disk,
/// since after a power cut it must not speak of fewer than were acknowledged.
pub(super) fn write_count(file: &mut File, count: u64) -> io::Result<()> {
    io::Seek::rewind(file)?;
    file.write_all(format!("{count:020}\n").as_bytes())?;
    file.sync_data()
}
