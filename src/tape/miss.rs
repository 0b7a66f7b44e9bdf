//! Why nothing on tape answers a request: the reason, the nearest recorded exchanges, and the way out, in words.

use super::body;
use super::cassette::RequestEntry;
use super::differences::{self, Difference, Differences, Live};
use super::exchange::{Request, Taped};
use super::graph;
use super::index::Index;
use super::redact;
use super::schema;
use super::walk::{self, Place};
use serde::de::IgnoredAny;

/// How many of the nearest exchanges are told.
const NEAREST: usize = 3;
/// How many of those that seem nearest are compared value by value.
const LOOKED_AT: usize = 24;
/// How many differences of an exchange are told.
const TOLD: usize = 10;
/// How many places a rule is proposed for at most: what differs more is another request.
const PROPOSED: usize = 3;

/// The largest body, in bytes, that is taken apart to be explained: what is larger would cost many times that.
const LARGE: usize = 16 * 1024;

/// A request that nothing on tape answers, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Miss {
    /// The request, as `METHOD address`.
    pub request: String,
    /// The request as it would stand in a cassette, without ids: what `explain` takes; none where it is large.
    pub sent: Option<RequestEntry>,
    /// Why.
    pub reason: Reason,
    /// Why, in one sentence or two.
    pub message: String,
    /// What the documentation says of values that differ.
    pub hints: Vec<String>,
    /// The exchanges that come nearest, the nearest first.
    pub nearest: Vec<Near>,
    /// What to do about it.
    pub way_out: String,
}

/// Why nothing answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Nothing is recorded for its route.
    NotRecorded,
    /// It is recorded with another method, version or host.
    Elsewhere,
    /// It was recorded, and played as often as it may be.
    AlreadyPlayed,
    /// An id stands in it that may not change.
    Id,
    /// It differs in its query, headers or body.
    Differs,
    /// Its body is no JSON.
    NotJson,
    /// Its body is no valid userStatus.
    Invalid,
    /// What might answer cannot be read any more.
    Damaged,
}

impl Reason {
    /// The reason as a word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotRecorded => "notRecorded",
            Self::Elsewhere => "recordedElsewhere",
            Self::AlreadyPlayed => "alreadyPlayed",
            Self::Id => "idMayNotChange",
            Self::Differs => "differs",
            Self::NotJson => "notJson",
            Self::Invalid => "invalidUserStatus",
            Self::Damaged => "indexDamaged",
        }
    }
}

/// A recorded exchange that comes near.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// Its number, counted from 1.
    pub exchange: usize,
    /// Its request, as `METHOD address` with placeholders.
    pub request: String,
    /// Where the live request differs from it.
    pub differences: Differences,
}

/// What is known of a request that nothing answers: enough to explain it without the session.
#[derive(Debug)]
pub struct Unanswered {
    pub(super) request: Taped<Request>,
    pub(super) live: Live,
    pub(super) played: Option<Played>,
}

/// The exchange that would answer, had it not been played.
#[derive(Clone, Debug)]
pub(super) struct Played {
    pub(super) exchange: u32,
    /// The request that it answered last, by its number in the run.
    pub(super) by: u64,
    /// The rule that allows no repeat; none for `--strict`.
    pub(super) rule: Option<String>,
}

impl Unanswered {
    /// Explains why nothing answers; `cassette` is what the tape is called.
    #[must_use]
    pub fn explain(self, index: &Index, cassette: &str) -> Miss {
        let request = format!("{} {}", self.request.method, self.request.url());
        let record = format!("To have it, record it: graphdeck auto {cassette} --all -- COMMAND");
        let sent = (self.request.body.len() <= LARGE)
            .then(|| super::scribe::request_entry(&self.request, &super::ids::Ids::default()));
        let miss = Miss {
            request,
            sent,
            reason: Reason::NotRecorded,
            message: String::new(),
            hints: Vec::new(),
            nearest: Vec::new(),
            way_out: record,
        };
        match &self.played {
            _ if redact::is_sign_in(&self.request) => Miss {
                message: "what is said to a sign-in host is never recorded".to_owned(),
                way_out: "Give the program a fixed token for replays, so that it does not sign in".to_owned(),
                ..miss
            },
            Some(played) => already_played(miss, index, played),
            None => compared(miss, index, &self),
        }
    }
}

