//! How a replica gets a snapshot: from a backup that the primary asks, or from the primary itself.
//!
//! A backup is preferred: its disk and its link have less to do. The primary stays in charge. It numbers the transfers to a replica,
//! so that pieces of two are never mixed; it is told how each one gets on; and it sends the snapshot itself when no backup has one that
//! its log goes on from, or when nothing has moved for too long.

use onecopy_core::chunks::{CHUNK, Chunk, Outgoing};
use onecopy_core::{EntryId, Index, Instant, NodeId};

use crate::effect::Effect;
use crate::message::Message;
use crate::peer::Peer;
use crate::replica::{Replica, Role};

/// For how many failure timeouts a primary waits for a backup that serves and says nothing. A backup gives up by itself, and says
/// so, after two.
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

impl Replica {
    // ---- at the primary -----------------------------------------------------------------------------------

    /// The log does not reach back to what `to` needs.
    pub(crate) fn begin_transfer(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let Some(node) = self.somebody_to_serve(now, to) else { return self.serve(now, to, effects) };
        let base = self.log.base().index;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        let number = peer.next_transfer();
        let sender = Sender::Backup { node, snapshot: None, arrived: 0, heard: now };
        peer.transfer = Some(SnapshotTransfer { number, sender });
        self.digests.second_hand.insert(to);
        let view = self.view_number();
        self.send(node, Message::ServeSnapshot { view, to, transfer: number, base }, effects);
    }

    /// A backup that can send a snapshot to `to`. Whoever came to another result than this primary gets everything from itself:
    /// only then is that a second opinion (rule P10).
    fn somebody_to_serve(&self, now: Instant, to: NodeId) -> Option<NodeId> {
        let Role::Primary(primary) = &self.role else { return None };
        let lately = self.config.failure_timeout / 2;
        let mut helpers = primary.peers().filter(|peer| peer.node != to && peer.can_serve(now, lately));
        helpers.next().map(|peer| peer.node).filter(|_| !self.digests.has_accused(to))
    }

    /// This primary sends its own snapshot.
    fn serve(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let snapshot = self.snapshots.taken;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        let number = peer.next_transfer();
        peer.transfer =
            Some(SnapshotTransfer { number, sender: Sender::Primary(Outgoing::new(to, snapshot, now)) });
        self.digests.second_hand.remove(&to);
        self.read_chunks(now, to, effects);
    }

    /// A backup says what it sends, and how much of it has arrived.
    pub(crate) fn on_serves_snapshot(
        &mut self,
        now: Instant,
        from: NodeId,
        (to, number): (NodeId, u64),
        sends: Option<(EntryId, u64)>,
        effects: &mut Vec<Effect>,
    ) {
        self.heard_from(now, from);
        let Role::Primary(primary) = &mut self.role else { return };
        let transfer = primary.peer(to).and_then(|peer| peer.transfer.as_mut());
        let Some(transfer) = transfer.filter(|transfer| transfer.number == number) else { return };
        match &mut transfer.sender {
            Sender::Backup { node, snapshot, arrived, heard } if *node == from => match sends {
                Some((sent, bytes)) => (*snapshot, *arrived, *heard) = (Some(sent), bytes, now),
                None => self.serve(now, to, effects),
            },
            Sender::Backup { .. } | Sender::Primary(_) => {}
        }
    }

    /// Sends again what was lost of a transfer that does not move, and takes over from a backup that is not heard of.
    pub(crate) fn nudge_transfer(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let timeout = self.config.failure_timeout;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(transfer) = primary.peer(to).and_then(|peer| peer.transfer.as_mut()) else { return };
        match &mut transfer.sender {
            Sender::Primary(outgoing) if now.since(outgoing.moved()) >= timeout => {
                outgoing.rewind(now);
                self.read_chunks(now, to, effects);
            }
            Sender::Backup { heard, .. } if now.since(*heard) >= timeout * PATIENCE => {
                self.serve(now, to, effects);
            }
            Sender::Backup { .. } | Sender::Primary(_) => {}
        }
    }

    // ---- at a backup --------------------------------------------------------------------------------------

