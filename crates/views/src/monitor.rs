//! The evidence: what every view node has heard from and about all nodes, and when.

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::{Grounds, GroupId, Incarnation, Instant, NodeId, Rule, Rules, ViewNumber};

use crate::clocks::Clocks;
use crate::command::{Command, Reason};
use crate::flapping::Flapping;
use crate::levels::Rising;
use crate::ping::{GroupReport, Moment, Ping};
use crate::table::Table;

/// What takes longer than this will not end: commands are bounded (rule E2).
const BUSY_MAX: Duration = Duration::from_secs(60);
/// A copy of a Raft group holds up nobody when it is gone: it is replaced once it was silent for so long.
pub(crate) const REPLACED_AFTER: Duration = Duration::from_secs(3);

/// The settings of a monitor.
#[derive(Clone, Copy, Debug)]
pub struct MonitorConfig {
    /// After how much silence a node counts as failed.
    pub failure_timeout: Duration,
    /// The same for a node to which this view node could not connect: nobody listens there, so it is worth
    /// looking sooner. It is no proof (a firewall refuses too), so silence is still needed.
    pub refused_timeout: Duration,
    /// How many copies a new group gets.
    pub copies: u32,
    /// Which rules are in force: all, outside of a simulator.
    pub rules: Rules,
}

/// What one replica holds against another, in which view.
#[derive(Clone, Copy, Debug)]
struct Suspicion {
    view: ViewNumber,
    grounds: Grounds,
}

/// The ping table of one view node.
#[derive(Debug)]
pub struct Monitor {
    pub(crate) config: MonitorConfig,
    /// Silence is measured from here for nodes that were never heard.
    started: Instant,
    /// When this view node last went on, after it had not been running.
    woke: Option<Instant>,
    /// The reports in a ping are sorted by group.
    heard: BTreeMap<NodeId, (Instant, Ping)>,
    /// What the last ping says of the disk: there may be many groups.
    oldest_writes: BTreeMap<NodeId, Option<Duration>>,
    /// By group, accused and accuser.
    suspicions: BTreeMap<(GroupId, NodeId, NodeId), (Instant, Suspicion)>,
    /// When nodes last said that they execute something long.
    busy: BTreeMap<NodeId, Instant>,
    /// Nodes that refused a connection, and when.
    refused: BTreeMap<NodeId, Instant>,
    /// When a later process of a node was last refused, while the one before it counts as alive.
    knocked: BTreeMap<NodeId, Instant>,
    /// The version of the table that was looked at last; `None` before the first look.
    seen: Option<u64>,
    pub(crate) flapping: Flapping,
    /// The last proposal for each group, so that it is not made again while it is on its way.
    pub(crate) proposed: BTreeMap<GroupId, (ViewNumber, Instant)>,
    /// The same for the rosters of Raft groups, by their number.
    pub(crate) rostering: BTreeMap<GroupId, (u64, Instant)>,
    /// The same for the view nodes.
    pub(crate) naming: Option<Instant>,
    /// The same for registrations.
    pub(crate) registering: BTreeMap<NodeId, Instant>,
    pub(crate) clocks: Clocks,
    pub(crate) rising: Rising,
}

impl Monitor {
    /// A monitor that has heard nothing.
    #[must_use]
    pub fn new(config: MonitorConfig, now: Instant) -> Self {
        Self {
            config,
            started: now,
            woke: None,
            heard: BTreeMap::new(),
            oldest_writes: BTreeMap::new(),
            suspicions: BTreeMap::new(),
            busy: BTreeMap::new(),
            refused: BTreeMap::new(),
            knocked: BTreeMap::new(),
            seen: None,
            flapping: Flapping::default(),
            proposed: BTreeMap::new(),
            rostering: BTreeMap::new(),
            naming: None,
            registering: BTreeMap::new(),
            clocks: Clocks::default(),
            rising: Rising::default(),
        }
    }

    /// A ping arrived. One that is older than the last one is ignored: it was delayed, and what it says is
    /// over.
    pub fn heard(&mut self, now: Instant, from: NodeId, mut ping: Ping) {
        let delayed = self.heard.get(&from).is_some_and(|(_, known)| {
            known.incarnation == ping.incarnation && known.moment() > ping.moment()
        });
        if !delayed {
            self.clocks.heard(now, from, &ping);
            if ping.busy_for.is_some_and(|busy| busy < BUSY_MAX) {
                self.busy.insert(from, now);
            }
            ping.groups.sort_unstable_by_key(|report| report.group);
            let oldest_write = ping.groups.iter().filter_map(|report| report.oldest_write).max();
            self.oldest_writes.insert(from, oldest_write);
            self.heard.insert(from, (now, ping));
        }
    }

