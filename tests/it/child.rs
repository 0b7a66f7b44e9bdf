//! Programs behind the deck: what they are given, what they leave with, and curl, which knows nothing of it.

use crate::support::deck::Project;
use crate::support::graph::Graph;
use crate::support::{CONFIG, OTHER_CONFIG, statuses};

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");

fn with_demo() -> Project {
    let project = Project::new();
    project.write("cassettes/user-statuses.json", DEMO);
    project
}

#[test]
fn a_program_is_led_through_the_deck_by_whatever_its_runtime_reads() {
    let project = with_demo();
    let ended = project.run(&["replay", "user-statuses", "--", "env"]);
    let mut variables: Vec<String> = Vec::new();
    for line in project.tidy(&ended.stdout).lines() {
        let of_the_shell =
            ["PATH=", "HOME=", "PWD=", "SHLVL=", "_=", "OLDPWD="].iter().any(|name| line.starts_with(name));
        if !of_the_shell {
            // The folder of the trust files has another name each time, and the port another number.
            let mut words = line.to_owned();
            while let Some(at) = words.find("/graphdeck-") {
                let start = words[..at].rfind(['=', '"']).unwrap() + 1;
                let end = at + 1 + words[at + 1..].find('/').unwrap();
                words.replace_range(start..end, "TRUST");
            }
            if let Some(at) = words.find("proxyPort=") {
                let digits = words[at + 10..].find(' ').unwrap();
                words.replace_range(at + 10..at + 10 + digits, "PORT");
            }
            variables.push(words);
        }
    }
    variables.sort();
    insta::assert_snapshot!(variables.join("\n"));
}

#[test]
fn its_output_is_untouched_and_its_exit_code_is_ours() {
    let project = with_demo();
    let ended = project.run(&["replay", "user-statuses", "--", "sh", "-c", "printf out; printf err >&2; exit 3"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(3), "out"));
    assert!(ended.stderr.contains("err"));
    let ended = project.run(&["replay", "user-statuses", "--", "sh", "-c", "kill -9 $$"]);
    assert_eq!(ended.code, Some(137));
}

/// The text with the times that the script sent, and the answers repeat, left out.
fn without_now(text: &str) -> String {
    let mut parts = text.split("\"lastReportedDateTime\":\"20");
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (time, rest) = part.split_once('"').unwrap();
        let time = if time.ends_with("-08:00") { format!("20{time}") } else { "NOW".to_owned() };
        out += &format!("\"lastReportedDateTime\":\"{time}\"{rest}");
    }
    out
}

#[test]
fn the_demo_runs_offline_as_the_readme_says() {
    let project = with_demo();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/create-user-status.sh");
    let ended = project.run(&["replay", "user-statuses", "--", "sh", script]);
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    insta::assert_snapshot!(format!("{}---\n{}", without_now(&ended.stdout), ended.stderr));
    let again = project.run(&["replay", "user-statuses", "--", "sh", script]);
    assert_eq!(without_now(&again.stdout), without_now(&ended.stdout), "every run gives the same bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl_is_recorded_and_then_replayed_without_graph() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let script = |config: &str| {
        let url = format!("https://graph.microsoft.com{}", statuses(config));
        let body = r#"{"userDisplayName":"Ada","devicesCount":1}"#;
        let post =
            format!("curl -sS -H 'Authorization: Bearer t' -H 'Content-Type: application/json' -d '{body}' '{url}'");
        format!(
            "set -e; created=$({post}); echo \"$created\"; id=$(echo \"$created\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/'); curl -sS \"{url}/$id\"; curl -sS '{url}'; {post}"
        )
    };
    let recorded = project.record_command("curl", &graph, &["--all"], &["sh", "-c", &script(CONFIG)]);
    assert_eq!(recorded.code, Some(0), "{}", recorded.stderr);
    assert!(recorded.stderr.contains("recorded 4 exchanges to cassettes/curl.json"), "{}", recorded.stderr);
    drop(graph);

    let replayed = project.run(&["replay", "curl", "--strict", "--", "sh", "-c", &script(CONFIG)]);
    assert_eq!((replayed.code, &replayed.stdout), (Some(0), &recorded.stdout), "{}", replayed.stderr);

    let renamed = project.run(&["replay", "curl", "--strict", "--", "sh", "-c", &script(OTHER_CONFIG)]);
    assert_eq!(renamed.code, Some(0), "{}", renamed.stderr);
    let ids =
        |text: &str| -> Vec<String> { text.split("\"id\":\"").skip(1).map(|rest| rest[..36].to_owned()).collect() };
    let (before, after) = (ids(&recorded.stdout), ids(&renamed.stdout));
    let mut expected = recorded.stdout.replace(CONFIG, OTHER_CONFIG);
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before, after);
        expected = expected.replace(before, after);
    }
    assert_eq!(renamed.stdout, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_that_fails_does_not_replace_a_cassette() {
    let (project, graph) = (Project::new(), Graph::start().await);
    let url = format!("https://graph.microsoft.com{}", statuses(CONFIG));
    let script = |code: u8| format!("curl -sS -d '{{\"code\":{code}}}' '{url}'; [ {code} = 0 ] || exit {code}");
    let first = project.record_command("run", &graph, &[], &["sh", "-c", &script(4)]);
    assert_eq!(first.code, Some(4));
    let sealed = project.cassette("run");
    let second = project.record_command("run", &graph, &[], &["sh", "-c", &script(5)]);
    assert_eq!(second.code, Some(5));
    assert_eq!(project.cassette("run"), sealed);
    insta::assert_snapshot!(second.stderr);
    let third = project.record_command("run", &graph, &[], &["true"]);
    assert_eq!((third.code, project.cassette("run")), (Some(0), sealed.clone()));
    assert!(third.stderr.contains("nothing was recorded, so run stays as it was"), "{}", third.stderr);
    let interrupted =
        project.record_command("run", &graph, &[], &["sh", "-c", &(script(0) + "; kill -INT $$; sleep 9")]);
    assert_eq!((interrupted.code, project.cassette("run")), (Some(130), sealed));
    let fourth = project.record_command("run", &graph, &[], &["sh", "-c", &script(0)]);
    assert!(fourth.stderr.contains("recorded 1 exchange to cassettes/run.json, in place of 1"), "{}", fourth.stderr);
}
