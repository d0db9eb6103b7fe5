//! What every replica of a group holds, apart from its log: the state machine, the responses that may be
//! asked for again, what has come of large batches, and a digest of how all that came to be.

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::budget::Budget;
use crate::entry::{Entry, EntryId};
use crate::eviction::{Eviction, Need};
use crate::id::{BatchId, Index};
use crate::level::{Level, Levels, UnknownLevel};
use crate::machine::{ApplyContext, Output, Place, RestoreError, StateMachine};
use crate::parts::{Outline, Parts, Taken};
use crate::payload::{self, Absent, Batch, Batches, PayloadError, Seal};
use crate::rules::{Rule, Rules};
use crate::segments::PARKED;
use crate::session::{AnswerBounds, Sessions, Verdict};
use crate::time::Timestamp;

/// So much of the state is looked at with an entry (rule P10) for each millisecond since the one before: 2
/// MiB in a second, however many entries it has. All groups of a node share it.
const SCRUB_BYTES_PER_MS: u64 = 2 << 10;
/// But so much at least, a few small objects: entries may follow each other faster than milliseconds do.
const SCRUB_BYTES_MIN: u64 = 256;
/// And so much at most, in a single entry after a long rest.
const SCRUB_BYTES_MAX: u64 = 1 << 20;
/// To execute an entry costs so many steps, whatever is in it.
const ENTRY_STEPS: usize = 16;
/// And one more for so many of its bytes.
const BYTES_PER_STEP: usize = 64;
/// An entry, and an answer, goes into the digest in pieces of so many bytes.
const DIGEST_PIECE: usize = 1 << 20;
/// So many bytes go into the digest in one step.
const DIGEST_BYTES_PER_STEP: usize = 1 << 10;
/// An image begins with what it is, in which version.
const MAGIC: &[u8; 8] = b"1COPYST\x05";
/// The version before had no level, which is the first one, and no seal.
const WITHOUT_LEVEL: &[u8; 8] = b"1COPYST\x04";
/// What stands for the level of such an image.
const NO_LEVEL: [u8; 4] = [0; 4];
/// Then comes the level, and how long what precedes the bytes of parts is, and those the machine's own image.
const PREAMBLE_HEADER: usize = MAGIC.len() + 4 + 8;

/// A state machine, and what is replicated beside it. The same log gives the same contents at every replica
/// (rule P10).
#[derive(Debug)]
pub struct Replicated<M> {
    machine: M,
    side: Side,
    /// By the rules of which level the last entry was executed (rule E4).
    level: Level,
    /// By which ones this version can.
    levels: Levels,
    /// What has come of batches that arrive in parts.
    parts: Parts,
    rules: Rules,
    bounds: AnswerBounds,
    /// What is left to read of the beginning of an image that is being made.
    preamble: Option<Bytes>,
    /// What has arrived of the beginning of an image that is being restored; `None` once it is complete.
    arriving: Option<Vec<u8>>,
}

/// A group executes nothing any more, because it is about to be replicated in another way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed {
    /// The number of the switch.
    pub switch: u64,
    /// The last entry that was executed: the seal itself.
    pub at: EntryId,
    /// Its time.
    pub time: Timestamp,
}

/// What is replicated beside the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Side {
    sessions: Sessions,
    /// Over all entries and their responses, in order, and over some of the state with each.
    digest: u64,
    /// Where in the state the next look begins.
    scrubbed: Place,
    /// The time of the last entry.
    last: Timestamp,
    /// If nothing is executed any more: since when, and for the sake of what. It comes last in an image.
    #[serde(skip)]
    sealed: Option<Sealed>,
}

impl<M: StateMachine> Replicated<M> {
    /// Around a machine that has executed nothing.
    #[must_use]
    pub fn new(machine: M, rules: Rules) -> Self {
        let (side, bounds, arriving) = (Side::default(), AnswerBounds::default(), Some(Vec::new()));
        let (parts, level, levels) = (Parts::default(), Level::FIRST, Levels::default());
        Self { machine, side, level, levels, parts, rules, bounds, preamble: None, arriving }
    }

