//! A recorded response, compiled: as the message that goes to the client, with blanks where ids stand.

use super::echo::{Echo, Source};
use super::exchange::Response;
use super::graph;
use super::id::Written;
use super::ids::{Ids, Row};
use super::spelling::{Case, Spelling};
use super::template::Template;
use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION, STRICT_TRANSPORT_SECURITY,
    VARY,
};
use http::{Response as Spoken, StatusCode};
use serde::{Deserialize, Serialize, Serializer};
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// A recorded response: as the message that goes to the client, so that nothing of it is made anew each time but where
/// ids stand. It is packed in this order, and spoken from that.
#[derive(Clone, Debug, Serialize)]
pub struct Script {
    status: u16,
    body: BodyScript<Blank>,
    #[serde(serialize_with = "spoken")]
    fields: Vec<Field>,
}

/// A header field.
#[derive(Clone, Debug)]
pub(super) struct Field {
    name: SmolStr,
    value: Value,
    /// Whoever writes a cassette by hand may have left framing in it; it is made anew when it is spoken.
    framing: bool,
}

#[derive(Clone, Debug)]
enum Value {
    /// The same bytes in every run.
    Fixed(Box<[u8]>),
    Text(Template<Row>),
}

/// What is filled in when the body of a response is spoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blank {
    /// An id.
    Id(Row),
    /// What a request said at an ignored place.
    Echo(Echo),
}

#[derive(Clone, Debug)]
pub(super) enum BodyScript<I> {
    Text(Template<I>),
    Binary(Bytes),
}

/// What a script is spoken as: its head, field by field, and then its body. Fields of one name come one after the other.
pub trait Message {
    /// Begins one with so many fields at most.
    fn begin(&mut self, status: StatusCode, fields: usize);

    /// Adds fields that are the same in every run and none of which is told [apart](APART): each a line of HTTP/1.1, which
    /// are a part of `all`.
    fn lines(&mut self, lines: &[u8], all: &Bytes);

    /// Adds a field.
    fn field(&mut self, name: &[u8], value: &[u8]);

    /// Ends it.
    fn end(&mut self, body: impl Into<Bytes> + AsRef<[u8]>);
}

impl Message for Spoken<Bytes> {
    fn begin(&mut self, status: StatusCode, fields: usize) {
        *self.status_mut() = status;
        // Room for what is added before it goes to the client.
        *self.headers_mut() = HeaderMap::with_capacity(fields + 2);
    }

    fn lines(&mut self, lines: &[u8], all: &Bytes) {
        let mut rest = lines;
        while let Some(end) = memchr::memchr(b'\r', rest) {
            let colon = memchr::memchr(b':', rest).expect(CHECKED);
            let value = HeaderValue::from_maybe_shared(all.slice_ref(&rest[colon + 2..end]));
            self.headers_mut().append(name(&rest[..colon]), value.expect(CARRIED));
            rest = &rest[end + 2..];
        }
    }

    fn field(&mut self, field: &[u8], value: &[u8]) {
        self.headers_mut().append(name(field), HeaderValue::from_bytes(value).expect(CARRIED));
    }

    fn end(&mut self, body: impl Into<Bytes> + AsRef<[u8]>) {
        *self.body_mut() = body.into();
    }
}

const CHECKED: &str = "checked when the cassette was read";
const CARRIED: &str = "what no header can carry is escaped";

/// The fields in whose stead whoever answers may put its own.
pub const APART: [&str; 2] = ["client-request-id", "x-graphdeck"];

/// Names that most answers of Graph's have: none of them is made anew.
static USUAL: [(&str, HeaderName); 12] = [
    ("cache-control", CACHE_CONTROL),
    ("content-type", CONTENT_TYPE),
    ("date", DATE),
    ("etag", ETAG),
    ("location", LOCATION),
    ("odata-version", HeaderName::from_static("odata-version")),
    ("preference-applied", HeaderName::from_static("preference-applied")),
    ("request-id", HeaderName::from_static("request-id")),
    ("strict-transport-security", STRICT_TRANSPORT_SECURITY),
    ("vary", VARY),
    ("x-ms-ags-diagnostic", HeaderName::from_static("x-ms-ags-diagnostic")),
    (APART[0], HeaderName::from_static(APART[0])),
];

