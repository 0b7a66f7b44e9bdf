//! One deck for many programs: each session has its own cassette, ids and place in the tape.

use crate::support::client::{self, Front};
use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::{CONFIG, OTHER_CONFIG, status, statuses};
use reqwest::{Client, Proxy};
use serde_json::{Value, json};

/// How a client says which session it belongs to.
#[derive(Clone, Copy)]
enum Way {
    ProxyUser,
    Header,
    Path,
}

impl Way {
    const ALL: [Self; 3] = [Self::ProxyUser, Self::Header, Self::Path];

    /// A client of a session, and the address below which it finds Graph.
    fn client(self, deck: &Deck<'_>, ca_pem: &str, session: &str) -> (Client, String) {
        let bare = client::bare(ca_pem);
        match self {
            Self::ProxyUser => {
                let proxy = Proxy::https(format!("http://{session}@{}", deck.address)).unwrap();
                (bare.proxy(proxy).build().unwrap(), "https://graph.microsoft.com".to_owned())
            }
            Self::Header => {
                let headers =
                    [("x-graphdeck-session".parse().unwrap(), session.parse().unwrap())].into_iter().collect();
                (bare.default_headers(headers).build().unwrap(), deck.url(""))
            }
            Self::Path => (bare.build().unwrap(), deck.url(&format!("/_graphdeck/s/{session}"))),
        }
    }
}

