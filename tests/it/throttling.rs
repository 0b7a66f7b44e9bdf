//! Time in a replay: waits that Graph asked for, limits that are kept, and how long answers take.

use super::faults::{post, project};
use crate::support::client::{Front, through};
use crate::support::deck::Project;
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use reqwest::Client;
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

const GRAPH: &str = "https://graph.microsoft.com";

/// A token of an app in a tenant, as a replay's sign-in or Entra would give it.
fn token(app: &str, tenant: &str) -> String {
    let claims = json!({ "appid": app, "tid": tenant });
    format!("{}.{}.signature", BASE64.encode("{}"), BASE64.encode(claims.to_string()))
}

/// POSTs until there is no 429, waiting as long as it is told, as SDKs do: how often it was told to, and the last status.
async fn post_patiently(client: &Client, token: &str) -> (u32, u16) {
    let mut told = 0;
    loop {
        let request = client.post(format!("{GRAPH}{}", statuses(CONFIG))).header("content-type", "application/json");
        let request = request.bearer_auth(token).header("retry-attempt", told.to_string()).body(status("Ada"));
        let response = request.send().await.unwrap();
        if response.status() != 429 {
            return (told, response.status().as_u16());
        }
        assert_eq!(response.headers()["x-graphdeck"], "fault; throttle");
        let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
        let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap();
        assert_eq!(body["error"]["code"], "TooManyRequests");
        told += 1;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_as_told_gets_through_and_apps_are_counted_apart() {
    let (project, ca_pem) = project();
    let deck = project.replay("run", &["--throttle", "2/2s", "--report", "deck.json"]);
    let client = through(&deck, &ca_pem);
    let (one, other) = (token("one", "tenant"), token("other", "tenant"));
    let mut waited = 0;
    for _ in 0..3 {
        let (told, status) = post_patiently(&client, &one).await;
        assert_eq!(status, 201);
        waited += told;
    }
    // A machine may be so slow that nothing has to wait; else it is once.
    assert!(waited <= 1, "who waits as long as told waits once, not {waited} times");
    assert_eq!(post_patiently(&client, &other).await.1, 201);
    let ended = deck.stop();
    assert!(ended.stderr.contains("4 answered, 0 missed, 0 unused"), "{}", ended.stderr);
    let report = std::fs::read_to_string(project.file("deck.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&report).unwrap()["faulted"], waited);
    assert!(!report.contains("tenant"), "what a token says is kept nowhere");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn intunes_limits_are_kept_in_batches_too() {
    let (project, ca_pem) = project();
    let deck = project.replay("run", &["--throttle", "intune"]);
    let client = through(&deck, &ca_pem);
    let ada: Value = serde_json::from_str(&status("Ada")).unwrap();
    let url = statuses(CONFIG).replace("/beta", "");
    let headers = json!({ "content-type": "application/json" });
    let part = |id: u32| json!({ "id": id.to_string(), "method": "POST", "url": url, "headers": headers, "body": ada });
    let envelope = json!({ "requests": (0..20).map(part).collect::<Vec<_>>() }).to_string();
    let asking = Instant::now();
    let mut counts = [0, 0];
    for _ in 0..6 {
        let request = client.post(format!("{GRAPH}/beta/$batch")).bearer_auth("opaque").body(envelope.clone());
        let answered = request.send().await.unwrap();
        assert_eq!(answered.status(), 200, "a batch is answered though its parts are throttled");
        let said: Value = serde_json::from_str(&answered.text().await.unwrap()).unwrap();
        for response in said["responses"].as_array().unwrap() {
            let throttled = response["status"] == 429;
            assert!(!throttled || response["headers"]["Retry-After"].as_str().unwrap().parse::<u32>().unwrap() <= 20);
            counts[usize::from(throttled)] += 1;
        }
    }
    let other = client.get(format!("{GRAPH}/beta/me")).send().await.unwrap();
    assert_eq!(other.status(), 501, "reads have a limit of their own");
    // On a machine that takes longer than the window some are let in again.
    assert!(counts == [100, 20] || asking.elapsed() > Duration::from_secs(20), "{counts:?}");
}

#[test]
fn curl_retries_as_it_is_told() {
    let (project, _) = project();
    let deck = project.replay("run", &["--fault", "POST /**: 429 first 2 retry-after 1"]);
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--retry", "5", "-H", "content-type: application/json", "-d", &status("Ada")]);
    let output = curl.args(["-w", "%{http_code}", &deck.url(&statuses(CONFIG))]).output().unwrap();
    let (told, why) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(told.ends_with(r#"{"id":"a"}201"#), "{told} {why}");
    let ended = deck.stop();
    assert!(ended.stderr.contains("1 answered, 0 missed, 0 unused, 2 faulted"), "{}", ended.stderr);
}

/// A Graph that asks to wait in each way that it may, and then answers.
async fn throttling_graph() -> Graph {
    let asked = AtomicUsize::new(0);
    Graph::answering(move |_| {
        let late = json!({ "error": { "code": "TooManyRequests", "message": "later" } });
        match asked.fetch_add(1, Relaxed) {
            0 => Reply::json(429, &late).with("retry-after", "Fri, 31 Dec 2027 23:59:59 GMT"),
            1 => Reply::json(429, &late).with("retry-after-ms", "90000").with("x-ms-retry-after-ms", "90000"),
            2 => Reply::json(429, &late).with("retry-after", "90"),
            3 => Reply::json(201, &json!({ "id": "a" })),
            // A batch of the same request.
            _ => {
                let headers = json!({ "Retry-After": "90", "Content-Type": "application/json" });
                let part = json!({ "id": "1", "status": 429, "headers": headers, "body": late });
                Reply::json(200, &json!({ "responses": [part] }))
            }
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recorded_waits_are_zero_and_retries_meet_the_next_answer() {
    const WAITS: [&str; 3] = ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"];
    let (project, graph) = (Project::new(), throttling_graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let ask = async |client: &Client, attempt: usize| {
        let request = client.post(format!("{GRAPH}{}", statuses(CONFIG))).header("content-type", "application/json");
        let request = request.header("client-request-id", format!("id-{attempt}")).body(status("Ada"));
        let request = if attempt > 0 { request.header("retry-attempt", attempt.to_string()) } else { request };
        let response = request.send().await.unwrap();
        let waits = WAITS.map(|name| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()));
        (response.status().as_u16(), waits)
    };
    let batch = async |client: &Client| {
        let ada: Value = serde_json::from_str(&status("Bob")).unwrap();
        let url = statuses(CONFIG).replace("/beta", "");
        let part = json!({ "id": "1", "method": "POST", "url": url, "body": ada, "headers": { "content-type": "application/json" } });
        let request = client.post(format!("{GRAPH}/beta/$batch")).body(json!({ "requests": [part] }).to_string());
        let said: Value = serde_json::from_str(&request.send().await.unwrap().text().await.unwrap()).unwrap();
        said["responses"][0]["headers"]["Retry-After"].as_str().unwrap().to_owned()
    };
    let deck = project.record("run", &graph, &[]);
    let client = through(&deck, &ca_pem);
    let mut recorded = Vec::new();
    for attempt in 0..4 {
        recorded.push(ask(&client, attempt).await);
    }
    assert_eq!(batch(&client).await, "90");
    assert_eq!(deck.stop().code, Some(0));
    drop(graph);

    let deck = project.replay("run", &["--strict"]);
    let client = through(&deck, &ca_pem);
    let zero = || Some("0".to_owned());
    for (attempt, expected) in [
        (429, [zero(), None, None]),
        (429, [None, zero(), zero()]),
        (429, [zero(), None, None]),
        (201, [None, None, None]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(ask(&client, attempt).await, expected, "attempt {attempt}");
    }
    assert_eq!(batch(&client).await, "0");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);

    project.write("config.toml", "[replay]\nretry_after = \"recorded\"\n");
    let deck = project.replay("run", &["--strict"]);
    let client = through(&deck, &ca_pem);
    for (attempt, expected) in recorded.into_iter().enumerate() {
        assert_eq!(ask(&client, attempt).await, expected);
    }
    assert_eq!(batch(&client).await, "90");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_take_as_long_as_is_asked_for() {
    let (project, ca_pem) = project();
    let deck = project.replay("run", &["--latency", "300ms..310ms"]);
    let client = Front::Reverse.client(&deck, &ca_pem, false);
    let asking = Instant::now();
    assert_eq!(post(&client, &deck.url("")).await.unwrap().status(), 201);
    assert!(asking.elapsed() >= Duration::from_millis(300));
    assert_eq!(deck.stop().code, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_time_that_graph_took_is_kept_on_demand_and_taken_again() {
    let project = Project::new();
    let graph = Graph::answering_later(|_| {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Reply::json(201, &json!({ "id": "a" }))
        })
    })
    .await;
    let ca_pem = project.run(&["ca"]).stdout;
    for (name, options) in [("timed", &["--timings"][..]), ("plain", &[])] {
        let deck = project.record(name, &graph, options);
        post(&through(&deck, &ca_pem), GRAPH).await.unwrap();
        assert_eq!(deck.stop().code, Some(0));
    }
    let took = |name: &str| project.cassette_json(name)["exchanges"][0]["took"].as_u64();
    assert!(took("timed").unwrap() >= 200 && took("plain").is_none());

    let har = project.run(&["cassette", "export", "timed", "--out", "timed.har"]);
    assert_eq!(har.code, Some(0), "{}", har.stderr);
    assert_eq!(project.run(&["cassette", "import", "timed.har", "--name", "again"]).code, Some(0));
    assert_eq!(project.cassette("again"), project.cassette("timed"));

    let deck = project.replay("timed", &["--latency", "recorded"]);
    let asking = Instant::now();
    post(&through(&deck, &ca_pem), GRAPH).await.unwrap();
    assert!(asking.elapsed() >= Duration::from_millis(200));
    let ended = deck.stop();
    assert!(!ended.stderr.contains("hold no time"), "{}", ended.stderr);
    let ended = project.run(&["replay", "plain", "--latency", "recorded", "--", "true"]);
    insta::assert_snapshot!(ended.stderr);
}
