//! The leader's side of a snapshot: pieces of it go to a follower that needs entries which the log holds no
//! more (Raft paper, section 7).

use onecopy_core::chunks::{Chunk, Outgoing};
use onecopy_core::{EntryId, Instant, Member};

use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::message::Message;
use crate::progress::Pace;

/// A snapshot on its way to a follower.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Sending {
    to: Member,
    outgoing: Outgoing,
    /// The follower has written everything below.
    acknowledged: u64,
    /// The end of the furthest chunk that was sent.
    sent: u64,
    /// How large the snapshot is, once the last chunk has been seen.
    end: Option<u64>,
}

impl Sending {
    pub fn new(to: Member, snapshot: EntryId, now: Instant) -> Self {
        let outgoing = Outgoing::new(to.node, snapshot, now);
        Self { to, outgoing, acknowledged: 0, sent: 0, end: None }
    }

    fn restart(&mut self, snapshot: EntryId, now: Instant) {
        *self = Self::new(self.to, snapshot, now);
    }

    /// The follower has written everything below `wanted`, or, if that is 0, has lost everything.
    fn acknowledge(&mut self, wanted: u64, now: Instant) {
        if wanted == 0 && self.acknowledged > 0 {
            return self.restart(self.outgoing.snapshot, now);
        }
        // Nobody can want more than what follows the last piece sent: such a peer is mad, and is not
        // believed.
        if wanted <= self.sent {
            self.outgoing.acknowledge(now, wanted);
            self.acknowledged = self.acknowledged.max(wanted);
        }
    }

    /// Whether this piece is worth sending; what was asked for beyond the end is not.
    fn take(&mut self, chunk: &Chunk) -> bool {
        if self.end.is_some_and(|end| chunk.offset > end) {
            return false;
        }
        let end = chunk.offset.saturating_add(chunk.data.len() as u64);
        if chunk.last && self.end.is_none_or(|known| end < known) {
            self.end = Some(end);
            self.outgoing.sent_last();
        }
        self.sent = self.sent.max(end);
        true
    }

    /// Has the next pieces read from the disk, as many as the window allows.
    pub fn read(&mut self, step: &mut Step<'_>) {
        while let Some(offset) = self.outgoing.next(step.now) {
            step.push(Effect::ReadSnapshot { to: self.to, snapshot: self.outgoing.snapshot, offset });
        }
    }
}

impl Leader {
    fn sending(&mut self, to: Member) -> Option<&mut Sending> {
        match &mut self.followers.get_mut(&to)?.pace {
            Pace::Snapshot(sending) => Some(sending),
            Pace::Probe { .. } | Pace::Replicate { .. } => None,
        }
    }

    pub fn on_snapshot_read(
        &mut self,
        core: &mut Core,
        step: &mut Step<'_>,
        to: Member,
        snapshot: EntryId,
        chunk: Option<Chunk>,
    ) {
        let Some(sending) = self.sending(to).filter(|sending| sending.outgoing.snapshot == snapshot) else {
            return;
        };
        match chunk {
            Some(chunk) if sending.take(&chunk) => {
                step.send(to, Message::Snapshot { term: core.term(), chunk });
            }
            Some(_) => {}
            None if core.snapshot != snapshot => {
                sending.restart(core.snapshot, step.now);
                sending.read(step);
            }
            // The newest is gone as well. Once there is a newer one, it will be sent.
            None if core.taking.is_none() => core.take_snapshot(step),
            None => {}
        }
    }

    pub fn on_snapshot_reply(&mut self, step: &mut Step<'_>, from: Member, snapshot: EntryId, wanted: u64) {
        let Some(progress) = self.follower(step.now, from) else { return };
        let Pace::Snapshot(sending) = &mut progress.pace else { return };
        if sending.outgoing.snapshot == snapshot {
            sending.acknowledge(wanted, step.now);
        }
        sending.read(step);
    }

    /// Sends again what a follower has not acknowledged for long. If it has everything, sends the (empty)
    /// rest, which a follower that was restarted answers by asking for the beginning.
    pub fn rewind_stalled_snapshot(&mut self, core: &Core, now: Instant, to: Member) {
        let Some(sending) = self.sending(to) else { return };
        if now.since(sending.outgoing.moved()) < core.config.election_timeout {
            return;
        }
        match sending.acknowledged == 0 && sending.outgoing.snapshot != core.snapshot {
            true => sending.restart(core.snapshot, now),
            false => sending.outgoing.rewind(now),
        }
    }
}
