//! What depends on the operating system: private files, durable renames, signals, the trust store.

pub mod synced;
pub mod trust;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Makes a directory, and its parents, that only its owner can enter (0700; on Windows the profile's own rights hold).
/// Those that were not there are there after a power cut too: what is synced in one says nothing of the one itself.
///
/// # Errors
/// When it cannot be made.
pub fn private_dir(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let new: Vec<&Path> = path.ancestors().take_while(|dir| !dir.as_os_str().is_empty() && !dir.exists()).collect();
    builder.create(path)?;
    new.into_iter().try_for_each(|dir| sync_dir(parent(dir)))?;
    // It may have been there, and open to others.
    #[cfg(unix)]
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// Whether nobody but its owner may read a file. (On Windows the profile's own rights hold, and are not looked at.)
#[must_use]
pub fn is_private(path: &Path) -> bool {
    #[cfg(unix)]
    if let Ok(found) = fs::metadata(path) {
        return std::os::unix::fs::MetadataExt::mode(&found) & 0o077 == 0;
    }
    #[cfg(not(unix))]
    let _ = path;
    true
}

/// What the names of temporary files begin with.
const TEMPORARY: &str = ".graphdeck-";

/// A temporary file in `dir` that is to be given another name: with the rights that any new file has there, or only its
/// owner's. Those that a crash has left there are removed.
///
/// # Errors
/// When it cannot be made.
pub fn temporary_file(dir: &Path, private: bool) -> io::Result<tempfile::NamedTempFile> {
    remove_abandoned(dir);
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY);
    #[cfg(unix)]
    if !private {
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    }
    #[cfg(not(unix))]
    let _ = private;
    loop {
        let fresh = builder.tempfile_in(dir).map_err(|fault| plain(&fault))?;
        // The lock tells others that somebody is still at it. Where there are no locks, nobody removes anything.
        let _ = fresh.as_file().lock();
        // One of them may have been quicker, and removed it.
        if fresh.path().exists() {
            return Ok(fresh);
        }
    }
}

/// A refusal of the system without the name of a temporary file, which says nothing to anybody.
fn plain(fault: &io::Error) -> io::Error {
    let cause = fault.get_ref().and_then(std::error::Error::source);
    let code = cause.and_then(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    code.map_or_else(|| fault.kind().into(), io::Error::from_raw_os_error)
}

/// Removes the temporary files in `dir` whose process has ended in the middle: nobody holds their locks.
fn remove_abandoned(dir: &Path) {
    for file in fs::read_dir(dir).into_iter().flatten().flatten() {
        if !file.file_name().to_string_lossy().starts_with(TEMPORARY)
            || !file.file_type().is_ok_and(|kind| kind.is_file())
        {
            continue;
        }
        // What cannot be removed does no harm but to take room.
        if let Ok(abandoned) = File::open(file.path())
            && abandoned.try_lock().is_ok()
        {
            let _ = fs::remove_file(file.path());
        }
    }
}

/// What can be done about a refusal of the system to write in a folder, which `flag` sets; nothing where that is not known.
#[must_use]
pub fn way_out(fault: &io::Error, flag: &str) -> String {
    use io::ErrorKind::{
        AlreadyExists, NotADirectory, PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull,
    };
    match fault.kind() {
        StorageFull | QuotaExceeded => format!("; make room on that disk, or take a folder on another with {flag}"),
        ReadOnlyFilesystem | PermissionDenied => format!("; take a folder that can be written with {flag}"),
        AlreadyExists | NotADirectory => {
            format!("; a file stands where a folder should be: remove it, or take another folder with {flag}")
        }
        _ => String::new(),
    }
}

/// The directory that a file is in.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes a file in one step: whatever happens, it holds what it held before or all that is written.
///
/// # Errors
/// When it cannot be written.
pub fn replace_file(path: &Path, write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<()>) -> io::Result<()> {
    let dir = parent(path);
    let mut fresh = temporary_file(dir, false)?;
    let mut writer = BufWriter::new(fresh.as_file_mut());
    write(&mut writer)?;
    writer.flush()?;
    drop(writer);
    fresh.as_file().sync_all()?;
    fresh.persist(path).map_err(|fault| fault.error)?;
    sync_dir(dir)
}

/// What a system caches of a file at least.
const PAGE: usize = 4096;

/// Writes a file that only its owner can read (0600; on Windows the folder's rights hold), unless there is one; whether
/// it did.
///
/// # Errors
/// When it cannot be written.
pub fn new_private_file(path: &Path, content: &[u8]) -> io::Result<bool> {
    let dir = parent(path);
    let mut fresh = temporary_file(dir, true)?;
    // What is written in one go is cached in one go as well: Linux would then count all of it as written anew, and slow its
    // writer down for it, when one sector of it is.
    content.chunks(PAGE).try_for_each(|page| fresh.write_all(page))?;
    fresh.as_file().sync_all()?;
    match fresh.persist_noclobber(path) {
        Ok(_) => sync_dir(dir).map(|()| true),
        Err(fault) if fault.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(fault) => Err(fault.error),
    }
}

/// Makes a rename in `dir` durable. Windows needs no such step.
///
/// # Errors
/// When the directory cannot be synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

/// A wish from outside that the program end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// A polite end, as from a service manager.
    Terminate,
}

impl Signal {
    /// The exit code by which shells tell that a signal ended a program.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        128 + match self {
            Self::Interrupt => 2,
            Self::Terminate => 15,
        }
    }
}

