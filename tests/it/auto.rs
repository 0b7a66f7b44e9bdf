//! A cassette that grows: what is on it is played, what is missing is asked of Graph and recorded.

use crate::support::client;
use crate::support::deck::Project;
use crate::support::graph::Graph;
use crate::support::{CONFIG, status, statuses};

/// POSTs a status, and returns what the deck says of the answer.
async fn post(client: &reqwest::Client, name: &str) -> (String, String) {
    let request = client.post(format!("https://graph.microsoft.com{}", statuses(CONFIG)));
    let request = request.header("content-type", "application/json").body(status(name));
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    let deck = response.headers().get("x-graphdeck").map_or("live", |value| value.to_str().unwrap()).to_owned();
    (deck, response.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_on_tape_is_played_and_what_is_missing_is_recorded() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let upstream = [format!("graph.microsoft.com={}", graph.address), graph.ca_file().to_string_lossy().into_owned()];
    let auto = ["auto", "run", "--connect-to", &upstream[0], "--upstream-ca", &upstream[1]];

    let deck = project.start(&auto);
    let client = client::through(&deck, &ca_pem);
    let ada = post(&client, "Ada").await;
    assert_eq!(ada.0, "live", "there is no cassette yet");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("recorded 1 exchange to cassettes/run.json"), "{}", ended.stderr);

    let deck = project.start(&auto);
    let client = client::through(&deck, &ca_pem);
    assert_eq!(post(&client, "Ada").await, ("replay; exchange=1".to_owned(), ada.1.clone()));
    let bob = post(&client, "Bob").await;
    assert_eq!(bob.0, "live");
    let ended = deck.stop();
    insta::assert_snapshot!(ended.stderr);
    assert_eq!(graph.asked().len(), 2, "Graph was asked once for each");

    let before = project.cassette("run");
    let deck = project.start(&auto);
    let client = client::through(&deck, &ca_pem);
    assert_eq!(post(&client, "Ada").await.1, ada.1);
    assert_eq!(post(&client, "Bob").await.1, bob.1);
    let ended = deck.stop();
    assert!(ended.stderr.contains("nothing was missing, so run stays as it was"), "{}", ended.stderr);
    assert_eq!((project.cassette("run"), graph.asked().len()), (before, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_ids_are_asked_of_graph_and_what_failed_is_kept() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let script = "curl -sf -o /dev/null -H 'content-type: application/json' -d '{\"userDisplayName\":\"'$0'\"}' \
                  $GRAPHDECK_URL/beta/deviceManagement/deviceConfigurations/$1/userStatuses; exit $2";
    let upstream = [format!("graph.microsoft.com={}", graph.address), graph.ca_file().to_string_lossy().into_owned()];
    let auto = |name: &str, config: &str, code: &str| {
        let options = ["auto", "run", "--connect-to", &upstream[0], "--upstream-ca", &upstream[1]];
        project.run(&[&options[..], &["--", "sh", "-c", script, name, config, code]].concat())
    };
    assert_eq!(auto("Ada", CONFIG, "0").code, Some(0));
    let other = auto("Ada", crate::support::OTHER_CONFIG, "0");
    assert!(other.stderr.contains("recorded 2 exchanges"), "{}", other.stderr);
    let failed = auto("Bob", CONFIG, "5");
    assert_eq!(failed.code, Some(5));
    assert!(failed.stderr.contains("this take is kept, with 3 exchanges"), "{}", failed.stderr);
    let next = auto("Bob", CONFIG, "0");
    assert!(next.stderr.contains("recorded 3 exchanges"), "what the failed run recorded is sealed: {}", next.stderr);
    assert_eq!(graph.asked().len(), 3);
    assert!(auto("Bob", CONFIG, "0").stderr.contains("nothing was missing"));
    let gone = project.run(&["auto", "run", "--", "no-such-program"]);
    assert_eq!(gone.code, Some(127));
    assert!(!project.run(&["cassette", "ls"]).stdout.contains("interrupted"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_take_of_before_does_not_replace_a_newer_cassette() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let script = "curl -sf -o /dev/null -H 'content-type: application/json' -d '{\"userDisplayName\":\"'$0'\"}' \
                  $GRAPHDECK_URL/beta/deviceManagement/deviceConfigurations/x/userStatuses; exit $1";
    let record = |name: &str, code: &str, options: &[&str]| {
        project.record_command("run", &graph, options, &["sh", "-c", script, name, code])
    };
    assert_eq!(record("Ada", "0", &[]).code, Some(0));
    let failed = record("Bob", "5", &[]);
    assert!(failed.stderr.contains("this take is kept, with 1 exchange"), "{}", failed.stderr);
    assert_eq!(record("Cyd", "0", &[]).code, Some(0), "a newer recording is sealed");
    let appended = record("Dan", "0", &["--append"]);
    assert!(appended.stderr.contains("of run is not continued, since run has changed after it"), "{}", appended.stderr);
    assert!(appended.stderr.contains("recorded 2 exchanges"), "{}", appended.stderr);
    let cassette = project.cassette("run");
    assert!(cassette.contains("Cyd") && cassette.contains("Dan") && !cassette.contains("Bob"));
}

#[test]
fn in_ci_it_runs_only_when_that_is_meant() {
    let project = Project::new();
    let run = |allow: &[&str]| {
        let mut command = project.command(&[&["auto", "run"], allow, &["--", "true"]].concat());
        let output = command.env("CI", "true").output().unwrap();
        (output.status.code(), project.tidy(&String::from_utf8_lossy(&output.stderr)))
    };
    let (code, refused) = run(&[]);
    insta::assert_snapshot!(refused);
    assert_eq!(code, Some(2));
    assert!(!project.file(".graphdeck").exists(), "nothing was begun");
    let (code, allowed) = run(&["--allow-record"]);
    assert_eq!(code, Some(0), "{allowed}");
    assert!(allowed.starts_with("graphdeck: this run reaches Microsoft Graph"), "{allowed}");
}
