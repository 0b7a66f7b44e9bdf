//! Trouble on demand as it is written: `[[fault]]`, `--fault`, limits and latency.

use super::each;
use super::written::{self, At, WrittenFault};
use crate::tape::faults::Rule;
use crate::tape::latency::Latency;
use crate::tape::throttle::Throttle;

/// The trouble that a replay makes on demand.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// The rules for faults, the first of them that strikes first.
    pub faults: Vec<Rule>,
    /// The limits that are kept.
    pub throttle: Option<Throttle>,
    /// How long answers take.
    pub latency: Latency,
}

/// The trouble that is meant; of faulty words what can be had of them.
pub(super) fn check(
    [latency, throttle]: [At<String>; 2],
    rules: Option<Vec<WrittenFault>>,
    faults: &mut Vec<written::Fault>,
) -> Trouble {
    let latency = each("replay.latency", vec![latency], faults, Latency::parse);
    let throttle = each("replay.throttle", vec![throttle], faults, Throttle::parse);
    let rules = check_rules(rules.unwrap_or_default(), faults);
    Trouble {
        faults: rules,
        throttle: throttle.into_iter().next().flatten(),
        latency: latency.into_iter().next().unwrap_or_default(),
    }
}

/// The rules for faults on demand.
fn check_rules(written: Vec<WrittenFault>, faults: &mut Vec<written::Fault>) -> Vec<Rule> {
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
