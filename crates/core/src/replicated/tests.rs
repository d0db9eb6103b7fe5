use super::*;
use crate::entry::EntryId;
use crate::id::Incarnation;
use crate::machine::{QueryContext, Seen};
use crate::payload::{Builder, Header, Part};

/// Counts, and answers the count. Its state has as many parts as bytes.
#[derive(Debug, Default)]
struct Counter {
    count: u64,
    image: Option<Vec<u8>>,
    arrived: Vec<u8>,
    /// How many bytes the last look was to see.
    looked: std::cell::Cell<usize>,
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
        self.looked.set(bytes);
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
        builder.push(&Batch { id, done_below, part: None, heard: Vec::new(), body: Bytes::new() });
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
    builder.push(&Batch {
        id,
        done_below: 1,
        part: None,
        heard: Vec::new(),
        body: vec![b'x'; 5 * DIGEST_PIECE].into(),
    });
    let entry = Entry { payload: builder.finish(), ..entry(1, &[], 1) };
    let (mut whole, mut sliced) = (fresh(), fresh());
    execute(&mut whole, &entry);
    let slices = crate::Slices::new(1, &pause);
    sliced.execute(&entry, slices.budget(), |_, _| {}).unwrap();
    assert!(pauses.get() >= 5, "{} pauses", pauses.get());
    assert_eq!(sliced.digest(), whole.digest());
}

