//! The commands on cassettes: list, show, export, import, check, remove.

use super::importing;
use super::progress::Progress;
use super::readying;
use super::scanning::{Leak, leaks, refuse_leaks, told};
use super::sealing::{as_cassette, count, interrupted};
use super::{Fault, say};
use crate::config::Config;
use crate::formats::{self, har, http_file};
use crate::store::cassettes::{self, Cassettes};
use crate::store::journal::Journal;
use crate::store::takes::{Take, Takes};
use crate::tape::cassette::Cassette;
use crate::tape::index::{Index, Origin};
use crate::tape::mint::Mint;
use crate::tape::scribe;
use crate::tape::secrets::Secrets;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Lists the cassettes and the takes that were interrupted.
///
/// # Errors
/// When the folders cannot be read.
pub fn list(config: &Config) -> Result<String, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let names = cassettes.names()?;
    let takes = takes(&config.store)?;
    let width = names.iter().chain(takes.iter().map(|take| &take.cassette)).map(String::len).max().unwrap_or(0);
    let mut text = String::new();
    let mut row = |name: &str, state: String| writeln!(text, "{name:width$}  {state}").expect("a text takes a line");
    for name in &names {
        match cassettes.count(name) {
            Ok(exchanges) => row(name, count(exchanges as u64)),
            Err(fault) => row(name, fault.to_string()),
        }
    }
    for Take { id, cassette, exchanges, .. } in &takes {
        row(cassette, format!("{}, interrupted take {id}", count(*exchanges)));
    }
    if text.is_empty() {
        text = format!("there are no cassettes in {}\n", config.cassettes.display());
    }
    Ok(text)
}

/// The takes in a store that nobody is recording to.
fn takes(store: &Path) -> Result<Vec<Take>, Fault> {
    if !Journal::exists(store) {
        return Ok(Vec::new());
    }
    match Journal::open(store) {
        Ok(journal) => Ok(journal.takes()?),
        Err(fault) => {
            say(format!("{fault}. Its takes are not listed"));
            Ok(Vec::new())
        }
    }
}

/// Shows the exchanges of a cassette.
///
/// # Errors
/// When there is none of that name, or it cannot be used.
pub fn show(config: &Config, name: &str) -> Result<String, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let cassette = cassettes.load(name)?;
    index(&cassettes.path(name)?, cassette.clone())?;
    let entries = &cassette.entries;
    let mut text =
        format!("{name}: {}, {} ids\n", count(entries.len() as u64), cassette.ids.len()).replace(" 1 ids", " 1 id");
    let width = entries.len().to_string().len();
    for (number, entry) in (1..).zip(entries) {
        let (request, status) = (&entry.request, entry.response.status);
        writeln!(text, "{number:>width$}  {status}  {} {}", request.method, request.url).expect("a text takes a line");
    }
    Ok(text)
}

/// Shows the ids of a cassette: what each stands for, who made it, where it was first seen, how often it stands there.
///
/// # Errors
/// When there is none of that name, or it cannot be used.
pub fn show_ids(config: &Config, name: &str) -> Result<String, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let cassette = cassettes.load(name)?;
    let index = index(&cassettes.path(name)?, cassette.clone())?;
    let texts: Vec<String> =
        cassette.entries.iter().flat_map(|entry| [side(&entry.request), side(&entry.response)]).collect();
    let width = index.origins().map(|(placeholder, ..)| placeholder.to_string().len()).max().unwrap_or(0);
    let mut text = String::new();
    for (placeholder, value, origin) in index.origins() {
        let origin = match origin {
            Origin::Given => "given ",
            Origin::Minted => "minted",
        };
        let slot = format!("{{{{{placeholder}");
        let places: Vec<usize> = texts.iter().map(|text| occurrences(text, &slot)).collect();
        let first = places.iter().position(|count| *count > 0).map_or(0, |side| side / 2 + 1);
        let (places, placeholder) = (places.iter().sum::<usize>(), placeholder.to_string());
        writeln!(text, "{placeholder:width$}  {value}  {origin}  first in exchange {first}, in {places} places")
            .expect("a text takes a line");
    }
    Ok(text)
}

fn side(entry: &impl serde::Serialize) -> String {
    serde_json::to_string(entry).expect("an entry prints to memory")
}

/// How often a slot stands in a text, in any spelling.
fn occurrences(text: &str, slot: &str) -> usize {
    text.match_indices(slot).filter(|(at, _)| text[at + slot.len()..].starts_with(['}', '|'])).count()
}

