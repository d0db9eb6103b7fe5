//! One member of a group: its state, and the dispatch of what happens to it.

use onecopy_core::{EntryId, Index, Instant, Log, Member, Protocol, Recovered, Rule, Term, Ticket};

use crate::asking::Asking;
use crate::change::ChangeRefusal;
use crate::config::{Base, Config};
use crate::configuration::Configuration;
use crate::core::{Core, Step};
use crate::disk::Disk;
use crate::durable::{self, CorruptState, Found};
use crate::effect::{Effect, Input};
use crate::follower::{Follower, Received};
use crate::message::Message;
use crate::patience::{Candidacies, Jitter};
use crate::quorum::Quorum;
use crate::role::{Role, State};
use crate::transfer::TransferRefusal;

/// Messages of later terms are ignored: no history gets there, and there must always be a next term.
const TERM_MAX: Term = Term(u64::MAX / 2);

/// One member of a Raft group. See the crate's documentation.
#[derive(Clone, Debug, Hash)]
pub struct Raft {
    pub(crate) core: Core,
    pub(crate) state: State,
    /// The time of the last step.
    pub(crate) now: Instant,
    /// What the last [`Effect::RoleChanged`] said.
    announced: (Role, Term, Option<Member>),
    /// Where the configuration of the last [`Effect::ConfigurationChanged`] stands, and whether it was
    /// committed.
    pub(crate) announced_configuration: (Index, bool),
}

