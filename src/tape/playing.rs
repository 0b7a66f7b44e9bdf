//! A live request answered from tape: the exchange is chosen, ids are bound, and the answer is spoken with them.

use super::bindings::Bindings;
use super::choosing::{Choice, Sought, Standing};
use super::differences::Live;
use super::exchange::{Request, Taped};
use super::guid::Guid;
use super::id::Id;
use super::index::{ALONE, HEARD, Index, READS};
use super::lexicon::Lexicon;
use super::matching::{Key, Reading, Repeat, Token, Varying};
use super::miss::{Played, Unanswered};
use super::script::{Blank, Message};
use super::speaking::{Policy, Speaker, Told};
use super::walk::Place;
use bytes::Bytes;
use http::Response;
use std::collections::HashSet;

/// How a session plays.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// How minted ids are chosen.
    pub policy: Policy,
    /// Whether a request that every fitting exchange has answered before is a miss.
    pub strict: bool,
    /// Whether only the very requests that were recorded are answered, with their own ids, and those that write as often as they were.
    pub verbatim: bool,
}

/// An answer from tape.
#[derive(Debug)]
pub struct Answer<M = Response<Bytes>> {
    /// The exchange that was played, counted from 1.
    pub exchange: usize,
    /// The response, in the ids of this run.
    pub response: M,
    /// The numbers of the rules by which places differ from what was recorded.
    pub allowed: Vec<usize>,
    /// Whether the exchange had answered a request before, this one or one with other ids.
    pub repeat: bool,
    /// How long Graph took for it in milliseconds, where that was recorded.
    pub took: Option<u64>,
}

/// What a request finds on tape.
struct Found<'a> {
    choice: Choice<'a>,
    /// Whether it answered any.
    repeat: bool,
}

/// An exchange that would answer, and is used up.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    exchange: u32,
    /// Whether a rule for repeats says so.
    by_rule: bool,
}

/// Finds the exchange that answers; where that is used up, which it is.
fn find<'a>(
    index: &Index,
    bindings: &mut Bindings,
    manner: Manner,
    sought: &Sought<'a>,
) -> Result<Found<'a>, Option<Used>> {
    let verbatim = |choice: &Choice<'_>| choice.standing.iter().all(|one| one.is_recorded);
    let choice = index.choose(sought, bindings).filter(|choice| !manner.verbatim || verbatim(choice)).ok_or(None)?;
    let repeat = bindings.played(choice.exchange) > 0;
    let writes = !index.is(choice.exchange, READS);
    let no_repeat = (sought.reading.repeat == Repeat::Miss || (manner.verbatim && writes)) && choice.plays > 0;
    if (manner.strict && repeat) || no_repeat {
        return Err(Some(Used { exchange: choice.exchange, by_rule: no_repeat && !manner.strict }));
    }
    Ok(Found { choice, repeat })
}

/// Whether a request would be answered from tape.
#[must_use]
pub fn is_on_tape(index: &Index, bindings: &mut Bindings, manner: Manner, request: &Taped<Request>) -> bool {
    let reading = read(index, request, bindings.lexicon());
    find(index, bindings, manner, &index.seek(&reading)).is_ok()
}

/// What request this is, whatever came before it and whatever stands at places that may vary.
#[must_use]
pub fn key(index: &Index, request: &Taped<Request>) -> Key {
    read(index, request, &Lexicon::default()).very_request()
}

/// Reads a request and answers it from tape.
///
/// # Errors
/// When nothing on tape answers, or not once more; what that is has still to be explained, which takes longer.
pub fn play(
    index: &Index,
    bindings: &mut Bindings,
    manner: Manner,
    request: &Taped<Request>,
) -> Result<Answer, Box<Unanswered>> {
    let reading = read(index, request, bindings.lexicon());
    answer(index, bindings, manner, &reading).map_err(|used| unanswered(index, bindings, request, used))
}

/// Reads a request; `known` are the texts that are ids in this session.
#[must_use]
pub fn read(index: &Index, request: &Taped<Request>, known: &Lexicon) -> Reading {
    Reading::of(request, &index.rules, &[index.ids.lexicon(), known])
}