fn already_played(miss: Miss, index: &Index, played: &Played) -> Miss {
    let number = played.exchange as usize + 1;
    let (why, way_out) = match &played.rule {
        None => ("--strict plays each one once".to_owned(), "Leave --strict out".to_owned()),
        Some(route) => (
            format!("the rule for `{route}` allows no repeat"),
            format!("Take `repeat = \"miss\"` out of the rule for `{route}`"),
        ),
    };
    Miss {
        reason: Reason::AlreadyPlayed,
        message: format!("exchange {number} was already played, for request {} of this run, and {why}", played.by),
        nearest: vec![near(index, played.exchange, Differences::default())],
        way_out: format!("{way_out}, or record the repetition too"),
        ..miss
    }
}

fn compared(miss: Miss, index: &Index, unanswered: &Unanswered) -> Miss {
    let nearest = nearest(index, unanswered);
    let hints = hints(&unanswered.request, &nearest);
    let (reason, message) = reason(index, unanswered, &nearest, !hints.is_empty());
    let way_out = match rule(&unanswered.request, reason, &nearest) {
        Some(rule) => {
            let first = if reason == Reason::Invalid { "Send what is valid" } else { "Record it anew" };
            format!("{first}, or let it differ by a rule in config.toml:\n{rule}")
        }
        None => match reason {
            Reason::NotJson => "Send valid JSON".to_owned(),
            Reason::Elsewhere => format!("Correct the request. {}", miss.way_out),
            _ => miss.way_out,
        },
    };
    Miss { reason, message, hints, nearest, way_out, ..miss }
}

/// The exchanges that come nearest: those with the most values in common, then value by value.
fn nearest(index: &Index, unanswered: &Unanswered) -> Vec<Near> {
    let live = &unanswered.live;
    let candidates = index.near(live.address);
    let apart = |exchange: u32| differences::distance(&index.exchange(exchange).marks(), &live.marks);
    let mut ranked: Vec<(usize, u32)> = candidates.into_iter().map(|exchange| (apart(exchange), exchange)).collect();
    ranked.sort_unstable();
    let rank = |found: &Differences| (found.len(), found.first.iter().all(|found| found.id.is_none()));
    let mut compared: Vec<(Differences, u32)> = Vec::new();
    for (_, exchange) in ranked.into_iter().take(LOOKED_AT) {
        compared.push((differences::differences(index, exchange, live), exchange));
        compared.sort_by(|(a, one), (b, other)| rank(a).cmp(&rank(b)).then(one.cmp(other)));
        compared.truncate(NEAREST);
    }
    let path = graph::route_template(unanswered.request.path());
    let (_, of_path) = index.knows(live.address);
    let told = |(differences, exchange): (Differences, u32)| {
        let near = near(index, exchange, differences);
        if of_path { near } else { with_whole_path(near, path.clone()) }
    };
    compared.into_iter().map(told).collect()
}

/// The differences of an exchange with another path, which say little segment by segment.
fn with_whole_path(mut near: Near, got: String) -> Near {
    let address = near.request.split_once(' ').map_or("", |(_, url)| url).splitn(4, '/').nth(3).unwrap_or_default();
    let recorded = graph::route_template(&format!("/{}", address.split('?').next().unwrap_or_default()));
    near.differences.first.retain(|found| !matches!(found.place, Place::Path(2..)));
    let path = Difference { place: Place::Path(0), recorded: Some(recorded), got: Some(got), id: None };
    near.differences.first.insert(0, path);
    near
}

fn near(index: &Index, exchange: u32, differences: Differences) -> Near {
    let request = index.exchange(exchange).request();
    let request = format!("{} {}", request.method, request.url);
    Near { exchange: exchange as usize + 1, request, differences }
}

