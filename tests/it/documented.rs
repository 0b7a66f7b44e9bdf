//! The 35 documented examples, recorded and replayed: as they were, and under renamed ids; and the demo's cassette.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::documented::{self, Example, examples};
use reqwest::{Client, Method};

/// The answer to an example: status, `Location` and body.
type Answer = (u16, Option<String>, String);

async fn ask(client: &Client, example: &Example, rename: impl Fn(&str) -> String) -> Answer {
    let method = Method::from_bytes(example.method.as_bytes()).unwrap();
    let mut request = client.request(method, format!("https://graph.microsoft.com{}", rename(&example.path)));
    if let Some(body) = &example.sent {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response = request.bearer_auth("secret-token").send().await.unwrap();
    let location = response.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
    (response.status().as_u16(), location, response.text().await.unwrap())
}

async fn run_through(deck: &Deck<'_>, ca_pem: &str) -> Vec<Answer> {
    let client = through(deck, ca_pem);
    let mut answers = Vec::new();
    for example in examples() {
        answers.push(ask(&client, &example, str::to_owned).await);
    }
    answers
}

async fn recorded(project: &Project) -> (Vec<Answer>, String) {
    let graph = documented::graph().await;
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("user-statuses", &graph, &["--all"]);
    let answers = run_through(&deck, &ca_pem).await;
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(graph.asked().len(), 35);
    (answers, ca_pem)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_example_replays_as_it_was_recorded() {
    let project = Project::new();
    let (recorded, ca_pem) = recorded(&project).await;
    for (example, (status, _, body)) in examples().iter().zip(&recorded) {
        assert_eq!(*status, example.status, "{}", example.name);
        let expected = example.answered.as_ref().map(ToString::to_string).unwrap_or_default();
        assert_eq!(*body, expected, "{}", example.name);
    }
    let deck = project.replay("user-statuses", &["--strict"]);
    assert_eq!(run_through(&deck, &ca_pem).await, recorded);
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("replayed user-statuses: 35 answered, 0 missed, 0 unused\n"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_documented_example_replays_under_renamed_ids() {
    let project = Project::new();
    let (recorded, ca_pem) = recorded(&project).await;
    let deck = project.replay("user-statuses", &["--strict"]);
    let client = through(&deck, &ca_pem);
    let mut minted: Vec<(String, String)> = Vec::new();
    for (example, (status, location, body)) in examples().iter().zip(recorded) {
        // The program uses configurations of its own, and the status ids that it is given for them.
        let renamed = |text: &str, minted: &[(String, String)]| {
            let mut text = text.to_owned();
            for (from, to) in
                [("0385114b", "aaaaaaa1"), ("b3c5a87e", "aaaaaaa2"), ("72889532", "aaaaaaa3"), ("d41fae35", "aaaaaaa4")]
            {
                text = text.replace(from, to);
            }
            minted.iter().fold(text, |text, (from, to)| text.replace(from, to))
        };
        let answer = ask(&client, example, |path| renamed(path, &minted)).await;
        if let Some(id) = example.answered.as_ref().and_then(|body| body["id"].as_str()).filter(|_| status == 201) {
            let given: serde_json::Value = serde_json::from_str(&answer.2).unwrap();
            let given = given["id"].as_str().unwrap();
            assert_ne!(given, id, "{}: another configuration has another status", example.name);
            minted.push((id.to_owned(), given.to_owned()));
        }
        let expected = (status, location.map(|text| renamed(&text, &minted)), renamed(&body, &minted));
        assert_eq!(answer, expected, "{}", example.name);
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

/// `UPDATE_CASSETTES=1 cargo test` writes the demo's cassette anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cassette_of_the_demo_is_what_a_recording_gives() {
    let project = Project::new();
    recorded(&project).await;
    let shipped = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("cassettes/user-statuses.json");
    if std::env::var_os("UPDATE_CASSETTES").is_some() {
        std::fs::write(&shipped, project.cassette("user-statuses")).unwrap();
    }
    assert_eq!(project.cassette("user-statuses"), std::fs::read_to_string(shipped).unwrap());
}
