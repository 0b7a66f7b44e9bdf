//! What of an answer differs each time it is given: times, tags of versions, marks of calls, tokens of pages.

use super::graph;
use super::place::{self, Place};
use super::walk::{Kind, Leaf};

/// How much of a value says something that stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steadiness {
    /// All of it.
    Steady,
    /// All but its GUIDs: they are marks of this call.
    Marked,
    /// Only that it is there.
    Passing,
}

/// Headers of answers that differ each time, in lower case. Those of throttling tell of other programs' calls too.
fn is_passing_header(name: &str) -> bool {
    matches!(
        name,
        "etag" | "last-modified" | "retry-after" | "retry-after-ms" | "x-ms-retry-after-ms" | "x-ms-resource-unit"
    ) || name.starts_with("x-ms-throttle-")
        || name.starts_with("ratelimit-")
}

/// Members of answers that differ each time.
fn is_passing_member(name: &str) -> bool {
    matches!(name, "@odata.etag" | "@odata.nextLink" | "@odata.deltaLink" | "changeKey")
}

/// How steady a value of an answer is.
#[must_use]
pub fn steadiness(leaf: &Leaf<'_>) -> Steadiness {
    match &leaf.place {
        Place::Header(name) if is_passing_header(name) || graph::is_passing_response_header(name) => {
            Steadiness::Passing
        }
        Place::Json(pointer) => {
            let mut steps = pointer.split('/').skip(1);
            let in_error = steps.next() == Some("error");
            let name = place::unescaped(pointer.rsplit('/').next().unwrap_or_default());
            let inner = in_error && pointer.split('/').any(|step| step.eq_ignore_ascii_case("innerError"));
            if inner || is_passing_member(&name) || (leaf.kind == Kind::Text && is_time(&leaf.text)) {
                Steadiness::Passing
            } else if in_error {
                Steadiness::Marked
            } else {
                Steadiness::Steady
            }
        }
        _ => Steadiness::Steady,
    }
}

/// Whether a text is a time as Graph writes it (RFC 3339): `2026-07-16T20:06:57Z`, with any fraction and offset.
fn is_time(text: &str) -> bool {
    const FORM: &[u8] = b"0000-00-00T00:00:00";
    let bytes = text.as_bytes();
    let Some((head, rest)) = bytes.split_at_checked(FORM.len()) else { return false };
    let fits = |(byte, form): (&u8, &u8)| if *form == b'0' { byte.is_ascii_digit() } else { byte == form };
    let ends = rest.last().is_some_and(|last| *last == b'Z' || last.is_ascii_digit());
    head.iter().zip(FORM).all(fits) && ends && rest.iter().all(|b| b.is_ascii_digit() || b".:+-Z".contains(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_each_time_is_told_from_what_stays() {
        let header = |name: &str| Place::Header(name.into());
        let json = |pointer: &str| Place::Json(pointer.into());
        for (place, text, steadiness) in [
            (header("etag"), "W/\"1\"", Steadiness::Passing),
            (header("retry-after"), "7", Steadiness::Passing),
            (header("x-ms-throttle-limit-percentage"), "0.9", Steadiness::Passing),
            (header("location"), "https://h/a", Steadiness::Steady),
            (json("/createdDateTime"), "2026-07-16T20:06:57Z", Steadiness::Passing),
            (json("/value/3/at"), "2017-01-01T00:00:17.7769392-08:00", Steadiness::Passing),
            (json("/name"), "2017-01-01", Steadiness::Steady),
            (json("/name"), "2017-01-01T00:00:17 is a day", Steadiness::Steady),
            (json("/value/0/@odata.etag"), "x", Steadiness::Passing),
            (json("/error/innerError/request-id"), "x", Steadiness::Passing),
            (json("/error/message"), "Activity ID: 13c105e8-…", Steadiness::Marked),
            (json("/error/code"), "BadRequest", Steadiness::Marked),
            (json("/status"), "error", Steadiness::Steady),
            (Place::Status, "201", Steadiness::Steady),
        ] {
            let leaf = Leaf { place: place.clone(), kind: Kind::Text, text: text.into() };
            assert_eq!(super::steadiness(&leaf), steadiness, "{place} {text}");
        }
    }
}
