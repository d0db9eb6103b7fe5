//! One turn of the data thread.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use onecopy_core::{GroupId, Instant, NodeId};
use onecopy_replica::Input;
use onecopy_views::Suspicion;
use tokio::sync::mpsc::UnboundedSender;

use super::coordinator::{Coordinator, Dispatch};
use super::group::{Group, Origin, Wish};
use super::inbox::{Event, FromControl, Inbox};
use crate::archive::ArchiveEvent;
use crate::clock::Clock;
use crate::journal::JournalEvent;
use crate::peer::PeerEvent;
use crate::peer::accept::{self, Accepted};
use crate::peer::link::Links;
use crate::peer::message::{ControlMessage, DataMessage, Outcome};
use crate::status::{DataStatus, ReplicaStatus};

/// The status is renewed at most this often.
const STATUS_INTERVAL: Duration = Duration::from_millis(20);

/// Everything that belongs to the data thread.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) me: NodeId,
    pub(crate) clock: Clock,
    /// Empty on a node that holds no data.
    pub(crate) groups: BTreeMap<GroupId, Group>,
    pub(crate) coordinator: Coordinator,
    pub(crate) links: Links,
    pub(crate) inbox: Rc<Inbox>,
    /// To the control thread, which passes it on to the view nodes.
    pub(crate) control: UnboundedSender<ControlMessage>,
    pub(crate) status: Arc<DataStatus>,
    /// When the status may be renewed again, and whether something has happened since it was.
    pub(crate) status_due: Instant,
    pub(crate) status_is_old: bool,
}

impl Plane {
    /// Takes everything that has happened, and does everything that follows from it.
    pub(crate) fn turn(&mut self, events: impl Iterator<Item = Event>) {
        let now = self.clock.now();
        let mut wishes: BTreeMap<GroupId, Vec<Wish>> = BTreeMap::new();
        for event in events {
            self.take(now, event, &mut wishes);
        }
        let mut dispatches = Vec::new();
        self.coordinator.dispatch(now, &mut dispatches);
        for dispatch in dispatches {
            self.forward(dispatch, &mut wishes);
        }
        let wall = self.clock.wall();
        for (id, group) in &mut self.groups {
            group.end_turn(now, wall, wishes.entry(*id).or_default());
        }
        for (group, wishes) in wishes {
            for wish in wishes {
                self.grant(group, wish);
            }
        }
        self.renew_status(now);
    }

    /// How long the next turn can wait if nothing happens.
    pub(crate) fn patience(&self) -> Option<Duration> {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        if self.groups.values().any(|group| group.snapshots.wants_turn()) {
            return Some(Duration::ZERO);
        }
        let groups = self.groups.values().map(|group| group.deadline(now, wall));
        let status = self.status_is_old.then_some(self.status_due);
        let deadline = groups.chain([self.coordinator.deadline(), status]).flatten().min()?;
        Some(deadline.since(now))
    }

    fn take(&mut self, now: Instant, event: Event, wishes: &mut BTreeMap<GroupId, Vec<Wish>>) {
        match event {
            Event::Submitted(submission) => self.coordinator.submit(submission),
            Event::Peer(PeerEvent::Received { from, message }) => self.hear(now, from, message, wishes),
            Event::Peer(PeerEvent::Lost { node }) => self.coordinator.lost(node),
            Event::Journal(event) => {
                let (JournalEvent::Persisted { group, .. } | JournalEvent::SnapshotWanted { group }) = event;
                if let Some(host) = self.groups.get_mut(&group) {
                    host.on_journal(now, event, wishes.entry(group).or_default());
                }
            }
            Event::Archive(event) => {
                let group = match &event {
                    ArchiveEvent::Read { group, .. } => *group,
                    ArchiveEvent::Written { name, .. }
                    | ArchiveEvent::Finished { name }
                    | ArchiveEvent::Failed { name } => name.group,
                };
                if let Some(host) = self.groups.get_mut(&group) {
                    host.on_archive(now, event, wishes.entry(group).or_default());
                }
            }
            Event::Control(FromControl::Table(table)) => {
                for (id, group) in table.groups() {
                    self.coordinator.learn(&group.view);
                    if let Some(host) = self.groups.get_mut(id) {
                        let input = Input::Announced { view: group.view.clone() };
                        host.step(now, input, wishes.entry(*id).or_default());
                    }
                }
            }
            Event::Control(FromControl::Call(call)) => self.answer_call(call),
        }
    }

