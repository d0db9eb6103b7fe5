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
    /// Who led last.
    primary: Option<NodeId>,
    /// How often it may have been accused by somebody who was damaged himself, since it leads.
    wrong_accusers: usize,
}

/// So many have to accuse a primary before it takes itself for damaged.
const ACCUSERS: usize = 2;

impl Digests {
    /// A replica has the state of a snapshot, which may be damaged.
    pub fn restored(&mut self, node: NodeId, is_damaged: bool) {
        match is_damaged {
            true => self.scar(node),
            false => {
                self.scarred.remove(&node);
            }
        }
    }

    /// The memory of a replica is damaged.
    pub fn scar(&mut self, node: NodeId) {
        self.scarred.insert(node);
        self.wrong_accusers += 1;
    }

    /// A replica leads.
    pub fn leads(&mut self, node: NodeId) {
        self.is_off |= self.scarred.contains(&node);
        if self.primary.replace(node) != Some(node) {
            self.wrong_accusers = self.scarred.len();
        }
    }

    /// A primary takes itself for damaged: it is, or enough others are that have accused it.
    pub fn takes_itself_for_damaged(&self, node: NodeId) {
        let has_reason = self.is_off || self.scarred.contains(&node) || self.wrong_accusers >= ACCUSERS;
        if !has_reason {
            violated("digests", format!("P10: {node} takes itself for damaged, and nothing happened to it"));
        }
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

    #[test]
    fn a_primary_that_believes_one_accuser_is_caught() {
        let mut digests = Digests::default();
        digests.leads(NodeId(1));
        digests.scar(NodeId(2));
        assert_eq!(caught(|| digests.takes_itself_for_damaged(NodeId(1))), Some("digests"));
        digests.scar(NodeId(3));
        digests.takes_itself_for_damaged(NodeId(1));
        // One of both is damaged still when another leads.
        digests.restored(NodeId(2), false);
        digests.leads(NodeId(4));
        assert_eq!(caught(|| digests.takes_itself_for_damaged(NodeId(4))), Some("digests"));
    }
}
