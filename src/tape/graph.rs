//! All that is peculiar to Microsoft Graph: hosts, paths, id fields, headers that vary, the shape of an error.

use super::guid;
use serde_json::{Value, json};
use std::borrow::Cow;

/// The Graph endpoints of the national clouds, and the test ring that SDKs list.
///
/// Source: Microsoft Graph documentation, "National cloud deployments".
pub const HOSTS: [&str; 6] = [
    "graph.microsoft.com",
    "graph.microsoft.us",
    "dod-graph.microsoft.us",
    "microsoftgraph.chinacloudapi.cn",
    "graph.microsoft.de",
    "canary.graph.microsoft.com",
];

/// The hosts where programs sign in before they call Graph; what is said to them is never kept.
pub const SIGN_IN_HOSTS: [&str; 5] = [
    "login.microsoftonline.com",
    "login.microsoftonline.us",
    "login.chinacloudapi.cn",
    "login.microsoftonline.de",
    "login.windows.net",
];

/// Collections whose keys need not be GUIDs, in lower case: the segment after one of them is a key.
const COLLECTIONS: [&str; 45] = [
    "userstatuses",
    "devicestatuses",
    "deviceconfigurations",
    "devicecompliancepolicies",
    "devicecompliancepolicystates",
    "deviceconfigurationstates",
    "devicehealthscripts",
    "devicemanagementscripts",
    "deviceenrollmentconfigurations",
    "devicecategories",
    "configurationpolicies",
    "configurationsettings",
    "settingdefinitions",
    "mobileappconfigurations",
    "managedapppolicies",
    "managedappregistrations",
    "ioslobappprovisioningconfigurations",
    "mobileapps",
    "detectedapps",
    "manageddevices",
    "auditevents",
    "rootcertificatesforservervalidation",
    "rootcertificatesforclientvalidation",
    "networkaccessconfigurations",
    "windowsautopilotdeploymentprofiles",
    "groupassignments",
    "assignments",
    "applications",
    "serviceprincipals",
    "devices",
    "users",
    "groups",
    "members",
    "owners",
    "directoryobjects",
    "roleassignments",
    "roledefinitions",
    "teams",
    "channels",
    "chats",
    "messages",
    "events",
    "drives",
    "items",
    "sites",
];

/// A part of a path in normal form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment<'a> {
    /// A name, percent-decoded; names compare without regard to case.
    Name(Cow<'a, str>),
    /// A key, percent-decoded and without its parentheses and quotes.
    Key(Cow<'a, str>),
}

/// Splits a path into names and keys: `//` and a trailing `/` folded, every spelling of a key unified.
///
/// `deviceConfigurations/x`, `deviceConfigurations('x')` and `deviceConfigurations%28%27x%27%29` give the same
/// segments (OData 4.01 URL conventions, sections 4.3 and 4.4).
#[must_use]
pub fn segments(path: &str) -> Vec<Segment<'_>> {
    let mut segments: Vec<Segment<'_>> = Vec::with_capacity(8);
    // Most paths have neither an escape nor a key in parentheses.
    let plain = memchr::memchr2(b'%', b'(', path.as_bytes()).is_none();
    let ends = memchr::memchr_iter(b'/', path.as_bytes()).chain([path.len()]);
    let mut begin = 0;
    for raw in ends.map(|end| &path[std::mem::replace(&mut begin, end + 1)..end]).filter(|raw| !raw.is_empty()) {
        let text = if plain { raw.into() } else { percent_decode(raw) };
        let parted = if plain { None } else { parenthesized(&text) };
        if let Some((name, key)) = parted {
            segments.push(Segment::Name(name.to_owned().into()));
            segments.push(Segment::Key(key.into()));
        } else if stands_as_key(&text, segments.last()) {
            segments.push(Segment::Key(text));
        } else {
            segments.push(Segment::Name(text));
        }
    }
    segments
}

/// `name('key')` or `name(key)`; a function call such as `name(a='b')` is none.
fn parenthesized(text: &str) -> Option<(&str, String)> {
    let (name, rest) = text.split_once('(')?;
    let inner = rest.strip_suffix(')')?;
    if name.is_empty() || inner.is_empty() {
        return None;
    }
    match inner.strip_prefix('\'').and_then(|quoted| quoted.strip_suffix('\'')) {
        Some(quoted) => Some((name, quoted.replace("''", "'"))),
        // The key may be named, as in `deviceConfigurations(id='x')`.
        None if inner.starts_with("id='") && inner.ends_with('\'') && inner.len() > 4 => {
            Some((name, inner[4..inner.len() - 1].replace("''", "'")))
        }
        None if inner.contains(['=', '\'', '(']) => None,
        None => Some((name, inner.to_owned())),
    }
}

fn stands_as_key(text: &str, before: Option<&Segment<'_>>) -> bool {
    if guid::is_composite(text) {
        return true;
    }
    matches!(before, Some(Segment::Name(name)) if is_collection(name)) && !is_no_key(text)
}