    fn hear(
        &mut self,
        now: Instant,
        from: NodeId,
        message: DataMessage,
        wishes: &mut BTreeMap<GroupId, Vec<Wish>>,
    ) {
        match message {
            DataMessage::Replica { group, message } => {
                if let Some(host) = self.groups.get_mut(&group) {
                    host.step(now, Input::Received { from, message }, wishes.entry(group).or_default());
                }
            }
            DataMessage::Forward(forward) => {
                let (coordinator, sequence) = (forward.coordinator, forward.sequence);
                let origin = Origin::Remote { node: from, coordinator, sequence };
                let group = forward.group;
                match self.groups.get_mut(&group) {
                    Some(host) => host.offer(origin, forward, wishes.entry(group).or_default()),
                    None => self.answer(origin, Outcome::NotPrimary(None)),
                }
            }
            DataMessage::Answer { coordinator, sequence, outcome } => {
                // An answer to the process before this one names a batch of this one only by accident.
                if coordinator == self.coordinator.incarnation() {
                    self.coordinator.complete(sequence, outcome);
                }
            }
        }
    }

    /// Takes a batch of this node's coordinator to the primary.
    fn forward(&mut self, dispatch: Dispatch, wishes: &mut BTreeMap<GroupId, Vec<Wish>>) {
        let Dispatch { to, forward } = dispatch;
        let (group, sequence) = (forward.group, forward.sequence);
        if to == self.me {
            let origin = Origin::Local { sequence };
            match self.groups.get_mut(&group) {
                Some(host) => host.offer(origin, forward, wishes.entry(group).or_default()),
                None => self.coordinator.complete(sequence, Outcome::Busy),
            }
        } else if self.links.send(to, &DataMessage::Forward(forward)).is_err() {
            self.coordinator.complete(sequence, Outcome::Busy);
        }
    }

    fn answer_call(&self, call: Accepted) {
        let inbox = self.inbox.clone();
        tokio::task::spawn_local(accept::read_messages(call, move |event| inbox.push(Event::Peer(event))));
    }

    fn grant(&mut self, group: GroupId, wish: Wish) {
        match wish {
            // What cannot be sent is lost, as on any network: the protocol repeats what matters.
            Wish::Send { to, message } => {
                let _ = self.links.send(to, &DataMessage::Replica { group, message });
            }
            Wish::Answer { origin, outcome } => self.answer(origin, outcome),
            Wish::Learnt { view } => self.coordinator.learn(&view),
            Wish::Suspect { view, node, silent_for } => {
                let suspicion = Suspicion { group, view, node, silent_for };
                let _ = self.control.send(ControlMessage::Suspect(suspicion));
            }
            Wish::AskMembership { view, learner } => {
                let _ = self.control.send(ControlMessage::AskMembership { group, view, learner });
            }
        }
    }

    fn answer(&mut self, origin: Origin, outcome: Outcome) {
        match origin {
            Origin::Local { sequence } => self.coordinator.complete(sequence, outcome),
            Origin::Remote { node, coordinator, sequence } => {
                let answer = DataMessage::Answer { coordinator, sequence, outcome };
                let _ = self.links.send(node, &answer);
            }
        }
    }

    fn renew_status(&mut self, now: Instant) {
        self.status_is_old = now < self.status_due;
        if self.status_is_old {
            return;
        }
        self.status_due = now + STATUS_INTERVAL;
        let replicas = self.groups.values().map(|group| ReplicaStatus::of(group, now)).collect();
        self.status.renew(replicas, self.coordinator.view().cloned());
    }
}
