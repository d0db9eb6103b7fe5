//! Time goes on as it should, whatever a few clocks show: no entry is much later than the true time, so that
//! nothing ends before it should. (That nothing lives for too long is [`super::expiry`]'s business.) Owed as
//! long as a majority of the clocks is right, of all nodes and of those that run, none is wrong for so long
//! that it is believed, and nobody starts with a wrong one while nobody is there to compare it
//! (`onecopy_host::clock`).

use onecopy_core::Timestamp;

use crate::clock::{MS, SECOND, Time, truth};
use crate::node::Node;
use crate::trace::violated;

const CHECKER: &str = "clocks";

/// How much later than the true time an entry may be, in milliseconds: twice the tolerance, and what clocks
/// that count as right are wrong.
const BOUND_MS: u64 = 2_500;
/// A clock that is wrong by more than this is wrong.
const WRONG_MS: u64 = 400;
/// A clock that is wrong for so long may be believed.
const BELIEVED: Time = 8 * SECOND;
/// A clock that is further off is known by its first ping.
const DOUBTFUL_MS: u64 = 10_500;
/// For how long a process must have run to be able to compare the clocks of others.
const ACQUAINTED: Time = 3 * SECOND;

/// Whether anything is owed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clocks {
    /// Clocks were so wrong that nobody can keep the time any more.
    pub is_off: bool,
}

impl Clocks {
    /// A clock was set, a process was started, or nodes stopped hearing each other.
    pub fn look(&mut self, now: Time, nodes: &[Node], is_cut: bool) {
        let wrong = |node: &&Node| node.clock.error_ms(now).unsigned_abs() > WRONG_MS;
        let count = nodes.iter().filter(wrong).count();
        let is_known = |node: &Node| {
            node.process.is_some() && node.started + ACQUAINTED <= now && node.paused_until <= now
        };
        let witnesses = nodes.iter().filter(|node| !wrong(node) && is_known(node)).count();
        // Who has just been started is compared with the others at once only if they are heard, and it is far
        // off.
        let is_strange = |node: &&Node| {
            let is_doubtful = is_cut || node.clock.error_ms(now).unsigned_abs() < DOUBTFUL_MS;
            wrong(node) && !is_known(node) && (is_doubtful || 2 * witnesses <= nodes.len())
        };
        self.is_off |= 2 * count >= nodes.len() || nodes.iter().any(|node| is_strange(&node));
    }

    /// An entry was committed.
    pub fn committed(&mut self, now: Time, nodes: &[Node], time: Timestamp) {
        // Time alone makes a wrong clock one that may be believed, and who is down tells nobody the time.
        self.is_off |= nodes.iter().any(|node| node.clock.was_wrong_for(now) > BELIEVED);
        let running = || nodes.iter().filter(|node| node.process.is_some());
        let wrong = running().filter(|node| node.clock.error_ms(now).unsigned_abs() > WRONG_MS).count();
        self.is_off |= wrong > 0 && 2 * wrong >= running().count();
        let truth = truth(now);
        if !self.is_off && time.0 > truth.0 + BOUND_MS {
            violated(
                CHECKER,
                format!("an entry is {} ms ahead of the true time, at {} ms", time.0 - truth.0, now / MS),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn an_entry_that_is_too_late_is_caught() {
        let mut clocks = Clocks::default();
        let time = Timestamp(truth(SECOND).0 + BOUND_MS);
        assert_eq!(caught(|| clocks.committed(SECOND, &[], time)), None);
        assert_eq!(caught(|| clocks.committed(SECOND - MS, &[], time)), Some(CHECKER));
        clocks.is_off = true;
        assert_eq!(caught(|| clocks.committed(SECOND - MS, &[], time)), None);
    }
}