/// A program of fifty requests, some of which repeat others; what it is told, in order.
async fn program(client: &Client, base: &str, config: &str) -> Vec<String> {
    let mut told = Vec::new();
    for round in 0..10 {
        let collection = format!("{base}{}", statuses(config));
        let created = client.post(&collection).body(status(&format!("User {}", round % 3)));
        let created = created.header("content-type", "application/json").send().await.unwrap();
        let body: Value = serde_json::from_str(&created.text().await.unwrap()).unwrap();
        told.push(body.to_string());
        let entity = format!("{collection}/{}", body["id"].as_str().unwrap_or("missed"));
        let patched = client.patch(&entity).body(json!({ "devicesCount": round }).to_string());
        for request in [client.get(&entity), patched, client.get(&entity), client.get(&collection)] {
            told.push(request.send().await.unwrap().text().await.unwrap());
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_at_once_get_what_each_would_get_alone() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("run", &graph, &["--all"]);
    program(&client::through(&deck, &ca_pem), "https://graph.microsoft.com", CONFIG).await;
    assert_eq!(deck.stop().code, Some(0));
    drop(graph);

    let deck = project.replay("run", &["--strict"]);
    let alone = program(&Front::Reverse.client(&deck, &ca_pem, false), &deck.url(""), OTHER_CONFIG).await;
    assert_eq!(deck.stop().code, Some(0));

    let deck = project.replay("run", &["--strict", "--report", "report.json"]);
    let mut clients = Vec::new();
    for number in 0..200 {
        let session = format!("session-{number}");
        let (client, base) = Way::ALL[number % 3].client(&deck, &ca_pem, &session);
        clients.push(tokio::spawn(async move { (session, program(&client, &base, OTHER_CONFIG).await) }));
    }
    for client in clients {
        let (session, told) = client.await.unwrap();
        assert_eq!(told, alone, "{session}");
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(project.file("report.json")).unwrap()).unwrap();
    let sessions = report["sessions"].as_array().unwrap();
    assert_eq!((sessions.len(), &report["answered"], &report["unused"]), (200, &json!(10_000), &json!(0)));
    assert!(sessions.iter().all(|session| session["answered"] == 50 && session["repeats"] == 0), "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_records_a_cassette_of_its_own_and_plays_it_by_its_name() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let post = async |deck: &Deck<'_>, way: Way, session: &str, name: &str| {
        let (client, base) = way.client(deck, &ca_pem, session);
        let request = client.post(format!("{base}{}", statuses(CONFIG))).header("content-type", "application/json");
        let response = request.body(status(name)).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let deck = project.record("run", &graph, &[]);
    let mut recorded = Vec::new();
    for (way, session) in Way::ALL.into_iter().zip(["one", "two", "three"]) {
        recorded.push(post(&deck, way, session, session).await.1);
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    insta::assert_snapshot!(ended.stderr.lines().skip(3).collect::<Vec<_>>().join("\n"));
    assert!(graph.asked().iter().all(|asked| {
        !asked.headers.contains_key("x-graphdeck-session")
            && !asked.headers.contains_key("proxy-authorization")
            && asked.target.starts_with("/beta/")
    }));
    drop(graph);

    for session in ["one", "two", "three"] {
        assert!(project.cassette(session).contains(session));
    }
    std::fs::copy(project.file("cassettes/one.json"), project.file("cassettes/run.json")).unwrap();
    let deck = project.replay("run", &[]);
    for ((way, session), recorded) in Way::ALL.into_iter().zip(["one", "two", "three"]).zip(&recorded) {
        assert_eq!(post(&deck, way, session, session).await, (201, recorded.clone()));
        assert_eq!(post(&deck, way, session, "nobody").await.0, 501);
    }
    // A session that has no cassette of its own has the run's.
    assert_eq!(post(&deck, Way::Header, "four", "one").await, (201, recorded[0].clone()));
    let (code, why) = post(&deck, Way::Path, ".hidden", "one").await;
    assert_eq!(code, 400);
    assert!(why.contains("`.hidden` is no name of a session"), "{why}");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("three           1        0        1        0        0        0"),
        "{}",
        ended.stderr
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_name_in_the_proxy_address_is_refused_and_others_go_on() {
    let project = Project::new();
    project.write("cassettes/run.json", std::fs::read("cassettes/user-statuses.json").unwrap());
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.replay("run", &[]);
    let proxy = Proxy::https(format!("http://a%2Fb:x@{}", deck.address)).unwrap();
    let refused = client::bare(&ca_pem).proxy(proxy).build().unwrap();
    let refused = refused.get("https://graph.microsoft.com/v1.0/me").send().await;
    let why = format!("{:?}", refused.unwrap_err());
    assert!(why.contains("TunnelUnsuccessful"), "{why}");
    let answered = client::through(&deck, &ca_pem).get("https://graph.microsoft.com/v1.0/me").send().await.unwrap();
    assert_eq!(answered.status(), 501);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_recordings_that_begin_at_once_are_each_their_own() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let deck = project.record("run", &graph, &[]);
    let client = client::bare(&project.run(&["ca"]).stdout).build().unwrap();
    let mut clients = Vec::new();
    for number in 0..100 {
        let url = deck.url(&format!("/_graphdeck/s/session-{number}{}", statuses(CONFIG)));
        let request = client.post(url).header("content-type", "application/json");
        let request = request.body(status(&format!("User {number} of 100")));
        clients.push(tokio::spawn(async move { request.send().await.unwrap().status().as_u16() }));
    }
    for client in clients {
        assert_eq!(client.await.unwrap(), 201);
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    for number in 0..100 {
        let cassette = project.cassette_json(&format!("session-{number}"));
        let exchanges = cassette["exchanges"].as_array().unwrap();
        assert_eq!(exchanges.len(), 1);
        assert_eq!(exchanges[0]["request"]["body"]["json"]["userDisplayName"], format!("User {number} of 100"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_names_a_session_over_http_2_too() {
    let project = Project::new();
    project.write("cassettes/run.json", std::fs::read("cassettes/user-statuses.json").unwrap());
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.replay("run", &[]);
    let client = Front::Reverse.client(&deck, &ca_pem, true);
    let told = client.get(deck.url("/_graphdeck/s/two/v1.0/me")).send().await.unwrap();
    assert_eq!((told.version(), told.status().as_u16()), (reqwest::Version::HTTP_2, 501));
    let ended = deck.stop();
    assert!(ended.stderr.contains("for GET https://graph.microsoft.com/v1.0/me"), "{}", ended.stderr);
}
