//! The mocks file of Microsoft Dev Proxy.
//!
//! Source: Dev Proxy documentation, "MockResponsePlugin", and the schema of its mocks file.

use super::document::{Fault, Node};
use super::intake::Draft;
use std::collections::{BTreeSet, HashMap};

type Numbered<'a> = (usize, Node<'a>);

/// The mocks in the order in which a cassette plays them: of those for one request, the one for each `nth` in its turn,
/// and one without `nth` wherever no other is meant.
pub(super) fn in_order_of_play(mocks: Vec<Numbered<'_>>) -> Result<Vec<Numbered<'_>>, Fault> {
    let mut order = Vec::new();
    let mut of_request: HashMap<String, Vec<(Option<u64>, Numbered<'_>)>> = HashMap::new();
    for (number, mock) in mocks {
        let request = mock.need("request")?;
        let nth = request.get("nth").map(|nth| nth.number()).transpose()?;
        let key = format!("{} {}", method(&request)?, request.need("url")?.text()?);
        let known = of_request.entry(key.clone()).or_default();
        if known.is_empty() {
            order.push(key);
        }
        known.push((nth, (number, mock)));
    }
    let mut played = Vec::new();
    for key in order {
        let mocks = of_request.remove(&key).unwrap_or_default();
        let always: Vec<_> = mocks.iter().filter(|(nth, _)| nth.is_none()).collect();
        let turns: BTreeSet<u64> = mocks.iter().filter_map(|(nth, _)| *nth).collect();
        let mut next = 1;
        for turn in turns {
            // A gap is answered by what always answers; one is enough, since it may be played again.
            if turn > next {
                let gap = usize::try_from(turn - next).unwrap_or(MOST_TURNS).min(MOST_TURNS);
                played.extend(always.iter().take(1).flat_map(|(_, mock)| std::iter::repeat_n(mock.clone(), gap)));
            }
            played.extend(mocks.iter().filter(|(nth, _)| *nth == Some(turn)).map(|(_, mock)| mock.clone()));
            next = turn + 1;
        }
        played.extend(always.into_iter().map(|(_, mock)| mock.clone()));
    }
    Ok(played)
}

/// How many times a mock is written for the turns that no other mock is for.
const MOST_TURNS: usize = 100;

fn method(request: &Node<'_>) -> Result<String, Fault> {
    request.get("method").map_or(Ok("GET".to_owned()), |method| method.text())
}

pub(super) fn read(mock: &Node<'_>) -> Result<Draft, Fault> {
    let (request, response) = (mock.need("request")?, mock.need("response")?);
    let mut draft = Draft::new(&method(&request)?, request.need("url")?.text()?);
    draft.status = response.get("statusCode").map_or(Ok(200), |status| status.status())?;
    for header in response.elements_of("headers")? {
        draft.response.header(&header.need("name")?.text()?, &header.need("value")?.text()?);
    }
    if draft.url.contains('*') {
        return Ok(draft.left("its address has a wildcard, and a cassette holds addresses as they were asked"));
    }
    if request.get("bodyFragment").is_some() {
        return Ok(draft.left("`bodyFragment` names a part of the request's body, and a cassette compares all of it"));
    }
    if let Some(body) = response.get("body") {
        let text = body.text_or_json();
        if body.value().is_string() && text.starts_with('@') {
            return Ok(draft.left("the body of its answer is in another file"));
        }
        if text.contains("@request.") {
            return Ok(draft.left("its answer is a template"));
        }
        // As Dev Proxy does where the mock has none.
        if !body.value().is_string() && draft.response.headers.get("content-type").is_none() {
            draft.response.header("content-type", "application/json");
        }
        draft.response.body = text.into();
    }
    if matches!(draft.method.as_str(), "POST" | "PUT" | "PATCH") {
        draft.lose("it says nothing of the request's body, and answers a request without one only");
    }
    Ok(draft)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mocks_play_in_the_order_that_nth_says() {
        let mock = |url: &str, nth: Option<u64>| json!({ "request": { "url": url, "nth": nth }, "response": {} });
        for (mocks, order) in [
            (vec![mock("a", None), mock("b", None)], vec![1, 2]),
            (vec![mock("a", Some(2)), mock("a", Some(1))], vec![2, 1]),
            (vec![mock("a", Some(3)), mock("b", None), mock("a", None)], vec![3, 3, 1, 3, 2]),
            (vec![mock("a", Some(2))], vec![1]),
            (vec![mock("a", Some(u64::MAX - 1))], vec![1]),
        ] {
            let nodes = (1..).zip(&mocks).map(|(number, mock)| (number, Node::root(mock))).collect();
            let played: Vec<usize> = in_order_of_play(nodes).unwrap().into_iter().map(|(number, _)| number).collect();
            assert_eq!(played, order);
        }
    }
}
