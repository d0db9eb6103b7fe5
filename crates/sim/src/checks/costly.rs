//! A read that costs whoever executes it their place is not taken from one primary to the next until none is
//! left (rule E2): a few may fail for any reason, and then it is the read. (Candea and Fox, "Crash-Only
//! Software", HotOS 2003: what is retried for ever fails for ever.)

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{BootNumber, NodeId};

use crate::client::OpId;
use crate::trace::violated;

const CHECKER: &str = "costly";

/// So many primaries may be lost to one read.
const LOST_MAX: usize = 2;

/// The primaries that have executed costly reads: a node that was started again is another one.
#[derive(Debug, Default)]
pub struct Costly(BTreeMap<OpId, BTreeSet<(NodeId, BootNumber)>>);

impl Costly {
    /// A primary has executed a read, and is lost by it.
    pub fn executed(&mut self, op: OpId, node: NodeId, boot: BootNumber) {
        let lost = self.0.entry(op).or_default();
        lost.insert((node, boot));
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
    fn a_read_that_costs_three_primaries_is_caught() {
        let mut costly = Costly::default();
        let mut executed = |op, node, boot| caught(|| costly.executed(op, NodeId(node), BootNumber(boot)));
        let few = [(1, 1, 1), (1, 2, 1), (1, 1, 1), (2, 3, 1)];
        assert_eq!(few.map(|(op, node, boot)| executed(op, node, boot)), [None; 4]);
        assert_eq!(executed(1, 1, 2), Some(CHECKER), "it was started again");
    }
}
