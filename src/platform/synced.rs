//! A file each write to which is on the disk when it returns.

use super::write_at;
use std::fs::File;
use std::io;
use std::path::Path;

/// Opens a file to be written so.
///
/// # Errors
/// When the system refuses.
pub fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    // Linux writes and syncs in one call then, and need not look for other pages of the file.
    #[cfg(target_os = "linux")]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::DSYNC.bits().cast_signed());
    options.write(true).open(path)
}

/// Writes all bytes at a place of a file that was opened so.
///
/// # Errors
/// When the system refuses. Nobody knows then what the disk has.
pub fn write(file: &File, at: u64, bytes: &[u8]) -> io::Result<()> {
    write_at(file, at, bytes)?;
    if cfg!(target_os = "linux") { Ok(()) } else { file.sync_data() }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_on_the_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let synced = open(file.path()).unwrap();
        assert!(rustix::fs::fcntl_getfl(&synced).unwrap().contains(rustix::fs::OFlags::DSYNC));
        write(&synced, 2, b"ab").unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"\0\0ab");
    }
}
