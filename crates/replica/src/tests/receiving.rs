//! A snapshot is received, and takes the place of the log and the state.

use super::*;

const SNAPSHOT: EntryId = EntryId { index: Index(5), epoch: onecopy_core::Epoch(1) };

fn piece(view: u64, chunk: &Chunk) -> Message {
    Message::SnapshotChunk { view: ViewNumber(view), transfer: 1, chunk: chunk.clone() }
}

fn want(view: u64, wanted: u64) -> Message {
    Message::SnapshotAck { view: ViewNumber(view), transfer: 1, snapshot: SNAPSHOT, wanted }
}

fn writes(chunk: &Chunk) -> Effect {
    Effect::WriteSnapshot { chunk: chunk.clone() }
}

fn written(wanted: u64) -> Input {
    Input::SnapshotWritten { snapshot: SNAPSHOT, wanted }
}

fn installs() -> Effect {
    Effect::InstallSnapshot { snapshot: SNAPSHOT, time: Timestamp(0) }
}

fn installed() -> Input {
    Input::SnapshotInstalled { snapshot: SNAPSHOT }
}

/// A learner of view 2 with this log.
fn learner(epochs: &[u64], commit: u64) -> Subject {
    Subject::told(config(), &view(2, N2, &[N2], &[N1]), epochs, commit)
}

/// Ten bytes, twice.
fn pieces() -> (Chunk, Chunk) {
    (chunk(SNAPSHOT, 0, 10, false), chunk(SNAPSHOT, 10, 10, true))
}

/// A learner that has been sent a whole snapshot, and installs it.
fn installing(epochs: &[u64]) -> Subject {
    let mut subject = learner(epochs, 0);
    let (first, second) = pieces();
    subject.receive(N2, piece(2, &first));
    subject.receive(N2, piece(2, &second));
    subject.step(written(10));
    assert_eq!(subject.step(written(20)), [installs(), sends(N2, want(2, 20))]);
    subject
}

#[test]
fn chunks_are_written_in_order_and_acknowledged_when_they_are() {
    let mut subject = learner(&[], 0);
    let (first, second) = pieces();
    assert_eq!(subject.receive(N2, piece(2, &second)), [sends(N2, want(2, 0))]);
    assert_eq!(subject.receive(N2, piece(2, &first)), [writes(&first)]);
    assert_eq!(subject.receive(N2, piece(2, &first)), [sends(N2, want(2, 10))]);
    assert_eq!(subject.receive(N2, piece(2, &second)), [writes(&second)]);
    assert_eq!(subject.step(written(10)), [sends(N2, want(2, 10))]);
    assert_eq!(subject.step(written(20)), [installs(), sends(N2, want(2, 20))]);
}

#[test]
fn an_installed_snapshot_takes_the_place_of_the_log() {
    let mut subject = installing(&[1, 1]);
    assert_eq!(subject.step(installed()), [persists(2, Write::Install { snapshot: SNAPSHOT })]);
    assert_eq!(subject.replica.log().base(), SNAPSHOT);
    // Executed, but not durable in the log: not acknowledged yet.
    assert_eq!(subject.log(), (vec![], 0, 5));
    assert_eq!(subject.persisted(2), [sends(N2, ok(2, 5))]);
    let view = view(2, N2, &[N2], &[N1]);
    let message = prepare(&view, 9, SNAPSHOT, vec![entry(6, 2)], 6);
    assert_eq!(subject.receive(N2, message), [appends(3, vec![entry(6, 2)], 5), applies(vec![entry(6, 2)])]);
}

#[test]
fn nothing_is_executed_while_the_state_is_being_replaced() {
    let mut subject = installing(&[1, 1]);
    let view = view(2, N2, &[N2], &[N1]);
    let message = prepare(&view, 9, id(2, 1), vec![entry(3, 1)], 2);
    let effects = subject.receive(N2, message);
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Apply { .. } | Effect::Persist { .. })));
    assert_eq!(subject.log(), (vec![id(1, 1), id(2, 1)], 2, 0));
}

#[test]
fn a_replica_that_installs_a_snapshot_is_not_silent() {
    let mut subject = installing(&[]);
    let view = view(2, N2, &[N2], &[N1]);
    let heartbeat = prepare(&view, 9, EntryId::ZERO, vec![], 7);
    assert_eq!(subject.receive(N2, heartbeat), [sends(N2, ok(2, 0))]);
}

#[test]
fn a_spoiled_snapshot_is_received_anew() {
    let mut subject = installing(&[]);
    let (first, second) = pieces();
    assert_eq!(subject.step(Input::SnapshotSpoiled { snapshot: SNAPSHOT }), []);
    assert_eq!(subject.receive(N2, piece(2, &second)), [sends(N2, want(2, 0))]);
    assert_eq!(subject.receive(N2, piece(2, &first)), [writes(&first)]);
    // So does one that was still being received.
    assert_eq!(subject.step(Input::SnapshotSpoiled { snapshot: SNAPSHOT }), []);
    assert_eq!(subject.receive(N2, piece(2, &second)), [sends(N2, want(2, 0))]);
    assert_eq!(subject.step(Input::SnapshotSpoiled { snapshot: id(3, 1) }), []);
}

