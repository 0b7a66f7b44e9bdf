//! Faults on demand: errors as Graph writes them, resets, stalls and cut answers, each for the requests that a rule names.

use crate::support::client::{Front, bare, through};
use crate::support::deck::{Deck, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, OTHER_CONFIG, status, statuses};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use std::process::Command;

/// A cassette of a POST for each of these configurations.
pub fn cassette(configs: &[&str]) -> String {
    let exchange = |config: &&str| {
        let url = format!("https://graph.microsoft.com{}", statuses(config));
        let body: Value = serde_json::from_str(&status("Ada")).unwrap();
        json!({
            "request": { "method": "POST", "url": url, "headers": { "content-type": "application/json" }, "body": { "json": body } },
            "response": { "status": 201, "headers": { "content-type": "application/json" }, "body": { "json": { "id": "a" } } },
        })
    };
    let exchanges: Vec<Value> = configs.iter().map(exchange).collect();
    json!({ "graphdeck": 1, "ids": {}, "exchanges": exchanges }).to_string()
}

/// A project with a cassette `run` of one POST, and the root of its deck.
pub fn project() -> (Project, String) {
    let project = Project::new();
    project.write("cassettes/run.json", cassette(&[CONFIG]));
    let ca_pem = project.run(&["ca"]).stdout;
    (project, ca_pem)
}

/// POSTs what is on the tape.
pub async fn post(client: &Client, base: &str) -> reqwest::Result<Response> {
    let request = client.post(format!("{base}{}", statuses(CONFIG))).header("content-type", "application/json");
    request.header("client-request-id", "the-clients-own").body(status("Ada")).send().await
}

const GRAPH: &str = "https://graph.microsoft.com";

fn header<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_error_is_answered_and_the_retry_meets_the_recorded_answer() {
    let (project, ca_pem) = project();
    let answers = ["400", "401", "401 claims", "403", "404", "409", "429", "429 retry-after none", "500", "502"];
    let answers = [&answers[..], &["503 retry-after 3", "504"]].concat();
    let rules: Vec<String> =
        (1..).zip(&answers).map(|(n, answer)| format!("POST /**/userStatuses: {answer} nth {n}")).collect();
    let mut options = vec!["--strict", "--report", "deck.json"];
    options.extend(rules.iter().flat_map(|rule| ["--fault", rule.as_str()]));
    let mut told: Vec<String> = Vec::new();
    for run in 0..2 {
        let deck = project.replay("run", &options);
        let client = through(&deck, &ca_pem);
        let mut said = String::new();
        for (number, answer) in (1..).zip(&answers) {
            let response = post(&client, GRAPH).await.unwrap();
            assert_eq!(response.status().as_u16().to_string(), answer[..3], "{answer}");
            assert_eq!(header(&response, "x-graphdeck"), format!("fault; rule={number}"));
            assert_eq!(header(&response, "client-request-id"), "the-clients-own");
            let names = ["request-id", "retry-after", "www-authenticate"];
            let headers = names.map(|name| format!("{name}: {}\n", header(&response, name))).concat();
            said += &format!("{} {answer}\n{headers}{}\n", response.status(), response.text().await.unwrap());
        }
        let recorded = post(&client, GRAPH).await.unwrap();
        assert_eq!((recorded.status().as_u16(), header(&recorded, "x-graphdeck")), (201, "replay; exchange=1"));
        let ended = deck.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("1 answered, 0 missed, 0 unused, 12 faulted"), "{}", ended.stderr);
        told.push(said);
        assert_eq!(told[0], told[run], "the same in every run");
    }
    insta::assert_snapshot!(told[0]);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(project.file("deck.json")).unwrap()).unwrap();
    assert_eq!((&report["version"], &report["faulted"], &report["answered"]), (&json!(2), &json!(12), &json!(1)));
    assert_eq!(report["sessions"][0]["faults"]["POST /**/userStatuses: 429 nth 7"], 1);
}

