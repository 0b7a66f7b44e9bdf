//! Answers as the bytes of HTTP/1.1, the same that hyper writes on a connection that goes on.

use super::answer::PLAYED;
use super::outgoing::Outgoing;
use super::refusal::{CLIENT_REQUEST_ID, DECK};
use crate::tape::script::Message;
use bytes::Bytes;
use http::{Response, StatusCode};

/// An answer from tape, appended to what is to be written.
#[derive(Debug)]
pub struct WireAnswer<'a> {
    to: &'a mut Outgoing,
    /// The mark of the client's call, and the exchange that answers: each takes the place of a recorded field of its name.
    mark: Option<&'a [u8]>,
    exchange: usize,
    status: StatusCode,
    is_marked: bool,
    is_told: bool,
}

impl<'a> WireAnswer<'a> {
    /// One that is not begun: to be appended to `to`, with the mark of the client's call, and the exchange that answers.
    pub fn new(to: &'a mut Outgoing, mark: Option<&'a [u8]>, exchange: usize) -> Self {
        Self { to, mark, exchange, status: StatusCode::OK, is_marked: false, is_told: false }
    }

    fn tell(&mut self) {
        if !self.is_told {
            field(
                self.to,
                DECK.as_str().as_bytes(),
                &[PLAYED.as_bytes(), itoa::Buffer::new().format(self.exchange).as_bytes()],
            );
            self.is_told = true;
        }
    }

    fn mark(&mut self) {
        if let Some(mark) = self.mark.filter(|_| !self.is_marked) {
            field(self.to, CLIENT_REQUEST_ID.as_str().as_bytes(), &[mark]);
            self.is_marked = true;
        }
    }
}

impl Message for WireAnswer<'_> {
    fn begin(&mut self, status: StatusCode, fields: usize) {
        self.status = status;
        self.to.reserve(FIELD * fields);
        line(self.to, status);
    }

    fn lines(&mut self, lines: &[u8], _: &Bytes) {
        self.to.add(lines);
    }

    fn field(&mut self, name: &[u8], value: &[u8]) {
        if name == DECK.as_str().as_bytes() {
            self.tell();
        } else if name == CLIENT_REQUEST_ID.as_str().as_bytes() && self.mark.is_some() {
            self.mark();
        } else {
            field(self.to, name, &[value]);
        }
    }

    fn end(&mut self, body: impl Into<Bytes> + AsRef<[u8]>) {
        self.tell();
        self.mark();
        end(self.to, self.status, body);
    }
}

/// About how many bytes a field takes.
const FIELD: usize = 64;

/// Appends a message.
pub fn append(message: &Response<Bytes>, to: &mut Outgoing) {
    line(to, message.status());
    message.headers().iter().for_each(|(name, value)| field(to, name.as_str().as_bytes(), &[value.as_bytes()]));
    end(to, message.status(), message.body().clone());
}

fn line(to: &mut Outgoing, status: StatusCode) {
    let reason = status.canonical_reason().unwrap_or("<none>");
    add(to, &[b"HTTP/1.1 ", status.as_str().as_bytes(), b" ", reason.as_bytes(), b"\r\n"]);
}

fn field(to: &mut Outgoing, name: &[u8], value: &[&[u8]]) {
    add(to, &[name, b": "]);
    add(to, value);
    add(to, &[b"\r\n"]);
}

/// The end of a head, and the body, where the status lets it have one (RFC 9110 section 6.4.1).
fn end(to: &mut Outgoing, status: StatusCode, body: impl Into<Bytes> + AsRef<[u8]>) {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return add(to, &[b"\r\n"]);
    }
    let length = body.as_ref().len();
    add(to, &[b"content-length: ", itoa::Buffer::new().format(length).as_bytes(), b"\r\n\r\n"]);
    to.end(body);
}

fn add(to: &mut Outgoing, parts: &[&[u8]]) {
    parts.iter().for_each(|part| to.add(part));
}

#[cfg(test)]
mod tests {
    use super::super::refusal::marked;
    use super::*;
    use crate::tape::script::APART;
    use crate::wire::message;
    use http::HeaderValue;
    use http_body_util::BodyExt as _;
    use std::future::poll_fn;
    use std::pin::Pin;

    /// A message of these fields, spoken as bytes, and as the message that hyper gets.
    async fn both(status: u16, fields: &[(&'static str, &str)], mark: Option<&str>) -> [String; 2] {
        let (mut bytes, mut response) = (Outgoing::default(), Response::<Bytes>::default());
        let mut written = WireAnswer::new(&mut bytes, mark.map(str::as_bytes), 7);
        let status = StatusCode::from_u16(status).unwrap();
        written.begin(status, fields.len());
        response.begin(status, fields.len());
        for (name, value) in fields {
            if APART.contains(name) {
                written.field(name.as_bytes(), value.as_bytes());
                response.field(name.as_bytes(), value.as_bytes());
            } else {
                let line = Bytes::from(format!("{name}: {value}\r\n"));
                written.lines(&line, &line);
                response.lines(&line, &line);
            }
        }
        written.end("body");
        response.end("body");
        let mark = mark.map(|mark| HeaderValue::from_str(mark).unwrap());
        let told = HeaderValue::from_static("replay; exchange=7");
        let (head, body) = marked(message::held(response), told, mark.as_ref()).into_parts();
        let mut appended = Outgoing::default();
        append(&Response::from_parts(head, body.collect().await.unwrap().to_bytes()), &mut appended);
        let mut texts = [Vec::new(), Vec::new()];
        for (outgoing, text) in [bytes, appended].iter_mut().zip(&mut texts) {
            poll_fn(|cx| outgoing.poll_write(Pin::new(&mut *text), cx)).await.unwrap();
        }
        texts.map(|text| String::from_utf8(text).unwrap())
    }

    #[test]
    fn the_fields_that_are_put_in_the_stead_of_others_are_told_apart() {
        assert_eq!(APART, [CLIENT_REQUEST_ID.as_str(), DECK.as_str()]);
    }

    #[tokio::test]
    async fn an_answer_is_written_as_its_message_is() {
        let (deck, mark) = ("x-graphdeck", "client-request-id");
        for fields in [
            &[][..],
            &[("etag", "1"), ("vary", "a"), ("vary", "b")],
            &[("a", "1"), (mark, "2"), (mark, "3"), ("z", "4")],
            &[("a", "1"), (deck, "record"), (deck, "x"), ("z", "4")],
            &[(deck, "record"), (mark, "2")],
        ] {
            for asked in [None, Some("m-1")] {
                for status in [200, 201, 204, 304, 299] {
                    let [written, appended] = both(status, fields, asked).await;
                    assert_eq!(written, appended);
                }
            }
        }
        let [written, _] = both(201, &[("etag", "1")], Some("m")).await;
        let head = "HTTP/1.1 201 Created\r\netag: 1\r\nx-graphdeck: replay; exchange=7\r\nclient-request-id: m\r\n";
        assert_eq!(written, format!("{head}content-length: 4\r\n\r\nbody"));
    }
}
