//! What time it is, although clocks are wrong now and then.
//!
//! The time of entries decides what has expired, and never goes back. One wrong reading of a wall clock must
//! not lead it astray: an hour too much would end every lease at once, and keep every later one for an hour
//! too long. So two small clocks stand between the wall clock and the entries.
//!
//! [`SteadyClock`], one for each node, is what the node takes for the true time. It goes by the monotonic
//! clock, and drifts towards the wall clock by a tenth of its speed at most. A wall clock that is further
//! away than [`TOLERANCE`] has *jumped*. This is what the steady clock does when the wall clock
//!
//! - **has jumped**: goes on as before
//! - **still shows the same after [`PATIENCE`]**: believes it
//! - **is out of step, as the view service has found ([`ClockError`])**: is put right by as much, at once
//! - **is read for the first time after a start**: goes on from the last entry of the log, and takes the
//!   difference for a jump
//! - **is read for the first time, and there is no entry**: believes it, unless the view service says
//!   otherwise
//! - **has jumped, within three seconds of a first reading that nothing else supports**: believes it after as
//!   long as that was believed
//!
//! [`EntryTime`], one for each group, makes it monotonic. When it is ahead of the steady clock, because an
//! earlier primary was or because a clock that was believed has been put back, it goes at half the speed
//! until it is not any more. It does not stand still: then a key with a second to live would live for as long
//! as the clock was wrong. This way it lives for two.
//!
//! # What follows
//!
//! While the clocks of a majority agree and the view service can say so, entries are never more than twice
//! [`TOLERANCE`] ahead of the clocks of that majority. Without a majority (one or two nodes, or no view
//! service) a wrong clock is believed once it has been wrong for [`PATIENCE`]. So is that of a node without
//! any entry, until the view service has compared it. A node that was down for a while is behind by as much,
//! for [`PATIENCE`] after its start at most.

use std::time::Duration;

use onecopy_core::{Instant, Rule, Rules, Timestamp};
use onecopy_views::{ClockError, ClockReading};

/// A wall clock that is further from the steady clock has jumped.
pub const TOLERANCE: Duration = Duration::from_secs(1);
/// For how long a jump has to last before it is believed. The view service needs much less to contradict it.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// What only a first reading has said, for less than this, is given up after as long: a machine that starts
/// may have its clock put right a moment later.
const UNSETTLED: Duration = Duration::from_secs(3);
/// The steady clock approaches the wall clock by one part of so many of the time that passes.
const DRIFT: i128 = 10;

/// What a node takes for the true time. At first it was never read.
#[derive(Clone, Debug, Default)]
pub struct SteadyClock {
    /// When it was read last, and what it showed, in nanoseconds since 1970. `None` before it was read for
    /// the first time.
    last: Option<(Instant, i128)>,
    /// Whether it was read since the node has been started.
    is_read: bool,
    /// Since when wall clocks have shown this, if nothing else says so: neither a log nor the view service,
    /// nor a wall clock for long.
    unsupported_since: Option<Instant>,
    jump: Option<Jump>,
    /// What the view service has found about the wall clock.
    error: Option<ClockError>,
    rules: Rules,
}

/// A wall clock that has jumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jump {
    /// How far it is ahead of the steady clock, in milliseconds; negative if it is behind.
    pub ahead_ms: i64,
    since: Instant,
    set_ms: i64,
}

impl SteadyClock {
    /// Which rules hold (for those who want to see what happens without one).
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// A log was found at the start, and its last entry has this time: it is not much later, for all that is
    /// known for certain. A wall clock that says otherwise may have been wrong for as long as the process
    /// lives. A clock that has been read since knows better than a log.
    pub fn go_on_from(&mut self, now: Instant, last: Timestamp) {
        let shows = i128::from(last.0) * NANOS_PER_MS;
        if !self.is_read && self.last.map_or(0, |(_, shown)| shown) < shows {
            self.last = Some((now, shows));
        }
    }

    /// The view service has compared the wall clock with others; `None`: it agrees with them, or there is
    /// nobody to ask.
    pub fn told(&mut self, error: Option<ClockError>) {
        self.error = error;
    }

    /// The jump that is not believed, if there is one.
    #[must_use]
    pub fn jump(&self) -> Option<Jump> {
        self.jump
    }

    /// What time it is. It may be earlier than last time, if a wall clock that was set back is believed.
    pub fn read(&mut self, now: Instant, wall: Timestamp) -> Timestamp {
        let reading = ClockReading { wall, at: now };
        if !self.rules.hold(Rule::SteadyTime) {
            return wall;
        }
        let is_compared = self.error.filter(|error| error.is_about(reading));
        let ahead = is_compared.map_or(0, |error| i128::from(error.ahead_ms));
        let target = (i128::from(wall.0) - ahead) * NANOS_PER_MS;
        let shows = match self.last {
            None => {
                self.unsupported_since = Some(now);
                target
            }
            Some((at, shown)) => {
                let elapsed = i128::from(now.0.saturating_sub(at.0));
                self.approach(reading, is_compared.is_some(), (shown + elapsed, elapsed), target)
            }
        };
        (self.last, self.is_read) = (Some((now, shows)), true);
        Timestamp(u64::try_from(shows / NANOS_PER_MS).unwrap_or(0))
    }

