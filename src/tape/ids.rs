//! The ids of a cassette: each one's placeholder and recorded value, and texts with placeholders in their stead.

use super::guid::Guid;
use super::id::{self, Id};
use super::lexicon::{self, Lexicon};
use super::spelling::{self, Case, Spelling};
use super::stand_ins;
use super::surroundings::Surroundings;
use super::template::{Placeholder, Writer};
use std::collections::{BTreeMap, HashMap, HashSet};

/// The row of an id in [`Ids`].
pub type Row = u32;

/// The ids of a cassette: each one's placeholder and the value that it had in the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    rows: Vec<(Placeholder, String)>,
    by_id: HashMap<Id, Row>,
    lexicon: Lexicon,
    by_name: HashMap<Placeholder, Row>,
    fields: Vec<String>,
}

/// Why a table of ids cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// No value.
    #[error("the id `{0}` has no value: the table holds what each id was when it was recorded")]
    Empty(Placeholder),
    /// A value with a placeholder in it.
    #[error("the id `{0}` has the value `{1}`, a placeholder: the table holds what each id was when it was recorded")]
    Nested(Placeholder, String),
    /// A placeholder that stands nowhere.
    #[error("the id `{0}` is in no exchange: take it out, or put its placeholder where it belongs")]
    Unused(Placeholder),
    /// Two placeholders with one value: nothing would tell them apart.
    #[error("the ids `{0}` and `{1}` have one value, `{2}`")]
    Twice(Placeholder, Placeholder, String),
}

impl Ids {
    /// Takes a table as it stands in a cassette.
    ///
    /// # Errors
    /// When a value is empty, has a placeholder in it, or stands there twice.
    pub fn new(table: BTreeMap<Placeholder, String>) -> Result<Self, Fault> {
        let mut ids = Self::default();
        for (placeholder, value) in table {
            if value.is_empty() {
                return Err(Fault::Empty(placeholder));
            }
            if value.contains("{{") {
                return Err(Fault::Nested(placeholder, value));
            }
            let id = Id::of(&value);
            if let Some(&row) = ids.by_id.get(&id) {
                return Err(Fault::Twice(ids.placeholder(row).clone(), placeholder, value));
            }
            let row = Row::try_from(ids.rows.len()).expect("a table of ids has fewer than 2^32 rows");
            ids.lexicon.add(&id);
            ids.by_id.insert(id, row);
            ids.by_name.insert(placeholder.clone(), row);
            ids.rows.push((placeholder, value));
        }
        Ok(ids)
    }

    /// The same table, for messages that have ids in members of these names too.
    #[must_use]
    pub fn with_fields(self, fields: Vec<String>) -> Self {
        Self { fields, ..self }
    }

    /// The same table with these rows only.
    #[must_use]
    pub fn only(&self, rows: &HashSet<Row>) -> Self {
        let kept = (0..).zip(&self.rows).filter(|(row, _)| rows.contains(row));
        Self::new(kept.map(|(_, named)| named.clone()).collect()).expect("a part of a good table is one")
    }

