//! The adoption of views: rules P3, P9 and P11.

use onecopy_core::Rule;

use super::*;

#[test]
fn a_fresh_replica_is_outside_and_waits_for_nothing() {
    let mut subject = Subject::fresh();
    assert_eq!(subject.replica.standing(), Standing::Outside);
    assert_eq!(subject.replica.view_number(), ViewNumber(0));
    assert_eq!(subject.replica.deadline(), None);
    assert_eq!(subject.elapse(10_000), []);
}

#[test]
fn a_backup_promises_a_view_before_it_speaks_in_it() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::fresh();
    assert_eq!(subject.announce(&view), [promises(1, &view), becomes(Standing::Backup, &view)]);
    // P3: the answer waits for the promise.
    let heartbeat = prepare(&view, 1, EntryId::ZERO, vec![], 0);
    assert_eq!(subject.receive(N2, heartbeat.clone()), [holds(N2, ok(1, 0), 1)]);
    assert_eq!(subject.receive(N2, confirm(1, 1)), [holds(N2, confirmed(1, 1), 1)]);
    assert_eq!(subject.persisted(1), []);
    assert_eq!(subject.receive(N2, heartbeat), [sends(N2, ok(1, 0))]);
}

#[test]
fn a_prepare_of_a_newer_view_is_its_announcement() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::fresh();
    let message = prepare(&view, 1, EntryId::ZERO, entries(&[1]), 0);
    let expected = [promises(1, &view), becomes(Standing::Backup, &view), appends(2, entries(&[1]), 0)];
    assert_eq!(subject.receive(N2, message), expected);
    assert_eq!(subject.persisted(1), []);
    assert_eq!(subject.persisted(2), [sends(N2, ok(1, 1))]);
}

#[test]
fn a_new_primary_opens_its_view_with_a_noop() {
    let view = view(2, N1, &[N1, N2], &[N3]);
    let (mut subject, _) = Subject::start(config(), recovered(None, &[1, 1], 1));
    // P7, and P3: nothing leaves before the promise is durable.
    let opening = |sequence| prepare(&view, sequence, id(2, 1), vec![entry(3, 2)], 1);
    let expected = [
        promises(1, &view),
        becomes(Standing::Primary, &view),
        appends(2, vec![entry(3, 2)], 1),
        holds(N2, opening(1), 1),
        holds(N3, opening(1), 1),
    ];
    assert_eq!(subject.announce(&view), expected);
    assert_eq!(subject.log(), (vec![id(1, 1), id(2, 1), id(3, 2)], 2, 1));
}

#[test]
fn a_view_is_adopted_once_and_never_back() {
    let (first, second) = (view(1, N1, &[N1, N2], &[]), view(2, N2, &[N1, N2], &[]));
    let mut subject = Subject::told(config(), &second, &[], 0);
    assert_eq!(subject.announce(&second), []);
    assert_eq!(subject.announce(&first), []);
    assert_eq!(subject.receive(N3, Message::NewerView { view: first }), []);
    assert_eq!(subject.replica.view(), Some(&second));
}

#[test]
fn a_replica_that_heard_of_its_view_too_late_is_told_by_others() {
    let (first, third) = (view(1, N1, &[N1, N2], &[]), view(3, N2, &[N1, N2], &[]));
    let mut subject = Subject::leading(&first);
    let effects = subject.receive(N2, Message::NewerView { view: third.clone() });
    assert_eq!(effects, [promises(3, &third), becomes(Standing::Backup, &third)]);
}

#[test]
fn messages_of_older_views_are_refused_with_the_newer_one() {
    let (old, new) = (view(1, N2, &[N1, N2, N3], &[]), view(2, N3, &[N1, N2, N3], &[]));
    let mut subject = Subject::fresh();
    subject.announce(&new);
    // P3: neither counted nor confirmed. The refusal is a message of the new view, and waits for its promise.
    let messages = [
        prepare(&old, 1, EntryId::ZERO, entries(&[1]), 1),
        confirm(1, 1),
        Message::SnapshotChunk { view: ViewNumber(1), transfer: 1, chunk: chunk(id(5, 1), 0, 10, true) },
    ];
    for message in messages {
        let refusal = Message::NewerView { view: new.clone() };
        assert_eq!(subject.receive(N2, message), [holds(N2, refusal, 1)]);
    }
    assert_eq!(subject.log(), (vec![], 0, 0));
}

