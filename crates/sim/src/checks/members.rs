//! Who belongs to a Raft group, that of the view service or one of data: one configuration is committed at
//! one index (state machine safety, for the entries that no state machine sees), all who have executed the
//! same entries go by the same one, also if some of them got it in a snapshot, a snapshot carries none that
//! came after it, and at last nobody is a member in a life that is over. A group of data goes where the view
//! service says: whatever that takes for reached was committed.

use std::collections::BTreeMap;

use onecopy_core::{Index, Member};
use onecopy_raft::{Configuration, Raft};
use onecopy_views::Roster;

use crate::node::Node;
use crate::trace::violated;

const CHECKER: &str = "members";

/// The configurations that were seen.
#[derive(Debug, Default)]
pub struct Members {
    committed: BTreeMap<Index, Configuration>,
    /// Those after the last committed one. Some may be lost.
    begun: Vec<(Index, Configuration)>,
    /// All of them, each with the lowest index at which it was seen in a log.
    seen: Vec<(Index, Configuration)>,
    /// What a member goes by that has executed everything up to here.
    executed: BTreeMap<Index, Configuration>,
}

impl Members {
    /// The first one.
    pub fn founded(&mut self, configuration: Configuration) {
        self.see(Index(0), &configuration);
        self.committed.insert(Index(0), configuration);
    }

    /// The last configuration in a member's log is this one.
    pub fn configured(&mut self, index: Index, configuration: &Configuration, committed: bool) {
        self.see(index, configuration);
        if committed {
            let known = self.committed.entry(index).or_insert_with(|| configuration.clone());
            if known != configuration {
                violated(CHECKER, format!("both {known:?} and {configuration:?} are committed at {index}"));
            }
            let last = self.last().0;
            self.begun.retain(|(index, _)| *index > last);
        } else if index > self.last().0 && !self.begun.iter().any(|(_, begun)| begun == configuration) {
            self.begun.push((index, configuration.clone()));
        }
    }

    fn see(&mut self, index: Index, configuration: &Configuration) {
        match self.seen.iter_mut().find(|(_, seen)| seen == configuration) {
            Some((lowest, _)) => *lowest = index.min(*lowest),
            None => self.seen.push((index, configuration.clone())),
        }
    }

    /// A member has taken a turn.
    pub fn look(&mut self, raft: &Raft) {
        self.goes_by(raft.applied(), raft.applied_configuration());
    }

    /// Whoever has executed everything up to this entry goes by this configuration.
    fn goes_by(&mut self, applied: Index, configuration: &Configuration) {
        // Who joined later knows no configuration before the one that it joined with.
        if *configuration == Configuration::default() {
            return;
        }
        let known = self.executed.entry(applied).or_insert_with(|| configuration.clone());
        if known != configuration {
            violated(
                CHECKER,
                format!("who has executed {applied} goes by {known:?}, and another by {configuration:?}"),
            );
        }
    }

    /// A snapshot of the view table, as of this entry, carries this configuration. A later one may be lost,
    /// and a node that starts from the snapshot would not know.
    pub fn imaged(&mut self, at: Index, configuration: &Configuration) {
        let is_earlier = |(lowest, seen): &(Index, Configuration)| *lowest <= at && seen == configuration;
        // Who joined later knows no configuration before the one that it joined with.
        let is_known = *configuration != Configuration::default();
        if is_known && !self.seen.iter().any(is_earlier) {
            violated(
                CHECKER,
                format!("the snapshot at {at} carries {configuration:?}, which nobody had so early"),
            );
        }
        self.goes_by(at, configuration);
    }

    fn last(&self) -> (Index, Option<&Configuration>) {
        self.committed.last_key_value().map_or((Index(0), None), |(index, last)| (*index, Some(last)))
    }

    /// The configuration that is known to be committed.
    #[must_use]
    pub fn committed(&self) -> Option<&Configuration> {
        self.last().1
    }

    /// The view service says that the group is to go there, or has gone there.
    pub fn goes_to(&self, roster: &Roster) {
        let wanted = Configuration::of(roster.members.iter().copied());
        if roster.reached && !self.committed.values().any(|committed| *committed == wanted) {
            violated(CHECKER, format!("{roster:?} passes for reached, and was never committed"));
        }
    }

