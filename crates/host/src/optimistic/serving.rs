//! The requests of clients: executed at once, answered when what they did is durable.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use onecopy_core::payload::Part;
use onecopy_core::{Incarnation, Index, Instant, Rule, Ticket};
use onecopy_merge::{Dot, Question, ReplicaId};
use rand_chacha::rand_core::Rng;

use super::OptimisticCopy;
use super::waits::WAITS_MAX;
use crate::disk::Out;
use crate::group::{GroupEffect, Origin};
use crate::message::{Forward, Kind, Outcome};

/// A turn executes batches until they have so many bytes, and one in any case.
const TURN_BYTES_MAX: usize = 1 << 20;
/// While so many bytes of answers and of updates wait for the disk, nothing more is taken.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// Batches that come in parts have so many bytes together when they are whole, or there is one.
const PARTS_BYTES_MAX: usize = 1 << 30;
/// A batch that has not grown for so long is given up. Coordinators try for seconds.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// How a copy says to a simulator's checks, in the place of an entry, which of its updates was the last.
const WITNESS_BITS: u32 = 40;

fn witness(dot: Dot) -> Index {
    Index(dot.replica.0 << WITNESS_BITS | dot.counter)
}

/// The last update of the copy that gave an answer, see [`Outcome::Done`]: a witness for a simulator's
/// checks.
#[must_use]
pub fn witnessed(as_of: Index) -> Dot {
    Dot::new(ReplicaId(as_of.0 >> WITNESS_BITS), as_of.0 & ((1 << WITNESS_BITS) - 1))
}

/// What has come of a batch in parts.
#[derive(Debug)]
struct Parts {
    of: usize,
    bytes: BytesMut,
    /// When it last grew.
    grown: Instant,
}

/// An answer that waits.
#[derive(Debug)]
pub(super) struct Waiting {
    /// For this to be durable.
    ticket: Ticket,
    /// The update that was made; 0 if none was.
    pub(super) update: u64,
    pub(super) origin: Origin,
    coordinator: Incarnation,
    sequence: u64,
    pub(super) outcome: Outcome,
    bytes: usize,
}

/// The requests of one copy.
#[derive(Debug, Default)]
pub(super) struct Serving {
    /// What has been handed in, in this turn.
    arrived: VecDeque<(Origin, Forward)>,
    parts: BTreeMap<(Incarnation, u64), Parts>,
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Serving {
    /// Whether there is something to execute.
    pub(super) fn has_arrivals(&self) -> bool {
        !self.arrived.is_empty()
    }

    /// Whether something was taken that is not answered yet.
    pub(super) fn is_busy(&self) -> bool {
        self.has_arrivals() || !self.waiting.is_empty()
    }

    /// Takes a part of a batch: all of it, if that was the last one, or how many bytes are kept.
    fn collect(
        &mut self,
        now: Instant,
        id: (Incarnation, u64),
        part: Part,
        body: &Bytes,
    ) -> Result<Bytes, Outcome> {
        let of = part.of as usize;
        if part.at == 0 {
            self.parts.remove(&id);
            let reserved: usize = self.parts.values().map(|parts| parts.of).sum();
            if of > PARTS_BYTES_MAX || reserved > 0 && reserved + of > PARTS_BYTES_MAX {
                return Err(Outcome::Busy);
            }
            self.parts.insert(id, Parts { of, bytes: BytesMut::new(), grown: now });
        }
        let Some(parts) = self.parts.get_mut(&id).filter(|parts| parts.of == of) else {
            return Err(Outcome::Kept { bytes: 0 });
        };
        if parts.bytes.len() == part.at as usize {
            parts.bytes.extend_from_slice(body);
            parts.grown = now;
        }
        if parts.bytes.len() < of {
            // It is less than the whole, whose length is such a number.
            return Err(Outcome::Kept { bytes: parts.bytes.len() as u32 });
        }
        Ok(self.parts.remove(&id).map(|parts| parts.bytes.freeze()).unwrap_or_default())
    }

    /// Gives up batches whose coordinators have.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.parts.retain(|_, parts| now.since(parts.grown) < SILENCE_MAX);
    }
}

