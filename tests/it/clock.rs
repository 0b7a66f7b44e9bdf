//! The clock: a year behind or five years ahead, a replay gives the same bytes.

use crate::support::deck::{Deck, Project};
use crate::support::documented::examples;
use crate::support::{CONFIG, have, statuses};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

/// How far the clock is off, as libfaketime reads it.
const OFF: [&str; 3] = ["+0d", "-365d", "+1826d"];

/// What `faketime` has the loader put before a program: it bends the clock.
fn library() -> String {
    let bent = Command::new("faketime").args(["-m", "-f", "+1d", "sh", "-c", "echo $LD_PRELOAD"]).output().unwrap();
    String::from_utf8(bent.stdout).unwrap().trim().to_owned()
}

/// The deck with these arguments, and a clock that is so far off; a program that it runs has the same clock.
fn bent(project: &Project, off: &str, arguments: &[&str]) -> Command {
    let mut command = project.command(arguments);
    // Timers are left alone: those are no calendar's business.
    command.env("LD_PRELOAD", library()).env("FAKETIME", off).env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    command
}

/// A demo's deck in a project of its own.
fn project() -> Project {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    project
}

/// All bytes that come back for each documented request, then for some that were not recorded so.
fn answers(deck: &Deck<'_>) -> Vec<String> {
    let own = |method: &str, id: &str| (method.to_owned(), statuses(id), "{\"status\":\"compliant\"}".to_owned());
    let documented = examples()
        .into_iter()
        .map(|example| (example.method, example.path, example.sent.map(|body| body.to_string()).unwrap_or_default()));
    let mut answers = Vec::new();
    for (method, path, body) in
        documented.chain([own("POST", CONFIG), own("GET", "99999999-aaaa-4bbb-8ccc-dddddddddddd")])
    {
        let mut stream = std::net::TcpStream::connect(deck.address).unwrap();
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: graph.microsoft.com\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 "), "{method} {path}: {answer}");
        answers.push(answer);
    }
    answers
}

#[test]
fn no_byte_of_a_replay_hangs_on_the_clock() {
    if !have("faketime") {
        return;
    }
    let mut all = Vec::new();
    for off in OFF {
        let project = project();
        // A root is made for ten years: it shows which year the deck believes in.
        let root = bent(&project, off, &["ca", "--renew"]).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(root.stderr).unwrap();
        let year = said.split("valid until ").nth(1).unwrap()[..4].parse::<i32>().unwrap();
        let deck = Deck::spawn(&project, bent(&project, off, &["replay", "user-statuses", "--listen", "127.0.0.1:0"]));
        let given = answers(&deck);
        assert_eq!(deck.stop().code, Some(1), "the last two are misses");
        all.push((off, year, given));
    }
    let (_, year, today) = &all[0];
    assert_eq!(today.len(), 37);
    assert!(today.iter().filter(|answer| answer.starts_with("HTTP/1.1 20")).count() >= 35, "{today:?}");
    assert_eq!([all[1].1, all[2].1], [year - 1, year + 5], "the clocks were off indeed");
    for (off, _, given) in &all {
        assert_eq!(given, today, "{off}");
    }
}

#[test]
fn a_program_with_the_same_clock_is_answered_over_tls() {
    if !have("faketime") || !have("curl") {
        return;
    }
    let (project, url) = (project(), format!("https://graph.microsoft.com{}", statuses(CONFIG)));
    // The root is made today, and used at other times too.
    assert_eq!(project.run(&["ca"]).code, Some(0));
    let mut all = Vec::new();
    for off in OFF {
        let script = format!("date +%Y >&2; curl --silent --show-error --fail -X GET '{url}'");
        let arguments = ["replay", "user-statuses", "--", "sh", "-c", &script];
        let output = bent(&project, off, &arguments).stdin(Stdio::null()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{off}: {said}");
        let year = said.lines().find_map(|line| line.parse::<i32>().ok()).unwrap();
        all.push((year, String::from_utf8(output.stdout).unwrap()));
    }
    assert!(all[0].1.contains("\"value\""), "{}", all[0].1);
    assert_eq!([all[1].0, all[2].0], [all[0].0 - 1, all[0].0 + 5], "the clocks were off indeed");
    assert!(all.iter().all(|(_, answer)| *answer == all[0].1));
}
