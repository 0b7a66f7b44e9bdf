//! Tokens, cookies and what is said to sign-in hosts: nowhere on disk, in no output, however the run ends.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::{CONFIG, status, statuses};
use std::path::Path;

const SECRET: &str = "SECRET0123456789";

/// Every file below a folder, as raw bytes, that holds the secret.
fn leaks(dir: &Path) -> Vec<String> {
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
    assert_eq!(response.status(), 501);
    assert!(!response.text().await.unwrap().contains(SECRET));
    let said = replaying.stop();
    assert!(said.stderr.contains("1 answered, 2 missed") && !said.stderr.contains(SECRET), "{}", said.stderr);
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

/// Names whose values are secrets wherever they stand, and texts that are secrets by themselves; all hold the mark.
fn planted() -> (Vec<&'static str>, Vec<String>) {
    let names = vec![
        "client_secret",
        "clientSecret",
        "secretText",
        "client_assertion",
        "password",
        "currentPassword",
        "newPassword",
        "passphrase",
        "access_token",
        "accessToken",
        "refresh_token",
        "id_token",
        "bearerToken",
        "apiKey",
        "api_key",
        "accountKey",
        "sharedAccessKey",
        "privateKey",
        "preSharedKey",
        "connectionString",
        "PASSWORD",
        "Client_Secret",
    ];
    let texts = vec![
        format!("eyJhbGciOiJub25lIn0.eyJ{SECRET}.c2lnbmF0dXJl"),
        format!("eyJhbGciOiJub25lIn0.{SECRET}."),
        format!("Bearer EwBwA8l6BAAU{SECRET}"),
        format!("0.AXoAabcdefghijklmnop.AgABAwEAAADW{SECRET}{SECRET}{SECRET}"),
        format!("-----BEGIN PRIVATE KEY-----\nMII{SECRET}\n-----END PRIVATE KEY-----"),
        format!("-----BEGIN EC PRIVATE KEY-----\nMII{SECRET}"),
        format!("https://x.blob.core.windows.net/c?sv=2024&sig=abcd{SECRET}%3D"),
        format!("abc8Q~{SECRET}{SECRET}~a"),
        format!("AccountName=a;AccountKey={SECRET}==;EndpointSuffix=core.windows.net"),
        format!("Endpoint=sb://x/;SharedAccessKey={SECRET}="),
        format!("https://user:{SECRET}@example.com/"),
        format!("ghp_{SECRET}{SECRET}{SECRET}"),
        format!("xoxb-{SECRET}"),
    ];
    (names, texts)
}

/// Bodies with a secret in each place that a body has for one.
fn bodies() -> Vec<(&'static str, Vec<u8>)> {
    let (names, texts) = planted();
    let mut bodies = Vec::new();
    let json = "application/json";
    for name in &names {
        let member = serde_json::json!({ *name: SECRET, "n": 1 });
        bodies.push((json, member.to_string().into_bytes()));
        bodies.push((json, serde_json::json!({ "deep": [{ "passwordProfile": member }] }).to_string().into_bytes()));
        bodies.push((json, serde_json::json!({ "message": member.to_string() }).to_string().into_bytes()));
        bodies.push((json, serde_json::to_string_pretty(&member).unwrap().into_bytes()));
        let part = serde_json::json!({"requests": [{"id": "1", "method": "POST", "url": "/x", "body": member}]});
        bodies.push((json, part.to_string().into_bytes()));
    }
    for name in
        ["client_secret", "client_assertion", "password", "access_token", "refresh_token", "id_token", "code", "sig"]
    {
        bodies
            .push(("application/x-www-form-urlencoded", format!("grant_type=x&{name}={SECRET}&scope=y").into_bytes()));
        let multipart = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{SECRET}\r\n--b--\r\n");
        if name != "sig" {
            bodies.push(("multipart/form-data; boundary=b", multipart.into_bytes()));
        }
    }
    for text in &texts {
        bodies.push(("text/plain", format!("see {text}").into_bytes()));
        bodies.push((json, serde_json::json!({ "note": text }).to_string().into_bytes()));
        bodies.push(("application/octet-stream", [b"\xff\xfe ", text.as_bytes()].concat()));
    }
    bodies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_nowhere_whatever_they_stand_in() {
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    // What is posted comes back, in the body and in a header, every third time as an error.
    let count = std::sync::atomic::AtomicUsize::new(0);
    let graph = Graph::answering(move |asked| {
        let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let status = if count.is_multiple_of(3) { 400 } else { 201 };
        let mut reply = Reply::new(status, "").with("link", &format!("<https://h/x?sig=abcdefgh{SECRET}>; rel=\"x\""));
        reply.body = asked.body.clone();
        reply.with("x-ms-access-token", SECRET).with("www-authenticate", &format!("Bearer claims=\"eyJ{SECRET}=\""))
    })
    .await;
    let connect_to = format!("graph.microsoft.com={}", graph.address);
    let ca_file = graph.ca_file();
    let upstream = ["--all", "--connect-to", connect_to.as_str(), "--upstream-ca", ca_file.to_str().unwrap()];
    let bodies = bodies();
    for (_, body) in &bodies {
        let clean = graphdeck::tape::secrets::Secrets::default().without(body);
        assert!(!String::from_utf8_lossy(&clean).contains(SECRET), "{}", String::from_utf8_lossy(&clean));
    }
    assert!(bodies.len() + planted().1.len() >= 150, "{}", bodies.len());
    let say = async |deck: &Deck<'_>, path: &str| {
        let client = through(deck, &ca_pem);
        for (kind, body) in &bodies {
            let url = format!("https://graph.microsoft.com{path}?code={SECRET}&access_token={SECRET}");
            let request =
                client.post(url).header("content-type", *kind).header("x-note", format!("Bearer {SECRET}{SECRET}"));
            let text = request.body(body.clone()).send().await.unwrap().bytes().await.unwrap();
            assert!(deck_is_replaying(&text) || text.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()));
        }
        for text in planted().1.iter().filter(|text| !text.contains('\n')) {
            let url =
                reqwest::Url::parse_with_params(&format!("https://graph.microsoft.com{path}"), [("q", text)]).unwrap();
            client.get(url).header("x-note", text).send().await.unwrap();
        }
    };

    let killed = deck(&project, "record", &upstream);
    say(&killed, "/v1.0/x").await;
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "while recording");
    killed.kill();
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "after a crash");
    let sealed = deck(&project, "record", &upstream);
    say(&sealed, "/v1.0/x").await;
    let said = sealed.stop();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(!said.stderr.contains(SECRET), "{}", said.stderr);

    let replaying = deck(&project, "replay", &[]);
    say(&replaying, "/v1.0/x").await;
    say(&replaying, "/v1.0/missed").await;
    let said = replaying.stop();
    assert!(!said.stderr.contains(SECRET), "{}", said.stderr);
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "at the end");
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
}

/// Whether an answer is from tape, where there is no secret to be told.
fn deck_is_replaying(body: &[u8]) -> bool {
    let text = String::from_utf8_lossy(body);
    text.contains("REDACTED") || text.contains("graphdeckMiss")
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
