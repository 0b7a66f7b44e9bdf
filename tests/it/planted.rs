//! Two hundred kinds of secret in every place of a message, through every mode: not a byte of them is left anywhere.

use crate::redaction::{SECRET, leaks};
use crate::support::client::through;
use crate::support::deck::{Deck, Ended, Project};
use crate::support::graph::{Graph, Reply};
use crate::support::have;
use base64::Engine;
use graphdeck::tape::secrets::{Secrets, names};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A kind of secret, which says where it may stand.
#[derive(Clone, Debug)]
pub enum Kind {
    /// The member of an object, or the element of XML.
    Member(String),
    /// The field of a form or a query.
    Field(String),
    /// Any text.
    Text(String),
    Header(String),
}

/// The names that a rule by place has, in every way to write them.
fn spelled(name: &str) -> Vec<String> {
    let (mut snake, mut camel, mut up) = (String::new(), String::new(), false);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
        if c != '_' {
            camel.push(if up { c.to_ascii_uppercase() } else { c });
        }
        up = c == '_';
    }
    let mut spelled = vec![name.to_owned(), name.to_uppercase(), snake, camel];
    spelled.sort();
    spelled.dedup();
    spelled
}

pub fn kinds() -> Vec<Kind> {
    let shapes = graphdeck_shapes();
    let all: Vec<&str> = names().collect();
    let at = |name: &str| all.iter().position(|other| *other == name).unwrap();
    let (headers, members, fields) = (at("authorization"), at("access_token"), at("api_key"));
    let mut kinds = Vec::new();
    for header in &all[headers..members] {
        kinds.push(Kind::Header(header.replacen('*', "any-", 1).replace('*', "")));
    }
    for name in &all[members..fields] {
        kinds.extend(spelled(name).into_iter().map(Kind::Member));
    }
    for name in all[fields..].iter().chain(&[
        "access_token",
        "client_assertion",
        "client_secret",
        "id_token",
        "password",
        "refresh_token",
    ]) {
        kinds.extend(
            spelled(name).into_iter().filter(|name| !name.contains('-') || name == "subscription-key").map(Kind::Field),
        );
    }
    kinds.extend(shapes.into_iter().map(Kind::Text));
    kinds
}

/// Texts that are secrets by their own shape; each holds the mark.
fn graphdeck_shapes() -> Vec<String> {
    let mut texts = Vec::new();
    for header in
        ["eyJhbGciOiJub25lIn0", "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9", "eyJhbGciOiJkaXIifQ", "eyJhbGciOiJFUzI1NiJ9"]
    {
        texts.push(format!("{header}.eyJ{SECRET}.c2lnbmF0dXJl"));
        texts.push(format!("{header}.{SECRET}."));
        texts.push(format!("{header}.abcd.{SECRET}.efgh.ijkl"));
    }
    for scheme in ["Bearer", "bearer", "BEARER"] {
        texts.push(format!("{scheme} EwBwA8l6BAAU{SECRET}"));
    }
    for kind in ["0.AXoA", "1.AcYA"] {
        texts.push(format!("{kind}abcdefghijklmnop.AgABAwEAAADW{SECRET}{SECRET}{SECRET}"));
    }
    for kind in ["", "RSA ", "EC ", "ENCRYPTED ", "OPENSSH ", "DSA ", "ANY ", "X25519 "] {
        texts.push(format!("-----BEGIN {kind}PRIVATE KEY-----\nMII{SECRET}\n-----END {kind}PRIVATE KEY-----"));
        texts.push(format!("-----BEGIN {kind}PRIVATE KEY-----\nMII{SECRET}"));
    }
    for host in [
        "x.blob.core.windows.net",
        "y.table.core.windows.net",
        "z.queue.core.windows.net",
        "s.servicebus.windows.net",
        "f.file.core.windows.net",
    ] {
        texts.push(format!("https://{host}/c?sv=2024&sig=abcd{SECRET}%3D"));
    }
    for begin in ["abc8Q~", "x.Y3Q~", "-_z0Q~"] {
        texts.push(format!("{begin}{SECRET}{SECRET}~a"));
    }
    for key in ["AccountKey", "SharedAccessKey", "SharedSecretKey", "PrimaryKey", "SecondaryKey"] {
        texts.push(format!("Name=a;{key}={SECRET}==;EndpointSuffix=core.windows.net"));
    }
    for scheme in [
        "https",
        "ftp",
        "postgres",
        "mongodb+srv",
        "amqp",
        "redis",
        "mysql",
        "sb",
        "ssh",
        "wss",
        "ldaps",
        "smtp",
        "imaps",
        "nats",
        "mssql",
        "http",
        "git+ssh",
        "rediss",
    ] {
        texts.push(format!("{scheme}://user:{SECRET}@example.com/"));
    }
    for kind in ["ghp", "gho", "ghu", "ghs", "ghr"] {
        texts.push(format!("{kind}_{SECRET}{SECRET}{SECRET}"));
    }
    texts.push(format!("github_pat_{SECRET}{SECRET}{SECRET}{SECRET}"));
    for kind in ["xoxb", "xoxp", "xoxa", "xoxs", "xoxr", "xoxe"] {
        texts.push(format!("{kind}-{SECRET}"));
    }
    // The mark itself is half of it.
    texts.extend(["AKIA", "ASIA"].map(|begin| format!("{begin}{SECRET}")));
    texts
}

