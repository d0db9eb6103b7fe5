//! Messages on their way.
//!
//! *Loss* needs no budget: whatever the others do while a message stays on its way, they could do if it were lost, and
//! properties of safety do not ask how a history ends. *Duplication* is a delivery that leaves the message where it is.

use std::hash::Hash;

use onecopy_core::NodeId;

use crate::shared::Shared;

/// Which message may be next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Order {
    /// Any.
    Any,
    /// Any, but what one node had sent another before is lost then: connections keep the order, and break.
    Kept,
}

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet<M> {
    /// Who sent it.
    pub from: NodeId,
    /// Who gets it.
    pub to: NodeId,
    /// What it says.
    pub message: M,
}

impl<M> Packet<M> {
    fn link(&self) -> (NodeId, NodeId) {
        (self.from, self.to)
    }
}

/// All messages on their way, by sender and receiver. Those of one pair stand in the order in which they were sent, if
/// that means anything, and else in an order that is always the same for the same messages.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Network<M> {
    order: Order,
    packets: Vec<Shared<Packet<M>>>,
}

impl<M: Hash> Network<M> {
    /// Nothing is on its way.
    #[must_use]
    pub fn new(order: Order) -> Self {
        Self { order, packets: Vec::new() }
    }

    /// How many messages are on their way.
    #[must_use]
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Puts a message in.
    pub fn send(&mut self, packet: Packet<M>) {
        let packet = Shared::new(packet);
        let at = self.packets.partition_point(|other| match self.order {
            Order::Any => (other.link(), other.fingerprint()) < (packet.link(), packet.fingerprint()),
            Order::Kept => other.link() <= packet.link(),
        });
        self.packets.insert(at, packet);
    }

    /// Takes one of the messages out.
    pub fn take(&mut self, packet: &Shared<Packet<M>>) {
        let Some(at) = self.packets.iter().position(|other| other == packet) else { return };
        let first = match self.order {
            Order::Any => at,
            Order::Kept => self.packets.partition_point(|other| other.link() < packet.link()),
        };
        self.packets.drain(first..=at);
    }

    /// The messages, equal ones once.
    pub fn distinct(&self) -> impl Iterator<Item = &Shared<Packet<M>>> {
        let again = |at: usize| self.packets[..at].contains(&self.packets[at]);
        self.packets.iter().enumerate().filter(move |(at, _)| !again(*at)).map(|(_, packet)| packet)
    }

    /// Drops the messages that can have no effect any more, whatever happens.
    pub fn forget(&mut self, is_dead: impl Fn(&Packet<M>) -> bool) {
        self.packets.retain(|packet| !is_dead(packet));
    }
}
