//! Where nodes are only slow, no write waits for long: whoever holds it up is replaced. Looked at in runs in which nothing else goes
//! wrong, because a write may wait for ever while, for example, the view service is down. (Huang et al., "Gray Failure",
//! HotOS 2017; `docs/operations.md` says when a slow backup is replaced.)

use std::collections::VecDeque;

use crate::clock::{MS, Time};
use crate::trace::violated;

const CHECKER: &str = "tail";

/// How long an entry may wait: for the failure timeout, for the longest lease of a run, and as long again, because
/// one that has just been asked to join may be the next one to be slow.
const BOUND: Time = 2_500 * MS;

/// The entries that are not committed yet, and since when.
#[derive(Debug, Default)]
pub struct Tail(VecDeque<(u64, Time)>);

impl Tail {
    /// The log of the newest primary ends with `last`, and everything through `committed` has been executed somewhere.
    pub fn look(&mut self, now: Time, committed: u64, last: u64) {
        let Self(waiting) = self;
        let next = waiting.back().map_or(committed, |(index, _)| *index) + 1;
        waiting.extend((next..=last).map(|index| (index, now)));
        waiting.retain(|(index, _)| (committed + 1..=last).contains(index));
        if let Some((index, since)) = waiting.front()
            && now - since > BOUND
        {
            violated(CHECKER, format!("entry {index} has been waiting for {} ms", (now - since) / MS));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_write_that_waits_too_long_is_caught() {
        let mut tail = Tail::default();
        tail.look(0, 3, 4);
        tail.look(BOUND, 3, 6);
        assert_eq!(caught(|| tail.look(BOUND + 1, 3, 6)), Some(CHECKER));
    }

    #[test]
    fn every_entry_has_its_own_time() {
        let mut tail = Tail::default();
        tail.look(0, 3, 4);
        tail.look(BOUND, 3, 6);
        tail.look(2 * BOUND, 4, 6);
        // The tail of an old primary is cut.
        tail.look(2 * BOUND, 4, 4);
        tail.look(2 * BOUND + 1, 4, 5);
        tail.look(3 * BOUND, 4, 5);
    }
}
