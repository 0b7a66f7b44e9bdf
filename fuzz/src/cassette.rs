//! The cassette reader: what is read is printed to what reads the same, is played, and what is not is told in a line.

use super::messages::is_told_on_one_line;
use graphdeck::tape::bindings::Bindings;
use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::index::Index;
use graphdeck::tape::matching::Rules;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::playing::{self, Manner};
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::{row, scribe};

/// Reads a cassette file.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let cassette = match Cassette::parse(text) {
        Ok(cassette) => cassette,
        Err(fault) => return is_told_on_one_line(&fault),
    };
    let printed = cassette.print();
    let again = Cassette::parse(&printed).expect("what is printed is read");
    assert_eq!(again, cassette);
    assert_eq!(again.print(), printed);
    let mut requests = Vec::new();
    for (number, entry) in (1..).zip(&cassette.entries) {
        match scribe::recorded(entry, &cassette.ids, number) {
            Ok(exchange) => {
                let row = row::write(&exchange).expect("what a cassette holds, a store can");
                assert_eq!(row::read(&row).as_ref(), Ok(&exchange));
                let anew = scribe::entry(&exchange, &cassette.ids);
                assert_eq!(scribe::recorded(&anew, &cassette.ids, number).as_ref(), Ok(&exchange));
                requests.push(exchange.into_inner().request);
            }
            Err(fault) => is_told_on_one_line(&fault),
        }
    }
    match Index::new(cassette, Rules::default(), Mint::new("", &[0; 32])) {
        Err(fault) => is_told_on_one_line(&fault),
        Ok(index) => {
            let mut bindings = Bindings::default();
            for request in requests {
                let taped = scribe::tape_request(request, &Secrets::default());
                let answer = playing::play(&index, &mut bindings, Manner::default(), &taped);
                answer.unwrap_or_else(|unanswered| panic!("{}", unanswered.explain(&index, "tape").message));
            }
        }
    }
}
