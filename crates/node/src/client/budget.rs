//! How much memory something may take for all clients together: unanswered commands, unread replies.
//!
//! What all share, a few could hold for ever: a client that sends the most of a large command and stops
//! there. So those who wait for room put out whoever holds the most of it and does not get on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::lock::lock;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Shares of up to this many bytes wait for nobody: there is always room for them.
const SMALL: usize = 16 * 1024;
/// A share that has not changed for so long may be taken away from its holder for those who wait.
const STALLED: Duration = Duration::from_secs(1);

/// Counts bytes, of the clients of all threads.
#[derive(Debug)]
pub(crate) struct Budget {
    max: usize,
    used: AtomicUsize,
    returned: Notify,
    next: AtomicU64,
    /// The shares that are not small.
    large: Mutex<BTreeMap<u64, Arc<Holding>>>,
}

/// A share that is not small.
#[derive(Debug)]
struct Holding {
    /// How many bytes, and since when.
    held: Mutex<(usize, Instant)>,
    put_out: Notify,
}

/// What one connection holds of the budget. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Share<'a> {
    budget: &'a Budget,
    id: u64,
    held: usize,
    /// While it is not small.
    holding: Option<Arc<Holding>>,
}

impl Budget {
    pub(crate) fn new(max: usize) -> Self {
        let (used, next) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self { max, used, returned: Notify::new(), next, large: Mutex::default() }
    }

    /// A share of nothing.
    pub(crate) fn share(&self) -> Share<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        Share { budget: self, id, held: 0, holding: None }
    }

    /// How many bytes all shares together should not exceed.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Whether more is held than there should be.
    pub(crate) fn is_overdrawn(&self) -> bool {
        self.used() > self.max
    }

    /// How many bytes are held.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Puts out the holder of the largest share that has not changed for a while.
    fn put_out_one(&self) {
        let large = lock(&self.large);
        let stalled = large.values().filter(|holding| lock(&holding.held).1.elapsed() >= STALLED);
        if let Some(holding) = stalled.max_by_key(|holding| lock(&holding.held).0) {
            holding.put_out.notify_one();
            // Another one only after another while, if this one does not go.
            lock(&holding.held).1 = Instant::now();
        }
    }
}

impl Share<'_> {
    /// Makes the share `bytes` large.
    pub(crate) fn resize(&mut self, bytes: usize) {
        if bytes == self.held {
            return;
        }
        if bytes > self.held {
            self.budget.used.fetch_add(bytes - self.held, Ordering::AcqRel);
        } else {
            let before = self.budget.used.fetch_sub(self.held - bytes, Ordering::AcqRel);
            // Only then does anybody wait.
            if before > self.budget.max {
                self.budget.returned.notify_waiters();
            }
        }
        self.held = bytes;
        match &self.holding {
            None if bytes <= SMALL => {}
            Some(_) if bytes <= SMALL => self.forget(),
            Some(holding) => {
                *lock(&holding.held) = (bytes, Instant::now());
            }
            None => {
                let held = Mutex::new((bytes, Instant::now()));
                let holding = Arc::new(Holding { held, put_out: Notify::new() });
                lock(&self.budget.large).insert(self.id, holding.clone());
                self.holding = Some(holding);
            }
        }
    }

    /// Whether it is so small that it need not wait for others.
    pub(crate) fn is_small(&self) -> bool {
        self.held <= SMALL
    }

    /// Waits until the budget is not overdrawn by others. `false` if this very share is what overdraws it, so
    /// that waiting would not help, or if others who wait put it out.
    pub(crate) async fn room(&self) -> bool {
        loop {
            let returned = self.budget.returned.notified();
            if self.is_small() || !self.budget.is_overdrawn() {
                return true;
            }
            // Whoever holds much without being complete must go: all could wait for each other otherwise.
            if self.held > self.budget.max / 16 {
                return false;
            }
            tokio::select! {
                () = returned => {}
                () = self.put_out() => return false,
                () = tokio::time::sleep(STALLED) => self.budget.put_out_one(),
            }
        }
    }

    /// Completes when others need what this share holds without getting on. Never while it is small.
    pub(crate) fn put_out(&self) -> impl Future<Output = ()> + use<> {
        let holding = self.holding.clone();
        async move {
            match holding {
                Some(holding) => holding.put_out.notified().await,
                None => std::future::pending().await,
            }
        }
    }

    fn forget(&mut self) {
        self.holding = None;
        lock(&self.budget.large).remove(&self.id);
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

    const KIB: usize = 1024;

    #[tokio::test]
    async fn shares_wait_for_large_ones_and_small_ones_for_nobody() {
        let budget = Budget::new(1_000 * KIB);
        let (mut large, mut middle, mut small) = (budget.share(), budget.share(), budget.share());
        large.resize(1_200 * KIB);
        middle.resize(20 * KIB);
        small.resize(5 * KIB);
        assert!(!large.room().await);
        assert!(small.room().await);
        let waited = tokio::join!(middle.room(), async { drop(large) });
        assert!(waited.0);
        assert_eq!(budget.used(), 25 * KIB);
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_wait_put_out_who_holds_the_most_and_does_not_get_on() {
        let budget = Budget::new(1_000 * KIB);
        let (mut large, mut larger, mut waiter) = (budget.share(), budget.share(), budget.share());
        large.resize(500 * KIB);
        larger.resize(600 * KIB);
        waiter.resize(20 * KIB);
        let holder = async {
            larger.put_out().await;
            drop(larger);
        };
        let (waited, ()) = tokio::join!(waiter.room(), holder);
        assert!(waited);
        assert_eq!(budget.used(), 520 * KIB);
    }
}
