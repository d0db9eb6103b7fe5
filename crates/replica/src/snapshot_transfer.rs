//! How a replica gets a snapshot: from a backup that the primary asks, or from the primary itself.
//!
//! A backup is preferred: its disk and its link have less to do. The primary stays in charge. It numbers the
//! transfers to a replica, so that pieces of two are never mixed; it is told how each one gets on; and it
//! sends the snapshot itself when no backup has one that its log goes on from, or when nothing has moved for
//! too long.

use onecopy_core::chunks::{CHUNK, Chunk, Outgoing};
use onecopy_core::{EntryId, Index, Instant, NodeId};

use crate::backup::Follower;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::message::Message;
use crate::peer::Peer;
use crate::primary::Primary;
use crate::replica::{Replica, Role};

/// For how many failure timeouts a primary waits for a backup that serves and says nothing. A backup gives up
/// by itself, and says so, after two.
const PATIENCE: u32 = 3;

/// A snapshot on its way to a replica, as the primary sees it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct SnapshotTransfer {
    /// Counted up for each receiver.
    number: u64,
    sender: Sender,
}

#[derive(Clone, Debug, Hash)]
enum Sender {
    /// This primary.
    Primary(Outgoing),
    /// This backup was asked. What it sends, once it has said so, and when it last said anything.
    Backup { node: NodeId, snapshot: Option<EntryId>, arrived: u64, heard: Instant },
}

impl SnapshotTransfer {
    /// What is being sent, as far as that is known.
    pub(crate) fn snapshot(&self) -> Option<EntryId> {
        match &self.sender {
            Sender::Primary(outgoing) => Some(outgoing.snapshot),
            Sender::Backup { snapshot, .. } => *snapshot,
        }
    }

    /// How many bytes of it have arrived.
    fn arrived(&self) -> u64 {
        match &self.sender {
            Sender::Primary(outgoing) => outgoing.arrived(),
            Sender::Backup { arrived, .. } => *arrived,
        }
    }
}

/// A snapshot that a backup sends, because the primary asked it to.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Serving {
    number: u64,
    outgoing: Outgoing,
    /// How much had arrived when the rest was sent again.
    rewound_at: Option<u64>,
}

// ---- at the primary -------------------------------------------------------------------------------------

impl Primary {
    /// The log does not reach back to what `to` needs.
    pub(crate) fn begin_transfer(&mut self, core: &mut Core, step: &mut Step<'_>, to: NodeId) {
        let Some(node) = self.somebody_to_serve(core, step.now, to) else {
            return self.serve(core, step, to);
        };
        let base = core.log.base().index;
        let Some(peer) = self.peer(to) else { return };
        let number = peer.next_transfer();
        let sender = Sender::Backup { node, snapshot: None, arrived: 0, heard: step.now };
        peer.transfer = Some(SnapshotTransfer { number, sender });
        core.digests.second_hand.insert(to);
        let view = core.view_number();
        core.send(step, node, Message::ServeSnapshot { view, to, transfer: number, base });
    }

    /// A backup that can send a snapshot to `to`. Whoever came to another result than this primary gets
    /// everything from itself: only then is that a second opinion (rule P10).
    fn somebody_to_serve(&self, core: &Core, now: Instant, to: NodeId) -> Option<NodeId> {
        let lately = core.config.failure_timeout / 2;
        let mut helpers = self.peers().filter(|peer| peer.node != to && peer.can_serve(now, lately));
        helpers.next().map(|peer| peer.node).filter(|_| !core.digests.has_accused(to))
    }

    /// This primary sends its own snapshot.
    fn serve(&mut self, core: &mut Core, step: &mut Step<'_>, to: NodeId) {
        let Some(peer) = self.peer(to) else { return };
        let number = peer.next_transfer();
        let mut outgoing = Outgoing::new(to, core.snapshots.taken, step.now);
        read_chunks(step, &mut outgoing);
        peer.transfer = Some(SnapshotTransfer { number, sender: Sender::Primary(outgoing) });
        core.digests.second_hand.remove(&to);
    }

