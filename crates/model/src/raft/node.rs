//! One member: the real Raft core, its disk, and what a driver keeps between them.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use onecopy_core::{
    Entry, EntryId, Epoch, Incarnation, Index, Instant, Member, NodeId, Protocol, Recovered, Rules, Ticket,
    Timestamp,
};
use onecopy_raft::{Base, Config, Configuration, Effect, Input, Message, Raft};

use super::settings::Start;
use crate::disk::Disk;

/// The members.
pub const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// The member on a node, in the only life of its disk.
#[must_use]
pub const fn member(node: NodeId) -> Member {
    Member { node, incarnation: Incarnation(1) }
}

/// The time of every step. The end of time: whatever is added to it stays there, so that every timeout is due
/// whenever the checker wants it, and no state differs from another by a time alone.
pub const NOW: Instant = Instant(u64::MAX);

/// One member.
#[derive(Clone, Debug, Hash)]
pub struct Node {
    /// The protocol.
    pub raft: Raft,
    /// What it keeps.
    pub disk: Disk,
    /// How far this process has executed the log.
    pub applied: Index,
    /// How often it was started.
    pub starts: u8,
    /// Everything up to here is durable, as the process knows.
    done: Ticket,
    /// Messages that wait for the disk.
    held: VecDeque<(Ticket, NodeId, Message)>,
}

impl Node {
    /// The first start.
    #[must_use]
    pub fn new(id: NodeId, start: Start, rules: Rules) -> Self {
        let disk = match start {
            Start::Settled | Start::Cold => Disk::default(),
            Start::Figure8 => figure8(id),
        };
        Self::start(id, disk, 1, rules).0
    }

    fn start(id: NodeId, disk: Disk, starts: u8, rules: Rules) -> (Self, Vec<Effect>) {
        let config = Config {
            id: member(id),
            election_timeout: Duration::from_millis(300),
            heartbeat_interval: Duration::from_millis(100),
            // One entry in each append: they can arrive, and be lost, one by one.
            append_bytes_max: 1,
            inflight_max: 8,
            log_bytes_max: usize::MAX,
            promotion_lag_max: 0,
            leases: None,
            seed: 0,
            rules,
        };
        let base = Base { time: Timestamp(0), configuration: Configuration::of(MEMBERS.map(member)) };
        let (raft, effects) = Raft::new(config, disk.durable().clone(), base, NOW)
            .unwrap_or_else(|error| panic!("{id} does not understand what it wrote: {error}"));
        raft.check_invariants();
        let mut node = Self { raft, disk, applied: Index(0), starts, done: Ticket(0), held: VecDeque::new() };
        let effects = node.keep(effects);
        (node, effects)
    }

    /// The process dies, with `kept` of the tickets on their way written, and starts again.
    #[must_use]
    pub fn restart(&self, kept: usize, rules: Rules) -> (Self, Vec<Effect>) {
        let mut disk = self.disk.clone();
        disk.crash(kept);
        Self::start(self.raft.id().node, disk, self.starts + 1, rules)
    }

    /// Something happens to the member. What its disk is to do is seen to; the rest is returned.
    pub fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.raft.step(NOW, input, &mut effects);
        self.raft.check_invariants();
        self.keep(effects)
    }

    /// The next ticket becomes durable, and what waited for it is sent.
    pub fn persist(&mut self) -> Vec<Effect> {
        let Some(ticket) = self.disk.persist() else { return Vec::new() };
        self.done = ticket;
        let mut effects = Vec::new();
        while let Some((_, to, message)) = self.held.pop_front_if(|(after, ..)| *after <= ticket) {
            effects.push(Effect::Send { to: member(to), message, after: None });
        }
        effects.extend(self.step(Input::Persisted { ticket }));
        effects
    }

    /// Hands writes to the disk, and holds back the messages that wait for them.
    fn keep(&mut self, effects: Vec<Effect>) -> Vec<Effect> {
        let mut others = Vec::with_capacity(effects.len());
        for effect in effects {
            match effect {
                Effect::Persist { ticket, writes } => self.disk.submit(ticket, self.raft.term().0, writes),
                Effect::Send { to, message, after: Some(ticket) } if ticket > self.done => {
                    self.held.push_back((ticket, to.node, message));
                }
                other => others.push(other),
            }
        }
        others
    }
}

/// The disks of Figure 8 (b): all share entry 1 of term 1, n1 and n2 have one of their own at index 2.
fn figure8(id: NodeId) -> Disk {
    let entry = |index: u64, term: u64| Entry {
        id: EntryId { index: Index(index), epoch: Epoch(term) },
        time: Timestamp(0),
        seed: 0,
        payload: Bytes::new(),
    };
    let mut entries = vec![entry(1, 1)];
    entries.extend(match id.0 {
        1 => Some(entry(2, 2)),
        2 => Some(entry(2, 3)),
        _ => None,
    });
    // n2 led term 3 with the vote of n3; n1 has heard of the term.
    let (term, vote) = (3u64, if id.0 == 1 { None } else { Some(2u32) });
    let mut state = BytesMut::new();
    state.put_u8(2);
    state.put_u64_le(term);
    state.put_u8(u8::from(vote.is_some()));
    state.put_u32_le(vote.unwrap_or(0));
    state.put_u128_le(u128::from(vote.is_some()));
    let state = Some(state.freeze());
    Disk::holding(Recovered { state, base: EntryId::ZERO, entries, commit: Index(1) }, term)
}
