//! A file each write to which is on the disk when it returns.

use super::write_at;
use std::fs::File;
use std::io;
use std::path::Path;

/// A file that is written so.
#[derive(Debug)]
pub struct Synced(File);

impl Synced {
    /// Opens a file that is there.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        // Linux writes and syncs in one call then, and need not look for other pages of the file.
        #[cfg(target_os = "linux")]
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::DSYNC.bits().cast_signed());
        Ok(Self(options.write(true).open(path)?))
    }

    /// Writes all bytes at a place.
    ///
    /// # Errors
    /// When the system refuses. Nobody knows then what the disk has.
    pub fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        write_at(&self.0, at, bytes)?;
        if cfg!(target_os = "linux") { Ok(()) } else { self.0.sync_data() }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_on_the_disk() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let synced = Synced::open(file.path()).unwrap();
        assert!(rustix::fs::fcntl_getfl(&synced.0).unwrap().contains(rustix::fs::OFlags::DSYNC));
        synced.write(2, b"ab").unwrap();
        assert_eq!(std::fs::read(file.path()).unwrap(), b"\0\0ab");
    }
}
