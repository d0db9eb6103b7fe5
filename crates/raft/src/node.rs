//! One member of a group: its state, and the dispatch of what happens to it.

use std::fmt;

use onecopy_core::{
    EntryId, Index, Instant, Log, NodeId, Protocol, Recovered, Rule, Term, Ticket, Timestamp,
};

use crate::config::Config;
use crate::disk::Disk;
use crate::durable::{self, CorruptState, Promise};
use crate::effect::{Effect, Input};
use crate::election::{Ballot, Jitter};
use crate::message::Message;
use crate::quorum::Quorum;
use crate::replication::Leader;
use crate::snapshot::Receiving;

/// Messages of later terms are ignored: no history gets there, and there must always be a next term.
const TERM_MAX: Term = Term(u64::MAX / 2);

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

/// What a member remembers only in its role.
#[derive(Clone, Debug, Hash)]
pub(crate) enum State {
    /// Nothing.
    Follower,
    /// Who would vote for it.
    PreCandidate(Ballot),
    /// Who has voted for it.
    Candidate(Ballot),
    /// How far each follower is, and which reads wait.
    Leader(Leader),
}

/// One member of a Raft group. See the crate's documentation.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    pub(crate) config: Config,
    pub(crate) quorum: Quorum,
    /// The time of the current step.
    pub(crate) now: Instant,
    /// The latest term seen, and whom this member voted for in it (Raft paper, Figure 2).
    pub(crate) promise: Promise,
    pub(crate) log: Log,
    /// The time of the log's base: the least that the next entry may have.
    pub(crate) base_time: Timestamp,
    pub(crate) disk: Disk,
    pub(crate) state: State,
    /// The leader of the term, if it is known.
    pub(crate) leader: Option<NodeId>,
    /// When the leader was last heard.
    pub(crate) heard: Instant,
    /// When this member asks for an election if it hears nothing.
    pub(crate) election_due: Instant,
    pub(crate) jitter: Jitter,
    /// The log is known to agree with that of the term's leader through here.
    pub(crate) agreed: Index,
    pub(crate) commit: Index,
    pub(crate) applied: Index,
    /// The last entry that the newest durable snapshot covers; the log may reach further back.
    pub(crate) snapshot: EntryId,
    /// The snapshot that the driver was asked to take.
    pub(crate) taking: Option<EntryId>,
    /// The snapshot that is being received.
    pub(crate) receiving: Option<Receiving>,
    /// What the last [`Effect::RoleChanged`] said.
    announced: (Role, Term, Option<NodeId>),
}

impl Raft {
    /// Starts from what was found on disk. `base_time` is the time of the entry at `recovered.base`, which
    /// the driver's snapshot knows (zero if there is none).
    ///
    /// The state machine must be as of `recovered.base`; the effects apply what is known to be committed
    /// after it, and must be carried out before the first step. If a durable snapshot is newer than the log
    /// on disk, because the process died while it installed or compacted, the driver presents that snapshot
    /// as the base, with the entries after it if the log holds its last entry, and with none if not.
    ///
    /// Panics if the configuration contradicts itself.
    ///
    /// # Errors
    /// When the data makes no sense. The member must not take part then.
    pub fn new(
        config: Config,
        recovered: Recovered,
        base_time: Timestamp,
        now: Instant,
    ) -> Result<(Self, Vec<Effect>), CorruptState> {
        config.check();
        let (promise, log, commit) = durable::recover(recovered)?;
        let mut raft = Self {
            quorum: Quorum::new(config.members.clone()),
            disk: Disk::new(log.last().index, config.rules.hold(Rule::PersistBeforeAnswer)),
            jitter: Jitter::new(config.seed),
            now,
            promise,
            base_time,
            state: State::Follower,
            leader: None,
            heard: Instant::ZERO,
            election_due: now,
            agreed: commit,
            commit,
            applied: log.base().index,
            snapshot: log.base(),
            taking: None,
            receiving: None,
            announced: (Role::Follower, promise.term, None),
            log,
            config,
        };
        let mut effects = Vec::new();
        raft.reset_election_timer();
        raft.apply_committed(&mut effects);
        if raft.config.members.len() == 1 {
            // There is nobody to wait for.
            raft.pre_campaign(&mut effects);
        }
        raft.finish(&mut effects, 0);
        Ok((raft, effects))
    }

