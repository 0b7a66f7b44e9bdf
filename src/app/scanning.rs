//! What in a cassette should not be there: secrets, and people where it claims to have none.

use super::Fault;
use crate::store::cassettes;
use crate::tape::cassette::{Cassette, Entry};
use crate::tape::ids::Ids;
use crate::tape::secrets::Secrets;
use crate::tape::{people, redact, scribe};
use std::path::Path;

/// Something that should not be in a cassette.
#[derive(Debug)]
pub(super) struct Leak {
    /// The exchange, counted from 1.
    exchange: usize,
    place: String,
    what: String,
    /// Whether it is somebody, and no secret.
    is_person: bool,
}

impl std::fmt::Display for Leak {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { exchange, place, what, is_person } = self;
        let kind = if *is_person {
            format!("this is {what}, in a pseudonymous cassette")
        } else {
            format!("this looks like a secret ({what})")
        };
        write!(f, "exchange {exchange}, {place}: {kind}")
    }
}

/// The leaks of a file, a line each, and what takes them out.
pub(super) fn told(path: &Path, leaks: &[Leak]) -> String {
    let path = path.display();
    let mut lines: Vec<String> = leaks.iter().map(|leak| format!("{path}: {leak}")).collect();
    let on = if leaks.iter().any(|leak| leak.is_person) { ", with people = \"pseudonym\" in [redact]," } else { "" };
    lines.push(format!("  `graphdeck cassette import {path} --force`{on} takes that out"));
    lines.join("\n")
}

/// What should not be in a cassette.
pub(super) fn leaks(path: &Path, cassette: &Cassette, secrets: &Secrets) -> Result<Vec<Leak>, Fault> {
    let mut leaks = Vec::new();
    for (number, entry) in (1..).zip(&cassette.entries) {
        leaks.extend(leaks_of(path, number, entry, &cassette.ids, cassette.people, secrets)?);
    }
    Ok(leaks)
}

/// What should not be in an exchange of a cassette; `people` is whether that is pseudonymous.
pub(super) fn leaks_of(
    path: &Path,
    number: usize,
    entry: &Entry,
    ids: &Ids,
    people: bool,
    secrets: &Secrets,
) -> Result<Vec<Leak>, Fault> {
    let damaged = |source| cassettes::Fault::Damaged { path: path.to_owned(), source };
    let exchange = scribe::recorded(entry, ids, number).map_err(damaged)?;
    let leak = |is_person| move |(place, what)| Leak { exchange: number, place, what, is_person };
    let mut leaks: Vec<Leak> = redact::leaks(&exchange, secrets).into_iter().map(leak(false)).collect();
    if people {
        let found = people::leaks(&exchange).into_iter().map(|(place, what)| (place, what.to_owned()));
        leaks.extend(found.map(leak(true)));
    }
    Ok(leaks)
}

/// How many leaks are told one by one where a cassette is not written.
const TOLD: usize = 5;

/// Sees that a cassette may be written to a file.
///
/// # Errors
/// When something is in it that should not be there.
pub(super) fn refuse_leaks(path: &Path, cassette: &Cassette, secrets: &Secrets) -> Result<(), Fault> {
    refuse(path, &leaks(path, cassette, secrets)?)
}

/// Sees that a cassette may be written in which these were found.
///
/// # Errors
/// When there are any.
pub(super) fn refuse(path: &Path, leaks: &[Leak]) -> Result<(), Fault> {
    if leaks.is_empty() {
        return Ok(());
    }
    let mut told: Vec<String> = leaks.iter().take(TOLD).map(|leak| format!("\n  {leak}")).collect();
    if leaks.len() > TOLD {
        told.push(format!("\n  and {} more", leaks.len() - TOLD));
    }
    let way_out = if leaks.iter().all(|leak| leak.is_person) {
        "Set people = \"pseudonym\" in [redact], by which people are taken out"
    } else {
        "If it is no secret, switch that rule off (docs/redaction.md); if it is one, add a rule that takes it out whole"
    };
    told.push(format!("\n  {way_out}"));
    Err(Fault::Leaks { path: path.to_owned(), told: told.concat() })
}
