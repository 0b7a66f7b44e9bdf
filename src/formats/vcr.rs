//! Cassettes of vcrpy and of Ruby's VCR.
//!
//! Source: VCR's documentation, "Cassette format"; vcrpy's, "Serialization". They differ in `interactions` and
//! `http_interactions`, and in how a body is held.

use super::document::{Fault, Node};
use super::intake::{Draft, Part};
use serde_json::Value;

pub(super) fn read(interaction: &Node<'_>) -> Result<Draft, Fault> {
    let (request, response) = (interaction.need("request")?, interaction.need("response")?);
    // Ruby writes methods in lower case, older versions as symbols.
    let method = request.need("method")?.text()?;
    let mut draft = Draft::new(method.trim_start_matches(':'), request.need("uri")?.text()?);
    draft.status = match (response.get("status"), response.get("status_code")) {
        (Some(status), _) if status.value().is_object() => status.need("code")?.status()?,
        (Some(status), _) | (None, Some(status)) => status.status()?,
        (None, None) => response.need("status")?.status()?,
    };
    let whole = part(&request, &mut draft.request)? & part(&response, &mut draft.response)?;
    if !whole {
        return Ok(draft.left("a body is neither text nor bytes, but an object of its language"));
    }
    if draft.url.contains("<%") || draft.response.body.windows(3).any(|part| part == b"<%=") {
        return Ok(draft.left("it is a template (ERB)"));
    }
    Ok(draft)
}

/// Reads headers and body; returns false when the body cannot be had.
fn part(message: &Node<'_>, part: &mut Part) -> Result<bool, Fault> {
    part.headers(message.members_of("headers")?)?;
    match message.get("body").or(message.get("content")) {
        Some(held) => body(&held, part),
        None => Ok(true),
    }
}

fn body(held: &Node<'_>, part: &mut Part) -> Result<bool, Fault> {
    match held.value() {
        Value::Object(_) => match (held.get("base64_string"), held.get("string")) {
            (Some(bytes), _) => part.body = bytes.base64()?,
            (None, Some(text)) => return body(&text, part),
            // Ruby writes an empty body as one with an encoding only; anything else is an object of the language.
            (None, None) => return Ok(held.value().get("string").is_some() || held.get("encoding").is_some()),
        },
        Value::Array(_) => return Ok(false),
        _ => part.body = held.text()?.into(),
    }
    Ok(true)
}
