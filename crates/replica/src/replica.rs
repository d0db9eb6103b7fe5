//! The replica as a whole: what it remembers, and the dispatch of inputs.

use std::time::Duration;

use onecopy_core::{
    Index, Instant, Log, NodeId, Protocol, Recovered, Rule, Ticket, Timestamp, View, ViewNumber,
};

use crate::backup::Follower;
use crate::config::Config;
use crate::disk::Disk;
use crate::divergence::Digests;
use crate::effect::{Effect, Input};
use crate::lease::Leases;
use crate::message::Message;
use crate::primary::Primary;
use crate::promise::{CorruptPromise, Promise};
use crate::snapshot::{Base, Snapshots};
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
    pub(crate) config: Config,
    /// The promised view: messages of older ones are refused.
    pub(crate) view: Option<View>,
    /// The ticket of the promise. What is said in the view must wait for it.
    pub(crate) promise: Ticket,
    pub(crate) log: Log,
    pub(crate) commit: Index,
    /// The time of the base of the log.
    pub(crate) base_time: Timestamp,
    pub(crate) disk: Disk,
    pub(crate) role: Role,
    pub(crate) leases: Leases,
    pub(crate) digests: Digests,
    /// It takes no leases any more and gives none: its process is about to stop.
    pub(crate) declines: bool,
    pub(crate) snapshots: Snapshots,
    pub(crate) tick: Option<Instant>,
}