/// Whether the segment after this name is a key even when it is no GUID.
#[must_use]
pub fn is_collection(name: &str) -> bool {
    COLLECTIONS.iter().any(|collection| collection.eq_ignore_ascii_case(name))
}

/// Whether a segment after a collection is an option such as `$count`, a type cast or a function, and so no key.
#[must_use]
pub fn is_no_key(text: &str) -> bool {
    text.is_empty() || text == "delta" || text.starts_with('$') || is_cast(text) || text.contains('(')
}

/// A type cast or a bound function, such as `microsoft.graph.iosScepCertificateProfile`.
fn is_cast(text: &str) -> bool {
    text.len() > 16 && text.is_char_boundary(16) && text[..16].eq_ignore_ascii_case("microsoft.graph.")
}

/// Each key of a path, and the collection that it is a key of; a key that follows no name, such as the tenant's id
/// after the version in a `Location`, is left out.
pub fn keys<'a>(segments: &'a [Segment<'a>]) -> impl Iterator<Item = (&'a str, &'a str)> {
    let name_before = |end: usize| {
        segments[1.min(end)..end].iter().rev().find_map(|segment| match segment {
            Segment::Name(name) if !is_cast(name) => Some(name.as_ref()),
            _ => None,
        })
    };
    segments.iter().enumerate().filter_map(move |(i, segment)| match segment {
        Segment::Key(key) => Some((name_before(i)?, key.as_ref())),
        Segment::Name(_) => None,
    })
}

/// The collection that a path leads to or into, such as `userStatuses` for a POST there or a GET of one of its keys.
#[must_use]
pub fn collection<'a>(segments: &'a [Segment<'a>]) -> Option<&'a str> {
    segments.iter().skip(1).rev().find_map(|segment| match segment {
        Segment::Name(name) if !is_cast(name) && !name.starts_with('$') => Some(name.as_ref()),
        _ => None,
    })
}

/// The path that routes are matched against: normal form, without the version (`v1.0`, `beta`).
#[must_use]
pub fn route_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for segment in segments(path).iter().skip(1) {
        let (Segment::Name(text) | Segment::Key(text)) = segment;
        out.push('/');
        if text.contains('/') {
            out.push_str(&text.replace('/', "%2F"));
        } else {
            out.push_str(text);
        }
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// The path without its version, every key written `{id}`: what requests have in common when they differ by id only.
#[must_use]
pub fn route_template(path: &str) -> String {
    let mut out = String::new();
    for segment in segments(path).iter().skip(1) {
        out.push('/');
        out.push_str(match segment {
            Segment::Name(name) => name,
            Segment::Key(_) => "{id}",
        });
    }
    if out.is_empty() { "/".to_owned() } else { out }
}

/// Percent-decodes `text`; what is no valid escape, or would be no UTF-8, stays as it is.
#[must_use]
pub fn percent_decode(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return text.into();
    }
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut i = 0;
    while i < bytes.len() {
        let digit = |at: usize| bytes.get(at).and_then(|&b| char::from(b).to_digit(16));
        match (bytes[i], digit(i + 1), digit(i + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).expect("two hexadecimal digits make a byte"));
                i += 3;
            }
            (byte, ..) => {
                out.push(byte);
                i += 1;
            }
        }
    }
    String::from_utf8(out).map_or_else(|_| text.into(), Cow::from)
}

/// Whether a JSON member of this name holds the id of the entity that it stands in.
#[must_use]
pub fn is_entity_id(member: &str) -> bool {
    member == "id"
}

/// Whether a JSON member of this name holds an id, its own entity's or another's: `id`, `groupId`, `roleScopeTagIds`.
#[must_use]
pub fn is_id_field(member: &str) -> bool {
    is_entity_id(member) || member.ends_with("Id") || member.ends_with("Ids")
}

/// Whether a JSON member of this name holds the address of an entity.
#[must_use]
pub fn is_entity_url(member: &str) -> bool {
    matches!(member, "@odata.id" | "@odata.editLink" | "@odata.readLink") || member.ends_with("@odata.bind")
}

/// Response headers that hold the address of an entity.
pub const ENTITY_URL_HEADERS: [&str; 3] = ["location", "odata-entityid", "content-location"];

/// Request headers that differ from run to run, belong to one connection, or are made anew: not put on tape.
///
/// `client-request-id`, `SdkVersion` and their like are what the Graph SDKs add to every call.
#[must_use]
pub fn is_passing_request_header(name: &str) -> bool {
    is_hop_by_hop(name)
        || name.starts_with("sec-")
        || matches!(
            name,
            "accept-encoding"
                | "client-request-id"
                | "content-encoding"
                | "content-length"
                | "date"
                | "expect"
                | "forwarded"
                | "host"
                | "hostos"
                | "retry-attempt"
                | "return-client-request-id"
                | "runtimeenvironment"
                | "sdkversion"
                | "traceparent"
                | "tracestate"
                | "request-id"
                | "user-agent"
                | "via"
                | "x-forwarded-for"
                | "x-ms-client-request-id"
        )
}

