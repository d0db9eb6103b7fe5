//! A view node: the view table, replicated with Raft, and the judgement of its leader.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    Entry, EntryId, GroupId, Incarnation, Instant, Member, NodeId, Protocol, Recovered, Rules, Ticket,
    Timestamp, Write,
};
use onecopy_raft::{Base, Config as RaftConfig, Configuration, Effect, Input, Message, Raft, Role};
use onecopy_views::{Command, Founding, Genesis, GenesisStanding, Membership, Monitor, Rejection, Table};
use tracing::{debug, error, info, warn};

use crate::archive::{Archive, ArchiveEvent, Name};
use crate::clock::Clock;
use crate::journal::{Journal, JournalEvent};
use crate::peer::message::ControlMessage;
use crate::status::ViewServiceStatus;

/// The group of the view table in the log.
pub(crate) const VIEW_GROUP: GroupId = GroupId(0);
/// Where the membership of the view service stands in the log.
pub(crate) const GENESIS_GROUP: GroupId = GroupId(u32::MAX);
/// How often a view node of a new cluster says hello.
const HELLO_INTERVAL: Duration = Duration::from_millis(100);
/// A view node that was not run for this long was asleep: what it did not hear meanwhile proves nothing.
const ASLEEP: Duration = Duration::from_millis(250);

/// What the view service wants of the node.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Send this to another view node.
    Send { to: NodeId, message: ControlMessage },
    /// Tell this node the view table.
    Announce { to: NodeId, table: Table },
}

/// The settings of a view node.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) node: NodeId,
    pub(crate) incarnation: Incarnation,
    pub(crate) election_timeout: Duration,
    pub(crate) heartbeat_interval: Duration,
    /// The groups that the cluster should have.
    pub(crate) groups: Vec<GroupId>,
}

/// What a view node kept on its disk.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) membership: Option<Membership>,
    pub(crate) raft: Recovered,
    /// The snapshot at the base of the log, and its time.
    pub(crate) table: Table,
    pub(crate) base_time: Timestamp,
}

/// One view node.
#[derive(Debug)]
pub(crate) struct ViewService {
    settings: Settings,
    clock: Clock,
    genesis: Genesis,
    genesis_ticket: Ticket,
    founding: Option<Membership>,
    next_hello: Instant,
    /// From the founding on.
    raft: Option<Raft>,
    /// What Raft starts from.
    kept: Recovered,
    base_time: Timestamp,
    table: Table,
    monitor: Monitor,
    journal: Journal,
    archive: Archive,
    durable: Ticket,
    held: VecDeque<(Ticket, NodeId, Message)>,
    /// Compactions on their way to the disk.
    superseding: VecDeque<(Ticket, EntryId)>,
    /// The snapshot that is being received.
    receiving: Option<(Name, Vec<u8>)>,
    taking: Option<Name>,
    last_look: Instant,
}

/// All of them vote.
fn configuration(membership: &Membership) -> Configuration {
    let members = membership.members.iter();
    Configuration::of(members.map(|(node, incarnation)| Member { node: *node, incarnation: *incarnation }))
}

impl ViewService {
    pub(crate) fn start(
        settings: Settings,
        view_nodes: &[NodeId],
        kept: Kept,
        monitor: Monitor,
        clock: Clock,
        (journal, archive): (Journal, Archive),
    ) -> Self {
        let genesis = Genesis::new(settings.node, settings.incarnation, view_nodes, kept.membership);
        let now = clock.now();
        let mut service = Self {
            settings,
            clock,
            genesis,
            genesis_ticket: Ticket::default(),
            founding: None,
            next_hello: now,
            raft: None,
            kept: kept.raft,
            base_time: kept.base_time,
            table: kept.table,
            monitor,
            journal,
            archive,
            durable: Ticket::default(),
            held: VecDeque::new(),
            superseding: VecDeque::new(),
            receiving: None,
            taking: None,
            last_look: now,
        };
        let founding = service.genesis.started();
        service.found(founding);
        service.start_raft_if_founded(&mut Vec::new());
        if let GenesisStanding::Stranger(_) = service.genesis.standing() {
            service.complain();
        }
        service
    }

    /// What this view node is.
    pub(crate) fn status(&self) -> ViewServiceStatus {
        match (&self.raft, self.genesis.standing()) {
            (Some(raft), _) => ViewServiceStatus {
                role: raft.role().to_string(),
                term: raft.term().0,
                leader: raft.leader().map(|leader| leader.node.0),
            },
            (None, GenesisStanding::Stranger(_)) => {
                ViewServiceStatus { role: "stranger".to_owned(), term: 0, leader: None }
            }
            (None, _) => ViewServiceStatus { role: "founding".to_owned(), term: 0, leader: None },
        }
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        match &self.raft {
            Some(raft) => raft.deadline(),
            None => Some(self.next_hello),
        }
    }

