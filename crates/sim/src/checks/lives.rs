//! A life of a node's data that was followed by another is over: it is never registered again, because what
//! it holds may lack what was committed meanwhile (rule P9).

use std::collections::BTreeMap;

use onecopy_core::{Incarnation, NodeId};
use onecopy_views::Table;

use crate::trace::violated;

const CHECKER: &str = "lives";

/// The lives of each node that were registered, in this order.
#[derive(Debug, Default)]
pub struct Lives {
    version: u64,
    registered: BTreeMap<NodeId, Vec<Incarnation>>,
}

impl Lives {
    /// A view node has executed a command.
    pub fn learnt(&mut self, table: &Table) {
        if table.version() <= self.version {
            return;
        }
        self.version = table.version();
        for (node, registration) in table.nodes() {
            self.registered(*node, registration.incarnation);
        }
    }

    fn registered(&mut self, node: NodeId, life: Incarnation) {
        let lives = self.registered.entry(node).or_default();
        if lives.last() == Some(&life) {
            return;
        }
        if lives.contains(&life) {
            violated(CHECKER, format!("{node} is registered again in {life:?}, which {:?} followed", lives));
        }
        lives.push(life);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_life_that_comes_back_is_caught() {
        let (mut lives, node) = (Lives::default(), NodeId(1));
        let mut is_registered = |life| caught(|| lives.registered(node, Incarnation(life)));
        assert_eq!((is_registered(1), is_registered(1), is_registered(2)), (None, None, None));
        assert_eq!(is_registered(1), Some(CHECKER));
    }
}
