//! The configurations in the log. The last one counts, committed or not (Raft paper, section 6); when the
//! tail that holds it is cut, the one before counts again.

use std::collections::BTreeSet;

use onecopy_core::{Entry, Index, Member};

use crate::configuration::Configuration;
use crate::content;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::node::Raft;
use crate::quorum::Quorum;

/// The configurations from the one at the log's base to the last.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Membership {
    /// Where each stands. Ascending; the first stands at or before the base; never empty.
    history: Vec<(Index, Configuration)>,
}

impl Membership {
    pub fn new(base: Index, configuration: Configuration) -> Self {
        Self { history: vec![(base, configuration)] }
    }

    pub fn append(&mut self, index: Index, configuration: Configuration) {
        debug_assert!(index > self.latest().0, "raft: configurations are appended in order");
        self.history.push((index, configuration));
    }

    /// The last configuration, and where it stands.
    pub fn latest(&self) -> (Index, &Configuration) {
        let (index, configuration) = self.history.last().expect("there is always a configuration");
        (*index, configuration)
    }

    /// The configuration before the last.
    fn previous(&self) -> Option<&Configuration> {
        self.history.iter().rev().nth(1).map(|(_, configuration)| configuration)
    }

    /// The last configuration at or before `index`, which is not before the base.
    pub fn at(&self, index: Index) -> &Configuration {
        let known = self.history.iter().rev().find(|(at, _)| *at <= index);
        &known.unwrap_or(&self.history[0]).1
    }

    /// The tail from `from` on is gone.
    pub fn cut(&mut self, from: Index) {
        // What is at the base stays: it is committed.
        let kept = self.history.iter().take_while(|(index, _)| *index < from).count();
        self.history.truncate(kept.max(1));
    }

    /// Forgets what is before the configuration at `base`.
    pub fn compact(&mut self, base: Index) {
        let superseded = self.history.iter().skip(1).take_while(|(index, _)| *index <= base).count();
        self.history.drain(..superseded);
    }
}

impl Raft {
    /// The last configuration in this member's log. It may not be committed yet.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        self.core.configuration()
    }

    /// The configuration as of what has been applied: it belongs into a snapshot that the driver takes now.
    #[must_use]
    pub fn applied_configuration(&self) -> &Configuration {
        self.core.membership.at(self.core.applied)
    }

    /// The configuration as of an entry that has been applied: it belongs into a snapshot of the state then.
    #[must_use]
    pub fn configuration_at(&self, index: Index) -> &Configuration {
        self.core.membership.at(index)
    }

    /// Whether the last configuration is known to be committed, and so can no longer be lost.
    #[must_use]
    pub fn is_configuration_committed(&self) -> bool {
        self.core.is_configuration_committed()
    }

    /// Tells the driver when the last configuration, or its commitment, is new.
    pub(crate) fn announce_configuration(&mut self, step: &mut Step<'_>) {
        let (index, configuration) = self.core.membership.latest();
        let current = (index, self.is_configuration_committed());
        if self.announced_configuration != current {
            let (configuration, committed) = (configuration.clone(), current.1);
            step.push(Effect::ConfigurationChanged { index, configuration, committed });
            self.announced_configuration = current;
        }
    }
}

impl Core {
    pub fn configuration(&self) -> &Configuration {
        self.membership.latest().1
    }

    pub fn is_configuration_committed(&self) -> bool {
        self.membership.latest().0 <= self.commit
    }

    /// All voters but this member.
    pub fn peers(&self) -> BTreeSet<Member> {
        self.quorum.voters().filter(|member| *member != self.id()).collect()
    }

    /// Whether this member may ask for an election: as a voter, or as one until the configuration without it
    /// is committed. It may be the only one that holds that configuration, and then nobody else is elected
    /// (thesis, section 4.2.2). Its own vote counts only if it is a voter. Everybody *answers* those who ask:
    /// they may know better whose votes count.
    pub fn may_lead(&self) -> bool {
        let leaves =
            |before: &Configuration| !self.is_configuration_committed() && before.is_voter(self.id());
        self.quorum.contains(self.id()) || self.membership.previous().is_some_and(leaves)
    }

    /// An entry was appended; if it carries a configuration, that counts from now on.
    pub fn note_appended(&mut self, entry: &Entry) {
        let Ok(Some(configuration)) = content::configuration(entry) else { return };
        self.membership.append(entry.id.index, configuration);
        self.count_anew();
    }

    /// The configuration is another.
    pub fn count_anew(&mut self) {
        self.quorum = Quorum::new(self.configuration(), self.config.rules);
    }

    /// Who gets the log from a leader: all members but itself, and, until the configuration without them is
    /// committed, those who leave, so that they learn of it.
    pub fn replicas(&self) -> Vec<Member> {
        let mut members = self.configuration().members();
        if !self.is_configuration_committed()
            && let Some(before) = self.membership.previous()
        {
            members.extend(before.members());
        }
        members.remove(&self.id());
        members.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{Incarnation, NodeId};

    use super::*;

    fn of(nodes: u32) -> Configuration {
        Configuration::of((1..=nodes).map(|node| Member { node: NodeId(node), incarnation: Incarnation(1) }))
    }

    fn membership() -> Membership {
        let mut membership = Membership::new(Index(2), of(1));
        membership.append(Index(4), of(2));
        membership.append(Index(6), of(3));
        membership
    }

    #[test]
    fn the_last_counts_and_a_cut_brings_back_the_one_before() {
        let mut membership = membership();
        assert_eq!(membership.latest(), (Index(6), &of(3)));
        membership.cut(Index(6));
        assert_eq!(membership.latest(), (Index(4), &of(2)));
        membership.cut(Index(1));
        assert_eq!(membership.latest(), (Index(2), &of(1)));
    }

    #[test]
    fn a_compaction_keeps_the_one_at_the_base() {
        for (base, kept) in [(3, 3), (4, 2), (5, 2), (6, 1), (9, 1)] {
            let mut membership = membership();
            membership.compact(Index(base));
            assert_eq!(membership.history.len(), kept, "compacted through {base}");
            assert_eq!(membership.latest(), (Index(6), &of(3)));
        }
    }

    #[test]
    fn each_index_has_its_configuration() {
        let membership = membership();
        let known = [2, 3, 4, 5, 6, 7].map(|index| membership.at(Index(index)).voters.len());
        assert_eq!(known, [1, 1, 2, 2, 3, 3]);
    }
}
