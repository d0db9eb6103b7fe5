//! What a leader knows of one follower, and what it may send next (flow control).
//!
//! ```text
//!            agrees                      lost, or disagrees
//!   Probe ───────────▶ Replicate ───────────────────────────▶ Probe
//!     │                    │
//!     └── the log does not reach back far enough ──▶ Snapshot ── installed ──▶ Replicate
//! ```

use std::collections::VecDeque;

use onecopy_core::{Entry, EntryId, Index, Instant, Log};

use crate::config::Config;
use crate::patience::RoundTrip;
use crate::sending::Sending;

/// What a leader knows of one follower.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Progress {
    /// The follower's log agrees and is durable through here (`matchIndex`; Raft paper, Figure 2).
    pub matched: Index,
    /// The next entry to send (`nextIndex`). A guess while probing.
    pub next: Index,
    /// How entries are sent.
    pub pace: Pace,
    /// When the follower last answered.
    pub heard: Instant,
    /// The last heartbeat round that the follower answered.
    pub round: u64,
    /// When the last heartbeat that the follower answered was sent.
    pub followed: Option<Instant>,
    /// How long heartbeats and their answers take; at first, how long the pre-votes took.
    pub round_trip: RoundTrip,
}

/// How entries are sent to a follower.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Pace {
    /// One append at a time, until the follower's log is known to agree before `next`.
    Probe {
        /// One is on its way. A lost one is made up for after the next answered heartbeat.
        waiting: bool,
    },
    /// Optimistically, many appends at once.
    Replicate {
        /// The last index of each append on its way.
        inflight: VecDeque<Index>,
    },
    /// No entries: the follower gets a snapshot.
    Snapshot(Sending),
}

impl Progress {
    pub fn new(next: Index, now: Instant, round_trip: RoundTrip) -> Self {
        Self {
            matched: Index(0),
            next,
            pace: Pace::Probe { waiting: false },
            heard: now,
            round: 0,
            followed: None,
            round_trip,
        }
    }

    /// The next append to send, if the pace allows one: the entry before, and the entries. Panics if the log
    /// does not reach back far enough.
    pub fn take(&mut self, log: &Log, config: &Config) -> Option<(EntryId, Vec<Entry>)> {
        let after = self.next.previous();
        match &mut self.pace {
            Pace::Probe { waiting: true } | Pace::Snapshot(_) => return None,
            Pace::Replicate { inflight } if inflight.len() >= config.inflight_max => return None,
            Pace::Replicate { .. } if self.next > log.last().index => return None,
            Pace::Probe { waiting } => *waiting = true,
            Pace::Replicate { .. } => {}
        }
        let Some(epoch) = log.epoch_at(after) else {
            panic!("raft: appends begin after {after}, but the log begins after {}", log.base())
        };
        let entries = log.after(after, config.append_bytes_max);
        if let Pace::Replicate { inflight } = &mut self.pace {
            let last = after.plus(entries.len() as u64);
            inflight.push_back(last);
            self.next = last.next();
        }
        Some((EntryId { index: after, epoch }, entries))
    }

    /// What the follower was sent and has not lost as far as is known; 0 while it is not known to agree.
    pub fn sent(&self) -> Index {
        match self.pace {
            Pace::Replicate { .. } => self.next.previous(),
            Pace::Probe { .. } | Pace::Snapshot(_) => Index(0),
        }
    }

    /// The follower's log agrees and is durable through `through`; `base` is the base of the own log.
    pub fn acknowledge(&mut self, through: Index, base: Index) {
        let proves_next = through >= self.next.previous();
        self.matched = self.matched.max(through);
        self.next = self.next.max(self.matched.next());
        match &mut self.pace {
            Pace::Probe { .. } if proves_next => self.pace = Pace::Replicate { inflight: VecDeque::new() },
            Pace::Probe { .. } => {}
            Pace::Replicate { inflight } => {
                while inflight.front().is_some_and(|last| *last <= through) {
                    inflight.pop_front();
                }
            }
            Pace::Snapshot(_) if self.matched >= base => {
                self.next = self.matched.next();
                self.pace = Pace::Replicate { inflight: VecDeque::new() };
            }
            Pace::Snapshot(_) => {}
        }
    }

    /// Something was lost, or disagreed: starts again after `after`, one append at a time.
    pub fn probe_after(&mut self, after: Index) {
        self.next = self.matched.max(after).next();
        self.pace = Pace::Probe { waiting: false };
    }

    /// The follower is there, and its log agrees through `received`, durable or not. A probe that it has not
    /// answered by now was probably lost.
    pub fn probe_again(&mut self, received: Index) {
        let Pace::Probe { waiting } = &mut self.pace else { return };
        *waiting = false;
        if received >= self.next.previous() {
            self.next = received.next();
            self.pace = Pace::Replicate { inflight: VecDeque::new() };
        }
    }
}

