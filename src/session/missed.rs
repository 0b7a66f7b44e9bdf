//! A miss as it is reported: short enough to be kept a thousand times.

use crate::tape::differences::{Difference, shorten};
use crate::tape::miss::Miss;
use serde::Serialize;
use serde_json::value::RawValue;

/// The largest request that is kept with its miss, in bytes of JSON.
const SENT: usize = 16 * 1024;

/// A request that nothing on tape answered.
#[derive(Clone, Debug, Serialize)]
pub struct Missed {
    /// `METHOD address`.
    pub request: String,
    /// Why, as a word for programs.
    pub reason: &'static str,
    /// Why, in words.
    pub message: String,
    /// What the documentation says of values that differ.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hints: Vec<String>,
    /// The nearest recorded exchanges.
    pub nearest: Vec<Near>,
    /// What to do about it.
    pub way_out: String,
    /// The request, to be explained again; none when it is large.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_values")]
    pub sent: Option<Box<RawValue>>,
    /// The whole explanation, in lines.
    #[serde(skip)]
    pub text: String,
}

/// A recorded exchange that comes near.
#[derive(Clone, Debug, Serialize)]
pub struct Near {
    exchange: usize,
    request: String,
    differences: Vec<Differing>,
    #[serde(skip_serializing_if = "is_zero")]
    more_differences: usize,
}

/// Writes it in the layout of what it stands in.
fn as_values<S: serde::Serializer>(sent: &Option<Box<RawValue>>, serializer: S) -> Result<S::Ok, S::Error> {
    let value = sent.as_ref().and_then(|sent| serde_json::from_str::<serde_json::Value>(sent.get()).ok());
    value.serialize(serializer)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[derive(Clone, Debug, Serialize)]
struct Differing {
    place: String,
    recorded: Option<String>,
    got: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl Missed {
    /// A miss as it is reported.
    #[must_use]
    pub fn of(miss: &Miss) -> Self {
        // As text: as values it would take many times the room.
        let sent = miss.sent.as_ref().and_then(|sent| serde_json::value::to_raw_value(sent).ok());
        Self {
            request: miss.request.clone(),
            reason: miss.reason.as_str(),
            message: miss.message.clone(),
            hints: miss.hints.clone(),
            nearest: near(miss),
            way_out: miss.way_out.clone(),
            sent: sent.filter(|sent| sent.get().len() <= SENT),
            text: miss.to_string(),
        }
    }
}

/// The nearest exchanges of a miss, as they are reported.
#[must_use]
pub fn near(miss: &Miss) -> Vec<Near> {
    let differing = |found: &Difference| Differing {
        place: found.named(),
        recorded: found.recorded.as_deref().map(shorten),
        got: found.got.as_deref().map(shorten),
        why: found.id.as_deref().map(shorten),
    };
    let near = miss.nearest.iter().map(|near| Near {
        exchange: near.exchange,
        request: near.request.clone(),
        differences: near.differences.first.iter().map(differing).collect(),
        more_differences: near.differences.more,
    });
    near.collect()
}
