//! Whom a primary answers when a later entry has the answer to what was parked.
//!
//! A primary knows the way to a coordinator from the batch that it was handed. An heir knows none, until
//! everything that is parked has been asked for again; so does a primary whose connection to a node was lost.
//! As long as it does not know, the coordinator is *absent*, and the state machine gives it nothing: it may
//! be dead. Who is absent stands in an entry, for all copies must agree on it
//! ([`StateMachine::absent`](onecopy_core::StateMachine::absent)).
//!
//! An answer may be lost on its way. It is repeated until the coordinator has said that it has heard it. That
//! a connection was lost changes nothing about it: perhaps the other side has not noticed, and asks for
//! nothing again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onecopy_core::payload::Absent;
use onecopy_core::{BatchId, Incarnation, Instant, NodeId, StateMachine};

use super::{Group, GroupEffect, Origin};
use crate::disk::Out;
use crate::message::Outcome;

/// An answer that is not heard is given again after so long, and then after twice as long each time, up to
/// the second: whoever died hears nothing.
const REPEAT_AFTER: Duration = Duration::from_secs(1);
const REPEAT_AFTER_MAX: Duration = Duration::from_secs(60);

/// Who waits, and who is absent.
#[derive(Debug, Default)]
pub(super) struct Parked {
    origins: BTreeMap<BatchId, Origin>,
    /// The coordinators of other nodes that have ever had something parked: what the state remembers for them
    /// may outlast what is parked.
    known: BTreeMap<Incarnation, NodeId>,
    /// What was answered and perhaps not heard, by when it is to be said again; and how long that took.
    given: BTreeMap<(Instant, BatchId), (Origin, Duration)>,
    leads: bool,
    absent: Absent,
}

impl Parked {
    /// A batch is parked, and this is the way to its coordinator.
    pub(super) fn park(&mut self, id: BatchId, origin: Origin) {
        if let Origin::Remote { node, coordinator, .. } = origin {
            self.known.insert(coordinator, node);
        }
        self.origins.insert(id, origin);
    }

    /// A parked batch has an answer: the way to its coordinator, if it is known.
    pub(super) fn given(&mut self, id: BatchId, now: Instant) -> Option<Origin> {
        let origin = self.origins.remove(&id)?;
        self.given.insert((now + REPEAT_AFTER, id), (origin, REPEAT_AFTER));
        Some(origin)
    }

    /// Whoever begins to lead knows no way.
    pub(super) fn view_changed(&mut self, leads: bool) {
        if leads != self.leads {
            let absent = if leads { Absent::Everybody } else { Absent::Nobody };
            *self = Self { leads, absent, ..Self::default() };
        }
    }

    /// Who is absent, for the next entry.
    pub(super) fn absent(&self) -> Absent {
        self.absent.clone()
    }

    /// An entry says who is absent.
    pub(super) fn absent_said(&mut self) {
        self.absent = Absent::Nobody;
    }

    /// Whether an entry should say who is absent, although nobody asks for one. That all are, concerns only
    /// those who ask for something.
    pub(super) fn has_news(&self) -> bool {
        matches!(self.absent, Absent::These(_))
    }

    /// When an answer is to be said again.
    pub(super) fn repeats_at(&self) -> Option<Instant> {
        self.given.keys().next().map(|(at, _)| *at)
    }

    /// The connection to a node was lost: nobody knows whether it is there. Of its coordinators only those
    /// count that are still remembered.
    fn lost(&mut self, lost: NodeId, is_remembered: impl Fn(Incarnation) -> bool) {
        self.known.retain(|coordinator, _| is_remembered(*coordinator));
        let known = self.known.iter().filter(|(_, node)| **node == lost);
        let mut lost: BTreeSet<Incarnation> = known.map(|(coordinator, _)| *coordinator).collect();
        match &self.absent {
            Absent::Everybody => return,
            Absent::These(these) => lost.extend(these),
            Absent::Nobody => {}
        }
        if !lost.is_empty() {
            self.absent = Absent::These(lost.into_iter().collect());
        }
    }
}

