//! A disk that is full or may not be written, a store that is not ours: one clear line, and nothing is lost.

#![cfg(target_os = "linux")]

use crate::support::client::{Front, through};
use crate::support::deck::{Deck, Ended, Project};
use crate::support::disks::Mounted;
use crate::support::load::{assert_kept, body, echo};
use crate::support::{CONFIG, left_out, statuses};
use graphdeck::store::journal::Journal;
use graphdeck::store::takes::Takes;
use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");

/// A disk for a test, or the word that it is left out.
fn disk(project: &Project, name: &str, kib: usize) -> Option<Mounted> {
    let mounted = Mounted::small(kib, project.file(name));
    mounted.map_err(|why| left_out(&format!("no disk can be mounted here ({why})"))).ok()
}

/// Posts a body, and sees that the answer is what Graph says to it.
async fn post(deck: &Deck<'_>, ca_pem: &str, name: &str, size: usize) {
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let answer = through(deck, ca_pem).post(url).body(body(name, size)).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    assert!(answer.bytes().await.unwrap() == body(name, size), "{name} got another answer");
}

/// How many exchanges a deck has recorded, and how many it should have and has not.
async fn counted(deck: &Deck<'_>, ca_pem: &str) -> (u64, u64) {
    let page = Front::Reverse.client(deck, ca_pem, false).get(deck.url("/_graphdeck/report"));
    let report: serde_json::Value = serde_json::from_str(&page.send().await.unwrap().text().await.unwrap()).unwrap();
    (report["recorded"].as_u64().unwrap(), report["holes"].as_u64().unwrap())
}

