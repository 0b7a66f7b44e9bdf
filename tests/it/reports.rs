//! How a run is told: to people, in files for CI servers, and to GitHub's runner.

use crate::support::deck::{Ended, Project};
use crate::support::have;
use std::process::Command;

/// A replay of the shipped cassette, in which two sessions miss something and one of them is answered once.
fn replayed(project: &Project, options: &[&str], environment: &[(&str, &str)]) -> Ended {
    project.write("cassettes/run.json", std::fs::read("cassettes/user-statuses.json").unwrap());
    let script = r##"
        post() { curl -s -o /dev/null -H 'content-type: application/json' -d "$2" "$GRAPHDECK_URL$1"; }
        path=/v1.0/deviceManagement/deviceConfigurations/11111111-2222-4333-8444-555555555555/userStatuses
        body='{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus","userDisplayName":"User Display Name value","devicesCount":12,"status":"STATUS","lastReportedDateTime":"2026-01-31T09:30:00Z","userPrincipalName":"User Principal Name value"}'
        post "$path" "$(echo "$body" | sed s/STATUS/compliance/)"
        post "/_graphdeck/s/login$path" "$(echo "$body" | sed s/STATUS/notApplicable/)"
        post "/_graphdeck/s/login$path" "$(printf '{"a":"<&\"\001`````"}')"
    "##;
    let mut command = project.command(&[&["replay", "run"], options, &["--", "sh", "-c", script]].concat());
    let output = command.envs(environment.iter().copied()).output().unwrap();
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: project.tidy(&String::from_utf8_lossy(&output.stderr)),
    }
}

fn read(project: &Project, name: &str) -> String {
    std::fs::read_to_string(project.file(name)).unwrap()
}

#[test]
fn on_a_terminal_there_are_the_misses_a_line_and_a_table() {
    let project = Project::new();
    let ended = replayed(&project, &[], &[]);
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn junit_keeps_to_its_schema() {
    if !have("xmllint") {
        return;
    }
    let project = Project::new();
    for (options, name) in
        [(&["--strict", "--report", "strict.xml"][..], "strict.xml"), (&["--report", "run.xml"], "run.xml")]
    {
        assert_eq!(replayed(&project, options, &[]).code, Some(1));
        let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/junit.xsd");
        let output = Command::new("xmllint").args(["--noout", "--schema", schema]).arg(project.file(name)).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    insta::assert_snapshot!(read(&project, "run.xml"));
    let strict = read(&project, "strict.xml");
    assert!(strict.contains("type=\"unused\""), "{strict}");
}

#[test]
fn a_page_of_markdown_is_written_by_name_and_to_the_step_summary() {
    let project = Project::new();
    project.write("summary.md", "what was there before\n");
    let summary = project.file("summary.md");
    let environment = [("GITHUB_ACTIONS", "true"), ("GITHUB_STEP_SUMMARY", summary.to_str().unwrap())];
    let ended = replayed(&project, &["--report", "run.md", "--quiet"], &environment);
    assert_eq!(read(&project, "summary.md"), format!("what was there before\n{}", read(&project, "run.md")));
    insta::assert_snapshot!(read(&project, "run.md"));
    insta::assert_snapshot!("annotations", ended.stderr);
    assert_eq!(ended.stdout, "", "standard output is the program's own");
}

#[test]
fn a_report_of_another_kind_is_refused_before_anything_runs() {
    let project = Project::new();
    let ended = replayed(&project, &["--report", "run.html"], &[]);
    assert_eq!(ended.code, Some(2));
    insta::assert_snapshot!(ended.stderr);
}

#[test]
fn a_miss_out_of_a_report_is_explained_again_in_the_same_words() {
    let project = Project::new();
    replayed(&project, &["--report", "run.json"], &[]);
    let report: serde_json::Value = serde_json::from_str(&read(&project, "run.json")).unwrap();
    for session in report["sessions"].as_array().unwrap() {
        let miss = &session["misses"][0];
        project.write("miss.json", miss.to_string());
        let explained = project.run(&["explain", "run", "miss.json"]);
        assert_eq!(explained.code, Some(1), "{}", explained.stderr);
        assert!(explained.stdout.contains(miss["message"].as_str().unwrap()), "{}", explained.stdout);
        let way_out = miss["way_out"].as_str().unwrap();
        assert!(way_out.lines().all(|line| explained.stdout.contains(line)), "{}", explained.stdout);
    }
}

#[test]
fn explain_tells_what_would_answer_and_by_which_rule() {
    let project = Project::new();
    project.write("cassettes/run.json", std::fs::read("cassettes/user-statuses.json").unwrap());
    let file = r##"
@host = https://graph.microsoft.com/v1.0
### answered
POST {{host}}/deviceManagement/deviceConfigurations/11111111-2222-4333-8444-555555555555/userStatuses
Content-Type: application/json
Authorization: Bearer secret

{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus","userDisplayName":"User Display Name value","devicesCount":12,"status":"notApplicable","lastReportedDateTime":"2026-01-31T09:30:00Z","userPrincipalName":"User Principal Name value"}
### missed
GET {{host}}/me
"##;
    project.write("requests.http", file);
    let explained = project.run(&["explain", "run", "requests.http"]);
    assert_eq!(explained.code, Some(1), "{}", explained.stderr);
    insta::assert_snapshot!(explained.stdout);
    project.write("requests.http", "POST\n");
    let wrong = project.run(&["explain", "run", "requests.http"]);
    insta::assert_snapshot!("explain_of_what_is_no_request", wrong.stderr);
    assert_eq!(wrong.code, Some(2));
}
