//! A leader whose disk hangs lets another member lead.
//!
//! The others commit without it, so nobody notices for a while. But it may drop nothing of its log that is
//! not on its disk: the log fills its memory, and then all writes of the group wait for one disk. So a leader
//! that waits for longer than any follower waits for a leader hands over, to a member that has everything
//! that is committed. If there is none, the others are no better off, and it stays.

use std::time::Duration;

use onecopy_core::{Instant, Member};
use onecopy_raft::{Input, Raft, Role};

use super::raft::RaftCopy;

/// Who is better off than this leader, of those that were heard within `patience`.
fn heir(raft: &Raft, now: Instant, patience: Duration) -> Option<Member> {
    let voters = &raft.configuration().voters;
    let followers = raft.followers().into_iter().filter(|follower| voters.contains(&follower.member));
    let fit = followers.filter(|it| now.since(it.heard) < patience && it.matched >= raft.commit());
    fit.filter(|it| it.matched > raft.durable()).max_by_key(|it| it.matched).map(|it| it.member)
}

impl RaftCopy {
    /// When a leader looks whether another had better lead.
    pub(super) fn yields_at(&self) -> Option<Instant> {
        let (_, since) = self.writing.front()?;
        let is_free = self.raft().role() == Role::Leader && self.raft().transfer().is_none();
        is_free.then(|| (*since + self.longest_wait()).max(self.next_yield))
    }

    /// A leader whose disk hangs hands over, if there is somebody.
    pub(super) fn yield_to_another(&mut self, now: Instant) {
        if self.yields_at().is_none_or(|at| now < at) {
            return;
        }
        // It takes no requests meanwhile: what comes of nothing is not tried all the time.
        self.next_yield = now + 4 * self.election_timeout;
        if let Some(to) = heir(self.raft(), now, self.election_timeout) {
            self.step_raft(now, Input::Transfer { to });
        }
    }

    /// No follower waits longer for a leader before it campaigns.
    fn longest_wait(&self) -> Duration {
        2 * self.election_timeout
    }
}