    /// Whether what a node said at this moment of its life is not older than its last ping. What is, was
    /// delayed; if it is not over, it is said again.
    #[must_use]
    pub fn is_news(&self, from: NodeId, moment: Moment) -> bool {
        self.ping(from).is_some_and(|ping| ping.moment() <= moment)
    }

    /// A suspicion arrived. A [delayed](Self::is_news) one is ignored, and so is what is said of a node that
    /// is busy. What comes just after this view node was not running was said before that, perhaps by a node
    /// that is gone: if it is not over, it is said again.
    pub fn suspected(
        &mut self,
        now: Instant,
        (from, moment): (NodeId, Moment),
        (group, view): (GroupId, ViewNumber),
        node: NodeId,
        grounds: Grounds,
    ) {
        let backlog = self.config.failure_timeout / 4;
        let has_just_woken = self.woke.is_some_and(|woke| now.since(woke) < backlog);
        if self.is_news(from, moment) && !has_just_woken && !self.is_busy(now, node) {
            self.suspicions.insert((group, node, from), (now, Suspicion { view, grounds }));
        }
    }

    /// This view node tried to connect to a node, and nobody listened there.
    pub fn refused(&mut self, now: Instant, node: NodeId) {
        self.refused.insert(node, now);
    }

    /// A process was [refused](Self::refuses_newcomer) that comes after the one that is known under its id:
    /// it has the same data, and was started later.
    pub fn knocked(&mut self, now: Instant, from: NodeId, ping: &Ping) {
        let follows = |known: &Ping| known.incarnation == ping.incarnation && known.boot < ping.boot;
        if self.ping(from).is_some_and(follows) {
            self.knocked.insert(from, now);
        }
    }

    /// Whether a later process of a node waits to be heard.
    fn has_successor(&self, now: Instant, node: NodeId) -> bool {
        self.knocked.get(&node).is_some_and(|at| now.since(*at) < self.config.failure_timeout)
    }

    /// Looks at what has happened in the table since the last look. What happened before the first one is
    /// old.
    pub(crate) fn look_back(&mut self, now: Instant, table: &Table) {
        let seen = self.seen.replace(table.version()).unwrap_or(table.version());
        for event in table.events().iter().filter(|event| event.version > seen) {
            self.flapping.note(now, &event.proposal.command);
            // What a node said before it was forgotten would register it again.
            if let Command::ForgetNode { node } | Command::GiveUpNode { node } = event.proposal.command
                && !table.nodes().contains_key(&node)
            {
                self.heard.remove(&node);
                self.oldest_writes.remove(&node);
            }
        }
        self.flapping.forgive(now);
    }

    /// Whether a node has refused a connection since its last ping.
    pub(crate) fn refuses(&self, node: NodeId) -> bool {
        let heard = self.heard.get(&node).map_or(self.started, |(at, _)| *at);
        self.refused.get(&node).is_some_and(|at| *at > heard)
    }

    /// Whether a node has been silent for too long.
    #[must_use]
    pub fn is_silent(&self, now: Instant, node: NodeId) -> bool {
        let MonitorConfig { failure_timeout, refused_timeout, .. } = self.config;
        let patience =
            if self.refuses(node) { refused_timeout.min(failure_timeout) } else { failure_timeout };
        self.silence(now, node) >= patience
    }

    /// Everybody who accuses `accused` lately, in this view, and of what.
    pub(crate) fn accusers(
        &self,
        now: Instant,
        group: GroupId,
        view: ViewNumber,
        accused: NodeId,
    ) -> impl Iterator<Item = (NodeId, Grounds)> {
        let lately = self.config.failure_timeout;
        let about = self.suspicions.iter().filter(move |((in_group, node, _), (at, suspicion))| {
            *in_group == group && *node == accused && suspicion.view == view && now.since(*at) < lately
        });
        about.map(|((_, _, by), (_, suspicion))| (*by, suspicion.grounds))
    }

