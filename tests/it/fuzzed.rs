//! The laws of `fuzz/` over the bytes kept there and some made of them; `cargo fuzz` tries them on many more
//! (CONTRIBUTING.md). `GRAPHDECK_MUTATIONS=100000 cargo test --test it fuzzed` makes more of them without it.

#[path = "../../fuzz/src/lib.rs"]
mod laws;

use std::path::Path;

/// What mutations put in: what the readers look for.
const BYTES: &[u8] = b"{}[]()\"'%/\\:,;=&?#+-_.~|$@ \t\r\n\0\x7f\xff019aAzZ";

/// Bytes by chance, and the same ones in every run.
struct Chance(blake3::OutputReader);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        u32::from_le_bytes(bytes) as usize % end.max(1)
    }

    fn range(&mut self, of: &[u8]) -> std::ops::Range<usize> {
        let from = self.below(of.len() + 1);
        from..from + self.below((of.len() - from).min(40) + 1)
    }

    /// One of these seeds, changed in some places.
    fn mutated(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            let (at, byte) = (self.below(bytes.len() + 1), BYTES[self.below(BYTES.len())]);
            let other = &seeds[self.below(seeds.len())];
            let piece = match self.below(4) {
                0 => vec![byte],
                1 => Vec::new(),
                2 => other[self.range(other)].to_vec(),
                _ => bytes[self.range(&bytes)].to_vec(),
            };
            let until = at + if self.below(2) == 0 { 0 } else { self.range(&bytes[at..]).len() };
            bytes.splice(at..until, piece);
        }
        bytes
    }
}

/// Shows the bytes under which a law broke.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken by \"{}\"", self.0.escape_ascii());
        }
    }
}

/// Tries a law on the files of these folders, and on what is made of them.
fn tried(law: fn(&[u8]), folders: &[&str]) {
    let mut seeds = Vec::new();
    for folder in folders {
        let files = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
        let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{folder} is empty");
        files.sort();
        seeds.extend(files.into_iter().map(|file| std::fs::read(file).unwrap()));
    }
    let mutations = std::env::var("GRAPHDECK_MUTATIONS").ok().and_then(|count| count.parse().ok()).unwrap_or(100);
    let mut chance = Chance(blake3::Hasher::new().finalize_xof());
    let made = (0..mutations).map(|_| chance.mutated(&seeds));
    for bytes in seeds.iter().cloned().chain(made) {
        let shown = Shown(&bytes);
        law(shown.0);
    }
}

macro_rules! laws {
    ($($name:ident: $law:ident, [$($folder:literal),+];)+) => {
        $(#[test]
        fn $name() {
            tried(laws::$name::$law, &[$($folder),+]);
        })+
    };
}

laws! {
    batch: open, ["fuzz/corpus/batch"];
    cassette: read, ["fuzz/corpus/cassette"];
    config: read, ["fuzz/corpus/config"];
    formats: import, ["fuzz/corpus/formats", "tests/data/formats"];
    framing: follow, ["fuzz/corpus/framing"];
    paths: normalise, ["fuzz/corpus/paths"];
    redaction: redact, ["fuzz/corpus/redaction"];
    request_text: read, ["fuzz/corpus/request_text"];
    shapes: compare, ["fuzz/corpus/shapes"];
    substitution: there_and_back, ["fuzz/corpus/substitution"];
}
