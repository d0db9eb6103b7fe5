//! One member of a group: its state, and the dispatch of what happens to it.

use std::collections::BTreeSet;
use std::fmt;

use onecopy_core::{
    EntryId, Index, Instant, Log, Member, Protocol, Recovered, Rule, Term, Ticket, Timestamp,
};

use crate::config::{Base, Config};
use crate::configuration::Configuration;
use crate::disk::Disk;
use crate::durable::{self, CorruptState, Found, Promise};
use crate::effect::{Effect, Input};
use crate::election::{Ballot, Jitter};
use crate::membership::Membership;
use crate::message::Message;
use crate::patience::Candidacies;
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
    /// The configurations in the log.
    pub(crate) membership: Membership,
    /// The time of the log's base: the least that the next entry may have.
    pub(crate) base_time: Timestamp,
    pub(crate) disk: Disk,
    pub(crate) state: State,
    /// The leader of the term, if it is known.
    pub(crate) leader: Option<Member>,
    /// When a leader was last heard, of this term or an earlier one; not since this member asked for an election.
    pub(crate) heard: Option<Instant>,
    /// What its own attempts to be elected have taught.
    pub(crate) candidacies: Candidacies,
    /// The last term for which it gave way to another, and since when.
    pub(crate) gave_way: Option<(Term, Instant)>,
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
    announced: (Role, Term, Option<Member>),
    /// Where the configuration of the last [`Effect::ConfigurationChanged`] stands, and whether it was committed.
    pub(crate) announced_configuration: (Index, bool),
}

impl Raft {
    /// Starts from what was found on disk, and from what the driver kept with the snapshot at `recovered.base`.
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
        base: Base,
        now: Instant,
    ) -> Result<(Self, Vec<Effect>), CorruptState> {
        config.check();
        let Found { promise, log, membership, commit } = durable::recover(recovered, base.configuration)?;
        let configured = membership.latest().0;
        let mut raft = Self {
            quorum: Quorum::new(&Configuration::default(), config.rules),
            disk: Disk::new(log.last().index, config.rules.hold(Rule::PersistBeforeAnswer)),
            jitter: Jitter::new(config.seed),
            now,
            promise,
            base_time: base.time,
            state: State::Follower,
            leader: None,
            // The life before this one may have told a leader that it heard it.
            heard: config.leases.map(|_| now),
            candidacies: Candidacies::default(),
            gave_way: None,
            election_due: now,
            agreed: commit,
            commit,
            applied: log.base().index,
            snapshot: log.base(),
            taking: None,
            receiving: None,
            announced: (Role::Follower, promise.term, None),
            announced_configuration: (configured, configured <= commit),
            log,
            membership,
            config,
        };
        let mut effects = Vec::new();
        raft.count_anew();
        raft.reset_election_timer();
        raft.apply_committed(&mut effects);
        if raft.quorum.agrees(|member| member == raft.config.id) {
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
    pub fn id(&self) -> Member {
        self.config.id
    }

    /// The leader of the term, if it is known. May have been deposed since.
    #[must_use]
    pub fn leader(&self) -> Option<Member> {
        self.leader
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.promise.term
    }

    /// Whom this member voted for in its term.
    #[must_use]
    pub fn vote(&self) -> Option<Member> {
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

    /// All voters but this member.
    pub(crate) fn peers(&self) -> BTreeSet<Member> {
        self.quorum.voters().filter(|member| *member != self.config.id).collect()
    }

    /// The least time that the next entry may have.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.log.get(self.log.last().index).map_or(self.base_time, |entry| entry.time)
    }

    /// Sends an answer that speaks of the own term, once the term is durable.
    pub(crate) fn answer(&self, to: Member, message: Message, effects: &mut Vec<Effect>) {
        effects.push(Effect::Send { to, message, after: self.disk.after_promise() });
    }

    fn receive(&mut self, from: Member, message: Message, effects: &mut Vec<Effect>) {
        let strange = message.is_answer() && !self.is_known(from);
        if from == self.config.id || strange || message.term() > TERM_MAX {
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

    /// Whether this member may have asked `from` for anything.
    fn is_known(&self, from: Member) -> bool {
        let follows = |leader: &Leader| leader.followers.contains_key(&from);
        self.quorum.contains(from) || matches!(&self.state, State::Leader(leader) if follows(leader))
    }

    /// One handler per message. The message is of this term, or a pre-vote of this or a later one.
    fn dispatch(&mut self, from: Member, message: Message, effects: &mut Vec<Effect>) {
        match message {
            Message::PreVote { term, last, at } => self.on_pre_vote(from, term, last, at, effects),
            Message::PreVoteReply { term, granted, at } => {
                self.on_pre_vote_reply(from, term, granted, at, effects);
            }
            Message::Vote { last, .. } => self.on_vote(from, last, effects),
            Message::VoteReply { granted, .. } => self.on_vote_reply(from, granted, effects),
            Message::Append { previous, entries, commit, .. } => {
                self.on_append(from, previous, entries, commit, effects);
            }
            Message::Appended { through, .. } => self.on_appended(from, through, effects),
            Message::Conflict { at, hint, .. } => self.on_conflict(from, at, hint, effects),
            Message::Heartbeat { beat, commit, sent, .. } => {
                self.on_heartbeat(from, beat, commit, sent, effects);
            }
            Message::HeartbeatReply { beat, sent, received, durable, .. } => {
                self.on_heartbeat_reply(from, beat, sent, received, durable, effects);
            }
            Message::TimeoutNow { .. } => self.on_timeout_now(effects),
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
    fn refuse_outdated(&mut self, from: Member, message: &Message, effects: &mut Vec<Effect>) {
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
            _ if self.now >= self.election_due && self.may_lead() => {
                if matches!(self.state, State::Candidate(_)) {
                    self.candidacies.fail();
                }
                self.pre_campaign(effects);
            }
            _ => {}
        }
    }

    /// Ends a step: what depends on its outcome as a whole. `start` is where its effects begin.
    fn finish(&mut self, effects: &mut Vec<Effect>, start: usize) {
        self.go_on_with_change(effects);
        self.compact_if_possible();
        self.ask_for_snapshot(effects);
        let current = (self.role(), self.term(), self.leader);
        if self.announced != current {
            self.announced = current;
            effects.push(Effect::RoleChanged { role: current.0, term: current.1, leader: current.2 });
        }
        self.announce_configuration(effects);
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
            Input::Change { changes } => self.on_change(&changes, effects),
            Input::Transfer { to } => self.on_transfer(to, effects),
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
            Input::SnapshotInstalled { snapshot, time, configuration } => {
                self.on_snapshot_installed(snapshot, time, configuration, effects);
            }
            Input::SnapshotUnusable { snapshot } => self.on_snapshot_unusable(snapshot, effects),
        }
        self.finish(effects, start);
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Leader(leader) if leader.followers.is_empty() => None,
            State::Leader(leader) => {
                let soonest = leader.heartbeat_due.min(self.quorum_lapses(leader));
                Some(leader.transfer_ends().map_or(soonest, |end| soonest.min(end)))
            }
            _ => self.may_lead().then_some(self.election_due),
        }
    }

    fn check_invariants(&self) {
        self.check_log();
        if let State::Leader(leader) = &self.state {
            self.check_leader(leader);
        }
    }
}
