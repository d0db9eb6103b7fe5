//! Exactly once: a batch that its coordinator sends again is not executed again, but answered as it was the first time
//! (Ongaro, "Consensus: Bridging Theory and Practice", section 6.3; Lee et al., "Implementing Linearizability at Large
//! Scale and Low Latency", SOSP 2015).
//!
//! A coordinator whose primary is gone cannot know whether its batch was executed. It sends the batch to the next primary, under
//! the same [`BatchId`](crate::BatchId), and every replica decides the same way, because what it decides by is replicated: the responses to
//! all batches that their coordinators have not confirmed yet. With each batch a coordinator says below which number it has
//! all its answers; those responses go.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, Index};
use crate::payload::Batch;
use crate::time::Timestamp;

/// A coordinator that has sent nothing for so long, in milliseconds of entry time, is dead, and so are its batches:
/// coordinators give up after seconds.
const DEAD_AFTER_MS: u64 = 3_600_000;
/// And for so many entries: somebody who sets a clock forward does not make anybody forget.
const DEAD_AFTER_ENTRIES: u64 = 100_000;
/// How often, in entries, dead coordinators are looked for.
const SWEEP_INTERVAL: u64 = 10_000;

/// What the replicas remember of all coordinators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    sessions: BTreeMap<Incarnation, Session>,
}

/// What they remember of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    /// It has all its answers below this number.
    done_below: u64,
    /// The responses that it may ask for again, by number.
    responses: BTreeMap<u64, Bytes>,
    /// The time and the index of the entry with its last batch.
    last: (Timestamp, Index),
}

/// What is to be done with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: execute it.
    Execute,
    /// It was executed before, and this was the response.
    Repeat(Bytes),
    /// It was executed before, and its coordinator has the response: nobody waits for it.
    Stale,
}

impl Sessions {
    /// Looks at a batch of an entry, and forgets what its coordinator does not need any more.
    pub fn admit(&mut self, index: Index, time: Timestamp, batch: &Batch) -> Verdict {
        let new = || Session { done_below: 0, responses: BTreeMap::new(), last: (time, index) };
        let session = self.sessions.entry(batch.id.coordinator).or_insert_with(new);
        session.last = (time, index);
        if batch.done_below > session.done_below {
            session.done_below = batch.done_below;
            session.responses = session.responses.split_off(&batch.done_below);
        }
        match session.responses.get(&batch.id.sequence) {
            Some(response) => Verdict::Repeat(response.clone()),
            None if batch.id.sequence < session.done_below => Verdict::Stale,
            None => Verdict::Execute,
        }
    }

    /// Remembers the response to a batch that was just executed.
    pub fn executed(&mut self, batch: &Batch, response: &Bytes) {
        if let Some(session) = self.sessions.get_mut(&batch.id.coordinator) {
            session.responses.insert(batch.id.sequence, response.clone());
        }
    }

    /// The entry at `index` has been executed: from time to time, forgets the dead.
    pub fn sweep(&mut self, index: Index, time: Timestamp) {
        if !index.0.is_multiple_of(SWEEP_INTERVAL) {
            return;
        }
        self.sessions.retain(|_, session| {
            let (last, at) = session.last;
            time.0.saturating_sub(last.0) < DEAD_AFTER_MS || index.0 - at.0 < DEAD_AFTER_ENTRIES
        });
    }

    /// How many coordinators are remembered, and how many responses of all of them.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.sessions.len(), self.sessions.values().map(|session| session.responses.len()).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::BatchId;

    fn batch(coordinator: u128, sequence: u64, done_below: u64) -> Batch {
        let id = BatchId { coordinator: Incarnation(coordinator), sequence };
        Batch { id, done_below, body: Bytes::new() }
    }

    fn response(sequence: u64) -> Bytes {
        Bytes::from(format!("response {sequence}"))
    }

    /// Executes what is new, at entry `index`, whose time is as many seconds.
    fn take(sessions: &mut Sessions, index: u64, batch: &Batch) -> Verdict {
        let time = Timestamp(index * 1_000);
        let verdict = sessions.admit(Index(index), time, batch);
        if verdict == Verdict::Execute {
            sessions.executed(batch, &response(batch.id.sequence));
        }
        sessions.sweep(Index(index), time);
        verdict
    }

    #[test]
    fn a_batch_that_comes_again_is_answered_and_not_executed() {
        let mut sessions = Sessions::default();
        assert_eq!(take(&mut sessions, 1, &batch(7, 1, 1)), Verdict::Execute);
        assert_eq!(take(&mut sessions, 2, &batch(7, 1, 1)), Verdict::Repeat(response(1)));
        assert_eq!(take(&mut sessions, 3, &batch(8, 1, 1)), Verdict::Execute, "another coordinator");
    }

    #[test]
    fn batches_may_come_in_any_order() {
        let mut sessions = Sessions::default();
        assert_eq!(take(&mut sessions, 1, &batch(7, 2, 1)), Verdict::Execute);
        assert_eq!(take(&mut sessions, 2, &batch(7, 1, 1)), Verdict::Execute);
        assert_eq!(take(&mut sessions, 3, &batch(7, 2, 1)), Verdict::Repeat(response(2)));
    }

    #[test]
    fn what_is_confirmed_is_forgotten_and_never_executed_again() {
        let mut sessions = Sessions::default();
        take(&mut sessions, 1, &batch(7, 1, 1));
        take(&mut sessions, 2, &batch(7, 2, 1));
        assert_eq!(sessions.size(), (1, 2));
        take(&mut sessions, 3, &batch(7, 3, 3));
        assert_eq!(sessions.size(), (1, 1));
        assert_eq!(take(&mut sessions, 4, &batch(7, 1, 1)), Verdict::Stale, "a delayed one");
        assert_eq!(take(&mut sessions, 5, &batch(7, 2, 3)), Verdict::Stale);
    }

    #[test]
    fn the_dead_are_forgotten_by_time_and_entries_together() {
        let mut sessions = Sessions::default();
        take(&mut sessions, 1, &batch(7, 1, 1));
        // 10,000 seconds later, but only as many entries.
        take(&mut sessions, SWEEP_INTERVAL, &batch(8, 1, 1));
        assert_eq!(sessions.size().0, 2);
        take(&mut sessions, DEAD_AFTER_ENTRIES + SWEEP_INTERVAL, &batch(8, 2, 2));
        assert_eq!(sessions.size().0, 1);
        // As many entries, but no time.
        let mut sessions = Sessions::default();
        take(&mut sessions, 1, &batch(7, 1, 1));
        sessions.sweep(Index(DEAD_AFTER_ENTRIES + SWEEP_INTERVAL), Timestamp(2_000));
        assert_eq!(sessions.size().0, 1);
    }
}
