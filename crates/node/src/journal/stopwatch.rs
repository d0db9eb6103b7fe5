//! How long something takes that another thread does.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Runs while something is being done.
#[derive(Debug)]
pub(super) struct Stopwatch {
    origin: Instant,
    /// When it was started, in microseconds since the origin; 0: it stands still.
    started: AtomicU64,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self { origin: Instant::now(), started: AtomicU64::new(0) }
    }
}

impl Stopwatch {
    pub(super) fn start(&self) {
        self.started.store(self.now().max(1), Ordering::Release);
    }

    pub(super) fn stop(&self) {
        self.started.store(0, Ordering::Release);
    }

    /// For how long it has been running, if it runs.
    pub(super) fn elapsed(&self) -> Option<Duration> {
        let started = self.started.load(Ordering::Acquire);
        (started > 0).then(|| Duration::from_micros(self.now().saturating_sub(started)))
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
