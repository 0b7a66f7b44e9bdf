//! Which session a request belongs to: by a header, by its path, or by the user part of the proxy's address.

use super::control;
use super::refusal::Fault;
use crate::session::sessions::{self, Name};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::header::{HeaderName, PROXY_AUTHORIZATION};
use http::{HeaderMap, Request, Uri};

/// The header that names a session; it goes no further than the deck.
const SESSION: HeaderName = HeaderName::from_static("x-graphdeck-session");

/// The session that proxy credentials name: the user of `http://USER@127.0.0.1:8080`. The password is not looked at.
///
/// # Errors
/// When the user is no name of a session.
pub fn by_proxy(headers: &HeaderMap) -> Result<Option<Name>, Fault> {
    let Some(value) = headers.get(PROXY_AUTHORIZATION) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default();
    let Some((scheme, credentials)) = text.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let decoded = BASE64.decode(credentials.trim()).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let user = decoded.as_deref().and_then(|decoded| decoded.split(':').next()).unwrap_or_default();
    if user.is_empty() { Ok(None) } else { Ok(Some(Name::parse(user).map_err(|_| sessions::Fault::ProxyUser)?)) }
}

/// The session that a request names itself: in its header, or in its path where it is for the deck's own address. The
/// request is then as it would be without. The header comes first.
///
/// # Errors
/// When it names none that can be.
pub fn take<B>(request: &mut Request<B>, own_address: bool) -> Result<Option<Name>, Fault> {
    let header = request.headers_mut().remove(SESSION);
    let named = header.map(|value| Name::parse(value.to_str().unwrap_or("?"))).transpose()?;
    let prefixed = if own_address { by_path(request.uri())? } else { None };
    let Some((name, uri)) = prefixed else { return Ok(named) };
    *request.uri_mut() = uri;
    Ok(Some(named.unwrap_or(name)))
}

/// The session in `/_graphdeck/s/NAME/v1.0/…`, and the address without it.
fn by_path(uri: &Uri) -> Result<Option<(Name, Uri)>, Fault> {
    let Some(rest) = uri.path().strip_prefix(control::SESSION_PATH) else { return Ok(None) };
    let (name, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let name = Name::parse(name)?;
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = if path.is_empty() { "/" } else { path };
    let mut parts = uri.clone().into_parts();
    let rest = format!("{path}{query}").parse().map_err(|_| Fault::BadRequest(format!("`{path}` is no path")))?;
    parts.path_and_query = Some(rest);
    let uri = Uri::from_parts(parts).map_err(|why| Fault::BadRequest(why.to_string()))?;
    Ok(Some((name, uri)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(target: &str, header: Option<&str>) -> Result<(Option<String>, String), String> {
        let mut request = Request::builder().uri(target);
        if let Some(header) = header {
            request = request.header("X-Graphdeck-Session", header);
        }
        let mut request = request.body(()).unwrap();
        let name = take(&mut request, true).map_err(|fault| fault.to_string())?;
        assert!(request.headers().is_empty());
        Ok((name.map(|name| name.to_string()), request.uri().to_string()))
    }

    #[test]
    fn a_session_is_named_by_header_or_path() {
        let named = |name: &str, uri: &str| Ok((Some(name.to_owned()), uri.to_owned()));
        assert_eq!(taken("/beta/x?a=1", None), Ok((None, "/beta/x?a=1".to_owned())));
        assert_eq!(taken("/beta/x", Some("a")), named("a", "/beta/x"));
        assert_eq!(taken("/_graphdeck/s/login-test/beta/x?a=1", None), named("login-test", "/beta/x?a=1"));
        assert_eq!(taken("/_graphdeck/s/b", Some("a")), named("a", "/"));
        assert!(taken("/_graphdeck/s/a%20b/beta/x", None).is_err());
        assert!(taken("/beta/x", Some("a b")).is_err());
    }

    #[test]
    fn proxy_credentials_name_a_session_by_their_user() {
        let by = |value: &str| {
            let headers = [(PROXY_AUTHORIZATION, value.parse().unwrap())].into_iter().collect();
            by_proxy(&headers).map(|name| name.map(|name| name.to_string())).map_err(drop)
        };
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text));
        assert_eq!(by(&basic("login-test:")), Ok(Some("login-test".to_owned())));
        assert_eq!(by(&basic("a:secret").replace("Basic", "basic")), Ok(Some("a".to_owned())));
        assert_eq!(
            [by(&basic(":x")), by("Bearer x"), by("x"), by("Basic ?")],
            [Ok(None), Ok(None), Ok(None), Ok(None)]
        );
        assert_eq!(by(&basic("a b:")), Err(()));
    }
}
