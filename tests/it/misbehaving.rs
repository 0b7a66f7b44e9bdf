//! A Graph that misbehaves while it is recorded: the client gets what a proxy should give, and nothing half is kept.

use crate::support::certificates::Signer;
use crate::support::client::{Front, through};
use crate::support::deck::Project;
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use rustls::ServerConfig;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How an answer ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// As TLS asks for.
    Close,
    /// Without TLS's word for it.
    Cut,
    /// With a reset of the connection.
    Reset,
    /// Not at all.
    Never,
}

/// An answer to the byte, by its name, and how it ends; in HTTP/2 it is what comes after the settings.
type Case = (&'static str, Vec<u8>, End);

fn http1() -> Vec<Case> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    gzip.write_all(b"{\"id\":\"0123456789\"}").unwrap();
    let mut half = gzip.finish().unwrap();
    half.truncate(half.len() / 2);
    let head = format!(
        "HTTP/1.1 201 Created\r\ncontent-encoding: gzip\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        half.len()
    );
    let text = |text: &str| text.replace('\n', "\r\n").into_bytes();
    vec![
        ("reset before the head", Vec::new(), End::Reset),
        ("closed before the head", Vec::new(), End::Close),
        ("cut before the head", Vec::new(), End::Cut),
        ("reset amid the head", text("HTTP/1.1 201 Crea"), End::Reset),
        ("closed amid the head", text("HTTP/1.1 201 Created\ncontent-le"), End::Close),
        ("no HTTP", text("220 smtp.example.com ESMTP\n\n"), End::Close),
        ("no HTTP without an end", b"\x00\xff".repeat(4000), End::Never),
        ("a head without an end", text(&format!("HTTP/1.1 201 Created\n{}", "a: b\n".repeat(5000))), End::Never),
        ("reset amid the body", text("HTTP/1.1 201 Created\ncontent-length: 10\n\n{\"id\""), End::Reset),
        ("shorter than its length", text("HTTP/1.1 201 Created\ncontent-length: 10\n\n{\"id\""), End::Close),
        ("two lengths", text("HTTP/1.1 201 Created\ncontent-length: 5\ncontent-length: 2\n\n{}\n\n{}"), End::Close),
        ("no length", text("HTTP/1.1 201 Created\ncontent-length: ten\n\n{}"), End::Close),
        ("bad chunk", text("HTTP/1.1 201 Created\ntransfer-encoding: chunked\n\n2\n{}\nzz\n"), End::Close),
        ("no last chunk", text("HTTP/1.1 201 Created\ntransfer-encoding: chunked\n\n2\n{}\n"), End::Close),
        ("cut where the end says the length", text("HTTP/1.1 201 Created\n\n{\"id\":1}"), End::Cut),
        ("half a gzip", [head.as_bytes(), &half].concat(), End::Close),
        ("silent before the head", Vec::new(), End::Never),
        ("silent amid the head", text("HTTP/1.1 201 Cre"), End::Never),
        ("silent amid the body", text("HTTP/1.1 201 Created\ncontent-length: 10\n\n{\"id\""), End::Never),
    ]
}

