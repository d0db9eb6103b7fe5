//! A view node: the view table, replicated with Raft, and the judgement of its leader.
//!
//! Every view node hears the pings and suspicions of all nodes ([`Monitor`]). The leader looks at the
//! evidence some times in a second, and whenever something was heard that cannot wait
//! ([`ViewService::look`]), and proposes commands; whatever is committed changes the [`Table`], which the
//! leader tells to all nodes. Before all that, the view nodes of a new cluster agree on who they are
//! (`founding`); later others come, and go, and take the place of those that lost their disks (`members`).

mod applicants;
mod founding;
mod image;
mod log;
mod members;
mod observer;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use onecopy_core::{
    GroupId, Incarnation, Index, Instant, Member, NodeId, Petition, Plea, Protocol, Recovered, Rule, Rules,
    Ticket, Timestamp,
};
use onecopy_raft::{ChangeRefusal, Configuration, Effect, Input, Message, Raft, Role};
use onecopy_views::{
    Command, Genesis, GenesisStanding, Hello, MAIN, Membership, Moment, Monitor, MonitorConfig, NewDatabase,
    Ping, Refusal, Table,
};

use crate::disk::{Out, SnapshotName};
use crate::gossip;
use crate::journal::Journal;
use crate::message::RaftLetter;
use applicants::Applicants;
pub use image::{CorruptImage, ViewImage};
use members::Request;
pub use observer::ViewObserver;

/// The group of the view table in the log.
pub const VIEW_GROUP: GroupId = GroupId(0);
/// Where the membership of the view service stands in the log.
pub const GENESIS_GROUP: GroupId = GroupId(u32::MAX);
/// How often the leader looks at its evidence while nothing is heard that cannot wait. Time itself is
/// evidence: of silence.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// A view node that was not run for this long was asleep: what it did not hear meanwhile proves nothing.
const ASLEEP: Duration = Duration::from_millis(250);
/// A node that is not heard is told the table this often.
const CALL_INTERVAL: Duration = Duration::from_secs(1);
/// A process that is not wanted is told so this often.
const REFUSAL_INTERVAL: Duration = Duration::from_millis(500);

/// What the view service wants of the node.
#[derive(Debug)]
pub enum ViewEffect {
    /// Say hello to another view node.
    Hello {
        /// The receiver.
        to: NodeId,
        /// What to say.
        hello: Hello,
    },
    /// Send a message of the Raft group to another view node.
    Raft {
        /// The receiver.
        to: NodeId,
        /// What to say.
        letter: RaftLetter,
    },
    /// Tell a node what became of its operator's command, or of the change of members that its operator
    /// wants.
    Operated {
        /// The receiver, perhaps this node.
        to: NodeId,
        /// Which of its requests.
        request: u64,
        /// Whether it was executed; if not, why.
        outcome: Result<(), String>,
    },
    /// Tell a process that it is not taken for the node that it says it is.
    Refuse {
        /// Which node it says it is.
        to: NodeId,
        /// Where it takes other nodes, as it says: perhaps not where the node does.
        address: String,
        /// Why.
        refusal: Refusal,
    },
    /// Tell a process the view table, where it says that it is. It may be what comes after the node that is
    /// known under its name, or have been there before.
    Show {
        /// Which node it says it is.
        to: NodeId,
        /// Where it takes other nodes, as it says.
        address: String,
        /// The table.
        table: Arc<Table>,
    },
    /// Look for a node there: it is where it speaks from, and everybody else does not know that yet.
    LookFor {
        /// Which one.
        node: NodeId,
        /// Where it takes other nodes, as it says.
        address: String,
    },
    /// Tell a node the view table.
    Announce {
        /// The receiver, perhaps this node.
        to: NodeId,
        /// What to say.
        table: Arc<Table>,
    },
}

/// The settings of a view node.
#[derive(Clone, Debug)]
pub struct ViewSettings {
    /// Who it is.
    pub node: NodeId,
    /// The life of its disk.
    pub incarnation: Incarnation,
    /// The configured view nodes: a cluster is founded by them, and found through them. Not necessarily those
    /// of today.
    pub view_nodes: Vec<NodeId>,
    /// The databases that the cluster should have beside `main`.
    pub databases: Vec<NewDatabase>,
    /// How many copies a new group gets.
    pub copies: u32,
    /// After how much silence a node counts as failed.
    pub failure_timeout: Duration,
    /// The same for a node that refuses connections.
    pub refused_timeout: Duration,
    /// How long a follower waits for a leader; its leader says something six times as often.
    pub election_timeout: Duration,
    /// How many bytes of entries one message of the Raft group carries at most (but always at least one
    /// entry).
    pub append_bytes_max: usize,
    /// A snapshot is taken when the log of the Raft group has grown beyond this many bytes.
    pub log_bytes_max: usize,
    /// Fresh randomness, for the patience of candidates.
    pub seed: u64,
    /// Which rules are in force: all, outside of a simulator.
    pub rules: Rules,
}