    /// The same, which remembers answers within these bounds. They must be the same at every replica.
    #[must_use]
    pub fn bounded(self, bounds: AnswerBounds) -> Self {
        Self { bounds, ..self }
    }

    /// The same, which can execute by the rules of these levels.
    #[must_use]
    pub fn knowing(self, levels: Levels) -> Self {
        Self { levels, ..self }
    }

    /// The same, around what becomes of the machine.
    #[must_use]
    pub fn around(self, change: impl FnOnce(M) -> M) -> Self {
        Self { machine: change(self.machine), ..self }
    }

    /// By the rules of which level the last entry was executed, and reads are.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether this version can execute what this is about, or restore it.
    ///
    /// # Errors
    /// When it cannot.
    pub fn knows_its_level(&self) -> Result<(), UnknownLevel> {
        self.levels.know(self.level)
    }

    /// Within which bounds it remembers answers.
    #[must_use]
    pub fn bounds(&self) -> AnswerBounds {
        self.bounds
    }

    /// The machine itself.
    #[must_use]
    pub fn machine(&self) -> &M {
        &self.machine
    }

    /// Harms the machine behind the back of everything else, as a failing memory would. For those who want to
    /// see whether it is noticed.
    pub fn damage(&mut self, harm: impl FnOnce(&mut M)) {
        harm(&mut self.machine);
    }

