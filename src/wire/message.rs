//! HTTP messages on their way through: bodies that are held or streamed, and owned copies of what was said.

use super::coding;
use crate::tape::exchange::{Headers, Request, Response};
use crate::tape::graph;
use crate::tape::script::carried;
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_ENCODING, HeaderMap, HeaderName, HeaderValue};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Frame, Incoming, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A body that is held in memory, or streams from elsewhere.
#[derive(Debug)]
pub enum Body {
    /// It is in memory.
    Held(Full<Bytes>),
    /// It streams from a connection.
    Streaming(Incoming),
    /// It comes in some other way.
    Other(UnsyncBoxBody<Bytes, hyper::Error>),
}

/// A body of these bytes.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Body::Held(Full::new(bytes.into()))
}

/// No body.
#[must_use]
pub fn empty() -> Body {
    Body::Held(Full::default())
}

/// A body that streams from a connection.
#[must_use]
pub fn streaming(body: Incoming) -> Body {
    Body::Streaming(body)
}

/// A body that comes in some other way.
pub fn other(body: impl hyper::body::Body<Data = Bytes, Error = hyper::Error> + Send + 'static) -> Body {
    Body::Other(body.boxed_unsync())
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Held(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streaming(body) => Pin::new(body).poll_frame(cx),
            Self::Other(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Held(body) => body.is_end_stream(),
            Self::Streaming(body) => body.is_end_stream(),
            Self::Other(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Held(body) => body.size_hint(),
            Self::Streaming(body) => body.size_hint(),
            Self::Other(body) => body.size_hint(),
        }
    }
}

/// How large a request's body may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    /// In bytes, decoded or not.
    pub bytes: usize,
    /// How many times its size on the wire it may have once it is decoded.
    pub expansion: usize,
}

/// What a body may expand to in any case, in bytes: small ones can be very repetitive.
const SMALL: usize = 64 * 1024;

/// A body that was read, up to a limit.
pub enum Read {
    /// All of it.
    Whole(Bytes),
    /// It is larger than the limit: here it is from its begin, to be streamed.
    TooLarge(Body),
}

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] hyper::Error),
    /// Nothing more came of it.
    #[error("nothing more of it came for {} s", .0.as_secs())]
    Silent(Duration),
}

/// Reads a body into memory, unless it is larger than `limit` bytes; each part of it may take as long as `patience`.
///
/// # Errors
/// When the connection fails before the end of the body, or nothing more comes of it.
pub async fn read(mut body: Body, limit: usize, patience: Duration) -> Result<Read, Broken> {
    if body.size_hint().lower() > limit as u64 {
        return Ok(Read::TooLarge(body));
    }
    let mut held = BytesMut::new();
    while let Some(frame) = next(&mut body, patience).await? {
        // Trailers are dropped: Graph sends none, and a cassette holds none.
        let Ok(data) = frame.into_data() else { continue };
        // Most bodies come in one piece.
        if held.is_empty() && data.len() <= limit && body.is_end_stream() {
            return Ok(Read::Whole(data));
        }
        held.extend_from_slice(&data);
        if held.len() > limit {
            return Ok(Read::TooLarge(other(Resumed { head: Some(held.freeze()), rest: body })));
        }
    }
    Ok(Read::Whole(held.freeze()))
}

/// The next part of a body. No clock is asked where it is there already.
async fn next(body: &mut Body, patience: Duration) -> Result<Option<Frame<Bytes>>, Broken> {
    let there = std::future::poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
    let frame = match there {
        Poll::Ready(frame) => frame,
        Poll::Pending => {
            let waited = Box::pin(tokio::time::timeout(patience, body.frame())).await;
            waited.map_err(|_| Broken::Silent(patience))?
        }
    };
    Ok(frame.transpose()?)
}

/// A body of which the beginning has been read already.
struct Resumed {
    head: Option<Bytes>,
    rest: Body,
}

