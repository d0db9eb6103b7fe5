//! A primary sends its snapshot to a replica that needs more than the log has.

use onecopy_core::chunks::{CHUNK, WINDOW};

use super::*;

const SNAPSHOT: EntryId = EntryId { index: Index(5), epoch: onecopy_core::Epoch(1) };

fn reads(offset: u64) -> Effect {
    Effect::ReadSnapshot { to: N3, snapshot: SNAPSHOT, offset: offset * CHUNK as u64 }
}

fn found(chunk: Chunk) -> Input {
    Input::SnapshotRead { to: N3, snapshot: chunk.snapshot, chunk: Some(chunk) }
}

fn vanished(snapshot: EntryId) -> Input {
    Input::SnapshotRead { to: N3, snapshot, chunk: None }
}

fn full(offset: u64) -> Chunk {
    chunk(SNAPSHOT, offset * CHUNK as u64, CHUNK, false)
}

fn piece(chunk: Chunk) -> Effect {
    sends(N3, Message::SnapshotChunk { view: ViewNumber(2), transfer: 2, chunk })
}

fn ack(wanted: u64) -> Message {
    let wanted = wanted * CHUNK as u64;
    Message::SnapshotAck { view: ViewNumber(2), transfer: 2, snapshot: SNAPSHOT, wanted }
}

/// The primary of view 2, with a snapshot at #5@1 and the entries #6@1 and #7@2; the learner n3 has nothing,
/// and has just said so; the backup, which was asked first, has no snapshot. Returns what this caused.
fn asked(config: Config) -> (Subject, Vec<Effect>) {
    let kept = Recovered { base: SNAPSHOT, entries: vec![entry(6, 1)], commit: Index(6), state: None };
    let (mut subject, _) = Subject::start(config, kept);
    subject.announce(&view(2, N1, &[N1, N2], &[N3]));
    subject.persisted(2);
    subject.receive(N2, ok(2, 7));
    subject.receive(N3, reject(2, 1, 0, EntryId::ZERO));
    let has_none = Message::ServesSnapshot { view: ViewNumber(2), to: N3, transfer: 1, sends: None };
    let effects = subject.receive(N2, has_none);
    (subject, effects)
}

#[test]
fn a_window_of_chunks_is_read_and_each_acknowledgement_reads_another() {
    let (mut subject, effects) = asked(config());
    assert_eq!(effects, (0..WINDOW).map(reads).collect::<Vec<_>>());
    for offset in 0..WINDOW {
        assert_eq!(subject.step(found(full(offset))), [piece(full(offset))]);
    }
    assert_eq!(subject.receive(N3, ack(1)), [reads(4)]);
    assert_eq!(subject.receive(N3, ack(1)), []);
    assert_eq!(subject.receive(N3, ack(3)), [reads(5), reads(6)]);
}

#[test]
fn nothing_is_read_behind_the_last_chunk() {
    let (mut subject, _) = asked(config());
    let last = chunk(SNAPSHOT, 0, 10, true);
    assert_eq!(subject.step(found(last.clone())), [piece(last)]);
    let ack = Message::SnapshotAck { view: ViewNumber(2), transfer: 2, snapshot: SNAPSHOT, wanted: 10 };
    assert_eq!(subject.receive(N3, ack), []);
}

#[test]
fn entries_wait_until_the_snapshot_has_arrived() {
    let (mut subject, _) = asked(config());
    subject.step(found(chunk(SNAPSHOT, 0, 10, true)));
    let effects = subject.propose();
    let to_n3 = |effect: &Effect| matches!(effect, Effect::Send { to: N3, .. });
    assert!(!effects.iter().any(to_n3));
    // Heartbeats go on, and claim nothing about the log.
    let view = view(2, N1, &[N1, N2], &[N3]);
    assert!(subject.elapse(INTERVAL).contains(&sends(N3, prepare(&view, 2, EntryId::ZERO, vec![], 7))));
    // It has the snapshot: the log goes on from there.
    let rest = vec![entry(6, 1), entry(7, 2), entry(8, 2)];
    assert_eq!(subject.receive(N3, ok(2, 5)), [sends(N3, prepare(&view, 3, SNAPSHOT, rest, 7))]);
}

