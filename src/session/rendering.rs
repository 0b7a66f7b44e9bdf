//! Reports in the forms of others: JUnit for CI servers, Markdown for people, annotations for GitHub.

use super::report::{Report, SessionReport};
use std::fmt::Write;

/// The most annotations: GitHub shows ten of a step.
const ANNOTATIONS: usize = 10;
/// The most misses on a page.
const SHOWN: usize = 50;

/// The report as JUnit XML: a session is a suite, and each request that was missed, each hole and, when strict, each
/// unused exchange a failed case of it.
#[must_use]
pub fn junit(report: &Report, strict: bool) -> String {
    let suites: Vec<Suite<'_>> = report.sessions.iter().map(|session| Suite::of(report, session, strict)).collect();
    let (tests, failures) = suites.iter().fold((0, 0), |(t, f), suite| (t + suite.tests, f + suite.cases.len() as u64));
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    xml += &format!("<testsuites name=\"graphdeck\" tests=\"{tests}\" failures=\"{failures}\">\n");
    suites.iter().for_each(|suite| suite.print(&mut xml));
    xml + "</testsuites>\n"
}

struct Suite<'a> {
    session: &'a SessionReport,
    tests: u64,
    cases: Vec<(String, &'static str, String, String)>,
}

impl<'a> Suite<'a> {
    fn of(report: &Report, session: &'a SessionReport, strict: bool) -> Self {
        let misses = session
            .misses
            .iter()
            .map(|miss| (miss.request.clone(), miss.reason, miss.message.clone(), miss.text.clone()));
        let mut cases: Vec<_> = misses.collect();
        let holes = session.hole_list.iter();
        cases.extend(holes.map(|hole| (hole.request.clone(), "notRecorded", hole.why.clone(), hole.why.clone())));
        // Sessions that share a cassette are told apart by name; what none of them used is a matter of the first.
        let first = report.sessions.iter().find(|other| other.cassette == session.cassette);
        if strict && first.is_some_and(|first| first.name == session.name) {
            let why = "it was recorded, and never asked for".to_owned();
            let unused = report.unused_of(&session.cassette).into_iter();
            cases.extend(unused.map(|name| (name, "unused", why.clone(), why.clone())));
        }
        let tests = session.answered + session.recorded + session.faulted + cases.len() as u64;
        Self { session, tests, cases }
    }

    fn print(&self, xml: &mut String) {
        let (name, failures) = (escaped(&self.session.name), self.cases.len());
        let tests = self.tests;
        *xml += &format!("  <testsuite name=\"{name}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"0\">\n");
        let class = format!("graphdeck.{}", escaped(&self.session.cassette));
        for (request, kind, message, text) in &self.cases {
            *xml += &format!("    <testcase name=\"{}\" classname=\"{class}\">\n", escaped(request));
            *xml += &format!("      <failure message=\"{}\" type=\"{kind}\">", escaped(message));
            *xml += &format!("{}</failure>\n    </testcase>\n", escaped(text).replace("&#10;", "\n"));
        }
        // Servers show a suite without cases as none: the requests that were answered are one.
        let answered = self.session.answered + self.session.recorded;
        if answered > 0 {
            let name = format!("what was answered: {answered}");
            *xml += &format!("    <testcase name=\"{name}\" classname=\"{class}\"/>\n");
        }
        for (rule, count) in &self.session.faults {
            let name = escaped(&format!("faults on demand by {rule}: {count}"));
            *xml += &format!("    <testcase name=\"{name}\" classname=\"{class}\"/>\n");
        }
        *xml += "  </testsuite>\n";
    }
}

/// A text as it may stand in XML 1.0, attributes included.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => write!(out, "&#{};", u32::from(c)).expect("a text takes a reference"),
            c if c < ' ' || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The report as a page of Markdown.
#[must_use]
pub fn markdown(report: &Report, strict: bool) -> String {
    let verdict = if report.is_clean(strict) { "✅" } else { "❌" };
    let mut page = format!("### {verdict} Graphdeck: {}\n\n", report.headline());
    let counts = |session: &SessionReport| session.counts(report.faulted > 0);
    let heads: Vec<_> = report.sessions.iter().take(1).flat_map(counts).map(|(head, _)| head).collect();
    page += &format!("| session | cassette | {} |\n|---|---|{}\n", heads.join(" | "), "--:|".repeat(heads.len()));
    for session in &report.sessions {
        let cells: String = counts(session).iter().map(|(_, count)| format!(" {count} |")).collect();
        page += &format!("| {} | {} |{cells}\n", session.name, session.cassette);
    }
    for (session, miss) in report.misses().take(SHOWN) {
        page += &format!("\n<details><summary>{}: {}</summary>\n\n", escaped(session), escaped(&miss.request));
        page += &format!("{}\n\n</details>\n", fenced(&miss.text));
    }
    let asides = [report.holes_told(), report.asides(strict)].concat();
    if !asides.is_empty() {
        page += "\n";
        asides.iter().for_each(|line| page += &format!("- {}\n", line.replace('<', "&lt;")));
    }
    page + "\n"
}

/// A text in a fence that is longer than any in it.
fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}text\n{text}\n{fence}")
}

/// A line for each miss, as GitHub's runner reads them: the first ten, and how many more there are.
#[must_use]
pub fn annotations(report: &Report) -> Vec<String> {
    let line = |(session, miss): (&str, &super::missed::Missed)| {
        let title = property(&format!("graphdeck: {session}: {}", miss.message));
        format!("::error title={title}::{}", data(&miss.text))
    };
    let mut lines: Vec<String> = report.misses().take(ANNOTATIONS).map(line).collect();
    if report.missed > ANNOTATIONS as u64 {
        lines.push(format!("::notice title=graphdeck misses::there are {} more", report.missed - ANNOTATIONS as u64));
    }
    lines
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
