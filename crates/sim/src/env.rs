//! Everything that is outside of the nodes: true time, the events to come, the network, chance, and the
//! checks.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;

use onecopy_core::{GroupId, NodeId, Rules};
use onecopy_host::ArchiveJob;
use onecopy_views::{Kind, MAIN};

use crate::checks::Checks;
use crate::checks::merged::Merged;
use crate::checks::own::Own;
use crate::checks::twice::Twice;
use crate::clock::Time;
use crate::dice::Dice;
use crate::faults::Fault;
use crate::message::{Packet, describe};
use crate::network::{Network, piece_bytes};
use crate::profile::Profile;
use crate::subject::Subject;
use crate::trace::Trace;

/// Something that will happen.
#[derive(Debug)]
pub enum Event {
    /// A part of a large message arrives.
    Arriving {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// When it was sent.
        sent: Time,
    },
    /// A message arrives.
    Arrives {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// When it was sent.
        sent: Time,
        /// The message.
        packet: Box<Packet>,
    },
    /// A node takes a turn.
    Turn(NodeId),
    /// A sync is done, if the process that asked for it is still the same.
    Synced(NodeId, u64),
    /// A snapshot file has been worked on, if the process that asked for it is still the same.
    Archived(NodeId, u64, Box<ArchiveJob>),
    /// A client wants something.
    Client(usize),
    /// An ear goes on.
    Ear(usize),
    /// A shelf goes on.
    Shelf(usize),
    /// The optimistic database is to have so many copies.
    Resize(u32),
    /// Writes to the optimistic database are to wait for several copies.
    BeforeOk,
    /// A client of the optimistic database wants something.
    Cart(usize),
    /// A porter goes on.
    Porter(usize),
    /// The next fault happens.
    Fault,
    /// A leader of the view service dies young.
    Regicide(NodeId),
    /// A process ends itself; whoever looks after it starts it again at this time.
    GivesUp(NodeId, Time),
    /// See there.
    Supervised(NodeId),
    /// A fault ends.
    Undo(Undo),
    /// A second process under the id of a node speaks.
    Stray(usize),
    /// A database is dropped, unless it is gone.
    Drop(GroupId),
    /// The next process is exchanged by one of another version.
    Roll,
    /// The copies of a database are to be on these nodes, or on some that are yet to be drawn.
    Move(GroupId, BTreeSet<NodeId>),
    /// The operator has a database replicated in another way, as was planned for this time.
    Switch(Time, GroupId, Kind),
    /// An idle entry for the view table.
    Churn,
    /// The faults are over.
    Heal,
    /// The checks look at the whole.
    Look,
}

/// How a fault ends.
#[derive(Clone, Debug)]
pub enum Undo {
    /// The process is started again.
    Start(NodeId),
    /// A data directory in which a start found damage is moved away.
    Empty(NodeId),
    /// A disk that refused writes is mended, and the process, if it is still that one, started again.
    MendDisk(NodeId, u64),
    /// The directions work again.
    Mend(Vec<(NodeId, NodeId)>),
    /// The storm is over.
    Calm(u64),
    /// The disk is as fast as before.
    FastDisk(NodeId),
    /// The node is as fast as before.
    FastNode(NodeId),
    /// The group's messages from one to the other are as fast as before.
    FastPath(NodeId, NodeId),
    /// The view nodes hear each other again.
    ViewService,
    /// The nodes are near each other again, and those view nodes that are down are started. So far they were
    /// since then.
    Near(Time, Vec<NodeId>),
    /// There is room on a disk again.
    Room(NodeId),
    /// Links carry as much as anybody sends again.
    Wide,
    /// A wall clock is set right.
    RightClock(NodeId),
    /// The operator is done with a node: it may be used again.
    Undrain(NodeId),
    /// The operator looks whether a node is empty by now.
    Retire(NodeId),
}

