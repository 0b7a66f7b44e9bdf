//! Finds secrets in texts: by the names of their places, and by their own shape.

use super::guid::{self, Guid};
use super::json_text;
use super::secret_rules::{BY_PLACE, BY_SHAPE, ESCAPED, ESCAPED_MEMBER, FIELDS, HEADERS, MEMBERS, SHORT_FIELDS};
use super::together::{self, Together};
use regex::bytes::{Captures, Regex};
use std::borrow::Cow;
use std::sync::{Arc, LazyLock, OnceLock};

/// What stands on tape in the stead of a secret.
pub const REDACTED: &str = "REDACTED";

/// How often a text is gone through at most: each time something is left that was none before.
const MOST_ROUNDS: usize = 8;

/// What a configuration changes of the rules that the deck comes with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The names of rules, headers, members and fields that count no more.
    pub off: Vec<String>,
    /// More headers; `*` stands for any text.
    pub headers: Vec<String>,
    /// More members of JSON, elements of XML and fields of forms.
    pub members: Vec<String>,
    /// More shapes, by name.
    pub rules: Vec<(String, String)>,
}

/// The rules for secrets, ready to search. A copy of it costs nothing.
#[derive(Clone, Debug)]
pub struct Secrets(Arc<Search>);

#[derive(Debug)]
struct Search {
    /// Whole names, and patterns for more.
    header_names: Vec<String>,
    headers: Vec<String>,
    names: Vec<String>,
    any: Together,
    each: Vec<Rule>,
    /// Whether a rule of the user's own may find a secret in one GUID and not in another.
    looks_at_guids: bool,
    /// Whether all rules are such that [`super::cutting::is_mute`] knows what they find.
    knows_words: bool,
    /// A name of a member, decoded, that hides a secret; none where they are all switched off.
    member: Option<Regex>,
}

/// Why rules cannot be searched.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Unsearchable {
    /// One by itself.
    Alone(#[from] regex::Error),
    /// All of them together.
    Together(#[from] together::Fault),
}

/// A rule by itself. It is made ready when something was found by it for the first time: most runs meet few kinds.
#[derive(Debug)]
struct Rule {
    pattern: String,
    ready: OnceLock<Regex>,
}

/// Whether the name of a member has a GUID in it, whatever stands beside it and however underscores stand in it: the rules
/// find it with one before each capital letter, and without any.
fn has_guid(name: &str) -> bool {
    let bare = name.replace('_', "");
    (0..bare.len()).any(|at| bare.get(at..at + guid::LENGTH).is_some_and(|part| Guid::parse(part).is_some()))
}

/// Whether the name of a member is one like those that the deck comes with.
fn is_plain_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b' '))
}

impl Rule {
    fn of(pattern: String) -> Self {
        Self { pattern, ready: OnceLock::new() }
    }

    fn ready(&self) -> &Regex {
        self.ready.get_or_init(|| Regex::new(&self.pattern).expect("it is among those that are searched together"))
    }
}

impl Default for Secrets {
    fn default() -> Self {
        static DEFAULT: LazyLock<Secrets> = LazyLock::new(|| {
            Secrets::new(&Changes::default()).expect("the patterns that the deck comes with are tested")
        });
        DEFAULT.clone()
    }
}

/// The name of every rule, header, member and field that can be switched off.
pub fn names() -> impl Iterator<Item = &'static str> {
    let rules = BY_PLACE.iter().chain(&BY_SHAPE).map(|(name, _)| *name).chain([ESCAPED_MEMBER]);
    let fields = FIELDS.into_iter().chain(SHORT_FIELDS).filter(|field| !MEMBERS.contains(field));
    rules.chain(HEADERS).chain(MEMBERS).chain(fields)
}

/// The name, as the deck writes it, that a text means.
#[must_use]
pub fn name_of(text: &str) -> Option<&'static str> {
    names().find(|name| bare(name) == bare(text))
}

