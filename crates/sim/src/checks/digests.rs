//! Equal copies: states that reflect everything through the same index have the same digest (rule P10;
//! Schneider, "Implementing Fault-Tolerant Services Using the State Machine Approach", 1990, section 2:
//! determinism).

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{Index, NodeId, StateMachine};

use crate::trace::violated;

/// How often states are compared while entries are executed: a digest walks over all of the state.
const INTERVAL: u64 = 32;

/// The digests that were seen first.
#[derive(Debug, Default)]
pub struct Digests {
    first: BTreeMap<u64, u64>,
    /// Replicas whose memory was damaged, and that have not begun anew since. They differ until they are
    /// found out.
    pub scarred: BTreeSet<NodeId>,
    /// A damaged replica became the primary before it was found out: its state is the truth from then on.
    pub is_off: bool,
}

impl Digests {
    /// A replica has the state of a snapshot, which may be damaged.
    pub fn restored(&mut self, node: NodeId, is_damaged: bool) {
        match is_damaged {
            true => self.scarred.insert(node),
            false => self.scarred.remove(&node),
        };
    }

    /// A replica has executed everything through `index`.
    pub fn applied(&mut self, node: NodeId, index: Index, machine: &impl StateMachine) {
        if index.0.is_multiple_of(INTERVAL) {
            self.compare(node, index, machine);
        }
    }

    /// A replica's state reflects everything through `index`.
    pub fn compare(&mut self, node: NodeId, index: Index, machine: &impl StateMachine) {
        if self.is_off || self.scarred.contains(&node) {
            return;
        }
        let digest = machine.digest();
        let first = *self.first.entry(index.0).or_insert(digest);
        if first != digest {
            violated("digests", format!("P10: {node} has another state at {index} than the replica before"));
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{ApplyContext, Timestamp};
    use onecopy_keyspace::Keyspace;

    use super::*;
    use crate::checks::caught;
    use crate::client::Action;

    #[test]
    fn another_state_at_the_same_index_is_caught() {
        let machine = |op: usize| {
            let mut machine = Keyspace::new([1, 2]);
            let context = ApplyContext::new(Index(1), Timestamp(1), 0);
            machine.apply(&context, &Action::Set.segment(0, op, 4, false), &mut Vec::new());
            machine
        };
        let mut digests = Digests::default();
        digests.compare(NodeId(1), Index(1), &machine(1));
        digests.compare(NodeId(2), Index(1), &machine(1));
        digests.compare(NodeId(2), Index(2), &machine(2));
        assert_eq!(caught(|| digests.compare(NodeId(3), Index(1), &machine(2))), Some("digests"));
    }
}
