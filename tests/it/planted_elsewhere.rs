//! The planted secrets in batches, at sign-in, in a deck that records what is missing, and in files of other tools.

use crate::planted::{Kind, bodies, deck, is_marked, kinds, unmarked};
use crate::redaction::{SECRET, leaks};
use crate::support::client::{bare, through};
use crate::support::deck::{Deck, Project};
use crate::support::graph::{Graph, Reply};
use serde_json::{Value, json};

/// The part of a batch in which a kind stands.
fn part(id: usize, kind: &Kind) -> Value {
    let mut part = json!({
        "id": id.to_string(), "method": "POST", "url": "/x", "headers": { "Content-Type": "application/json" }, "body": { "n": id }
    });
    match kind {
        Kind::Member(name) => part["body"][name] = SECRET.into(),
        Kind::Field(name) => part["url"] = format!("/x?a=b&{name}={SECRET}").into(),
        Kind::Text(text) => part["body"]["note"] = text.as_str().into(),
        Kind::Header(name) => part["headers"][name] = format!("Basic {SECRET}").into(),
    }
    part
}

/// Says all kinds in batches, and returns the statuses of the parts.
async fn say_batched(deck: &Deck<'_>, ca_pem: &str, version: &str) -> Vec<u64> {
    let (client, mut statuses) = (through(deck, ca_pem), Vec::new());
    for (number, some) in kinds().chunks(20).enumerate() {
        let parts: Vec<Value> = some.iter().enumerate().map(|(n, kind)| part(20 * number + n, kind)).collect();
        let request = client.post(format!("https://graph.microsoft.com/{version}/$batch")).bearer_auth(SECRET);
        let answer = request.body(json!({ "requests": parts }).to_string()).send().await.unwrap();
        let answer: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        let responses = answer["responses"].as_array().unwrap_or_else(|| panic!("{answer}"));
        statuses.extend(responses.iter().map(|response| response["status"].as_u64().unwrap()));
    }
    statuses
}

/// A Graph that answers each part of a batch with what it was sent, and secrets of its own.
async fn graph() -> Graph {
    Graph::answering(|asked| {
        let sent: Value = serde_json::from_slice(&asked.body).unwrap();
        let answer = |part: &Value| {
            let status = if part["id"].as_str().unwrap().ends_with('3') { 400 } else { 201 };
            let headers = json!({ "x-ms-access-token": SECRET, "Link": format!("https://h/x?sig=abcdefgh{SECRET}") });
            json!({ "id": part["id"], "status": status, "headers": headers, "body": part["body"] })
        };
        let responses: Vec<Value> = sent["requests"].as_array().unwrap().iter().map(answer).collect();
        Reply::json(200, &json!({ "responses": responses })).with("x-ms-access-token", SECRET)
    })
    .await
}

