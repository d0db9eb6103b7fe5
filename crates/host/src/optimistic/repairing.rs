//! Repair from the state of another copy: what was missed and is in no window any more, and what a memory or
//! a disk has spoilt.
//!
//! A copy repairs itself if another one says that it has not kept what this one lacks, if something that
//! another one has does not come, or if both have seen the same and their digests differ. One repair at a
//! time, and so many bytes in a second.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Instant, NodeId};
use onecopy_merge::repair::{Answer, Ask, Done, Next, Pull};

use super::message::Message;
use super::places::Place;
use super::record::pieces;
use super::streaming::{patience, send};
use super::{News, OptimisticCopy};
use crate::disk::Out;
use crate::group::GroupEffect;
use crate::message::GroupMessage;

/// An answer that takes longer does not come.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
/// Where digests differ although both have seen the same, nothing changes sooner.
const DIGEST_PATIENCE: Duration = Duration::from_secs(5);

/// A repair that is under way.
#[derive(Debug)]
pub(super) struct Repair {
    from: NodeId,
    pull: Pull,
    began: Instant,
    /// The question that is to be asked, and when.
    next: Option<(Instant, Ask)>,
    /// When the last one was asked.
    asked: Instant,
    bytes: u64,
}

impl Repair {
    /// Whose state is taken over.
    pub(super) fn from(&self) -> NodeId {
        self.from
    }
}

/// What repairs have done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Repairs {
    /// How many there were.
    pub count: u64,
    /// How many came to nothing.
    pub failed: u64,
    /// How many keys, and parts of large keys, differed.
    pub differing: u64,
    /// Bytes that were received.
    pub bytes: u64,
}

impl OptimisticCopy {
    /// Another copy has said where it stands: whether this one has to repair itself from there.
    pub(super) fn wants_repair(
        &mut self,
        now: Instant,
        from: NodeId,
        (reaches, digest): (bool, Option<u64>),
    ) {
        let patience = patience(self.settings.heartbeat_interval);
        let own = self.replica.clock();
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let theirs = &peer.standing.clock;
        if own.covers(theirs) {
            peer.lacking = None;
            // Whoever is to be filled itself may have nothing.
            self.has_caught_up |= peer.place != Place::Learner;
            let differs = digest.is_some_and(|digest| digest != self.replica.digest());
            if *theirs == *own && differs && now >= self.next_digest_repair && self.repair.is_none() {
                self.next_digest_repair = now + DIGEST_PATIENCE;
                self.news(News::Differs { from });
                self.begin_repair(now, from);
            }
            return;
        }
        // What it had then has come meanwhile: it is only a little ahead.
        if peer.lacking.as_ref().is_some_and(|(_, then)| own.covers(then)) {
            peer.lacking = None;
        }
        let since = peer.lacking.get_or_insert_with(|| (now, theirs.clone())).0;
        let is_late = now.since(since) >= patience;
        if (is_late || !reaches || !self.has_caught_up) && self.repair.is_none() {
            self.begin_repair(now, from);
        }
    }

    fn begin_repair(&mut self, now: Instant, from: NodeId) {
        let (pull, ask) = self.replica.pull();
        let next = Some((now.max(self.next_repair), ask));
        self.repair = Some(Repair { from, pull, began: now, next, asked: now, bytes: 0 });
    }

    /// Goes on with a repair, or gives it up.
    pub(super) fn go_on_repairing(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        let Some(repair) = &mut self.repair else { return };
        if let Some((_, ask)) = repair.next.take_if(|(at, _)| *at <= now) {
            self.question += 1;
            repair.asked = now;
            let message = Message::Ask { number: self.question, ask: ask.encode().into() };
            out.effects.push(send(self.settings.group, repair.from, message));
        } else if repair.next.is_none() && now.since(repair.asked) >= ANSWER_PATIENCE {
            self.give_up_repair(now);
        }
    }

    /// The connection to a node broke: what it was asked, or what it has answered, does not come.
    pub(super) fn lost_answer(&mut self, node: NodeId) {
        if self.repair.as_ref().is_some_and(|repair| repair.from == node && repair.next.is_none()) {
            self.give_up_repair(self.now);
        }
    }

    /// A repair comes to nothing. The next one begins a while later.
    pub(super) fn give_up_repair(&mut self, now: Instant) {
        let Some(repair) = self.repair.take() else { return };
        self.repairs.failed += 1;
        self.repairs.bytes += repair.bytes;
        self.next_repair = now + self.settings.heartbeat_interval;
        let shown = self.replica.pull_abandon(self.clock);
        self.record(shown);
    }

    /// When a repair has something to do.
    pub(super) fn repair_due(&self) -> Option<Instant> {
        let repair = self.repair.as_ref()?;
        Some(repair.next.as_ref().map_or(repair.asked + ANSWER_PATIENCE, |(at, _)| *at))
    }

    /// Another copy repairs itself from this one. What it is told must be durable here: it will know of it.
    pub(super) fn serve(&mut self, from: NodeId, number: u64, ask: &Bytes, out: &mut Out<GroupEffect>) {
        let Ok(ask) = Ask::decode(ask) else { return self.news(News::Senseless { from }) };
        let answer = self.replica.serve(&ask).encode().into();
        let message = GroupMessage::Optimistic(Message::Answer { number, answer });
        if let Some((to, message)) = self.journal.hold(Some(self.covering()), (from, message)) {
            out.effects.push(GroupEffect::Send { group: self.settings.group, to, message });
        }
    }

    /// The answer to the last question. With the last one everything is joined.
    pub(super) fn hear_answer(
        &mut self,
        now: Instant,
        from: NodeId,
        (number, answer): (u64, &Bytes),
        out: &mut Out<GroupEffect>,
    ) {
        let Some(repair) = &mut self.repair else { return };
        if repair.from != from || number != self.question || repair.next.is_some() {
            return;
        }
        repair.bytes += answer.len() as u64;
        let pause = answer.len() as u64 * 1_000_000 / self.settings.repair_bytes_per_second.max(1);
        let at = now + Duration::from_micros(pause);
        let Ok(answer) = Answer::decode(answer) else { return self.give_up_repair(now) };
        match self.replica.pull_step(self.clock, &mut repair.pull, answer) {
            Ok(Next::Ask(ask)) => repair.next = Some((at, ask)),
            Ok(Next::Done(Done { joined, shown }, close)) => {
                let (began, bytes, differing) = (repair.began, repair.bytes, joined.len() as u64);
                self.repair = None;
                self.next_repair = at;
                self.has_caught_up = true;
                self.repairs.count += 1;
                self.repairs.bytes += bytes;
                self.repairs.differing += differing;
                self.unwritten.extend(pieces(&joined.encode().into()));
                self.record(shown);
                // Nobody waits for the answer.
                let message = Message::Ask { number: 0, ask: close.encode().into() };
                out.effects.push(send(self.settings.group, from, message));
                let took = now.since(began);
                self.news(News::Repaired { from, differing, bytes, took });
            }
            Err(_) => self.give_up_repair(now),
        }
    }
}