    /// Another node, or this one, says something to the view service.
    pub(crate) fn hear(
        &mut self,
        now: Instant,
        from: NodeId,
        message: ControlMessage,
        wishes: &mut Vec<Wish>,
    ) {
        match message {
            ControlMessage::Hello(hello) => self.on_hello(from, hello, wishes),
            ControlMessage::Raft { incarnation, message } => {
                let known = match self.genesis.standing() {
                    GenesisStanding::Member(membership) => membership.includes(from, incarnation),
                    _ => false,
                };
                if known {
                    let from = Member { node: from, incarnation };
                    self.step(now, Input::Received { from, message }, wishes);
                } else {
                    // It may not know yet who the view nodes are, or that it is none any more.
                    debug!(%from, %incarnation, "a message of an unknown view node");
                    self.say_hello(from, wishes);
                }
            }
            ControlMessage::Ping(ping) => {
                let knows = ping.table;
                self.monitor.heard(now, from, ping);
                // Not only the leader: it may be the one that cannot reach this node. What is in a table is committed.
                if knows < self.table.version() {
                    wishes.push(Wish::Announce { to: from, table: self.table.clone() });
                }
            }
            ControlMessage::Suspect(suspicion) => self.monitor.suspected(now, from, suspicion),
            ControlMessage::AskMembership { group, view, learner } if self.leads() => {
                let command = self.monitor.certified(now, &self.table, from, group, view, learner);
                if let Some(command) = command {
                    self.propose(now, &command, wishes);
                }
            }
            // A follower's table may be old; the primary asks the leader too, and again.
            ControlMessage::AskMembership { .. } => {}
            ControlMessage::Table(_) => {}
        }
    }

    /// Time has passed: timers, and for a leader a look at the evidence.
    pub(crate) fn look(&mut self, now: Instant, wishes: &mut Vec<Wish>) {
        if now.since(self.last_look) > ASLEEP {
            warn!(millis = now.since(self.last_look).as_millis(), "the view node was not run for a while");
            self.monitor.slept(now);
        }
        self.last_look = now;
        if self.raft.is_none() && now >= self.next_hello {
            self.next_hello = now + HELLO_INTERVAL;
            for other in self.genesis.others().to_vec() {
                self.say_hello(other, wishes);
            }
        }
        if self.raft.as_ref().and_then(Raft::deadline).is_some_and(|deadline| deadline <= now) {
            self.step(now, Input::Elapsed, wishes);
        }
        if self.leads() {
            self.judge(now, wishes);
        }
    }

    fn judge(&mut self, now: Instant, wishes: &mut Vec<Wish>) {
        let mut commands = self.monitor.decide(now, &self.table);
        let groups = self.settings.groups.iter();
        commands.extend(groups.filter_map(|group| self.monitor.decide_creation(now, &self.table, *group)));
        for command in commands {
            self.propose(now, &command, wishes);
        }
    }

    fn leads(&self) -> bool {
        self.raft.as_ref().is_some_and(|raft| raft.role() == Role::Leader)
    }

    fn propose(&mut self, now: Instant, command: &Command, wishes: &mut Vec<Wish>) {
        debug!(?command, "proposing");
        let input = Input::Propose { payload: command.encode(), time: self.clock.wall(), seed: 0 };
        self.step(now, input, wishes);
    }

    // ---- the founding -------------------------------------------------------------------------------------

    fn say_hello(&self, to: NodeId, wishes: &mut Vec<Wish>) {
        wishes.push(Wish::Send { to, message: ControlMessage::Hello(self.genesis.hello()) });
    }

    fn on_hello(&mut self, from: NodeId, hello: onecopy_views::Hello, wishes: &mut Vec<Wish>) {
        let asks = hello.membership.is_none();
        let founding = self.genesis.received(from, hello);
        self.found(founding);
        if asks && !matches!(self.genesis.standing(), GenesisStanding::Fresh(_)) {
            self.say_hello(from, wishes);
        }
    }

    fn found(&mut self, founding: Founding) {
        match founding {
            Founding::Nothing => {}
            Founding::Persist(membership) if self.founding.is_none() => {
                let state = Write::State(membership.encode());
                self.founding = Some(membership);
                self.journal.submit(GENESIS_GROUP, self.genesis_ticket.take(), vec![state]);
            }
            Founding::Persist(_) => {}
            Founding::StayOut => self.complain(),
        }
    }

