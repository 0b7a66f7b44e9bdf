//! Which strings are ids: learnt from the recording, named by placeholders, and put back.

use super::exchange::Exchange;
use super::graph;
use super::guid::{self, Guid};
use super::template::{Placeholder, Spelling, Writer};
use super::walk::{self, Step};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The row of an id in [`Ids`].
pub type Row = u32;

/// The ids of a cassette: each one's placeholder and the value that it had in the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    rows: Vec<(Placeholder, String)>,
    by_guid: HashMap<Guid, Row>,
    by_name: HashMap<Placeholder, Row>,
}

/// Why a table of ids cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A value that is no GUID.
    #[error("the id `{0}` has the value `{1}`, which is no GUID")]
    NoGuid(Placeholder, String),
    /// Two placeholders with one value: nothing would tell them apart.
    #[error("the ids `{0}` and `{1}` have one value, `{2}`")]
    Twice(Placeholder, Placeholder, String),
}

impl Ids {
    /// Takes a table as it stands in a cassette.
    ///
    /// # Errors
    /// When a value is no GUID, or stands there twice.
    pub fn new(table: BTreeMap<Placeholder, String>) -> Result<Self, Fault> {
        let mut ids = Self::default();
        for (placeholder, value) in table {
            let Some(guid) = Guid::parse(&value) else { return Err(Fault::NoGuid(placeholder, value)) };
            if let Some(&row) = ids.by_guid.get(&guid) {
                return Err(Fault::Twice(ids.placeholder(row).clone(), placeholder, value));
            }
            let row = Row::try_from(ids.rows.len()).expect("a table of ids has fewer than 2^32 rows");
            ids.by_guid.insert(guid, row);
            ids.by_name.insert(placeholder.clone(), row);
            ids.rows.push((placeholder, value));
        }
        Ok(ids)
    }

    /// The number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every id, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&Placeholder, &str)> {
        self.rows.iter().map(|(placeholder, value)| (placeholder, value.as_str()))
    }

    /// The name of a row.
    #[must_use]
    pub fn placeholder(&self, row: Row) -> &Placeholder {
        &self.rows[row as usize].0
    }

    /// The value of a row in the recording, as it was first spelled there.
    #[must_use]
    pub fn recorded(&self, row: Row) -> &str {
        &self.rows[row as usize].1
    }

    /// The row of a name.
    #[must_use]
    pub fn row(&self, placeholder: &Placeholder) -> Option<Row> {
        self.by_name.get(placeholder).copied()
    }

    /// The row whose recorded value `guid` is.
    #[must_use]
    pub fn find(&self, guid: Guid) -> Option<Row> {
        self.by_guid.get(&guid).copied()
    }

    /// Writes `text` as tape text: a placeholder wherever an id of this table stands.
    #[must_use]
    pub fn to_tape(&self, text: &str) -> String {
        let mut writer = Writer::default();
        let mut from = 0;
        for (range, guid) in guid::tokens(text) {
            let row = self.find(guid);
            let spelled = row.and_then(|row| Some((row, Spelling::of(&text[range.clone()], self.recorded(row))?)));
            // An id in a mixture of cases of its own stays as it is: a placeholder would not give it back.
            if let Some((row, spelling)) = spelled {
                writer.text(&text[from..range.start]);
                writer.id(self.placeholder(row), spelling);
                from = range.end;
            }
        }
        writer.text(&text[from..]);
        writer.finish()
    }
}

/// Learns from exchanges, taken in recorded order, which of their GUIDs are ids.
///
/// An id is a key in the path of a request or of an address in its body (`@odata.bind`), or the `id`, `@odata.id` or
/// `Location` of an entity in an answer of success. Any other GUID is left as it is.
#[derive(Debug, Default)]
pub struct Learner {
    first_seen: HashMap<Guid, (usize, String)>,
    collections: HashMap<Guid, String>,
}

