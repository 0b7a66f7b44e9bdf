//! Files of other tools: taken over, written, refused.

use crate::support::client::through;
use crate::support::deck::Project;
use serde_json::{Value, json};

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");

/// Each tool's file; secrets in it have `planted` in them, or are a token.
const FILES: [(&str, &str); 6] = [
    ("browser.har", include_str!("../data/formats/browser.har")),
    ("dev-proxy.json", include_str!("../data/formats/dev-proxy.json")),
    ("test-proxy.json", include_str!("../data/formats/test-proxy.json")),
    ("vcrpy.yaml", include_str!("../data/formats/vcrpy.yaml")),
    ("vcr.yml", include_str!("../data/formats/vcr.yml")),
    ("wiremock.json", include_str!("../data/formats/wiremock.json")),
];

#[test]
fn the_files_of_other_tools_are_taken_over_and_what_is_left_is_told() {
    let mut said = String::new();
    for (file, text) in FILES {
        let project = Project::new();
        project.write(file, text);
        let ended = project.run(&["cassette", "import", file, "--name", "taken"]);
        let cassette = project.cassette("taken");
        for secret in ["planted", "eyJ0eXAi", "Bearer ey"] {
            assert!(!cassette.contains(secret) && !ended.stdout.contains(secret), "{file}: {secret}\n{cassette}");
        }
        let check = project.run(&["cassette", "check"]);
        let shown = project.run(&["cassette", "show", "taken"]);
        said += &format!("{}{}{}{}\n", ended.stdout, ended.stderr, check.stdout, shown.stdout);
        assert_eq!((ended.code, check.code), (Some(0), Some(0)), "{file}: {}", ended.stderr);
    }
    insta::assert_snapshot!(said);
}

/// What was taken over is played, whichever tool wrote it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_taken_over_is_played() {
    let config = "9d3e2c11-0000-4000-8000-00000000000a";
    let url = format!("https://graph.microsoft.com/v1.0/deviceManagement/deviceConfigurations/{config}/userStatuses");
    let body = json!({
        "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus", "userDisplayName": "Adele Vance", "devicesCount": 3,
        "status": "compliant", "lastReportedDateTime": "2026-03-01T08:15:30.1234567Z", "userPrincipalName": "adele@contoso.example",
    });
    for (file, text) in FILES.into_iter().filter(|(file, _)| *file != "dev-proxy.json") {
        let project = Project::new();
        project.write(file, text);
        project.run(&["cassette", "import", file, "--name", "taken"]);
        let ca_pem = project.run(&["ca"]).stdout;
        let deck = project.replay("taken", &[]);
        let response = through(&deck, &ca_pem).post(&url).body(body.to_string()).send().await.unwrap();
        assert_eq!(response.status(), 201, "{file}");
        let location = response.headers()["location"].to_str().unwrap().to_owned();
        assert!(location.contains(config), "{file}: the id is the live one: {location}");
        let made: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
        assert_eq!((&made["status"], location.ends_with(made["id"].as_str().unwrap())), (&json!("compliant"), true));
    }
}

/// A mock for each turn of a request: 429 first, then the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mocks_are_played_in_their_turn() {
    let project = Project::new();
    project.write("mocks.json", FILES[1].1);
    project.run(&["cassette", "import", "mocks.json"]);
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.replay("mocks", &[]);
    let mut statuses = Vec::new();
    for _ in 0..3 {
        let url = "https://graph.microsoft.com/v1.0/deviceManagement/deviceConfigurations/0385114b-b48f-4800-a046-f249eaba24b1/userStatuses/5f1c0a52-7a3e-4a56-9c4e-0c8f4a0d7b11";
        statuses.push(through(&deck, &ca_pem).get(url).send().await.unwrap().status().as_u16());
    }
    assert_eq!(statuses, [429, 200, 200]);
}

#[test]
fn a_cassette_comes_back_from_har_as_it_was() {
    let project = Project::new();
    project.write("cassettes/demo.json", DEMO);
    // A name that a person gave, bytes that are no text, braces, a header twice.
    let odd = r#"{"graphdeck":1,"ids":{"status-of-adele.1":"7e323db2-3db2-7e32-b23d-327eb23d327e"},"exchanges":[{
        "request":{"method":"PUT","url":"https://graph.microsoft.com/v1.0/users('{{status-of-adele.1|upper}}')?a=b","body":{"base64":"/wAB"}},
        "response":{"status":200,"headers":{"link":["a","b"],"x-ä":"ÿ"},"body":{"base64":"AP8="}}},
        {"request":{"method":"POST","url":"https://graph.microsoft.com/v1.0/a","headers":{"prefer":""},"body":{"text":"{{'{{'}} {{status-of-adele.1}}\n"}},
        "response":{"status":204}}]}"#;
    project.write("odd.json", odd.replace("x-ä", "x-a"));
    assert_eq!(project.run(&["cassette", "import", "odd.json"]).code, Some(0));
    for name in ["demo", "odd"] {
        let har = format!("{name}.har");
        let exported = project.run(&["cassette", "export", name, "--out", &har]);
        assert_eq!((exported.code, exported.stdout.as_str()), (Some(0), ""));
        let ended = project.run(&["cassette", "import", &har, "--name", "back"]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        assert_eq!(project.cassette("back"), project.cassette(name), "{name}");
        project.run(&["cassette", "rm", "back"]);
    }
    let printed = project.run(&["cassette", "export", "demo", "--format", "har"]).stdout;
    assert_eq!(printed, project.run(&["cassette", "export", "demo", "--har"]).stdout);
    assert_eq!(printed, std::fs::read_to_string(project.file("demo.har")).unwrap());
    let har: Value = serde_json::from_str(&printed).unwrap();
    assert!(!har["log"]["entries"].to_string().contains("{{"), "the recorded ids stand in it");
    insta::assert_snapshot!(serde_json::to_string_pretty(&har["log"]["entries"][0]).unwrap());
}

