//! Values that are hosts and addresses, checked.

/// Sees that a text is the name of a host, and no more.
pub(super) fn check_host(text: &str) -> Result<String, String> {
    // No part is empty: in a certificate `.com` would stand for every name below it.
    let good = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
        && !text.split('.').any(str::is_empty);
    let wrong = || format!("`{text}` is no name of a host, such as graph.microsoft.com");
    if good { Ok(text.to_ascii_lowercase()) } else { Err(wrong()) }
}

/// Sees that a text is `host:port`.
///
/// # Errors
/// Words for what is wrong.
pub fn check_address(text: &str) -> Result<(), String> {
    let good = text.rsplit_once(':').is_some_and(|(host, port)| {
        let bracketed = host.starts_with('[') && host.ends_with(']');
        !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
    });
    if good { Ok(()) } else { Err(format!("`{text}` is no address: write HOST:PORT, such as 127.0.0.1:8080")) }
}

/// Reads `HOST=ADDRESS:PORT`.
///
/// # Errors
/// Words for what is wrong.
pub fn parse_connect_to(text: &str) -> Result<(String, String), String> {
    let wrong = || format!("`{text}` is not HOST=ADDRESS:PORT, such as graph.microsoft.com=127.0.0.1:9443");
    let (host, address) = text.split_once('=').ok_or_else(wrong)?;
    check_address(address).map_err(|_| wrong())?;
    Ok((check_host(host).map_err(|_| wrong())?, address.to_owned()))
}

/// Reads `HOST[:PORT]`, where `*.NAME` is any host below a name, an IPv6 address stands in brackets, and 443 is the port
/// that is meant when there is none.
pub(super) fn parse_tunnel(text: &str) -> Result<(String, u16), String> {
    let wrong =
        || format!("`{text}` is not HOST or HOST:PORT, such as proxy.corp.example:8443, *.corp.example or 10.0.0.5");
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (text, 443),
    };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let sound = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => check_host(host.strip_prefix("*.").unwrap_or(host)).is_ok(),
    };
    if sound { Ok((host.to_ascii_lowercase(), port)) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_no_more() {
        for good in ["graph.microsoft.com", "localhost", "127.0.0.1", "GRAPH.test"] {
            assert_eq!(check_host(good), Ok(good.to_ascii_lowercase()));
        }
        for bad in ["", ".", ".com", "graph.microsoft.com.", "a..b", "*.com", "graph.test:443", "https://a", "a b", "é"]
        {
            assert!(check_host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tunnels_are_hosts_with_or_without_a_port() {
        for (text, host, port) in [
            ("Example.com", "example.com", 443),
            ("*.corp.example:8443", "*.corp.example", 8443),
            ("10.0.0.5", "10.0.0.5", 443),
            ("[::1]:9", "[::1]", 9),
            ("[fd00::1]", "[fd00::1]", 443),
        ] {
            assert_eq!(parse_tunnel(text), Ok((host.to_owned(), port)), "{text}");
        }
        for text in ["", ":1", "a:b", "a:99999", "https://a", "a b", "*", "::1", "[x]:1"] {
            assert!(parse_tunnel(text).is_err_and(|why| why.contains("is not HOST or HOST:PORT")), "{text}");
        }
    }
}