fn name(name: &[u8]) -> HeaderName {
    let usual = USUAL.iter().find(|(usual, _)| usual.as_bytes() == name);
    usual.map_or_else(|| HeaderName::from_bytes(name).expect(CHECKED), |(_, usual)| usual.clone())
}

impl Field {
    /// A field of this name and text, both of which were checked.
    pub(super) fn of(name: &str, text: Template<Row>) -> Self {
        Self {
            framing: graph::is_hop_by_hop(name) || matches!(name, "content-length" | "content-encoding"),
            name: name.into(),
            value: match text.fixed() {
                Some(text) => Value::Fixed(carried(text.as_bytes()).into_owned().into()),
                None => Value::Text(text),
            },
        }
    }
}

/// Header fields without ids, by name and value as they stand on tape: most of them come again.
#[derive(Debug, Default)]
pub(super) struct Fields {
    known: HashMap<String, Field>,
    /// How many are known at most.
    most: usize,
    key: String,
}

impl Fields {
    /// The longest field that is kept.
    const LONGEST: usize = 500;

    /// Keeps some that come; the default keeps none.
    pub(super) fn kept() -> Self {
        Self { most: 1000, ..Self::default() }
    }

    /// The field, where it is known.
    pub(super) fn find(&mut self, name: &str, value: &str) -> Option<Field> {
        if self.known.is_empty() {
            return None;
        }
        self.note(name, value);
        self.known.get(&self.key).cloned()
    }

    /// Keeps a field that was read from this name and value.
    pub(super) fn keep(&mut self, name: &str, value: &str, field: &Field) {
        let is_short = name.len() + value.len() <= Self::LONGEST;
        if matches!(field.value, Value::Fixed(_)) && is_short && self.known.len() < self.most {
            self.note(name, value);
            self.known.insert(self.key.clone(), field.clone());
        }
    }

    fn note(&mut self, name: &str, value: &str) {
        self.key.clear();
        self.key.push_str(name);
        // Neither a name nor a value has one in it that could be read.
        self.key.push('\0');
        self.key.push_str(value);
    }
}

impl Script {
    /// A response of these texts, all of which were checked: what a header cannot carry is in none of them.
    pub(super) fn new(status: u16, fields: Vec<Field>, body: BodyScript<Row>) -> Self {
        let body = match body {
            BodyScript::Text(text) => BodyScript::Text(text.map(Blank::Id)),
            BodyScript::Binary(bytes) => BodyScript::Binary(bytes),
        };
        Self { status, fields, body }
    }

    /// The response as it was recorded.
    pub(super) fn recorded(&self, ids: &Ids) -> Response {
        let id = |row: &Row| ids.recorded(*row);
        let text = |field: &Field| match &field.value {
            Value::Fixed(text) => text.iter().copied().map(char::from).collect(),
            Value::Text(text) => text.speak(id),
        };
        Response {
            status: self.status,
            headers: self.fields.iter().map(|field| (&*field.name, text(field))).collect(),
            body: self.recorded_body(ids),
        }
    }

    /// The body of the response as it was recorded.
    pub(super) fn recorded_body(&self, ids: &Ids) -> Bytes {
        self.body.speak(|blank| blank.recorded(ids))
    }

    /// Puts echoes in the stead of parts of the recorded body, which come in their order.
    pub fn echo(&mut self, parts: Vec<(Range<usize>, Echo)>, ids: &Ids) {
        if let BodyScript::Text(text) = &mut self.body
            && !parts.is_empty()
        {
            let parts = parts.into_iter().map(|(part, echo)| (part, Blank::Echo(echo))).collect();
            *text = text.cut(parts, |blank| blank.recorded(ids));
        }
    }

