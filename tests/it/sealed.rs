//! Sealed ids between processes: another deck understands them, one of another seed or cassette says that it does not.

use crate::support::client::bare;
use crate::support::deck::{Deck, Project};
use crate::support::graph::Graph;
use crate::support::{CONFIG, OTHER_CONFIG, status};
use graphdeck::tape::guid;
use reqwest::{Client, Method};
use std::collections::{BTreeMap, HashSet};

/// What a program asks of its configuration, statuses by the order in which it made them. No request is made twice,
/// since each deck counts for itself how often it was asked the very same.
#[derive(Clone, Copy)]
enum Step {
    Post,
    Get(usize),
    List,
    Patch(usize),
    Delete(usize),
}

/// The id of the third status is composite: its own part, the configuration's, and the user's.
const STEPS: [Step; 10] = [
    Step::Post,
    Step::Post,
    Step::Get(0),
    Step::Post,
    Step::List,
    Step::Get(2),
    Step::Patch(0),
    Step::Get(1),
    Step::Patch(2),
    Step::Delete(1),
];

/// What they are answered with.
const STATUSES: [u16; 10] = [201, 201, 200, 201, 200, 200, 200, 200, 200, 204];
const NAMES: [&str; 3] = ["Ada", "Bob", "Cyd"];

/// How a key may stand in a path.
const SPELLINGS: [fn(&str) -> String; 7] = [
    |id| format!("/{id}"),
    |id| format!("('{id}')"),
    |id| format!("(%27{id}%27)"),
    |id| format!("%28%27{id}%27%29"),
    |id| format!("//{id}"),
    |id| format!("/{}", id.to_uppercase()),
    |id| format!("(id='{id}')"),
];

/// All that a client is told but how the answer is framed: the request, status, headers, body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    request: String,
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

/// A program that has a configuration of its own, and takes its steps one by one.
struct Program {
    config: String,
    statuses: Vec<String>,
    /// Where among the spellings it begins; none when it writes its keys plainly.
    spelling: Option<usize>,
    told: Vec<Told>,
}

impl Program {
    fn under(config: &str) -> Self {
        Self { config: config.to_owned(), statuses: Vec::new(), spelling: None, told: Vec::new() }
    }

    /// The same for the n-th of many, which spells its keys in ways of its own.
    fn nth(n: usize) -> Self {
        let config = uuid::Builder::from_u128(0xc0_ffee << 100 | n as u128).with_version(uuid::Version::Random);
        Self { spelling: Some(n), ..Self::under(&config.into_uuid().to_string()) }
    }

    /// A key as it is spelled this time; with another `pace`, two keys come to stand side by side in all ways.
    fn spelled(&self, key: &str, pace: usize) -> String {
        let nth = self.spelling.map_or(0, |begin| begin / SPELLINGS.len() + pace * (begin + self.told.len()));
        SPELLINGS[nth % SPELLINGS.len()](key)
    }

