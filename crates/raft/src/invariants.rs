//! What holds between any two steps.

use crate::content;
use crate::node::Raft;
use crate::quorum::Quorum;
use crate::replication::Leader;

impl Raft {
    pub(crate) fn check_log(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        assert!(last.epoch <= self.term().into(), "raft: {last} is from a term after {}", self.term());
        assert!(base.index <= self.applied, "raft: compacted to {base}, applied only {}", self.applied);
        assert!(self.applied <= self.commit, "raft: applied {}, committed {}", self.applied, self.commit);
        assert!(self.commit <= last.index, "raft: committed {}, the log ends with {last}", self.commit);
        assert!(self.agreed <= last.index, "raft: agreed {}, the log ends with {last}", self.agreed);
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

    pub(crate) fn check_leader(&self, leader: &Leader) {
        let last = self.log.last().index;
        assert_eq!(self.leader, Some(self.id()), "raft: a leader follows somebody else");
        for (node, progress) in &leader.followers {
            assert!(progress.matched < progress.next, "raft: {node:?} is sent again what it has");
            assert!(progress.next <= last.next(), "raft: {node:?} is sent what does not exist");
        }
        assert!(
            leader.followers.keys().copied().eq(self.replicas()),
            "raft: the leader follows another configuration"
        );
    }
}
