//! Whether Graph answers today as it did on tape: which requests can be asked again, with which ids, and what differs.

use super::cassette::{Cassette, Fault};
use super::exchange::{Exchange, Request, Response};
use super::id::{Id, Written};
use super::ids::Row;
use super::lexicon::Lexicon;
use super::matching::Rules;
use super::redact;
use super::renaming::{self, Changes, Manner, Renaming, Said, Side, Tables};
use super::scribe;
use super::secrets::REDACTED;
use super::stand_ins;
use std::collections::{BTreeSet, HashMap, HashSet};

/// What may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Leave<'a> {
    /// Whether what changes something may be.
    pub writes: bool,
    /// The hosts that may be asked.
    pub hosts: &'a [String],
}

/// How far an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Left,
    /// It would be sent.
    Assumed,
    Asked,
}

/// A cassette whose requests are asked again, one after another.
#[derive(Debug)]
pub struct Verification<'a> {
    cassette: &'a Cassette,
    rules: Rules,
    renaming: Renaming,
    /// Texts that are ids wherever they stand today.
    known: Lexicon,
    /// Which exchange told of an id first, by its number from 0; ids that a program chose are not here.
    told: HashMap<Row, usize>,
    /// The ids of each request.
    asked: Vec<BTreeSet<Row>>,
    states: Vec<State>,
}

impl<'a> Verification<'a> {
    /// Reads a cassette.
    ///
    /// # Errors
    /// When an exchange cannot be used.
    pub fn of(cassette: &'a Cassette, rules: &Rules) -> Result<Self, Fault> {
        let (mut told, mut seen, mut asked) = (HashMap::new(), HashSet::new(), Vec::new());
        for (at, entry) in cassette.entries.iter().enumerate() {
            let own: BTreeSet<Row> = scribe::request_rows(entry, &cassette.ids, at + 1)?.into_iter().collect();
            seen.extend(own.iter().copied());
            asked.push(own);
            for row in scribe::rows(entry, &cassette.ids, at + 1)? {
                if seen.insert(row) {
                    told.insert(row, at);
                }
            }
        }
        Ok(Self {
            rules: rules.clone().for_people(cassette.people),
            renaming: Renaming::default(),
            known: cassette.ids.lexicon().clone(),
            told,
            asked,
            states: vec![State::Left; cassette.entries.len()],
            cassette,
        })
    }

    /// What an exchange is called.
    #[must_use]
    pub fn name(&self, number: usize) -> String {
        let request = &self.cassette.entries[number - 1].request;
        format!("{} {}", request.method, request.url)
    }

    /// Why the request of an exchange, whose number is counted from 1, is not asked again, if it is not.
    ///
    /// # Errors
    /// When the exchange cannot be used.
    pub fn why_not(&self, number: usize, leave: Leave<'_>) -> Result<Option<String>, Fault> {
        let entry = &self.cassette.entries[number - 1];
        let Exchange { request, .. } = scribe::recorded(entry, &self.cassette.ids, number)?.into_inner();
        let host = request.host.split(':').next().unwrap_or_default();
        let why = if !leave.hosts.iter().any(|known| known == host) || redact::is_sign_in(&request) {
            "its host is none of Graph's (`hosts` under [graph] in config.toml)"
        } else if !matches!(request.method.as_str(), "GET" | "HEAD" | "OPTIONS") && !leave.writes {
            "it may change something: --allow-writes allows that"
        } else if matches!(entry.response.status, 429 | 503 | 504) {
            "it was told to come again when it was recorded"
        } else if entry.response.status == 401 {
            "its token was refused when it was recorded"
        } else if let Some(why) = unspeakable(&request) {
            why
        } else {
            return Ok(self.asked[number - 1].iter().find_map(|row| self.unknown(*row)));
        };
        Ok(Some(why.to_owned()))
    }