#[test]
fn a_learner_does_not_join_while_it_receives_a_snapshot() {
    let (mut subject, _) = asked(config());
    subject.receive(N3, ok(2, 1));
    subject.propose();
    subject.persisted(3);
    assert_eq!(subject.receive(N2, ok(2, 8)), [applies(vec![entry(8, 2)])]);
}

#[test]
fn a_transfer_that_does_not_move_is_rewound() {
    let (mut subject, _) = asked(config());
    for offset in 0..WINDOW {
        subject.step(found(full(offset)));
    }
    subject.receive(N3, ack(1));
    subject.elapse(9 * INTERVAL);
    subject.receive(N3, ack(1));
    assert!(!subject.elapse(INTERVAL - 1).contains(&reads(1)));
    // The deadline after the failure timeout.
    let effects = subject.elapse(INTERVAL);
    let again: Vec<&Effect> =
        effects.iter().filter(|effect| matches!(effect, Effect::ReadSnapshot { .. })).collect();
    assert_eq!(again, [&reads(1), &reads(2), &reads(3), &reads(4)]);
}

#[test]
fn a_receiver_that_lost_what_it_had_gets_everything_again() {
    let (mut subject, _) = asked(config());
    subject.receive(N3, ack(2));
    // It was restarted in the middle, and wants the beginning.
    assert_eq!(subject.receive(N3, ack(0)), []);
    let effects = subject.elapse(10 * INTERVAL);
    for offset in 0..WINDOW {
        assert!(effects.contains(&reads(offset)), "{effects:?}");
    }
}

#[test]
fn a_snapshot_that_was_replaced_is_followed_by_the_newer_one() {
    // The log does not wait long for laggards here.
    let config = Config { log_bytes_max: 0, ..config() };
    let (mut subject, _) = asked(config);
    subject.step(taken(id(7, 2)));
    let newer = |offset| {
        let offset = offset * CHUNK as u64;
        Effect::ReadSnapshot { to: N3, snapshot: id(7, 2), offset }
    };
    assert_eq!(subject.step(vanished(SNAPSHOT)), (0..WINDOW).map(newer).collect::<Vec<_>>());
    // The other reads of the old one come back empty as well.
    assert_eq!(subject.step(vanished(SNAPSHOT)), []);
}

#[test]
fn a_snapshot_that_cannot_be_read_is_replaced_and_not_asked_for_in_a_circle() {
    let (mut subject, _) = asked(config());
    let takes = Effect::TakeSnapshot { at: id(7, 2), time: Timestamp(0) };
    assert_eq!(subject.step(vanished(SNAPSHOT)), [takes]);
    for _ in 1..WINDOW {
        assert_eq!(subject.step(vanished(SNAPSHOT)), []);
    }
    assert!(subject.elapse(10 * INTERVAL).contains(&reads(0)), "the disk may have thought better of it");
    subject.step(taken(id(7, 2)));
    let effects = subject.step(vanished(SNAPSHOT));
    assert_eq!(effects[0], Effect::ReadSnapshot { to: N3, snapshot: id(7, 2), offset: 0 });
}

#[test]
fn a_piece_of_a_transfer_that_is_over_goes_nowhere() {
    let (mut subject, _) = asked(config());
    subject.receive(N3, ok(2, 7));
    assert_eq!(subject.step(found(full(0))), []);
    assert_eq!(subject.receive(N3, ack(1)), []);
    subject.announce(&view(3, N2, &[N1, N2], &[N3]));
    assert_eq!(subject.step(found(full(0))), []);
    assert_eq!(subject.step(vanished(SNAPSHOT)), []);
}