impl Raft {
    /// Starts from what was found on disk, and from what the driver kept with the snapshot at
    /// `recovered.base`.
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
        let mut core = Core {
            quorum: Quorum::new(&Configuration::default(), config.rules),
            disk: Disk::new(log.last().index, config.rules.hold(Rule::PersistBeforeAnswer)),
            jitter: Jitter::new(config.seed),
            promise,
            base_time: base.time,
            // The life before this one may have told a leader that it heard it.
            heard: config.leases.map(|_| now),
            confirms_all: false,
            asking: Asking::new(config.seed),
            candidacies: Candidacies::default(),
            gave_way: None,
            commit,
            applied: log.base().index,
            snapshot: log.base(),
            taking: None,
            installing: None,
            log,
            membership,
            config,
        };
        let mut effects = Vec::new();
        let step = &mut Step::new(now, &mut effects);
        core.count_anew();
        let received = Received::nothing(commit);
        let election_due = core.draw_election(now);
        core.apply_committed(step);
        let mut raft = Self {
            core,
            state: State::Follower(Follower { leader: None, received, election_due }),
            now,
            announced: (Role::Follower, promise.term, None),
            announced_configuration: (configured, configured <= commit),
        };
        if raft.core.quorum.agrees(|member| member == raft.id()) {
            // There is nobody to wait for.
            raft.pre_campaign(step);
        }
        raft.finish(step);
        raft.persist(&mut effects, 0);
        Ok((raft, effects))
    }

    /// What this member is.
    #[must_use]
    pub fn role(&self) -> Role {
        self.state.role()
    }

    /// The name of this member.
    #[must_use]
    pub fn id(&self) -> Member {
        self.core.id()
    }

    /// The leader of the term, if it is known. May have been deposed since.
    #[must_use]
    pub fn leader(&self) -> Option<Member> {
        self.state.leader(self.core.id())
    }

    /// The term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.core.term()
    }

    /// Whom this member voted for in its term.
    #[must_use]
    pub fn vote(&self) -> Option<Member> {
        self.core.promise.vote
    }

    /// Everything through here is known to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.core.commit
    }

    /// Everything through here has been handed out in [`Effect::Apply`], or is covered by a snapshot.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.core.applied
    }

    /// Whether an entry of the current term has been handed out. A leader that waits for it knows everything
    /// that was committed before its term (Raft paper, section 8); until then it may be far behind.
    #[must_use]
    pub fn has_applied_in_term(&self) -> bool {
        self.core.log.epoch_at(self.core.applied) == Some(self.core.term().into())
    }

    /// The log is durable through here.
    #[must_use]
    pub fn durable(&self) -> Index {
        self.core.durable()
    }

    /// Whether each read takes a round, although there may be leases.
    pub fn confirm_all_reads(&mut self, all: bool) {
        self.core.confirms_all = all;
    }

    /// The window of the log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.core.log
    }

    /// The last entry that the newest durable snapshot covers.
    #[must_use]
    pub fn snapshot(&self) -> EntryId {
        self.core.snapshot
    }

    fn receive(&mut self, step: &mut Step<'_>, from: Member, message: Message) {
        let strange = message.is_answer() && !self.is_known(from);
        if from == self.id() || strange || message.term() > TERM_MAX {
            return;
        }
        if self.is_untimely_vote(step.now, &message) {
            return;
        }
        if message.term() > self.term() && !message.names_a_term_to_come() {
            self.enter_term(step, message.term());
        }
        if message.term() < self.term() {
            return self.refuse_outdated(step, from, &message);
        }
        if message.is_from_leader() {
            self.follow(step, from);
        }
        self.dispatch(step, from, message);
    }

    /// Whether this member may have asked `from` for anything.
    fn is_known(&self, from: Member) -> bool {
        let leads = || matches!(&self.state, State::Leader(leader) if leader.followers.contains_key(&from));
        self.core.quorum.contains(from) || leads()
    }

    /// One handler per message. The message is of this term, or a pre-vote of this or a later one; who speaks
    /// as the leader is followed already.
    fn dispatch(&mut self, step: &mut Step<'_>, from: Member, message: Message) {
        let core = &mut self.core;
        match (message, &mut self.state) {
            (Message::PreVote { term, last, at }, _) => self.on_pre_vote(step, from, term, last, at),
            (Message::PreVoteReply { term, granted, at }, _) => {
                self.on_pre_vote_reply(step, from, term, granted, at);
            }
            (Message::Vote { last, .. }, _) => self.on_vote(step, from, last),
            (Message::VoteReply { granted, .. }, _) => self.on_vote_reply(step, from, granted),
            (Message::TimeoutNow { .. }, _) => self.on_timeout_now(step),
            (Message::Append { previous, entries, commit, .. }, State::Follower(follower)) => {
                follower.on_append(core, step, from, previous, entries, commit);
            }
            (Message::Heartbeat { beat, commit, sent, .. }, State::Follower(follower)) => {
                follower.on_heartbeat(core, step, from, beat, commit, sent);
            }
            (Message::Snapshot { chunk, .. }, State::Follower(follower)) => {
                follower.on_snapshot(core, step, from, chunk);
            }
            (Message::ReadIndex { round, index, .. }, State::Follower(_)) => {
                core.on_index(step, from, round, index);
            }
            (Message::AskIndex { round, .. }, State::Leader(leader)) => {
                leader.on_ask_index(core, step, from, round);
            }
            (Message::Appended { through, .. }, State::Leader(leader)) => {
                leader.on_appended(core, step, from, through);
            }
            (Message::Conflict { at, hint, .. }, State::Leader(leader)) => {
                leader.on_conflict(core, step, from, at, hint);
            }
            (Message::HeartbeatReply { beat, sent, received, durable, .. }, State::Leader(leader)) => {
                leader.on_heartbeat_reply(core, step, from, beat, sent, received, durable);
            }
            (Message::SnapshotReply { snapshot, wanted, .. }, State::Leader(leader)) => {
                leader.on_snapshot_reply(step, from, snapshot, wanted);
            }
            // An answer to whoever was leader before, or one whose term was its whole content.
            _ => {}
        }
    }

    /// Tells the sender of an outdated request that its term is over. Outdated answers are of no use to
    /// anyone.
    fn refuse_outdated(&self, step: &mut Step<'_>, from: Member, message: &Message) {
        let asks = matches!(message, Message::PreVote { .. } | Message::Vote { .. });
        if asks || message.is_from_leader() {
            self.core.answer(step, from, Message::Outdated { term: self.term() });
        }
    }

    /// The leader wants this member to take over.
    fn on_timeout_now(&mut self, step: &mut Step<'_>) {
        if self.core.may_lead() {
            self.campaign(step, true);
        }
    }

    fn on_persisted(&mut self, step: &mut Step<'_>, ticket: Ticket) {
        self.core.disk.persisted(ticket);
        match &mut self.state {
            State::Candidate(_) => self.count_own_vote(step),
            State::Leader(leader) => leader.advance_commit(&mut self.core, step),
            State::Follower(_) | State::PreCandidate(_) => {}
        }
    }

    fn on_elapsed(&mut self, step: &mut Step<'_>) {
        match &mut self.state {
            // Others may have elected somebody else: do not keep clients waiting.
            State::Leader(leader) if leader.has_lost_quorum(&self.core, step.now) => self.step_down(step),
            State::Leader(leader) => leader.on_elapsed(&self.core, step),
            State::Follower(_) | State::PreCandidate(_) | State::Candidate(_) => self.on_silence(step),
        }
    }

    /// Ends a step: what depends on its outcome as a whole.
    fn finish(&mut self, step: &mut Step<'_>) {
        self.go_on_with_change(step);
        self.go_on_reading(step);
        self.compact_if_possible(step.now);
        self.core.ask_for_snapshot(step);
        let current = (self.role(), self.term(), self.leader());
        if self.announced != current {
            self.announced = current;
            step.push(Effect::RoleChanged { role: current.0, term: current.1, leader: current.2 });
        }
        self.announce_configuration(step);
    }

    /// The writes of a step stand at `start`, before all its other effects: they take longest.
    fn persist(&mut self, effects: &mut Vec<Effect>, start: usize) {
        if let Some(persist) = self.core.disk.take() {
            effects.insert(start, persist);
        }
    }
}