/// A replay opens batches, so what a file holds of one is taken over part by part.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_is_taken_over_as_its_parts() {
    let project = Project::new();
    let asked = json!({"requests": [{"id": "1", "method": "GET", "url": "/me"}, {"id": "2", "method": "GET", "url": "/users/a b"}]});
    let said = json!({"responses": [{"id": "2", "status": 404, "body": {"error": {}}}, {"id": "1", "status": 200, "body": {"id": "x"}}]});
    let entry = |said: String| {
        json!({"request": {"method": "POST", "url": "https://graph.microsoft.com/v1.0/$batch", "postData": {"text": asked.to_string()}},
            "response": {"status": 200, "content": {"text": said}}})
    };
    let entries = [entry(said.to_string()), entry("{}".to_owned())];
    project.write("batch.har", json!({"log": {"entries": entries}}).to_string());
    let ended = project.run(&["cassette", "import", "batch.har"]);
    assert!(ended.stdout.contains("1 of 2 entries") && ended.stdout.contains("no request of this batch"), "{ended:?}");
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.replay("batch", &[]);
    for (url, status) in [("me", 200), ("users/a%20b", 404)] {
        let url = format!("https://graph.microsoft.com/v1.0/{url}");
        assert_eq!(through(&deck, &ca_pem).get(url).send().await.unwrap().status(), status);
    }
    deck.stop();
    project.run(&["cassette", "export", "batch", "--out", "back.har"]);
    project.run(&["cassette", "import", "back.har"]);
    assert_eq!(project.cassette("back"), project.cassette("batch"));
}

#[test]
fn an_editor_runs_what_is_exported_as_http_and_the_deck_reads_it() {
    let project = Project::new();
    project.write("cassettes/demo.json", DEMO);
    project.run(&["cassette", "export", "demo", "--out", "demo.http"]);
    let by_flag = project.run(&["cassette", "export", "demo", "--http"]);
    let text = std::fs::read_to_string(project.file("demo.http")).unwrap();
    assert_eq!((by_flag.stdout.as_str(), by_flag.stderr.as_str()), (text.as_str(), ""));
    let explained = project.run(&["explain", "demo", "demo.http"]);
    assert_eq!(explained.code, Some(0), "every request is answered: {}{}", explained.stdout, explained.stderr);
    let first: Vec<&str> = text.lines().take(12).collect();
    insta::assert_snapshot!(first.join("\n"));
}

/// Nothing is written of a file that cannot be taken over, and none of its content is repeated.
#[test]
fn a_malformed_file_is_refused_in_a_line_and_leaves_nothing() {
    let project = Project::new();
    let har = FILES[0].1;
    let broken = [
        ("cut.har", har[..har.len() / 2].to_owned()),
        ("status.har", har.replace("\"status\": 201", "\"status\": \"planted\"")),
        ("url.har", har.replacen("\"url\"", "\"uri\"", 3)),
        ("headers.har", har.replacen("\"headers\": [", "\"headers\": \"planted\", \"x\": [", 1)),
        ("ids.har", har.replace("\"version\": \"1.2\",", "\"_graphdeck\": {\"ids\": {\"a\": \"planted\"}},")),
        ("base64.json", FILES[2].1.replace("iVBORw0KGgo", "planted!")),
        ("cut.yaml", FILES[3].1.replace("    status:\n      code: 201", "   status: [planted\n")),
        ("bytes.json", "\u{feff}{\"Entries\": \"planted\"}".to_owned()),
        ("none.json", "{\"planted\": 1}".to_owned()),
        ("requests.http", "GET https://graph.microsoft.com/v1.0/me\nAuthorization: Bearer planted\n".to_owned()),
        ("nothing.har", r#"{"log":{"entries":[]}}"#.to_owned()),
        (
            "elsewhere.json",
            r#"{"request":{"method":"GET","url":"https://u:planted@example.com/a?k=planted"},"response":{}}"#
                .to_owned(),
        ),
    ];
    let mut said = String::new();
    for (file, text) in broken {
        project.write(file, text);
        let ended = project.run(&["cassette", "import", file]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{file}");
        assert!(!ended.stderr.contains("planted"), "{}", ended.stderr);
        said += &ended.stderr;
    }
    insta::assert_snapshot!(said);
    assert!(!project.file("cassettes").exists() && !project.file(".graphdeck").exists());
}

#[test]
fn a_large_file_is_taken_over_and_many_of_one_kind_are_told_in_a_line() {
    let project = Project::new();
    let entry = |url: &str| json!({"request": {"method": "GET", "url": url}, "response": {"status": 200}});
    let entries: Vec<Value> = (0..6000)
        .map(|at| {
            entry(&format!(
                "https://{}/v1.0/users/{at}",
                if at % 2 == 0 { "graph.microsoft.com" } else { "example.com" }
            ))
        })
        .collect();
    project.write("large.har", json!({"log": {"entries": entries}}).to_string());
    let ended = project.run(&["cassette", "import", "large.har"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().count(), 12, "{}", ended.stdout);
    assert!(
        ended.stdout.contains("3000 of 6000 entries") && ended.stdout.contains("and 2990 more entries are left out")
    );
}