/// The signals that reach this process, one after another.
#[derive(Debug)]
pub struct Signals(tokio::sync::mpsc::UnboundedReceiver<Signal>);

impl Signals {
    /// Begins to listen: from now on no signal ends the process by itself.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel();
        system::forward(&sender)?;
        Ok(Self(receiver))
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Signal {
        match self.0.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}

pub use system::{
    exit_code, is_in_foreground, is_root, keep_memory_private, pass_on, raise_open_files, read_at, write_at,
};

#[cfg(unix)]
mod system {
    use super::Signal;
    use std::io;
    use std::os::unix::process::ExitStatusExt;
    use tokio::signal::unix::{SignalKind, signal};
    use tokio::sync::mpsc::UnboundedSender;

    pub(super) fn forward(sender: &UnboundedSender<Signal>) -> io::Result<()> {
        for (kind, meaning) in
            [(SignalKind::interrupt(), Signal::Interrupt), (SignalKind::terminate(), Signal::Terminate)]
        {
            let mut stream = signal(kind)?;
            let sender = sender.clone();
            tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(meaning).is_ok() {} });
        }
        Ok(())
    }

    /// Reads from a place in a file; many may do so at once.
    ///
    /// # Errors
    /// When there are fewer bytes, or the system refuses.
    pub fn read_at(file: &std::fs::File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(file, bytes, at)
    }

    /// Writes to a place in a file.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_at(file: &std::fs::File, at: u64, bytes: &[u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::write_all_at(file, bytes, at)
    }

    /// Raises how many files this process may have open at once, connections among them, to what its user may have.
    pub fn raise_open_files() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        // With what there is it works as well, for fewer connections at once.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }

    /// Lets nobody have this process's memory, where tokens are in passing: no core file when it crashes, and no look
    /// into it by another process of the same user. A program that it runs is not affected. Linux only.
    pub fn keep_memory_private() {
        #[cfg(target_os = "linux")]
        {
            // Where the system refuses, all else is as it would be.
            let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
        }
    }

    /// Whether this process and its children are what a terminal's keys are for.
    #[must_use]
    pub fn is_in_foreground() -> bool {
        let terminal = std::fs::File::open("/dev/tty");
        terminal.is_ok_and(|terminal| rustix::termios::tcgetpgrp(terminal) == Ok(rustix::process::getpgrp()))
    }

    /// Whether this process may do what root may.
    #[must_use]
    pub fn is_root() -> bool {
        rustix::process::geteuid().is_root()
    }

    /// Passes a signal on to a program that this one started.
    pub fn pass_on(signal: Signal, process: u32) {
        let signal = match signal {
            Signal::Interrupt => rustix::process::Signal::INT,
            Signal::Terminate => rustix::process::Signal::TERM,
        };
        if let Some(process) = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw) {
            // It may have ended a moment ago, and then there is nobody to tell.
            let _ = rustix::process::kill_process(process, signal);
        }
    }

    /// The exit code of a program that has ended; 128 and the signal's number when one ended it.
    #[must_use]
    pub fn exit_code(status: std::process::ExitStatus) -> u8 {
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
        u8::try_from(code & 0xff).expect("masked to a byte")
    }
}

#[cfg(not(unix))]
mod system {
    use super::Signal;
    use std::io;
    use tokio::sync::mpsc::UnboundedSender;

    pub(super) fn forward(sender: &UnboundedSender<Signal>) -> io::Result<()> {
        let sender = sender.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && sender.send(Signal::Interrupt).is_ok() {}
        });
        Ok(())
    }

    /// Reads from a place in a file; many may do so at once.
    ///
    /// # Errors
    /// When there are fewer bytes, or the system refuses.
    pub fn read_at(file: &std::fs::File, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        let mut read = 0;
        while read < bytes.len() {
            match std::os::windows::fs::FileExt::seek_read(file, &mut bytes[read..], at + read as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                more => read += more,
            }
        }
        Ok(())
    }

    /// Writes to a place in a file.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_at(file: &std::fs::File, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            match std::os::windows::fs::FileExt::seek_write(file, &bytes[written..], at + written as u64)? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                more => written += more,
            }
        }
        Ok(())
    }

    /// Does nothing: there is no such limit.
    pub fn raise_open_files() {}

    /// Does nothing: what Windows writes when a program crashes is its administrator's to settle.
    pub fn keep_memory_private() {}

    /// Always: the console tells every program in it of Ctrl-C.
    #[must_use]
    pub fn is_in_foreground() -> bool {
        true
    }

    /// Always: what is done here needs no other rights than its user's.
    #[must_use]
    pub fn is_root() -> bool {
        true
    }

    /// Does nothing: the console tells every program in it of Ctrl-C by itself.
    pub fn pass_on(_signal: Signal, _process: u32) {}

    /// The exit code of a program that has ended; one that does not fit a byte becomes 1.
    #[must_use]
    pub fn exit_code(status: std::process::ExitStatus) -> u8 {
        status.code().map_or(1, |code| u8::try_from(code).unwrap_or(1))
    }
}
