//! Tokens, cookies and what is said to sign-in hosts: nowhere on disk, in no output, however the run ends.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use std::path::Path;

pub const SECRET: &str = "SECRET0123456789";

/// Every file below a folder, as raw bytes, that holds the secret.
pub fn leaks(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(leaks(&path));
        } else if std::fs::read(&path).unwrap().windows(SECRET.len()).any(|bytes| bytes == SECRET.as_bytes()) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn deck<'a>(project: &'a Project, mode: &str, options: &[&str]) -> Deck<'a> {
    let mut command = project.command(&[mode, "secrets", "--listen", "127.0.0.1:0", "--report", "report.json"]);
    command.args(options).env("GRAPHDECK_LOG", "trace");
    Deck::spawn(project, command)
}

async fn say_secrets(deck: &Deck<'_>, ca_pem: &str) {
    let client = through(deck, ca_pem);
    let request = client.post(format!("https://graph.microsoft.com{}", statuses(CONFIG))).bearer_auth(SECRET);
    let request = request.header("cookie", SECRET).header("proxy-authorization", SECRET).body(status("a"));
    let response = request.send().await.unwrap();
    if response.status() == 201 {
        assert!(response.headers().get("x-graphdeck").is_some() || response.headers()["set-cookie"] == SECRET);
    }
    // A route that is not recorded, and in a replay is a miss.
    let request = client.get("https://graph.microsoft.com/v1.0/me").bearer_auth(SECRET);
    request.header("cookie", SECRET).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_nowhere_whatever_happens() {
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    let graph = Graph::answering(|asked| {
        assert_eq!(asked.headers["authorization"], format!("Bearer {SECRET}"), "Graph gets what the client said");
        Reply::new(201, "{}").with("set-cookie", SECRET).with("www-authenticate", "Bearer realm=\"\"")
    })
    .await;
    let connect_to = format!("graph.microsoft.com={}", graph.address);
    let ca_file = graph.ca_file();
    let upstream = ["--connect-to", connect_to.as_str(), "--upstream-ca", ca_file.to_str().unwrap()];

    let killed = deck(&project, "record", &upstream);
    say_secrets(&killed, &ca_pem).await;
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "while recording");
    killed.kill();
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "after a crash");

    let sealed = deck(&project, "record", &upstream);
    say_secrets(&sealed, &ca_pem).await;
    let said = sealed.stop();
    assert!(
        project.cassette("secrets").contains("www-authenticate") && !said.stderr.contains(SECRET),
        "{}",
        said.stderr
    );

    let replaying = deck(&project, "replay", &[]);
    say_secrets(&replaying, &ca_pem).await;
    let sign_in = "https://login.microsoftonline.com/t/oauth2/v2.0/token";
    let client = through(&replaying, &ca_pem);
    let response = client.post(sign_in).body(format!("client_secret={SECRET}")).send().await.unwrap();
    assert_eq!(response.status(), 400, "it names no way to sign in");
    assert!(!response.text().await.unwrap().contains(SECRET));
    let said = replaying.stop();
    assert!(said.stderr.contains("1 answered, 1 missed") && !said.stderr.contains(SECRET), "{}", said.stderr);
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "at the end");
}

#[test]
fn an_imported_cassette_goes_down_the_same_road() {
    let project = Project::new();
    let foreign = format!(
        r#"{{"graphdeck":1,"ids":{{}},"exchanges":[{{"request":{{"method":"GET","url":"https://graph.microsoft.com/v1.0/me","headers":{{"authorization":"{SECRET}"}}}},"response":{{"status":200,"headers":{{"set-cookie":"{SECRET}"}}}}}}]}}"#
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), foreign).unwrap();
    let ended = project.run(&["cassette", "import", &file.path().to_string_lossy(), "--name", "foreign"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(leaks(project.path()), Vec::<String>::new());
}

#[test]
fn a_check_names_what_looks_like_a_secret_and_where() {
    let project = Project::new();
    let foreign = format!(
        r#"{{"graphdeck":1,"ids":{{}},"exchanges":[{{"request":{{"method":"POST","url":"https://graph.microsoft.com/v1.0/me?code={SECRET}","headers":{{"cookie":"a"}},"body":{{"json":{{"clientSecret":"{SECRET}"}}}}}},"response":{{"status":200,"headers":{{"x":"Bearer {SECRET}{SECRET}"}},"body":{{"text":"xoxb-{SECRET}"}}}}}}]}}"#
    );
    project.write("cassettes/foreign.json", foreign);
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(2));
    assert!(!checked.stdout.contains(SECRET), "{}", checked.stdout);
    insta::assert_snapshot!(checked.stdout);
    let file = project.file("cassettes/foreign.json");
    let imported = project.run(&["cassette", "import", file.to_str().unwrap(), "--force"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert_eq!(project.run(&["cassette", "check"]).code, Some(0));
    assert_eq!(leaks(project.path()), Vec::<String>::new());
}