    /// What this member is.
    #[must_use]
    pub fn role(&self) -> Role {
        match self.state {
            State::Follower => Role::Follower,
            State::PreCandidate(_) => Role::PreCandidate,
            State::Candidate(_) => Role::Candidate,
            State::Leader(_) => Role::Leader,
        }
    }

    /// The name of this member.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// All voting members.
    #[must_use]
    pub fn members(&self) -> &[NodeId] {
        self.quorum.voters()
    }

    /// The leader of the term, if it is known. May have been deposed since.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.promise.term
    }

    /// Whom this member voted for in its term.
    #[must_use]
    pub fn vote(&self) -> Option<NodeId> {
        self.promise.vote
    }

    /// Everything through here is known to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// Everything through here has been handed out in [`Effect::Apply`], or is covered by a snapshot.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The log is durable through here.
    #[must_use]
    pub fn durable(&self) -> Index {
        self.disk.durable()
    }

    /// The window of the log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn holds(&self, rule: Rule) -> bool {
        self.config.rules.hold(rule)
    }

    /// All members but this one.
    pub(crate) fn peers(&self) -> Vec<NodeId> {
        self.quorum.voters().iter().copied().filter(|node| *node != self.config.id).collect()
    }

    /// The least time that the next entry may have.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.log.get(self.log.last().index).map_or(self.base_time, |entry| entry.time)
    }

    /// Sends an answer that speaks of the own term, once the term is durable.
    pub(crate) fn answer(&self, to: NodeId, message: Message, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send { to, message, after: self.disk.after_promise() });
    }

    fn receive(&mut self, from: NodeId, message: Message, effects: &mut Vec<Effect>) {
        if from == self.config.id || !self.quorum.contains(from) || message.term() > TERM_MAX {
            return;
        }
        if self.is_untimely_vote(&message) {
            return;
        }
        if message.term() > self.term() && !message_is_pre_vote(&message) {
            self.enter_term(message.term(), effects);
        }
        if message.term() < self.term() {
            return self.refuse_outdated(from, &message, effects);
        }
        if message.is_from_leader() {
            self.follow(from);
        }
        self.dispatch(from, message, effects);
    }

    /// One handler per message. The message is of this term, or a pre-vote of this or a later one.
    fn dispatch(&mut self, from: NodeId, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::PreVote { term, last } => self.on_pre_vote(from, term, last, effects),
            Message::PreVoteReply { term, granted } => self.on_pre_vote_reply(from, term, granted, effects),
            Message::Vote { last, .. } => self.on_vote(from, last, effects),
            Message::VoteReply { granted, .. } => self.on_vote_reply(from, granted, effects),
            Message::Append { previous, entries, commit, .. } => {
                self.on_append(from, previous, entries, commit, effects);
            }
            Message::Appended { through, .. } => self.on_appended(from, through, effects),
            Message::Conflict { at, hint, .. } => self.on_conflict(from, at, hint, effects),
            Message::Heartbeat { round, commit, sent, .. } => {
                self.on_heartbeat(from, round, commit, sent, effects);
            }
            Message::HeartbeatReply { round, sent, received, durable, .. } => {
                self.on_heartbeat_reply(from, round, sent, received, durable, effects);
            }
            Message::Snapshot { chunk, .. } => self.on_snapshot(from, chunk, effects),
            Message::SnapshotReply { snapshot, wanted, .. } => {
                self.on_snapshot_reply(from, snapshot, wanted, effects);
            }
            // Its term was its whole content.
            Message::Outdated { .. } => {}
        }
    }

    /// Tells the sender of an outdated request that its term is over. Outdated answers are of no use to
    /// anyone.
    fn refuse_outdated(&mut self, from: NodeId, message: &Message, effects: &mut Vec<Effect>) {
        let asks = matches!(message, Message::PreVote { .. } | Message::Vote { .. });
        if asks || message.is_from_leader() {
            self.answer(from, Message::Outdated { term: self.term() }, effects);
        }
    }

    fn on_persisted(&mut self, ticket: Ticket, effects: &mut Vec<Effect>) {
        self.disk.persisted(ticket);
        match self.state {
            State::Candidate(_) => self.count_own_vote(effects),
            State::Leader(_) => self.advance_commit(effects),
            State::Follower | State::PreCandidate(_) => {}
        }
    }

    fn on_elapsed(&mut self, effects: &mut Vec<Effect>) {
        match self.state {
            State::Leader(_) => self.on_leader_elapsed(effects),
            _ if self.now >= self.election_due => self.pre_campaign(effects),
            _ => {}
        }
    }

    /// Ends a step: what depends on its outcome as a whole. `start` is where its effects begin.
    fn finish(&mut self, effects: &mut Vec<Effect>, start: usize) {
        self.compact_if_possible();
        self.ask_for_snapshot(effects);
        let current = (self.role(), self.term(), self.leader);
        if self.announced != current {
            self.announced = current;
            effects.push(Effect::RoleChanged { role: current.0, term: current.1, leader: current.2 });
        }
        if let Some(persist) = self.disk.take() {
            // First, because it takes longest.
            effects.insert(start, persist);
        }
    }
}