fn copy(original: &mut Replicated<Counter>, chunk_bytes: usize) -> Result<Replicated<Counter>, RestoreError> {
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

/// An entry with a part of two bytes of batch 1, which has six.
fn part_entry(index: u64, at: u32) -> Entry {
    let id = BatchId { coordinator: Incarnation(7), sequence: 1 };
    let mut builder = Builder::new(Header::default());
    let part = Some(Part { at, of: 6 });
    builder.push(&Batch { id, done_below: 1, part, heard: Vec::new(), body: Bytes::from_static(b"ab") });
    Entry { payload: builder.finish(), ..entry(index, &[], 1) }
}

/// What the only batch of an entry is answered.
fn answer(replicated: &mut Replicated<Counter>, entry: &Entry) -> Answer {
    let mut answers = Vec::new();
    replicated.execute(entry, Budget::ENDLESS, |_, answer| answers.push(answer)).unwrap();
    answers.pop().unwrap()
}

#[test]
fn a_batch_in_parts_is_executed_once_and_with_the_last() {
    let mut replicated = fresh();
    let executed = Answer::Response(Bytes::from_static(&[1]));
    assert_eq!(answer(&mut replicated, &part_entry(1, 0)), Answer::Kept { bytes: 2 });
    assert_eq!(answer(&mut replicated, &part_entry(2, 0)), Answer::Kept { bytes: 2 }, "again");
    assert_eq!(answer(&mut replicated, &part_entry(3, 2)), Answer::Kept { bytes: 4 });
    assert_eq!((replicated.machine().count, replicated.parts.memory()), (0, 4));
    assert_eq!(replicated.memory(), fresh().memory() + replicated.sessions().memory() + 4);
    assert_eq!(answer(&mut replicated, &part_entry(4, 4)), executed);
    assert_eq!(answer(&mut replicated, &part_entry(5, 4)), executed, "again");
    assert_eq!(answer(&mut replicated, &part_entry(6, 0)), executed, "all of it");
    assert_eq!((replicated.machine().count, replicated.parts.memory()), (1, 0));
    // Its coordinator has the answer.
    execute(&mut replicated, &entry(7, &[2], 2));
    assert_eq!(answer(&mut replicated, &part_entry(8, 0)), Answer::Stale);
}

#[test]
fn an_image_holds_what_has_come_in_part() {
    for chunk_bytes in [1, 3, 7, 1_000] {
        let mut original = fresh();
        answer(&mut original, &part_entry(1, 0));
        answer(&mut original, &part_entry(2, 2));
        let mut copy = copy(&mut original, chunk_bytes).unwrap();
        assert_eq!((copy.digest(), copy.memory()), (original.digest(), original.memory()));
        for replicated in [&mut original, &mut copy] {
            assert_eq!(answer(replicated, &part_entry(3, 4)), Answer::Response(Bytes::from_static(&[1])));
        }
        assert_eq!(copy.digest(), original.digest());
    }
}

#[test]
fn what_was_kept_goes_in_the_digest() {
    let (mut whole, mut lacking) = (fresh(), fresh());
    answer(&mut whole, &part_entry(1, 0));
    lacking.side = whole.side.clone();
    answer(&mut whole, &part_entry(2, 2));
    answer(&mut lacking, &part_entry(2, 2));
    assert_ne!(whole.digest(), lacking.digest(), "one copy has lost a part");
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
    let nonsense = [MAGIC.as_slice(), &1u32.to_le_bytes(), &1u64.to_le_bytes(), &[0xff]].concat();
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
    // A bit that no response shows: the count is answered modulo nothing, so only the look at the state finds
    // it.
    damaged.machine.count ^= 1 << 40;
    for index in 1..=8 {
        execute(&mut sound, &entry(index, &[], 1));
        execute(&mut damaged, &entry(index, &[], 1));
    }
    assert_ne!(sound.digest(), damaged.digest());
}

#[test]
fn the_groups_of_a_node_share_what_comparing_may_cost() {
    let looked_after_a_second = |groups| {
        let payload = Builder::new(Header { groups, ..Header::default() }).finish();
        let mut replicated = fresh();
        for index in [1, 1_001] {
            execute(&mut replicated, &Entry { payload: payload.clone(), ..entry(index, &[], 1) });
        }
        replicated.machine.looked.get() as u64
    };
    assert_eq!(looked_after_a_second(1), SCRUB_BYTES_MAX);
    assert_eq!(looked_after_a_second(10), 100 * SCRUB_BYTES_PER_MS);
    assert_eq!(looked_after_a_second(1_000_000), SCRUB_BYTES_MIN);
    assert_eq!(looked_after_a_second(0), looked_after_a_second(1));
}

/// An entry without batches that carries this level.
fn of_level(index: u64, level: u32) -> Entry {
    let payload = Builder::new(Header { level: Level(level), ..Header::default() }).finish();
    Entry { payload, ..entry(index, &[], 1) }
}

#[test]
fn an_entry_is_executed_at_its_level_and_never_below_one_before_it() {
    let mut replicated = fresh().knowing(Levels::through(Level(3)));
    let mut level_after = |entry: &Entry| {
        execute(&mut replicated, entry);
        replicated.level()
    };
    assert_eq!(level_after(&entry(1, &[1], 1)), Level::FIRST);
    assert_eq!(level_after(&of_level(2, 3)), Level(3));
    assert_eq!(level_after(&of_level(3, 2)), Level(3), "of an heir whose table is older");
    let no_op = Entry { payload: Bytes::new(), ..entry(4, &[], 1) };
    assert_eq!(level_after(&no_op), Level(3));
}

#[test]
fn an_entry_of_a_level_that_is_not_known_changes_nothing() {
    let mut replicated = fresh().knowing(Levels::through(Level(2)));
    execute(&mut replicated, &entry(1, &[1], 1));
    let before = (replicated.side.clone(), replicated.machine.count, replicated.level());
    let outcome = replicated.execute(&of_level(2, 3), Budget::ENDLESS, |_, _| {});
    assert!(matches!(outcome, Err(ExecuteError::Level(unknown)) if unknown.level == Level(3)), "{outcome:?}");
    assert_eq!((replicated.side.clone(), replicated.machine.count, replicated.level()), before);
}

#[test]
fn an_image_carries_its_level_and_is_refused_where_that_is_not_known() {
    let mut original = fresh().knowing(Levels::through(Level(2)));
    execute(&mut original, &entry(1, &[1], 1));
    execute(&mut original, &of_level(2, 2));
    original.snapshot_begin();
    let mut image = Vec::new();
    while original.snapshot_read(100, &mut image) {}
    for cut in 1..image.len() {
        let mut newer = fresh().knowing(Levels::through(Level(2)));
        newer.restore(&image[..cut]).unwrap();
        newer.restore(&image[cut..]).unwrap();
        newer.restore_finish().unwrap();
        assert_eq!((newer.level(), newer.digest()), (Level(2), original.digest()));
    }
    let mut older = fresh();
    let error = older.restore(&image).expect_err("it knows the first level only");
    assert!(error.reason.contains("level 2 is in force"), "{error}");
    assert!(older.knows_its_level().is_err());
}

#[test]
fn an_image_from_before_there_were_levels_is_of_the_first() {
    let mut original = fresh();
    execute(&mut original, &entry(1, &[1], 1));
    original.snapshot_begin();
    let mut image = Vec::new();
    while original.snapshot_read(100, &mut image) {}
    // It has no seal either, the last byte of what precedes the machine's image.
    let (length, rest) = image[MAGIC.len() + 4..].split_first_chunk::<8>().expect("a length");
    let length = u64::from_le_bytes(*length) - 1;
    let (side, machine) = rest.split_at(length as usize);
    let older = [WITHOUT_LEVEL.as_slice(), &length.to_le_bytes(), side, &machine[1..]].concat();
    for cut in 1..older.len() {
        let mut restored = fresh();
        restored.restore(&older[..cut]).unwrap();
        restored.restore(&older[cut..]).unwrap();
        restored.restore_finish().unwrap();
        assert_eq!((restored.level(), restored.digest()), (Level::FIRST, original.digest()));
    }
}