/// The last entry at or before `index` that a log with an entry of `epoch` there may share with this one:
/// epochs never decrease, so entries of later epochs are passed over. Does not look below `floor`, which must
/// be in the log.
pub(crate) fn last_shared(log: &Log, index: Index, epoch: onecopy_core::Epoch, floor: Index) -> Index {
    let (mut low, mut high) = (floor, index.min(log.last().index).max(floor));
    while low < high {
        // Rounded up, so that the range shrinks.
        let middle = Index(high.0 - (high.0 - low.0) / 2);
        match log.epoch_at(middle).is_some_and(|found| found <= epoch) {
            true => low = middle,
            false => high = middle.previous(),
        }
    }
    low
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{Epoch, Incarnation, Member, NodeId, Rules, Timestamp};
    use std::time::Duration;

    use super::*;

    fn log(epochs: &[u64]) -> Log {
        let mut log = Log::new(EntryId::ZERO);
        for (position, epoch) in epochs.iter().enumerate() {
            let id = EntryId::new(position as u64 + 1, *epoch);
            log.append(Entry { id, time: Timestamp(0), seed: 0, payload: Bytes::new() });
        }
        log
    }

    fn config() -> Config {
        Config {
            id: Member { node: NodeId(1), incarnation: Incarnation(1) },
            election_timeout: Duration::from_millis(100),
            heartbeat_interval: Duration::from_millis(20),
            append_bytes_max: 1,
            inflight_max: 2,
            log_bytes_max: 1000,
            promotion_lag_max: 10,
            leases: None,
            seed: 0,
            rules: Rules::default(),
        }
    }

    fn fresh(next: u64) -> Progress {
        Progress::new(Index(next), Instant::ZERO, RoundTrip::default())
    }

    #[test]
    fn a_probe_goes_alone() {
        let log = log(&[1, 1, 1]);
        let mut progress = fresh(2);
        let (previous, entries) = progress.take(&log, &config()).unwrap();
        assert_eq!((previous, entries.len()), (EntryId::new(1, 1), 1));
        assert_eq!(progress.take(&log, &config()), None);
        progress.probe_again(Index(0));
        assert!(progress.take(&log, &config()).is_some());
    }

    #[test]
    fn a_probe_ends_when_the_entries_have_arrived_even_if_the_disk_is_slow() {
        let mut progress = fresh(3);
        progress.probe_again(Index(1));
        assert!(matches!(progress.pace, Pace::Probe { waiting: false }));
        progress.probe_again(Index(5));
        assert!(matches!(progress.pace, Pace::Replicate { .. }));
        assert_eq!((progress.matched, progress.next), (Index(0), Index(6)));
    }

    #[test]
    fn the_window_bounds_the_appends_in_flight() {
        let log = log(&[1, 1, 1, 1, 1]);
        let mut progress = fresh(1);
        progress.acknowledge(Index(1), Index(0));
        assert!(progress.take(&log, &config()).is_some());
        assert!(progress.take(&log, &config()).is_some());
        assert_eq!(progress.take(&log, &config()), None);
        assert_eq!(progress.sent(), Index(3));
        progress.acknowledge(Index(2), Index(0));
        assert!(progress.take(&log, &config()).is_some());
        assert_eq!(progress.take(&log, &config()), None);
    }

    #[test]
    fn a_loss_rewinds_to_what_is_known() {
        let log = log(&[1, 1, 1, 1]);
        let mut progress = fresh(2);
        progress.acknowledge(Index(1), Index(0));
        progress.take(&log, &config());
        progress.take(&log, &config());
        progress.probe_after(Index(0));
        assert_eq!((progress.next, progress.sent()), (Index(2), Index(0)));
    }

    #[test]
    fn an_old_acknowledgement_does_not_end_a_probe() {
        let mut progress = fresh(9);
        progress.acknowledge(Index(3), Index(0));
        assert!(matches!(progress.pace, Pace::Probe { .. }));
        progress.acknowledge(Index(8), Index(0));
        assert!(matches!(progress.pace, Pace::Replicate { .. }));
    }

    #[test]
    fn whole_terms_are_passed_over() {
        let log = log(&[1, 1, 2, 2, 2, 5, 5]);
        let shared = |index, epoch, floor| last_shared(&log, Index(index), Epoch(epoch), Index(floor)).0;
        assert_eq!(shared(7, 9, 0), 7);
        assert_eq!(shared(7, 4, 0), 5);
        assert_eq!(shared(4, 2, 0), 4);
        assert_eq!(shared(7, 1, 0), 2);
        assert_eq!(shared(7, 1, 4), 4);
        assert_eq!(shared(7, 0, 0), 0);
        assert_eq!(shared(99, 5, 0), 7);
    }
}