    /// Why nobody knows what an id is today, if nobody does.
    fn unknown(&self, row: Row) -> Option<String> {
        let teller = *self.told.get(&row)?;
        let name = format!(
            "it asks for {{{{{}}}}}, of which exchange {} tells",
            self.cassette.ids.placeholder(row),
            teller + 1
        );
        match self.states[teller] {
            State::Left => Some(format!("{name}, and that is not sent")),
            State::Assumed => None,
            State::Asked if self.renaming.there(&self.recorded(row)).is_some() => None,
            State::Asked => Some(format!("{name}, and Graph did not today")),
        }
    }

    fn recorded(&self, row: Row) -> Id {
        Id::of(&self.cassette.ids.recorded(row))
    }

    /// Notes that the request of an exchange would be sent.
    pub fn assume(&mut self, number: usize) {
        self.states[number - 1] = State::Assumed;
    }

    /// The request of an exchange with the ids of today.
    ///
    /// # Errors
    /// When the exchange cannot be used.
    pub fn request(&self, number: usize) -> Result<Request, Fault> {
        let ids = &self.cassette.ids;
        let value = |row: &Row| match self.renaming.there(&self.recorded(*row)) {
            Some(Id::Text(text)) => Written::of(text),
            Some(Id::Guid(guid)) if Id::Guid(*guid) != self.recorded(*row) => Written::Short(guid.text()),
            _ => ids.recorded(*row),
        };
        scribe::spoken_request(&self.cassette.entries[number - 1].request, ids, number, value)
    }

    /// Where what Graph answers today to the request of an exchange is not what is on tape.
    ///
    /// # Errors
    /// When the exchange cannot be used.
    pub fn answered(&mut self, number: usize, response: Response) -> Result<Changes, Fault> {
        let request = self.request(number)?;
        let ids = &self.cassette.ids;
        let recorded = scribe::recorded(&self.cassette.entries[number - 1], ids, number)?;
        let live = scribe::tape_exchange(Exchange { request, response, took: None }, self.rules.secrets());
        for row in &self.asked[number - 1] {
            let id = self.recorded(*row);
            if self.renaming.there(&id).is_none() {
                // An id that a program chose is what it was.
                let _ = self.renaming.pair(&id, &id);
            }
        }
        let manner = Manner { rules: &self.rules, exact: false };
        let answer = |said: Vec<Said>| said.into_iter().filter(|said| said.side == Side::Answer).collect::<Vec<_>>();
        let (one, other) = (answer(manner.read(&recorded, ids.lexicon())), answer(manner.read(&live, &self.known)));
        self.keep_common(&one, &other);
        let changes = renaming::changes(&one, &other, Tables { one: ids, other: None }, &mut self.renaming);
        for id in one.iter().flat_map(|said| &said.ids).filter_map(|(_, id)| self.renaming.there(id)) {
            self.known.add(id);
        }
        self.states[number - 1] = State::Asked;
        Ok(changes)
    }

    /// What is still there is itself, wherever in a list it stands today.
    fn keep_common(&mut self, one: &[Said], other: &[Said]) {
        let there: HashSet<&Id> = other.iter().flat_map(|said| &said.ids).map(|(_, id)| id).collect();
        for (_, id) in one.iter().flat_map(|said| &said.ids) {
            if self.cassette.ids.find(id).is_some() && there.contains(id) {
                let _ = self.renaming.pair(id, id);
            }
        }
    }
}

