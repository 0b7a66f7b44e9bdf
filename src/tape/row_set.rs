//! Sets of rows of ids, a bit each.

/// The row of an id among the [ids](super::ids::Ids) of a cassette.
pub type Row = u32;

/// A set of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowSet(pub(super) Vec<u32>);

impl RowSet {
    /// Adds a row, and tells whether it is new.
    pub fn insert(&mut self, row: Row) -> bool {
        let at = row as usize / 32;
        if at >= self.0.len() {
            self.0.resize(at + 1, 0);
        }
        let new = !self.contains(row);
        self.0[at] |= 1 << (row % 32);
        new
    }

    /// Whether a row is in it.
    #[must_use]
    pub fn contains(&self, row: Row) -> bool {
        self.0.get(row as usize / 32).is_some_and(|bits| bits >> (row % 32) & 1 == 1)
    }
}

impl Extend<Row> for RowSet {
    fn extend<I: IntoIterator<Item = Row>>(&mut self, rows: I) {
        rows.into_iter().for_each(|row| {
            self.insert(row);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_new_once() {
        let mut set = RowSet::default();
        assert!([70, 0, 31, 32].into_iter().all(|row| set.insert(row)));
        assert!(!set.insert(31) && set.contains(70) && !set.contains(71) && !set.contains(7000));
    }
}
