//! A view node: the view table, replicated with Raft, and the judgement of its leader, driven as in the node crate.
//! The founding is taken as done: the membership is fixed when a run begins.

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    Entry, EntryId, Incarnation, Instant, Member, NodeId, Protocol, Recovered, Ticket, Timestamp, Write,
};
use onecopy_raft::{Base, Config as RaftConfig, Configuration, Effect, Input, Message, Raft, Role};
use onecopy_views::{Command, Monitor, MonitorConfig, Registration, Table};

use super::Out;
use super::archive::{ArchiveEvent, ArchiveJob, Name};
use crate::disk::{DATA_GROUP, Job, VIEW_GROUP};
use crate::env::{Env, Event};
use crate::message::Packet;

/// A view node that was not run for this long was asleep: what it did not hear meanwhile proves nothing.
const ASLEEP: Duration = Duration::from_millis(250);
/// How long a follower waits for a leader.
const ELECTION_TIMEOUT: Duration = Duration::from_millis(300);
/// After how much silence a node counts as failed.
pub const FAILURE_TIMEOUT: Duration = Duration::from_millis(500);

/// What the view service wants of the node.
#[derive(Debug)]
pub enum ViewWish {
    /// Send this to another view node.
    Send(NodeId, Message),
    /// Tell this node the view table.
    Announce(NodeId, Rc<Table>),
}

/// One view node.
#[derive(Debug)]
pub struct ViewNode {
    me: NodeId,
    members: Rc<BTreeMap<NodeId, Incarnation>>,
    /// The protocol.
    pub raft: Raft,
    /// The state.
    pub table: Rc<Table>,
    monitor: Monitor,
    durable: Ticket,
    held: VecDeque<(Ticket, NodeId, Message)>,
    superseding: VecDeque<(Ticket, EntryId)>,
    receiving: Option<(Name, Vec<u8>)>,
    taking: Option<Name>,
    last_look: Instant,
    wall: Timestamp,
}

/// All of them vote.
fn configuration(members: &BTreeMap<NodeId, Incarnation>) -> Configuration {
    Configuration::of(
        members.iter().map(|(node, incarnation)| Member { node: *node, incarnation: *incarnation }),
    )
}

impl ViewNode {
    /// Starts with what the disk kept.
    pub fn start(
        me: NodeId,
        members: Rc<BTreeMap<NodeId, Incarnation>>,
        (recovered, table, base_time): (Recovered, Table, Timestamp),
        now: Instant,
        env: &mut Env,
        out: &mut Out,
    ) -> Self {
        let config = RaftConfig {
            id: Member { node: me, incarnation: members[&me] },
            election_timeout: ELECTION_TIMEOUT,
            heartbeat_interval: ELECTION_TIMEOUT / 6,
            append_bytes_max: env.profile.raft_append_bytes_max,
            inflight_max: 64,
            log_bytes_max: env.profile.raft_log_bytes_max,
            promotion_lag_max: 0,
            leases: None,
            seed: env.dice.number(),
            rules: env.rules,
        };
        let base = Base { time: base_time, configuration: configuration(&members) };
        let (raft, effects) =
            Raft::new(config, recovered, base, now).expect("the disk of a simulated view node makes sense");
        let monitor_config =
            MonitorConfig { failure_timeout: FAILURE_TIMEOUT, copies: env.profile.copies, rules: env.rules };
        let mut node = Self {
            me,
            members,
            raft,
            table: Rc::new(table),
            monitor: Monitor::new(monitor_config, now),
            durable: Ticket::default(),
            held: VecDeque::new(),
            superseding: VecDeque::new(),
            receiving: None,
            taking: None,
            last_look: now,
            wall: Timestamp(0),
        };
        node.carry_out(effects, env, out);
        node
    }

