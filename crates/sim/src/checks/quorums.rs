//! What a leader of a Raft group commits is durable at a majority of its voters, in a joint configuration
//! at a majority of each half. Leader completeness follows from it, and from the votes; but that it was
//! broken shows only if the wrong ones die. (Raft paper, sections 5.3 and 6.)

use onecopy_core::{EntryId, GroupId, Member, NodeId};
use onecopy_host::VIEW_GROUP;
use onecopy_raft::Configuration;

use crate::checks::members;
use crate::node::Node;
use crate::trace::violated;

/// Looks at the disks of the voters, when a leader has committed an entry under a configuration. A voter
/// whose disk was lost since it acknowledged is nobody's fault.
pub fn check(nodes: &[Node], group: GroupId, leader: NodeId, id: EntryId, configuration: &Configuration) {
    let lives = |node: &Node, member: Member| match group {
        VIEW_GROUP => members::lives(node, member),
        _ => (node.id, node.incarnation) == (member.node, member.incarnation),
    };
    let holds = |member: &Member| {
        let node = nodes.iter().find(|node| lives(node, *member));
        node.is_none_or(|node| node.disk.holds(group, id))
    };
    for half in [&configuration.voters, &configuration.old_voters] {
        let holding = half.iter().filter(|member| holds(member)).count();
        if !half.is_empty() && holding * 2 <= half.len() {
            violated(
                "quorums",
                format!(
                    "{leader} commits {id}, which is durable at {holding} of {half:?}, in {configuration:?}"
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use bytes::Bytes;
    use onecopy_core::{Entry, Incarnation, Index, Ticket, Timestamp, Write};
    use onecopy_host::Job;

    use super::*;
    use crate::checks::caught;
    use crate::clock::Clock;

    #[test]
    fn a_commit_without_a_majority_of_each_half_is_caught() {
        let member = |node: u32| Member { node: NodeId(node), incarnation: Incarnation(u128::from(node)) };
        let node = |number: u32| {
            let lives = (Incarnation(0), member(number).incarnation);
            Node::new(NodeId(number), Clock::new(0, 0), lives, Rc::new(BTreeMap::new()))
        };
        let mut nodes: Vec<Node> = (1..=5).map(node).collect();
        let id = EntryId::new(1, 1);
        let write = |nodes: &mut Vec<Node>, node: usize| {
            let entry = Entry { id, time: Timestamp(1), seed: 0, payload: Bytes::new() };
            let writes = vec![Write::Append { entries: vec![entry], commit: Index(0) }];
            nodes[node - 1].disk.submit(Job { group: VIEW_GROUP, ticket: Ticket::default(), writes });
            nodes[node - 1].disk.synced();
        };
        let three = Configuration::of([1, 2, 3].map(member));
        let joint = Configuration { old_voters: [3, 4, 5].map(member).into(), ..three.clone() };
        let look =
            |nodes: &[Node], of: &Configuration| caught(|| check(nodes, VIEW_GROUP, NodeId(1), id, of));
        write(&mut nodes, 1);
        assert_eq!(look(&nodes, &three), Some("quorums"));
        write(&mut nodes, 2);
        assert_eq!((look(&nodes, &three), look(&nodes, &joint)), (None, Some("quorums")));
        write(&mut nodes, 3);
        write(&mut nodes, 4);
        assert_eq!(look(&nodes, &joint), None);
        nodes[3].view_member = Incarnation(99);
        assert_eq!(look(&nodes, &joint), None, "another life owes nothing");
    }
}
