//! Sign-in behind a replay: a program gets its token without Microsoft, and nobody else is asked.

use crate::support::client::through;
use crate::support::deck::Project;
use serde_json::Value;

const TOKEN: &str = "https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/token";
const FORM: &str = "grant_type=client_credentials&client_id=app&client_secret=planted-8Q~secret&scope=https%3A%2F%2Fgraph.microsoft.com%2F.default";

fn replaying(project: &Project, config: &str) -> String {
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    project.write("config.toml", config);
    project.run(&["ca"]).stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_signs_programs_in_and_keeps_nothing_of_it() {
    let project = Project::new();
    let ca_pem = replaying(&project, "");
    let deck = project.start(&["--verbose", "replay", "user-statuses", "--report", "report.json"]);
    let client = through(&deck, &ca_pem);
    let discovery = "https://login.microsoftonline.com/common/discovery/instance?api-version=1.1&authorization_endpoint=https://login.microsoftonline.com/contoso.onmicrosoft.com/oauth2/v2.0/authorize";
    let found: Value =
        serde_json::from_str(&client.get(discovery).send().await.unwrap().text().await.unwrap()).unwrap();
    let configuration = client.get(found["tenant_discovery_endpoint"].as_str().unwrap()).send().await.unwrap();
    let configuration: Value = serde_json::from_str(&configuration.text().await.unwrap()).unwrap();
    assert_eq!(configuration["token_endpoint"], TOKEN);
    let sent =
        client.post(TOKEN).header("content-type", "application/x-www-form-urlencoded").body(FORM).send().await.unwrap();
    assert_eq!((sent.status().as_u16(), sent.headers()["x-graphdeck"].to_str().unwrap()), (200, "sign-in"));
    let token: Value = serde_json::from_str(&sent.text().await.unwrap()).unwrap();
    assert!(token["access_token"].as_str().unwrap().ends_with('.'), "{token}");
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let report = std::fs::read_to_string(project.file("report.json")).unwrap();
    assert!(!format!("{}{report}", ended.stderr).contains("planted"), "{}{report}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_turned_off_and_is_a_miss_then() {
    let project = Project::new();
    let ca_pem = replaying(&project, "[sign_in]\noffline = false\n");
    let deck = project.replay("user-statuses", &[]);
    let sent = through(&deck, &ca_pem).post(TOKEN).body(FORM).send().await.unwrap();
    assert_eq!(sent.status(), 501);
    assert!(sent.text().await.unwrap().contains("never recorded"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_replay_cannot_sign_in_is_told_in_words() {
    let project = Project::new();
    let ca_pem = replaying(&project, "");
    let deck = project.replay("user-statuses", &[]);
    let client = through(&deck, &ca_pem);
    let sent = client.post(TOKEN).body("grant_type=password&username=a&password=b").send().await.unwrap();
    assert_eq!(sent.status(), 400);
    assert!(sent.text().await.unwrap().contains("unsupported_grant_type"));
    let sent =
        client.get("https://login.microsoftonline.com/common/oauth2/v2.0/authorize?client_id=a").send().await.unwrap();
    assert_eq!(sent.status(), 501);
}
