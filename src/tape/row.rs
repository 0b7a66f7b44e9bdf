//! The row of a store: an exchange as it comes, before its ids are known.

use super::cassette::Entry;
use super::exchange::{Exchange, Taped};
use super::ids::Ids;
use super::scribe;

/// The row of an exchange: a cassette's entry before its ids are known, on one line.
///
/// # Errors
/// When the row would not give the exchange back. It is read again here, so that nothing is acknowledged that a
/// cassette cannot hold.
pub fn write(exchange: &Taped<Exchange>) -> Result<Vec<u8>, String> {
    let row = serde_json::to_vec(&scribe::entry(exchange, &Ids::default())).expect("an entry prints to memory");
    match read(&row) {
        Ok(read) if read == *exchange => Ok(row),
        Ok(_) => Err("it would read otherwise than it was said".to_owned()),
        Err(why) => Err(why),
    }
}

/// The exchange that [`write()`] wrote.
///
/// # Errors
/// When the bytes are not such a row.
pub fn read(row: &[u8]) -> Result<Taped<Exchange>, String> {
    let entry: Entry = serde_json::from_slice(row).map_err(|fault| fault.to_string())?;
    scribe::recorded(&entry, &Ids::default(), 0).map_err(|fault| fault.to_string())
}
