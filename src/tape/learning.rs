//! Which strings of a recording are ids: learnt from its paths, addresses and entities.

use super::exchange::Exchange;
use super::graph;
use super::guid;
use super::id::Id;
use super::ids::Ids;
use super::lexicon;
use super::stand_ins;
use super::values::Values;
use super::walk::{self, IdPlaces, Place, PlacePattern, Step};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::num::NonZeroU16;

/// Learns from exchanges, taken in recorded order, which of their strings are ids.
///
/// An id is a key in the path of a request or of an address in its body (`@odata.bind`), or the `id`, `@odata.id` or
/// `Location` of an entity in an answer of success. Of a key with GUIDs in it each GUID is an id; any other key is one as
/// a whole. Any other GUID or text is left as it is.
#[derive(Debug, Default)]
pub struct Learner {
    /// What may be an id, numbered in order of first appearance, and for each that is one the number of its collection, from 1.
    seen: Values,
    collections: Vec<Option<NonZeroU16>>,
    names: Vec<String>,
    places: IdPlaces,
    never: HashSet<Id>,
}

impl Learner {
    /// Knows nothing yet but what config says of `places`.
    #[must_use]
    pub fn new(places: IdPlaces) -> Self {
        Self { places, ..Self::default() }
    }

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
            self.heed_config(&body);
        }

        response.headers.iter().for_each(|(_, value)| self.see(value));
        self.see_body(&response.body);
        let body = walk::parse_json(&response.body);
        if let Some(body) = &body {
            self.heed_config(body);
        }
        if (200..300).contains(&response.status) {
            // The body first: there an id belongs to the collection that the client asked, however Graph calls it.
            if let Some(body) = &body {
                self.learn_entities(body, graph::collection(&segments).unwrap_or("ids"));
            }
            for (_, url) in response.headers.iter().filter(|(name, _)| graph::ENTITY_URL_HEADERS.contains(name)) {
                self.learn_url(url);
            }
        }
    }

    /// The table of all that was learnt, numbered in order of first appearance. It is made of what was seen, which is not
    /// kept beside it.
    #[must_use]
    pub fn ids(self) -> Ids {
        let Self { mut seen, collections, names, places, never } = self;
        let by_name: BTreeMap<String, usize> = names.into_iter().zip(0..).collect();
        let mut ranks = vec![0; by_name.len()];
        by_name.values().zip(0..).for_each(|(number, rank)| ranks[*number] = rank);
        let rank = |seen: u32| collections[seen as usize].map(|name| ranks[place(name)]);
        let is_id = |number: &u32| rank(*number).is_some() && (never.is_empty() || !never.contains(&seen.id(*number)));
        let mut learnt: Vec<u32> = (0..).take(seen.len()).filter(is_id).collect();
        learnt.sort_unstable_by_key(|number| (rank(*number), *number));
        let mut counts = vec![0; by_name.len()];
        learnt.iter().filter_map(|number| rank(*number)).for_each(|rank: usize| counts[rank] += 1);
        drop(collections);
        seen.pick(learnt);
        Ids::of_names(by_name.into_keys().zip(counts), seen)
            .with_fields(places.also.iter().filter_map(PlacePattern::member).collect())
    }

    fn see(&mut self, text: &str) {
        for (range, guid) in guid::tokens(text) {
            let seen = self.note(&text[range]);
            if self.places.people && stand_ins::is_guid(guid) {
                self.collect(seen, "users");
            }
        }
        if self.places.people {
            for (_, value) in stand_ins::texts(text) {
                let collection = if stand_ins::is_name(&value) { "names" } else { "people" };
                let seen = self.note(&value);
                self.collect(seen, collection);
            }
        }
    }

    fn note(&mut self, spelled: &str) -> u32 {
        let added = self.seen.add(spelled);
        self.collections.extend(added.is_ok().then_some(None));
        added.unwrap_or_else(|same| same)
    }

    /// Learns that what was seen is an id of a collection, if it is of none yet.
    fn collect(&mut self, seen: u32, collection: &str) {
        let of = &mut self.collections[seen as usize];
        if of.is_none() {
            let number = self.names.iter().position(|name| name == collection).unwrap_or_else(|| {
                self.names.push(collection.to_owned());
                self.names.len() - 1
            });
            // Beyond 65,535 collections what is learnt is an id all the same, of the last of them.
            *of = u16::try_from(number + 1).map_or(Some(NonZeroU16::MAX), NonZeroU16::new);
        }
    }

    fn see_body(&mut self, body: &[u8]) {
        if let Ok(text) = std::str::from_utf8(body) {
            self.see(text);
        }
    }

    fn learn(&mut self, text: &str, collection: &str) {
        // What looks like a placeholder cannot stand in the table; it stays as it is.
        if text.contains("{{") {
            return;
        }
        for (range, _) in lexicon::in_key(text, &[]) {
            let seen = self.note(&text[range]);
            self.collect(seen, &placeholder_name(collection));
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

    /// What stands at the places that config names.
    fn heed_config(&mut self, body: &Value) {
        let places = std::mem::take(&mut self.places);
        let covers = |patterns: &[PlacePattern], place: &Place| patterns.iter().any(|pattern| pattern.covers(place));
        walk::json(body, &mut |steps, leaf| {
            let (Some(Step::Member(member)), Value::String(text)) = (steps.last(), leaf) else { return };
            let place = Place::Json(walk::pointer(steps).into());
            if covers(&places.also, &place) {
                self.learn(text, member);
            }
            if covers(&places.never, &place) {
                self.never.extend(lexicon::in_key(text, &[]).into_iter().map(|(_, id)| id));
            }
        });
        self.places = places;
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

/// Where the name of a collection stands among the names.
fn place(collection: NonZeroU16) -> usize {
    usize::from(collection.get()) - 1
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
            took: None,
        }
    }

    fn learn(exchanges: &[Exchange]) -> Vec<String> {
        let mut learner = Learner::new(IdPlaces::default());
        exchanges.iter().for_each(|e| learner.study(e));
        learner.ids().iter().map(|(p, value)| format!("{p} {value}")).collect()
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
    fn config_has_the_last_word() {
        let pattern = |text: &str| vec![PlacePattern::parse(text).unwrap()];
        let places = IdPlaces { also: pattern("json:/policy"), never: pattern("json:/*/tenant"), people: false };
        let body = format!(r#"{{"id":"{STATUS}","policy":"Default.Policy","of":{{"tenant":"{USER}"}}}}"#);
        let mut learner = Learner::new(places);
        learner.study(&exchange(&format!("/beta/users/{USER}"), "", 200, &[], &body));
        let learnt: Vec<_> = learner.ids().iter().map(|(p, value)| format!("{p} {value}")).collect();
        assert_eq!(learnt, ["policy.1 Default.Policy".to_owned(), format!("users.1 {STATUS}")]);
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
}