    fn complain(&self) {
        error!(
            node = %self.settings.node,
            "the view service knows this node with another disk: it stays out of the view service. A view node \
             that lost its disk must not vote, because it may have voted before"
        );
    }

    fn start_raft_if_founded(&mut self, wishes: &mut Vec<Wish>) {
        let GenesisStanding::Member(membership) = self.genesis.standing() else { return };
        if self.raft.is_some() {
            return;
        }
        const MIB: usize = 1024 * 1024;
        let config = RaftConfig {
            id: Member { node: self.settings.node, incarnation: self.settings.incarnation },
            election_timeout: self.settings.election_timeout,
            heartbeat_interval: self.settings.heartbeat_interval,
            append_bytes_max: MIB,
            inflight_max: 64,
            log_bytes_max: MIB,
            promotion_lag_max: 0,
            leases: None,
            seed: rand::random(),
            rules: Rules::default(),
        };
        let kept = std::mem::take(&mut self.kept);
        let base = Base { time: self.base_time, configuration: configuration(membership) };
        match Raft::new(config, kept, base, self.clock.now()) {
            Ok((raft, effects)) => {
                self.raft = Some(raft);
                self.carry_out(effects, wishes);
            }
            Err(error) => error!(%error, "the view service cannot start on this node"),
        }
    }

    // ---- raft ---------------------------------------------------------------------------------------------

    fn step(&mut self, now: Instant, input: Input, wishes: &mut Vec<Wish>) {
        let Some(raft) = self.raft.as_mut() else { return };
        let mut effects = Vec::new();
        raft.step(now, input, &mut effects);
        raft.check_invariants();
        self.carry_out(effects, wishes);
    }

