//! A tiny deterministic cluster: members, their disks, and the messages between them. Nothing happens by
//! itself; the tests say what happens next.
#![allow(dead_code, unreachable_pub, reason = "each test uses its own part of it")]

pub mod checks;
pub mod show;
pub mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, Incarnation, Index, Instant, Member, NodeId, Protocol, Rules, Timestamp};
use onecopy_raft::{
    Base, ChangeRefusal, ClockDrift, Config, Configuration, Effect, Input, Message, Raft, TransferRefusal,
};

use onecopy_testkit::{Disk, Done, Image};

/// A message on its way.
pub type Envelope = onecopy_testkit::Envelope<Member, Message>;

/// A running process.
pub type Process = onecopy_testkit::Process<Raft, Member, Message>;

/// The member on this node, in this life of its disk.
pub const fn member(node: u32, life: u128) -> Member {
    Member { node: NodeId(node), incarnation: Incarnation(life) }
}

/// One member, or one that may become it: its disk, and its process unless it has crashed.
pub struct Site {
    pub config: Config,
    pub disk: Disk,
    pub process: Option<Process>,
    /// What it is told about the group if its disk is empty.
    pub founding: Configuration,
    /// How many millionths faster than the truth its clock is.
    pub skew: i64,
}

/// What a member told its clients.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Proposed(EntryId),
    Refused,
    ChangeBegun(EntryId),
    ChangeRefused(ChangeRefusal),
    TransferBegun(Member),
    TransferRefused(TransferRefusal),
    TransferAborted(Member),
    ReadReady(u64, Index),
    ReadRefused(u64),
}

/// What all members of a cluster have in common.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The founding members, all of them voters.
    pub members: u32,
    /// Nodes that run, and could be added.
    pub spares: u32,
    pub leases: Option<ClockDrift>,
    pub append_bytes_max: usize,
    pub inflight_max: usize,
    pub log_bytes_max: usize,
    /// How many bytes an image is larger than it needs to be, to have several chunks.
    pub padding: usize,
    pub seed: u64,
    pub rules: Rules,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            members: 3,
            spares: 0,
            leases: None,
            append_bytes_max: 1000,
            inflight_max: 4,
            log_bytes_max: 100_000,
            padding: 0,
            seed: 0,
            rules: Rules::default(),
        }
    }
}

pub struct Cluster {
    pub setup: Setup,
    pub members: BTreeMap<Member, Site>,
    pub wire: Vec<Envelope>,
    /// Who cannot reach whom.
    pub cut: BTreeSet<(Member, Member)>,
    pub now: Instant,
    /// Everything that members did, for people. Only kept if wanted.
    pub trace: Option<Vec<String>>,
    /// Answers to clients since the last look, with the member that gave them.
    pub answers: Vec<(Member, Answer)>,
    /// Entries applied since the last look.
    pub applied: Vec<(Member, Entry)>,
    /// How many snapshots were installed.
    pub installs: u64,
}

impl Cluster {
    pub fn new(setup: Setup) -> Self {
        let mut cluster = Self {
            members: BTreeMap::new(),
            wire: Vec::new(),
            cut: BTreeSet::new(),
            now: Instant::ZERO,
            trace: None,
            answers: Vec::new(),
            applied: Vec::new(),
            installs: 0,
            setup,
        };
        let (members, all) = (cluster.setup.members, cluster.setup.members + cluster.setup.spares);
        let founding = Configuration::of((1..=members).map(|node| member(node, 1)));
        for node in 1..=all {
            let founding = if node <= members { founding.clone() } else { Configuration::default() };
            cluster.add(member(node, 1), founding);
        }
        cluster
    }

    /// A site with an empty disk.
    pub fn add(&mut self, id: Member, founding: Configuration) {
        let (config, disk) = (self.config(id), Disk::default());
        self.members.insert(id, Site { config, disk, process: None, founding, skew: 0 });
    }

    /// The disk of a crashed member is lost: its node comes back as another member.
    pub fn wipe(&mut self, id: Member) -> Member {
        let lost = self.members.remove(&id).expect("a member");
        assert!(lost.process.is_none(), "{} is running", show::name(id));
        let next = member(id.node.0, id.incarnation.0 + 1);
        self.add(next, Configuration::default());
        self.note(|| format!("{} loses its disk", show::name(id)));
        next
    }