    /// Where it goes from what the monotonic clock says.
    fn approach(
        &mut self,
        reading: ClockReading,
        is_compared: bool,
        (expected, elapsed): (i128, i128),
        target: i128,
    ) -> i128 {
        let off = target - expected;
        if off.abs() <= TOLERANCE.as_nanos().cast_signed() {
            self.jump = None;
            return expected + off.clamp(-elapsed / DRIFT, elapsed / DRIFT);
        }
        if is_compared {
            (self.jump, self.unsupported_since) = (None, None);
            return target;
        }
        let ahead_ms = i64::try_from(off / NANOS_PER_MS).unwrap_or(i64::MAX);
        let new = Jump { ahead_ms, since: reading.at, set_ms: reading.set_ms() };
        let jump = self.jump.filter(|jump| jump.set_ms.abs_diff(new.set_ms) <= millis(TOLERANCE));
        let jump = Jump { ahead_ms, ..jump.unwrap_or(new) };
        let was_believed = self.unsupported_since.map(|since| jump.since.since(since));
        let patience = was_believed.filter(|was| *was < UNSETTLED).unwrap_or(PATIENCE);
        if reading.at.since(jump.since) < patience {
            self.jump = Some(jump);
            return expected;
        }
        (self.jump, self.unsupported_since) = (None, Some(jump.since));
        target
    }
}

const NANOS_PER_MS: i128 = 1_000_000;

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The time of the next entry of a group: the steady clock, made monotonic.
#[derive(Clone, Copy, Debug, Default)]
pub struct EntryTime {
    /// An entry had this time, then. From there on it goes at half the speed at least.
    from: (Instant, Timestamp),
}

impl EntryTime {
    /// The time of an entry that is made now, where the steady clock shows `steady` and `applied` is the time
    /// of the last entry that was executed.
    pub fn read(&mut self, now: Instant, steady: Timestamp, applied: Timestamp) -> Timestamp {
        self.made(now, applied);
        steady.max(self.slow(now))
    }

    /// An entry has been made with this time, or executed.
    pub fn made(&mut self, now: Instant, time: Timestamp) {
        // Or what is lost by rounding would add up.
        if time > self.slow(now) {
            self.from = (now, time);
        }
    }