    fn carry_out(&mut self, effects: Vec<Effect>, wishes: &mut Vec<Wish>) {
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => self.persist(ticket, writes),
                Effect::Send { to, message, after } => match after {
                    Some(ticket) if ticket > self.durable => self.held.push_back((ticket, to.node, message)),
                    _ => self.send(to.node, message, wishes),
                },
                Effect::Apply { entries } => self.apply(&entries, wishes),
                Effect::RoleChanged { role, term, leader } => {
                    info!(%role, %term, leader = ?leader, "view service");
                    if role == Role::Leader {
                        // Whoever missed the last announcement of the leader before gets this one.
                        self.announce(wishes);
                    }
                }
                Effect::TakeSnapshot { at, time, .. } => self.take_snapshot(at, time),
                Effect::ReadSnapshot { to, snapshot, offset } => {
                    self.archive.read(VIEW_GROUP, to.node, snapshot, offset);
                }
                Effect::WriteSnapshot { chunk } => {
                    let name = Name { group: VIEW_GROUP, id: chunk.snapshot, time: chunk.time };
                    if chunk.offset == 0 {
                        self.receiving = Some((name, Vec::new()));
                    }
                    if let Some((_, image)) = &mut self.receiving {
                        image.extend_from_slice(&chunk.data);
                    }
                    self.archive.write(name, chunk.offset, chunk.data);
                }
                Effect::InstallSnapshot { .. } => {
                    if let Some((name, _)) = &self.receiving {
                        self.archive.finish(*name);
                    }
                }
                // The membership does not change.
                Effect::ChangeBegun { .. }
                | Effect::ChangeRefused { .. }
                | Effect::ConfigurationChanged { .. }
                | Effect::TransferBegun { .. }
                | Effect::TransferRefused { .. }
                | Effect::TransferAborted { .. } => {}
                // A lost proposal is decided anew; nobody reads through Raft: tables are announced.
                Effect::Proposed { .. }
                | Effect::Refused { .. }
                | Effect::ReadReady { .. }
                | Effect::ReadRefused { .. } => {}
            }
        }
    }

    /// Who the view nodes are, from the founding on.
    fn membership(&self) -> Option<&Membership> {
        match self.genesis.standing() {
            GenesisStanding::Member(membership) => Some(membership),
            _ => None,
        }
    }

    fn member(&self, node: NodeId) -> Option<Member> {
        let incarnation = *self.membership()?.members.get(&node)?;
        Some(Member { node, incarnation })
    }

    fn send(&self, to: NodeId, message: Message, wishes: &mut Vec<Wish>) {
        let message = ControlMessage::Raft { incarnation: self.settings.incarnation, message };
        wishes.push(Wish::Send { to, message });
    }

    fn persist(&mut self, ticket: Ticket, writes: Vec<Write>) {
        for write in &writes {
            if let Write::Compact { through: snapshot } | Write::Install { snapshot } = write {
                self.superseding.push_back((ticket, *snapshot));
            }
        }
        self.journal.submit(VIEW_GROUP, ticket, writes);
    }

    fn apply(&mut self, entries: &[Entry], wishes: &mut Vec<Wish>) {
        let before = self.table.version();
        for entry in entries.iter().filter(|entry| !entry.payload.is_empty()) {
            match Command::decode(&entry.payload) {
                Ok(command) => self.execute(&command),
                Err(error) => panic!("the view service cannot execute its entry {}: {error}", entry.id),
            }
        }
        if self.table.version() > before && self.leads() {
            self.announce(wishes);
        }
    }

    fn execute(&mut self, command: &Command) {
        match self.table.apply(command, Rules::default()) {
            Ok(()) => match command.group().and_then(|group| self.table.groups().get(&group)) {
                Some(group) => info!(?command, view = %group.view, "view table"),
                None => info!(?command, "view table"),
            },
            // The same evidence led to it twice, or somebody else was first: that is what compare-and-set is for.
            Err(Rejection::NoChange | Rejection::ViewChanged { .. }) => {}
            Err(rejection) => debug!(?command, %rejection, "view table: refused"),
        }
    }

    fn announce(&self, wishes: &mut Vec<Wish>) {
        for node in self.table.nodes().keys() {
            wishes.push(Wish::Announce { to: *node, table: self.table.clone() });
        }
    }

    fn take_snapshot(&mut self, at: EntryId, time: Timestamp) {
        let name = Name { group: VIEW_GROUP, id: at, time };
        self.taking = Some(name);
        self.archive.write(name, 0, self.table.encode());
        self.archive.finish(name);
    }

    // ---- the disk -----------------------------------------------------------------------------------------

    pub(crate) fn on_journal(&mut self, now: Instant, event: JournalEvent, wishes: &mut Vec<Wish>) {
        match event {
            JournalEvent::Persisted { group: GENESIS_GROUP, .. } => {
                if let Some(membership) = self.founding.take() {
                    info!(members = ?membership.members.keys(), "the view service is founded");
                    self.genesis.durable(membership);
                    for other in self.genesis.others().to_vec() {
                        self.say_hello(other, wishes);
                    }
                    self.start_raft_if_founded(wishes);
                }
            }
            JournalEvent::Persisted { ticket, .. } => {
                self.durable = self.durable.max(ticket);
                while let Some((_, to, message)) = self.held.pop_front_if(|(held, ..)| *held <= ticket) {
                    self.send(to, message, wishes);
                }
                while let Some((_, keep)) = self.superseding.pop_front_if(|(held, _)| *held <= ticket) {
                    self.archive.keep(VIEW_GROUP, keep);
                }
                self.step(now, Input::Persisted { ticket }, wishes);
            }
            JournalEvent::SnapshotWanted { group: VIEW_GROUP } if self.taking.is_none() => {
                let applied = self.raft.as_ref().map(|raft| (raft.applied(), raft.log()));
                let last =
                    applied.and_then(|(index, log)| log.get(index)).map(|entry| (entry.id, entry.time));
                if let Some((id, time)) = last {
                    self.take_snapshot(id, time);
                }
            }
            JournalEvent::SnapshotWanted { .. } => {}
        }
    }

    pub(crate) fn on_archive(&mut self, now: Instant, event: ArchiveEvent, wishes: &mut Vec<Wish>) {
        let taking = |name: Name| self.taking == Some(name);
        let input = match event {
            ArchiveEvent::Read { to, id, chunk, .. } => {
                let to = self.member(to);
                to.map(|to| Input::SnapshotRead { to, snapshot: id, chunk })
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
            ArchiveEvent::Finished { name } => Some(self.install(name)),
            ArchiveEvent::Failed { name } => Some(Input::SnapshotUnusable { snapshot: name.id }),
        };
        if let Some(input) = input {
            self.step(now, input, wishes);
        }
    }

    fn install(&mut self, name: Name) -> Input {
        let received = self.receiving.take_if(|(receiving, _)| *receiving == name);
        match received.map(|(_, image)| Table::decode(&Bytes::from(image))) {
            Some(Ok(table)) => {
                info!(snapshot = %name.id, "view service: installed a snapshot");
                self.table = table;
                let configuration = self.membership().map(configuration).unwrap_or_default();
                Input::SnapshotInstalled { snapshot: name.id, time: name.time, configuration }
            }
            _ => Input::SnapshotUnusable { snapshot: name.id },
        }
    }
}
