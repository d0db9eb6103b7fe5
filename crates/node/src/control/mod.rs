//! The control thread: pings, suspicions, announcements, and on a view node the view service itself.
//!
//! It is a thread of its own, with connections of its own, so that a long command or a large snapshot on the data
//! thread never keeps a node from saying that it is alive.

mod contacts;
mod event_log;
mod full_disk;
pub(crate) mod http;
mod leaving;
mod newcomer;
mod observer;
mod old_image;
mod operations;
pub(crate) mod operators;
pub(crate) mod view_node;

pub(crate) use contacts::Contacts;
pub(crate) use event_log::{Changes, EventLog, name as change_name};
pub(crate) use leaving::Leaving;
pub(crate) use newcomer::Unwanted;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onecopy_core::{GroupId, Instant, NodeId, Petition};
use onecopy_host::{ArchiveEvent, ControlMessage, Gossip, Out, Room, ViewEffect, gossip};
use onecopy_replica::HandoverError;
use onecopy_views::{Addresses, ClockReading, Moment, Ping, Table};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::oneshot;

use crate::clock::Clock;
use crate::data::inbox::FromControl;
use crate::identity::Me;
use crate::journal::JournalEvent;
use crate::knowledge::Knowledge;
use crate::peer::PeerEvent;
use crate::peer::link::Links;
use crate::server::Ending;
use operators::{PendingOperations, Request};
use view_node::ViewNode;

/// How often the view service looks at its evidence.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

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
    Petition(Petition),
    /// A handover did not happen.
    HandoverFailed { group: GroupId, error: HandoverError },
}

