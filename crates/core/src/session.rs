//! Exactly once: a batch that its coordinator sends again is not executed again, but answered as it was the
//! first time (Ongaro, "Consensus: Bridging Theory and Practice", section 6.3; Lee et al., "Implementing
//! Linearizability at Large Scale and Low Latency", SOSP 2015).
//!
//! A coordinator whose primary is gone cannot know whether its batch was executed. It sends the batch to the
//! next primary, under the same [`BatchId`], and every replica decides the same way, because
//! what it decides by is replicated: the answers to all batches that their coordinators have not confirmed
//! yet. With each batch a coordinator says below which number it has all its answers; those go.
//!
//! # Parked batches
//!
//! A command may be *parked*: executed, but answered by a later entry, perhaps hours later. Then
//! [`done_below`](Batch::done_below) passes its batch by, and its answer, once it is given, is remembered
//! until the coordinator says that it has [heard](Batch::heard) it. Whoever sends such a batch again is told
//! that it is parked, or what it was given.
//!
//! # Bounds
//!
//! That a batch was executed is remembered until it is confirmed, whatever happens; what it was answered only
//! within [`AnswerBounds`]. An answer that is too large is given once, to whoever asked first, and a
//! repetition hears that the batch was executed and that its answer is gone. When all answers together are
//! too large, the coordinator that has been silent for longest loses its own first, the oldest before the
//! others: it is the one most likely to be dead. What is remembered counts as memory of the state
//! ([`Sessions::memory`]). All of it follows from entries, so every replica forgets the same.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{BatchId, Incarnation, Index};
use crate::payload::Batch;
use crate::time::Timestamp;

/// A coordinator that has sent nothing for so long, in milliseconds of entry time, is dead, and so are its
/// batches: coordinators give up after seconds.
const DEAD_AFTER_MS: u64 = 3_600_000;
/// And for so many entries: somebody who sets a clock forward does not make anybody forget.
const DEAD_AFTER_ENTRIES: u64 = 100_000;
/// How often, in entries, dead coordinators are looked for.
const SWEEP_INTERVAL: u64 = 10_000;
/// A coordinator with so many batches that it has not confirmed waits before another one is executed. It
/// confirms as fast as it is answered, so that only a coordinator gone wrong has so many.
pub const UNCONFIRMED_MAX: usize = 1 << 16;
/// What a batch costs beyond its answer, in bytes.
const BATCH_COST: u64 = 96;
/// What a coordinator costs, in bytes.
const SESSION_COST: u64 = 160;

/// How much of what batches were answered is remembered. The same at every replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerBounds {
    /// An answer of more bytes is not remembered.
    pub one_max: usize,
    /// All of them together occupy at most so many bytes.
    pub all_max: u64,
}

impl Default for AnswerBounds {
    fn default() -> Self {
        Self { one_max: 16 << 20, all_max: 64 << 20 }
    }
}

impl AnswerBounds {
    /// No bounds, for those who want to see whether it is noticed.
    pub(crate) const NONE: Self = Self { one_max: usize::MAX, all_max: u64::MAX };

    /// These bounds where the whole state is to occupy at most `memory_max` bytes (0: no limit). Answers take
    /// a quarter of it at most: whoever makes room by deleting must not find that answers fill it.
    #[must_use]
    fn within(self, memory_max: u64) -> Self {
        match memory_max {
            0 => self,
            limit => Self { one_max: self.one_max, all_max: self.all_max.min(limit / 4) },
        }
    }
}

/// What the replicas remember of all coordinators.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    sessions: BTreeMap<Incarnation, Session>,
    /// What all answers occupy. Follows from the rest.
    #[serde(skip)]
    answer_bytes: u64,
    /// How many batches are remembered. Follows from the rest.
    #[serde(skip)]
    batches: u64,
}

/// What they remember of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    /// It has all its answers below this number.
    done_below: u64,
    /// The batches that it may send again, by number, with what they were answered; `None` if that was
    /// forgotten.
    answers: BTreeMap<u64, Option<Bytes>>,
    /// The batches that were parked, and whose answers it has not heard.
    parked: BTreeMap<u64, Parked>,
    /// The time and the index of the entry with its last batch.
    last: (Timestamp, Index),
}

