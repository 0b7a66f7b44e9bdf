//! What changed between two cassettes is told by exchange and place, and a renaming of ids is no change.

use crate::support::deck::Project;
use crate::support::program::{self, exchanges};
use crate::support::rounds;
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::exchange::{Headers, Request};
use graphdeck::tape::matching::Rules;
use graphdeck::tape::pairing::{self, Comparison, Recording};
use graphdeck::tape::renaming::Manner;
use graphdeck::tape::scribe;
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::walk::IdPlaces;
use proptest::prelude::*;
use serde_json::{Value, json};

const DEMO: &str = include_str!("../../cassettes/user-statuses.json");

/// The same cassette under other ids, with other names for them, and recorded at another time.
fn renamed() -> String {
    let mut text = DEMO.to_owned();
    for (from, to) in [
        ("userStatuses.4", "userStatuses.x"),
        ("userStatuses.1", "userStatuses.4"),
        ("userStatuses.x", "userStatuses.1"),
    ] {
        text = text.replace(from, to);
    }
    for (at, id) in ["0385114b-b48f-4800-a046", "44960944-0944-4496-4409", "7e323db2-3db2-7e32-b23d"].iter().enumerate()
    {
        text = text.replace(id, &format!("11111111-2222-4333-8444-{at:0>12}")[..23]);
    }
    text.replace("2017-01-01T00:00:17", "2026-11-25T12:34:56")
}

fn edited() -> String {
    let mut cassette: Value = serde_json::from_str(&renamed()).unwrap();
    let exchanges = cassette["exchanges"].as_array_mut().unwrap();
    exchanges[15]["request"]["body"]["json"]["status"] = json!("compliant");
    exchanges[15]["response"]["body"]["json"]["status"] = json!("compliant");
    exchanges[16]["response"]["body"]["json"]["more"] = json!([1, {"a": null}]);
    exchanges[17]["response"]["headers"]["odata-version"] = json!("4.01");
    exchanges[18]["response"] = json!({ "status": 400, "body": { "text": "no JSON \u{1b}[1m" } });
    // An entity's id that is another one's in the rest of the cassette.
    exchanges[21]["response"]["body"]["json"]["id"] = json!("{{userStatuses.2}}");
    let removed = exchanges.remove(0);
    let mut added = removed.clone();
    added["request"]["url"] = json!("https://graph.microsoft.com/beta/me");
    exchanges.push(added);
    serde_json::to_string_pretty(&cassette).unwrap()
}

#[test]
fn a_renaming_and_another_day_are_no_change_and_every_change_is_told() {
    let project = Project::new();
    project.write("cassettes/demo.json", DEMO);
    project.write("cassettes/renamed.json", renamed());
    project.write("else/edited.json", edited());
    let same = project.run(&["cassette", "diff", "demo", "renamed"]);
    assert_eq!((same.code, same.stderr.as_str()), (Some(0), ""), "{}", same.stdout);
    let mut said = same.stdout;
    for arguments in
        [&["demo", "else/edited.json"][..], &["else/edited.json", "demo", "--json"], &["demo", "renamed", "--exact"]]
    {
        let ended = project.run(&[&["cassette", "diff"], arguments].concat());
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(1), ""));
        let lines: Vec<&str> = ended.stdout.lines().take(60).collect();
        said += &format!("\n$ {}\n{}\n", arguments.join(" "), lines.join("\n"));
    }
    insta::assert_snapshot!(said);
}

/// A request and its repeat get the recorded answers in their turn, so another turn is a change.
#[test]
fn answers_to_one_request_in_another_turn_are_told() {
    let project = Project::new();
    let exchange = |url: &str, status: u16| json!({"request": {"method": "GET", "url": format!("https://graph.microsoft.com/v1.0/{url}")}, "response": {"status": status}});
    let cassette = |exchanges: Value| json!({"graphdeck": 1, "ids": {}, "exchanges": exchanges}).to_string();
    project.write("one.json", cassette(json!([exchange("me", 429), exchange("me", 200), exchange("users", 200)])));
    project.write("other.json", cassette(json!([exchange("users", 200), exchange("me", 200), exchange("me", 429)])));
    project.write("moved.json", cassette(json!([exchange("users", 200), exchange("me", 429), exchange("me", 200)])));
    assert_eq!(project.run(&["cassette", "diff", "one.json", "moved.json"]).code, Some(0));
    let ended = project.run(&["cassette", "diff", "one.json", "other.json"]);
    assert_eq!(ended.code, Some(1));
    insta::assert_snapshot!(ended.stdout);
}

