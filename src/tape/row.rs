//! The row of a store: an exchange as it was said, before its ids are known.

use super::cassette::Entry;
use super::exchange::{Exchange, Taped};
use super::holding;
use super::ids::Ids;
use super::redact::printable;
use super::scribe;

/// What a row begins with. Those of the first stores are entries of a cassette, which begin with `{`.
const PACKED: u8 = 1;

/// The row of an exchange.
///
/// # Errors
/// When a cassette could not hold the exchange: nothing is acknowledged that could not be sealed.
pub fn write(exchange: &Taped<Exchange>) -> Result<Vec<u8>, String> {
    write_after(0, exchange)
}

/// The same after so many zeros, in whose place something may be written.
///
/// # Errors
/// As [`write()`].
pub fn write_after(room: usize, exchange: &Taped<Exchange>) -> Result<Vec<u8>, String> {
    holding::check(exchange).map_err(|why| printable(&why))?;
    let mut row = Vec::with_capacity(room + most(exchange));
    row.resize(room, 0);
    row.push(PACKED);
    Ok(postcard::to_extend(&**exchange, row).expect("an exchange is packed to memory"))
}

/// What the row of an exchange takes, or a little more.
fn most(exchange: &Exchange) -> usize {
    /// A length, or a number.
    const LENGTH: usize = 10;
    let Exchange { request, response, .. } = exchange;
    let fields = request.headers.iter().chain(response.headers.iter());
    let fields: usize = fields.map(|(name, value)| name.len() + value.len() + 4).sum();
    let texts = request.method.len() + request.host.len() + request.target.len();
    texts + fields + request.body.len() + response.body.len() + 10 * LENGTH
}

/// The exchange that [`write()`] wrote.
///
/// # Errors
/// When the bytes are not such a row.
pub fn read(row: &[u8]) -> Result<Taped<Exchange>, String> {
    if let Some((&PACKED, packed)) = row.split_first() {
        return postcard::from_bytes(packed).map(Taped::new).map_err(|fault| fault.to_string());
    }
    let entry: Entry = serde_json::from_slice(row).map_err(|fault| fault.to_string())?;
    scribe::recorded(&entry, &Ids::default(), 0).map_err(|fault| fault.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Request, Response};
    use crate::tape::secrets::Secrets;
    use proptest::prelude::*;

    fn part(usual: &'static str) -> impl Strategy<Value = String> {
        prop_oneof![4 => Just(usual.to_owned()), 1 => "[ -~]{0,3}", 1 => "(\\{\\{|\\}\\}|/|:|@|a|\\?|\\[){0,5}", 1 => "\\PC{0,3}", 1 => any::<String>()]
    }

    fn headers() -> impl Strategy<Value = Headers> {
        prop::collection::vec((part("prefer"), part("a")), 0..3).prop_map(|fields| fields.into_iter().collect())
    }

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let nested = (0usize..200).prop_map(|depth| "[".repeat(depth) + &"]".repeat(depth));
        let json = part("{{a.1}}").prop_map(|text| serde_json::json!({ "id": text, "n": 1.5 }).to_string());
        prop_oneof![nested.prop_map(String::into_bytes), json.prop_map(String::into_bytes), any::<Vec<u8>>()]
    }

    fn exchanges() -> impl Strategy<Value = Exchange> {
        let request = (part("POST"), part("graph.microsoft.com"), part("/beta/a"), headers(), body());
        let request = request.prop_map(|(method, host, target, headers, body)| Request {
            method,
            host,
            target,
            headers,
            body: body.into(),
        });
        let status = prop_oneof![4 => Just(201u16), 1 => any::<u16>(), 1 => 99u16..1001];
        let response = (status, headers(), body()).prop_map(|(status, headers, body)| Response {
            status,
            headers,
            body: body.into(),
        });
        (request, response, any::<Option<u64>>()).prop_map(|(request, response, took)| Exchange {
            request,
            response,
            took,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn what_is_written_is_read_again_and_is_what_a_cassette_can_hold(exchange in exchanges(), taped: bool) {
            // Whatever made it: what is checked is not left to the road that it came.
            let exchange =
                if taped { scribe::tape_exchange(exchange, &Secrets::default()) } else { Taped::new(exchange) };
            let entry = serde_json::to_vec(&scribe::entry(&exchange, &Ids::default())).unwrap();
            let held = read(&entry).is_ok_and(|read| read == exchange);
            match write_after(3, &exchange) {
                Ok(row) => {
                    let (room, row) = row.split_at(3);
                    prop_assert!(room == [0; 3] && held && read(row).as_ref() == Ok(&exchange));
                }
                Err(why) => prop_assert!(!held, "{}", why),
            }
        }
    }

    #[test]
    fn a_row_of_the_first_stores_is_read() {
        let row = br#"{"request":{"method":"GET","url":"https://h/a"},"response":{"status":200,"body":{"text":"t"}}}"#;
        let read = read(row).unwrap();
        assert_eq!((read.request.target.as_str(), &*read.response.body), ("/a", b"t".as_slice()));
    }
}