    fn request(&self, step: Step) -> (Method, String, String) {
        let statuses =
            format!("/beta/deviceManagement/deviceConfigurations{}/userStatuses", self.spelled(&self.config, 1));
        let one = |number: usize| format!("{statuses}{}", self.spelled(&self.statuses[number], 3));
        match step {
            Step::Post => (Method::POST, statuses.clone(), status(NAMES[self.statuses.len()])),
            Step::Get(number) => (Method::GET, one(number), String::new()),
            Step::List => (Method::GET, statuses.clone(), String::new()),
            Step::Patch(number) => (Method::PATCH, one(number), r#"{"devicesCount":12}"#.to_owned()),
            Step::Delete(number) => (Method::DELETE, one(number), String::new()),
        }
    }

    /// Takes the next step.
    async fn step(&mut self, client: &Client, deck: &Deck<'_>) {
        let (method, path, body) = self.request(STEPS[self.told.len()]);
        let told = ask(client, deck, method, &path, body).await;
        if told.status == 201 {
            let entity: serde_json::Value = serde_json::from_str(&told.body).unwrap();
            self.statuses.push(entity["id"].as_str().unwrap().to_owned());
        }
        self.told.push(told);
    }

    /// Takes all steps that are left.
    async fn run(mut self, client: &Client, deck: &Deck<'_>) -> Vec<Told> {
        while self.told.len() < STEPS.len() {
            self.step(client, deck).await;
        }
        self.told
    }
}

async fn ask(client: &Client, deck: &Deck<'_>, method: Method, path: &str, body: String) -> Told {
    let request = format!("{method} {path} {body}");
    let response = client.request(method, deck.url(path)).header("content-type", "application/json").body(body);
    let response = response.send().await.unwrap();
    let framing = ["connection", "content-length", "transfer-encoding"];
    let headers = response.headers().iter().filter(|(name, _)| !framing.contains(&name.as_str()));
    let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect();
    Told { request, status: response.status().as_u16(), headers, body: response.text().await.unwrap() }
}

fn statuses(told: &[Told]) -> Vec<u16> {
    told.iter().map(|told| told.status).collect()
}

/// A project in which a program was recorded under `config`, and a client of its decks.
async fn recorded(config: &str) -> (Project, Client) {
    let (project, graph) = (Project::new(), Graph::start().await);
    let client = bare(&project.run(&["ca"]).stdout).build().unwrap();
    let deck = project.record("sealed", &graph, &["--all"]);
    let told = Program::under(config).run(&client, &deck).await;
    assert_eq!(statuses(&told), STATUSES);
    let ended = deck.stop();
    assert!(ended.stderr.contains("recorded 10 exchanges"), "{}", ended.stderr);
    (project, client)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deck_that_takes_over_from_one_that_was_stopped_or_killed_understands_its_ids() {
    let (project, client) = recorded(CONFIG).await;
    let without_a_break = Program::under(OTHER_CONFIG).run(&client, &project.replay("sealed", &[])).await;
    let ends: [fn(Deck<'_>); 2] = [|deck| assert_eq!(deck.stop().code, Some(0)), |deck| deck.kill()];
    for end in ends {
        let mut program = Program::under(OTHER_CONFIG);
        for _ in STEPS {
            let deck = project.replay("sealed", &[]);
            program.step(&client, &deck).await;
            end(deck);
        }
        assert_eq!(program.told, without_a_break);
    }
    assert_eq!(statuses(&without_a_break), STATUSES);
}

/// Fifty programs that take turns with the decks, request by request, and the decks with them: what each is told, and
/// how often it came with an id to a deck that had not made it.
async fn in_turns(client: &Client, decks: &[&Deck<'_>]) -> (Vec<Vec<Told>>, usize) {
    let mut programs: Vec<Program> = (0..50).map(Program::nth).collect();
    // Each begins a little after the one before it, so that there are many under way at any time.
    let mut turns: Vec<(usize, usize)> = (0..STEPS.len() * 50).map(|n| (n / 50 * 7 + n % 50, n % 50)).collect();
    turns.sort_unstable();
    let mut made_by: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut strangers = 0;
    for (turn, (_, number)) in turns.into_iter().enumerate() {
        let (program, deck) = (&mut programs[number], turn % decks.len());
        match STEPS[program.told.len()] {
            Step::Post => drop(made_by.insert((number, program.statuses.len()), deck)),
            Step::Get(nth) | Step::Patch(nth) | Step::Delete(nth) => {
                strangers += usize::from(made_by[&(number, nth)] != deck);
            }
            Step::List => {}
        }
        program.step(client, decks[deck]).await;
    }
    (programs.into_iter().map(|program| program.told).collect(), strangers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_decks_behind_a_round_robin_say_what_one_deck_says() {
    let (project, client) = recorded(CONFIG).await;
    let other = Project::new();
    other.write("cassettes/sealed.json", project.cassette("sealed"));
    let (alone, _) = in_turns(&client, &[&project.replay("sealed", &[])]).await;
    let (here, there) = (project.replay("sealed", &[]), other.replay("sealed", &[]));
    let (together, strangers) = in_turns(&client, &[&here, &there]).await;
    alone.iter().for_each(|told| assert_eq!(statuses(told), STATUSES));
    for (together, alone) in together.iter().flatten().zip(alone.iter().flatten()) {
        assert_eq!(together, alone);
    }
    assert_eq!(together.iter().flatten().count(), 500);
    assert!(strangers >= 100, "an id seldom came to the deck that had not made it: {strangers} times");
    for deck in [here, there] {
        let ended = deck.stop();
        assert!(ended.stderr.contains("replayed sealed: 250 answered, 0 missed, 0 unused"), "{}", ended.stderr);
    }
}

/// Asks for the statuses that a program was given elsewhere, and sees that each is a miss that says why.
async fn not_understood(client: &Client, deck: &Deck<'_>, program: &Program) {
    let steps = [(Step::Get(0), 0), (Step::Patch(0), 0), (Step::Delete(1), 1), (Step::Get(2), 2), (Step::Patch(2), 2)];
    for (step, number) in steps {
        let (method, path, body) = program.request(step);
        let told = ask(client, deck, method, &path, body).await;
        assert_eq!((told.status, told.headers["x-graphdeck"].as_str()), (501, "miss"), "{told:?}");
        let own = program.statuses[number].split('_').next().unwrap();
        let why = format!("{own} was made by a replay with another seed or of another cassette");
        let error: serde_json::Value = serde_json::from_str(&told.body).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(&why), "{message}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_another_seed_or_another_cassette_is_not_understood_and_the_miss_says_so() {
    let (project, client) = recorded(CONFIG).await;
    let (another, _) = recorded("72889532-6b1a-4f0e-9d57-08c2f1e3a4b5").await;
    let deck = project.replay("sealed", &[]);
    for foreign in [project.replay("sealed", &["--seed", "other"]), another.replay("sealed", &[])] {
        let mut program = Program::under(OTHER_CONFIG);
        for _ in 0..4 {
            program.step(&client, &foreign).await;
        }
        not_understood(&client, &deck, &program).await;
        // Its own deck understands them all along.
        assert_eq!(program.run(&client, &foreign).await.last().unwrap().status, 204);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_derived_id_is_a_version_8_uuid() {
    let (project, client) = recorded(CONFIG).await;
    let deck = project.replay("sealed", &[]);
    let mut derived = HashSet::new();
    for n in 0..SPELLINGS.len() {
        let program = Program::nth(n);
        let config = program.config.clone();
        for told in program.run(&client, &deck).await {
            let text = format!("{:?} {}", told.headers, told.body);
            for (_, id) in guid::tokens(&text).filter(|(_, id)| id.to_string() != config) {
                let uuid = uuid::Uuid::from_u128(id.0);
                assert_eq!((uuid.get_version_num(), uuid.get_variant()), (8, uuid::Variant::RFC4122), "{text}");
                derived.insert(id);
            }
        }
    }
    assert_eq!(derived.len(), 4 * SPELLINGS.len(), "three statuses of each configuration, and the user of one");
}
