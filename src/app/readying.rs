//! A large cassette made ready to be played or checked: from its index where that is current, else piece by piece.

use super::Fault;
use super::progress::Progress;
use super::scanning::{Leak, leaks_of, refuse};
use super::sealing::stand_ins;
use crate::config::Config;
use crate::store::cassettes::{self, Cassettes};
use crate::store::indexes::{Indexes, Wanted, Writing};
use crate::tape::adapting;
use crate::tape::cassette::{self, Entry};
use crate::tape::compiling::Compiler;
use crate::tape::ids::Ids;
use crate::tape::index::Index;
use crate::tape::mint::Mint;
use crate::tape::packing;
use crate::tape::played::{Exchanges, Kept};
use crate::tape::scribe;
use crate::tape::secrets::Secrets;
use crate::tape::streaming::{self, Digests, Stream};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// From which size, in bytes, a cassette has an index: below it one would save no time that anybody waits for.
const LARGE: u64 = 4 << 20;

/// A large cassette made ready; none where it is a small one, or one that only the parser can tell what it is.
pub(super) fn large(config: &Config, name: &str, path: &Path, seed: &str) -> Result<Option<Index>, Fault> {
    if !is_large(path) {
        return Ok(None);
    }
    let rules = config.rules.clone();
    let fingerprint = packing::fingerprint(&rules, config.waits);
    let indexes = Indexes::of(&config.store);
    let mint = |digest: &[u8; 32]| Mint::new(seed, digest);
    if let Some(index) = indexes.open(Wanted { cassette: path, fingerprint }, &rules, mint) {
        return Ok(Some(with_people(index, config)?));
    }
    let cannot = |source| Fault::File { path: path.to_owned(), what: "indexed", source };
    let mut writing = indexes.begin(path).map_err(cannot)?;
    let mut from = vec![writing.first()];
    let mut add = |compiler: &mut Compiler, mut entry: Entry| {
        adapting::adapt(std::slice::from_mut(&mut entry), config.waits);
        let packed = compiler.add(&entry).map_err(|source| damaged(path, source))?.packed();
        from.push(writing.add(&packed).map_err(cannot)?);
        Ok(())
    };
    let compiler = |ids, people| Compiler::new(ids, people, rules.clone());
    let Some((compiler, digests)) = stream(&format!("indexing {name}"), path, compiler, &mut add)? else {
        return Ok(None);
    };
    let kept = Kept::new(writing.shelf().map_err(cannot)?, from);
    let index = compiler.done(Exchanges::Kept(kept), mint(&digests.text)).map_err(|source| damaged(path, source))?;
    keep(writing, &index, fingerprint, &digests);
    Ok(Some(with_people(index, config)?))
}

/// A pseudonymous tape is played with the key by which live people are known.
fn with_people(index: Index, config: &Config) -> Result<Index, Fault> {
    Ok(if index.people() { index.with_stand_ins(stand_ins(config)?) } else { index })
}

/// Keeps an index for the next run. This one can do without.
fn keep(writing: Writing, index: &Index, fingerprint: [u8; 32], digests: &Digests) {
    if let Err(why) = writing.keep(index, fingerprint, digests) {
        tracing::debug!("the index is not kept: {why}");
    }
}

/// What a check of a large cassette finds; none where it is a small one, or one that only the parser can tell what it is.
pub(super) fn checked(path: &Path, secrets: &Secrets) -> Result<Option<(Index, Vec<Leak>)>, Fault> {
    if !is_large(path) {
        return Ok(None);
    }
    let (mut leaks, mut number) = (Vec::new(), 0);
    let mut add = |compiler: &mut Compiler, entry: Entry| {
        number += 1;
        leaks.extend(leaks_of(path, number, &entry, compiler.ids(), compiler.people(), secrets)?);
        compiler.add(&entry).map(drop).map_err(|source| damaged(path, source))
    };
    let compiler = |ids, people| Compiler::new(ids, people, Config::default().rules);
    let Some((compiler, _)) = stream(&format!("checking {}", path.display()), path, compiler, &mut add)? else {
        return Ok(None);
    };
    let index = compiler.done(Exchanges::Held(Vec::new()), Mint::new("", &[0; 32]));
    Ok(Some((index.map_err(|source| damaged(path, source))?, leaks)))
}

/// Takes a large cassette over by a name, down the road to tape once more, and tells where it is; none where it is a
/// small one, or one that has to be looked at as a whole.
pub(super) fn imported(
    config: &Config,
    file: &Path,
    cassettes: &Cassettes,
    name: &str,
) -> Result<Option<PathBuf>, Fault> {
    if !is_large(file) || config.rules.ids().people {
        return Ok(None);
    }
    let (path, secrets) = (cassettes.path(name)?, config.rules.secrets());
    let (mut writing, mut leaks, mut number) = (cassettes.begin(name)?, Vec::new(), 0);
    let mut add = |(ids, people): &mut (Ids, bool), entry: Entry| {
        number += 1;
        let recorded = scribe::recorded(&entry, ids, number).map_err(|source| damaged(file, source))?;
        let entry = scribe::entry(&scribe::tape_exchange(recorded.into_inner(), secrets), ids);
        leaks.extend(leaks_of(&path, number, &entry, ids, *people, secrets)?);
        Ok(writing.add(&entry)?)
    };
    let doing = format!("importing {}", file.display());
    let Some(((ids, people), _)) = stream(&doing, file, |ids, people| (ids, people), &mut add)? else {
        return Ok(None);
    };
    refuse(&path, &leaks)?;
    Ok(Some(writing.finish(&ids, people)?))
}

fn is_large(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.len() >= LARGE)
}

fn damaged(path: &Path, source: cassette::Fault) -> Fault {
    cassettes::Fault::Damaged { path: path.to_owned(), source }.into()
}

/// Reads a cassette exchange by exchange; none where that cannot be done.
fn stream<T>(
    doing: &str,
    path: &Path,
    begin: impl FnOnce(Ids, bool) -> T,
    add: &mut dyn FnMut(&mut T, Entry) -> Result<(), Fault>,
) -> Result<Option<(T, Digests)>, Fault> {
    let read = |source: io::Error| cassettes::Fault::Io { path: path.to_owned(), what: "read", source };
    let file = File::open(path).map_err(read)?;
    let progress = Progress::of_bytes(doing, file.metadata().map_err(read)?.len());
    let reading = || {
        let (mut stream, ids) = Stream::open(file)?;
        let mut made = begin(ids, stream.people());
        while let Some(entry) = stream.next_entry()? {
            add(&mut made, entry)?;
            progress.at(stream.position());
        }
        Ok((made, stream.finish()?))
    };
    match reading() {
        Ok(read) => Ok(Some(read)),
        Err(Stop::Here(streaming::Fault::Irregular)) => Ok(None),
        Err(Stop::Here(streaming::Fault::Io(source))) => Err(read(source).into()),
        Err(Stop::There(fault)) => Err(fault),
    }
}

/// Why reading stopped: because of what is read, or of what is done with it.
enum Stop {
    Here(streaming::Fault),
    There(Fault),
}

impl From<streaming::Fault> for Stop {
    fn from(fault: streaming::Fault) -> Self {
        Self::Here(fault)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::There(fault)
    }
}
