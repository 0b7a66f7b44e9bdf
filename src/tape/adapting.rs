//! What of recorded answers is not replayed as it stands: times to wait, and challenges that were redacted.

use super::cassette::{Entry, Values};
use super::secrets::REDACTED;

/// The headers by which a server says how long to wait, in lower case (RFC 9110 section 10.2.3, and Azure's own).
const WAITS: [&str; 3] = ["retry-after", "retry-after-ms", "x-ms-retry-after-ms"];

/// A claims challenge in place of a redacted one: `{"access_token":{"nbf":{"essential":true,"value":"0"}}}` in base64.
/// Programs decode it before they ask for another token.
pub(super) const CHALLENGE: &str = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZSwidmFsdWUiOiIwIn19fQ==";

/// How long programs are told to wait before they ask again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Waits {
    /// Not at all: what they wait for has been recorded already.
    #[default]
    Zero,
    /// As long as they were in the recording.
    Recorded,
}

/// Makes recorded answers ready to be replayed.
pub fn adapt(entries: &mut [Entry], waits: Waits) {
    for entry in entries {
        for (name, values) in &mut entry.response.headers {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            if waits == Waits::Zero && WAITS.into_iter().any(is) {
                *values = Values::One("0".to_owned());
            } else if is("www-authenticate") {
                values.each(|value| *value = challenge(value));
            }
        }
    }
}

/// A challenge with claims that can be read (<https://learn.microsoft.com/entra/identity-platform/claims-challenge>).
fn challenge(value: &str) -> String {
    value.replace(&format!("claims=\"{REDACTED}\""), &format!("claims=\"{CHALLENGE}\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::cassette::{RequestEntry, ResponseEntry};

    fn adapted(name: &str, value: &str, waits: Waits) -> Vec<String> {
        let request: RequestEntry = serde_json::from_str(r#"{"method":"GET","url":"https://h/a"}"#).unwrap();
        let headers = [(name.to_owned(), Values::One(value.to_owned()))].into();
        let mut entries = [Entry { request, response: ResponseEntry { status: 429, headers, body: None }, took: None }];
        adapt(&mut entries, waits);
        entries[0].response.headers[name].as_slice().to_vec()
    }

    #[test]
    fn a_replay_makes_nobody_wait_unless_it_is_asked_to() {
        assert_eq!(adapted("retry-after", "120", Waits::Zero), ["0"]);
        assert_eq!(adapted("Retry-After", "Fri, 31 Dec 1999 23:59:59 GMT", Waits::Zero), ["0"]);
        assert_eq!(adapted("retry-after", "120", Waits::Recorded), ["120"]);
        assert_eq!(adapted("content-type", "120", Waits::Zero), ["120"]);
    }

    #[test]
    fn a_challenge_can_be_read() {
        let recorded = format!("Bearer realm=\"\", error=\"insufficient_claims\", claims=\"{REDACTED}\"");
        let told = &adapted("www-authenticate", &recorded, Waits::Zero)[0];
        let claims = told.rsplit("claims=\"").next().unwrap().trim_end_matches('"');
        let decoded = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, claims).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&decoded).unwrap();
        assert_eq!(claims["access_token"]["nbf"]["essential"], true);
        assert!(told.starts_with("Bearer realm=\"\", error="));
    }
}