/// Answers a request, as it [reads](read), from tape.
///
/// # Errors
/// When nothing on tape answers, or not once more. Nothing has come of the request then: it is still to be counted as
/// [`unanswered`].
pub fn answer(
    index: &Index,
    bindings: &mut Bindings,
    manner: Manner,
    reading: &Reading,
) -> Result<Answer, Option<Used>> {
    let spoken =
        decide(index, bindings, manner, index.seek(reading))?.speak(index, bindings, manner, Response::default());
    Ok(spoken.settle(bindings))
}

/// What a session has settled about a request: which exchange answers it. The answer is still to be spoken.
#[derive(Debug)]
pub struct Decided<'a> {
    reading: &'a Reading,
    choice: Choice<'a>,
    /// How often this very request got this answer before, where that makes a difference.
    plays: u32,
    repeat: bool,
}

/// Settles which exchange answers a request, by what the tape tells of it as it [reads](read), and whom its ids stand for.
///
/// # Errors
/// As [`answer`].
pub fn decide<'a>(
    index: &Index,
    bindings: &mut Bindings,
    manner: Manner,
    sought: Sought<'a>,
) -> Result<Decided<'a>, Option<Used>> {
    let Found { choice, repeat } = find(index, bindings, manner, &sought)?;
    let reading = sought.reading;
    bindings.ask();
    let plays = if reading.repeat == Repeat::Last { 0 } else { choice.plays };
    let new = settle(index, bindings, &choice, reading.loose().tokens);
    bindings.count(reading.very_request(), choice.exchange, choice.plays, new);
    Ok(Decided { reading, choice, plays, repeat })
}

impl Decided<'_> {
    /// Whether the request alone tells what is answered, and no other answer repeats it: it can be spoken with any
    /// bindings then, and nobody else has to wait meanwhile.
    #[must_use]
    pub fn stands_alone(&self, index: &Index) -> bool {
        let exchange = self.choice.exchange;
        index.is(exchange, ALONE) && !index.is(exchange, HEARD) && !index.rules.ids().people
    }

    /// The exchange that answers, counted from 1.
    #[must_use]
    pub fn exchange(&self) -> usize {
        self.choice.exchange as usize + 1
    }

    /// Speaks the answer as a message that was not begun.
    #[must_use]
    pub fn speak<M: Message>(self, index: &Index, bindings: &Bindings, manner: Manner, mut response: M) -> Spoken<M> {
        let exchange = self.exchange();
        let Self { reading, choice, plays, repeat } = self;
        let lent = index.exchange(choice.exchange);
        let play = lent.play();
        let mut speaker = Speaker::new(index, bindings, manner.policy, &choice, (&play, plays));
        let value = |blank: &Blank| match blank {
            Blank::Id(row) => speaker.value(*row),
            Blank::Echo(echo) => speaker.echo(echo, &reading.varying),
        };
        let rest = play.script.speak(value, &mut response);
        let heard = index.is(choice.exchange, HEARD);
        let said = if heard { speaker.said(&rest.stated(), &reading.varying) } else { Vec::new() };
        let told = std::mem::take(&mut speaker.told);
        let allowed = if choice.ignored { allowed(&rest.varying(), &reading.varying) } else { Vec::new() };
        Spoken { answer: Answer { exchange, response, allowed, repeat, took: play.took }, told, said }
    }
}

/// An answer that was spoken, and what a session is still to know of it.
#[derive(Debug)]
pub struct Spoken<M = Response<Bytes>> {
    /// The answer.
    pub answer: Answer<M>,
    told: Vec<Told>,
    said: Vec<(Key, Box<str>)>,
}

impl<M> Spoken<M> {
    /// Settles what was told and said.
    pub fn settle(self, bindings: &mut Bindings) -> Answer<M> {
        for told in self.told {
            bindings.know(&told.id, told.row, Some(told.origin));
        }
        bindings.said.extend(self.said);
        self.answer
    }
}

/// Counts a request that nothing answers.
pub fn unanswered(
    index: &Index,
    bindings: &mut Bindings,
    request: &Taped<Request>,
    used: Option<Used>,
) -> Box<Unanswered> {
    bindings.ask();
    let played = used.map(|Used { exchange, by_rule }| Played {
        exchange,
        by: bindings.last_played(exchange),
        rule: index.rules.repeat_rule(request).filter(|_| by_rule),
    });
    Box::new(Unanswered { request: request.clone(), live: Live::of(index, bindings, request), played })
}

