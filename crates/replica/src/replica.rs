//! The replica as a whole: what it remembers, and the dispatch of inputs.

use std::time::Duration;

use onecopy_core::{Index, Instant, Log, NodeId, Protocol, Recovered, Rule, Ticket, View, ViewNumber};

use crate::backup::Follower;
use crate::config::Config;
use crate::core::{Core, Step};
use crate::disk::Disk;
use crate::divergence::Digests;
use crate::effect::{Effect, Input};
use crate::handover::HandoverError;
use crate::lease::Leases;
use crate::message::Message;
use crate::primary::Primary;
use crate::promise::{CorruptPromise, Promise};
use crate::quiescence::Still;
use crate::snapshot::{Base, Demand, Snapshots};
use crate::status::{Standing, Status};

/// One replica of one group. See the crate's documentation for the protocol.
///
/// Guaranteed between any two steps, and asserted by [`Protocol::check_invariants`]:
/// 1. base ≤ commit ≤ last, and durable ≤ last;
/// 2. an active primary is the primary of its view, in the process for which the view was made (P11);
/// 3. a primary that has committed its no-op has the acknowledgement of every required replica for
///    everything that is committed (P1, P5, P6, P7).
#[derive(Clone, Debug, Hash)]
pub struct Replica {
    pub(crate) core: Core,
    pub(crate) role: Role,
    /// When the next heartbeat interval is over.
    pub(crate) tick: Option<Instant>,
    /// Where it stands while its heartbeats, or its answers to them, are left to the driver.
    pub(crate) quiescent: Option<Still>,
}

/// What the replica does in its view.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Role {
    Primary(Primary),
    Follower(Follower),
    /// See [`Standing::Retired`].
    Retired,
    Outside,
}

/// A coordinator's request was not taken (rule P2).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// This replica is not the primary of the coordinator's view. It names the view that it knows, if it
    /// knows one.
    #[error("this replica is not the primary of that view")]
    NotPrimary(Option<View>),
    /// The coordinator knows a newer view than this replica.
    #[error("this replica has not learnt {0} yet")]
    Behind(ViewNumber),
    /// This primary is about to hand over to another one. Nothing is taken until that has happened.
    #[error("this primary is handing over")]
    HandingOver,
    /// Too many bytes wait for the backups or the disk.
    #[error("too much is uncommitted")]
    Busy,
}

impl Replica {
    /// Starts a replica with what its disk kept, and the snapshot at the base of the log. The effects are the
    /// entries known to be committed: the driver, having restored that snapshot, executes them.
    ///
    /// # Errors
    /// When the promise on disk cannot be understood.
    pub fn new(
        config: Config,
        recovered: Recovered,
        base: Base,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<Self, CorruptPromise> {
        let promise = recovered.state.as_deref().map(Promise::decode).transpose()?;
        let forgotten = promise.as_ref().map_or(Duration::ZERO, |promise| promise.lease);
        let leases = Leases::new(now, forgotten, &config);
        let mut log = Log::new(recovered.base);
        recovered.entries.into_iter().for_each(|entry| log.append(entry));
        let commit = recovered.commit.clamp(log.base().index, log.last().index);
        let disk = Disk::holding(log.last().index);
        let snapshots = Snapshots::new(log.base(), base);
        let core = Core {
            config,
            view: None,
            promise: Ticket::default(),
            commit: log.base().index,
            log,
            base_time: base.time,
            disk,
            leases,
            digests: Digests::default(),
            declines: false,
            confirms_all: false,
            is_full: false,
            snapshots,
        };
        let mut replica = Self { core, role: Role::Outside, tick: None, quiescent: None };
        let step = &mut Step::new(now, effects);
        replica.core.commit_through(step, commit, Demand::NONE);
        if let Some(Promise { view, lease }) = promise {
            if replica.core.lease_length() != lease {
                replica.core.write_promise(step, &view);
            }
            replica.enter(step, view);
        }
        Ok(replica)
    }

    /// From now on this replica goes without leases, like one that trusts no clock: it promises nothing with
    /// its acknowledgements, takes no lease, and lends none. Once what it holds has run out, it can be
    /// dropped without anybody's having to wait (rule P6).
    pub fn decline_leases(&mut self) {
        self.core.declines = true;
    }

    /// Whether whoever executes what is committed is so far behind that it can hold no more. Until there is
    /// room a backup takes no further entries. It goes on to acknowledge those that it has, so it is not
    /// silent, and keeps its leases: to the primary it is a backup that is slow.
    pub fn hold_back(&mut self, is_full: bool) {
        self.core.is_full = is_full;
    }

    /// The view that this replica has promised.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.core.view.as_ref()
    }

    /// The number of the promised view, 0 if there is none.
    #[must_use]
    pub fn view_number(&self) -> ViewNumber {
        self.core.view_number()
    }

