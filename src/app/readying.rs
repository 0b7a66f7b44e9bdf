//! A large cassette made ready to be played or checked: from its index where that is current, else piece by piece.

use super::Fault;
use super::progress::Progress;
use super::scanning::{Leak, leaks_of, refuse};
use super::sealing::stand_ins;
use super::workers;
use crate::config::Config;
use crate::store::cassettes::{self, Cassettes};
use crate::store::indexes::{HELD, Indexes, Wanted, Writing};
use crate::tape::cassette::{self, Entry};
use crate::tape::compiling::Compiler;
use crate::tape::ids::Ids;
use crate::tape::index::Index;
use crate::tape::mint::Mint;
use crate::tape::packing;
use crate::tape::played::{self, Kept};
use crate::tape::preparing::{Ground, Preparer, Unread};
use crate::tape::scribe;
use crate::tape::secrets::Secrets;
use crate::tape::streaming::{self, Digests, Stream};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// From which size, in bytes, a cassette has an index: below it one would save no time that anybody waits for.
const LARGE: u64 = 4 << 20;

/// A large cassette made ready; none where it is a small one, or one that only the parser can tell what it is.
pub(super) fn large(config: &Config, name: &str, path: &Path) -> Result<Option<Index>, Fault> {
    if !is_large(path) {
        return Ok(None);
    }
    let rules = config.rules.clone();
    let fingerprint = packing::fingerprint(&rules, config.waits);
    let indexes = Indexes::of(&config.store);
    let mint = |digest: &[u8; 32]| Mint::new(&config.seed, digest);
    if let Some(index) = indexes.open(Wanted { cassette: path, fingerprint }, &rules, mint) {
        return Ok(Some(with_people(index, config)?));
    }
    let cannot = |source| Fault::File { path: path.to_owned(), what: "indexed", source };
    let mut writing = indexes.begin(path).map_err(cannot)?;
    let mut from = vec![writing.first()];
    let Some((stream, ids)) = Exchanges::open(&format!("indexing {name}"), path)? else { return Ok(None) };
    let ground = Arc::new(Ground::new(ids, stream.people(), rules));
    from.reserve(stream.expected());
    let mut compiler = Compiler::for_playing(Arc::clone(&ground), stream.expected());
    let worker = || {
        let mut preparer = Preparer::new(Arc::clone(&ground));
        move |number, text: &[u8]| preparer.ready(text, config.waits, number).map_err(|fault| unread(path, fault))
    };
    let (mut packed, mut late) = (Vec::new(), Preparer::new(Arc::clone(&ground)));
    let mut add = |ready, text: &[u8]| {
        let prepare = |number| late.prepare_text(text, config.waits, number).map_err(|fault| unread(path, fault));
        compiler.pack(ready, &mut packed, prepare)?;
        from.push(writing.add(&packed).map_err(cannot)?);
        Ok(())
    };
    let Some(digests) = stream.all(worker, &mut add)? else { return Ok(None) };
    drop((late, ground));
    let is_held = from.last().is_some_and(|end| *end <= HELD);
    let kept = Kept::new(writing.shelf().map_err(cannot)?, from);
    let index =
        compiler.done(played::Exchanges::Kept(kept), mint(&digests.text)).map_err(|source| damaged(path, source))?;
    keep(writing, &index, fingerprint, &digests);
    let lost = || cannot(io::Error::other("what was just written of it reads otherwise"));
    let index = if is_held { index.held().ok_or_else(lost)? } else { index };
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
    let Some((stream, ids)) = Exchanges::open(&format!("checking {}", path.display()), path)? else {
        return Ok(None);
    };
    let ground = Arc::new(Ground::new(ids, stream.people(), Config::default().rules));
    let mut compiler = Compiler::for_checking(Arc::clone(&ground), stream.expected());
    let mut leaks = Vec::new();
    let worker = || {
        let mut preparer = Preparer::new(Arc::clone(&ground));
        let ground = &ground;
        move |number, text: &[u8]| {
            let (entry, _) = streaming::entry(text)?;
            let leaks = leaks_of(path, number, &entry, ground.ids(), ground.people(), secrets)?;
            // Nothing of it is played.
            Ok((leaks, preparer.prepare(&entry, Vec::new(), number).map_err(|source| damaged(path, source))?))
        }
    };
    let mut add = |(found, prepared), _: &[u8]| {
        leaks.extend::<Vec<Leak>>(found);
        compiler.check(&prepared);
        Ok(())
    };
    let Some(_) = stream.all(worker, &mut add)? else { return Ok(None) };
    drop(ground);
    let index = compiler.done(played::Exchanges::default(), Mint::new("", &[0; 32]));
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
    let doing = format!("importing {}", file.display());
    let Some((stream, ids)) = Exchanges::open(&doing, file)? else { return Ok(None) };
    let (path, secrets, people) = (cassettes.path(name)?, config.rules.secrets(), stream.people());
    let (mut writing, mut leaks) = (cassettes.begin(name)?, Vec::new());
    let worker = || {
        |number, text: &[u8]| {
            let (entry, _) = streaming::entry(text)?;
            let recorded = scribe::recorded(&entry, &ids, number).map_err(|source| damaged(file, source))?;
            let entry = scribe::entry(&scribe::tape_exchange(recorded.into_inner(), secrets), &ids);
            Ok((leaks_of(&path, number, &entry, &ids, people, secrets)?, entry))
        }
    };
    let mut add = |(found, entry): (_, Entry), _: &[u8]| {
        leaks.extend::<Vec<Leak>>(found);
        Ok(writing.add(&entry).map_err(Fault::from)?)
    };
    let Some(_) = stream.all(worker, &mut add)? else { return Ok(None) };
    refuse(&path, &leaks)?;
    Ok(Some(writing.finish(&ids, people)?))
}

