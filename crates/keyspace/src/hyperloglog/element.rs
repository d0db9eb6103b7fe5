//! Which register an element belongs to, and what it makes of it.

use onecopy_core::Budget;

use super::{REGISTERS, REST_BITS};
use crate::steps::{PIECE, copying};

const SEED: u64 = 0xadc8_3b19;
const MULTIPLIER: u64 = 0xc6a4_a793_5bd1_e995;
const SHIFT: u32 = 47;

/// MurmurHash64A by Austin Appleby, with the seed that Redis has for HyperLogLogs. Words are little-endian on
/// every machine.
fn hash(bytes: &[u8], budget: Budget<'_>) -> u64 {
    let mut hash = SEED ^ (bytes.len() as u64).wrapping_mul(MULTIPLIER);
    let (words, rest) = bytes.as_chunks::<8>();
    for words in words.chunks(PIECE / 8) {
        for word in words {
            let mut word = u64::from_le_bytes(*word).wrapping_mul(MULTIPLIER);
            word ^= word >> SHIFT;
            hash = (hash ^ word.wrapping_mul(MULTIPLIER)).wrapping_mul(MULTIPLIER);
        }
        budget.spend(copying(words.len() * 8));
    }
    if !rest.is_empty() {
        let mut word = [0; 8];
        word[..rest.len()].copy_from_slice(rest);
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER);
    }
    hash ^= hash >> SHIFT;
    hash = hash.wrapping_mul(MULTIPLIER);
    hash ^ hash >> SHIFT
}

/// The register of an element, and the value that it must have at least: one more than the zeroes that the
/// rest of the hash begins with.
pub(crate) fn register_of(element: &[u8], budget: Budget<'_>) -> (usize, u8) {
    let hash = hash(element, budget);
    let register = hash as usize % REGISTERS;
    // The shift has put other zeroes behind the bits of the rest.
    let zeroes = (hash >> REGISTERS.ilog2()).trailing_zeros().min(REST_BITS);
    (register, zeroes as u8 + 1)
}