    /// The highest index known to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.core.commit
    }

    /// The log, of which a window is in memory.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.core.log
    }

    /// Whether a coordinator that knows view `known` may hand in requests here, now (rule P2). One whose view
    /// is older has to learn the new one first, even if the primary is the same: so a request that was
    /// delayed is not executed after its coordinator has given it up because of the new view.
    ///
    /// # Errors
    /// Says why not. Nothing has been executed then: the coordinator may try again elsewhere or later.
    pub fn admit(&self, known: ViewNumber) -> Result<(), Refusal> {
        if known > self.view_number() {
            return Err(Refusal::Behind(known));
        }
        let core = &self.core;
        match &self.role {
            Role::Primary(primary) if primary.uncommitted_bytes() > core.config.uncommitted_bytes_max => {
                Err(Refusal::Busy)
            }
            Role::Primary(primary) if primary.handover.is_under_way() => Err(Refusal::HandingOver),
            Role::Primary(_) if known < self.view_number() => Err(Refusal::NotPrimary(core.view.clone())),
            Role::Primary(_) => Ok(()),
            _ if !core.config.rules.hold(Rule::OnlyThePrimary) => Ok(()),
            _ => Err(Refusal::NotPrimary(core.view.clone())),
        }
    }

    /// Whether it waits for a snapshot of its own state.
    #[must_use]
    pub fn takes_snapshot(&self) -> bool {
        self.core.snapshots.is_taking()
    }

    /// What this replica is in its view.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.role {
            Role::Primary(_) => Standing::Primary,
            Role::Follower(_) if self.core.digests.has_diverged() => Standing::Diverged,
            Role::Follower(follower) if follower.is_member => Standing::Backup,
            Role::Follower(_) => Standing::Learner,
            Role::Retired if self.core.digests.has_diverged() => Standing::Diverged,
            Role::Retired => Standing::Retired,
            Role::Outside => Standing::Outside,
        }
    }

    /// Where the replica stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        let core = &self.core;
        Status {
            view: self.view_number(),
            standing: self.standing(),
            last: core.log.last().index,
            durable: core.disk.durable,
            commit: core.commit,
            oldest_write: core.disk.waits(&core.config, now),
            oldest_prepare: match &self.role {
                Role::Primary(primary) => primary.waits(&core.config, now),
                _ => None,
            },
        }
    }

    /// How far every other replica is, as the primary knows it: the highest index that each has acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> Vec<(NodeId, Index)> {
        match &self.role {
            Role::Primary(primary) => primary.peers().map(|peer| (peer.node, peer.matched)).collect(),
            _ => Vec::new(),
        }
    }

    fn received(&mut self, step: &mut Step<'_>, from: NodeId, message: Message) {
        if !message.is_well_formed() {
            return; // No replica sends this: not worth dying for, and not worth an answer.
        }
        if let Message::Prepare { view, .. } = &message
            && view.number > self.core.view_number()
        {
            self.adopt(step, view.clone());
        }
        match (message, &mut self.role) {
            (Message::NewerView { view }, _) => self.adopt(step, view),
            (Message::GiveUp { view, granted }, Role::Primary(primary))
                if primary.succeeds(&self.core, view) =>
            {
                primary.on_given_up(&mut self.core, step, from, granted);
            }
            (message, _) if message.is_answer() => self.answered(step, from, message),
            (message, _) => self.told(step, from, message),
        }
    }

    /// The primary says something, or a backup that it has asked to.
    fn told(&mut self, step: &mut Step<'_>, from: NodeId, message: Message) {
        let core = &mut self.core;
        let Some(view) = message.view().filter(|view| core.is_current(step, from, *view)) else { return };
        let Role::Follower(follower) = &mut self.role else { return };
        match message {
            Message::Prepare { sequence, previous, entries, commit, digest, terms, .. } => {
                follower.on_digest(core, step, digest);
                follower.on_prepare(core, step, from, sequence, previous, entries, commit, terms);
            }
            Message::Confirm { round, .. } => follower.on_confirm(core, step, from, view, round),
            Message::GiveUp { granted, .. } => follower.on_given_up(core, step, from, granted),
            Message::SnapshotChunk { transfer, chunk, .. } => {
                follower.on_snapshot_chunk(core, step, (from, transfer), chunk);
            }
            Message::ServeSnapshot { to, transfer, base, .. } => {
                follower.on_serve_snapshot(core, step, from, (to, transfer), base);
            }
            _ => {}
        }
    }

    /// Somebody answers: to what was said in this view, or of no use any more.
    fn answered(&mut self, step: &mut Step<'_>, from: NodeId, message: Message) {
        let core = &mut self.core;
        if message.view() != Some(core.view_number()) {
            return;
        }
        if let Message::SnapshotAck { transfer, snapshot, wanted, .. } = message {
            return self.on_snapshot_ack(step, from, (transfer, snapshot), wanted);
        }
        let Role::Primary(primary) = &mut self.role else { return };
        match message {
            Message::PrepareOk { durable, checked, terms, .. } => {
                primary.on_prepare_ok(core, step, from, durable, checked, terms);
            }
            Message::PrepareReject { sequence, agreed, last, .. } => {
                primary.on_prepare_reject(core, step, from, sequence, agreed, last);
            }
            Message::Diverged { began, .. } => {
                let is_wrong = primary.on_accused(core, step, from, began);
                if is_wrong {
                    self.role = Role::Retired;
                }
            }
            Message::Confirmed { round, .. } => primary.on_confirmed(core, step, from, round),
            Message::ServesSnapshot { to, transfer, sends, .. } => {
                primary.on_serves_snapshot(core, step, from, (to, transfer), sends);
            }
            _ => {}
        }
    }

    /// Bytes of a message are arriving from another replica: it is not silent, however long the message
    /// takes.
    fn arriving(&mut self, now: Instant, from: NodeId) {
        match &mut self.role {
            Role::Primary(primary) => primary.heard_from(now, from),
            Role::Follower(follower) if follower.primary == from => follower.heard = now,
            Role::Follower(_) | Role::Retired | Role::Outside => {}
        }
    }

    fn persisted(&mut self, step: &mut Step<'_>, ticket: Ticket) {
        let core = &mut self.core;
        core.persisted(ticket);
        match &mut self.role {
            Role::Primary(primary) => primary.became_durable(core, step),
            Role::Follower(follower) => follower.became_durable(core, step),
            Role::Retired | Role::Outside => {}
        }
    }

    fn elapsed(&mut self, step: &mut Step<'_>) {
        let core = &mut self.core;
        if let Role::Primary(primary) = &mut self.role {
            primary.may_open(core, step);
        }
        if self.tick.is_none_or(|tick| step.now < tick) {
            return;
        }
        self.tick = Some(step.now + core.config.heartbeat_interval);
        match &mut self.role {
            Role::Primary(primary) => primary.tick(core, step),
            Role::Follower(follower) => follower.tick(core, step),
            Role::Retired | Role::Outside => {}
        }
    }
}

