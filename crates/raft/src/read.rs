//! Linearizable reads without a log entry: ReadIndex (Raft thesis, section 6.4).
//!
//! A read must see everything that was committed when it arrived. The leader notes its commit index, and
//! makes sure with one round of heartbeats that no later leader had been elected by then: that one could have
//! committed more. While a round is on its way, the reads that arrive wait for the next: one round serves
//! them all. Before the first entry of its own term is committed, a leader does not know what is (section 8),
//! and reads wait.

use std::collections::VecDeque;

use onecopy_core::{Index, Member, Rule};

use crate::effect::Effect;
use crate::node::{Raft, State};
use crate::progress::Progress;

/// The reads that wait at a leader.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// The rounds that were begun in this term.
    round: u64,
    /// Wait for the next round.
    waiting: Vec<u64>,
    /// Wait for this round to be answered by a majority.
    confirming: Option<Batch>,
    /// Wait for their index to be applied.
    confirmed: VecDeque<Batch>,
}

/// Reads that are served by one round.
#[derive(Clone, Debug, Hash)]
struct Batch {
    /// What the reads must see: the commit index when the round began.
    index: Index,
    /// Their names.
    tokens: Vec<u64>,
}

impl Reads {
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The leader steps down.
    pub fn refuse_all(self, effects: &mut Vec<Effect>) {
        let batches = self.confirmed.into_iter().chain(self.confirming);
        let tokens = batches.flat_map(|batch| batch.tokens).chain(self.waiting);
        effects.extend(tokens.map(|token| Effect::ReadRefused { token, leader: None }));
    }

    /// Begins a round for the reads that wait, unless one is on its way. Returns whether there is a new one.
    fn begin(&mut self, index: Index) -> bool {
        if self.confirming.is_some() || self.waiting.is_empty() {
            return false;
        }
        self.round += 1;
        self.confirming = Some(Batch { index, tokens: std::mem::take(&mut self.waiting) });
        true
    }
}

impl Raft {
    pub(crate) fn on_read(&mut self, token: u64, effects: &mut Vec<Effect>) {
        let leases_serve = self.has_lease();
        let State::Leader(leader) = &mut self.state else {
            return effects.push(Effect::ReadRefused { token, leader: self.leader });
        };
        if leases_serve {
            leader.reads.confirmed.push_back(Batch { index: self.commit, tokens: vec![token] });
            return self.serve_confirmed_reads(effects);
        }
        leader.reads.waiting.push(token);
        self.start_read_round(effects);
    }

    pub(crate) fn start_read_round(&mut self, effects: &mut Vec<Effect>) {
        let knows_commit = self.knows_commit();
        let State::Leader(leader) = &mut self.state else { return };
        if !knows_commit || !leader.reads.begin(self.commit) {
            return;
        }
        if self.holds(Rule::ConfirmReads) {
            self.broadcast_heartbeat(effects);
        }
        self.confirm_reads(effects);
    }

    /// Ends the round if a majority has answered it, and begins the next.
    pub(crate) fn confirm_reads(&mut self, effects: &mut Vec<Effect>) {
        let needed = self.holds(Rule::ConfirmReads);
        let State::Leader(leader) = &mut self.state else { return };
        let (followers, reads) = (&leader.followers, &mut leader.reads);
        let answered = |node: Member| {
            followers.get(&node).is_none_or(|follower: &Progress| follower.round >= reads.round)
        };
        if needed && !self.quorum.agrees(answered) {
            return;
        }
        let Some(batch) = reads.confirming.take() else { return };
        reads.confirmed.push_back(batch);
        self.serve_confirmed_reads(effects);
        self.start_read_round(effects);
    }

    pub(crate) fn serve_confirmed_reads(&mut self, effects: &mut Vec<Effect>) {
        let State::Leader(leader) = &mut self.state else { return };
        let applied = self.applied;
        while let Some(batch) = leader.reads.confirmed.pop_front_if(|batch| batch.index <= applied) {
            let index = batch.index;
            effects.extend(batch.tokens.into_iter().map(|token| Effect::ReadReady { token, index }));
        }
    }
}
