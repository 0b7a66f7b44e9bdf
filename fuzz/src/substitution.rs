//! The walk with its substitution: to tape and back gives the very exchange, and under other ids the same in them.

use super::messages::exchange;
use graphdeck::tape::bindings::Bindings;
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::exchange::{Exchange, Response, Taped};
use graphdeck::tape::guid::{self, Guid};
use graphdeck::tape::ids::Ids;
use graphdeck::tape::index::Index;
use graphdeck::tape::matching::Rules;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::playing::{self, Manner};
use graphdeck::tape::scribe;
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::walk::{self, IdPlaces, Place, PlacePattern, View};
use graphdeck::wire::message;
use std::collections::HashSet;

/// Takes an exchange to tape, back, and there again under other ids.
pub fn there_and_back(bytes: &[u8]) {
    let Some(exchange) = exchange(bytes) else { return };
    let taped = scribe::tape_exchange(exchange, &Secrets::default());
    for leaf in walk::leaves(&taped.request, &View::default()) {
        // The whole of a body is no place that a rule could name.
        if matches!(&leaf.place, Place::Json(pointer) if !pointer.is_empty()) {
            let pattern = PlacePattern::parse(&leaf.place.to_string()).expect("a place is a pattern for itself");
            assert!(pattern.covers(&leaf.place), "{pattern}");
            assert_eq!(PlacePattern::parse(&pattern.to_string()), Some(pattern));
        }
    }
    let cassette = scribe::seal(std::slice::from_ref(&taped), &IdPlaces::default());
    let read = Cassette::parse(&cassette.print()).expect("what is sealed is read");
    assert_eq!(read, cassette);
    assert_eq!(scribe::recorded(&read.entries[0], &read.ids, 1).as_ref(), Ok(&taped));
    // A fuzzer that sees what is compared finds the other ids, and asks with them.
    if !String::from_utf8_lossy(bytes).to_ascii_lowercase().contains(OTHERS) {
        under_other_ids(cassette, &taped);
    }
}

/// With what the other ids begin.
const OTHERS: &str = "abcdefab-cdef-4abc-8def-abcdef";

fn under_other_ids(cassette: Cassette, taped: &Taped<Exchange>) {
    let Some(ids) = renamed(&cassette.ids) else { return };
    let entry = &cassette.entries[0];
    let Ok(live) = scribe::recorded(entry, &ids, 1) else { return };
    // An id with escapes of its own is no placeholder, and so is not renamed: then these are not the same requests.
    let old: HashSet<Guid> = cassette.ids.iter().filter_map(|(_, value)| Guid::parse(&value)).collect();
    let left = walk::leaves(&live.request, &View::default());
    if left.iter().any(|leaf| guid::tokens(&leaf.text).any(|(_, guid)| old.contains(&guid))) {
        return;
    }
    // What was sealed was written with ids as well that nothing names in the end.
    assert_eq!(scribe::entry(&live, &ids), scribe::entry(taped, &cassette.ids), "other ids make another tape");
    let asked: HashSet<Guid> =
        left.iter().flat_map(|leaf| guid::tokens(&leaf.text).map(|(_, guid)| guid).collect::<Vec<_>>()).collect();
    let index = Index::new(cassette, Rules::default(), Mint::new("", &[0; 32])).expect("what is sealed is compiled");
    let request = scribe::tape_request(live.request.clone(), &Secrets::default());
    let answer = playing::play(&index, &mut Bindings::default(), Manner::default(), &request)
        .unwrap_or_else(|unanswered| panic!("{}", unanswered.explain(&index, "tape").message));
    // A text that the server made up is made anew as well, and is not told from others here.
    if old.len() < index.origins().count() {
        return;
    }
    let (expected, spoken) = (told(&live.response), told(&message::owned(answer.response)));
    assert_eq!(blank(&expected), blank(&spoken));
    for ((_, expected), (_, spoken)) in guid::tokens(&expected).zip(guid::tokens(&spoken)) {
        assert!(!asked.contains(&expected) || expected == spoken, "{expected} was asked with, {spoken} answered");
    }
}

/// The same table with a GUID of its own for each, in the same case; some letters are in all of them, so that it can be
/// told. A mixture of cases cannot be kept.
fn renamed(ids: &Ids) -> Option<Ids> {
    let fresh = |row: u32| format!("{OTHERS}{row:06}");
    let table = (1..).zip(ids.iter()).map(|(row, (placeholder, value))| {
        let value = match Guid::parse(&value) {
            None => value.to_string(),
            Some(_) if *value == value.to_lowercase() => fresh(row),
            Some(_) if *value == value.to_uppercase() => fresh(row).to_uppercase(),
            Some(_) => return None,
        };
        Some((placeholder.clone(), value))
    });
    Ids::new(table.collect::<Option<_>>()?).ok()
}

fn told(response: &Response) -> String {
    let headers: Vec<_> = response.headers.iter().collect();
    format!("{headers:?}\n{}", String::from_utf8_lossy(&response.body))
}

fn blank(text: &str) -> String {
    let mut blank = text.to_owned();
    let ranges: Vec<_> = guid::tokens(text).map(|(range, _)| range).collect();
    ranges.into_iter().rev().for_each(|range| blank.replace_range(range, "GUID"));
    blank
}
