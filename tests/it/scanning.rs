//! The scan for secrets sees the last exchange of a large cassette, and is quick enough for a hook before each commit.
//!
//! `GRAPHDECK_MEGABYTES=100 cargo test --release --test it scanning -- --nocapture` measures it, beside how long it takes
//! to read and parse the same file.

use crate::support::deck::Project;
use std::fmt::Write;
use std::time::Instant;

/// How many statuses each configuration has.
const STATUSES: usize = 10;

/// A GUID that looks like chance.
fn guid(words: &str) -> String {
    let hash = blake3::hash(words.as_bytes());
    uuid::Builder::from_slice(&hash.as_bytes()[..16])
        .unwrap()
        .with_version(uuid::Version::Random)
        .into_uuid()
        .to_string()
}

/// A cassette of at least so many bytes, and how many exchanges are in it.
fn cassette(bytes: usize) -> (String, usize) {
    let (mut ids, mut exchanges, mut count) = (String::new(), String::new(), 0);
    while ids.len() + exchanges.len() < bytes {
        count += 1;
        let config = (count - 1) / STATUSES + 1;
        if count % STATUSES == 1 {
            writeln!(ids, "    \"deviceConfigurations.{config}\": \"{}\",", guid(&format!("c{config}"))).unwrap();
        }
        writeln!(ids, "    \"userStatuses.{count}\": \"{}\",", guid(&format!("s{count}"))).unwrap();
        let url = format!(
            "https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations/{{{{deviceConfigurations.{config}}}}}/userStatuses"
        );
        let status = format!(
            "          \"@odata.type\": \"#microsoft.graph.deviceConfigurationUserStatus\",\n          \"userDisplayName\": \"User {count}\",\n          \"devicesCount\": 12,\n          \"status\": \"compliant\",\n          \"lastReportedDateTime\": \"2026-01-01T00:00:17.7769392-08:00\",\n          \"userPrincipalName\": \"user{count}@contoso.onmicrosoft.com\"\n"
        );
        let comma = if count == 1 { "" } else { "," };
        writeln!(
            exchanges,
            "{comma}    {{\n      \"request\": {{\n        \"method\": \"POST\",\n        \"url\": \"{url}\",\n        \"headers\": {{\"content-type\": \"application/json\"}},\n        \"body\": {{\"json\": {{\n{status}        }}}}\n      }},\n      \"response\": {{\n        \"status\": 201,\n        \"headers\": {{\"content-type\": \"application/json\"}},\n        \"body\": {{\"json\": {{\n          \"id\": \"{{{{userStatuses.{count}}}}}\",\n{status}        }}}}\n      }}\n    }}"
        )
        .unwrap();
    }
    let ids = ids.trim_end().trim_end_matches(',');
    (format!("{{\n  \"graphdeck\": 1,\n  \"ids\": {{\n{ids}\n  }},\n  \"exchanges\": [\n{exchanges}  ]\n}}\n"), count)
}

#[test]
fn the_last_exchange_of_a_large_cassette_is_scanned_too() {
    let megabytes = std::env::var("GRAPHDECK_MEGABYTES").ok().and_then(|count| count.parse().ok()).unwrap_or(1);
    let project = Project::new();
    let (text, exchanges) = cassette(megabytes * 1_000_000);
    let file = project.write("cassettes/large.json", &text);
    let begun = Instant::now();
    let checked = project.run(&["cassette", "check"]);
    let scanned = begun.elapsed();
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
    assert_eq!(checked.stdout, format!("cassettes/large.json: {exchanges} exchanges, good\n"));
    let begun = Instant::now();
    let read = std::fs::read(file).unwrap();
    serde_json::from_slice::<serde::de::IgnoredAny>(&read).unwrap();
    let parsed = begun.elapsed();
    eprintln!(
        "{megabytes} MB, {exchanges} exchanges: checked in {scanned:.1?}, read and parsed in {parsed:.1?}, {:.1} times as long",
        scanned.as_secs_f64() / parsed.as_secs_f64()
    );
    let last = text.rfind("User ").unwrap();
    let planted = format!("{}Bearer {} {}", &text[..last], "abcdefgh".repeat(4), &text[last..]);
    project.write("cassettes/large.json", planted);
    let checked = project.run(&["cassette", "check"]);
    assert_eq!(checked.code, Some(2));
    assert!(checked.stdout.contains(&format!("exchange {exchanges}, response body")), "{}", checked.stdout);
}
