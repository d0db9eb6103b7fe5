//! What every replica of a group holds, apart from its log: the state machine, the responses that may be asked for again,
//! and a digest of how both came to be.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::budget::Budget;
use crate::entry::Entry;
use crate::id::{BatchId, Index};
use crate::machine::{ApplyContext, Place, RestoreError, StateMachine};
use crate::payload::{self, Batch, PayloadError};
use crate::rules::{Rule, Rules};
use crate::session::{AnswerBounds, Sessions, Verdict};
use crate::time::Timestamp;

/// So much of the state is looked at with an entry (rule P10) for each millisecond since the one before: 2
/// MiB in a second, however many entries it has.
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
const MAGIC: &[u8; 8] = b"1COPYST\x02";
/// Then comes the length of what precedes the machine's own image.
const PREAMBLE_HEADER: usize = MAGIC.len() + 8;

/// A state machine, and what is replicated beside it. The same log gives the same contents at every replica (rule P10).
#[derive(Debug)]
pub struct Replicated<M> {
    machine: M,
    side: Side,
    rules: Rules,
    bounds: AnswerBounds,
    /// What is left to read of the beginning of an image that is being made.
    preamble: Option<Bytes>,
    /// What has arrived of the beginning of an image that is being restored; `None` once it is complete.
    arriving: Option<Vec<u8>>,
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
}

impl<M: StateMachine> Replicated<M> {
    /// Around a machine that has executed nothing.
    #[must_use]
    pub fn new(machine: M, rules: Rules) -> Self {
        let (side, bounds, arriving) = (Side::default(), AnswerBounds::default(), Some(Vec::new()));
        Self { machine, side, rules, bounds, preamble: None, arriving }
    }

    /// The same, which remembers answers within these bounds. They must be the same at every replica.
    #[must_use]
    pub fn bounded(self, bounds: AnswerBounds) -> Self {
        Self { bounds, ..self }
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

    /// Harms the machine behind the back of everything else, as a failing memory would. For those who want to see whether
    /// it is noticed.
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

    /// About how many bytes the machine, and what is replicated beside it, occupy.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.machine.memory() + self.side.sessions.memory()
    }

    /// See [`StateMachine::tidy`].
    pub fn tidy(&mut self) -> bool {
        self.machine.tidy()
    }

    /// Executes a committed entry, in slices as the budget has it. `respond` gets the answer to each of its
    /// batches, in order.
    ///
    /// # Errors
    /// When the payload cannot be decoded, which means that a primary made a wrong entry: the caller must stop.
    pub fn execute(
        &mut self,
        entry: &Entry,
        budget: Budget<'_>,
        mut respond: impl FnMut(BatchId, Answer),
    ) -> Result<(), PayloadError> {
        budget.spend(ENTRY_STEPS);
        let (header, batches) = payload::decode(&entry.payload)?;
        let mut context = ApplyContext {
            index: entry.id.index,
            time: entry.time,
            seed: entry.seed,
            memory_max: header.memory_max,
            memory_beside: self.side.sessions.memory(),
            budget,
        };
        let mut digest = Xxh3::with_seed(self.side.digest);
        digest.update(&entry.id.index.0.to_le_bytes());
        digest.update(&entry.id.epoch.0.to_le_bytes());
        for piece in entry.payload.chunks(DIGEST_PIECE) {
            digest.update(piece);
            budget.spend(piece.len() / BYTES_PER_STEP);
        }
        self.machine.advance(&context);
        for batch in batches {
            let batch = batch?;
            context.memory_beside = self.side.sessions.memory();
            let answer = self.take(&context, &batch);
            for piece in answer.bytes().chunks(DIGEST_PIECE) {
                digest.update(piece);
                budget.spend(piece.len() / DIGEST_BYTES_PER_STEP);
            }
            respond(batch.id, answer);
        }
        self.side.sessions.sweep(entry.id.index, entry.time);
        digest.update(&self.look(entry.time).to_le_bytes());
        self.side.digest = digest.digest();
        Ok(())
    }

    /// Looks at the next part of the state; what was seen. What is looked at is bounded in bytes for each
    /// entry, and for each second.
    fn look(&mut self, now: Timestamp) -> u64 {
        let elapsed = now.0.saturating_sub(std::mem::replace(&mut self.side.last, now).0);
        let bytes = elapsed.saturating_mul(SCRUB_BYTES_PER_MS).clamp(SCRUB_BYTES_MIN, SCRUB_BYTES_MAX);
        let seen = self.machine.scrub(self.side.scrubbed, bytes as usize);
        self.side.scrubbed = seen.next;
        seen.digest
    }

