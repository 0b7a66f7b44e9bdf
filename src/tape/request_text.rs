//! Requests written by people or copied from elsewhere: raw HTTP, `.http` files, a miss out of a report.

use super::cassette::RequestEntry;
use super::exchange::{Headers, Request, is_method};
use super::holding;
use super::redact::printable;
use super::scribe;
use serde_json::Value;
use std::collections::HashMap;

/// The host that is meant where none is named.
const DEFAULT_HOST: &str = "graph.microsoft.com";

/// Why a text holds no request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There is none in it.
    #[error(
        "there is no request in it: write one as `POST https://graph.microsoft.com/…`, its headers, an empty line and its body"
    )]
    Empty,
    /// A line cannot be understood.
    #[error("line {0}: {why}", why = printable(.1))]
    Line(usize, String),
    /// It is JSON, but no request.
    #[error("this JSON is no request ({}): copy a miss out of a report's `misses`, or its `sent`", printable(.0))]
    Json(String),
}

/// Reads the requests of a text.
///
/// A `.http` file may have several, with `###` between them, comments, and `@name = value` for `{{name}}`.
///
/// # Errors
/// When there is none, or a part of it cannot be understood.
pub fn parse(text: &str) -> Result<Vec<Request>, Fault> {
    let text = text.trim_start_matches('\u{feff}');
    if text.trim_start().starts_with(['{', '[']) {
        let value = serde_json::from_str(text).map_err(|why| Fault::Json(why.to_string()))?;
        let mut requests = Vec::new();
        json(value, &mut requests)?;
        return if requests.is_empty() { Err(Fault::Empty) } else { Ok(requests) };
    }
    let (mut requests, mut variables) = (Vec::new(), HashMap::new());
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    let mut from = 0;
    while from < lines.len() {
        let until = lines[from..].iter().position(|line| line.starts_with("###")).map_or(lines.len(), |at| from + at);
        requests.extend(block(&lines[from..until], from + 1, &mut variables)?);
        from = until + 1;
    }
    if requests.is_empty() { Err(Fault::Empty) } else { Ok(requests) }
}

/// Reads a request, a miss, a list of misses, or a whole report.
fn json(mut value: Value, requests: &mut Vec<Request>) -> Result<(), Fault> {
    if let Value::Array(several) = value {
        return several.into_iter().try_for_each(|one| json(one, requests));
    }
    for list in ["sessions", "misses"] {
        if let Some(several) = value.get_mut(list).filter(|several| several.is_array()) {
            return json(several.take(), requests);
        }
    }
    for wrapped in ["sent", "request"] {
        if let Some(inner) = value.get_mut(wrapped).filter(|inner| inner.is_object()) {
            value = inner.take();
            break;
        }
    }
    let entry: RequestEntry = serde_json::from_value(value).map_err(|why| Fault::Json(why.to_string()))?;
    requests.push(scribe::request(&entry).map_err(|why| Fault::Json(why.to_string()))?);
    Ok(())
}

