//! A tiny deterministic cluster: nodes, their disks, and the messages between them. Nothing happens by
//! itself, and there is no view service: the tests say what it announces, to whom, and what happens next.
#![allow(unreachable_pub, reason = "shared by the tests of this crate")]

pub mod show;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{
    BootNumber, EntryId, GroupId, Incarnation, Instant, Member, NodeId, Protocol, Timestamp, View,
};
use onecopy_replica::{Base, Config, Effect, Input, Message, Replica};
use onecopy_testkit::{Disk, Done};

/// A message on its way.
pub type Envelope = onecopy_testkit::Envelope<NodeId, Message>;

/// A running process.
pub type Process = onecopy_testkit::Process<Replica, NodeId, Message>;

/// One node: its disk, and its process unless it has crashed.
#[derive(Default)]
pub struct Node {
    pub disk: Disk,
    /// How many lives its data had before this one.
    lives: u32,
    pub boot: u64,
    pub process: Option<Process>,
}

/// What all nodes of a cluster have in common.
#[derive(Clone, Debug)]
pub struct Setup {
    pub nodes: u32,
    pub window_bytes_max: usize,
    pub prepare_bytes_max: usize,
    pub log_bytes_max: usize,
    pub log_memory_bytes_max: usize,
    pub join_lag_max: u64,
    pub lease: Option<Duration>,
    /// How many bytes an image is larger than it needs to be, to have several chunks.
    pub padding: usize,
}

impl Default for Setup {
    fn default() -> Self {
        let (window_bytes_max, prepare_bytes_max, log_bytes_max) = (10_000, 1_000, 100_000);
        Self {
            nodes: 3,
            window_bytes_max,
            prepare_bytes_max,
            log_bytes_max,
            log_memory_bytes_max: usize::MAX,
            join_lag_max: 2,
            lease: None,
            padding: 0,
        }
    }
}

pub struct Cluster {
    pub setup: Setup,
    pub nodes: BTreeMap<NodeId, Node>,
    pub wire: Vec<Envelope>,
    pub now: Instant,
    /// Everything that happened since the last look, for people.
    pub trace: Vec<String>,
}

impl Cluster {
    pub fn new(setup: Setup) -> Self {
        let nodes = (1..=setup.nodes).map(|id| (NodeId(id), Node::default())).collect();
        Self { setup, nodes, wire: Vec::new(), now: Instant::ZERO, trace: Vec::new() }
    }

    pub fn ids(&self) -> Vec<NodeId> {
        self.nodes.keys().copied().collect()
    }

    pub fn replica(&self, id: NodeId) -> Option<&Replica> {
        self.nodes[&id].process.as_ref().map(|process| &process.protocol)
    }

    /// The node in its present life: n2 is n2/2, and n2/102 once it has lost its data.
    pub fn member(&self, id: NodeId) -> Member {
        let incarnation = Incarnation(u128::from(id.0) + 0x100 * u128::from(self.nodes[&id].lives));
        Member { node: id, incarnation }
    }

    fn process(&mut self, id: NodeId) -> Option<&mut Process> {
        self.nodes.get_mut(&id)?.process.as_mut()
    }

    fn node(&mut self, id: NodeId) -> &mut Node {
        self.nodes.get_mut(&id).expect("a node of the cluster")
    }

    /// Starts the process of a node from its disk.
    pub fn start(&mut self, id: NodeId) {
        let (now, me, setup) = (self.now, self.member(id), self.setup.clone());
        let node = self.node(id);
        assert!(node.process.is_none(), "{id} is running");
        node.boot += 1;
        let config = Config {
            window_bytes_max: setup.window_bytes_max,
            prepare_bytes_max: setup.prepare_bytes_max,
            log_bytes_max: setup.log_bytes_max,
            log_memory_bytes_max: setup.log_memory_bytes_max,
            join_lag_max: setup.join_lag_max,
            lease: setup.lease,
            ..Config::new(GroupId(1), me, BootNumber(node.boot))
        };
        let (recovered, image) = node.disk.recover();
        let mut effects = Vec::new();
        let base = match image.snapshot {
            EntryId::ZERO => Base::default(),
            _ => Base { time: image.time, bytes: image.bytes() },
        };
        let replica = Replica::new(config, recovered, base, now, &mut effects);
        let replica = replica.expect("what was written makes sense");
        node.process = Some(Process::new(replica, image.machine));
        self.note(format!("{id} starts"));
        self.carry_out(id, effects);
    }

    /// Ends the process of a node. Of its queued writes, the first `survive` have reached the disk.
    pub fn crash(&mut self, id: NodeId, survive: usize) {
        let node = self.node(id);
        let process = node.process.take().expect("a running process");
        process.crash(&mut node.disk, survive);
        self.note(format!("{id} crashes"));
    }

    /// Ends the process of a node, and its data with it.
    pub fn lose_data(&mut self, id: NodeId) {
        self.crash(id, 0);
        let node = self.node(id);
        node.disk = Disk::default();
        node.lives += 1;
        self.note(format!("{id} has lost its data"));
    }

