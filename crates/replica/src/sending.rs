//! The flow of entries from the primary to each other replica, and of acknowledgements back.

use onecopy_core::{Entry, EntryId, Index, Instant, NodeId};

use crate::effect::Effect;
use crate::lease::Terms;
use crate::message::Message;
use crate::replica::{Replica, Role};
use crate::snapshot_transfer::SnapshotTransfer;

/// How many bytes may be on their way to a learner, at most. It answers what it has on disk, and executes before it answers the next:
/// in large bites it would be silent for longer than a replica may be that is alive, and clients would wait for what it takes the
/// primary to send them. It is also what a learner may lack when writes begin to wait for it (rule P5).
pub(crate) const LEARNER_WINDOW_MAX: usize = 4 << 20;

impl Replica {
    pub(crate) fn send_to_all(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &self.role else { return };
        let nodes: Vec<NodeId> = primary.peers().map(|peer| peer.node).collect();
        for node in nodes {
            self.send_entries(now, node, effects);
        }
    }

    /// Sends a replica what it lacks, as far as the window allows.
    pub(crate) fn send_entries(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let last = self.log.last().index;
        loop {
            let base = self.log.base().index;
            let Role::Primary(primary) = &mut self.role else { return };
            let Some(peer) = primary.peer(to) else { return };
            let bite = if peer.is_member { usize::MAX } else { LEARNER_WINDOW_MAX };
            let window_max = self.config.window_bytes_max.min(bite);
            let prepare_max = self.config.prepare_bytes_max.min(bite / 8);
            if peer.transfer.is_some() || peer.next > last || !peer.has_room(window_max) {
                return;
            }
            if peer.next <= base {
                return self.begin_transfer(now, to, effects);
            }
            let next = peer.next;
            if next <= self.log.window_base().index {
                return self.read_entries(to, prepare_max, effects);
            }
            let entries = self.log.after(next.previous(), prepare_max);
            self.send_prepare(now, to, next.previous(), entries, effects);
        }
    }

    /// What a replica lacks is not in memory any more: it is read from the disk, one piece after the other.
    fn read_entries(&mut self, to: NodeId, bytes_max: usize, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to).filter(|peer| peer.awaits.is_none()) else { return };
        let Some(epoch) = self.log.epoch_at(peer.next) else { return };
        let first = EntryId::new(peer.next, epoch);
        peer.awaits = Some(first);
        effects.push(Effect::ReadEntries { to, first, bytes_max });
    }

    /// Entries have been read from the disk for a replica.
    pub(crate) fn on_entries_read(
        &mut self,
        now: Instant,
        to: NodeId,
        first: EntryId,
        mut entries: Vec<Entry>,
        effects: &mut Vec<Effect>,
    ) {
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to).filter(|peer| peer.awaits == Some(first)) else { return };
        peer.awaits = None;
        let (wanted, transfer) = (peer.next, peer.transfer.is_some());
        let ours = |(entry, index): &(&Entry, u64)| entry.id.index.0 == *index && self.log.contains(entry.id);
        let known = entries.iter().zip(first.index.0..).take_while(ours).count();
        entries.truncate(known);
        if entries.is_empty() {
            return self.replace_unreadable(now, to, first.index, effects);
        }
        // It may have got on, or been sent back, meanwhile.
        if wanted == first.index && !transfer {
            self.send_prepare(now, to, wanted.previous(), entries, effects);
        }
        self.send_entries(now, to, effects);
    }

    /// Sends one Prepare with the entries after `previous`, or a heartbeat.
    pub(crate) fn send_prepare(
        &mut self,
        now: Instant,
        to: NodeId,
        previous: Index,
        entries: Vec<Entry>,
        effects: &mut Vec<Effect>,
    ) {
        let commit = self.commit;
        let terms = self.offer(now, to);
        let Some(view) = self.view.clone() else { return };
        let previous =
            self.log.epoch_at(previous).map_or(EntryId::ZERO, |epoch| EntryId::new(previous, epoch));
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        let sequence = peer.sends(now, &entries, commit);
        let digest = self.digests.last();
        self.send(to, Message::Prepare { view, sequence, previous, entries, commit, digest, terms }, effects);
    }

    pub(crate) fn heartbeat(&mut self, now: Instant, to: NodeId, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(to) else { return };
        // While a snapshot is on its way nothing of the log can be claimed to be there.
        let previous = if peer.transfer.is_some() { Index(0) } else { peer.next.previous() };
        self.send_prepare(now, to, previous, Vec::new(), effects);
    }

    pub(crate) fn on_prepare_ok(
        &mut self,
        now: Instant,
        from: NodeId,
        durable: Index,
        checked: Index,
        terms: Option<Terms>,
        effects: &mut Vec<Effect>,
    ) {
        let last = self.log.last().index;
        let config = &self.config;
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(from) else { return };
        if durable > last {
            // Only a replica that is not what it seems to be says this. Believing it would commit nothing false
            // here, but it must not count for anything either.
            return;
        }
        peer.heard = now;
        if let Some(terms) = terms {
            peer.take_terms(now, terms, config);
        }
        peer.checked = peer.checked.max(checked);
        let before = peer.matched;
        peer.acknowledge(durable);
        peer.pace.acknowledged(now, before, peer.matched, last);
        peer.next = peer.next.max(peer.matched.next());
        let sent = peer.transfer.as_ref().and_then(SnapshotTransfer::snapshot);
        if sent.is_some_and(|snapshot| durable >= snapshot.index) {
            peer.end_transfer();
        }
        self.try_commit(now, effects);
        self.try_join(now, effects);
        self.send_entries(now, from, effects);
        self.tell_readers(now, effects);
        self.maybe_compact(now, effects);
    }

    pub(crate) fn on_prepare_reject(
        &mut self,
        now: Instant,
        from: NodeId,
        sequence: u64,
        agreed: Index,
        last: EntryId,
        effects: &mut Vec<Effect>,
    ) {
        // Both logs agree up to an entry that both hold: an entry's name determines all before it.
        let agreed = if self.log.contains(last) { last.index } else { agreed };
        let Role::Primary(primary) = &mut self.role else { return };
        let Some(peer) = primary.peer(from) else { return };
        peer.heard = now;
        if peer.was_rewound_for(sequence) || peer.transfer.is_some() || agreed >= peer.next {
            return; // dealt with already
        }
        peer.rewind(agreed.next().max(peer.matched.next()));
        self.send_entries(now, from, effects);
    }

    /// Backups that answer reads are told at once what is committed: their readers wait for it (rule L5).
    pub(crate) fn tell_readers(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Role::Primary(primary) = &self.role else { return };
        let waiting = primary.peers().filter(|peer| peer.reads && peer.told < self.commit);
        let nodes: Vec<NodeId> = waiting.map(|peer| peer.node).collect();
        for node in nodes {
            self.heartbeat(now, node, effects);
        }
    }

    /// Bytes of a message are arriving from another replica: it is not silent, however long the message
    /// takes.
    pub(crate) fn arriving(&mut self, now: Instant, from: NodeId) {
        match &mut self.role {
            Role::Follower(follower) if follower.primary == from => follower.heard = now,
            _ => self.heard_from(now, from),
        }
    }

    /// A replica said something that is no answer to a Prepare.
    pub(crate) fn heard_from(&mut self, now: Instant, node: NodeId) {
        if let Role::Primary(primary) = &mut self.role
            && let Some(peer) = primary.peer(node)
        {
            peer.heard = now;
        }
    }
}
