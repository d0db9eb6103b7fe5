//! Snapshots: when one is taken, when the log behind it goes, and how a replica gets one from the primary.

use onecopy_core::transfer::{CHUNK, Chunk, Incoming, Outgoing, Verdict};
use onecopy_core::{EntryId, Instant, NodeId};

use crate::effect::Effect;
use crate::message::Message;
use crate::replica::{Replica, Role};

/// While replicas still need the log behind the snapshot, it may grow to this many times the usual bound.
const PATIENCE: usize = 4;

/// The snapshots of one replica. One that has been received as a whole survives a change of views: it holds
/// nothing but committed entries, whoever sent it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Snapshots {
    /// The newest durable one, [`EntryId::ZERO`] if there is none.
    taken: EntryId,
    /// One is being made.
    taking: bool,
    incoming: Option<Incoming>,
    phase: Phase,
}

/// How far the incoming snapshot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Chunks are missing.
    Receiving,
    /// All chunks have come, not all are written.
    Complete,
    /// The driver makes it durable and loads it. Nothing may be executed until it has: the state machine is about
    /// to be replaced.
    Installing,
}

impl Snapshots {
    pub(crate) fn new(base: EntryId) -> Self {
        Self { taken: base, taking: false, incoming: None, phase: Phase::Receiving }
    }

    /// The view has changed. A snapshot that is still being received is begun anew: images of the same state may
    /// differ from replica to replica, and pieces of two would make a third.
    pub(crate) fn forget_pieces(&mut self) {
        if self.phase == Phase::Receiving {
            self.incoming = None;
        }
    }

    /// There is nothing left that they could be of.
    pub(crate) fn forget_all(&mut self) {
        *self = Self::new(EntryId::ZERO);
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
        self.snapshots.taken
    }

    /// Asks for a snapshot when the log has grown too long.
    pub(crate) fn maybe_take_snapshot(&mut self, effects: &mut Vec<Effect>) {
        let grown = self.log.bytes() > self.config.log_bytes_max;
        let news = self.commit.0 > self.snapshots.taken.index.0 + self.log.len() as u64 / 4;
        if !grown || !news || self.snapshots.taking {
            return;
        }
        let Some(epoch) = self.log.epoch_at(self.commit) else { return };
        self.snapshots.taking = true;
        let time = self.time_at(self.commit);
        effects.push(Effect::TakeSnapshot { at: EntryId::new(self.commit, epoch), time });
    }

    pub(crate) fn on_snapshot_taken(&mut self, now: Instant, snapshot: EntryId, effects: &mut Vec<Effect>) {
        self.snapshots.taking = false;
        if snapshot.index > self.snapshots.taken.index {
            self.snapshots.taken = snapshot;
            self.maybe_compact(now, effects);
        }
    }

    /// Drops the log behind the newest snapshot once no replica needs it, or it has become too long.
    pub(crate) fn maybe_compact(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let taken = self.snapshots.taken;
        if taken.index <= self.log.base().index {
            return;
        }
        let needed = match &self.role {
            Role::Primary(primary) => primary.peers().any(|peer| {
                let has = peer.transfer.as_ref().map_or(peer.matched, |transfer| transfer.snapshot.index);
                has < taken.index
            }),
            _ => false,
        };
        if !needed || self.log.bytes() > PATIENCE * self.config.log_bytes_max {
            self.compact_log(now, taken, effects);
        }
    }

    // ---- sending ----------------------------------------------------------------------------------------

    /// The log does not reach back to what `to` needs.
    pub(crate) fn begin_transfer(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let snapshot = self.snapshots.taken;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        peer.transfer = Some(Outgoing::new(to, snapshot, now));
        self.read_chunks(now, to, effects);
    }

    fn read_chunks(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(transfer) = primary.peer(to).and_then(|peer| peer.transfer.as_mut()) else { return };
        while let Some(offset) = transfer.next(now) {
            effects.push(Effect::ReadSnapshot { to, snapshot: transfer.snapshot, offset });
        }
    }

    pub(crate) fn on_snapshot_read(
        &mut self,
        now: Instant,
        to: NodeId,
        snapshot: EntryId,
        chunk: Option<Chunk>,
        effects: &mut Vec<Effect>,
    ) {
        let view = self.view_number();
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        let Some(transfer) = peer.transfer.as_mut().filter(|transfer| transfer.snapshot == snapshot) else {
            return;
        };
        let Some(chunk) = chunk else {
            // It was replaced by a newer one while it was on its way: begin with that. If it is the newest, the disk
            // cannot read it: asking again at once would only keep the disk busy.
            if snapshot != self.snapshots.taken {
                peer.transfer = None;
                self.send_entries(now, to, effects);
            }
            return;
        };
        assert!(chunk.data.len() <= CHUNK, "a chunk has at most {CHUNK} bytes");
        if chunk.last {
            transfer.sent_last();
        }
        self.send(to, Message::SnapshotChunk { view, chunk }, effects);
    }