impl Protocol for Replica {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        let step = &mut Step::new(now, effects);
        let core = &mut self.core;
        match (input, &mut self.role) {
            (Input::Announced { view }, _) => self.adopt(step, view),
            (Input::Received { from, message }, _) => self.received(step, from, message),
            (Input::Arriving { from }, _) => self.arriving(now, from),
            (Input::Propose { payload, time, seed }, Role::Primary(primary)) => {
                primary.on_propose(core, step, payload, time, seed);
            }
            (Input::Propose { .. }, _) => step.push(Effect::Refused),
            (Input::Read { token, at_least, touched }, _) => self.on_read(step, token, at_least, touched),
            (Input::Committed { through }, role) => {
                core.commit_through(step, through.min(core.log.last().index), role.demand());
            }
            (Input::Executed { digests }, role) => {
                core.executed(&digests);
                if let Role::Follower(follower) = role {
                    follower.compare_digests(core, step);
                }
            }
            (Input::HandOver { to }, Role::Primary(primary)) => primary.on_hand_over(core, step, to),
            (Input::HandOver { .. }, _) => {
                step.push(Effect::HandoverFailed { error: HandoverError::NotPrimary });
            }
            (Input::Persisted { ticket }, _) => self.persisted(step, ticket),
            (Input::Elapsed, _) => self.elapsed(step),
            (Input::SnapshotTaken { snapshot, time, bytes }, role) => {
                core.on_snapshot_taken(step, snapshot, Base { time, bytes }, role.demand());
            }
            (Input::SnapshotFailed, _) => core.snapshots.give_up(),
            (Input::SnapshotRead { to, snapshot, chunk }, _) => {
                self.on_snapshot_read(step, to, snapshot, chunk);
            }
            (Input::EntriesRead { to, first, entries }, Role::Primary(primary)) => {
                primary.on_entries_read(core, step, to, first, entries);
            }
            (Input::EntriesRead { .. }, _) => {}
            (Input::SnapshotWritten { snapshot, wanted }, _) => {
                self.on_snapshot_written(step, snapshot, wanted);
            }
            (Input::SnapshotInstalled { snapshot }, _) => self.on_snapshot_installed(step, snapshot),
            (Input::SnapshotSpoiled { snapshot }, _) => core.snapshots.spoiled(snapshot),
        }
        self.reconsider_quiescence(now);
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Primary(primary) => self.tick.into_iter().chain(primary.opens()).min(),
            Role::Follower(_) => self.tick,
            Role::Retired | Role::Outside => None,
        }
    }

    fn check_invariants(&self) {
        let core = &self.core;
        let (base, last) = (core.log.base().index, core.log.last().index);
        let (commit, durable) = (core.commit, core.disk.durable);
        assert!(base <= commit && commit <= last, "commit {commit} is not in {base}..={last}");
        assert!(durable <= last, "durable {durable} is beyond the log's end {last}");
        core.check_base();
        match &self.role {
            Role::Primary(primary) => {
                let view = core.view.as_ref().expect("a primary has a view");
                assert_eq!(view.primary, core.config.me.node, "the primary of {view} is somebody else");
                if core.config.rules.hold(Rule::NewLifeNewView) {
                    assert_eq!(view.boot, core.config.boot, "P11 a new life, a new view: {view}");
                }
                primary.check(&core.config, commit, last, durable);
            }
            Role::Follower(follower) => {
                assert!(follower.agreed <= last, "agreed {} is beyond the log's end {last}", follower.agreed);
            }
            Role::Retired | Role::Outside => {}
        }
    }
}
