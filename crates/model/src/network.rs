//! Messages on their way.
//!
//! *Loss* needs no budget: whatever the others do while a message stays on its way, they could do if it were
//! lost, and properties of safety do not ask how a history ends. *Duplication* is a delivery that leaves the
//! message where it is.

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

/// All messages on their way, by sender and receiver. Those of one pair stand in the order in which they were
/// sent, if that means anything, and else in an order that is always the same for the same messages.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(from: u32, to: u32, message: u32) -> Packet<u32> {
        Packet { from: NodeId(from), to: NodeId(to), message }
    }

    fn with(order: Order, packets: &[Packet<u32>]) -> Network<u32> {
        let mut network = Network::new(order);
        packets.iter().cloned().for_each(|packet| network.send(packet));
        network
    }

    fn left_after(network: &Network<u32>, taken: u32) -> Vec<u32> {
        let mut network = network.clone();
        let packet = network.distinct().find(|packet| packet.message == taken).cloned();
        network.take(&packet.expect("it is on its way"));
        let mut left: Vec<u32> = network.distinct().map(|packet| packet.message).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn a_bag_knows_no_order() {
        let there = [packet(1, 2, 10), packet(1, 2, 11), packet(1, 3, 12)];
        let back = [there[2].clone(), there[1].clone(), there[0].clone()];
        assert_eq!(with(Order::Any, &there), with(Order::Any, &back));
        assert_eq!(left_after(&with(Order::Any, &there), 11), [10, 12]);
    }

    #[test]
    fn what_a_connection_was_overtaken_in_is_lost() {
        let network =
            with(Order::Kept, &[packet(1, 2, 10), packet(1, 2, 11), packet(1, 3, 12), packet(1, 2, 13)]);
        assert_eq!(left_after(&network, 10), [11, 12, 13]);
        assert_eq!(left_after(&network, 11), [12, 13]);
        assert_eq!(left_after(&network, 13), [12]);
        assert_eq!(left_after(&network, 12), [10, 11, 13]);
    }

    #[test]
    fn equal_messages_are_one_choice_and_two_deliveries() {
        for order in [Order::Any, Order::Kept] {
            let network = with(order, &[packet(1, 2, 10), packet(1, 2, 10)]);
            assert_eq!((network.len(), network.distinct().count()), (2, 1));
            assert_eq!(left_after(&network, 10), [10]);
        }
    }
}