    fn slow(&self, now: Instant) -> Timestamp {
        let (since, time) = self.from;
        Timestamp(time.0 + millis(now.since(since) / 2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;
    const DAWN: u64 = 1_700_000_000_000;

    fn at(millis: u64) -> Instant {
        Instant(77_000_000_000) + Duration::from_millis(millis)
    }

    /// A steady clock that is read every 10 ms, with a wall clock that is wrong by as much as `error` says.
    #[derive(Default)]
    struct Node {
        steady: SteadyClock,
        entries: EntryTime,
        now: u64,
    }

    impl Node {
        /// Returns how far the steady clock and the time of entries are ahead at last.
        fn run(&mut self, millis: u64, error: i64) -> (i64, i64) {
            let end = self.now + millis;
            let mut ahead = (0, 0);
            while self.now < end {
                self.now += 10;
                ahead = self.read(error);
            }
            ahead
        }

        fn read(&mut self, error: i64) -> (i64, i64) {
            let truth = DAWN + self.now;
            let wall = Timestamp(truth.saturating_add_signed(error));
            let steady = self.steady.read(at(self.now), wall);
            let entry = self.entries.read(at(self.now), steady, Timestamp(0));
            self.entries.made(at(self.now), entry);
            let ahead = |time: Timestamp| time.0.cast_signed() - truth.cast_signed();
            (ahead(steady), ahead(entry))
        }

        /// The view service has found that the clock is wrong by as much, as it is set now.
        fn is_told(&mut self, error: i64) {
            let reading = ClockReading {
                wall: Timestamp((DAWN + self.now).saturating_add_signed(error)),
                at: at(self.now),
            };
            self.steady.told(Some(ClockError { set_ms: reading.set_ms(), ahead_ms: error }));
        }
    }

    #[test]
    fn a_clock_that_was_wrong_for_two_seconds_changes_nothing() {
        for error in [HOUR.cast_signed(), -HOUR.cast_signed(), 20_000, -20_000] {
            let mut node = Node::default();
            assert_eq!(node.run(3_000, 0), (0, 0));
            assert_eq!(node.run(2_000, error), (0, 0), "{error}");
            assert!(node.steady.jump().is_some_and(|jump| jump.ahead_ms == error), "it is known");
            assert_eq!(node.run(1_000, 0), (0, 0));
            assert_eq!(node.steady.jump(), None);
        }
    }

    #[test]
    fn small_differences_are_approached_slowly() {
        let mut node = Node::default();
        node.run(1_000, 0);
        assert_eq!(node.run(1_000, 900), (100, 100));
        assert_eq!(node.run(9_000, 900), (900, 900));
        assert_eq!(node.run(1_000, 0).0, 800);
        assert_eq!(node.run(9_000, 0), (0, 0));
    }

    #[test]
    fn a_jump_that_lasts_is_believed_and_not_before() {
        let error = HOUR.cast_signed();
        let mut node = Node::default();
        node.run(20_000, 0);
        assert_eq!(node.run(10_000, error), (0, 0));
        assert_eq!(node.run(20, error), (error, error));
        // The clock is put right: what has been believed for long is not given up for one reading either.
        assert_eq!(node.run(10_000, 0), (error, error));
        let (steady, entries) = node.run(10_020, 0);
        assert_eq!(steady, 0);
        assert!((error - 5_030..error - 4_980).contains(&entries), "at half the speed: {entries}");
        assert_eq!(node.run(2 * HOUR, 0), (0, 0));
    }

    /// Once such a node became a primary, and made entries that were hours ahead.
    #[test]
    fn a_clock_that_is_put_right_soon_after_the_start_is_believed_soon() {
        let error = HOUR.cast_signed();
        let mut node = Node::default();
        assert_eq!(node.run(400, error).0, error, "nobody knows better");
        assert_eq!(node.run(390, 0).0, error);
        assert_eq!(node.run(30, 0).0, 0);
        let mut node = Node::default();
        node.steady.go_on_from(at(0), Timestamp(DAWN));
        assert_eq!(node.run(9_000, error).0, 0, "a log says something else");
    }

    #[test]
    fn a_clock_that_jumps_to_and_fro_is_never_believed() {
        let mut node = Node::default();
        node.run(20_000, 0);
        for _ in 0..20 {
            assert_eq!(node.run(3_000, 7_000), (0, 0));
            assert_eq!(node.run(3_000, -50_000), (0, 0));
        }
    }

    #[test]
    fn what_the_view_service_has_found_is_believed_at_once() {
        let error = HOUR.cast_signed();
        let mut node = Node::default();
        assert_eq!(node.run(100, error).0, error, "nobody has said anything yet");
        node.is_told(error);
        assert_eq!(node.run(10, error).0, 0);
        assert_eq!(node.run(60_000, error).0, 0);
        // The clock is set right: what was said is about a clock that was set otherwise.
        assert_eq!(node.run(5_000, 0).0, 0);
        node.steady.told(None);
        assert_eq!(node.run(60_000, 0).0, 0);
    }

    #[test]
    fn a_process_that_starts_with_a_wrong_clock_goes_on_from_its_log() {
        let error = HOUR.cast_signed();
        for down in [0, 200, 5_000] {
            let mut node = Node::default();
            node.steady.go_on_from(at(0), Timestamp(DAWN - down));
            let behind = -down.cast_signed();
            assert_eq!(node.run(5_000, error), (behind, behind), "nobody has said anything yet");
            let (steady, _) = node.run(10, 0);
            assert!((behind..=0).contains(&steady));
            assert_eq!(node.run(10_010, 0).0, 0, "what has been down for a while is behind for a while");
        }
        let mut node = Node::default();
        node.steady.go_on_from(at(0), Timestamp(0));
        assert_eq!(node.run(10, 700).0, 700, "there is nothing to go on from");
    }

    #[test]
    fn a_clock_that_was_read_before_there_was_a_log_is_not_forgotten_with_the_first() {
        let error = HOUR.cast_signed();
        let mut node = Node::default();
        assert_eq!(node.run(3_000, 0), (0, 0));
        node.steady.go_on_from(at(3_000), Timestamp(0));
        assert_eq!(node.run(2_000, error), (0, 0));
        node.steady.go_on_from(at(5_000), Timestamp(DAWN + HOUR));
        assert_eq!(node.run(2_000, 0), (0, 0));
    }

    #[test]
    fn entries_go_on_where_another_primary_has_left_them_and_slowly() {
        let mut entries = EntryTime::default();
        let (steady, applied) = (Timestamp(DAWN), Timestamp(DAWN + 4_000));
        assert_eq!(entries.read(at(0), steady, applied), applied);
        assert_eq!(entries.read(at(1_000), Timestamp(DAWN + 1_000), applied), Timestamp(DAWN + 4_500));
        assert_eq!(entries.read(at(9_000), Timestamp(DAWN + 9_000), applied), Timestamp(DAWN + 9_000));
    }
}
