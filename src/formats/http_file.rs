//! `.http` files, as the editors of JetBrains and the REST Client of VS Code run them.

use crate::tape::exchange::{Exchange, Request};
use crate::tape::request_text;
use std::fmt::Write;

/// What stands for two opening braces, which would begin a variable.
const BRACES: &str = "{{braces}}";

/// The requests of exchanges as a `.http` file, and for each request that cannot stand there as it was sent why not, by
/// its number.
#[must_use]
pub fn write(exchanges: impl Iterator<Item = Exchange>) -> (String, Vec<(usize, &'static str)>) {
    let (mut blocks, mut lost) = (String::new(), Vec::new());
    for (number, exchange) in (1..).zip(exchanges) {
        let Exchange { request, response, .. } = exchange;
        let head = format!("\n### {number}: {}\n", response.status);
        let mut block = block(&request, true);
        if !reads_as(&block, &request) {
            let why = "its body cannot stand in a .http file, and is left out";
            lost.push((number, why));
            block = format!(
                "# The body, {} bytes, cannot stand here.\n{}",
                request.body.len(),
                self::block(&request, false)
            );
        }
        blocks.push_str(&head);
        blocks.push_str(&block);
    }
    let mut text =
        "# Requests of a graphdeck cassette. Put a token here to send them.\n@token = paste-a-token-here\n".to_owned();
    if blocks.contains(BRACES) {
        text.push_str("@braces = {{\n");
    }
    text.push_str(&blocks);
    (text, lost)
}

fn block(request: &Request, body: bool) -> String {
    let escaped = |text: &str| text.replace("{{", BRACES);
    let mut text =
        format!("{} {} HTTP/1.1\nauthorization: Bearer {{{{token}}}}\n", request.method, escaped(&request.url()));
    for (name, value) in request.headers.iter() {
        writeln!(text, "{name}: {}", escaped(value)).expect("a text takes a line");
    }
    if body && !request.body.is_empty() {
        writeln!(text, "\n{}", escaped(&String::from_utf8_lossy(&request.body))).expect("a text takes a line");
    }
    text
}

/// Whether a block reads as the request that it was made of; how its lines end does not count.
fn reads_as(block: &str, request: &Request) -> bool {
    let Ok(read) = request_text::parse(&format!("@braces = {{{{\n{block}")) else { return false };
    let lines = |body: &[u8]| String::from_utf8_lossy(body).replace("\r\n", "\n").trim_end_matches('\n').to_owned();
    let [read] = read.as_slice() else { return false };
    std::str::from_utf8(&request.body).is_ok() && lines(&read.body) == lines(&request.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::exchange::{Headers, Response};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn exchange(body: impl Into<Bytes>) -> Exchange {
        let request = Request {
            method: "POST".into(),
            host: "graph.microsoft.com".into(),
            target: "/beta/a('{{x}}')?$top=1&b={{".into(),
            headers: [("prefer", "{{x}}"), ("content-type", "application/json")].into_iter().collect(),
            body: body.into(),
        };
        let response = Response { status: 201, headers: Headers::default(), body: Bytes::new() };
        Exchange { request, response, took: None }
    }

    #[test]
    fn what_is_written_is_read_and_what_cannot_stand_there_is_told() {
        let bodies: [&[u8]; 5] = [b"{\"a\": \"{{b}}\"}", b"", b"a\n### b\nGET /c", b"\xff", b"{\n  \"a\": 1\n}\n"];
        let (text, lost) = write(bodies.into_iter().map(exchange));
        insta::assert_snapshot!(format!("{text}\n{lost:?}"));
        let read = request_text::parse(&text).unwrap();
        assert_eq!(read.len(), bodies.len());
        for request in read {
            assert_eq!(request.url(), exchange("").request.url());
            assert_eq!(request.headers.get("prefer"), Some("{{x}}"));
        }
    }

    proptest! {
        #[test]
        fn every_text_comes_back_or_is_told(body in "([ -~\n#{}]{0,40}|\\{\"[a-z{}]{0,9}\": ?\"\\PC{0,9}\"\\})") {
            let sent = exchange(body.clone());
            let (text, lost) = write([sent.clone(), exchange("last")].into_iter());
            let read = request_text::parse(&text).unwrap();
            prop_assert_eq!(read.len(), 2);
            let body = if lost.is_empty() { body.trim_end_matches('\n') } else { "" };
            prop_assert_eq!(&read[0].body, body);
        }
    }
}
