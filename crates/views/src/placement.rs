//! Which nodes get a new copy.

use std::collections::BTreeSet;

use onecopy_core::{Member, NodeId};

use crate::table::Table;

/// Where the next copy goes: into a zone without one if there is such a zone, on the node with the fewest
/// groups, then on the one that leads the fewest, then by id.
pub(crate) fn choose(
    candidates: impl Iterator<Item = Member>,
    taken: &[NodeId],
    table: &Table,
) -> Option<Member> {
    let zones: BTreeSet<&str> = taken.iter().filter_map(|node| zone(*node, table)).collect();
    candidates.filter(|member| !taken.contains(&member.node)).min_by_key(|member| {
        let shares_zone = zone(member.node, table).is_some_and(|zone| zones.contains(zone));
        (shares_zone, copies_on(member.node, table), primaries_on(member.node, table), member.node)
    })
}

/// Which of `members` can be spared best: the one whose zone holds the most other copies, then the one on the
/// node with the most groups.
pub(crate) fn spare(members: impl Iterator<Item = NodeId>, all: &[NodeId], table: &Table) -> Option<NodeId> {
    members.max_by_key(|node| {
        let together = |other: &&NodeId| *other != node && zone(**other, table) == zone(*node, table);
        let company = zone(*node, table).map_or(0, |_| all.iter().filter(together).count());
        (company, copies_on(*node, table), *node)
    })
}

/// The zone of a node, if somebody said.
fn zone(node: NodeId, table: &Table) -> Option<&str> {
    table.nodes().get(&node).map(|registration| registration.zone.as_str()).filter(|zone| !zone.is_empty())
}

fn copies_on(node: NodeId, table: &Table) -> usize {
    table.groups().iter().filter(|(id, group)| table.is_held_by(**id, group, node)).count()
}

fn primaries_on(node: NodeId, table: &Table) -> usize {
    table.groups().values().filter(|group| group.view.primary == node).count()
}
