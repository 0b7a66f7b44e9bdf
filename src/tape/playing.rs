//! A live request answered from tape: the exchange is chosen, ids are bound, and the answer is spoken with them.

use super::bindings::Bindings;
use super::echo;
use super::exchange::{Request, Response, Taped};
use super::guid::Guid;
use super::ids::Row;
use super::index::{Choice, Index, Slot};
use super::matching::Reading;
use super::miss::{self, Miss};
use std::borrow::Cow;
use std::collections::HashMap;

/// How an id that the server minted is chosen in a replay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// The recorded one where the very recorded request is played first, else one computed from the request.
    #[default]
    Derive,
    /// Always the recorded one.
    Recorded,
    /// A fresh one each time, to find programs that lean on fixed ids; with a mint whose seed is random.
    Random,
}

/// How a session plays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// How minted ids are chosen.
    pub policy: Policy,
    /// Whether a request that every fitting exchange has answered before is a miss.
    pub strict: bool,
}

/// An answer from tape.
#[derive(Debug)]
pub struct Answer {
    /// The exchange that was played, counted from 1.
    pub exchange: usize,
    /// The response, in the ids of this run.
    pub response: Response,
    /// Whether a place had to be ignored for the exchange to fit.
    pub ignored: bool,
    /// Whether the exchange had answered a request before, this one or one with other ids.
    pub repeat: bool,
}

/// Answers a request from tape.
///
/// # Errors
/// A [`Miss`] when nothing on tape answers; the bindings are then as they were.
pub fn play(
    index: &Index,
    bindings: &mut Bindings,
    manner: Manner,
    request: &Taped<Request>,
) -> Result<Answer, Box<Miss>> {
    let reading = Reading::of(request, &index.rules);
    let Some(choice) = index.choose(&reading, bindings) else {
        return Err(Box::new(miss::explain(index, bindings, request, &reading)));
    };
    if manner.strict && bindings.played(choice.exchange) > 0 {
        return Err(Box::new(miss::already_played(request, choice.exchange)));
    }
    let very_request = reading.loose.very_request();
    let plays = bindings.plays(very_request, choice.exchange);
    let repeat = bindings.played(choice.exchange) > 0;
    settle(index, bindings, &choice);
    bindings.count(very_request, choice.exchange);
    let mut speaker = Speaker::new(index, bindings, manner.policy, &choice, plays);
    let played = &index.exchanges[choice.exchange as usize];
    let mut response = played.script.speak(|row| speaker.value(*row));
    if choice.ignored {
        response.body = echo::speak(&played.echoes, request, response.body);
    }
    Ok(Answer { exchange: choice.exchange as usize + 1, response, ignored: choice.ignored, repeat })
}

/// Binds what the choice decided. Ids that need no table, because the cassette or the mint knows them, take no room.
fn settle(index: &Index, bindings: &mut Bindings, choice: &Choice) {
    for (row, token) in &choice.bound {
        let minted = index.minters[*row as usize].is_some();
        let known = index.mint.unseal(token.guid).is_some() || index.ids.find(token.guid) == Some(*row);
        if !(minted && known) {
            bindings.bind(token, *row);
        }
    }
}

/// Knows the live value of every id, for one answer.
struct Speaker<'a> {
    index: &'a Index,
    bindings: &'a Bindings,
    policy: Policy,
    exchange: u32,
    plays: u32,
    values: HashMap<Row, Cow<'a, str>>,
}

impl<'a> Speaker<'a> {
    fn new(index: &'a Index, bindings: &'a Bindings, policy: Policy, choice: &'a Choice, plays: u32) -> Self {
        let values = choice.bound.iter().map(|(row, token)| (*row, token.spelled.as_str().into())).collect();
        Self { index, bindings, policy, exchange: choice.exchange, plays, values }
    }

