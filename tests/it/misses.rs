//! Misses among many, and that `explain` says what a replay does.

use crate::support::program::{self, exchanges, given, run, server};
use crate::support::{CONFIG, OTHER_CONFIG};
use graphdeck::session::replay::Player;
use graphdeck::session::tally::Tally;
use graphdeck::tape::exchange::{Exchange, Headers, Request, Response};
use graphdeck::tape::index::Index;
use graphdeck::tape::matching::Rules;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::playing::Manner;
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::walk::IdPlaces;
use graphdeck::tape::{request_text, scribe};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Instant;

fn player(exchanges: Vec<Exchange>) -> Player {
    let taped: Vec<_> = exchanges.into_iter().map(|one| scribe::tape_exchange(one, &Secrets::default())).collect();
    let cassette = scribe::seal(&taped, &IdPlaces::default());
    let index = Index::new(cassette, Rules::default(), Mint::new("seed", &[0; 32])).unwrap();
    Player::new(Arc::new(index), Manner::default(), Arc::new(Tally::new("default", "run", 0)))
}

fn post(config: &str, number: usize, count: usize) -> Request {
    let body = format!(
        r#"{{"userDisplayName":"User {number}","devicesCount":{count},"status":"compliant","userPrincipalName":"user{number}@contoso.com"}}"#
    );
    Request {
        method: "POST".into(),
        host: "graph.microsoft.com".into(),
        target: format!("/beta/deviceManagement/deviceConfigurations/{config}/userStatuses"),
        headers: Headers::default(),
        body: body.into(),
    }
}

/// The time is told, not judged: `cargo test --release --test it misses -- --nocapture`.
#[test]
#[expect(clippy::print_stdout, reason = "who runs it by hand reads the figures")]
fn of_ten_thousand_exchanges_the_nearest_is_found() {
    let exchange = |number: usize| {
        let body = format!(r#"{{"id":"7e323db2-3db2-7e32-b23d-{number:012}"}}"#);
        let response = Response { status: 201, headers: Headers::default(), body: body.into() };
        Exchange { request: post(CONFIG, number, number), response, took: None }
    };
    let player = player((0..10_000).map(exchange).collect());
    let began = Instant::now();
    let rounds = 20;
    for round in 0..rounds {
        let number = 9_999 - round * 499;
        let miss =
            player.answer(&scribe::tape_request(post(OTHER_CONFIG, number, 77_777), &Secrets::default())).unwrap_err();
        assert_eq!(miss.nearest[0].exchange, number + 1);
        assert_eq!(miss.nearest[0].differences.len(), 1, "{miss}");
        assert_eq!(miss.nearest.len(), 3);
    }
    println!("a miss among 10000 exchanges of its route is explained in {:?}", began.elapsed() / rounds as u32);
}

/// A request as people write it down.
fn written(request: &Request) -> String {
    let headers: String = request.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let body = std::str::from_utf8(&request.body).unwrap();
    let length = request.body.len();
    format!(
        "{} {} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n{body}",
        request.method, request.target, request.host
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_down_is_explained_as_it_is_replayed(
        steps in program::program(), before in given(), after in given(), skipped in 0..4usize,
    ) {
        let recorded = run(&steps, &before, server());
        // Some of the recording is missing, so that some requests are.
        let tape: Vec<Exchange> = exchanges(&recorded).into_iter().skip(skipped).collect();
        let (replayed, explained) = (player(tape.clone()), player(tape));
        for (request, _) in run(&steps, &after, server()) {
            let told = |player: &Player, request: Request| match player.answer(&scribe::tape_request(request, &Secrets::default())) {
                Ok(answer) => format!("{} {:?}", answer.exchange, answer.response),
                Err(miss) => miss.to_string(),
            };
            let read = request_text::parse(&written(&request)).unwrap().remove(0);
            prop_assert_eq!(told(&explained, read), told(&replayed, request));
        }
    }
}