#[test]
fn what_is_said_in_an_unknown_view_has_to_come_again() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::told(config(), &view, &[], 0);
    assert_eq!(subject.receive(N2, confirm(2, 1)), []);
    let chunk = chunk(id(5, 1), 0, 10, true);
    assert_eq!(subject.receive(N2, Message::SnapshotChunk { view: ViewNumber(2), transfer: 1, chunk }), []);
}

#[test]
fn only_the_primary_of_the_view_is_followed() {
    let view = view(1, N2, &[N1, N2, N3], &[]);
    let mut subject = Subject::told(config(), &view, &[], 0);
    assert_eq!(subject.receive(N3, prepare(&view, 1, EntryId::ZERO, entries(&[1]), 1)), []);
    assert_eq!(subject.receive(N3, confirm(1, 1)), []);
    let chunk = chunk(id(5, 1), 0, 10, true);
    // Other members may send snapshots.
    assert_eq!(subject.receive(N4, Message::SnapshotChunk { view: ViewNumber(1), transfer: 1, chunk }), []);
    assert_eq!(subject.log(), (vec![], 0, 0));
}

#[test]
fn answers_of_another_view_count_for_nothing() {
    let mut subject = Subject::told(config(), &view(2, N1, &[N1, N2], &[]), &[1], 0);
    subject.persisted(2);
    for message in [ok(1, 2), reject(1, 1, 0, EntryId::ZERO), confirmed(1, 1), ok(3, 2)] {
        assert_eq!(subject.receive(N2, message), []);
    }
    assert_eq!(subject.replica.commit(), Index(0));
    assert_eq!(subject.replica.acknowledged(), [(N2, Index(0))]);
}

#[test]
fn a_replica_is_a_member_only_in_the_very_life_that_the_view_names() {
    // P9: the view names another incarnation of this node.
    for mut view in [view(1, N1, &[N1, N2], &[]), view(1, N2, &[N1, N2], &[]), view(1, N2, &[N2], &[N1])] {
        let other = Member { node: N1, incarnation: Incarnation(99) };
        for replica in view.members.iter_mut().chain(&mut view.learners).filter(|member| member.node == N1) {
            *replica = other;
        }
        let mut subject = Subject::fresh();
        assert_eq!(subject.announce(&view), [promises(1, &view), becomes(Standing::Outside, &view)]);
        assert_eq!(subject.receive(N2, prepare(&view, 1, EntryId::ZERO, entries(&[1]), 1)), []);
        assert_eq!(subject.receive(N2, confirm(1, 1)), []);
        assert_eq!(subject.propose(), [Effect::Refused]);
    }
}

#[test]
fn a_replica_that_is_not_in_the_view_keeps_the_promise_all_the_same() {
    let (first, second) = (view(1, N2, &[N1, N2], &[]), view(2, N2, &[N2], &[]));
    let mut subject = Subject::told(config(), &first, &[], 0);
    assert_eq!(subject.announce(&second), [promises(2, &second), becomes(Standing::Outside, &second)]);
    let late = prepare(&first, 1, EntryId::ZERO, entries(&[1]), 0);
    let refusal = Message::NewerView { view: second };
    assert_eq!(subject.receive(N2, late), [holds(N2, refusal, 2)]);
}

