//! What a member has in every role, and the step that it takes.
//!
//! A role ([`Follower`](crate::follower::Follower), [`PreCandidate`](crate::election::PreCandidate),
//! [`Candidate`](crate::election::Candidate), [`Leader`](crate::leader::Leader)) owns what is known in it
//! alone. Its handlers take the [`Core`], which outlives roles, and the [`Step`]. Which role takes an input
//! is decided once, at the entrance (`node`); how one role follows another is told in `election`.

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, Index, Instant, Log, Member, Rule, Term, Timestamp};

use crate::asking::Asking;
use crate::config::Config;
use crate::content;
use crate::disk::Disk;
use crate::durable::Promise;
use crate::effect::Effect;
use crate::membership::Membership;
use crate::message::Message;
use crate::patience::{Candidacies, Jitter};
use crate::quorum::Quorum;

/// What does not depend on the role.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Core {
    pub config: Config,
    pub quorum: Quorum,
    /// The latest term seen, and whom this member voted for in it (Raft paper, Figure 2).
    pub promise: Promise,
    pub log: Log,
    /// The configurations in the log.
    pub membership: Membership,
    /// The time of the log's base: the least that the next entry may have.
    pub base_time: Timestamp,
    pub disk: Disk,
    pub commit: Index,
    pub applied: Index,
    /// The last entry that the newest durable snapshot covers; the log may reach further back.
    pub snapshot: EntryId,
    /// The snapshot that the driver was asked to take.
    pub taking: Option<EntryId>,
    /// The snapshot that is replacing the state of the state machine. Terms may end meanwhile.
    pub installing: Option<EntryId>,
    /// When a leader was last heard, of this term or an earlier one; not since this member asked for an
    /// election.
    pub heard: Option<Instant>,
    /// Whether each read takes a round, although there may be leases.
    pub confirms_all: bool,
    /// The reads that wait here while another leads.
    pub asking: Asking,
    /// What its own attempts to be elected have taught.
    pub candidacies: Candidacies,
    /// The last term for which it gave way to another, and since when.
    pub gave_way: Option<(Term, Instant)>,
    pub jitter: Jitter,
}

/// One step: when it is taken, and what comes of it.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    pub now: Instant,
    effects: &'a mut Vec<Effect>,
}

impl<'a> Step<'a> {
    pub fn new(now: Instant, effects: &'a mut Vec<Effect>) -> Self {
        Self { now, effects }
    }

    /// Wants something done, after everything that was wanted before.
    pub fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    /// The same with several things, in their order.
    pub fn extend(&mut self, effects: impl IntoIterator<Item = Effect>) {
        self.effects.extend(effects);
    }

    /// Sends a message that waits for no disk: it promises nothing that is not durable already.
    pub fn send(&mut self, to: Member, message: Message) {
        self.push(Effect::Send { to, message, after: None });
    }
}

impl Core {
    pub fn id(&self) -> Member {
        self.config.id
    }

    pub fn term(&self) -> Term {
        self.promise.term
    }

    pub fn holds(&self, rule: Rule) -> bool {
        self.config.rules.hold(rule)
    }

    /// The log is durable through here.
    pub fn durable(&self) -> Index {
        self.disk.durable()
    }

    /// The least time that the next entry may have.
    pub fn last_time(&self) -> Timestamp {
        self.log.get(self.log.last().index).map_or(self.base_time, |entry| entry.time)
    }

    /// Sends an answer that speaks of the own term, once the term is durable.
    pub fn answer(&self, step: &mut Step<'_>, to: Member, message: Message) {
        step.push(Effect::Send { to, message, after: self.disk.after_promise() });
    }

    /// Says that the log agrees with the leader's through `through`, once that is durable here.
    pub fn acknowledge(&self, step: &mut Step<'_>, leader: Member, through: Index) {
        let message = Message::Appended { term: self.term(), through };
        step.push(Effect::Send { to: leader, message, after: self.disk.after_entries(through) });
    }

    /// Puts entries at the end of the log, and writes them, with what is known to be committed then.
    pub fn append(&mut self, entries: Vec<Entry>, commit: Index) {
        for entry in &entries {
            self.log.append(entry.clone());
            self.note_appended(entry);
        }
        self.disk.append(entries, commit);
    }

    /// Appends an entry of the own term; a leader never changes its log in any other way (leader
    /// append-only).
    pub fn append_own(&mut self, payload: Bytes, time: Timestamp, seed: u64) -> EntryId {
        let id = EntryId::new(self.log.last().index.next(), self.term());
        let entry = Entry { id, time: time.max(self.last_time()), seed, payload };
        self.append(vec![entry], self.commit);
        id
    }

    /// Everything through `index` is committed.
    pub fn commit_through(&mut self, step: &mut Step<'_>, index: Index) {
        self.raise_commit(index);
        self.apply_committed(step);
    }

    pub fn raise_commit(&mut self, index: Index) {
        assert!(
            index <= self.log.last().index,
            "raft: leader completeness: {index} is committed, the log ends with {}",
            self.log.last()
        );
        self.commit = self.commit.max(index);
    }

    /// Hands out what is committed, once. Not while a snapshot replaces the state that it would be applied
    /// to.
    pub fn apply_committed(&mut self, step: &mut Step<'_>) {
        if self.applied == self.commit || self.is_installing() {
            return;
        }
        let entries = self.log.between(self.applied, self.commit);
        self.applied = self.commit;
        let entries = entries.into_iter().map(content::for_state_machine).collect();
        step.push(Effect::Apply { entries });
    }

    /// Whether a snapshot is replacing the state of the state machine.
    pub fn is_installing(&self) -> bool {
        self.installing.is_some()
    }
}
