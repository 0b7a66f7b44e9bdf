//! The section `[redact]`: which rules for secrets count, and what becomes of people.

use super::each;
use super::written::{self, At, WrittenRedaction, WrittenShape, meant};
use crate::tape::secrets::{self, Changes, Secrets};

/// What becomes of the names, addresses and ids of people in a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum People {
    /// They stay as they are.
    #[default]
    Keep,
    /// Stand-ins take their place.
    Pseudonym,
}

/// The rules for secrets, and what becomes of people; of a faulty section what can be had of it.
pub(super) fn check(written: WrittenRedaction, faults: &mut Vec<written::Fault>) -> (Secrets, People) {
    let list = |list: Option<At<Vec<At<String>>>>| list.map(|list| list.value).unwrap_or_default();
    let people = super::one_of("redact.people", written.people, PEOPLE, faults).unwrap_or_default();
    let changes = Changes {
        off: each("redact.off", list(written.off), faults, check_name),
        headers: each("redact.headers", list(written.headers), faults, check_header),
        members: each("redact.members", list(written.members), faults, check_member),
        rules: check_shapes(written.rules.unwrap_or_default(), faults),
    };
    // Those that the deck comes with are made ready once.
    if changes == Changes::default() {
        return (Secrets::default(), people);
    }
    let secrets = Secrets::new(&changes).unwrap_or_else(|why| {
        faults.push((1, format!("redact: the rules taken together cannot be searched: {why}")));
        Secrets::default()
    });
    (secrets, people)
}

const PEOPLE: [(&str, People); 2] = [("keep", People::Keep), ("pseudonym", People::Pseudonym)];

/// Sees that a text is the name of a rule, a header, a member or a field that the deck comes with.
fn check_name(text: &str) -> Result<String, String> {
    let known: Vec<&str> = secrets::names().collect();
    let name = secrets::name_of(text).ok_or_else(|| {
        let hint = match meant(text, &known) {
            hint if hint.starts_with("did") => hint,
            _ => "docs/redaction.md lists them".to_owned(),
        };
        format!("`{text}` is the name of no rule, header or member; {hint}")
    })?;
    Ok(name.to_owned())
}

fn check_header(text: &str) -> Result<String, String> {
    let good = http::HeaderName::try_from(text.replace('*', "x")).is_ok() && text.bytes().any(|b| b != b'*');
    let wrong = || format!("`{text}` is no name of a header, such as X-My-Key or x-my-*");
    if good { Ok(text.to_ascii_lowercase()) } else { Err(wrong()) }
}

fn check_member(text: &str) -> Result<String, String> {
    let good = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-.@".contains(c));
    let wrong =
        || format!("`{text}` is no name of a member, such as pinCode: it has letters, digits, `_`, `-`, `.` and `@`");
    if good { Ok(text.to_owned()) } else { Err(wrong()) }
}

fn check_shapes(written: Vec<WrittenShape>, faults: &mut Vec<written::Fault>) -> Vec<(String, String)> {
    let mut rules: Vec<(String, String)> = Vec::new();
    for WrittenShape { line, name, pattern } in written {
        let (Some(name), Some(pattern)) = (name, pattern) else {
            let example = r#"name = "ticket" and pattern = "TICKET-[0-9]+""#;
            faults.push((line, format!("[[redact.rule]] needs a name and a pattern, such as {example}")));
            continue;
        };
        let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !plain(&name.value) {
            let why = "is no name of a rule: it has letters, digits and `-`";
            faults.push((name.line, format!("redact.rule.name: `{}` {why}", name.value)));
        } else if secrets::name_of(&name.value).is_some() {
            let why = "is a name that the deck's own rules have: take another one";
            faults.push((name.line, format!("redact.rule.name: `{}` {why}", name.value)));
        } else if rules.iter().any(|(other, _)| *other == name.value) {
            faults.push((name.line, format!("redact.rule.name: `{}` is the name of two rules", name.value)));
        }
        if let Err(why) = secrets::check_pattern(&pattern.value) {
            faults.push((pattern.line, format!("redact.rule.pattern: {why}")));
        } else {
            rules.push((name.value, pattern.value));
        }
    }
    rules
}
