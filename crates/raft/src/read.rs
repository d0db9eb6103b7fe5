//! Linearizable reads without a log entry: ReadIndex (Raft thesis, section 6.4).
//!
//! A read must see everything that was committed when it arrived. The leader notes its commit index, and
//! makes sure with one round of heartbeats that no later leader had been elected by then: that one could have
//! committed more. While a round is on its way, the reads that arrive wait for the next: one round serves
//! them all. Before the first entry of its own term is committed, a leader does not know what is (section 8),
//! and reads wait.

use std::collections::VecDeque;

use onecopy_core::{Index, Member, Rule};

use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::message::Message;
use crate::progress::Progress;

/// The reads that wait at a leader.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Reads {
    /// The rounds that were begun in this term.
    round: u64,
    /// Wait for the next round.
    waiting: Vec<Reader>,
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
    /// Whose they are.
    readers: Vec<Reader>,
}

/// Whom to tell that a read is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reader {
    /// The driver of this member, of the read of this name.
    Here(u64),
    /// A follower, that answers its reads itself.
    Follower {
        member: Member,
        /// Its question.
        round: u64,
    },
}

impl Reads {
    pub fn round(&self) -> u64 {
        self.round
    }

    /// The leader steps down.
    pub fn refuse_all(self, step: &mut Step<'_>) {
        let batches = self.confirmed.into_iter().chain(self.confirming);
        let readers = batches.flat_map(|batch| batch.readers).chain(self.waiting);
        let refused = readers.filter_map(|reader| match reader {
            Reader::Here(token) => Some(Effect::ReadRefused { token, leader: None }),
            // It finds out for itself.
            Reader::Follower { .. } => None,
        });
        step.extend(refused);
    }

    /// Begins a round for the reads that wait, unless one is on its way. Returns whether there is a new one.
    fn begin(&mut self, index: Index) -> bool {
        if self.confirming.is_some() || self.waiting.is_empty() {
            return false;
        }
        self.round += 1;
        self.confirming = Some(Batch { index, readers: std::mem::take(&mut self.waiting) });
        true
    }
}

impl Leader {
    pub fn on_read(&mut self, core: &Core, step: &mut Step<'_>, token: u64) {
        self.read(core, step, Reader::Here(token));
    }

    pub fn read(&mut self, core: &Core, step: &mut Step<'_>, reader: Reader) {
        if self.has_lease(core, step.now) {
            self.reads.confirmed.push_back(Batch { index: core.commit, readers: vec![reader] });
            return self.serve_confirmed_reads(core, step);
        }
        // A question that comes again takes the place of the one before: a follower has one at a time.
        let is_same = |other: &Reader| match (other, reader) {
            (Reader::Follower { member, .. }, Reader::Follower { member: from, .. }) => *member == from,
            _ => false,
        };
        self.reads.waiting.retain(|other| !is_same(other));
        self.reads.waiting.push(reader);
        self.start_read_round(core, step);
    }

    pub fn start_read_round(&mut self, core: &Core, step: &mut Step<'_>) {
        if !self.knows_commit(core) || !self.reads.begin(core.commit) {
            return;
        }
        if core.holds(Rule::ConfirmReads) {
            self.broadcast_heartbeat(core, step);
        }
        self.confirm_reads(core, step);
    }

    /// Ends the round if a majority has answered it, and begins the next.
    pub fn confirm_reads(&mut self, core: &Core, step: &mut Step<'_>) {
        if !self.is_round_answered(core) {
            return;
        }
        let Some(batch) = self.reads.confirming.take() else { return };
        self.reads.confirmed.push_back(batch);
        self.serve_confirmed_reads(core, step);
        self.start_read_round(core, step);
    }

    /// Whether a majority has answered the last round, and so followed nobody else when it began.
    fn is_round_answered(&self, core: &Core) -> bool {
        let round = self.reads.round();
        let answered = |node: Member| {
            self.followers.get(&node).is_none_or(|follower: &Progress| follower.round >= round)
        };
        !core.holds(Rule::ConfirmReads) || core.quorum.agrees(answered)
    }

    pub fn serve_confirmed_reads(&mut self, core: &Core, step: &mut Step<'_>) {
        let confirmed = &mut self.reads.confirmed;
        while let Some(batch) = confirmed.pop_front_if(|batch| batch.index <= core.applied) {
            let index = batch.index;
            for reader in batch.readers {
                match reader {
                    Reader::Here(token) => step.push(Effect::ReadReady { token, index }),
                    Reader::Follower { member, round } => {
                        step.send(member, Message::ReadIndex { term: core.term(), round, index });
                    }
                }
            }
        }
    }
}
