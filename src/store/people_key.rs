//! The key by which stand-ins for people are computed: beside the store, so that it outlives it, and in no cassette.

use crate::platform;
use crate::tape::stand_ins::StandIns;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The file of the key of a store: `.graphdeck.key` beside `.graphdeck`.
#[must_use]
pub fn path(store: &Path) -> PathBuf {
    let mut name = store.file_name().unwrap_or_default().to_owned();
    name.push(".key");
    store.with_file_name(name)
}

/// The key of a store, if one was made.
///
/// # Errors
/// When the file cannot be read, or holds no key.
pub fn find(store: &Path) -> io::Result<Option<StandIns>> {
    let text = match fs::read_to_string(path(store)) {
        Err(fault) if fault.kind() == ErrorKind::NotFound => return Ok(None),
        text => text?,
    };
    let key = blake3::Hash::from_hex(text.trim());
    let wrong = |_| io::Error::new(ErrorKind::InvalidData, "it holds no key, which is 64 hexadecimal digits");
    Ok(Some(StandIns::new(*key.map_err(wrong)?.as_bytes())))
}

/// The key of a store, made from chance where there is none yet; and whether it was made now.
///
/// # Errors
/// When the file cannot be read or written, or holds no key.
pub fn open(store: &Path) -> io::Result<(StandIns, bool)> {
    if let Some(found) = find(store)? {
        return Ok((found, false));
    }
    // Each has 122 bits of chance from the system.
    let mut chance = blake3::Hasher::new_derive_key("graphdeck 2026 key of stand-ins");
    for _ in 0..3 {
        chance.update(uuid::Uuid::new_v4().as_bytes());
    }
    let key = chance.finalize();
    let made = platform::new_private_file(&path(store), format!("{}\n", key.to_hex()).as_bytes())?;
    // Another deck may have come first.
    let found = if made { Some(StandIns::new(*key.as_bytes())) } else { find(store)? };
    found.map(|key| (key, made)).ok_or_else(|| ErrorKind::NotFound.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::id::Id;

    #[test]
    fn the_key_is_made_once_and_its_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join(".graphdeck");
        assert!(find(&store).unwrap().is_none());
        let (made, new) = open(&store).unwrap();
        let (again, newer) = open(&store).unwrap();
        assert!(new && !newer);
        let anna = Id::of("anna@contoso.com");
        assert_eq!(made.id(&anna), again.id(&anna));
        #[cfg(unix)]
        {
            let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(path(&store)).unwrap().permissions());
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(path(&store), "x").unwrap();
        assert!(open(&store).unwrap_err().to_string().starts_with("it holds no key"));
    }
}
