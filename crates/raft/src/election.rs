//! Who leads (Raft paper, section 5.2; restriction of section 5.4.1; pre-vote and check-quorum of the thesis,
//! sections 9.6 and 6.2).
//!
//! ```text
//!               silence               a majority would            a majority does
//!   Follower ────────────▶ PreCandidate ────────────▶ Candidate ────────────▶ Leader
//!      ▲                    │       ▲                  │    │                   │
//!      │                    │       └───── silence ────┘    │                   │
//!      └────────────────────┴─── a leader, a later term ────┴── no majority, out ┘
//! ```
//!
//! How one role follows another is told here, one function for each arrow. How long a candidate waits for
//! votes, and a leader for its followers, adapts to the links ([`crate::patience`]).

use std::collections::BTreeSet;

use onecopy_core::{EntryId, Instant, Member, Protocol, Rule, Term};

use crate::core::{Core, Step};
use crate::durable::Promise;
use crate::follower::{Follower, Received};
use crate::leader::Leader;
use crate::message::Message;
use crate::node::Raft;
use crate::role::State;

/// Who has agreed to an election, or would.
type Ballot = BTreeSet<Member>;

/// Asks whether it could win an election, without starting one.
#[derive(Clone, Debug, Hash)]
pub(crate) struct PreCandidate {
    /// Who would vote for it.
    ballot: Ballot,
    /// What came from the leader that fell silent: the term is the same.
    pub received: Received,
    /// When it asks again.
    pub election_due: Instant,
}

/// Has begun a term, and asks for the votes of it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Candidate {
    /// Who has voted for it.
    ballot: Ballot,
    /// When it gives this election up.
    pub election_due: Instant,
}

/// From one role to the next.
impl Raft {
    /// A later term has begun: whatever this member was, it is a follower now (section 5.1).
    pub(crate) fn enter_term(&mut self, step: &mut Step<'_>, term: Term) {
        self.core.enter_term(term);
        self.step_down(step);
    }

    /// Becomes a follower of nobody. What came from the leader before is lost: another sends its own.
    pub(crate) fn step_down(&mut self, step: &mut Step<'_>) {
        // A leader had no such timer.
        let due = self.state.election_due().unwrap_or_else(|| self.core.draw_election(step.now));
        let received = Received::nothing(self.core.commit);
        let follower = Follower { leader: None, received, election_due: due };
        if let State::Leader(leader) = std::mem::replace(&mut self.state, State::Follower(follower)) {
            leader.reads.refuse_all(step);
        }
    }

    /// Follows the leader of this term, who has just been heard.
    pub(crate) fn follow(&mut self, step: &Step<'_>, leader: Member) {
        let known = self.leader();
        assert!(
            known.is_none_or(|known| known == leader),
            "raft: election safety: {} has two leaders, {known:?} and {leader:?}",
            self.term()
        );
        self.core.heard = Some(step.now);
        self.core.candidacies.succeed();
        self.state = State::Follower(Follower {
            leader: Some(leader),
            received: self.state.take_received(self.core.commit),
            election_due: self.core.draw_election(step.now),
        });
    }

    /// Asks for an election, if it is time.
    pub(crate) fn on_silence(&mut self, step: &mut Step<'_>) {
        if self.deadline().is_none_or(|due| step.now < due) {
            return;
        }
        if matches!(self.state, State::Candidate(_)) {
            self.core.candidacies.fail();
        }
        self.pre_campaign(step);
    }

    /// Asks whether an election could be won, without disturbing anyone.
    pub(crate) fn pre_campaign(&mut self, step: &mut Step<'_>) {
        let core = &mut self.core;
        core.heard = None;
        self.state = State::PreCandidate(PreCandidate {
            ballot: Ballot::from([core.id()]),
            received: self.state.take_received(core.commit),
            election_due: core.draw_election(step.now),
        });
        let (term, last) = (core.term().next(), core.log.last());
        for to in core.peers() {
            step.send(to, Message::PreVote { term, last, at: step.now });
        }
        self.campaign_if_promising(step);
    }

    /// Starts an election. The own vote counts, and the others are asked, only when it is durable.
    pub(crate) fn campaign(&mut self, step: &mut Step<'_>, transfer: bool) {
        let term = self.term().next();
        self.enter_term(step, term);
        let core = &mut self.core;
        core.vote_for(core.id());
        let election_due = core.draw_next_candidacy(step.now);
        self.state = State::Candidate(Candidate { ballot: Ballot::new(), election_due });
        for to in core.peers() {
            core.answer(step, to, Message::Vote { term, last: core.log.last(), transfer });
        }
        self.count_own_vote(step);
    }

    /// Has won the election.
    fn lead(&mut self, step: &mut Step<'_>) {
        let core = &mut self.core;
        core.candidacies.succeed();
        let mut leader = Leader::new(core, step.now);
        leader.open_reign(core, step);
        self.state = State::Leader(leader);
    }
}

/// The votes.
impl Raft {
    /// Whether the message asks for a vote that must not even be considered. Not to touch the term is the
    /// point: a node that was cut off, or removed, must not depose a leader that a majority hears (thesis,
    /// section 4.2.3). Unless that leader itself wants to hand over.
    pub(crate) fn is_untimely_vote(&self, now: Instant, message: &Message) -> bool {
        let asks = match message {
            Message::Vote { term, transfer, .. } => *term >= self.term() && !transfer,
            Message::PreVote { term, .. } => *term > self.term(),
            _ => false,
        };
        asks && self.hears_leader(now)
    }