    /// The number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every id, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (&Placeholder, &str)> {
        self.rows.iter().map(|(placeholder, value)| (placeholder, value.as_str()))
    }

    /// The name of a row.
    #[must_use]
    pub fn placeholder(&self, row: Row) -> &Placeholder {
        &self.rows[row as usize].0
    }

    /// The value of a row in the recording, as it was first spelled there.
    #[must_use]
    pub fn recorded(&self, row: Row) -> &str {
        &self.rows[row as usize].1
    }

    /// The row of a name.
    #[must_use]
    pub fn row(&self, placeholder: &Placeholder) -> Option<Row> {
        self.by_name.get(placeholder).copied()
    }

    /// The row whose recorded value `id` is.
    #[must_use]
    pub fn find(&self, id: &Id) -> Option<Row> {
        self.by_id.get(id).copied()
    }

    /// The ids that are found wherever they stand.
    #[must_use]
    pub fn lexicon(&self) -> &Lexicon {
        &self.lexicon
    }

    /// The same table with a stand-in for each recorded value: of its length and alphabet, made from the placeholder's
    /// name, so that the same scenario has the same table whenever it is recorded.
    #[must_use]
    pub fn without_recorded(&self) -> Self {
        let mut table: BTreeMap<Placeholder, String> = BTreeMap::new();
        let mut used = HashSet::new();
        for (placeholder, value) in &self.rows {
            let mut stand_ins = (0u32..).map(|attempt| {
                let mut origin = blake3::Hasher::new_derive_key("graphdeck 2026 ids left out");
                origin.update(placeholder.to_string().as_bytes()).update(&attempt.to_le_bytes());
                stand_in(value, attempt / 64, &origin)
            });
            let text =
                stand_ins.find(|text| used.insert(Id::of(text))).expect("the texts grow longer as they are tried");
            table.insert(placeholder.clone(), text);
        }
        Self::new(table).expect("stand-ins are neither empty nor there twice")
    }

    /// Writes `text` as tape text: a placeholder wherever an id of this table stands.
    #[must_use]
    pub fn to_tape(&self, text: &str) -> String {
        let mut writer = Writer::default();
        if self.is_empty() {
            writer.text(text);
            return writer.finish();
        }
        let mut surroundings = Surroundings::of(text);
        let mut from = 0;
        for (range, id) in lexicon::in_message(text, &self.lexicon, &self.fields, |id| self.find(id).is_some()) {
            let Some(row) = self.find(&id) else { continue };
            surroundings.pass(&text[from..range.start]);
            writer.text(&text[from..range.start]);
            from = range.start;
            // An id that is written in a way of its own stays as it is: a placeholder would not give it back.
            if let Some(spelling) = self.spelling(row, &text[range.clone()], &surroundings) {
                writer.id(self.placeholder(row), &spelling);
                surroundings.pass_id();
                from = range.end;
            }
        }
        writer.text(&text[from..]);
        writer.finish()
    }

    /// How the id of a row is spelled that is written so, in these surroundings.
    fn spelling(&self, row: Row, written: &str, surroundings: &Surroundings) -> Option<Spelling> {
        let recorded = self.recorded(row);
        if let Some(case) = Case::of(written, recorded) {
            let plain = spelling::encode(written, &surroundings.codings()) == written;
            return Some(Spelling { case, codings: (!plain).then(Vec::new) });
        }
        if spelling::encode(recorded, &surroundings.codings()) == written {
            return Some(Spelling::default());
        }
        Some(Spelling { case: Case::Same, codings: Some(spelling::codings(recorded, written)?) })
    }
}

fn stand_in(value: &str, more: u32, origin: &blake3::Hasher) -> String {
    if let Some(person) = stand_ins::alike(value, origin) {
        return person;
    }
    if Guid::parse(value).is_none() {
        return id::alike(value, more, origin);
    }
    let mut bytes = [0; 16];
    origin.finalize_xof().fill(&mut bytes);
    let guid = uuid::Builder::from_bytes(bytes).with_version(uuid::Version::Random).into_uuid().to_string();
    if value.bytes().any(|b| b.is_ascii_uppercase()) { guid.to_uppercase() } else { guid }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = "0385114b-b48f-4800-a046-f249eaba24b1";
    const STATUS: &str = "020286da-41c6-4700-8e2b-822e444187c3";

    #[test]
    fn placeholders_stand_wherever_an_id_stood_and_say_how_it_was_spelled() {
        let table = BTreeMap::from([(Placeholder { name: "a".into(), number: 1 }, CONFIG.to_owned())]);
        let ids = Ids::new(table).unwrap();
        let text = format!("('{}') {{{CONFIG}}} {{{{ {STATUS}", CONFIG.to_uppercase());
        assert_eq!(ids.to_tape(&text), format!("('{{{{a.1|upper}}}}') {{{{{{a.1}}}}}} {{{{'{{{{'}}}} {STATUS}"));
    }

    #[test]
    fn tables_that_cannot_work_are_refused() {
        let row = |number, value: &str| (Placeholder { name: "a".into(), number }, value.to_owned());
        let faults = [
            BTreeMap::from([row(1, "")]),
            BTreeMap::from([row(1, "{{a.1}}")]),
            BTreeMap::from([row(1, CONFIG), row(2, &CONFIG.to_uppercase())]),
        ]
        .map(|table| Ids::new(table).unwrap_err().to_string());
        insta::assert_snapshot!(faults.join("\n"));
    }
}