#[test]
fn what_cannot_be_compared_is_told_in_a_line() {
    let project = Project::new();
    project.write("cassettes/demo.json", DEMO);
    project.write(
        "cassettes/dangling.json",
        DEMO.replacen("    \"mobileApps.1\": \"d41fae35-2c7b-4e8d-a9f0-61b3c5d7e9f1\",\n", "", 1),
    );
    project.write("cut.json", &DEMO[..DEMO.len() / 2]);
    let mut said = String::new();
    for other in ["nothing", "none.json", "cut.json", "dangling", "../demo"] {
        let ended = project.run(&["cassette", "diff", "demo", other]);
        assert_eq!((ended.code, ended.stdout.as_str()), (Some(2), ""), "{other}");
        said += &ended.stderr;
    }
    insta::assert_snapshot!(said);
}

fn compared(one: &Cassette, other: &Cassette) -> Comparison {
    let rules = Rules::default();
    let read = |cassette| Recording::of(cassette, Manner { rules: &rules, exact: false }, || ()).unwrap();
    pairing::compare(&read(one), &read(other))
}

/// What a Graph records of a program that has made up so many ids before.
fn recorded(steps: &[program::Step], given: &[String], before: usize) -> Cassette {
    let mut server = program::server();
    for _ in 0..before {
        let target = "/beta/deviceManagement/deviceConfigurations/x/userStatuses".to_owned();
        let (method, host) = ("POST".to_owned(), "graph.microsoft.com".to_owned());
        server(&Request { method, host, target, headers: Headers::default(), body: "{}".into() });
    }
    let run = program::run(steps, given, server);
    let taped: Vec<_> =
        exchanges(&run).into_iter().map(|one| scribe::tape_exchange(one, &Secrets::default())).collect();
    scribe::seal(&taped, &IdPlaces::default())
}

/// `GRAPHDECK_ROUNDS=2000 cargo test --test it diffs` tries more.
fn cases() -> ProptestConfig {
    let cases = u32::try_from(rounds(40)).unwrap();
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    /// A program that runs under other ids, against a Graph that makes up others, records the same; without one of its
    /// exchanges a cassette lacks that one, or its like.
    #[test]
    fn other_ids_are_no_change(
        steps in program::program(), given in [program::given(), program::given()], at in any::<prop::sample::Index>()
    ) {
        let [one, mut other] = given;
        // The clock is no id.
        other[program::CLOCK].clone_from(&one[program::CLOCK]);
        let [one, other] = [(one, 0), (other, 6)].map(|(given, before)| recorded(&steps, &given, before));
        let comparison = compared(&one, &other);
        prop_assert!(comparison.is_empty(), "{comparison:?}");
        let mut less = other.clone();
        less.entries.remove(at.index(other.entries.len()));
        let comparison = compared(&one, &less);
        prop_assert_eq!((comparison.removed.len(), comparison.added.len()), (1, 0));
    }
}

/// Many exchanges that ask the same of many ids, of which each side lacks some: pairing them looks at each a few times only.
#[test]
fn large_cassettes_are_compared_in_one_go() {
    let many = |from: usize, to: usize, seed: usize| {
        let (mut ids, mut exchanges) = (serde_json::Map::new(), Vec::new());
        for at in from..to {
            let (config, status) = (format!("deviceConfigurations.{}", at + 1), format!("userStatuses.{}", at + 1));
            ids.insert(config.clone(), json!(format!("{seed:08x}-0000-4000-8000-{at:012x}")));
            ids.insert(status.clone(), json!(format!("{seed:08x}-0000-4000-9000-{at:012x}")));
            let url = format!(
                "https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations/{{{{{config}}}}}/userStatuses"
            );
            exchanges.push(json!({"request": {"method": "POST", "url": url, "body": {"json": {"a": 1}}},
                "response": {"status": 201, "body": {"json": {"id": format!("{{{{{status}}}}}"), "n": at % 7}}}}));
        }
        serde_json::from_value::<Value>(json!({"graphdeck": 1, "ids": ids, "exchanges": exchanges}))
            .unwrap()
            .to_string()
    };
    let [one, other] = [many(0, 6000, 1), many(14, 6007, 2)].map(|text| Cassette::parse(&text).unwrap());
    let comparison = compared(&one, &other);
    assert_eq!((comparison.same, comparison.changed.len()), (5993, 0));
    assert_eq!((comparison.removed.len(), comparison.added.len()), (7, 0));
}
