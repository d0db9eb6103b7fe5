//! Who leads (Raft paper, section 5.2; restriction of section 5.4.1; pre-vote and check-quorum of the thesis,
//! sections 9.6 and 6.2).
//!
//! How long a candidate waits for votes, and a leader for its followers, adapts to the links
//! ([`crate::patience`]).

use std::collections::BTreeSet;
use std::time::Duration;

use onecopy_core::{EntryId, Instant, Member, Rule, Term};

use crate::durable::Promise;
use crate::effect::Effect;
use crate::message::Message;
use crate::node::{Raft, State};
use crate::patience::RoundTrip;
use crate::replication::Leader;

/// Who has agreed to an election, or would.
pub(crate) type Ballot = BTreeSet<Member>;

/// The source of random election timeouts: splitmix64, seeded by the driver.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

/// What has not been drawn yet tells no two members apart: it decides about nothing but when a timeout comes, and
/// whoever compares members by their hash (a model checker) lets it come at any time.
impl std::hash::Hash for Jitter {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Jitter {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number in `[0, bound)`; 0 if `bound` is 0. The bias of the remainder does not matter here.
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).checked_rem(bound).unwrap_or(0)
    }
}

impl Raft {
    /// Waits anew, for a random time: split votes are rare and resolve themselves.
    pub(crate) fn reset_election_timer(&mut self) {
        self.wait_for(self.config.election_timeout);
    }

    /// For how long silence proves nothing, where links take as long as was measured.
    pub(crate) fn patience(&self, measured: RoundTrip, timeout: Duration) -> Duration {
        if self.holds(Rule::PatientElections) { measured.patience(timeout) } else { timeout }
    }

    fn patience_of_candidate(&self) -> Duration {
        let timeout = self.config.election_timeout;
        if self.holds(Rule::PatientElections) { self.candidacies.patience(timeout) } else { timeout }
    }

