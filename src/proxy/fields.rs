//! Fields that HTTP/2 carries and that HTTP/1 might read in another way: refused, whoever reads them next.

use super::refusal::Fault;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Version};

/// Sees that a request's fields say one thing, in either version.
///
/// # Errors
/// When it has two lengths, a value that begins or ends with white space (RFC 9113 section 8.2.1), or a user in its
/// `:authority` (section 8.3.1).
pub fn check<B>(request: &Request<B>) -> Result<(), Fault> {
    let refuse = |why: &str| Err(Fault::BadRequest(why.to_owned()));
    if request.headers().get_all(CONTENT_LENGTH).iter().nth(1).is_some() {
        return refuse("the request has two Content-Length headers");
    }
    if request.headers().values().any(is_spaced) {
        return refuse("the value of a header begins or ends with white space");
    }
    let authority = request.uri().authority().map(http::uri::Authority::as_str);
    if request.version() == Version::HTTP_2 && authority.is_some_and(|authority| authority.contains('@')) {
        return refuse("the request's authority holds a user");
    }
    Ok(())
}

fn is_spaced(value: &HeaderValue) -> bool {
    let bytes = value.as_bytes();
    [bytes.first(), bytes.last()].into_iter().flatten().any(|end| matches!(end, b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_version_would_read_otherwise_is_refused() {
        let asked = |version, uri: &str, fields: &[(&'static str, &'static str)]| {
            let mut request = Request::builder().version(version).uri(uri).body(()).unwrap();
            for (name, value) in fields {
                request.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            check(&request).map_err(|fault| fault.to_string())
        };
        for (version, uri, fields) in [
            (Version::HTTP_11, "http://a@b/", &[("x", "a b"), ("y", "")][..]),
            (Version::HTTP_2, "https://b/", &[("content-length", "2")]),
        ] {
            assert_eq!(asked(version, uri, fields), Ok(()), "{uri}");
        }
        let told = [
            asked(Version::HTTP_2, "https://b/", &[("content-length", "2"), ("content-length", "2")]),
            asked(Version::HTTP_2, "https://b/", &[("x", " a")]),
            asked(Version::HTTP_2, "https://b/", &[("x", "a\t")]),
            asked(Version::HTTP_2, "https://a@b/", &[]),
        ]
        .map(Result::unwrap_err);
        insta::assert_snapshot!(told.join("\n"));
    }
}
