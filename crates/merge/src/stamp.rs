//! Hybrid logical clocks (Kulkarni et al., *Logical Physical Clocks*, OPODIS 2014, algorithm in figure 5),
//! with a bound.
//!
//! A stamp decides between overwrites that did not know of each other, and between nothing else: who has seen
//! a value and overwrites it removes its dot, whatever the stamps say (rule O7). So a stamp that is years
//! ahead shows until the next write that has seen it, and no longer.
//!
//! The original takes over whatever it hears. One wrong clock would then drive all others into the future,
//! and nothing would bring them back. Here a stamp that lies more than [`AHEAD_MAX_MS`] before the own wall
//! clock is not taken over, not even an own one of the time when the own clock was wrong; it is reported.

use onecopy_core::Timestamp;
use serde::{Deserialize, Serialize};

use crate::dot::ReplicaId;
use onecopy_core::{Rule, Rules};

/// A stamp that lies further than this ahead of the wall clock is not taken over: one minute.
pub const AHEAD_MAX_MS: u64 = 60_000;
/// No stamp is later: the year 10889. What is comes from no clock.
pub const WALL_MAX_MS: u64 = 1 << 48;

/// When an update was made, as its maker saw it. Ordered by time, then by maker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch.
    pub wall_ms: u64,
    /// Counts what happened in one millisecond.
    pub logical: u32,
    /// Who made it: no two replicas give the same stamp.
    pub replica: ReplicaId,
}

/// What a replica knows of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct HybridClock {
    wall_ms: u64,
    logical: u32,
}

impl HybridClock {
    /// Forgets what lies too far ahead of `now`, the reading of the own wall clock.
    fn bound(&mut self, now: Timestamp, rules: Rules) {
        if self.wall_ms > now.0.saturating_add(AHEAD_MAX_MS) && rules.hold(Rule::ClocksAreHints) {
            *self = Self::default();
        }
    }

    /// The stamp of an update that is made now.
    pub fn stamp(&mut self, now: Timestamp, replica: ReplicaId, rules: Rules) -> Stamp {
        self.bound(now, rules);
        let now = now.0.min(WALL_MAX_MS);
        if now > self.wall_ms {
            *self = Self { wall_ms: now, logical: 0 };
        } else {
            self.logical = self.logical.saturating_add(1);
        }
        Stamp { wall_ms: self.wall_ms, logical: self.logical, replica }
    }

    /// Takes over the stamp of somebody else's update, if it is not too far ahead; how many milliseconds it
    /// is ahead of the own wall clock, if it is.
    pub fn observe(&mut self, now: Timestamp, stamp: Stamp, rules: Rules) -> Option<u64> {
        let ahead = stamp.wall_ms.saturating_sub(now.0);
        if ahead > AHEAD_MAX_MS && rules.hold(Rule::ClocksAreHints) {
            return Some(ahead);
        }
        if (stamp.wall_ms, stamp.logical) > (self.wall_ms, self.logical) {
            *self = Self { wall_ms: stamp.wall_ms, logical: stamp.logical };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: ReplicaId = ReplicaId(1);

    #[test]
    fn stamps_follow_what_was_heard_within_the_bound() {
        let (mut clock, rules) = (HybridClock::default(), Rules::default());
        let first = clock.stamp(Timestamp(1_000), ME, rules);
        let heard = Stamp { wall_ms: 1_500, logical: 4, replica: ReplicaId(2) };
        assert_eq!(clock.observe(Timestamp(1_000), heard, rules), None);
        let second = clock.stamp(Timestamp(1_001), ME, rules);
        assert!(first < heard && heard < second);
        let far = Stamp { wall_ms: 1_001 + AHEAD_MAX_MS + 1, logical: 0, replica: ReplicaId(2) };
        assert_eq!(clock.observe(Timestamp(1_001), far, rules), Some(AHEAD_MAX_MS + 1));
        assert!(clock.stamp(Timestamp(1_002), ME, rules) < far);
    }

    #[test]
    fn a_clock_that_was_wrong_and_was_put_right_is_right() {
        let (mut clock, rules) = (HybridClock::default(), Rules::default());
        let year = 31_536_000_000;
        clock.stamp(Timestamp(year), ME, rules);
        assert_eq!(clock.stamp(Timestamp(5_000), ME, rules).wall_ms, 5_000);
    }
}
