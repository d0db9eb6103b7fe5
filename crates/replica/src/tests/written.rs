//! What is written to the disk for each byte of log, over the life of a state, and what a start would
//! execute.

use super::*;

const MIB: usize = 1 << 20;
/// The default, made small.
const LOG_BYTES: usize = 128 << 10;

/// What has been written.
#[derive(Debug, Default)]
struct Written {
    log: usize,
    snapshots: usize,
    /// How long the log was at most, in proportion to the snapshot before it.
    longest: f64,
}

impl Written {
    fn per_log_byte(&self) -> f64 {
        (self.log + self.snapshots) as f64 / self.log as f64
    }
}

/// The life of the only member of a group, which writes so many bytes. How large the state is then follows
/// from how much it has written, and a snapshot takes as long as it takes to write half as much log.
fn life(bytes: usize, size: impl Fn(usize) -> usize) -> Written {
    let config = Config { log_bytes_max: LOG_BYTES, log_memory_bytes_max: 0, ..config() };
    let mut subject = Subject::leading_with(config, &view(1, N1, &[N1], &[]));
    let mut written = Written { log: entry(1, 1).size(), ..Written::default() };
    let mut image = 0;
    let mut taking: Option<(EntryId, usize, usize)> = None;
    while written.log < bytes {
        let mut effects = subject.propose_bytes(1_000);
        while let Some(effect) = effects.pop() {
            match effect {
                Effect::Persist { ticket, writes } => {
                    written.log += writes.iter().map(Write::size).sum::<usize>();
                    effects.extend(subject.persisted(ticket.0));
                }
                Effect::TakeSnapshot { at, .. } => {
                    let bytes = size(written.log);
                    taking = Some((at, bytes, written.log + bytes / 2));
                }
                _ => {}
            }
        }
        if let Some((at, bytes, _)) = taking.take_if(|(.., end)| *end <= written.log) {
            written.snapshots += bytes;
            image = bytes;
            let taken = Input::SnapshotTaken { snapshot: at, time: Timestamp(0), bytes: bytes as u64 };
            for effect in subject.step(taken) {
                if let Effect::Persist { ticket, .. } = effect {
                    subject.persisted(ticket.0);
                }
            }
        }
        let usual = LOG_BYTES.max(image);
        written.longest = written.longest.max(subject.replica.log().bytes() as f64 / usual as f64);
    }
    written
}

#[test]
fn a_state_that_grows_by_all_that_is_written_costs_three_bytes_for_each_byte_of_log() {
    let written = life(100 * MIB, |log| log);
    assert!(written.per_log_byte() <= 3.0, "{written:?}");
}

#[test]
fn a_large_state_that_stays_as_large_as_it_is_costs_two() {
    // Ten mebibytes are written once, and then over and over again.
    let written = life(200 * MIB, |log| log.min(10 * MIB));
    assert!(written.per_log_byte() <= 2.1, "{written:?}");
}

#[test]
fn a_small_state_costs_little_more_than_its_log() {
    let written = life(20 * MIB, |_| LOG_BYTES / 10);
    assert!(written.per_log_byte() <= 1.2, "{written:?}");
}

#[test]
fn a_state_that_grows_and_shrinks_costs_no_more_than_one_that_grows() {
    // Up to ten mebibytes by what is written, and then all of it is deleted.
    let written = life(200 * MIB, |log| log % (10 * MIB));
    assert!(written.per_log_byte() <= 3.0, "{written:?}");
}

#[test]
fn a_start_executes_little_more_than_it_restores() {
    for size in [0, MIB / 2, 5 * MIB] {
        let written = life(100 * MIB, |log| log.min(size));
        // While a snapshot is made, half as much again is written here, and it may be twice the one before.
        assert!(written.longest <= 2.1, "{size}: {written:?}");
    }
}
