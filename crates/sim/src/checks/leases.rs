//! Whoever reads on its own word knows everything that is committed: at the moment of a commit, every backup
//! under a lease holds the entry, and no other primary is under one that has not executed it. The direct form
//! of what leases are for: no read has to happen in the gap for it to be seen. (Gray and Cheriton, "Leases",
//! 1989; rules L1 to L6, P6.)

use onecopy_core::{EntryId, GroupId, NodeId};

use crate::clock::Time;
use crate::node::Node;
use crate::trace::violated;

/// Looks at all other replicas of a group, when a primary has committed an entry.
pub fn check(nodes: &[Node], now: Time, group: GroupId, primary: NodeId, id: EntryId) {
    for node in nodes.iter().filter(|node| node.id != primary) {
        let Some(replica) = node.process.as_ref().and_then(|process| process.group(group)) else { continue };
        let Some(replica) = replica.replica().primary_backup() else { continue };
        let its_now = node.clock.instant(now);
        let reads_as = if replica.reads_as_primary(its_now) && replica.commit() < id.index {
            "primary"
        } else if replica.reads_as_backup(its_now)
            && id.index > replica.log().base().index
            && !replica.log().contains(id)
        {
            "backup"
        } else {
            continue;
        };
        violated(
            "leases",
            format!(
                "{primary} commits {id}, of which {} knows nothing, and reads as a {reads_as} of {:?}",
                node.id,
                replica.view_number()
            ),
        );
    }
}
