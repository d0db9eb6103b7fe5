//! Snapshots: when one is taken, when the log behind it goes, and how one that arrives is taken in.
//!
//! # When one is taken
//!
//! A snapshot is the whole of the state. One for every so many bytes of log would cost the more the larger
//! the state is. So the log behind a snapshot grows until it is as long as the snapshot, and never less than
//! `log_bytes_max`. A state that stays as large as it is then costs one byte of a snapshot for each byte of
//! log; one that grows by what is written costs two, since each snapshot is at most twice as large as the one
//! before. With the log itself that makes three bytes for each byte of log, at most. A start restores the
//! snapshot, and executes no more log than that, or `log_bytes_max`.

use onecopy_core::chunks::{Chunk, Incoming, Verdict};
use onecopy_core::{EntryId, Index, NodeId, Timestamp};

use crate::backup::Follower;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::message::Message;
use crate::peer::Peer;
use crate::primary::Primary;
use crate::replica::{Replica, Role};
use crate::snapshot_transfer::Serving;

/// While replicas still need the log behind the snapshot, it may grow beyond the usual bound by this many
/// times `log_bytes_max`, and by as much as they have got of a snapshot: when there is more log than that, a
/// newer snapshot is the shorter way.
const PATIENCE: usize = 3;

/// What is known of the snapshot at the base of a log, beside what it covers. Nothing, if there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Base {
    /// The time of the last entry that it covers.
    pub time: Timestamp,
    /// How many bytes it has.
    pub bytes: u64,
}

/// The snapshots of one replica. One that has been received as a whole survives a change of views: it holds
/// nothing but committed entries, whoever sent it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Snapshots {
    /// The newest durable one, [`EntryId::ZERO`] if there is none.
    pub(crate) taken: EntryId,
    /// The time of that entry, and how large the snapshot is.
    about: Base,
    /// One is being made.
    taking: bool,
    /// The log could not be read back from the disk here, for another replica that needs it.
    unreadable: Index,
    incoming: Option<Incoming>,
    phase: Phase,
    /// Who sends what is incoming, and the number of that transfer. A lower one is over.
    source: Option<(NodeId, u64)>,
}

/// What other replicas need of the log and the snapshots of this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// The lowest index that one of them has, or gets with a snapshot.
    lowest: Index,
    /// How many bytes of a snapshot one of them has got, at most.
    got: u64,
}

impl Demand {
    /// Nobody needs anything.
    pub(crate) const NONE: Self = Self { lowest: Index(u64::MAX), got: 0 };
}

/// How far the incoming snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Chunks are missing.
    Receiving,
    /// All chunks have come, not all are written.
    Complete,
    /// The driver makes it durable and loads it. Nothing may be executed until it has: the state machine is
    /// about to be replaced.
    Installing,
}

impl Snapshots {
    pub(crate) fn new(base: EntryId, about: Base) -> Self {
        let (incoming, phase, source) = (None, Phase::Receiving, None);
        Self { taken: base, about, taking: false, unreadable: Index(0), incoming, phase, source }
    }

    /// The view has changed: whatever was on its way is begun anew.
    pub(crate) fn forget_transfers(&mut self) {
        self.forget_pieces();
        self.source = None;
    }

    /// A snapshot that is still being received is begun anew: images of the same state may differ from
    /// replica to replica, and pieces of two would make a third.
    fn forget_pieces(&mut self) {
        if self.phase == Phase::Receiving {
            self.incoming = None;
        }
    }

    /// A piece arrived from there. Returns whether it is of the newest transfer.
    fn is_from(&mut self, source: (NodeId, u64)) -> bool {
        let newest = self.source.map_or(0, |(_, number)| number);
        if source.1 > newest {
            self.forget_pieces();
            self.source = Some(source);
        }
        self.source == Some(source)
    }

    /// There is nothing left that they could be of.
    pub(crate) fn forget_all(&mut self) {
        *self = Self::new(EntryId::ZERO, Base::default());
    }

    /// Whether one is being made.
    pub(crate) fn is_taking(&self) -> bool {
        self.taking
    }

    pub(crate) fn give_up(&mut self) {
        self.taking = false;
    }

    pub(crate) fn spoiled(&mut self, snapshot: EntryId) {
        if self.incoming.as_ref().is_some_and(|incoming| incoming.snapshot == snapshot) {
            self.incoming = None;
            self.phase = Phase::Receiving;
        }
    }

    /// Whether the state machine is about to be replaced.
    pub(crate) fn is_installing(&self) -> bool {
        self.phase == Phase::Installing
    }
}

