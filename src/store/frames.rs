//! The frames of the log: rows that are committed together, and which of what stands in the file are still needed.
//!
//! Frames are numbered without a gap, and each is on the disk before the next is written. So only the newest can be torn,
//! and a gap before it means damage. Each also says up to which number the engine has all: older ones may be overwritten.

use super::rows::Row;
use std::collections::BTreeMap;

/// What a frame is a multiple of, and where one may begin: no disk writes less at once.
pub(super) const SECTOR: usize = 512;

const MAGIC: [u8; 4] = *b"GDf1";
/// Magic (4), length of the rows (4), number (8), up to where all is in the engine (8), sum of the rows (4), of the head (4).
const HEAD: usize = 32;
/// What stands before each row: take (8), number in it (8), length (4).
const ROW_HEAD: usize = 20;

/// How many bytes a row of `length` bytes takes when it is packed.
pub(super) fn packed(length: usize) -> usize {
    ROW_HEAD + length
}

/// How many bytes a frame takes with so many bytes of packed rows.
pub(super) fn size(length: usize) -> usize {
    (HEAD + length).next_multiple_of(SECTOR)
}

/// Packs rows, after what is packed in `body`.
pub(super) fn pack(body: &mut Vec<u8>, rows: &[Row<'_>]) {
    for Row { take, number, row } in rows {
        body.extend_from_slice(&take.to_be_bytes());
        body.extend_from_slice(&number.to_be_bytes());
        body.extend_from_slice(&length(row));
        body.extend_from_slice(row);
    }
}

/// The rows that were packed; none where the bytes are something else.
pub(super) fn unpack(mut body: &[u8]) -> Option<Vec<Row<'_>>> {
    let mut rows = Vec::new();
    while !body.is_empty() {
        let (head, rest) = body.split_at_checked(ROW_HEAD)?;
        let number = |at: usize| head.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
        let length = u32::from_be_bytes(head[16..].try_into().ok()?) as usize;
        let (row, after) = rest.split_at_checked(length)?;
        rows.push(Row { take: number(0)?, number: number(8)?, row });
        body = after;
    }
    Some(rows)
}

/// Writes a frame of packed rows over what is in `frame`. The salt is the file's own and nobody else's, so that nothing
/// that came from outside can look like a frame.
pub(super) fn write(frame: &mut Vec<u8>, body: &[u8], salt: u32, number: u64, filled: u64) {
    let head = [&MAGIC[..], &length(body), &number.to_be_bytes(), &filled.to_be_bytes(), &sum(salt, body)].concat();
    frame.clear();
    frame.extend_from_slice(&head);
    frame.extend_from_slice(&sum(salt, &head));
    frame.extend_from_slice(body);
    frame.resize(size(body.len()), 0);
}

fn length(bytes: &[u8]) -> [u8; 4] {
    u32::try_from(bytes.len()).expect("no frame is as large as 4 GiB").to_be_bytes()
}

fn sum(salt: u32, bytes: &[u8]) -> [u8; 4] {
    let mut sum = crc32fast::Hasher::new_with_initial(salt);
    sum.update(bytes);
    sum.finalize().to_be_bytes()
}

/// A whole frame as it stands in a file.
struct Frame<'a> {
    number: u64,
    filled: u64,
    body: &'a [u8],
}

/// The frame that bytes begin with, if it is whole.
fn read(bytes: &[u8], salt: u32) -> Option<Frame<'_>> {
    let (head, rest) = bytes.split_at_checked(HEAD)?;
    let (told, head_sum) = head.split_at(HEAD - 4);
    if told[..4] != MAGIC || sum(salt, told) != *head_sum {
        return None;
    }
    let number = |at: usize| told.get(at..at + 8)?.try_into().ok().map(u64::from_be_bytes);
    let length = u32::from_be_bytes(told[4..8].try_into().ok()?) as usize;
    let body = rest.get(..length).filter(|body| sum(salt, body) == told[24..28])?;
    Some(Frame { number: number(8)?, filled: number(16)?, body })
}