/// What a view node kept on its disk.
#[derive(Debug, Default)]
pub struct Kept {
    /// Who founded the cluster, once that is known.
    pub membership: Option<Membership>,
    /// The log of the Raft group.
    pub raft: Recovered,
    /// The snapshot at its base: an empty one without.
    pub image: ViewImage,
    /// The time of that snapshot; 0 without one.
    pub base_time: Timestamp,
}

/// One view node.
#[derive(Debug)]
pub struct ViewService {
    settings: ViewSettings,
    genesis: Genesis,
    genesis_ticket: Ticket,
    /// The membership that is on its way to the disk.
    founding: Option<Membership>,
    next_hello: Instant,
    /// From the founding on.
    raft: Option<Raft>,
    /// What Raft starts from.
    kept: Recovered,
    base_time: Timestamp,
    base_configuration: Configuration,
    table: Arc<Table>,
    /// The newest table that the node has heard of: if it is no view node any more, its own table is old.
    known: Arc<Table>,
    monitor: Monitor,
    applicants: Applicants,
    /// The change of members that an operator waits for.
    request: Option<Request>,
    /// What the operator before was told: answers may be lost, and questions are repeated.
    answered: Option<((NodeId, u64), Result<(), String>)>,
    /// Why Raft has just refused a change.
    refusal: Option<ChangeRefusal>,
    journal: Journal<(Member, Message)>,
    /// The snapshot that is being received, and that is being taken.
    receiving: Option<(SnapshotName, Vec<u8>)>,
    taking: Option<SnapshotName>,
    /// Who waits for pieces of a snapshot that are being read, in the order in which they were asked for.
    reading: VecDeque<Member>,
    /// Commands of operators that are on their way through the log, and who waits for them.
    operations: BTreeMap<Index, (NodeId, u64)>,
    /// When processes that are not wanted were told so, by node.
    refused_at: BTreeMap<NodeId, Instant>,
    next_call: Instant,
    /// When it last did anything, and for how long it was asleep, until its observer is told.
    last_awake: Instant,
    slept: Option<Duration>,
    /// When the evidence is looked at next, and whether something was heard that cannot wait until then.
    next_judgement: Instant,
    has_news: bool,
    /// The wall clock at the last look.
    wall: Timestamp,
    /// Empty between steps; kept for its memory.
    effects: Vec<Effect>,
}

impl ViewService {
    /// Starts a view node with what its disk kept. `wall` is the wall clock; it may be set back.
    pub fn start(
        settings: ViewSettings,
        kept: Kept,
        (now, wall): (Instant, Timestamp),
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) -> Self {
        let genesis =
            Genesis::new(settings.node, settings.incarnation, &settings.view_nodes, kept.membership);
        let config = MonitorConfig {
            failure_timeout: settings.failure_timeout,
            refused_timeout: settings.refused_timeout,
            copies: settings.copies,
            rules: settings.rules,
        };
        let monitor = Monitor::new(config, now);
        let mut service = Self {
            settings,
            genesis,
            genesis_ticket: Ticket::default(),
            founding: None,
            next_hello: now,
            raft: None,
            kept: kept.raft,
            base_time: kept.base_time,
            base_configuration: kept.image.configuration,
            table: Arc::new(kept.image.table),
            known: Arc::default(),
            monitor,
            applicants: Applicants::default(),
            request: None,
            answered: None,
            refusal: None,
            journal: Journal::of(VIEW_GROUP),
            receiving: None,
            taking: None,
            reading: VecDeque::new(),
            operations: BTreeMap::new(),
            refused_at: BTreeMap::new(),
            next_call: now + CALL_INTERVAL,
            last_awake: now,
            slept: None,
            next_judgement: now,
            has_news: false,
            wall,
            effects: Vec::new(),
        };
        service.begin(now, observer, out);
        service
    }

    /// Where it stands in the founding of the cluster.
    #[must_use]
    pub fn standing(&self) -> &GenesisStanding {
        self.genesis.standing()
    }

    /// Its part in the Raft group, from the founding on, whether it is a member of it or waits to be one.
    #[must_use]
    pub fn raft(&self) -> Option<&Raft> {
        self.raft.as_ref()
    }

