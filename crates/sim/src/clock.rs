//! Time: the true time of the simulation, which nobody in it can see, and the clocks of the nodes, which
//! drift.

use std::time::Duration;

use onecopy_core::{Instant, Timestamp};

/// True time, in nanoseconds since the beginning of the run.
pub type Time = u64;

/// One millisecond of true time.
pub const MS: Time = 1_000_000;
/// One second of true time.
pub const SECOND: Time = 1_000 * MS;

/// What a wall clock that is right shows at the beginning, in milliseconds.
const DAWN_MS: i64 = 1_700_000_000_000;
const MILLION: i128 = 1_000_000;

/// The clocks of one machine. They survive the crash of a process.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// What the monotonic clock showed at the beginning.
    origin: Time,
    /// How many millionths it is too fast.
    drift_ppm: i128,
    /// What the wall clock showed at the beginning, in milliseconds. Set anew when somebody sets the clock.
    wall_origin_ms: i64,
    /// Since when it has been wrong, by what somebody has set, and for how long it was at the most before.
    wrong: Option<Time>,
    wrong_for: Time,
}

impl Clock {
    /// A clock with this drift. `origin` is what it shows at the beginning.
    #[must_use]
    pub fn new(origin: Time, drift_ppm: i64) -> Self {
        Self { origin, drift_ppm: i128::from(drift_ppm), wall_origin_ms: DAWN_MS, wrong: None, wrong_for: 0 }
    }

    /// What the monotonic clock shows at `time`.
    #[must_use]
    pub fn instant(&self, time: Time) -> Instant {
        let elapsed = i128::from(time) * (MILLION + self.drift_ppm) / MILLION;
        Instant(self.origin + elapsed as u64)
    }

    /// The earliest true time at which the monotonic clock shows `instant`.
    #[must_use]
    pub fn time_of(&self, instant: Instant) -> Time {
        let elapsed = i128::from(instant.0.saturating_sub(self.origin));
        // Rounded up, and one more for the rounding of `instant`.
        (elapsed * MILLION / (MILLION + self.drift_ppm)) as u64 + 2
    }

    /// What the wall clock shows at `time`.
    #[must_use]
    pub fn wall(&self, time: Time) -> Timestamp {
        let elapsed = i64::try_from(self.instant(time).since(Instant(self.origin)).as_millis()).unwrap_or(0);
        Timestamp((self.wall_origin_ms + elapsed).max(0).cast_unsigned())
    }

    /// Somebody sets the wall clock forward or back.
    pub fn set_wall(&mut self, now: Time, by_ms: i64) {
        self.wrong_for = self.was_wrong_for(now);
        self.wall_origin_ms += by_ms;
        self.wrong = (self.wall_origin_ms != DAWN_MS).then(|| self.wrong.unwrap_or(now));
    }

    /// Somebody sets the wall clock right.
    pub fn set_right(&mut self, now: Time) {
        self.set_wall(now, DAWN_MS - self.wall_origin_ms);
    }

    /// How far the wall clock is ahead of the true time, in milliseconds.
    #[must_use]
    pub fn error_ms(&self, now: Time) -> i64 {
        self.wall(now).0.cast_signed() - truth(now).0.cast_signed()
    }

    /// Whether somebody has set the wall clock wrong.
    #[must_use]
    pub fn is_wrong(&self) -> bool {
        self.wrong.is_some()
    }

    /// For how long the wall clock was wrong without a break, at the most.
    #[must_use]
    pub fn was_wrong_for(&self, now: Time) -> Time {
        self.wrong.map_or(0, |since| now - since).max(self.wrong_for)
    }
}

/// What a wall clock that is right shows.
#[must_use]
pub fn truth(now: Time) -> Timestamp {
    Timestamp(DAWN_MS.cast_unsigned() + now / MS)
}

/// A duration as true time.
#[must_use]
pub fn time(duration: Duration) -> Time {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_has_come_when_its_time_has() {
        for drift in [-500, 0, 1, 333, 500] {
            let clock = Clock::new(77 * SECOND, drift);
            for deadline in [1, 999, 50 * MS, 50 * MS + 1, 3 * SECOND, 100 * SECOND + 7] {
                let deadline = Instant(77 * SECOND + deadline);
                assert!(clock.instant(clock.time_of(deadline)) >= deadline, "{drift} ppm, {deadline}");
            }
        }
    }
}