    /// What the clock of a member shows.
    fn clock(&self, id: Member) -> Instant {
        let (now, skew) = (self.now.0 as i128, i128::from(self.members[&id].skew));
        Instant((now + now * skew / 1_000_000) as u64)
    }

    fn config(&self, id: Member) -> Config {
        let setup = &self.setup;
        Config {
            id,
            election_timeout: Duration::from_millis(100),
            heartbeat_interval: Duration::from_millis(20),
            append_bytes_max: setup.append_bytes_max,
            inflight_max: setup.inflight_max,
            log_bytes_max: setup.log_bytes_max,
            promotion_lag_max: 3,
            leases: setup.leases,
            seed: setup.seed.wrapping_mul(1000) + u64::from(id.node.0),
            rules: setup.rules,
        }
    }

    pub fn ids(&self) -> Vec<Member> {
        self.members.keys().copied().collect()
    }

    pub fn raft(&self, id: Member) -> Option<&Raft> {
        self.members[&id].process.as_ref().map(|process| &process.protocol)
    }

    pub fn running(&self) -> impl Iterator<Item = (Member, &Process)> {
        self.members.iter().filter_map(|(id, member)| Some((*id, member.process.as_ref()?)))
    }

    fn process(&mut self, id: Member) -> Option<&mut Process> {
        self.members.get_mut(&id)?.process.as_mut()
    }

    /// Starts the process of a member from its disk.
    pub fn start(&mut self, id: Member) {
        let now = self.clock(id);
        let member = self.members.get_mut(&id).expect("a member");
        assert!(member.process.is_none(), "{} is running", show::name(id));
        let (recovered, image) = member.disk.recover();
        let configuration = match recovered.base {
            EntryId::ZERO => member.founding.clone(),
            _ => configuration(&image),
        };
        let base = Base { time: image.time, configuration };
        let mut config = member.config.clone();
        config.seed = config.seed.wrapping_add(now.0);
        let (raft, effects) = Raft::new(config, recovered, base, now).expect("what was written makes sense");
        member.process = Some(Process::new(raft, image.machine));
        self.note(|| format!("{} starts", show::name(id)));
        self.carry_out(id, effects);
    }

    /// Ends the process of a member. Of its queued writes, the first `survive` have reached the disk.
    pub fn crash(&mut self, id: Member, survive: usize) {
        let member = self.members.get_mut(&id).expect("a member");
        let process = member.process.take().expect("a running process");
        process.crash(&mut member.disk, survive);
        self.note(|| format!("{} crashes", show::name(id)));
    }

    pub fn step(&mut self, id: Member, input: Input) {
        if !self.members.contains_key(&id) {
            return;
        }
        let now = self.clock(id);
        let mut effects = Vec::new();
        let Some(process) = self.process(id) else { return };
        process.protocol.step(now, input, &mut effects);
        process.protocol.check_invariants();
        self.carry_out(id, effects);
    }

    /// Makes the oldest queued write of a member durable. Returns whether there was one.
    pub fn persist(&mut self, id: Member) -> bool {
        let Some(member) = self.members.get_mut(&id) else { return false };
        let Some(process) = &mut member.process else { return false };
        let Some((ticket, leave)) = process.write_next(&mut member.disk) else { return false };
        self.note(|| format!("{} has written {}", show::name(id), ticket.0));
        leave.into_iter().for_each(|envelope| self.send(envelope));
        self.step(id, Input::Persisted { ticket });
        true
    }

    /// Delivers one message, unless the link is cut or the receiver is down.
    pub fn deliver(&mut self, envelope: Envelope) {
        let Envelope { from, to, message } = envelope;
        if self.process(to).is_some() && !self.cut.contains(&(from, to)) {
            self.note(|| format!("{} ← {} {}", show::name(to), show::name(from), show::message(&message)));
            self.step(to, Input::Received { from, message });
        }
    }

    /// Does the oldest task of a member's driver. Returns whether there was one.
    pub fn work(&mut self, id: Member) -> bool {
        let padding = self.setup.padding;
        let Some(member) = self.members.get_mut(&id) else { return false };
        let Some(process) = &mut member.process else { return false };
        let Some(done) = process.work(&mut member.disk, padding) else { return false };
        let input = match done {
            Done::Taken { snapshot, .. } => Input::SnapshotTaken { snapshot },
            Done::Read { to, snapshot, chunk } => Input::SnapshotRead { to, snapshot, chunk },
            Done::Entries { .. } => unreachable!("Raft has all of its log in memory"),
            Done::Written { snapshot, end } => Input::SnapshotWritten { snapshot, offset: end },
            Done::Installed(image) => {
                self.installs += 1;
                let (snapshot, time) = (image.snapshot, image.time);
                Input::SnapshotInstalled { snapshot, time, configuration: configuration(&image) }
            }
            Done::Unusable { snapshot } => Input::SnapshotUnusable { snapshot },
        };
        self.note(|| format!("{} {}", show::name(id), show::input(&input)));
        self.step(id, input);
        true
    }

