//! The cassette file: its format, its versions, and what is wrong with one that cannot be read.

use super::body::Form;
use super::ids::{self, Ids};
use super::redact::printable;
use super::template::Placeholder;
use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::{fmt, io};

/// The version of the format that is written. Changes:
///
/// - 1: the first. A cassette in which stand-ins are in the place of people says `"people": "pseudonym"` in its head; any
///   other says nothing there. An exchange whose time was kept says `"took"`, in milliseconds.
pub const VERSION: u32 = 1;

/// Everything a cassette file holds, in recorded order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Cassette {
    /// The ids that placeholders stand for.
    pub ids: Ids,
    /// The exchanges.
    pub entries: Vec<Entry>,
    /// Whether it claims to be pseudonymous: stand-ins are in the place of people.
    pub people: bool,
}

/// An exchange as it stands in a cassette: texts are tape text, with placeholders for ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What was asked.
    pub request: RequestEntry,
    /// What was answered.
    pub response: ResponseEntry,
    /// How many milliseconds that took, where it was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took: Option<u64>,
}

/// The request of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestEntry {
    /// The method.
    pub method: String,
    /// The whole address, as the client spelled it.
    pub url: String,
    /// The headers, those that vary from run to run left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Values>,
    /// The body, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Form>,
}

/// The response of an [`Entry`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResponseEntry {
    /// The status code.
    pub status: u16,
    /// The headers, those that vary from answer to answer left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, Values>,
    /// The body, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Form>,
}

/// The value of a header, or its values in order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Values {
    /// One value.
    One(String),
    /// Several fields of one name.
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> Visitor<'de> for OneOrMany {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, value: &str) -> Result<Values, E> {
                Ok(Values::One(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, values: A) -> Result<Values, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(values)).map(Values::Many)
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

impl Values {
    /// Changes each of them.
    pub fn each(&mut self, change: impl FnMut(&mut String)) {
        match self {
            Self::One(value) => std::slice::from_mut(value),
            Self::Many(values) => values,
        }
        .iter_mut()
        .for_each(change);
    }

    /// The values as a slice.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

/// Why a text is no cassette.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no JSON, or not of the form that a cassette has.
    #[error("{}line {line}, column {column}: {}", .exchange.map(|n| format!("exchange {n}, ")).unwrap_or_default(), printable(.what))]
    Syntax {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
        /// The exchange that was being read, counted from 1.
        exchange: Option<usize>,
        /// What was found and what was expected.
        what: String,
    },
    /// It says nowhere that it is a cassette.
    #[error("this is no cassette: it does not begin with `\"graphdeck\": {VERSION}`")]
    NoCassette,
    /// It was written by a newer graphdeck.
    #[error("this is a cassette of format {0}, and this graphdeck reads formats up to {VERSION}: update graphdeck")]
    Newer(u32),
    /// The `ids` table cannot be used.
    #[error("in `ids`: {}", printable(&.0.to_string()))]
    Ids(#[from] ids::Fault),
    /// An exchange cannot be used.
    #[error("exchange {exchange}, {}: {}", printable(.place), printable(.why))]
    Exchange {
        /// Counted from 1.
        exchange: usize,
        /// Where in it.
        place: String,
        /// What is wrong there, and what to do.
        why: String,
    },
}

impl Cassette {
    /// Reads a cassette file.
    ///
    /// # Errors
    /// When it is no JSON, no cassette, of a newer format, or has a table of ids that cannot be used. What the
    /// exchanges say is checked when they are put into an [`super::index::Index`].
    pub fn parse(text: &str) -> Result<Self, Fault> {
        match serde_json::from_str::<Version>(text) {
            Ok(Version { graphdeck: Some(VERSION) }) => {}
            Ok(Version { graphdeck: Some(newer) }) if newer > VERSION => return Err(Fault::Newer(newer)),
            Ok(_) => return Err(Fault::NoCassette),
            // What is no JSON at all is told more exactly below.
            Err(_) => {}
        }
        let reading = Cell::new(None);
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let file = FileSeed(&reading)
            .deserialize(&mut deserializer)
            .and_then(|file| deserializer.end().map(|()| file))
            .map_err(|fault| syntax(&fault, reading.get()))?;
        Ok(Self { ids: Ids::new(file.ids)?, entries: file.entries, people: file.people.is_some() })
    }

    /// The text of the cassette file.
    #[must_use]
    pub fn print(&self) -> String {
        let mut text = Vec::new();
        self.write(&mut text).expect("printing to memory does not fail");
        String::from_utf8(text).expect("JSON is printed as UTF-8")
    }

    /// Writes the cassette file.
    ///
    /// # Errors
    /// When the writer fails.
    pub fn write(&self, mut writer: impl io::Write) -> io::Result<()> {
        write_head(&mut writer, &self.ids, self.people)?;
        for (entry, number) in self.entries.iter().zip(0..) {
            write_entry(&mut writer, entry, number)?;
        }
        write_end(&mut writer, self.entries.len())
    }
}

/// Writes what stands in a cassette file before its exchanges.
///
/// # Errors
/// When the writer fails.
pub fn write_head(writer: &mut impl io::Write, ids: &Ids, people: bool) -> io::Result<()> {
    write!(writer, "{{\n  \"graphdeck\": {VERSION},\n")?;
    if people {
        writer.write_all(b"  \"people\": \"pseudonym\",\n")?;
    }
    writer.write_all(b"  \"ids\": {")?;
    for ((placeholder, value), number) in ids.iter().zip(0u32..) {
        let comma = if number == 0 { "" } else { "," };
        write!(writer, "{comma}\n    \"{placeholder}\": {}", serde_json::Value::from(&*value))?;
    }
    let end = if ids.is_empty() { "" } else { "\n  " };
    write!(writer, "{end}}},\n  \"exchanges\": [")
}

/// Writes an exchange of a cassette file, of which so many stand before it.
///
/// # Errors
/// When the writer fails.
pub fn write_entry(writer: &mut impl io::Write, entry: &Entry, before: usize) -> io::Result<()> {
    let printed = serde_json::to_vec_pretty(entry)?;
    let mut comma = if before == 0 { &b""[..] } else { b"," };
    for line in printed.split(|byte| *byte == b'\n') {
        writer.write_all(std::mem::take(&mut comma))?;
        writer.write_all(b"\n    ")?;
        writer.write_all(line)?;
    }
    Ok(())
}

/// Writes what stands in a cassette file after its exchanges.
///
/// # Errors
/// When the writer fails.
pub fn write_end(writer: &mut impl io::Write, exchanges: usize) -> io::Result<()> {
    writer.write_all(if exchanges == 0 { b"]\n}\n" } else { b"\n  ]\n}\n" })
}

/// What a cassette claims of the people in it.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum People {
    Pseudonym,
}