/// A name without what does not tell it from others: case and `_`.
fn bare(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// Reads a pattern for a rule.
///
/// # Errors
/// Words for why it cannot be one.
pub fn check_pattern(pattern: &str) -> Result<(), String> {
    let compiled = Regex::new(&bytewise(pattern)).map_err(|fault| {
        let told = fault.to_string();
        let last = told.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        format!("`{pattern}` is no regular expression: {}", last.trim().trim_start_matches("error: "))
    })?;
    if compiled.is_match(b"") {
        return Err(format!("`{pattern}` finds the empty text, and so a secret everywhere"));
    }
    if is_left(&compiled, REDACTED.as_bytes()) {
        return Err(format!("`{pattern}` finds a part of `{REDACTED}`, which stands for what was taken out"));
    }
    Ok(())
}

impl Secrets {
    /// The rules that the deck comes with, changed.
    ///
    /// # Errors
    /// When a pattern is no regular expression.
    pub fn new(changes: &Changes) -> Result<Self, Unsearchable> {
        let on = |name: &&str| !changes.off.iter().any(|off| bare(off) == bare(name));
        let own = || changes.members.iter().map(String::as_str);
        let any_of = |names: &[&str], more: bool| {
            let more = own().filter(|_| more);
            alternatives(names.iter().copied().filter(on).chain(more))
        };
        let (members, fields) = (any_of(&MEMBERS, true), any_of(&FIELDS, true));
        let mut rules: Vec<(String, String)> = Vec::new();
        for (name, pattern) in BY_PLACE.iter().filter(|(name, _)| on(name)) {
            let pattern = pattern.replace("{members}", &members).replace("{fields}", &fields);
            rules.push(((*name).to_owned(), pattern.replace("{short_fields}", &any_of(&SHORT_FIELDS, false))));
        }
        let shapes = BY_SHAPE.iter().filter(|(name, _)| on(name));
        rules.extend(shapes.map(|(name, pattern)| ((*name).to_owned(), (*pattern).to_owned())));
        rules.extend(changes.rules.iter().cloned());
        let escaped = on(&ESCAPED_MEMBER).then(|| (ESCAPED_MEMBER.to_owned(), ESCAPED.replace("{members}", &members)));
        let patterns: Vec<String> = rules.iter().chain(&escaped).map(|(_, pattern)| bytewise(pattern)).collect();
        let headers = HEADERS.into_iter().filter(on).chain(changes.headers.iter().map(String::as_str));
        let (patterned, whole): (Vec<&str>, Vec<&str>) = headers.partition(|name| name.contains('*'));
        Ok(Self(Arc::new(Search {
            header_names: whole.into_iter().map(str::to_owned).collect(),
            headers: patterned.into_iter().map(str::to_owned).collect(),
            names: rules.iter().map(|(name, _)| name.clone()).collect(),
            looks_at_guids: !changes.rules.is_empty() || own().any(has_guid),
            knows_words: changes.rules.is_empty() && own().all(is_plain_name),
            any: Together::new(&patterns)?,
            each: patterns.into_iter().take(rules.len()).map(Rule::of).collect(),
            member: escaped.map(|_| Regex::new(&bytewise(&format!("(?i)^(?:{members})$")))).transpose()?,
        })))
    }

    /// Whether a rule of the user's own may find a secret in one GUID and not in another: the deck's own do not.
    #[must_use]
    pub fn look_at_guids(&self) -> bool {
        self.0.looks_at_guids
    }

    /// Whether what the rules find is known but for names: none of the user's own is among them.
    #[must_use]
    pub(super) fn know_words(&self) -> bool {
        self.0.knows_words
    }

    /// Whether a rule finds something, be it what was taken out already.
    #[must_use]
    pub(super) fn find_any(&self, bytes: &[u8]) -> bool {
        self.0.any.is_match(bytes)
    }

    /// Whether a header, by its name, carries credentials.
    #[must_use]
    pub fn hide_header(&self, name: &str) -> bool {
        self.0.header_names.iter().any(|header| header.eq_ignore_ascii_case(name))
            || self.0.headers.iter().any(|header| fits(header.as_bytes(), name.as_bytes()))
    }

    /// The bytes with [`REDACTED`] in the stead of every secret; as they are when there is none.
    #[must_use]
    pub fn without<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let Cow::Owned(mut clean) = self.once_without(bytes) else { return bytes.into() };
        // What is taken out of the middle of a text may make a secret of its ends.
        for _ in 0..MOST_ROUNDS {
            match self.once_without(&clean) {
                Cow::Owned(again) if again != clean => clean = again,
                _ => break,
            }
        }
        clean.into()
    }

    fn once_without<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        // Most texts hold none, and whether they do is seen sooner than what.
        if !self.0.any.is_match(bytes) {
            return bytes.into();
        }
        let found = self.0.any.matches(bytes);
        let clean = self.without_these(bytes, &found);
        let escaped = found.iter().any(|rule| *rule >= self.0.each.len());
        escaped.then(|| self.without_escaped(&clean)).flatten().map_or(clean, Cow::Owned)
    }

    /// The bytes without what some rules find in them as they are.
    fn without_these<'a>(&self, bytes: &'a [u8], found: &[usize]) -> Cow<'a, [u8]> {
        let rules = found.iter().filter_map(|rule| self.0.each.get(*rule));
        rules.fold(Cow::Borrowed(bytes), |clean, rule| rule.ready().replace_all(&clean, replaced).into_owned().into())
    }

    /// The same for a text, which stays one: patterns take whole characters out, since all that they name is ASCII or
    /// not a quote.
    #[must_use]
    pub fn without_in<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.without(text.as_bytes()) {
            Cow::Borrowed(_) => text.into(),
            Cow::Owned(bytes) => String::from_utf8_lossy(&bytes).into_owned().into(),
        }
    }

    /// The name of the kind of secret that stands in a text, if one does.
    #[must_use]
    pub fn find(&self, text: &[u8]) -> Option<&str> {
        let found = self.0.any.matches(text);
        let mut found = found.into_iter().filter(|rule| match self.0.each.get(*rule) {
            Some(rule) => is_left(rule.ready(), text),
            None => self.without_escaped(text).is_some(),
        });
        found.next().map(|rule| self.0.names.get(rule).map_or(ESCAPED_MEMBER, String::as_str))
    }

    /// A JSON text without what is a secret once its escapes are read, if there is any: the values of members whose names
    /// are written with them, and what the rules find in the text written with as few as can be.
    fn without_escaped(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let secret = |name: &str| self.0.member.as_ref().is_some_and(|member| member.is_match(name.as_bytes()));
        let mut cleared = false;
        let plain = json_text::rewritten(bytes, &mut |name, value| {
            let changed = if name.is_some_and(secret) && !value.is_empty() && value != REDACTED {
                Some(REDACTED.to_owned())
            } else if value.contains('"') {
                // JSON within a text may have escapes of its own.
                let clean = self.without_escaped(value.as_bytes());
                clean.map(|clean| String::from_utf8_lossy(&clean).into_owned())
            } else {
                None
            };
            cleared |= changed.is_some();
            changed
        })?;
        match self.without_these(&plain, &self.0.any.matches(&plain)) {
            Cow::Owned(clean) if clean != plain => Some(clean),
            _ => cleared.then_some(plain),
        }
    }
}