/// A frame of HTTP/2 (RFC 9113 section 4.1) on the first stream, or on none.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn http2() -> Vec<Case> {
    // `:status: 200`, and a length of 10, by the static table (RFC 7541 appendix A).
    let (ok, long) = (&b"\x88"[..], &b"\x88\x0f\x0d\x0210"[..]);
    let (end, head) = (1, 4);
    let (data, headers, reset, away) = (0, 1, 3, 7);
    let refused = 7_u32.to_be_bytes();
    let begun = || [frame(headers, head, 1, ok), frame(data, 0, 1, b"{\"id\"")].concat();
    vec![
        ("h2: stream reset before the head", frame(reset, 0, 1, &2_u32.to_be_bytes()), End::Close),
        ("h2: closed before the head", Vec::new(), End::Close),
        ("h2: no frames", b"HTTP/1.1 400 Bad Request\r\n\r\n".repeat(40), End::Close),
        ("h2: no headers", frame(headers, head, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff"), End::Close),
        ("h2: stream reset amid the body", [begun(), frame(reset, 0, 1, &2_u32.to_be_bytes())].concat(), End::Close),
        ("h2: closed amid the body", begun(), End::Close),
        ("h2: cut amid the body", begun(), End::Cut),
        (
            "h2: shorter than its length",
            [frame(headers, head, 1, long), frame(data, end, 1, b"{\"id\"")].concat(),
            End::Close,
        ),
        (
            "h2: gone away amid the body",
            [begun(), frame(away, 0, 0, &[&0_u32.to_be_bytes()[..], &refused].concat())].concat(),
            End::Close,
        ),
        // The connection of the one is that of the other, where nobody answers any more.
        ("h2: silent amid the body", begun(), End::Never),
        ("h2: silent before the head", Vec::new(), End::Never),
    ]
}

/// The number of the case that a request asks for, which stands in it as plain text.
async fn wanted(stream: &mut TlsStream<TcpStream>, seen: &mut Vec<u8>) -> Option<usize> {
    let mark = b"case=";
    loop {
        let at = seen.windows(mark.len()).position(|part| part == mark).map(|at| at + mark.len());
        if let Some(number) = at.and_then(|at| std::str::from_utf8(seen.get(at..at + 2)?).ok()?.parse().ok()) {
            return Some(number);
        }
        if stream.read_buf(seen).await.ok()? == 0 {
            return None;
        }
    }
}

async fn misbehave(mut stream: TlsStream<TcpStream>, cases: &[Case], http2: bool) {
    let mut seen = Vec::new();
    if http2 && stream.write_all(&frame(4, 0, 0, b"")).await.is_err() {
        return;
    }
    let Some(number) = wanted(&mut stream, &mut seen).await else { return };
    let (_, answer, end) = &cases[number];
    // One that has seen enough may have gone.
    let _ = stream.write_all(answer).await;
    let _ = stream.flush().await;
    match end {
        End::Close => stream.shutdown().await.unwrap_or_default(),
        End::Cut => stream.get_mut().0.shutdown().await.unwrap_or_default(),
        End::Reset => stream.get_ref().0.set_zero_linger().unwrap(),
        End::Never => {}
    }
    if !matches!(end, End::Reset) {
        // Until the other side has closed it as well.
        while stream.read_buf(&mut seen).await.is_ok_and(|read| read > 0) {}
    }
}

/// Serves the cases, and returns its address, the root of its certificate, and what tells of each connection that ended.
async fn misbehaving(cases: Vec<Case>, http2: bool) -> (SocketAddr, String, UnboundedReceiver<()>) {
    let (root, pem) = Signer::root("A root");
    let shown = root.sign(&["graph.microsoft.com"], |_| {});
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_no_client_auth().with_single_cert(shown.chain, shown.key).unwrap();
    config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, cases) = (listener.local_addr().unwrap(), Arc::new(cases));
    let (end, ended) = unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (acceptor, cases, end) = (acceptor.clone(), Arc::clone(&cases), end.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    misbehave(stream, &cases, http2).await;
                }
                // Not every test waits for it.
                let _ = end.send(());
            });
        }
    });
    (address, pem, ended)
}

