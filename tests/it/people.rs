//! Pseudonyms: nobody on disk, relations kept, and in a replay the run's own people in the answers.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::graph::{Asked, Graph, Reply};
use crate::support::{CONFIG, statuses};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::Path;

const STATUS: &str = "020286da-41c6-4700-8e2b-822e444187c3";
const CONFIG_FILE: &str = "[redact]\npeople = \"pseudonym\"\n";

/// Somebody, as a program and Graph know them.
#[derive(Clone, Copy)]
struct Person {
    upn: &'static str,
    name: &'static str,
    given: &'static str,
    id: &'static str,
    job: &'static str,
}

const ANNA: Person = Person {
    upn: "annuschka@contoso.com",
    name: "Annuschka Kareninova",
    given: "Annuschka",
    id: "26e90184-1029-4901-91f0-05454c445d59",
    job: "Clerk",
};
const ZOE: Person = Person {
    upn: "zoe.o'bronte@fabrikam.onmicrosoft.com",
    name: "Zoë O'Brontëova",
    given: "Zoë",
    id: "6e7b768e-07e2-4810-8459-485f84f8f204",
    job: "Counsel",
};
const IVAN: Person = Person {
    upn: "ivan@contoso.com",
    name: "Ivan Karamasow",
    given: "Ivan",
    id: "87d349ed-44d7-43e1-9a83-5f2406dee5bd",
    job: "Monk",
};
const MARIA: Person = Person {
    upn: "maria@contoso.com",
    name: "Maria Bolkonskaja",
    given: "Maria",
    id: "4782e723-f4f4-4af3-a76e-25e3bab0d896",
    job: "Heiress",
};

fn user(person: Person) -> Value {
    json!({
        "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users/$entity",
        "id": person.id, "displayName": person.name, "givenName": person.given, "userPrincipalName": person.upn,
        "mail": person.upn, "jobTitle": person.job, "proxyAddresses": [format!("SMTP:{}", person.upn), format!("smtp:x.{}", person.upn)],
    })
}

/// Graph, which knows two people.
fn answer(asked: &Asked) -> Reply {
    let path = asked.target.to_lowercase().replace("%27", "'").replace("%40", "@").replace("''", "'");
    let of = |person: &Person| path.contains(person.id) || path.contains(person.upn);
    let known = [ANNA, ZOE].into_iter().find(of);
    match (asked.method.as_str(), known) {
        ("POST", _) => {
            let mut body: Value = serde_json::from_slice(&asked.body).unwrap();
            body["id"] = format!("{STATUS}_{CONFIG}_{}", body["userId"].as_str().unwrap()).into();
            Reply::json(201, &body)
        }
        ("PATCH", Some(Person { upn, name, id, .. })) => {
            let inner = json!({ "userDisplayName": name, "Message": format!("Url: https://fef/users%28%27{id}%27%29 of {upn}") });
            let message = format!("{name} <{upn}> ({id}) may not be changed: {}", name.to_uppercase());
            Reply::json(
                400,
                &json!({ "error": { "code": "BadRequest", "message": message, "innerError": inner.to_string() } }),
            )
        }
        // As some servers write it: with escapes.
        ("GET", Some(person)) => Reply::new(200, user(person).to_string().replace('ë', "\\u00eb")),
        _ => Reply::json(404, &json!({ "error": { "code": "Request_ResourceNotFound", "message": "nobody" } })),
    }
}

type Answers = Vec<(u16, Value)>;

/// What a program does with each of some people.
async fn work(client: &Client, people: &[Person]) -> Answers {
    let mut answers = Vec::new();
    for person in people {
        let Person { upn, name, id, .. } = person;
        let key = upn.replace('\'', "%27%27").replace('@', "%40");
        let requests = [
            (
                Method::POST,
                statuses(CONFIG),
                Some(json!({ "userPrincipalName": upn, "userDisplayName": name, "userId": id, "status": "compliant" })),
            ),
            (Method::GET, format!("/v1.0/users('{}')?$select=id", key.to_uppercase().replace("%40", "@")), None),
            (
                Method::PATCH,
                format!("/v1.0/users/{id}"),
                Some(json!({ "otherMails": [format!("private.{upn}")], "jobTitle": "Clerk" })),
            ),
            (
                Method::GET,
                format!(
                    "/v1.0/users/{upn}?$filter=displayName%20eq%20'{}'",
                    name.replace('\'', "''").replace(' ', "%20").replace('ë', "%C3%AB")
                ),
                None,
            ),
        ];
        for (method, path, body) in requests {
            let request = client.request(method, format!("https://graph.microsoft.com{path}"));
            let request = request.header("content-type", "application/json");
            let response = request.body(body.map(|body| body.to_string()).unwrap_or_default()).send().await.unwrap();
            let status = response.status().as_u16();
            let body = response.text().await.unwrap();
            answers.push((status, serde_json::from_str(&body).unwrap_or(Value::String(body))));
        }
    }
    answers
}

