//! The requests of coordinators on their way through a group: taken or refused, proposed or confirmed,
//! executed, answered.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::{Batch, Builder};
use onecopy_core::{Answer, BatchId, Index, Instant, Rule, StateMachine, Timestamp};
use onecopy_replica::{Input, Refusal};

use super::{Asked, Group, GroupEffect, GroupObserver, Origin};
use crate::disk::Out;
use crate::message::{Forward, Kind, Outcome};

/// An entry is closed when its batches have grown to this many bytes; the rest goes into the next one. It has
/// at most as many, and one batch.
pub const ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Entries that only let time pass, and remove what has expired, follow each other no faster, unless a read
/// waits for one: when much expires at once, others write and sync meanwhile.
pub(super) const LAPSE_INTERVAL: Duration = Duration::from_millis(10);

impl<M: StateMachine> Group<M> {
    /// A coordinator hands in a batch. It is answered now if it cannot be taken.
    pub fn offer(&mut self, origin: Origin, forward: Forward, out: &mut Out<GroupEffect>) {
        if let Err(refusal) = self.replication.admit(forward.view) {
            let outcome = match refusal {
                Refusal::NotPrimary(view) => Outcome::NotPrimary(view),
                Refusal::Behind(_) | Refusal::Busy | Refusal::HandingOver => Outcome::Busy,
            };
            return self.answer(origin, outcome, out);
        }
        if self.is_sealed() {
            return self.answer(origin, Outcome::Busy, out);
        }
        if self.will_execute(origin, forward.kind) {
            return self.answer(origin, Outcome::Executing, out);
        }
        match (forward.kind, self.lacks_copies()) {
            (Kind::Read, _) => self.reads.push((origin, forward.body)),
            (Kind::Write | Kind::Wait, Some(outcome)) => self.answer(origin, outcome, out),
            (Kind::Write | Kind::Wait, None) if self.execution.is_full() => {
                self.answer(origin, Outcome::Busy, out);
            }
            (Kind::Write | Kind::Wait, None) => {
                let id = BatchId { coordinator: forward.coordinator, sequence: forward.sequence };
                let Forward { done_below, part, heard, body, .. } = forward;
                let batch = Batch { id, done_below, part, heard, body };
                self.writes.push((origin, batch));
            }
        }
    }

    /// Whether a batch has come before, and nothing but what is executed before it keeps its answer waiting.
    fn will_execute(&self, origin: Origin, kind: Kind) -> bool {
        match kind {
            Kind::Read => self.executing.contains(&origin),
            Kind::Write | Kind::Wait if !self.execution.is_behind() => false,
            Kind::Write | Kind::Wait => {
                let (committed, _) = self.committed();
                let settled = self.proposed.iter().take_while(|(index, _)| *index <= committed);
                settled.flat_map(|(_, origins)| origins).any(|known| *known == origin)
            }
        }
    }

    /// What is said of writes while the view has too few members (rule `EnoughCopies`).
    pub(super) fn lacks_copies(&self) -> Option<Outcome> {
        let has = self.replication.view().map_or(0, |view| view.members.len() as u32);
        let needs = self.min_copies();
        let lacks = has < needs && self.rules.hold(Rule::EnoughCopies);
        lacks.then_some(Outcome::TooFewCopies { has, needs })
    }

    /// The coordinator of this node hands in a batch of reads that this replica may answer although it is not
    /// the primary (rule L5). Whether it still may is looked at when the turn ends.
    pub fn offer_read(&mut self, origin: Origin, body: Bytes, out: &mut Out<GroupEffect>) {
        if self.will_execute(origin, Kind::Read) {
            return self.answer(origin, Outcome::Executing, out);
        }
        if self.is_sealed() {
            return self.refuse(origin, out);
        }
        self.counters.reads_as_backup += 1;
        self.reads.push((origin, body));
    }

    /// Whether requests wait to be taken or refused: until the end of the turn in which they came.
    #[must_use]
    pub fn has_requests(&self) -> bool {
        !(self.writes.is_empty() && self.reads.is_empty())
    }

    /// Proposes as many of the waiting writes as one entry takes; without any, an entry that lets time move
    /// on.
    pub(super) fn propose(
        &mut self,
        now: Instant,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let bytes = self.writes.iter().map(|(_, batch)| batch.body.len()).sum::<usize>().min(ENTRY_BYTES_MAX);
        let mut builder = Builder::new(self.header(bytes));
        let mut count = 0;
        for (_, batch) in &self.writes {
            builder.push(batch);
            count += 1;
            if builder.size() >= ENTRY_BYTES_MAX {
                break;
            }
        }
        let origins: Vec<Origin> = self.writes.drain(..count).map(|(origin, _)| origin).collect();
        self.counters.batches += origins.len() as u64;
        self.next_scrub = now + self.scrub_interval.unwrap_or_default();
        self.next_lapse = now + LAPSE_INTERVAL;
        let seed = self.seed();
        match self.replication.propose(now, builder.finish(), self.clock, seed) {
            Some(id) => {
                self.entry_time.made(now, self.clock);
                self.proposed.push_back((id.index, origins));
                self.parked.absent_said();
            }
            None => {
                let view = self.replication.view().cloned();
                let refuse = |origin| self.answer(origin, Outcome::NotPrimary(view.clone()), out);
                origins.into_iter().for_each(refuse);
            }
        }
        self.carry_out(now, observer, out);
    }