impl<M: StateMachine> Group<M> {
    /// A connection to or from a node broke: who has something parked there may be gone.
    pub fn lost(&mut self, node: NodeId) {
        let sessions = self.state.here().map(|state| state.sessions());
        let is_remembered = |coordinator| sessions.is_none_or(|sessions| sessions.knows(coordinator));
        self.parked.lost(node, is_remembered);
    }

    /// Whether answers may be said again: not while the state is away, or while the view has too few members
    /// for any answer.
    pub(super) fn may_repeat(&self) -> bool {
        self.state.here().is_some() && self.lacks_copies().is_none()
    }

    /// Says once more what was answered, and was perhaps not heard.
    pub(super) fn repeat_late_answers(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        if !self.may_repeat() {
            return;
        }
        while let Some(entry) = self.parked.given.first_entry().filter(|entry| entry.key().0 <= now) {
            // It may repeat, so the state is here.
            let Some(state) = self.state.here() else { return };
            let ((_, id), (origin, waited)) = entry.remove_entry();
            let outcome = match state.sessions().unheard(id) {
                // It was heard.
                None => continue,
                Some(None) => Outcome::Forgotten,
                Some(Some(response)) => Outcome::Done { response: response.clone(), as_of: self.applied },
            };
            let wait = (2 * waited).min(REPEAT_AFTER_MAX);
            self.parked.given.insert((now + wait, id), (origin, wait));
            self.answer(origin, outcome, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::ZERO;

    fn id(coordinator: u128, sequence: u64) -> BatchId {
        BatchId { coordinator: Incarnation(coordinator), sequence }
    }

    fn remote(node: u32, id: BatchId) -> Origin {
        Origin::Remote { node: NodeId(node), coordinator: id.coordinator, sequence: id.sequence }
    }

    #[test]
    fn whoever_begins_to_lead_calls_everybody_absent_once() {
        let mut parked = Parked::default();
        parked.view_changed(true);
        assert_eq!((parked.absent(), parked.has_news()), (Absent::Everybody, false));
        parked.lost(NodeId(2), |_| true);
        assert_eq!(parked.absent(), Absent::Everybody);
        parked.absent_said();
        parked.park(id(7, 1), remote(2, id(7, 1)));
        // Another view that it leads.
        parked.view_changed(true);
        assert_eq!(parked.absent(), Absent::Nobody);
        assert_eq!(parked.given(id(7, 1), NOW), Some(remote(2, id(7, 1))));
        assert_eq!(parked.given(id(7, 1), NOW), None, "once");
        assert_eq!(parked.repeats_at(), Some(NOW + REPEAT_AFTER));
        parked.view_changed(false);
        parked.view_changed(true);
        assert_eq!((parked.repeats_at(), parked.absent()), (None, Absent::Everybody));
    }

    #[test]
    fn whose_connection_is_lost_is_absent() {
        let mut parked = Parked::default();
        parked.park(id(7, 1), remote(2, id(7, 1)));
        parked.park(id(7, 2), remote(2, id(7, 2)));
        parked.park(id(8, 1), remote(3, id(8, 1)));
        parked.park(id(9, 1), Origin::Local { sequence: 1 });
        parked.lost(NodeId(4), |_| true);
        assert!(!parked.has_news());
        parked.given(id(8, 1), NOW);
        parked.lost(NodeId(2), |_| true);
        assert!(parked.has_news() && parked.repeats_at().is_some());
        assert_eq!(parked.absent(), Absent::These(vec![Incarnation(7)]));
        // What was answered there is said again: perhaps the other side has not noticed anything.
        parked.lost(NodeId(3), |_| true);
        assert_eq!(parked.absent(), Absent::These(vec![Incarnation(7), Incarnation(8)]));
        assert_eq!(parked.repeats_at(), Some(NOW + REPEAT_AFTER));
        assert!(parked.given(id(7, 1), NOW).is_some(), "the way is known as before");
        parked.absent_said();
        parked.lost(NodeId(3), |coordinator| coordinator != Incarnation(8));
        assert!(!parked.has_news(), "nothing is remembered of it");
    }
}
