//! Requests that could be read in two ways: refused with a 400, the connection closed, and nothing of them sent on.

use crate::support::by_hand::{Stream, connect, inside};
use crate::support::client::trusting;
use crate::support::deck::Project;
use crate::support::graph::{Graph, Reply};
use std::io::ErrorKind;
use std::sync::Arc;

/// What would be sent on if somebody took it for a request.
const SECOND: &str = "GET /v1.0/smuggled HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n";

/// First lines and headers, each a whole head with what is odd in it.
const HEADS: [&str; 30] = [
    "POST /v1.0/x HTTP/1.1\nHost: graph.microsoft.com\n\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nX: a\nb\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nX: 1\r\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\n Host: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\n\tHost: graph.microsoft.com\r\n\r\n",
    "POST  /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x  HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST\t/v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.1 \r\nHost: graph.microsoft.com\r\n\r\n",
    " POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.2\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/0.9\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x http/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nHTTP/1.1\r\n\r\n",
    "PO\u{0}ST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x\u{0}y HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x#y HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST * HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST ftp://graph.microsoft.com/v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost:\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nHost: graph.microsoft.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nhost: example.com\r\n\r\n",
    "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com/x\r\n\r\n",
    "POST http://graph.microsoft.com/v1.0/x HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "POST http://graph.microsoft.com/v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com:8080\r\n\r\n",
    "CONNECT graph.microsoft.com HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
];

/// Headers that say where the body ends, in more than one way or in none.
const FIELDS: [&str; 30] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
    "Content-Length: 5\r\ntransfer-encoding: CHUNKED\r\n",
    "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
    "Content-Length: 0\r\nContent-Length: 44\r\n",
    "Content-Length: 44\r\nContent-Length: 0\r\n",
    "Content-Length: 0\r\nContent-Length: 0\r\n",
    "Content-Length: 0, 0\r\n",
    "Content-Length: 0,44\r\n",
    "Content-Length: +0\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: 0x0\r\n",
    "Content-Length: 0 0\r\n",
    "Content-Length: 1e1\r\n",
    "Content-Length:\r\n",
    "Content-Length: \u{b}0\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length : 0\r\n",
    "Content-Length\t: 0\r\n",
    " Content-Length: 0\r\n",
    "X: 1\r\n Content-Length: 44\r\n",
    "Content-Length: 0\r\n\t\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: \u{b}chunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Transfer-Encoding:\r\n chunked\r\n",
    ": 1\r\n",
];

/// Chunked bodies that are none.
const CHUNKS: [&str; 16] = [
    "0\n\n",
    "0\r\n\n",
    "0 \r\n\r\n",
    " 0\r\n\r\n",
    "0x0\r\n\r\n",
    "-1\r\n\r\n",
    "\r\n\r\n",
    "ffffffffffffffffff\r\n",
    "10000000000000000\r\n",
    "1\r\nab\r\n0\r\n\r\n",
    "1\r\na0\r\n\r\n",
    "2\r\na\r\n0\r\n\r\n",
    "1;x\ny\r\na\r\n0\r\n\r\n",
    "1\rX\na\r\n0\r\n\r\n",
    "0\r\n X: 1\r\n\r\n",
    "0\r\nX: 1\n\r\n",
];

fn cases() -> Vec<String> {
    let chunked = "POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nTransfer-Encoding: chunked\r\n\r\n";
    let heads = HEADS.iter().map(|head| (*head).to_owned());
    let fields =
        FIELDS.iter().map(|fields| format!("POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\n{fields}\r\n"));
    let chunks = CHUNKS.iter().map(|body| format!("{chunked}{body}"));
    let old = "POST /v1.0/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned();
    heads.chain(fields).chain(chunks).chain([old]).map(|case| format!("{case}{SECOND}")).collect()
}

/// Sends bytes, and returns all that comes until the deck ends the connection.
fn to_the_end(mut stream: impl Stream, bytes: &str) -> String {
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(fault) => assert!(fault.kind() != ErrorKind::WouldBlock, "still open after {bytes:?}"),
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_be_read_in_two_ways_is_refused_and_never_sent_on() {
    let graph = Graph::answering(|_| Reply::new(200, "{}")).await;
    let project = Project::new();
    let config = Arc::new(trusting(&project.run(&["ca"]).stdout));
    let deck = project.record("smuggled", &graph, &["--all"]);
    let cases = cases();
    assert!(cases.len() >= 60);
    for case in &cases {
        let is_connect = case.starts_with("CONNECT");
        for answer in [to_the_end(connect(&deck), case), to_the_end(inside(&deck, &config), case)] {
            assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{case:?}: {answer:?}");
            assert_eq!(answer.matches("x-graphdeck: ").count(), 1, "{case:?}: {answer:?}");
            assert!(
                answer.contains("connection: close\r\n") && answer.contains("graphdeckBadRequest"),
                "{case:?}: {answer:?}"
            );
            assert!(is_connect || !answer.contains("broke off"), "{case:?}: {answer:?}");
        }
    }
    // The same connections take what is sound, twice in one breath, so it is not that they take nothing.
    let sound = format!("POST /v1.0/x HTTP/1.1\r\nHost: graph.microsoft.com\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n{SECOND}")
        .replace("smuggled HTTP/1.1\r\n", "sound HTTP/1.1\r\nConnection: close\r\n");
    for answer in [to_the_end(connect(&deck), &sound), to_the_end(inside(&deck, &config), &sound)] {
        assert_eq!(answer.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{answer}");
    }
    let targets: Vec<String> = graph.asked().into_iter().map(|asked| asked.target).collect();
    assert_eq!(targets, ["/v1.0/x", "/v1.0/sound", "/v1.0/x", "/v1.0/sound"]);
}

/// What came before on the same connection is answered, and in its turn.
#[test]
fn a_refusal_waits_for_its_turn() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let deck = project.replay("user-statuses", &[]);
    let first = "GET /_graphdeck/health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let answer = to_the_end(connect(&deck), &format!("{first}{first}GET / HTTP/1.1\r\nX : 1\r\n\r\n{first}"));
    let statuses: Vec<_> = answer.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "200", "400"], "{answer}");
}