    /// Executes a batch, unless it has been executed before.
    fn take(&mut self, context: &ApplyContext<'_>, batch: &Batch) -> Answer {
        let holds = self.rules.hold(Rule::ExactlyOnce);
        match self.side.sessions.admit(context.index, context.time, batch) {
            Verdict::Repeat(response) if holds => return Answer::Response(response),
            Verdict::Forgotten if holds => return Answer::Forgotten,
            Verdict::Stale if holds => return Answer::Stale,
            Verdict::TooMany => return Answer::Refused,
            _ => {}
        }
        let mut response = Vec::new();
        self.machine.apply(context, &batch.body, &mut response);
        let response = Bytes::from(response);
        let bounds = if self.rules.hold(Rule::BoundedAnswers) { self.bounds } else { AnswerBounds::NONE };
        self.side.sessions.executed(batch, &response, bounds, context.memory_max);
        Answer::Response(response)
    }

    /// Begins a point-in-time image of everything. At most one at a time: an older one is given up.
    pub fn snapshot_begin(&mut self) {
        let side = postcard::to_stdvec(&self.side).expect("sessions always have an encoding");
        let length = (side.len() as u64).to_le_bytes();
        self.preamble = Some([MAGIC.as_slice(), &length, &side].concat().into());
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
        self.machine.snapshot_read(room, chunk)
    }

    /// Gives up the image that was begun, if any.
    pub fn snapshot_abandon(&mut self) {
        self.preamble = None;
        self.machine.snapshot_abandon();
    }

    /// Takes the next piece of an image, cut anywhere. Only before anything was executed.
    ///
    /// # Errors
    /// When the bytes are no such image; this is then of no further use.
    pub fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
        let Some(arriving) = &mut self.arriving else { return self.machine.restore(chunk) };
        arriving.extend_from_slice(chunk);
        if !arriving.iter().zip(MAGIC).all(|(byte, expected)| byte == expected) {
            return Err(RestoreError { reason: "it is no image of this version of Onecopy".to_owned() });
        }
        // No length is too long: E3, a reader takes whatever its writer makes. Nothing is set aside before it
        // has come.
        let Some((header, rest)) = arriving.split_first_chunk::<PREAMBLE_HEADER>() else { return Ok(()) };
        let length = header.last_chunk().map_or(0, |length| u64::from_le_bytes(*length));
        let side = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let Some((side, rest)) = side else { return Ok(()) };
        self.side = postcard::from_bytes(side)
            .map_err(|error| RestoreError { reason: format!("its sessions make no sense: {error}") })?;
        self.side.sessions.count();
        let rest = rest.to_vec();
        self.arriving = None;
        if rest.is_empty() { Ok(()) } else { self.machine.restore(&rest) }
    }

    /// Ends the restoring.
    ///
    /// # Errors
    /// When the image is incomplete.
    pub fn restore_finish(&mut self) -> Result<(), RestoreError> {
        match self.arriving {
            Some(_) => Err(RestoreError { reason: "it ends before its sessions do".to_owned() }),
            None => self.machine.restore_finish(),
        }
    }
}

/// What a batch is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It has been executed, now or before, with this response.
    Response(Bytes),
    /// It was executed before. Its response was too large to be remembered.
    Forgotten,
    /// It was executed before, and its coordinator has the response.
    Stale,
    /// It is not executed: its coordinator has too many batches that it has not confirmed.
    Refused,
}