/// Response headers that differ from answer to answer or are made anew: not put on tape.
#[must_use]
pub fn is_passing_response_header(name: &str) -> bool {
    is_hop_by_hop(name)
        || matches!(
            name,
            "age"
                | "alt-svc"
                | "client-request-id"
                | "content-encoding"
                | "content-length"
                | "date"
                | "expires"
                | "request-id"
                | "server-timing"
                | "via"
                | "x-ms-ags-diagnostic"
        )
}

/// Headers that speak of one connection only (RFC 9110 section 7.6.1); `Connection` may name more.
#[must_use]
pub fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// An error body as Graph writes it, with whatever `inner` adds to `innerError`.
///
/// Source: Microsoft Graph documentation, "Error responses and resource types".
#[must_use]
pub fn error_body(code: &str, message: &str, inner: &[(&str, Value)]) -> Vec<u8> {
    let inner: serde_json::Map<String, Value> = inner.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect();
    let body = json!({ "error": { "code": code, "message": message, "innerError": inner } });
    body.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "7e323db2-3db2-7e32-b23d-327eb23d327e";

    fn normal(path: &str) -> String {
        segments(path)
            .iter()
            .map(|segment| match segment {
                Segment::Name(name) => format!("/{name}"),
                Segment::Key(key) => format!("[{key}]"),
            })
            .collect()
    }

    #[test]
    fn every_spelling_of_a_path_has_one_normal_form() {
        let expected = format!("/beta/deviceManagement/deviceConfigurations[{A}]/userStatuses");
        for path in [
            format!("/beta/deviceManagement/deviceConfigurations/{A}/userStatuses"),
            format!("/beta//deviceManagement/deviceConfigurations/{A}/userStatuses/"),
            format!("/beta/deviceManagement/deviceConfigurations('{A}')/userStatuses"),
            format!("/beta/deviceManagement/deviceConfigurations(%27{A}%27)/userStatuses"),
            format!("/beta/deviceManagement/deviceConfigurations%28%27{A}%27%29/userStatuses"),
            format!("/beta/deviceManagement/deviceConfigurations({A})/userStatuses"),
            format!("/beta/deviceManagement/deviceConfigurations(id='{A}')/userStatuses"),
        ] {
            assert_eq!(normal(&path), expected, "{path}");
        }
    }

    #[test]
    fn keys_casts_functions_and_options_are_told_apart() {
        for (path, expected) in [
            (
                "/v1.0/deviceManagement/deviceCompliancePolicies/Default.X",
                "/v1.0/deviceManagement/deviceCompliancePolicies[Default.X]",
            ),
            ("/v1.0/users/$count", "/v1.0/users/$count"),
            (
                "/beta/deviceManagement/deviceConfigurations/microsoft.graph.iosScepCertificateProfile",
                "/beta/deviceManagement/deviceConfigurations/microsoft.graph.iosScepCertificateProfile",
            ),
            ("/beta/users('O''Neil%2Fx')", "/beta/users[O'Neil/x]"),
            ("/beta/reports/getX(period='D7')", "/beta/reports/getX(period='D7')"),
            ("/beta/me", "/beta/me"),
        ] {
            assert_eq!(normal(path), expected, "{path}");
        }
    }

    #[test]
    fn a_key_belongs_to_the_collection_before_it() {
        let path =
            format!("/beta/a/deviceConfigurations/{A}/microsoft.graph.x/rootCertificatesForServerValidation/{A}");
        let parsed = segments(&path);
        assert_eq!(
            keys(&parsed).collect::<Vec<_>>(),
            [("deviceConfigurations", A), ("rootCertificatesForServerValidation", A)]
        );
        assert_eq!(collection(&parsed), Some("rootCertificatesForServerValidation"));
    }

    #[test]
    fn the_tenant_in_a_location_is_no_key() {
        let path = format!("/v2/{A}/directoryObjects/{A}/Microsoft.DirectoryServices.Group");
        assert_eq!(keys(&segments(&path)).collect::<Vec<_>>(), [("directoryObjects", A)]);
    }

    #[test]
    fn routes_see_the_path_without_version_and_spelling() {
        assert_eq!(route_path(&format!("/beta//X('{A}')/userStatuses/")), format!("/X/{A}/userStatuses"));
        assert_eq!(route_path("/v1.0"), "/");
    }

    #[test]
    fn broken_escapes_are_left_as_they_are() {
        assert_eq!(percent_decode("a%2"), "a%2");
        assert_eq!(percent_decode("%zz%41"), "%zzA");
        assert_eq!(percent_decode("%ff"), "%ff");
    }

    #[test]
    fn an_error_reads_as_one_of_graph() {
        let body = error_body("graphdeckMiss", "why", &[("nearest", json!(1))]);
        assert_eq!(
            String::from_utf8(body).unwrap(),
            r#"{"error":{"code":"graphdeckMiss","message":"why","innerError":{"nearest":1}}}"#
        );
    }
}
