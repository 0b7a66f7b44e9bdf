//! The renaming law, as a property of whole programs: what was recorded answers them under other ids, in another order
//! of clients, and in another process.

use crate::support::program::{self, ROLE, Run, Step, client, exchanges, given, run, server, told};
use graphdeck::tape::bindings::Bindings;
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::exchange::{Request, Response};
use graphdeck::tape::guid::{self, Guid};
use graphdeck::tape::index::Index;
use graphdeck::tape::matching::Rules;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::playing::{self, Manner};
use graphdeck::tape::scribe;
use graphdeck::tape::walk::IdPlaces;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use std::collections::HashMap;

/// `GRAPHDECK_SCENARIOS=100000 cargo test --test it law` tries more.
fn scenarios() -> Config {
    let cases = std::env::var("GRAPHDECK_SCENARIOS").ok().and_then(|count| count.parse().ok()).unwrap_or(2000);
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// The cassette of a run, by way of its text.
fn cassette(recorded: &Run) -> Cassette {
    let taped: Vec<_> = exchanges(recorded).into_iter().map(scribe::tape_exchange).collect();
    Cassette::parse(&scribe::seal(&taped, &IdPlaces::default()).print()).unwrap()
}

/// A player of a cassette, as a program's server.
fn player(cassette: Cassette) -> impl FnMut(&Request) -> Response {
    let index = Index::new(cassette, Rules::default(), Mint::new("seed", &[0; 32])).unwrap();
    let mut bindings = Bindings::default();
    move |request| {
        let taped = scribe::tape_request(request.clone());
        match playing::play(&index, &mut bindings, Manner::default(), &taped) {
            Ok(answer) => answer.response,
            Err(miss) => panic!("{} {}: {}", request.method, request.target, miss.message),
        }
    }
}

/// What was recorded, as it is on tape.
fn taped(response: &Response) -> String {
    let mut response = response.clone();
    response.headers.retain(|name, _| !graphdeck::tape::graph::is_passing_response_header(name));
    told(&response)
}

/// Sees that one run reads as the other under one renaming, which it adds to.
fn renamed(from: &str, to: &str, renaming: &mut HashMap<Guid, Guid>) -> Result<(), TestCaseError> {
    let blank = |text: &str| {
        let mut blank = text.to_owned();
        let ranges: Vec<_> = guid::tokens(text).map(|(range, _)| range).collect();
        ranges.into_iter().rev().for_each(|range| blank.replace_range(range, "GUID"));
        blank
    };
    prop_assert_eq!(blank(from), blank(to));
    for ((_, from), (_, to)) in guid::tokens(from).zip(guid::tokens(to)) {
        let known = *renaming.entry(from).or_insert(to);
        prop_assert_eq!(known, to, "{} was {} before", from, known);
    }
    Ok(())
}

/// A GUID that stands for a text in what is compared.
fn mark(text: &str) -> Guid {
    Guid::parse(text).unwrap_or_else(|| {
        Guid(u128::from_le_bytes(blake3::hash(text.as_bytes()).as_bytes()[..16].try_into().unwrap()))
    })
}

/// What was told, with a GUID for each id that is none.
fn marked(told: &str, given: &[String]) -> String {
    given.iter().fold(told.to_owned(), |told, id| {
        let mark = mark(id).to_string();
        told.replace(id.as_str(), &mark).replace(&id.replace('=', "%3D"), &mark)
    })
}

/// The renaming that a program chose.
fn chosen(before: &[String], after: &[String]) -> HashMap<Guid, Guid> {
    let guid = |id: &String| mark(id);
    let mut renaming: HashMap<Guid, Guid> = before.iter().map(guid).zip(after.iter().map(guid)).collect();
    renaming.insert(Guid::parse(ROLE).unwrap(), Guid::parse(ROLE).unwrap());
    renaming
}

fn law(steps: &[Step], before: &[String], after: &[String]) -> Result<(), TestCaseError> {
    let recorded = run(steps, before, server());
    let cassette = cassette(&recorded);
    let as_it_was = run(steps, before, player(cassette.clone()));
    for ((_, recorded), (_, replayed)) in recorded.iter().zip(&as_it_was) {
        prop_assert_eq!(taped(recorded), told(replayed));
    }
    let replayed = run(steps, after, player(cassette));
    let mut renaming = chosen(before, after);
    for ((_, recorded), (_, replayed)) in recorded.iter().zip(&replayed) {
        renamed(&marked(&taped(recorded), before), &marked(&told(replayed), after), &mut renaming)?;
    }
    let mut values: Vec<&Guid> = renaming.values().collect();
    values.sort_unstable();
    values.dedup();
    prop_assert_eq!(values.len(), renaming.len(), "no two ids become one");
    Ok(())
}

#[test]
fn a_renamed_program_gets_renamed_answers() {
    let scenario = (program::program(), given(), given());
    TestRunner::new(scenarios()).run(&scenario, |(steps, before, after)| law(&steps, &before, &after)).unwrap();
}

/// Programs whose clients can be told apart from their first request on: their order then does not matter.
fn told_apart(mut steps: Vec<Step>) -> Vec<Step> {
    for step in &mut steps {
        if let Step::Post { bind, .. } = step {
            *bind = None;
        }
    }
    let first =
        |config| Step::Post { config, form: program::Form::Slash, between: "", name: 10 * (config + 1), bind: None };
    (0..5).map(first).chain(steps).collect()
}

#[test]
fn parallel_clients_get_the_same_bytes_in_every_order() {
    let scenario =
        (program::program().prop_map(told_apart), given(), given(), proptest::collection::vec(any::<u8>(), 64));
    let runner = |(steps, before, after, order): (Vec<Step>, Vec<String>, Vec<String>, Vec<u8>)| {
        let recorded = run(&steps, &before, server());
        let cassette = cassette(&recorded);
        let in_turn = run(&steps, &after, player(cassette.clone()));
        // Each configuration has a client of its own, which asks what the program asked, in its own order.
        let mut clients: Vec<Vec<usize>> = vec![Vec::new(); 5];
        for (i, step) in steps.iter().enumerate() {
            clients[client(step, &in_turn[..i], &after)].push(i);
        }
        let mut serve = player(cassette);
        let mut turns = order.into_iter().cycle();
        while clients.iter().any(|client| !client.is_empty()) {
            let waiting: Vec<usize> = (0..5).filter(|&client| !clients[client].is_empty()).collect();
            let client = waiting[usize::from(turns.next().unwrap()) % waiting.len()];
            let (request, answered) = &in_turn[clients[client].remove(0)];
            prop_assert_eq!(told(&serve(request)), told(answered), "{} {}", request.method, request.target);
        }
        Ok(())
    };
    TestRunner::new(scenarios()).run(&scenario, runner).unwrap();
}

/// All that replays of the same programs say, as one digest.
fn digest() -> String {
    let mut runner = TestRunner::deterministic();
    let mut said = blake3::Hasher::new();
    for _ in 0..100 {
        let (steps, before, after) = (program::program(), given(), given()).new_tree(&mut runner).unwrap().current();
        let cassette = cassette(&run(&steps, &before, server()));
        for (_, response) in run(&steps, &after, player(cassette)) {
            said.update(told(&response).as_bytes());
        }
    }
    said.finalize().to_string()
}

/// The maps of another process have another order, which must not be heard in what it says.
#[test]
#[expect(clippy::print_stdout, reason = "the other process tells its digest so")]
fn another_process_says_the_same_bytes() {
    if std::env::var_os("GRAPHDECK_SAY_DIGEST").is_some() {
        println!("said {}", digest());
        return;
    }
    let mut other = std::process::Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", "law::another_process_says_the_same_bytes", "--nocapture"]);
    let other = other.env("GRAPHDECK_SAY_DIGEST", "1").output().unwrap();
    let said = String::from_utf8(other.stdout).unwrap();
    assert!(said.contains(&format!("said {}", digest())), "{said}");
}

/// The property can fail: a tape on which one id was left out of the substitution is caught.
#[test]
fn a_broken_substitution_is_caught() {
    let steps = told_apart(vec![Step::Get { back: 0 }]);
    let mut runner = TestRunner::deterministic();
    let pick = |runner: &mut TestRunner| given().new_tree(runner).unwrap().current();
    let (before, after) = (pick(&mut runner), pick(&mut runner));
    let recorded = run(&steps, &before, server());
    let whole = cassette(&recorded).print();
    let broken =
        whole.replacen("userstatuses('{{userStatuses.1}}')", "userstatuses('7e323db2-3db2-7e32-b23d-000000000001')", 1);
    assert_ne!(whole, broken);
    let replayed = run(&steps, &after, player(Cassette::parse(&broken).unwrap()));
    let mut renaming = chosen(&before, &after);
    let caught = recorded.iter().zip(&replayed).any(|((_, recorded), (_, replayed))| {
        let (recorded, replayed) = (marked(&taped(recorded), &before), marked(&told(replayed), &after));
        renamed(&recorded, &replayed, &mut renaming).is_err()
    });
    assert!(caught);
}
