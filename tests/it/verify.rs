//! A recording is asked of Graph again, and what has changed there since is told.

use crate::support::client::through;
use crate::support::deck::{Ended, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

const TOKEN: &str = "planted.secret-token";

/// A cassette of a POST, a GET of what it made, and the list of all.
async fn recorded(project: &Project, graph: &Graph) {
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("old", graph, &["--all"]);
    let client = through(&deck, &ca_pem);
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let post = client.post(&url).header("content-type", "application/json").bearer_auth("recorded");
    let made: Value =
        serde_json::from_str(&post.body(status("a")).send().await.unwrap().text().await.unwrap()).unwrap();
    for url in [format!("{url}/{}", made["id"].as_str().unwrap()), url] {
        client.get(url).send().await.unwrap();
    }
    assert_eq!(deck.stop().code, Some(0));
}

fn verify(project: &Project, graph: &Graph, token: Option<&str>, more: &[&str]) -> Ended {
    let to = format!("graph.microsoft.com={}", graph.address);
    let ca = graph.ca_file().to_string_lossy().into_owned();
    let mut command = project.command(&[&["verify", "old", "--connect-to", &to, "--upstream-ca", &ca], more].concat());
    if let Some(token) = token {
        command.env("GRAPHDECK_TOKEN", token);
    }
    let output = command.output().unwrap();
    let said = |bytes: &[u8]| project.tidy(&String::from_utf8_lossy(bytes));
    let ended = Ended { code: output.status.code(), stdout: said(&output.stdout), stderr: said(&output.stderr) };
    assert!(!format!("{}{}", ended.stdout, ended.stderr).contains("planted"), "{ended:?}");
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_unless_it_is_asked_for_and_no_writes_unless_they_are_allowed() {
    let (project, graph) = (Project::new(), Graph::start().await);
    recorded(&project, &graph).await;
    let today = Graph::start().await;
    let mut said = String::new();
    for more in [&[][..], &["--allow-writes"], &["--send"]] {
        let ended = verify(&project, &today, Some(TOKEN), more);
        said +=
            &format!("$ verify old {}\n{}{}exit code {:?}\n\n", more.join(" "), ended.stdout, ended.stderr, ended.code);
    }
    insta::assert_snapshot!(said);
    let asked: Vec<String> = today.asked().into_iter().map(|asked| asked.method + " " + &asked.target).collect();
    assert_eq!(asked, [format!("GET {}", statuses(CONFIG))], "the list alone was sent, as it only reads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_of_today_are_followed_and_the_token_is_sent_and_kept_nowhere() {
    let (project, graph) = (Project::new(), Graph::start().await);
    recorded(&project, &graph).await;
    let before = project.cassette("old");
    let today = Graph::start().await;
    // What it made by itself before: other ids are given out from here on.
    let other = Project::new();
    recorded(&other, &today).await;
    let first = today.asked().len();
    let ended = verify(&project, &today, Some(TOKEN), &["--send", "--allow-writes"]);
    // The list has what was there already, and nothing else differs.
    insta::assert_snapshot!(ended.stdout);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
    let asked = &today.asked()[first..];
    assert!(asked.iter().all(|asked| asked.headers["authorization"] == format!("Bearer {TOKEN}")));
    assert_eq!(asked[0].headers["content-type"], "application/json");
    let made: Value = serde_json::from_str(&before).unwrap();
    let recorded_id = made["ids"]["userStatuses.1"].as_str().unwrap();
    assert!(!asked[1].target.contains(recorded_id), "the id of today was asked for: {}", asked[1].target);
    assert_eq!(project.cassette("old"), before);
}

/// A Graph that has changed: another status, another header, a time and a tag of today.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_changed_is_told_place_by_place() {
    let answering = |version: &'static str, day: &'static str| {
        move |asked: &crate::support::graph::Asked| {
            if asked.method == "POST" {
                let made = json!({"id": format!("{day}-0000-4000-8000-000000000000"), "createdDateTime": "2026-01-01T00:00:00Z"});
                return Reply::json(201, &made);
            }
            let body = json!({"id": asked.target.rsplit('/').next(), "at": "2026-02-02T00:00:00Z", "state": version, "@odata.etag": day});
            Reply::json(200, &body).with("etag", day).with("odata-version", version)
        }
    };
    let (project, graph) = (Project::new(), Graph::answering(answering("one", "11111111")).await);
    recorded(&project, &graph).await;
    let same = Graph::answering(answering("one", "22222222")).await;
    let ended = verify(&project, &same, Some(&format!("Bearer {TOKEN}")), &["--send", "--allow-writes"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stdout);
    let changed = Graph::answering(answering("two", "33333333")).await;
    let mut said = String::new();
    for more in [&["--send", "--allow-writes"][..], &["--send", "--allow-writes", "--json"]] {
        let ended = verify(&project, &changed, None, &[more, &["--header", "Authorization: planted.else"]].concat());
        assert_eq!(ended.code, Some(1), "{ended:?}");
        said += &ended.stdout;
    }
    insta::assert_snapshot!(said);
    assert_eq!(changed.asked()[0].headers["authorization"], "planted.else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stops_it_is_told_in_a_line() {
    let (project, graph) = (Project::new(), Graph::start().await);
    recorded(&project, &graph).await;
    let send = &["--send", "--allow-writes"];
    let mut said = String::new();
    let mut tell = |ended: Ended| {
        assert_eq!(ended.code, Some(2), "{ended:?}");
        said += &format!("{}{}\n", ended.stdout, ended.stderr);
    };
    tell(verify(&project, &graph, None, send));
    tell(verify(&project, &graph, Some("planted\u{1}"), send));
    tell(verify(&project, &graph, Some(TOKEN), &["--send", "--header", "planted"]));
    let refused = Graph::answering(|_| Reply::new(401, "planted")).await;
    tell(verify(&project, &refused, Some(TOKEN), send));
    assert_eq!(refused.asked().len(), 1, "nobody is asked twice with a token that was refused");
    let cut = Graph::answering(|_| Reply::new(200, "planted").cut_after(3)).await;
    let ended = verify(&project, &cut, Some(TOKEN), send);
    assert!(ended.code == Some(2) && ended.stdout.contains(": stopped here: "), "{ended:?}");
    tell(verify(&Project::new(), &graph, Some(TOKEN), send));
    insta::assert_snapshot!(said);
}

/// Graph has no time at first, and says to come again at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_graph_is_asked_again() {
    let (project, graph) = (Project::new(), Graph::start().await);
    recorded(&project, &graph).await;
    let turn = AtomicUsize::new(0);
    let busy = Graph::answering(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Reply::json(429, &json!({})).with("retry-after", "0"),
        _ => Reply::json(200, &json!({"value": []})),
    })
    .await;
    let ended = verify(&project, &busy, Some(TOKEN), &["--send"]);
    assert_eq!((ended.code, busy.asked().len()), (Some(1), 3), "{}", ended.stdout);
}