#[derive(Debug)]
struct Scheduled {
    at: Time,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Scheduled {}

impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// What happened in a run, in numbers. A run in which nothing happened proves nothing.
#[derive(Clone, Debug, Default)]
pub struct Stats {
    /// Runs.
    pub seeds: u64,
    /// Events.
    pub events: u64,
    /// True time.
    pub time: Time,
    /// Faults by kind.
    pub faults: BTreeMap<Fault, u64>,
    /// Messages sent, and those lost, doubled.
    pub messages: [u64; 3],
    /// Groups that held databases.
    pub groups: u64,
    /// Views, committed entries, operations, and those that were answered.
    pub views: u64,
    /// See there.
    pub entries: u64,
    /// See there.
    pub operations: u64,
    /// See there.
    pub answered: u64,
    /// Operations of an optimistic database that were answered, repairs of its copies, how many copies have
    /// come, and how many gone.
    pub merged: [u64; 4],
    /// Leaders elected in the view service.
    pub elections: u64,
    /// Elections in Raft groups that hold data.
    pub reigns: u64,
    /// Copies that have turned into some of the other kind.
    pub turned: u64,
    /// Keys that were moved to another database.
    pub moved: u64,
    /// Groups that were opened again after a seal.
    pub opened: u64,
    /// How often the copies of Raft groups that hold data were to be elsewhere.
    pub moves: u64,
    /// Snapshots taken and installed by replicas, and installed by view nodes.
    pub snapshots: [u64; 3],
    /// Turns that ended in the middle of a command.
    pub pauses: u64,
    /// Turns of processes at whose end groups were quiescent, once for each of those.
    pub quiescent: u64,
    /// Tails cut.
    pub cuts: u64,
    /// Records that a crash has torn.
    pub torn: u64,
    /// Starts that were refused because the disk was damaged.
    pub refused: u64,
    /// Replicas that were found to hold something else than their primary.
    pub diverged: u64,
    /// Batches that came again, and were not executed again.
    pub repeated: u64,
    /// Batches that came in parts, and whole.
    pub in_parts: u64,
    /// Commands that clients sent again under their tokens, and that were not executed again.
    pub tokens_repeated: u64,
    /// How often something has gone to make room.
    pub evicted: u64,
    /// Views that began with a planned handover.
    pub handovers: u64,
    /// Groups that lost all their copies.
    pub lost: u64,
    /// Runs at whose end a higher level was in force, and processes that ended themselves because of it.
    pub levels: [u64; 2],
    /// How long it took at most until a cluster was as good as new after the faults, and in which seed.
    pub recovery: (Time, u64),
}

impl Stats {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.events += other.events;
        self.time += other.time;
        for (fault, count) in &other.faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (sum, count) in self.messages.iter_mut().zip(other.messages) {
            *sum += count;
        }
        self.groups += other.groups;
        self.views += other.views;
        self.entries += other.entries;
        self.operations += other.operations;
        self.answered += other.answered;
        for (sum, count) in self.merged.iter_mut().zip(other.merged) {
            *sum += count;
        }
        self.elections += other.elections;
        self.reigns += other.reigns;
        self.turned += other.turned;
        self.moved += other.moved;
        self.opened += other.opened;
        self.moves += other.moves;
        self.pauses += other.pauses;
        self.quiescent += other.quiescent;
        for (sum, count) in self.snapshots.iter_mut().zip(other.snapshots) {
            *sum += count;
        }
        self.cuts += other.cuts;
        self.torn += other.torn;
        self.refused += other.refused;
        self.diverged += other.diverged;
        self.repeated += other.repeated;
        self.in_parts += other.in_parts;
        self.tokens_repeated += other.tokens_repeated;
        self.evicted += other.evicted;
        self.handovers += other.handovers;
        self.lost += other.lost;
        for (sum, count) in self.levels.iter_mut().zip(other.levels) {
            *sum += count;
        }
        self.recovery = self.recovery.max(other.recovery);
    }
}

