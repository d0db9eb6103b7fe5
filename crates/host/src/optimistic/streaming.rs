//! Updates on their way to the other copies, and where each copy stands.
//!
//! Own updates go to every other copy as soon as they are durable here: what may be lost must not be known to
//! others, for its name would be given again (rule O5). What came from others is passed on only to those who
//! say, a while later, that they still lack it: two that do not see each other hear of each other through
//! third ones, and nobody gets everything from everybody.
//!
//! What was sent is not sent again, unless it is not acknowledged, or a connection was lost. Whoever is
//! behind by more than the window has is not sent anything: it repairs itself from the state.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{GroupId, Instant, NodeId, Rule};
use onecopy_merge::{Ahead, Delta, Received};

use super::message::{Message, Standing};
use super::{News, OptimisticCopy};
use crate::disk::Out;
use crate::group::GroupEffect;
use crate::message::GroupMessage;

/// After so many heartbeats what somebody still lacks is passed on to it.
const RELAY_AFTER: u32 = 3;
/// After so many heartbeats what was sent and is not acknowledged is sent again.
const REPEAT_AFTER: u32 = 10;

impl OptimisticCopy {
    /// Another copy has said something.
    pub fn received(&mut self, now: Instant, from: NodeId, message: Message, out: &mut Out<GroupEffect>) {
        self.now = now;
        if !self.peers.contains_key(&from) {
            return;
        }
        match message {
            Message::Status(standing) => self.hear_standing(now, from, standing),
            Message::Deltas(deltas) => self.arrived.extend(deltas.into_iter().map(|delta| (from, delta))),
            Message::Ask { number, ask } => self.serve(from, number, &ask, out),
            Message::Answer { number, answer } => self.hear_answer(now, from, (number, &answer), out),
        }
    }

    fn hear_standing(&mut self, now: Instant, from: NodeId, standing: Standing) {
        let me = self.life();
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let said = (standing.reaches, standing.digest);
        if !peer.hear(now, standing, me) {
            return;
        }
        self.wants_repair(now, from, said);
    }

    /// Updates of others are shown, as far as everything is there that their makers had seen.
    pub(super) fn take_arrivals(&mut self) {
        let mut shown = Vec::new();
        for (from, bytes) in std::mem::take(&mut self.arrived) {
            let Ok(delta) = Delta::decode(&bytes) else {
                self.news(News::Senseless { from });
                continue;
            };
            let received = self.replica.receive_showing(self.clock, delta, &mut shown);
            // Also of what was seen: it was sent because an acknowledgement was lost.
            let owes = !matches!(received, Received::Waits | Received::Dropped);
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.owed |= owes;
            }
        }
        if let Some(Ahead { replica, by_ms }) = self.replica.take_ahead() {
            self.news(News::ClockAhead { replica, by_ms });
        }
        self.record(shown);
    }

    /// Sends what the others should have by now.
    pub(super) fn stream(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        let (me, last) = (self.life(), self.may_send());
        let (bytes_max, unacknowledged_max) =
            (self.settings.message_bytes_max, self.settings.unacknowledged_bytes_max);
        let repeat_after = self.settings.heartbeat_interval * REPEAT_AFTER;
        for (to, peer) in &mut self.peers {
            if !peer.is_there(now, self.settings.failure_timeout) {
                continue;
            }
            let acknowledged = peer.standing.clock.seen_of(me);
            if peer.sent > acknowledged && now.since(peer.moved) >= repeat_after {
                peer.sent = acknowledged;
                peer.moved = now;
            }
            peer.sent = peer.sent.max(acknowledged);
            while peer.sent < last
                && self.window.bytes_between(me, acknowledged, peer.sent) < unacknowledged_max
            {
                let deltas: Vec<Bytes> =
                    self.window.after(me, (peer.sent + 1, last), bytes_max).cloned().collect();
                if deltas.is_empty() {
                    break;
                }
                if peer.sent == acknowledged {
                    peer.moved = now;
                }
                peer.sent += deltas.len() as u64;
                out.effects.push(send(self.settings.group, *to, Message::Deltas(deltas)));
            }
        }
    }

    /// Passes on what others have made and somebody still lacks.
    fn relay(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        let me = self.life();
        let beat = self.settings.heartbeat_interval;
        for (to, peer) in &mut self.peers {
            if !peer.is_there(now, self.settings.failure_timeout) {
                continue;
            }
            let lacking = self.window.lacking(now, &peer.standing.clock, beat * RELAY_AFTER);
            let lacking: Vec<_> = lacking.filter(|(maker, ..)| *maker != me).collect();
            let mut room = self.settings.message_bytes_max;
            for (maker, first, last) in lacking {
                let sent = peer.relayed.get(&maker);
                let sent = sent.filter(|(_, at)| now.since(*at) < beat * REPEAT_AFTER);
                let first = sent.map_or(first, |(through, _)| first.max(through + 1));
                let deltas: Vec<Bytes> = self.window.after(maker, (first, last), room).cloned().collect();
                let Some(through) = (first + deltas.len() as u64).checked_sub(1) else { continue };
                if deltas.is_empty() {
                    continue;
                }
                room = room.saturating_sub(deltas.iter().map(Bytes::len).sum());
                peer.relayed.insert(maker, (through, now));
                out.effects.push(send(self.settings.group, *to, Message::Deltas(deltas)));
                if room == 0 {
                    break;
                }
            }
        }
    }

    /// Says where this copy stands: to all every heartbeat, and at once to those who wait for it.
    pub(super) fn say_standing(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        let is_due = now >= self.next_heartbeat;
        if is_due {
            self.next_heartbeat = now + self.settings.heartbeat_interval;
            self.relay(now, out);
        }
        let is_settled = self.durable == *self.replica.clock();
        let digest = is_settled.then(|| self.replica.digest());
        for (to, peer) in &mut self.peers {
            // What it sent is durable here: it waits for that.
            if !(is_due || peer.owed && is_settled) {
                continue;
            }
            peer.owed &= !is_settled;
            let standing = Standing {
                life: self.replica.id(),
                clock: self.durable.clone(),
                digest,
                reaches: self.window.reaches(&self.durable, &peer.standing.clock),
                is_whole: self.has_caught_up,
            };
            out.effects.push(send(self.settings.group, *to, Message::Status(standing)));
        }
    }

    /// Whether a status can be said at once.
    pub(super) fn owes_standing(&self) -> bool {
        self.durable == *self.replica.clock() && self.peers.values().any(|peer| peer.owed)
    }

    /// Own updates may be sent up to this one.
    pub(super) fn may_send(&self) -> u64 {
        match self.rules.hold(Rule::OwnLife) {
            true => self.durable.seen_of(self.life()),
            false => self.replica.clock().seen_of(self.life()),
        }
    }
}

/// A message for another copy.
pub(super) fn send(group: GroupId, to: NodeId, message: Message) -> GroupEffect {
    GroupEffect::Send { group, to, message: GroupMessage::Optimistic(message) }
}

/// For how long somebody may lack what others have before it repairs itself.
pub(super) fn patience(heartbeat_interval: Duration) -> Duration {
    heartbeat_interval * (RELAY_AFTER + 2 * REPEAT_AFTER)
}
