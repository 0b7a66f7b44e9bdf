//! The road of a replayed POST, step by step: wire, tape, match and speak.
//!
//! `cargo bench --bench road`

#![allow(clippy::unwrap_used, reason = "in a benchmark a panic is the report")]

use bytes::Bytes;
use divan::{Bencher, black_box};
use graphdeck::config::Config;
use graphdeck::session::replay::Player;
use graphdeck::session::tally::Tally;
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::exchange::Request;
use graphdeck::tape::index::Index;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::playing::Manner;
use graphdeck::wire::message::{self, BodyLimit};
use std::path::Path;
use std::sync::Arc;

const HOST: &str = "graph.microsoft.com";
const BODY: &str = r##"{"@odata.type":"#microsoft.graph.deviceConfigurationUserStatus","userDisplayName":"User Display Name value","devicesCount":12,"status":"notApplicable","lastReportedDateTime":"2017-01-01T00:00:17.7769392-08:00","userPrincipalName":"User Principal Name value"}"##;

fn main() {
    divan::main();
}

/// The demo's cassette as text.
fn tape() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("cassettes/user-statuses.json")).unwrap()
}

fn index(cassette: Cassette) -> Index {
    Index::compile(cassette, Config::default().rules, Mint::new("graphdeck", &[0; 32]), || {}).unwrap()
}

fn player() -> Player {
    let index = Arc::new(index(Cassette::parse(&tape()).unwrap()));
    let tally = Arc::new(Tally::new("default", "user-statuses", index.len()));
    Player::new(index, Manner::default(), tally)
}

/// A request as hyper gives it, for one of many configurations.
fn asked(number: u64) -> http::request::Parts {
    let configuration = format!("6f9619ff-8b86-4d01-b42d-{number:012x}");
    http::Request::post(format!("/beta/deviceManagement/deviceConfigurations/{configuration}/userStatuses"))
        .header("host", HOST)
        .header("accept", "*/*")
        .header("authorization", "Bearer no-token")
        .header("content-type", "application/json")
        .header("content-length", BODY.len().to_string())
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn owned(number: u64) -> Request {
    let limit = BodyLimit { bytes: 1 << 20, expansion: 10 };
    message::owned_request(&asked(number), HOST, &Bytes::from_static(BODY.as_bytes()), limit).unwrap()
}

/// Numbers from 0.
fn numbers() -> impl FnMut() -> u64 {
    let mut number = 0;
    move || {
        number += 1;
        number
    }
}

#[divan::bench]
fn from_the_wire(bencher: Bencher<'_, '_>) {
    let (head, body) = (asked(1), Bytes::from_static(BODY.as_bytes()));
    let limit = BodyLimit { bytes: 1 << 20, expansion: 10 };
    bencher.bench_local(|| message::owned_request(black_box(&head), HOST, &body, limit));
}

#[divan::bench]
fn down_to_tape(bencher: Bencher<'_, '_>) {
    let player = player();
    let request = owned(1);
    bencher.with_inputs(|| request.clone()).bench_local_values(|request| player.taped(request));
}

#[divan::bench]
fn matched_and_spoken(bencher: Bencher<'_, '_>) {
    let player = player();
    let request = player.taped(owned(1));
    bencher.bench_local(|| player.answer(black_box(&request)).unwrap());
}

#[divan::bench]
fn matched_and_spoken_with_ids_never_seen(bencher: Bencher<'_, '_>) {
    let player = player();
    let mut number = numbers();
    bencher
        .with_inputs(|| player.taped(owned(number())))
        .bench_local_values(|request| player.answer(&request).unwrap());
}

#[divan::bench]
fn all_of_it(bencher: Bencher<'_, '_>) {
    let player = player();
    let (body, limit) = (Bytes::from_static(BODY.as_bytes()), BodyLimit { bytes: 1 << 20, expansion: 10 });
    let mut number = numbers();
    bencher.with_inputs(|| asked(number())).bench_local_values(|head| {
        let request = message::owned_request(&head, HOST, &body, limit).unwrap();
        message::held(player.answer(&player.taped(request)).unwrap().response)
    });
}

#[divan::bench]
fn a_cassette_read(bencher: Bencher<'_, '_>) {
    let text = tape();
    bencher.bench_local(|| Cassette::parse(black_box(&text)).unwrap());
}

#[divan::bench]
fn a_cassette_compiled(bencher: Bencher<'_, '_>) {
    let cassette = Cassette::parse(&tape()).unwrap();
    bencher.with_inputs(|| cassette.clone()).bench_local_values(index);
}
