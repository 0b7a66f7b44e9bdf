//! `$batch`: what is recorded one by one replays in a batch, and the other way round.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, OTHER_CONFIG, status, statuses};
use serde_json::{Value, json};

const BATCH: &str = "https://graph.microsoft.com/beta/$batch";

fn part(id: &str, config: &str, name: &str) -> Value {
    let body: Value = serde_json::from_str(&status(name)).unwrap();
    let url = statuses(config).replace("/beta", "");
    json!({ "id": id, "method": "POST", "url": url, "headers": { "Content-Type": "application/json" }, "body": body })
}

async fn ask(deck: &Deck<'_>, ca_pem: &str, parts: &[Value]) -> Value {
    let client = through(deck, ca_pem);
    let sent = client.post(BATCH).body(json!({ "requests": parts }).to_string()).send().await.unwrap();
    serde_json::from_str(&sent.text().await.unwrap()).unwrap()
}

/// The answer to a part of a batch.
fn said<'a>(envelope: &'a Value, id: &str) -> &'a Value {
    let responses = envelope["responses"].as_array().unwrap_or_else(|| panic!("{envelope}"));
    responses.iter().find(|response| response["id"] == id).unwrap_or_else(|| panic!("{id} in {envelope}"))
}

/// A Graph that answers a batch, and each request alone: a POST by a 201 with an id, one for the name `full` by a 429.
async fn graph() -> Graph {
    fn one(target: &str, body: &Value) -> (u16, Value) {
        let name = body["userDisplayName"].as_str().unwrap_or_default().to_owned();
        if name == "full" {
            return (429, json!({ "error": { "code": "TooManyRequests", "message": "later" } }));
        }
        let id = uuid::Uuid::from_bytes(
            blake3::hash(format!("{target} {name}").as_bytes()).as_bytes()[..16].try_into().unwrap(),
        );
        (201, json!({ "id": id.to_string(), "userDisplayName": name }))
    }
    Graph::answering(|asked| {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let Some(requests) = body["requests"].as_array() else {
            let (status, said) = one(&asked.target, &body);
            return Reply::json(status, &said);
        };
        let answer = |request: &Value| {
            let (status, said) = one(&format!("/beta{}", request["url"].as_str().unwrap()), &request["body"]);
            json!({ "id": request["id"], "status": status, "headers": { "Content-Type": "application/json" }, "body": said })
        };
        // Graph answers in any order.
        let responses: Vec<Value> = requests.iter().rev().map(answer).collect();
        Reply::json(200, &json!({ "responses": responses }))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_recorded_each_and_replay_alone_and_in_other_batches() {
    let (project, graph) = (Project::new(), graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("batched", &graph, &[]);
    let other = json!({ "id": "4", "method": "GET", "url": "/me" });
    let parts = [part("1", CONFIG, "a"), part("2", CONFIG, "full"), part("3", CONFIG, "b"), other];
    let live = ask(&deck, &ca_pem, &parts).await;
    assert_eq!((said(&live, "1")["status"].as_u64(), said(&live, "2")["status"].as_u64()), (Some(201), Some(429)));
    assert_eq!(graph.asked().len(), 1, "it went to Graph as the client sent it");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let exchanges = project.cassette_json("batched")["exchanges"].clone();
    let statuses_recorded: Vec<_> =
        exchanges.as_array().unwrap().iter().map(|it| it["response"]["status"].as_u64()).collect();
    assert_eq!(statuses_recorded, [Some(201), Some(429), Some(201)], "{exchanges}");

    drop(graph);
    let deck = project.replay("batched", &[]);
    // In another order, in two pieces, under another id, and one of them alone.
    let one = ask(&deck, &ca_pem, &[part("X", OTHER_CONFIG, "b"), part("y", OTHER_CONFIG, "full")]).await;
    assert_eq!((said(&one, "X")["status"].as_u64(), said(&one, "y")["status"].as_u64()), (Some(201), Some(429)));
    assert_eq!(said(&one, "X")["body"]["userDisplayName"], "b");
    assert_eq!(said(&one, "X")["headers"]["Content-Type"], "application/json");
    let url = format!("https://graph.microsoft.com{}", statuses(OTHER_CONFIG));
    let alone = through(&deck, &ca_pem).post(url).body(status("a")).send().await.unwrap();
    assert_eq!(alone.status(), 201);
    let ended = deck.stop();
    assert!(ended.stderr.contains("3 answered, 0 missed, 0 unused"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_recorded_alone_replays_in_a_batch_and_a_miss_stays_in_it() {
    let (project, graph) = (Project::new(), graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("alone", &graph, &[]);
    for name in ["a", "full"] {
        let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
        through(&deck, &ca_pem).post(url).body(status(name)).send().await.unwrap();
    }
    deck.stop();
    let deck = project.replay("alone", &[]);
    let mut dependent = part("3", CONFIG, "a");
    dependent["dependsOn"] = json!(["2"]);
    let parts = [dependent, part("1", CONFIG, "a"), part("2", CONFIG, "full"), part("4", CONFIG, "never")];
    let envelope = ask(&deck, &ca_pem, &parts).await;
    let statuses: Vec<_> = ["1", "2", "3", "4"].map(|id| said(&envelope, id)["status"].as_u64().unwrap()).into();
    assert_eq!(statuses, [201, 429, 424, 501]);
    assert_eq!(said(&envelope, "4")["body"]["error"]["code"], "graphdeckMiss");
    assert_eq!(said(&envelope, "3")["body"]["error"]["code"], "FailedDependency");
    let ended = deck.stop();
    assert!(ended.stderr.contains("2 answered, 1 missed, 0 unused"), "{}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_graph_would_refuse_is_refused() {
    let (project, graph) = (Project::new(), graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("none", &graph, &[]);
    ask(&deck, &ca_pem, &[part("1", CONFIG, "a")]).await;
    deck.stop();
    let deck = project.replay("none", &[]);
    let mut told = String::new();
    for parts in [vec![], vec![part("a", CONFIG, "a"); 2], vec![part("1", CONFIG, "a"); 21]] {
        let client = through(&deck, &ca_pem);
        let sent = client.post(BATCH).body(json!({ "requests": parts }).to_string()).send().await.unwrap();
        told += &format!("{} {}\n", sent.status(), sent.text().await.unwrap());
    }
    insta::assert_snapshot!(told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_plays_the_parts_on_tape_and_asks_for_the_others_in_one_batch() {
    let (project, graph) = (Project::new(), graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("grown", &graph, &[]);
    let first = ask(&deck, &ca_pem, &[part("1", CONFIG, "a")]).await;
    deck.stop();
    let upstream = [format!("graph.microsoft.com={}", graph.address), graph.ca_file().to_string_lossy().into_owned()];
    let deck = project.start(&["auto", "grown", "--connect-to", &upstream[0], "--upstream-ca", &upstream[1]]);
    let grown = ask(&deck, &ca_pem, &[part("1", CONFIG, "a"), part("2", CONFIG, "b")]).await;
    assert_eq!(said(&grown, "1")["body"], said(&first, "1")["body"]);
    assert_eq!(said(&grown, "2")["status"], 201);
    let asked = graph.asked();
    let sent: Value = serde_json::from_slice(&asked.last().unwrap().body).unwrap();
    assert_eq!((asked.len(), sent["requests"].as_array().unwrap().len()), (2, 1));
    deck.stop();
    assert_eq!(project.cassette_json("grown")["exchanges"].as_array().unwrap().len(), 2);
}