/// A batch that was parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Parked {
    /// It waits.
    Waiting,
    /// It was given this answer; `None` if that was forgotten.
    Given(Option<Bytes>),
}

impl Parked {
    fn bytes(&self) -> u64 {
        match self {
            Self::Waiting | Self::Given(None) => 0,
            Self::Given(Some(answer)) => answer.len() as u64,
        }
    }
}

impl Session {
    fn answer_bytes(&self) -> u64 {
        let given: u64 = self.parked.values().map(Parked::bytes).sum();
        given + self.answers.values().flatten().map(|answer| answer.len() as u64).sum::<u64>()
    }

    /// Everything that was answered and could be forgotten, the oldest first.
    fn forgettable(&mut self) -> impl Iterator<Item = &mut Option<Bytes>> {
        let given = self.parked.values_mut().filter_map(|parked| match parked {
            Parked::Given(answer) => Some(answer),
            Parked::Waiting => None,
        });
        let answers = self.answers.values_mut().chain(given);
        answers.filter(|answer| answer.as_ref().is_some_and(|it| !it.is_empty()))
    }
}

/// What is to be done with a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: execute it.
    Execute,
    /// It was executed before, and this was the response.
    Repeat(Bytes),
    /// It was executed before, and the response was too large to be remembered.
    Forgotten,
    /// It was executed before, and is parked: its response comes with a later entry.
    Parked,
    /// It was executed before, and its coordinator has the response: nobody waits for it.
    Stale,
    /// It is new, but its coordinator has too many batches that it has not confirmed: not now.
    TooMany,
}

impl Sessions {
    /// Looks at a batch of an entry, and forgets what its coordinator does not need any more.
    pub fn admit(&mut self, index: Index, time: Timestamp, batch: &Batch) -> Verdict {
        let new = || Session {
            done_below: 0,
            answers: BTreeMap::new(),
            parked: BTreeMap::new(),
            last: (time, index),
        };
        let session = self.sessions.entry(batch.id.coordinator).or_insert_with(new);
        session.last = (time, index);
        if batch.done_below > session.done_below {
            session.done_below = batch.done_below;
            let kept = session.answers.split_off(&batch.done_below);
            let confirmed = std::mem::replace(&mut session.answers, kept);
            self.batches -= confirmed.len() as u64;
            self.answer_bytes -= confirmed.values().flatten().map(|answer| answer.len() as u64).sum::<u64>();
        }
        for sequence in &batch.heard {
            let Some(parked) = session.parked.remove(sequence) else { continue };
            self.answer_bytes -= parked.bytes();
            match *sequence < session.done_below {
                true => self.batches -= 1,
                // A delayed copy of it must not be taken for a new one.
                false => drop(session.answers.insert(*sequence, None)),
            }
        }
        match session.parked.get(&batch.id.sequence) {
            Some(Parked::Waiting) => return Verdict::Parked,
            Some(Parked::Given(Some(answer))) => return Verdict::Repeat(answer.clone()),
            Some(Parked::Given(None)) => return Verdict::Forgotten,
            None => {}
        }
        match session.answers.get(&batch.id.sequence) {
            Some(Some(answer)) => Verdict::Repeat(answer.clone()),
            Some(None) => Verdict::Forgotten,
            None if batch.id.sequence < session.done_below => Verdict::Stale,
            None if session.answers.len().max(session.parked.len()) >= UNCONFIRMED_MAX => Verdict::TooMany,
            None => Verdict::Execute,
        }
    }

    /// Remembers that a batch was just executed, and its response as far as there is room. `memory_max` is
    /// the limit of the entry for the whole state, 0 without one.
    pub fn executed(&mut self, batch: &Batch, response: &Bytes, bounds: AnswerBounds, memory_max: u64) {
        let bounds = bounds.within(memory_max);
        let Some(session) = self.sessions.get_mut(&batch.id.coordinator) else { return };
        let answer = Some(response).filter(|response| response.len() <= bounds.one_max).cloned();
        let bytes = answer.as_ref().map_or(0, Bytes::len) as u64;
        let before = session.answers.insert(batch.id.sequence, answer);
        self.batches += u64::from(before.is_none());
        self.answer_bytes += bytes;
        self.answer_bytes -= before.flatten().map_or(0, |answer| answer.len() as u64);
        self.keep_within(bounds);
    }