/// Asks for one case, and tells what the client gets: status, code and message of an error, or how the body came.
async fn asked(client: reqwest::Client, number: usize) -> String {
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let request = client.post(url).body(status(&format!("case={number:02}.")));
    let answer = request.send().await.unwrap();
    let code = answer.status().as_u16();
    let Ok(body) = answer.bytes().await else { return format!("{code} broke off") };
    match serde_json::from_slice::<serde_json::Value>(&body) {
        Ok(said) if said["error"]["code"].is_string() => {
            format!("{code} {} {}", said["error"]["code"].as_str().unwrap(), said["error"]["message"].as_str().unwrap())
        }
        _ => format!("{code} with {} bytes", body.len()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_it_does_the_client_is_told_and_nothing_half_is_kept() {
    let mut all = String::new();
    for (cases, http2) in [(http1(), false), (http2(), true)] {
        let project = Project::new();
        let ca_pem = project.run(&["ca"]).stdout;
        project.write("config.toml", "[record]\ntimeout = 1\n");
        let names: Vec<&str> = cases.iter().map(|(name, ..)| *name).collect();
        let ends: Vec<bool> = cases.iter().map(|(.., end)| !matches!(end, End::Never)).collect();
        let (address, pem, mut gone) = misbehaving(cases, http2).await;
        project.write("upstream.pem", pem);
        let connect_to = format!("graph.microsoft.com={address}");
        let deck = project.start(&["record", "bad", "--connect-to", &connect_to, "--upstream-ca", "upstream.pem"]);
        let client = through(&deck, &ca_pem);
        let mut told = vec![String::new(); names.len()];
        if http2 {
            // One after another: what happens to a connection happens to all that are asked on it.
            for (number, told) in told.iter_mut().enumerate() {
                *told = asked(client.clone(), number).await;
                if ends[number] {
                    gone.recv().await.unwrap();
                }
            }
        } else {
            let mut at_once = JoinSet::new();
            for number in 0..names.len() {
                let client = client.clone();
                at_once.spawn(async move { (number, asked(client, number).await) });
            }
            at_once.join_all().await.into_iter().for_each(|(number, said)| told[number] = said);
        }
        let page = Front::Reverse.client(&deck, &ca_pem, false).get(deck.url("/_graphdeck/report"));
        let report: serde_json::Value =
            serde_json::from_str(&page.send().await.unwrap().text().await.unwrap()).unwrap();
        assert_eq!(report["holes"].as_u64(), Some(names.len() as u64), "each is counted");
        let ended = deck.stop();
        assert_eq!(ended.code, Some(1), "{}", ended.stderr);
        assert!(!project.file("cassettes/bad.json").exists(), "{}", ended.stderr);
        for (name, told) in names.iter().zip(told) {
            all += &format!("{name}\n  {told}\n");
        }
    }
    // Where a reset is met, reading or writing, is the system's choice.
    insta::assert_snapshot!(
        all.replace("connection error: Connection reset", "error reading a body from connection: Connection reset")
    );
}

/// What comes after an answer is no answer to the next request.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_longer_than_its_length_answers_nobody() {
    let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    let (address, pem, _gone) = misbehaving(vec![("longer", answer.to_vec(), End::Never)], false).await;
    project.write("upstream.pem", pem);
    let connect_to = format!("graph.microsoft.com={address}");
    let deck = project.start(&["record", "long", "--connect-to", &connect_to, "--upstream-ca", "upstream.pem"]);
    for _ in 0..20 {
        assert_eq!(asked(through(&deck, &ca_pem), 0).await, "201 with 2 bytes");
    }
    assert_eq!(deck.stop().code, Some(0));
    assert!(!project.cassette("long").contains("evil"));
}

/// The largest answer that anyone would send goes through as it comes, is told of, and is not held in memory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_and_are_a_hole() {
    const SIZE: usize = 100 * 1000 * 1000;
    let body = bytes::Bytes::from(vec![b'7'; SIZE]);
    let graph = Graph::answering(move |_| Reply::new(200, body.clone())).await;
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("huge", &graph, &[]);
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let mut answer = through(&deck, &ca_pem).post(url).body(status("a")).send().await.unwrap();
    let mut came = 0;
    while let Some(part) = answer.chunk().await.unwrap() {
        came += part.len();
    }
    assert_eq!(came, SIZE);
    #[cfg(target_os = "linux")]
    {
        let resident = deck.most_resident();
        assert!(resident < 100 * 1024, "{resident} KiB");
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("the answer's body is larger than"), "{}", ended.stderr);
    assert!(!project.file("cassettes/huge.json").exists());
}
