//! When the requests that have arrived become a batch: load makes batches larger, not more numerous.
//!
//! An entry costs much however few commands it has: a write, messages to all replicas and back, threads that
//! wake up. So what arrives gathers while the thread has other things to do, and no longer. After requests
//! have arrived the shell *looks* again: it lets everybody else have a turn, and asks the operating system
//! which connections can be read. As long as that brings more requests, they gather. A look that brings none
//! says that the thread would have to wait for more, so the processor is not what holds things up, and the
//! batch is made.
//!
//! On an idle node that costs one look, about a microsecond. No timer is involved, and nothing has to be
//! tuned: the slower the thread is for what is asked of it, the more has arrived at each look. What replicas
//! say to each other does not gather, and neither do answers: those who were answered are asked for more
//! before the next batch is made.

use std::time::Duration;

use onecopy_core::Instant;

/// Nothing gathers for longer, however many clients there are.
const LONGEST: Duration = Duration::from_millis(1);

/// Decides whether requests wait for more.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gathering {
    /// Since when the oldest request waits.
    since: Option<Instant>,
    /// How many there were at the last look.
    seen: usize,
}

impl Gathering {
    /// A look was taken, and there are so many requests. Returns whether there should be another look, before
    /// these become a batch; if not, the next call is about the next batch.
    pub fn goes_on(&mut self, now: Instant, requests: usize) -> bool {
        let since = *self.since.get_or_insert(now);
        if requests > self.seen && now.since(since) < LONGEST {
            self.seen = requests;
            return true;
        }
        *self = Self::default();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant(1_000_000_000);

    #[test]
    fn one_look_that_brings_nothing_is_enough() {
        let mut gathering = Gathering::default();
        assert!(!gathering.goes_on(NOW, 0), "nothing has arrived");
        for _ in 0..2 {
            assert!(gathering.goes_on(NOW, 1));
            assert!(!gathering.goes_on(NOW, 1));
        }
    }

    #[test]
    fn requests_gather_while_looks_bring_more_of_them() {
        let mut gathering = Gathering::default();
        assert!((1..50).all(|requests| gathering.goes_on(NOW, requests)));
        assert!(!gathering.goes_on(NOW, 49));
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut gathering = Gathering::default();
        let looks = |requests: &u64| {
            gathering.goes_on(NOW + Duration::from_micros(10 * requests), *requests as usize)
        };
        assert_eq!((1..10_000).take_while(looks).count(), 100);
        assert!(gathering.goes_on(NOW + Duration::from_secs(1), 1), "the next batch has its own time");
    }
}
