//! The clocks of the node.

use std::time::{SystemTime, UNIX_EPOCH};

use onecopy_core::{Instant, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// Tells both times. Copies of a clock agree with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: u64,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { origin: boot_nanos() }
    }

    /// The wall clock. It may be set back.
    #[expect(clippy::unused_self, reason = "both times come from the same place")]
    pub(crate) fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time since the clock was started. It never goes back, and goes on while the machine is suspended:
    /// a lease must not be longer for whoever slept.
    pub(crate) fn now(&self) -> Instant {
        Instant(boot_nanos().saturating_sub(self.origin))
    }
}

/// Since the machine was started, with the time in which it was suspended.
fn boot_nanos() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn time_passes() {
        let clock = Clock::start();
        let before = clock.now();
        std::thread::sleep(Duration::from_millis(20));
        let passed = clock.now().since(before);
        assert!((Duration::from_millis(20)..Duration::from_secs(5)).contains(&passed), "{passed:?}");
    }
}
