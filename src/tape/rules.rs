//! The rules of config by which requests are compared, and which of them apply to one.

use super::exchange::Request;
use super::graph;
use super::id::Id;
use super::route::Route;
use super::secrets::Secrets;
use super::stand_ins::StandIns;
use super::walk::{IdPlaces, Place, PlacePattern, View};
use std::cell::LazyCell;

/// The rules of config by which messages are read: what need not be equal, what is an id, what is a secret.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    ids: IdPlaces,
    secrets: Secrets,
    stand_ins: Option<StandIns>,
}

/// How requests of one route are compared, and what follows after the last recorded answer.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The requests that are meant.
    pub route: Route,
    /// The places that need not be equal.
    pub ignore: Vec<PlacePattern>,
    /// The headers that must be equal, by their names in lower case.
    pub headers: Vec<String>,
    /// Whether the order of elements in arrays says nothing, if the rule says so.
    pub unordered: Option<bool>,
    /// What a request gets that is asked once more than it was recorded, if the rule says so.
    pub repeat: Option<Repeat>,
    /// The line of config on which it stands; none for a rule that the deck comes with.
    pub line: Option<usize>,
}

impl Rule {
    /// The name that the rule has for a place, if it names it.
    #[must_use]
    pub fn names(&self, place: &Place) -> Option<String> {
        let ignored = self.ignore.iter().find(|pattern| pattern.covers(place)).map(ToString::to_string);
        let compared = || self.headers.iter().map(|name| Place::Header(name.into())).find(|header| header == place);
        ignored.or_else(|| compared().map(|header| header.to_string()))
    }

    /// A rule that says nothing of a route yet.
    #[must_use]
    pub fn of(route: Route) -> Self {
        Self { route, ignore: Vec::new(), headers: Vec::new(), unordered: None, repeat: None, line: None }
    }
}

/// What a request gets that is asked once more than it was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repeat {
    /// The last answer, with new ids where it made an entity.
    #[default]
    Derive,
    /// The last answer, with the same ids.
    Last,
    /// A miss.
    Miss,
}

/// The rules that apply to one request, taken together.
#[derive(Debug, Default)]
pub struct Applied<'a> {
    /// The places that need not be equal, each with the number of its rule.
    ignored: Vec<(usize, &'a PlacePattern)>,
    /// What is compared.
    pub view: View,
    /// What a repeat gets.
    pub repeat: Repeat,
    /// The rules of the user's own, by number.
    pub own: Vec<(usize, &'a Rule)>,
}

impl Applied<'_> {
    /// The rule by which a place need not be equal.
    #[must_use]
    pub fn ignores(&self, place: &Place) -> Option<usize> {
        self.ignored.iter().find(|(_, pattern)| pattern.covers(place)).map(|(rule, _)| *rule)
    }

    /// Whether a member of this name need not be equal at some place: an answer may repeat it.
    #[must_use]
    pub fn ignores_member(&self, name: &str) -> bool {
        self.ignored.iter().any(|(_, pattern)| pattern.member().is_some_and(|member| member == name))
    }
}

impl Rules {
    /// The rules, in the order of config.
    #[must_use]
    pub fn new(rules: Vec<Rule>, ids: IdPlaces) -> Self {
        Self { rules, ids, secrets: Secrets::default(), stand_ins: None }
    }

    /// The same rules, with others for secrets.
    #[must_use]
    pub fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// The same rules, with the key by which a live request's people are known on a pseudonymous tape.
    #[must_use]
    pub fn with_stand_ins(self, stand_ins: Option<StandIns>) -> Self {
        Self { stand_ins, ..self }
    }

    /// The same rules, for a tape whose people are stand-ins, or for one with none.
    #[must_use]
    pub(super) fn for_people(mut self, people: bool) -> Self {
        self.ids.people = people;
        self
    }

    /// The stand-in for a live id, where it can be told whose it is.
    pub(super) fn stand_in(&self, live: &Id) -> Option<Id> {
        self.stand_ins.filter(|_| self.ids.people).map(|stand_ins| stand_ins.id(live))
    }

    /// Whether they say the same of all requests that differ by their GUIDs only.
    #[must_use]
    pub fn are_blind_to_guids(&self) -> bool {
        let IdPlaces { also, never, people } = &self.ids;
        let ids_by_look = also.is_empty() && never.is_empty() && !people;
        ids_by_look && !self.secrets.look_at_guids() && self.rules.iter().all(|rule| rule.route.is_blind_to_guids())
    }

    /// The rules for secrets.
    #[must_use]
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// The places of ids.
    #[must_use]
    pub fn ids(&self) -> &IdPlaces {
        &self.ids
    }

    /// The rules, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }

    /// The rule of a number.
    #[must_use]
    pub fn rule(&self, number: usize) -> &Rule {
        &self.rules[number]
    }

    /// The route of the rule that says what a repeat of this request gets, if one does.
    #[must_use]
    pub fn repeat_rule(&self, request: &Request) -> Option<String> {
        let says = |rule: &&Rule| rule.repeat.is_some() && rule.route.matches(&request.method, request.path());
        self.rules.iter().rfind(says).map(|rule| rule.route.as_str().to_owned())
    }

    /// The rules for this request. What they ignore and which headers they compare adds up; of the rest, the last one
    /// decides that says anything.
    #[must_use]
    pub fn applied(&self, request: &Request) -> Applied<'_> {
        let mut applied = Applied::default();
        let path = LazyCell::new(|| graph::route_path(request.path()));
        let rules = self.rules.iter().enumerate().filter(|(_, rule)| rule.route.takes(&request.method));
        for (number, rule) in rules.filter(|(_, rule)| rule.route.leads_to(&path)) {
            applied.ignored.extend(rule.ignore.iter().map(|pattern| (number, pattern)));
            applied.view.headers.extend(rule.headers.iter().cloned());
            applied.view.unordered = rule.unordered.unwrap_or(applied.view.unordered);
            applied.repeat = rule.repeat.unwrap_or(applied.repeat);
            applied.own.extend(rule.line.map(|_| (number, rule)));
        }
        if applied.view.unordered {
            applied.view.ignored = applied.ignored.iter().map(|(_, pattern)| (*pattern).clone()).collect();
        }
        applied
    }
}