    /// Remembers that a batch was just executed, and is parked.
    pub fn parked(&mut self, batch: &Batch) {
        let Some(session) = self.sessions.get_mut(&batch.id.coordinator) else { return };
        let before = session.parked.insert(batch.id.sequence, Parked::Waiting);
        self.batches += u64::from(before.is_none());
        self.answer_bytes -= before.map_or(0, |parked| parked.bytes());
    }

    /// Remembers what a parked batch was given, as far as there is room. Whether it is still waited for.
    pub fn given(&mut self, to: BatchId, response: &Bytes, bounds: AnswerBounds, memory_max: u64) -> bool {
        let bounds = bounds.within(memory_max);
        let session = self.sessions.get_mut(&to.coordinator);
        let Some(parked) = session.and_then(|session| session.parked.get_mut(&to.sequence)) else {
            return false;
        };
        self.answer_bytes -= parked.bytes();
        *parked = Parked::Given(Some(response).filter(|response| response.len() <= bounds.one_max).cloned());
        self.answer_bytes += parked.bytes();
        self.keep_within(bounds);
        true
    }

    /// Forgets a parked batch that was given something, for those who want to see whether it is noticed.
    pub(crate) fn forget_given(&mut self, to: BatchId) {
        let session = self.sessions.get_mut(&to.coordinator);
        if let Some(parked) = session.and_then(|session| session.parked.remove(&to.sequence)) {
            self.answer_bytes -= parked.bytes();
            self.batches -= 1;
        }
    }

    /// What a parked batch was given, if its coordinator has not heard it: `Some(None)` if that was
    /// forgotten.
    #[must_use]
    pub fn unheard(&self, of: BatchId) -> Option<Option<&Bytes>> {
        match self.sessions.get(&of.coordinator)?.parked.get(&of.sequence)? {
            Parked::Waiting => None,
            Parked::Given(answer) => Some(answer.as_ref()),
        }
    }

    fn keep_within(&mut self, bounds: AnswerBounds) {
        while self.answer_bytes > bounds.all_max {
            self.forget(self.answer_bytes - bounds.all_max);
        }
    }

    /// Forgets answers of at least `bytes`, if the coordinator that has been silent for longest has so many;
    /// else all of them.
    fn forget(&mut self, bytes: u64) {
        let with_answers = self.sessions.values_mut().filter(|session| session.answer_bytes() > 0);
        let Some(session) = with_answers.min_by_key(|session| session.last.1) else { return };
        let mut forgotten = 0;
        for answer in session.forgettable() {
            if forgotten >= bytes {
                break;
            }
            forgotten += answer.take().map_or(0, |answer| answer.len() as u64);
        }
        self.answer_bytes -= forgotten;
    }

    /// The entry at `index` has been executed: from time to time, forgets the dead. Whether it was time.
    pub fn sweep(&mut self, index: Index, time: Timestamp) -> bool {
        if !index.0.is_multiple_of(SWEEP_INTERVAL) {
            return false;
        }
        self.sessions.retain(|_, session| {
            let (last, at) = session.last;
            time.0.saturating_sub(last.0) < DEAD_AFTER_MS || index.0 - at.0 < DEAD_AFTER_ENTRIES
        });
        self.count();
        true
    }

    /// Whether something is remembered of this coordinator.
    #[must_use]
    pub fn knows(&self, coordinator: Incarnation) -> bool {
        self.sessions.contains_key(&coordinator)
    }

    /// Counts anew what follows from the rest: after it was decoded, or many were forgotten.
    pub(crate) fn count(&mut self) {
        self.answer_bytes = self.sessions.values().map(Session::answer_bytes).sum();
        let batches = |session: &Session| (session.answers.len() + session.parked.len()) as u64;
        self.batches = self.sessions.values().map(batches).sum();
    }

