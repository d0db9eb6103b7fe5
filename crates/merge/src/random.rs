//! Random numbers from the seed of a call: SplitMix64 (Steele, Lea and Flood, *Fast Splittable Pseudorandom
//! Number Generators*, 2014). They decide only what the replica that executes a command picks; others are
//! told what it picked.

use std::collections::BTreeSet;

/// Random numbers for one command.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64, ordinal: u64) -> Self {
        Self(seed ^ ordinal.wrapping_mul(0xd134_2543_de82_ef95))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `bound`, which must not be zero.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // Less than `bound`.
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// `count` different numbers below `bound`, all of them if there are not more, in random order.
    pub(crate) fn distinct(&mut self, count: usize, bound: usize) -> Vec<usize> {
        let count = count.min(bound);
        if count * 4 >= bound {
            let mut numbers: Vec<usize> = (0..bound).collect();
            for at in 0..count {
                let other = at + self.below(bound - at);
                numbers.swap(at, other);
            }
            numbers.truncate(count);
            return numbers;
        }
        let mut drawn = BTreeSet::new();
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            let number = self.below(bound);
            if drawn.insert(number) {
                numbers.push(number);
            }
        }
        numbers
    }
}
