//! What one client may take of the deck, and what many hostile ones leave for the others.
//!
//! `GRAPHDECK_CONNECTIONS=10000 cargo test --release --test it limits -- --nocapture` holds the flood to its full size.

#![cfg(target_os = "linux")]

use crate::support::deck::{Deck, Project};
use crate::support::frames::{PREFACE, frame};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const HEALTH: &str = "GET /_graphdeck/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
/// The end of the answer to that.
const HEALTHY: &str = "\"mode\":\"replay\"}\n";

fn replaying<'a>(project: &'a Project, config: &str) -> Deck<'a> {
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    project.write("config.toml", config);
    project.replay("user-statuses", &[])
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// What comes until it ends with `end`, or the deck ends the connection.
fn read(stream: &mut TcpStream, end: &str) -> String {
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !answer.ends_with(end.as_bytes()) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(fault) if fault.kind() == ErrorKind::ConnectionReset => break,
            Err(fault) => panic!("{fault} after {}", String::from_utf8_lossy(&answer)),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whether a connection is answered, rather than closed.
fn is_answered(stream: &mut TcpStream) -> bool {
    stream.write_all(HEALTH.as_bytes()).is_ok() && read(stream, HEALTHY).ends_with(HEALTHY)
}

#[test]
fn a_connection_is_closed_after_its_requests_and_when_it_is_idle() {
    let project = Project::new();
    let deck = replaying(&project, "[limits]\nrequests_per_connection = 2\nidle_timeout = 1\n");
    let mut spent = connect(deck.address);
    assert!(is_answered(&mut spent));
    assert!(is_answered(&mut spent));
    assert_eq!(read(&mut spent, "never"), "");
    let mut idle = connect(deck.address);
    assert!(is_answered(&mut idle));
    assert_eq!(read(&mut idle, "never"), "");
}

#[test]
fn a_client_that_is_silent_before_or_in_its_handshake_is_let_go() {
    let project = Project::new();
    let deck = replaying(&project, "[limits]\nhandshake_timeout = 1\n");
    for begun in [&b""[..], b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTT"] {
        let mut stream = connect(deck.address);
        stream.write_all(begun).unwrap();
        assert_eq!(read(&mut stream, "never"), "", "{begun:?}");
    }
}

#[test]
fn a_head_that_is_too_large_is_refused_in_words() {
    let project = Project::new();
    let deck = replaying(&project, "[limits]\nheader_bytes = 1000\nheaders = 5\n");
    let mut told = String::new();
    for fields in [format!("X: {}\r\n", "x".repeat(1000)), "X: 1\r\n".repeat(6)] {
        let mut stream = connect(deck.address);
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n").as_bytes()).unwrap();
        told += &read(&mut stream, "never").replace('\r', "");
        told.push('\n');
    }
    insta::assert_snapshot!(told);
}

#[test]
fn one_connection_too_many_is_closed_and_there_is_room_again() {
    let project = Project::new();
    let mut deck = replaying(&project, "[limits]\nconnections = 2\n");
    let mut held = [connect(deck.address), connect(deck.address)];
    assert!(held.iter_mut().all(is_answered));
    assert!(!is_answered(&mut connect(deck.address)));
    insta::assert_snapshot!(deck.wait_for_line("connections at once"));
    let [one, mut other] = held;
    drop(one);
    while !is_answered(&mut connect(deck.address)) {}
    assert!(is_answered(&mut other));
}

#[test]
fn without_file_descriptors_the_deck_stays_up_and_serves_again() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let deck = project.command(&["replay", "user-statuses", "--listen", "127.0.0.1:0"]);
    let mut limited = Command::new("sh");
    limited.args(["-c", "ulimit -n 64; exec \"$0\" \"$@\""]).arg(deck.get_program()).args(deck.get_args());
    limited.current_dir(project.path()).env_clear();
    limited.envs(deck.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut deck = Deck::spawn(&project, limited);
    let held: Vec<_> = (0..100).map(|_| connect(deck.address)).collect();
    deck.wait_for_line("a connection could not be accepted");
    drop(held);
    let freed = Instant::now();
    assert!(is_answered(&mut connect(deck.address)));
    eprintln!("served again after {} ms", freed.elapsed().as_millis());
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

const END_HEADERS_AND_STREAM: u8 = 5;
/// `GET / http` and an authority, without a table (RFC 7541 section 6).
const GET: &[u8] = b"\x82\x86\x84\x01\x01a";

/// Opens streams and resets them, until the deck has had enough.
fn rapid_reset(address: SocketAddr) {
    let mut stream = connect(address);
    let mut send = |bytes: &[u8]| stream.write_all(bytes).is_ok();
    send(&[PREFACE, &frame(4, 0, 0, b"")].concat());
    let flood = (0..20_000).map(|number| 2 * number + 1);
    let ended = flood
        .map(|id| [frame(1, END_HEADERS_AND_STREAM, id, GET), frame(3, 0, id, &8_u32.to_be_bytes())].concat())
        .any(|frames| !send(&frames));
    assert!(ended || !read(&mut stream, "never").is_empty(), "the flood was taken without a word");
}

/// Sends headers without end, until the deck has had enough.
fn continuation_flood(address: SocketAddr) {
    let mut stream = connect(address);
    stream.write_all(&[PREFACE, &frame(4, 0, 0, b""), &frame(1, 1, 1, GET)].concat()).unwrap();
    let more = frame(9, 0, 1, &b"\x00\x01a\x01b".repeat(3000));
    let ended = (0..2000).any(|_| stream.write_all(&more).is_err());
    assert!(ended, "30 MB of headers were taken");
}

/// How many idle connections are held at once, and a tenth as many with half a head.
fn connections() -> usize {
    std::env::var("GRAPHDECK_CONNECTIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(1000)
}

#[test]
fn hostile_clients_leave_room_for_the_others() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
    let project = Project::new();
    let deck = replaying(&project, "");
    let (address, count) = (deck.address, connections());
    let mut idle = Vec::new();
    for _ in 0..count {
        idle.push(connect(address));
        // Else the first of many might have to wait for longer than the deck waits for its first byte.
        assert!(is_answered(idle.last_mut().unwrap()));
    }
    let mut slow: Vec<_> = (0..count / 10).map(|_| connect(deck.address)).collect();
    let floods = AtomicBool::new(true);
    let mut times = std::thread::scope(|scope| {
        scope.spawn(|| {
            for byte in HEALTH.bytes().take(20) {
                slow.iter_mut().for_each(|stream| stream.write_all(&[byte]).unwrap());
            }
            (0..5).for_each(|_| rapid_reset(address));
            (0..5).for_each(|_| continuation_flood(address));
            floods.store(false, Ordering::Relaxed);
        });
        let mut normal = connect(deck.address);
        let mut times = Vec::new();
        while floods.load(Ordering::Relaxed) {
            let asked = Instant::now();
            assert!(is_answered(&mut normal));
            times.push(asked.elapsed());
        }
        times
    });
    times.sort_unstable();
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    let resident = deck.most_resident();
    eprintln!(
        "{count} idle, {} slow, floods: {} normal requests, median {median:.1?}, longest {longest:.1?}, {resident} KiB at most",
        count / 10,
        times.len()
    );
    assert!(idle.iter_mut().all(is_answered), "an idle client was thrown out");
    assert!(resident < 400 * 1024, "{resident} KiB");
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// How far the kernel's count of resident memory may be off, in KiB: each processor adds to it in batches of 64 pages.
const IMPRECISE: u64 = 256;

/// How much the deck's memory grows at most by a request with this body, in KiB; and the status of its answer.
fn growth(deck: &Deck<'_>, body: &[u8], coding: &str) -> (u64, String) {
    let before = deck.most_resident();
    let mut stream = connect(deck.address);
    let path = crate::support::statuses(crate::support::CONFIG);
    let head = format!("POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Encoding: {coding}");
    write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n", body.len()).unwrap();
    stream.write_all(body).unwrap();
    let answer = read(&mut stream, "never");
    (deck.most_resident().saturating_sub(before), answer[9..12].to_owned())
}

#[test]
fn ten_kilobytes_never_cost_more_than_a_megabyte() {
    cost_at_most("", 1024);
    // Arrays in any order are sorted in a tree, where each object has a table of its own.
    cost_at_most("[[match]]\nroute = \"POST /**/userStatuses\"\norder = \"any\"\n", 1024);
}

/// Asks the usual, since what is made once, such as the tables of regular expressions, is no cost of a request.
fn warm(deck: &Deck<'_>) {
    let ordinary: Vec<_> =
        (0..150).map(|number| format!(r#""a{number}":"?a=1&b={number} https://example.com/x\u0026""#)).collect();
    for _ in 0..4 {
        growth(deck, format!("{{{}}}", ordinary.join(",")).as_bytes(), "identity");
    }
}

/// Sees that what ten kilobytes may hold costs no more than so many KiB, with these rules.
fn cost_at_most(rules: &str, most: u64) {
    // So compressed, ten kilobytes are a hundred: as many values in them as are compared, in each way to write them.
    let mut chance = blake3::Hasher::new().update(b"chance").finalize_xof();
    let noise: String = std::iter::repeat_with(|| {
        let mut byte = [0];
        chance.fill(&mut byte);
        char::from(b'a' + byte[0] % 26)
    })
    .take(16_000)
    .collect();
    let with_noise = |values: &str, count: usize| gzip(&format!("[\"{noise}\",{}]", vec![values; count].join(",")));
    let keys: Vec<_> = (0..1100).map(|number| format!("\"{number}\":1")).collect();
    for (name, body, coding, status) in [
        ("numbers", format!("[{}]", vec!["1"; 5000].join(",")).into_bytes(), "identity", "501"),
        ("objects", format!("[{}]", vec!["{}"; 3300].join(",")).into_bytes(), "identity", "501"),
        ("deep", ("[".repeat(5000) + &"]".repeat(5000)).into_bytes(), "identity", "501"),
        (
            "deep enough",
            format!("[{}]", vec!["[".repeat(99) + &"]".repeat(99); 50].join(",")).into_bytes(),
            "identity",
            "501",
        ),
        ("keys", format!("{{{}}}", keys.join(",")).into_bytes(), "identity", "501"),
        ("numbers with spaces", with_noise("1                ", 4_300), "gzip", "501"),
        (
            "numbers beside a text",
            with_noise(&format!("\"{}\",{}", "x".repeat(65_000), vec!["1"; 4_300].join(",")), 1),
            "gzip",
            "501",
        ),
        ("texts", with_noise("\"a            \"", 4_300), "gzip", "501"),
        ("entities", with_noise(r#"{"id":"0385114b-b48f-4800-a046-f249eaba24b1"}"#, 1_600), "gzip", "501"),
        // As many as are sorted in a tree.
        (
            "entities in a tree",
            with_noise(
                r#"{"id":"0385114b-b48f-4800-a046-f249eaba24b1","a":"some more of it, as there is in what people send to us"}"#,
                830,
            ),
            "gzip",
            "501",
        ),
        (
            "objects in a tree",
            with_noise(r#"{"id":"0385114b-b48f-4800-a046-f249eaba24b1 and more, 0385114b-b48"}"#, 1_180),
            "gzip",
            "501",
        ),
        ("addresses", with_noise(r#""https://example.com/a?b=1""#, 2_700), "gzip", "501"),
        ("said twice", with_noise(r#"{"a":"some text to fill it, and more of it yet","a":1}"#, 1_350), "gzip", "501"),
        ("escaped", with_noise(r#"{"\u0061bc":"some text, and more"}"#, 2_000), "gzip", "501"),
        ("escaped and dense", format!("[\"\\u0026\",{}]", vec!["[]"; 3300].join(",")).into_bytes(), "identity", "501"),
        ("escaped and many", with_noise("\"\\u0026\",[],[],[]", 4_300), "gzip", "501"),
        ("bomb", gzip(&"0".repeat(10_000_000)), "gzip", "413"),
        ("numbers in a bomb", gzip(&format!("[{}]", vec!["1"; 4_000_000].join(","))), "gzip", "413"),
        ("bomb in a bomb", gzip(&String::from_utf8(vec![0; 7_000_000]).unwrap()), "gzip, gzip", "413"),
    ] {
        assert!(body.len() <= 12_000, "{name}: {} bytes", body.len());
        // What is not compared value by value costs the same by any rule.
        if !rules.is_empty() && (coding, status) != ("gzip", "501") {
            continue;
        }
        // By the memory that another has left behind, a case would seem to cost less than it does.
        let project = Project::new();
        let deck = replaying(&project, rules);
        warm(&deck);
        let (grown, answered) = growth(&deck, &body, coding);
        assert_eq!(answered, status, "{name}");
        eprintln!("{name}: {} bytes cost {grown} KiB of {most}", body.len());
        assert!(grown <= most + IMPRECISE, "{name}: {} bytes cost {grown} KiB", body.len());
    }
}
