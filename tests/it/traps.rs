//! What real clients send that could trip a proxy, for those clients that are not run here: sent as they send it.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::tenant::PutOff::Uncompressed;
use crate::support::tenant::tenant;
use crate::support::{CONFIG, OTHER_CONFIG, status, statuses};
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write;

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// Go's SDK compresses what it sends, and sends it plain where that is not wanted (its `CompressionHandler`).
async fn post_as_go(deck: &Deck<'_>, ca_pem: &str, config: &str) -> (u16, Value) {
    let post = |body: Vec<u8>| {
        let url = format!("https://graph.microsoft.com{}", statuses(config));
        through(deck, ca_pem).post(url).header("content-type", "application/json").body(body)
    };
    let compressed = post(gzip(&status("Ada"))).header("content-encoding", "gzip");
    let mut sent = compressed.header("retry-attempt", "0").send().await.unwrap();
    if sent.status() == 415 {
        sent = post(status("Ada").into()).send().await.unwrap();
    }
    (sent.status().as_u16(), serde_json::from_str(&sent.text().await.unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gos_compressed_post_and_its_plain_one_are_both_recorded_and_replayed() {
    for (cassette, graph, exchanges) in
        [("compressed", tenant(&[]).await, 1), ("uncompressed", tenant(&[Uncompressed]).await, 2)]
    {
        let project = Project::new();
        let ca_pem = project.run(&["ca"]).stdout;
        let deck = project.record(cassette, &graph, &[]);
        let recorded = post_as_go(&deck, &ca_pem, CONFIG).await;
        assert_eq!((recorded.0, graph.asked().len()), (201, exchanges));
        deck.stop();
        drop(graph);
        let deck = project.replay(cassette, &["--strict"]);
        assert_eq!(post_as_go(&deck, &ca_pem, CONFIG).await, recorded);
        assert_eq!(deck.stop().code, Some(0));
        let deck = project.replay(cassette, &["--strict"]);
        let (code, renamed) = post_as_go(&deck, &ca_pem, OTHER_CONFIG).await;
        assert_eq!((code, renamed["userDisplayName"].as_str()), (201, Some("Ada")));
        assert!(renamed["@odata.context"].as_str().unwrap().contains(OTHER_CONFIG), "{renamed}");
        assert_eq!(deck.stop().code, Some(0));
    }
}

/// One request, alone.
async fn ask(deck: &Deck<'_>, ca_pem: &str, method: Method, url: &str, body: Option<(&str, &str)>) -> u16 {
    let mut request = through(deck, ca_pem).request(method, format!("https://graph.microsoft.com/beta{url}"));
    if let Some((kind, text)) = body {
        request = request.header("content-type", kind).body(text.to_owned());
    }
    request.send().await.unwrap().status().as_u16()
}

/// .NET cuts the version off a path and takes percent-encoding away; what is no JSON it writes in base64
/// (`BatchRequestContent`).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_as_dotnet_writes_it_gets_what_was_recorded_one_by_one() {
    let (project, graph): (Project, Graph) = (Project::new(), tenant(&[]).await);
    let ca_pem = project.run(&["ca"]).stdout;
    let list = |config: &str| format!("/deviceManagement/deviceConfigurations('{config}')/userStatuses");
    let deck = project.record("dotnet", &graph, &["--all"]);
    let json = Some(("application/json", &*status("Ada")));
    assert_eq!(ask(&deck, &ca_pem, Method::POST, &list(CONFIG), json).await, 201);
    let filtered = format!("{}?$filter=status%20eq%20%27compliant%27", list(CONFIG));
    assert_eq!(ask(&deck, &ca_pem, Method::GET, &filtered, None).await, 200);
    assert_eq!(ask(&deck, &ca_pem, Method::POST, &list(CONFIG), Some(("text/plain", "no JSON, no"))).await, 400);
    deck.stop();
    drop(graph);

    let body: Value = serde_json::from_str(&status("Ada")).unwrap();
    let batch = json!({ "requests": [
        {
            "id": "4E5A8E8B-91C7-4F4E-9F0A-6F2C7D1B0A01", "method": "POST", "url": list(OTHER_CONFIG),
            "headers": { "Content-Type": "application/json; charset=utf-8" }, "body": body,
        },
        {
            "id": "2", "method": "GET", "url": format!("{}?$filter=status eq 'compliant'", list(OTHER_CONFIG)),
            "dependsOn": ["4e5a8e8b-91c7-4f4e-9f0a-6f2c7d1b0a01"],
        },
        {
            "id": "3", "method": "POST", "url": list(OTHER_CONFIG),
            "headers": { "Content-Type": "text/plain" }, "body": "bm8gSlNPTiwgbm8=",
        },
    ]});
    let deck = project.replay("dotnet", &["--strict"]);
    let sent = through(&deck, &ca_pem).post("https://graph.microsoft.com/beta/$batch").body(batch.to_string()).send();
    let envelope: Value = serde_json::from_str(&sent.await.unwrap().text().await.unwrap()).unwrap();
    let mut answers: Vec<(String, u64)> = Vec::new();
    for answer in envelope["responses"].as_array().unwrap_or_else(|| panic!("{envelope}")) {
        answers.push((answer["id"].as_str().unwrap().to_lowercase(), answer["status"].as_u64().unwrap()));
    }
    answers.sort();
    let expected = [("2", 200), ("3", 400), ("4e5a8e8b-91c7-4f4e-9f0a-6f2c7d1b0a01", 201)];
    assert_eq!(answers, expected.map(|(id, status)| (id.to_owned(), status)), "{envelope}");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}