fn message_is_pre_vote(message: &Message) -> bool {
    matches!(message, Message::PreVote { .. } | Message::PreVoteReply { granted: true, .. })
}

impl Protocol for Raft {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        let start = effects.len();
        self.now = self.now.max(now);
        match input {
            Input::Received { from, message } => self.receive(from, message, effects),
            Input::Propose { payload, time, seed } => self.on_propose(payload, time, seed, effects),
            Input::Read { token } => self.on_read(token, effects),
            Input::Persisted { ticket } => self.on_persisted(ticket, effects),
            Input::Elapsed => self.on_elapsed(effects),
            Input::SnapshotTaken { snapshot } => self.on_snapshot_taken(snapshot),
            Input::SnapshotRead { to, snapshot, chunk } => {
                self.on_snapshot_read(to, snapshot, chunk, effects);
            }
            Input::SnapshotWritten { snapshot, offset } => {
                self.on_snapshot_written(snapshot, offset, effects);
            }
            Input::SnapshotInstalled { snapshot, time } => {
                self.on_snapshot_installed(snapshot, time, effects);
            }
            Input::SnapshotUnusable { snapshot } => self.on_snapshot_unusable(snapshot, effects),
        }
        self.finish(effects, start);
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Leader(leader) if leader.followers.is_empty() => None,
            State::Leader(leader) => Some(leader.heartbeat_due.min(self.quorum_lapses(leader))),
            _ => Some(self.election_due),
        }
    }

    fn check_invariants(&self) {
        self.check_log();
        if let State::Leader(leader) = &self.state {
            self.check_leader(leader);
        }
    }
}

impl Raft {
    fn check_log(&self) {
        let (base, last) = (self.log.base(), self.log.last());
        assert!(last.epoch <= self.term().into(), "raft: {last} is from a term after {}", self.term());
        assert!(base.index <= self.applied, "raft: compacted to {base}, applied only {}", self.applied);
        assert!(self.applied <= self.commit, "raft: applied {}, committed {}", self.applied, self.commit);
        assert!(self.commit <= last.index, "raft: committed {}, the log ends with {last}", self.commit);
        assert!(self.agreed <= last.index, "raft: agreed {}, the log ends with {last}", self.agreed);
        assert!(self.durable() <= last.index, "raft: durable {}, the log ends with {last}", self.durable());
        assert!(self.snapshot >= base, "raft: compacted to {base}, the snapshot is {}", self.snapshot);
    }

    fn check_leader(&self, leader: &Leader) {
        let last = self.log.last().index;
        assert_eq!(self.leader, Some(self.id()), "raft: a leader follows somebody else");
        for (node, progress) in &leader.followers {
            assert!(progress.matched < progress.next, "raft: {node} is sent again what it has");
            assert!(progress.next <= last.next(), "raft: {node} is sent what does not exist");
        }
    }
}