impl Replica {
    /// The newest durable snapshot; [`EntryId::ZERO`] if there is none.
    #[must_use]
    pub fn newest_snapshot(&self) -> EntryId {
        self.core.snapshots.taken
    }

    /// How many bytes the newest durable snapshot has; 0 if there is none.
    #[must_use]
    pub fn snapshot_bytes(&self) -> u64 {
        self.core.snapshots.about.bytes
    }
}

impl Role {
    /// What others need of the log and the snapshots here.
    pub(crate) fn demand(&self) -> Demand {
        match self {
            Self::Primary(primary) => primary.demand(),
            Self::Follower(follower) => follower.demand(),
            Self::Retired | Self::Outside => Demand::NONE,
        }
    }
}

impl Primary {
    pub(crate) fn demand(&self) -> Demand {
        let lowest = self.peers().map(Peer::has_or_gets).min().unwrap_or(Demand::NONE.lowest);
        Demand { lowest, got: self.peers().map(Peer::got).max().unwrap_or_default() }
    }

    /// What `to` lacks cannot be read back from the log, which is damaged here: a snapshot takes its place.
    pub(crate) fn replace_unreadable(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        to: NodeId,
        index: Index,
    ) {
        core.snapshots.unreadable = index;
        match core.snapshots.taken.index < index {
            true => core.take_snapshot(step),
            false => core.maybe_compact(step, self.demand()),
        }
        if index <= core.log.base().index {
            self.send_entries(core, step, to);
        }
    }
}

impl Follower {
    pub(crate) fn demand(&self) -> Demand {
        let snapshots = self.serving.iter().map(|one| one.snapshot().index);
        let lowest = snapshots.min().unwrap_or(Demand::NONE.lowest);
        Demand { lowest, got: self.serving.iter().map(Serving::arrived).max().unwrap_or_default() }
    }
}

impl Core {
    /// Asks for a snapshot when the log has grown too long.
    pub(crate) fn maybe_take_snapshot(&mut self, step: &mut Step<'_>, demand: Demand) {
        // While the log cannot go, another snapshot would only keep the disk busy that reads the one before.
        let bound = if self.log_is_needed(demand) { self.patience(demand) } else { self.usual_bound() };
        let grown = self.log.bytes() > bound;
        let news = self.commit.0 > self.snapshots.taken.index.0 + self.log.len() as u64 / 4;
        if grown && news {
            self.take_snapshot(step);
        }
    }

    /// What is known of the log's base and of the snapshot that it is fit together.
    pub(crate) fn check_base(&self) {
        let (base, snapshots) = (self.log.base(), &self.snapshots);
        assert!(
            snapshots.taken != base || self.base_time == snapshots.about.time,
            "the log begins after {base} at {:?}, and the snapshot is of {:?}",
            self.base_time,
            snapshots.about.time
        );
    }

    /// Takes a snapshot, unless one is being taken, or there is one of this very state.
    pub(crate) fn take_snapshot(&mut self, step: &mut Step<'_>) {
        if self.snapshots.taking || self.commit <= self.snapshots.taken.index {
            return;
        }
        let Some(epoch) = self.log.epoch_at(self.commit) else { return };
        self.snapshots.taking = true;
        let time = self.time_at(self.commit);
        step.push(Effect::TakeSnapshot { at: EntryId::new(self.commit, epoch), time });
    }

    pub(crate) fn on_snapshot_taken(
        &mut self,
        step: &mut Step<'_>,
        snapshot: EntryId,
        about: Base,
        demand: Demand,
    ) {
        self.snapshots.taking = false;
        if snapshot.index > self.snapshots.taken.index {
            (self.snapshots.taken, self.snapshots.about) = (snapshot, about);
            self.maybe_compact(step, demand);
        }
    }

    /// Drops the log behind the newest snapshot once no replica needs it, or it has become too long.
    pub(crate) fn maybe_compact(&mut self, step: &mut Step<'_>, demand: Demand) {
        let taken = self.snapshots.taken;
        if taken.index <= self.log.base().index {
            return;
        }
        let is_replaced = (self.log.base().index.next()..=taken.index).contains(&self.snapshots.unreadable);
        if !self.log_is_needed(demand) || is_replaced || self.log.bytes() > self.patience(demand) {
            self.compact_log(step, taken, self.snapshots.about.time);
        }
    }

    /// Whether another replica needs the log behind the newest snapshot, or the snapshot before that one.
    fn log_is_needed(&self, demand: Demand) -> bool {
        demand.lowest < self.snapshots.taken.index
    }

