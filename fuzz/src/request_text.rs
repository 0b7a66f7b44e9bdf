//! Requests that people write: what is read is a request, and reads the same when it is written down again.

use super::messages::is_told_on_one_line;
use graphdeck::formats::http_file;
use graphdeck::tape::exchange::{Exchange, Headers, Request, Response};
use graphdeck::tape::request_text;

/// Reads requests out of a text.
pub fn read(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(requests) = request_text::parse(text).map_err(|fault| is_told_on_one_line(&fault)) else {
        return;
    };
    assert!(!requests.is_empty(), "none is a fault");
    for request in requests {
        let answer = Response { status: 200, headers: Headers::default(), body: bytes::Bytes::new() };
        let exchange = Exchange { request: request.clone(), response: answer, took: None };
        let (written, lost) = http_file::write(std::iter::once(exchange));
        let again = request_text::parse(&written).unwrap_or_else(|fault| panic!("{fault} in {written}"));
        let [again] = again.as_slice() else { panic!("{written}") };
        assert_eq!(plain(again), plain(&request));
        if lost.is_empty() {
            let lines =
                |body: &[u8]| String::from_utf8_lossy(body).replace("\r\n", "\n").trim_end_matches('\n').to_owned();
            assert_eq!(lines(&again.body), lines(&request.body));
        }
    }
}

/// What of a request a `.http` file says: there a method is in capitals, and a fragment is never sent.
fn plain(request: &Request) -> (String, String, &str) {
    let host = request.host.to_ascii_lowercase();
    let host = host.strip_suffix(":443").unwrap_or(&host).to_owned();
    (request.method.to_ascii_uppercase(), host, request.target.split('#').next().unwrap_or_default())
}