    /// Asks for a confirmation of the view, for all reads of the turn. `due`: something has expired by the
    /// clock.
    pub(super) fn confirm(
        &mut self,
        now: Instant,
        due: bool,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let reads = std::mem::take(&mut self.reads);
        self.counters.reads += reads.len() as u64;
        if self.replication.reads_as_backup(now) {
            return reads.into_iter().for_each(|read| self.read_as_backup(now, read, observer, out));
        }
        // What has expired by the clock must not show: the entry that says so is at the end of the log.
        let at_least = if due { self.replication.log().last().index } else { Index(0) };
        let asked = Asked { reads, time: Timestamp(0) };
        self.ask(now, asked, Input::Read { token: self.next_token, at_least, touched: None }, observer, out);
    }

    /// A batch waits for what touches its keys alone, whatever the other batches of the turn wait for.
    fn read_as_backup(
        &mut self,
        now: Instant,
        read: (Origin, Bytes),
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let log = self.replication.log();
        let touched = match self.state.here().map(|state| state.machine()) {
            Some(machine) => {
                self.dirty.last_touching(log, self.applied, self.rules, machine, (self.clock, &read.1))
            }
            // Nobody can look into the machine now, so it may be about anything.
            None => log.last().index,
        };
        // The answer is that of the log's end: who asks how long a key lives must not hear that it lives
        // longer than others have heard.
        let time = log.get(log.last().index).map_or(Timestamp(0), |entry| entry.time);
        let input = Input::Read { token: self.next_token, at_least: Index(0), touched: Some(touched) };
        self.ask(now, Asked { reads: vec![read], time }, input, observer, out);
    }

    fn ask(
        &mut self,
        now: Instant,
        asked: Asked,
        input: Input,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        self.confirming.insert(self.next_token, asked);
        self.next_token += 1;
        self.step(now, input, observer, out);
    }

    /// The entry at `index` has been executed, with these answers to its batches: those who asked for it hear
    /// of them.
    pub(super) fn answer_writes(
        &mut self,
        index: Index,
        answers: Vec<(BatchId, Answer)>,
        out: &mut Out<GroupEffect>,
    ) {
        self.counters.entries += 1;
        let asked = self.proposed.pop_front_if(|(proposed, _)| *proposed == index);
        // What was proposed to more members is executed, but is not answered before there are as many again:
        // the batch comes again until then, and is not executed again.
        let is_answered = self.lacks_copies().is_none();
        let mut origins = asked.map(|(_, origins)| origins).unwrap_or_default().into_iter();
        for (id, answer) in answers {
            let origin = match &answer {
                Answer::Late(_) => self.parked.given(id, self.clock_read),
                _ => origins.next(),
            };
            let Some(origin) = origin else { continue };
            let outcome = match answer {
                Answer::Late(_) if !is_answered => continue,
                Answer::Late(response) => Outcome::Done { response, as_of: index },
                Answer::Refused | Answer::Sealed => Outcome::Busy,
                Answer::Kept { bytes } => Outcome::Kept { bytes },
                _ if !is_answered => Outcome::Unknown,
                Answer::Parked => {
                    self.parked.park(id, origin);
                    Outcome::Parked
                }
                Answer::Response(response) => Outcome::Done { response, as_of: index },
                Answer::Forgotten => Outcome::Forgotten,
                // One that was executed before its coordinator said that it has the answer is a delayed
                // copy.
                Answer::Stale => Outcome::Unknown,
            };
            self.answer(origin, outcome, out);
        }
    }

    /// Reads may be answered once the log is executed through here.
    pub(super) fn read_ready(&mut self, token: u64, through: Index, out: &mut Out<GroupEffect>) {
        let Some(asked) = self.confirming.remove(&token) else { return };
        if self.is_sealed() {
            return asked.reads.into_iter().for_each(|(origin, _)| self.refuse(origin, out));
        }
        self.executing.extend(asked.reads.iter().map(|(origin, _)| *origin));
        if through <= self.applied || !self.rules.hold(Rule::ExecuteBeforeReading) {
            self.execution.read_next(asked);
        } else {
            self.execution.await_execution(through, token, asked);
        }
    }

    pub(super) fn refuse_reads(&mut self, token: u64, out: &mut Out<GroupEffect>) {
        if let Some(asked) = self.confirming.remove(&token) {
            asked.reads.into_iter().for_each(|(origin, _)| self.refuse(origin, out));
        }
    }

    /// Refuses what waits for execution: what it would see is of no use.
    pub(super) fn refuse_waiting_reads(&mut self, out: &mut Out<GroupEffect>) {
        self.execution.forget_reads().for_each(|origin| self.refuse(origin, out));
    }

    pub(super) fn refuse(&mut self, origin: Origin, out: &mut Out<GroupEffect>) {
        self.executing.remove(&origin);
        let outcome = Outcome::NotPrimary(self.replication.view().cloned());
        self.answer(origin, outcome, out);
    }
}