impl Learner {
    /// Learns from the next exchange.
    pub fn study(&mut self, exchange: &Exchange) {
        let (request, response) = (&exchange.request, &exchange.response);
        self.see(&request.target);
        request.headers.iter().for_each(|(_, value)| self.see(value));
        self.see_body(&request.body);
        let segments = graph::segments(request.path());
        self.learn_keys(&segments);
        if let Some(body) = walk::parse_json(&request.body) {
            walk::json(&body, &mut |steps, leaf| self.learn_reference(steps, leaf));
        }

        response.headers.iter().for_each(|(_, value)| self.see(value));
        self.see_body(&response.body);
        if (200..300).contains(&response.status) {
            // The body first: there an id belongs to the collection that the client asked, however Graph calls it.
            if let Some(body) = walk::parse_json(&response.body) {
                self.learn_entities(&body, graph::collection(&segments).unwrap_or("ids"));
            }
            for (_, url) in response.headers.iter().filter(|(name, _)| graph::ENTITY_URL_HEADERS.contains(name)) {
                self.learn_url(url);
            }
        }
    }

    /// The table of all that was learnt, numbered in order of first appearance.
    #[must_use]
    pub fn table(self) -> BTreeMap<Placeholder, String> {
        let mut learnt: Vec<_> = self
            .collections
            .into_iter()
            .filter_map(|(guid, name)| Some((self.first_seen.get(&guid)?.clone(), name)))
            .collect();
        learnt.sort_unstable();
        let mut numbers: HashMap<String, u32> = HashMap::new();
        learnt
            .into_iter()
            .map(|((_, spelled), name)| {
                let number = numbers.entry(name.clone()).or_default();
                *number += 1;
                (Placeholder { name, number: *number }, spelled)
            })
            .collect()
    }

    fn see(&mut self, text: &str) {
        for (range, guid) in guid::tokens(text) {
            let order = self.first_seen.len();
            self.first_seen.entry(guid).or_insert_with(|| (order, text[range].to_owned()));
        }
    }

    fn see_body(&mut self, body: &[u8]) {
        if let Ok(text) = std::str::from_utf8(body) {
            self.see(text);
        }
    }

    fn learn(&mut self, text: &str, collection: &str) {
        for (_, guid) in guid::tokens(text) {
            self.collections.entry(guid).or_insert_with(|| placeholder_name(collection));
        }
    }

