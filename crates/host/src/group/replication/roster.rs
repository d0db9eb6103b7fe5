//! How a Raft group gets to where the view service wants its copies.
//!
//! The [`Roster`] says who the members are to be. Whoever leads looks at it, makes the next change of the
//! configuration that leads there, and says so at the end. Nothing is remembered for that but the
//! configuration itself, so that the next leader goes on where the one before was:
//!
//! ```text
//!  who is missing gets the log ──▶ all of them have caught up ──▶ they vote, and who is to go votes no more
//! ```
//!
//! Safety does not rest on the roster: a change takes a majority of the old voters and one of the new
//! (Raft paper, section 6), and a leader that knows an old roster only does what another undoes.
//! A leader that is to go itself hands over first: so nobody waits for an election.

use std::collections::BTreeSet;
use std::time::Duration;

use onecopy_core::{Instant, Member};
use onecopy_raft::{Change, Configuration, Input, Raft, Role};
use onecopy_views::Roster;

use super::raft::RaftCopy;

/// What a leader does next to get to a roster.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Move {
    /// Have the group change its members.
    Change(Vec<Change>),
    /// Have another member lead.
    HandOver(Member),
    /// Say that the roster is reached.
    Tell,
}

/// What comes next; `None` if this copy does not lead, if something is under way, or if nobody who is to lead
/// can. A member that was not heard for `patience` cannot be counted on.
pub(super) fn next_move(raft: &Raft, roster: &Roster, now: Instant, patience: Duration) -> Option<Move> {
    let configuration = raft.configuration();
    let is_free = raft.is_configuration_committed() && !configuration.is_joint() && raft.transfer().is_none();
    if raft.role() != Role::Leader || !is_free {
        return None;
    }
    let (me, wanted) = (raft.id(), roster.members.iter().copied().collect::<BTreeSet<Member>>());
    let Configuration { voters, learners, .. } = configuration;
    let unwanted = learners.difference(&wanted).copied().map(Change::Remove);
    let missing = wanted.iter().filter(|member| !voters.contains(member) && !learners.contains(member));
    let learning: Vec<Change> = unwanted.chain(missing.copied().map(Change::AddLearner)).collect();
    if !learning.is_empty() {
        return Some(Move::Change(learning));
    }
    let is_heard = |member: Member| {
        let followers = raft.followers();
        let follower = followers.iter().find(|follower| follower.member == member);
        member == me || follower.is_some_and(|follower| now.since(follower.heard) < patience)
    };
    let going = voters.difference(&wanted).filter(|member| **member != me);
    let mut changes: Vec<Change> = learners.iter().copied().map(Change::Promote).collect();
    changes.extend(going.copied().map(Change::Remove));
    if !changes.is_empty() {
        // Raft says itself which learner has not caught up.
        let next: BTreeSet<Member> = wanted.iter().copied().chain([me]).collect();
        let heard = next.iter().filter(|member| is_heard(**member)).count();
        return (heard * 2 > next.len()).then_some(Move::Change(changes));
    }
    if wanted.contains(&me) {
        return Some(Move::Tell);
    }
    let followers = raft.followers().into_iter();
    let heirs = followers.filter(|heir| wanted.contains(&heir.member) && is_heard(heir.member));
    heirs.max_by_key(|heir| heir.matched).map(|heir| Move::HandOver(heir.member))
}

impl RaftCopy {
    /// The view service says where the copies are to be. Returns whether that is news.
    pub(in crate::group) fn learn_roster(&mut self, now: Instant, roster: Roster) -> bool {
        let is_news = self
            .roster
            .as_ref()
            .is_none_or(|known| (roster.number, roster.reached) > (known.number, known.reached));
        if is_news {
            self.roster = Some(roster);
            self.next_move = now;
        }
        is_news
    }

    /// When a leader next looks whether the group is where it should be.
    pub(super) fn moves_at(&self) -> Option<Instant> {
        let leads = self.raft().role() == Role::Leader;
        (leads && self.roster.as_ref().is_some_and(|roster| !self.is_reached(roster)))
            .then_some(self.next_move)
    }

    /// Whether nothing is left to do.
    fn is_reached(&self, roster: &Roster) -> bool {
        let configuration = self.raft().configuration();
        roster.reached
            && configuration.voters.iter().eq(&roster.members)
            && configuration.learners.is_empty()
            && !configuration.is_joint()
    }

    /// A leader does what comes next. Returns the roster of which the view service is to be told that it is
    /// reached.
    pub(super) fn go_on_moving(&mut self, now: Instant) -> Option<u64> {
        self.next_move = now + self.election_timeout / 3;
        let roster = self.roster.as_ref()?;
        let number = roster.number;
        match next_move(self.raft(), roster, now, self.election_timeout)? {
            Move::Change(changes) => self.step_raft(now, Input::Change { changes }),
            Move::HandOver(to) => {
                // It takes no requests meanwhile, and is in no hurry.
                self.next_move = now + 4 * self.election_timeout;
                self.step_raft(now, Input::Transfer { to });
            }
            Move::Tell => return Some(number),
        }
        None
    }
}