#[test]
fn a_restarted_primary_is_retired_until_a_view_for_its_boot() {
    let first = view(1, N1, &[N1, N2], &[]);
    let second_life = Config { boot: BootNumber(2), ..config() };
    // P11: the promise on disk was made by an earlier boot.
    let (mut subject, effects) = Subject::start(second_life, recovered(Some(&first), &[1, 1], 1));
    assert_eq!(effects, [applies(entries(&[1])), becomes(Standing::Retired, &first)]);
    assert_eq!(subject.propose(), [Effect::Refused]);
    assert_eq!(subject.read(1), [Effect::ReadRefused { token: 1 }]);
    assert_eq!(subject.receive(N2, ok(1, 2)), []);
    assert_eq!(subject.elapse(10_000), []);
    assert_eq!(subject.replica.deadline(), None);
    // Nor does a newer view that was made for the boot before.
    let second = view(2, N1, &[N1, N2], &[]);
    assert_eq!(subject.announce(&second), [promises(1, &second), becomes(Standing::Retired, &second)]);
    let third = View { boot: BootNumber(2), ..view(3, N1, &[N1, N2], &[]) };
    let expected = [
        promises(2, &third),
        becomes(Standing::Primary, &third),
        appends(3, vec![entry(3, 3)], 1),
        holds(N2, prepare(&third, 1, id(2, 1), vec![entry(3, 3)], 1), 2),
    ];
    assert_eq!(subject.announce(&third), expected);
}

#[test]
fn a_restarted_backup_goes_on_from_its_promise() {
    let view = view(3, N2, &[N1, N2], &[]);
    let second_life = Config { boot: BootNumber(2), ..config() };
    let (mut subject, effects) = Subject::start(second_life, recovered(Some(&view), &[1, 1, 3], 2));
    assert_eq!(effects, [applies(entries(&[1, 1])), becomes(Standing::Backup, &view)]);
    // The promise is on disk: nothing waits for it. What it may not agree to is not acknowledged.
    assert_eq!(subject.receive(N2, prepare(&view, 1, EntryId::ZERO, vec![], 0)), [sends(N2, ok(3, 2))]);
    assert_eq!(subject.receive(N2, prepare(&view, 2, id(3, 3), vec![], 0)), [sends(N2, ok(3, 3))]);
}

#[test]
fn a_promise_that_makes_no_sense_stops_the_start() {
    let mut invalid = view(1, N1, &[N1, N2], &[]);
    invalid.primary = N3;
    for state in [Bytes::from_static(b"\xff\xff"), promise(&invalid, 0)] {
        let kept = Recovered { state: Some(state), ..Recovered::default() };
        let started = Replica::new(config(), kept, Base::default(), Instant::ZERO, &mut Vec::new());
        assert!(started.is_err());
    }
}

#[test]
fn requests_are_admitted_by_the_primary_alone() {
    let (first, second) = (view(1, N1, &[N1, N2], &[]), view(2, N2, &[N1, N2], &[]));
    let mut subject = Subject::fresh();
    // P2: every other replica names the view that it knows.
    assert_eq!(subject.replica.admit(ViewNumber(0)), Err(Refusal::NotPrimary(None)));
    subject.announce(&first);
    assert_eq!(subject.replica.admit(ViewNumber(1)), Ok(()));
    // A coordinator with an older view learns the new one first, although the primary may be the same.
    assert_eq!(subject.replica.admit(ViewNumber(0)), Err(Refusal::NotPrimary(Some(first))));
    assert_eq!(subject.replica.admit(ViewNumber(2)), Err(Refusal::Behind(ViewNumber(2))));
    subject.announce(&second);
    assert_eq!(subject.replica.admit(ViewNumber(1)), Err(Refusal::NotPrimary(Some(second))));
    assert_eq!(subject.propose(), [Effect::Refused]);
    assert_eq!(subject.read(7), [Effect::ReadRefused { token: 7 }]);
}

#[test]
fn silence_is_reported_by_both_sides_and_repeated() {
    let view = view(1, N2, &[N1, N2, N3], &[]);
    let mut subject = Subject::told(config(), &view, &[], 0);
    assert_eq!(subject.wait(9), []);
    assert_eq!(subject.elapse(INTERVAL - 1), []);
    assert_eq!(subject.elapse(1), [suspects(1, N2, 500)]);
    assert_eq!(subject.elapse(INTERVAL - 1), []);
    assert_eq!(subject.elapse(1), [suspects(1, N2, 550)]);
    subject.receive(N2, confirm(1, 1));
    assert_eq!(subject.elapse(INTERVAL), []);
}

#[test]
fn all_rules_are_in_force() {
    assert!(Rule::ALL.iter().all(|rule| config().rules.hold(*rule)));
}