impl Answer {
    /// What the digest has of it.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Response(response) => response,
            Self::Forgotten => b"forgotten",
            Self::Stale => b"",
            Self::Refused => b"refused",
        }
    }

    /// The response, if there is one.
    #[must_use]
    pub fn response(self) -> Option<Bytes> {
        match self {
            Self::Response(response) => Some(response),
            Self::Forgotten | Self::Stale | Self::Refused => None,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::EntryId;
    use crate::id::Incarnation;
    use crate::machine::{QueryContext, Seen};
    use crate::payload::{Builder, Header};

    /// Counts, and answers the count. Its state has as many parts as bytes.
    #[derive(Debug, Default)]
    struct Counter {
        count: u64,
        image: Option<Vec<u8>>,
        arrived: Vec<u8>,
    }

    impl StateMachine for Counter {
        fn advance(&mut self, _: &ApplyContext<'_>) {}

        fn apply(&mut self, _: &ApplyContext<'_>, _: &[u8], response: &mut Vec<u8>) {
            self.count += 1;
            response.push(u8::try_from(self.count).unwrap());
        }

        fn query(&self, _: &QueryContext<'_>, _: &[u8], _: &mut Vec<u8>) {}

        fn due(&self) -> Option<Timestamp> {
            None
        }

        fn memory(&self) -> u64 {
            8
        }

        fn digest(&self) -> u64 {
            self.count
        }

        fn scrub(&self, from: Place, bytes: usize) -> Seen {
            assert!(bytes as u64 <= SCRUB_BYTES_MAX);
            let next = Place { object: 0, within: (from.within + 1) % 8 };
            Seen { digest: self.count.to_le_bytes()[from.within as usize].into(), next, bytes: 1 }
        }

        fn snapshot_begin(&mut self) {
            self.image = Some(self.count.to_le_bytes().to_vec());
        }

        fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
            let Some(image) = &mut self.image else { return false };
            chunk.extend(image.drain(..image.len().min(bytes_max)));
            !image.is_empty()
        }

        fn snapshot_abandon(&mut self) {
            self.image = None;
        }

        fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
            self.arrived.extend_from_slice(chunk);
            Ok(())
        }

        fn restore_finish(&mut self) -> Result<(), RestoreError> {
            let bytes = self.arrived.as_slice().try_into();
            let bytes = bytes.map_err(|_| RestoreError { reason: "its length is wrong".to_owned() })?;
            self.count = u64::from_le_bytes(bytes);
            Ok(())
        }
    }

    fn fresh() -> Replicated<Counter> {
        Replicated::new(Counter::default(), Rules::default())
    }

    /// An entry with the batches of these numbers, all of one coordinator.
    fn entry(index: u64, sequences: &[u64], done_below: u64) -> Entry {
        let mut builder = Builder::new(Header::default());
        for sequence in sequences {
            let id = BatchId { coordinator: Incarnation(7), sequence: *sequence };
            builder.push(&Batch { id, done_below, body: Bytes::new() });
        }
        Entry { id: EntryId::new(index, 1), time: Timestamp(index), seed: 0, payload: builder.finish() }
    }

    fn execute(replicated: &mut Replicated<Counter>, entry: &Entry) -> Vec<Option<u8>> {
        let mut responses = Vec::new();
        let respond = |_: BatchId, answer: Answer| {
            responses.push(answer.response().map(|response| response[0]));
        };
        replicated.execute(entry, Budget::ENDLESS, respond).unwrap();
        responses
    }

    #[test]
    fn a_large_entry_goes_into_the_digest_bit_by_bit() {
        let pauses = std::cell::Cell::new(0);
        let pause = |_| {
            pauses.set(pauses.get() + 1);
            1
        };
        let mut builder = Builder::new(Header::default());
        let id = BatchId { coordinator: Incarnation(7), sequence: 1 };
        builder.push(&Batch { id, done_below: 1, body: vec![b'x'; 5 * DIGEST_PIECE].into() });
        let entry = Entry { payload: builder.finish(), ..entry(1, &[], 1) };
        let (mut whole, mut sliced) = (fresh(), fresh());
        execute(&mut whole, &entry);
        let slices = crate::Slices::new(1, &pause);
        sliced.execute(&entry, slices.budget(), |_, _| {}).unwrap();
        assert!(pauses.get() >= 5, "{} pauses", pauses.get());
        assert_eq!(sliced.digest(), whole.digest());
    }

    fn copy(
        original: &mut Replicated<Counter>,
        chunk_bytes: usize,
    ) -> Result<Replicated<Counter>, RestoreError> {
        original.snapshot_begin();
        let mut copy = fresh();
        loop {
            let mut chunk = Vec::new();
            let more = original.snapshot_read(chunk_bytes, &mut chunk);
            copy.restore(&chunk)?;
            if !more {
                break;
            }
        }
        copy.restore_finish()?;
        Ok(copy)
    }

    #[test]
    fn a_batch_is_executed_once_and_answered_as_often_as_it_comes() {
        let mut replicated = fresh();
        assert_eq!(execute(&mut replicated, &entry(1, &[1, 2], 1)), [Some(1), Some(2)]);
        assert_eq!(execute(&mut replicated, &entry(2, &[2, 3], 1)), [Some(2), Some(3)]);
        assert_eq!(execute(&mut replicated, &entry(3, &[1], 3)), [None]);
        assert_eq!(replicated.machine().count, 3);
    }

    #[test]
    fn an_image_holds_what_was_answered() {
        for chunk_bytes in [1, 3, 4, 5, 1_000] {
            let mut original = fresh();
            execute(&mut original, &entry(1, &[1, 2], 1));
            let mut copy = copy(&mut original, chunk_bytes).unwrap();
            assert_eq!(copy.digest(), original.digest());
            assert_eq!(execute(&mut copy, &entry(2, &[2], 1)), [Some(2)], "in pieces of {chunk_bytes}");
            execute(&mut original, &entry(2, &[2], 1));
            assert_eq!(copy.digest(), original.digest());
        }
    }

    /// E3: a cluster once refused its own snapshot, for answers that it had remembered without a bound.
    #[test]
    fn an_image_can_be_restored_whatever_was_answered() {
        /// Answers with as many bytes as the body says.
        #[derive(Debug, Default)]
        struct Chatterbox(Counter);

        impl StateMachine for Chatterbox {
            fn advance(&mut self, _: &ApplyContext<'_>) {}
            fn apply(&mut self, context: &ApplyContext<'_>, _: &[u8], response: &mut Vec<u8>) {
                assert!(context.memory_beside < 200 << 20, "what is remembered is bounded, and counts");
                response.resize(600 << 20, b'x');
            }
            fn query(&self, _: &QueryContext<'_>, _: &[u8], _: &mut Vec<u8>) {}
            fn due(&self) -> Option<Timestamp> {
                None
            }
            fn memory(&self) -> u64 {
                8
            }
            fn digest(&self) -> u64 {
                0
            }
            fn snapshot_begin(&mut self) {
                self.0.snapshot_begin();
            }
            fn snapshot_read(&mut self, bytes_max: usize, chunk: &mut Vec<u8>) -> bool {
                self.0.snapshot_read(bytes_max, chunk)
            }
            fn snapshot_abandon(&mut self) {}
            fn restore(&mut self, chunk: &[u8]) -> Result<(), RestoreError> {
                self.0.restore(chunk)
            }
            fn restore_finish(&mut self) -> Result<(), RestoreError> {
                self.0.restore_finish()
            }
        }

        let mut original = Replicated::new(Chatterbox::default(), Rules::default());
        for sequence in 1..=2 {
            original.execute(&entry(sequence, &[sequence], 1), Budget::ENDLESS, |_, _| {}).unwrap();
        }
        assert!(original.memory() < 200 << 20);
        original.snapshot_begin();
        let mut copy = Replicated::new(Chatterbox::default(), Rules::default());
        loop {
            let mut chunk = Vec::new();
            let more = original.snapshot_read(1 << 20, &mut chunk);
            copy.restore(&chunk).unwrap();
            if !more {
                break;
            }
        }
        copy.restore_finish().unwrap();
        assert_eq!((copy.digest(), copy.memory()), (original.digest(), original.memory()));
        let mut answers = Vec::new();
        copy.execute(&entry(3, &[2], 1), Budget::ENDLESS, |_, answer| answers.push(answer)).unwrap();
        assert_eq!(answers, [Answer::Forgotten], "executed once, and it says so");
    }

    #[test]
    fn an_image_is_of_one_point_in_time() {
        let mut original = fresh();
        execute(&mut original, &entry(1, &[1], 1));
        let digest = original.digest();
        original.snapshot_begin();
        execute(&mut original, &entry(2, &[2], 1));
        let mut image = Vec::new();
        while original.snapshot_read(10, &mut image) {}
        let mut copy = fresh();
        copy.restore(&image).unwrap();
        copy.restore_finish().unwrap();
        assert_eq!((copy.digest(), copy.machine().count), (digest, 1));
    }

    #[test]
    fn an_image_that_is_none_is_an_error() {
        assert!(fresh().restore_finish().is_err());
        assert!(fresh().restore(&[0xff; 8]).is_err(), "something else");
        let nonsense = [MAGIC.as_slice(), &1u64.to_le_bytes(), &[0xff]].concat();
        assert!(fresh().restore(&nonsense).is_err(), "sessions that make no sense");
        let mut original = fresh();
        original.snapshot_begin();
        let mut image = Vec::new();
        while original.snapshot_read(100, &mut image) {}
        let mut copy = fresh();
        copy.restore(&image[..image.len() - 1]).unwrap();
        assert!(copy.restore_finish().is_err());
    }

    #[test]
    fn the_digest_tells_other_entries_other_responses_and_other_orders() {
        let after = |entries: &[Entry]| {
            let mut replicated = fresh();
            entries.iter().for_each(|entry| drop(execute(&mut replicated, entry)));
            replicated.digest()
        };
        let usual = after(&[entry(1, &[1], 1), entry(2, &[2], 1)]);
        assert_eq!(usual, after(&[entry(1, &[1], 1), entry(2, &[2], 1)]));
        assert_ne!(usual, after(&[entry(1, &[2], 1), entry(2, &[1], 1)]));
        assert_ne!(usual, after(&[entry(1, &[1], 1)]));
        let mut other = fresh();
        execute(&mut other, &entry(1, &[1], 1));
        other.machine.count = 7;
        execute(&mut other, &entry(2, &[2], 1));
        assert_ne!(usual, other.digest(), "another response");
    }

    #[test]
    fn what_nobody_asks_for_is_looked_at_too() {
        let (mut sound, mut damaged) = (fresh(), fresh());
        // A bit that no response shows: the count is answered modulo nothing, so only the look at the state finds it.
        damaged.machine.count ^= 1 << 40;
        for index in 1..=8 {
            execute(&mut sound, &entry(index, &[], 1));
            execute(&mut damaged, &entry(index, &[], 1));
        }
        assert_ne!(sound.digest(), damaged.digest());
    }
}