/// What curl says to a POST with these options: its exit code, and its output.
fn curl(project: &Project, url: &str, options: &[&str]) -> (Option<i32>, String) {
    let body = status("Ada");
    let mut command = Command::new("curl");
    command.args(["-sS", "-H", "content-type: application/json", "-d", &body, "-w", "%{http_code}", "-o", "/dev/null"]);
    let output = command.args(options).arg(url).env_clear().env("HOME", project.path());
    let output = output.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_reset_a_stall_and_a_cut_answer_reach_curl_as_they_are() {
    let (project, ca_pem) = project();
    let ca = project.write("ca.pem", ca_pem);
    let rule = |what: &str| format!("* /**/userStatuses: {what} every 2");
    // 28: it took too long; 56 and 35: the connection was reset; 18 and 92: the answer, or its stream, was not whole.
    for (what, plain, tls, http2) in [
        ("reset", &[56][..], &[56, 35][..], &[92, 56][..]),
        ("stall", &[28], &[28], &[28]),
        ("truncate", &[18], &[18], &[18, 92]),
    ] {
        let deck = project.replay("run", &["--fault", &rule(what), "--report", "deck.xml"]);
        let proxy = format!("http://{}", deck.address);
        let through = ["--proxy", &proxy, "--cacert", ca.to_str().unwrap(), "--max-time", "2"];
        let url = format!("{GRAPH}{}", statuses(CONFIG));
        for (codes, url, options) in [
            (plain, deck.url(&statuses(CONFIG)), &["--max-time", "2"][..]),
            (tls, url.clone(), &[&through[..], &["--http1.1"]].concat()),
            (http2, url, &[&through[..], &["--http2"]].concat()),
        ] {
            assert_eq!(curl(&project, &url, options), (Some(0), "201".to_owned()), "{what} comes second");
            let (code, _) = curl(&project, &url, options);
            assert!(codes.contains(&code.unwrap()), "{what}: {code:?} is none of {codes:?}");
        }
        let ended = deck.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert!(ended.stderr.contains("3 answered, 0 missed, 0 unused, 3 faulted"), "{}", ended.stderr);
        let report = std::fs::read_to_string(project.file("deck.xml")).unwrap();
        assert!(report.contains(&format!("faults on demand by {}: 3", rule(what))), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fault_breaks_its_own_stream_and_a_stalled_client_does_not_keep_the_deck() {
    let (project, ca_pem) = project();
    let rules = ["--fault", "GET /reset: reset", "--fault", "GET /stall: stall", "--fault", "GET /cut: truncate"];
    let deck = project.replay("run", &rules);
    let client = Front::Connect.client(&deck, &ca_pem, true);
    let get = |path: &str| client.get(format!("{GRAPH}/v1.0/{path}")).send();
    let stalled = tokio::spawn(get("stall"));
    assert!(get("reset").await.is_err());
    let cut = get("cut").await.unwrap();
    assert_eq!(header(&cut, "x-graphdeck"), "fault; rule=3");
    assert!(cut.text().await.is_err());
    assert_eq!(post(&client, GRAPH).await.unwrap().status(), 201, "the connection is good for others");
    // The deck ends all the same, with a client that waits.
    while !client_waits(&deck).await {}
    assert_eq!(deck.stop().code, Some(0));
    assert!(stalled.await.unwrap().is_err());
}

/// Whether the deck has counted the stalled request.
async fn client_waits(deck: &Deck<'_>) -> bool {
    let report = reqwest::get(deck.url("/_graphdeck/report")).await.unwrap().text().await.unwrap();
    serde_json::from_str::<Value>(&report).unwrap()["faulted"] == 3
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_share_strikes_the_same_requests_in_every_run_and_others_with_another_seed() {
    let (project, ca_pem) = project();
    let mut struck = Vec::new();
    for (seed, backwards) in [("one", false), ("one", true), ("two", false)] {
        let deck = project.replay("run", &["--seed", seed, "--fault", "GET /users/*: 503 share 30%"]);
        let client = Front::Reverse.client(&deck, &ca_pem, false);
        let mut numbers: Vec<u32> = (0..60).collect();
        if backwards {
            numbers.reverse();
        }
        let mut asked = tokio::task::JoinSet::new();
        for number in numbers {
            let request = client.get(deck.url(&format!("/v1.0/users/user-{number}")));
            asked.spawn(async move { (number, request.send().await.unwrap().status().as_u16()) });
        }
        let mut told: Vec<(u32, u16)> = asked.join_all().await;
        told.sort_unstable();
        let of: Vec<u32> = told.iter().filter(|(_, status)| *status == 503).map(|(number, _)| *number).collect();
        assert!((5..35).contains(&of.len()), "{of:?}");
        struck.push(of);
        deck.kill();
    }
    assert_eq!(struck[0], struck[1]);
    assert_ne!(struck[0], struck[2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_session_counts_for_itself_and_may_have_faults_of_its_own() {
    let (project, ca_pem) = project();
    project.write("config.toml", "[[fault]]\nroute = \"POST /**\"\nanswer = \"429 retry-after 2\"\nwhen = \"first\"\n");
    let deck = project.replay("run", &["--report", "deck.md"]);
    let client = bare(&ca_pem).build().unwrap();
    let own = json!({ "name": "own", "faults": ["POST /**: 404 nth 2"], "throttle": "none", "latency": "1ms" });
    let open = |body: &Value| {
        let request = client.post(deck.url("/_graphdeck/sessions")).header("content-type", "application/json");
        request.body(body.to_string()).send()
    };
    assert_eq!(open(&own).await.unwrap().status(), 201);
    let refused = open(&json!({ "name": "bad", "faults": ["POST /**: 418 nth"] })).await.unwrap();
    insta::assert_snapshot!(format!("{} {}", refused.status(), refused.text().await.unwrap()));
    for (session, expected) in [("one", [429, 201]), ("two", [429, 201]), ("own", [201, 404]), ("one", [201, 201])] {
        let base = deck.url(&format!("/_graphdeck/s/{session}"));
        for expected in expected {
            assert_eq!(post(&client, &base).await.unwrap().status(), expected, "{session}");
        }
    }
    let reset = client.post(deck.url("/_graphdeck/sessions/two/reset")).send().await.unwrap();
    assert_eq!(reset.status(), 200);
    assert_eq!(post(&client, &deck.url("/_graphdeck/s/two")).await.unwrap().status(), 429);
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    insta::assert_snapshot!(format!("{}\n{}", ended.stderr, std::fs::read_to_string(project.file("deck.md")).unwrap()));
}

/// A batch of POSTs for these configurations, the last of which depends on the second.
async fn batch(client: &Client, configs: [&str; 3]) -> Response {
    let url = |config: &str| statuses(config).replace("/beta", "");
    let body: Value = serde_json::from_str(&status("Ada")).unwrap();
    let part = |(id, config): (u32, &str)| {
        let depends_on = if id == 3 { vec!["2"] } else { Vec::new() };
        json!({ "id": id.to_string(), "method": "POST", "url": url(config), "body": body, "dependsOn": depends_on,
                "headers": { "content-type": "application/json" } })
    };
    let parts: Vec<Value> = (1..).zip(configs).map(part).collect();
    let request = client.post(format!("{GRAPH}/beta/$batch")).body(json!({ "requests": parts }).to_string());
    request.header("client-request-id", "the-clients-own").send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_batch_get_errors_and_a_batch_as_a_whole_resets() {
    const THIRD: &str = "72889532-1029-4901-91f0-05454c445d59";
    let (project, ca_pem) = project();
    project.write("cassettes/run.json", cassette(&[CONFIG, OTHER_CONFIG, THIRD]));
    let rules = ["POST /**/userStatuses: 429 nth 2 retry-after 4", "POST /$batch: 503 nth 2", "* /$batch: reset nth 3"];
    let deck = project.replay("run", &["--fault", rules[0], "--fault", rules[1], "--fault", rules[2], "--strict"]);
    let client = Front::Connect.client(&deck, &ca_pem, false);
    let configs = [CONFIG, OTHER_CONFIG, THIRD];
    let first = batch(&client, configs).await;
    assert_eq!(first.status(), 200);
    insta::assert_snapshot!(first.text().await.unwrap());
    let second = batch(&client, configs).await;
    assert_eq!((second.status().as_u16(), header(&second, "x-graphdeck")), (503, "fault; rule=2"));
    let request =
        client.post(format!("{GRAPH}/beta/$batch")).body(r#"{"requests":[{"id":"1","method":"GET","url":"/me"}]}"#);
    assert!(request.send().await.is_err());
    for config in [OTHER_CONFIG, THIRD] {
        let request = client.post(format!("{GRAPH}{}", statuses(config))).body(status("Ada"));
        let retried = request.header("content-type", "application/json").send().await.unwrap();
        assert_eq!(retried.status(), 201, "what was faulted in the batch was not used up");
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("3 answered, 0 missed, 0 unused, 3 faulted"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_auto_only_what_is_on_tape_gets_a_fault() {
    let (project, ca_pem) = project();
    let graph = Graph::answering(|_| Reply::json(200, &json!({ "live": true }))).await;
    let upstream = [format!("graph.microsoft.com={}", graph.address), graph.ca_file().to_string_lossy().into_owned()];
    let options = ["auto", "run", "--all", "--connect-to", &upstream[0], "--upstream-ca", &upstream[1]];
    let deck = project.start(&[&options[..], &["--fault", "* /**: 503 first", "--latency", "1ms"]].concat());
    let client = through(&deck, &ca_pem);
    let live = client.get(format!("{GRAPH}/v1.0/me")).send().await.unwrap();
    assert_eq!((live.status().as_u16(), header(&live, "x-graphdeck")), (200, ""));
    for expected in [503, 201] {
        assert_eq!(post(&client, GRAPH).await.unwrap().status(), expected);
    }
    assert_eq!(graph.asked().len(), 1);
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("1 answered, 0 missed, 0 unused, 1 faulted, 1 recorded"), "{}", ended.stderr);
}

#[test]
fn what_is_no_rule_is_told_in_words() {
    let (project, _) = project();
    let mut told = String::new();
    for arguments in [
        &["replay", "run", "--fault", "POST a: 418", "--fault", "* /a: 429 nth 3 share 500%"][..],
        &["replay", "run", "--fault", "reset"],
        &["replay", "run", "--throttle", "5"],
        &["replay", "run", "--latency", "slow"],
        &["record", "run", "--fault", "* /**: 429"],
    ] {
        let ended = project.run(arguments);
        assert_eq!(ended.code, Some(2));
        told += &format!("$ graphdeck {}\n{}\n", arguments.join(" "), ended.stderr);
    }
    let config = "[replay]\nthrottle = \"much\"\nlatency = \"1\"\n\n[[fault]]\nroute = \"POST /a\"\n\n\
                  [[fault]]\nroute = \"a\"\nanswer = \"419 claims\"\nwhen = \"nth 1 share 5%\"\n";
    project.write("config.toml", config);
    insta::assert_snapshot!(told + &project.run(&["replay", "run"]).stderr);
}
