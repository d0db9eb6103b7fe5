//! The clocks of the node.

use std::time::{SystemTime, UNIX_EPOCH};

use onecopy_core::{Instant, Timestamp};

/// Tells both times. Copies of a clock agree with each other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub(crate) fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    /// The wall clock. It may be set back.
    #[expect(clippy::unused_self, reason = "both times come from the same place")]
    pub(crate) fn wall(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    /// The time since the clock was started. It never goes back.
    pub(crate) fn now(&self) -> Instant {
        Instant(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