    /// The digest after the last entry: equal at all replicas that have executed it (rule P10).
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.side.digest
    }

    /// What is remembered of coordinators.
    #[must_use]
    pub fn sessions(&self) -> &Sessions {
        &self.side.sessions
    }

    /// Whether it is sealed. Until an entry opens it again, entries change nothing, and their batches are not
    /// executed (rule `SealedIsOver`): the state stays as it was after the seal.
    #[must_use]
    pub fn sealed(&self) -> Option<Sealed> {
        self.side.sealed
    }

    /// About how many bytes the machine, and what is replicated beside it, occupy.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.machine.memory() + self.memory_beside()
    }

    /// What is replicated beside the machine.
    fn memory_beside(&self) -> u64 {
        self.side.sessions.memory() + self.parts.memory()
    }

    /// See [`StateMachine::observe`].
    pub fn observe(&mut self, eviction: Eviction, now: Timestamp) {
        self.machine.observe(eviction, now);
    }

    /// See [`StateMachine::victims`].
    pub fn victims(&mut self, need: Need) -> Bytes {
        self.machine.victims(need)
    }

    /// See [`StateMachine::discard`].
    pub fn discard(&mut self) {
        self.machine.snapshot_abandon();
        self.machine.discard();
    }

    /// See [`StateMachine::tidy`].
    pub fn tidy(&mut self) -> bool {
        self.machine.tidy()
    }

    /// Executes a committed entry, in slices as the budget has it. `respond` gets the answer to each of its
    /// batches, in order; and in between, where they come about, those to batches of earlier entries that
    /// were parked ([`Answer::Late`]).
    ///
    /// # Errors
    /// When the payload cannot be decoded, which means that a primary made a wrong entry, or is of a level
    /// that this version does not know. Nothing has changed then, and the caller must stop.
    pub fn execute(
        &mut self,
        entry: &Entry,
        budget: Budget<'_>,
        mut respond: impl FnMut(BatchId, Answer),
    ) -> Result<(), ExecuteError> {
        budget.spend(ENTRY_STEPS);
        let (header, batches) = payload::decode(&entry.payload)?;
        let is_sealed = self.sealed().is_some() && self.rules.hold(Rule::SealedIsOver);
        if is_sealed && header.seal != Some(Seal::Open) {
            return refuse_all(batches, respond);
        }
        let level = self.enter(header.level)?;
        let context = ApplyContext {
            index: entry.id.index,
            time: entry.time,
            seed: entry.seed,
            level,
            memory_max: header.memory_max,
            memory_beside: self.memory_beside(),
            policy: header.policy,
            victims: &header.victims,
            encodings: header.encodings,
            own_body: None,
            batch: None,
            budget,
        };
        let mut digest = Xxh3::with_seed(self.side.digest);
        digest.update(&entry.id.index.0.to_le_bytes());
        digest.update(&entry.id.epoch.0.to_le_bytes());
        for piece in entry.payload.chunks(DIGEST_PIECE) {
            digest.update(piece);
            budget.spend(piece.len() / BYTES_PER_STEP);
        }
        let mut respond = |id: BatchId, answer: Answer| {
            for piece in answer.bytes().chunks(DIGEST_PIECE) {
                digest.update(piece);
                budget.spend(piece.len() / DIGEST_BYTES_PER_STEP);
            }
            respond(id, answer);
        };
        match &header.absent {
            Absent::Nobody => {}
            _ if !self.rules.hold(Rule::ServeThePresent) => {}
            Absent::Everybody => self.machine.absent(&|_| true),
            Absent::These(these) => self.machine.absent(&|coordinator| these.contains(&coordinator)),
        }
        self.machine.advance(&context);
        self.give(&context, &mut respond);
        for batch in batches {
            let batch = batch?;
            let context = ApplyContext { memory_beside: self.memory_beside(), ..context };
            self.machine.present(&context, batch.id.coordinator);
            self.give(&context, &mut respond);
            let answer = self.take(&context, &batch);
            respond(batch.id, answer);
            self.give(&context, &mut respond);
        }
        let sessions = &mut self.side.sessions;
        if sessions.sweep(entry.id.index, entry.time) {
            self.machine.coordinators_end(&|coordinator| sessions.knows(coordinator));
        }
        self.parts.expire(entry.time);
        digest.update(&self.look(entry.time, header.groups).to_le_bytes());
        self.side.digest = digest.digest();
        match header.seal {
            None => {}
            Some(Seal::Close(switch)) => {
                let (at, time) = (entry.id, entry.time);
                self.side.sealed.get_or_insert(Sealed { switch, at, time });
            }
            Some(Seal::Open) => self.side.sealed = None,
        }
        Ok(())
    }

    /// An entry carries this level; by the rules of which it is executed. Never of a lower one than before:
    /// the state may hold what only the rules of that one understand.
    fn enter(&mut self, carried: Level) -> Result<Level, UnknownLevel> {
        let level = self.level.max(carried);
        if !self.rules.hold(Rule::OneMeaning) {
            return Ok(self.levels.newest);
        }
        self.levels.know(level)?;
        self.level = level;
        Ok(level)
    }

    /// Looks at the next part of the state; what was seen. What is looked at is bounded in bytes for each
    /// entry, and for each second in which `groups` share it.
    fn look(&mut self, now: Timestamp, groups: u32) -> u64 {
        let elapsed = now.0.saturating_sub(std::mem::replace(&mut self.side.last, now).0);
        let share = elapsed.saturating_mul(SCRUB_BYTES_PER_MS) / u64::from(groups.max(1));
        let bytes = share.clamp(SCRUB_BYTES_MIN, SCRUB_BYTES_MAX);
        let seen = self.machine.scrub(self.side.scrubbed, bytes as usize);
        self.side.scrubbed = seen.next;
        seen.digest
    }

    /// Gives batches that were parked what there is for them now.
    fn give(&mut self, context: &ApplyContext<'_>, respond: &mut impl FnMut(BatchId, Answer)) {
        for Output { to, response } in self.machine.outputs() {
            let bounds = self.answer_bounds();
            if self.side.sessions.given(to, &response, bounds, context.memory_max) {
                respond(to, Answer::Late(response));
            }
            if !self.rules.hold(Rule::KeepWhatIsGiven) {
                self.side.sessions.forget_given(to);
            }
        }
    }

    fn answer_bounds(&self) -> AnswerBounds {
        if self.rules.hold(Rule::BoundedAnswers) { self.bounds } else { AnswerBounds::NONE }
    }

    /// Executes a batch, unless it has been executed before, or has not come whole.
    fn take(&mut self, context: &ApplyContext<'_>, batch: &Batch) -> Answer {
        let holds = self.rules.hold(Rule::ExactlyOnce);
        self.parts.confirmed(batch.id.coordinator, batch.done_below);
        match self.side.sessions.admit(context.index, context.time, batch) {
            Verdict::Repeat(response) if holds => return Answer::Response(response),
            Verdict::Forgotten if holds => return Answer::Forgotten,
            Verdict::Parked if holds => return Answer::Parked,
            Verdict::Stale if holds => return Answer::Stale,
            Verdict::TooMany => return Answer::Refused,
            _ => {}
        }
        let body = match batch.part {
            None => batch.body.clone(),
            Some(part) => {
                match self.parts.take((context.time, context.memory_max), batch, part, context.budget) {
                    Taken::Whole(body) => body,
                    Taken::Kept(bytes) => return Answer::Kept { bytes },
                    Taken::NoRoom => return Answer::Refused,
                }
            }
        };
        let own_body = batch.part.map(|_| &body);
        let (memory_beside, id) = (self.memory_beside(), Some(batch.id));
        let context = ApplyContext { memory_beside, own_body, batch: id, ..*context };
        let mut response = Vec::new();
        self.machine.apply(&context, &body, &mut response);
        if response == PARKED.to_le_bytes() {
            self.side.sessions.parked(batch);
            return Answer::Parked;
        }
        let (response, bounds) = (Bytes::from(response), self.answer_bounds());
        self.side.sessions.executed(batch, &response, bounds, context.memory_max);
        Answer::Response(response)
    }

    /// Begins a point-in-time image of everything. At most one at a time: an older one is given up.
    pub fn snapshot_begin(&mut self) {
        let side = (&self.side, self.parts.begin_imaging(), self.side.sealed);
        let side = postcard::to_stdvec(&side).expect("sessions always have an encoding");
        let (level, length) = (self.level.0.to_le_bytes(), (side.len() as u64).to_le_bytes());
        self.preamble = Some([MAGIC.as_slice(), &level, &length, &side].concat().into());
        self.machine.snapshot_begin();
    }

    /// Appends about `bytes_max` bytes of the image to `chunk`. Returns whether there is more to come.
    pub fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
        let mut room = bytes_max;
        if let Some(preamble) = &mut self.preamble {
            room -= preamble.len().min(bytes_max);
            chunk.extend_from_slice(&preamble.split_to(preamble.len().min(bytes_max)));
            if !preamble.is_empty() {
                return true;
            }
            self.preamble = None;
        }
        let before = chunk.len();
        if self.parts.read_image(room, chunk) {
            return true;
        }
        self.machine.snapshot_read(room - (chunk.len() - before), chunk)
    }

    /// Gives up the image that was begun, if any.
    pub fn snapshot_abandon(&mut self) {
        self.preamble = None;
        self.parts.stop_imaging();
        self.machine.snapshot_abandon();
    }

    /// Takes the next piece of an image, cut anywhere. Only before anything was executed.
    ///
    /// # Errors
    /// When the bytes are no such image; this is then of no further use.
    pub fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let Some(arriving) = &mut self.arriving else { return self.restore_rest(chunk) };
        arriving.extend_from_slice(chunk);
        let begins_with = |magic: &[u8]| arriving.iter().zip(magic).all(|(byte, expected)| byte == expected);
        if begins_with(WITHOUT_LEVEL) && arriving.len() >= WITHOUT_LEVEL.len() {
            *arriving = [MAGIC, NO_LEVEL.as_slice(), &arriving[WITHOUT_LEVEL.len()..]].concat();
        } else if !begins_with(MAGIC) && !begins_with(WITHOUT_LEVEL) {
            return Err(RestoreError { reason: "it is no image of this version of Onecopy".to_owned() });
        }
        // No length is too long: E3, a reader takes whatever its writer makes. Nothing is set aside before it
        // has come.
        let Some((header, rest)) = arriving.split_first_chunk::<PREAMBLE_HEADER>() else { return Ok(()) };
        let level = header[MAGIC.len()..].first_chunk().copied().unwrap_or(NO_LEVEL);
        self.level = if level == NO_LEVEL { Level::FIRST } else { Level(u32::from_le_bytes(level)) };
        self.levels.know(self.level).map_err(|unknown| RestoreError { reason: unknown.to_string() })?;
        let length = header.last_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        let side = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let Some((side, rest)) = side else { return Ok(()) };
        let wrong = |error| RestoreError { reason: format!("its sessions make no sense: {error}") };
        let (side, outlines, sealed) = match level == NO_LEVEL {
            true => {
                let (side, outlines): (Side, Vec<Outline>) = postcard::from_bytes(side).map_err(wrong)?;
                (side, outlines, None)
            }
            false => postcard::from_bytes(side).map_err(wrong)?,
        };
        self.side = Side { sealed, ..side };
        self.side.sessions.count();
        self.parts.restore(outlines);
        let rest = rest.to_vec();
        self.arriving = None;
        self.restore_rest(&rest)
    }

    /// Takes what follows the sessions: parts, and then the machine's own image.
    fn restore_rest(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        match self.parts.arrive(chunk) {
            [] => Ok(()),
            rest => self.machine.restore(rest),
        }
    }

    /// Ends the restoring.
    ///
    /// # Errors
    /// When the image is incomplete.
    pub fn restore_finish(&mut self) -> Result<(), RestoreError> {
        match self.arriving {
            Some(_) => Err(RestoreError { reason: "it ends before its sessions do".to_owned() }),
            None if self.parts.awaits_bytes() => {
                Err(RestoreError { reason: "it ends within a batch that came in parts".to_owned() })
            }
            None => self.machine.restore_finish(),
        }
    }
}

