//! Large cassettes: indexed once, played from the index, and indexed anew when anything has changed.
//!
//! `GRAPHDECK_EXCHANGES=1000000 cargo test --release --test it large -- --nocapture` takes a large one indeed.

use crate::support::client;
use crate::support::deck::{Deck, Project};
use crate::support::shelf;
use crate::support::statuses;
use graphdeck::session::replay::Player;
use graphdeck::session::tally::Tally;
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::playing::Manner;
use graphdeck::tape::scribe;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// How many exchanges a cassette has that is larger than is held in memory.
fn exchanges() -> usize {
    std::env::var("GRAPHDECK_EXCHANGES").ok().and_then(|count| count.parse().ok()).unwrap_or(1600)
}

fn guid(kind: u32, number: usize) -> String {
    uuid::Uuid::from_u128(u128::from(kind) << 96 | 0x4000_8000 << 64 | number as u128).to_string()
}

/// A userStatus of a user, with a text that makes it as large as Graph's are.
fn body(user: usize, extra: &str) -> String {
    let note = "x".repeat(1024);
    format!(
        r##"{{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus",{extra}"userDisplayName":"user {user}","note":"{note}","lastReportedDateTime":"2017-01-01T00:00:{:02}Z"}}"##,
        user % 60
    )
}

/// A cassette in which each configuration has a user of its own.
fn text(exchanges: usize) -> String {
    let mut text = "{\n  \"graphdeck\": 1,\n  \"ids\": {".to_owned();
    let numbers = 1..=exchanges;
    let given = numbers.clone().map(|n| (format!("deviceConfigurations.{n}"), guid(1, n)));
    let minted = (1..=2 * exchanges).map(|n| (format!("userStatuses.{n}"), guid(2, n)));
    for (comma, (name, value)) in std::iter::once("").chain(std::iter::repeat(",")).zip(given.chain(minted)) {
        write!(text, "{comma}\n    \"{name}\": \"{value}\"").unwrap();
    }
    text.push_str("\n  },\n  \"exchanges\": [");
    for n in numbers {
        let config = format!("{{{{deviceConfigurations.{n}}}}}");
        let id = format!("{{{{userStatuses.{}}}}}_{config}_{{{{userStatuses.{}}}}}", 2 * n - 1, 2 * n);
        let url = format!("https://graph.microsoft.com{}", statuses(&config));
        let answer = body(n, &format!(r#""id":"{id}","#));
        let request = format!(r#"{{"method":"POST","url":"{url}","body":{{"json":{}}}}}"#, body(n, ""));
        let comma = if n == 1 { "" } else { "," };
        write!(text, r#"{comma}{{"request":{request},"response":{{"status":201,"body":{{"json":{answer}}}}}}}"#)
            .unwrap();
    }
    text + "]}\n"
}

/// A project with a large cassette, as it is printed.
fn project() -> Project {
    let project = Project::new();
    project.write("cassettes/large.json", text(exchanges()));
    // A file that has just been written may be written again unseen, so it is read whole to be known.
    let yesterday = SystemTime::now() - Duration::from_secs(86400);
    File::open(project.file("cassettes/large.json")).unwrap().set_modified(yesterday).unwrap();
    project
}

fn index(project: &Project) -> PathBuf {
    let files = fs::read_dir(project.file(".graphdeck/index")).unwrap().map(|file| file.unwrap().path());
    let mut indexes: Vec<PathBuf> = files.filter(|path| !path.ends_with(".gitignore")).collect();
    assert_eq!(indexes.len(), 1, "{indexes:?}");
    indexes.pop().unwrap()
}

/// By this number it is told whether an index was made anew: it takes the old one's place.
fn identity(project: &Project) -> u64 {
    fs::metadata(index(project)).unwrap().ino()
}

/// What a deck answers to some programs: the one that was recorded, others, and one that asks for what is not on tape.
async fn answers(project: &Project, options: &[&str]) -> Vec<String> {
    let begun = Instant::now();
    let deck = project.replay("large", options);
    eprintln!("{} exchanges ready after {:?}, {} KiB resident", exchanges(), begun.elapsed(), resident(&deck));
    let client = client::bare(&project.run(&["ca"]).stdout).build().unwrap();
    let mut answers = Vec::new();
    let last = exchanges();
    for (user, config) in
        [(1, guid(1, 1)), (7, guid(9, 7)), (last, guid(9, last)), (last, guid(9, last)), (0, guid(9, 1))]
    {
        let sent = client.post(deck.url(&statuses(&config))).body(body(user, "")).send().await.unwrap();
        let status = sent.status();
        answers.push(format!("{status} {}", sent.text().await.unwrap()));
    }
    assert_eq!(deck.stop().code, Some(1));
    let statuses: Vec<&str> = answers.iter().map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["201", "201", "201", "201", "501"], "{answers:#?}");
    answers
}

/// The memory that a deck has resident, in KiB.
fn resident(deck: &Deck<'_>) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", deck.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0 kB");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_cassette_is_indexed_once_and_anew_when_it_changes() {
    let project = project();
    let first = answers(&project, &[]).await;
    let made = identity(&project);
    assert_eq!(answers(&project, &[]).await, first);
    assert_eq!(identity(&project), made, "the index is used");

    let cassette = project.file("cassettes/large.json");
    File::open(&cassette).unwrap().set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    assert_eq!(answers(&project, &[]).await, first);
    assert_eq!(identity(&project), made, "what was only touched is the same");

    let text = fs::read_to_string(&cassette).unwrap();
    fs::write(&cassette, text.replacen("\"user 1\"", "\"user I\"", 2).replacen("\"user I\"", "\"user 1\"", 1)).unwrap();
    let changed = answers(&project, &[]).await;
    assert_ne!(identity(&project), made, "a cassette that has changed is indexed anew");
    assert!(changed[0].contains("user I") && first[0].contains("user 1"), "{}", changed[0]);

    let made = identity(&project);
    project
        .write("config.toml", "[[match]]\nroute = \"POST /**/userStatuses\"\nignore = [\"json:/userDisplayName\"]\n");
    let deck = project.replay("large", &[]);
    assert_ne!(identity(&project), made, "other rules make another index");
    assert_eq!(deck.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_index_is_made_anew_and_none_is_needed() {
    let project = project();
    let whole = answers(&project, &[]).await;
    let length = fs::metadata(index(&project)).unwrap().len();
    // In the head, in exchanges, in tables; and cut short.
    for (at, cut) in [(20, false), (5000, false), (length - 5000, false), (length / 2, true)] {
        let damaged = File::options().read(true).write(true).open(index(&project)).unwrap();
        let before = identity(&project);
        if cut {
            damaged.set_len(at).unwrap();
        } else {
            let mut byte = [0];
            damaged.read_exact_at(&mut byte, at).unwrap();
            damaged.write_all_at(&[byte[0] ^ 4], at).unwrap();
        }
        assert_eq!(answers(&project, &[]).await, whole, "damaged at {at} of {length}");
        assert_ne!(identity(&project), before, "damaged at {at} of {length}");
    }

    // Where no index can be written, the answers are the same.
    project.write("elsewhere/index", "this is no folder");
    assert_eq!(answers(&project, &["--store", "elsewhere"]).await, whole);
    assert_eq!(fs::read_dir(project.file("elsewhere")).unwrap().count(), 1);
}

#[test]
fn a_large_cassette_is_checked_as_a_small_one_is() {
    let project = project();
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.stdout, format!("cassettes/large.json: {} exchanges, good\n", exchanges()));
    let text = project.cassette("large");
    let secret = "https://h/?sig=abcdefghijklmnopqrstuvwxyz0123456789%3D&se=2026&sv=1";
    project.write("cassettes/large.json", text.replacen("user 5\"", &format!("{secret}\""), 1));
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(2));
    assert!(
        checked.stdout.contains("cassettes/large.json: exchange 5, request body: this looks like a secret"),
        "{}",
        checked.stdout
    );
    project.write("cassettes/large.json", text.replacen("\"status\":201", "\"status\":2010", 1));
    assert!(
        project
            .run(&["cassette", "check"])
            .stdout
            .contains("exchange 1, response status: 2010 is no final status code")
    );
    project.write("cassettes/large.json", &text[..text.len() - 10]);
    let cut = project.run(&["cassette", "check"]).stdout;
    assert!(cut.starts_with(&format!("cassettes/large.json: exchange {}, line ", exchanges())), "{cut}");
}

#[test]
fn every_table_is_read_as_it_was_written() {
    let cassette = Cassette::parse(&text(40)).unwrap();
    let (rules, mint) = (graphdeck::config::Config::default().rules, graphdeck::tape::mint::Mint::new("", &[0; 32]));
    let held = graphdeck::tape::index::Index::new(cassette.clone(), rules.clone(), mint.clone()).unwrap();
    let (read, _) = shelf::read_again(&cassette, &rules, &mint);
    assert_eq!(held.len(), read.len());
    assert!((0..40).all(|number| held.name(number) == read.name(number)));
    assert!(held.origins().eq(read.origins()));
}

#[test]
fn an_index_that_is_damaged_under_a_run_is_told_as_a_miss_and_no_wrong_answer_given() {
    let cassette = Cassette::parse(&text(4)).unwrap();
    let (rules, mint) = (graphdeck::config::Config::default().rules, graphdeck::tape::mint::Mint::new("", &[0; 32]));
    let (index, bytes) = shelf::read_again(&cassette, &rules, &mint);
    let player = Player::new(Arc::new(index), Manner::default(), Arc::new(Tally::new("", "large", 4)));
    let asked = |number: usize| {
        let recorded = scribe::recorded(&cassette.entries[number], &cassette.ids, number + 1).unwrap();
        player.taped(recorded.into_inner().request)
    };
    assert_eq!(player.answer(&asked(0)).unwrap().response.status(), 201);
    bytes.spoil();
    for _ in 0..2 {
        let miss = player.answer(&asked(1)).unwrap_err();
        insta::assert_snapshot!("an_index_that_is_damaged", format!("{}: {miss}", miss.reason.as_str()));
    }
    assert_eq!(player.name(2), "exchange 3");
    bytes.spoil();
    assert_eq!(player.answer(&asked(1)).unwrap().response.status(), 201);
}