    pub(crate) fn on_snapshot_ack(
        &mut self,
        now: Instant,
        from: NodeId,
        snapshot: EntryId,
        wanted: u64,
        effects: &mut Vec<Effect>,
    ) {
        self.heard_from(now, from);
        let Role::Primary(primary) = &mut self.role else { return };
        let transfer = primary.peer(from).and_then(|peer| peer.transfer.as_mut());
        if let Some(transfer) = transfer.filter(|transfer| transfer.snapshot == snapshot) {
            transfer.acknowledge(now, wanted);
            self.read_chunks(now, from, effects);
        }
    }

    /// Sends again what was lost of a transfer that does not move.
    pub(crate) fn nudge_transfer(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let timeout = self.config.failure_timeout;
        let Role::Primary(primary) = &mut self.role else { return };
        let transfer = primary.peer(to).and_then(|peer| peer.transfer.as_mut());
        if let Some(transfer) = transfer.filter(|transfer| now.since(transfer.moved()) >= timeout) {
            transfer.rewind(now);
            self.read_chunks(now, to, effects);
        }
    }

    // ---- receiving --------------------------------------------------------------------------------------

    pub(crate) fn on_snapshot_chunk(
        &mut self,
        now: Instant,
        from: NodeId,
        chunk: Chunk,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Follower(follower) = &mut self.role else { return };
        if from != follower.primary {
            return;
        }
        follower.heard = now;
        if self.snapshots.is_installing() {
            return;
        }
        if self.covers(chunk.snapshot) {
            // The log goes on from there. What a snapshot covers is committed.
            self.commit_through(chunk.snapshot.index, effects);
            let Role::Follower(follower) = &mut self.role else { return };
            follower.agreed = follower.agreed.max(self.commit);
            return self.acknowledge(now, effects);
        }
        let snapshots = &mut self.snapshots;
        if snapshots.incoming.as_ref().is_none_or(|incoming| incoming.snapshot != chunk.snapshot) {
            if chunk.offset != 0 {
                return self.want(from, chunk.snapshot, 0, effects);
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
                effects.push(Effect::WriteSnapshot { chunk });
            }
            Verdict::Write | Verdict::Skip => {
                let wanted = incoming.wanted;
                self.want(from, chunk.snapshot, wanted, effects);
            }
        }
    }

    /// Whether everything in `snapshot` is here already. The entries behind it may have been acknowledged, by this
    /// replica too, while it knows only a lower commit index: its log must not be replaced then.
    fn covers(&self, snapshot: EntryId) -> bool {
        snapshot.index <= self.commit || self.log.contains(snapshot)
    }

    fn want(&self, from: NodeId, snapshot: EntryId, wanted: u64, effects: &mut Vec<Effect>) {
        self.send(from, Message::SnapshotAck { view: self.view_number(), snapshot, wanted }, effects);
    }

    pub(crate) fn on_snapshot_written(&mut self, snapshot: EntryId, wanted: u64, effects: &mut Vec<Effect>) {
        let Some(incoming) = self.snapshots.incoming.as_ref() else { return };
        if incoming.snapshot != snapshot {
            return;
        }
        if self.covers(snapshot) {
            // The log has brought what the snapshot covers meanwhile.
            return self.snapshots.spoiled(snapshot);
        }
        if self.snapshots.phase == Phase::Complete && wanted == incoming.wanted {
            self.snapshots.phase = Phase::Installing;
            let time = incoming.time;
            effects.push(Effect::InstallSnapshot { snapshot, time });
        }
        if let Role::Follower(follower) = &self.role {
            self.want(follower.primary, snapshot, wanted, effects);
        }
    }

    pub(crate) fn on_snapshot_installed(
        &mut self,
        now: Instant,
        snapshot: EntryId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(incoming) = self.snapshots.incoming.take_if(|incoming| incoming.snapshot == snapshot) else {
            return;
        };
        assert!(snapshot.index > self.commit, "an installed snapshot ({snapshot}) would take state back");
        self.snapshots.phase = Phase::Receiving;
        self.snapshots.taken = snapshot;
        // The state that it was to be an image of is gone.
        self.snapshots.taking = false;
        self.replace_log(now, snapshot, incoming.time, effects);
        if let Role::Follower(follower) = &mut self.role {
            follower.agreed = snapshot.index;
        }
    }
}
