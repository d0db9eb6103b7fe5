//! `CLIENT PAUSE`: the clients of this node are not served for a while.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lock::lock;

/// Whether clients are paused.
#[derive(Debug, Default)]
pub(crate) struct Pause {
    /// Whether somebody has to look.
    is_on: AtomicBool,
    paused: Mutex<Option<Paused>>,
    changed: Notify,
    /// How many clients wait for its end.
    waiting: AtomicUsize,
}

/// A client that waits, as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug)]
struct Paused {
    until: Instant,
    /// Those who only read are served.
    writes_only: bool,
}

impl Pause {
    /// Pauses all commands, or those that may change something. A pause that is there is made longer and
    /// never shorter, and stays one of all commands.
    pub(crate) fn begin(&self, length: Duration, writes_only: bool) {
        // A century is long enough for everybody.
        let until = Instant::now() + length.min(Duration::from_secs(100 * 365 * 86_400));
        let mut paused = lock(&self.paused);
        let running = paused.filter(|paused| paused.until > Instant::now());
        *paused = Some(match running {
            Some(known) => {
                Paused { until: known.until.max(until), writes_only: known.writes_only && writes_only }
            }
            None => Paused { until, writes_only },
        });
        self.is_on.store(true, Ordering::Release);
    }

    /// Ends it.
    pub(crate) fn end(&self) {
        *lock(&self.paused) = None;
        self.is_on.store(false, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Whether somebody may have to wait.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// How many clients wait for its end.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until a command may be executed that `writes`, or only reads.
    pub(crate) async fn pass(&self, writes: bool) {
        while self.is_on() {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let Some(paused) = *lock(&self.paused) else { return };
            if paused.writes_only && !writes {
                return;
            }
            let _waiting = Waiting::new(&self.waiting);
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(paused.until) => self.expire(),
            }
        }
    }

    fn expire(&self) {
        let mut paused = lock(&self.paused);
        if paused.is_some_and(|paused| paused.until <= Instant::now()) {
            *paused = None;
            self.is_on.store(false, Ordering::Release);
            self.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_by_itself_or_when_somebody_says_so() {
        let pause = Pause::default();
        let started = Instant::now();
        pause.pass(true).await;
        pause.begin(Duration::from_secs(5), true);
        pause.pass(false).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        pause.pass(true).await;
        assert_eq!(started.elapsed().as_secs(), 5);
        pause.begin(Duration::from_secs(5), true);
        pause.begin(Duration::from_secs(1), false);
        pause.pass(false).await;
        assert_eq!(started.elapsed().as_secs(), 10, "it is for all, and as long as before");
        pause.begin(Duration::from_secs(500), false);
        tokio::join!(pause.pass(true), async {
            assert_eq!(pause.waiting(), 1);
            pause.end();
        });
        assert_eq!(pause.waiting(), 0);
        assert_eq!(started.elapsed().as_secs(), 10);
    }
}