#[test]
fn a_newer_snapshot_takes_the_place_of_one_that_is_being_received() {
    let mut subject = learner(&[], 0);
    let (first, _) = pieces();
    let newer = chunk(id(9, 2), 0, 10, true);
    subject.receive(N2, piece(2, &first));
    assert_eq!(subject.receive(N2, piece(2, &newer)), [writes(&newer)]);
    // The write of the older one is of no interest any more.
    assert_eq!(subject.step(written(10)), []);
    let expected = [
        Effect::InstallSnapshot { snapshot: id(9, 2), time: Timestamp(0) },
        sends(N2, Message::SnapshotAck { view: ViewNumber(2), transfer: 1, snapshot: id(9, 2), wanted: 10 }),
    ];
    assert_eq!(subject.step(Input::SnapshotWritten { snapshot: id(9, 2), wanted: 10 }), expected);
}

#[test]
fn what_is_committed_already_is_not_received() {
    let mut subject = learner(&[1, 1, 1, 1, 1], 5);
    let (first, _) = pieces();
    assert_eq!(subject.receive(N2, piece(2, &first)), [sends(N2, ok(2, 5))]);
}

#[test]
fn a_log_that_holds_what_the_snapshot_covers_is_kept() {
    // This replica has acknowledged #6, and only does not know yet how much of its log is committed. Were the
    // log replaced, an acknowledged entry would be gone.
    let mut subject = learner(&[1, 1, 1, 1, 1, 1], 3);
    let (first, _) = pieces();
    let expected = [applies(vec![entry(4, 1), entry(5, 1)]), sends(N2, ok(2, 5))];
    assert_eq!(subject.receive(N2, piece(2, &first)), expected);
    assert_eq!(subject.replica.log().last(), id(6, 1));
}

#[test]
fn a_log_that_has_overtaken_the_snapshot_is_kept() {
    let mut subject = learner(&[], 0);
    let (first, second) = pieces();
    subject.receive(N2, piece(2, &first));
    subject.receive(N2, piece(2, &second));
    // A new primary, whose log reaches back to the beginning, was faster than the disk of the snapshots.
    let view = view(3, N3, &[N3], &[N1]);
    subject.receive(N3, prepare(&view, 1, EntryId::ZERO, entries(&[1, 1, 1, 1, 1, 1]), 0));
    subject.persisted(2);
    assert_eq!(subject.persisted(3), [sends(N3, ok(3, 6))]);
    let effects = subject.step(written(20));
    assert!(!effects.contains(&installs()), "{effects:?}");
    assert_eq!(subject.replica.log().last(), id(6, 1));
}

#[test]
fn pieces_of_two_primaries_are_never_put_together() {
    let mut subject = learner(&[], 0);
    let (first, second) = pieces();
    subject.receive(N2, piece(2, &first));
    // The images of one state may differ from replica to replica.
    subject.announce(&view(3, N3, &[N3], &[N1]));
    subject.persisted(2);
    assert_eq!(subject.receive(N3, piece(3, &second)), [sends(N3, want(3, 0))]);
    assert_eq!(subject.receive(N3, piece(3, &first)), [writes(&first)]);
}

#[test]
fn a_replica_whose_state_is_being_replaced_does_not_lead() {
    let mut subject = installing(&[1]);
    let second = view(3, N1, &[N1], &[]);
    assert_eq!(subject.announce(&second), [promises(2, &second), becomes(Standing::Retired, &second)]);
    assert_eq!(subject.step(installed()), [persists(3, Write::Install { snapshot: SNAPSHOT })]);
    assert_eq!(subject.replica.standing(), Standing::Retired);
    let third = view(4, N1, &[N1], &[]);
    let expected =
        [promises(4, &third), becomes(Standing::Primary, &third), appends(5, vec![entry(6, 4)], 5)];
    assert_eq!(subject.announce(&third), expected);
}

#[test]
fn a_snapshot_that_was_being_taken_is_given_up_for_one_that_is_installed() {
    let bound = 2 * entry(1, 1).size();
    let takes = |effect: &Effect| matches!(effect, Effect::TakeSnapshot { .. });
    let view = view(2, N2, &[N2], &[N1]);
    let mut subject = Subject::told(Config { log_bytes_max: bound, ..config() }, &view, &[1, 1], 0);
    let effects = subject.receive(N2, prepare(&view, 1, id(2, 1), vec![entry(3, 1)], 3));
    assert!(effects.iter().any(takes));
    let (first, second) = pieces();
    subject.receive(N2, piece(2, &first));
    subject.receive(N2, piece(2, &second));
    subject.step(written(20));
    subject.step(installed());
    // The state that the other was an image of is gone. There will be others.
    let more: Vec<Entry> = (6..=9).map(|index| entry(index, 2)).collect();
    let effects = subject.receive(N2, prepare(&view, 2, SNAPSHOT, more, 9));
    assert!(effects.iter().any(takes), "{effects:?}");
}

#[test]
fn an_installation_that_nobody_waits_for_is_ignored() {
    let mut subject = learner(&[1], 1);
    assert_eq!(subject.step(installed()), []);
    assert_eq!(subject.step(written(10)), []);
    assert_eq!(subject.log(), (vec![id(1, 1)], 1, 1));
}
