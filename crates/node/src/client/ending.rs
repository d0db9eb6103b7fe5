//! Connections that others end.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Whether a connection is to end, said by another one or by the node.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    is_told: AtomicBool,
    told: Notify,
}

impl Ending {
    /// The connection is to end, whatever it does.
    pub(crate) fn tell(&self) {
        self.is_told.store(true, Ordering::Release);
        self.told.notify_one();
    }

    pub(crate) fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Acquire)
    }

    /// Completes once it is told. For the connection itself, and nobody else.
    pub(crate) async fn told(&self) {
        while !self.is_told() {
            self.told.notified().await;
        }
    }
}