impl Protocol for Raft {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        let start = effects.len();
        self.now = self.now.max(now);
        let step = &mut Step::new(self.now, effects);
        let leader = self.leader();
        let core = &mut self.core;
        match (input, &mut self.state) {
            (Input::Received { from, message }, _) => self.receive(step, from, message),
            (Input::Persisted { ticket }, _) => self.on_persisted(step, ticket),
            (Input::Elapsed, _) => self.on_elapsed(step),
            (Input::Committed { through }, state) => {
                let through = through.min(core.log.last().index);
                if let Some(received) = state.received_mut() {
                    received.agreed = received.agreed.max(through);
                }
                core.commit_through(step, through);
            }
            (Input::Propose { payload, time, seed }, State::Leader(leader)) => {
                leader.on_propose(core, step, &payload, time, seed);
            }
            (Input::Propose { .. }, _) => step.push(Effect::Refused { leader }),
            (Input::Read { token }, State::Leader(leader)) => leader.on_read(core, step, token),
            (Input::Read { token }, State::Follower(Follower { leader: Some(leader), .. })) => {
                core.read_as_follower(step, *leader, token);
            }
            (Input::Read { token }, _) => step.push(Effect::ReadRefused { token, leader }),
            (Input::Change { changes }, State::Leader(leader)) => leader.on_change(core, step, &changes),
            (Input::Change { .. }, _) => {
                step.push(Effect::ChangeRefused { reason: ChangeRefusal::NotLeader { leader } });
            }
            (Input::Transfer { to }, State::Leader(leader)) => leader.on_transfer(core, step, to),
            (Input::Transfer { .. }, _) => {
                step.push(Effect::TransferRefused { reason: TransferRefusal::NotLeader { leader } });
            }
            (Input::SnapshotTaken { snapshot }, _) => core.on_snapshot_taken(snapshot),
            (Input::SnapshotFailed, _) => core.taking = None,
            (Input::SnapshotRead { to, snapshot, chunk }, State::Leader(leader)) => {
                leader.on_snapshot_read(core, step, to, snapshot, chunk);
            }
            (Input::SnapshotRead { .. }, _) => {}
            (Input::SnapshotWritten { snapshot, offset }, _) => {
                self.on_snapshot_written(step, snapshot, offset);
            }
            (Input::SnapshotInstalled { snapshot, time, configuration }, _) => {
                self.on_snapshot_installed(step, snapshot, time, configuration);
            }
            (Input::SnapshotUnusable { snapshot }, _) => self.on_snapshot_unusable(step, snapshot),
        }
        self.finish(step);
        self.persist(effects, start);
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Leader(leader) => leader.deadline(&self.core, self.now),
            state => state.election_due().filter(|_| self.core.may_lead()),
        }
    }

    fn check_invariants(&self) {
        self.core.check();
        if let Some(received) = self.state.received() {
            received.check(&self.core);
        }
        if let State::Leader(leader) = &self.state {
            leader.check(&self.core);
        }
    }
}