/// A pattern for any of some names, whose words may be joined by `_` or not; one that matches nothing when there are none.
fn alternatives<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let spelled = |name: &str| {
        let mut spelled = String::new();
        for c in name.chars() {
            match c {
                '_' => spelled.push_str("_?"),
                c if c.is_ascii_uppercase() && !spelled.is_empty() => {
                    spelled.push_str("_?");
                    spelled.push(c.to_ascii_lowercase());
                }
                c => spelled.push_str(&regex::escape(&c.to_lowercase().to_string())),
            }
        }
        spelled
    };
    let names: Vec<String> = names.map(spelled).collect();
    if names.is_empty() { r"[^\x00-\xff]".to_owned() } else { names.join("|") }
}

/// Whether a name is as a pattern says, in which `*` stands for any text; in any case.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let mut parts = pattern.split(|byte| *byte == b'*');
    let begin = parts.next().unwrap_or_default();
    let Some((_, mut rest)) = name.split_at_checked(begin.len()).filter(|(own, _)| own.eq_ignore_ascii_case(begin))
    else {
        return false;
    };
    let Some(end) = parts.next_back() else { return rest.is_empty() };
    for part in parts.filter(|part| !part.is_empty()) {
        // The first place is as good as any: it leaves most for those behind it.
        let Some(at) = rest.windows(part.len()).position(|own| own.eq_ignore_ascii_case(part)) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= end.len() && rest[rest.len() - end.len()..].eq_ignore_ascii_case(end)
}

