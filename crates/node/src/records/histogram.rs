//! How often something took how long: eight classes for each power of two microseconds.

use std::time::Duration;

/// Classes of each power of two, as a power of two.
const FINENESS: u32 = 3;
/// Whatever takes longer, in microseconds, counts as this: 71 minutes.
const LONGEST: u64 = u32::MAX as u64;
const CLASSES: usize = ((32 - FINENESS as usize) << FINENESS) + (1 << FINENESS);

/// Counts by class.
#[derive(Clone, Debug)]
pub(crate) struct Histogram {
    counts: Box<[u64; CLASSES]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; CLASSES]), total: 0 }
    }
}

/// The class of so many microseconds.
fn class(microseconds: u64) -> usize {
    let value = microseconds.min(LONGEST);
    let octave = value.checked_ilog2().unwrap_or(0);
    match octave.checked_sub(FINENESS) {
        None => value as usize,
        Some(shift) => ((shift as usize + 1) << FINENESS) + (value >> shift) as usize - (1 << FINENESS),
    }
}

/// The most microseconds that belong to a class.
fn most(class: usize) -> u64 {
    let (group, place) = ((class >> FINENESS) as u32, (class & ((1 << FINENESS) - 1)) as u64);
    match group.checked_sub(1) {
        None => place,
        Some(shift) => (((1 << FINENESS) + place + 1) << shift) - 1,
    }
}

impl Histogram {
    /// It took so long, so many times.
    pub(crate) fn add(&mut self, took: Duration, times: u64) {
        let microseconds = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.counts[class(microseconds)] += times;
        self.total += times;
    }

    /// How often it happened.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// In how many microseconds this part of all times, in per cent, was over.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let wanted = ((self.total as f64 * percent / 100.0).ceil() as u64).max(1);
        let mut seen = 0;
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        reached.map_or(0, most)
    }

    /// Pairs of a power of two of microseconds, and how often it took at most so long: from the first that is
    /// not zero to the first that is all.
    pub(crate) fn powers(&self) -> Vec<(u64, u64)> {
        let mut powers = Vec::new();
        let within = |bound: u64| {
            self.counts
                .iter()
                .enumerate()
                .filter(|(class, _)| most(*class) <= bound)
                .map(|(_, count)| count)
                .sum()
        };
        for bound in (0..=32).map(|power| 1_u64 << power) {
            let count: u64 = within(bound);
            if count > 0 {
                powers.push((bound, count));
            }
            if count == self.total {
                break;
            }
        }
        powers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_in_order_and_cover_everything() {
        for value in (0..5_000).chain([1 << 20, (1 << 20) + 1, LONGEST, u64::MAX]) {
            let class = class(value);
            assert!(value.min(LONGEST) <= most(class), "{value}");
            assert!(class == 0 || most(class - 1) < value.min(LONGEST), "{value}");
        }
        assert!(class(u64::MAX) < CLASSES);
    }

    #[test]
    fn percentiles_are_within_an_eighth() {
        let mut histogram = Histogram::default();
        (1..=1_000).for_each(|microseconds| histogram.add(Duration::from_micros(microseconds), 1));
        for percent in [50.0, 99.0, 99.9] {
            let exact = 10.0 * percent;
            let said = histogram.percentile(percent) as f64;
            assert!(said >= exact && said <= exact * 1.126, "{percent}: {said}");
        }
        let powers = histogram.powers();
        assert_eq!(powers.last().map(|(_, count)| *count), Some(1_000));
        assert_eq!(histogram.total(), 1_000);
    }
}
