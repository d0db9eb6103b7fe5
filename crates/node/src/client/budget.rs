//! How much memory something may take for all clients together: unanswered commands, unread replies.

use std::cell::Cell;

use tokio::sync::Notify;

/// Counts bytes. Belongs to one thread.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: Cell<usize>,
    returned: Notify,
}

/// What one connection holds of the budget. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    held: usize,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        Self { max, used: Cell::new(0), returned: Notify::new() }
    }

    /// A share of nothing.
    pub(crate) fn share(&self) -> Share<'_> {
        Share { budget: self, held: 0 }
    }

    /// Whether more is held than there should be.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.used.get() > self.max
    }

    /// How many bytes are held.
    pub(crate) fn used(&self) -> usize {
        self.used.get()
    }
}

impl Share<'_> {
    /// Makes the share `bytes` large.
    pub(crate) fn resize(&mut self, bytes: usize) {
        self.budget.used.set(self.budget.used.get() - self.held + bytes);
        if bytes < self.held {
            self.budget.returned.notify_waiters();
        }
        self.held = bytes;
    }

    /// Waits until the budget is not overdrawn by others. `false` if this very share is what overdraws it: waiting
    /// would not help.
    pub(crate) async fn room(&self) -> bool {
        loop {
            let returned = self.budget.returned.notified();
            if !self.budget.is_overdrawn() {
                return true;
            }
            // Whoever holds much without being complete must go: all could wait for each other otherwise.
            if self.held > self.budget.max / 16 {
                return false;
            }
            returned.await;
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn small_shares_wait_for_large_ones() {
        let budget = Budget::new(100);
        let mut large = budget.share();
        let mut small = budget.share();
        large.resize(120);
        small.resize(5);
        assert!(!large.room().await);
        let waited = tokio::join!(small.room(), async { drop(large) });
        assert!(waited.0);
        assert_eq!(budget.used(), 5);
    }
}
