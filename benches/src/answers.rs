//! Many answers, one of which is looked up by a hash of the request's body: the least that anything with recordings must do.

use crate::Fault;
use crate::workload::{RECORDED_STATUS, body, guid};
use bytes::Bytes;
use std::collections::HashMap;
use std::fs::{self, File};
use std::hash::{BuildHasher, RandomState};
use std::io::{BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// From so many on they are in a file, as the deck's exchanges are.
const KEPT: u64 = 100_000;

#[derive(Debug)]
pub(crate) struct Answers {
    hasher: RandomState,
    by_body: HashMap<u64, u32>,
    all: All,
}

#[derive(Debug)]
enum All {
    Held(Vec<Bytes>),
    /// Each is so long.
    Kept(File, usize),
}

impl Answers {
    /// An answer for each of so many users; a file, if there is to be one, is in `dir` and gone at the end.
    pub(crate) fn of(users: u64, dir: &Path) -> Result<Self, Fault> {
        let hasher = RandomState::new();
        let number = |user: u64| u32::try_from(user).expect("there are fewer");
        let by_body = (0..users).map(|user| (hasher.hash_one(body(user).as_bytes()), number(user))).collect();
        let all = if users < KEPT { All::Held((0..users).map(answer).collect()) } else { kept(users, dir)? };
        Ok(Self { hasher, by_body, all })
    }

    /// The answer to a request with this body.
    pub(crate) fn find(&self, body: &[u8]) -> Result<Bytes, Fault> {
        let user = *self.by_body.get(&self.hasher.hash_one(body)).ok_or("no such request is known")?;
        match &self.all {
            All::Held(held) => Ok(held[user as usize].clone()),
            All::Kept(file, length) => {
                let mut answer = vec![0; *length];
                file.read_exact_at(&mut answer, u64::from(user) * *length as u64)?;
                Ok(answer.into())
            }
        }
    }
}

fn answer(user: u64) -> Bytes {
    let id = guid(RECORDED_STATUS, user);
    let id = std::str::from_utf8(&id).expect("a GUID is text");
    body(user).replacen(',', &format!(",\"id\":\"{id}\","), 1).into()
}

fn kept(users: u64, dir: &Path) -> Result<All, Fault> {
    let path = dir.join("answers");
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    // It is gone when nobody has it open any more.
    fs::remove_file(&path)?;
    let mut out = BufWriter::with_capacity(1 << 20, &file);
    (0..users).try_for_each(|user| out.write_all(&answer(user)))?;
    out.flush()?;
    drop(out);
    Ok(All::Kept(file, answer(0).len()))
}
