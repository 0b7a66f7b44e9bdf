//! File systems for a test alone, where they can be mounted: small ones, ones that may only be read.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a program, and tells whether it did what it should, and what it said if not.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|why| format!("{program}: {why}"))?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()) }
}

/// A file system that is mounted in a folder until it is dropped.
pub struct Mounted(PathBuf);

impl Mounted {
    /// Mounts something in a folder, which is made; `what` are the words for `mount` before it.
    pub fn new(what: &[&str], at: PathBuf) -> Result<Self, String> {
        std::fs::create_dir_all(&at).unwrap();
        run("mount", &[what, &[at.to_str().unwrap()]].concat())?;
        Ok(Self(at))
    }

    /// A disk in memory of so many KiB.
    pub fn small(kib: usize, at: PathBuf) -> Result<Self, String> {
        Self::new(&["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs"], at)
    }

    pub fn at(&self) -> &Path {
        &self.0
    }

    /// Lets nobody write on it any more.
    pub fn read_only(&self) {
        run("mount", &["-o", "remount,ro", self.0.to_str().unwrap()]).unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Where a test has failed something may still be open on it.
        let at = self.0.to_str().unwrap();
        if run("umount", &[at]).is_err() {
            let _ = run("umount", &["--lazy", at]);
        }
    }
}
