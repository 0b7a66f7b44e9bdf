//! Requests that come again on a connection are answered at once, with the same bytes as by the long way.

use crate::support::by_hand::{Stream, connect, inside};
use crate::support::client::trusting;
use crate::support::deck::{Deck, Project};
use crate::support::{CONFIG, OTHER_CONFIG};
use base64::Engine as _;
use serde_json::{Value, json};
use std::sync::Arc;

/// A connection that stays.
struct Client {
    stream: Box<dyn Stream>,
    /// What came of the next answer already.
    ahead: Vec<u8>,
    host: &'static str,
    session: &'static str,
    /// How many requests it sent, where each is to have other fields than the one before: it goes the long way then.
    turns: Option<usize>,
}

impl Client {
    fn new(deck: &Deck<'_>, session: &'static str, is_long: bool) -> Self {
        Self::on(Box::new(connect(deck)), "localhost", session, is_long)
    }

    fn on(stream: Box<dyn Stream>, host: &'static str, session: &'static str, is_long: bool) -> Self {
        Self { stream, ahead: Vec::new(), host, session, turns: is_long.then_some(0) }
    }

    fn request(&mut self, line: &str, fields: &str, body: &str) -> String {
        self.turns = self.turns.map(|turns| turns + 1);
        let (host, session, turn) = (self.host, self.session, self.turns.unwrap_or(0));
        let own = format!("Host: {host}\r\nX-Graphdeck-Session: {session}\r\nX-Turn: {turn}\r\n");
        let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        format!("{line} HTTP/1.1\r\n{own}{fields}{length}\r\n{body}")
    }

    /// One answer, by its length; none where the deck has ended the connection.
    fn receive(&mut self) -> Option<String> {
        let mut read = std::mem::take(&mut self.ahead);
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = read.windows(4).position(|at| at == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&read[..end]).into_owned();
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let whole = end + 4 + length.map_or(0, |length| length.parse().unwrap());
                if read.len() >= whole {
                    self.ahead = read.split_off(whole);
                    return Some(read.into_iter().map(char::from).collect());
                }
            }
            let count = self.stream.read(&mut buffer).unwrap();
            if count == 0 {
                assert!(read.is_empty(), "{}", String::from_utf8_lossy(&read));
                return None;
            }
            read.extend_from_slice(&buffer[..count]);
        }
    }

    fn send(&mut self, requests: &str) {
        self.stream.write_all(requests.as_bytes()).unwrap();
    }

    fn ask(&mut self, line: &str, fields: &str, body: &str) -> String {
        let request = self.request(line, fields, body);
        self.send(&request);
        self.receive().expect("an answer")
    }
}

fn exchange(method: &str, path: &str, body: &Value, status: u16, headers: &Value, answer: &Value) -> Value {
    let mut request = json!({
        "method": method,
        "url": format!("https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations/{path}"),
        "headers": { "content-type": "application/json" }
    });
    if !body.is_null() {
        request["body"] = json!({ "json": body });
    }
    let mut response = json!({ "status": status, "headers": headers });
    if !answer.is_null() {
        response["body"] = json!({ "json": answer });
    }
    json!({ "request": request, "response": response })
}

