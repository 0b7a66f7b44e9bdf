//! The commands on cassettes, and replays side by side.

use crate::support::client::through;
use crate::support::deck::{Deck, Project};
use crate::support::documented::examples;
use crate::support::{CONFIG, OTHER_CONFIG, have};

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
        &["show", "user-statuses", "--ids"],
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
fn ids_that_only_order_tells_apart_are_pointed_at() {
    let project = Project::new();
    let get = |config: &str| {
        format!(
            r#"{{"request":{{"method":"GET","url":"https://graph.microsoft.com/beta/deviceConfigurations/{{{{deviceConfigurations.{config}}}}}"}},"response":{{"status":200}}}}"#
        )
    };
    let (one, other) = (get("1"), get("2"));
    let ids = format!(r#"{{"deviceConfigurations.1":"{CONFIG}","deviceConfigurations.2":"{OTHER_CONFIG}"}}"#);
    let cassette = |exchanges: &str| format!(r#"{{"graphdeck":1,"ids":{ids},"exchanges":[{exchanges}]}}"#);
    project.write("cassettes/order.json", cassette(&format!("{one},{other}")));
    let post = other.replace("GET", "POST");
    project.write("cassettes/told.json", cassette(&format!("{one},{post},{other}")));
    let ended = project.run(&["cassette", "check"]);
    assert_eq!(
        (ended.code, ended.stdout.as_str()),
        (
            Some(0),
            "cassettes/order.json: 2 exchanges, good\n  exchanges 1 and 2 ask the same of two ids: a run with other ids tells these apart by order only\n\
             cassettes/told.json: 3 exchanges, good\n"
        )
    );
    for told in ["told", "cassettes/told.json"] {
        let ended = project.run(&["cassette", "check", told]);
        assert_eq!(
            (ended.code, ended.stdout.as_str()),
            (Some(0), "cassettes/told.json: 3 exchanges, good\n"),
            "{told}"
        );
    }
    let unknown = project.run(&["cassette", "check", "none", "none.json", "told"]);
    assert_eq!(
        (unknown.code, unknown.stdout.as_str()),
        (
            Some(2),
            "there is no cassette cassettes/none.json; there are: order, told\n\
             none.json cannot be read: No such file or directory (os error 2)\n\
             cassettes/told.json: 3 exchanges, good\n"
        )
    );
}

/// Ids by policy and seed, and by decks that know nothing of one another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn minted_ids_follow_policy_and_seed_and_are_understood_by_other_decks() {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", DEMO);
    let ca_pem = project.run(&["ca"]).stdout;
    let post =
        examples().into_iter().find(|example| example.name.starts_with("beta/intune-deviceconfig-deviceconf")).unwrap();
    let url = |config: &str| format!("https://graph.microsoft.com{}", post.path.replace(CONFIG, config));
    let created = async |deck: &Deck<'_>, config: &str| {
        let request = through(deck, &ca_pem).post(url(config)).body(post.sent.as_ref().unwrap().to_string());
        let body: serde_json::Value =
            serde_json::from_slice(&request.send().await.unwrap().bytes().await.unwrap()).unwrap();
        body["id"].as_str().unwrap().to_owned()
    };
    let recorded = "7e323db2-3db2-7e32-b23d-327eb23d327e";
    let mut ids = Vec::new();
    for options in
        [&[][..], &[], &["--seed", "other"], &["--ids", "recorded"], &["--ids", "random"], &["--ids", "random"]]
    {
        let deck = project.replay("user-statuses", options);
        ids.push((created(&deck, CONFIG).await, created(&deck, OTHER_CONFIG).await));
    }
    let [derived, again, other_seed, always, random, random_again] = &ids[..] else { unreachable!() };
    assert_eq!((derived, derived.0.as_str()), (again, recorded));
    assert_eq!(other_seed.0, recorded);
    assert_eq!((always.0.as_str(), always.1.as_str()), (recorded, recorded));
    let all = [&derived.1, &other_seed.1, &random.0, &random.1, &random_again.0, &random_again.1];
    assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), all.len());

    let other_deck = project.replay("user-statuses", &[]);
    let get = async |id: &str| {
        let response = through(&other_deck, &ca_pem).get(format!("{}/{id}", url(OTHER_CONFIG))).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, body) = get(&derived.1).await;
    assert_eq!(status, 200, "a deck that never saw the POST understands its id: {body}");
    assert!(body.contains(&derived.1));
    let (status, body) = get(&other_seed.1).await;
    assert_eq!(status, 501);
    assert!(body.contains("was made by a replay with another seed or of another cassette"), "{body}");
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

#[test]
fn long_work_shows_how_far_it_is_on_a_terminal_and_nowhere_else() {
    if !have("script") {
        return;
    }
    let project = Project::new();
    let exchange =
        r#"{"request":{"method":"GET","url":"https://graph.microsoft.com/v1.0/me"},"response":{"status":200}}"#;
    let text = format!(r#"{{"graphdeck":1,"ids":{{}},"exchanges":[{}]}}"#, vec![exchange; 6000].join(","));
    project.write("big.json", text);
    let deck = env!("CARGO_BIN_EXE_graphdeck");
    let on_terminal = |command: &str| {
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &format!("{deck} {command}"), "/dev/null"]).current_dir(project.path());
        let output = script.env("TERM", "xterm").env("NO_COLOR", "1").output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let shown = on_terminal("cassette check big.json");
    assert!(shown.contains("checking big.json [") && shown.contains("/6000 exchanges"), "{shown}");
    assert!(on_terminal("cassette import big.json").contains("importing big.json ["));
    assert!(!on_terminal("--quiet cassette check big.json").contains("checking"));
    assert!(!on_terminal("cassette nonsense").contains('\u{1b}'), "there is no colour");
    let piped = project.run(&["cassette", "check", "big.json"]);
    assert_eq!((piped.stdout.as_str(), piped.stderr.as_str()), ("big.json: 6000 exchanges, good\n", ""));
}