impl OptimisticCopy {
    /// A coordinator hands in a batch. It is answered now if it cannot be taken.
    pub fn offer(&mut self, origin: Origin, mut forward: Forward, out: &mut Out<GroupEffect>) {
        let answer = |copy: &Self, outcome, out: &mut Out<GroupEffect>| copy.answer(origin, outcome, out);
        let is_full = self.unsynced + self.serving.bytes > WAITING_BYTES_MAX || self.waits.len() >= WAITS_MAX;
        let is_full = is_full || self.holds_many();
        if !self.serves() || is_full {
            return answer(self, Outcome::Busy, out);
        }
        if forward.kind != Kind::Read
            && let Some(outcome) = self.sessions.admit(&forward)
        {
            return answer(self, outcome, out);
        }
        if forward.kind == Kind::Write
            && let Some(outcome) = self.too_few()
        {
            return answer(self, outcome, out);
        }
        if let Some(part) = forward.part.take() {
            let id = (forward.coordinator, forward.sequence);
            self.serving.parts.retain(|(coordinator, sequence), _| {
                *coordinator != forward.coordinator || *sequence >= forward.done_below
            });
            match self.serving.collect(self.now, id, part, &forward.body) {
                Ok(body) => forward.body = body,
                Err(outcome) => return answer(self, outcome, out),
            }
        }
        if forward.kind != Kind::Read {
            self.sessions.executed(forward.coordinator, forward.sequence);
        }
        self.serving.arrived.push_back((origin, forward));
    }

    /// Executes what has arrived, as much as a turn takes.
    pub(super) fn execute(&mut self, out: &mut Out<GroupEffect>) {
        let mut executed = 0;
        while executed < TURN_BYTES_MAX
            && let Some((origin, forward)) = self.serving.arrived.pop_front()
        {
            let Forward { coordinator, sequence, kind, body, .. } = forward;
            let asked = (kind == Kind::Wait).then(|| Question::of(&body, self.settings.group)).flatten();
            if let Some(question) = asked {
                self.ask_about_others(question, (origin, coordinator, sequence), out);
                continue;
            }
            let before = self.replica.clock().seen_of(self.life());
            let response = self.run(&body);
            executed += body.len() + response.len();
            let last = self.replica.clock().seen_of(self.life());
            let (as_of, update) =
                (witness(Dot::new(self.life(), last)), if last > before { last } else { 0 });
            self.let_wait((origin, coordinator, sequence), Outcome::Done { response, as_of }, update);
        }
        let durable = if self.rules.hold(Rule::NoUpdateLost) { self.synced } else { Ticket(u64::MAX) };
        self.answer_durable(durable, out);
    }

    fn run(&mut self, body: &Bytes) -> Bytes {
        let (mut response, mut made) = (Vec::new(), Vec::new());
        let chance = &mut self.chance;
        let mut draw = || chance.next_u64();
        self.requests.answer(&mut self.replica, (self.clock, &mut draw), body, &mut response, &mut made);
        self.record(made);
        response.into()
    }

    /// An answer waits until everything that has been shown so far is durable: also what only reads has seen
    /// what is being written.
    pub(super) fn let_wait(
        &mut self,
        (origin, coordinator, sequence): (Origin, Incarnation, u64),
        outcome: Outcome,
        update: u64,
    ) {
        let ticket = self.covering();
        let bytes = match &outcome {
            Outcome::Done { response, .. } => response.len(),
            _ => 0,
        };
        self.serving.bytes += bytes;
        self.serving.waiting.push_back(Waiting {
            ticket,
            update,
            origin,
            coordinator,
            sequence,
            outcome,
            bytes,
        });
    }

    /// Answers those whose updates are durable.
    pub(super) fn answer_durable(&mut self, durable: Ticket, out: &mut Out<GroupEffect>) {
        while let Some(waiting) = self.serving.waiting.pop_front_if(|waiting| waiting.ticket <= durable) {
            self.answer_when_enough(waiting, out);
        }
    }

    /// Gives an answer.
    pub(super) fn give(&mut self, answer: Waiting, out: &mut Out<GroupEffect>) {
        let Waiting { origin, coordinator, sequence, outcome, bytes, .. } = answer;
        self.serving.bytes -= bytes;
        self.sessions.answered(coordinator, sequence, &outcome);
        self.answer(origin, outcome, out);
    }

    pub(super) fn answer(&self, origin: Origin, outcome: Outcome, out: &mut Out<GroupEffect>) {
        out.effects.push(GroupEffect::Answer { group: self.settings.group, origin, outcome });
    }
}
