//! Tells how a run went: to people, to files, and to GitHub's runner.

use super::{Fault, complain, say};
use crate::platform;
use crate::session::rendering;
use crate::session::report::{Mode, Report};
use std::io::Write;
use std::path::Path;

/// In what form a report is written, by the end of its file's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// All of it, for programs.
    Json,
    /// As test suites, for CI servers.
    JUnit,
    /// A page for people.
    Markdown,
}

impl Form {
    /// The form that a file's name asks for.
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        match path.extension().and_then(|end| end.to_str()).map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Ok(Self::Json),
            Some("xml") => Ok(Self::JUnit),
            Some("md") => Ok(Self::Markdown),
            _ => {
                let why = format!("{}: a report ends in .json, .xml (JUnit) or .md", path.display());
                Err(Fault::Flag { flag: "--report or GRAPHDECK_REPORT", why })
            }
        }
    }
}

/// Says how the run went.
pub(super) fn tell(report: &Report, strict: bool) {
    if report.mode != Mode::Record {
        if report.is_clean(strict) { say(report.replayed()) } else { complain(report.replayed()) }
    }
    report.holes_told().into_iter().for_each(complain);
    report.table().into_iter().chain(report.asides(strict)).for_each(say);
}

/// Writes the report to its file, and to where GitHub's runner takes it from.
pub(super) fn write(path: Option<&Path>, report: &Report, strict: bool) -> Result<(), Fault> {
    if let Some(path) = path {
        let text = match Form::of(path)? {
            Form::Json => report.to_json(),
            Form::JUnit => rendering::junit(report, strict),
            Form::Markdown => rendering::markdown(report, strict),
        };
        let written = platform::replace_file(path, |file| file.write_all(text.as_bytes()));
        written.map_err(|source| Fault::File { path: path.to_owned(), what: "written", source })?;
    }
    if std::env::var_os("GITHUB_ACTIONS").is_some_and(|value| value == "true") {
        for line in rendering::annotations(report) {
            annotate(&line);
        }
        if let Some(summary) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
            let path = Path::new(&summary);
            let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
            let written = file.and_then(|mut file| file.write_all(rendering::markdown(report, strict).as_bytes()));
            written.map_err(|source| Fault::File { path: path.to_owned(), what: "written", source })?;
        }
    }
    Ok(())
}

/// A line for the runner, which reads both outputs of a step; standard output is the program's own.
fn annotate(line: &str) {
    // Where standard error is gone there is nobody to tell.
    let _ = std::io::stderr().write_all(format!("{line}\n").as_bytes());
}
