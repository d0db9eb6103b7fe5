//! The control plane of a node: it says that the node is alive, and knows what the view service has decided.
//!
//! Every node pings all view nodes, and one other node in turn. Whoever hears a ping and knows more answers
//! it: with a newer view table, or with where those are whom the sender cannot find. What a node learns is
//! told to its data planes, and remembered on its disk for the next start. On a view node, the
//! [`ViewService`] is part of the control plane. A node that is to stop has others take over first
//! (`leaving`).
//!
//! One *turn* takes what has happened ([`ControlPlane::received`] and the others), then
//! [`ControlPlane::end_turn`] lets the view service look at its evidence, and sends the ping if one is due.
//! Where the other nodes are looked for is not known here: who connects to them knows it ([`Whereabouts`]),
//! and lends it.

mod effect;
mod leaving;
#[cfg(test)]
mod leaving_tests;
mod message;
mod observer;
mod pings;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use onecopy_core::{GroupId, Instant, Levels, NodeId, Ticket, Timestamp};
use onecopy_views::{Addresses, Command, Ping, Start, Table};

use crate::disk::{ArchiveEvent, Out};
use crate::gossip::{self, Gossip};
use crate::known_nodes::KnownNodes;
use crate::view_service::{Kept, ViewEffect, ViewObserver, ViewService, ViewSettings};
use crate::whereabouts::Whereabouts;
pub use effect::ControlEffect;
use leaving::Leaving;
pub use message::ControlMessage;
pub use observer::ControlObserver;
pub use pings::Vitals;

/// Who a node is, and what its control plane is told.
#[derive(Clone, Debug)]
pub struct ControlSettings {
    /// Who it is.
    pub node: NodeId,
    /// Which start of its process this is.
    pub start: Start,
    /// Whether it holds data.
    pub holds_data: bool,
    /// What it fails together with; empty if nobody said.
    pub zone: String,
    /// The process id, for people.
    pub pid: u32,
    /// Where it can be reached.
    pub addresses: Addresses,
    /// The configured view nodes. Not necessarily those of today.
    pub view_nodes: BTreeSet<NodeId>,
    /// By the rules of which levels its state machines can execute.
    pub levels: Levels,
    /// How often it says that it is alive.
    pub ping_interval: Duration,
    /// How long the leases of its groups last; 0 without leases.
    pub lease: Duration,
}

/// What the control side of a node knows.
#[derive(Debug)]
pub struct ControlPlane {
    settings: ControlSettings,
    /// The newest view table that it has heard of.
    table: Arc<Table>,
    /// Who the nodes were, and where, as the disk remembers.
    known: KnownNodes,
    gossip: Gossip,
    next_ping: Instant,
    /// How many pings this process has sent.
    pings: u64,
    /// On a view node.
    view_service: Option<ViewService>,
    /// Whether it leads a Raft group with other members, as of its last ping.
    leads_raft: bool,
    /// Once the node is to stop.
    leaving: Option<Leaving>,
    /// What the view service wants, until the turn ends.
    wanted: Out<ViewEffect>,
}

impl ControlPlane {
    /// Starts with what the disk remembers of the other nodes; on a view node, also with what it kept of the
    /// view service. `wall` is the wall clock; it may be set back.
    pub fn start(
        settings: ControlSettings,
        known: KnownNodes,
        view_node: Option<(ViewSettings, Kept)>,
        (now, wall): (Instant, Timestamp),
        observer: &mut impl ViewObserver,
        out: &mut Out<ControlEffect>,
    ) -> Self {
        let mut wanted = Out::default();
        let view_service = view_node
            .map(|(settings, kept)| ViewService::start(settings, kept, (now, wall), observer, &mut wanted));
        let mut plane = Self {
            settings,
            table: Arc::default(),
            known,
            gossip: Gossip::default(),
            next_ping: now,
            pings: 0,
            view_service,
            leads_raft: false,
            leaving: None,
            wanted,
        };
        plane.submit_jobs(out);
        plane
    }

    /// The newest view table that the node has heard of.
    #[must_use]
    pub fn table(&self) -> &Arc<Table> {
        &self.table
    }

    /// On a view node, its part in the view service.
    #[must_use]
    pub fn view_service(&self) -> Option<&ViewService> {
        self.view_service.as_ref()
    }

