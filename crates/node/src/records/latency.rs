//! `LATENCY`: when something took as long as `latency-monitor-threshold` or longer.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::time_of_day;

/// So many samples are kept of each event.
const SAMPLES_MAX: usize = 160;

/// Something took so long in this second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// Since 1970.
    pub(crate) second: u64,
    pub(crate) milliseconds: u64,
}

/// What happened of one kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples {
    /// Oldest first; of one second the longest.
    pub(crate) last: VecDeque<Sample>,
    /// The longest of all times.
    pub(crate) longest_ms: u64,
}

/// By the name of the event; of those there are few.
#[derive(Debug, Default)]
pub(crate) struct Latency(BTreeMap<&'static str, Samples>);

impl Latency {
    /// An event took so long.
    pub(crate) fn add(&mut self, event: &'static str, took: Duration) {
        self.add_at(event, took, time_of_day().as_secs());
    }

    fn add_at(&mut self, event: &'static str, took: Duration, second: u64) {
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let samples = self.0.entry(event).or_default();
        samples.longest_ms = samples.longest_ms.max(milliseconds);
        match samples.last.back_mut() {
            Some(last) if last.second == second => last.milliseconds = last.milliseconds.max(milliseconds),
            _ => samples.last.push_back(Sample { second, milliseconds }),
        }
        if samples.last.len() > SAMPLES_MAX {
            samples.last.pop_front();
        }
    }

    /// What is known of an event.
    pub(crate) fn of(&self, event: &[u8]) -> Option<&Samples> {
        self.0.iter().find(|(name, _)| name.as_bytes() == event).map(|(_, samples)| samples)
    }

    /// All events.
    pub(crate) fn all(&self) -> &BTreeMap<&'static str, Samples> {
        &self.0
    }

    /// Forgets these events, or all if none is named. Returns how many were known.
    pub(crate) fn reset(&mut self, events: &[&[u8]]) -> usize {
        let before = self.0.len();
        self.0.retain(|name, _| !events.is_empty() && !events.contains(&name.as_bytes()));
        before - self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_one_second_the_longest_is_kept() {
        let mut latency = Latency::default();
        for (second, milliseconds) in [(1, 5), (1, 9), (1, 2), (2, 4)] {
            latency.add_at("command", Duration::from_millis(milliseconds), second);
        }
        let samples = latency.of(b"command").expect("it is known");
        let last: Vec<(u64, u64)> =
            samples.last.iter().map(|sample| (sample.second, sample.milliseconds)).collect();
        assert_eq!((last, samples.longest_ms), (vec![(1, 9), (2, 4)], 9));
        for second in 0..1_000 {
            latency.add_at("command", Duration::ZERO, second);
        }
        assert_eq!(latency.all()["command"].last.len(), SAMPLES_MAX);
        latency.add_at("other", Duration::ZERO, 1);
        assert_eq!(latency.reset(&[b"other", b"nothing"]), 1);
        assert_eq!(latency.reset(&[]), 1);
    }
}