/// The ids of a request that the server made up in the recording, each once.
#[must_use]
pub fn minted_ids(index: &Index, request: &Taped<Request>) -> Vec<String> {
    let reading = read(index, request, &Lexicon::default());
    let is_minted = |row: u32| index.minter(row).is_some();
    let minted = reading.exact().tokens.iter().filter(|token| index.recorded_row(&token.id).is_some_and(is_minted));
    minted.map(|token| token.spelled.to_string()).collect()
}

/// The rules by which a live request may say something else than the recorded one, each once.
fn allowed(recorded: &[Varying], live: &[Varying]) -> Vec<usize> {
    let said = |varying: &[Varying]| -> HashSet<(Place, String)> {
        varying.iter().map(|one| (one.place.clone(), one.literal.clone())).collect()
    };
    let (ours, theirs) = (said(recorded), said(live));
    let lacks =
        |other: &HashSet<(Place, String)>, one: &Varying| !other.contains(&(one.place.clone(), one.literal.clone()));
    let differing =
        recorded.iter().filter(|one| lacks(&theirs, one)).chain(live.iter().filter(|one| lacks(&ours, one)));
    let mut rules: Vec<usize> = differing.map(|varying| varying.rule).collect();
    rules.sort_unstable();
    rules.dedup();
    rules
}