/// The bodies in which a kind stands, one for each place that has room for it.
pub fn bodies(kind: &Kind) -> Vec<(&'static str, Vec<u8>)> {
    let mut bodies: Vec<(&str, String)> = Vec::new();
    let json = "application/json";
    match kind {
        Kind::Member(name) => {
            let member = json!({ name: SECRET, "n": 1 });
            let number = json!({ name: 1 }).to_string();
            let escaped = format!(r#"{{"\u00{:x}{}":"{SECRET}"}}"#, name.as_bytes()[0], &name[1..]);
            bodies.push((json, member.to_string()));
            bodies.push((
                json,
                serde_json::to_string_pretty(&json!({ "deep": [{ "of": member }], "a": number })).unwrap(),
            ));
            bodies.push((json, json!({ "message": member.to_string() }).to_string()));
            bodies.push((json, json!({ "message": json!({ "inner": member.to_string() }).to_string() }).to_string()));
            bodies.push((json, escaped.clone()));
            bodies.push((json, json!({ "message": escaped }).to_string()));
            // As .NET writes a text within JSON.
            let quoted = member.to_string().replace('"', "\\u0022");
            bodies.push((json, format!(r#"{{"message":"{quoted}"}}"#)));
            bodies.push((
                json,
                json!({ "requests": [{ "id": "1", "method": "POST", "url": "/x", "body": member }] }).to_string(),
            ));
            bodies.push((
                json,
                json!({ "error": { "code": "BadRequest", "message": member.to_string(), "innerError": member } })
                    .to_string(),
            ));
            let xml = format!("<a><{name} b=\"c\">{SECRET}</{name}></a>");
            bodies.push((json, json!({ "payload": xml }).to_string()));
            bodies.push(("application/xml", xml));
            bodies.push(("application/xml", format!("<dict><key>{name}</key>\n<string>{SECRET}</string></dict>")));
            let part =
                format!("--b\r\nContent-Type: application/http\r\n\r\nPOST /x HTTP/1.1\r\n\r\n{member}\r\n--b--\r\n");
            bodies.push(("multipart/mixed; boundary=b", part));
        }
        Kind::Field(name) => {
            bodies.push(("application/x-www-form-urlencoded", format!("{name}={SECRET}")));
            bodies.push(("application/x-www-form-urlencoded", format!("grant_type=x&{name}={SECRET}%2B&scope=y")));
            // As .NET and Go write an address in JSON.
            bodies.push((json, format!(r#"{{"next":"https://h/x?a=b\u0026{name}={SECRET}\u0026c=d"}}"#)));
            let part = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{SECRET}\r\n--b--\r\n");
            bodies.push(("multipart/form-data; boundary=b", part));
            bodies.push((
                json,
                json!({ "requests": [{ "id": "1", "method": "GET", "url": format!("/x?{name}={SECRET}") }] })
                    .to_string(),
            ));
        }
        Kind::Text(text) => {
            bodies.push(("text/plain", format!("see {text}")));
            bodies.push((json, json!({ "note": text }).to_string()));
            let escape = |part: &str| part.bytes().map(|byte| format!("\\u{byte:04x}")).collect::<String>();
            let escaped: Vec<String> = text.split(SECRET).map(escape).collect();
            bodies.push((json, format!(r#"{{"note":"{}"}}"#, escaped.join(SECRET))));
            bodies.push((json, json!({ "m": json!({ "note": text }).to_string() }).to_string()));
            bodies.push((
                json,
                json!({ "responses": [{ "id": "1", "status": 400, "body": { "error": { "message": text } } }] })
                    .to_string(),
            ));
            let form = reqwest::Url::parse_with_params("https://h/", [("note", text)]).unwrap();
            bodies.push(("application/x-www-form-urlencoded", form.query().unwrap().to_owned()));
            bodies.push(("application/xml", format!("<note>{text}</note>")));
        }
        Kind::Header(_) => {}
    }
    let mut bodies: Vec<_> = bodies.into_iter().map(|(kind, body)| (kind, body.into_bytes())).collect();
    if let Kind::Text(text) = kind {
        bodies.push(("application/octet-stream", [b"\xff\xfe ", text.as_bytes()].concat()));
    }
    bodies
}

/// Whether any of the marks is in a text, in base64 too.
pub fn is_marked(text: &[u8]) -> bool {
    let coded = base64::engine::general_purpose::STANDARD.encode(format!("user:{SECRET}"));
    [SECRET, coded.as_str()].iter().any(|mark| text.windows(mark.len()).any(|part| part == mark.as_bytes()))
}

#[test]
fn every_kind_is_taken_out_in_every_place() {
    let kinds = kinds();
    assert!(kinds.len() >= 200, "{}", kinds.len());
    let secrets = Secrets::default();
    let (mut places, mut left) = (0, Vec::new());
    for kind in &kinds {
        if let Kind::Header(name) = kind {
            assert!(secrets.hide_header(name), "{name}");
        }
        for (content, body) in bodies(kind) {
            places += 1;
            let request = graphdeck::tape::exchange::Request {
                method: "POST".into(),
                host: "graph.microsoft.com".into(),
                target: "/v1.0/x".into(),
                headers: [("content-type", content)].into_iter().collect(),
                body: body.into(),
            };
            assert!(is_marked(&request.body), "{kind:?}");
            let taped = graphdeck::tape::scribe::tape_request(request, &secrets);
            if is_marked(&taped.body) {
                left.push(format!("{content}: {}", String::from_utf8_lossy(&taped.body)));
            }
        }
    }
    assert_eq!(left, [""; 0]);
    assert!(places >= 1_000, "{places}");
}

pub fn deck<'a>(project: &'a Project, mode: &str, report: &str, options: &[&str]) -> Deck<'a> {
    let mut command = project.command(&[mode, "secrets", "--listen", "127.0.0.1:0", "--report", report]);
    command.args(options).env("GRAPHDECK_LOG", "trace");
    Deck::spawn(project, command)
}

/// Says all kinds to a deck: in each place one after another, kinds of one place in one message where that goes.
async fn say(deck: &Deck<'_>, ca_pem: &str, path: &str) {
    let client = through(deck, ca_pem);
    let url = format!("https://graph.microsoft.com{path}");
    let mut by_place: std::collections::BTreeMap<(&str, usize), Vec<Vec<u8>>> = Default::default();
    for kind in kinds() {
        for (place, (content, body)) in bodies(&kind).into_iter().enumerate() {
            by_place.entry((content, place)).or_default().push(body);
        }
        let request = match &kind {
            Kind::Header(name) => client.get(&url).header(name, format!("Basic {SECRET}")),
            Kind::Field(name) => client.get(format!("{url}?a=b&{name}={SECRET}#x")),
            Kind::Text(text) if text.contains('\n') => {
                client.get(reqwest::Url::parse_with_params(&url, [("q", text)]).unwrap())
            }
            Kind::Text(text) => {
                client.get(reqwest::Url::parse_with_params(&url, [("q", text)]).unwrap()).header("x-note", text)
            }
            Kind::Member(_) => continue,
        };
        request.send().await.unwrap();
    }
    for ((content, _), bodies) in by_place {
        let post = async |body: Vec<u8>, coding: Option<&str>| {
            let request = client.post(&url).header("content-type", content).body(body);
            let request =
                coding.into_iter().fold(request, |request, coding| request.header("content-encoding", coding));
            request.send().await.unwrap().bytes().await.unwrap();
        };
        let whole: Vec<u8> = match content {
            "application/json" => {
                let values: Vec<Value> = bodies.iter().map(|body| serde_json::from_slice(body).unwrap()).collect();
                Value::from(values).to_string().into_bytes()
            }
            "application/x-www-form-urlencoded" => bodies.join(&b"&"[..]),
            _ => bodies.join(&b"\r\n"[..]),
        };
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&whole).unwrap();
        post(gzip.finish().unwrap(), Some("gzip")).await;
        post(whole, None).await;
        // As they are too, escapes and all.
        post(bodies[0].clone(), None).await;
    }
}

/// Says secrets where no exchange is: in the head of a CONNECT, to the deck's own pages, by the user of a proxy.
fn say_aside(deck: &Deck<'_>) {
    let credentials = base64::engine::general_purpose::STANDARD.encode(format!("user:{SECRET}"));
    let secrets = format!(
        "Proxy-Authorization: Basic {credentials}\r\nAuthorization: Bearer {SECRET}{SECRET}\r\nCookie: {SECRET}\r\nX-Api-Key: {SECRET}\r\n"
    );
    let body =
        json!({ "password": SECRET, "cassette": "none", "seed": format!("Bearer {SECRET}{SECRET}") }).to_string();
    let mut heads = vec![
        format!("CONNECT graph.microsoft.com:443 HTTP/1.1\r\nHost: graph.microsoft.com:443\r\n{secrets}\r\n"),
        format!("CONNECT nobody.invalid:443 HTTP/1.1\r\nHost: nobody.invalid:443\r\n{secrets}\r\n"),
        format!(
            "GET http://graph.microsoft.com/v1.0/me?access_token={SECRET} HTTP/1.1\r\nHost: graph.microsoft.com\r\n{secrets}\r\n"
        ),
    ];
    for page in ["health", "report", "sessions", "sessions/none", "ca.pem", "nothing"] {
        for method in ["GET", "POST", "PUT", "DELETE"] {
            heads.push(format!(
                "{method} /_graphdeck/{page}?access_token={SECRET}&sig={SECRET} HTTP/1.1\r\nHost: 127.0.0.1\r\n{secrets}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            ));
        }
    }
    for head in heads {
        let mut stream = std::net::TcpStream::connect(deck.address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        // Some are cut off, since they never say what they opened a tunnel for.
        let _ = stream.read_to_end(&mut answer);
    }
}

pub fn unmarked(said: &Ended) {
    for text in [&said.stderr, &said.stdout] {
        let line = text.lines().find(|line| is_marked(line.as_bytes()));
        assert_eq!(line, None);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn planted_secrets_are_nowhere_whatever_they_stand_in() {
    let project = Project::new();
    let ca_pem = project.run(&["ca"]).stdout;
    // What is posted comes back, in the body and in headers, every third time as an error.
    let count = AtomicUsize::new(0);
    let graph = Graph::answering(move |asked| {
        let status = if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(3) { 400 } else { 201 };
        let mut reply = Reply::new(status, "").with("link", &format!("<https://h/x?sig=abcdefgh{SECRET}>; rel=\"x\""));
        reply.body = asked.body.clone();
        for header in ["content-type", "content-encoding"] {
            if let Some(value) = asked.headers.get(header) {
                reply = reply.with(header, value.to_str().unwrap());
            }
        }
        reply.with("x-ms-access-token", SECRET).with("www-authenticate", &format!("Bearer claims=\"eyJ{SECRET}=\""))
    })
    .await;
    let connect_to = format!("graph.microsoft.com={}", graph.address);
    let ca_file = graph.ca_file();
    let upstream = ["--all", "--connect-to", connect_to.as_str(), "--upstream-ca", ca_file.to_str().unwrap()];

    let killed = deck(&project, "record", "report.json", &upstream);
    say(&killed, &ca_pem, "/v1.0/x").await;
    say_aside(&killed);
    assert!(graph.asked().iter().any(|asked| is_marked(&asked.body)), "Graph gets what the client said");
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "while recording");
    killed.kill();
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "after a crash");
    let sealed = deck(&project, "record", "report.json", &upstream);
    say(&sealed, &ca_pem, "/v1.0/x").await;
    let said = sealed.stop();
    project.write("record.log", &said.stderr);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    unmarked(&said);

    for report in ["report.xml", "report.md"] {
        let replaying = deck(&project, "replay", report, &[]);
        say_aside(&replaying);
        say(&replaying, &ca_pem, if report == "report.md" { "/v1.0/missed" } else { "/v1.0/x" }).await;
        let said = replaying.stop();
        project.write(&format!("{report}.log"), &said.stderr);
        unmarked(&said);
    }
    let request = format!(
        "POST https://graph.microsoft.com/v1.0/x?code={SECRET}\nAuthorization: Bearer {SECRET}\n\n{{\"password\":\"{SECRET}\"}}\n"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), request).unwrap();
    unmarked(&project.run(&["explain", "secrets", file.path().to_str().unwrap()]));
    assert_eq!(leaks(project.path()), Vec::<String>::new(), "at the end");
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    agrees(&project);
}

/// Sees that a scanner that others made finds nothing in cassettes, reports and logs, and does in what was sent.
fn agrees(project: &Project) {
    if !have("detect-secrets") {
        return;
    }
    let demo = concat!(env!("CARGO_MANIFEST_DIR"), "/cassettes/user-statuses.json");
    let files = [
        "cassettes/secrets.json",
        "report.json",
        "report.xml",
        "report.md",
        "record.log",
        "report.xml.log",
        "report.md.log",
        demo,
    ];
    files.iter().for_each(|file| assert!(project.file(file).is_file(), "{file}"));
    assert_eq!(scanned(project, &files), [""; 0]);
    let sent = graphdeck_shapes().join("\n\n");
    project.write("sent.txt", sent);
    let found = scanned(project, &["sent.txt"]);
    assert!(found.len() >= 10, "{found:?}");
}

/// What detect-secrets finds in files, but for what has only much chance in it, as the ids have of which a recording is
/// full, and for the word that stands in the place of a secret.
fn scanned(project: &Project, files: &[&str]) -> Vec<String> {
    let mut command = std::process::Command::new("detect-secrets");
    command.current_dir(project.path()).args(["scan", "--all-files", "--no-verify", "--exclude-secrets", "REDACTED"]);
    for plugin in ["Base64HighEntropyString", "HexHighEntropyString"] {
        command.args(["--disable-plugin", plugin]);
    }
    let ended = command.args(files).output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    let told: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let found = told["results"].as_object().unwrap().iter();
    let line =
        |(file, finding): (&String, &Value)| format!("{file}, line {}: {}", finding["line_number"], finding["type"]);
    found
        .flat_map(|(file, findings)| findings.as_array().unwrap().iter().map(move |finding| (file, finding)))
        .map(line)
        .collect()
}

#[test]
fn a_crash_leaves_no_memory_behind() {
    use std::os::unix::process::ExitStatusExt;
    let project = Project::new();
    let cassettes = concat!(env!("CARGO_MANIFEST_DIR"), "/cassettes");
    // Core files are allowed as far as they can be.
    let deck =
        project.command(&["replay", "user-statuses", "--cassettes", cassettes, "--", "sh", "-c", "kill -ABRT $PPID"]);
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "ulimit -c $(ulimit -H -c); exec \"$0\" \"$@\""]).arg(deck.get_program()).args(deck.get_args());
    shell.current_dir(project.path()).env("HOME", project.path()).env("XDG_DATA_HOME", project.file("data"));
    let ended = shell.output().unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!((ended.status.signal(), ended.status.core_dumped()), (Some(6), false), "{said}");
}