/// What of somebody stands in a file below a folder, as raw bytes in any case of ASCII.
fn found(dir: &Path) -> Vec<String> {
    let mut told = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            told.extend(found(&path));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap().to_ascii_lowercase();
        for Person { upn, name, given, id, .. } in [ANNA, ZOE] {
            let local = upn.split('@').next().unwrap();
            for value in [upn, local, name, given, id] {
                let value = value.to_ascii_lowercase();
                if bytes.windows(value.len()).any(|part| part == value.as_bytes()) {
                    told.push(format!("{value} in {}", path.display()));
                }
            }
        }
    }
    told
}

fn nobody(project: &Project, when: &str) {
    assert_eq!(found(&project.file(".graphdeck")), [""; 0], "{when}");
    if project.file("cassettes").exists() {
        assert_eq!(found(&project.file("cassettes")), [""; 0], "{when}");
    }
}

async fn run(deck: &Deck<'_>, ca_pem: &str, people: &[Person]) -> Answers {
    work(&through(deck, ca_pem), people).await
}

/// The answers that a run with these people should get: those of the recording, with its people in the place of
/// others. What only Graph knows of somebody, such as the given name, is left out.
fn expected(recorded: &Answers, people: &[Person]) -> Vec<(u16, String)> {
    let rename = |(status, body): &(u16, Value)| {
        let mut text = told(body);
        let each = || [ANNA, ZOE].into_iter().zip(people).zip(["<1>", "<2>"]);
        // By way of marks, since two may have changed places.
        for ((was, _), mark) in each() {
            for (kind, was) in [("upn", was.upn), ("name", was.name), ("id", was.id)] {
                text = text.replace(was, &format!("{kind}{mark}"));
            }
            text = text.replace(&was.name.to_uppercase(), &format!("name{mark}"));
        }
        for ((_, is), mark) in each() {
            for (kind, is) in [("upn", is.upn), ("name", is.name), ("id", is.id)] {
                text = text.replace(&format!("{kind}{mark}"), is);
            }
        }
        (*status, text)
    };
    recorded.iter().map(rename).collect()
}

fn told(body: &Value) -> String {
    let mut body = body.clone();
    if let Some(members) = body.as_object_mut() {
        members.remove("givenName");
        members.remove("proxyAddresses");
    }
    // A principal name is the same in any case, and is given back as it was sent.
    let text = body.to_string();
    [ANNA, ZOE, IVAN, MARIA].iter().fold(text, |text, person| text.replace(&person.upn.to_uppercase(), person.upn))
}

