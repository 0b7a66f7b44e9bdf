//! Mappings of WireMock.
//!
//! Source: WireMock documentation, "Stubbing" and "Request matching". A mapping says which requests it answers, and a
//! cassette holds requests: what matches more than one of them cannot be carried over.

use super::document::{Fault, Node};
use super::intake::Draft;

/// The host that is meant where none is named: WireMock stands in for one that its mappings leave out.
const DEFAULT_HOST: &str = "graph.microsoft.com";

pub(super) fn read(mapping: &Node<'_>) -> Result<Draft, Fault> {
    let (request, response) = (mapping.need("request")?, mapping.need("response")?);
    let method = request.get("method").map_or(Ok("ANY".to_owned()), |method| method.text())?;
    let (path, mut lost) = match (request.get("url"), request.get("urlPath")) {
        (Some(url), _) if url.text()?.contains('?') => (url.text()?, Vec::new()),
        (Some(url), _) => (with_query(url.text()?, &request)?, Vec::new()),
        (None, Some(path)) => (with_query(path.text()?, &request)?, any_query(&request)),
        (None, None) => {
            let pattern = ["urlPattern", "urlPathPattern", "urlPathTemplate"].iter().find_map(|name| request.get(name));
            let draft =
                Draft::new(&method, pattern.map_or(Ok("(any address)".to_owned()), |pattern| address(&pattern))?);
            return Ok(draft.left("its address is a pattern, and a cassette holds addresses as they were asked"));
        }
    };
    let host = request
        .get("host")
        .and_then(|host| host.get("equalTo"))
        .map_or(Ok(DEFAULT_HOST.to_owned()), |host| host.text())?;
    let mut draft =
        Draft::new(&method, if path.contains("://") { path.clone() } else { format!("https://{host}{path}") });
    draft.lost.append(&mut lost);
    if draft.method == "ANY" {
        return Ok(draft.left("it answers any method, and a cassette holds requests as they were asked"));
    }
    if !path.contains("://") && !["/v1.0/", "/beta/"].iter().any(|version| path.starts_with(version)) {
        return Ok(draft.left("its address begins with neither /v1.0/ nor /beta/"));
    }
    if let Some(why) = asked(&request, &mut draft)? {
        return Ok(draft.left(why));
    }
    if mapping.get("scenarioName").is_some() {
        draft.lose("the states of its scenario are not in it: it is played in the order of the file");
    }
    match answered(&response, &mut draft)? {
        Some(why) => Ok(draft.left(why)),
        None => Ok(draft),
    }
}

/// A pattern as an address that can be told.
fn address(pattern: &Node<'_>) -> Result<String, Fault> {
    Ok(format!("https://{DEFAULT_HOST}{}", pattern.text()?))
}

/// A path with the query options that must be equal; any other way to match is found by [`asked`].
fn with_query(path: String, request: &Node<'_>) -> Result<String, Fault> {
    let mut query = Vec::new();
    for (name, matcher) in request.members_of("queryParameters")? {
        if let Some(value) = matcher.get("equalTo") {
            query.push(format!("{}={}", encoded(name), encoded(&value.text()?)));
        }
    }
    Ok(if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) })
}

/// Percent-encodes what ends an option of a query, and what no address may have.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"&+#%\"<>\\^`{|}".contains(&byte);
    let one = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(one).collect()
}

fn any_query(request: &Node<'_>) -> Vec<String> {
    let all = request.get("queryParameters").is_none();
    all.then(|| "`urlPath` allows any query, and it answers a request without one only".to_owned())
        .into_iter()
        .collect()
}

/// Reads what is asked; returns why it cannot be one request.
fn asked(request: &Node<'_>, draft: &mut Draft) -> Result<Option<&'static str>, Fault> {
    if request.members_of("queryParameters")?.iter().any(|(_, matcher)| matcher.get("equalTo").is_none()) {
        return Ok(Some("an option of its query is matched by a pattern"));
    }
    let mut patterns = 0;
    for (name, matcher) in request.members_of("headers")? {
        match matcher.get("equalTo") {
            Some(value) => draft.request.header(name, &value.text()?),
            None => patterns += 1,
        }
    }
    if patterns > 0 {
        draft.lose("headers that are matched by a pattern are not in it");
    }
    if request.get("multipartPatterns").is_some() || request.get("formParameters").is_some() {
        return Ok(Some("its body is matched by parts of a form"));
    }
    let bodies = request.elements_of("bodyPatterns")?;
    match bodies.as_slice() {
        [] if matches!(draft.method.as_str(), "POST" | "PUT" | "PATCH") => {
            draft.lose("it says nothing of the request's body, and answers a request without one only");
        }
        [] => {}
        [only] => {
            let equal = only.get("equalTo").or(only.get("equalToJson")).or(only.get("binaryEqualTo"));
            let Some(equal) = equal else { return Ok(Some("its body is matched by a pattern")) };
            if equal.text_or_json().contains("${json-unit") {
                return Ok(Some("its body is matched by a pattern"));
            }
            draft.request.body =
                if only.get("binaryEqualTo").is_some() { equal.base64()? } else { equal.text_or_json().into() };
            if only.get("ignoreExtraElements").is_some_and(|extra| extra.value() == true) {
                draft.lose("the body must be equal as a whole, though it says `ignoreExtraElements`");
            }
        }
        _ => return Ok(Some("its body is matched by several patterns")),
    }
    Ok(None)
}

/// Reads what is answered; returns why that cannot be had.
fn answered(response: &Node<'_>, draft: &mut Draft) -> Result<Option<&'static str>, Fault> {
    if response.get("fault").is_some() {
        return Ok(Some("it answers with a fault of the connection"));
    }
    if response.get("proxyBaseUrl").is_some() {
        return Ok(Some("its answer comes from another server"));
    }
    if response.get("bodyFileName").is_some() {
        return Ok(Some("the body of its answer is in another file"));
    }
    if response.get("transformers").is_some_and(|list| list.value().as_array().is_some_and(|list| !list.is_empty())) {
        return Ok(Some("its answer is a template"));
    }
    draft.status = response.get("status").map_or(Ok(200), |status| status.status())?;
    draft.response.headers(response.members_of("headers")?)?;
    draft.response.body = match (response.get("jsonBody"), response.get("body"), response.get("base64Body")) {
        (Some(json), ..) => json.value().to_string().into(),
        (None, Some(text), _) => text.text()?.into(),
        (None, None, Some(bytes)) => bytes.base64()?,
        (None, None, None) => bytes::Bytes::new(),
    };
    Ok(None)
}
