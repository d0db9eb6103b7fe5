//! Whether this replica has been running: one that stood still heard nobody, and that is nobody's fault.

use onecopy_core::Instant;

use crate::config::Config;

/// Since when a replica has not stood still.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Awake {
    ticked: Instant,
    since: Instant,
}

impl Awake {
    pub(crate) fn new(now: Instant) -> Self {
        Self { ticked: now, since: now }
    }

    /// One heartbeat interval has passed; if it was much longer, the replica was not running: what others
    /// have said meanwhile may lie in front of its door.
    pub(crate) fn tick(&mut self, config: &Config, now: Instant) {
        let before = std::mem::replace(&mut self.ticked, now);
        if now.since(before) > config.heartbeat_interval + config.failure_timeout / 4 {
            self.since = now;
        }
    }

    /// It was running all the time, although nobody has said so for a while.
    pub(crate) fn was(&mut self, now: Instant) {
        self.ticked = now;
    }

    /// The later of `moment` and when it began to run.
    pub(crate) fn at_least(&self, moment: Instant) -> Instant {
        self.since.max(moment)
    }
}
