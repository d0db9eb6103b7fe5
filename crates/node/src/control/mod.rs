//! The control thread: a shell around the [`ControlPlane`], which pings, listens and announces, and on a view
//! node is part of the view service.
//!
//! It is a thread of its own, with connections of its own, so that a long command or a large snapshot on the
//! data thread never keeps a node from saying that it is alive.

mod event_log;
mod full_disk;
pub(crate) mod http;
pub(crate) mod known_nodes;
mod newcomer;
pub(crate) mod observer;
mod old_image;
mod operations;
pub(crate) mod operators;
mod too_old;

pub(crate) use event_log::{Changes, EventLog, name as change_name};
pub(crate) use newcomer::Unwanted;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use onecopy_core::{GroupId, Instant, NodeId, Petition, UnknownLevel};
use onecopy_host::{
    ArchiveEvent, ControlEffect, ControlMessage, ControlPlane, Out, Room, VIEW_GROUP, Vitals,
};
use onecopy_replica::HandoverError;
use onecopy_views::Table;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;
use tracing::warn;

use crate::archive::Archive;
use crate::clock::Clock;
use crate::data::inbox::FromControl;
use crate::identity::Me;
use crate::journal::{Journal, JournalEvent};
use crate::knowledge::Knowledge;
use crate::peer::PeerEvent;
use crate::peer::link::Links;
use crate::server::Ending;
use crate::status::ViewServiceStatus;
use observer::Telling;
use operators::{PendingOperations, Request};

/// What the control thread hears.
#[derive(Debug)]
pub(crate) struct Channels {
    /// From other nodes.
    pub(crate) peers: UnboundedReceiver<PeerEvent<ControlMessage>>,
    /// Nodes that refused a connection.
    pub(crate) refused: UnboundedReceiver<NodeId>,
    /// What operators want.
    pub(crate) operators: UnboundedReceiver<Request>,
    pub(crate) data: UnboundedReceiver<FromData>,
    pub(crate) journal: UnboundedReceiver<JournalEvent>,
    pub(crate) archive: UnboundedReceiver<ArchiveEvent>,
}

/// What the data thread tells the control thread.
#[derive(Debug)]
pub(crate) enum FromData {
    /// For all view nodes: a replica asks for something.
    Petition(Box<Petition>),
    /// A handover did not happen.
    HandoverFailed { group: GroupId, error: HandoverError },
    /// A copy cannot go on, because this version does not know the level of what comes.
    UnknownLevel(UnknownLevel),
}

/// Everything that belongs to the control thread.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) me: Me,
    pub(crate) clock: Clock,
    /// Its data directory.
    pub(crate) directory: PathBuf,
    pub(crate) plane: ControlPlane,
    /// What the control plane wants.
    pub(crate) out: Out<ControlEffect>,
    /// What this node says to itself is heard like what others say.
    pub(crate) own: UnboundedSender<PeerEvent<ControlMessage>>,
    pub(crate) telling: Telling,
    pub(crate) journal: Journal,
    pub(crate) archive: Archive,
    pub(crate) links: Links,
    /// What this node knows of the cluster, for everybody who asks.
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) data: Vec<UnboundedSender<FromControl>>,
    /// Where this node's operators are served.
    pub(crate) operators: PendingOperations,
    /// Who waits, with which request, for the primary of a group here to hand over.
    pub(crate) handing_over: BTreeMap<GroupId, Vec<(NodeId, u64)>>,
    pub(crate) event_log: EventLog,
    /// While the view service says that another process is this node.
    pub(crate) unwanted: Option<Unwanted>,
    /// While the log waits for room on its disk.
    pub(crate) room: Option<Room>,
    /// Where it is told that the process is to end.
    pub(crate) endings: UnboundedSender<Ending>,
}

impl Control {
    /// Runs until the node has been `stopped`, and whatever it leads is led by another one.
    pub(crate) async fn run(mut self, mut channels: Channels, mut stopped: oneshot::Receiver<()>) {
        loop {
            let now = self.clock.now();
            let deadline = self.deadline();
            tokio::select! {
                biased;
                _ = &mut stopped, if !self.plane.is_leaving() => {
                    self.plane.leave(self.clock.now(), &mut self.telling, &mut self.out);
                }
                Some(event) = channels.journal.recv() => self.take_journal_event(event),
                Some(event) = channels.archive.recv() => {
                    self.plane.archived(self.clock.now(), event, &mut self.telling, &mut self.out);
                }
                Some(event) = channels.peers.recv() => {
                    if let PeerEvent::Received { from, message } = event {
                        self.hear(from, message);
                    }
                }
                Some(node) = channels.refused.recv() => self.plane.refused(self.clock.now(), node),
                Some(event) = channels.data.recv() => match event {
                    FromData::Petition(petition) => self.plane.petition(*petition, &mut self.out),
                    FromData::UnknownLevel(unknown) => self.is_too_old(unknown),
                    FromData::HandoverFailed { group, error } => self.handover_failed(group, error),
                },
                Some(request) = channels.operators.recv() => self.take_request(request),
                () = tokio::time::sleep(deadline.since(now)) => {}
            }
            if self.turn().is_break() {
                return;
            }
        }
    }

