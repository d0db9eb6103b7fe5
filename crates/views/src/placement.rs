//! Which nodes get a new copy.

use onecopy_core::{Member, NodeId};

use crate::table::Table;

/// Orders nodes by how many groups they are in, then by how many they lead, then by their id.
pub(crate) fn fewest_groups_first(nodes: impl Iterator<Item = Member>, table: &Table) -> Vec<Member> {
    let mut nodes: Vec<Member> = nodes.collect();
    nodes
        .sort_by_key(|member| (copies_on(member.node, table), primaries_on(member.node, table), member.node));
    nodes
}

fn copies_on(node: NodeId, table: &Table) -> usize {
    let holds = |group: &&crate::table::Group| group.view.replicas().any(|replica| replica.node == node);
    table.groups().values().filter(holds).count()
}

fn primaries_on(node: NodeId, table: &Table) -> usize {
    table.groups().values().filter(|group| group.view.primary == node).count()
}