    /// The view table, as of what is executed here.
    #[must_use]
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The evidence that it has.
    #[must_use]
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Whether it leads the view service, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.raft.as_ref().is_some_and(|raft| raft.role() == Role::Leader)
    }

    /// Whether it leads the view service and knows everything that was decided before. A leader that has
    /// just been elected may have executed next to nothing yet: it would take a process that comes second for
    /// the node itself, because its table does not know the node (rule `DecideInOwnTerm`).
    #[must_use]
    pub fn may_decide(&self) -> bool {
        let waits = self.settings.rules.hold(Rule::DecideInOwnTerm);
        let knows_all = |raft: &Raft| !waits || raft.has_applied_in_term();
        self.raft.as_ref().is_some_and(|raft| raft.role() == Role::Leader && knows_all(raft))
    }

    /// When it next wants a look.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let raft = self.raft.as_ref().and_then(Raft::deadline);
        let hello = (!self.is_member()).then_some(self.next_hello);
        [raft, hello].into_iter().flatten().fold(self.next_judgement, Instant::min)
    }

    // ---- what it hears ------------------------------------------------------------------------------------

    /// A node, perhaps this one, says that it is alive.
    pub fn pinged(&mut self, now: Instant, from: NodeId, ping: Ping, out: &mut Out<ViewEffect>) {
        self.wakes(now);
        // Nobody else runs on this node's own directory.
        let newcomer = match from == self.settings.node {
            true => None,
            false => self.monitor.refuses_newcomer(now, &self.table, from, &ping),
        };
        if let Some(refusal) = newcomer {
            self.monitor.knocked(now, from, &ping);
            // Whoever comes after a node that has just fallen silent waits, and is not told to go.
            if !self.monitor.is_silent(now, from) {
                self.refuse(now, from, ping, refusal, out);
            }
            return;
        }
        // Not only the leader: it may be the one that cannot reach this node. What is in a table is
        // committed.
        let newest = if self.known.version() > self.table.version() { &self.known } else { &self.table };
        gossip::answer(self.settings.node, newest, from, &ping, out);
        // P9: what an old image of a disk says counts for nothing.
        let is_over = self.table.is_over(from, ping.start()) || self.table.may_be_delayed(from, &ping);
        if !is_over || !self.settings.rules.hold(Rule::OneLife) {
            let process = self.monitor.last_ping(now, from).map(|(_, last)| last.start());
            self.has_news |= process != Some(ping.start());
            // What is heard under an older table says nothing against a life that a newer one registers.
            let table = ping.table.min(self.table.version());
            self.monitor.heard(now, from, Ping { table, ..ping });
        }
    }

    /// A process is told that it is not wanted.
    fn refuse(&mut self, now: Instant, to: NodeId, ping: Ping, refusal: Refusal, out: &mut Out<ViewEffect>) {
        if self.refused_at.get(&to).is_none_or(|at| now.since(*at) >= REFUSAL_INTERVAL) {
            self.refused_at.insert(to, now);
            out.effects.push(ViewEffect::Refuse { to, address: ping.addresses.peer, refusal });
        }
    }

    /// This node has heard of a table. Whoever is a view node no more shows those who still turn to it the
    /// way.
    pub fn learnt(&mut self, table: &Arc<Table>) {
        if table.version() > self.known.version() {
            self.known = table.clone();
        }
    }

    /// A replica of a node, perhaps this one, asks for something. It does so again and again, so a delayed
    /// question is none: all view nodes remember who is suspected, the leader alone does what is asked. (A
    /// follower's table may be old.)
    pub fn petitioned(
        &mut self,
        now: Instant,
        (from, moment): (NodeId, Moment),
        Petition { group, view, plea }: Petition,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        self.wakes(now);
        let leads = self.may_decide();
        let (monitor, table) = (&mut self.monitor, &self.table);
        let command = match plea {
            Plea::Suspect { node, grounds } => {
                monitor.suspected(now, (from, moment), (group, view), node, grounds);
                self.has_news = true;
                None
            }
            Plea::AddMember { learner } if leads => monitor.certified(now, table, from, group, view, learner),
            Plea::HandOver { to } if leads && monitor.is_news(from, moment) => {
                monitor.handover(now, table, from, (group, view), to)
            }
            Plea::RosterReached { number } if leads => monitor.reached(now, table, group, number),
            Plea::HandedOn { boot } if leads => monitor.handed_on(now, table, from, (group, view), boot),
            Plea::Sealed { switch, seal, holders } if leads => {
                monitor.sealed(now, table, from, (group, view), (switch, seal, holders))
            }
            Plea::AddMember { .. }
            | Plea::HandOver { .. }
            | Plea::RosterReached { .. }
            | Plea::HandedOn { .. }
            | Plea::Sealed { .. } => None,
        };
        if let Some(command) = command {
            self.propose(now, command, observer, out);
        }
    }

    /// An operator wants something, at node `from`, which tells its requests apart by number. The leader
    /// answers with [`ViewEffect::Operated`] when it has been decided; nobody else does, and a leader that
    /// fails does not either.
    pub fn operated(
        &mut self,
        now: Instant,
        (from, request): (NodeId, u64),
        command: Command,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        self.wakes(now);
        if !self.may_decide() {
            return;
        }
        let may_recover = self.monitor.may_recover(now, &self.table, &command);
        let placed = may_recover.and_then(|()| self.monitor.place(now, &self.table, command));
        let command = match placed {
            Ok(command) => command,
            Err(reason) => {
                let outcome = Err(reason);
                return out.effects.push(ViewEffect::Operated { to: from, request, outcome });
            }
        };
        let Some(index) = self.propose(now, command, observer, out) else { return };
        self.operations.insert(index, (from, request));
    }

    /// This view node could not connect to another node: nobody listens there.
    pub fn refused(&mut self, now: Instant, node: NodeId) {
        self.wakes(now);
        self.monitor.refused(now, node);
        self.has_news = true;
    }

    /// Time has passed: timers, and for a leader a look at the evidence if one is due.
    pub fn look(
        &mut self,
        now: Instant,
        wall: Timestamp,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) {
        self.wall = wall;
        self.wakes(now);
        if let Some(length) = self.slept.take() {
            observer.slept(length);
        }
        self.greet(now, out);
        if self.raft.as_ref().and_then(Raft::deadline).is_some_and(|deadline| deadline <= now) {
            self.step(now, Input::Elapsed, observer, out);
        }
        if now < self.next_judgement && !self.has_news {
            return;
        }
        self.next_judgement = now + LOOK_INTERVAL;
        self.has_news = false;
        if self.may_decide() {
            self.judge(now, observer, out);
            self.tend_members(now, observer, out);
            self.call_the_silent(now, out);
        }
    }

    /// Whether this view node was asleep is known before anything counts that it hears. What it hears first
    /// may come from the second of two processes with one id, or from an operator who gives up nodes that
    /// are not heard.
    fn wakes(&mut self, now: Instant) {
        let length = now.since(self.last_awake);
        if length > ASLEEP {
            self.slept = Some(length);
            self.monitor.slept(now);
        }
        self.last_awake = now;
    }

    /// A node that is not heard may be looking for the view service where it is not any more: it is told
    /// where that is.
    fn call_the_silent(&mut self, now: Instant, out: &mut Out<ViewEffect>) {
        if now < self.next_call {
            return;
        }
        self.next_call = now + CALL_INTERVAL;
        let nodes = self.table.nodes().keys().filter(|node| self.monitor.is_silent(now, **node));
        out.effects.extend(nodes.map(|to| ViewEffect::Announce { to: *to, table: self.table.clone() }));
    }

    fn judge(&mut self, now: Instant, observer: &mut impl ViewObserver, out: &mut Out<ViewEffect>) {
        let mut commands = self.monitor.decide(now, &self.table);
        commands.extend(self.monitor.decide_creation(now, &self.table, MAIN));
        commands.extend(self.monitor.decide_databases(now, &self.table, &self.settings.databases));
        for command in commands {
            self.propose(now, command, observer, out);
        }
    }

    /// Has the Raft group agree on a command, if this node leads it; where it stands in the log then. One
    /// that is lost is decided anew.
    pub fn propose(
        &mut self,
        now: Instant,
        command: Command,
        observer: &mut impl ViewObserver,
        out: &mut Out<ViewEffect>,
    ) -> Option<Index> {
        observer.proposes(now, &command, &self.monitor);
        let me = (self.settings.node, self.wall);
        let payload = self.monitor.propose(now, me, &self.table, command).encode();
        let before = self.raft.as_ref().map(|raft| raft.log().last().index)?;
        self.step(now, Input::Propose { payload, time: self.wall, seed: 0 }, observer, out);
        let last = self.raft.as_ref().map(|raft| raft.log().last().index)?;
        (last > before).then_some(last)
    }

    fn announce(&self, out: &mut Out<ViewEffect>) {
        let nodes = self.table.nodes().keys();
        out.effects.extend(nodes.map(|to| ViewEffect::Announce { to: *to, table: self.table.clone() }));
    }
}
