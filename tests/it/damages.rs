//! Files that are damaged at random: a clear line or just what was written, never a panic, never anything else.
//!
//! `GRAPHDECK_ROUNDS=1000 cargo test --test it damages -- --nocapture` does a thousand damages to a store, and as many to
//! a cassette.

use crate::support::deck::Project;
use crate::support::load::{body, chance};
use crate::support::{CONFIG, rounds, statuses};
use graphdeck::store::engine::hush_caught_panics;
use graphdeck::store::journal::Journal;
use graphdeck::store::takes::{Fault, Takes};
use graphdeck::tape::exchange::{Exchange, Headers, Request, Response, Taped};
use graphdeck::tape::scribe;
use graphdeck::tape::secrets::Secrets;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");
/// After so many damages that are looked at here, one is looked at through the program.
const THROUGH_PROGRAM: usize = 10;

fn exchange(n: usize) -> Taped<Exchange> {
    // Some are of one piece, and some of many.
    let body = body(&format!("user {n}"), [300, 3_000, 60_000][n % 3]);
    let target = statuses(CONFIG);
    let request = Request {
        method: "POST".into(),
        host: "graph.microsoft.com".into(),
        target,
        headers: Headers::default(),
        body: body.clone(),
    };
    let response = Response { status: 201, headers: Headers::default(), body };
    scribe::tape_exchange(Exchange { request, response, took: None }, &Secrets::default())
}

/// Files below a folder, and what they hold.
type Contents = Vec<(PathBuf, Vec<u8>)>;