    /// Whether there is a leader as far as this member can tell: it would be wrong to elect another. Also one
    /// of an earlier term: it may hold a lease that rests on what this member told it (thesis, section
    /// 6.4.1).
    fn hears_leader(&self, now: Instant) -> bool {
        let heard = |heard| now.since(heard) < self.core.config.election_timeout;
        matches!(self.state, State::Leader(_)) || self.core.heard.is_some_and(heard)
    }

    pub(crate) fn on_pre_vote(
        &mut self,
        step: &mut Step<'_>,
        from: Member,
        term: Term,
        last: EntryId,
        at: Instant,
    ) {
        let granted = term > self.term() && self.core.is_up_to_date(last);
        let term = if granted { term } else { self.term() };
        let message = Message::PreVoteReply { term, granted, at };
        match granted {
            true => {
                self.let_it_try(step.now, from, term, last);
                step.send(from, message);
            }
            false => self.core.answer(step, from, message),
        }
    }

    /// Whoever has just been told that it may try asks for the vote as soon as its own is durable. To
    /// campaign meanwhile would split the vote, and cost a second election timeout. Not for longer: it may
    /// have failed, or be deaf.
    ///
    /// If both ask each other at once, one of them must give way: the one that the other would not vote for,
    /// or else the lower one. It answers nevertheless, and for this term it gives way only once, so that
    /// nobody can keep it from leading for good.
    fn let_it_try(&mut self, now: Instant, candidate: Member, term: Term, last: EntryId) {
        let core = &mut self.core;
        if let Some(due) = self.state.election_due_mut() {
            *due = (*due).max(now + core.config.heartbeat_interval);
        }
        let gives_way = last != core.log.last() || candidate > core.id();
        if gives_way && core.gave_way.is_none_or(|(earlier, _)| earlier < term) {
            core.gave_way = Some((term, now));
        }
    }

    pub(crate) fn on_pre_vote_reply(
        &mut self,
        step: &mut Step<'_>,
        from: Member,
        term: Term,
        granted: bool,
        at: Instant,
    ) {
        let asked = self.term().next();
        self.core.candidacies.round_trip.measured(step.now.since(at));
        if let State::PreCandidate(asking) = &mut self.state
            && granted
            && term == asked
        {
            asking.ballot.insert(from);
            self.campaign_if_promising(step);
        }
    }

    fn campaign_if_promising(&mut self, step: &mut Step<'_>) {
        if let State::PreCandidate(asking) = &self.state
            && self.core.quorum.agrees(|node| asking.ballot.contains(&node))
            && !self.core.gives_way(step.now)
        {
            self.campaign(step, false);
        }
    }

    pub(crate) fn on_vote(&mut self, step: &mut Step<'_>, from: Member, last: EntryId) {
        let granted = self.is_free_to_vote_for(from) && self.core.is_up_to_date(last);
        if granted {
            self.core.vote_for(from);
            if let Some(due) = self.state.election_due_mut() {
                *due = self.core.draw_election(step.now);
            }
        }
        self.core.answer(step, from, Message::VoteReply { term: self.term(), granted });
    }

    /// One vote in each term, and none in a term that has a leader.
    fn is_free_to_vote_for(&self, candidate: Member) -> bool {
        match self.vote() {
            None => self.leader().is_none(),
            Some(before) => before == candidate || !self.core.holds(Rule::OneVotePerTerm),
        }
    }

    pub(crate) fn on_vote_reply(&mut self, step: &mut Step<'_>, from: Member, granted: bool) {
        if granted {
            self.count_vote(step, from);
        }
    }

    pub(crate) fn count_own_vote(&mut self, step: &mut Step<'_>) {
        if self.core.disk.after_promise().is_none() {
            self.count_vote(step, self.id());
        }
    }

    fn count_vote(&mut self, step: &mut Step<'_>, voter: Member) {
        let State::Candidate(candidate) = &mut self.state else { return };
        candidate.ballot.insert(voter);
        if self.core.quorum.agrees(|node| candidate.ballot.contains(&node)) {
            self.lead(step);
        }
    }
}

impl Core {
    fn enter_term(&mut self, term: Term) {
        assert!(term > self.term(), "raft: terms only grow, but {term} follows {}", self.term());
        self.promise = Promise { term, vote: None };
        self.disk.promise(self.promise);
    }

    fn vote_for(&mut self, candidate: Member) {
        if self.promise.vote != Some(candidate) {
            self.promise.vote = Some(candidate);
            self.disk.promise(self.promise);
        }
    }

    /// Whether a log that ends with `last` is at least as up to date as the own one (section 5.4.1).
    fn is_up_to_date(&self, last: EntryId) -> bool {
        let own = self.log.last();
        (last.epoch, last.index) >= (own.epoch, own.index) || !self.holds(Rule::UpToDateCandidate)
    }

    /// Whether somebody else may be about to ask for votes in the term that this member would begin: it was
    /// told that it may, and its request takes a round trip to come.
    fn gives_way(&self, now: Instant) -> bool {
        let wait = self.patience(self.candidacies.round_trip, self.config.heartbeat_interval);
        self.gave_way.is_some_and(|(term, since)| term == self.term().next() && now < since + wait)
    }
}