    /// Spells each id by how the recorded request spelled it, where it did, and not by how it was first seen: an answer
    /// that repeats its request's spelling then repeats the live one's.
    pub fn respell(&mut self, ids: &Ids, asked: &HashMap<Row, &str>) {
        let respell = |row: &Row, spelling: &mut Spelling| {
            let Some(asked) = asked.get(row) else { return };
            let written = ids.recorded(*row);
            let written = spelling.case.apply(&written);
            if let Some(case) = Case::of(&written, asked) {
                spelling.case = case;
            }
        };
        for field in &mut self.fields {
            if let Value::Text(text) = &mut field.value {
                text.respell(respell);
            }
        }
        if let BodyScript::Text(text) = &mut self.body {
            text.respell(|blank, spelling| {
                if let Blank::Id(row) = blank {
                    respell(row, spelling);
                }
            });
        }
    }

    /// The status code.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The same with other rows in the stead of its own, those in echoes aside.
    pub(super) fn with_rows(self, mut name: impl FnMut(Row) -> Row) -> Self {
        let mut field = |field: Field| match field.value {
            Value::Fixed(_) => field,
            Value::Text(text) => Field { value: Value::Text(text.map(&mut name)), ..field },
        };
        let fields = self.fields.into_iter().map(&mut field).collect();
        let blank = |blank| match blank {
            Blank::Id(row) => Blank::Id(name(row)),
            Blank::Echo(echo) => Blank::Echo(echo),
        };
        let body = match self.body {
            BodyScript::Text(text) => BodyScript::Text(text.map(blank)),
            BodyScript::Binary(bytes) => BodyScript::Binary(bytes),
        };
        Self { fields, body, ..self }
    }

    /// Every id that is spoken, in order and as often as it stands there.
    pub fn rows(&self) -> impl Iterator<Item = Row> {
        let body = self.body_blanks().filter_map(|blank| match blank {
            Blank::Id(row) => Some(*row),
            Blank::Echo(_) => None,
        });
        self.field_rows().chain(body)
    }

    /// Whether it repeats nothing that an earlier request said.
    pub(super) fn echoes_itself_only(&self) -> bool {
        self.body_blanks().all(|blank| match blank {
            Blank::Id(_) => true,
            Blank::Echo(echo) => matches!(echo.source, Source::Own(_)),
        })
    }

    fn field_rows(&self) -> impl Iterator<Item = Row> {
        let texts = self.fields.iter().filter_map(|field| match &field.value {
            Value::Fixed(_) => None,
            Value::Text(text) => Some(text),
        });
        texts.flat_map(Template::ids).copied()
    }

    fn body_blanks(&self) -> impl Iterator<Item = &Blank> {
        let body = match &self.body {
            BodyScript::Text(text) => Some(text),
            BodyScript::Binary(_) => None,
        };
        body.into_iter().flat_map(Template::ids)
    }
}

impl Blank {
    fn recorded<'a>(&self, ids: &'a Ids) -> Written<'a> {
        match self {
            Self::Id(row) => ids.recorded(*row),
            Self::Echo(echo) => Written::of(&echo.recorded),
        }
    }
}

impl<I> BodyScript<I> {
    pub(super) fn speak<T: AsRef<str>>(&self, value: impl FnMut(&I) -> T) -> Bytes {
        match self {
            Self::Text(text) => text.speak(value).into(),
            Self::Binary(bytes) => bytes.clone(),
        }
    }
}

