//! Graph as it may be: compressed, slow, broken, unreachable, not trusted, or behind a proxy.

use crate::support::client::through;
use crate::support::deck::{Deck, Ended, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use base64::Engine as _;
use bytes::Bytes;
use serde_json::json;
use std::io::Write as _;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

fn url() -> String {
    format!("https://graph.microsoft.com{}", statuses(CONFIG))
}

/// Records one POST against this Graph, and returns the answer with the recording's end.
async fn record_one(project: &Project, graph: &Graph, body: String) -> (reqwest::StatusCode, String, Ended) {
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("one", graph, &[]);
    let response = through(&deck, &ca_pem).post(url()).body(body).send().await.unwrap();
    let answer = (response.status(), response.text().await.unwrap_or_else(|why| format!("broke off: {why}")));
    let ended = deck.stop();
    (answer.0, answer.1, ended)
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_compressed_answer_comes_back_to_the_byte_and_is_readable_on_tape() {
    let base64 = |text| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    for (coding, body) in
        [("gzip", gzip("{\"a\":1}")), ("br", base64("CwOAeyJhIjoxfQM=")), ("zstd", base64("KLUv/SAHOQAAeyJhIjoxfQ=="))]
    {
        let (project, sent) = (Project::new(), Bytes::from(body));
        let answered = sent.clone();
        let graph = Graph::answering(move |_| {
            Reply::new(201, answered.clone()).with("content-encoding", coding).with("content-type", "application/json")
        })
        .await;
        let ca_pem = project.run(&["ca"]).stdout;
        let deck = project.record("coded", &graph, &[]);
        let request = through(&deck, &ca_pem).post(url()).header("accept-encoding", coding);
        let request = request.header("content-encoding", "gzip").body(gzip(&status("a")));
        let response = request.send().await.unwrap();
        assert_eq!(response.headers()["content-encoding"], coding);
        assert_eq!(response.bytes().await.unwrap(), sent, "{coding}");
        assert_eq!(deck.stop().code, Some(0));
        assert_eq!(graph.asked()[0].headers["accept-encoding"], coding);
        assert_eq!(graph.asked()[0].body, gzip(&status("a")));
        let cassette = project.cassette_json("coded");
        let exchange = &cassette["exchanges"][0];
        assert_eq!(exchange["response"]["body"]["json"], json!({"a": 1}), "{coding}");
        assert_eq!(exchange["request"]["body"]["json"]["userDisplayName"], "a");
        assert!(!project.cassette("coded").contains("content-encoding"));

        let deck = project.replay("coded", &["--strict"]);
        let response = through(&deck, &ca_pem).post(url()).body(status("a")).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "{\"a\":1}", "a plain request finds what a gzipped one recorded");
        assert_eq!(deck.stop().code, Some(0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_graph_are_recorded_as_much_as_its_answers() {
    let statuses = [400, 403, 404, 429, 500, 503, 201];
    let next = std::sync::Mutex::new(statuses.into_iter());
    let graph = Graph::answering(move |_| {
        let status = next.lock().unwrap().next().unwrap();
        Reply::json(status, &json!({"error": {"code": status.to_string()}})).with("retry-after", "7")
    })
    .await;
    let project = Project::new();
    project.write("config.toml", "[replay]\nretry_after = \"recorded\"\n");
    let ca_pem = project.run(&["ca"]).stdout;
    let ask_all = async |deck: &Deck<'_>| {
        let client = through(deck, &ca_pem);
        let mut answers = Vec::new();
        for _ in statuses {
            let response = client.post(url()).body(status("a")).send().await.unwrap();
            assert_eq!(response.headers()["retry-after"], "7");
            answers.push((response.status().as_u16(), response.text().await.unwrap()));
        }
        answers
    };
    let deck = project.record("errors", &graph, &[]);
    let recorded = ask_all(&deck).await;
    assert_eq!(recorded.iter().map(|(status, _)| *status).collect::<Vec<_>>(), statuses);
    assert_eq!(deck.stop().code, Some(0));
    let deck = project.replay("errors", &["--strict"]);
    assert_eq!(ask_all(&deck).await, recorded, "repeats of one request meet what was recorded, in order");
    assert_eq!(deck.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_graph_that_speaks_only_http_1_is_recorded_too() {
    let (project, answer) = (Project::new(), |_: &_| Box::pin(std::future::ready(Reply::new(201, "{}"))) as _);
    let graph = Graph::with_protocols(answer, &[b"http/1.1"]).await;
    let (status, body, ended) = record_one(&project, &graph, status("a")).await;
    assert_eq!((status.as_u16(), body.as_str(), ended.code), (201, "{}", Some(0)));
    assert_eq!(graph.asked()[0].version, http::Version::HTTP_11);
    assert_eq!(graph.asked()[0].host, "graph.microsoft.com");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_or_trusted_is_said_and_the_recording_goes_on() {
    let project = Project::new();
    let graph = Graph::start().await;
    let ca_pem = project.run(&["ca"]).stdout;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let deck = project.start(&[
        "record",
        "broken",
        "--connect-to",
        &format!("graph.microsoft.com={}", graph.address),
        "--connect-to",
        &format!("graph.microsoft.us={nobody}"),
    ]);
    let client = through(&deck, &ca_pem);
    let mut said = String::new();
    for host in ["graph.microsoft.com", "graph.microsoft.us"] {
        let request = client.post(format!("https://{host}{}", statuses(CONFIG))).header("client-request-id", "mark");
        let response = request.body(status("a")).send().await.unwrap();
        assert_eq!(response.status(), 502);
        assert_eq!(response.headers()["client-request-id"], "mark");
        said += &format!("{}\n", response.text().await.unwrap());
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(1), "holes fail the run");
    insta::assert_snapshot!(said + &ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_breaks_off_is_a_502_and_never_on_tape() {
    let project = Project::new();
    let graph = Graph::answering(|_| Reply::new(201, "0123456789").with("content-length", "10").cut_after(5)).await;
    let (status, body, ended) = record_one(&project, &graph, status("a")).await;
    assert_eq!(status, 502, "{body}");
    assert!(body.contains("graph.microsoft.com broke the exchange off"), "{body}");
    assert_eq!(ended.code, Some(1));
    assert!(!project.file("cassettes/one.json").exists(), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_the_limit_passes_and_is_a_hole() {
    let project = Project::new();
    project.write("config.toml", "body_limit = 1000\n");
    let large = "x".repeat(5000);
    let answer = large.clone();
    let graph = Graph::answering(move |asked| {
        Reply::new(201, if asked.body.len() > 1000 { "{}".into() } else { answer.clone() })
    })
    .await;
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("large", &graph, &[]);
    let client = through(&deck, &ca_pem);
    let post = async |body: String| client.post(url()).body(body).send().await.unwrap().text().await.unwrap();
    assert_eq!(post(large.clone()).await, "{}");
    assert_eq!(post("small".into()).await, large);
    let ended = deck.stop();
    assert_eq!(graph.asked()[0].body.len(), 5000);
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.stderr);

    project.write("cassettes/large.json", "{\"graphdeck\":1,\"ids\":{},\"exchanges\":[]}");
    let deck = project.replay("large", &[]);
    let response = through(&deck, &ca_pem).post(url()).body(large).send().await.unwrap();
    assert_eq!(response.status(), 413);
}

/// A proxy as a company has: it takes CONNECT, asks for a password, and leads wherever it is told to.
async fn company_proxy(to: std::net::SocketAddr) -> (std::net::SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).await.unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        let mut outside = tokio::net::TcpStream::connect(to).await.unwrap();
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut outside).await });
        head
    });
    (address, task)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decks_own_proxy_leads_it_to_graph() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let (proxy, head) = company_proxy(graph.address).await;
    let mut command = project.command(&["record", "proxied", "--listen", "127.0.0.1:0", "--upstream-ca"]);
    command.arg(graph.ca_file()).env("HTTPS_PROXY", format!("http://user:pass@{proxy}")).env("NO_PROXY", "localhost");
    let deck = Deck::spawn(&project, command);
    let response = through(&deck, &ca_pem).post(url()).body(status("a")).send().await.unwrap();
    assert_eq!(response.status(), 201);
    assert_eq!(deck.stop().code, Some(0));
    let head = head.await.unwrap();
    assert!(head.starts_with("CONNECT graph.microsoft.com:443 HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("proxy-authorization: basic dxnlcjpwyxnz"), "{head}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_goes_away_leaves_a_hole() {
    let project = Project::new();
    let graph = Graph::answering_later(|_| Box::pin(std::future::pending())).await;
    let ca_pem = project.run(&["ca"]).stdout;
    let mut deck = project.record("gone", &graph, &[]);
    let asking = tokio::spawn(through(&deck, &ca_pem).post(url()).body(status("a")).send());
    graph.wait_for(1).await;
    asking.abort();
    deck.wait_for_line("the client went away before it was answered");
    assert_eq!(deck.stop().code, Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_stalls_is_a_504_and_no_part_of_it_is_kept() {
    // Dropping the sender would cut the answer off, so it is kept to the end.
    let (kept, until) = tokio::sync::oneshot::channel();
    let until = std::sync::Mutex::new(Some(until));
    let graph = Graph::answering(move |_| {
        Reply::new(201, "{\"id\":\"half of it\"}").held_after(5, until.lock().unwrap().take().unwrap())
    })
    .await;
    let project = Project::new();
    project.write("config.toml", "[record]\ntimeout = 1\n");
    let (code, body, ended) = record_one(&project, &graph, status("a")).await;
    drop(kept);
    assert_eq!(code, 504);
    assert!(body.contains("graph.microsoft.com stopped in the middle of its answer for 1 s"), "{body}");
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("not recorded, though it should be"), "{}", ended.stderr);
    assert!(!project.file("cassettes/one.json").exists());
}
