//! How exchanges stand in the journal: keys in order of take and commit, rows that can tell whether they are whole.

use std::hash::Hasher;

/// A row on its way to the disk: the `number`th of its take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) take: u64,
    pub(super) number: u64,
    pub(super) row: &'a [u8],
}

/// What stands before a row: arrival (8), length (8), and a sum of these and it (8).
pub(super) const HEAD: usize = 24;
/// What stood before those of earlier stores: a BLAKE3 digest in the place of the sum.
const EARLIER_HEAD: usize = 48;

/// By which damage is found out. Whoever means to change a row can change its sum, or its digest, as well.
fn sum(arrival_and_length: &[u8], row: &[u8]) -> [u8; 8] {
    let mut sum = twox_hash::XxHash64::with_seed(0);
    sum.write(arrival_and_length);
    sum.write(row);
    sum.finish().to_be_bytes()
}

/// Whether a row is by itself behind a head of so many bytes.
fn is_behind(head: usize, framed: &[u8]) -> bool {
    let length = framed.len().checked_sub(head).map(|length| (length as u64).to_be_bytes());
    length.is_some() && framed.get(8..16) == length.as_ref().map(|length| &length[..])
}

/// A row with its head, for which there is room before it.
pub(super) fn framed(arrival: u64, mut row: Vec<u8>) -> Vec<u8> {
    let (head, row_itself) = row.split_at_mut(HEAD);
    head[..8].copy_from_slice(&arrival.to_be_bytes());
    head[8..16].copy_from_slice(&(row_itself.len() as u64).to_be_bytes());
    let (told, place) = head.split_at_mut(16);
    place.copy_from_slice(&sum(told, row_itself));
    row
}

/// The arrival and the row, if it is whole.
pub(super) fn unframed(framed: &[u8]) -> Option<(u64, &[u8])> {
    let (head, row, whole) = if is_behind(HEAD, framed) {
        let (head, row) = framed.split_at(HEAD);
        (head, row, head[16..] == sum(&head[..16], row))
    } else if is_behind(EARLIER_HEAD, framed) {
        let (head, row) = framed.split_at(EARLIER_HEAD);
        (head, row, head[16..] == *blake3::hash(row).as_bytes())
    } else {
        return None;
    };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_an_earlier_store_is_read_and_damage_to_any_is_found() {
        let row = b"rrrrrrrrr".repeat(4);
        let digest = blake3::hash(&row);
        let earlier = [&7u64.to_be_bytes()[..], &(row.len() as u64).to_be_bytes(), digest.as_bytes(), &row].concat();
        assert_eq!(unframed(&earlier), Some((7, &row[..])));
        let now = framed(7, [&[0; HEAD][..], &row].concat());
        assert_eq!(unframed(&now), Some((7, &row[..])));
        // The digest of an earlier one was of the row alone.
        for (whole, from) in [(earlier, 8), (now, 0)] {
            for place in from..whole.len() {
                let mut damaged = whole.clone();
                damaged[place] ^= 1;
                assert_eq!(unframed(&damaged), None, "at {place}");
                assert_eq!(unframed(&whole[..place]), None, "cut at {place}");
            }
        }
    }
}
