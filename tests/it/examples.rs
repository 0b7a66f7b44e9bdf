//! The deck from the tests of other languages: the shipped fixture and helper do what they say, and tell of a miss.

use crate::support::deck::{Ended, Project};
use crate::support::have;
use crate::support::installed::installed;
use std::path::Path;
use std::process::Command;

/// The folder `examples/` and its cassette as they are shipped, with one text in a file replaced.
fn shipped(changed: &str, from: &str, to: &str) -> Project {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", include_str!("../../cassettes/user-statuses.json"));
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    for name in ["conftest.py", "test_user_status.py", "graphdeck.mjs", "user-status.test.mjs"] {
        let text = std::fs::read_to_string(examples.join(name)).unwrap();
        let text = if name == changed { text.replace(from, to) } else { text };
        project.write(&format!("examples/{name}"), text);
    }
    project
}

fn run(project: &Project, program: &str, arguments: &[&str]) -> Ended {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(project.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command.env("HOME", project.path()).env("GRAPHDECK", env!("CARGO_BIN_EXE_graphdeck"));
    project.end(command)
}

#[test]
fn the_fixture_for_pytest_answers_and_tells_of_a_miss() {
    let Some(python) = installed("python/bin/python3") else { return };
    let arguments = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "examples"];
    let ended = run(&shipped("", "", ""), &python, &arguments);
    assert!(ended.code == Some(0) && ended.stdout.contains("2 passed"), "{}{}", ended.stdout, ended.stderr);
    // The program sends something else, and takes whatever comes.
    let project = shipped("test_user_status.py", "assert created.status_code == 201\n", "return\n");
    let text = std::fs::read_to_string(project.file("examples/test_user_status.py")).unwrap();
    project.write("examples/test_user_status.py", text.replace("\"devicesCount\": 12", "\"devicesCount\": 13"));
    let ended = run(&project, &python, &arguments);
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert!(ended.stdout.contains("miss: no recorded answer for POST"), "{}", ended.stdout);
    let ended = run(&shipped("test_user_status.py", "(\"user-statuses\")", "(\"user-state\")"), &python, &arguments);
    assert!(ended.code == Some(1) && ended.stdout.contains("there is no cassette"), "{}", ended.stdout);
}

#[test]
fn the_helper_for_node_answers_and_tells_of_a_miss() {
    if !have("node") {
        return;
    }
    let arguments = ["--test", "examples/user-status.test.mjs"];
    let ended = run(&shipped("", "", ""), "node", &arguments);
    assert!(ended.code == Some(0) && ended.stdout.contains("pass 1"), "{}{}", ended.stdout, ended.stderr);
    let project = shipped("user-status.test.mjs", "    assert.equal(created.status, 201);\n", "    return;\n");
    let text = std::fs::read_to_string(project.file("examples/user-status.test.mjs")).unwrap();
    project.write("examples/user-status.test.mjs", text.replace("devicesCount: 12", "devicesCount: 13"));
    let ended = run(&project, "node", &arguments);
    assert!(ended.code == Some(1) && ended.stdout.contains("miss: no recorded answer for POST"), "{}", ended.stdout);
    let ended = run(&shipped("user-status.test.mjs", "('user-statuses')", "('user-state')"), "node", &arguments);
    assert!(ended.code == Some(1) && ended.stdout.contains("there is no cassette"), "{}", ended.stdout);
}
