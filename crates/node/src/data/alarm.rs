//! When a data thread has its next turn although nothing happens.
//!
//! A timer of the runtime that is set to an earlier time than any other makes the runtime wake itself: a
//! system call, and another one that finds nothing. Deadlines move with every entry, nearly always to later
//! times. So the timer is left as it is as long as it rings in time, and is set again once it has rung too
//! early: a few dozen times a second, and not for every entry.

use std::pin::Pin;
use std::time::Duration;

use onecopy_core::Instant;
use tokio::time::Sleep;

/// Rings at a deadline at the latest. May ring before.
#[derive(Debug)]
pub(super) struct Alarm {
    timer: Pin<Box<Sleep>>,
    /// For when the timer is set, until it has rung.
    set: Option<Instant>,
}

impl Alarm {
    /// One that is not set.
    pub(super) fn new() -> Self {
        Self { timer: Box::pin(tokio::time::sleep(Duration::ZERO)), set: None }
    }

    /// Completes when something is due, or before. It may be dropped and called again. A timer takes a
    /// millisecond at least: what is due already lets only those go first who can go at once.
    pub(super) async fn rings(&mut self, now: Instant, due: Option<Instant>) {
        let Some(due) = due else { return std::future::pending().await };
        if due <= now {
            return tokio::task::yield_now().await;
        }
        if self.must_be_set(now, due) {
            self.timer.as_mut().reset(tokio::time::Instant::now() + due.since(now));
            self.set = Some(due);
        }
        self.timer.as_mut().await;
        self.set = None;
    }

    /// Whether the timer would ring too late. One that should have rung before `now` counts by another
    /// clock: that of timers stands still while the machine is suspended.
    fn must_be_set(&self, now: Instant, due: Instant) -> bool {
        self.set.is_none_or(|set| set > due || set <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant(1_000_000_000);

    fn after(millis: u64) -> Instant {
        START + Duration::from_millis(millis)
    }

    /// Polls once, as a turn does that something else ends.
    async fn glance(alarm: &mut Alarm, now: Instant, due: Instant) -> bool {
        tokio::select! {
            biased;
            () = alarm.rings(now, Some(due)) => true,
            () = std::future::ready(()) => false,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_moves_away_leaves_the_timer_alone() {
        let mut alarm = Alarm::new();
        for turn in 0..10 {
            assert!(!glance(&mut alarm, after(turn), after(20 + turn)).await);
            assert_eq!(alarm.set, Some(after(20)), "it rings early, and is set again then");
        }
        tokio::time::advance(Duration::from_millis(21)).await;
        assert!(glance(&mut alarm, after(11), after(30)).await, "it rings");
        assert!(!glance(&mut alarm, after(21), after(40)).await, "and has to be set again");
        assert_eq!(alarm.set, Some(after(40)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_comes_closer_is_kept() {
        let mut alarm = Alarm::new();
        assert!(!glance(&mut alarm, START, after(1000)).await);
        assert!(!glance(&mut alarm, START, after(5)).await);
        tokio::time::advance(Duration::from_millis(6)).await;
        assert!(glance(&mut alarm, START, after(5)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_waits_for_no_timer() {
        let mut alarm = Alarm::new();
        let before = tokio::time::Instant::now();
        alarm.rings(after(10), Some(after(10))).await;
        alarm.rings(after(10), Some(START)).await;
        assert_eq!(before, tokio::time::Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_stood_still_is_set_again() {
        let mut alarm = Alarm::new();
        assert!(!glance(&mut alarm, START, after(1000)).await);
        // The machine was suspended for an hour.
        let hour = 3_600_000;
        assert!(!glance(&mut alarm, after(hour), after(hour + 5)).await);
        tokio::time::advance(Duration::from_millis(6)).await;
        assert!(glance(&mut alarm, after(hour), after(hour + 5)).await);
    }
}
