//! A view node on the control thread: what it hears goes into the view service, and what that wants goes to the disk and to the
//! other nodes.

use std::collections::BTreeSet;
use std::sync::Arc;

use onecopy_core::{Instant, Member, NodeId};
use onecopy_host::view_service::Kept;
use onecopy_host::{ArchiveEvent, ControlMessage, Out, ViewEffect, ViewService, ViewSettings};
use onecopy_views::Table;

use super::observer::Telling;
use crate::archive::Archive;
use crate::clock::Clock;
use crate::journal::{Journal, JournalEvent};
use crate::status::ViewServiceStatus;

/// The view service with what it needs of the node.
#[derive(Debug)]
pub(crate) struct ViewNode {
    node: NodeId,
    clock: Clock,
    service: ViewService,
    /// What the view service wants. Between steps the effects wait for whoever grants them.
    pub(crate) out: Out<ViewEffect>,
    journal: Journal,
    archive: Archive,
}

impl ViewNode {
    pub(crate) fn start(
        settings: ViewSettings,
        kept: Kept,
        clock: Clock,
        journal: Journal,
        archive: Archive,
    ) -> Self {
        let node = settings.node;
        let mut out = Out::default();
        let service =
            ViewService::start(settings, kept, (clock.now(), clock.wall()), &mut Telling { node }, &mut out);
        let mut node = Self { node, clock, service, out, journal, archive };
        node.submit_jobs();
        node
    }

    /// What this view node is.
    pub(crate) fn status(&self) -> ViewServiceStatus {
        let Some(raft) = self.service.raft() else {
            return ViewServiceStatus { role: "founding".to_owned(), ..ViewServiceStatus::default() };
        };
        let configuration = raft.configuration();
        let ids = |members: &BTreeSet<Member>| members.iter().map(|member| member.node.0).collect();
        let role = match (configuration.learners.contains(&raft.id()), self.service.is_member()) {
            (true, _) => "learner".to_owned(),
            (_, true) => raft.role().to_string(),
            _ => "waiting".to_owned(),
        };
        ViewServiceStatus {
            role,
            term: raft.term().0,
            leader: raft.leader().map(|leader| leader.node.0),
            voters: ids(&configuration.voters),
            learners: ids(&configuration.learners),
        }
    }

    /// The node has heard of a table.
    pub(crate) fn learnt(&mut self, table: &Arc<Table>) {
        self.service.learnt(table);
    }

    /// The node is about to stop: if it leads the view service, somebody else is to lead. Returns whether that is worth
    /// waiting for.
    pub(crate) fn hand_over(&mut self) -> bool {
        let mut observer = Telling { node: self.node };
        let begun = self.service.hand_over(self.clock.now(), &mut observer, &mut self.out);
        self.submit_jobs();
        begun
    }

    /// Whether it is handing over the leadership of the view service.
    pub(crate) fn is_handing_over(&self) -> bool {
        self.service.raft().is_some_and(|raft| raft.transfer().is_some())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.service.deadline()
    }

    /// Another node, or this one, says something to the view service.
    pub(crate) fn hear(&mut self, from: NodeId, message: ControlMessage) {
        let now = self.clock.now();
        let mut observer = Telling { node: self.node };
        let (service, observer, out) = (&mut self.service, &mut observer, &mut self.out);
        match message {
            ControlMessage::Hello(hello) => service.greeted(now, from, hello, out),
            ControlMessage::Raft(letter) => service.received(now, from, letter, observer, out),
            ControlMessage::Ping(ping) => service.pinged(now, from, ping, out),
            ControlMessage::Petition(moment, petition) => {
                service.petitioned(now, (from, moment), petition, observer, out);
            }
            ControlMessage::Operate { request, command } => {
                service.operated(now, (from, request), command, observer, out);
            }
            ControlMessage::ChangeMembers { request, change } => {
                service.change_members(now, (from, request), &change, observer, out);
            }
            // For every node, view node or not.
            ControlMessage::Table(_)
            | ControlMessage::Found { .. }
            | ControlMessage::HandOver { .. }
            | ControlMessage::Operated { .. }
            | ControlMessage::Refused(_) => {}
        }
        self.submit_jobs();
    }

    /// A node could not be connected to: nobody listens there.
    pub(crate) fn on_refused(&mut self, node: NodeId) {
        self.service.refused(self.clock.now(), node);
    }

    /// Time has passed.
    pub(crate) fn look(&mut self) {
        let mut observer = Telling { node: self.node };
        self.service.look(self.clock.now(), self.clock.wall(), &mut observer, &mut self.out);
        self.submit_jobs();
    }

    /// The log thread has done something.
    pub(crate) fn on_journal(&mut self, event: JournalEvent) {
        let mut observer = Telling { node: self.node };
        match event {
            JournalEvent::Persisted { group, ticket } => {
                self.service.persisted(self.clock.now(), group, ticket, &mut observer, &mut self.out);
            }
            JournalEvent::SnapshotWanted { group: onecopy_host::VIEW_GROUP, .. } => {
                self.service.snapshot_wanted(&mut self.out);
            }
            JournalEvent::SnapshotWanted { .. } => {}
        }
        self.submit_jobs();
    }

    /// The snapshot thread has done something.
    pub(crate) fn on_archive(&mut self, event: ArchiveEvent) {
        self.service.archived(self.clock.now(), event, &mut Telling { node: self.node }, &mut self.out);
        self.submit_jobs();
    }

    fn submit_jobs(&mut self) {
        self.journal.submit(self.out.writes.drain(..), &mut Vec::new());
        self.out.archive.drain(..).for_each(|job| self.archive.submit(job));
    }
}
