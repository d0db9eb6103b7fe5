//! The number that is printed of several runs: machines are noisy.

/// The one in the middle; of an even count, the higher of the two. Panics if there is none.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