    /// Whether those who live are a majority of everybody who may be needed.
    #[must_use]
    pub fn survive(&self, lives: impl Fn(Member) -> bool) -> bool {
        let begun = self.begun.iter().map(|(_, configuration)| configuration);
        let halves = begun.chain(self.committed()).flat_map(|of| [&of.voters, &of.old_voters]);
        halves
            .filter(|half| !half.is_empty())
            .all(|half| half.iter().filter(|member| lives(**member)).count() * 2 > half.len())
    }

    /// What the view service still lacks.
    #[must_use]
    pub fn missing(&self, nodes: &[Node]) -> Option<String> {
        let configuration = self.committed()?;
        if configuration.is_joint() || !configuration.learners.is_empty() {
            return Some(format!("the view service is still changing: {configuration:?}"));
        }
        let is_over = |member: &&Member| !nodes.iter().any(|node| lives(node, **member));
        let dead = configuration.voters.iter().find(is_over)?;
        Some(format!("{dead:?} has lost its disk and is not replaced"))
    }
}

/// Whether this life of a node's disk goes on.
#[must_use]
pub fn lives(node: &Node, member: Member) -> bool {
    node.id == member.node && node.view_member == member.incarnation
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Incarnation, NodeId};

    use super::*;
    use crate::checks::caught;

    fn of(nodes: &[u32]) -> Configuration {
        Configuration::of(
            nodes.iter().map(|node| Member { node: NodeId(*node), incarnation: Incarnation(1) }),
        )
    }

    #[test]
    fn two_configurations_at_one_index_are_caught() {
        let mut members = Members::default();
        members.founded(of(&[1, 2, 3]));
        members.configured(Index(5), &of(&[1, 2]), true);
        members.configured(Index(5), &of(&[1, 2]), true);
        assert_eq!(caught(|| members.configured(Index(5), &of(&[1]), true)), Some(CHECKER));
    }

    #[test]
    fn a_snapshot_with_a_later_configuration_is_caught() {
        let mut members = Members::default();
        members.founded(of(&[1, 2, 3]));
        members.configured(Index(5), &of(&[1, 2]), false);
        members.configured(Index(9), &of(&[1, 2, 3]), true);
        assert_eq!(caught(|| members.imaged(Index(4), &of(&[1, 2, 3]))), None);
        assert_eq!(caught(|| members.imaged(Index(5), &of(&[1, 2]))), None);
        assert_eq!(caught(|| members.imaged(Index(4), &of(&[1, 2]))), Some(CHECKER));
    }

    #[test]
    fn a_member_that_keeps_its_configuration_beside_a_snapshot_is_caught() {
        let mut members = Members::default();
        members.founded(of(&[1, 2, 3]));
        members.configured(Index(5), &of(&[1, 2]), true);
        members.imaged(Index(7), &of(&[1, 2]));
        members.goes_by(Index(7), &of(&[1, 2]));
        members.goes_by(Index(7), &Configuration::default());
        assert_eq!(caught(|| members.goes_by(Index(7), &of(&[1, 2, 3]))), Some(CHECKER));
    }

    #[test]
    fn a_roster_that_nobody_has_committed_is_caught() {
        let mut members = Members::default();
        members.founded(of(&[1, 2, 3]));
        let roster = |reached| {
            let members = of(&[1, 2, 4]).voters.into_iter().collect();
            Roster { number: 1, members, leaving: Vec::new(), reached }
        };
        members.configured(Index(5), &of(&[1, 2, 4]), false);
        assert_eq!(caught(|| members.goes_to(&roster(false))), None);
        assert_eq!(caught(|| members.goes_to(&roster(true))), Some(CHECKER));
        members.configured(Index(5), &of(&[1, 2, 4]), true);
        assert_eq!(caught(|| members.goes_to(&roster(true))), None);
    }

    #[test]
    fn what_may_still_be_committed_is_counted_until_something_later_is() {
        let mut members = Members::default();
        members.founded(of(&[1, 2, 3]));
        let one_lives = |member: Member| member.node == NodeId(1);
        let two_live = |member: Member| member.node <= NodeId(2);
        assert!(members.survive(two_live) && !members.survive(one_lives));
        members.configured(Index(5), &of(&[3, 4, 5]), false);
        assert!(!members.survive(two_live));
        members.configured(Index(6), &of(&[1]), true);
        assert!(members.survive(one_lives));
    }
}