    pub fn step(&mut self, id: NodeId, input: Input) {
        let now = self.now;
        let mut effects = Vec::new();
        let Some(process) = self.process(id) else { return };
        process.protocol.step(now, input, &mut effects);
        process.protocol.check_invariants();
        self.carry_out(id, effects);
    }

    /// The view service tells a node of a view.
    pub fn announce(&mut self, to: NodeId, view: View) {
        if self.process(to).is_some() {
            self.note(format!("{to} hears of {}", show::view(&view)));
            self.step(to, Input::Announced { view });
        }
    }

    /// Makes the oldest queued write of a node durable. Returns whether there was one.
    pub fn persist(&mut self, id: NodeId) -> bool {
        let node = self.node(id);
        let Some(process) = &mut node.process else { return false };
        let Some((ticket, leave)) = process.write_next(&mut node.disk) else { return false };
        self.note(format!("{id} has written {}", ticket.0));
        leave.into_iter().for_each(|envelope| self.send(envelope));
        self.step(id, Input::Persisted { ticket });
        true
    }

    /// Delivers one message, unless the receiver is down.
    pub fn deliver(&mut self, envelope: Envelope) {
        let Envelope { from, to, message } = envelope;
        if self.process(to).is_some() {
            self.note(format!("{to} ← {from} {}", show::message(&message)));
            self.step(to, Input::Received { from, message });
        }
    }

    /// Does the oldest task of a node's driver. Returns whether there was one.
    pub fn work(&mut self, id: NodeId) -> bool {
        let padding = self.setup.padding;
        let node = self.node(id);
        let Some(process) = &mut node.process else { return false };
        let Some(done) = process.work(&mut node.disk, padding) else { return false };
        let input = match done {
            Done::Taken { snapshot, time, bytes } => Input::SnapshotTaken { snapshot, time, bytes },
            Done::Entries { to, first, entries } => Input::EntriesRead { to, first, entries },
            Done::Read { to, snapshot, chunk } => Input::SnapshotRead { to, snapshot, chunk },
            Done::Written { snapshot, end } => Input::SnapshotWritten { snapshot, wanted: end },
            Done::Installed(image) => Input::SnapshotInstalled { snapshot: image.snapshot },
            Done::Unusable { snapshot } => Input::SnapshotSpoiled { snapshot },
        };
        self.note(format!("{id} {}", show::input(&input)));
        self.step(id, input);
        true
    }

    /// Steps the replicas whose time has come.
    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        for id in self.ids() {
            let due = self.replica(id).and_then(Protocol::deadline).is_some_and(|due| due <= self.now);
            if due {
                self.step(id, Input::Elapsed);
            }
        }
    }

    /// Delivers, writes and works until nothing is left to do but wait.
    pub fn settle(&mut self) {
        loop {
            let mut busy = !self.wire.is_empty();
            for envelope in std::mem::take(&mut self.wire) {
                self.deliver(envelope);
            }
            for id in self.ids() {
                busy |= self.persist(id);
                busy |= self.work(id);
            }
            if !busy {
                return;
            }
        }
    }

    fn send(&mut self, envelope: Envelope) {
        self.note(format!("{} → {} {}", envelope.from, envelope.to, show::message(&envelope.message)));
        self.wire.push(envelope);
    }

    fn carry_out(&mut self, id: NodeId, effects: Vec<Effect>) {
        for effect in effects {
            if let Effect::Send { to, message, after: None } = effect {
                self.send(Envelope { from: id, to, message });
                continue;
            }
            self.note(format!("{id} {}", show::effect(&effect)));
            take_over(self.process(id).expect("a running process"), id, effect);
        }
    }

    pub fn note(&mut self, line: String) {
        self.trace.push(line);
    }

    /// Replicas that have applied the same index have the same state (rule P10).
    pub fn check_states(&self) {
        let mut digests = BTreeMap::new();
        for process in self.nodes.values().filter_map(|node| node.process.as_ref()) {
            let machine = &process.machine;
            let first = digests.entry(machine.applied.index).or_insert(machine);
            assert_eq!(*first, machine, "P10 same order, same result");
        }
    }
}

/// Effects that concern only the process itself.
fn take_over(process: &mut Process, id: NodeId, effect: Effect) {
    match effect {
        Effect::Persist { ticket, writes } => process.persist(ticket, writes),
        Effect::Send { to, message, after: Some(after) } => {
            process.hold(after, Envelope { from: id, to, message });
        }
        Effect::Apply { entries } => entries.iter().for_each(|entry| process.machine.apply(entry)),
        Effect::TakeSnapshot { at, time } => process.take_snapshot(at, time, Bytes::new()),
        Effect::ReadEntries { to, first, bytes_max } => process.read_entries(to, first, bytes_max),
        Effect::ReadSnapshot { to, snapshot, offset } => process.read_snapshot(to, snapshot, offset),
        Effect::WriteSnapshot { chunk } => process.write_snapshot(&chunk),
        Effect::InstallSnapshot { snapshot, .. } => process.install_snapshot(snapshot),
        // The trace has them, and nobody else waits for them.
        _ => {}
    }
}

/// The wall clock, which follows the other one here.
pub fn wall(now: Instant) -> Timestamp {
    Timestamp(now.0 / 1_000_000)
}
