//! The format of a store, in a file of its own: a store of another version is not taken for a damaged one.

use super::takes::Fault;
use crate::platform;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// The format that this program reads and writes.
const FORMAT: u32 = 1;

/// Sees that a store is of that format, and notes it in one that is just being made.
///
/// # Errors
/// When it is of another, or that cannot be told.
pub(super) fn check(path: &Path) -> Result<(), Fault> {
    let file = path.join("format");
    match fs::read_to_string(&file) {
        Ok(text) => match text.trim().parse::<u32>() {
            Ok(FORMAT) => Ok(()),
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
        // The first stores had no such file.
        Err(fault) if fault.kind() == io::ErrorKind::NotFound && path.join("sled").exists() => Ok(()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let write = |file: &mut io::BufWriter<&mut File>| writeln!(file, "{FORMAT}");
            platform::replace_file(&file, write).map_err(|source| Fault::io(path, "opened", source))
        }
        Err(source) => Err(Fault::io(path, "opened", source)),
    }
}