    /// When it next wants a turn.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.raft.deadline()
    }

    /// Whether it leads the view service.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.raft.role() == Role::Leader
    }

    /// Another node, or this one, says something to the view service.
    pub fn hear(&mut self, now: Instant, from: NodeId, packet: Packet, env: &mut Env, out: &mut Out) {
        match packet {
            Packet::Raft(incarnation, message) if self.members.get(&from) == Some(&incarnation) => {
                let from = Member { node: from, incarnation };
                self.step(now, Input::Received { from, message }, env, out);
            }
            Packet::Ping(ping) => {
                let knows = ping.table;
                self.monitor.heard(now, from, (*ping).clone());
                if self.leads() && knows < self.table.version() {
                    out.view_wishes.push(ViewWish::Announce(from, self.table.clone()));
                }
            }
            Packet::Suspect(suspicion) => self.monitor.suspected(now, from, suspicion),
            Packet::AskMembership(view, learner) if self.leads() => {
                let command = self.monitor.certified(now, &self.table, from, DATA_GROUP, view, learner);
                if let Some(command) = command {
                    self.propose(now, &command, env, out);
                }
            }
            _ => {}
        }
    }

    /// Time has passed: timers, and for a leader a look at the evidence.
    pub fn look(&mut self, now: Instant, wall: Timestamp, env: &mut Env, out: &mut Out) {
        self.wall = wall;
        if now.since(self.last_look) > ASLEEP {
            self.monitor.slept(now);
        }
        self.last_look = now;
        if self.raft.deadline().is_some_and(|deadline| deadline <= now) {
            self.step(now, Input::Elapsed, env, out);
        }
        if self.leads() {
            let mut commands = self.monitor.decide(now, &self.table);
            commands.extend(self.monitor.decide_creation(now, &self.table, DATA_GROUP));
            for command in commands {
                self.propose(now, &command, env, out);
            }
        }
    }

    /// Proposes something that means nothing, to fill the log.
    pub fn churn(&mut self, now: Instant, env: &mut Env, out: &mut Out) {
        let pid = u32::try_from(env.dice.below(1 << 30)).unwrap_or_default();
        let registration = Registration {
            incarnation: Incarnation(0),
            boot: 0.into(),
            holds_data: false,
            pid,
            addresses: onecopy_views::Addresses::default(),
        };
        self.propose(now, &Command::RegisterNode { node: NodeId(99), registration }, env, out);
    }

    fn propose(&mut self, now: Instant, command: &Command, env: &mut Env, out: &mut Out) {
        env.note(self.me, || format!("proposes {command:?}"));
        let heard = |node| self.monitor.last_ping(now, node).map(|(_, ping)| ping.incarnation);
        env.checks.views.proposed(command, heard);
        let input = Input::Propose { payload: command.encode(), time: self.wall, seed: 0 };
        self.step(now, input, env, out);
    }

    fn step(&mut self, now: Instant, input: Input, env: &mut Env, out: &mut Out) {
        let mut effects = Vec::new();
        let before = self.raft.commit();
        self.raft.step(now, input, &mut effects);
        self.raft.check_invariants();
        if self.leads() && self.raft.commit() > before {
            env.checks.raft.committed(&self.raft);
        }
        self.carry_out(effects, env, out);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, env: &mut Env, out: &mut Out) {
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => self.persist(ticket, writes, out),
                Effect::Send { to, message, after } => match after {
                    Some(ticket) if ticket > self.durable => self.held.push_back((ticket, to.node, message)),
                    _ => out.view_wishes.push(ViewWish::Send(to.node, message)),
                },
                Effect::Apply { entries } => self.apply(&entries, env, out),
                Effect::RoleChanged { role, term, leader } => {
                    env.note(self.me, || format!("view service: {role} in {term}, leader {leader:?}"));
                    if role == Role::Leader {
                        env.stats.elections += 1;
                        env.checks.raft.elected(self.me, &self.raft);
                        if env.dice.chance(env.profile.regicide) {
                            let soon = env.time + env.dice.below(6 * env.profile.latency);
                            env.schedule(soon, Event::Regicide(self.me));
                        }
                        self.announce(out);
                    }
                }
                Effect::TakeSnapshot { at, time, .. } => self.take_snapshot(at, time, out),
                Effect::ReadSnapshot { to, snapshot, offset } => {
                    let to = to.node;
                    out.archive.push(ArchiveJob::Read { group: VIEW_GROUP, to, id: snapshot, offset });
                }
                Effect::WriteSnapshot { chunk } => {
                    let name = Name { group: VIEW_GROUP, id: chunk.snapshot, time: chunk.time };
                    if chunk.offset == 0 {
                        self.receiving = Some((name, Vec::new()));
                    }
                    if let Some((_, image)) = &mut self.receiving {
                        image.extend_from_slice(&chunk.data);
                    }
                    out.archive.push(ArchiveJob::Write { name, offset: chunk.offset, data: chunk.data });
                }
                Effect::InstallSnapshot { .. } => {
                    if let Some((name, _)) = &self.receiving {
                        out.archive.push(ArchiveJob::Finish { name: *name });
                    }
                }
                // The membership does not change.
                Effect::ChangeBegun { .. }
                | Effect::ChangeRefused { .. }
                | Effect::ConfigurationChanged { .. }
                | Effect::TransferBegun { .. }
                | Effect::TransferRefused { .. }
                | Effect::TransferAborted { .. } => {}
                Effect::Proposed { .. }
                | Effect::Refused { .. }
                | Effect::ReadReady { .. }
                | Effect::ReadRefused { .. } => {}
            }
        }
    }

    fn persist(&mut self, ticket: Ticket, writes: Vec<Write>, out: &mut Out) {
        for write in &writes {
            if let Write::Compact { through: snapshot } | Write::Install { snapshot } = write {
                self.superseding.push_back((ticket, *snapshot));
            }
        }
        out.jobs.push(Job { group: VIEW_GROUP, ticket, writes });
    }

    fn apply(&mut self, entries: &[Entry], env: &mut Env, out: &mut Out) {
        let before = self.table.version();
        for entry in entries {
            if !entry.payload.is_empty() {
                let command =
                    Command::decode(&entry.payload).expect("an entry of the view table is a command");
                let outcome = Rc::make_mut(&mut self.table).apply(&command, env.rules);
                env.note(self.me, || match outcome {
                    Ok(()) => format!("view table {}: {command:?}", entry.id),
                    Err(rejection) => format!("view table {}: {command:?} refused: {rejection}", entry.id),
                });
            }
            env.checks.raft.applied(entry, &self.table, self.raft.term());
            env.checks.views.learnt(&self.table);
        }
        if self.table.version() > before && self.leads() {
            self.announce(out);
        }
    }

    fn announce(&self, out: &mut Out) {
        for node in self.table.nodes().keys() {
            out.view_wishes.push(ViewWish::Announce(*node, self.table.clone()));
        }
    }

    fn take_snapshot(&mut self, at: EntryId, time: Timestamp, out: &mut Out) {
        let name = Name { group: VIEW_GROUP, id: at, time };
        self.taking = Some(name);
        out.archive.push(ArchiveJob::Write { name, offset: 0, data: self.table.encode() });
        out.archive.push(ArchiveJob::Finish { name });
    }

    /// Writes have become durable.
    pub fn persisted(&mut self, now: Instant, ticket: Ticket, env: &mut Env, out: &mut Out) {
        self.durable = self.durable.max(ticket);
        while let Some((_, to, message)) = self.held.pop_front_if(|(held, ..)| *held <= ticket) {
            out.view_wishes.push(ViewWish::Send(to, message));
        }
        while let Some((_, id)) = self.superseding.pop_front_if(|(held, _)| *held <= ticket) {
            out.archive.push(ArchiveJob::Keep { group: VIEW_GROUP, id });
        }
        self.step(now, Input::Persisted { ticket }, env, out);
    }

    /// The snapshot thread tells something.
    pub fn archived(&mut self, now: Instant, event: ArchiveEvent, env: &mut Env, out: &mut Out) {
        let taking = |name: Name| self.taking == Some(name);
        let input = match event {
            ArchiveEvent::Read { to, id, chunk, .. } => {
                let to = Member { node: to, incarnation: self.members[&to] };
                Some(Input::SnapshotRead { to, snapshot: id, chunk })
            }
            ArchiveEvent::Written { name, .. } if taking(name) => None,
            ArchiveEvent::Written { name, written } => {
                Some(Input::SnapshotWritten { snapshot: name.id, offset: written })
            }
            ArchiveEvent::Finished { name } if taking(name) => {
                self.taking = None;
                Some(Input::SnapshotTaken { snapshot: name.id })
            }
            ArchiveEvent::Failed { name } if taking(name) => {
                self.taking = None;
                None
            }
            ArchiveEvent::Finished { name } => Some(self.install(name, env)),
            ArchiveEvent::Failed { name } => Some(Input::SnapshotUnusable { snapshot: name.id }),
        };
        if let Some(input) = input {
            self.step(now, input, env, out);
        }
    }

    fn install(&mut self, name: Name, env: &mut Env) -> Input {
        let received = self.receiving.take_if(|(receiving, _)| *receiving == name);
        match received.map(|(_, image)| Table::decode(&Bytes::from(image))) {
            Some(Ok(table)) => {
                env.stats.snapshots[2] += 1;
                self.table = Rc::new(table);
                env.checks.raft.installed(name.id.index, &self.table);
                let configuration = configuration(&self.members);
                Input::SnapshotInstalled { snapshot: name.id, time: name.time, configuration }
            }
            _ => Input::SnapshotUnusable { snapshot: name.id },
        }
    }
}
