//! A recorded response, ready to be spoken with the ids of a run.

use super::echo::{Echo, Source};
use super::exchange::Response;
use super::graph;
use super::id::Written;
use super::ids::{Ids, Row};
use super::spelling::{Case, Spelling};
use super::template::Template;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Response as Spoken, StatusCode};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

/// A recorded response, ready to be spoken with the ids of a run: as the message that goes to the client, so that
/// nothing of it is made anew each time but where ids stand.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Script {
    status: u16,
    fields: Vec<Field>,
    body: BodyScript<Blank>,
}

/// A header field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Field {
    #[serde(with = "name")]
    name: HeaderName,
    value: Value,
    /// Whoever writes a cassette by hand may have left framing in it; it is made anew when it is spoken.
    framing: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Value {
    /// The same in every run.
    #[serde(with = "value")]
    Fixed(HeaderValue),
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

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum BodyScript<I> {
    Text(Template<I>),
    Binary(Bytes),
}

/// What a script is spoken as: its head, field by field, and then its body.
pub trait Message {
    /// Begins one with so many fields at most.
    fn begin(&mut self, status: StatusCode, fields: usize);

    /// Adds a field; those of one name come one after the other.
    fn field(&mut self, name: &HeaderName, value: Cow<'_, HeaderValue>);

    /// Ends it.
    fn end(&mut self, body: impl Into<Bytes> + AsRef<[u8]>);
}

impl Message for Spoken<Bytes> {
    fn begin(&mut self, status: StatusCode, fields: usize) {
        *self.status_mut() = status;
        // Room for what is added before it goes to the client.
        *self.headers_mut() = HeaderMap::with_capacity(fields + 2);
    }

    fn field(&mut self, name: &HeaderName, value: Cow<'_, HeaderValue>) {
        self.headers_mut().append(name.clone(), value.into_owned());
    }

    fn end(&mut self, body: impl Into<Bytes> + AsRef<[u8]>) {
        *self.body_mut() = body.into();
    }
}

impl Field {
    /// A field of this name and text, both of which were checked.
    pub(super) fn of(name: &str, text: Template<Row>) -> Self {
        Self {
            framing: graph::is_hop_by_hop(name) || matches!(name, "content-length" | "content-encoding"),
            name: HeaderName::from_bytes(name.as_bytes()).expect("checked when the cassette was read"),
            value: match text.fixed() {
                Some(text) => Value::Fixed(carried(text)),
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

    /// Speaks the response, with every blank filled in by `value`, as a message.
    ///
    /// # Panics
    /// Never: the status was checked when the cassette was read.
    pub fn speak<T: AsRef<str>>(&self, mut value: impl FnMut(&Blank) -> T, message: &mut impl Message) {
        match &self.body {
            BodyScript::Text(text) => {
                let body = text.speak(&mut value);
                self.speak_head(value, message);
                message.end(body);
            }
            BodyScript::Binary(bytes) => {
                self.speak_head(value, message);
                message.end(bytes.clone());
            }
        }
    }

    fn speak_head<T: AsRef<str>>(&self, mut value: impl FnMut(&Blank) -> T, message: &mut impl Message) {
        let status = StatusCode::from_u16(self.status).expect("checked when the cassette was read");
        message.begin(status, self.fields.len());
        for Field { name, value: text, .. } in self.fields.iter().filter(|field| !field.framing) {
            match text {
                Value::Fixed(text) => message.field(name, Cow::Borrowed(text)),
                Value::Text(text) => {
                    message.field(name, Cow::Owned(carried(&text.speak(|row| value(&Blank::Id(*row))))));
                }
            }
        }
    }

    /// The response as it was recorded.
    pub(super) fn recorded(&self, ids: &Ids) -> Response {
        let id = |row: &Row| ids.recorded(*row);
        let text = |field: &Field| match &field.value {
            Value::Fixed(text) => text.as_bytes().iter().copied().map(char::from).collect(),
            Value::Text(text) => text.speak(id),
        };
        Response {
            status: self.status,
            headers: self.fields.iter().map(|field| (field.name.as_str(), text(field))).collect(),
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

/// A header's value of a text with a character for each byte. A live id may bring others into it: they are written as an
/// address has them.
///
/// # Panics
/// Never: what no header can carry is escaped.
#[must_use]
pub fn carried(text: &str) -> HeaderValue {
    // Each byte is looked at, and so many at once.
    if text.bytes().fold(true, |plain, byte| plain & (byte == b'\t' || (b' '..0x7f).contains(&byte))) {
        return HeaderValue::from_str(text).expect("all its bytes are such as a header can carry");
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match u8::try_from(c) {
            Ok(byte) if byte == b'\t' || (byte >= b' ' && byte != 0x7f) => bytes.push(byte),
            _ => c.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| bytes.extend(format!("%{byte:02X}").bytes())),
        }
    }
    HeaderValue::from_bytes(&bytes).expect("what no header can carry is escaped")
}

/// The name of a header as an index keeps it.
mod name {
    use http::HeaderName;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(name: &HeaderName, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(name.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderName, D::Error> {
        let name = <&str>::deserialize(from)?;
        HeaderName::from_bytes(name.as_bytes()).map_err(D::Error::custom)
    }
}

/// The value of a header as an index keeps it.
mod value {
    use http::HeaderValue;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(value: &HeaderValue, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_bytes(value.as_bytes())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<HeaderValue, D::Error> {
        HeaderValue::from_bytes(<&[u8]>::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_can_carry_is_escaped() {
        for (text, value) in [
            ("a b\tc", &b"a b\tc"[..]),
            ("/a('\u{416}\r\nset-cookie: x')", b"/a('%D0%96%0D%0Aset-cookie: x')"),
            ("\u{e4}\t\u{7f}", b"\xe4\t%7F"),
        ] {
            assert_eq!(carried(text).as_bytes(), value, "{text:?}");
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

    #[test]
    fn a_script_is_spoken_as_a_message_with_framing_of_its_own() {
        let text = |text: &str| Template::parse(text, |_| Some(0)).unwrap();
        let fields = [("vary", "a"), ("vary", "caf\u{e9}"), ("location", "/x/{{a.1}}"), ("content-length", "7")];
        let fields = fields.map(|(name, value)| Field::of(name, text(value)));
        let script = Script::new(201, fields.into(), BodyScript::Text(text("<{{a.1}}>")));
        let packed: Script = postcard::from_bytes(&postcard::to_allocvec(&script).unwrap()).unwrap();
        for script in [script, packed] {
            let mut spoken = Spoken::default();
            script.speak(|_| "n", &mut spoken);
            let fields = spoken.headers().iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
            let fields: Vec<_> = fields.collect();
            assert_eq!((spoken.status().as_u16(), &**spoken.body()), (201, &b"<n>"[..]));
            assert_eq!(fields, [("vary", &b"a"[..]), ("vary", b"caf\xe9"), ("location", b"/x/n")]);
        }
    }
}
