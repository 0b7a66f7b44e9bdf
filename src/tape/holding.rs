//! What a cassette can hold: sees that the entry of an exchange would read as the exchange again, without writing it.

use super::exchange::{Exchange, Headers, Taped, is_field_name, is_field_value, is_method};

/// Sees that a cassette can hold an exchange. Bodies and texts it can hold in any case.
///
/// # Errors
/// When it cannot.
pub(super) fn check(exchange: &Taped<Exchange>) -> Result<(), String> {
    let (request, response) = (&exchange.request, &exchange.response);
    if !is_plain_address(&request.host, &request.target) {
        let url = request.url();
        if address(&url, &url)? != (&request.host, &request.target) {
            return Err(format!("`{}` is no host", request.host));
        }
    }
    if !is_method(&request.method) {
        return Err(format!("`{}` is no method", request.method));
    }
    status(response.status)?;
    fields(&request.headers)?;
    fields(&response.headers)
}

fn fields(headers: &Headers) -> Result<(), String> {
    let odd = |(name, value): &(&str, &str)| !is_field_name(name) || !is_field_value(value);
    if let Some((name, _)) = headers.iter().find(odd) {
        return Err(format!("no header is called `{name}` and has such a value"));
    }
    let sorted = headers.iter().is_sorted_by_key(|(name, _)| name);
    sorted.then_some(()).ok_or_else(|| "its headers are not in the order of their names".to_owned())
}

/// Whether what nearly all addresses are made of shows that one can be held.
fn is_plain_address(host: &str, target: &str) -> bool {
    let named = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.');
    // Each byte is looked at, and so many at once.
    let carried = target.bytes().fold(true, |carried, byte| carried & (b'!'..0x7f).contains(&byte));
    named && !host.is_empty() && carried && target.starts_with('/')
}

/// The host and the target of an address, which is `written` so on tape.
///
/// # Errors
/// When it is none, or no request could carry it.
pub(super) fn address<'u>(written: &str, url: &'u str) -> Result<(&'u str, &'u str), String> {
    let Some(parts) = split_url(url) else {
        return Err(format!("`{written}` is no address: it must begin with `https://`, a host and `/`"));
    };
    if url.contains(|c: char| c.is_ascii_whitespace() || c.is_ascii_control()) {
        return Err("the address has a character that no address can carry".to_owned());
    }
    if written.split('/').nth(2).is_some_and(|host| host.contains("{{")) {
        return Err("a placeholder cannot stand in the name of the host".to_owned());
    }
    Ok(parts)
}

fn split_url(url: &str) -> Option<(&str, &str)> {
    let rest = url.strip_prefix("https://")?;
    let (host, target) = rest.split_at(rest.find('/')?);
    is_host(host).then_some((host, target))
}

/// Whether a text names a host, with a port or without.
pub(super) fn is_host(text: &str) -> bool {
    http::uri::Authority::try_from(text).is_ok_and(|authority| !authority.host().is_empty())
}

/// Sees that a status code is one that ends an exchange.
///
/// # Errors
/// When it is not.
pub(super) fn status(status: u16) -> Result<(), String> {
    (200..=999).contains(&status).then_some(()).ok_or_else(|| format!("{status} is no final status code"))
}
