//! What the documentation says of a deviceConfigurationUserStatus, for hints about a request that nothing answers.
//!
//! The source is the page "Create userStatuses" of the Microsoft Graph documentation, as `tests/data` has it.

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The values of `complianceStatus`.
const STATUSES: [&str; 8] =
    ["unknown", "notApplicable", "compliant", "remediated", "nonCompliant", "error", "conflict", "notAssigned"];

/// What kind of value a property has.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int32,
    Status,
    DateTime,
}

const PROPERTIES: [(&str, Kind); 6] = [
    ("id", Kind::Text),
    ("userDisplayName", Kind::Text),
    ("devicesCount", Kind::Int32),
    ("status", Kind::Status),
    ("lastReportedDateTime", Kind::DateTime),
    ("userPrincipalName", Kind::Text),
];

/// What is no valid userStatus in a body: each property, and the rule that it breaks.
#[must_use]
pub fn faults(body: &Value) -> Vec<(String, String)> {
    let Some(members) = body.as_object() else {
        return vec![(String::new(), "a deviceConfigurationUserStatus is a JSON object".to_owned())];
    };
    let members = members.iter().filter(|(name, value)| !name.contains('@') && !value.is_null());
    members.filter_map(|(name, value)| Some((name.clone(), fault(name, value)?))).collect()
}

fn fault(name: &str, value: &Value) -> Option<String> {
    let Some((_, kind)) = PROPERTIES.iter().find(|(known, _)| *known == name) else {
        let near = nearest(name, &PROPERTIES.map(|(known, _)| known))?;
        return Some(format!("deviceConfigurationUserStatus has no `{name}`: did you mean `{near}`?"));
    };
    let right = match kind {
        Kind::Text => value.is_string(),
        Kind::Int32 => value.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        Kind::Status => value.as_str().is_some_and(|text| STATUSES.contains(&text)),
        Kind::DateTime => value.as_str().is_some_and(|text| OffsetDateTime::parse(text, &Rfc3339).is_ok()),
    };
    (!right).then(|| rule(name, *kind, value))
}

fn rule(name: &str, kind: Kind, value: &Value) -> String {
    let value = super::differences::shorten(&value.to_string());
    match kind {
        Kind::Text => format!("`{name}` is a String, not {value}"),
        Kind::Int32 => format!("`{name}` is an Int32, from {} to {}, not {value}", i32::MIN, i32::MAX),
        Kind::Status => {
            let near = nearest(value.trim_matches('"'), &STATUSES);
            let near = near.map_or_else(|| ".".to_owned(), |near| format!(": did you mean \"{near}\"?"));
            format!("{value} is no complianceStatus{near} There are {}", STATUSES.join(", "))
        }
        Kind::DateTime => format!("`{name}` is a DateTimeOffset such as 2026-01-31T09:30:00Z, not {value}"),
    }
}

/// The known word that is most like this one, if any is.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let likeness = |known: &str| strsim::jaro_winkler(&known.to_lowercase(), &word.to_lowercase());
    let best = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(best) > 0.8).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_valid_status_has_no_faults() {
        let body = json!({
            "@odata.type": "#microsoft.graph.deviceConfigurationUserStatus",
            "userDisplayName": "Ada",
            "devicesCount": -1,
            "status": "nonCompliant",
            "lastReportedDateTime": "2026-11-23T10:00:00.1234567+01:00",
            "userPrincipalName": null,
            "somethingElse": [1],
        });
        assert_eq!(faults(&body), []);
    }

    #[test]
    fn each_fault_is_told_with_its_rule() {
        let body = json!({
            "status": "noncompliant",
            "devicesCount": 3_000_000_000_u32,
            "lastReportedDateTime": "23.11.2026",
            "userDisplayName": 7,
            "userPrincipleName": "a",
        });
        let mut told: Vec<String> = faults(&body).into_iter().map(|(name, rule)| format!("{name}: {rule}")).collect();
        told.extend(faults(&json!({"status": "x", "devicesCount": "Integer"})).into_iter().map(|(_, rule)| rule));
        told.extend(faults(&json!([])).into_iter().map(|(_, rule)| rule));
        insta::assert_snapshot!(told.join("\n"));
    }
}
