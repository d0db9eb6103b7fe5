//! What a leader knows of the others, for people.

use onecopy_core::{Index, Instant, Member};

use crate::node::Raft;
use crate::progress::Pace;
use crate::role::State;

/// What a leader knows of one other member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FollowerStatus {
    /// Who.
    pub member: Member,
    /// Its log agrees, and is durable, through here.
    pub matched: Index,
    /// When it was last heard; at first, when the leader turned to it.
    pub heard: Instant,
    /// How it is brought up to date.
    pub phase: Phase,
}

/// How a follower is brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The leader is finding out where their logs agree.
    Probing,
    /// It gets entries as they come.
    Replicating,
    /// It gets a snapshot first.
    Snapshot,
}

impl Raft {
    /// What this member, if it leads, knows of those who get its log, in order. Empty if it does not lead.
    #[must_use]
    pub fn followers(&self) -> Vec<FollowerStatus> {
        let State::Leader(leader) = &self.state else { return Vec::new() };
        let status = leader.followers.iter().map(|(member, progress)| FollowerStatus {
            member: *member,
            matched: progress.matched,
            heard: progress.heard,
            phase: match progress.pace {
                Pace::Probe { .. } => Phase::Probing,
                Pace::Replicate { .. } => Phase::Replicating,
                Pace::Snapshot(_) => Phase::Snapshot,
            },
        });
        status.collect()
    }

    /// To whom the leadership is being handed over, if this member leads and is doing so.
    #[must_use]
    pub fn transfer(&self) -> Option<Member> {
        let State::Leader(leader) = &self.state else { return None };
        leader.transfer.map(|transfer| transfer.to)
    }
}
