//! What a coordinator is told.

use std::time::Duration;

/// A batch is closed when it has grown to this many bytes: it has at most as many, and one segment.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Batches of so many bytes travel in parts. More than a batch has that many requests share.
pub const LARGE_BYTES: usize = 2 * BATCH_BYTES_MAX;

/// A part of a large batch has so many bytes.
pub const PART_BYTES: usize = 1024 * 1024;

/// The settings of the coordinators of one node.
#[derive(Clone, Copy, Debug)]
pub struct CoordinatorConfig {
    /// How long a request is tried.
    pub request_timeout: Duration,
    /// A batch is closed when it has grown to this many bytes.
    pub batch_bytes_max: usize,
    /// Batches of writes with so many bytes travel in parts.
    pub large_bytes: usize,
    /// A part has so many bytes. At least 1.
    pub part_bytes: usize,
    /// Large bodies take time, at both ends and in between: so many bytes get a millisecond more of
    /// everything. At least 1.
    pub bytes_per_ms: usize,
}

impl CoordinatorConfig {
    /// The defaults.
    #[must_use]
    pub fn new(request_timeout: Duration) -> Self {
        Self {
            request_timeout,
            batch_bytes_max: BATCH_BYTES_MAX,
            large_bytes: LARGE_BYTES,
            part_bytes: PART_BYTES,
            bytes_per_ms: 16 * 1024,
        }
    }

    /// How much more time so many bytes get.
    pub(super) fn time_for(&self, bytes: usize) -> Duration {
        Duration::from_millis((bytes / self.bytes_per_ms.max(1)) as u64)
    }
}
