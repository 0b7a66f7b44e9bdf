//! `kill -9` at random moments: what was acknowledged is kept, and a cassette is the old one or the new.
//!
//! `GRAPHDECK_ROUNDS=300 cargo test --test it kills -- --nocapture` takes that many rounds of each.

use crate::support::deck::{Deck, Project, Signal};
use crate::support::graph::Graph;
use crate::support::load::{Load, assert_kept, body, chance, echo, moment, names};
use crate::support::rounds;
use graphdeck::store::journal::Journal;
use graphdeck::store::takes::{Take, Takes};
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::exchange::{Exchange, Taped};
use graphdeck::tape::scribe;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// How long clients record before the end, at most.
const LONGEST: Duration = Duration::from_millis(400);
const SIZES: std::ops::Range<usize> = 200..200_000;

/// The temporary files in the folder of cassettes.
fn strays(project: &Project) -> usize {
    let Ok(files) = fs::read_dir(project.file("cassettes")) else { return 0 };
    files.filter(|file| !file.as_ref().unwrap().file_name().to_string_lossy().ends_with(".json")).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let (project, graph) = (Project::new(), echo().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let (rounds, begun, mut acknowledged, mut opening) = (rounds(3), Instant::now(), 0, 0);
    for round in 0..rounds {
        // Now and then one is killed while it opens the store that the last kill left.
        if chance(("open", round)) % 4 == 0 {
            let mut command = project.command(&["record", "early", "--listen", "127.0.0.1:0"]);
            let mut deck = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(moment(Duration::from_millis(150), ("opened", round)));
            deck.kill().unwrap();
            deck.wait().unwrap();
            opening += 1;
        }
        let deck = project.record("killed", &graph, &[]);
        let load = Load::start(&deck, &ca_pem, round, &SIZES);
        load.wait_for(1).await;
        // The moment is the chance that this test is about.
        tokio::time::sleep(moment(LONGEST, ("killed", round))).await;
        deck.kill();
        let told = load.end().await;
        let journal =
            Journal::open(&project.file(".graphdeck")).unwrap_or_else(|fault| panic!("round {round}: {fault}"));
        let takes = journal.takes().unwrap();
        assert_kept(&journal.read(takes.last().unwrap().id).unwrap(), &told);
        if round % 4 == 0 {
            takes.iter().for_each(|take| journal.remove(take.id).unwrap());
        }
        acknowledged += told.len();
    }
    let took = begun.elapsed().as_secs();
    eprintln!("{rounds} kills in {took} s, {opening} more while opening: {acknowledged} acknowledged, none lost");
}

/// Records so many exchanges of a round, and asks for the end.
async fn recorded<'a>(deck: Deck<'a>, ca_pem: &str, round: usize, exchanges: usize) -> Deck<'a> {
    let client = crate::support::client::through(&deck, ca_pem);
    let posts = (0..exchanges).map(|n| {
        let url = format!("https://graph.microsoft.com{}", crate::support::statuses(crate::support::CONFIG));
        client.post(url).body(body(&format!("round {round} user {n}"), 2000)).send()
    });
    for post in posts.map(tokio::spawn).collect::<Vec<_>>() {
        post.await.unwrap().unwrap().bytes().await.unwrap();
    }
    deck.signal(Signal::TERM);
    deck
}