/// What the replica does in its view.
#[derive(Clone, Debug, Hash)]
#[expect(clippy::large_enum_variant, reason = "there is one for each group")]
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
    /// This replica is not the primary of the coordinator's view. It names the view that it knows, if it knows one.
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
        let mut replica = Self {
            config,
            view: None,
            promise: Ticket::default(),
            commit: log.base().index,
            log,
            base_time: base.time,
            disk,
            role: Role::Outside,
            leases,
            digests: Digests::default(),
            declines: false,
            snapshots,
            tick: None,
        };
        replica.commit_through(commit, effects);
        if let Some(Promise { view, lease }) = promise {
            if replica.lease_length() != lease {
                replica.write_promise(now, &view, effects);
            }
            replica.enter(now, view, effects);
        }
        Ok(replica)
    }

    /// From now on this replica goes without leases, like one that trusts no clock: it promises nothing with its
    /// acknowledgements, takes no lease, and lends none. Once what it holds has run out, it can be dropped without anybody's
    /// having to wait (rule P6).
    pub fn decline_leases(&mut self) {
        self.declines = true;
    }

    /// The view that this replica has promised.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// The number of the promised view, 0 if there is none.
    #[must_use]
    pub fn view_number(&self) -> ViewNumber {
        self.view.as_ref().map_or(ViewNumber(0), |view| view.number)
    }

    /// The highest index known to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// The log, of which a window is in memory.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Whether a coordinator that knows view `known` may hand in requests here, now (rule P2). One whose view is older
    /// has to learn the new one first, even if the primary is the same: so a request that was delayed is not executed
    /// after its coordinator has given it up because of the new view.
    ///
    /// # Errors
    /// Says why not. Nothing has been executed then: the coordinator may try again elsewhere or later.
    pub fn admit(&self, known: ViewNumber) -> Result<(), Refusal> {
        if known > self.view_number() {
            return Err(Refusal::Behind(known));
        }
        match &self.role {
            Role::Primary(_) if self.uncommitted_bytes() > self.config.uncommitted_bytes_max => {
                Err(Refusal::Busy)
            }
            Role::Primary(primary) if primary.handover.is_under_way() => Err(Refusal::HandingOver),
            Role::Primary(_) if known < self.view_number() => Err(Refusal::NotPrimary(self.view.clone())),
            Role::Primary(_) => Ok(()),
            _ if !self.config.rules.hold(Rule::OnlyThePrimary) => Ok(()),
            _ => Err(Refusal::NotPrimary(self.view.clone())),
        }
    }

    /// What this replica is in its view.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match &self.role {
            Role::Primary(_) => Standing::Primary,
            Role::Follower(_) if self.digests.has_diverged() => Standing::Diverged,
            Role::Follower(follower) if follower.is_member => Standing::Backup,
            Role::Follower(_) => Standing::Learner,
            Role::Retired if self.digests.has_diverged() => Standing::Diverged,
            Role::Retired => Standing::Retired,
            Role::Outside => Standing::Outside,
        }
    }

    /// Where the replica stands.
    #[must_use]
    pub fn status(&self, now: Instant) -> Status {
        Status {
            view: self.view_number(),
            standing: self.standing(),
            last: self.log.last().index,
            durable: self.disk.durable,
            commit: self.commit,
            oldest_write: self.disk.waits(now),
            oldest_prepare: match &self.role {
                Role::Primary(primary) => primary.waits(now),
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

    fn uncommitted_bytes(&self) -> usize {
        match &self.role {
            Role::Primary(primary) => primary.uncommitted_bytes(),
            _ => 0,
        }
    }

    fn received(&mut self, now: Instant, from: NodeId, message: Message, effects: &mut Vec<Effect>) {
        if !message.is_well_formed() {
            return; // No replica sends this: not worth dying for, and not worth an answer.
        }
        match message {
            Message::Prepare { view, sequence, previous, entries, commit, digest, terms } => {
                if view.number > self.view_number() {
                    self.adopt(now, view.clone(), effects);
                }
                if self.is_current(from, view.number, effects) {
                    let view = view.number;
                    self.on_digest(digest, effects);
                    self.on_prepare(now, from, view, sequence, previous, entries, commit, terms, effects);
                }
            }
            Message::Confirm { view, round } => {
                if self.is_current(from, view, effects) {
                    self.on_confirm(now, from, view, round, effects);
                }
            }
            Message::GiveUp { view, granted } => {
                if self.succeeds(view) || self.is_current(from, view, effects) {
                    self.on_give_up(now, from, view, granted, effects);
                }
            }
            Message::SnapshotChunk { view, transfer, chunk } => {
                if self.is_current(from, view, effects) {
                    self.on_snapshot_chunk(now, (from, transfer), chunk, effects);
                }
            }
            Message::ServeSnapshot { view, to, transfer, base } => {
                if self.is_current(from, view, effects) {
                    self.on_serve_snapshot(now, from, (to, transfer), base, effects);
                }
            }
            Message::NewerView { view } => self.adopt(now, view, effects),
            // Answers: to what was said in this view, or of no use any more.
            Message::PrepareOk { view, .. }
            | Message::PrepareReject { view, .. }
            | Message::Confirmed { view, .. }
            | Message::Diverged { view, .. }
            | Message::ServesSnapshot { view, .. }
            | Message::SnapshotAck { view, .. }
                if view != self.view_number() => {}
            Message::PrepareOk { durable, checked, terms, .. } => {
                self.on_prepare_ok(now, from, durable, checked, terms, effects);
            }
            Message::PrepareReject { sequence, agreed, last, .. } => {
                self.on_prepare_reject(now, from, sequence, agreed, last, effects);
            }
            Message::Diverged { began, .. } => self.on_accused(from, began, effects),
            Message::Confirmed { round, .. } => self.on_confirmed(now, from, round, effects),
            Message::SnapshotAck { transfer, snapshot, wanted, .. } => {
                self.on_snapshot_ack(now, from, (transfer, snapshot), wanted, effects);
            }
            Message::ServesSnapshot { to, transfer, sends, .. } => {
                self.on_serves_snapshot(now, from, (to, transfer), sends, effects);
            }
        }
    }

    fn elapsed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.primary_opens(now, effects);
        if self.tick.is_none_or(|tick| now < tick) {
            return;
        }
        self.tick = Some(now + self.config.heartbeat_interval);
        match self.role {
            Role::Primary(_) => self.primary_tick(now, effects),
            Role::Follower(_) => self.follower_tick(now, effects),
            Role::Retired | Role::Outside => {}
        }
    }
}

impl Protocol for Replica {
    type Input = Input;
    type Effect = Effect;

    fn step(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Announced { view } => self.adopt(now, view, effects),
            Input::Received { from, message } => self.received(now, from, message, effects),
            Input::Arriving { from } => self.arriving(now, from),
            Input::Propose { payload, time, seed } => self.on_propose(now, payload, time, seed, effects),
            Input::Read { token, at_least, touched } => self.on_read(now, token, at_least, touched, effects),
            Input::Executed { digests } => self.on_executed(&digests, effects),
            Input::HandOver { to } => self.on_hand_over(now, to, effects),
            Input::Persisted { ticket } => self.persisted(now, ticket, effects),
            Input::Elapsed => self.elapsed(now, effects),
            Input::SnapshotTaken { snapshot, time, bytes } => {
                self.on_snapshot_taken(now, snapshot, Base { time, bytes }, effects);
            }
            Input::SnapshotFailed => self.snapshots.give_up(),
            Input::SnapshotRead { to, snapshot, chunk } => {
                self.on_snapshot_read(now, to, snapshot, chunk, effects);
            }
            Input::EntriesRead { to, first, entries } => {
                self.on_entries_read(now, to, first, entries, effects)
            }
            Input::SnapshotWritten { snapshot, wanted } => {
                self.on_snapshot_written(snapshot, wanted, effects);
            }
            Input::SnapshotInstalled { snapshot } => self.on_snapshot_installed(now, snapshot, effects),
            Input::SnapshotSpoiled { snapshot } => self.snapshots.spoiled(snapshot),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Primary(primary) => self.tick.into_iter().chain(primary.opens()).min(),
            Role::Follower(_) => self.tick,
            Role::Retired | Role::Outside => None,
        }
    }

    fn check_invariants(&self) {
        let (base, last) = (self.log.base().index, self.log.last().index);
        assert!(
            base <= self.commit && self.commit <= last,
            "commit {} is not in {base}..={last}",
            self.commit
        );
        assert!(self.disk.durable <= last, "durable {} is beyond the log's end {last}", self.disk.durable);
        match &self.role {
            Role::Primary(primary) => {
                let view = self.view.as_ref().expect("a primary has a view");
                assert_eq!(view.primary, self.config.me.node, "the primary of {view} is somebody else");
                if self.config.rules.hold(Rule::NewLifeNewView) {
                    assert_eq!(view.boot, self.config.boot, "P11 a new life, a new view: {view}");
                }
                primary.check(&self.config, self.commit, last, self.disk.durable);
            }
            Role::Follower(follower) => {
                assert!(follower.agreed <= last, "agreed {} is beyond the log's end {last}", follower.agreed);
            }
            Role::Retired | Role::Outside => {}
        }
    }
}