async fn sign_in(deck: &Deck<'_>, ca_pem: &str) {
    for form in [
        format!("grant_type=client_credentials&client_id=a&client_secret={SECRET}&scope=x%2F.default"),
        format!("grant_type=refresh_token&client_id=a&refresh_token={SECRET}&scope=x"),
        format!("grant_type=client_credentials&client_id=a&client_assertion={SECRET}&scope=x"),
        format!("grant_type=password&username=a&password={SECRET}"),
        format!("grant_type=authorization_code&code={SECRET}&code_verifier={SECRET}"),
        format!("client_secret={SECRET}"),
    ] {
        let url = format!("https://login.microsoftonline.com/t/oauth2/v2.0/token?client_secret={SECRET}");
        let request = through(deck, ca_pem).post(url).header("content-type", "application/x-www-form-urlencoded");
        let answer = request.header("cookie", SECRET).body(form).send().await.unwrap().bytes().await.unwrap();
        assert!(!is_marked(&answer), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_nowhere_in_batches_at_sign_in_and_where_the_rest_is_recorded() {
    let (project, graph) = (Project::new(), graph().await);
    let ca_pem = project.run(&["ca"]).stdout;
    let (connect_to, ca_file) = (format!("graph.microsoft.com={}", graph.address), graph.ca_file());
    let upstream = ["--all", "--connect-to", &connect_to, "--upstream-ca", ca_file.to_str().unwrap()];
    let killed = deck(&project, "record", "report.json", &upstream);
    say_batched(&killed, &ca_pem, "v1.0").await;
    assert!(graph.asked().iter().all(|asked| is_marked(&asked.body)), "Graph gets what the client said");
    killed.kill();
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "after a crash");
    for round in ["records", "plays"] {
        let auto = deck(&project, "auto", "report.json", &upstream);
        assert!(say_batched(&auto, &ca_pem, "v1.0").await.iter().all(|status| matches!(status, 201 | 400)));
        let said = auto.stop();
        project.write(&format!("{round}.log"), &said.stderr);
        assert_eq!(said.code, Some(0), "{round}: {}", said.stderr);
        unmarked(&said);
        assert_eq!(leaks(project.path()), Vec::<String>::new(), "when it {round}");
    }
    let recorded = project.cassette_json("secrets")["exchanges"].as_array().unwrap().len();
    assert!(recorded >= 100, "{recorded}");
    for version in ["v1.0", "beta"] {
        let replaying = deck(&project, "replay", "report.md", &[]);
        let missed = say_batched(&replaying, &ca_pem, version).await.iter().filter(|status| **status == 501).count();
        assert_eq!(missed > 0, version == "beta", "{missed} missed");
        sign_in(&replaying, &ca_pem).await;
        let said = replaying.stop();
        project.write(&format!("{version}.log"), &said.stderr);
        unmarked(&said);
    }
    for format in ["har", "http"] {
        let exported = project.run(&["cassette", "export", "secrets", "--format", format]);
        assert!(exported.code == Some(0) && exported.stdout.contains("REDACTED"), "{}", exported.stderr);
        unmarked(&exported);
    }
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "at the end");
}

/// A Graph whose sign-in host answers with secrets in every place, and refuses some of those who ask.
async fn tenant() -> Graph {
    Graph::answering(|asked| {
        if asked.host.starts_with("graph.") && !asked.target.contains("oauth2") {
            return Reply::json(200, &json!({ "value": [] }));
        }
        let status = [200, 302, 400, 401][usize::from(*asked.body.last().unwrap_or(&0)) % 4];
        let body = json!({
            "token_type": "Bearer", "access_token": SECRET, "refresh_token": SECRET, "id_token": SECRET,
            "device_code": SECRET, "user_code": SECRET, "client_info": SECRET, "error_description": SECRET,
            "message": format!("enter {SECRET} at https://h/x?code={SECRET}")
        });
        let location = format!("http://localhost/cb?code={SECRET}&id_token={SECRET}#access_token={SECRET}");
        Reply::json(status, &body).with("location", &location).with("set-cookie", SECRET)
    })
    .await
}

/// Signs in in every way, at the sign-in host and by Graph's own address.
async fn sign_in_everywhere(deck: &Deck<'_>, ca_pem: &str) {
    let proxy = reqwest::Proxy::https(format!("http://{}", deck.address)).unwrap();
    let client = bare(ca_pem).proxy(proxy).redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let fields = [
        "client_secret",
        "client_assertion",
        "refresh_token",
        "password",
        "code",
        "code_verifier",
        "device_code",
        "access_token",
        "id_token",
        "assertion",
        "username",
        "state",
        "nonce",
        "login_hint",
        "any_other",
    ];
    for host in ["login.microsoftonline.com", "graph.microsoft.com"] {
        for path in ["oauth2/v2.0/token", "oauth2/token", "oauth2/v2.0/devicecode", "oauth2/v2.0/authorize"] {
            // By Graph's own address only a token is asked for.
            if host.starts_with("graph.") && !path.ends_with("token") {
                continue;
            }
            let url = format!("https://{host}/t/{path}");
            for field in fields {
                let query = client.get(format!("{url}?client_id=a&{field}={SECRET}")).header("cookie", SECRET);
                let form = client.post(&url).header("content-type", "application/x-www-form-urlencoded");
                let json = client.post(&url).header("content-type", "application/json").bearer_auth(SECRET);
                for request in [
                    query,
                    form.body(format!("grant_type=x&{field}={SECRET}&n={}", field.len())),
                    json.body(json!({ field: SECRET }).to_string()),
                ] {
                    let answer = request.send().await.unwrap();
                    assert!(is_marked(&answer.bytes().await.unwrap()), "{host}: the program gets what it asked for");
                }
            }
        }
    }
    client.get("https://graph.microsoft.com/v1.0/users").bearer_auth(SECRET).send().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_nowhere_when_sign_in_is_opened_and_recorded_beside() {
    let (project, graph) = (Project::new(), tenant().await);
    let ca_pem = project.run(&["ca"]).stdout;
    project.write("config.toml", "[sign_in]\nopen = true\n");
    let (graph_at, ca_file) = (format!("graph.microsoft.com={}", graph.address), graph.ca_file());
    let login_at = format!("login.microsoftonline.com={}", graph.address);
    let upstream = ["--all", "--connect-to", &graph_at, "--connect-to", &login_at];
    let upstream = [&upstream[..], &["--upstream-ca", ca_file.to_str().unwrap()]].concat();
    for mode in ["record", "auto"] {
        let killed = deck(&project, mode, "report.json", &upstream);
        sign_in_everywhere(&killed, &ca_pem).await;
        assert_eq!(leaks(project.path()), Vec::<String>::new(), "while it runs in {mode}");
        project.write("killed.log", killed.killed());
        assert_eq!(leaks(project.path()), Vec::<String>::new(), "after a crash in {mode}");
        for report in ["report.json", "report.md", "report.xml"] {
            let ended = deck(&project, mode, report, &upstream);
            sign_in_everywhere(&ended, &ca_pem).await;
            let said = ended.stop();
            assert_eq!(said.code, Some(0), "{}", said.stderr);
            project.write(&format!("{mode}-{report}.log"), &said.stderr);
            unmarked(&said);
            assert_eq!(leaks(project.path()), Vec::<String>::new(), "{mode} with {report}");
        }
    }
    let asked = graph.asked();
    assert!(asked.iter().any(|asked| asked.host.starts_with("login.") && is_marked(&asked.body)), "it is opened");
    let cassette = project.cassette("secrets");
    assert!(cassette.contains("/v1.0/users") && !cassette.contains("login.microsoftonline.com"), "{cassette}");
    unmarked(&project.run(&["cassette", "show", "secrets"]));
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
}

/// An entry of a HAR for every kind in every place.
fn entries() -> Vec<Value> {
    let url = "https://graph.microsoft.com/v1.0/x";
    let headers = |name: &str, value: &str| json!([{ "name": name, "value": value }]);
    let entry = |url: &str, headers: Value, mime: &str, text: &str| {
        json!({
            "request": {
                "method": "POST", "url": url, "headers": headers, "postData": { "mimeType": mime, "text": text }
            },
            "response": { "status": 201, "headers": headers, "content": { "mimeType": mime, "text": text } }
        })
    };
    let mut entries = Vec::new();
    for kind in kinds() {
        for (mime, body) in bodies(&kind) {
            let Ok(text) = String::from_utf8(body) else { continue };
            entries.push(entry(url, headers("content-type", mime), mime, &text));
        }
        match &kind {
            Kind::Header(name) => entries.push(entry(url, headers(name, SECRET), "text/plain", "")),
            Kind::Field(name) => {
                entries.push(entry(&format!("{url}?a=b&{name}={SECRET}"), json!([]), "text/plain", ""));
            }
            Kind::Text(text) => {
                let url = reqwest::Url::parse_with_params(url, [("q", text)]).unwrap();
                entries.push(entry(url.as_str(), headers("x-note", text), "text/plain", ""));
            }
            Kind::Member(_) => {}
        }
    }
    entries
}

#[test]
fn planted_secrets_are_nowhere_when_a_file_of_another_tool_is_taken_over() {
    let (project, outside) = (Project::new(), tempfile::tempdir().unwrap());
    let entries = entries();
    assert!(entries.len() >= 1_000, "{}", entries.len());
    let har = json!({ "log": { "version": "1.2", "creator": { "name": "a", "version": "1" }, "entries": entries } });
    let file = outside.path().join("secrets.har");
    std::fs::write(&file, har.to_string()).unwrap();
    let mut command = project.command(&["cassette", "import", file.to_str().unwrap()]);
    let output = command.env("GRAPHDECK_LOG", "trace").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!is_marked(&output.stdout) && !is_marked(&output.stderr));
    assert!(project.cassette_json("secrets")["exchanges"].as_array().unwrap().len() >= 1_000);
    assert_eq!(leaks(project.path()), Vec::<String>::new());
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
}