impl hyper::body::Body for Resumed {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.head.take() {
            Some(head) => Poll::Ready(Some(Ok(Frame::data(head)))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let head = self.head.as_ref().map_or(0, Bytes::len) as u64;
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(head + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(head + upper);
        }
        hint
    }
}

/// Removes the headers that speak of one connection only (RFC 9110 section 7.6.1).
pub fn remove_hop_by_hop(headers: &mut HeaderMap) {
    // `Connection`, which may name more, is one of them.
    if !headers.keys().any(|name| graph::is_hop_by_hop(name.as_str())) {
        return;
    }
    let listed = headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<HeaderName> =
        listed.flat_map(|list| list.split(',')).filter_map(|n| n.trim().parse().ok()).collect();
    let own = headers.keys().filter(|name| graph::is_hop_by_hop(name.as_str())).cloned();
    for name in own.chain(named).collect::<Vec<_>>() {
        headers.remove(name);
    }
}

/// An owned copy of a request, its body decoded.
///
/// # Errors
/// When the body cannot be decoded within its limit.
pub fn owned_request(
    head: &http::request::Parts,
    host: &str,
    body: &Bytes,
    limit: BodyLimit,
) -> Result<Request, coding::Fault> {
    let expanded = body.len().saturating_mul(limit.expansion).max(SMALL);
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    // `OPTIONS *`, and an absolute form that has a query and no path, come without one.
    let root = if target.starts_with('/') { "" } else { "/" };
    Ok(Request {
        method: head.method.as_str().to_owned(),
        host: host.to_owned(),
        target: [root, target].concat(),
        // What is never put on tape need not be held either.
        headers: owned_headers(&head.headers, |name| !graph::is_passing_request_header(name)),
        body: decoded(&head.headers, body, limit.bytes.min(expanded)).map_err(|fault| match fault {
            coding::Fault::TooLarge(_) if expanded < limit.bytes => coding::Fault::Expands(limit.expansion),
            fault => fault,
        })?,
    })
}

/// An owned copy of a response, its body decoded.
///
/// # Errors
/// When the body cannot be decoded within `limit` bytes.
pub fn owned_response(head: &http::response::Parts, body: &Bytes, limit: usize) -> Result<Response, coding::Fault> {
    Ok(Response {
        status: head.status.as_u16(),
        headers: owned_headers(&head.headers, |_| true),
        body: decoded(&head.headers, body, limit)?,
    })
}

/// An owned copy of a response that is in memory, and not encoded.
#[must_use]
pub fn owned(response: http::Response<Bytes>) -> Response {
    let (head, body) = response.into_parts();
    Response { status: head.status.as_u16(), headers: owned_headers(&head.headers, |_| true), body }
}

fn decoded(headers: &HeaderMap, body: &Bytes, limit: usize) -> Result<Bytes, coding::Fault> {
    // An answer without a body, such as one to HEAD, may still name the coding that it would have.
    if body.is_empty() || !headers.contains_key(CONTENT_ENCODING) {
        return Ok(body.clone());
    }
    let listed = headers.get_all(CONTENT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    coding::decode(&listed.collect::<Vec<_>>().join(","), body.clone(), limit)
}

fn owned_headers(headers: &HeaderMap, keep: impl Fn(&str) -> bool) -> Headers {
    // Nearly all are kept.
    let mut own = Headers::with_room(headers.len());
    for (name, value) in headers.iter().filter(|(name, _)| keep(name.as_str())) {
        own.push(name, latin1(value.as_bytes()));
    }
    own
}

fn latin1(bytes: &[u8]) -> String {
    if bytes.is_ascii() {
        return String::from_utf8(bytes.to_vec()).expect("ASCII is UTF-8");
    }
    bytes.iter().copied().map(char::from).collect()
}

/// A response as an HTTP message; framing is made anew.
///
/// # Panics
/// Never: status codes and headers of a [`Response`] are checked where it is made.
#[must_use]
pub fn to_http(response: Response) -> http::Response<Body> {
    let mut message = http::Response::new(full(response.body));
    *message.status_mut() = http::StatusCode::from_u16(response.status).expect("checked where it was made");
    for (name, value) in response.headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("checked where it was made");
        let value = HeaderValue::from_bytes(&carried(value.as_bytes())).expect("what no header can carry is escaped");
        message.headers_mut().append(name, value);
    }
    message
}

/// A response whose body is in memory.
#[must_use]
pub fn held(response: http::Response<Bytes>) -> http::Response<Body> {
    response.map(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_one_connection_go_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "Upgrade, HTTP2-Settings, x-own"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("x-own", "1"),
            ("proxy-authorization", "Basic x"),
            ("authorization", "Bearer x"),
            ("prefer", "return=minimal"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        remove_hop_by_hop(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["authorization", "prefer"]);
    }

    #[test]
    fn header_bytes_survive_the_way_to_tape_and_back() {
        let bytes = b"caf\xc3\xa9 \xff";
        let mut headers = HeaderMap::new();
        headers.insert("x", HeaderValue::from_bytes(bytes).unwrap());
        let owned = Response { status: 200, headers: owned_headers(&headers, |_| true), body: Bytes::new() };
        assert_eq!(to_http(owned).headers()["x"].as_bytes(), bytes);
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_whole_all_the_same() {
        assert!(matches!(read(full("12345"), 5, Duration::MAX).await, Ok(Read::Whole(bytes)) if bytes == "12345"));
        let Ok(Read::TooLarge(body)) = read(full("123456"), 5, Duration::MAX).await else { panic!("6 is more than 5") };
        assert_eq!(body.collect().await.unwrap().to_bytes(), "123456");
    }
}
