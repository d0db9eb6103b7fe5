//! What a coordinator is told.

use std::time::Duration;

/// A batch is closed when it has grown to this many bytes: it has at most as many, and one segment.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The settings of the coordinators of one node.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorConfig {
    /// How long a request is tried.
    pub request_timeout: Duration,
    /// A batch is closed when it has grown to this many bytes.
    pub batch_bytes_max: usize,
    /// Large bodies take time, at both ends and in between: so many bytes get a millisecond more of
    /// everything. At least 1.
    pub bytes_per_ms: usize,
}

impl CoordinatorConfig {
    /// The defaults.
    #[must_use]
    pub fn new(request_timeout: Duration) -> Self {
        Self { request_timeout, batch_bytes_max: BATCH_BYTES_MAX, bytes_per_ms: 16 * 1024 }
    }

    /// Of batches of so many bytes, one at a time is on its way. It is more than a batch has that many
    /// requests share.
    pub(super) fn large(&self) -> usize {
        2 * self.batch_bytes_max
    }

    /// How much more time so many bytes get.
    pub(super) fn time_for(&self, bytes: usize) -> Duration {
        Duration::from_millis((bytes / self.bytes_per_ms.max(1)) as u64)
    }
}
