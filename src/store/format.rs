//! The format of a store, in a file of its own: a store of another version is not taken for a damaged one.

use super::takes::Fault;
use crate::platform;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The format that this program writes. The rows of the first can be told and are read too; the second had no log, and
/// the third digests in the place of sums.
const FORMAT: u32 = 4;

/// Sees that a store can be read, and notes the format in one that is new or older: from now on it is written so.
///
/// # Errors
/// When it is of another, or that cannot be told.
pub(super) fn check(path: &Path) -> Result<(), Fault> {
    let file = path.join("format");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(()),
            Ok(1..FORMAT) => note(path, &file),
            Ok(found) => {
                let why = format!("its format is {found}, and this version knows {FORMAT}");
                Err(Fault::Version { path: path.to_owned(), why })
            }
            Err(_) => {
                Err(Fault::Damaged { path: path.to_owned(), why: "its file `format` holds no number".to_owned() })
            }
        },
        Err(fault) if fault.kind() == io::ErrorKind::InvalidData => {
            Err(Fault::Damaged { path: path.to_owned(), why: "its file `format` is no text".to_owned() })
        }
        // So it is with the first stores as well.
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => note(path, &file),
        Err(source) => Err(Fault::io(path, "opened", source)),
    }
}

fn note(path: &Path, file: &Path) -> Result<(), Fault> {
    let write = |file: &mut io::BufWriter<&mut File>| writeln!(file, "{FORMAT}");
    platform::replace_file(file, write).map_err(|source| Fault::io(path, "opened", source))
}
