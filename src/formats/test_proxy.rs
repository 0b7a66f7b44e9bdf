//! Recordings of the Azure SDKs' test proxy.
//!
//! Source: the test proxy's documentation, "Session records", and how its records are serialized: a body is JSON, a
//! text, a list of lines, base64 where its content type is no text, or an empty list where it is empty.

use super::document::{Fault, Node};
use super::intake::{Draft, Part};
use bytes::Bytes;
use serde_json::Value;

pub(super) fn read(entry: &Node<'_>) -> Result<Draft, Fault> {
    let mut draft = Draft::new(&entry.need("RequestMethod")?.text()?, entry.need("RequestUri")?.text()?);
    draft.status = entry.need("StatusCode")?.status()?;
    part(entry, "RequestHeaders", "RequestBody", &mut draft.request)?;
    part(entry, "ResponseHeaders", "ResponseBody", &mut draft.response)?;
    Ok(draft)
}

fn part(entry: &Node<'_>, headers: &str, body: &str, part: &mut Part) -> Result<(), Fault> {
    part.headers(entry.members_of(headers)?)?;
    let Some(body) = entry.get(body) else { return Ok(()) };
    part.body = match body.value() {
        Value::Array(_) => body.elements()?.iter().map(Node::text).collect::<Result<String, _>>()?.into(),
        Value::String(text) if is_text(part.headers.get("content-type")) => text.clone().into(),
        Value::String(text) if text.is_empty() => Bytes::new(),
        Value::String(_) => body.base64()?,
        value => value.to_string().into(),
    };
    Ok(())
}

/// Whether a body of this type stands in the file as a text.
fn is_text(content_type: Option<&str>) -> bool {
    let Some(kind) = content_type.map(str::to_ascii_lowercase) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.starts_with("text/")
        || ["json", "xml", "-www-form-urlencoded", "javascript"].iter().any(|text| kind.ends_with(text))
        || kind.starts_with("multipart/")
}
