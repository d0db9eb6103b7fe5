//! The network: which messages arrive, when, and how often.

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::NodeId;

use crate::clock::{MS, Time};
use crate::dice::Dice;
use crate::message::{ControlMessage, Packet};
use crate::profile::Profile;

/// How much a narrow link carries: a line that has half of it carries a little more than one that counts as
/// slow (`crates/replica/src/pace.rs`).
const NARROW_BYTES_PER_MS: Time = 80 * 1024;
/// While a message of more bytes arrives, its receiver notices it after every piece of so many.
const PIECE_BYTES: usize = 256 * 1024;

/// The same in a run in which everything is so many times smaller.
#[must_use]
pub fn piece_bytes(scale: usize) -> usize {
    PIECE_BYTES / scale
}

/// The two lines in which large messages stand (`crates/node/src/peer/wire.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Line {
    /// What replicas say.
    First,
    /// Requests and answers.
    Second,
}

impl Line {
    fn other(self) -> Self {
        match self {
            Self::First => Self::Second,
            Self::Second => Self::First,
        }
    }
}

/// What is wrong with the network now.
#[derive(Debug, Default)]
pub struct Network {
    /// Nothing gets from the first to the second; counted, because faults overlap.
    cuts: Vec<(NodeId, NodeId)>,
    /// Since when, one for one.
    cut_since: Vec<Time>,
    /// Storms that are on: lost per mille.
    storms: Vec<u64>,
    /// The group's messages from the first to the second pile up, since then.
    slow: Vec<(NodeId, NodeId, Time)>,
    /// View outages that are on.
    view_outages: u32,
    /// How long every message takes, if the nodes are far from each other.
    distance: Option<Time>,
    /// How many times links have become narrow, and until when those that carry data are taken.
    narrowed: u32,
    taken: BTreeMap<(NodeId, NodeId, Line), Time>,
    /// How often nodes have moved.
    moves: BTreeMap<NodeId, u64>,
    /// When the last message from the first to the second arrives, once links keep the order.
    order: Option<BTreeMap<(NodeId, NodeId), Time>>,
}

/// Where a node is that has moved so often.
#[must_use]
pub fn address(node: NodeId, moves: u64) -> String {
    format!("{node}/{moves}")
}

impl Network {
    /// When the copies of a message arrive: none, one or two times from now.
    pub fn deliveries(
        &self,
        dice: &mut Dice,
        profile: &Profile,
        from: NodeId,
        to: NodeId,
        packet: &Packet,
        now: Time,
    ) -> [Option<Time>; 2] {
        let loss = self.storms.iter().copied().max().unwrap_or(profile.loss);
        if self.is_cut(from, to) || dice.chance(loss) || self.swallows(packet) {
            return [None, None];
        }
        let again = packet.may_be_doubled() && dice.chance(profile.double);
        let mut delay = || match dice.chance(profile.late) {
            true => dice.between(profile.latency, profile.latency + profile.lateness),
            false => self.distance.unwrap_or_default() + dice.between(profile.latency / 10, profile.latency),
        };
        let usual = [Some(delay()), again.then(delay)];
        if profile.strays > 0 && packet.is_of_control() && dice.chance(profile.strays) {
            return usual.map(|delay| delay.map(|delay| delay + dice.below(profile.straying)));
        }
        match self.backlog(now, from, to).filter(|_| matches!(packet, Packet::Replica(..))) {
            Some(backlog) => usual.map(|delay| delay.map(|delay| delay.max(backlog))),
            None => usual,
        }
    }

    /// All nodes are so far from each other, or as near as before.
    pub fn set_distance(&mut self, distance: Option<Time>) {
        self.distance = distance;
    }

    /// Whether the nodes are far from each other.
    #[must_use]
    pub fn is_far(&self) -> bool {
        self.distance.is_some()
    }

    /// Whether a path is slow now.
    #[must_use]
    pub fn has_slow_path(&self) -> bool {
        !self.slow.is_empty()
    }

    /// How long the group's messages from one node to another take. They come later and later, but there is
    /// never silence.
    fn backlog(&self, now: Time, from: NodeId, to: NodeId) -> Option<Time> {
        let between = self.slow.iter().filter(|(sender, receiver, _)| (*sender, *receiver) == (from, to));
        between.map(|(.., since)| (now - since) / 5 * 4).max()
    }

    /// The group's messages from one node to another pile up from now on.
    pub fn slow_path(&mut self, from: NodeId, to: NodeId, now: Time) {
        self.slow.push((from, to, now));
    }

    /// They no longer do.
    pub fn fast_path(&mut self, from: NodeId, to: NodeId) {
        let first = self.slow.iter().position(|(sender, receiver, _)| (*sender, *receiver) == (from, to));
        first.map(|position| self.slow.swap_remove(position));
    }