/// Makes a store as one is after some use and a `kill -9`: a take removed, one kept, opened more than once, the newest
/// rows in its log. Returns its files, and what is in it.
fn used(path: &Path) -> (Contents, Vec<Taped<Exchange>>) {
    let exchanges: Vec<_> = (0..24).map(exchange).collect();
    let append = |journal: &Journal, take: u64, range: std::ops::Range<usize>| {
        for n in range {
            journal.append(take, n as u64, &exchanges[n]).blocking_recv().unwrap().unwrap();
        }
    };
    let journal = Journal::open(path).unwrap();
    let removed = journal.begin("whole", 1).unwrap();
    append(&journal, removed, 0..6);
    journal.remove(removed).unwrap();
    assert_eq!(journal.begin("whole", 2).unwrap(), 2);
    append(&journal, 2, 0..12);
    drop(journal);
    let journal = Journal::open(path).unwrap();
    append(&journal, 2, 12..24);
    let relative = |file: &Path| file.strip_prefix(path).unwrap().to_owned();
    let kept = files(path).into_iter().map(|file| (relative(&file), fs::read(&file).unwrap())).collect();
    (kept, exchanges)
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Damages bytes at a place that looks like chance: cuts them off there, or changes a bit, some bytes, or a block.
fn damaged(bytes: &[u8], words: &str) -> Vec<u8> {
    let at = usize::try_from(chance((words, "at")) % bytes.len().max(1) as u64).unwrap();
    let mut damaged = bytes.to_vec();
    let many = [1, 16, 4096][usize::try_from(chance((words, "many")) % 3).unwrap()];
    let end = (at + many).min(bytes.len());
    match chance((words, "how")) % 4 {
        0 => damaged.truncate(at),
        1 if !bytes.is_empty() => damaged[at] ^= 1 << (chance((words, "bit")) % 8),
        2 => damaged[at..end].fill(0),
        _ => damaged[at..end].iter_mut().for_each(|byte| *byte = !*byte),
    }
    damaged
}

/// What is in the take of a store.
fn read(store: &Path) -> Result<Vec<Taped<Exchange>>, Fault> {
    let journal = Journal::open(store)?;
    journal.takes()?;
    journal.read(2)
}

#[test]
fn a_store_that_is_damaged_anywhere_is_told_of_or_as_it_was() {
    hush_caught_panics();
    let project = Project::new();
    let whole = project.file("whole");
    let (kept, written) = used(&whole);
    let exported = |store: &str| project.run(&["cassette", "export", "whole", "--take", "2", "--store", store]);
    let expected = exported("whole").stdout;
    assert!(expected.contains("user 23 part 7"), "{expected}");
    // What tells nothing of exchanges may hold anything.
    let aside = |file: &Path| ["lock", ".gitignore"].iter().any(|name| file.ends_with(name));
    let targets: Vec<&PathBuf> = kept.iter().map(|(file, _)| file).filter(|file| !aside(file)).collect();
    let mut outcomes: BTreeMap<(String, &str), usize> = BTreeMap::new();
    for round in 0..rounds(60) {
        let target = targets[round % targets.len()];
        let store = format!("damaged-{round}");
        for (file, bytes) in &kept {
            let words = format!("{round} {}", target.display());
            let bytes = if file == target { damaged(bytes, &words) } else { bytes.clone() };
            project.write(&format!("{store}/{}", file.display()), bytes);
        }
        let store_path = project.file(&store);
        let outcome = if round % THROUGH_PROGRAM == THROUGH_PROGRAM - 1 {
            let ended = exported(&store);
            let told = ended.stderr.starts_with("graphdeck: the store ") && ended.stderr.lines().count() == 1;
            let told = told && !ended.stderr.contains("panicked");
            match ended.code {
                Some(0) if ended.stdout == expected => "as it was",
                Some(2) if told && ended.stdout.is_empty() => "told",
                code => panic!("round {round}, {}: {code:?} {}", target.display(), ended.stderr),
            }
        } else {
            match read(&store_path) {
                Ok(read) => {
                    assert!(read == written, "round {round}: {} serves something else", target.display());
                    "as it was"
                }
                Err(fault) => {
                    let line = fault.to_string();
                    assert_eq!(line.lines().count(), 1, "{line}");
                    assert!(line.contains(&store) && (line.contains("--store DIR") || line.contains("move")), "{line}");
                    "told"
                }
            }
        };
        *outcomes.entry((target.display().to_string(), outcome)).or_default() += 1;
        fs::remove_dir_all(store_path).unwrap();
    }
    eprintln!("damages to a store, by file and outcome: {outcomes:#?}");
    for name in ["db", "log"] {
        assert!(outcomes.iter().any(|((file, outcome), _)| file.ends_with(name) && *outcome == "told"), "{name}");
    }
}

#[test]
fn a_cassette_that_is_damaged_anywhere_is_told_of_in_a_line_or_good() {
    let project = Project::new();
    let rounds = rounds(60);
    let names: Vec<String> = (0..rounds).map(|round| format!("damaged/{round}.json")).collect();
    for name in &names {
        project.write(name, damaged(DEMO.as_bytes(), name));
    }
    let mut outcomes = [0, 0];
    for some in names.chunks(100) {
        let files: Vec<&str> = some.iter().map(String::as_str).collect();
        let ended = project.run(&[&["cassette", "check"], &files[..]].concat());
        assert!(matches!(ended.code, Some(0 | 2)) && ended.stderr.is_empty(), "{:?} {}", ended.code, ended.stderr);
        for name in files {
            let lines: Vec<&str> = ended.stdout.lines().filter(|line| line.starts_with(name)).collect();
            // What was hand-edited into something else that a cassette may say is good.
            let good = lines.iter().filter(|line| line.contains(" exchanges, good")).count();
            assert!(lines.len() == 1 || (good == 0 && !lines.is_empty()), "{name}: {lines:#?}");
            let cut_off = fs::read(project.file(name)).unwrap().len() + 1 < DEMO.len();
            assert!(good == 0 || !cut_off, "{name} is cut off: {lines:#?}");
            outcomes[good] += 1;
        }
    }
    eprintln!("damages to a cassette: {} told, {} good", outcomes[0], outcomes[1]);
    assert!(outcomes[0] > 0);
}
