//! What people may want to know of a copy.

use std::collections::vec_deque::Drain;
use std::time::Duration;

use onecopy_core::{Instant, NodeId};
use onecopy_merge::ReplicaId;

use super::OptimisticCopy;

/// So much news is kept for whoever tells people.
const NEWS_MAX: usize = 64;

/// What people may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The copy has a number now, and serves.
    Lives(ReplicaId),
    /// The copy is not to be here any more, and has given back what it held.
    Gone,
    /// It has repaired itself.
    Repaired {
        /// From whose state.
        from: NodeId,
        /// How many keys, and parts of large keys, differed.
        differing: u64,
        /// Bytes that were received.
        bytes: u64,
        /// How long it took.
        took: Duration,
    },
    /// Another copy has seen the same and holds something else: a memory or a disk has failed, or the
    /// program.
    Differs {
        /// Who.
        from: NodeId,
    },
    /// Somebody's wall clock is far ahead of this node's.
    ClockAhead {
        /// Which life made the update.
        replica: ReplicaId,
        /// By how much.
        by_ms: u64,
    },
    /// Another copy has said what makes no sense.
    Senseless {
        /// Who.
        from: NodeId,
    },
}

/// Another copy, as one sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The node.
    pub node: NodeId,
    /// How many updates it has that this one lacks, as far as is known.
    pub ahead: u64,
    /// How many updates it lacks that this one has, as far as is known.
    pub behind: u64,
    /// For how long this one has lacked something that it has.
    pub lacking: Option<Duration>,
    /// For how long nothing was heard of it; `None` if nothing ever was.
    pub silent: Option<Duration>,
}

impl OptimisticCopy {
    /// The other copies: how many updates of theirs are known that this one has not shown, how many of this
    /// one's updates they have not acknowledged, and for how long nothing was heard of them.
    pub fn others(&self, now: Instant) -> impl Iterator<Item = Other> {
        self.peers.iter().map(move |(node, peer)| Other {
            node: *node,
            ahead: self.replica.clock().behind(&peer.standing.clock),
            behind: peer.standing.clock.behind(self.replica.clock()),
            lacking: peer.lacking.as_ref().map(|(since, _)| now.since(*since)),
            silent: peer.heard.map(|heard| now.since(heard)),
        })
    }

    /// What people may want to know, since this was last asked.
    pub fn take_news(&mut self) -> Drain<'_, News> {
        self.news.drain(..)
    }

    pub(super) fn news(&mut self, news: News) {
        if self.news.len() < NEWS_MAX && self.news.back() != Some(&news) {
            self.news.push_back(news);
        }
    }
}
