//! An index that is written down and read again, its exchanges kept in memory by the byte.

use graphdeck::tape::cassette::Cassette;
use graphdeck::tape::compiling::Compiler;
use graphdeck::tape::index::Index;
use graphdeck::tape::matching::Rules;
use graphdeck::tape::mint::Mint;
use graphdeck::tape::played::{Exchanges, Kept, Shelf};
use graphdeck::tape::preparing::{Ground, Preparer};
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Bytes that are kept for an index, and can be spoilt under it.
#[derive(Clone, Debug, Default)]
pub struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Bytes {
    /// Changes every one of them.
    pub fn spoil(&self) {
        self.0.lock().unwrap().iter_mut().for_each(|byte| *byte ^= 1);
    }
}

impl Shelf for Bytes {
    fn read(&self, range: Range<u64>) -> Option<Vec<u8>> {
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
        self.0.lock().unwrap().get(start..end).map(<[u8]>::to_vec)
    }

    fn damaged(&self) {}
}

/// The index of a cassette, as the next run has it, and the bytes of its exchanges.
pub fn read_again(cassette: &Cassette, rules: &Rules, mint: &Mint) -> (Index, Bytes) {
    let ground = Arc::new(Ground::new(cassette.ids.clone(), cassette.people, rules.clone()));
    // As two threads would have it.
    let mut preparers = [(); 2].map(|()| Preparer::new(Arc::clone(&ground)));
    let mut compiler = Compiler::new(ground);
    let (shelf, mut from, mut packed) = (Bytes::default(), vec![0], Vec::new());
    for (number, entry) in (1..).zip(&cassette.entries) {
        let mut bytes = shelf.0.lock().unwrap();
        let request = serde_json::to_vec(&entry.request).unwrap();
        compiler.add(preparers[number % 2].prepare(entry, request, number).unwrap()).pack(&mut packed);
        bytes.extend(&packed);
        from.push(bytes.len() as u64);
    }
    let kept = Exchanges::Kept(Kept::new(Box::new(shelf.clone()), from));
    let mut packed = Vec::new();
    compiler.done(kept, mint.clone()).unwrap().pack(&mut packed).unwrap();
    let length = packed.len() as u64;
    let kept = Box::new(shelf.clone());
    (Index::unpack(packed.as_slice(), length, kept, rules.clone(), mint.clone()).unwrap(), shelf)
}