    /// A backup says what it sends, and how much of it has arrived.
    pub(crate) fn on_serves_snapshot(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: NodeId,
        (to, number): (NodeId, u64),
        sends: Option<(EntryId, u64)>,
    ) {
        self.heard_from(step.now, from);
        let transfer = self.peer(to).and_then(|peer| peer.transfer.as_mut());
        let Some(transfer) = transfer.filter(|transfer| transfer.number == number) else { return };
        match &mut transfer.sender {
            Sender::Backup { node, snapshot, arrived, heard } if *node == from => match sends {
                Some((sent, bytes)) => (*snapshot, *arrived, *heard) = (Some(sent), bytes, step.now),
                None => self.serve(core, step, to),
            },
            Sender::Backup { .. } | Sender::Primary(_) => {}
        }
    }

    /// Sends again what was lost of a transfer that does not move, and takes over from a backup that is not
    /// heard of.
    pub(crate) fn nudge_transfer(&mut self, core: &mut Core, step: &mut Step<'_>, to: NodeId) {
        let (now, timeout) = (step.now, core.config.failure_timeout);
        let Some(transfer) = self.peer(to).and_then(|peer| peer.transfer.as_mut()) else { return };
        match &mut transfer.sender {
            Sender::Primary(outgoing) if now.since(outgoing.moved()) >= timeout => {
                outgoing.rewind(now);
                read_chunks(step, outgoing);
            }
            Sender::Backup { heard, .. } if now.since(*heard) >= timeout * PATIENCE => {
                self.serve(core, step, to);
            }
            Sender::Backup { .. } | Sender::Primary(_) => {}
        }
    }
}

// ---- at a backup ----------------------------------------------------------------------------------------

impl Follower {
    /// The primary, whose log begins after `base`, asks this backup to send its snapshot.
    pub(crate) fn on_serve_snapshot(
        &mut self,
        core: &Core,
        step: &mut Step<'_>,
        from: NodeId,
        (to, number): (NodeId, u64),
        base: Index,
    ) {
        let snapshot = core.snapshots.taken;
        let came_before = self.serving.iter().any(|one| one.outgoing.to == to && one.number >= number);
        if from != self.primary || came_before {
            return;
        }
        let fits = snapshot != EntryId::ZERO && snapshot.index >= base;
        let can = self.is_member && fits && !core.digests.has_diverged();
        self.serving.retain(|one| one.outgoing.to != to);
        self.tell_served(core, step, (to, number), can.then_some((snapshot, 0)));
        if can {
            let mut outgoing = Outgoing::new(to, snapshot, step.now);
            read_chunks(step, &mut outgoing);
            self.serving.push(Serving { number, outgoing, rewound_at: None });
        }
    }

    fn tell_served(
        &self,
        core: &Core,
        step: &mut Step<'_>,
        (to, number): (NodeId, u64),
        sends: Option<(EntryId, u64)>,
    ) {
        let view = core.view_number();
        core.send(step, self.primary, Message::ServesSnapshot { view, to, transfer: number, sends });
    }

    /// Sends again what does not move, once. After that the primary decides.
    pub(crate) fn nudge_serving(&mut self, core: &Core, step: &mut Step<'_>) {
        let (now, timeout) = (step.now, core.config.failure_timeout);
        let waits = |one: &Serving| now.since(one.outgoing.moved()) >= timeout;
        let (stuck, serving): (Vec<Serving>, _) =
            std::mem::take(&mut self.serving).into_iter().partition(|one| one.is_stuck() && waits(one));
        self.serving = serving;
        for one in stuck {
            self.tell_served(core, step, (one.outgoing.to, one.number), None);
        }
        for one in self.serving.iter_mut().filter(|one| waits(one)) {
            one.outgoing.rewind(now);
            one.rewound_at = Some(one.outgoing.arrived());
            read_chunks(step, &mut one.outgoing);
        }
    }
}

// ---- at either ------------------------------------------------------------------------------------------

impl Role {
    /// What this replica sends to `to`, and the number of the transfer.
    fn outgoing(&mut self, to: NodeId) -> Option<(u64, &mut Outgoing)> {
        match self {
            Self::Primary(primary) => {
                let transfer = primary.peer(to)?.transfer.as_mut()?;
                match &mut transfer.sender {
                    Sender::Primary(outgoing) => Some((transfer.number, outgoing)),
                    Sender::Backup { .. } => None,
                }
            }
            Self::Follower(follower) => {
                let one = follower.serving.iter_mut().find(|one| one.outgoing.to == to)?;
                Some((one.number, &mut one.outgoing))
            }
            Self::Retired | Self::Outside => None,
        }
    }
}

