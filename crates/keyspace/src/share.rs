//! How much of the memory what there is beside keys may take: waiters, subscriptions, feeds.

/// That much each may take, however little memory there is: with a limit of a few bytes nobody writes, but
/// those who listen are not thrown out.
const LEAST: u64 = 8 << 10;

/// A quarter of what the whole state may occupy (0: no limit), but never more than `most`.
pub(crate) fn of(memory_max: u64, most: u64) -> u64 {
    if memory_max == 0 { most } else { (memory_max / 4).clamp(LEAST, most) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_between_two_bounds() {
        let most = 1 << 20;
        for (memory_max, share) in [(0, most), (1, LEAST), (40_000, 10_000), (1 << 30, most)] {
            assert_eq!(of(memory_max, most), share);
        }
    }
}
