//! A follower commits, and acknowledges, nothing but what its leader has named to it in this reign: what it
//! holds beyond that may be of another history. The bound is counted here from the messages that arrive,
//! apart from what the protocols count themselves. (Raft paper, section 5.3, `AppendEntries` step 5, "index
//! of last new entry"; rules P3 and P8.)

use std::collections::BTreeMap;

use onecopy_core::{Index, NodeId};

use crate::trace::violated;

const CHECKER: &str = "agreed";

/// How far each follower can agree with whoever leads it.
#[derive(Debug, Default)]
pub struct Agreed {
    followers: BTreeMap<NodeId, Bound>,
}

/// The reign, and the index up to which it was named.
#[derive(Clone, Copy, Debug)]
struct Bound {
    reign: u64,
    through: Index,
}

impl Agreed {
    /// A process has died.
    pub fn crashed(&mut self, node: NodeId) {
        self.followers.remove(&node);
    }

    /// A follower is in a reign (a view, or a term). When it comes into it, what it has committed agrees.
    pub fn is_in(&mut self, node: NodeId, reign: u64, commit: Index) {
        let bound = self.followers.entry(node).or_insert(Bound { reign, through: commit });
        if bound.reign < reign {
            *bound = Bound { reign, through: commit };
        }
    }

    /// A follower that held what goes before has been told of everything up to this index.
    pub fn named(&mut self, node: NodeId, reign: u64, through: Index) {
        if let Some(bound) = self.followers.get_mut(&node).filter(|bound| bound.reign == reign) {
            bound.through = bound.through.max(through);
        }
    }

    /// A follower has committed, or acknowledges, everything up to this index.
    pub fn relies_on(&self, node: NodeId, reign: u64, through: Index, what: &str) {
        let bound = self.followers.get(&node).filter(|bound| bound.reign == reign);
        if let Some(bound) = bound.filter(|bound| bound.through < through) {
            violated(
                CHECKER,
                format!(
                    "{node} {what} {through} in {reign}, where it was told of nothing after {}",
                    bound.through
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn what_was_never_named_is_not_relied_on() {
        let (node, mut agreed) = (NodeId(1), Agreed::default());
        agreed.is_in(node, 4, Index(7));
        agreed.is_in(node, 4, Index(30));
        agreed.named(node, 4, Index(9));
        agreed.named(node, 3, Index(20));
        let relies =
            |agreed: &Agreed, reign, index| caught(|| agreed.relies_on(node, reign, Index(index), "commits"));
        assert_eq!((relies(&agreed, 4, 9), relies(&agreed, 4, 10)), (None, Some(CHECKER)));
        agreed.is_in(node, 5, Index(8));
        assert_eq!((relies(&agreed, 5, 8), relies(&agreed, 5, 9)), (None, Some(CHECKER)));
        agreed.crashed(node);
        assert_eq!(relies(&agreed, 5, 9), None, "nobody knows what it agreed on");
    }
}