/// Everything that is outside of the nodes.
#[derive(Debug)]
pub struct Env {
    /// True time.
    pub time: Time,
    /// Chance.
    pub dice: Dice,
    /// That of whoever exchanges processes by those of another version.
    pub rolling: Dice,
    /// How the run is set up.
    pub profile: Profile,
    /// Which rules are in force.
    pub rules: Rules,
    /// The network.
    pub network: Network,
    /// Somebody's own machine, if it is not the keyspace that is simulated.
    pub subject: Option<Arc<dyn Subject>>,
    /// What is known to be true of the cluster as a whole.
    pub checks: Checks,
    /// What happened, for people.
    pub trace: Trace,
    /// What happened, in numbers.
    pub stats: Stats,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    lives: u128,
}

impl Env {
    /// The beginning.
    #[must_use]
    pub fn new(dice: Dice, profile: Profile, rules: Rules, trace: Trace) -> Self {
        let mut checks = Checks::of(profile.databases, profile.raft_copies.is_some(), profile.value_bytes);
        if profile.optimistic.is_some() {
            // Behind all others.
            let comes_twice = profile.double > 0 || profile.leaks;
            checks.merged = Some(Merged::of(GroupId(MAIN.0 + profile.databases), comes_twice));
        }
        Self {
            time: 0,
            dice,
            rolling: Dice::new(0, 0),
            profile,
            rules,
            network: Network::default(),
            subject: None,
            checks,
            trace,
            stats: Stats::default(),
            queue: BinaryHeap::new(),
            order: 0,
            lives: 0,
        }
    }

    /// Has somebody's own machine simulated.
    pub fn bring(&mut self, subject: Arc<dyn Subject>) {
        let checks = self.checks.group(MAIN);
        checks.ledger.own = Some(Own::new(subject.specification()));
        checks.twice = Some(Twice::new(subject.clone()));
        self.subject = Some(subject);
    }

    /// Has an event happen.
    pub fn schedule(&mut self, at: Time, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.time), order: self.order, event }));
    }

    /// Goes on to the next event.
    pub fn next_event(&mut self) -> Option<Event> {
        let Reverse(next) = self.queue.pop()?;
        self.time = next.at;
        self.stats.events += 1;
        Some(next.event)
    }

    /// A number that was never given out before: for incarnations.
    pub fn new_life(&mut self) -> u128 {
        self.lives += 1;
        self.lives
    }

    /// Sends a message, which may or may not arrive. Returns whether it is on its way.
    pub fn send(&mut self, from: NodeId, to: NodeId, packet: Packet) -> bool {
        let deliveries = self.network.deliveries(&mut self.dice, &self.profile, from, to, &packet, self.time);
        self.stats.messages[0] += 1;
        let ([first, second], sent) = (deliveries, self.time);
        self.note(from, || {
            let fate = match deliveries {
                [None, _] => " (lost)",
                [_, Some(_)] => " (twice)",
                _ => "",
            };
            format!("-> {to}: {}{fate}", describe(&packet))
        });
        let Some(first) = first else {
            self.stats.messages[1] += 1;
            return false;
        };
        if let Some(second) = second {
            self.stats.messages[2] += 1;
            let packet = Box::new(packet.clone());
            self.schedule(self.time + second, Event::Arrives { from, to, sent, packet });
        }
        let mut arrives = self.time + first;
        let scale = self.profile.scale;
        if let Some((line, bytes)) = packet.line(piece_bytes(scale)) {
            let (begins, takes) = self.network.carry((from, to), (line, bytes), arrives, scale);
            let pieces = (bytes / piece_bytes(scale)) as Time;
            for piece in 1..=pieces.min(takes) {
                let at = begins + takes * piece / (pieces + 1);
                self.schedule(at, Event::Arriving { from, to, sent });
            }
            arrives = begins + takes;
        }
        let arrives = self.network.in_turn(from, to, arrives);
        self.schedule(arrives, Event::Arrives { from, to, sent, packet: Box::new(packet) });
        true
    }

    /// Writes something down.
    pub fn note(&mut self, who: NodeId, say: impl FnOnce() -> String) {
        self.trace.note(self.time, &who, say);
    }
}
