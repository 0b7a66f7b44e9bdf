//! Bad input: a clear line that names the file, key or place and says what to do; exit code 2; nothing lost.

use crate::support::deck::Project;

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");

/// What the program says to these arguments, and its exit code.
fn said(project: &Project, arguments: &[&str]) -> String {
    let ended = project.run(arguments);
    format!(
        "$ graphdeck {}\n{}{}\nexit code {:?}\n\n",
        arguments.join(" "),
        ended.stdout,
        ended.stderr.trim_end(),
        ended.code.unwrap()
    )
}

#[test]
fn every_bad_input_is_told_in_words() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", DEMO);
    project.write("cassettes/damaged.json", DEMO.replacen("\"status\": 201", "\"status\": ", 1));
    project.write(
        "cassettes/dangling.json",
        DEMO.replacen("    \"mobileApps.1\": \"d41fae35-2c7b-4e8d-a9f0-61b3c5d7e9f1\",\n", "", 1),
    );
    project.write("cassettes/newer.json", DEMO.replacen("\"graphdeck\": 1", "\"graphdeck\": 2", 1));
    project.write("cassettes/other.json", "[]");
    project.write("bad.toml", "listn = \"x\"\n[replay]\nids = 7\n");
    project.write("empty.pem", "");
    let mut all = String::new();
    for arguments in [
        &["replay", "nothing"][..],
        &["replay", "cassettes/user-statuses.json"],
        &["replay", "damaged"],
        &["replay", "dangling"],
        &["replay", "newer"],
        &["replay", "other"],
        &["replay", "--config", "bad.toml"],
        &["replay", "--config", "none.toml"],
        &["replay", "--listen", "8080"],
        &["replay", "--listen", "192.0.2.1:80"],
        &["replay", "--", "no-such-command"],
        &["replay", "--", "./cassettes"],
        &["record", "x", "--connect-to", "graph.microsoft.com"],
        &["record", "x", "--upstream-ca", "empty.pem"],
        &["record", "x", "--upstream-ca", "none.pem"],
        &["record", "../x"],
        &["cassette", "show", "nothing"],
        &["cassette", "export", "user-statuses", "--take", "7"],
        &["cassette", "import", "none.json"],
        &["cassette", "check"],
        &["replay", "--strct"],
    ] {
        all += &said(&project, arguments);
    }
    insta::assert_snapshot!(all);
}

#[test]
fn other_machines_are_let_in_only_when_that_is_meant() {
    let project = Project::new();
    project.write("cassettes/run.json", include_str!("../../cassettes/user-statuses.json"));
    let run =
        |allow: &[&str]| project.run(&[&["replay", "run", "--listen", "0.0.0.0:0"], allow, &["--", "true"]].concat());
    let refused = run(&[]);
    assert_eq!(refused.code, Some(2));
    insta::assert_snapshot!(refused.stderr);
    let allowed = run(&["--allow-remote"]);
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
    assert!(allowed.stderr.contains("warning: 0.0.0.0:0 can be reached from other machines"), "{}", allowed.stderr);
}

#[test]
fn a_port_in_use_is_named() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", DEMO);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let ended = project.run(&["replay", "--listen", &taken.local_addr().unwrap().to_string()]);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_in_use_is_named_with_its_process() {
    let project = Project::new();
    let graph = crate::support::graph::Graph::start().await;
    let deck = project.record("one", &graph, &[]);
    let ended = project.run(&["record", "two", "--", "true"]);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.stderr.replace(&deck.id().to_string(), "ID"));
    assert_eq!(project.run(&["record", "two", "--store", "other", "--", "true"]).code, Some(0));
    assert!(project.run(&["cassette", "ls"]).stderr.contains("Its takes are not listed"));
    let missing = project.run(&["replay", "three", "--", "true"]).stderr;
    assert!(missing.contains("there is no cassette cassettes/three.json"), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_is_named_with_the_way_out() {
    let project = Project::new();
    let graph = crate::support::graph::Graph::start().await;
    let ca_pem = project.run(&["ca"]).stdout;
    let deck = project.record("one", &graph, &[]);
    let client = crate::support::client::through(&deck, &ca_pem);
    let url = format!("https://graph.microsoft.com{}", crate::support::statuses(crate::support::CONFIG));
    client.post(url).body("{}").send().await.unwrap();
    deck.kill();
    let data = project.file(".graphdeck/sled/db");
    let mut bytes = std::fs::read(&data).unwrap();
    bytes.iter_mut().take(4096).for_each(|byte| *byte = !*byte);
    std::fs::write(&data, bytes).unwrap();
    let ended = project.run(&["record", "one", "--", "true"]);
    assert_eq!(ended.code, Some(2), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("graphdeck: the store .graphdeck is damaged: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("move the folder away") && ended.stderr.lines().count() == 1, "{}", ended.stderr);
}
