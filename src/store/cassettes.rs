//! The cassette files: found by name, read without a lock, replaced in one step.

use crate::platform;
use crate::tape::cassette::{self, Cassette, Entry};
use crate::tape::ids::Ids;
use crate::tape::streaming::{self, Stream};
use std::fs::{self, File};
use std::io::{self, BufWriter, Seek};
use std::path::{Path, PathBuf};

/// The folder that cassettes are kept in.
#[derive(Clone, Debug)]
pub struct Cassettes(PathBuf);

/// Why a cassette cannot be had or kept.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The name is none.
    #[error(
        "`{0}` is no name of a cassette: use letters, digits, `-`, `_` and `.`, and `/` between folders, without `.json`"
    )]
    Name(String),
    /// There is none of that name.
    #[error("there is no cassette {}{}", .path.display(), list(.others))]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// The names of those that are there.
        others: Vec<String>,
    },
    /// There is one already.
    #[error("there is a cassette {} already: give --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The file is no cassette that this program can use.
    #[error("{}: {source}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: cassette::Fault,
    },
    /// The system refused.
    #[error("{} cannot be {what}: {source}{}", .path.display(), hint(what, .source))]
    Io {
        /// The file.
        path: PathBuf,
        /// `read`, `written` or `removed`.
        what: &'static str,
        /// The reason.
        source: io::Error,
    },
}

/// What can be done where a cassette cannot be written.
fn hint(what: &str, source: &io::Error) -> String {
    if what == "written" { platform::way_out(source, "--cassettes DIR") } else { String::new() }
}

fn list(others: &[String]) -> String {
    match others {
        [] => "; there are none yet: make one with `graphdeck record NAME -- COMMAND`".to_owned(),
        others => format!("; there are: {}", others.join(", ")),
    }
}

impl Cassettes {
    /// The cassettes in a folder, which need not exist yet.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self(dir)
    }

    /// The file of a cassette, whether it is there or not.
    ///
    /// # Errors
    /// When `name` is no name of a cassette.
    pub fn path(&self, name: &str) -> Result<PathBuf, Fault> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let good = |part: &str| !part.is_empty() && !part.starts_with('.') && part.bytes().all(plain);
        if !name.split('/').all(good) || name.ends_with(".json") {
            return Err(Fault::Name(name.to_owned()));
        }
        Ok(self.0.join(format!("{name}.json")))
    }

    /// The names of all cassettes, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read; one that is not there holds none.
    pub fn names(&self) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        collect_names(&self.0, "", &mut names).map_err(|source| io_fault(&self.0, "read", source))?;
        names.sort();
        Ok(names)
    }

    /// Whether there is a cassette of that name.
    ///
    /// # Errors
    /// When `name` is no name of a cassette.
    pub fn contains(&self, name: &str) -> Result<bool, Fault> {
        Ok(self.path(name)?.is_file())
    }

    /// The digest of a cassette's file; `None` where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn digest(&self, name: &str) -> Result<Option<String>, Fault> {
        let path = self.path(name)?;
        let digest = |mut file: File| {
            let mut hasher = blake3::Hasher::new();
            io::copy(&mut file, &mut hasher)?;
            Ok(hasher.finalize().to_hex().to_string())
        };
        match File::open(&path).and_then(digest) {
            Ok(digest) => Ok(Some(digest)),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(io_fault(&path, "read", source)),
        }
    }

    /// Reads a cassette.
    ///
    /// # Errors
    /// When there is none of that name, or the file is no cassette.
    pub fn load(&self, name: &str) -> Result<Cassette, Fault> {
        load(&self.find(name)?)
    }

    /// The file of a cassette that is there.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = self.path(name)?;
        if path.is_file() { Ok(path) } else { Err(Fault::Missing { path, others: self.names()? }) }
    }

    /// Writes a cassette in one step: whatever happens, the file holds the old one or the new.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, name: &str, cassette: &Cassette) -> Result<PathBuf, Fault> {
        let path = self.path(name)?;
        fs::create_dir_all(platform::parent(&path))
            .and_then(|()| platform::replace_file(&path, |file| cassette.write(file)))
            .map_err(|source| io_fault(&path, "written", source))?;
        Ok(path)
    }

    /// How many exchanges a cassette has.
    ///
    /// # Errors
    /// When there is none of that name, or the file is no cassette.
    pub fn count(&self, name: &str) -> Result<usize, Fault> {
        let path = self.path(name)?;
        match File::open(&path).ok().and_then(|file| count(file).ok()) {
            Some(count) => Ok(count),
            None => Ok(self.load(name)?.entries.len()),
        }
    }

    /// Begins to write a cassette, exchange by exchange.
    ///
    /// # Errors
    /// When no file can be written.
    pub fn begin(&self, name: &str) -> Result<Writing, Fault> {
        let path = self.path(name)?;
        let dir = platform::parent(&path);
        let begun = fs::create_dir_all(dir).and_then(|()| tempfile::tempfile_in(dir));
        let file = begun.map_err(|source| io_fault(&path, "written", source))?;
        Ok(Writing { path, file: BufWriter::with_capacity(1 << 18, file), exchanges: 0 })
    }

    /// Removes a cassette.
    ///
    /// # Errors
    /// When there is none of that name, or it cannot be removed.
    pub fn remove(&self, name: &str) -> Result<PathBuf, Fault> {
        let path = self.path(name)?;
        match fs::remove_file(&path) {
            Ok(()) => Ok(path),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                Err(Fault::Missing { path, others: self.names()? })
            }
            Err(source) => Err(io_fault(&path, "removed", source)),
        }
    }
}