impl<'de> Deserialize<'de> for Placeholder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is no name of an id, such as `userStatuses.1`"));
        text.parse().map_err(|()| wrong())
    }
}

#[derive(Deserialize)]
struct Version {
    graphdeck: Option<u32>,
}

fn syntax(fault: &serde_json::Error, exchange: Option<usize>) -> Fault {
    let place = format!(" at line {} column {}", fault.line(), fault.column());
    let what = match fault.classify() {
        serde_json::error::Category::Eof => "the text ends in the middle".to_owned(),
        _ => fault.to_string().replace(&place, ""),
    };
    Fault::Syntax { line: fault.line(), column: fault.column(), exchange, what }
}

struct File {
    people: Option<People>,
    ids: BTreeMap<Placeholder, String>,
    entries: Vec<Entry>,
}

/// Reads a [`File`], noting in the cell which exchange is being read.
struct FileSeed<'a>(&'a Cell<Option<usize>>);

impl<'de> DeserializeSeed<'de> for FileSeed<'_> {
    type Value = File;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<File, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FileSeed<'_> {
    type Value = File;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `graphdeck`, `ids` and `exchanges`")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<File, A::Error> {
        let (mut people, mut ids, mut entries) = (None, None, None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "graphdeck" => {
                    map.next_value::<u32>()?;
                }
                "people" => people = Some(map.next_value()?),
                "ids" => ids = Some(map.next_value()?),
                "exchanges" => entries = Some(map.next_value_seed(EntriesSeed(self.0))?),
                other => {
                    return Err(serde::de::Error::unknown_field(other, &["graphdeck", "people", "ids", "exchanges"]));
                }
            }
        }
        let missing = serde::de::Error::missing_field;
        let ids = ids.ok_or_else(|| missing("ids"))?;
        Ok(File { people, ids, entries: entries.ok_or_else(|| missing("exchanges"))? })
    }
}

struct EntriesSeed<'a>(&'a Cell<Option<usize>>);

impl<'de> DeserializeSeed<'de> for EntriesSeed<'_> {
    type Value = Vec<Entry>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Entry>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for EntriesSeed<'_> {
    type Value = Vec<Entry>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of exchanges")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<Entry>, A::Error> {
        let mut entries = Vec::new();
        self.0.set(Some(1));
        while let Some(entry) = seq.next_element()? {
            entries.push(entry);
            self.0.set(Some(entries.len() + 1));
        }
        self.0.set(None);
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{
  "graphdeck": 1,
  "ids": {
    "userStatuses.2": "7e323db2-3db2-7e32-b23d-327eb23d327e",
    "userStatuses.10": "0385114b-b48f-4800-a046-f249eaba24b1"
  },
  "exchanges": [
    {
      "request": {
        "method": "GET",
        "url": "https://graph.microsoft.com/beta/a/userStatuses/{{userStatuses.2}}"
      },
      "response": {
        "status": 200,
        "headers": {
          "link": [
            "a",
            "b"
          ],
          "odata-version": "4.0"
        },
        "body": {
          "json": {
            "id": "{{userStatuses.2}}",
            "n": 1.10
          }
        }
      }
    }
  ]
}
"#;

    #[test]
    fn reading_and_printing_give_the_same_bytes() {
        let people = SMALL.replace("  \"ids\"", "  \"people\": \"pseudonym\",\n  \"ids\"");
        assert!(Cassette::parse(&people).unwrap().people && !Cassette::parse(SMALL).unwrap().people);
        for text in [SMALL, "{\n  \"graphdeck\": 1,\n  \"ids\": {},\n  \"exchanges\": []\n}\n", &people] {
            assert_eq!(Cassette::parse(text).unwrap().print(), text);
        }
    }

    #[test]
    fn what_is_no_cassette_is_told_by_line_column_and_exchange() {
        let damaged = [
            SMALL.replace("\"status\": 200,", "\"status\": \"200\","),
            SMALL.replace("\"status\": 200,", "\"state\": 200,"),
            SMALL.replace("\"method\": \"GET\",", ""),
            SMALL[..SMALL.len() / 2].to_owned(),
            SMALL.replace("\"graphdeck\": 1", "\"graphdeck\": 7"),
            SMALL.replace("\"graphdeck\": 1,", ""),
            SMALL.replace("userStatuses.10", "userStatuses"),
            SMALL.replace("0385114b-b48f-4800-a046-f249eaba24b1", ""),
            SMALL.replace("\"ids\"", "\"idds\""),
            SMALL.replace("  \"ids\"", "  \"people\": \"none\",\n  \"ids\""),
            format!("{SMALL}]"),
            String::new(),
        ];
        let faults = damaged.map(|text| Cassette::parse(&text).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
    }
}