    /// Waits for at least so long, and for less than twice as long.
    fn wait_for(&mut self, timeout: Duration) {
        let jitter = self.jitter.below(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
        self.election_due = self.now + timeout + Duration::from_nanos(jitter);
    }

    /// Whoever has just been told that it may try asks for the vote as soon as its own is durable. To campaign meanwhile would
    /// split the vote, and cost a second election timeout. Not for longer: it may have failed, or be deaf.
    ///
    /// If both ask each other at once, one of them must give way: the one that the other would not vote for, or else the
    /// lower one. It answers nevertheless, and for this term it gives way only once, so that nobody can keep
    /// it from leading for good.
    fn let_it_try(&mut self, candidate: Member, term: Term, last: EntryId) {
        self.election_due = self.election_due.max(self.now + self.config.heartbeat_interval);
        let gives_way = last != self.log.last() || candidate > self.id();
        if gives_way && self.gave_way.is_none_or(|(earlier, _)| earlier < term) {
            self.gave_way = Some((term, self.now));
        }
    }

    /// Whether somebody else may be about to ask for votes in the term that this member would begin: it was
    /// told that it may, and its request takes a round trip to come.
    fn gives_way(&self) -> bool {
        let wait = self.patience(self.candidacies.round_trip, self.config.heartbeat_interval);
        self.gave_way.is_some_and(|(term, since)| term == self.term().next() && self.now < since + wait)
    }

    /// Whether there is a leader as far as this member can tell: it would be wrong to elect another. Also one of an
    /// earlier term: it may hold a lease that rests on what this member told it (thesis, section 6.4.1).
    fn hears_leader(&self) -> bool {
        let heard = |heard| self.now.since(heard) < self.config.election_timeout;
        matches!(self.state, State::Leader(_)) || self.heard.is_some_and(heard)
    }

    /// Whether the message asks for a vote that must not even be considered. Not to touch the term is the
    /// point: a node that was cut off, or removed, must not depose a leader that a majority hears (thesis, section
    /// 4.2.3). Unless that leader itself wants to hand over.
    pub(crate) fn is_untimely_vote(&self, message: &Message) -> bool {
        let asks = match message {
            Message::Vote { term, transfer, .. } => *term >= self.term() && !transfer,
            Message::PreVote { term, .. } => *term > self.term(),
            _ => false,
        };
        asks && self.hears_leader()
    }

    /// A later term has begun: whatever this member was, it is a follower now (section 5.1).
    pub(crate) fn enter_term(&mut self, term: Term, effects: &mut Vec<Effect>) {
        assert!(term > self.term(), "raft: terms only grow, but {term} follows {}", self.term());
        self.promise = Promise { term, vote: None };
        self.disk.promise(self.promise);
        self.agreed = self.commit;
        self.forget_unfinished_snapshot();
        self.step_down(effects);
    }

    /// Becomes a follower of nobody, in the same term.
    pub(crate) fn step_down(&mut self, effects: &mut Vec<Effect>) {
        let state = std::mem::replace(&mut self.state, State::Follower);
        self.leader = None;
        if let State::Leader(leader) = state {
            leader.reads.refuse_all(effects);
            // The timer of a leader is long past.
            self.reset_election_timer();
        }
    }

    /// Follows the leader of this term, who has just been heard.
    pub(crate) fn follow(&mut self, leader: Member) {
        let is_leader = matches!(self.state, State::Leader(_));
        let known = if is_leader { Some(self.id()) } else { self.leader };
        assert!(
            known.is_none_or(|known| known == leader),
            "raft: election safety: {} has two leaders, {known:?} and {leader:?}",
            self.term()
        );
        self.state = State::Follower;
        self.leader = Some(leader);
        self.heard = Some(self.now);
        self.candidacies.succeed();
        self.reset_election_timer();
    }

    /// Asks whether an election could be won, without disturbing anyone.
    pub(crate) fn pre_campaign(&mut self, effects: &mut Vec<Effect>) {
        self.leader = None;
        self.heard = None;
        self.reset_election_timer();
        self.state = State::PreCandidate(Ballot::from([self.id()]));
        let (term, last) = (self.term().next(), self.log.last());
        for to in self.peers() {
            let message = Message::PreVote { term, last, at: self.now };
            effects.push(Effect::Send { to, message, after: None });
        }
        self.campaign_if_promising(effects);
    }

    pub(crate) fn on_pre_vote(
        &mut self,
        from: Member,
        term: Term,
        last: EntryId,
        at: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let granted = term > self.term() && self.is_up_to_date(last);
        let term = if granted { term } else { self.term() };
        let message = Message::PreVoteReply { term, granted, at };
        match granted {
            true => {
                self.let_it_try(from, term, last);
                effects.push(Effect::Send { to: from, message, after: None });
            }
            false => self.answer(from, message, effects),
        }
    }

    pub(crate) fn on_pre_vote_reply(
        &mut self,
        from: Member,
        term: Term,
        granted: bool,
        at: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let asked = self.term().next();
        self.candidacies.round_trip.measured(self.now.since(at));
        if let State::PreCandidate(ballot) = &mut self.state
            && granted
            && term == asked
        {
            ballot.insert(from);
            self.campaign_if_promising(effects);
        }
    }

    fn campaign_if_promising(&mut self, effects: &mut Vec<Effect>) {
        if let State::PreCandidate(ballot) = &self.state
            && self.quorum.agrees(|node| ballot.contains(&node))
            && !self.gives_way()
        {
            self.campaign(false, effects);
        }
    }

    /// Starts an election. The own vote counts, and the others are asked, only when it is durable.
    pub(crate) fn campaign(&mut self, transfer: bool, effects: &mut Vec<Effect>) {
        let term = self.term().next();
        self.enter_term(term, effects);
        self.vote_for(self.id());
        self.state = State::Candidate(Ballot::new());
        self.wait_for(self.patience_of_candidate());
        for to in self.peers() {
            self.answer(to, Message::Vote { term, last: self.log.last(), transfer }, effects);
        }
        self.count_own_vote(effects);
    }

    fn vote_for(&mut self, candidate: Member) {
        self.promise.vote = Some(candidate);
        self.disk.promise(self.promise);
    }

    pub(crate) fn on_vote(&mut self, from: Member, last: EntryId, effects: &mut Vec<Effect>) {
        let free = match self.promise.vote {
            None => self.leader.is_none(),
            Some(candidate) => candidate == from || !self.holds(Rule::OneVotePerTerm),
        };
        let granted = free && self.is_up_to_date(last);
        if granted {
            if self.promise.vote != Some(from) {
                self.vote_for(from);
            }
            self.reset_election_timer();
        }
        self.answer(from, Message::VoteReply { term: self.term(), granted }, effects);
    }

    /// Whether a log that ends with `last` is at least as up to date as the own one (section 5.4.1).
    fn is_up_to_date(&self, last: EntryId) -> bool {
        let own = self.log.last();
        (last.epoch, last.index) >= (own.epoch, own.index) || !self.holds(Rule::UpToDateCandidate)
    }

    pub(crate) fn on_vote_reply(&mut self, from: Member, granted: bool, effects: &mut Vec<Effect>) {
        if granted {
            self.count_vote(from, effects);
        }
    }

    pub(crate) fn count_own_vote(&mut self, effects: &mut Vec<Effect>) {
        if self.disk.after_promise().is_none() {
            self.count_vote(self.id(), effects);
        }
    }

    fn count_vote(&mut self, voter: Member, effects: &mut Vec<Effect>) {
        let State::Candidate(ballot) = &mut self.state else { return };
        ballot.insert(voter);
        if self.quorum.agrees(|node| ballot.contains(&node)) {
            self.lead(effects);
        }
    }

    /// Has won the election. The entry without commands lets everything before it be committed (section
    /// 5.4.2), and tells what is committed (section 8).
    fn lead(&mut self, effects: &mut Vec<Effect>) {
        let next = self.log.last().index.next();
        self.leader = Some(self.id());
        self.agreed = self.log.last().index;
        self.candidacies.succeed();
        let round_trip = self.candidacies.round_trip;
        self.state = State::Leader(Leader::new(&self.replicas(), next, self.now, round_trip));
        self.append_own(bytes::Bytes::new(), self.last_time(), 0);
        self.replicate(effects);
        self.advance_commit(effects);
    }

    /// When the leader will have heard too little from its followers to go on (check-quorum).
    pub(crate) fn quorum_lapses(&self, leader: &Leader) -> Instant {
        let timeout = self.config.election_timeout;
        self.quorum.reached(|node| match leader.followers.get(&node) {
            Some(follower) => follower.heard + self.patience(follower.round_trip, timeout),
            None => self.now + timeout,
        })
    }

    pub(crate) fn on_leader_elapsed(&mut self, effects: &mut Vec<Effect>) {
        let State::Leader(leader) = &self.state else { return };
        if leader.followers.is_empty() {
            return;
        }
        if self.now >= self.quorum_lapses(leader) {
            // Others may have elected somebody else: do not keep clients waiting.
            return self.step_down(effects);
        }
        if self.now >= leader.heartbeat_due {
            self.broadcast_heartbeat(effects);
        }
        self.abort_overdue_transfer(effects);
    }
}