    fn deadline(&self) -> Instant {
        let plane = self.plane.deadline();
        self.operators.deadline().map_or(plane, |operators| operators.min(plane))
    }

    fn take_journal_event(&mut self, event: JournalEvent) {
        match event {
            JournalEvent::Persisted { group, ticket } => {
                self.plane.persisted(self.clock.now(), group, ticket, &mut self.telling, &mut self.out);
            }
            JournalEvent::SnapshotWanted { group: VIEW_GROUP, .. } => {
                self.plane.snapshot_wanted(&mut self.out);
            }
            JournalEvent::SnapshotWanted { .. } => {}
        }
    }

    fn hear(&mut self, from: NodeId, message: ControlMessage) {
        let whereabouts = self.links.whereabouts();
        let (telling, out) = (&mut self.telling, &mut self.out);
        self.plane.received(self.clock.now(), from, message, &whereabouts, telling, out);
    }

    /// Does what is due. Breaks when the node may stop.
    fn turn(&mut self) -> ControlFlow<()> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        self.ask_questions(now);
        self.mind_the_disk(now);
        let (knowledge, telling, out) = (&self.knowledge, &mut self.telling, &mut self.out);
        let vitals = || Vitals { busy_for: knowledge.busy_for(now), groups: knowledge.reports() };
        self.plane.end_turn((now, wall), &self.links.whereabouts(), vitals, telling, out);
        if let Some(service) = self.plane.view_service() {
            self.knowledge.set_view_service(ViewServiceStatus::of(service));
        }
        self.carry_out()
    }

    /// Does what the control plane wants. What cannot be sent is lost: the next ping says it again. Breaks
    /// when the node may stop.
    fn carry_out(&mut self) -> ControlFlow<()> {
        self.journal.submit(self.out.writes.drain(..), &mut Vec::new());
        self.out.archive.drain(..).for_each(|job| self.archive.submit(job));
        let mut flow = ControlFlow::Continue(());
        for effect in std::mem::take(&mut self.out.effects) {
            match effect {
                ControlEffect::Send { to, message } => self.send(to, message),
                ControlEffect::TellStranger { to, address, message } => {
                    self.links.tell_stranger(to, address, message);
                }
                ControlEffect::LookFor { node, address } => self.links.look_for(node, &address),
                ControlEffect::Follow(table) => self.links.follow(&table),
                ControlEffect::Remember(known) => {
                    if let Err(error) = known_nodes::write(&self.directory, &known) {
                        warn!(%error, "cannot remember where the other nodes are");
                    }
                }
                ControlEffect::Learnt(table) => self.tell_all(&table),
                ControlEffect::OldImage => self.is_over(),
                ControlEffect::UnknownLevel(unknown) => self.is_too_old(unknown),
                ControlEffect::Refused(refusal) => self.is_unwanted(&refusal),
                ControlEffect::HandOver { asker, group, to } => self.asked_to_hand_over(asker, group, to),
                ControlEffect::Operated { request, outcome } => {
                    let table = self.led_table();
                    self.operators.answered(request, outcome, &table);
                }
                ControlEffect::LeaveGroups => self.tell_data(|| FromControl::Leave),
                ControlEffect::End => flow = ControlFlow::Break(()),
            }
        }
        flow
    }

    /// Says something to a node, perhaps this one.
    fn send(&mut self, to: NodeId, message: ControlMessage) {
        let is_awaited = matches!(message, ControlMessage::HandOver { .. } | ControlMessage::Operated { .. });
        if to == self.me.node {
            let _ = self.own.send(PeerEvent::Received { from: to, message });
        } else if self.links.send(to, message).is_err() && is_awaited {
            warn!(%to, "an operation cannot be passed on: there is no connection");
        }
    }

    /// There is a newer view table: everybody on this node hears of it.
    fn tell_all(&mut self, table: &Arc<Table>) {
        let before = self.knowledge.replace_table(table.clone());
        self.event_log.follow(table, &mut self.knowledge.changes());
        self.follow_operations(&before, table);
        self.tell_data(|| FromControl::Table(table.clone()));
    }

    /// Tells all data threads. They end after this one.
    fn tell_data(&self, what: impl Fn() -> FromControl) {
        for thread in &self.data {
            let _ = thread.send(what());
        }
    }
}