/// The rows that the engine may not have, in the order in which they were committed.
///
/// # Errors
/// When a frame is missing that was acknowledged.
pub(super) fn unfilled(bytes: &[u8], salt: u32) -> Result<Vec<Row<'_>>, String> {
    let (mut frames, mut at) = (BTreeMap::new(), 0);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        at += SECTOR;
        if let Some(frame) = read(rest, salt) {
            at += size(frame.body.len()) - SECTOR;
            frames.insert(frame.number, frame);
        }
    }
    let Some((newest, filled)) = frames.last_key_value().map(|(newest, frame)| (*newest, frame.filled)) else {
        return Ok(Vec::new());
    };
    let mut unfilled = Vec::new();
    for number in filled.saturating_add(1)..=newest {
        let whole = frames.get(&number).and_then(|frame| unpack(frame.body));
        unfilled.extend(whole.ok_or_else(|| format!("its file `log` has lost commit {number} of {newest}"))?);
    }
    Ok(unfilled)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: u32 = 0x5eed_5a17;

    fn row(number: u64, row: &[u8]) -> Row<'_> {
        Row { take: 1, number, row }
    }

    fn frame(rows: &[Row<'_>], number: u64, filled: u64) -> Vec<u8> {
        let (mut body, mut frame) = (Vec::new(), vec![7; 10_000]);
        pack(&mut body, rows);
        assert_eq!(body.len(), rows.iter().map(|row| packed(row.row.len())).sum::<usize>());
        assert_eq!(unpack(&body).as_deref(), Some(rows));
        write(&mut frame, &body, SALT, number, filled);
        assert_eq!((frame.len(), frame.len() % SECTOR), (size(body.len()), 0));
        frame
    }

    /// Three commits, of which the engine has the first.
    fn three() -> [Vec<u8>; 3] {
        [
            frame(&[row(0, b"a")], 1, 0),
            frame(&[row(1, &[b'b'; 2000]), row(2, b"")], 2, 1),
            frame(&[row(3, &[b'c'; 600])], 3, 1),
        ]
    }

    fn numbers(bytes: &[u8]) -> Result<Vec<u64>, String> {
        unfilled(bytes, SALT).map(|rows| rows.into_iter().map(|row| row.number).collect())
    }

    #[test]
    fn what_the_engine_may_not_have_is_found_wherever_it_stands() {
        let [one, two, three] = three();
        let gap = vec![0; 3 * SECTOR];
        for order in [[&one, &two, &three], [&two, &gap, &three], [&three, &gap, &two], [&three, &one, &two]] {
            assert_eq!(numbers(&order.map(Vec::as_slice).concat()), Ok(vec![1, 2, 3]));
        }
        assert_eq!(unfilled(&two, SALT), Ok(vec![row(1, &[b'b'; 2000]), row(2, b"")]));
        // Frames of an earlier round, also one whose rows are overwritten in part, are none of this.
        let checkpoint = frame(&[], 4, 3);
        for rest in [&[&one[..], &two, &three].concat(), &three[SECTOR..], &[]] {
            assert_eq!(numbers(&[&checkpoint, rest].concat()), Ok(vec![]));
        }
        assert_eq!(numbers(&[]), Ok(vec![]));
        assert_eq!(unfilled(&[one, two, three].concat(), SALT + 1), Ok(vec![]));
    }

    #[test]
    fn the_newest_may_be_torn_and_no_other() {
        let [one, two, three] = three();
        let told = |lost: u64, newest: u64| Err(format!("its file `log` has lost commit {lost} of {newest}"));
        let at = [one.len(), one.len() + two.len(), one.len() + two.len() + three.len()];
        let whole = [one, two, three].concat();
        for place in (0..whole.len()).filter(|place| place % 7 == 0) {
            let mut damaged = whole.clone();
            damaged[place] ^= 1;
            let found = numbers(&damaged);
            match at.iter().position(|end| place < *end).unwrap() {
                // The engine has it.
                0 => assert_eq!(found, Ok(vec![1, 2, 3])),
                1 if found != Ok(vec![1, 2, 3]) => assert_eq!(found, told(2, 3), "at {place}"),
                2 if found != Ok(vec![1, 2, 3]) => assert_eq!(found, Ok(vec![1, 2]), "at {place}"),
                // No byte of it, but one that fills up a sector.
                _ => assert_eq!(whole[place], 0, "at {place}"),
            }
        }
        for end in at[1]..whole.len() - SECTOR {
            assert_eq!(numbers(&whole[..end]), Ok(vec![1, 2]), "cut at {end}");
        }
    }

    #[test]
    fn what_came_from_outside_never_looks_like_a_frame() {
        // Who knows everything but the salt puts one where it would stand.
        let mut planted = Vec::new();
        write(&mut planted, b"", 0, 2, 0);
        let mut carrier = vec![0; SECTOR - HEAD - ROW_HEAD];
        carrier.extend(planted);
        let frame = frame(&[row(0, &carrier)], 1, 0);
        assert_eq!(frame[SECTOR..SECTOR + 4], MAGIC);
        assert_eq!(numbers(&frame), Ok(vec![0]));
        assert_eq!(numbers(&frame[SECTOR..]), Ok(vec![]));
    }
}
