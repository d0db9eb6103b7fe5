//! The flow of entries from the primary to each other replica, and of acknowledgements back.

use onecopy_core::{Entry, EntryId, Index, Instant, NodeId};

use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::lease::Terms;
use crate::message::Message;
use crate::primary::Primary;
use crate::snapshot_transfer::SnapshotTransfer;

/// How many bytes may be on their way to a learner, at most. It answers what it has on disk, and executes
/// before it answers the next: in large bites it would be silent for longer than a replica may be that is
/// alive, and clients would wait for what it takes the primary to send them. It is also what a learner may
/// lack when writes begin to wait for it (rule P5).
pub(crate) const LEARNER_WINDOW_MAX: usize = 4 << 20;

impl Primary {
    pub(crate) fn send_to_all(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let nodes: Vec<NodeId> = self.peers().map(|peer| peer.node).collect();
        for node in nodes {
            self.send_entries(core, step, node);
        }
    }

    /// Sends a replica what it lacks, as far as the window allows.
    pub(crate) fn send_entries(&mut self, core: &mut Core, step: &mut Step<'_>, to: NodeId) {
        let last = core.log.last().index;
        loop {
            let base = core.log.base().index;
            let Some(peer) = self.peer(to) else { return };
            let bite = if peer.is_member { usize::MAX } else { LEARNER_WINDOW_MAX };
            let window_max = core.config.window_bytes_max.min(bite);
            let prepare_max = core.config.prepare_bytes_max.min(bite / 8);
            if peer.transfer.is_some() || peer.next > last || !peer.has_room(window_max) {
                return;
            }
            if peer.next <= base {
                return self.begin_transfer(core, step, to);
            }
            let next = peer.next;
            if next <= core.log.window_base().index {
                return self.read_entries(core, step, to, prepare_max);
            }
            let entries = core.log.after(next.previous(), prepare_max);
            self.send_prepare(core, step, to, next.previous(), entries);
        }
    }

    /// What a replica lacks is not in memory any more: it is read from the disk, one piece after the other.
    fn read_entries(&mut self, core: &Core, step: &mut Step<'_>, to: NodeId, bytes_max: usize) {
        let Some(peer) = self.peer(to).filter(|peer| peer.awaits.is_none()) else { return };
        let Some(epoch) = core.log.epoch_at(peer.next) else { return };
        let first = EntryId::new(peer.next, epoch);
        peer.awaits = Some(first);
        step.push(Effect::ReadEntries { to, first, bytes_max });
    }

    /// Entries have been read from the disk for a replica.
    pub(crate) fn on_entries_read(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        to: NodeId,
        first: EntryId,
        mut entries: Vec<Entry>,
    ) {
        let Some(peer) = self.peer(to).filter(|peer| peer.awaits == Some(first)) else { return };
        peer.awaits = None;
        let (wanted, transfer) = (peer.next, peer.transfer.is_some());
        let ours = |(entry, index): &(&Entry, u64)| entry.id.index.0 == *index && core.log.contains(entry.id);
        let known = entries.iter().zip(first.index.0..).take_while(ours).count();
        entries.truncate(known);
        if entries.is_empty() {
            return self.replace_unreadable(core, step, to, first.index);
        }
        // It may have got on, or been sent back, meanwhile.
        if wanted == first.index && !transfer {
            self.send_prepare(core, step, to, wanted.previous(), entries);
        }
        self.send_entries(core, step, to);
    }

    /// Sends one Prepare with the entries after `previous`, or a heartbeat.
    fn send_prepare(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        to: NodeId,
        previous: Index,
        entries: Vec<Entry>,
    ) {
        let commit = core.commit;
        let terms = self.offer(core, step.now, to);
        let Some(view) = core.view.clone() else { return };
        let previous =
            core.log.epoch_at(previous).map_or(EntryId::ZERO, |epoch| EntryId::new(previous, epoch));
        let Some(peer) = self.peer(to) else { return };
        let sequence = peer.sends(step.now, &entries, commit);
        let digest = core.digests.last();
        core.send(step, to, Message::Prepare { view, sequence, previous, entries, commit, digest, terms });
    }

    pub(crate) fn heartbeat(&mut self, core: &mut Core, step: &mut Step<'_>, to: NodeId) {
        let Some(peer) = self.peer(to) else { return };
        // While a snapshot is on its way nothing of the log can be claimed to be there.
        let previous = if peer.transfer.is_some() { Index(0) } else { peer.next.previous() };
        self.send_prepare(core, step, to, previous, Vec::new());
    }

    pub(crate) fn on_prepare_ok(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: NodeId,
        durable: Index,
        checked: Index,
        terms: Option<Terms>,
    ) {
        let (now, last) = (step.now, core.log.last().index);
        let Some(peer) = self.peer(from) else { return };
        if durable > last {
            // Only a replica that is not what it seems to be says this. Believing it would commit nothing
            // false here, but it must not count for anything either.
            return;
        }
        peer.heard = now;
        if let Some(terms) = terms {
            peer.take_terms(now, terms, &core.config);
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
        self.try_commit(core, step);
        self.try_join(core, step);
        self.send_entries(core, step, from);
        self.tell_readers(core, step);
        core.maybe_compact(step, self.demand());
    }

    pub(crate) fn on_prepare_reject(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        from: NodeId,
        sequence: u64,
        agreed: Index,
        last: EntryId,
    ) {
        // Both logs agree up to an entry that both hold: an entry's name determines all before it.
        let agreed = if core.log.contains(last) { last.index } else { agreed };
        let Some(peer) = self.peer(from) else { return };
        peer.heard = step.now;
        if peer.was_rewound_for(sequence) || peer.transfer.is_some() || agreed >= peer.next {
            return; // dealt with already
        }
        peer.rewind(agreed.next().max(peer.matched.next()));
        self.send_entries(core, step, from);
    }

    /// Backups that answer reads are told at once what is committed: their readers wait for it (rule L5).
    pub(crate) fn tell_readers(&mut self, core: &mut Core, step: &mut Step<'_>) {
        let waiting = self.peers().filter(|peer| peer.reads && peer.told < core.commit);
        let nodes: Vec<NodeId> = waiting.map(|peer| peer.node).collect();
        for node in nodes {
            self.heartbeat(core, step, node);
        }
    }

    /// A replica said something that is no answer to a Prepare.
    pub(crate) fn heard_from(&mut self, now: Instant, node: NodeId) {
        if let Some(peer) = self.peer(node) {
            peer.heard = now;
        }
    }
}