    /// Steps the members whose time has come.
    pub fn advance(&mut self, duration: Duration) {
        self.now = self.now + duration;
        for id in self.due() {
            self.step(id, Input::Elapsed);
        }
    }

    /// Who wants to hear that time has passed.
    pub fn due(&self) -> Vec<Member> {
        let due = |id: Member, process: &Process| {
            process.protocol.deadline().is_some_and(|deadline| deadline <= self.clock(id))
        };
        self.running().filter(|(id, process)| due(*id, process)).map(|(id, _)| id).collect()
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
        self.note(|| {
            let (from, to) = (show::name(envelope.from), show::name(envelope.to));
            format!("{from} → {to} {}", show::message(&envelope.message))
        });
        self.wire.push(envelope);
    }

    fn carry_out(&mut self, id: Member, effects: Vec<Effect>) {
        for effect in effects {
            self.carry_out_one(id, effect);
        }
    }

    fn carry_out_one(&mut self, id: Member, effect: Effect) {
        if !matches!(effect, Effect::Send { after: None, .. }) {
            self.note(|| format!("{} {}", show::name(id), show::effect(&effect)));
        }
        let now_answers = &mut self.answers;
        match effect {
            Effect::Send { to, message, after: None } => self.send(Envelope { from: id, to, message }),
            Effect::Proposed { id: entry } => now_answers.push((id, Answer::Proposed(entry))),
            Effect::Refused { .. } => now_answers.push((id, Answer::Refused)),
            Effect::ReadReady { token, index } => now_answers.push((id, Answer::ReadReady(token, index))),
            Effect::ReadRefused { token, .. } => now_answers.push((id, Answer::ReadRefused(token))),
            Effect::ChangeBegun { id: entry } => now_answers.push((id, Answer::ChangeBegun(entry))),
            Effect::ChangeRefused { reason } => now_answers.push((id, Answer::ChangeRefused(reason))),
            Effect::TransferBegun { to } => now_answers.push((id, Answer::TransferBegun(to))),
            Effect::TransferRefused { reason } => now_answers.push((id, Answer::TransferRefused(reason))),
            Effect::TransferAborted { to } => now_answers.push((id, Answer::TransferAborted(to))),
            Effect::RoleChanged { .. } | Effect::ConfigurationChanged { .. } => {}
            Effect::Apply { entries } => {
                let process = self.process(id).expect("a running process");
                for entry in &entries {
                    process.machine.apply(entry);
                }
                self.applied.extend(entries.into_iter().map(|entry| (id, entry)));
            }
            other => take_over(self.process(id).expect("a running process"), id, other),
        }
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}

/// Effects that concern only the process itself.
fn take_over(process: &mut Process, id: Member, effect: Effect) {
    match effect {
        Effect::Persist { ticket, writes } => process.persist(ticket, writes),
        Effect::Send { to, message, after: Some(after) } => {
            process.hold(after, Envelope { from: id, to, message });
        }
        Effect::TakeSnapshot { at, time, configuration } => {
            process.take_snapshot(at, time, configuration.encode());
        }
        Effect::ReadSnapshot { to, snapshot, offset } => process.read_snapshot(to, snapshot, offset),
        Effect::WriteSnapshot { chunk } => process.write_snapshot(&chunk),
        Effect::InstallSnapshot { snapshot } => process.install_snapshot(snapshot),
        other => unreachable!("{other:?} is carried out by the cluster"),
    }
}

/// The configuration that an image carries.
fn configuration(image: &Image) -> Configuration {
    Configuration::decode(&image.extra).expect("what was encoded makes sense")
}

/// An entry for a log that a test makes up.
pub fn entry(index: u64, term: u64) -> Entry {
    let payload = Bytes::from(format!("\0{index}@{term}"));
    Entry { id: EntryId::new(index, term), time: Timestamp(index), seed: 0, payload }
}