/// Why a request cannot be sent as it was, if it cannot.
fn unspeakable(request: &Request) -> Option<&'static str> {
    let body = String::from_utf8_lossy(&request.body);
    let texts = request.headers.iter().map(|(_, value)| value).chain([request.target.as_str(), &body]);
    let texts: Vec<&str> = texts.collect();
    if texts.iter().any(|text| text.contains(REDACTED)) {
        return Some("a secret was taken out of it (REDACTED), and it would not be the same request");
    }
    let names_somebody = |text: &str| {
        stand_ins::texts(text).next().is_some() || stand_ins::guids(text).any(|(_, guid)| stand_ins::is_guid(guid))
    };
    texts
        .into_iter()
        .any(names_somebody)
        .then_some("a stand-in is in the place of somebody in it, whom Graph does not know")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::Headers;

    const HOSTS: [&str; 1] = ["graph.microsoft.com"];

    fn cassette() -> Cassette {
        Cassette::parse(
            r#"{"graphdeck":1,"ids":{"configs.1":"0385114b-b48f-4800-a046-f249eaba24b1","things.1":"7e323db2-3db2-7e32-b23d-327eb23d327e"},"exchanges":[
            {"request":{"method":"POST","url":"https://graph.microsoft.com/beta/configs/{{configs.1}}/things","body":{"json":{"a":1}}},
             "response":{"status":201,"headers":{"etag":"1"},"body":{"json":{"id":"{{things.1}}","at":"2026-01-01T00:00:00Z","a":1}}}},
            {"request":{"method":"GET","url":"https://graph.microsoft.com/beta/configs/{{configs.1}}/things/{{things.1}}"},
             "response":{"status":200,"body":{"json":{"id":"{{things.1}}","a":1}}}},
            {"request":{"method":"GET","url":"https://example.com/beta/me"},"response":{"status":200}},
            {"request":{"method":"PATCH","url":"https://graph.microsoft.com/beta/me","body":{"json":{"password":"REDACTED"}}},"response":{"status":204}},
            {"request":{"method":"GET","url":"https://graph.microsoft.com/beta/users/person-0123456789abcdef@example.com"},"response":{"status":200}},
            {"request":{"method":"GET","url":"https://graph.microsoft.com/beta/me"},"response":{"status":429}},
            {"request":{"method":"GET","url":"https://graph.microsoft.com/beta/me"},"response":{"status":401}}]}"#,
        )
        .unwrap()
    }

    fn plan(verification: &mut Verification<'_>, writes: bool) -> String {
        let hosts = HOSTS.map(str::to_owned);
        let line = |number: usize| {
            let why = verification.why_not(number, Leave { writes, hosts: &hosts }).unwrap();
            if why.is_none() {
                verification.assume(number);
            }
            format!("{number}, {}: {}\n", verification.name(number), why.unwrap_or_else(|| "yes".to_owned()))
        };
        (1..=7).map(line).collect()
    }

    #[test]
    fn what_is_not_asked_again_is_told_with_its_reason() {
        let cassette = cassette();
        let told =
            [false, true].map(|writes| plan(&mut Verification::of(&cassette, &Rules::default()).unwrap(), writes));
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn an_id_that_graph_makes_today_is_asked_for_in_the_place_of_the_recorded_one() {
        let (cassette, hosts) = (cassette(), HOSTS.map(str::to_owned));
        let mut verification = Verification::of(&cassette, &Rules::default()).unwrap();
        let said = |status, body: &str| Response { status, headers: Headers::default(), body: body.to_owned().into() };
        let today = "11111111-2222-4333-8444-555555555555";
        let live = format!(r#"{{"id":"{today}","at":"2027-05-05T00:00:00.5Z","a":1}}"#);
        let changes =
            verification.answered(1, Response { headers: [("etag", "2")].into_iter().collect(), ..said(201, &live) });
        assert_eq!(changes.unwrap(), Changes::default());
        assert_eq!(verification.why_not(2, Leave { writes: false, hosts: &hosts }).unwrap(), None);
        assert!(verification.request(2).unwrap().target.ends_with(&format!("/things/{today}")));
        let changed = verification
            .answered(2, said(404, r#"{"id":"7e323db2-3db2-7e32-b23d-327eb23d327e","a":2,"b":{}}"#))
            .unwrap();
        insta::assert_snapshot!(changed.first.iter().map(|change| format!("{change}\n")).collect::<String>());
    }
}