/// How a cassette is written for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Export {
    /// As it is.
    Cassette,
    /// As a HAR file.
    Har,
    /// Its requests as a `.http` file.
    Http,
}

/// The text of a cassette: of the sealed one, of its interrupted take where there is none, or of a take by number.
///
/// # Errors
/// When there is no such cassette or take.
pub fn export(config: &Config, name: &str, take: Option<u64>, export: Export) -> Result<String, Fault> {
    let cassette = chosen(config, name, take)?;
    let path = Cassettes::new(config.cassettes.clone()).path(name)?;
    let mut exchanges = Vec::new();
    if export != Export::Cassette {
        for (number, entry) in (1..).zip(&cassette.entries) {
            let damaged = |source| cassettes::Fault::Damaged { path: path.clone(), source };
            exchanges.push(scribe::recorded(entry, &cassette.ids, number).map_err(damaged)?.into_inner());
        }
    }
    match export {
        Export::Cassette => Ok(cassette.print()),
        Export::Har => Ok(har::write(exchanges.into_iter(), &cassette.ids, cassette.people)),
        Export::Http => {
            let (text, lost) = http_file::write(exchanges.into_iter());
            for (number, why) in lost {
                say(format!("{}: exchange {number}: {why}", path.display()));
            }
            Ok(text)
        }
    }
}

fn chosen(config: &Config, name: &str, take: Option<u64>) -> Result<Cassette, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    if let Some(take) = take {
        let journal = Journal::open(&config.store)?;
        let known = journal.takes()?;
        if !known.iter().any(|found| found.id == take && found.cassette == name) {
            return Err(no_such_take(name, take, &known));
        }
        return as_cassette(journal.read(take)?, config);
    }
    if !cassettes.contains(name)?
        && Journal::exists(&config.store)
        && let Some(cassette) = interrupted(config, name)?
    {
        return Ok(cassette);
    }
    Ok(cassettes.load(name)?)
}

/// Takes a cassette file, or a file of another tool, over into the folder of cassettes, and says what came of it.
///
/// # Errors
/// When it is none, or one of that name is there and `force` is not given.
pub fn import(config: &Config, file: &Path, name: Option<String>, force: bool) -> Result<String, Fault> {
    let stem = || file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let name = name.unwrap_or_else(stem);
    let cassettes = Cassettes::new(config.cassettes.clone());
    let exists = |name: &str| Ok::<_, Fault>(!force && cassettes.contains(name)?);
    if !exists(&name)?
        && let Some(path) = readying::imported(config, file, &cassettes, &name)?
    {
        return Ok(format!("imported {} as {}\n", file.display(), path.display()));
    }
    let text = cassettes::read(file)?;
    let (cassette, told) = if formats::is_cassette(&text) {
        (redacted(file, &cassettes::parse(file, &text)?, config)?, String::new())
    } else {
        let (cassette, told) = importing::cassette(config, file, &text)?;
        index(file, cassette.clone())?;
        (cassette, told)
    };
    if exists(&name)? {
        return Err(cassettes::Fault::Exists(cassettes.path(&name)?).into());
    }
    refuse_leaks(&cassettes.path(&name)?, &cassette, config.rules.secrets())?;
    let path = cassettes.write(&name, &cassette)?;
    Ok(format!("imported {} as {}{told}\n", file.display(), path.display()))
}

/// A foreign cassette, taken down the road to tape once more: what may not be written down is not in it then.
fn redacted(file: &Path, cassette: &Cassette, config: &Config) -> Result<Cassette, Fault> {
    let damaged = |source| cassettes::Fault::Damaged { path: file.to_owned(), source };
    let mut exchanges = Vec::new();
    let progress = Progress::of(&format!("importing {}", file.display()), cassette.entries.len());
    for (number, entry) in (1..).zip(&cassette.entries) {
        let recorded = scribe::recorded(entry, &cassette.ids, number).map_err(damaged)?;
        exchanges.push(scribe::tape_exchange(recorded.into_inner(), config.rules.secrets()));
        progress.step();
    }
    // Its ids are other ones then.
    if config.rules.ids().people {
        return as_cassette(exchanges, config);
    }
    let entries = exchanges.iter().map(|exchange| scribe::entry(exchange, &cassette.ids)).collect();
    Ok(Cassette { ids: cassette.ids.clone(), entries, people: cassette.people })
}