    fn learn_keys(&mut self, segments: &[graph::Segment<'_>]) {
        for (collection, key) in graph::keys(segments) {
            self.learn(key, collection);
        }
    }

    fn learn_url(&mut self, url: &str) {
        let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        let path = match after_scheme.find('/') {
            // An address relative to the service root has no version, which the parser of paths expects.
            _ if after_scheme == url && !url.starts_with('/') => format!("/-/{url}"),
            Some(at) => after_scheme[at..].to_owned(),
            None => String::new(),
        };
        self.learn_keys(&graph::segments(path.split(['?', '#']).next().unwrap_or_default()));
    }

    fn learn_entities(&mut self, body: &Value, collection: &str) {
        walk::json(body, &mut |steps, leaf| {
            let (Some((Step::Member(member), outer)), Value::String(text)) = (steps.split_last(), leaf) else { return };
            if graph::is_entity_id(member) {
                let nearest = outer.iter().rev().find_map(|step| match step {
                    Step::Member(name) if *name != "value" => Some(*name),
                    _ => None,
                });
                self.learn(text, nearest.unwrap_or(collection));
            } else {
                self.learn_reference(steps, leaf);
            }
        });
    }

    /// An entity that a body names by its address, such as in `rootCertificate@odata.bind`.
    fn learn_reference(&mut self, steps: &[Step<'_>], leaf: &Value) {
        let member = steps.iter().rev().find_map(|step| match step {
            Step::Member(name) => Some(*name),
            Step::Element(_) => None,
        });
        if let (Some(member), Value::String(url)) = (member, leaf)
            && graph::is_entity_url(member)
        {
            self.learn_url(url);
        }
    }
}

/// A collection's name with only the characters that a placeholder may have.
fn placeholder_name(collection: &str) -> String {
    let kept: String = collection.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == '-').collect();
    if kept.starts_with(|c: char| c.is_ascii_alphabetic()) { kept } else { format!("id{kept}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Request, Response};

    const CONFIG: &str = "0385114b-b48f-4800-a046-f249eaba24b1";
    const STATUS: &str = "020286da-41c6-4700-8e2b-822e444187c3";
    const USER: &str = "26e90184-1029-4901-91f0-05454c445d59";
    const ROLE: &str = "62e90394-69f5-4237-9190-012177145e10";

    fn exchange(target: &str, sent: &str, status: u16, headers: &[(&str, &str)], body: &str) -> Exchange {
        Exchange {
            request: Request {
                method: "POST".into(),
                host: "graph.microsoft.com".into(),
                target: target.into(),
                headers: Headers::default(),
                body: sent.to_owned().into(),
            },
            response: Response { status, headers: headers.iter().copied().collect(), body: body.to_owned().into() },
        }
    }

    fn learn(exchanges: &[Exchange]) -> Vec<String> {
        let mut learner = Learner::default();
        exchanges.iter().for_each(|e| learner.study(e));
        learner.table().into_iter().map(|(p, value)| format!("{p} {value}")).collect()
    }

    #[test]
    fn path_keys_are_given_and_entity_ids_are_minted() {
        let path = format!("/beta/deviceManagement/deviceConfigurations('{CONFIG}')/userStatuses");
        let sent = format!(r#"{{"role":"{ROLE}"}}"#);
        let minted = format!(r#"{{"id":"{STATUS}_{CONFIG}_{USER}","role":"{ROLE}"}}"#);
        assert_eq!(
            learn(&[exchange(&path, &sent, 201, &[], &minted)]),
            [
                format!("deviceConfigurations.1 {CONFIG}"),
                format!("userStatuses.1 {STATUS}"),
                format!("userStatuses.2 {USER}"),
            ]
        );
    }

    #[test]
    fn headers_lists_and_nested_entities_are_learnt_by_their_collections() {
        let location = format!("https://graph.microsoft.com/v2/{ROLE}/directoryObjects/{USER}/X.Group");
        let body = format!(r#"{{"value":[{{"id":"{STATUS}","assignments":[{{"id":"{CONFIG}"}}]}}]}}"#);
        assert_eq!(
            learn(&[exchange(
                "/beta/deviceManagement/deviceConfigurations",
                "",
                200,
                &[("Location", &location)],
                &body
            )]),
            [
                format!("assignments.1 {CONFIG}"),
                format!("deviceConfigurations.1 {STATUS}"),
                format!("directoryObjects.1 {USER}"),
            ]
        );
    }

    #[test]
    fn errors_mint_nothing() {
        assert!(learn(&[exchange("/beta/me", "", 400, &[], &format!(r#"{{"id":"{STATUS}"}}"#))]).is_empty());
    }

    #[test]
    fn an_id_is_numbered_where_it_first_appears_even_if_it_is_learnt_later() {
        let first = exchange("/beta/x", &format!(r#"{{"groupId":"{ROLE}"}}"#), 200, &[], "{}");
        let later = exchange(&format!("/beta/groups/{USER}/members/{ROLE}"), "", 204, &[], "");
        let again = exchange(&format!("/beta/groups/{ROLE}"), "", 204, &[], "");
        assert_eq!(learn(&[first, later, again]), [format!("groups.1 {USER}"), format!("members.1 {ROLE}")]);
    }

    #[test]
    fn placeholders_stand_wherever_an_id_stood_and_say_how_it_was_spelled() {
        let table = BTreeMap::from([(Placeholder { name: "a".into(), number: 1 }, CONFIG.to_owned())]);
        let ids = Ids::new(table).unwrap();
        let text = format!("('{}') {{{CONFIG}}} {{{{ {STATUS}", CONFIG.to_uppercase());
        assert_eq!(ids.to_tape(&text), format!("('{{{{a.1|upper}}}}') {{{{{{a.1}}}}}} {{{{'{{{{'}}}} {STATUS}"));
    }

    #[test]
    fn tables_that_cannot_work_are_refused() {
        let row = |number, value: &str| (Placeholder { name: "a".into(), number }, value.to_owned());
        let faults = [BTreeMap::from([row(1, "x")]), BTreeMap::from([row(1, CONFIG), row(2, &CONFIG.to_uppercase())])]
            .map(|table| Ids::new(table).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
    }
}