    /// The text that stands for an id in this answer: as in the request, as bound before, or as minted in this run.
    fn value(&mut self, row: Row) -> Cow<'a, str> {
        if let Some(value) = self.values.get(&row) {
            return value.clone();
        }
        let recorded = self.index.ids.recorded(row);
        let value = match self.index.minters[row as usize] {
            None => self.bindings.live(row).unwrap_or(recorded).into(),
            Some(_) if self.policy == Policy::Recorded || self.index.shared.contains(&row) => recorded.into(),
            Some(minter) => self.derive(row, minter, recorded),
        };
        self.values.insert(row, value.clone());
        value
    }

    /// The id that `minter` mints when it is played with the ids of this run.
    ///
    /// A POST that is played once more makes another entity, so what it shows for the first time it mints anew. The
    /// search for the ids that a minter was asked with comes to an end, since each was minted by an exchange before it.
    fn derive(&mut self, row: Row, minter: u32, recorded: &'a str) -> Cow<'a, str> {
        let creates = |exchange: u32| self.index.exchanges[exchange as usize].creates;
        let again = self.plays > 0 && (minter == self.exchange || (creates(minter) && creates(self.exchange)));
        let (minter, plays) = if again { (self.exchange, self.plays) } else { (minter, 0) };
        let index = self.index;
        let played = &index.exchanges[minter as usize];
        let mut origin = blake3::Hasher::new();
        origin.update(&played.loose_key.0);
        let mut as_recorded = plays == 0;
        for slot in &played.loose_slots {
            let guid = match slot {
                Slot::Literal(guid) => *guid,
                Slot::Id(asked) => {
                    let live = Guid::parse(&self.value(*asked)).expect("every id is a GUID");
                    as_recorded &= index.ids.find(live) == Some(*asked);
                    live
                }
            };
            origin.update(&guid.0.to_le_bytes());
        }
        if as_recorded && self.policy != Policy::Random {
            return recorded.into();
        }
        origin.update(&plays.to_le_bytes());
        let derived = index.mint.seal(row, &origin.finalize()).to_string();
        let upper = recorded.bytes().any(|b| b.is_ascii_uppercase());
        if upper { derived.to_uppercase().into() } else { derived.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::cassette::Cassette;
    use crate::tape::exchange::{Exchange, Headers};
    use crate::tape::ids::{Ids, Learner};
    use crate::tape::matching::{Rule, Rules};
    use crate::tape::mint::Mint;
    use crate::tape::route::Route;
    use crate::tape::scribe;
    use crate::tape::walk::PlacePattern;

    const A: &str = "0385114b-b48f-4800-a046-f249eaba24b1";
    const B: &str = "72889532-1029-4901-91f0-05454c445d59";
    const S: &str = "020286da-41c6-4700-8e2b-822e444187c3";
    const T: &str = "26e90184-1029-4901-91f0-05454c445d59";
    const LITERAL: &str = "62e90394-69f5-4237-9190-012177145e10";
    const X: &str = "11111111-2222-4333-8444-555555555555";
    const Y: &str = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee";

    fn request(line: &str, body: &str) -> Request {
        let (method, path) = line.split_once(' ').unwrap();
        Request {
            method: method.into(),
            host: "graph.microsoft.com".into(),
            target: format!("/beta/deviceManagement/deviceConfigurations/{path}"),
            headers: Headers::default(),
            body: body.to_owned().into(),
        }
    }

    fn post(config: &str) -> Request {
        request(&format!("POST {config}/userStatuses"), r#"{"status":"compliant","lastReportedDateTime":"now"}"#)
    }

    fn get(config: &str, status: &str) -> Request {
        request(&format!("GET {config}/userStatuses/{status}"), "")
    }

    fn list(config: &str) -> Request {
        request(&format!("GET {config}/userStatuses"), "")
    }

    fn answered(request: Request, status: u16, body: String) -> Exchange {
        Exchange { request, response: Response { status, headers: Headers::default(), body: body.into() } }
    }

    struct Deck {
        index: Index,
        bindings: Bindings,
        manner: Manner,
    }

    impl Deck {
        fn of(exchanges: Vec<Exchange>) -> Self {
            let taped: Vec<_> = exchanges.into_iter().map(scribe::tape_exchange).collect();
            let mut learner = Learner::default();
            taped.iter().for_each(|exchange| learner.study(exchange));
            let ids = Ids::new(learner.table()).unwrap();
            let entries = taped.iter().map(|exchange| scribe::entry(exchange, &ids)).collect();
            let rules = Rules::new(vec![Rule {
                route: Route::parse("POST /**/userStatuses").unwrap(),
                ignore: vec![PlacePattern::parse("json:/lastReportedDateTime").unwrap()],
            }]);
            let index = Index::new(Cassette { ids, entries }, rules, Mint::new("seed", &[0; 32])).unwrap();
            Self { index, bindings: Bindings::default(), manner: Manner::default() }
        }

        fn answer(&mut self, asked: Request) -> Result<Answer, Box<Miss>> {
            play(&self.index, &mut self.bindings, self.manner, &scribe::tape_request(asked))
        }

        fn body(&mut self, asked: Request) -> String {
            String::from_utf8(self.answer(asked).unwrap().response.body.to_vec()).unwrap()
        }

        fn why(&mut self, asked: Request) -> String {
            self.answer(asked).unwrap_err().message
        }
    }

    /// A POST under A, then what is known of it, and one under B with the same body.
    fn recording() -> Vec<Exchange> {
        vec![
            answered(post(A), 201, format!(r#"{{"id":"{S}_{A}","role":"{LITERAL}"}}"#)),
            answered(get(A, &format!("{S}_{A}")), 200, format!(r#"{{"id":"{S}_{A}","of":"a"}}"#)),
            answered(list(A), 200, format!(r#"{{"value":[{{"id":"{S}_{A}"}}]}}"#)),
            answered(post(B), 201, format!(r#"{{"id":"{T}","role":"{LITERAL}"}}"#)),
        ]
    }

    #[test]
    fn the_recorded_requests_get_the_recorded_answers() {
        let mut deck = Deck::of(recording());
        for exchange in recording() {
            assert_eq!(deck.body(exchange.request).as_bytes(), exchange.response.body);
        }
    }

    #[test]
    fn renamed_requests_get_renamed_answers_and_minted_ids_that_hold() {
        let mut deck = Deck::of(recording());
        let created = deck.body(post(X));
        let minted = created.split('"').nth(3).unwrap().strip_suffix(&format!("_{X}")).unwrap().to_owned();
        assert_ne!(minted, S);
        assert_eq!(created, format!(r#"{{"id":"{minted}_{X}","role":"{LITERAL}"}}"#));
        assert_eq!(deck.body(get(X, &format!("{minted}_{X}"))), format!(r#"{{"id":"{minted}_{X}","of":"a"}}"#));
        assert_eq!(deck.body(list(X)), format!(r#"{{"value":[{{"id":"{minted}_{X}"}}]}}"#));
        let other = Deck::of(recording()).body(list(X));
        assert_eq!(other, deck.body(list(X)), "a deck that never saw the POST mints the same id");
    }

    #[test]
    fn the_second_configuration_takes_the_second_recording_and_a_third_the_first_again() {
        let mut deck = Deck::of(recording());
        let played = [X, Y, LITERAL, A].map(|config| deck.answer(post(config)).unwrap().exchange);
        assert_eq!(played, [1, 4, 1, 1]);
    }

    #[test]
    fn a_repeat_gets_an_id_of_its_own_and_is_a_miss_when_strict() {
        let mut deck = Deck::of(recording());
        let first = deck.answer(post(A)).unwrap();
        let second = deck.answer(post(A)).unwrap();
        assert!(!first.repeat && second.repeat);
        assert_ne!(first.response.body, second.response.body);
        deck.manner.strict = true;
        assert_eq!(deck.why(post(A)), "exchange 1 was already played, and --strict plays each one once");
    }

    #[test]
    fn repeats_are_played_in_recorded_order_and_then_the_last_again() {
        let answers = ["1", "2"].map(|n| answered(list(A), 200, format!(r#"{{"n":{n}}}"#)));
        let mut deck = Deck::of(answers.into());
        assert_eq!(
            [X, X, Y, X].map(|config| deck.body(list(config))),
            ["1", "2", "1", "2"].map(|n| format!(r#"{{"n":{n}}}"#))
        );
    }

    #[test]
    fn an_id_that_is_shown_again_keeps_its_value() {
        let user = "99999999-1029-4901-91f0-05454c445d59";
        let (one, two) = (format!("{S}_{A}_{user}"), format!("{T}_{A}_{user}"));
        let mut deck = Deck::of(vec![
            answered(post(A), 201, format!(r#"{{"id":"{one}"}}"#)),
            answered(post(A), 201, format!(r#"{{"id":"{two}"}}"#)),
            answered(list(A), 200, format!(r#"{{"value":[{{"id":"{one}"}},{{"id":"{two}"}}]}}"#)),
        ]);
        let id = |body: String| body.split('"').nth(3).unwrap().to_owned();
        let (one, two) = (id(deck.body(post(X))), id(deck.body(post(X))));
        assert_eq!(deck.body(list(X)), format!(r#"{{"value":[{{"id":"{one}"}},{{"id":"{two}"}}]}}"#));
        assert_eq!(one.split('_').next_back(), two.split('_').next_back());
        let three = id(deck.body(post(X)));
        assert!(three != one && three != two);
    }

    #[test]
    fn a_renaming_onto_an_id_of_the_recording_holds_too() {
        let read = |config: &str| request(&format!("DELETE {config}"), "");
        let mut deck = Deck::of(vec![
            answered(post(A), 201, format!(r#"{{"id":"{S}"}}"#)),
            answered(read(B), 404, format!(r#"{{"missing":"{B}"}}"#)),
        ]);
        assert_eq!(deck.answer(post(B)).unwrap().exchange, 1, "the program calls A what the recording calls B");
        assert_eq!(deck.body(read(A)), format!(r#"{{"missing":"{A}"}}"#));
        assert!(deck.answer(read(B)).is_err(), "B stands for A in this run");
    }

    #[test]
    fn ids_minted_from_ids_are_found_without_a_long_search() {
        let key = |n: usize, side: u128| Guid((n as u128) << 64 | side << 32 | 7).to_string();
        let path = |n: usize| format!("{}_{}", key(n, 1), key(n, 2));
        let mut tape = vec![answered(post(A), 201, format!(r#"{{"id":"{}"}}"#, path(0)))];
        for n in 0..40 {
            tape.push(answered(post(&path(n)), 201, format!(r#"{{"id":"{}"}}"#, path(n + 1))));
        }
        tape.push(answered(list(A), 200, format!(r#"{{"id":"{}"}}"#, path(40))));
        let mut deck = Deck::of(tape);
        let listed = deck.body(list(X));
        let mut id = deck.body(post(X));
        for _ in 0..40 {
            id = deck.body(post(id.split('"').nth(3).unwrap()));
        }
        assert_eq!(listed, id);
    }

    #[test]
    fn an_id_in_a_mixture_of_cases_is_spoken_as_recorded() {
        let mixed = format!("{}{}", S[..20].to_uppercase(), &S[20..]);
        let body = format!(r#"{{"id":"{S}","at":"{mixed}"}}"#);
        let mut deck = Deck::of(vec![answered(post(A), 201, body.clone())]);
        assert_eq!(deck.body(post(A)), body);
    }

    #[test]
    fn ids_among_the_arguments_of_a_function_are_renamed() {
        let call = |config: &str| request(&format!("GET getStatus(policyId='{config}')"), "");
        let mut deck = Deck::of(vec![
            answered(post(A), 201, format!(r#"{{"id":"{S}"}}"#)),
            answered(call(A), 200, format!(r#"{{"policy":"{A}"}}"#)),
        ]);
        assert_eq!(deck.body(call(X)), format!(r#"{{"policy":"{X}"}}"#));
    }

    #[test]
    fn the_policy_recorded_never_derives() {
        let mut deck = Deck::of(recording());
        deck.manner.policy = Policy::Recorded;
        assert_eq!(deck.body(post(X)), format!(r#"{{"id":"{S}_{X}","role":"{LITERAL}"}}"#));
        assert_eq!(deck.body(post(X)), format!(r#"{{"id":"{S}_{X}","role":"{LITERAL}"}}"#));
    }

    #[test]
    fn an_ignored_place_may_differ_and_is_told() {
        let mut deck = Deck::of(recording());
        let later =
            request(&format!("POST {A}/userStatuses"), r#"{"status":"compliant","lastReportedDateTime":"later"}"#);
        let answer = deck.answer(later).unwrap();
        assert!(answer.ignored);
        assert_eq!(answer.response.body, format!(r#"{{"id":"{S}_{A}","role":"{LITERAL}"}}"#));
        assert!(!deck.answer(post(A)).unwrap().ignored);
    }

    #[test]
    fn a_miss_names_the_nearest_exchange_and_the_first_difference() {
        let body = |status: &str, role: &str| format!(r#"{{"role":"{role}","status":"{status}"}}"#);
        let sent = request(&format!("POST {A}/userStatuses"), &body("compliant", LITERAL));
        let mut deck = Deck::of(vec![answered(sent, 201, format!(r#"{{"id":"{S}"}}"#)), recording().remove(1)]);
        let minted = deck.body(request(&format!("POST {X}/userStatuses"), &body("compliant", LITERAL)));
        let minted = minted.split('"').nth(3).unwrap();
        let mut other = Deck::of(recording());
        let foreign = Mint::new("other", &[0; 32]).seal(0, &blake3::hash(b"")).to_string();
        let whys = [
            deck.why(request(&format!("POST {X}/userStatuses"), &body("nonCompliant", LITERAL))),
            deck.why(request(&format!("POST {X}/userStatuses"), &body("compliant", Y))),
            deck.why(request(&format!("POST {X}/userStatuses?$select=id"), &body("compliant", LITERAL))),
            deck.why(request(&format!("POST {X}/userStatuses"), "[]")),
            deck.why(request(&format!("POST {minted}/userStatuses"), &body("compliant", LITERAL))),
            deck.why(request("PATCH x", "")),
            other.why(get(X, &format!("{foreign}_{X}"))),
            other.why(get(X, &format!("{X}_{X}"))),
        ];
        insta::assert_snapshot!(whys.join("\n").replace(minted, "MINTED").replace(&foreign, "FOREIGN"));
    }
}