/// What was said, with each line once.
fn once(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    text.lines().for_each(|line| {
        if !lines.contains(&line) {
            lines.push(line)
        }
    });
    lines.join("\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_while_recording_costs_no_answer_and_is_said_at_once() {
    const SIZE: usize = 200_000;
    let (project, graph) = (Project::new(), echo().await);
    let Some(small) = disk(&project, "small", 20 * 1024) else { return };
    let ca_pem = project.run(&["ca"]).stdout;
    let store = small.at().join("store");
    let options = ["--store", store.to_str().unwrap()];
    // What is sealed stands, as holes are no reason to replace it.
    project.write("cassettes/full.json", DEMO);
    fs::write(small.at().join("filler"), vec![7; 10 << 20]).unwrap();
    let mut deck = project.record("full", &graph, &options);
    let mut told = HashMap::new();
    let holes = loop {
        let name = format!("user {}", told.len());
        post(&deck, &ca_pem, &name, SIZE).await;
        let (recorded, holes) = counted(&deck, &ca_pem).await;
        if holes > 0 {
            break holes;
        }
        told.insert(name, SIZE);
        assert_eq!(recorded, told.len() as u64);
    };
    assert!(told.len() > 2 && holes == 1, "{}", told.len());
    let line = deck.wait_for_line("not recorded: POST");
    assert!(line.contains("make room on that disk"), "{line}");
    for more in 0..3 {
        post(&deck, &ca_pem, &format!("more {more}"), SIZE).await;
    }
    assert_eq!(counted(&deck, &ca_pem).await.1, 4);
    let ended = deck.stop();
    // A hole is a 1; where the store could not be read any more to seal what it has, that is a 2.
    assert!(matches!(ended.code, Some(1 | 2)), "{}", ended.stderr);
    assert_eq!(project.cassette("full"), DEMO);
    // Once it has failed, the store's engine may refuse to read as well: what it says at the end depends on that.
    let holes = ended.stderr.lines().filter(|line| line.starts_with("graphdeck: not recorded"));
    let holes: Vec<String> = holes.map(|line| line.replace("cannot be read", "cannot be written")).collect();
    insta::assert_snapshot!(once(&holes.join("\n")));

    fs::remove_file(small.at().join("filler")).unwrap();
    let journal = Journal::open(&store).unwrap();
    let takes = journal.takes().unwrap();
    assert_eq!(takes.len(), 1);
    assert_kept(&journal.read(takes[0].id).unwrap(), &told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_is_full_when_a_cassette_is_written_keeps_the_old_one() {
    let (project, graph) = (Project::new(), echo().await);
    let Some(small) = disk(&project, "cassettes", 128) else { return };
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("old", &graph, &[]);
    post(&deck, &ca_pem, "a", 1000).await;
    assert_eq!(deck.stop().code, Some(0));
    let old = project.cassette("old");

    let deck = project.record("old", &graph, &[]);
    post(&deck, &ca_pem, "b", 100_000).await;
    let sealed = deck.stop();
    assert_eq!(sealed.code, Some(2), "{}", sealed.stderr);
    let exported = project.run(&["cassette", "export", "old", "--take", "1"]).stdout;
    assert!(exported.contains("b part 7"), "what could not be sealed is kept");
    project.write("new.json", exported);
    let imported = project.run(&["cassette", "import", "new.json", "--name", "old", "--force"]);
    assert_eq!(imported.code, Some(2), "{}", imported.stderr);
    let fresh = project.run(&["cassette", "import", "new.json"]);
    assert_eq!((fresh.code, project.cassette("old")), (Some(2), old));
    assert_eq!(fs::read_dir(small.at()).unwrap().count(), 1, "nothing is left of what could not be written");
    let last = sealed.stderr.lines().last().unwrap().to_owned();
    insta::assert_snapshot!([last.as_str(), imported.stderr.trim(), fresh.stderr.trim()].join("\n"));
}

/// What commands say that would write into these folders, and their exit codes.
fn refused(project: &Project, run: &dyn Fn(&[&str]) -> Ended) -> String {
    project.write("new.json", DEMO);
    let commands: [&[&str]; 5] = [
        &["record", "x", "--", "true"],
        &["cassette", "import", "new.json"],
        &["cassette", "rm", "user-statuses"],
        &["replay", "user-statuses", "--report", "closed/report.json", "--", "true"],
        &["cassette", "ls"],
    ];
    let told = commands.map(|arguments| {
        let ended = run(&[&arguments[..1], &["--config", "closed.toml"], &arguments[1..]].concat());
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        let said = project.tidy(&format!("{}{}", ended.stdout, ended.stderr));
        format!("$ graphdeck {}\n{said}exit code {}\n", arguments.join(" "), ended.code.unwrap())
    });
    told.join("\n")
}

/// Puts a cassette and a store with a take into the folder `closed`, and a config that leads there.
fn fill(project: &Project, closed: &Path) {
    fs::create_dir_all(closed.join("cassettes")).unwrap();
    fs::write(closed.join("cassettes/user-statuses.json"), DEMO).unwrap();
    Journal::open(&closed.join("store")).unwrap().begin("left", 0).unwrap();
    project.write("closed.toml", "cassettes = \"closed/cassettes\"\nstore = \"closed/store\"\n");
}

#[test]
fn a_folder_that_may_only_be_read_is_named_and_a_replay_works_from_it() {
    let project = Project::new();
    let Some(closed) = disk(&project, "closed", 12 * 1024) else { return };
    fill(&project, closed.at());
    closed.read_only();
    let replayed = project.run(&["replay", "user-statuses", "--config", "closed.toml", "--", "true"]);
    assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
    insta::assert_snapshot!(refused(&project, &|arguments| project.run(arguments)));
}

#[test]
fn a_folder_that_is_others_is_named() {
    use std::os::unix::process::CommandExt;
    let project = Project::new();
    fill(&project, &project.file("closed"));
    let set = |name: &str, mode| fs::set_permissions(project.file(name), Permissions::from_mode(mode)).unwrap();
    // Nobody may read the key of the root, so that they have one of their own.
    fs::create_dir(project.file("nobodys")).unwrap();
    ["", "nobodys"].iter().for_each(|name| set(name, 0o777));
    let theirs = ["closed", "closed/cassettes", "closed/store"];
    theirs.iter().for_each(|name| set(name, 0o555));
    let nobody = 65534;
    let is_root = rustix::process::geteuid().is_root();
    let run = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        command.env("XDG_DATA_HOME", project.file("nobodys"));
        if is_root {
            command.uid(nobody).gid(nobody);
        }
        let output = command.output();
        output.map(|output| Ended::of(output, &project))
    };
    match run(&["--version"]) {
        Ok(ended) if ended.code == Some(0) => {}
        ended => return left_out(&format!("nobody may not run what is tested ({ended:?})")),
    }
    let told = refused(&project, &|arguments| run(arguments).unwrap());
    theirs.iter().for_each(|name| set(name, 0o755));
    insta::assert_snapshot!(told);
}

#[test]
fn a_store_that_is_not_ours_is_named() {
    let project = Project::new();
    project.write("file", "");
    project.write("others/mine.txt", "");
    Journal::open(&project.file("newer")).unwrap().begin("left", 0).unwrap();
    assert_eq!(fs::read_to_string(project.file("newer/format")).unwrap(), "4\n");
    project.write("newer/format", "5\n");
    Journal::open(&project.file("garbled")).unwrap();
    project.write("garbled/format", "one");
    let told = ["file", "others", "newer", "garbled"].map(|store| {
        let ended = project.run(&["record", "x", "--store", store, "--", "true"]);
        assert_eq!(ended.code, Some(2), "{}", ended.stderr);
        ended.stderr
    });
    insta::assert_snapshot!(told.concat());
    // An older store is one of ours, and so is one from before there was a number; from now on it is written anew.
    for older in [Some("1\n"), Some("2\n"), None] {
        match older {
            Some(older) => drop(project.write("newer/format", older)),
            None => fs::remove_file(project.file("newer/format")).unwrap(),
        }
        assert_eq!(Journal::open(&project.file("newer")).unwrap().takes().unwrap().len(), 1);
        assert_eq!(fs::read_to_string(project.file("newer/format")).unwrap(), "4\n");
    }
}
