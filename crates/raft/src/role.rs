//! What a member is in its term, by name and with what it knows only as that.

use std::fmt;

use onecopy_core::{Index, Instant, Member};

use crate::election::{Candidate, PreCandidate};
use crate::follower::{Follower, Received};
use crate::leader::Leader;

/// What a member is in its term.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes entries from a leader, or waits for one.
    Follower,
    /// Asks whether it could win an election, without starting one.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Orders the entries of its term.
    Leader,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Follower => "follower",
            Self::PreCandidate => "pre-candidate",
            Self::Candidate => "candidate",
            Self::Leader => "leader",
        })
    }
}

/// The role, with what is lost when it ends.
#[derive(Clone, Debug, Hash)]
pub(crate) enum State {
    Follower(Follower),
    PreCandidate(PreCandidate),
    Candidate(Candidate),
    Leader(Leader),
}

impl State {
    pub fn role(&self) -> Role {
        match self {
            Self::Follower(_) => Role::Follower,
            Self::PreCandidate(_) => Role::PreCandidate,
            Self::Candidate(_) => Role::Candidate,
            Self::Leader(_) => Role::Leader,
        }
    }

    /// When this member asks for an election if it hears nothing. A leader does not.
    pub fn election_due(&self) -> Option<Instant> {
        match self {
            Self::Follower(follower) => Some(follower.election_due),
            Self::PreCandidate(asking) => Some(asking.election_due),
            Self::Candidate(candidate) => Some(candidate.election_due),
            Self::Leader(_) => None,
        }
    }

    pub fn election_due_mut(&mut self) -> Option<&mut Instant> {
        match self {
            Self::Follower(follower) => Some(&mut follower.election_due),
            Self::PreCandidate(asking) => Some(&mut asking.election_due),
            Self::Candidate(candidate) => Some(&mut candidate.election_due),
            Self::Leader(_) => None,
        }
    }

    /// What has come from the leader of the term. A candidate began the term itself, and nobody leads it yet.
    pub fn received(&self) -> Option<&Received> {
        match self {
            Self::Follower(follower) => Some(&follower.received),
            Self::PreCandidate(asking) => Some(&asking.received),
            Self::Candidate(_) | Self::Leader(_) => None,
        }
    }

    pub fn received_mut(&mut self) -> Option<&mut Received> {
        match self {
            Self::Follower(follower) => Some(&mut follower.received),
            Self::PreCandidate(asking) => Some(&mut asking.received),
            Self::Candidate(_) | Self::Leader(_) => None,
        }
    }

    /// Ends the role in the middle of the term, and keeps what belongs to the term.
    pub fn take_received(&mut self, commit: Index) -> Received {
        let nothing = Received::nothing(commit);
        match self.received_mut() {
            Some(received) => std::mem::replace(received, nothing),
            None => nothing,
        }
    }

    /// The leader of the term, if it is known.
    pub fn leader(&self, me: Member) -> Option<Member> {
        match self {
            Self::Follower(follower) => follower.leader,
            Self::PreCandidate(_) | Self::Candidate(_) => None,
            Self::Leader(_) => Some(me),
        }
    }
}
