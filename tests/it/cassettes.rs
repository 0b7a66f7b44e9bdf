//! The commands on cassettes, and replays side by side.

use crate::support::client::through;
use crate::support::deck::Project;
use crate::support::documented::examples;

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");

#[test]
fn cassettes_are_listed_shown_exported_imported_checked_and_removed() {
    let project = Project::new();
    let empty = project.run(&["cassette", "ls"]);
    project.write("cassettes/user-statuses.json", DEMO);
    let mut said = empty.stdout;
    for arguments in [
        &["ls"][..],
        &["show", "user-statuses"],
        &["export", "user-statuses", "--out", "copy.json"],
        &["import", "copy.json", "--name", "team/other"],
        &["import", "copy.json", "--name", "team/other"],
        &["import", "copy.json", "--name", "team/other", "--force"],
        &["check"],
        &["check", "copy.json"],
        &["rm", "user-statuses"],
        &["rm", "user-statuses"],
        &["ls"],
    ] {
        let ended = project.run(&[&["cassette"], arguments].concat());
        said += &format!("$ cassette {}\n{}{}{:?}\n", arguments.join(" "), ended.stdout, ended.stderr, ended.code);
    }
    insta::assert_snapshot!(said);
    assert_eq!(std::fs::read_to_string(project.file("copy.json")).unwrap(), DEMO);
    assert_eq!(project.cassette("team/other"), DEMO);
    assert!(!project.file(".graphdeck").exists(), "none of these makes a store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replays_run_side_by_side_and_write_nothing_into_the_checkout() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", DEMO);
    let ca_pem = project.run(&["ca"]).stdout;
    let before: Vec<_> = std::fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let decks: Vec<_> = (0..4).map(|_| project.replay("user-statuses", &[])).collect();
    let post = &examples()[0];
    let mut answers = Vec::new();
    for deck in &decks {
        let request = through(deck, &ca_pem).post(format!("https://graph.microsoft.com{}", post.path));
        let response = request.body(post.sent.as_ref().unwrap().to_string()).send().await.unwrap();
        answers.push(response.text().await.unwrap());
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    for deck in decks {
        assert_eq!(deck.stop().code, Some(0));
    }
    let after: Vec<_> = std::fs::read_dir(project.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(before, after);
}

#[test]
fn a_report_is_written_as_json() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", DEMO);
    let miss = "curl -sS https://graph.microsoft.com/v1.0/me > answer";
    let ended = project.run(&["replay", "user-statuses", "--report", "report.json", "--", "sh", "-c", miss]);
    assert_eq!(ended.code, Some(1), "a miss fails the run");
    let answer = std::fs::read_to_string(project.file("answer")).unwrap();
    let report = std::fs::read_to_string(project.file("report.json")).unwrap();
    insta::assert_snapshot!(format!("{answer}\n{report}{}", ended.stderr));
}