/// Counts the exchanges of a cassette that is as this program writes it.
fn count(file: File) -> Result<usize, streaming::Fault> {
    let (mut stream, _) = Stream::open(file)?;
    let mut count = 0;
    while stream.next_entry()?.is_some() {
        count += 1;
    }
    stream.finish().map(|_| count)
}

/// A cassette that is being written: its exchanges first, aside, since only then it is known which ids they name.
#[derive(Debug)]
pub struct Writing {
    path: PathBuf,
    /// Without a name: nothing of it is left whatever happens.
    file: BufWriter<File>,
    exchanges: usize,
}

impl Writing {
    /// Adds the next exchange.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn add(&mut self, entry: &Entry) -> Result<(), Fault> {
        let written = cassette::write_entry(&mut self.file, entry, self.exchanges);
        written.map_err(|source| io_fault(&self.path, "written", source))?;
        self.exchanges += 1;
        Ok(())
    }

    /// Writes the whole in one step: whatever happens, the file holds the old cassette or the new.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(self, ids: &Ids, people: bool) -> Result<PathBuf, Fault> {
        let Self { path, file, exchanges } = self;
        let written = file.into_inner().map_err(io::IntoInnerError::into_error).and_then(|mut aside| {
            aside.rewind()?;
            platform::replace_file(&path, |file| {
                cassette::write_head(file, ids, people)?;
                io::copy(&mut aside, file)?;
                cassette::write_end(file, exchanges)
            })
        });
        written.map_err(|source| io_fault(&path, "written", source))?;
        Ok(path)
    }
}

/// Reads a cassette from any file.
///
/// # Errors
/// When the file cannot be read, or is no cassette.
pub fn load(path: &Path) -> Result<Cassette, Fault> {
    parse(path, &read(path)?)
}

/// Reads the text of any file.
///
/// # Errors
/// When the file cannot be read, or is no UTF-8.
pub fn read(path: &Path) -> Result<String, Fault> {
    let bytes = fs::read(path).map_err(|source| io_fault(path, "read", source))?;
    String::from_utf8(bytes).map_err(|fault| {
        let source = io::Error::new(io::ErrorKind::InvalidData, fault.utf8_error());
        io_fault(path, "read", source)
    })
}

/// The cassette that the text of a file is.
///
/// # Errors
/// When it is none.
pub fn parse(path: &Path, text: &str) -> Result<Cassette, Fault> {
    Cassette::parse(text).map_err(|source| Fault::Damaged { path: path.to_owned(), source })
}

fn collect_names(dir: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    let files = match fs::read_dir(dir) {
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        files => files?,
    };
    for file in files {
        let file = file?;
        let Some(name) = file.file_name().to_str().map(str::to_owned) else { continue };
        if name.starts_with('.') {
            continue;
        }
        if file.file_type()?.is_dir() {
            collect_names(&file.path(), &format!("{prefix}{name}/"), names)?;
        } else if let Some(stem) = name.strip_suffix(".json") {
            names.push(format!("{prefix}{stem}"));
        }
    }
    Ok(())
}

fn io_fault(path: &Path, what: &'static str, source: io::Error) -> Fault {
    Fault::Io { path: path.to_owned(), what, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_inside_the_folder() {
        let cassettes = Cassettes::new("cassettes".into());
        assert_eq!(cassettes.path("team/my-run_1.2").unwrap(), Path::new("cassettes/team/my-run_1.2.json"));
        for bad in ["", "../x", "/x", "a//b", "a/", ".hidden", "x.json", "a b", "a\\b", "C:x"] {
            assert!(matches!(cassettes.path(bad), Err(Fault::Name(_))), "{bad}");
        }
    }

    #[test]
    fn a_cassette_is_written_listed_read_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cassettes = Cassettes::new(dir.path().join("new"));
        assert_eq!(cassettes.names().unwrap(), Vec::<String>::new());
        for name in ["b", "a/c", "a/c"] {
            cassettes.write(name, &Cassette::default()).unwrap();
        }
        assert_eq!(cassettes.names().unwrap(), ["a/c", "b"]);
        assert_eq!(cassettes.load("a/c").unwrap(), Cassette::default());
        cassettes.remove("b").unwrap();
        let missing = cassettes.load("b").unwrap_err().to_string();
        assert!(missing.ends_with("b.json; there are: a/c"), "{missing}");
        let left: Vec<_> = fs::read_dir(dir.path().join("new")).unwrap().collect();
        assert_eq!(left.len(), 1, "no temporary file is left");
    }
}
