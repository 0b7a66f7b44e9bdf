//! What a stand-in for Graph knows: the entities that were posted to it, and its ways to name and to miss them.

use super::graph::{Asked, Reply};
use graphdeck::tape::graph::percent_decode;
use graphdeck::tape::guid::Guid;
use graphdeck::tape::spelling::{Coding, encode};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The entities of a Graph, by the path of their collection. Some of its ids are composite, as Intune's are: the
/// entity's own part, its configuration's, and its user's. Some may be texts, as those of mail are.
#[derive(Default)]
pub struct Entities {
    /// Whether some of the ids are texts.
    texts: bool,
    collections: BTreeMap<Vec<String>, Vec<Value>>,
    minted: u128,
}

impl Entities {
    /// Entities with all kinds of ids.
    pub fn with_texts() -> Self {
        Self { texts: true, ..Self::default() }
    }

    pub fn answer(&mut self, asked: &Asked) -> Reply {
        let path = segments(&asked.target);
        let (key, parent) = path.split_last().unwrap();
        match asked.method.as_str() {
            "POST" => self.create(path, asked),
            "GET" if key == "userstatuses" => {
                Reply::json(200, &json!({ "value": self.collections.get(&path).cloned().unwrap_or_default() }))
            }
            method => match self.find(parent, key) {
                None => Self::missing(key, &asked.target),
                Some((entities, at)) => match method {
                    "GET" => Reply::json(200, &entities[at]),
                    "PATCH" => {
                        let change: Value = serde_json::from_slice(&asked.body).unwrap();
                        entities[at].as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
                        Reply::json(200, &entities[at])
                    }
                    _ => {
                        entities.remove(at);
                        Reply::new(204, "").signed()
                    }
                },
            },
        }
    }

    fn find(&mut self, parent: &[String], key: &str) -> Option<(&mut Vec<Value>, usize)> {
        let entities = self.collections.get_mut(parent)?;
        let at = entities.iter().position(|entity| entity["id"] == key)?;
        Some((entities, at))
    }

    fn create(&mut self, path: Vec<String>, asked: &Asked) -> Reply {
        let Ok(Value::Object(sent)) = serde_json::from_slice(&asked.body) else {
            let error = json!({"code": "BadRequest", "message": "Unable to read JSON request payload."});
            return Reply::json(400, &json!({ "error": error }));
        };
        self.minted += 1;
        let id = self.mint(&path[3], sent.get("userDisplayName").and_then(Value::as_str).unwrap_or_default());
        let address =
            path.iter().fold(String::new(), |address, segment| address + "/" + &encode(segment, &[Coding::Path]));
        let context = format!("https://graph.microsoft.com/beta/$metadata#{}/$entity", &address[1..]);
        let mut entity = json!({ "@odata.context": context, "id": id });
        entity.as_object_mut().unwrap().extend(sent);
        self.collections.entry(path).or_default().push(entity.clone());
        let key = encode(&id, &[Coding::Quotes, Coding::Path]);
        Reply::json(201, &entity).with("location", &format!("https://graph.microsoft.com{address}('{key}')"))
    }

    fn mint(&self, config: &str, user: &str) -> String {
        let guid = |bits: u128| uuid::Uuid::from_u128(bits).to_string();
        let digest =
            |text: &str| u128::from_le_bytes(blake3::hash(text.as_bytes()).as_bytes()[..16].try_into().unwrap());
        let own = guid(0x7e32_3db2_3db2_7e32_b23d_0000_0000_0000 + self.minted);
        if self.minted.is_multiple_of(3) {
            // The same user has the same id wherever it shows.
            return format!("{own}_{config}_{}", guid(digest(user)));
        }
        if self.texts && self.minted.is_multiple_of(2) { format!("AAMk{:x}-AAA=", digest(&own)) } else { own }
    }

    /// Intune's way to say so: JSON in a JSON text, with the address percent-encoded in it.
    fn missing(key: &str, target: &str) -> Reply {
        let escaped = |segment: &str| {
            let plain = percent_decode(segment);
            if plain.contains("('") { encode(&plain, &[Coding::Url]) } else { segment.to_owned() }
        };
        let target: Vec<String> = target.split('/').map(escaped).collect();
        let url = format!("https://fef.manage.microsoft.com/FE{}", target.join("/"));
        let message = json!({ "_version": 3, "Message": format!("Resource '{key}' does not exist - Url: {url}") });
        Reply::json(404, &json!({ "error": { "code": "ResourceNotFound", "message": message.to_string() } }))
    }
}

/// The segments of a path however it is spelled, keys among names; case counts only in keys that are no GUIDs.
fn segments(target: &str) -> Vec<String> {
    let mut path = target.split('?').next().unwrap().to_owned();
    for (from, to) in [("%28", "("), ("%29", ")"), ("%27", "'"), ("('", "/"), ("')", "")] {
        path = path.replace(from, to);
    }
    let segment = |segment: &str| {
        let segment = percent_decode(segment).into_owned();
        let name = ["beta", "deviceManagement", "deviceConfigurations", "userStatuses"];
        let name = name.iter().any(|name| name.eq_ignore_ascii_case(&segment));
        if name || Guid::parse(&segment).is_some() { segment.to_lowercase() } else { segment }
    };
    path.split('/').filter(|text| !text.is_empty()).map(segment).collect()
}
