//! What changed between two cassettes: `graphdeck cassette diff`.

use super::Fault;
use super::progress::Progress;
use super::sealing::count;
use crate::config::Config;
use crate::store::cassettes::{self, Cassettes};
use crate::tape::cassette::Cassette;
use crate::tape::pairing::{self, Comparison, Recording};
use crate::tape::redact;
use crate::tape::renaming::{Changes, Manner};
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Says what changed from one cassette to another, ids aside, and whether nothing did.
///
/// # Errors
/// When one of them cannot be used.
pub fn diff(config: &Config, cassettes: [&Path; 2], exact: bool, json: bool) -> Result<(String, bool), Fault> {
    let [(old, one), (new, other)] = [load(config, cassettes[0])?, load(config, cassettes[1])?];
    let manner = Manner { rules: &config.rules, exact };
    let recordings = [recording(&old, &one, manner)?, recording(&new, &other, manner)?];
    let comparison = pairing::compare(&recordings[0], &recordings[1]);
    let text = if json {
        serde_json::to_string_pretty(&for_programs(&comparison, &recordings)).expect("JSON prints to memory") + "\n"
    } else {
        for_people(&comparison, &recordings, [&old, &new])
    };
    Ok((text, comparison.is_empty()))
}

/// A cassette by its name, or any file that ends as one.
fn load(config: &Config, named: &Path) -> Result<(PathBuf, Cassette), Fault> {
    if named.extension().is_some_and(|end| end == "json") {
        return Ok((named.to_owned(), cassettes::load(named)?));
    }
    let (all, name) = (Cassettes::new(config.cassettes.clone()), named.to_string_lossy());
    Ok((all.path(&name)?, all.load(&name)?))
}

fn recording<'a>(path: &Path, cassette: &'a Cassette, manner: Manner<'_>) -> Result<Recording<'a>, Fault> {
    let progress = Progress::of(&format!("comparing {}", path.display()), cassette.entries.len());
    let damaged = |source| cassettes::Fault::Damaged { path: path.to_owned(), source };
    Ok(Recording::of(cassette, manner, || progress.step()).map_err(damaged)?)
}

fn for_people(comparison: &Comparison, [one, other]: &[Recording<'_>; 2], [old, new]: [&Path; 2]) -> String {
    let Comparison { same, changed, removed, added, moved } = comparison;
    let sums = [
        (changed.len(), "changed"),
        (removed.len(), "removed"),
        (added.len(), "added"),
        (moved.len(), "in another turn"),
        (*same, "the same"),
    ];
    let sums = sums.iter().filter(|(number, what)| *number > 0 || *what == "the same");
    let sums: Vec<String> = sums.map(|(number, what)| format!("{} {what}", count(*number as u64))).collect();
    let mut text = format!("{} -> {}: {}\n", old.display(), new.display(), sums.join(", "));
    let mut line = |what: &str, number: String, request: String| {
        let request = redact::printable(&request);
        writeln!(text, "{what} exchange {number}: {request}").expect("a text takes a line");
    };
    removed.iter().for_each(|at| line("removed:", at.to_string(), one.name(*at)));
    added.iter().for_each(|at| line("added:", at.to_string(), other.name(*at)));
    moved.iter().for_each(|(from, to)| {
        line("in another turn:", numbers(*from, *to), other.name(*to));
    });
    for (from, to, changes) in changed {
        writeln!(text, "changed: exchange {}: {}", numbers(*from, *to), redact::printable(&one.name(*from)))
            .expect("a text takes a line");
        text.push_str(&lines(changes));
    }
    text
}

/// The number of an exchange in both cassettes.
fn numbers(from: usize, to: usize) -> String {
    if from == to { from.to_string() } else { format!("{from} -> {to}") }
}

/// Changes, a line each, indented.
pub(super) fn lines(changes: &Changes) -> String {
    let mut text: String = changes.first.iter().map(|change| format!("  {change}\n")).collect();
    if changes.more > 0 {
        writeln!(text, "  and {} more places", changes.more).expect("a text takes a line");
    }
    text
}

fn for_programs(comparison: &Comparison, [one, other]: &[Recording<'_>; 2]) -> Value {
    let of = |recording: &Recording<'_>, numbers: &[usize]| -> Vec<Value> {
        numbers.iter().map(|at| json!({ "exchange": at, "request": recording.name(*at) })).collect()
    };
    let changed = comparison.changed.iter().map(|(from, to, changes)| {
        json!({
            "from": from, "to": to, "request": one.name(*from), "differences": changes.first.iter().map(place).collect::<Vec<_>>(),
            "more": changes.more,
        })
    });
    let moved = comparison.moved.iter().map(|(from, to)| json!({ "from": from, "to": to, "request": other.name(*to) }));
    json!({
        "version": 1,
        "same": comparison.same,
        "changed": changed.collect::<Vec<_>>(),
        "removed": of(one, &comparison.removed),
        "added": of(other, &comparison.added),
        "moved": moved.collect::<Vec<_>>(),
    })
}

/// A change, for programs.
pub(super) fn place(change: &crate::tape::renaming::Change) -> Value {
    json!({
        "side": change.side.to_string(), "place": change.place.to_string(),
        "was": change.was, "is": change.is, "id": change.id,
    })
}
