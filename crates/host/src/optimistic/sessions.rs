//! At most once, at one copy: a batch that comes again is not executed again.
//!
//! Copies know nothing of what was executed at others, and a copy that was started again nothing of what was
//! executed before. So a coordinator hands in a write that may have been executed nowhere else, and not again
//! (`coordinator`): what comes twice was repeated by the network.

use std::collections::{BTreeMap, VecDeque};

use onecopy_core::Incarnation;

use crate::message::{Forward, Outcome};

/// Answers are remembered of so many bytes together: 64 MiB.
const BYTES_MAX: usize = 64 << 20;
/// What an answer takes beside its bytes.
const COST: usize = 96;
/// So many coordinators are remembered: those that have asked for something last.
const COORDINATORS_MAX: usize = 4_096;

/// What became of a batch.
#[derive(Clone, Debug)]
enum State {
    /// It has been executed, and its answer waits.
    Executed,
    /// It was answered like this.
    Answered(Outcome),
}

/// What is remembered of one coordinator.
#[derive(Debug, Default)]
struct Session {
    /// It has the answers to all its batches below this one.
    done_below: u64,
    batches: BTreeMap<u64, State>,
    /// When it last asked for something, counted in batches.
    used: u64,
}

/// What is remembered of all coordinators.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    of: BTreeMap<Incarnation, Session>,
    /// Which answers are remembered, oldest first.
    order: VecDeque<(Incarnation, u64)>,
    bytes: usize,
    /// Counts the batches.
    count: u64,
}

fn cost(state: &State) -> usize {
    match state {
        State::Answered(Outcome::Done { response, .. }) => COST + response.len(),
        State::Executed | State::Answered(_) => COST,
    }
}

impl Sessions {
    /// A batch is handed in: what is answered now, if it has come before.
    pub(super) fn admit(&mut self, forward: &Forward) -> Option<Outcome> {
        self.count += 1;
        if self.of.len() >= COORDINATORS_MAX && !self.of.contains_key(&forward.coordinator) {
            self.forget_one();
        }
        let session = self.of.entry(forward.coordinator).or_default();
        session.used = self.count;
        if forward.done_below > session.done_below {
            session.done_below = forward.done_below;
            let kept = session.batches.split_off(&forward.done_below);
            let gone = std::mem::replace(&mut session.batches, kept);
            self.bytes -= gone.values().map(cost).sum::<usize>();
        }
        if forward.sequence < session.done_below {
            return Some(Outcome::Forgotten);
        }
        session.batches.get(&forward.sequence).map(|state| match state {
            State::Executed => Outcome::Executing,
            State::Answered(outcome) => outcome.clone(),
        })
    }

    /// A batch has been executed.
    pub(super) fn executed(&mut self, coordinator: Incarnation, sequence: u64) {
        self.put(coordinator, sequence, State::Executed);
        self.order.push_back((coordinator, sequence));
        if self.order.len() > 1_024 + 2 * self.bytes / COST {
            let Self { of, order, .. } = self;
            order.retain(|(coordinator, sequence)| {
                of.get(coordinator).is_some_and(|session| session.batches.contains_key(sequence))
            });
        }
        while self.bytes > BYTES_MAX {
            let Some((coordinator, sequence)) = self.order.pop_front() else { return };
            let is_answered = |state: &State| matches!(state, State::Answered(Outcome::Done { .. }));
            let session = self.of.get(&coordinator).and_then(|of| of.batches.get(&sequence));
            if session.is_some_and(is_answered) {
                self.put(coordinator, sequence, State::Answered(Outcome::Forgotten));
            }
        }
    }

    /// It is answered.
    pub(super) fn answered(&mut self, coordinator: Incarnation, sequence: u64, outcome: &Outcome) {
        let is_known =
            self.of.get(&coordinator).is_some_and(|session| session.batches.contains_key(&sequence));
        if is_known {
            self.put(coordinator, sequence, State::Answered(outcome.clone()));
        }
    }

    fn put(&mut self, coordinator: Incarnation, sequence: u64, state: State) {
        self.bytes += cost(&state);
        let before = self.of.entry(coordinator).or_default().batches.insert(sequence, state);
        self.bytes -= before.as_ref().map_or(0, cost);
    }

    /// Forgets the coordinator that has asked for nothing for longest.
    fn forget_one(&mut self) {
        let oldest = self.of.iter().min_by_key(|(_, session)| session.used).map(|(of, _)| *of);
        if let Some(session) = oldest.and_then(|oldest| self.of.remove(&oldest)) {
            self.bytes -= session.batches.values().map(cost).sum::<usize>();
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{GroupId, Index, ViewNumber};

    use super::*;
    use crate::message::Kind;

    const ME: Incarnation = Incarnation(7);

    fn batch(sequence: u64, done_below: u64) -> Forward {
        let (group, view, kind) = (GroupId(2), ViewNumber(1), Kind::Write);
        let (part, heard, body) = (None, Vec::new(), Bytes::new());
        Forward { group, view, coordinator: ME, sequence, done_below, kind, part, heard, body }
    }

    #[test]
    fn what_comes_again_is_answered_as_before() {
        let mut sessions = Sessions::default();
        assert_eq!(sessions.admit(&batch(1, 1)), None);
        sessions.executed(ME, 1);
        assert_eq!(sessions.admit(&batch(1, 1)), Some(Outcome::Executing));
        let outcome = Outcome::Done { response: Bytes::from_static(b"ok"), as_of: Index(0) };
        sessions.answered(ME, 1, &outcome);
        assert_eq!(sessions.admit(&batch(1, 1)), Some(outcome));
        assert_eq!(sessions.admit(&batch(2, 2)), None);
        assert_eq!(sessions.admit(&batch(1, 1)), Some(Outcome::Forgotten), "a stray of the network");
        assert_eq!(sessions.bytes, 0);
        sessions.executed(ME, 2);
        sessions.forget_one();
        assert_eq!((sessions.bytes, sessions.of.len()), (0, 0));
    }

    #[test]
    fn answers_that_are_remembered_are_bounded() {
        let mut sessions = Sessions::default();
        let outcome = Outcome::Done { response: Bytes::from(vec![0; 1 << 20]), as_of: Index(0) };
        for sequence in 1..200 {
            assert_eq!(sessions.admit(&batch(sequence, 1)), None);
            sessions.executed(ME, sequence);
            sessions.answered(ME, sequence, &outcome);
            assert!(sessions.bytes <= BYTES_MAX + 2 * (1 << 20));
        }
        assert_eq!(sessions.admit(&batch(1, 1)), Some(Outcome::Forgotten));
        assert_eq!(sessions.admit(&batch(199, 1)), Some(outcome));
    }
}
