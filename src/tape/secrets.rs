//! What a secret looks like: by the name of its place, and by its own shape.

use regex::bytes::{Captures, Regex, RegexSet};
use std::borrow::Cow;
use std::sync::LazyLock;

/// What stands on tape in the stead of a secret.
pub const REDACTED: &str = "REDACTED";

/// A kind of secret.
#[derive(Debug)]
struct Rule {
    /// What it is called, in `docs/redaction.md` and in what a check says.
    name: &'static str,
    /// How it is found. What the group `secret` finds is taken out, or else all.
    pattern: &'static str,
}

/// The names of JSON members that hold a secret.
macro_rules! json_fields {
    () => {
        concat!(
            "client_?secret|secret_?text|client_?assertion|password|current_?password|new_?password|pass_?phrase|",
            "access_?token|refresh_?token|id_?token|bearer_?token|api_?key|account_?key|shared_?access_?key|",
            "private_?key|pre_?shared_?key|connection_?string|password_?base64|temporary_?access_?pass|client_?state|",
            "encryption_?key|mac_?key|token|token_?value|unlock_?pin|activation_?lock_?bypass_?code|key_?material"
        )
    };
}

/// Members and options whose values are secrets, wherever they stand. `code` is one in forms and queries only: in JSON
/// it says what went wrong.
const RULES: [Rule; 17] = [
    Rule {
        name: "json-field",
        pattern: concat!(r#"(?i)"(?:"#, json_fields!(), r#")"\s*:\s*"(?P<secret>(?:[^"\\]|\\(?s:.))+)"#),
    },
    // The same in JSON that stands in a JSON string, each of its quotes escaped once more.
    Rule {
        name: "nested-json-field",
        pattern: concat!(
            r#"(?i)\\"(?:"#,
            json_fields!(),
            r#")\\"\s*:\s*\\"(?P<secret>(?:[^"\\]|\\u[0-9a-f]{4}|\\\\(?:\\["\\]|[^"\\]))+)"#
        ),
    },
    Rule {
        name: "form-field",
        pattern: concat!(
            r#"(?i)(?:^|[?&;\s"'=/])(?:client_?secret|client_?assertion|password|access_?token|refresh_?token|id_?token|"#,
            r#"api_?key|subscription-key|code_verifier)=(?P<secret>[^=~&;\s"'<>\\][^&;\s"'<>\\]*)"#
        ),
    },
    // These are words of other meanings too: they count where a form or a query has its fields.
    Rule {
        name: "form-field-of-a-form",
        pattern: r#"(?i)(?:^|[?&])(?:code|sig|pwd|device_code)=(?P<secret>[^=~&;\s"'<>\\][^&;\s"'<>\\]*)"#,
    },
    Rule {
        name: "multipart-field",
        pattern: concat!(
            r#"(?i)content-disposition:[^\r\n]*[;\s]name="?(?:client_?secret|client_?assertion|password|access_?token|"#,
            r#"refresh_?token|id_?token|api_?key|code)"?[ \t]*(?:;[^\r\n]*)?\r?\n(?:[^\r\n]+\r?\n)*\r?\n(?P<secret>[^\r\n]+)"#
        ),
    },
    Rule { name: "www-authenticate-claims", pattern: r#"(?i)claims=\\*"(?P<secret>[A-Za-z0-9+/=_-]{16,})"# },
    Rule { name: "jwt", pattern: r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)+" },
    Rule { name: "bearer-token", pattern: r"(?i)bearer(?:\s|%20|\+)+(?P<secret>[A-Za-z0-9._~+/-]{20,}=*)" },
    Rule { name: "refresh-token", pattern: r"\b[01]\.A[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*\.[A-Za-z0-9_-]{40,}" },
    // What a PEM holds, and no more: the text around it stays. Its line ends may be escaped.
    Rule {
        name: "private-key",
        pattern: concat!(
            r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s:,]|\\r|\\n|\\u000[ad])*",
            r"(?:-----END [A-Z0-9 ]*PRIVATE KEY-----)?"
        ),
    },
    Rule { name: "sas-signature", pattern: r"(?i)(?:\?|&|%26|;|\b)sig(?:=|%3d)(?P<secret>[A-Za-z0-9%+/=_-]{20,})" },
    Rule { name: "azure-client-secret", pattern: r"[A-Za-z0-9_~.-]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}" },
    Rule {
        name: "connection-string",
        pattern: r#"(?i)(?:account|sharedaccess|sharedsecret|primary|secondary)key=(?P<secret>[^;&"'\s\\]{8,})"#,
    },
    Rule { name: "url-password", pattern: r#"[a-z][a-z0-9+.-]*://[^/\s:@"'?#]*:(?P<secret>[^/\s:@"'?#]+)@"# },
    Rule { name: "aws-key", pattern: r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b" },
    Rule { name: "github-token", pattern: r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{60,})" },
    Rule { name: "slack-token", pattern: r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}" },
];

/// The rules, ready to search.
struct Search {
    any: RegexSet,
    each: Vec<Regex>,
}

static SEARCH: LazyLock<Search> = LazyLock::new(|| Search {
    any: RegexSet::new(RULES.iter().map(|rule| bytewise(rule.pattern))).expect("the patterns are tested"),
    each: RULES.iter().map(|rule| Regex::new(&bytewise(rule.pattern)).expect("the patterns are tested")).collect(),
});

fn bytewise(pattern: &str) -> String {
    format!("(?-u){pattern}")
}

/// The bytes with [`REDACTED`] in the stead of every secret; as they are when there is none.
#[must_use]
pub fn without(bytes: &[u8]) -> Cow<'_, [u8]> {
    let found = SEARCH.any.matches(bytes);
    if !found.matched_any() {
        return bytes.into();
    }
    let mut clean = bytes.to_vec();
    for rule in &found {
        clean = SEARCH.each[rule].replace_all(&clean, replaced).into_owned();
    }
    clean.into()
}

/// A match with its secret taken out.
fn replaced(found: &Captures<'_>) -> Vec<u8> {
    let all = found.get(0).expect("a match has a group 0");
    let secret = found.name("secret").unwrap_or(all);
    let (before, after) = (secret.start() - all.start(), secret.end() - all.start());
    [&all.as_bytes()[..before], REDACTED.as_bytes(), &all.as_bytes()[after..]].concat()
}

/// The same for a text, which stays one: patterns take whole characters out, since all that they name is ASCII or not
/// a quote.
#[must_use]
pub fn without_in(text: &str) -> Cow<'_, str> {
    match without(text.as_bytes()) {
        Cow::Borrowed(_) => text.into(),
        Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
    }
}