/// Sees whether cassettes can be used: these, by file or by name, or all in the folder. Returns a line for each, and whether
/// all can.
///
/// # Errors
/// When the folder cannot be read.
pub fn check(config: &Config, files: &[PathBuf]) -> Result<(String, bool), Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let mut paths: Vec<Result<PathBuf, Fault>> = files.iter().map(|file| file_of(&cassettes, file)).collect();
    if paths.is_empty() {
        for name in cassettes.names()? {
            paths.push(Ok(cassettes.path(&name)?));
        }
    }
    if paths.is_empty() {
        return Ok((format!("there are no cassettes in {}\n", config.cassettes.display()), false));
    }
    let (mut text, mut good) = (String::new(), true);
    for path in paths {
        let checked = path.and_then(|path| checked(&path, config.rules.secrets()).map(|found| (path, found)));
        let line = match &checked {
            Ok((path, (index, leaks))) if leaks.is_empty() => {
                format!("{}: {}, good{}", path.display(), count(index.len() as u64), ambiguities(index))
            }
            Ok((path, (_, leaks))) => told(path, leaks),
            Err(fault) => fault.to_string(),
        };
        good &= checked.is_ok_and(|(_, (_, leaks))| leaks.is_empty());
        writeln!(text, "{line}").expect("a text takes a line");
    }
    Ok((text, good))
}

/// The file that is meant: where there is none of that name, the cassette that is called so. What has an ending is a file.
fn file_of(cassettes: &Cassettes, named: &Path) -> Result<PathBuf, Fault> {
    let found = named.to_str().filter(|_| !named.exists()).map(|name| cassettes.find(name));
    match found {
        Some(Ok(path)) => Ok(path),
        Some(Err(fault)) if named.extension().is_none() => Err(fault.into()),
        _ => Ok(named.to_owned()),
    }
}

/// A cassette file made ready, and what should not be in it.
fn checked(path: &Path, secrets: &Secrets) -> Result<(Index, Vec<Leak>), Fault> {
    if let Some(large) = readying::checked(path, secrets)? {
        return Ok(large);
    }
    let cassette = cassettes::load(path)?;
    let leaks = leaks(path, &cassette, secrets)?;
    Ok((index(path, cassette)?, leaks))
}

/// What a person should know of a cassette that can be used: which of its ids only the order tells apart.
fn ambiguities(index: &Index) -> String {
    let pairs = index.told_apart_by_order();
    let told = pairs.iter().map(|(one, other)| {
        format!("\n  exchanges {one} and {other} ask the same of two ids: a run with other ids tells these apart by order only")
    });
    told.collect()
}

fn index(path: &Path, cassette: Cassette) -> Result<Index, Fault> {
    let rules = Config::default().rules;
    let progress = Progress::of(&format!("checking {}", path.display()), cassette.entries.len());
    Index::compile(cassette, rules, Mint::new("", &[0; 32]), || progress.step())
        .map_err(|source| cassettes::Fault::Damaged { path: path.to_owned(), source }.into())
}

fn no_such_take(name: &str, take: u64, known: &[Take]) -> Fault {
    let others: Vec<String> = known.iter().map(|take| format!("{} of {}", take.id, take.cassette)).collect();
    let there =
        if others.is_empty() { "the store has none".to_owned() } else { format!("there are: {}", others.join(", ")) };
    Fault::Flag { flag: "--take", why: format!("{name} has no take {take}; {there}") }
}

/// Removes a cassette and its interrupted takes.
///
/// # Errors
/// When there is neither.
pub fn remove(config: &Config, name: &str, take: Option<u64>) -> Result<String, Fault> {
    let cassettes = Cassettes::new(config.cassettes.clone());
    let mut removed = Vec::new();
    if Journal::exists(&config.store) {
        let journal = Journal::open(&config.store)?;
        let known = journal.takes()?;
        let meant = known.iter().filter(|found| found.cassette == name && take.is_none_or(|take| take == found.id));
        for found in meant {
            journal.remove(found.id)?;
            removed.push(format!("take {}", found.id));
        }
        if let Some(take) = take.filter(|_| removed.is_empty()) {
            return Err(no_such_take(name, take, &known));
        }
    }
    if take.is_some() {
        return Ok(format!("removed {} of {name}\n", removed.join(", ")));
    }
    if cassettes.contains(name)? || removed.is_empty() {
        removed.push(cassettes.remove(name)?.display().to_string());
    }
    Ok(format!("removed {}\n", removed.join(", ")))
}
