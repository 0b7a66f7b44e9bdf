//! How many exchanges of each take were acknowledged, kept outside the journal: a damaged one may open as an empty one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

pub(super) fn count_file(path: &Path, take: u64) -> PathBuf {
    path.join("counts").join(take.to_string())
}

pub(super) fn open_count(path: &Path, take: u64) -> io::Result<File> {
    fs::create_dir_all(path.join("counts"))?;
    OpenOptions::new().create(true).truncate(false).write(true).open(count_file(path, take))
}

pub(super) fn read_count(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Writes the count over the last one, always as long, so that no crash leaves half a number.
pub(super) fn write_count(file: &mut File, count: u64) -> io::Result<()> {
    io::Seek::rewind(file)?;
    file.write_all(format!("{count:020}\n").as_bytes())
}