fn got(answers: &Answers) -> Vec<(u16, String)> {
    answers.iter().map(|(status, body)| (*status, told(body))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_on_tape_and_a_replay_has_its_own_people() {
    let project = Project::new();
    project.write("config.toml", CONFIG_FILE);
    let graph = Graph::answering(answer).await;
    let ca_pem = project.run(&["ca"]).stdout;
    let killed = project.record("people", &graph, &["--all"]);
    run(&killed, &ca_pem, &[ANNA, ZOE]).await;
    nobody(&project, "while recording");
    killed.kill();
    nobody(&project, "after a crash");
    let key = std::fs::read(project.file(".graphdeck.key")).unwrap();
    let deck = project.record("people", &graph, &["--all"]);
    let recorded = run(&deck, &ca_pem, &[ANNA, ZOE]).await;
    let said = deck.stop();
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    nobody(&project, "at the end");
    assert_eq!(std::fs::read(project.file(".graphdeck.key")).unwrap(), key, "the key is made once");
    let cassette = project.cassette("people");
    assert!(cassette.contains("\"people\": \"pseudonym\"") && !cassette.contains(String::from_utf8_lossy(&key).trim()));
    assert_eq!(recorded[0].1["userPrincipalName"], ANNA.upn, "the program gets what Graph said");
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);

    // In a fresh clone, where there is neither the key nor this config.
    let clone = Project::new();
    clone.write("cassettes/people.json", &cassette);
    let ca_pem = clone.run(&["ca"]).stdout;
    for people in [[ANNA, ZOE], [IVAN, MARIA], [ZOE, ANNA]] {
        let deck = clone.replay("people", &["--strict"]);
        let answers = run(&deck, &ca_pem, &people).await;
        assert_eq!(got(&answers), expected(&recorded, &people));
        let said = deck.stop();
        assert_eq!(said.code, Some(0), "{}", said.stderr);
    }
    // Whom nobody named are stand-ins, the same for the same person.
    let deck = clone.replay("people", &[]);
    let first = run(&deck, &ca_pem, &[IVAN]).await;
    assert_eq!(first[1].1["givenName"], first[3].1["givenName"]);
    assert!(first[1].1["givenName"].as_str().unwrap().starts_with("Person-"), "{first:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_key_everybody_gets_their_own_answers_in_any_order() {
    let project = Project::new();
    project.write("config.toml", CONFIG_FILE);
    let graph = Graph::answering(answer).await;
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("people", &graph, &["--all"]);
    let recorded = run(&deck, &ca_pem, &[ANNA]).await;
    assert_eq!(deck.stop().code, Some(0));
    // Continued by another process, with the same key: the same person is the same one.
    let deck = project.record("people", &graph, &["--all", "--append"]);
    let more = run(&deck, &ca_pem, &[ZOE]).await;
    assert_eq!(deck.stop().code, Some(0));
    nobody(&project, "after --append");
    let deck = project.replay("people", &["--strict"]);
    let (zoe, anna) = (run(&deck, &ca_pem, &[ZOE]).await, run(&deck, &ca_pem, &[ANNA]).await);
    assert_eq!((got(&zoe), got(&anna)), (expected(&more, &[ANNA, ZOE]), expected(&recorded, &[ANNA, ZOE])));
    assert_eq!(deck.stop().code, Some(0));
}

#[test]
fn a_check_names_who_stands_in_a_pseudonymous_cassette_and_where() {
    let project = Project::new();
    let exchange = |url: &str, body: &Value| {
        let answer =
            json!({ "status": 200, "headers": { "x-by": format!("<{}>", ANNA.upn) }, "body": { "json": body } });
        json!({ "request": { "method": "GET", "url": format!("https://graph.microsoft.com/v1.0/{url}") }, "response": answer })
    };
    let listed = json!({ "value": [user(ANNA)], "of": { "lastModifiedBy": { "user": { "id": IVAN.id, "displayName": "Bob" } } } });
    let stand_in = json!({ "displayName": "Person-0123456789abcdef", "mail": "ada@example.com", "mailNickname": "9" });
    let exchanges = [exchange(&format!("users/{}/x", ZOE.id), &listed), exchange("me", &stand_in)];
    let cassette = |people: bool| {
        let mut cassette = json!({ "graphdeck": 1 });
        if people {
            cassette["people"] = "pseudonym".into();
        }
        cassette["ids"] = json!({});
        cassette["exchanges"] = exchanges.as_slice().into();
        cassette.to_string()
    };
    project.write("cassettes/claims.json", cassette(true));
    project.write("cassettes/claims-nothing.json", cassette(false));
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(2));
    insta::assert_snapshot!(checked.stdout);
    let file = project.file("cassettes/claims.json");
    let import = ["cassette", "import", file.to_str().unwrap(), "--force"];
    let refused = project.run(&import);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!("import", project.tidy(&refused.stderr));
    project.write("config.toml", CONFIG_FILE);
    let imported = project.run(&import);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert_eq!(found(&file.with_file_name("")).iter().filter(|line| line.ends_with("claims.json")).count(), 0);
    let checked = project.run(&["cassette", "check", "cassettes/claims.json"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sealing_finds_is_not_written_and_the_take_is_kept() {
    let project = Project::new();
    // A rule that finds its own work again.
    project.write("config.toml", "[[redact.rule]]\nname = \"endless\"\npattern = \"TICKET(?P<secret>.)\"\n");
    let graph = Graph::answering(|_| Reply::new(201, r#"{"note":"TICKET-77"}"#)).await;
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("kept", &graph, &[]);
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    through(&deck, &ca_pem).post(url).body("{}").send().await.unwrap();
    let said = deck.stop();
    assert_eq!(said.code, Some(2));
    assert!(!project.file("cassettes/kept.json").exists());
    insta::assert_snapshot!(project.tidy(
        said.stderr.lines().skip_while(|line| !line.contains("not written")).collect::<Vec<_>>().join("\n").as_str()
    ));
    // By the rules of a later day it is a cassette.
    project.write("config.toml", "[[redact.rule]]\nname = \"ticket\"\npattern = \"-[0-9]+\"\n");
    let exported = project.run(&["cassette", "export", "kept"]);
    assert!(exported.stdout.contains("REDACTED") && !exported.stdout.contains("-77"), "{}", exported.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pseudonymous_cassette_is_not_continued_with_people_in_it() {
    let project = Project::new();
    project.write("cassettes/p.json", r#"{"graphdeck":1,"people":"pseudonym","ids":{},"exchanges":[]}"#);
    let graph = Graph::answering(|_| Reply::new(200, "{}")).await;
    let ended = project.record_command("p", &graph, &["--append"], &["true"]);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(project.tidy(&ended.stderr));
}