/// Everything that belongs to the control thread.
#[derive(Debug)]
pub(crate) struct Control {
    pub(crate) me: Me,
    pub(crate) clock: Clock,
    pub(crate) addresses: Addresses,
    pub(crate) zone: String,
    /// Its data directory.
    pub(crate) directory: PathBuf,
    /// Where the view service is.
    pub(crate) contacts: Contacts,
    /// Who hears the next ping beside it.
    pub(crate) gossip: Gossip,
    pub(crate) ping_interval: Duration,
    /// How long leases last.
    pub(crate) lease: Duration,
    pub(crate) next_ping: Instant,
    /// How many pings this process has sent.
    pub(crate) pings: u64,
    pub(crate) links: Links,
    /// On a view node.
    pub(crate) view_node: Option<ViewNode>,
    /// What this node knows of the cluster, also told to the data thread.
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) data: Vec<UnboundedSender<FromControl>>,
    /// Where this node's operators are served.
    pub(crate) operators: PendingOperations,
    /// Who waits, with which request, for the primary of a group here to hand over.
    pub(crate) handing_over: BTreeMap<GroupId, Vec<(NodeId, u64)>>,
    pub(crate) event_log: EventLog,
    /// Once the node is to stop.
    pub(crate) leaving: Option<Leaving>,
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
            let deadline = self.deadline(now);
            tokio::select! {
                biased;
                _ = &mut stopped, if self.leaving.is_none() => self.leave(now),
                Some(event) = channels.journal.recv() => self.with_view_node(|node| node.on_journal(event)),
                Some(event) = channels.archive.recv() => self.with_view_node(|node| node.on_archive(event)),
                Some(event) = channels.peers.recv() => {
                    if let PeerEvent::Received { from, message } = event {
                        self.hear(from, message);
                    }
                }
                Some(node) = channels.refused.recv() => self.with_view_node(|view_node| view_node.on_refused(node)),
                Some(event) = channels.data.recv() => match event {
                    FromData::Petition(petition) => {
                        self.tell_view_nodes(&ControlMessage::Petition(self.moment(), petition));
                    }
                    FromData::HandoverFailed { group, error } => self.handover_failed(group, error),
                },
                Some(request) = channels.operators.recv() => self.take_request(request),
                () = tokio::time::sleep(deadline.since(now)) => {}
            }
            self.turn();
            if self.has_left(self.clock.now()) {
                return;
            }
        }
    }

    fn moment(&self) -> Moment {
        Moment { boot: self.me.boot, pings: self.pings }
    }

    fn deadline(&self, now: Instant) -> Instant {
        let service = self.view_node.as_ref().and_then(ViewNode::deadline);
        let look = self.view_node.is_some().then_some(now + LOOK_INTERVAL);
        [service, look, self.operators.deadline(), self.leaves_at()]
            .into_iter()
            .flatten()
            .fold(self.next_ping, Instant::min)
    }

    fn turn(&mut self) {
        let now = self.clock.now();
        self.with_view_node(ViewNode::look);
        self.ask_questions(now);
        self.mind_the_disk(now);
        if now >= self.next_ping {
            self.next_ping = now + self.ping_interval;
            let ping = ControlMessage::Ping(self.ping());
            self.tell_view_nodes(&ping);
            let told = self.contacts.view_nodes(&self.knowledge.table());
            if let Some(partner) = self.gossip.partner(self.links.nodes(), &told) {
                let _ = self.links.send(partner, ping);
            }
        }
    }

    fn ping(&mut self) -> Ping {
        self.pings += 1;
        Ping {
            incarnation: self.me.incarnation,
            boot: self.me.boot,
            number: self.pings,
            holds_data: self.me.holds_data,
            zone: self.zone.clone(),
            pid: std::process::id(),
            run: self.me.run,
            addresses: self.addresses.clone(),
            clock: ClockReading { wall: self.clock.wall(), at: self.clock.now() },
            leaving: self.says_goodbye(),
            busy_for: self.knowledge.busy_for(self.clock.now()),
            table: self.knowledge.table().version(),
            seeks: self.links.sought(),
            groups: self.knowledge.reports(),
        }
    }

    /// Sends to all view nodes; to this one directly if it is one.
    fn tell_view_nodes(&mut self, message: &ControlMessage) {
        for node in self.contacts.view_nodes(&self.knowledge.table()) {
            if node == self.me.node {
                self.hear(node, message.clone());
            } else {
                // What cannot be sent is lost: the next ping says it again.
                let _ = self.links.send(node, message.clone());
            }
        }
    }

    fn hear(&mut self, from: NodeId, message: ControlMessage) {
        if let ControlMessage::Ping(ping) = &message {
            for (node, address) in self.links.found(ping) {
                let _ = self.links.send(from, ControlMessage::Found { node, address });
            }
        }
        match message {
            ControlMessage::Table(table) => self.learn(table),
            ControlMessage::Found { node, address } => self.links.look_for(node, &address),
            ControlMessage::HandOver { request, group, to } => {
                self.asked_to_hand_over((from, request), group, to);
            }
            ControlMessage::Operated { request, outcome } => {
                let table = self.knowledge.table();
                self.operators.answered(request, outcome, &table);
            }
            ControlMessage::Refused(refusal) => self.is_unwanted(&refusal),
            ControlMessage::Ping(ping) if self.view_node.is_none() => {
                let mut out = Out::default();
                gossip::answer(self.me.node, &self.knowledge.table(), from, &ping, &mut out);
                self.carry_out(out.effects);
            }
            message => self.with_view_node(|node| node.hear(from, message)),
        }
    }

    /// Has the view node do something, and carries out what it wants of the others.
    fn with_view_node(&mut self, act: impl FnOnce(&mut ViewNode)) {
        let Some(node) = self.view_node.as_mut() else { return };
        act(node);
        self.knowledge.set_view_service(node.status());
        let effects = std::mem::take(&mut node.out.effects);
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<ViewEffect>) {
        for effect in effects {
            match effect {
                ViewEffect::Hello { to, hello } => {
                    let _ = self.links.send(to, ControlMessage::Hello(hello));
                }
                ViewEffect::Raft { to, letter } => {
                    let _ = self.links.send(to, ControlMessage::Raft(letter));
                }
                ViewEffect::Operated { to, request, outcome } => {
                    self.tell(to, ControlMessage::Operated { request, outcome });
                }
                ViewEffect::LookFor { node, address } => self.links.look_for(node, &address),
                ViewEffect::Refuse { to, address, refusal } => {
                    self.links.tell_stranger(to, address, ControlMessage::Refused(refusal));
                }
                ViewEffect::Announce { to, table } if to == self.me.node => self.learn(table),
                ViewEffect::Announce { to, table } => {
                    let _ = self.links.send(to, ControlMessage::Table(table));
                }
            }
        }
    }

    /// A view table was announced: if it is news, this node knows it from now on.
    fn learn(&mut self, table: Arc<Table>) {
        let before = self.knowledge.table();
        if let Some(table) = self.knowledge.learn(table) {
            self.must_not_be_over(&table);
            if !self.contacts.remembered().is_newer_than(&table) {
                self.links.follow(&table);
            }
            self.contacts.follow(&table);
            if let Some(node) = &mut self.view_node {
                node.learnt(&table);
            }
            self.event_log.follow(&table, &mut self.knowledge.changes());
            self.follow_operations(&before, &table);
            // The data threads end after this one.
            for thread in &self.data {
                let _ = thread.send(FromControl::Table(table.clone()));
            }
        }
    }
}