/// Binds what the choice decided. Ids that need no table, because the cassette or the mint knows them, take no room.
/// Returns an id that was not bound before, if one of those that are `compared` is.
fn settle(index: &Index, bindings: &mut Bindings, choice: &Choice<'_>, compared: &[Token]) -> Option<Guid> {
    let mut new = None;
    for Standing { row, token, .. } in &choice.standing {
        let is_known = || index.unseal(&token.id).is_some() || index.ids.is(*row, &token.id);
        if !(index.minter(*row).is_some() && is_known())
            && bindings.bind(token, *row)
            && let Id::Guid(guid) = token.id
            && compared.iter().any(|compared| compared.id == token.id)
        {
            new = Some(guid);
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{self, Exchange, Headers};
    use crate::tape::guid::Guid;
    use crate::tape::matching::{Rule, Rules};
    use crate::tape::mint::Mint;
    use crate::tape::miss::Miss;
    use crate::tape::route::Route;
    use crate::tape::scribe;
    use crate::tape::secrets::Secrets;
    use crate::tape::spelling::{Coding, encode};
    use crate::tape::walk::{IdPlaces, PlacePattern};

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
        let response = exchange::Response { status, headers: Headers::default(), body: body.into() };
        Exchange { request, response, took: None }
    }

    struct Deck {
        index: Index,
        bindings: Bindings,
        manner: Manner,
    }

    impl Deck {
        fn of(exchanges: Vec<Exchange>) -> Self {
            Self::with(exchanges, &IdPlaces::default())
        }

        fn with(exchanges: Vec<Exchange>, places: &IdPlaces) -> Self {
            let taped: Vec<_> =
                exchanges.into_iter().map(|one| scribe::tape_exchange(one, &Secrets::default())).collect();
            let cassette = scribe::seal(&taped, places);
            let rules = Rules::new(
                vec![Rule {
                    ignore: vec![PlacePattern::parse("json:/lastReportedDateTime").unwrap()],
                    ..Rule::of(Route::parse("* /**").unwrap())
                }],
                places.clone(),
            );
            let index = Index::new(cassette, rules, Mint::new("seed", &[0; 32])).unwrap();
            Self { index, bindings: Bindings::default(), manner: Manner::default() }
        }

        fn answer(&mut self, asked: Request) -> Result<Answer, Box<Miss>> {
            play(&self.index, &mut self.bindings, self.manner, &scribe::tape_request(asked, &Secrets::default()))
                .map_err(|unanswered| Box::new(unanswered.explain(&self.index, "NAME")))
        }

        fn body(&mut self, asked: Request) -> String {
            String::from_utf8(self.answer(asked).unwrap().response.body().to_vec()).unwrap()
        }

        fn why(&mut self, asked: Request) -> String {
            self.answer(asked).unwrap_err().message
        }
    }

    #[test]
    fn what_has_an_ignored_member_and_what_has_not_are_played_each_in_their_order() {
        let id = |n: usize| format!("{n}0c0c0c0-1029-4901-91f0-05454c445d59");
        let said = |n: usize, at: &str| {
            let at = if at.is_empty() { String::new() } else { format!(r#","lastReportedDateTime":"{at}""#) };
            request(&format!("POST {}/userStatuses", id(n)), &format!(r#"{{"n":1{at}}}"#))
        };
        let tape = [said(1, "now"), said(2, "now"), said(3, ""), said(4, "")];
        for strict in [false, true] {
            let mut deck = Deck::of(tape.iter().map(|one| answered(one.clone(), 201, "{}".to_owned())).collect());
            deck.manner.strict = strict;
            let live = [said(5, "later"), said(6, "later"), said(7, "later"), said(8, "")];
            let played = live.map(|one| deck.answer(one).map(|answer| answer.exchange).map_err(|miss| miss.message));
            assert_eq!(played, [Ok(1), Ok(2), Ok(3), Ok(4)], "strict: {strict}");
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
    fn an_id_at_an_ignored_place_makes_no_other_request_of_it() {
        let said = |at: &str| {
            let body = format!(r#"{{"status":"error","lastReportedDateTime":"{at}"}}"#);
            request(&format!("POST {A}/userStatuses"), &body)
        };
        let mut exchanges = recording();
        let made = r#"{"id":"0c0c0c0c-1029-4901-91f0-05454c445d59"}"#;
        exchanges.push(answered(said(B), 201, made.to_owned()));
        let mut deck = Deck::of(exchanges);
        deck.body(list(A));
        let [first, second, third] = [X, Y, X].map(|at| deck.body(said(at)));
        assert!(first != second && second != third && third != first, "{first} {second} {third}");
    }

    #[test]
    fn a_repeat_gets_an_id_of_its_own_and_is_a_miss_when_strict() {
        let mut deck = Deck::of(recording());
        let first = deck.answer(post(A)).unwrap();
        let second = deck.answer(post(A)).unwrap();
        assert!(!first.repeat && second.repeat);
        assert_ne!(first.response.body(), second.response.body());
        deck.manner.strict = true;
        assert_eq!(
            deck.why(post(A)),
            "exchange 1 was already played, for request 2 of this run, and --strict plays each one once"
        );
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

    /// Everything that Graph may write an id into, as its server would.
    fn told(config: &str, status: &str) -> String {
        let key = |text: &str| text.replace('\'', "''");
        let url = |text: &str| encode(text, &[Coding::Quotes, Coding::Path]);
        let inner = serde_json::json!({
            "Message": format!("Url: https://fef/x%28%27{}%27%29?a", encode(config, &[Coding::Quotes, Coding::Url])),
            "id": config,
        });
        serde_json::json!({
            "@odata.context": format!("https://graph.microsoft.com/beta/$metadata#deviceConfigurations('{}')/userStatuses", url(config)),
            "@odata.nextLink": format!("https://graph.microsoft.com/beta/deviceConfigurations/{}/userStatuses?$skiptoken=1", encode(config, &[Coding::Path])),
            "id": status,
            "configurationId": config,
            "again": format!("%2528%2527{}%2527%2529", encode(config, &[Coding::Quotes, Coding::Url, Coding::Url])),
            "resource": format!("deviceConfigurations('{}')", key(config)),
            "error": inner.to_string(),
            "prose": "1 of Default, Sync: 19",
        })
        .to_string()
    }

    /// Given ids of every kind, each one of a recording or of a run.
    const KINDS: [&str; 9] = [
        A,
        "DefaultDeviceCompliancePolicy.RequireDeviceCompliancePolicyAssigned",
        "AAMkADYCQM0GfRAAAcrRD-AAA=",
        "19:4a95f7d8db4c4e7fae857bcebe0623e6@thread.tacv2",
        "1616990032035",
        "1",
        "Default",
        "a/b'c\"d: é%41+&#",
        "ada.o'neil@contoso.com",
    ];

    #[test]
    fn an_id_of_any_kind_may_be_renamed_to_one_of_any_other() {
        let ask = |config: &str, form: usize| {
            let quoted = encode(config, &[Coding::Quotes, Coding::Url]);
            let key = match form {
                0 => format!("/{}", encode(config, &[Coding::Url])),
                1 => format!("('{}')", encode(config, &[Coding::Quotes, Coding::Path])),
                _ => format!("%28%27{quoted}%27%29"),
            };
            let body = serde_json::json!({
                "policyId": config,
                "rootCertificate@odata.bind": format!("https://graph.microsoft.com/beta/deviceConfigurations('{}')", encode(config, &[Coding::Quotes, Coding::Path])),
            });
            let mut request = request("POST x", &body.to_string());
            request.target =
                format!("/beta/deviceManagement/deviceConfigurations{key}/userStatuses?$filter=id%20eq%20'{quoted}'");
            request
        };
        for (before, after) in KINDS.into_iter().flat_map(|before| KINDS.map(|after| (before, after))) {
            for form in 0..3 {
                let recorded = answered(ask(before, form), 201, told(before, S));
                let mut deck = Deck::of(vec![recorded]);
                assert_eq!(deck.body(ask(before, form)), told(before, S), "{before} {form}");
                let body = deck.body(ask(after, (form + 1) % 3));
                let minted: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|_| panic!("{body}"));
                let minted = minted["id"].as_str().unwrap();
                // What cannot be told from prose stays as it was recorded.
                let plain = |text: &str| !crate::tape::id::is_distinct(text);
                if !(plain(before) || plain(after)) {
                    assert_eq!(body, told(after, minted), "{before} to {after}, {form}");
                }
                assert_ne!(minted, S, "{before} to {after}");
            }
        }
    }

    #[test]
    fn a_minted_text_keeps_its_length_and_alphabet_and_holds() {
        let minted = "19:4a95@thread.tacv2-AAA=";
        let mut deck = Deck::of(vec![
            answered(post(A), 201, format!(r#"{{"id":"{minted}"}}"#)),
            answered(get(A, minted), 200, format!(r#"{{"id":"{minted}","n":1}}"#)),
        ]);
        assert_eq!(deck.body(post(A)), format!(r#"{{"id":"{minted}"}}"#));
        let created = deck.body(post(X));
        let id = created.split('"').nth(3).unwrap().to_owned();
        let class = |text: &str| {
            text.replace(|c: char| c.is_ascii_lowercase(), "a")
                .replace(|c: char| c.is_ascii_digit(), "0")
                .replace(|c: char| c.is_ascii_uppercase(), "A")
        };
        assert_ne!(id, minted);
        assert_eq!(class(&id), class(minted));
        assert_eq!(deck.body(get(X, &id)), format!(r#"{{"id":"{id}","n":1}}"#));
        let again = deck.body(post(X));
        assert_ne!(again, created);
    }

    #[test]
    fn what_a_request_said_of_an_entity_shows_in_a_list_too() {
        let shown = |id: &str, at: &str| format!(r#"{{"id":"{id}","lastReportedDateTime":"{at}"}}"#);
        let mut deck = Deck::of(vec![
            answered(post(A), 201, shown(S, "now")),
            answered(list(A), 200, format!(r#"{{"value":[{},{}]}}"#, shown(S, "now"), shown(T, "now"))),
        ]);
        let later =
            request(&format!("POST {X}/userStatuses"), r#"{"status":"compliant","lastReportedDateTime":"later"}"#);
        let created = deck.body(later);
        let id = created.split('"').nth(3).unwrap().to_owned();
        assert_eq!(created, shown(&id, "later"));
        let listed = deck.body(list(X));
        assert!(listed.starts_with(&format!(r#"{{"value":[{},"#, shown(&id, "later"))), "{listed}");
        assert!(listed.ends_with(r#""lastReportedDateTime":"now"}]}"#), "another's stays as it was: {listed}");
    }

    #[test]
    fn values_that_were_alike_are_each_repeated_from_their_own_place() {
        let ask = |a: &str, b: &str| {
            // The last of twelve differs: elements count by number, not by spelling.
            let item = |at: &str| format!(r#"{{"lastReportedDateTime":"{at}"}}"#);
            let items: Vec<String> = (0..12).map(|number| item(if number < 11 { a } else { b })).collect();
            request("POST x", &format!(r#"{{"items":[{}]}}"#, items.join(",")))
        };
        let mut deck = Deck::of(vec![]);
        assert!(deck.answer(ask("t1", "t1")).is_err());
        let told = |a: &str, b: &str| String::from_utf8(ask(a, b).body.to_vec()).unwrap();
        let taped = vec![scribe::tape_exchange(answered(ask("t1", "t1"), 200, told("t1", "t1")), &Secrets::default())];
        let rule = Rule {
            ignore: vec![PlacePattern::parse("json:/items/*/lastReportedDateTime").unwrap()],
            ..Rule::of(Route::parse("* /**").unwrap())
        };
        let cassette = scribe::seal(&taped, &IdPlaces::default());
        deck.index =
            Index::new(cassette, Rules::new(vec![rule], IdPlaces::default()), Mint::new("seed", &[0; 32])).unwrap();
        assert_eq!(deck.body(ask("t2", "t3")), told("t2", "t3"));
    }

    #[test]
    fn what_was_changed_without_an_answer_shows_later_too() {
        let shown = |id: &str, at: &str| format!(r#"{{"id": "{id}", "lastReportedDateTime": "{at}", "n": 1}}"#);
        let change = |id: &str, at: &str| {
            request(&format!("PATCH {A}/userStatuses/{id}"), &format!(r#"{{"lastReportedDateTime":"{at}"}}"#))
        };
        for (recorded, live) in [(S, T), ("7", "8"), ("Some.Status.1", "Other.Status.2")] {
            let mut deck = Deck::of(vec![
                answered(get(A, recorded), 200, shown(recorded, "then")),
                answered(change(recorded, "now"), 204, String::new()),
                answered(get(A, recorded), 200, shown(recorded, "now")),
            ]);
            assert_eq!(deck.body(get(A, live)), shown(live, "then"));
            deck.body(change(live, "later"));
            assert_eq!(deck.body(get(A, live)), shown(live, "later"));
            assert_eq!(deck.body(get(A, live)), shown(live, "later"));
        }
    }

    #[test]
    fn a_short_id_where_config_says_so_is_renamed_in_answers_too() {
        let ask = |policy: &str| request("POST x", &format!(r#"{{"policy":{{"ref":"{policy}"}}}}"#));
        let told = |policy: &str| format!(r#"{{"ref":"{policy}","refs":["{policy}"],"n":"7"}}"#);
        let also = ["json:/policy/ref", "json:/refs/*"].map(|place| PlacePattern::parse(place).unwrap());
        let places = IdPlaces { also: also.into(), ..IdPlaces::default() };
        let mut deck = Deck::with(vec![answered(ask("7"), 200, told("7"))], &places);
        assert_eq!(deck.body(ask("12")), told("12"));
    }

    #[test]
    fn a_key_that_no_placeholder_would_give_back_is_left_as_it_is() {
        for key in ["a,b", "o'n", "%3a%2F", "a;b", "a%zz"] {
            let mut deck = Deck::of(vec![answered(get(A, key), 200, "{}".to_owned())]);
            assert_eq!(deck.body(get(X, key)), "{}", "{key}");
        }
    }

    #[test]
    fn a_list_that_is_read_again_shows_the_same_ids() {
        let mut deck =
            Deck::of(vec![answered(list(A), 200, format!(r#"{{"value":[{{"id":"{S}"}},{{"id":"Some.Text.1"}}]}}"#))]);
        let first = deck.body(list(X));
        assert!(!first.contains(S) && !first.contains("Some.Text.1"));
        assert_eq!(deck.body(list(X)), first);
    }

    #[test]
    fn short_minted_ids_are_each_their_own() {
        let mut deck = Deck::of(vec![answered(post(A), 201, r#"{"id":"7","n":"7"}"#.to_owned())]);
        let ids: std::collections::HashSet<String> = (0..30).map(|_| deck.body(post(X))).collect();
        assert_eq!(ids.len(), 30);
        assert!(ids.iter().all(|body| body.ends_with(r#","n":"7"}"#)), "{ids:?}");
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
        assert_eq!(answer.allowed, [0]);
        assert_eq!(*answer.response.body(), format!(r#"{{"id":"{S}_{A}","role":"{LITERAL}"}}"#));
        assert_eq!(deck.answer(post(A)).unwrap().allowed, [0; 0]);
    }

    #[test]
    fn a_miss_names_the_nearest_exchange_and_the_first_difference() {
        let body = |status: &str, role: &str| format!(r#"{{"role":"{role}","status":"{status}"}}"#);
        let sent = request(&format!("POST {A}/userStatuses"), &body("compliant", LITERAL));
        let mut deck = Deck::of(vec![answered(sent, 201, format!(r#"{{"id":"{S}"}}"#)), recording().remove(1)]);
        let minted = deck.body(request(&format!("POST {X}/userStatuses"), &body("compliant", LITERAL)));
        let minted = minted.split('"').nth(3).unwrap();
        let mut other = Deck::of(recording());
        let foreign = Mint::new("other", &[0; 32]).seal(0, b"").to_string();
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