/// The request between two separators, if there is one; `first` is the number of the first line.
fn block(lines: &[&str], first: usize, variables: &mut HashMap<String, String>) -> Result<Option<Request>, Fault> {
    let mut numbered = (first..).zip(lines.iter().copied());
    let head = loop {
        let Some((number, line)) = numbered.next() else { return Ok(None) };
        if let Some((name, value)) = line.strip_prefix('@').and_then(|line| line.split_once('=')) {
            let value = filled(value.trim(), variables, number)?;
            variables.insert(name.trim().to_owned(), value);
        } else if !line.trim().is_empty() && !is_comment(line) {
            break (number, line);
        }
    };
    let (number, mut line) = (head.0, filled(head.1.trim(), variables, head.0)?);
    let mut headers: Vec<(String, String)> = Vec::new();
    let mut body = Vec::new();
    for (number, text) in numbered.by_ref() {
        // A header is mostly not compared: one that cannot be filled, such as a token, stays as it is.
        let text = filled(text, variables, number)
            .or_else(|why| if text.contains(':') { Ok(text.to_owned()) } else { Err(why) })?;
        if text.trim().is_empty() {
            break;
        }
        if headers.is_empty() && text.trim_start().starts_with(['?', '&']) {
            line.push_str(text.trim());
        } else if !is_comment(&text) {
            let wrong = || Fault::Line(number, format!("`{}` is no header: write NAME: VALUE", text.trim()));
            let (name, value) = text.split_once(':').ok_or_else(wrong)?;
            http::HeaderName::try_from(name.trim()).map_err(|_| wrong())?;
            headers.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    for (number, text) in numbered {
        body.push(filled(text, variables, number)?);
    }
    request(number, &line, headers, body.join("\n")).map(Some)
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('#') || line.starts_with("//")
}

/// A line with its variables put in.
fn filled(line: &str, variables: &HashMap<String, String>, number: usize) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((name, after)) = after.split_once("}}") else {
            rest = &rest[before.len()..];
            break;
        };
        let unknown = || {
            let name = name.trim();
            Fault::Line(number, format!("nothing says what {{{{{name}}}}} is: write a line `@{name} = …` before it"))
        };
        out.push_str(variables.get(name.trim()).ok_or_else(unknown)?);
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn request(number: usize, line: &str, headers: Vec<(String, String)>, body: String) -> Result<Request, Fault> {
    let words: Vec<&str> = line.split_ascii_whitespace().filter(|word| !word.starts_with("HTTP/")).collect();
    let (method, target) = match words.as_slice() {
        [target] if target.contains("://") => ("GET", *target),
        [method, target] if is_method(method) => (*method, *target),
        _ => return Err(Fault::Line(number, format!("`{line}` is no request line: write METHOD ADDRESS"))),
    };
    let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host")).map(|(_, value)| value.as_str());
    let (host, target) = match target.split_once("://") {
        Some((_, rest)) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
        None if target.starts_with('/') => (named.unwrap_or(DEFAULT_HOST), target),
        None => return Err(Fault::Line(number, format!("`{target}` is no address: begin it with https:// or /"))),
    };
    if !holding::is_host(host) {
        return Err(Fault::Line(number, format!("`{host}` is no host")));
    }
    let host = host.strip_suffix(":443").unwrap_or(host).to_ascii_lowercase();
    let target = target.split('#').next().unwrap_or_default();
    let length = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = length.and_then(|(_, value)| value.parse().ok()).filter(|length| body.is_char_boundary(*length));
    let body = length.map_or_else(|| body.trim_end_matches('\n'), |length| &body[..length]).to_owned();
    Ok(Request {
        method: method.to_ascii_uppercase(),
        host,
        target: if target.is_empty() { "/".to_owned() } else { target.to_owned() },
        headers: headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Headers>(),
        body: body.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn told(text: &str) -> String {
        let one = |request: Request| {
            let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let body = String::from_utf8_lossy(&request.body).into_owned();
            format!("{} {} [{}] {body:?}", request.method, request.url(), headers.join(" "))
        };
        match parse(text) {
            Ok(requests) => requests.into_iter().map(one).collect::<Vec<_>>().join("\n"),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn every_form_is_read() {
        let raw = "POST /beta/x HTTP/1.1\r\nHost: graph.microsoft.us:443\r\nContent-Length: 7\r\n\r\n{\"a\":1}\n\n";
        let file = "# a comment\n@base = https://graph.microsoft.com/beta\n@id = 7\n\n### one\nGET {{base}}/x/{{id}}\n    ?$top=1\n    &$skip=2\nPrefer: a\n\n\
                    ### two\n// a comment\nPOST {{base}}/x HTTP/1.1\nContent-Type: application/json\n\n{\n  \"a\": 1\n}\n\n###\nhttps://h\n";
        let miss = r#"{"request":"POST https://h/x","sent":{"method":"POST","url":"https://h/x?a=1","headers":{"prefer":"a"},"body":{"json":{"a":1}}}}"#;
        let entry = r#"{"method":"GET","url":"https://h/x"}"#;
        insta::assert_snapshot!([raw, file, miss, entry].map(told).join("\n"));
    }

    #[test]
    fn what_is_no_request_is_told_by_line() {
        let wrong = [
            "",
            "# only a comment\n",
            "POST\n",
            "POST x\n",
            "GET /x\nno header\n",
            "GET {{base}}/x\n",
            "{\"a\":1}",
            "{",
            r#"{"method":"GET","url":"ftp://h/x"}"#,
        ];
        insta::assert_snapshot!(wrong.map(told).join("\n"));
    }

    proptest! {
        #[test]
        fn no_text_is_too_strange(text in "\\PC{0,200}") {
            let _ = parse(&text);
        }
    }
}
