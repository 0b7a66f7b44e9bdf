//! Every way in which a client may come to the one port, in both modes, over HTTP/1.1 and HTTP/2.

use crate::support::client::Front;
use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::{CONFIG, OTHER_CONFIG, status, statuses};
use reqwest::Version;
use std::io::{Read, Write};
use std::net::TcpStream;

/// POSTs a status for each way in, and returns the bodies of the answers.
async fn post_through_every_front(deck: &Deck<'_>, ca_pem: &str, config: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    for front in Front::ALL {
        for http2 in [false, true] {
            let client = front.client(deck, ca_pem, http2);
            let name = format!("{front:?} {http2}");
            let url = front.url(deck, &statuses(config), http2);
            let request = client.post(url).bearer_auth("secret").header("content-type", "application/json");
            let response = request.body(status(&name)).send().await.unwrap_or_else(|why| panic!("{name}: {why:?}"));
            assert_eq!(response.version(), if http2 { Version::HTTP_2 } else { Version::HTTP_11 }, "{name}");
            assert_eq!(response.status(), 201, "{name}");
            bodies.push(response.text().await.unwrap());
        }
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_front_records_and_replays() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;

    let deck = project.record("fronts", &graph, &[]);
    let recorded = post_through_every_front(&deck, &ca_pem, CONFIG).await;
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("recorded 10 exchanges to cassettes/fronts.json"), "{}", ended.stderr);
    for asked in graph.asked() {
        assert_eq!(asked.host, "graph.microsoft.com");
        assert_eq!(asked.headers["authorization"], "Bearer secret");
        assert_eq!(asked.version, http::Version::HTTP_2, "the stand-in offers HTTP/2");
    }
    assert_eq!(graph.connections(), 1, "one connection to Graph serves them all");
    drop(graph);

    let deck = project.replay("fronts", &["--strict"]);
    assert_eq!(post_through_every_front(&deck, &ca_pem, CONFIG).await, recorded);
    assert_eq!(deck.stop().code, Some(0));

    let deck = project.replay("fronts", &[]);
    let renamed = post_through_every_front(&deck, &ca_pem, OTHER_CONFIG).await;
    for (renamed, recorded) in renamed.iter().zip(&recorded) {
        assert!(renamed.contains(OTHER_CONFIG) && !renamed.contains(CONFIG), "{renamed}");
        assert_eq!(renamed.len(), recorded.len());
    }
    assert_eq!(deck.stop().code, Some(0));
}

/// Sends bytes as they are, and returns what comes back until `until` stands in it or the connection ends.
fn raw(stream: &mut TcpStream, bytes: &str, until: &str) -> String {
    stream.write_all(bytes.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 1024];
    while !String::from_utf8_lossy(&answer).contains(until) {
        match stream.read(&mut buffer).unwrap() {
            0 => break,
            count => answer.extend_from_slice(&buffer[..count]),
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

fn replaying(project: &Project) -> Deck<'_> {
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    project.replay("user-statuses", &[])
}

#[test]
fn connect_heads_are_understood_as_real_clients_send_them() {
    let project = Project::new();
    let deck = replaying(&project);
    for head in [
        "CONNECT graph.microsoft.com:443 HTTP/1.0\r\n\r\n",
        "CONNECT graph.microsoft.com:443 HTTP/1.1\r\nhost: graph.microsoft.com\r\nconnection: close\r\nproxy-connection: keep-alive\r\n\r\n",
        "CONNECT graph.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\nUser-Agent: x\r\n\r\n",
        "CONNECT GRAPH.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\nProxy-Authorization: Basic eDp5\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(deck.address).unwrap();
        let answer = raw(&mut stream, head, "\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.") && answer.contains(" 200 "), "{head}{answer}");
        // Inside the tunnel plain HTTP is answered as well as TLS.
        let inside = "GET /_graphdeck/health HTTP/1.1\r\nHost: graph.microsoft.com\r\nConnection: close\r\n\r\n";
        assert!(raw(&mut stream, inside, "\"}}").starts_with("HTTP/1.1 501 "), "{head}");
        // What comes with the head, before the tunnel is there, is the first that goes through it.
        let mut stream = TcpStream::connect(deck.address).unwrap();
        let answers = raw(&mut stream, &format!("{head}{inside}"), "\"}}");
        assert!(answers.contains(" 200 ") && answers.contains("HTTP/1.1 501 "), "{head}{answers}");
    }
}

#[test]
fn what_names_no_host_or_two_is_refused_in_words() {
    let project = Project::new();
    let deck = replaying(&project);
    let mut answers = String::new();
    for head in [
        "CONNECT graph.microsoft.com HTTP/1.1\r\nHost: graph.microsoft.com\r\n\r\n",
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n",
        "GET http://example.com/ HTTP/1.1\r\nHost: example.com\r\n\r\n",
        "GET /v1.0/me HTTP/1.1\r\n\r\n",
        "GET /v1.0/me HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(deck.address).unwrap();
        let answer = raw(&mut stream, head, "}}}");
        answers += &format!("{}\n{}\n", head.lines().next().unwrap(), answer);
    }
    let mut tunnel = TcpStream::connect(deck.address).unwrap();
    raw(&mut tunnel, "CONNECT graph.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\n\r\n", "\r\n\r\n");
    answers += &raw(&mut tunnel, "GET / HTTP/1.1\r\nHost: graph.microsoft.us\r\n\r\n", "}}}");
    insta::assert_snapshot!(answers.replace('\r', ""));
}

#[test]
fn an_offer_of_h2c_is_declined_without_harm_and_100_continue_is_given() {
    let project = Project::new();
    let deck = replaying(&project);
    let body = r##"{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus","userDisplayName":"User Display Name value","devicesCount":12,"status":"notApplicable","lastReportedDateTime":"2017-01-01T00:00:17.7769392-08:00","userPrincipalName":"User Principal Name value"}"##;
    let head = format!(
        "POST {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\nExpect: 100-continue\r\n\r\n",
        statuses(CONFIG),
        deck.address,
        body.len()
    );
    let mut stream = TcpStream::connect(deck.address).unwrap();
    assert_eq!(raw(&mut stream, &head, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    assert!(raw(&mut stream, body, "value\"}").starts_with("HTTP/1.1 201 Created\r\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decks_own_pages_tell_health_report_and_root() {
    let project = Project::new();
    let deck = replaying(&project);
    let client = Front::Reverse.client(&deck, &project.run(&["ca"]).stdout, false);
    let page = |path: &'static str| {
        let request = client.get(deck.url(path));
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    assert_eq!(page("/_graphdeck/health").await, "{\"status\":\"ok\",\"mode\":\"replay\"}\n");
    assert_eq!(page("/_graphdeck/ca.pem").await, project.run(&["ca"]).stdout);
    let report: serde_json::Value = serde_json::from_str(&page("/_graphdeck/report").await).unwrap();
    assert_eq!((report["answered"].as_u64(), report["unused"].as_u64()), (Some(0), Some(35)));
}

#[test]
fn half_a_request_is_not_waited_for_without_end() {
    let project = Project::new();
    project.write("config.toml", "client_timeout = 1\n[limits]\nheader_timeout = 1\n");
    let deck = replaying(&project);
    let mut stream = TcpStream::connect(deck.address).unwrap();
    let head = "POST /v1.0/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nabc";
    let answer = raw(&mut stream, head, "nothing more of it came");
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
    let mut stream = TcpStream::connect(deck.address).unwrap();
    let answer = raw(&mut stream, "POST /v1.0/x HTTP/1.1\r\nHost: loc", "was not whole after 1 s");
    assert!(answer.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{answer}");
}