fn is_large(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.len() >= LARGE)
}

fn damaged(path: &Path, source: cassette::Fault) -> Fault {
    cassettes::Fault::Damaged { path: path.to_owned(), source }.into()
}

fn unread(path: &Path, fault: Unread) -> Stop {
    match fault {
        Unread::Text(fault) => fault.into(),
        Unread::Entry(source) => damaged(path, source).into(),
    }
}

/// How much of a cassette a thread is given at once: enough that it is worth a thread.
const PIECE: usize = 256 * 1024;

/// For how many exchanges there is room beforehand at most: they may be fewer than they look.
const MOST_EXPECTED: usize = 4_000_000;

/// The texts of some exchanges, one after another.
struct Piece {
    /// The number of the first one, counted from 1.
    number: usize,
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Piece {
    /// Does something with each exchange, up to the first fault.
    fn each<R>(&self, work: &mut impl FnMut(usize, &[u8]) -> Result<R, Stop>) -> (Vec<R>, Option<Stop>) {
        let mut done = Vec::with_capacity(self.ends.len());
        for (number, text) in (self.number..).zip(self.texts()) {
            match work(number, text) {
                Ok(one) => done.push(one),
                Err(stop) => return (done, Some(stop)),
            }
        }
        (done, None)
    }

    fn texts(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |end| &self.text[std::mem::replace(&mut from, *end)..*end])
    }
}

/// Takes what came of an exchange, and its text.
type Adding<'a, R> = dyn FnMut(R, &[u8]) -> Result<(), Stop> + 'a;

/// The exchanges of a large cassette, read piece by piece.
struct Exchanges<'a> {
    path: &'a Path,
    stream: Stream<File>,
    progress: Progress,
}

impl<'a> Exchanges<'a> {
    /// Reads up to the exchanges; none where they cannot be read piece by piece.
    fn open(doing: &str, path: &'a Path) -> Result<Option<(Self, Ids)>, Fault> {
        let read = |source| unreadable(path, source);
        let file = File::open(path).map_err(read)?;
        let progress = Progress::of_bytes(doing, file.metadata().map_err(read)?.len());
        let opened = Stream::open(file).map(|(stream, ids)| (Self { path, stream, progress }, ids));
        told(path, opened.map_err(Stop::from))
    }

    /// For about how many exchanges there may be room beforehand.
    fn expected(&self) -> usize {
        let length = self.path.metadata().map_or(0, |file| file.len());
        self.stream.expected(length).min(MOST_EXPECTED)
    }

    /// Whether the cassette claims to be pseudonymous.
    fn people(&self) -> bool {
        self.stream.people()
    }

    /// Has several threads work on the exchanges, and takes what comes of it in their order.
    fn all<R: Send, F: FnMut(usize, &[u8]) -> Result<R, Stop> + Send>(
        mut self,
        worker: impl Fn() -> F,
        add: &mut Adding<'_, R>,
    ) -> Result<Option<Digests>, Fault> {
        let mut number = 1;
        let next = || {
            let piece = self.piece(number)?;
            number += piece.as_ref().map_or(0, |piece| piece.ends.len());
            Ok(piece)
        };
        let worker = || {
            let mut work = worker();
            move |piece: Piece| {
                let done = piece.each(&mut work);
                (piece, done)
            }
        };
        let take = |(piece, (done, stop)): (Piece, (Vec<R>, Option<Stop>))| {
            done.into_iter().zip(piece.texts()).try_for_each(|(one, text)| add(one, text))?;
            stop.map_or(Ok(()), Err)
        };
        let outcome = workers::in_order(next, worker, take);
        told(self.path, outcome.and_then(|()| self.stream.finish().map_err(Stop::from)))
    }

    /// The next exchanges, the first of which has this number; none after the last one.
    fn piece(&mut self, number: usize) -> Result<Option<Piece>, Stop> {
        let mut piece = Piece { number, text: Vec::with_capacity(PIECE + PIECE / 4), ends: Vec::new() };
        while piece.text.len() < PIECE {
            let Some(text) = self.stream.next_text()? else { break };
            piece.text.extend_from_slice(text);
            piece.ends.push(piece.text.len());
        }
        self.progress.at(self.stream.position());
        Ok(Some(piece).filter(|piece| !piece.ends.is_empty()))
    }
}

fn unreadable(path: &Path, source: io::Error) -> Fault {
    cassettes::Fault::Io { path: path.to_owned(), what: "read", source }.into()
}

/// What came of reading a cassette; none where it is not read piece by piece.
fn told<T>(path: &Path, outcome: Result<T, Stop>) -> Result<Option<T>, Fault> {
    match outcome {
        Ok(read) => Ok(Some(read)),
        Err(Stop::Here(streaming::Fault::Irregular)) => Ok(None),
        Err(Stop::Here(streaming::Fault::Io(source))) => Err(unreadable(path, source)),
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
