//! How exchanges stand in the journal: keys in order of take and commit, rows that can tell whether they are whole.

/// A row on its way to the disk: the `number`th of its take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) take: u64,
    pub(super) number: u64,
    pub(super) row: &'a [u8],
}

/// What stands before the first piece of a row: arrival (8), length (8) and BLAKE3 digest (32).
pub(super) const HEAD: usize = 48;

/// A row with its head, for which there is room before it.
pub(super) fn framed(arrival: u64, mut row: Vec<u8>) -> Vec<u8> {
    let (head, row_itself) = row.split_at_mut(HEAD);
    head[..8].copy_from_slice(&arrival.to_be_bytes());
    head[8..16].copy_from_slice(&(row_itself.len() as u64).to_be_bytes());
    head[16..].copy_from_slice(blake3::hash(row_itself).as_bytes());
    row
}

/// The arrival and the row, if it is whole.
pub(super) fn unframed(framed: &[u8]) -> Option<(u64, &[u8])> {
    let (head, row) = framed.split_at_checked(HEAD)?;
    let whole = head[8..16] == (row.len() as u64).to_be_bytes() && head[16..] == *blake3::hash(row).as_bytes();
    whole.then_some((u64::from_be_bytes(head[..8].try_into().ok()?), row))
}

/// The key of a piece of a row: the `number`th of its take.
pub(super) fn row_key(take: u64, number: u64, piece: u32) -> [u8; 20] {
    let mut key = [0; 20];
    key[..8].copy_from_slice(&take.to_be_bytes());
    key[8..16].copy_from_slice(&number.to_be_bytes());
    key[16..].copy_from_slice(&piece.to_be_bytes());
    key
}

pub(super) fn row_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(8..16)?.try_into().ok()?))
}

/// The number of the take that a key, of a take or of a row, begins with.
pub(super) fn take_number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(..8)?.try_into().ok()?))
}