/// A project with a cassette of answers of all kinds, and a replay of it.
fn project(config: &str) -> Project {
    let config_path = "{{deviceConfigurations.1}}";
    let plain = json!({ "content-type": "application/json" });
    let twice = json!({ "vary": ["Accept-Encoding", "Origin"], "content-type": "application/json", "request-id": "{{userStatuses.1}}",
        "client-request-id": "{{userStatuses.1}}" });
    let located = json!({ "location": format!("/{config_path}/userStatuses/{{{{userStatuses.1}}}}"), "content-type": "application/json" });
    let status = |name: &str| json!({ "userDisplayName": name, "status": "compliant" });
    let shown = json!({ "id": "{{userStatuses.1}}", "userDisplayName": "A" });
    let exchanges = [
        exchange("POST", &format!("{config_path}/userStatuses"), &status("A"), 201, &located, &shown),
        exchange(
            "GET",
            &format!("{config_path}/userStatuses/{{{{userStatuses.1}}}}"),
            &Value::Null,
            200,
            &twice,
            &shown,
        ),
        exchange("PATCH", config_path, &json!({ "displayName": "B" }), 204, &plain, &Value::Null),
        exchange("DELETE", config_path, &Value::Null, 204, &json!({}), &Value::Null),
        exchange("GET", &format!("{config_path}/a"), &Value::Null, 304, &json!({ "etag": "W/\"1\"" }), &Value::Null),
        exchange("GET", &format!("{config_path}/b"), &Value::Null, 404, &plain, &json!({ "error": { "code": "x" } })),
        exchange("GET", &format!("{config_path}/c"), &Value::Null, 299, &json!({}), &Value::Null),
        exchange("HEAD", &format!("{config_path}/d"), &Value::Null, 200, &plain, &Value::Null),
        exchange(
            "GET",
            &format!("{config_path}/large"),
            &Value::Null,
            200,
            &plain,
            &json!({ "text": "x".repeat(400_000) }),
        ),
    ];
    let mut photo = exchange("GET", &format!("{config_path}/photo"), &Value::Null, 200, &json!({}), &Value::Null);
    let bytes = base64::engine::general_purpose::STANDARD.encode(vec![0xff; BINARY]);
    photo["response"]["body"] = json!({ "base64": bytes });
    let exchanges: Vec<_> = exchanges.into_iter().chain([photo]).collect();
    let cassette = json!({
        "graphdeck": 1,
        "ids": { "deviceConfigurations.1": CONFIG, "userStatuses.1": "7e323db2-3db2-7e32-b23d-327eb23d327e" },
        "exchanges": exchanges
    });
    let project = Project::new();
    project.write("cassettes/all.json", cassette.to_string());
    project.write("config.toml", config);
    project
}

/// An answer of so many bytes that no text can hold.
const BINARY: usize = 300_000;