fn bytewise(pattern: &str) -> String {
    format!("(?-u){pattern}")
}

/// A match with its secret taken out.
fn replaced(found: &Captures<'_>) -> Vec<u8> {
    let all = found.get(0).expect("a match has a group 0");
    let number = found.name("number");
    let secret = number.or(found.name("secret")).unwrap_or(all);
    let (before, after) = (secret.start() - all.start(), secret.end() - all.start());
    let quote = number.and(found.name("quote")).map_or(&b""[..], |quote| quote.as_bytes());
    [&all.as_bytes()[..before], quote, REDACTED.as_bytes(), quote, &all.as_bytes()[after..]].concat()
}

/// Whether a rule finds more than what was taken out already.
fn is_left(rule: &Regex, text: &[u8]) -> bool {
    rule.captures_iter(text).any(|found| {
        let secret = found.name("number").or(found.name("secret")).or(found.get(0)).expect("a match has a group 0");
        secret.as_bytes() != REDACTED.as_bytes()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_in(text: &str) -> String {
        Secrets::default().without_in(text).into_owned()
    }

    fn find(text: &[u8]) -> Option<String> {
        Secrets::default().find(text).map(str::to_owned)
    }

    /// The name of the rule by which each text was found, whatever other rules find in it.
    fn found_by(name: &str, text: &str) -> bool {
        let secrets = Secrets::default();
        secrets
            .0
            .any
            .matches(text.as_bytes())
            .iter()
            .any(|rule| secrets.0.names.get(*rule).map_or(ESCAPED_MEMBER, String::as_str) == name)
    }

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
            ("short-form-field", "https://h/cb?code=0.abc&state=1".into(), "https://h/cb?code=REDACTED&state=1"),
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
            ("json-field", r#"{"unlockPin": 1234, "password":-1.5e3}"#.into(), r#"{"unlockPin": "REDACTED", "password":"REDACTED"}"#),
            ("nested-json-field", r#"{"m":"{\"unlockPin\":12}"}"#.into(), r#"{"m":"{\"unlockPin\":\"REDACTED\"}"}"#),
            (
                "escaped-json-field",
                r#"{"client\u005fsecret":"s3cr3t","m":"{\"p\\u0061ssword\":\"s3cr3t\",\"n\":1}"}"#.into(),
                r#"{"client_secret":"REDACTED","m":"{\"password\":\"REDACTED\",\"n\":1}"}"#,
            ),
            (
                "escaped-json-field",
                r#"{"a":"{\"b\":\"{\\\"password\\\":\\\"s3c\\\\\\\"r3t\\\"}\"}"}"#.into(),
                r#"{"a":"{\"b\":\"{\\\"password\\\":\\\"REDACTED\\\"}\"}"}"#,
            ),
            // As .NET and Go write JSON: what HTML gives a meaning to is escaped, quotes within texts among it.
            (
                "escaped-json-field",
                r#"{"a":"{\u0022password\u0022:\u0022s3cr3t\u0022}"}"#.into(),
                r#"{"a":"{\"password\":\"REDACTED\"}"}"#,
            ),
            (
                "escaped-json-field",
                r#"{"u":"https://h/x?a=b\u0026client_secret=s3cr3t\u0026sig=s3cr3ts3cr3ts3cr3ts3cr3t","t":"\u0027"}"#.into(),
                r#"{"u":"https://h/x?a=b&client_secret=REDACTED&sig=REDACTED","t":"'"}"#,
            ),
            (
                "escaped-json-field",
                r#"["client\u005fsecret=s3cr3t","AccountKey=s3cr3t\/s3cr3t","\u0063ode=x"]"#.into(),
                r#"["client_secret=REDACTED","AccountKey=REDACTED","code=x"]"#,
            ),
            (
                "xml-field",
                r#"{"payload":"<WLANProfile><sharedKey><protected>false</protected><keyMaterial>s3cr3t &amp; x</keyMaterial></sharedKey>"}"#.into(),
                r#"{"payload":"<WLANProfile><sharedKey><protected>false</protected><keyMaterial>REDACTED</keyMaterial></sharedKey>"}"#,
            ),
            ("xml-field", r#"{"x":"\u003cns:password a=1\u003es3cr3t\u003c/ns:password\u003e"}"#.into(), r#"{"x":"\u003cns:password a=1\u003eREDACTED\u003c/ns:password\u003e"}"#),
            ("xml-field", r#"<a><Password>s3"cr3t"</Password></a>"#.into(), "<a><Password>REDACTED</Password></a>"),
            ("xml-field", "&lt;Password&gt;s3cr3t&lt;/Password&gt;".into(), "&lt;Password&gt;REDACTED&lt;/Password&gt;"),
            ("plist-field", r#"{"x":"<key>Password</key>\n\t<string>s3cr3t</string>"}"#.into(), r#"{"x":"<key>Password</key>\n\t<string>REDACTED</string>"}"#),
            (
                "bitlocker-recovery-key",
                r#"{"key":"123456-234567-345678-456789-567890-678901-789012-890123"}"#.into(),
                r#"{"key":"REDACTED"}"#,
            ),
            ("filevault-recovery-key", r#"{"value":"ABCD-EF12-3456-GHIJ-KLMN-7890"}"#.into(), r#"{"value":"REDACTED"}"#),
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

    proptest::proptest! {
        #[test]
        fn a_name_fits_a_pattern_as_it_would_an_expression(pattern in "[aAb*-]{0,6}", name in "[aAbB-]{0,8}") {
            let expression = format!("(?i)^{}$", regex::escape(&pattern).replace(r"\*", ".*"));
            let fitting = Regex::new(&bytewise(&expression)).unwrap().is_match(name.as_bytes());
            proptest::prop_assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fitting);
        }
    }

    #[test]
    fn each_kind_is_found_and_taken_out_and_nothing_else() {
        for (name, text, clean) in planted() {
            assert_eq!(without_in(&text), clean, "{name}");
            assert!(found_by(name, &text) && find(text.as_bytes()).is_some(), "{name}: {text}");
            assert_eq!(find(without_in(&text).as_bytes()), None, "{name} is found no more");
            assert_eq!(without_in(&without_in(&text)), without_in(&text), "{name} once is enough");
        }
        let kinds: std::collections::HashSet<&str> = planted().iter().map(|(name, ..)| *name).collect();
        assert_eq!(kinds.len(), BY_PLACE.len() + BY_SHAPE.len() + 1, "every rule has its example");
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
            r#"{"key":"a","value":"b","recoveryKeyRotation":1,"code\u005fx":"\u0041","passwordCount":3}"#,
            r#"{"a<token>b":"c","d":"<key>password</key> <string>", "e":"f<g"}"#,
            r#"{"a":"\u003cb\u003e it\u0027s \/ {\u0022a\u0022:1}"}"#,
            "<passwordRequired>true</passwordRequired><key>PayloadType</key><string>com.apple.wifi</string>",
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

    #[test]
    fn rules_are_switched_off_one_by_one_and_added() {
        let jwt = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxMjMifQ.c2lnbmF0dXJl";
        let changes = Changes {
            off: ["jwt", "Client_State", "x-api-key", "pwd", "apikey"].map(str::to_owned).into(),
            headers: vec!["X-My-*".into()],
            members: vec!["pinCode".into()],
            rules: vec![("ticket".into(), "TICKET-(?P<secret>[0-9]+)".into())],
        };
        let secrets = Secrets::new(&changes).unwrap();
        let text = format!(r#"{{"a":"{jwt}","clientState":"s","PIN_code":1,"b":"TICKET-77","password":"p"}}"#);
        let clean = format!(
            r#"{{"a":"{jwt}","clientState":"s","PIN_code":"REDACTED","b":"TICKET-REDACTED","password":"REDACTED"}}"#
        );
        assert_eq!(secrets.without_in(&text), clean);
        assert_eq!(secrets.find(text.as_bytes()), Some("json-field"));
        assert_eq!(secrets.find(b"TICKET-7"), Some("ticket"));
        assert_eq!(
            secrets.without_in("pwd=1&pinCode=2&api_key=3&sig=4"),
            "pwd=1&pinCode=REDACTED&api_key=3&sig=REDACTED"
        );
        for (name, hidden) in [("x-my-key", true), ("x-api-key", false), ("cookie", true), ("X-MS-a-Token-b", true)] {
            assert_eq!(secrets.hide_header(name), hidden, "{name}");
        }
    }

    #[test]
    fn every_name_can_be_switched_off_and_means_one_thing() {
        let changes = Changes { off: names().map(str::to_owned).collect(), ..Changes::default() };
        let secrets = Secrets::new(&changes).unwrap();
        for (_, text, _) in planted() {
            assert_eq!(secrets.without_in(&text), text);
        }
        assert!(HEADERS.iter().all(|name| !secrets.hide_header(name)));
        for name in names() {
            assert_eq!(names().filter(|other| *other == name).count(), 1, "{name}");
            assert_eq!(name_of(&name.to_uppercase()).map(bare), Some(bare(name)));
        }
    }

    #[test]
    fn a_pattern_that_cannot_work_is_told_in_a_line() {
        let told = ["(", "a*", "EDACT", "x{2", "\\p{Greek}"].map(|pattern| check_pattern(pattern).unwrap_err());
        insta::assert_snapshot!(told.join("\n"));
        assert_eq!(check_pattern("TICKET-[0-9]+|REDACTED"), Ok(()));
    }

    #[test]
    fn the_page_on_secrets_lists_every_name_and_no_other() {
        let page = include_str!("../../docs/redaction.md").split("\n## People").next().unwrap();
        let quoted = |text: &'static str| text.split('`').skip(1).step_by(2);
        let rows =
            || page.lines().filter(|line| line.starts_with("| ")).map(|line| line.split('|').collect::<Vec<_>>());
        let rules = rows().filter(|cells| cells[1].starts_with(" `")).flat_map(|cells| quoted(cells[1]));
        let places = rows().filter(|cells| !cells[1].starts_with(" `")).flat_map(|cells| quoted(cells[2]));
        let listed: std::collections::BTreeSet<&str> = rules.chain(places).collect();
        let known: std::collections::BTreeSet<&str> = names().chain(FIELDS).chain(SHORT_FIELDS).collect();
        assert_eq!(listed, known);
    }
}