    /// The view node was not running (suspended, or starved of the processor): nothing that was not heard
    /// meanwhile counts as silence.
    pub fn slept(&mut self, now: Instant) {
        (self.started, self.woke) = (now, Some(now));
        self.heard.values_mut().for_each(|(at, _)| *at = now);
        self.suspicions.clear();
        self.clocks.forget();
    }

    /// What a node said last, and how long ago.
    #[must_use]
    pub fn last_ping(&self, now: Instant, node: NodeId) -> Option<(Duration, &Ping)> {
        self.heard.get(&node).map(|(at, ping)| (now.since(*at), ping))
    }

    /// For how long a node has been silent.
    pub(crate) fn silence(&self, now: Instant, node: NodeId) -> Duration {
        now.since(self.heard.get(&node).map_or(self.started, |(at, _)| *at))
    }

    pub(crate) fn pings(&self) -> impl Iterator<Item = (NodeId, &Ping)> {
        self.heard.iter().map(|(node, (_, ping))| (*node, ping))
    }

    pub(crate) fn ping(&self, node: NodeId) -> Option<&Ping> {
        self.heard.get(&node).map(|(_, ping)| ping)
    }

    pub(crate) fn report(&self, node: NodeId, group: GroupId) -> Option<&GroupReport> {
        let reports = &self.ping(node)?.groups;
        let at = reports.binary_search_by_key(&group, |report| report.group).ok()?;
        Some(&reports[at])
    }

    /// Whether a node executes something long, or has just come round: what others say of it is explained by
    /// that.
    fn is_busy(&self, now: Instant, node: NodeId) -> bool {
        let lately = |at: &Instant| now.since(*at) < self.config.failure_timeout;
        self.busy.get(&node).is_some_and(lately) && self.config.rules.hold(Rule::BusyIsNotDead)
    }

    /// What `accuser` says of `accused`, lately and in this view, if it has lasted for at least `at_least`.
    /// Nothing counts against who is busy.
    pub(crate) fn accusation(
        &self,
        now: Instant,
        (group, view): (GroupId, ViewNumber),
        accuser: NodeId,
        accused: NodeId,
        at_least: Duration,
    ) -> Option<Grounds> {
        let (at, suspicion) = self.suspicions.get(&(group, accused, accuser))?;
        let is_fresh = suspicion.view == view && now.since(*at) < self.config.failure_timeout;
        let counts = is_fresh && !self.is_busy(now, accused);
        (counts && suspicion.grounds.lasts() >= at_least).then_some(suspicion.grounds)
    }

    /// Whether `accuser` accused `accused`, in whatever view, not long ago.
    pub(crate) fn accused_lately(
        &self,
        now: Instant,
        group: GroupId,
        accuser: NodeId,
        accused: NodeId,
    ) -> bool {
        self.suspicions
            .get(&(group, accused, accuser))
            .is_some_and(|(at, _)| now.since(*at) < 4 * self.config.failure_timeout)
    }

    /// Whether a node says that its process is about to stop.
    pub(crate) fn is_leaving(&self, node: NodeId) -> bool {
        self.ping(node).is_some_and(|ping| ping.leaving)
    }

    /// For how long the oldest disk write of a node has been waiting, if there is one.
    pub(crate) fn disk_waits(&self, node: NodeId) -> Option<Duration> {
        self.oldest_writes.get(&node).copied().flatten()
    }

    /// Whether the disk of a node does not finish a write, of whatever group.
    pub(crate) fn is_stalled(&self, node: NodeId) -> bool {
        self.disk_waits(node).is_some_and(|waiting| waiting >= self.config.failure_timeout)
    }

    /// What is wrong with the node of a replica, whatever its role.
    pub(crate) fn ailment(&self, now: Instant, node: NodeId, incarnation: Incarnation) -> Option<Reason> {
        match self.ping(node) {
            // P9: whatever answers under another incarnation is not the replica that the view names.
            Some(ping) if ping.incarnation != incarnation && self.config.rules.hold(Rule::OneLife) => {
                Some(Reason::LostItsData)
            }
            // Where a process was followed by another, that is heard from now on.
            _ if self.is_silent(now, node) && !self.has_successor(now, node) => Some(Reason::Silent),
            // The groups of a node share its disk.
            _ if self.is_stalled(node) => Some(Reason::DiskStalled),
            _ => None,
        }
    }
}
