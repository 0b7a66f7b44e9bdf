//! A parsed file, read place by place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde_json::Value;

/// Why a file cannot be read. Nothing of its content is repeated.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is neither JSON nor YAML.
    #[error("line {line}, column {column}: {what}")]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// What was found or expected.
        what: String,
    },
    /// It is of no format that is known here.
    #[error(
        "this is nothing that can be imported: neither a graphdeck cassette nor a HAR file, a mocks file of Dev Proxy, a recording of the \
         Azure SDK test proxy, a VCR cassette or mappings of WireMock"
    )]
    Unknown,
    /// It has requests, and no answers.
    #[error(
        "there are requests in it and no answers, and a cassette needs both: `graphdeck record` gets these from Graph"
    )]
    Requests,
    /// A place does not hold what the format has there.
    #[error("{place}: {why}")]
    Place {
        /// The entry, and where in it.
        place: String,
        /// What is wrong there.
        why: &'static str,
    },
}

pub(super) fn syntax(fault: &serde_json::Error) -> Fault {
    let place = format!(" at line {} column {}", fault.line(), fault.column());
    let what = match fault.classify() {
        serde_json::error::Category::Eof => "the text ends in the middle".to_owned(),
        _ => fault.to_string().replace(&place, ""),
    };
    Fault::Syntax { line: fault.line(), column: fault.column(), what }
}

/// A value, and where in the file it stands.
#[derive(Clone, Debug)]
pub(super) struct Node<'a> {
    value: &'a Value,
    place: String,
}

impl<'a> Node<'a> {
    pub(super) fn root(value: &'a Value) -> Self {
        Self { value, place: String::new() }
    }

    pub(super) fn named(self, place: &str) -> Self {
        Self { place: place.to_owned(), ..self }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    /// A member, unless it is absent or null.
    pub(super) fn get(&self, name: &str) -> Option<Self> {
        let value = self.value.get(name).filter(|value| !value.is_null())?;
        Some(Self { value, place: self.below(name) })
    }

    /// A member that the format demands.
    pub(super) fn need(&self, name: &str) -> Result<Self, Fault> {
        let missing = || match self.value {
            Value::Object(_) => Fault::Place { place: self.below(name), why: "this is missing" },
            _ => self.fault("an object is expected here"),
        };
        self.get(name).ok_or_else(missing)
    }

    fn below(&self, name: &str) -> String {
        match self.place.as_str() {
            "" => format!("`{name}`"),
            place => match place.strip_suffix('`') {
                Some(place) => format!("{place}.{name}`"),
                None => format!("{place}, `{name}`"),
            },
        }
    }

    pub(super) fn fault(&self, why: &'static str) -> Fault {
        let place = if self.place.is_empty() { "the file".to_owned() } else { self.place.clone() };
        Fault::Place { place, why }
    }

    /// The elements, numbered from 1 by what they are called.
    pub(super) fn entries(&self, called: &str) -> Result<Vec<Self>, Fault> {
        let number = |(at, value)| Self { value, place: format!("{called} {at}") };
        Ok((1..).zip(self.array()?).map(number).collect())
    }

    pub(super) fn elements(&self) -> Result<Vec<Self>, Fault> {
        let number = |(at, value): (usize, _)| Self { value, place: self.below(&at.to_string()) };
        Ok((0..).zip(self.array()?).map(number).collect())
    }

    fn array(&self) -> Result<&'a Vec<Value>, Fault> {
        self.value.as_array().ok_or_else(|| self.fault("a list is expected here"))
    }

    /// The members. Their names are not part of any place: they may be content.
    pub(super) fn members(&self) -> Result<Vec<(&'a str, Self)>, Fault> {
        let members = self.value.as_object().ok_or_else(|| self.fault("an object is expected here"))?;
        Ok(members.iter().map(|(name, value)| (name.as_str(), Self { value, place: self.place.clone() })).collect())
    }

    /// The members of a member; none where it is absent.
    pub(super) fn members_of(&self, name: &str) -> Result<Vec<(&'a str, Self)>, Fault> {
        self.get(name).map_or(Ok(Vec::new()), |node| node.members())
    }

    /// The elements of a member; none where it is absent.
    pub(super) fn elements_of(&self, name: &str) -> Result<Vec<Self>, Fault> {
        self.get(name).map_or(Ok(Vec::new()), |node| node.elements())
    }

    /// A text; a number or a truth is taken as it is written.
    pub(super) fn text(&self) -> Result<String, Fault> {
        match self.value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            _ => Err(self.fault("a text is expected here")),
        }
    }

    pub(super) fn number(&self) -> Result<u64, Fault> {
        let number = self.value.as_u64().or_else(|| self.value.as_str()?.parse().ok());
        number.ok_or_else(|| self.fault("a number is expected here"))
    }

    /// A status code; 0 where no answer came.
    pub(super) fn status(&self) -> Result<u16, Fault> {
        u16::try_from(self.number()?)
            .ok()
            .filter(|status| *status < 1000)
            .ok_or_else(|| self.fault("this is no status code"))
    }

    /// Bytes in base64, in any number of lines.
    pub(super) fn base64(&self) -> Result<Bytes, Fault> {
        let text: String = self.text()?.split_whitespace().collect();
        BASE64.decode(text).map(Bytes::from).map_err(|_| self.fault("this is no valid base64"))
    }

    /// A text as it is, and anything else as compact JSON.
    pub(super) fn text_or_json(&self) -> String {
        match self.value {
            Value::String(text) => text.clone(),
            value => value.to_string(),
        }
    }
}
