//! How many different elements the registers speak of.
//!
//! The estimator is that of Redis since version 5: Otmar Ertl, *New cardinality estimation algorithms for
//! HyperLogLog sketches*, arXiv:1702.01284, algorithm 6. It needs no logarithms: additions, multiplications,
//! divisions and square roots of doubles are all there is, which IEEE 754 lets every machine round alike.

use super::{REGISTERS, REST_BITS, VALUES};

/// What a register has that has seen a hash with nothing but zeroes behind the number of the register.
const LARGEST: usize = REST_BITS as usize + 1;
/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// How many registers have each value.
pub(crate) type Histogram = [u32; VALUES];

/// The estimate, or the largest number that there is: registers that nobody but a user can have written may
/// speak of infinitely many. (Redis answers the smallest number then.)
pub(crate) fn estimate(histogram: &Histogram) -> i64 {
    let registers = REGISTERS as f64;
    let mut sum = registers * tau((registers - f64::from(histogram[LARGEST])) / registers);
    for count in histogram[1..LARGEST].iter().rev() {
        sum = (sum + f64::from(*count)) * 0.5;
    }
    sum += registers * sigma(f64::from(histogram[0]) / registers);
    (ALPHA * registers * registers / sum).round() as i64
}

/// What registers of 0 add, if they are this share of all.
fn sigma(share: f64) -> f64 {
    if share == 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1.0, share);
    // Powers of a number below 1 soon add nothing more.
    loop {
        power *= power;
        let before = sum;
        sum += power * factor;
        factor += factor;
        if sum == before {
            return sum;
        }
    }
}

/// What registers of the largest value take away, if the others are this share of all.
fn tau(share: f64) -> f64 {
    if share == 0.0 || share == 1.0 {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    // Roots come close to 1, and the factor to 0.
    loop {
        root = root.sqrt();
        let before = sum;
        factor *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * factor;
        if sum == before {
            return sum / 3.0;
        }
    }
}
