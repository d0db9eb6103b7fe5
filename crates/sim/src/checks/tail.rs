//! Where nodes are only slow, no write waits for long: whoever holds it up is replaced. Where they only
//! execute something long, none waits for that (rule `AcknowledgedWhileBusy`). Looked at in runs in which
//! nothing else goes wrong, because a write may wait for ever while, for example, the view service is down.
//! (Huang et al., "Gray Failure", HotOS 2017; `docs/operations.md` says when a slow backup is replaced.)

use std::collections::VecDeque;

use crate::clock::{MS, Time};
use crate::trace::violated;

const CHECKER: &str = "tail";

/// How long an entry may wait for members that are slow: for the failure timeout, for the longest lease of a
/// run, and as long again, because one that has just been asked to join may be the next one to be slow.
pub const SLOW: Time = 2_500 * MS;

/// How long it may wait for members that only execute something (rule `AcknowledgedWhileBusy`): for disks and
/// links that are in order, and a few heartbeats.
pub const BUSY: Time = 1_000 * MS;

/// The entries that are not committed yet, and since when.
#[derive(Debug, Default)]
pub struct Tail(VecDeque<(u64, Time)>);

impl Tail {
    /// The log of the newest primary ends with `last`, and everything through `committed` is committed. No
    /// entry waits for longer than `bound`.
    pub fn look(&mut self, now: Time, committed: u64, last: u64, bound: Time) {
        let Self(waiting) = self;
        let next = waiting.back().map_or(committed, |(index, _)| *index) + 1;
        waiting.extend((next..=last).map(|index| (index, now)));
        waiting.retain(|(index, _)| (committed + 1..=last).contains(index));
        if let Some((index, since)) = waiting.front()
            && now - since > bound
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
        tail.look(0, 3, 4, SLOW);
        tail.look(SLOW, 3, 6, SLOW);
        assert_eq!(caught(|| tail.look(SLOW + 1, 3, 6, SLOW)), Some(CHECKER));
        let mut tail = Tail::default();
        tail.look(0, 3, 4, BUSY);
        assert_eq!(caught(|| tail.look(BUSY + 1, 3, 6, BUSY)), Some(CHECKER));
    }

    #[test]
    fn every_entry_has_its_own_time() {
        let mut tail = Tail::default();
        tail.look(0, 3, 4, SLOW);
        tail.look(SLOW, 3, 6, SLOW);
        tail.look(2 * SLOW, 4, 6, SLOW);
        // The tail of an old primary is cut.
        tail.look(2 * SLOW, 4, 4, SLOW);
        tail.look(2 * SLOW + 1, 4, 5, SLOW);
        tail.look(3 * SLOW, 4, 5, SLOW);
    }
}
