//! Two faces of one property. Every member of the newest view holds everything that was ever committed: it may
//! be the next primary, at any moment (that is what a member is; rules P1, P4, P5). And P1, all backups first: what a primary commits is durable at every member of its view at that moment. (PacificA,
//! "Replication in Log-Based Distributed Storage Systems", 2008, calls this the commit invariant.)

use onecopy_core::{EntryId, NodeId, View};

use crate::node::Node;
use crate::trace::violated;

/// Looks at the disks behind a commit. A member whose data was lost since it acknowledged is nobody's fault.
pub fn check(nodes: &[Node], primary: NodeId, id: EntryId) {
    let of = |node: NodeId| nodes.iter().find(|other| other.id == node);
    let Some(view) = of(primary).and_then(|node| node.process.as_ref()?.group().replica().view()) else {
        return;
    };
    for member in &view.members {
        let Some(node) = of(member.node).filter(|node| node.incarnation == member.incarnation) else {
            continue;
        };
        if !node.disk.holds(id) {
            violated(
                "copies",
                format!("P1: {primary} commits {id} in {view}, but it is not durable at {}", node.id),
            );
        }
    }
}

/// Looks at the disks of all members, after something was committed, written or decided.
pub fn members_hold_all(nodes: &[Node], view: &View, last: EntryId) {
    for member in &view.members {
        let node = nodes.iter().find(|node| node.id == member.node && node.incarnation == member.incarnation);
        if let Some(node) = node.filter(|node| !node.disk.holds(last)) {
            violated(
                "copies",
                format!("{} is a member of {view}, but does not hold the committed {last}", node.id),
            );
        }
    }
}