    /// Whether some do not hear others.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.cuts.is_empty() || self.view_outages > 0 || self.distance.is_some()
    }

    /// Whether nothing gets from one node to the other.
    #[must_use]
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        !self.cuts.is_empty() && self.cuts.contains(&(from, to))
    }

    fn swallows(&self, packet: &Packet) -> bool {
        self.view_outages > 0
            && matches!(packet, Packet::Control(ControlMessage::Raft(_) | ControlMessage::Hello(_)))
    }

    /// Where a node is.
    #[must_use]
    pub fn address(&self, node: NodeId) -> String {
        address(node, self.moves.get(&node).copied().unwrap_or_default())
    }

    /// Whether a node is at an address: one of its own, or nowhere.
    #[must_use]
    pub fn is_at(&self, node: NodeId, address: &str) -> bool {
        let moves = address.rsplit_once('/').and_then(|(_, moves)| moves.parse().ok());
        moves == Some(self.moves.get(&node).copied().unwrap_or_default())
    }

    /// How often nodes have moved.
    #[must_use]
    pub fn moves(&self) -> &BTreeMap<NodeId, u64> {
        &self.moves
    }

    /// A node is elsewhere from now on.
    pub fn moved(&mut self, node: NodeId) {
        *self.moves.entry(node).or_default() += 1;
    }

    /// Whether a message that was sent then is lost by a cut. If cuts leak, what was on its way when they
    /// began still arrives.
    #[must_use]
    pub fn is_lost(&self, from: NodeId, to: NodeId, sent: Time, leaks: bool) -> bool {
        let mut cuts = self.cuts.iter().zip(&self.cut_since);
        !self.cuts.is_empty() && cuts.any(|(cut, since)| *cut == (from, to) && (!leaks || *since <= sent))
    }

    /// Cuts these directions, from now on.
    pub fn cut(&mut self, directions: &[(NodeId, NodeId)], now: Time) {
        self.cuts.extend_from_slice(directions);
        self.cut_since.resize(self.cuts.len(), now);
    }

    /// Undoes one [`Network::cut`].
    pub fn mend(&mut self, directions: &[(NodeId, NodeId)]) {
        for direction in directions {
            if let Some(position) = self.cuts.iter().position(|cut| cut == direction) {
                self.cuts.swap_remove(position);
                self.cut_since.swap_remove(position);
            }
        }
    }

    /// A storm begins.
    pub fn storm(&mut self, loss: u64) {
        self.storms.push(loss);
    }

    /// A storm ends.
    pub fn calm(&mut self, loss: u64) {
        if let Some(position) = self.storms.iter().position(|storm| *storm == loss) {
            self.storms.swap_remove(position);
        }
    }

    /// Links become narrow, or as wide as before.
    pub fn narrow(&mut self, begins: bool) {
        self.narrowed = if begins { self.narrowed + 1 } else { self.narrowed.saturating_sub(1) };
    }

    /// When a message of so many bytes begins to arrive that would arrive `at` this time if it were small and
    /// alone, and how long that takes: what is on its way in its line already comes first, and what is in the
    /// other line has half of the link. `scale`: how many times less than usual links carry in this run.
    pub fn carry(
        &mut self,
        (from, to): (NodeId, NodeId),
        (line, bytes): (Line, usize),
        at: Time,
        scale: usize,
    ) -> (Time, Time) {
        if self.narrowed == 0 {
            return (at, 0);
        }
        let others = self.taken.get(&(from, to, line.other())).copied().unwrap_or_default();
        let taken = self.taken.entry((from, to, line)).or_default();
        let (begins, alone) = (at.max(*taken), (bytes * scale) as Time * MS / NARROW_BYTES_PER_MS);
        let takes = alone + alone.min(others.saturating_sub(begins) / 2);
        *taken = begins + takes;
        (begins, takes)
    }

    /// The view nodes stop, or begin again, to hear each other.
    pub fn view_outage(&mut self, begins: bool) {
        self.view_outages = if begins { self.view_outages + 1 } else { self.view_outages.saturating_sub(1) };
    }

    /// All is well. From now on links keep the order, as those of production do: where they do not, a learner
    /// gets on a few entries at a time, and no bound for that could be named.
    pub fn heal(&mut self) {
        let moves = std::mem::take(&mut self.moves);
        *self = Self { moves, order: Some(BTreeMap::new()), ..Self::default() };
    }

    /// When a message arrives that would arrive at this time if it were the only one.
    pub fn in_turn(&mut self, from: NodeId, to: NodeId, at: Time) -> Time {
        let Some(order) = &mut self.order else { return at };
        let last = order.entry((from, to)).or_default();
        *last = at.max(*last);
        *last
    }

    /// The directions between two parts.
    #[must_use]
    pub fn between(parts: &BTreeSet<NodeId>, all: &[NodeId]) -> Vec<(NodeId, NodeId)> {
        let mut directions = Vec::new();
        for a in all.iter().filter(|node| parts.contains(node)) {
            for b in all.iter().filter(|node| !parts.contains(node)) {
                directions.extend([(*a, *b), (*b, *a)]);
            }
        }
        directions
    }
}