/// The rounds that a cassette's text speaks of, with how many exchanges each.
fn told_of(cassette: &str) -> Vec<(usize, usize)> {
    let cassette: serde_json::Value = serde_json::from_str(cassette).unwrap();
    let mut told = std::collections::BTreeMap::new();
    for exchange in cassette["exchanges"].as_array().unwrap() {
        let name = exchange["request"]["body"]["json"]["userDisplayName"].as_str().unwrap();
        *told.entry(name.split(' ').nth(1).unwrap().parse().unwrap()).or_default() += 1;
    }
    told.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_sealing_leaves_the_old_cassette_or_the_new() {
    const EXCHANGES: usize = 100;
    let (project, graph) = (Project::new(), echo().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = recorded(project.record("sealed", &graph, &[]), &ca_pem, 0, EXCHANGES).await;
    let begun = Instant::now();
    assert_eq!(deck.wait().code, Some(0));
    // As long as it took undisturbed, and somewhat more.
    let longest = begun.elapsed().mul_f64(1.2);
    let (mut standing, mut replaced) = (0, 0);
    let rounds = rounds(4);
    for round in 1..=rounds {
        let deck = recorded(project.record("sealed", &graph, &[]), &ca_pem, round, EXCHANGES).await;
        std::thread::sleep(moment(longest, ("sealing", round)));
        deck.kill();
        let told = told_of(&project.cassette("sealed"));
        assert!(told == [(standing, EXCHANGES)] || told == [(round, EXCHANGES)], "round {round}: {told:?}");
        let journal = Journal::open(&project.file(".graphdeck")).unwrap();
        let takes = journal.takes().unwrap();
        if told[0].0 == round {
            (standing, replaced) = (round, replaced + 1);
        } else {
            assert_eq!(takes.last().unwrap().exchanges, EXCHANGES as u64, "round {round}: neither sealed nor kept");
        }
        takes.iter().for_each(|take| journal.remove(take.id).unwrap());
        assert!(strays(&project) <= 1, "round {round}: temporary files pile up");
    }
    let deck = recorded(project.record("sealed", &graph, &[]), &ca_pem, rounds + 1, 1).await;
    assert_eq!(deck.wait().code, Some(0));
    assert_eq!(strays(&project), 0);
    eprintln!("{rounds} kills while sealing: {replaced} times the new cassette stood, else the old one and the take");
}

/// Goes on with a recording, and kills it while it opens, records or seals: what its clients were told.
async fn continued(project: &Project, graph: &Graph, ca_pem: &str, round: usize) -> HashMap<String, usize> {
    let stage = chance(("stage", round)) % 4;
    if stage == 0 {
        let mut command = project.command(&["record", "more", "--append", "--listen", "127.0.0.1:0"]);
        let mut deck = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment(Duration::from_millis(150), ("opened", round)));
        deck.kill().unwrap();
        deck.wait().unwrap();
        return HashMap::new();
    }
    let deck = project.record("more", graph, &["--append"]);
    let load = Load::start(&deck, ca_pem, round, &(200..5_000));
    load.wait_for(1).await;
    tokio::time::sleep(moment(LONGEST / 4, ("continued", round))).await;
    if stage == 1 {
        deck.signal(Signal::TERM);
        tokio::time::sleep(moment(3 * LONGEST, ("sealing", round))).await;
    }
    deck.kill();
    load.end().await
}

/// The exchanges of a cassette; none where there is no such one.
fn exchanges_of(project: &Project, name: &str) -> Vec<Taped<Exchange>> {
    let Ok(text) = fs::read_to_string(project.file(&format!("cassettes/{name}.json"))) else { return Vec::new() };
    let cassette = Cassette::parse(&text).unwrap();
    let entries = (1..).zip(&cassette.entries);
    entries.map(|(number, entry)| scribe::recorded(entry, &cassette.ids, number).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_recording_is_continued_loses_nothing_of_what_came_before_or_was_added() {
    let (project, graph) = (Project::new(), echo().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let (rounds, mut told, mut acknowledged, mut sealed) = (rounds(4), HashMap::new(), 0, 0);
    for round in 0..rounds {
        let before = names(&exchanges_of(&project, "more"));
        let new = continued(&project, &graph, &ca_pem, round).await;
        acknowledged += new.len();
        told.extend(new);
        let is_told = |names: &HashSet<String>| told.keys().all(|name| names.contains(name));
        let standing = names(&exchanges_of(&project, "more"));
        assert!(standing == before || is_told(&standing), "round {round}: neither the old cassette nor the new");
        sealed += usize::from(standing != before);
        let journal = Journal::open(&project.file(".graphdeck")).unwrap();
        let takes = journal.takes().unwrap();
        let taken = |take: &Take| is_told(&names(&journal.read(take.id).unwrap()));
        assert!(is_told(&standing) || takes.iter().any(taken), "round {round}: no take has all of it");
        drop(journal);
        // At times the next kill strikes what the last one left, at others it is continued to its end first.
        if chance(("ended", round)) % 2 == 0 || round + 1 == rounds {
            let ended = project.record_command("more", &graph, &["--append"], &["true"]);
            assert_eq!(ended.code, Some(0), "round {round}: {}", ended.stderr);
            assert_kept(&exchanges_of(&project, "more"), &told);
            if told.len() > 1000 {
                told.clear();
                fs::remove_file(project.file("cassettes/more.json")).unwrap();
                fs::remove_dir_all(project.file(".graphdeck")).unwrap();
            }
        }
    }
    eprintln!(
        "{rounds} kills of a continued recording: {acknowledged} acknowledged, none lost; {sealed} times it was sealed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_importing_leaves_the_old_cassette_or_the_new() {
    let project = Project::new();
    let cassette = |name: &str| {
        let exchange = |n: usize| {
            let text = format!("{name} {n} {}", "x".repeat(1000));
            format!(
                r#"{{"request":{{"method":"GET","url":"https://graph.microsoft.com/v1.0/{name}/{n}"}},"response":{{"status":200,"body":{{"text":"{text}"}}}}}}"#
            )
        };
        let exchanges: Vec<String> = (0..2000).map(exchange).collect();
        format!(r#"{{"graphdeck":1,"ids":{{}},"exchanges":[{}]}}"#, exchanges.join(","))
    };
    let import = |file: &'static str| project.command(&["cassette", "import", file, "--name", "it", "--force"]);
    let mut texts = Vec::new();
    let mut longest = Duration::ZERO;
    for file in ["one.json", "other.json"] {
        project.write(file, cassette(file.trim_end_matches(".json")));
        let begun = Instant::now();
        assert!(import(file).output().unwrap().status.success());
        longest = begun.elapsed().mul_f64(1.2);
        texts.push(project.cassette("it"));
    }
    let (rounds, mut replaced) = (rounds(8), 0);
    for round in 0..rounds {
        let before = project.cassette("it");
        let new = usize::from(before == texts[0]);
        let mut command = import(["one.json", "other.json"][new]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(moment(longest, ("importing", round)));
        child.kill().unwrap();
        child.wait().unwrap();
        let after = project.cassette("it");
        assert!(after == before || after == texts[new], "round {round}");
        assert!(strays(&project) <= 1, "round {round}: temporary files pile up");
        replaced += usize::from(after != before);
    }
    assert!(import("one.json").output().unwrap().status.success());
    assert_eq!(strays(&project), 0);
    eprintln!("{rounds} kills while importing: {replaced} times the new cassette stood, else the old one");
}
