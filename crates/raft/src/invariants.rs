//! What holds between any two steps.

use crate::content;
use crate::core::Core;
use crate::follower::Received;
use crate::leader::Leader;
use crate::quorum::Quorum;

impl Core {
    pub fn check(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        assert!(last.epoch <= self.term().into(), "raft: {last} is from a term after {}", self.term());
        assert!(base.index <= self.applied, "raft: compacted to {base}, applied only {}", self.applied);
        assert!(self.applied <= self.commit, "raft: applied {}, committed {}", self.applied, self.commit);
        assert!(self.commit <= last.index, "raft: committed {}, the log ends with {last}", self.commit);
        assert!(self.durable() <= last.index, "raft: durable {}, the log ends with {last}", self.durable());
        assert!(self.snapshot >= base, "raft: compacted to {base}, the snapshot is {}", self.snapshot);
        self.check_membership();
    }

    /// The last configuration in the log is the one that counts, also when the tail that held another one has
    /// been cut.
    fn check_membership(&self) {
        let (index, configuration) = self.membership.latest();
        if index > self.log.base().index {
            let found = self.log.get(index).map(content::configuration);
            let is_there = matches!(&found, Some(Ok(Some(found))) if found == configuration);
            assert!(is_there, "raft: the configuration of {index} counts, but the log holds {found:?} there");
        }
        let counts = Quorum::new(configuration, self.config.rules);
        assert_eq!(self.quorum, counts, "raft: others are counted than the configuration of {index} says");
    }
}

impl Received {
    pub fn check(&self, core: &Core) {
        let (agreed, last) = (self.agreed, core.log.last());
        assert!(agreed >= core.commit, "raft: committed {}, agreed only {agreed}", core.commit);
        assert!(agreed <= last.index, "raft: agreed {agreed}, the log ends with {last}");
    }
}

impl Leader {
    pub fn check(&self, core: &Core) {
        let last = core.log.last().index;
        for (node, progress) in &self.followers {
            assert!(progress.matched < progress.next, "raft: {node:?} is sent again what it has");
            assert!(progress.next <= last.next(), "raft: {node:?} is sent what does not exist");
        }
        assert!(
            self.followers.keys().copied().eq(core.replicas()),
            "raft: the leader follows another configuration"
        );
    }
}
