//! The sections `[[fault]]`, and `--fault`: faults on demand as they are written.

use super::written::{self, WrittenFault};
use crate::tape::faults::Rule;

/// The rules for faults on demand.
pub(super) fn check(written: Vec<WrittenFault>, faults: &mut Vec<written::Fault>) -> Vec<Rule> {
    let mut rules = Vec::new();
    for WrittenFault { line, route, answer, when } in written {
        let (Some(route), Some(answer)) = (route, answer) else {
            let example = r#"route = "POST /**/userStatuses" and answer = "429""#;
            faults.push((line, format!("[[fault]] needs a route and an answer, such as {example}")));
            continue;
        };
        let when = when.map(|when| format!(" {}", when.value)).unwrap_or_default();
        match Rule::parse(&format!("{}: {}{when}", route.value, answer.value)) {
            Ok(rule) => rules.push(rule),
            Err(wrong) => faults.extend(wrong.into_iter().map(|why| (line, format!("fault: {why}")))),
        }
    }
    rules
}

/// Reads rules for faults on demand.
///
/// # Errors
/// Words for all that is wrong in them.
pub fn parse(texts: &[String]) -> Result<Vec<Rule>, String> {
    let (mut rules, mut wrong) = (Vec::new(), Vec::new());
    for text in texts {
        match Rule::parse(text) {
            Ok(rule) => rules.push(rule),
            Err(why) => wrong.extend(why.into_iter().map(|why| format!("in `{text}`: {why}"))),
        }
    }
    match wrong.as_slice() {
        [] => Ok(rules),
        [one] => Err(one.clone()),
        several => Err(format!("these cannot be meant:\n  {}", several.join("\n  "))),
    }
}
