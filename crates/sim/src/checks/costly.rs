//! A read that costs whoever executes it their place is not taken from one primary to the next until none is
//! left (rule E2): a few may fail for any reason, and then it is the read. (Candea and Fox, "Crash-Only
//! Software", HotOS 2003: what is retried for ever fails for ever.)

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::NodeId;

use crate::client::OpId;
use crate::trace::violated;

const CHECKER: &str = "costly";

/// So many nodes may be lost to one read.
const LOST_MAX: usize = 2;

/// The nodes on which costly reads were executed.
#[derive(Debug, Default)]
pub struct Costly(BTreeMap<OpId, BTreeSet<NodeId>>);

impl Costly {
    /// A node has executed a read, and is lost by it.
    pub fn executed(&mut self, op: OpId, node: NodeId) {
        let lost = self.0.entry(op).or_default();
        lost.insert(node);
        if lost.len() > LOST_MAX {
            violated(CHECKER, format!("E2: operation {op} was taken to {lost:?}, and all were lost by it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_read_that_costs_three_nodes_is_caught() {
        let mut costly = Costly::default();
        let mut executed = |op, node| caught(|| costly.executed(op, NodeId(node)));
        assert_eq!([(1, 1), (1, 2), (1, 1), (2, 3)].map(|(op, node)| executed(op, node)), [None; 4]);
        assert_eq!(executed(1, 3), Some(CHECKER));
    }
}
