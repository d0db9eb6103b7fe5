//! Who must agree.
//!
//! Everything that counts members counts them here, so that joint consensus (Raft paper, section 6) has one
//! place to count two majorities instead of one.

use onecopy_core::NodeId;

/// The voting members of a group.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Quorum {
    voters: Vec<NodeId>,
}

impl Quorum {
    pub fn new(voters: Vec<NodeId>) -> Self {
        Self { voters }
    }

    pub fn contains(&self, node: NodeId) -> bool {
        self.voters.contains(&node)
    }

    pub fn voters(&self) -> &[NodeId] {
        &self.voters
    }

    /// Whether a majority agrees.
    pub fn agrees(&self, agrees: impl Fn(NodeId) -> bool) -> bool {
        self.voters.iter().filter(|node| agrees(**node)).count() >= self.majority()
    }

    /// The highest value that a majority has reached.
    pub fn reached<V: Ord>(&self, value: impl Fn(NodeId) -> V) -> V {
        let mut values: Vec<V> = self.voters.iter().map(|node| value(*node)).collect();
        values.sort_unstable();
        values.swap_remove(self.voters.len() - self.majority())
    }

    /// More than half: any two majorities have a member in common.
    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quorum(count: u32) -> Quorum {
        Quorum::new((1..=count).map(NodeId).collect())
    }

    #[test]
    fn a_majority_is_more_than_half() {
        for (members, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
            assert!(quorum(members).agrees(|node| node.0 <= needed));
            assert!(!quorum(members).agrees(|node| node.0 < needed));
        }
    }

    #[test]
    fn what_a_majority_has_reached() {
        assert_eq!(quorum(1).reached(|node| node.0 * 10), 10);
        assert_eq!(quorum(2).reached(|node| node.0 * 10), 10);
        assert_eq!(quorum(3).reached(|node| node.0 * 10), 20);
        assert_eq!(quorum(4).reached(|node| node.0 * 10), 20);
        assert_eq!(quorum(5).reached(|node| node.0 * 10), 30);
    }
}
