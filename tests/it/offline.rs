//! Promise 1, seen from the kernel: a replay makes no connection, and needs no network but this machine's own.

use crate::support::deck::Project;
use crate::support::documented::examples;
use crate::support::graph::Graph;
use crate::support::{have, left_out};
use std::process::{Command, Output, Stdio};

/// Runs a program under a trace of what its own process asks of the network; what it starts is left alone.
const TRACED: [&str; 8] = ["strace", "-f", "-b", "execve", "-s", "0", "-e", "trace=%network,io_uring_setup"];
/// Runs a program where there is no network but an own loopback.
const ALONE: [&str; 6] = [
    "unshare",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && exec \"$0\" \"$@\"",
];

/// Whether a program can be run so: not everybody may trace, or unshare. CI must be able to do one of them.
fn able(prefix: &[&str], programs: &[&str]) -> bool {
    let can = |prefix: &[&str]| {
        let outcome = Command::new(prefix[0]).args(&prefix[1..]).arg("true").output();
        outcome.is_ok_and(|output| output.status.success())
    };
    if programs.iter().any(|program| !have(program)) {
        return false;
    }
    let able = can(prefix);
    if !able {
        assert!(
            std::env::var_os("CI").is_none() || can(&TRACED) || can(&ALONE),
            "neither strace nor unshare is allowed, and CI leaves the proof out in no case"
        );
        left_out(&format!("`{} true` fails here", prefix.join(" ")));
    }
    able
}

/// The documented examples as curl reads them, each asked in one way in.
fn suite(before: &str, base: &str) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let requests: Vec<String> = examples()
        .into_iter()
        .map(|example| {
            let body = example.sent.map(|body| body.to_string());
            let body = body.map(|body| format!("data = {}\n", quoted(&body))).unwrap_or_default();
            let url = quoted(&format!("{base}{}", example.path));
            format!("{before}silent\nshow-error\nrequest = {}\nurl = {url}\n{body}header = \"content-type: application/json\"\nwrite-out = \"%{{http_code}}\\n\"\noutput = \"/dev/null\"\n", example.method)
        })
        .collect();
    requests.join("next\n")
}

/// A program that goes through all examples by every way in, then asks for what the deck does not answer, and signs in.
fn program(project: &Project) -> String {
    let own = "http://graph.microsoft.com";
    for (name, before, base) in [
        ("connect", "", "https://graph.microsoft.com"),
        ("absolute", "proxy = \"@PROXY@\"\n", own),
        ("tls", "noproxy = \"*\"\nconnect-to = \"::@HOST@\"\n", "https://graph.microsoft.com"),
        ("reverse", "noproxy = \"*\"\n", "@PROXY@"),
    ] {
        project.write(name, suite(before, base));
    }
    let script = "set -eu\n\
        for way in connect absolute tls reverse; do\n\
        \x20   sed \"s|@PROXY@|$GRAPHDECK_URL|; s|@HOST@|${GRAPHDECK_URL#http://}|\" $way > $way.now\n\
        \x20   curl --config $way.now\n\
        done\n\
        ask() { curl --silent --output /dev/null --write-out '%{http_code} %{http_connect}\\n' \"$@\" || true; }\n\
        ask https://graph.microsoft.com/v1.0/users\n\
        ask https://bank.example/\n\
        ask --proxy \"$GRAPHDECK_URL\" http://bank.example/\n\
        ask https://login.microsoftonline.com/common/oauth2/v2.0/token --data grant_type=client_credentials\n";
    project.write("program.sh", script).to_string_lossy().into_owned()
}

/// Replays the demo's cassette to that program, under another; sees that all was answered as it should be.
fn replay(project: &Project, prefix: &[&str]) -> Output {
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let program = program(project);
    let plain = project.command(&["replay", "user-statuses", "--", "sh", &program]);
    let output = under(prefix, &plain).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let codes = String::from_utf8_lossy(&output.stdout).into_owned();
    let codes: Vec<&str> = codes.lines().collect();
    let (documented, beyond) = codes.split_at(codes.len().saturating_sub(4));
    let expected: Vec<String> = examples().iter().map(|example| example.status.to_string()).collect();
    assert_eq!(documented, [&expected[..]; 4].concat(), "{said}");
    assert_eq!(beyond, ["501 200", "000 403", "403 000", "200 200"], "{said}");
    assert!(said.contains("140 answered"), "{said}");
    output
}

/// The same command, run by another.
fn under(prefix: &[&str], plain: &Command) -> Command {
    let mut command = Command::new(prefix[0]);
    command.args(&prefix[1..]).arg(plain.get_program()).args(plain.get_args());
    command.current_dir(plain.get_current_dir().unwrap()).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
}

/// What the deck's own process asked of the network, a line for each call.
fn traced(project: &Project, run: impl FnOnce(&[&str])) -> Vec<String> {
    let file = project.file("trace").to_string_lossy().into_owned();
    run(&[&TRACED[..], &["-o", &file]].concat());
    std::fs::read_to_string(file).unwrap().lines().map(str::to_owned).collect()
}

fn calls<'a>(trace: &'a [String], name: &str) -> Vec<&'a String> {
    trace.iter().filter(|line| line.contains(&format!(" {name}("))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_connects_to_nothing() {
    if !able(&TRACED, &["strace", "curl"]) {
        return;
    }
    let project = Project::new();
    let trace = traced(&project, |prefix| {
        replay(&project, prefix);
    });
    let none: [&String; 0] = [];
    assert_eq!(calls(&trace, "connect"), none);
    assert_eq!(calls(&trace, "io_uring_setup"), none, "nor does it ask in a way that is not traced");
    let sockets = calls(&trace, "socket");
    assert!(sockets.len() == 1 && sockets[0].contains("SOCK_STREAM"), "only the one that listens: {sockets:?}");
    assert_eq!(calls(&trace, "listen").len(), 1);
    assert!(calls(&trace, "accept4").len() > 8, "the clients were there: {trace:?}");
    for sent in [calls(&trace, "sendto"), calls(&trace, "sendmsg"), calls(&trace, "sendmmsg")].concat() {
        assert!(!sent.contains("sin_addr") && !sent.contains("sin6_addr"), "a packet to an address: {sent}");
    }
    // The same trace of a recording shows where that goes, so it would show a replay's too.
    let graph = Graph::start().await;
    let upstream = format!("graph.microsoft.com={}", graph.address);
    let ca = graph.ca_file().to_string_lossy().into_owned();
    let trace = traced(&project, |prefix| {
        let program = ["curl", "--silent", "https://graph.microsoft.com/v1.0/users"];
        let arguments =
            [&["record", "x", "--connect-to", &upstream, "--upstream-ca", &ca, "--"], &program[..]].concat();
        let output = under(prefix, &project.command(&arguments)).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    let port = format!("sin_port=htons({})", graph.address.port());
    assert!(calls(&trace, "connect").iter().any(|line| line.contains(&port)), "{trace:?}");
}

#[test]
fn a_replay_needs_no_network_but_loopback() {
    if !able(&ALONE, &["unshare", "curl"]) {
        return;
    }
    let links = Command::new(ALONE[0]).args(&ALONE[1..]).args(["ip", "-o", "link"]).output().unwrap();
    let links = String::from_utf8(links.stdout).unwrap();
    assert!(links.lines().count() == 1 && links.contains(" lo: "), "{links}");
    replay(&Project::new(), &ALONE);
}
