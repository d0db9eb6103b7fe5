//! Two faces of one property. Every member of the newest view holds everything that was ever committed: it
//! may be the next primary, at any moment (that is what a member is; rules P1, P4, P5). And P1, all backups
//! first: what a primary commits is durable at every member of its view at that moment. (PacificA,
//! "Replication in Log-Based Distributed Storage Systems", 2008, calls this the commit invariant.)

use std::collections::BTreeMap;

use onecopy_core::{EntryId, GroupId, NodeId, View, ViewNumber};

use crate::node::Node;
use crate::trace::violated;

/// Looks at the disks behind a commit. A member whose data was lost since it acknowledged is nobody's fault,
/// nor is one that has been dropped since, and has begun anew in a later view: that is news to a primary
/// which stood still.
pub fn check(
    nodes: &[Node],
    group: GroupId,
    began: &BTreeMap<NodeId, ViewNumber>,
    primary: NodeId,
    id: EntryId,
) {
    let of = |node: NodeId| nodes.iter().find(|other| other.id == node);
    let Some(view) = of(primary).and_then(|node| node.process.as_ref()?.group(group)?.replica().view())
    else {
        return;
    };
    for member in &view.members {
        let Some(node) = of(member.node).filter(|node| node.incarnation == member.incarnation) else {
            continue;
        };
        if began.get(&member.node).is_some_and(|began| *began > view.number) {
            continue;
        }
        if !node.disk.holds(group, id) {
            violated(
                "copies",
                format!("P1: {primary} commits {id} in {view}, but it is not durable at {}", node.id),
            );
        }
    }
}

/// Looks at the disks of all members, after something was committed, written or decided.
pub fn members_hold_all(nodes: &[Node], group: GroupId, view: &View, last: EntryId) {
    for member in &view.members {
        let node = nodes.iter().find(|node| node.id == member.node && node.incarnation == member.incarnation);
        if let Some(node) = node.filter(|node| !node.disk.holds(group, last)) {
            violated(
                "copies",
                format!("{} is a member of {view}, but does not hold the committed {last}", node.id),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use bytes::Bytes;
    use onecopy_core::{BootNumber, Entry, Incarnation, Index, Member, Ticket, Timestamp, Write};

    use onecopy_host::Job;
    use onecopy_views::MAIN;

    use super::*;
    use crate::checks::caught;
    use crate::clock::Clock;

    #[test]
    fn a_member_without_a_committed_entry_is_caught() {
        let life = |node: u32| Incarnation(u128::from(node));
        let node = |node: u32| {
            Node::new(NodeId(node), Clock::new(0, 0), (life(node), Incarnation(0)), Rc::new(BTreeMap::new()))
        };
        let mut nodes = [node(1), node(2)];
        let members: Vec<Member> =
            (1..=2).map(|node| Member { node: NodeId(node), incarnation: life(node) }).collect();
        let (number, primary, boot) = (ViewNumber(1), NodeId(1), BootNumber(1));
        let view = View { number, primary, boot, members, learners: Vec::new() };
        let id = EntryId::new(1, 1);
        let entry = Entry { id, time: Timestamp(1), seed: 0, payload: Bytes::new() };
        let look = |nodes: &[Node]| caught(|| members_hold_all(nodes, MAIN, &view, id));
        for node in 0..2 {
            assert_eq!(look(&nodes), Some("copies"));
            let writes = vec![Write::Append { entries: vec![entry.clone()], commit: Index(0) }];
            nodes[node].disk.submit(Job { group: MAIN, ticket: Ticket::default(), writes });
            nodes[node].disk.synced();
        }
        assert_eq!(look(&nodes), None);
        nodes[1].disk.forget_data();
        assert_eq!(look(&nodes), Some("copies"));
        nodes[1].incarnation = Incarnation(9);
        assert_eq!(look(&nodes), None, "another life owes nothing");
    }
}