    /// How long the log may become before a snapshot is due.
    fn usual_bound(&self) -> usize {
        let image = usize::try_from(self.snapshots.about.bytes).unwrap_or(usize::MAX);
        self.config.log_bytes_max.max(image)
    }

    /// How long the log may become while another replica needs it.
    fn patience(&self, demand: Demand) -> usize {
        let got = demand.got as usize;
        self.usual_bound().saturating_add(PATIENCE * self.config.log_bytes_max).saturating_add(got)
    }

    /// Whether everything in `snapshot` is here already. The entries behind it may have been acknowledged, by
    /// this replica too, while it knows only a lower commit index: its log must not be replaced then.
    fn covers(&self, snapshot: EntryId) -> bool {
        snapshot.index <= self.commit || self.log.contains(snapshot)
    }

    /// Says how much of a snapshot has arrived here.
    fn want(&self, step: &mut Step<'_>, snapshot: EntryId, wanted: u64) {
        if let Some((from, transfer)) = self.snapshots.source {
            let view = self.view_number();
            self.send(step, from, Message::SnapshotAck { view, transfer, snapshot, wanted });
        }
    }
}

// ---- receiving ------------------------------------------------------------------------------------------

impl Follower {
    pub(crate) fn on_snapshot_chunk(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        (from, number): (NodeId, u64),
        chunk: Chunk,
    ) {
        if from == self.primary {
            self.heard = step.now;
        }
        let is_member = core.view.as_ref().is_some_and(|view| view.member(from).is_some());
        if !is_member || core.snapshots.is_installing() || !core.snapshots.is_from((from, number)) {
            return;
        }
        if core.covers(chunk.snapshot) {
            // The log goes on from there. What a snapshot covers is committed.
            core.commit_through(step, chunk.snapshot.index, self.demand());
            self.agreed = self.agreed.max(core.commit);
            return self.acknowledge(core, step);
        }
        let snapshots = &mut core.snapshots;
        if snapshots.incoming.as_ref().is_none_or(|incoming| incoming.snapshot != chunk.snapshot) {
            if chunk.offset != 0 {
                return core.want(step, chunk.snapshot, 0);
            }
            snapshots.incoming = Some(Incoming::new(&chunk));
            snapshots.phase = Phase::Receiving;
        }
        let Some(incoming) = snapshots.incoming.as_mut() else { return };
        match incoming.accept(&chunk) {
            Verdict::Write if snapshots.phase == Phase::Receiving => {
                if chunk.last {
                    snapshots.phase = Phase::Complete;
                }
                step.push(Effect::WriteSnapshot { chunk });
            }
            Verdict::Write | Verdict::Skip => {
                let wanted = incoming.wanted;
                core.want(step, chunk.snapshot, wanted);
            }
        }
    }
}

impl Replica {
    pub(crate) fn on_snapshot_written(&mut self, step: &mut Step<'_>, snapshot: EntryId, wanted: u64) {
        let core = &mut self.core;
        let Some(incoming) = core.snapshots.incoming.as_ref() else { return };
        if incoming.snapshot != snapshot {
            return;
        }
        if core.covers(snapshot) {
            // The log has brought what the snapshot covers meanwhile.
            return core.snapshots.spoiled(snapshot);
        }
        if core.snapshots.phase == Phase::Complete && wanted == incoming.wanted {
            core.snapshots.phase = Phase::Installing;
            let time = incoming.time;
            step.push(Effect::InstallSnapshot { snapshot, time });
        }
        if let Role::Follower(_) = &self.role {
            core.want(step, snapshot, wanted);
        }
    }

    pub(crate) fn on_snapshot_installed(&mut self, step: &mut Step<'_>, snapshot: EntryId) {
        let core = &mut self.core;
        let arrived = core.snapshots.incoming.take_if(|incoming| incoming.snapshot == snapshot);
        let Some(incoming) = arrived else { return };
        assert!(snapshot.index > core.commit, "an installed snapshot ({snapshot}) would take state back");
        core.snapshots.phase = Phase::Receiving;
        core.snapshots.taken = snapshot;
        core.snapshots.about = Base { time: incoming.time, bytes: incoming.wanted };
        // The state that it was to be an image of is gone.
        core.snapshots.taking = false;
        core.replace_log(step, snapshot, incoming.time);
        if let Role::Follower(follower) = &mut self.role {
            follower.agreed = snapshot.index;
        }
    }
}
