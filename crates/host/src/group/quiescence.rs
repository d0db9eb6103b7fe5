//! The part of a group in heartbeats that are said for many groups at once.

use std::time::Duration;

use onecopy_core::{Instant, NodeId, StateMachine};
use onecopy_replica::{Moved, Still, Terms};

use super::Group;

impl<M: StateMachine> Group<M> {
    /// See [`onecopy_replica::Replica::quiesce`].
    pub(crate) fn quiesce(&mut self) {
        if let Some(replica) = self.replication.primary_backup_mut() {
            replica.quiesce();
        }
    }

    /// See [`onecopy_replica::Replica::rouse`].
    pub(crate) fn rouse(&mut self, now: Instant, slept: bool) {
        if let Some(replica) = self.replication.primary_backup_mut() {
            replica.rouse(now, slept);
        }
    }

    /// See [`onecopy_replica::Replica::lends`].
    pub(crate) fn lends(&mut self, now: Instant, to: NodeId, still: Still) -> Result<Option<Terms>, Moved> {
        self.replication.primary_backup_mut().ok_or(Moved)?.lends(now, to, still)
    }

    /// See [`onecopy_replica::Replica::hears_shared`].
    pub(crate) fn hears_shared(
        &mut self,
        now: Instant,
        from: NodeId,
        still: Still,
        terms: Option<Terms>,
    ) -> Result<Option<Duration>, Moved> {
        if self.is_deaf() {
            return Err(Moved);
        }
        self.replication.primary_backup_mut().ok_or(Moved)?.hears_shared(now, from, still, terms)
    }

    /// See [`onecopy_replica::Replica::hears_answer`].
    pub(crate) fn hears_answer(
        &mut self,
        now: Instant,
        from: NodeId,
        still: Still,
        terms: Option<Terms>,
    ) -> Result<(), Moved> {
        self.replication.primary_backup_mut().ok_or(Moved)?.hears_answer(now, from, still, terms)
    }
}