/// What the documentation says of values that the nearest exchange does not have.
fn hints(request: &Request, nearest: &[Near]) -> Vec<String> {
    let writes = matches!(request.method.as_str(), "POST" | "PATCH" | "PUT");
    let about = graph::route_template(request.path()).to_lowercase().contains("/userstatuses");
    if !writes || !about || request.body.len() > LARGE || body::is_dense(&request.body) {
        return Vec::new();
    }
    let Some(body) = walk::parse_json(&request.body) else { return Vec::new() };
    let differs = |name: &str| {
        let place = Place::Json(format!("/{name}").into());
        let among = |found: &Differences| found.more > 0 || found.first.iter().any(|found| found.place == place);
        nearest.first().is_none_or(|near| among(&near.differences))
    };
    schema::faults(&body).into_iter().filter(|(name, _)| differs(name)).map(|(_, rule)| rule).collect()
}

fn reason(index: &Index, unanswered: &Unanswered, nearest: &[Near], invalid: bool) -> (Reason, String) {
    let (of_route, of_path) = index.knows(unanswered.live.address);
    let Some(first) = nearest.first().filter(|_| of_route || of_path) else {
        let count = match index.len() {
            1 => "1 exchange".to_owned(),
            count => format!("{count} exchanges"),
        };
        let route = graph::route_template(unanswered.request.path());
        let method = &unanswered.request.method;
        return (Reason::NotRecorded, format!("nothing is recorded for {method} {route} (the cassette has {count})"));
    };
    let exchange = first.exchange;
    if !of_route {
        return (Reason::Elsewhere, elsewhere(first));
    }
    let Some(difference) = first.differences.first.first() else {
        let message = format!("exchange {exchange} is equal but for its ids, which fit it only together with others");
        return (Reason::Id, message);
    };
    let was_json = differences::is_other_kind_of_body(difference);
    if was_json && !unanswered.request.body.is_empty() {
        let why = not_json(&unanswered.request.body);
        return (Reason::NotJson, format!("the body is no JSON ({why}), and that of exchange {exchange} is"));
    }
    let more = match first.differences.len() - 1 {
        0 => String::new(),
        1 => ", and at 1 more place".to_owned(),
        more => format!(", and at {more} more places"),
    };
    let message = format!("the nearest is exchange {exchange}, which differs at {difference}{more}");
    let reason = match difference.id {
        Some(_) => Reason::Id,
        None if invalid => Reason::Invalid,
        None => Reason::Differs,
    };
    (reason, message)
}

/// Why a body is not compared as JSON.
fn not_json(text: &[u8]) -> String {
    let many = "it has more values than are compared one by one";
    let (fault, otherwise) = if body::is_dense(text) || text.len() > LARGE {
        (serde_json::from_slice::<IgnoredAny>(text).err(), many)
    } else {
        (serde_json::from_slice::<serde_json::Value>(text).err(), "it is no object and no array")
    };
    fault.map_or_else(|| otherwise.to_owned(), |why| why.to_string())
}

/// How a request that is recorded somewhere else was recorded.
fn elsewhere(near: &Near) -> String {
    let what = |place: &Place| match place {
        Place::Method => Some("method"),
        Place::Host => Some("host"),
        Place::Path(1) => Some("version"),
        _ => None,
    };
    let told = near.differences.first.iter().filter_map(|found| {
        let (recorded, got) = (found.recorded.as_deref()?, found.got.as_deref()?);
        Some(format!("with the {} {recorded}, not {got}", what(&found.place)?))
    });
    let told: Vec<String> = told.collect();
    format!("it is recorded {} (exchange {})", told.join(" and "), near.exchange)
}

/// The rule that would let the nearest exchange answer, where one can.
fn rule(request: &Request, reason: Reason, nearest: &[Near]) -> Option<String> {
    let differences = &nearest.first()?.differences;
    let may_vary = |place: &Place| match place {
        Place::Json(pointer) => !pointer.is_empty(),
        place => matches!(place, Place::Query(_) | Place::Header(_)),
    };
    let fits = !differences.is_empty()
        && differences.len() <= PROPOSED
        && matches!(reason, Reason::Differs | Reason::Invalid)
        && differences.first.iter().all(|found| found.id.is_none() && may_vary(&found.place));
    let places: Vec<String> =
        differences.first.iter().map(|found| serde_json::Value::from(found.place.to_string()).to_string()).collect();
    let route = graph::route_template(request.path()).replace("{id}", "*");
    let route = serde_json::Value::from(format!("{} {route}", request.method));
    fits.then(|| format!("[[match]]\nroute = {route}\nignore = [{}]", places.join(", ")))
}

