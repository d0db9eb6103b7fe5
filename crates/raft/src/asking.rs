//! Reads at a follower: it asks the leader how much a read must see, and answers from its own state once it
//! has applied that (ReadIndex; Raft thesis, section 6.4).
//!
//! The leader answers as it answers its own readers: under its lease, or after a round. One question is on
//! its way at a time and serves all reads that arrived before it was sent; later ones wait for the next. A
//! question that may have been lost is repeated with a heartbeat. Whoever loses its leader refuses its reads:
//! somebody else can answer them.

use std::collections::VecDeque;

use onecopy_core::{Index, Instant, Member, Rule, Term};

use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::message::Message;
use crate::node::Raft;
use crate::read::Reader;
use crate::role::State;

/// The reads that wait at a member that does not lead.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Asking {
    /// Names the last question. Begins anywhere: an answer to an earlier life of this member answers none.
    round: u64,
    /// Who was asked, in which term.
    of: Option<(Term, Member)>,
    /// Wait for the next question.
    waiting: Vec<u64>,
    /// Wait for the answer to the last one.
    asked: Vec<u64>,
    /// When that was sent.
    at: Instant,
    /// Wait for an index to be applied.
    told: VecDeque<(Index, Vec<u64>)>,
}

impl Asking {
    pub fn new(seed: u64) -> Self {
        Self { round: seed, ..Self::default() }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.asked.is_empty() && self.told.is_empty()
    }
}

impl Core {
    /// A read arrives at a follower of this leader.
    pub fn read_as_follower(&mut self, step: &mut Step<'_>, leader: Member, token: u64) {
        if !self.holds(Rule::FollowersAsk) {
            self.asking.told.push_back((self.commit, vec![token]));
            return;
        }
        self.asking.of = Some((self.term(), leader));
        self.asking.waiting.push(token);
        self.ask(step, leader);
    }

    /// Asks for all reads that have arrived, unless a question is on its way.
    fn ask(&mut self, step: &mut Step<'_>, leader: Member) {
        let asking = &mut self.asking;
        if !asking.asked.is_empty() || asking.waiting.is_empty() {
            return;
        }
        asking.round = asking.round.wrapping_add(1);
        asking.asked = std::mem::take(&mut asking.waiting);
        self.say_question(step, leader);
    }

    /// The last question, or its answer, may have been lost, if it was sent a while ago.
    pub fn repeat_question(&mut self, step: &mut Step<'_>, leader: Member) {
        let is_old = step.now.since(self.asking.at) >= self.config.heartbeat_interval;
        if !self.asking.asked.is_empty() && is_old {
            self.say_question(step, leader);
        }
    }

    fn say_question(&mut self, step: &mut Step<'_>, leader: Member) {
        self.asking.at = step.now;
        step.send(leader, Message::AskIndex { term: self.term(), round: self.asking.round });
    }

    /// The leader says how much the reads of a question must see.
    pub fn on_index(&mut self, step: &mut Step<'_>, leader: Member, round: u64, index: Index) {
        if self.asking.round != round || self.asking.asked.is_empty() {
            return;
        }
        let tokens = std::mem::take(&mut self.asking.asked);
        self.asking.told.push_back((index, tokens));
        self.ask(step, leader);
    }

    /// Reads are ready whose index has been applied.
    fn serve_told_reads(&mut self, step: &mut Step<'_>) {
        let applied = self.applied;
        while let Some((index, tokens)) = self.asking.told.pop_front_if(|(index, _)| *index <= applied) {
            step.extend(tokens.into_iter().map(|token| Effect::ReadReady { token, index }));
        }
    }

    fn refuse_told_reads(&mut self, step: &mut Step<'_>, leader: Option<Member>) {
        let Asking { waiting, asked, told, .. } = &mut self.asking;
        let told = std::mem::take(told).into_iter().flat_map(|(_, tokens)| tokens);
        let tokens = told.chain(std::mem::take(asked)).chain(std::mem::take(waiting));
        step.extend(tokens.map(|token| Effect::ReadRefused { token, leader }));
    }
}

impl Raft {
    /// Whether a read that arrives here now can be answered here: this member follows a leader that it heard
    /// lately, and asks it how much a read must see.
    #[must_use]
    pub fn reads_as_follower(&self, now: Instant) -> bool {
        let patience = self.core.config.election_timeout;
        let follows = matches!(&self.state, State::Follower(follower) if follower.leader.is_some());
        follows && self.core.heard.is_some_and(|heard| now.since(heard) < patience)
    }

    /// What a step has done to the reads that wait here.
    pub(crate) fn go_on_reading(&mut self, step: &mut Step<'_>) {
        if self.core.asking.is_empty() {
            return;
        }
        let leader = self.leader().filter(|leader| *leader != self.id());
        let followed = leader.map(|leader| (self.term(), leader));
        let is_other = self.core.asking.of.is_some() && self.core.asking.of != followed;
        if is_other || followed.is_none() {
            return self.core.refuse_told_reads(step, self.leader());
        }
        self.core.serve_told_reads(step);
    }
}

impl Leader {
    /// A follower has reads, and asks how much they must see.
    pub fn on_ask_index(&mut self, core: &Core, step: &mut Step<'_>, from: Member, round: u64) {
        self.read(core, step, Reader::Follower { member: from, round });
    }
}
