//! How exchanges stand in the journal: keys in order of take and commit, rows that can tell whether they are whole.
//!
//! Small rows that come into the engine together stand there in groups, as it takes nearly as long to put a small value there
//! as a large one. A group has the key of its last row, so that the last key of a take tells how many rows there are; and
//! the row that is looked for is in the first group whose key is not below its own. No group goes over the end of what was
//! put there together: what is put there once more after a crash begins where something was put there before, and whichever
//! group is found then has the same rows.

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
/// What stood before those of earlier stores, which are never in a group: a BLAKE3 digest in the place of the sum.
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

/// How many rows, from the first on, are kept under one key: those that follow each other in a take, and together have at
/// most so many bytes. One by itself may have more.
pub(super) fn grouped(rows: &[Row<'_>], most: usize) -> usize {
    let (mut length, mut next) = (0, rows.first().map(|row| (row.take, row.number)));
    let together = rows.iter().take_while(|row| {
        length += row.row.len();
        let follows = next == Some((row.take, row.number));
        next = Some((row.take, row.number + 1));
        // An empty one, if there ever is any, could make two of them look like one of an earlier store.
        follows && length <= most && is_behind(HEAD, row.row) && row.row.len() > HEAD
    });
    together.count().max(1)
}

/// The row that has so many behind it in a group, or is by itself; none where the bytes are neither, or have not as many.
pub(super) fn in_group(mut group: &[u8], behind: u64) -> Option<&[u8]> {
    if is_behind(EARLIER_HEAD, group) {
        return (behind == 0).then_some(group);
    }
    let mut rows = Vec::new();
    while !group.is_empty() {
        let length = u64::from_be_bytes(group.get(8..16)?.try_into().ok()?);
        let end = HEAD.checked_add(usize::try_from(length).ok()?)?;
        let (row, rest) = group.split_at_checked(end)?;
        rows.push(row);
        group = rest;
    }
    rows.into_iter().nth_back(usize::try_from(behind).ok()?)
}

/// The key of a piece of a row, or of a group of them: the last of these is the `number`th of its take.
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
    fn rows_that_follow_each_other_are_grouped_and_found_again() {
        let framed: Vec<Vec<u8>> =
            [&b"a"[..], b"bb", b"ccc", b"d"].iter().map(|row| framed(7, [&[0; HEAD][..], row].concat())).collect();
        let row = |take, number, row: usize| Row { take, number, row: &framed[row] };
        let rows = [row(1, 5, 0), row(1, 6, 1), row(1, 7, 2), row(1, 9, 3), row(2, 10, 0)];
        let most = |count: usize| framed[..count].iter().map(Vec::len).sum::<usize>();
        assert_eq!(grouped(&rows, 1000), 3, "one is missing between the next two");
        assert_eq!((grouped(&rows, most(2)), grouped(&rows, most(2) - 1), grouped(&rows, 1)), (2, 1, 1));
        assert_eq!((grouped(&rows[3..], 1000), grouped(&rows[4..], 1000)), (1, 1));
        let group = framed[..3].concat();
        for (behind, row) in framed[..3].iter().rev().enumerate() {
            assert_eq!(in_group(&group, behind as u64), Some(&row[..]));
        }
        assert_eq!(in_group(&group, 3), None);
        assert_eq!(in_group(&group[..group.len() - 1], 1), None, "it is no group");
        assert_eq!(in_group(&framed[1], 0), Some(&framed[1][..]), "one by itself is one too");
    }

    #[test]
    fn a_row_of_an_earlier_store_is_read_and_no_part_of_it_is_taken_for_another() {
        // Behind a head as they are now there would be two rows, the second of them empty.
        let row = [&[b'r'; 9][..], &[0; HEAD]].concat();
        let digest = blake3::hash(&row);
        let earlier = [&7u64.to_be_bytes()[..], &(row.len() as u64).to_be_bytes(), digest.as_bytes(), &row].concat();
        assert_eq!(unframed(&earlier), Some((7, &row[..])));
        assert_eq!((in_group(&earlier, 0), in_group(&earlier, 1)), (Some(&earlier[..]), None));
        let rows = [5, 6].map(|number| Row { take: 1, number, row: &earlier });
        assert_eq!(grouped(&rows, 1000), 1);
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
