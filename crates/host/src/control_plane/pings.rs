//! That a node is alive, and how it is: told to all view nodes, and to one other node in turn.

use std::collections::BTreeSet;
use std::time::Duration;

use onecopy_core::{Instant, NodeId, Petition, Timestamp};
use onecopy_views::{ClockReading, GroupReport, Kind, Moment, Ping, ReplicaRole};

use super::{ControlEffect, ControlMessage, ControlPlane};
use crate::disk::Out;
use crate::whereabouts::Whereabouts;

/// How a node is, as its next ping tells.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// For how long it has been executing something during which it says nothing else, if it does (rule E1).
    pub busy_for: Option<Duration>,
    /// Its replicas.
    pub groups: Vec<GroupReport>,
}

impl ControlPlane {
    /// A replica here asks the view service for something.
    pub fn petition(&self, petition: Petition, out: &mut Out<ControlEffect>) {
        let moment = Moment { boot: self.settings.start.boot, pings: self.pings };
        self.tell_view_nodes(&ControlMessage::Petition(moment, petition), out);
    }

    /// Says something to all view nodes, also to those that may be none any more: they know who is.
    pub fn tell_view_nodes(&self, message: &ControlMessage, out: &mut Out<ControlEffect>) {
        let told = self.view_nodes().into_iter();
        out.effects.extend(told.map(|to| ControlEffect::Send { to, message: message.clone() }));
    }

    /// The settings name the view nodes of the founding, the table those of today, and the disk those of
    /// yesterday: a node that was away while they changed still finds them.
    pub(super) fn view_nodes(&self) -> BTreeSet<NodeId> {
        let known = self.settings.view_nodes.iter().chain(self.known.view_nodes());
        known.chain(self.table.view_nodes()).copied().collect()
    }

    pub(super) fn ping(
        &mut self,
        (now, wall): (Instant, Timestamp),
        whereabouts: &Whereabouts,
        vitals: Vitals,
        out: &mut Out<ControlEffect>,
    ) {
        self.pings += 1;
        let leads = |report: &GroupReport| {
            let is_raft = self.table.kind(report.group) == Kind::Raft;
            let copies = self.table.roster(report.group).map_or(0, |roster| roster.members.len());
            is_raft && copies > 1 && report.role == ReplicaRole::Primary
        };
        self.leads_raft = vitals.groups.iter().any(leads);
        let settings = &self.settings;
        let ping = ControlMessage::Ping(Ping {
            incarnation: settings.start.incarnation,
            boot: settings.start.boot,
            number: self.pings,
            holds_data: settings.holds_data,
            zone: settings.zone.clone(),
            pid: settings.pid,
            run: settings.start.run,
            addresses: settings.addresses.clone(),
            clock: ClockReading { wall, at: now },
            leaving: self.says_goodbye(),
            busy_for: vitals.busy_for,
            table: self.table.version(),
            seeks: whereabouts.sought(),
            groups: vitals.groups,
            level: settings.levels.newest,
        });
        self.tell_view_nodes(&ping, out);
        if let Some(to) = self.gossip.partner(whereabouts.nodes(), &self.view_nodes()) {
            out.effects.push(ControlEffect::Send { to, message: ping });
        }
    }
}
