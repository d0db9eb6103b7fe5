//! A read that costs whoever executes it their place is not taken from one primary to the next until none is
//! left (rule E2): a few may fail for any reason, and then it is the read. (Candea and Fox, "Crash-Only
//! Software", HotOS 2003: what is retried for ever fails for ever.)

use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{NodeId, ViewNumber};

use crate::client::OpId;
use crate::trace::violated;

const CHECKER: &str = "costly";

/// In so many views the node that executes it may be lost to one read.
const LOST_MAX: usize = 2;

/// In which views, and on which nodes, costly reads were executed.
#[derive(Debug, Default)]
pub struct Costly(BTreeMap<OpId, BTreeSet<(ViewNumber, NodeId)>>);

impl Costly {
    /// A node has executed a read, and is lost by it.
    pub fn executed(&mut self, op: OpId, view: ViewNumber, node: NodeId) {
        let lost = self.0.entry(op).or_default();
        lost.insert((view, node));
        let views: BTreeSet<ViewNumber> = lost.iter().map(|(view, _)| *view).collect();
        if views.len() > LOST_MAX {
            violated(CHECKER, format!("E2: operation {op} was taken to {lost:?}, and all were lost by it"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_read_that_costs_three_views_their_primaries_is_caught() {
        let mut costly = Costly::default();
        let mut executed = |op, view, node| caught(|| costly.executed(op, ViewNumber(view), NodeId(node)));
        let few = [(1, 1, 1), (1, 2, 2), (1, 2, 1), (2, 3, 3)];
        assert_eq!(few.map(|(op, view, node)| executed(op, view, node)), [None; 4]);
        assert_eq!(executed(1, 3, 1), Some(CHECKER), "it is a primary again");
    }
}