/// The requests of a program; `{c}` is its configuration, `{s}` the status that it was told of.
const REQUESTS: [(&str, &str); 9] = [
    (
        "POST /beta/deviceManagement/deviceConfigurations/{c}/userStatuses",
        r#"{"userDisplayName":"A","status":"compliant"}"#,
    ),
    (
        "POST /beta/deviceManagement/deviceConfigurations/{c}/userStatuses",
        r#"{"userDisplayName":"A", "status":"compliant"}"#,
    ),
    ("GET /beta/deviceManagement/deviceConfigurations/{c}/userStatuses/{s}", ""),
    ("PATCH /beta/deviceManagement/deviceConfigurations/{c}", r#"{"displayName":"B"}"#),
    ("DELETE /beta/deviceManagement/deviceConfigurations/{c}", ""),
    ("GET /beta/deviceManagement/deviceConfigurations/{c}/a", ""),
    ("GET /beta/deviceManagement/deviceConfigurations/{c}/b", ""),
    ("GET /beta/deviceManagement/deviceConfigurations/{c}/c", ""),
    ("GET /beta/deviceManagement/deviceConfigurations/{c}/nowhere", ""),
];

/// Marks of calls, as clients send them.
const MARKS: [&str; 6] = [
    "",
    "client-request-id: 1-a\r\n",
    "client-request-id: 22-bb\r\n",
    "Client-Request-Id: a b\r\n",
    "client-request-id: a b\r\nclient-request-id: x\r\n",
    "client-request-id:\r\nclient-request-id: x\r\n",
];

/// Asks both ways, some times and for several configurations, and sees that the answers are the same to the byte.
fn agree(long: &mut Client, short: &mut Client) {
    let mut status = "7e323db2-3db2-7e32-b23d-327eb23d327e".to_owned();
    for config in [CONFIG, OTHER_CONFIG, "22222222-2222-4333-8444-555555555555"] {
        for (line, body) in REQUESTS {
            for mark in MARKS {
                // Three times, so that also a mark that is the same each time is one of before.
                for _ in 0..3 {
                    let line = line.replace("{c}", config).replace("{s}", &status);
                    let told = long.ask(&line, mark, body);
                    assert_eq!(short.ask(&line, mark, body), told, "{line} {mark}");
                    if let Some((_, id)) = told.split_once("{\"id\":\"").filter(|_| line.starts_with("POST")) {
                        id[..36].clone_into(&mut status);
                    }
                }
            }
        }
    }
}

#[test]
fn an_answer_has_the_same_bytes_whichever_way_it_is_found() {
    let project = project("");
    let deck = project.replay("all", &[]);
    agree(&mut Client::new(&deck, "long", true), &mut Client::new(&deck, "short", false));
    let config = Arc::new(trusting(&project.run(&["ca"]).stdout));
    let within =
        |session, is_long| Client::on(Box::new(inside(&deck, &config)), "graph.microsoft.com", session, is_long);
    agree(&mut within("long", true), &mut within("short", false));
    let counts = ["long", "short"].map(|session| {
        let report = Client::new(&deck, session, true).ask(&format!("GET /_graphdeck/sessions/{session}"), "", "");
        let report: Value = serde_json::from_str(report.split_once("\r\n\r\n").unwrap().1).unwrap();
        ["answered", "repeats", "missed", "unused"].map(|name| report[name].as_u64().unwrap())
    });
    assert_eq!(counts, [[864, 857, 108, 3]; 2]);
}

const POST: (&str, &str) = ("POST /beta/deviceManagement/deviceConfigurations/{c}/userStatuses", REQUESTS[0].1);

/// The same POST for another configuration each time.
fn post(client: &mut Client, number: u32) -> String {
    let line = POST.0.replace("{c}", &format!("{number:08x}-2222-4333-8444-555555555555"));
    client.request(&line, "", POST.1)
}

#[test]
fn what_comes_in_one_piece_with_others_is_answered_in_order() {
    let project = project("");
    let deck = project.replay("all", &[]);
    let (mut long, mut short) = (Client::new(&deck, "long", true), Client::new(&deck, "short", false));
    // Up to three at once, of which the last is cut in two.
    for first in (0..60).step_by(6) {
        let told: Vec<_> = (first..first + 6)
            .map(|number| {
                let request = post(&mut long, number);
                long.send(&request);
                long.receive().unwrap()
            })
            .collect();
        let [a, b, c, d, e, f] = [0, 1, 2, 3, 4, 5].map(|at| post(&mut short, first + at));
        let (begun, rest) = d.split_at(d.len() - first as usize);
        short.send(&[&a, &b, &c, begun].concat());
        let mut heard: Vec<_> = (0..3).map(|_| short.receive().unwrap()).collect();
        short.send(&[rest, &e].concat());
        heard.extend((0..2).map(|_| short.receive().unwrap()));
        short.send(&f);
        heard.push(short.receive().unwrap());
        assert_eq!(heard, told);
    }
}

#[test]
fn a_client_that_does_not_read_gets_all_its_answers_later() {
    let project = project("");
    let deck = project.replay("all", &[]);
    for what in ["large", "photo"] {
        let mut client = Client::new(&deck, "short", false);
        let line = format!("GET /beta/deviceManagement/deviceConfigurations/{CONFIG}/{what}");
        let first = client.ask(&line, "", "");
        assert!(first.len() > BINARY);
        // More than what lies in sockets between the two.
        let count = 40;
        let request = client.request(&line, "", "");
        for _ in 0..count {
            client.send(&request);
        }
        for _ in 0..count {
            assert!(client.receive().unwrap() == first, "the same answer again");
        }
    }
}

#[test]
fn a_session_that_was_put_back_is_at_its_begin_for_those_who_were_there() {
    let project = project("");
    let deck = project.replay("all", &[]);
    let mut client = Client::new(&deck, "short", false);
    let answers = |client: &mut Client| {
        [1, 1, 2, 2].map(|number| {
            let request = post(client, number);
            client.send(&request);
            client.receive().unwrap()
        })
    };
    let first = answers(&mut client);
    assert_ne!(first[0], first[1], "another entity");
    assert!(answers(&mut client).iter().all(|answer| !first.contains(answer)), "and others again");
    let mut other = Client::new(&deck, "other", true);
    assert!(other.ask("POST /_graphdeck/sessions/short/reset", "", "").starts_with("HTTP/1.1 200"));
    assert_eq!(answers(&mut client), first);
    assert!(other.ask("DELETE /_graphdeck/sessions/short", "", "").starts_with("HTTP/1.1 200"));
    assert_eq!(answers(&mut client), first, "a new session of that name");
}

#[test]
fn a_connection_ends_after_its_requests() {
    let project = project("[limits]\nrequests_per_connection = 5\n");
    let deck = project.replay("all", &[]);
    let mut client = Client::new(&deck, "short", false);
    for number in 1..=5 {
        let request = post(&mut client, number);
        client.send(&request);
        client.receive().unwrap();
    }
    assert_eq!(client.receive(), None);
}

#[test]
fn the_deck_ends_while_connections_wait() {
    let project = project("");
    let deck = project.replay("all", &[]);
    let mut client = Client::new(&deck, "short", false);
    for number in 0..5 {
        let request = post(&mut client, number);
        client.send(&request);
        client.receive().unwrap();
    }
    let ended = deck.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert_eq!(client.receive(), None);
}