/// The name of the kind of secret that stands in a text, if one does.
#[must_use]
pub fn find(text: &[u8]) -> Option<&'static str> {
    let found = SEARCH.any.matches(text);
    found.iter().find(|&rule| is_left(&SEARCH.each[rule], text)).map(|rule| RULES[rule].name)
}

/// Whether a rule finds more than what was taken out already.
fn is_left(rule: &Regex, text: &[u8]) -> bool {
    rule.captures_iter(text).any(|found| {
        let secret = found.name("secret").or(found.get(0)).expect("a match has a group 0");
        secret.as_bytes() != REDACTED.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A secret of each kind, made up, and what is left of the text around it.
    #[expect(clippy::too_many_lines, reason = "it is a table")]
    fn planted() -> Vec<(&'static str, String, &'static str)> {
        let jwt = format!("eyJ{}.eyJ{}.{}", "hbGciOiJub25lIn0", "zdWIiOiIxMjMifQ", "c2lnbmF0dXJl");
        let azure = format!("abc8Q~{}", "x".repeat(34));
        vec![
            ("json-field", r#"{"client_secret":"s3cr3t \"x","a":1}"#.into(), r#"{"client_secret":"REDACTED","a":1}"#),
            (
                "json-field",
                r#"{"passwordProfile":{"password" : "Pä55"}}"#.into(),
                r#"{"passwordProfile":{"password" : "REDACTED"}}"#,
            ),
            (
                "nested-json-field",
                r#"{"m":"{\"refreshToken\":\"a\\\"b\\\\c\",\"n\":1}"}"#.into(),
                r#"{"m":"{\"refreshToken\":\"REDACTED\",\"n\":1}"}"#,
            ),
            (
                "form-field",
                "grant_type=x&client_secret=a%2Bb&scope=y".into(),
                "grant_type=x&client_secret=REDACTED&scope=y",
            ),
            ("form-field-of-a-form", "https://h/cb?code=0.abc&state=1".into(), "https://h/cb?code=REDACTED&state=1"),
            ("json-field", r#"{"passwordBase64":"UEBzcw=="}"#.into(), r#"{"passwordBase64":"REDACTED"}"#),
            (
                "private-key",
                r#"{"notes":"paste from -----BEGIN PRIVATE KEY-----\nMIIE\n","next":"kept"}"#.into(),
                r#"{"notes":"paste from REDACTED","next":"kept"}"#,
            ),
            (
                "multipart-field",
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nhunter2\r\n--b".into(),
                "--b\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\nREDACTED\r\n--b",
            ),
            (
                "www-authenticate-claims",
                r#"Bearer realm="", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#.into(),
                r#"Bearer realm="", claims="REDACTED""#,
            ),
            ("jwt", format!("see {jwt}, and"), "see REDACTED, and"),
            ("bearer-token", "Bearer EwBwA8l6BAAUbDba3x2OMJElkF7gJ4z".into(), "Bearer REDACTED"),
            ("refresh-token", format!("0.AXoA{}.AgABAwEAAADW6jl31mB3{}", "b".repeat(20), "c".repeat(60)), "REDACTED"),
            (
                "private-key",
                "k: -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY----- end".into(),
                "k: REDACTED end",
            ),
            (
                "sas-signature",
                format!("https://x.blob.core.windows.net/a%3Fsv%3D1%26sig%3D{}", "Ab1%2F".repeat(8)),
                "https://x.blob.core.windows.net/a%3Fsv%3D1%26sig%3DREDACTED",
            ),
            ("azure-client-secret", format!("the secret is {azure} now"), "the secret is REDACTED now"),
            (
                "connection-string",
                "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abcdefgh12345==;x".into(),
                "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=REDACTED;x",
            ),
            ("url-password", "https://user:hunter2@example.com/x".into(), "https://user:REDACTED@example.com/x"),
            ("aws-key", format!("id AKIA{} x", "ABCDEFGH12345678"), "id REDACTED x"),
            ("github-token", format!("ghp_{}", "a1".repeat(18)), "REDACTED"),
            ("slack-token", format!("xoxb-{}", "123456789012-abc"), "REDACTED"),
        ]
    }

    #[test]
    fn each_kind_is_found_and_taken_out_and_nothing_else() {
        for (name, text, clean) in planted() {
            assert_eq!(without_in(&text), clean, "{name}");
            assert!(find(text.as_bytes()).is_some(), "{name}");
            assert_eq!(find(without_in(&text).as_bytes()), None, "{name} is found no more");
            assert_eq!(without_in(&without_in(&text)), without_in(&text), "{name} once is enough");
        }
        let kinds: std::collections::HashSet<&str> = planted().iter().map(|(name, ..)| *name).collect();
        assert_eq!(kinds.len(), RULES.len(), "every rule has its example");
    }

    #[test]
    fn json_stays_json() {
        for (_, text, _) in planted().into_iter().filter(|(_, text, _)| text.starts_with('{')) {
            let clean = without_in(&text);
            assert!(serde_json::from_str::<serde_json::Value>(&clean).is_ok(), "{clean}");
            assert!(!clean.contains("s3cr3t"));
        }
    }

    #[test]
    fn what_graph_says_every_day_is_no_secret() {
        for text in [
            r#"{"error":{"code":"BadRequest","message":"Unable to read JSON request payload."}}"#,
            r#"{"passwordPolicies":"None","displayName":"Password reset","codeSigning":true}"#,
            "/beta/deviceManagement/deviceConfigurations('0385114b-b48f-4800-a046-f249eaba24b1')/userStatuses?$select=id",
            "020286da-41c6-4700-8e2b-822e444187c3_0385114b-b48f-4800-a046-f249eaba24b1",
            "AAMkADYCQM0GfRAAAcrRD-AAA=",
            "https://graph.microsoft.com/v1.0/users?$skiptoken=RFNwdAIAAQAAAB86dXNlckBleGFtcGxlLmNvbQ",
            r#"{"Query":"DeviceEvents | where code==404 and exit code=5"}"#,
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"passwords.csv\"\r\n\r\na,b\r\n--b--",
            r#"Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize""#,
            "2017-01-01T00:00:17.7769392-08:00",
            r##"{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus","userPrincipalName":"a@b.c"}"##,
        ] {
            assert_eq!(find(text.as_bytes()), None, "{text}");
            assert_eq!(without_in(text), text);
        }
    }
}
