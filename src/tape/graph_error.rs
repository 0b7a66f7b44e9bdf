//! Errors as Microsoft Graph writes them, and as Intune does behind it.

use super::adapting::CHALLENGE;
use super::exchange::{Headers, Request, Response};
use super::faults::Error;
use super::graph::{self, Segment};
use serde_json::{Value, json};

/// The time of every error: a replay gives the same bytes whenever it runs.
const DATE: &str = "2000-01-01T00:00:00";

/// The ids by which an error can be traced.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// Graph's own.
    pub request: &'a str,
    /// The client's, if it sent one; else it is Graph's.
    pub client: Option<&'a str>,
}

/// What Graph says to a request that gets an error.
#[must_use]
pub fn response(error: Error, request: &Request, ids: Ids<'_>) -> Response {
    let client = ids.client.unwrap_or(ids.request);
    let (code, why) = code(error);
    let message = if is_intunes(error.status, request) { intune(error, why, request, client) } else { why.to_owned() };
    let inner = [("date", json!(DATE)), ("request-id", json!(ids.request)), ("client-request-id", json!(client))];
    let headers = [
        ("content-type", "application/json"),
        ("cache-control", "no-cache"),
        ("strict-transport-security", "max-age=31536000"),
        ("request-id", ids.request),
        ("client-request-id", client),
    ];
    let mut headers: Headers = headers.into_iter().collect();
    if let Some(seconds) = error.retry_after {
        headers.push("retry-after", seconds.to_string());
    }
    if error.claims {
        let login = "https://login.microsoftonline.com/common/oauth2/authorize";
        let challenge = format!(
            "Bearer realm=\"\", authorization_uri=\"{login}\", error=\"insufficient_claims\", claims=\"{CHALLENGE}\""
        );
        headers.push("www-authenticate", challenge);
    }
    Response { status: error.status, headers, body: graph::error_body(code, &message, &inner).into() }
}

/// The code and the words for an error (<https://learn.microsoft.com/graph/errors>).
fn code(error: Error) -> (&'static str, &'static str) {
    match error.status {
        400 => ("BadRequest", "The request is malformed or incorrect."),
        401 if error.claims => {
            ("InvalidAuthenticationToken", "The token is not enough: ask for one with these claims.")
        }
        401 => ("InvalidAuthenticationToken", "The access token is missing, expired or not valid."),
        403 => ("Forbidden", "The application is not authorized to perform this operation."),
        404 => ("ResourceNotFound", "The resource does not exist."),
        409 => ("Conflict", "The request conflicts with the current state of the resource."),
        429 => ("TooManyRequests", "There were too many requests: ask again later."),
        502 => ("BadGateway", "The service behind gave no valid answer."),
        503 => ("ServiceUnavailable", "The service is not available: ask again later."),
        504 => ("GatewayTimeout", "The service behind did not answer in time."),
        _ => ("InternalServerError", "An error has occurred."),
    }
}

/// Whether it is Intune that says so: what concerns tokens and gateways is said in front of it.
fn is_intunes(status: u16, request: &Request) -> bool {
    let segments = graph::segments(request.path());
    let Some(Segment::Name(first)) = segments.get(1) else { return false };
    let of_intune = ["deviceManagement", "deviceAppManagement"].iter().any(|known| known.eq_ignore_ascii_case(first));
    of_intune && !matches!(status, 401 | 502 | 504)
}

/// Intune's message is a JSON text itself, with the address in it by which Graph asks Intune.
fn intune(error: Error, why: &str, request: &Request, activity: &str) -> String {
    let path: String = graph::segments(request.path())
        .iter()
        .skip(1)
        .map(|segment| match segment {
            Segment::Name(name) => format!("/{name}"),
            Segment::Key(key) => format!("%28%27{key}%27%29"),
        })
        .collect();
    let service =
        "https://fef.amsua0502.manage.microsoft.com/DeviceConfiguration/StatelessDeviceConfigurationFEService";
    let operation = "Operation ID (for customer support): 00000000-0000-0000-0000-000000000000";
    let message =
        format!("{why} - {operation} - Activity ID: {activity} - Url: {service}{path}?api-version=2018-05-24");
    let members = [
        ("_version", json!(3)),
        ("Message", json!(message)),
        ("CustomApiErrorPhrase", json!("")),
        ("RetryAfter", error.retry_after.map_or(Value::Null, |seconds| json!(seconds))),
        ("ErrorSourceService", json!("")),
        ("HttpHeaders", json!("{}")),
    ];
    let lines: Vec<String> = members.iter().map(|(name, value)| format!("  \"{name}\": {value}")).collect();
    format!("{{\r\n{}\r\n}}", lines.join(",\r\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::faults::STATUSES;

    const REQUEST_ID: &str = "0b7f4d0e-9c3a-4e9d-8a55-2c1f6d3b7a90";

    fn said(status: u16, path: &str, client: Option<&str>) -> Response {
        let (method, host, target) = ("POST".to_owned(), "graph.microsoft.com".to_owned(), path.to_owned());
        let request = Request { method, host, target, headers: Headers::default(), body: bytes::Bytes::new() };
        let (retry_after, claims) = ((status == 429).then_some(9), status == 401);
        response(Error { status, retry_after, claims }, &request, Ids { request: REQUEST_ID, client })
    }

    #[test]
    fn errors_are_written_as_graph_and_intune_write_them() {
        let mut told = String::new();
        let own =
            "/beta/deviceManagement/deviceConfigurations/0385114b-b48f-4800-a046-f249eaba24b1/userStatuses?$top=1";
        for (status, path) in STATUSES.map(|status| (status, own)).into_iter().chain([(429, "/v1.0/me")]) {
            let Response { status, headers, body } = said(status, path, Some("from-the-client"));
            let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
            let body: Value = serde_json::from_slice(&body).unwrap();
            told += &format!("{status} {path}\n{headers}{body:#}\n");
            let message = body["error"]["message"].as_str().unwrap();
            let inner = serde_json::from_str::<Value>(message).ok();
            assert_eq!(inner.is_some(), path == own && ![401, 502, 504].contains(&status), "{status} {message}");
        }
        insta::assert_snapshot!(told);
    }

    #[test]
    fn a_client_that_marks_no_call_is_told_the_mark_of_graph() {
        assert_eq!(said(500, "/v1.0/me", None).headers.get("client-request-id"), Some(REQUEST_ID));
    }
}
