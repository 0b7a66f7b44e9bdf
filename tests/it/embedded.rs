//! The deck within a Rust test: the example runs, any kind of runtime may hold it, and it ends when it is dropped.

use crate::support::client::bare;
use crate::support::{OTHER_CONFIG, statuses};
use graphdeck::Deck;
use reqwest::{Client, Proxy};

#[path = "../../examples/replay_in_a_test.rs"]
mod example;

const DEMO: &str = "cassettes/user-statuses.json";

#[test]
fn the_example_runs() {
    example::main().unwrap();
}

async fn list(client: &Client, base: &str) -> (u16, String) {
    let answer = client.get(format!("{base}{}", statuses(OTHER_CONFIG))).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn it_answers_by_proxy_and_by_address_and_ends_when_it_is_dropped() {
    let deck = Deck::replay(DEMO).strict(true).seed("x").ids("derive").start().await.unwrap();
    let pem = std::fs::read_to_string(deck.ca_file()).unwrap();
    assert!(pem.contains(deck.ca_pem().trim()), "{pem}");
    let proxied = bare(deck.ca_pem()).proxy(Proxy::https(deck.proxy()).unwrap()).build().unwrap();
    let (status, by_proxy) = list(&proxied, "https://graph.microsoft.com").await;
    assert_eq!(status, 200, "{by_proxy}");
    // The second time is beyond the tape, which is strict.
    let (status, by_address) = list(&bare(deck.ca_pem()).build().unwrap(), &deck.base_url()).await;
    assert_eq!(status, 501, "{by_address}");
    let report = deck.report();
    assert_eq!((report.answered, report.missed), (1, 1));
    let (address, ca_file) = (deck.address(), deck.ca_file());
    drop(deck);
    while tokio::net::TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(!ca_file.exists());
}

#[tokio::test]
async fn decks_stand_side_by_side_and_give_the_same_ids_for_the_same_seed() {
    let mut lists = Vec::new();
    for seed in ["a", "a", "b"] {
        let deck = Deck::replay(DEMO).seed(seed).start().await.unwrap();
        lists.push((list(&bare(deck.ca_pem()).build().unwrap(), &deck.base_url()).await.1, deck));
    }
    assert_eq!(lists[0].0, lists[1].0);
    assert_ne!(lists[0].0, lists[2].0);
}

#[tokio::test]
async fn what_cannot_be_replayed_is_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    let damaged = file("damaged.json", "{\"graphdeck\": 1, \"ids\": {}, \"exchanges\": [{}]}");
    let config = file("bad.toml", "listn = 1\n");
    let decks = [
        Deck::replay(dir.path().join("none.json")),
        Deck::replay("cassettes/user-statuses"),
        Deck::replay(damaged),
        Deck::replay(DEMO).config(config),
        Deck::replay(DEMO).ids("some"),
    ];
    let mut said = String::new();
    for deck in decks {
        said += &format!("{}\n", deck.start().await.unwrap_err());
    }
    insta::assert_snapshot!(said.replace(&*dir.path().to_string_lossy(), "DIR"));
}
