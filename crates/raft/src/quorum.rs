//! Who must agree. Everything that counts members counts them here.

use onecopy_core::{Member, Rule, Rules};

use crate::configuration::Configuration;

/// The voting members of a group: one set of voters, or two while the configuration is joint. Then it takes a
/// majority of each (Raft paper, section 6).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Quorum {
    halves: Vec<Vec<Member>>,
}

impl Quorum {
    pub fn new(configuration: &Configuration, rules: Rules) -> Self {
        let Configuration { voters, old_voters, learners } = configuration;
        let mut halves: Vec<Vec<Member>> = vec![voters.iter().copied().collect()];
        if !old_voters.is_empty() && rules.hold(Rule::JointMajorities) {
            halves.push(old_voters.iter().copied().collect());
        }
        if !rules.hold(Rule::VotersOnly) {
            halves.iter_mut().for_each(|half| half.extend(learners));
        }
        Self { halves }
    }

    pub fn contains(&self, member: Member) -> bool {
        self.halves.iter().any(|half| half.contains(&member))
    }

    /// All voters; in a joint configuration, some come twice.
    pub fn voters(&self) -> impl Iterator<Item = Member> {
        self.halves.iter().flatten().copied()
    }

    /// Whether a majority agrees. Where nobody votes, nobody agrees.
    pub fn agrees(&self, agrees: impl Fn(Member) -> bool) -> bool {
        self.halves.iter().all(|half| half.iter().filter(|member| agrees(**member)).count() >= majority(half))
    }

    /// The highest value that a majority has reached. There must be voters.
    pub fn reached<V: Ord>(&self, value: impl Fn(Member) -> V) -> V {
        let of_half = |half: &Vec<Member>| {
            let mut values: Vec<V> = half.iter().map(|member| value(*member)).collect();
            values.sort_unstable();
            values.swap_remove(half.len() - majority(half))
        };
        self.halves.iter().map(of_half).min().expect("raft: who counts has voters")
    }
}

/// More than half: any two majorities have a member in common.
fn majority(half: &[Member]) -> usize {
    half.len() / 2 + 1
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Incarnation, NodeId};

    use super::*;

    fn members(nodes: impl IntoIterator<Item = u32>) -> impl Iterator<Item = Member> {
        nodes.into_iter().map(|node| Member { node: NodeId(node), incarnation: Incarnation(1) })
    }

    fn quorum(count: u32) -> Quorum {
        Quorum::new(&Configuration::of(members(1..=count)), Rules::default())
    }

    /// From n1, n2, n3 to n3, n4, n5.
    fn joint() -> Quorum {
        let configuration = Configuration {
            voters: members(3..=5).collect(),
            old_voters: members(1..=3).collect(),
            learners: members([6]).collect(),
        };
        Quorum::new(&configuration, Rules::default())
    }

    #[test]
    fn a_majority_is_more_than_half() {
        for (voters, needed) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3)] {
            assert!(quorum(voters).agrees(|member| member.node.0 <= needed));
            assert!(!quorum(voters).agrees(|member| member.node.0 < needed));
        }
        assert!(!quorum(0).agrees(|_| true));
    }

    #[test]
    fn what_a_majority_has_reached() {
        for (voters, expected) in [(1, 10), (2, 10), (3, 20), (4, 20), (5, 30)] {
            assert_eq!(quorum(voters).reached(|member| member.node.0 * 10), expected);
        }
    }

    #[test]
    fn a_joint_configuration_takes_a_majority_of_each_half() {
        let agree = |nodes: &[u32]| joint().agrees(|member| nodes.contains(&member.node.0));
        assert!(agree(&[1, 3, 4]));
        assert!(agree(&[1, 2, 4, 5]));
        assert!(!agree(&[1, 2, 3]), "the old half alone");
        assert!(!agree(&[3, 4, 5]), "the new half alone");
        assert!(!agree(&[1, 2, 4, 6]), "learners do not count");
        // The old half has reached 20, the new one 40.
        assert_eq!(joint().reached(|member| member.node.0 * 10), 20);
    }
}
