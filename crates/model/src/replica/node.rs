//! One node: the real replica, its disk, and what a driver keeps between them.

use std::collections::VecDeque;
use std::time::Duration;

use onecopy_core::{
    BootNumber, GroupId, Incarnation, Index, Instant, Member, NodeId, Protocol, Rules, Ticket,
};
use onecopy_replica::{Base, Config, Effect, Input, Message, Replica};

use crate::disk::Disk;

/// The group that everything is about.
pub const GROUP: GroupId = GroupId(1);

/// After how much silence a replica is suspected. One step of time is longer, no step is none.
pub const FAILURE_TIMEOUT: Duration = Duration::from_millis(500);

/// One node.
#[derive(Clone, Debug, Hash)]
pub struct Node {
    /// Who it is, in which life.
    pub me: Member,
    /// Which start of its process this is.
    pub boot: BootNumber,
    /// The protocol.
    pub replica: Replica,
    /// What it keeps.
    pub disk: Disk,
    /// How far this process has executed the log.
    pub applied: Index,
    /// Everything up to here is durable, as the process knows.
    done: Ticket,
    /// Messages that wait for the disk.
    held: VecDeque<(Ticket, NodeId, Message)>,
}

impl Node {
    /// The first start, with an empty disk.
    #[must_use]
    pub fn new(node: NodeId, rules: Rules) -> Self {
        let me = Member { node, incarnation: Incarnation(1) };
        Self::start(me, BootNumber(1), Disk::default(), rules, Instant::ZERO).0
    }

    /// A start, with what is on the disk.
    fn start(me: Member, boot: BootNumber, disk: Disk, rules: Rules, now: Instant) -> (Self, Vec<Effect>) {
        let config = Config {
            rules,
            // A heartbeat is due whenever the checker wants one.
            heartbeat_interval: Duration::ZERO,
            failure_timeout: FAILURE_TIMEOUT,
            ..Config::new(GROUP, me, boot)
        };
        let mut effects = Vec::new();
        let found = disk.durable().clone();
        let replica = Replica::new(config, found, Base::default(), now, &mut effects)
            .expect("what the replica wrote can be understood");
        replica.check_invariants();
        let held = VecDeque::new();
        let mut node = Self { me, boot, replica, disk, applied: Index(0), done: Ticket(0), held };
        let effects = node.keep(effects);
        (node, effects)
    }

    /// The process dies, with `kept` of the tickets on their way written, and starts again.
    #[must_use]
    pub fn restart(&self, kept: usize, rules: Rules, now: Instant) -> (Self, Vec<Effect>) {
        let mut disk = self.disk.clone();
        disk.crash(kept);
        Self::start(self.me, self.boot.next(), disk, rules, now)
    }

    /// The process dies, its disk is lost, and it starts again: as another incarnation (rule P9).
    #[must_use]
    pub fn wiped(&self, rules: Rules, now: Instant) -> (Self, Vec<Effect>) {
        let me = Member { incarnation: Incarnation(self.me.incarnation.0 + 1), ..self.me };
        Self::start(me, self.boot.next(), Disk::default(), rules, now)
    }

    /// Something happens to the replica. What its disk is to do is seen to; the rest is returned.
    pub fn step(&mut self, now: Instant, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.replica.step(now, input, &mut effects);
        self.replica.check_invariants();
        self.keep(effects)
    }

    /// The next ticket becomes durable, and what waited for it is sent.
    pub fn persist(&mut self, now: Instant) -> Vec<Effect> {
        let Some(ticket) = self.disk.persist() else { return Vec::new() };
        self.done = ticket;
        let mut effects = Vec::new();
        while let Some((_, to, message)) = self.held.pop_front_if(|(after, ..)| *after <= ticket) {
            effects.push(Effect::Send { to, message, after: None });
        }
        effects.extend(self.step(now, Input::Persisted { ticket }));
        effects
    }

    /// Hands writes to the disk, and holds back the messages that wait for them.
    fn keep(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut others = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => {
                    self.disk.submit(ticket, self.replica.view_number().0, writes);
                }
                Effect::Send { to, message, after: Some(ticket) } if ticket > self.done => {
                    self.held.push_back((ticket, to, message));
                }
                other => others.push(other),
            }
        }
        others
    }
}