    /// The primary, whose log begins after `base`, asks this backup to send its snapshot.
    pub(crate) fn on_serve_snapshot(
        &mut self,
        now: Instant,
        from: NodeId,
        (to, number): (NodeId, u64),
        base: Index,
        effects: &mut Vec<Effect>,
    ) {
        let snapshot = self.snapshots.taken;
        let Role::Follower(follower) = &self.role else { return };
        let serving = &mut self.snapshots.serving;
        let came_before = serving.iter().any(|one| one.outgoing.to == to && one.number >= number);
        if from != follower.primary || came_before {
            return;
        }
        let fits = snapshot != EntryId::ZERO && snapshot.index >= base;
        let can = follower.is_member && fits && !self.digests.has_diverged();
        serving.retain(|one| one.outgoing.to != to);
        if can {
            serving.push(Serving { number, outgoing: Outgoing::new(to, snapshot, now), rewound_at: None });
        }
        self.tell_served((to, number), can.then_some((snapshot, 0)), effects);
        self.read_chunks(now, to, effects);
    }

    fn tell_served(
        &self,
        (to, number): (NodeId, u64),
        sends: Option<(EntryId, u64)>,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Follower(follower) = &self.role else { return };
        let view = self.view_number();
        let message = Message::ServesSnapshot { view, to, transfer: number, sends };
        self.send(follower.primary, message, effects);
    }

    /// Sends again what does not move, once. After that the primary decides.
    pub(crate) fn nudge_serving(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let timeout = self.config.failure_timeout;
        let waits = |one: &Serving| now.since(one.outgoing.moved()) >= timeout;
        let (stuck, serving): (Vec<Serving>, _) = std::mem::take(&mut self.snapshots.serving)
            .into_iter()
            .partition(|one| one.is_stuck() && waits(one));
        self.snapshots.serving = serving;
        for one in stuck {
            self.tell_served((one.outgoing.to, one.number), None, effects);
        }
        let mut again = Vec::new();
        for one in self.snapshots.serving.iter_mut().filter(|one| waits(one)) {
            one.outgoing.rewind(now);
            one.rewound_at = Some(one.outgoing.arrived());
            again.push(one.outgoing.to);
        }
        for to in again {
            self.read_chunks(now, to, effects);
        }
    }

    // ---- at either ----------------------------------------------------------------------------------------

    /// What this replica sends to `to`, and the number of the transfer.
    fn outgoing(&mut self, to: NodeId) -> Option<(u64, &mut Outgoing)> {
        match &mut self.role {
            Role::Primary(primary) => {
                let transfer = primary.peer(to)?.transfer.as_mut()?;
                match &mut transfer.sender {
                    Sender::Primary(outgoing) => Some((transfer.number, outgoing)),
                    Sender::Backup { .. } => None,
                }
            }
            Role::Follower(_) => {
                let serving = &mut self.snapshots.serving;
                let one = serving.iter_mut().find(|one| one.outgoing.to == to)?;
                Some((one.number, &mut one.outgoing))
            }
            Role::Retired | Role::Outside => None,
        }
    }

    fn read_chunks(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let Some((_, outgoing)) = self.outgoing(to) else { return };
        while let Some(offset) = outgoing.next(now) {
            effects.push(Effect::ReadSnapshot { to, snapshot: outgoing.snapshot, offset });
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
        let sent = self.outgoing(to).filter(|(_, outgoing)| outgoing.snapshot == snapshot);
        let Some((number, outgoing)) = sent else { return };
        let Some(chunk) = chunk else {
            // It was replaced by a newer one while it was on its way: begin with that. If it is the newest, the disk
            // cannot read it, and another one is needed.
            return match snapshot == self.snapshots.taken {
                true => self.take_snapshot(effects),
                false => self.send_newer(now, (to, number), effects),
            };
        };
        assert!(chunk.data.len() <= CHUNK, "a chunk has at most {CHUNK} bytes");
        if chunk.last {
            outgoing.sent_last();
        }
        self.send(to, Message::SnapshotChunk { view, transfer: number, chunk }, effects);
    }

    fn send_newer(&mut self, now: Instant, (to, number): (NodeId, u64), effects: &mut Vec<Effect>) {
        let newest = self.snapshots.taken;
        if let Some((_, outgoing)) = self.outgoing(to) {
            *outgoing = Outgoing::new(to, newest, now);
        }
        self.tell_served((to, number), Some((newest, 0)), effects);
        self.read_chunks(now, to, effects);
    }

    pub(crate) fn on_snapshot_ack(
        &mut self,
        now: Instant,
        from: NodeId,
        (number, snapshot): (u64, EntryId),
        wanted: u64,
        effects: &mut Vec<Effect>,
    ) {
        self.heard_from(now, from);
        let sent = self.outgoing(from).filter(|sent| (sent.0, sent.1.snapshot) == (number, snapshot));
        let Some((_, outgoing)) = sent else { return };
        if outgoing.acknowledge(now, wanted) {
            self.tell_served((from, number), Some((snapshot, wanted)), effects);
        }
        self.read_chunks(now, from, effects);
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