    /// When the next turn is due if nothing happens.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let look = self.view_service.as_ref().map(ViewService::deadline);
        let due = [look, self.leaving.map(Leaving::until)];
        due.into_iter().flatten().fold(self.next_ping, Instant::min)
    }

    // ---- what it hears ------------------------------------------------------------------------------------

    /// Another node, or this one, says something.
    pub fn received(
        &mut self,
        now: Instant,
        from: NodeId,
        message: ControlMessage,
        whereabouts: &Whereabouts,
        observer: &mut impl ViewObserver,
        out: &mut Out<ControlEffect>,
    ) {
        match message {
            ControlMessage::Ping(ping) => self.pinged(now, from, ping, whereabouts, out),
            ControlMessage::Table(table) => self.learn(table, out),
            ControlMessage::Found { node, address } => {
                out.effects.push(ControlEffect::LookFor { node, address });
            }
            ControlMessage::Refused(refusal) => out.effects.push(ControlEffect::Refused(refusal)),
            ControlMessage::HandOver { request, group, to } => {
                out.effects.push(ControlEffect::HandOver { asker: (from, request), group, to });
            }
            ControlMessage::Operated { request, outcome } => {
                out.effects.push(ControlEffect::Operated { request, outcome });
            }
            ControlMessage::Hello(hello) => {
                self.with_view_service(out, |service, wanted| service.greeted(now, from, hello, wanted));
            }
            ControlMessage::Raft(letter) => self.with_view_service(out, |service, wanted| {
                service.received(now, from, letter, observer, wanted);
            }),
            ControlMessage::Petition(moment, petition) => self.with_view_service(out, |service, wanted| {
                service.petitioned(now, (from, moment), petition, observer, wanted);
            }),
            ControlMessage::Operate { request, command } => self.with_view_service(out, |service, wanted| {
                service.operated(now, (from, request), command, observer, wanted);
            }),
            ControlMessage::ChangeMembers { request, change } => {
                self.with_view_service(out, |service, wanted| {
                    service.change_members(now, (from, request), &change, observer, wanted);
                });
            }
        }
    }

    fn pinged(
        &mut self,
        now: Instant,
        from: NodeId,
        ping: Ping,
        whereabouts: &Whereabouts,
        out: &mut Out<ControlEffect>,
    ) {
        if from != self.settings.node {
            let found = gossip::found(whereabouts, &ping)
                .map(|(node, address)| ControlMessage::Found { node, address });
            out.effects.extend(found.map(|message| ControlEffect::Send { to: from, message }));
        }
        match &mut self.view_service {
            Some(service) => service.pinged(now, from, ping, &mut self.wanted),
            None => gossip::answer(self.settings.node, &self.table, from, &ping, &mut self.wanted),
        }
    }

    /// A node could not be connected to: nobody listens there.
    pub fn refused(&mut self, now: Instant, node: NodeId) {
        if let Some(service) = &mut self.view_service {
            service.refused(now, node);
        }
    }

    /// Writes of the view service are durable.
    pub fn persisted(
        &mut self,
        now: Instant,
        group: GroupId,
        ticket: Ticket,
        observer: &mut impl ViewObserver,
        out: &mut Out<ControlEffect>,
    ) {
        self.with_view_service(out, |service, wanted| {
            service.persisted(now, group, ticket, observer, wanted);
        });
    }

    /// The log would let old segments go if there was a snapshot of the view table.
    pub fn snapshot_wanted(&mut self, out: &mut Out<ControlEffect>) {
        self.with_view_service(out, ViewService::snapshot_wanted);
    }

    /// The archive has done something for the view service.
    pub fn archived(
        &mut self,
        now: Instant,
        event: ArchiveEvent,
        observer: &mut impl ViewObserver,
        out: &mut Out<ControlEffect>,
    ) {
        self.with_view_service(out, |service, wanted| service.archived(now, event, observer, wanted));
    }

    /// Has the view service agree on a command, if it is led here.
    pub fn propose(
        &mut self,
        now: Instant,
        command: Command,
        observer: &mut impl ViewObserver,
        out: &mut Out<ControlEffect>,
    ) {
        self.with_view_service(out, |service, wanted| {
            service.propose(now, command, observer, wanted);
        });
    }

    /// Has another view node lead the view service, if it is led here. Returns whether that is worth waiting
    /// for.
    pub fn hand_over_views(
        &mut self,
        now: Instant,
        observer: &mut impl ViewObserver,
        out: &mut Out<ControlEffect>,
    ) -> bool {
        let mut is_begun = false;
        self.with_view_service(out, |service, wanted| is_begun = service.hand_over(now, observer, wanted));
        is_begun
    }

    // ---- what it wants ------------------------------------------------------------------------------------

    /// Does everything that is due, and what follows from what it has heard. `vitals` finds out how the node
    /// is.
    pub fn end_turn(
        &mut self,
        (now, wall): (Instant, Timestamp),
        whereabouts: &Whereabouts,
        vitals: impl FnOnce() -> Vitals,
        observer: &mut impl ControlObserver,
        out: &mut Out<ControlEffect>,
    ) {
        self.with_view_service(out, |service, wanted| service.look(now, wall, observer, wanted));
        self.go_on_leaving(now, observer, out);
        if now >= self.next_ping {
            self.next_ping = now + self.settings.ping_interval;
            self.ping((now, wall), whereabouts, vitals(), out);
        }
        self.grant(out);
    }

    /// Does what the view service wants.
    fn grant(&mut self, out: &mut Out<ControlEffect>) {
        let me = self.settings.node;
        let mut wanted = std::mem::take(&mut self.wanted.effects);
        for effect in wanted.drain(..) {
            let (to, message) = match effect {
                ViewEffect::Hello { to, hello } => (to, ControlMessage::Hello(hello)),
                ViewEffect::Raft { to, letter } => (to, ControlMessage::Raft(letter)),
                ViewEffect::Announce { to, table } if to == me => {
                    self.learn(table, out);
                    continue;
                }
                ViewEffect::Announce { to, table } => (to, ControlMessage::Table(table)),
                ViewEffect::Operated { to, request, outcome } if to == me => {
                    out.effects.push(ControlEffect::Operated { request, outcome });
                    continue;
                }
                ViewEffect::Operated { to, request, outcome } => {
                    (to, ControlMessage::Operated { request, outcome })
                }
                ViewEffect::LookFor { node, address } => {
                    out.effects.push(ControlEffect::LookFor { node, address });
                    continue;
                }
                ViewEffect::Refuse { to, address, refusal } => {
                    let message = ControlMessage::Refused(refusal);
                    out.effects.push(ControlEffect::TellStranger { to, address, message });
                    continue;
                }
                ViewEffect::Show { to, address, table } => {
                    let message = ControlMessage::Table(table);
                    out.effects.push(ControlEffect::TellStranger { to, address, message });
                    continue;
                }
            };
            out.effects.push(ControlEffect::Send { to, message });
        }
        self.wanted.effects = wanted;
    }

    /// A view table was announced: if it is news, this node knows it from now on.
    fn learn(&mut self, table: Arc<Table>, out: &mut Out<ControlEffect>) {
        if table.version() <= self.table.version() {
            return;
        }
        // What it says is for versions that can do it.
        if let Err(unknown) = self.settings.levels.know(table.level()) {
            return out.effects.push(ControlEffect::UnknownLevel(unknown));
        }
        if table.is_over(self.settings.node, self.settings.start) {
            out.effects.push(ControlEffect::OldImage);
        }
        // A view node that starts reads its own table again, and may remember a newer one.
        if !self.known.is_newer_than(&table) {
            out.effects.push(ControlEffect::Follow(table.clone()));
        }
        if self.known.follow(&table) {
            out.effects.push(ControlEffect::Remember(self.known.clone()));
        }
        if let Some(service) = &mut self.view_service {
            service.learnt(&table);
        }
        self.table = table.clone();
        out.effects.push(ControlEffect::Learnt(table));
    }

    /// Has the view service do something, if this is a view node.
    fn with_view_service(
        &mut self,
        out: &mut Out<ControlEffect>,
        act: impl FnOnce(&mut ViewService, &mut Out<ViewEffect>),
    ) {
        let Some(service) = &mut self.view_service else { return };
        act(service, &mut self.wanted);
        self.submit_jobs(out);
    }

    fn submit_jobs(&mut self, out: &mut Out<ControlEffect>) {
        out.writes.append(&mut self.wanted.writes);
        out.archive.append(&mut self.wanted.archive);
    }
}
