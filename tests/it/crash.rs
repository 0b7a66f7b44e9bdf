//! What the client was told is kept: whatever ends the deck, and whatever came before.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::{CONFIG, status, statuses};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::task::JoinSet;

async fn post(client: &reqwest::Client, name: &str) -> reqwest::Result<String> {
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    client.post(url).body(status(name)).send().await?.error_for_status()?.text().await
}

/// The names in the requests of a cassette's text, in order.
fn names(cassette: &str) -> Vec<String> {
    let cassette: serde_json::Value = serde_json::from_str(cassette).unwrap();
    let name = |exchange: &serde_json::Value| {
        exchange["request"]["body"]["json"]["userDisplayName"].as_str().unwrap().to_owned()
    };
    cassette["exchanges"].as_array().unwrap().iter().map(name).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_a_kill() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("killed", &graph, &[]);
    let client = through(&deck, &ca_pem);
    let sent: Vec<String> = (0..40).map(|n| format!("user {n}")).collect();
    for name in &sent {
        post(&client, name).await.unwrap();
    }
    deck.kill();

    let listed = project.run(&["cassette", "ls"]);
    assert_eq!(listed.stdout, "killed  40 exchanges, interrupted take 1\n", "{}", listed.stderr);
    assert_eq!(names(&project.run(&["cassette", "export", "killed"]).stdout), sent);

    let deck = project.replay("killed", &[]);
    assert!(deck.said().contains("straight from the store"), "{}", deck.said());
    assert!(post(&through(&deck, &ca_pem), "user 7").await.unwrap().contains("user 7"));
}

/// Kills the deck while many clients record, when it has acknowledged a good number.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_amid_parallel_clients_loses_nothing_that_was_acknowledged() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("killed", &graph, &[]);
    let acknowledged = Arc::new(AtomicUsize::new(0));
    let enough = Arc::new(tokio::sync::Notify::new());
    let mut clients = JoinSet::new();
    for client in 0..16 {
        let (acknowledged, enough, http) = (Arc::clone(&acknowledged), Arc::clone(&enough), through(&deck, &ca_pem));
        clients.spawn(async move {
            let mut mine = Vec::new();
            for n in 0.. {
                let name = format!("client {client} user {n}");
                if post(&http, &name).await.is_err() {
                    break;
                }
                mine.push(name);
                if acknowledged.fetch_add(1, Ordering::Relaxed) == 100 {
                    enough.notify_one();
                }
            }
            mine
        });
    }
    enough.notified().await;
    deck.kill();
    let told: Vec<String> = clients.join_all().await.concat();
    assert!(told.len() > 100);
    let kept = names(&project.run(&["cassette", "export", "killed"]).stdout);
    for name in &told {
        assert_eq!(kept.iter().filter(|kept| *kept == name).count(), 1, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_take_that_is_interrupted_leaves_the_first_as_it_was() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let record = |name: &'static str| {
        let deck = project.record("twice", &graph, &[]);
        let client = through(&deck, &ca_pem);
        async move {
            post(&client, name).await.unwrap();
            deck
        }
    };
    assert_eq!(Deck::stop(record("first").await).code, Some(0));
    let sealed = project.cassette("twice");
    record("second").await.kill();

    assert_eq!(project.cassette("twice"), sealed);
    let listed = project.run(&["cassette", "ls"]);
    assert_eq!(listed.stdout, "twice  1 exchange\ntwice  1 exchange, interrupted take 1\n", "{}", listed.stderr);
    assert_eq!(names(&project.run(&["cassette", "export", "twice", "--take", "1"]).stdout), ["second"]);
    assert_eq!(project.run(&["cassette", "export", "twice"]).stdout, sealed);
    let deck = project.replay("twice", &["--strict"]);
    post(&through(&deck, &ca_pem), "first").await.unwrap();
    assert_eq!(deck.stop().code, Some(0));

    assert_eq!(Deck::stop(record("third").await).code, Some(0));
    assert_eq!(names(&project.cassette("twice")), ["third"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_and_a_cassette_can_be_continued() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let continued = |name: &'static str| {
        let deck = project.record("more", &graph, &["--append"]);
        let client = through(&deck, &ca_pem);
        async move {
            post(&client, name).await.unwrap();
            deck
        }
    };
    continued("first").await.kill();
    let deck = continued("second").await;
    assert!(deck.said().contains("continuing the interrupted take 1 of more, which has 1 exchange"), "{}", deck.said());
    assert_eq!(deck.stop().code, Some(0));
    assert_eq!(names(&project.cassette("more")), ["first", "second"]);
    let deck = continued("third").await;
    assert!(deck.said().contains("continuing more, which has 2 exchanges"), "{}", deck.said());
    assert_eq!(deck.stop().code, Some(0));
    assert_eq!(names(&project.cassette("more")), ["first", "second", "third"]);
    assert_eq!(project.run(&["cassette", "ls"]).stdout, "more  3 exchanges\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_the_same_text_every_time_but_for_its_ids() {
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    let mut texts = Vec::new();
    for config in [CONFIG, crate::support::OTHER_CONFIG] {
        let graph = Graph::start().await;
        let deck = project.record("same", &graph, &[]);
        let client = through(&deck, &ca_pem);
        for name in ["a", "b"] {
            let url = format!("https://graph.microsoft.com{}", statuses(config));
            client.post(url).body(status(name)).send().await.unwrap();
        }
        deck.stop();
        let text = project.cassette("same");
        texts.push(text.split("\"exchanges\"").nth(1).unwrap().to_owned());
    }
    assert_eq!(texts[0], texts[1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_and_fifty_six_clients_record_at_once() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("many", &graph, &[]);
    let http = through(&deck, &ca_pem);
    let mut clients = JoinSet::new();
    for client in 0..256 {
        let http = http.clone();
        clients.spawn(async move {
            for n in 0..4 {
                post(&http, &format!("client {client} user {n}")).await.unwrap();
            }
        });
    }
    clients.join_all().await;
    let ended = deck.stop();
    assert!(ended.stderr.contains("recorded 1024 exchanges"), "{}", ended.stderr);
    assert_eq!(names(&project.cassette("many")).len(), 1024);
}
