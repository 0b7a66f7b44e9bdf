//! What a recording lets past: other routes of Graph as a stream, other hosts unopened.

use crate::support::client::through;
use crate::support::deck::Project;
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use reqwest::{Certificate, Client, Proxy};
use std::sync::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_route_selects_passes_and_is_told_at_the_end() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("some", &graph, &[]);
    let client = through(&deck, &ca_pem);
    let list = "https://graph.microsoft.com/v1.0/deviceManagement/deviceConfigurations";
    for _ in 0..3 {
        client.get(list).send().await.unwrap();
    }
    client.post(format!("https://graph.microsoft.com{}", statuses(CONFIG))).body(status("a")).send().await.unwrap();
    client.get(format!("https://graph.microsoft.com{}", statuses(CONFIG))).send().await.unwrap();
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0));
    insta::assert_snapshot!(ended.stderr);
    assert_eq!(project.cassette_json("some")["exchanges"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_and_all_widen_what_is_recorded() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    project.write("config.toml", "[record]\nroutes = [\"GET /deviceManagement/**\"]\n");
    for (options, expected) in [(&[][..], 1), (&["--all"], 2)] {
        let deck = project.record("wide", &graph, options);
        let client = through(&deck, &ca_pem);
        client.get(format!("https://graph.microsoft.com{}", statuses(CONFIG))).send().await.unwrap();
        client.post(format!("https://graph.microsoft.com{}", statuses(CONFIG))).body(status("a")).send().await.unwrap();
        deck.stop();
        assert_eq!(project.cassette_json("wide")["exchanges"].as_array().unwrap().len(), expected, "{options:?}");
    }
}

/// One exchange that a cassette can hardly hold must not cost the others.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_exchanges_do_no_harm_to_the_recording() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let graph = Graph::answering(move |asked| Reply::new(200, asked.body.clone())).await;
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    let bodies = [
        deep(99),
        deep(126),
        deep(1000),
        "{\"$serde_json::private::Number\":\"1\"}".into(),
        "{{a.1}}".into(),
        "\u{feff}{}".into(),
    ];
    let ask_all = async |deck: &crate::support::deck::Deck<'_>| {
        let client = through(deck, &ca_pem);
        for body in &bodies {
            let request = client.post(format!("https://graph.microsoft.com{}", statuses(CONFIG))).body(body.clone());
            assert_eq!(request.send().await.unwrap().text().await.unwrap(), *body);
        }
        let mut stream = std::net::TcpStream::connect(deck.address).unwrap();
        for head in ["OPTIONS * HTTP/1.1", "GET http://graph.microsoft.com?x=1 HTTP/1.1"] {
            use std::io::{BufRead, BufReader, Write};
            write!(stream, "{head}\r\nHost: graph.microsoft.com\r\n\r\n").unwrap();
            let mut answer = BufReader::new(&stream).lines();
            assert_eq!(answer.next().unwrap().unwrap(), "HTTP/1.1 200 OK", "{head}");
            answer.find(|line| line.as_ref().is_ok_and(String::is_empty)).unwrap().unwrap();
        }
    };
    let deck = project.record("odd", &graph, &["--all"]);
    ask_all(&deck).await;
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let deck = project.replay("odd", &["--strict"]);
    ask_all(&deck).await;
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passing_answer_streams() {
    let (go, until) = tokio::sync::oneshot::channel();
    let until = Mutex::new(Some(until));
    let graph =
        Graph::answering(move |_| Reply::new(200, "first second").held_after(6, until.lock().unwrap().take().unwrap()))
            .await;
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("stream", &graph, &[]);
    let mut response = through(&deck, &ca_pem).get("https://graph.microsoft.com/v1.0/reports").send().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "first ");
    go.send(()).unwrap();
    assert_eq!(response.bytes().await.unwrap(), "second");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_hosts_are_tunnelled_unopened() {
    let (project, graph) = (Project::new(), Graph::start().await);
    project.write("config.toml", format!("[record]\ntunnels = [\"localhost:{}\"]\n", graph.address.port()));
    let deck = project.record("tunnel", &graph, &[]);
    // This client trusts the stand-in alone: what it is shown is the host's own certificate.
    let root = Certificate::from_pem(&std::fs::read(graph.ca_file()).unwrap()).unwrap();
    let proxy = Proxy::https(format!("http://{}", deck.address)).unwrap();
    let client = Client::builder().tls_certs_only([root]).proxy(proxy).build().unwrap();
    let url = format!("https://localhost:{}/v1.0{}", graph.address.port(), statuses(CONFIG));
    assert_eq!(client.post(url).body(status("a")).send().await.unwrap().status(), 201);
    drop(client);
    let ended = deck.stop();
    assert!(ended.stderr.contains("passed through to other hosts: localhost:"), "{}", ended.stderr);
    assert!(!project.file("cassettes/tunnel.json").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_path_is_recorded() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("paths", &graph, &[]);
    let client = through(&deck, &ca_pem);
    let chains = include_str!("../data/userstatuses-paths-beta.txt");
    let seed = ["", "/rootCertificate", "/identityCertificate", "/identityCertificate/rootCertificate"];
    let seed = seed.map(|between| format!("/deviceManagement/deviceConfigurations/{{id}}{between}/userStatuses"));
    let others = [
        "/deviceManagement/deviceConfigurations('{id}')/userStatuses",
        "/deviceManagement/deviceConfigurations(%27{id}%27)/userStatuses",
        "//deviceManagement/deviceConfigurations/{id}/rootCertificate//userStatuses/",
        "/deviceappManagement/mobileapps/{id}/USERSTATUSES",
        "/deviceManagement/deviceCompliancePolicies/{id}/userStatuses",
        "/deviceAppManagement/iosLobAppProvisioningConfigurations/{id}/userStatuses",
    ];
    let paths: Vec<String> = chains.lines().map(str::to_owned).chain(seed).chain(others.map(str::to_owned)).collect();
    for path in &paths {
        let url = format!("https://graph.microsoft.com/beta{}", path.replace("{id}", CONFIG));
        client.post(url).body(status("a")).send().await.unwrap();
    }
    deck.stop();
    let cassette = project.cassette_json("paths");
    let recorded: Vec<&str> =
        cassette["exchanges"].as_array().unwrap().iter().map(|e| e["request"]["url"].as_str().unwrap()).collect();
    assert_eq!(recorded.len(), paths.len());
    for (url, path) in recorded.iter().zip(&paths) {
        let names = url.replace("{{deviceConfigurations.1}}", "{id}").replace("https://graph.microsoft.com/beta", "");
        assert_eq!(names, *path);
    }

    let deck = project.replay("paths", &["--strict"]);
    let client = through(&deck, &ca_pem);
    for path in &paths {
        let url = format!("https://graph.microsoft.com/beta{}", path.replace("{id}", crate::support::OTHER_CONFIG));
        assert_eq!(client.post(url).body(status("a")).send().await.unwrap().status(), 201, "{path}");
    }
    assert_eq!(deck.stop().code, Some(0));
}

/// The first line and the body of the answer to a head.
fn asked(deck: &crate::support::deck::Deck<'_>, head: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(deck.address).unwrap();
    write!(stream, "{head}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    format!("{}\n{body}\n", head.lines().next().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_no_open_proxy() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let deck = project.record("closed", &graph, &[]);
    let mut told = String::new();
    for authority in [
        "127.0.0.1:443",
        "[::1]:443",
        "[::ffff:127.0.0.1]:443",
        "localhost:443",
        "169.254.169.254:443",
        "168.63.129.16:443",
        "10.0.0.1:443",
        "metadata.google.internal:443",
        "intranet:443",
        "example.com:22",
    ] {
        told += &format!("CONNECT {authority}\n");
        told += &asked(&deck, &format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}"));
    }
    for authority in [graph.address.to_string(), "169.254.169.254".to_owned(), "localhost".to_owned()] {
        told += &format!("GET http://{authority}/\n");
        told += &asked(&deck, &format!("GET http://{authority}/ HTTP/1.1\r\nHost: {authority}"));
    }
    assert_eq!(graph.connections(), 0);
    insta::assert_snapshot!(project.tidy(&told));
    let ended = deck.stop();
    assert!(!ended.stderr.contains("passed through to other hosts"), "{}", ended.stderr);
}
