//! Whoever decides knows what was decided: a leader of the view service proposes nothing before it has
//! executed an entry of its own term, and so everything that was committed before (rule `DecideInOwnTerm`;
//! Raft paper, section 8, on reads).

use std::collections::BTreeMap;

use onecopy_core::{Epoch, NodeId};

use crate::trace::violated;

/// How far view nodes are.
#[derive(Debug, Default)]
pub struct Informed {
    /// The last term that each led.
    led: BTreeMap<NodeId, Epoch>,
    /// The term of the last entry that each has executed.
    executed: BTreeMap<NodeId, Epoch>,
}

impl Informed {
    /// A view node leads from now on.
    pub fn elected(&mut self, node: NodeId, term: Epoch) {
        self.led.insert(node, term);
    }

    /// A view node has executed everything through an entry of this term.
    pub fn executed(&mut self, node: NodeId, term: Epoch) {
        self.executed.insert(node, term);
    }

    /// A leader proposes something.
    pub fn proposed(&self, node: NodeId) {
        let (led, executed) = (self.led.get(&node), self.executed.get(&node));
        if executed < led {
            violated(
                "informed",
                format!("{node} decides in {led:?}, and has executed what was committed in {executed:?}"),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_leader_that_decides_before_it_knows_is_caught() {
        let (mut informed, node) = (Informed::default(), NodeId(1));
        informed.elected(node, Epoch(3));
        assert_eq!(caught(|| informed.proposed(node)), Some("informed"));
        informed.executed(node, Epoch(2));
        assert_eq!(caught(|| informed.proposed(node)), Some("informed"));
        informed.executed(node, Epoch(3));
        assert_eq!(caught(|| informed.proposed(node)), None);
    }
}
