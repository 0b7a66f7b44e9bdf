//! TLS on both sides: which versions are spoken, and which certificates of Graph are believed.

use crate::support::certificates::{Shown, Signer, self_signed, serve};
use crate::support::client::{bare, through};
use crate::support::deck::{Deck, Project};
use crate::support::{CONFIG, status, statuses};
use rcgen::ExtendedKeyUsagePurpose;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use time::{Duration, OffsetDateTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const GRAPH: &str = "graph.microsoft.com";
const DAY: Duration = Duration::DAY;

/// A deck that records from this address, and believes this root.
fn recording<'a>(project: &'a Project, upstream: SocketAddr, root: &str) -> Deck<'a> {
    let roots = project.write("upstream.pem", root).to_string_lossy().into_owned();
    let connect_to = format!("{GRAPH}={upstream}");
    project.start(&["record", "x", "--connect-to", &connect_to, "--upstream-ca", &roots])
}

/// What a client is told that asks for Graph through a deck, status and body.
async fn asked(project: &Project, deck: &Deck<'_>) -> (u16, String) {
    let client = through(deck, &project.run(&["ca"]).stdout);
    let response = client.post(format!("https://{GRAPH}{}", statuses(CONFIG))).body(status("a")).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_graph_that_is_not_right_is_refused_with_the_reason() {
    let now = OffsetDateTime::now_utc();
    let ((signer, root), (stranger, _)) = (Signer::root("Known"), Signer::root("Unknown"));
    let same = |_: &mut _| {};
    let cases: [(&str, Shown, Option<&str>); 8] = [
        ("right", signer.sign(&[GRAPH], same), None),
        ("expired", signer.sign(&[GRAPH], |leaf| leaf.not_after = now - DAY), Some("it expired on ")),
        ("not yet valid", signer.sign(&[GRAPH], |leaf| leaf.not_before = now + DAY), Some("it is valid from ")),
        (
            "another host's",
            signer.sign(&["bank.example", "api.bank.example"], same),
            Some("it is for bank.example, api.bank.example"),
        ),
        ("self-signed", self_signed(&[GRAPH]), Some("nobody known here signed it; if it is right, name its root")),
        (
            "a stranger's",
            stranger.sign(&[GRAPH], same),
            Some("nobody known here signed it; if it is right, name its root"),
        ),
        (
            "a client's",
            signer.sign(&[GRAPH], |leaf| leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]),
            Some("it is not for servers"),
        ),
        ("through a stranger below", stranger.below().sign(&[GRAPH], same), Some("nobody known here signed it")),
    ];
    for (what, shown, reason) in cases {
        let project = Project::new();
        let deck = recording(&project, serve(shown, rustls::ALL_VERSIONS).await, &root);
        let (status, body) = asked(&project, &deck).await;
        let ended = deck.stop();
        let Some(reason) = reason else {
            assert_eq!((status, body.as_str(), ended.code), (200, "{}", Some(0)), "{what}: {}", ended.stderr);
            continue;
        };
        let error: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, &error["error"]["code"]), (502, &"graphdeckUpstream".into()), "{what}: {body}");
        let said = format!("{GRAPH} shows a certificate that is not trusted here: {reason}");
        let told = error["error"]["message"].as_str().unwrap();
        assert!(told.starts_with(&said), "{what}: {told}");
        assert!(ended.stderr.contains(&format!("graphdeck: upstream: {said}")), "{what}: {}", ended.stderr);
        assert_eq!(ended.code, Some(1), "{what}: a hole fails the run");
        assert!(!project.file("cassettes/x.json").exists(), "{what}");
    }
}

/// A ClientHello of the version (3, `minor`), good but for that: a random, two cipher suites, no compression,
/// `supported_groups` and `signature_algorithms`.
fn client_hello(minor: u8) -> Vec<u8> {
    let extensions = [0, 16, 0, 10, 0, 4, 0, 2, 0, 23, 0, 13, 0, 4, 0, 2, 4, 3];
    let hello = [&[3, minor][..], &[7; 32], &[0, 0, 4, 0xc0, 0x2b, 0xc0, 0x09, 1, 0], &extensions].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length], &hello[..]].concat()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deck_speaks_tls_1_2_and_1_3_and_nothing_older() {
    let project = Project::new();
    project.write("cassettes/empty.json", "{\"graphdeck\":1,\"ids\":{},\"exchanges\":[]}");
    let deck = project.replay("empty", &[]);
    for minor in [0, 1, 2, 3] {
        let mut stream = std::net::TcpStream::connect(deck.address).unwrap();
        stream.write_all(&client_hello(minor)).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        if minor == 3 {
            assert_eq!(answer[0], 22, "the same hello gets a ServerHello in TLS 1.2: {answer:?}");
        } else {
            // A fatal alert: protocol_version (RFC 8446 section 6.2).
            assert!(matches!(answer[..], [21, _, _, 0, 2, 2, 70]), "TLS 3.{minor}: {answer:?}");
        }
    }
    let ca_pem = project.run(&["ca"]).stdout;
    for version in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
        let client = bare(&ca_pem).min_tls_version(version).max_tls_version(version).resolve(GRAPH, deck.address);
        let url = format!("https://{GRAPH}:{}/v1.0/users", deck.address.port());
        assert_eq!(client.build().unwrap().get(url).send().await.unwrap().status(), 501, "{version:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn graph_is_spoken_to_in_tls_1_2_and_1_3_and_nothing_older() {
    let (signer, root) = Signer::root("Known");
    for version in rustls::ALL_VERSIONS {
        let project = Project::new();
        let upstream = serve(signer.sign(&[GRAPH], |_| {}), &[version]).await;
        let deck = recording(&project, upstream, &root);
        assert_eq!(asked(&project, &deck).await.0, 200, "{version:?}");
    }
    // A server that chooses TLS 1.1, whatever it is offered.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = listener.local_addr().unwrap();
    let offered = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut hello = vec![0; 4096];
        let length = stream.read(&mut hello).await.unwrap();
        let chosen = [&[3, 2][..], &[7; 32], &[0, 0xc0, 0x13, 0]].concat();
        let length_of = u8::try_from(chosen.len()).unwrap();
        let answer = [&[22, 3, 2, 0, length_of + 4, 2, 0, 0, length_of], &chosen[..]].concat();
        stream.write_all(&answer).await.unwrap();
        hello.truncate(length);
        hello
    });
    let project = Project::new();
    let deck = recording(&project, upstream, &root);
    let (status, body) = asked(&project, &deck).await;
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("graph.microsoft.com cannot be reached") && body.contains("incompatible"), "{body}");
    // supported_versions (RFC 8446 section 4.2.1) offers 1.3 and 1.2, in either order, and no third.
    let offered = offered.await.unwrap();
    let offers = |pair: [u8; 4]| {
        let extension = [&[0, 43, 0, 5, 4][..], &pair].concat();
        offered.windows(extension.len()).any(|window| window == extension)
    };
    assert!(offers([3, 4, 3, 3]) || offers([3, 3, 3, 4]), "{offered:?}");
}
