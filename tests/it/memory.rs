//! What a replay keeps in memory: next to nothing for a request that it knows, and a few bytes for each new one.
//!
//! `GRAPHDECK_POSTS=1000000 cargo test --release --test it memory -- --nocapture` holds it to that for a million each.

#![cfg(target_os = "linux")]

use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::{CONFIG, OTHER_CONFIG, client, status, statuses};
use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Instant;

/// How many connections there are, and how many requests are under way on each.
const CONNECTIONS: usize = 4;
const PIPELINED: usize = 50;

/// After so many the deck has all that it needs for every further one.
const WARM: usize = 1000;
const NAME: &str = "Ada";

/// How many POSTs are sent.
fn posts() -> usize {
    std::env::var("GRAPHDECK_POSTS").ok().and_then(|count| count.parse().ok()).unwrap_or(20_000)
}

/// A project with a recording of one POST.
async fn recorded() -> Project {
    let (project, graph) = (Project::new(), Graph::start().await);
    let deck = project.record("one", &graph, &[]);
    let client = client::bare(&project.run(&["ca"]).stdout).build().unwrap();
    let sent = client.post(deck.url(&statuses(CONFIG))).body(status(NAME)).send().await.unwrap();
    assert_eq!(sent.status(), 201);
    assert_eq!(deck.stop().code, Some(0));
    project
}

/// The memory that a deck has resident, in KiB.
fn resident(deck: &Deck<'_>) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", deck.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn request(config: &str) -> String {
    let body = status(NAME);
    let head = format!("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}", statuses(config), body.len());
    format!("{head}\r\nContent-Type: application/json\r\n\r\n{body}")
}

/// Sends requests down one connection, many before their answers are read. The answers have one length.
fn send(address: SocketAddr, mut configs: impl Iterator<Item = String>) {
    let Some(first) = configs.next() else { return };
    let mut stream = TcpStream::connect(address).unwrap();
    let mut answers = BufReader::new(stream.try_clone().unwrap());
    stream.write_all(request(&first).as_bytes()).unwrap();
    let end = format!("\"userDisplayName\":\"{NAME}\"}}");
    let mut answer = Vec::new();
    while !answer.ends_with(end.as_bytes()) {
        let mut byte = [0];
        answers.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    loop {
        let batch: Vec<String> = configs.by_ref().take(PIPELINED).map(|config| request(&config)).collect();
        if batch.is_empty() {
            return;
        }
        stream.write_all(batch.concat().as_bytes()).unwrap();
        for _ in batch {
            answers.read_exact(&mut answer).unwrap();
            let whole = answer.starts_with(b"HTTP/1.1 201 Created\r\n") && answer.ends_with(end.as_bytes());
            assert!(whole, "{}", String::from_utf8_lossy(&answer));
        }
    }
}

/// Sends POSTs by number, from some connections at once.
fn send_all(address: SocketAddr, numbers: std::ops::Range<usize>, config: fn(usize) -> String) {
    std::thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let mine = numbers.clone().skip(connection).step_by(CONNECTIONS);
            scope.spawn(move || send(address, mine.map(config)));
        }
    });
}

/// How much the deck's memory grows, in KiB, from the first thousand POSTs to the last.
async fn growth(kind: &str, config: fn(usize) -> String) -> u64 {
    let (project, posts) = (recorded().await, posts());
    let deck = project.replay("one", &[]);
    send_all(deck.address, 0..WARM, config);
    let (before, begun) = (resident(&deck), Instant::now());
    send_all(deck.address, WARM..posts, config);
    let (after, took) = (resident(&deck), begun.elapsed().as_secs_f64());
    let rate = posts.saturating_sub(WARM) as f64 / took;
    eprintln!("{posts} {kind} POSTs: {rate:.0} a second, {before} KiB resident after {WARM}, {after} at the end");
    let ended = deck.stop();
    assert!(ended.stderr.contains(&format!("replayed one: {posts} answered, 0 missed")), "{}", ended.stderr);
    after.saturating_sub(before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_posts_take_no_room() {
    let grown = growth("equal", |_| OTHER_CONFIG.to_owned()).await;
    assert!(grown <= 16 * 1024, "{grown} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_distinct_post_takes_a_few_bytes() {
    let grown =
        growth("distinct", |number| uuid::Uuid::from_u128(0x4000_8000 << 64 | number as u128).to_string()).await;
    assert!(grown <= 64 * 1024, "{grown} KiB");
}
