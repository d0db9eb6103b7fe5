//! When a key was used, or how often: three bytes for each key, as in Redis.
//!
//! Least recently used: the second, of a clock that goes round in 194 days. Least frequently used: the
//! minute, of a clock that goes round in 45 days, and a count that grows ever more slowly (Morris: "Counting
//! Large Numbers of Events in Small Registers", 1978).

use onecopy_core::{Eviction, Timestamp};

/// The mark of one key. 0: nothing is known, it was there when the observation began.
pub(crate) type Mark = [u8; 3];

/// What a new key is counted as: not so little that it would go at once.
const NEW: u8 = 5;

fn seconds(now: Timestamp) -> u32 {
    (now.0 / 1_000) as u32 & 0xff_ffff
}

fn minutes(now: Timestamp) -> u16 {
    (now.0 / 60_000) as u16
}

/// A mark as a number.
fn number(mark: Mark) -> u32 {
    u32::from_le_bytes([mark[0], mark[1], mark[2], 0])
}

fn of_number(number: u32) -> Mark {
    let [first, second, third, _] = number.to_le_bytes();
    [first, second, third]
}

fn of_frequency(minutes: u16, count: u8) -> Mark {
    let [low, high] = minutes.to_le_bytes();
    [low, high, count]
}

/// The mark of a key that is made, or of which nothing is known.
pub(crate) fn new(eviction: Eviction, now: Timestamp) -> Mark {
    match eviction.policy.is_lfu() {
        true => of_frequency(minutes(now), NEW),
        // Never 0, which means another thing.
        false => of_number(seconds(now).max(1)),
    }
}

/// The mark of a key that is used now. `chance` is drawn evenly.
pub(crate) fn used(eviction: Eviction, mark: Mark, now: Timestamp, chance: u32) -> Mark {
    if !eviction.policy.is_lfu() || mark == Mark::default() {
        return new(eviction, now);
    }
    let count = frequency(eviction, mark, now);
    let rarity = u64::from(count.saturating_sub(NEW)) * u64::from(eviction.lfu_log_factor) + 1;
    let is_counted = u64::from(chance) * rarity < 1 << 32;
    of_frequency(minutes(now), count.saturating_add(is_counted.into()))
}

/// For how many seconds a key was not used.
pub(crate) fn idle(mark: Mark, now: Timestamp) -> u32 {
    seconds(now).wrapping_sub(number(mark)) & 0xff_ffff
}

/// How often a key is used, as it is counted: less, the longer it is not.
pub(crate) fn frequency(eviction: Eviction, mark: Mark, now: Timestamp) -> u8 {
    let elapsed = minutes(now).wrapping_sub(u16::from_le_bytes([mark[0], mark[1]]));
    let periods = u32::from(elapsed).checked_div(eviction.lfu_decay_minutes).unwrap_or(0);
    mark[2].saturating_sub(u8::try_from(periods).unwrap_or(u8::MAX))
}

#[cfg(test)]
mod tests {
    use onecopy_core::Policy;

    use super::*;

    const LRU: Eviction =
        Eviction { policy: Policy::AllkeysLru, samples: 5, lfu_log_factor: 10, lfu_decay_minutes: 1 };
    const LFU: Eviction = Eviction { policy: Policy::AllkeysLfu, ..LRU };

    #[test]
    fn idle_time_counts_seconds_also_when_the_clock_goes_round() {
        let second = |second: u64| Timestamp(second * 1_000);
        let mark = used(LRU, Mark::default(), second(100), 0);
        assert_eq!((idle(mark, second(100)), idle(mark, second(160))), (0, 60));
        let mark = new(LRU, second((1 << 24) - 5));
        assert_eq!(idle(mark, second((1 << 24) + 5)), 10);
    }

    #[test]
    fn a_count_grows_ever_more_slowly_and_decays() {
        let now = Timestamp(7 * 60_000);
        let mut mark = new(LFU, now);
        assert_eq!(frequency(LFU, mark, now), NEW);
        let (mut chance, mut uses, mut reached) = (1u32, 0u32, [0; 256]);
        while uses < 1_000_000 {
            chance = chance.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            mark = used(LFU, mark, now, chance);
            uses += 1;
            reached[usize::from(frequency(LFU, mark, now))] = uses;
        }
        // What the documentation of Redis says of a factor of 10: 18 after 1000 uses, 142 after 100,000, 255
        // after a million.
        let after = |uses: u32| reached.iter().rposition(|at| (1..=uses).contains(at)).unwrap_or_default();
        assert!((13..24).contains(&after(1_000)), "{}", after(1_000));
        assert!((120..165).contains(&after(100_000)), "{}", after(100_000));
        assert_eq!(frequency(LFU, mark, now), 255);
        assert_eq!(frequency(LFU, mark, Timestamp(17 * 60_000)), 245);
        let never = Eviction { lfu_decay_minutes: 0, ..LFU };
        assert_eq!(frequency(never, mark, Timestamp(17 * 60_000)), 255);
        assert_eq!(frequency(LFU, mark, Timestamp(1_000 * 60_000)), 0);
    }
}