/// A header's value of a text, in UTF-8, with a character for each byte. A live id may bring others into it: they are written
/// as an address has them.
#[must_use]
pub fn carried(text: &[u8]) -> Cow<'_, [u8]> {
    // Each byte is looked at, and so many at once.
    if text.iter().fold(true, |plain, byte| plain & (*byte == b'\t' || (b' '..0x7f).contains(byte))) {
        return text.into();
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in String::from_utf8_lossy(text).chars() {
        match u8::try_from(c) {
            Ok(byte) if byte == b'\t' || (byte >= b' ' && byte != 0x7f) => bytes.push(byte),
            _ => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| bytes.extend(format!("%{byte:02X}").bytes())),
        }
    }
    bytes.into()
}

/// Bytes, packed in one go.
struct Raw<'a>(&'a [u8]);

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(self.0)
    }
}

/// Fields: some that are the same in every run, as lines, and a last one by itself, if there is one.
struct Run<'a>(Vec<u8>, Option<&'a Field>);

impl Serialize for Run<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(lines, last) = self;
        match last.map(|field| (&field.name, &field.value)) {
            None => (Raw(lines), false).serialize(to),
            Some((name, Value::Fixed(bytes))) => (Raw(lines), true, name, Some(Raw(bytes))).serialize(to),
            Some((name, Value::Text(text))) => (Raw(lines), true, name, None::<Raw<'_>>, text).serialize(to),
        }
    }
}

/// What is the same in every run is packed as bytes, and all else as a template behind none.
impl<I: Serialize> Serialize for BodyScript<I> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Binary(bytes) => Some(Raw(bytes)).serialize(to),
            Self::Text(text) => (None::<Raw<'_>>, text).serialize(to),
        }
    }
}

/// Packs the fields that are spoken: how many they are, and then in runs.
fn spoken<S: Serializer>(fields: &[Field], to: S) -> Result<S::Ok, S::Error> {
    let (mut runs, mut lines, mut count) = (Vec::new(), Vec::new(), 0u32);
    for field in fields.iter().filter(|field| !field.framing) {
        count += 1;
        match &field.value {
            Value::Fixed(value) if !APART.contains(&&*field.name) => {
                [field.name.as_bytes(), b": ", value, b"\r\n"].iter().for_each(|part| lines.extend_from_slice(part));
            }
            _ => runs.push(Run(std::mem::take(&mut lines), Some(field))),
        }
    }
    runs.push(Run(lines, None));
    (count, runs).serialize(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_the_ones_that_they_are_found_by() {
        assert!(USUAL.iter().all(|(text, usual)| usual == text && name(text.as_bytes()) == *usual));
        assert_eq!(name(b"x-own"), "x-own");
    }

    #[test]
    fn what_no_header_can_carry_is_escaped() {
        for (text, value) in [
            ("a b\tc", &b"a b\tc"[..]),
            ("/a('\u{416}\r\nset-cookie: x')", b"/a('%D0%96%0D%0Aset-cookie: x')"),
            ("\u{e4}\t\u{7f}", b"\xe4\t%7F"),
        ] {
            assert_eq!(&*carried(text.as_bytes()), value, "{text:?}");
        }
    }

    #[test]
    fn a_field_is_known_again_by_name_and_value_unless_ids_stand_in_it() {
        let mut fields = Fields::kept();
        let field = |name: &str, value: &str| Field::of(name, Template::parse(value, |_| Some(0)).unwrap());
        for (name, value) in [("vary", "a"), ("a", "b"), ("location", "/x/{{a.1}}"), ("b", "{{'{{'}}")] {
            fields.keep(name, value, &field(name, value));
        }
        for (name, value, known) in [
            ("vary", "a", true),
            ("vary", "b", false),
            ("location", "/x/{{a.1}}", false),
            ("b", "{{'{{'}}", true),
            ("b", "{{", false),
            ("a\0b", "", false),
        ] {
            let found = fields.find(name, value).map(|found| format!("{found:?}"));
            assert_eq!(found, known.then(|| format!("{:?}", field(name, value))));
        }
        let mut none = Fields::default();
        none.keep("vary", "a", &field("vary", "a"));
        assert!(none.find("vary", "a").is_none());
    }
}
