//! The documented examples (Microsoft Graph documentation, CC BY 4.0) as a program that runs through them, and the
//! stand-in that answers as documented.

use super::graph::{Asked, Graph, Reply};
use serde_json::Value;

const EXAMPLES: &str = include_str!("../../data/examples.jsonl");

/// The order in which a program would go through the examples of one collection.
const STEPS: [&str; 5] = ["-create#", "-get#", "-list#", "-update#", "-delete#"];

/// A documented request, with ids in place of the documentation's names for them, and its answer.
#[derive(Clone, Debug)]
pub struct Example {
    pub name: String,
    pub method: String,
    pub path: String,
    pub sent: Option<Value>,
    pub status: u16,
    pub answered: Option<Value>,
}

/// The ids that the program chose, by the documentation's names for them.
const CONFIGS: [(&str, &str); 4] = [
    ("{deviceConfigurationId}", "0385114b-b48f-4800-a046-f249eaba24b1"),
    ("{deviceCompliancePolicyId}", "b3c5a87e-91d4-4d0f-8c6a-2f4e6d8a9b10"),
    ("{managedDeviceMobileAppConfigurationId}", "72889532-6b1a-4f0e-9d57-08c2f1e3a4b5"),
    ("{mobileAppId}", "d41fae35-2c7b-4e8d-a9f0-61b3c5d7e9f1"),
];

/// All documented examples, in the order in which a program would come to them.
pub fn examples() -> Vec<Example> {
    let parsed: Vec<Value> = EXAMPLES.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut families: Vec<&str> = Vec::new();
    for example in &parsed {
        let family = family(example["name"].as_str().unwrap());
        if !families.contains(&family) {
            families.push(family);
        }
    }
    let mut ordered = Vec::new();
    for family in families {
        for step in STEPS {
            let name = format!("{family}{step}1");
            let example = parsed.iter().find(|example| example["name"] == name.as_str()).unwrap();
            let created =
                parsed.iter().find(|example| example["name"] == format!("{family}-create#1").as_str()).unwrap();
            ordered.push(fill(&name, example, created["response"]["body"]["id"].as_str().unwrap()));
        }
    }
    assert_eq!(ordered.len(), parsed.len(), "every documented example is used");
    ordered
}

fn family(name: &str) -> &str {
    name.rsplit_once('-').unwrap().0
}

fn fill(name: &str, example: &Value, minted: &str) -> Example {
    let (request, response) = (&example["request"], &example["response"]);
    let mut path = request["url"].as_str().unwrap().strip_prefix("https://graph.microsoft.com").unwrap().to_owned();
    for (placeholder, id) in CONFIGS {
        path = path.replace(placeholder, id);
    }
    // What is left is the name for the id of the status itself.
    if let Some(at) = path.find('{') {
        path = format!("{}{minted}", &path[..at]);
    }
    let body = |side: &Value| Some(side["body"].clone()).filter(|body| !body.is_null());
    Example {
        name: name.to_owned(),
        method: request["method"].as_str().unwrap().to_owned(),
        path,
        sent: body(request),
        status: response["status"].as_u64().unwrap().try_into().unwrap(),
        answered: body(response),
    }
}

/// A Graph that answers as documented.
pub async fn graph() -> Graph {
    let examples = examples();
    Graph::answering(move |asked| answer(&examples, asked)).await
}

fn answer(examples: &[Example], asked: &Asked) -> Reply {
    let sent: Option<Value> = serde_json::from_slice(&asked.body).ok();
    let found = examples
        .iter()
        .find(|example| (example.method == asked.method) && (example.path == asked.target) && (example.sent == sent));
    let example = found.unwrap_or_else(|| panic!("{} {} is not documented", asked.method, asked.target));
    match &example.answered {
        None => Reply::new(example.status, "").signed(),
        Some(body) if example.status == 201 => {
            let location = format!("https://graph.microsoft.com{}('{}')", asked.target, body["id"].as_str().unwrap());
            Reply::json(201, body).with("location", &location)
        }
        Some(body) => Reply::json(example.status, body),
    }
}
