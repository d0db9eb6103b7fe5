//! Random numbers for commands.

use onecopy_core::Budget;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::Rng;

/// Random numbers that were settled by the entry.
pub(crate) struct Random(pub(crate) ChaCha8Rng);

impl Random {
    /// A number below `bound`, which must not be zero. Off from uniform by less than one in 2^32 for any
    /// bound that fits into memory.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let product = u128::from(self.0.next_u64()) * bound as u128;
        // Less than `bound`.
        (product >> 64) as usize
    }

    /// `count` different numbers below `bound`, all of them if there are not more, in random order.
    pub(crate) fn distinct(&mut self, count: usize, bound: usize, budget: Budget<'_>) -> Vec<usize> {
        let count = count.min(bound);
        if count * 4 >= bound {
            let mut numbers: Vec<usize> = (0..bound).collect();
            for at in 0..count {
                budget.spend(1);
                let other = at + self.below(bound - at);
                numbers.swap(at, other);
            }
            numbers.truncate(count);
            return numbers;
        }
        // Few of many: draw again what has been drawn before.
        let mut drawn = std::collections::BTreeSet::new();
        let mut numbers = Vec::with_capacity(count);
        while numbers.len() < count {
            budget.spend(2);
            let number = self.below(bound);
            if drawn.insert(number) {
                numbers.push(number);
            }
        }
        numbers
    }
}
