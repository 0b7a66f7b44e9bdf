//! The ids of a cassette: each one's placeholder and recorded value, and texts with placeholders in their stead.

use super::guid::Guid;
use super::id::{self, Id, Written};
use super::lexicon::{self, Lexicon};
pub use super::row_set::Row;
use super::row_set::RowSet;
use super::spelling::{self, Case, Spelling};
use super::stand_ins;
use super::surroundings::Surroundings;
use super::template::{Placeholder, Writer};
use super::values::Values;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The ids of a cassette: each one's placeholder and the value that it had in the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    pub(super) runs: Vec<Run>,
    pub(super) values: Values,
    lexicon: Lexicon,
    fields: Vec<String>,
}

/// Rows whose placeholders have one name, and numbers without a gap: a table has few of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    name: String,
    /// The first number, and its row.
    number: u32,
    row: Row,
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
        table.into_iter().try_for_each(|(placeholder, value)| ids.push(placeholder, &value))?;
        ids.settle();
        Ok(ids)
    }

    /// Adds the next row of a table, which must come in the order of placeholders.
    ///
    /// # Errors
    /// When the value is empty, has a placeholder in it, or stands there already.
    pub(super) fn push(&mut self, placeholder: Placeholder, value: &str) -> Result<(), Fault> {
        check(&placeholder, value)?;
        match self.values.add(value) {
            Ok(row) => self.name(placeholder, row),
            Err(row) => return Err(Fault::Twice(self.placeholder(row), placeholder, value.to_owned())),
        }
        Ok(())
    }

    /// The same, where it is [seen](Self::settle_pushed) later whether the value stands there already.
    ///
    /// # Errors
    /// When the value is empty, or has a placeholder in it.
    pub(super) fn push_unseen(&mut self, placeholder: Placeholder, value: &str) -> Result<(), Fault> {
        check(&placeholder, value)?;
        let row = self.values.push(value);
        self.name(placeholder, row);
        Ok(())
    }

    /// Notes the placeholder of a row.
    fn name(&mut self, placeholder: Placeholder, row: Row) {
        let next = |run: &Run| run.number.checked_add(row - run.row);
        let goes_on =
            self.runs.last().is_some_and(|run| run.name == placeholder.name && next(run) == Some(placeholder.number));
        if !goes_on {
            self.runs.push(Run { name: placeholder.name, number: placeholder.number, row });
        }
    }

    /// The name and the number of the next row, if it goes on as those before.
    pub(super) fn next(&self) -> Option<(&str, u32)> {
        let run = self.runs.last()?;
        let rows = u32::try_from(self.len()).ok()?.checked_sub(run.row)?;
        Some((&run.name, run.number.checked_add(rows)?))
    }

    /// Adds the next row, which has [this name and number](Self::next); as [`Self::push_unseen`].
    pub(super) fn push_next(&mut self, guid: &str) {
        self.values.push(guid);
    }

    /// Makes a table ready that has all its rows.
    pub(super) fn settle(&mut self) {
        self.values.shrink();
        self.values.plain_texts().for_each(|text| self.lexicon.add(&Id::of(text)));
    }

    /// Makes a table ready that has all its rows, none of which was seen; whether each value stands there once.
    pub(super) fn settle_pushed(&mut self) -> bool {
        let are_apart = self.values.index();
        self.settle();
        are_apart
    }

    /// The last placeholder that was pushed.
    pub(super) fn last(&self) -> Option<Placeholder> {
        self.len().checked_sub(1).map(|row| self.placeholder(Row::try_from(row).expect("rows are counted so")))
    }

    /// A table from its parts, as they were written down.
    pub(super) fn of_parts(runs: Vec<Run>, values: Values) -> Self {
        let mut ids = Self { runs, values, ..Self::default() };
        ids.values.plain_texts().for_each(|text| ids.lexicon.add(&Id::of(text)));
        ids
    }

    /// A table of values, each of which stands there once: so many of each name, numbered from 1, by the order of names.
    pub(super) fn of_names(names: impl IntoIterator<Item = (String, u32)>, values: Values) -> Self {
        let mut row = 0;
        let runs = names.into_iter().filter(|(_, count)| *count > 0);
        let run = |(name, count)| {
            row += count;
            Run { name, number: 1, row: row - count }
        };
        Self::of_parts(runs.map(run).collect(), values)
    }

    /// The same table, for messages that have ids in members of these names too.
    #[must_use]
    pub fn with_fields(self, fields: Vec<String>) -> Self {
        Self { fields, ..self }
    }

    /// The same table with these rows only.
    #[must_use]
    pub fn only(self, rows: &RowSet) -> Self {
        if (0..).take(self.len()).all(|row| rows.contains(row)) {
            return self.with_fields(Vec::new());
        }
        let kept: Vec<Row> = (0..).take(self.len()).filter(|row| rows.contains(*row)).collect();
        let mut ids = Self::default();
        (0..).zip(&kept).for_each(|(row, old)| ids.name(self.placeholder(*old), row));
        ids.values = self.values;
        ids.values.pick(kept);
        ids.settle();
        ids
    }

    /// The number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every id, in the order of the table.
    pub fn iter(&self) -> impl Iterator<Item = (Placeholder, Written<'_>)> {
        let rows = 0..Row::try_from(self.len()).expect("rows are counted so");
        rows.map(|row| (self.placeholder(row), self.recorded(row)))
    }

    /// The name of a row.
    ///
    /// # Panics
    /// When there is no such row.
    #[must_use]
    pub fn placeholder(&self, row: Row) -> Placeholder {
        let run = &self.runs[self.runs.partition_point(|run| run.row <= row) - 1];
        Placeholder { name: run.name.clone(), number: run.number + (row - run.row) }
    }

    /// The value of a row in the recording, as it was first spelled there.
    #[must_use]
    pub fn recorded(&self, row: Row) -> Written<'_> {
        self.values.text(row)
    }

    /// Whether a row's value is a GUID in upper case, or one in lower case; `None` for any other text.
    pub(super) fn is_upper(&self, row: Row) -> Option<bool> {
        self.values.is_upper(row)
    }

    /// Whether all are GUIDs in one case.
    pub(super) fn are_guids(&self) -> bool {
        self.values.plain_texts().next().is_none()
    }

    /// Whether a row's value is a GUID that reads otherwise in the other case.
    pub(super) fn is_lettered(&self, row: Row) -> bool {
        let digits = self.values.bits[row as usize].to_le_bytes();
        self.is_upper(row).is_some() && digits.iter().any(|pair| pair & 0xf > 9 || pair >> 4 > 9)
    }

    /// The row of a name.
    #[must_use]
    pub fn row(&self, placeholder: &Placeholder) -> Option<Row> {
        self.row_of(&placeholder.name, placeholder.number)
    }

    /// The row of a name by its parts.
    pub(super) fn row_of(&self, name: &str, number: u32) -> Option<Row> {
        let after = self.runs.partition_point(|run| (run.name.as_str(), run.number) <= (name, number));
        let run = self.runs[..after].last().filter(|run| run.name == name)?;
        let row = run.row.checked_add(number - run.number)?;
        let end = self.runs.get(after).map_or(self.len(), |next| next.row as usize);
        ((row as usize) < end).then_some(row)
    }

    /// The row whose recorded value `id` is.
    #[must_use]
    pub fn find(&self, id: &Id) -> Option<Row> {
        self.values.find(id)
    }

    /// Whether `id` is the recorded value of a row.
    #[must_use]
    pub fn is(&self, row: Row, id: &Id) -> bool {
        self.values.is(row, id)
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
        let mut ids = Self::default();
        for (placeholder, value) in self.iter() {
            let mut stand_ins = (0u32..).map(|attempt| {
                let mut origin = blake3::Hasher::new_derive_key("graphdeck 2026 ids left out");
                origin.update(placeholder.to_string().as_bytes()).update(&attempt.to_le_bytes());
                stand_in(&value, attempt / 64, &origin)
            });
            let is_free = |text: &String| ids.find(&Id::of(text)).is_none();
            let text = stand_ins.find(is_free).expect("the texts grow longer as they are tried");
            ids.push(placeholder, &text).expect("stand-ins are neither empty nor there twice");
        }
        ids.settle();
        ids
    }

    /// Writes `text` as tape text: a placeholder wherever an id of this table stands.
    #[must_use]
    pub fn to_tape(&self, text: &str) -> String {
        self.to_tape_behind(0, text)
    }

    /// The same for an address. What is an id and stands in the host's name as well is written as it is there: the host
    /// says where a request goes, in every run.
    #[must_use]
    pub fn address_to_tape(&self, url: &str) -> String {
        let host = url.find("://").map_or(0, |at| at + "://".len());
        self.to_tape_behind(host + url[host..].find('/').unwrap_or(url.len() - host), url)
    }

    /// Writes ids that begin at this byte or behind it as placeholders.
    fn to_tape_behind(&self, begin: usize, text: &str) -> String {
        let mut writer = Writer::default();
        if self.is_empty() {
            writer.text(text);
            return writer.finish();
        }
        let mut surroundings = Surroundings::of(text);
        let mut from = 0;
        for (range, id) in lexicon::in_message(text, &self.lexicon, &self.fields, |id| self.find(id).is_some()) {
            let Some(row) = self.find(&id).filter(|_| range.start >= begin) else { continue };
            surroundings.pass(&text[from..range.start]);
            writer.text(&text[from..range.start]);
            from = range.start;
            // An id that is written in a way of its own stays as it is: a placeholder would not give it back.
            if let Some(spelling) = self.spelling(row, &text[range.clone()], &surroundings) {
                writer.id(&self.placeholder(row), &spelling);
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
        if let Some(case) = Case::of(written, &recorded) {
            let plain = spelling::encode(written, &surroundings.codings()) == written;
            return Some(Spelling { case, codings: (!plain).then(Vec::new) });
        }
        if spelling::encode(&recorded, &surroundings.codings()) == written {
            return Some(Spelling::default());
        }
        Some(Spelling { case: Case::Same, codings: Some(spelling::codings(&recorded, written)?) })
    }
}

fn check(placeholder: &Placeholder, value: &str) -> Result<(), Fault> {
    if value.is_empty() {
        return Err(Fault::Empty(placeholder.clone()));
    }
    if value.contains("{{") {
        return Err(Fault::Nested(placeholder.clone(), value.to_owned()));
    }
    Ok(())
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
    fn an_id_in_the_name_of_the_host_stays_there_and_no_other() {
        let table = [("domains", "microsoft.com"), ("a", CONFIG)];
        let table = table.map(|(name, value)| (Placeholder { name: name.into(), number: 1 }, value.to_owned()));
        let ids = Ids::new(table.into()).unwrap();
        let address = format!("https://graph.microsoft.com/v1.0/domains/microsoft.com/a/{CONFIG}");
        assert_eq!(ids.address_to_tape(&address), "https://graph.microsoft.com/v1.0/domains/{{domains.1}}/a/{{a.1}}");
        assert_eq!(ids.address_to_tape("https://microsoft.com"), "https://microsoft.com");
    }

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