impl Replica {
    pub(crate) fn on_snapshot_read(
        &mut self,
        step: &mut Step<'_>,
        to: NodeId,
        snapshot: EntryId,
        chunk: Option<Chunk>,
    ) {
        let view = self.core.view_number();
        let sent = self.role.outgoing(to).filter(|(_, outgoing)| outgoing.snapshot == snapshot);
        let Some((number, outgoing)) = sent else { return };
        let Some(chunk) = chunk else {
            // It was replaced by a newer one while it was on its way: begin with that. If it is the newest,
            // the disk cannot read it, and another one is needed.
            return match snapshot == self.core.snapshots.taken {
                true => self.core.take_snapshot(step),
                false => self.send_newer(step, (to, number)),
            };
        };
        assert!(chunk.data.len() <= CHUNK, "a chunk has at most {CHUNK} bytes");
        if chunk.last {
            outgoing.sent_last();
        }
        self.core.send(step, to, Message::SnapshotChunk { view, transfer: number, chunk });
    }

    fn send_newer(&mut self, step: &mut Step<'_>, (to, number): (NodeId, u64)) {
        let newest = self.core.snapshots.taken;
        if let Role::Follower(follower) = &self.role {
            follower.tell_served(&self.core, step, (to, number), Some((newest, 0)));
        }
        if let Some((_, outgoing)) = self.role.outgoing(to) {
            *outgoing = Outgoing::new(to, newest, step.now);
            read_chunks(step, outgoing);
        }
    }

    pub(crate) fn on_snapshot_ack(
        &mut self,
        step: &mut Step<'_>,
        from: NodeId,
        (number, snapshot): (u64, EntryId),
        wanted: u64,
    ) {
        if let Role::Primary(primary) = &mut self.role {
            primary.heard_from(step.now, from);
        }
        let sent = self.role.outgoing(from).filter(|sent| (sent.0, sent.1.snapshot) == (number, snapshot));
        let Some((_, outgoing)) = sent else { return };
        let is_news = outgoing.acknowledge(step.now, wanted);
        if let Role::Follower(follower) = &self.role
            && is_news
        {
            follower.tell_served(&self.core, step, (from, number), Some((snapshot, wanted)));
        }
        if let Some((_, outgoing)) = self.role.outgoing(from) {
            read_chunks(step, outgoing);
        }
    }
}

/// Has those chunks read that may be on their way.
fn read_chunks(step: &mut Step<'_>, outgoing: &mut Outgoing) {
    while let Some(offset) = outgoing.next(step.now) {
        step.push(Effect::ReadSnapshot { to: outgoing.to, snapshot: outgoing.snapshot, offset });
    }
}

impl Serving {
    pub(crate) fn snapshot(&self) -> EntryId {
        self.outgoing.snapshot
    }

    pub(crate) fn arrived(&self) -> u64 {
        self.outgoing.arrived()
    }

    /// Whether nothing has moved since it was sent again.
    fn is_stuck(&self) -> bool {
        self.rewound_at == Some(self.outgoing.arrived())
    }
}

impl Peer {
    fn next_transfer(&mut self) -> u64 {
        self.transfers += 1;
        self.got = 0;
        self.transfers
    }

    /// A snapshot that is on its way covers this much, or the log has arrived up to here.
    pub(crate) fn has_or_gets(&self) -> Index {
        match &self.transfer {
            None => self.matched,
            Some(transfer) => transfer.snapshot().unwrap_or(EntryId::ZERO).index,
        }
    }

    /// How many bytes of a snapshot it has got, in the last transfer.
    pub(crate) fn got(&self) -> u64 {
        self.transfer.as_ref().map_or(self.got, SnapshotTransfer::arrived)
    }

    /// It has what was sent.
    pub(crate) fn end_transfer(&mut self) {
        self.got = self.got();
        self.transfer = None;
    }
}
