//! Sealed ids: derived GUIDs that carry, masked and checked, the row of the placeholder they stand for.
//!
//! A later request with such an id is understood without any table, by this deck or by another one that plays
//! the same cassette with the same seed.

use super::guid::Guid;
use super::id;
use super::ids::Row;
use smallvec::{SmallVec, smallvec};

/// The low bits of the 122 that are free in a GUID: 24 bits of row and 40 bits of check.
const SEALED_BITS: u32 = 64;
const CHECK_BITS: u32 = 40;
const NONCE_MASK: u128 = (1 << (122 - SEALED_BITS)) - 1;
const ROW_LIMIT: Row = 1 << (SEALED_BITS - CHECK_BITS);

/// Makes and understands sealed ids for one cassette and one seed.
#[derive(Clone, Debug)]
pub struct Mint {
    key: [u8; 32],
    cassette: [u8; 32],
}

impl Mint {
    /// A mint for a seed and the digest of a cassette.
    #[must_use]
    pub fn new(seed: &str, cassette: &[u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("graphdeck 2026 sealed ids");
        hasher.update(cassette).update(seed.as_bytes());
        Self { key: *hasher.finalize().as_bytes(), cassette: *cassette }
    }

    /// The mint for another seed, and the same cassette.
    #[must_use]
    pub fn with_seed(&self, seed: &str) -> Self {
        Self::new(seed, &self.cassette)
    }

    /// The id that stands for `row` and is derived from `origin`, the reading of what minted it.
    ///
    /// It has the shape of a version 8 UUID (RFC 9562 section 5.8). Rows beyond 2^24 are not told apart.
    #[must_use]
    pub fn seal(&self, row: Row, origin: &[u8]) -> Guid {
        let nonce = self.nonce(row, origin);
        let row = row % ROW_LIMIT;
        let cover = self.cover(nonce);
        let sealed = (u64::from(row) << CHECK_BITS | cover.check(row)) ^ cover.mask;
        Guid(shape(nonce << SEALED_BITS | u128::from(sealed)))
    }

    /// The row that `guid` was sealed for, if this mint made it. By chance one in 2^40 other GUIDs is taken for one.
    #[must_use]
    pub fn unseal(&self, guid: Guid) -> Option<Row> {
        if !guid.is_version_8() {
            return None;
        }
        let payload = unshape(guid.0);
        let nonce = payload >> SEALED_BITS;
        let cover = self.cover(nonce);
        let sealed = u64::try_from(payload & u128::from(u64::MAX)).expect("masked to 64 bits") ^ cover.mask;
        let row = Row::try_from(sealed >> CHECK_BITS).expect("24 bits fit");
        (sealed & ((1 << CHECK_BITS) - 1) == cover.check(row)).then_some(row)
    }

    /// A text that is [alike](id::alike) `model`, or longer by `more`, derived from `origin`.
    #[must_use]
    pub fn alike(&self, model: &str, more: u32, origin: &blake3::Hash) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"alike").update(origin.as_bytes());
        id::alike(model, more, &hasher)
    }

    fn nonce(&self, row: Row, origin: &[u8]) -> u128 {
        // In one go: a hasher that is fed bit by bit takes three times as long for so little.
        let mut text: SmallVec<[u8; 128]> = smallvec![0; 9 + origin.len()];
        text[..5].copy_from_slice(b"nonce");
        text[5..9].copy_from_slice(&row.to_le_bytes());
        text[9..].copy_from_slice(origin);
        let hash = blake3::keyed_hash(&self.key, &text);
        u128::from_le_bytes(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes")) & NONCE_MASK
    }

    fn cover(&self, nonce: u128) -> Cover {
        let mut text = [0; 21];
        text[..5].copy_from_slice(b"cover");
        text[5..].copy_from_slice(&nonce.to_le_bytes());
        let hash = blake3::keyed_hash(&self.key, &text);
        let part = |at: usize| u64::from_le_bytes(hash.as_bytes()[at..at + 8].try_into().expect("a hash has 32 bytes"));
        Cover { mask: part(0), factor: part(8), summand: part(16) }
    }
}

/// What covers the row in a sealed id, by the id's nonce.
struct Cover {
    mask: u64,
    factor: u64,
    summand: u64,
}

impl Cover {
    /// A check that any other row or nonce has by chance alone, once in 2^40: by multiplication and shift, which is as
    /// good as a hash for numbers of 24 bits (Dietzfelbinger, "Universal hashing and k-wise independent random
    /// variables via integer arithmetic without primes").
    fn check(&self, row: Row) -> u64 {
        self.factor.wrapping_mul(row.into()).wrapping_add(self.summand) >> (64 - CHECK_BITS)
    }
}

/// Puts 122 bits around the version (8) and the variant (binary 10).
fn shape(payload: u128) -> u128 {
    let low = payload & ((1 << 62) - 1);
    let middle = payload >> 62 & 0xfff;
    let high = payload >> 74;
    high << 80 | 8 << 76 | middle << 64 | 0b10 << 62 | low
}

fn unshape(guid: u128) -> u128 {
    let low = guid & ((1 << 62) - 1);
    let middle = guid >> 64 & 0xfff;
    let high = guid >> 80;
    high << 74 | middle << 62 | low
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mint(seed: &str) -> Mint {
        Mint::new(seed, &[7; 32])
    }

    proptest! {
        #[test]
        fn a_sealed_id_is_understood_by_its_own_mint_only(row in 0..ROW_LIMIT, origin: [u8; 32]) {
            let sealed = mint("a").seal(row, &origin);
            prop_assert!(sealed.is_version_8());
            prop_assert_eq!(mint("a").unseal(sealed), Some(row));
            prop_assert_eq!(mint("a").seal(row, &origin), sealed);
            prop_assert_eq!(mint("b").unseal(sealed), None);
            prop_assert_eq!(mint("b").with_seed("a").unseal(sealed), Some(row));
            prop_assert_eq!(Mint::new("a", &[8; 32]).unseal(sealed), None);
        }

        #[test]
        fn shaping_loses_nothing(payload in 0..(1u128 << 122)) {
            prop_assert_eq!(unshape(shape(payload)), payload);
        }

        #[test]
        fn other_guids_are_not_taken_for_sealed_ones(guid: u128) {
            prop_assert_eq!(mint("a").unseal(Guid(shape(guid & ((1 << 122) - 1)))), None);
        }
    }

    /// SplitMix64, since the numbers need only differ and be made fast.
    fn numbers() -> impl Iterator<Item = u64> {
        let mut state = 0u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ mixed >> 31
        })
    }

    #[test]
    fn of_ten_million_other_guids_none_is_taken_for_a_sealed_one() {
        let (mint, mut numbers) = (mint("a"), numbers());
        let mut number = || numbers.next().unwrap();
        for n in 0..10_000_000 {
            let bits = u128::from(number()) << 64 | u128::from(number());
            // Half of them have the version and the variant of sealed ids, so that the check is what tells.
            let guid = Guid(if n % 2 == 0 { bits } else { shape(bits >> 6) });
            assert_eq!(mint.unseal(guid), None, "{guid}");
        }
    }
}
