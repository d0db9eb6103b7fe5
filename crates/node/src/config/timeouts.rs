//! How long things may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long things may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timeouts {
    /// How often a node tells the view service that it is alive.
    pub ping_ms: u64,
    /// How often a primary tells its backups that it is alive.
    pub heartbeat_ms: u64,
    /// After how much silence a node counts as failed.
    pub failure_ms: u64,
    /// The same for a node that refuses connections: nobody listens there, so less silence is needed.
    pub refused_ms: u64,
    /// How long a lease lasts. An heir waits until what it promised to the primary before has run out.
    pub lease_ms: u64,
    /// How long a request waits for a primary before it is answered with an error.
    pub request_ms: u64,
    /// The least time without a leader after which the view service elects another; the most is twice as
    /// much.
    pub election_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            ping_ms: 50,
            heartbeat_ms: 50,
            failure_ms: 400,
            refused_ms: 100,
            lease_ms: 120,
            request_ms: 5_000,
            election_ms: 120,
        }
    }
}

impl Timeouts {
    pub(crate) fn ping(&self) -> Duration {
        Duration::from_millis(self.ping_ms)
    }

    pub(crate) fn heartbeat(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    pub(crate) fn failure(&self) -> Duration {
        Duration::from_millis(self.failure_ms)
    }

    pub(crate) fn refused(&self) -> Duration {
        Duration::from_millis(self.refused_ms)
    }

    pub(crate) fn lease(&self) -> Duration {
        Duration::from_millis(self.lease_ms)
    }

    pub(crate) fn request(&self) -> Duration {
        Duration::from_millis(self.request_ms)
    }

    pub(crate) fn election(&self) -> Duration {
        Duration::from_millis(self.election_ms)
    }
}
