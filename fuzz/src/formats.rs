//! Files of other tools: what is taken over can be kept, and goes through a HAR file and a `.http` file unharmed.

use super::messages::is_told_on_one_line;
use graphdeck::formats::{File, har, http_file};
use graphdeck::tape::exchange::Exchange;
use graphdeck::tape::ids::Ids;
use graphdeck::tape::request_text;
use graphdeck::tape::secrets::Secrets;
use graphdeck::tape::{row, scribe};
use std::sync::LazyLock;

static SECRETS: LazyLock<Secrets> = LazyLock::new(Secrets::default);

/// Reads a file of another tool.
pub fn import(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let hosts = ["graph.microsoft.com".to_owned()];
    let found = match File::parse(text).and_then(|file| file.read(&hosts)) {
        Ok(found) => found,
        Err(fault) => return is_told_on_one_line(&fault),
    };
    let mut taken: Vec<Exchange> = Vec::new();
    for (number, exchange) in found.exchanges {
        assert!((1..=found.entries).contains(&number));
        let taped = scribe::tape_exchange(exchange, &SECRETS);
        let row = row::write(&taped).expect("what is taken over can be kept");
        assert_eq!(row::read(&row).as_ref(), Ok(&taped));
        taken.push(taped.into_inner());
    }
    let written = har::write(taken.iter().cloned(), &Ids::default(), false);
    let again = File::parse(&written).and_then(|file| file.read(&hosts)).expect("what is written is read");
    assert_eq!(again.left, []);
    let again: Vec<Exchange> = again.exchanges.into_iter().map(|(_, exchange)| exchange).collect();
    assert_eq!(again, taken);
    let (written, lost) = http_file::write(taken.iter().cloned());
    assert!(lost.iter().all(|(number, _)| (1..=taken.len()).contains(number)));
    if !taken.is_empty() {
        let read = request_text::parse(&written).unwrap_or_else(|fault| panic!("{fault} in {written}"));
        assert_eq!(read.len(), taken.len(), "{written}");
        for (read, taken) in read.iter().zip(&taken) {
            assert_eq!((&read.host, &read.target), (&taken.request.host, &taken.request.target));
        }
    }
}
