//! How nodes that have lost each other meet again: each ping also goes to one other node, in turn. Whoever
//! hears a ping knows where its sender is, tells it of a newer table, and where those are that it seeks.
//! (Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", PODC 1987: anti-entropy.)
//!
//! Pings to the view nodes alone are not enough. Two view nodes that have both moved, and remember of each
//! other where they were, find nobody to tell them; a third node that has stayed where it was hears both. Nor
//! is the table: where the two are needed to change it, it says where they were.

use std::collections::BTreeSet;
use std::sync::Arc;

use onecopy_core::NodeId;
use onecopy_views::{Ping, Table};

use crate::disk::Out;
use crate::view_service::ViewEffect;
use crate::whereabouts::Whereabouts;

/// Who hears the next ping beside the view nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Gossip {
    last: Option<NodeId>,
}

impl Gossip {
    /// The next of the `known` nodes after the last partner that is not `told` anyway.
    pub fn partner(
        &mut self,
        known: impl Iterator<Item = NodeId>,
        told: &BTreeSet<NodeId>,
    ) -> Option<NodeId> {
        let others: BTreeSet<NodeId> = known.filter(|node| !told.contains(node)).collect();
        let next = others.iter().find(|node| Some(**node) > self.last).or_else(|| others.first());
        self.last = next.copied();
        self.last
    }
}

/// Answers a ping with what this node knows better, and looks for its sender where it says that it is.
/// `table` is the newest that this node knows; it need not be a view node.
pub fn answer(me: NodeId, table: &Arc<Table>, from: NodeId, ping: &Ping, out: &mut Out<ViewEffect>) {
    // P9: what an old image of a disk says counts for nothing. The table tells it so.
    let may_be_delayed = table.may_be_delayed(from, ping);
    let is_believed = !table.is_over(from, ping.start()) && !may_be_delayed;
    let address = &ping.addresses.peer;
    // Also if the table says the same: somebody who knows less may have said something else since.
    if is_believed && !address.is_empty() && from != me {
        out.effects.push(ViewEffect::LookFor { node: from, address: address.clone() });
    }
    if ping.table < table.version() {
        let table = table.clone();
        out.effects.push(match may_be_delayed {
            // It may have lost its disk, and have moved: then it is not where the table says.
            true => ViewEffect::Show { to: from, address: address.clone(), table },
            false => ViewEffect::Announce { to: from, table },
        });
    }
}

/// What the sender of a ping is told of the nodes that it seeks: who they are, and where.
pub fn found(whereabouts: &Whereabouts, ping: &Ping) -> impl Iterator<Item = (NodeId, String)> {
    let place = |node: &NodeId| whereabouts.told(*node).filter(|address| !address.is_empty());
    ping.seeks.iter().filter_map(move |node| Some((*node, place(node)?.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_who_are_not_told_anyway_have_their_turn() {
        let mut gossip = Gossip::default();
        let mut partner = |known: &[u32], told: &[u32]| {
            let told = told.iter().copied().map(NodeId).collect();
            gossip.partner(known.iter().copied().map(NodeId), &told).map(|node| node.0)
        };
        let turns: Vec<_> = (0..5).map(|_| partner(&[1, 2, 3, 4], &[1])).collect();
        assert_eq!(turns, [Some(2), Some(3), Some(4), Some(2), Some(3)]);
        assert_eq!(partner(&[1, 2, 3], &[1]), Some(2), "one is gone");
        assert_eq!(partner(&[1], &[1]), None);
        assert_eq!(partner(&[3, 1], &[]), Some(1));
    }
}
