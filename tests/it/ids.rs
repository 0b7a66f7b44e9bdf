//! Ids that are no GUIDs, and cassettes without the recorded ones, through real decks.

use crate::support::deck::{Deck, Project};
use crate::support::graph::{Graph, Reply};
use serde_json::{Value, json};

const POLICY: &str = "DefaultDeviceCompliancePolicy.X";

fn path(policy: &str) -> String {
    format!("/beta/deviceManagement/deviceCompliancePolicies/{policy}/userStatuses")
}

/// A Graph whose statuses have ids like those of messages; each number is another recording.
async fn graph(number: usize) -> Graph {
    Graph::answering(move |asked| {
        let policy = asked.target.split('/').nth(4).unwrap();
        let id = format!("AAMkADYCQM0GfRAAAcrRD{number}AAA=");
        let context = format!(
            "https://graph.microsoft.com/beta/$metadata#deviceCompliancePolicies('{policy}')/userStatuses/$entity"
        );
        let location = format!("https://graph.microsoft.com{}('{id}')", path(policy));
        let status = if asked.method == "POST" { 201 } else { 200 };
        Reply::json(status, &json!({"@odata.context": context, "id": id, "note": format!("of {policy}, not of X")}))
            .with("location", &location)
    })
    .await
}

/// What a program of two requests is told: a POST, and a GET of what that made.
async fn run(deck: &Deck<'_>, policy: &str) -> [String; 2] {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = json!({"status": "compliant", "policyId": policy}).to_string();
    let created = client.post(deck.url(&path(policy))).header("content-type", "application/json").body(body);
    let created = created.send().await.unwrap();
    let location = created.headers()["location"].to_str().unwrap().to_owned();
    let created = created.text().await.unwrap();
    let id = serde_json::from_str::<Value>(&created).unwrap()["id"].as_str().unwrap().to_owned();
    assert!(location.ends_with(&format!("{}('{id}')", path(policy))), "{location}");
    let read = client.get(deck.url(&format!("{}/{id}", path(policy)))).send().await.unwrap().text().await.unwrap();
    [created, read]
}

async fn recorded(project: &Project, name: &str, number: usize, options: &[&str]) -> [String; 2] {
    let graph = graph(number).await;
    let deck = project.record(name, &graph, &[&["--all"], options].concat());
    let told = run(&deck, POLICY).await;
    assert_eq!(deck.stop().code, Some(0));
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn opaque_ids_are_renamed_like_guids() {
    let project = Project::new();
    let told = recorded(&project, "opaque", 1, &[]).await;
    let deck = project.replay("opaque", &["--strict"]);
    assert_eq!(run(&deck, POLICY).await, told);
    assert_eq!(deck.stop().code, Some(0));
    let deck = project.replay("opaque", &["--strict"]);
    let renamed = run(&deck, "19:a@thread.tacv2").await;
    let id = |told: &[String; 2]| serde_json::from_str::<Value>(&told[0]).unwrap()["id"].as_str().unwrap().to_owned();
    let (before, after) = (id(&told), id(&renamed));
    assert!(before != after && before.len() == after.len() && after.ends_with('='), "{after}");
    let expected = told.clone().map(|text| text.replace(POLICY, "19:a@thread.tacv2").replace(&before, &after));
    assert_eq!(renamed, expected);
    assert_eq!(deck.stop().code, Some(0));
    let shown = project.run(&["cassette", "show", "opaque", "--ids"]).stdout;
    assert!(shown.contains(&format!("deviceCompliancePolicies.1  {POLICY}")), "{shown}");
    assert!(project.cassette("opaque").contains("of {{deviceCompliancePolicies.1}}, not of X"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_recorded_ids_recording_again_gives_the_same_file() {
    let project = Project::new();
    let first = recorded(&project, "plain", 1, &["--no-recorded-ids"]).await;
    let text = project.cassette("plain");
    assert!(!text.contains(POLICY) && !text.contains("AAMkADYCQM0GfRAAAcrRD1AAA="), "{text}");
    let second = recorded(&project, "plain", 2, &["--no-recorded-ids"]).await;
    assert_eq!(project.cassette("plain"), text);
    assert_ne!(first, second);
    let deck = project.replay("plain", &["--strict"]);
    let told = run(&deck, POLICY).await;
    assert!(told[1].contains(POLICY) && told != first && told != second);
    assert_eq!(deck.stop().code, Some(0));
}

#[test]
fn a_cassette_whose_ids_do_not_fit_is_refused_in_a_line() {
    let project = Project::new();
    let good = r#"{"graphdeck":1,"ids":{"users.1":"ada"},"exchanges":[{"request":{"method":"GET","url":"https://graph.microsoft.com/beta/users/{{users.1}}"},"response":{"status":200}}]}"#;
    let mut said = String::new();
    for (from, to) in [
        ("", ""),
        ("/{{users.1}}", "/{{users.2}}"),
        ("/{{users.1}}", "/ada"),
        (r#""users.1":"ada""#, r#""users.1":"ada","users.2":"ada""#),
        (r#""users.1":"ada""#, r#""users.1":"{{users.1}}""#),
        (r#""users.1":"ada""#, r#""users.1":"""#),
        ("graph.microsoft.com", "{{users.1}}"),
        (r#""GET""#, r#""{{users.1}}""#),
    ] {
        project.write("cassettes/c.json", good.replacen(from, to, usize::from(!from.is_empty())));
        let checked = project.run(&["cassette", "check"]);
        assert_eq!(checked.code, Some(if from.is_empty() { 0 } else { 2 }), "{}", checked.stdout);
        said += &project.tidy(&checked.stdout);
    }
    insta::assert_snapshot!(said);
}