/// An entry cannot be executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecuteError {
    /// It makes no sense.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// This version does not know by which rules.
    #[error(transparent)]
    Level(#[from] UnknownLevel),
}

/// The group is sealed: an entry is as if it had never been, and whoever sent its batches hears so.
fn refuse_all(batches: Batches, mut respond: impl FnMut(BatchId, Answer)) -> Result<(), ExecuteError> {
    for batch in batches {
        respond(batch?.id, Answer::Sealed);
    }
    Ok(())
}

/// What a batch is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has been executed, now or before, with this response.
    Response(Bytes),
    /// It has been executed, now or before, and is parked: its response comes with a later entry.
    Parked,
    /// It was executed with an earlier entry, and was parked: this is its response.
    Late(Bytes),
    /// It was executed before. Its response was too large to be remembered.
    Forgotten,
    /// It was executed before, and its coordinator has the response.
    Stale,
    /// It was a part, and nothing was executed: the batch has not come whole.
    Kept {
        /// So many of its bytes are kept. The next part begins there.
        bytes: u32,
    },
    /// It is not executed: its coordinator has too many batches that it has not confirmed, or there is no
    /// room for its parts.
    Refused,
    /// It is not executed: the group is [sealed](Replicated::sealed).
    Sealed,
}

impl Answer {
    /// What the digest has of it.
    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Response(response) | Self::Late(response) => Cow::Borrowed(response),
            Self::Parked => Cow::Borrowed(b"parked"),
            Self::Forgotten => Cow::Borrowed(b"forgotten"),
            Self::Stale => Cow::Borrowed(b""),
            Self::Kept { bytes } => Cow::Owned(bytes.to_le_bytes().to_vec()),
            Self::Refused => Cow::Borrowed(b"refused"),
            Self::Sealed => Cow::Borrowed(b"sealed"),
        }
    }

    /// The response, if there is one.
    #[must_use]
    pub fn response(self) -> Option<Bytes> {
        match self {
            Self::Response(response) | Self::Late(response) => Some(response),
            Self::Parked
            | Self::Forgotten
            | Self::Stale
            | Self::Kept { .. }
            | Self::Refused
            | Self::Sealed => None,
        }
    }
}

/// What replicas compare: what they held after an entry (rule P10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Digest {
    /// The last entry that was executed.
    pub after: Index,
    /// The digest then.
    pub value: u64,
}