    /// How many coordinators are remembered, and how many batches of all of them.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.sessions.len(), self.sessions.values().map(|session| session.answers.len()).sum())
    }

    /// How many bytes all answers have that are remembered.
    #[must_use]
    pub fn answer_bytes(&self) -> u64 {
        self.answer_bytes
    }

    /// About how many bytes all of it occupies.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.answer_bytes + self.batches * BATCH_COST + self.sessions.len() as u64 * SESSION_COST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(coordinator: u128, sequence: u64, done_below: u64) -> Batch {
        let id = BatchId { coordinator: Incarnation(coordinator), sequence };
        Batch { id, done_below, part: None, heard: Vec::new(), body: Bytes::new() }
    }

    fn response(sequence: u64) -> Bytes {
        Bytes::from(format!("response {sequence}"))
    }

    /// Executes what is new, at entry `index`, whose time is as many seconds.
    fn take(sessions: &mut Sessions, index: u64, batch: &Batch) -> Verdict {
        let time = Timestamp(index * 1_000);
        let verdict = sessions.admit(Index(index), time, batch);
        if verdict == Verdict::Execute {
            sessions.executed(batch, &response(batch.id.sequence), AnswerBounds::default(), 0);
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

    fn heard(sequence: u64, done_below: u64, heard: &[u64]) -> Batch {
        Batch { heard: heard.to_vec(), ..batch(7, sequence, done_below) }
    }

    fn is_counted(sessions: &Sessions) -> bool {
        let mut counted = sessions.clone();
        counted.count();
        *sessions == counted
    }

    #[test]
    fn a_parked_batch_is_passed_by_and_remembered_until_its_answer_is_heard() {
        let mut sessions = Sessions::default();
        let parked = batch(7, 2, 1);
        take(&mut sessions, 1, &batch(7, 1, 1));
        assert_eq!(sessions.admit(Index(2), Timestamp(0), &parked), Verdict::Execute);
        sessions.parked(&parked);
        assert_eq!(take(&mut sessions, 3, &batch(7, 3, 3)), Verdict::Execute);
        assert_eq!(take(&mut sessions, 4, &parked), Verdict::Parked, "below what is done");
        assert_eq!(sessions.unheard(parked.id), None);
        assert!(sessions.given(parked.id, &response(2), AnswerBounds::default(), 0));
        assert_eq!(take(&mut sessions, 5, &parked), Verdict::Repeat(response(2)));
        assert_eq!(sessions.unheard(parked.id), Some(Some(&response(2))));
        assert!(is_counted(&sessions));
        assert_eq!(take(&mut sessions, 6, &heard(4, 4, &[2, 99])), Verdict::Execute);
        assert_eq!(take(&mut sessions, 7, &parked), Verdict::Stale, "a delayed one");
        assert!(!sessions.given(parked.id, &response(2), AnswerBounds::default(), 0));
        assert!(is_counted(&sessions));
    }

    #[test]
    fn what_is_heard_before_it_is_passed_by_is_not_executed_again() {
        let mut sessions = Sessions::default();
        let parked = batch(7, 2, 1);
        assert_eq!(sessions.admit(Index(1), Timestamp(0), &parked), Verdict::Execute);
        sessions.parked(&parked);
        sessions.given(parked.id, &response(2), AnswerBounds::default(), 0);
        take(&mut sessions, 2, &heard(3, 1, &[2]));
        assert_eq!(take(&mut sessions, 3, &parked), Verdict::Forgotten);
        take(&mut sessions, 4, &batch(7, 4, 4));
        assert_eq!(take(&mut sessions, 5, &parked), Verdict::Stale);
        assert!(is_counted(&sessions));
    }

    #[test]
    fn what_was_given_has_the_bounds_of_answers() {
        let mut sessions = Sessions::default();
        let bounds = AnswerBounds { one_max: 100, all_max: 150 };
        for sequence in 1..=3 {
            assert_eq!(sessions.admit(Index(1), Timestamp(0), &batch(7, sequence, 1)), Verdict::Execute);
            sessions.parked(&batch(7, sequence, 1));
        }
        for (sequence, bytes) in [(1, 100), (2, 101), (3, 60)] {
            let id = batch(7, sequence, 1).id;
            assert!(sessions.given(id, &Bytes::from(vec![b'x'; bytes]), bounds, 0));
            assert!(sessions.answer_bytes <= 150 && is_counted(&sessions));
        }
        let known = [1, 2, 3].map(|sequence| sessions.unheard(batch(7, sequence, 1).id).flatten().is_some());
        assert_eq!(known, [false, false, true]);
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

    /// A batch that was answered with so many bytes.
    fn answer(sessions: &mut Sessions, index: u64, batch: &Batch, bytes: usize, memory_max: u64) {
        let bounds = AnswerBounds { one_max: 100, all_max: 250 };
        assert_eq!(sessions.admit(Index(index), Timestamp(0), batch), Verdict::Execute);
        sessions.executed(batch, &Bytes::from(vec![b'x'; bytes]), bounds, memory_max);
        assert!(sessions.answer_bytes <= 250);
        let mut counted = sessions.clone();
        counted.count();
        assert_eq!(*sessions, counted, "the accounts");
    }

    fn is_known(sessions: &mut Sessions, coordinator: u128, sequence: u64) -> bool {
        match sessions.clone().admit(Index(99), Timestamp(0), &batch(coordinator, sequence, 0)) {
            Verdict::Repeat(_) => true,
            Verdict::Forgotten => false,
            other => panic!("it was executed, and is {other:?}"),
        }
    }

    #[test]
    fn an_answer_that_is_too_large_is_forgotten_and_its_batch_is_not() {
        let mut sessions = Sessions::default();
        answer(&mut sessions, 1, &batch(7, 1, 1), 101, 0);
        answer(&mut sessions, 2, &batch(7, 2, 1), 100, 0);
        assert!(!is_known(&mut sessions, 7, 1) && is_known(&mut sessions, 7, 2));
        assert_eq!(sessions.memory(), 100 + 2 * BATCH_COST + SESSION_COST);
        answer(&mut sessions, 3, &batch(7, 3, 3), 0, 0);
        assert_eq!(sessions.memory(), BATCH_COST + SESSION_COST, "confirmed");
    }

    #[test]
    fn who_has_been_silent_for_longest_loses_its_answers_first() {
        let mut sessions = Sessions::default();
        answer(&mut sessions, 1, &batch(7, 1, 1), 60, 0);
        answer(&mut sessions, 2, &batch(8, 1, 1), 60, 0);
        answer(&mut sessions, 3, &batch(8, 2, 1), 60, 0);
        answer(&mut sessions, 4, &batch(7, 2, 1), 60, 0);
        answer(&mut sessions, 5, &batch(9, 1, 1), 60, 0);
        assert!(!is_known(&mut sessions, 8, 1), "the oldest of the silent one");
        assert!(
            is_known(&mut sessions, 8, 2) && is_known(&mut sessions, 7, 1) && is_known(&mut sessions, 9, 1)
        );
        // Less memory for the whole, less for answers.
        answer(&mut sessions, 6, &batch(9, 2, 1), 60, 320);
        let known = [(7, 1), (7, 2), (8, 2), (9, 1), (9, 2)].map(|(of, it)| is_known(&mut sessions, of, it));
        assert_eq!(known, [false, false, false, false, true]);
    }

    #[test]
    fn a_coordinator_that_confirms_nothing_waits() {
        let mut sessions = Sessions::default();
        for sequence in 1..=UNCONFIRMED_MAX as u64 {
            assert_eq!(take(&mut sessions, 1, &batch(7, sequence, 1)), Verdict::Execute);
        }
        let next = UNCONFIRMED_MAX as u64 + 1;
        assert_eq!(take(&mut sessions, 2, &batch(7, next, 1)), Verdict::TooMany);
        assert_eq!(take(&mut sessions, 3, &batch(8, 1, 1)), Verdict::Execute, "another one does not");
        assert_eq!(take(&mut sessions, 4, &batch(7, next, 2)), Verdict::Execute, "it has confirmed one");
    }
}
