//! An index that is written down and read again, its exchanges kept in memory by the byte.

use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::compiling::Compiler;
use graphdeck::tape::index::Index;
use graphdeck::tape::matching::Rules;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::played::{Exchanges, Kept, Shelf};
use std::ops::Range;

#[derive(Clone, Debug, Default)]
struct Bytes(Vec<u8>);

impl Shelf for Bytes {
    fn read(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        self.0.get(start..end).map(<[u8]>::to_vec)
    }

    fn damaged(&self) {
        panic!("bytes in memory do not change");
    }
}

/// The index of a cassette, as the next run has it.
pub fn read_again(cassette: &Cassette, rules: &Rules, mint: &Mint) -> Index {
    let mut compiler = Compiler::new(cassette.ids.clone(), cassette.people, rules.clone());
    let (mut shelf, mut from) = (Bytes::default(), vec![0]);
    for entry in &cassette.entries {
        shelf.0.extend(compiler.add(entry).unwrap().packed());
        from.push(shelf.0.len() as u64);
    }
    let kept = Exchanges::Kept(Kept::new(Box::new(shelf.clone()), from));
    let mut packed = Vec::new();
    compiler.done(kept, mint.clone()).unwrap().pack(&mut packed).unwrap();
    let length = packed.len() as u64;
    Index::unpack(packed.as_slice(), length, Box::new(shelf), rules.clone(), mint.clone()).unwrap()
}
