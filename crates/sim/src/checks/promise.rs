//! P3, durable promise: whatever a replica says in a view, it says after its promise of that view is durable.
//! A replica that forgot its promise would help a primary that it had refused.

use onecopy_core::{GroupId, NodeId};

use crate::node::Node;
use crate::trace::violated;

/// Looks at the disk behind a message that `node` has sent in the view of a group with this number.
pub fn check(nodes: &[Node], group: GroupId, node: NodeId, view: u64) {
    let promised = nodes.iter().find(|other| other.id == node).map_or(0, |node| node.disk.promised(group));
    if promised < view {
        violated("promise", format!("P3: {node} speaks in v{view}, but its disk promises only v{promised}"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::rc::Rc;

    use onecopy_core::Incarnation;

    use super::*;
    use crate::checks::caught;
    use crate::clock::Clock;

    #[test]
    fn a_word_without_a_promise_is_caught() {
        let nodes = [Node::new(
            NodeId(1),
            Clock::new(0, 0),
            (Incarnation(1), Incarnation(1)),
            Rc::new(BTreeMap::new()),
        )];
        assert_eq!(caught(|| check(&nodes, GroupId(1), NodeId(1), 0)), None);
        assert_eq!(caught(|| check(&nodes, GroupId(1), NodeId(1), 1)), Some("promise"));
    }
}