impl Miss {
    /// Of a request to which the index is [`super::played::Damaged`].
    #[must_use]
    pub fn damaged(request: &Request) -> Self {
        Self {
            request: format!("{} {}", request.method, request.url()),
            sent: None,
            reason: Reason::Damaged,
            message: "the index of the cassette was damaged while it was played".to_owned(),
            hints: Vec::new(),
            nearest: Vec::new(),
            way_out: "Start the deck again: it makes the index anew".to_owned(),
        }
    }

    /// Why, in one line: the reason, what the documentation says, and what to do.
    #[must_use]
    pub fn sentence(&self) -> String {
        let hints: String = self.hints.iter().map(|hint| format!(" ({hint})")).collect();
        format!("{}{hints}. {}", self.message, self.way_out)
    }
}

impl std::fmt::Display for Miss {
    /// The whole explanation, on lines of its own.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no recorded answer for {}\n  {}", self.request, self.message)?;
        self.hints.iter().try_for_each(|hint| write!(f, "\n  {hint}"))?;
        for near in self.nearest.iter().filter(|near| !near.differences.is_empty()) {
            write!(f, "\n  exchange {}, {}", near.exchange, near.request)?;
            near.differences.first.iter().take(TOLD).try_for_each(|found| write!(f, "\n    {}", found.line()))?;
            if near.differences.len() > TOLD {
                write!(f, "\n    … and {} more places", near.differences.len() - TOLD)?;
            }
        }
        self.way_out.lines().enumerate().try_for_each(|(line, text)| {
            let indent = if line == 0 { "  " } else { "    " };
            write!(f, "\n{indent}{text}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::bindings::Bindings;
    use crate::tape::exchange::{Exchange, Response};
    use crate::tape::matching::{Repeat, Rule, Rules};
    use crate::tape::mint::Mint;
    use crate::tape::playing::{self, Answer, Manner};
    use crate::tape::request_text;
    use crate::tape::route::Route;
    use crate::tape::scribe;
    use crate::tape::secrets::Secrets;
    use crate::tape::walk::{IdPlaces, PlacePattern};
    use proptest::prelude::*;

    const A: &str = "0385114b-b48f-4800-a046-f249eaba24b1";
    const X: &str = "11111111-2222-4333-8444-555555555555";
    const ROLE: &str = "62e90394-69f5-4237-9190-012177145e10";
    const STATUSES: &str = "https://graph.microsoft.com/beta/deviceManagement/deviceConfigurations";

    /// A deck that has recorded these requests, written as in a `.http` file.
    struct Deck {
        index: Index,
        bindings: Bindings,
        manner: Manner,
    }

    impl Deck {
        fn of(recorded: &[String], rules: Vec<Rule>) -> Self {
            let exchange = |text: &String| {
                let request = request_text::parse(text).unwrap().remove(0);
                let body = format!(r#"{{"id":"{}"}}"#, &blake3::hash(text.as_bytes()).to_hex()[..20]);
                let response =
                    Response { status: 201, headers: crate::tape::exchange::Headers::default(), body: body.into() };
                scribe::tape_exchange(Exchange { request, response, took: None }, &Secrets::default())
            };
            let taped: Vec<_> = recorded.iter().map(exchange).collect();
            let cassette = scribe::seal(&taped, &IdPlaces::default());
            let rules = Rules::new(rules, IdPlaces::default());
            let index = Index::new(cassette, rules, Mint::new("seed", &[0; 32])).unwrap();
            Self { index, bindings: Bindings::default(), manner: Manner::default() }
        }

        fn ask(&mut self, text: &str) -> Result<Answer, Box<Miss>> {
            let request = scribe::tape_request(request_text::parse(text).unwrap().remove(0), &Secrets::default());
            playing::play(&self.index, &mut self.bindings, self.manner, &request)
                .map_err(|unanswered| Box::new(unanswered.explain(&self.index, "my-run")))
        }

        fn miss(&mut self, text: &str) -> Miss {
            *self.ask(text).unwrap_err()
        }
    }

    fn rule(change: impl FnOnce(&mut Rule)) -> Vec<Rule> {
        let mut rule = Rule::of(Route::parse("POST /**/userStatuses").unwrap());
        change(&mut rule);
        vec![rule]
    }

    fn post(config: &str, body: &str) -> String {
        format!("POST {STATUSES}/{config}/userStatuses\nPrefer: a\n\n{body}")
    }

    fn status(name: &str, status: &str) -> String {
        let at = "2026-01-31T09:30:00Z";
        format!(
            r#"{{"userDisplayName":"{name}","devicesCount":1,"status":"{status}","lastReportedDateTime":"{at}","roleId":"{ROLE}"}}"#
        )
    }

    #[test]
    fn every_reason_is_told_with_the_nearest_exchanges_and_a_way_out() {
        let recorded = ["Ada", "Bob", "Cyd", "Dan"].map(|name| post(A, &status(name, "compliant")));
        let mut deck = Deck::of(&recorded, Vec::new());
        let asks = [
            "GET https://graph.microsoft.com/v1.0/me".to_owned(),
            format!("GET {STATUSES}/{X}/userStatuses"),
            post(X, &status("Ada", "compliant")).replace("/beta/", "/v1.0/"),
            post(X, &status("Ada", "compliant")).replace("microsoft.com", "microsoft.us"),
            post(X, &status("Eve", "compliant")),
            post(X, &status("Ada", "compliance")).replace("beta", "beta/"),
            post(X, &status("Ada", "compliant").replace(":1,", ":3000000000,").replace("-31T", "-31 at ")),
            post(X, &status("Ada", "compliant").replace(ROLE, X)),
            post(X, &status("Ada", "compliant").replace("\"Ada\"", "Ada")),
            post(X, &status("Ada", "compliant")).replace("userStatuses\n", "userStatuses?$select=id\n"),
            post(X, &status(&"long ".repeat(100), "compliant")),
        ];
        let told: Vec<String> =
            asks.iter().map(|ask| deck.miss(ask)).map(|miss| format!("[{}] {miss}", miss.reason.as_str())).collect();
        insta::assert_snapshot!(told.join("\n\n"));
    }

    #[test]
    fn an_exchange_that_was_played_says_for_which_request() {
        let recorded = [post(A, &status("Ada", "compliant"))];
        let mut strict = Deck::of(&recorded, Vec::new());
        strict.manner.strict = true;
        let mut once = Deck::of(&recorded, rule(|rule| rule.repeat = Some(Repeat::Miss)));
        let told = [&mut strict, &mut once].map(|deck| {
            deck.ask(&recorded[0]).unwrap();
            deck.miss(&recorded[0]).to_string()
        });
        insta::assert_snapshot!(told.join("\n\n"));
        assert!(once.ask(&post(X, &status("Ada", "compliant"))).is_ok(), "another request is no repeat");
    }

    #[test]
    fn a_repeat_gets_the_last_answer_where_a_rule_says_so() {
        let recorded = [post(A, &status("Ada", "compliant"))];
        let mut deck = Deck::of(&recorded, rule(|rule| rule.repeat = Some(Repeat::Last)));
        let mut body = || deck.ask(&recorded[0]).unwrap().response.into_body();
        assert_eq!(body(), body());
    }

    #[test]
    fn headers_are_compared_where_a_rule_says_so_and_may_be_ignored_again() {
        let recorded = [post(A, &status("Ada", "compliant"))];
        let other = recorded[0].replace("Prefer: a", "Prefer: b");
        assert!(Deck::of(&recorded, Vec::new()).ask(&other).is_ok());
        let mut rules = rule(|rule| rule.headers = vec!["prefer".into()]);
        let miss = Deck::of(&recorded, rules.clone()).miss(&other);
        assert!(miss.to_string().contains("header:prefer  recorded \"a\"  got \"b\""), "{miss}");
        assert!(miss.way_out.ends_with(r#"ignore = ["header:prefer"]"#), "{}", miss.way_out);
        rules.extend(rule(|rule| rule.ignore = vec![PlacePattern::parse("header:prefer").unwrap()]));
        assert_eq!(Deck::of(&recorded, rules).ask(&other).unwrap().allowed, [1]);
    }

    #[test]
    fn arrays_come_in_any_order_where_a_rule_says_so() {
        let body = |elements: [&str; 2]| post(A, &format!(r#"{{"list":[{}]}}"#, elements.join(",")));
        let (a, b) = (format!(r#"{{"n":1,"id":"{A}"}}"#), r#"{"n":2,"id":"y"}"#);
        let recorded = [body([&a, b])];
        let mut other = body([b, &a]);
        assert!(Deck::of(&recorded, Vec::new()).ask(&other).is_err());
        let rules = rule(|rule| rule.unordered = Some(true));
        assert!(Deck::of(&recorded, rules.clone()).ask(&other).is_ok());
        other = other.replace("\"n\":2", "\"n\":3");
        assert!(Deck::of(&recorded, rules).ask(&other).is_err());
    }

    #[test]
    fn rules_of_no_use_are_told_by_line() {
        let mut rules = rule(|rule| {
            rule.ignore = ["json:/status", "json:/stauts"].map(|place| PlacePattern::parse(place).unwrap()).into();
            rule.headers = vec!["prefer".into(), "if-match".into()];
            rule.line = Some(7);
        });
        rules.push(Rule { line: Some(12), repeat: Some(Repeat::Last), ..Rule::of(Route::parse("GET /x").unwrap()) });
        rules.push(Rule::of(Route::parse("GET /shipped").unwrap()));
        let idle = Deck::of(&[post(A, &status("Ada", "compliant"))], rules).index.idle_rules();
        let idle: Vec<String> = idle.into_iter().map(|(line, why)| format!("line {line}: {why}")).collect();
        insta::assert_snapshot!(idle.join("\n"));
    }

    /// A body of some members, and a change of one of them.
    fn bodies() -> impl Strategy<Value = (serde_json::Map<String, serde_json::Value>, usize, serde_json::Value)> {
        let leaf = prop_oneof![
            "[a-z]{1,8}".prop_map(serde_json::Value::from),
            any::<i32>().prop_map(serde_json::Value::from),
            any::<bool>().prop_map(serde_json::Value::from),
            Just(serde_json::Value::Null),
        ];
        let members = proptest::collection::btree_map("[a-z]{3,6}", leaf, 1..6);
        let members = members.prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>());
        (members, any::<proptest::sample::Index>(), "[A-Z]{9}").prop_map(|(members, at, value)| {
            let at = at.index(members.len());
            (members, at, value.into())
        })
    }

    proptest! {
        /// A request that was recorded, changed in one place, is explained by that very place first.
        #[test]
        fn the_place_that_was_changed_is_named_first((members, at, value) in bodies(), others in 0..20usize, query in any::<bool>()) {
            let body = serde_json::Value::from(members.clone()).to_string();
            // Others differ from it in more than one place.
            let other = |n: usize| post(A, &format!(r#"{{"n":{n},"m":{n}}}"#));
            let mut recorded: Vec<String> = (0..others).map(other).collect();
            recorded.insert(others / 2, post(A, &body));
            let mut deck = Deck::of(&recorded, Vec::new());
            let (ask, place) = if query {
                (post(X, &body).replace("userStatuses\n", "userStatuses?$top=1\n"), "query:$top".to_owned())
            } else {
                let mut changed = members;
                let name = changed.keys().nth(at).unwrap().clone();
                changed[&name] = value;
                (post(X, &serde_json::Value::from(changed).to_string()), format!("json:/{name}"))
            };
            let miss = deck.miss(&ask);
            prop_assert_eq!(miss.nearest[0].exchange, others / 2 + 1);
            prop_assert_eq!(miss.nearest[0].differences.first[0].place.to_string(), place);
            prop_assert_eq!(miss.nearest[0].differences.len(), 1);
            // With the rule that it proposes, it is answered.
            let pattern = PlacePattern::parse(&miss.nearest[0].differences.first[0].place.to_string()).unwrap();
            let mut deck = Deck::of(&recorded, rule(|rule| rule.ignore = vec![pattern]));
            prop_assert_eq!(deck.ask(&ask).map_err(|miss| miss.to_string()).unwrap().exchange, others / 2 + 1);
        }
    }
}
