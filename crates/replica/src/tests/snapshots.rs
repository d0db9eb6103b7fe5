//! When a snapshot is taken, and when the log behind it goes.

use super::*;

fn size() -> usize {
    entry(1, 1).size()
}

/// A snapshot is due when the log holds more than four entries.
fn small() -> Config {
    Config { log_bytes_max: 4 * size(), join_lag_max: 0, ..config() }
}

fn takes(index: u64, epoch: u64) -> Effect {
    Effect::TakeSnapshot { at: id(index, epoch), time: Timestamp(0) }
}

fn compacts(ticket: u64, through: EntryId) -> Effect {
    persists(ticket, Write::Compact { through })
}

/// The only member of view 1, with this many entries, all of them committed.
fn alone(entries: u64) -> Subject {
    let mut subject = Subject::leading_with(small(), &view(1, N1, &[N1], &[]));
    for index in 2..=entries {
        subject.propose();
        subject.persisted(index + 1);
    }
    subject
}

#[test]
fn a_snapshot_is_asked_for_when_the_log_has_grown() {
    let mut subject = alone(4);
    subject.propose();
    assert_eq!(subject.persisted(6), [applies(vec![entry(5, 1)]), takes(5, 1)]);
    // Not again while it is being made.
    subject.propose();
    assert_eq!(subject.persisted(7), [applies(vec![entry(6, 1)])]);
    assert_eq!(subject.step(taken(id(5, 1))), [compacts(8, id(5, 1))]);
    assert_eq!(subject.replica.log().base(), id(5, 1));
    assert_eq!(subject.log(), (vec![id(6, 1)], 6, 6));
}

#[test]
fn a_snapshot_that_failed_is_asked_for_again() {
    let mut subject = alone(5);
    assert_eq!(subject.step(Input::SnapshotFailed), []);
    subject.propose();
    assert_eq!(subject.persisted(7), [applies(vec![entry(6, 1)]), takes(6, 1)]);
}

#[test]
fn backups_take_their_own_snapshots_and_compact_at_once() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::told(small(), &view, &[], 0);
    subject.receive(N2, prepare(&view, 1, EntryId::ZERO, entries(&[1, 1, 1, 1, 1]), 4));
    assert_eq!(subject.step(taken(id(4, 1))), [compacts(3, id(4, 1))]);
    // The entry behind is still on its way to the disk.
    assert_eq!(subject.log(), (vec![id(5, 1)], 0, 4));
    subject.persisted(2);
    assert_eq!(subject.log(), (vec![id(5, 1)], 5, 4));
}

#[test]
fn the_time_of_a_snapshot_is_that_of_its_last_entry() {
    let mut subject = alone(4);
    let input = Input::Propose { payload: Bytes::new(), time: Timestamp(99), seed: 0 };
    subject.step(input);
    let effects = subject.persisted(6);
    assert_eq!(effects[1], Effect::TakeSnapshot { at: id(5, 1), time: Timestamp(99) });
    subject.step(Input::SnapshotTaken { snapshot: id(5, 1), time: Timestamp(99), bytes: 0 });
    subject.propose();
    assert_eq!(subject.replica.log().get(Index(6)).unwrap().time, Timestamp(99));
}

#[test]
fn no_snapshot_is_asked_for_while_the_log_has_to_stay() {
    // It would not let anything go, and keep the disk busy that a laggard needs.
    let mut subject = lagging();
    assert_eq!(subject.step(taken(id(5, 1))), []);
    for index in 6..=16 {
        subject.propose();
        subject.persisted(index + 1);
        assert_eq!(subject.receive(N2, ok(1, index)), [applies(vec![entry(index, 1)])]);
    }
}

/// The primary of n2, which has all five entries, and the learner n3, which has none.
fn lagging() -> Subject {
    let mut subject = Subject::leading_with(small(), &view(1, N1, &[N1, N2], &[N3]));
    for index in 2..=5 {
        subject.propose();
        subject.persisted(index + 1);
        subject.receive(N2, ok(1, index));
    }
    subject
}

#[test]
fn the_log_stays_while_somebody_needs_it() {
    let mut subject = lagging();
    assert_eq!(subject.step(taken(id(5, 1))), []);
    assert_eq!(subject.receive(N3, ok(1, 4)), []);
    let effects = subject.receive(N3, ok(1, 5));
    assert_eq!(effects.last(), Some(&compacts(7, id(5, 1))));
}

#[test]
fn the_log_does_not_stay_for_ever() {
    let mut subject = lagging();
    subject.step(taken(id(5, 1)));
    // Four times the bound: sixteen entries.
    for index in 6..=16 {
        subject.propose();
        subject.persisted(index + 1);
        subject.receive(N2, ok(1, index));
        assert_eq!(subject.replica.log().base(), EntryId::ZERO);
    }
    subject.propose();
    subject.persisted(18);
    let effects = subject.receive(N2, ok(1, 17));
    assert_eq!(effects.last(), Some(&compacts(19, id(5, 1))));
}

#[test]
fn the_log_stays_longer_for_who_has_got_much_of_a_snapshot() {
    // What has arrived would be sent again.
    let kept = Recovered { base: id(5, 1), entries: vec![entry(6, 1)], commit: Index(6), state: None };
    let (mut subject, _) = Subject::start(small(), kept);
    subject.announce(&view(2, N1, &[N1], &[N3]));
    subject.persisted(2);
    subject.receive(N3, reject(2, 1, 0, EntryId::ZERO));
    let wanted = 10 * entry(1, 1).size() as u64;
    subject
        .receive(N3, Message::SnapshotAck { view: ViewNumber(2), transfer: 1, snapshot: id(5, 1), wanted });
    subject.step(taken(id(7, 2)));
    for index in 8..=31 {
        subject.propose();
        subject.persisted(index - 5);
        subject.receive(N3, ok(2, 0));
        assert_eq!(subject.replica.log().base(), id(5, 1), "{index}");
    }
    subject.propose();
    subject.persisted(27);
    subject.receive(N3, ok(2, 0));
    assert_eq!(subject.replica.log().base(), id(7, 2));
}

#[test]
fn a_snapshot_older_than_the_newest_changes_nothing() {
    let mut subject = alone(6);
    subject.step(taken(id(5, 1)));
    assert_eq!(subject.step(taken(id(5, 1))), []);
    assert_eq!(subject.step(taken(id(3, 1))), []);
    assert_eq!(subject.replica.log().base(), id(5, 1));
}

#[test]
fn a_restart_finds_its_log_behind_the_snapshot() {
    let entries = vec![entry(6, 1), entry(7, 1)];
    let kept = Recovered { base: id(5, 1), entries: entries.clone(), commit: Index(6), state: None };
    let (subject, effects) = Subject::start(small(), kept);
    // What the snapshot covers is not executed again.
    assert_eq!(effects, [applies(vec![entry(6, 1)])]);
    assert_eq!(subject.log(), (vec![id(6, 1), id(7, 1)], 7, 6));
}
