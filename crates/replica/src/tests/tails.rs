//! Logs that disagree: rule P8.

use super::*;

/// A backup in view 3 with a log that ends in a tail of view 2.
fn backup(commit: u64) -> (Subject, View) {
    let view = view(3, N2, &[N1, N2], &[]);
    (Subject::told(config(), &view, &[1, 1, 2, 2], commit), view)
}

#[test]
fn the_first_disagreement_cuts_the_tail() {
    let (mut subject, view) = backup(1);
    let message = prepare(&view, 1, id(2, 1), vec![entry(3, 3)], 1);
    let expected = [
        persists(2, Write::Cut { from: Index(3) }),
        appends(3, vec![entry(3, 3)], 1),
        // Both logs agree up to #2, and so much is durable.
        sends(N2, ok(3, 2)),
    ];
    assert_eq!(subject.receive(N2, message), expected);
    assert_eq!(subject.log(), (vec![id(1, 1), id(2, 1), id(3, 3)], 2, 1));
    assert_eq!(subject.persisted(2), []);
    assert_eq!(subject.persisted(3), [sends(N2, ok(3, 3))]);
}

#[test]
fn entries_that_agree_are_kept() {
    let (mut subject, view) = backup(1);
    let message = prepare(&view, 1, id(1, 1), vec![entry(2, 1), entry(3, 2), entry(4, 3)], 1);
    let expected =
        [persists(2, Write::Cut { from: Index(4) }), appends(3, vec![entry(4, 3)], 1), sends(N2, ok(3, 3))];
    assert_eq!(subject.receive(N2, message), expected);
}

#[test]
fn a_tail_that_was_not_yet_written_does_not_become_durable_when_it_is() {
    let (old, new) = (view(1, N2, &[N1, N2, N3], &[]), view(2, N3, &[N1, N2, N3], &[]));
    let mut subject = Subject::told(config(), &old, &[], 0);
    subject.receive(N2, prepare(&old, 1, EntryId::ZERO, entries(&[1, 1, 1]), 0));
    subject.receive(N3, prepare(&new, 1, id(1, 1), vec![entry(2, 2), entry(3, 2)], 0));
    // Ticket 2 wrote #1@1 to #3@1; only the first of them counts.
    assert_eq!(subject.persisted(2), [holds(N3, ok(2, 1), 3)]);
    assert_eq!(subject.persisted(3), []);
    assert_eq!(subject.persisted(4), []);
    assert_eq!(subject.persisted(5), [sends(N3, ok(2, 3))]);
}

#[test]
fn a_log_that_lacks_the_entry_before_says_up_to_where_it_agrees() {
    let (mut subject, view) = backup(1);
    // Too short.
    let message = prepare(&view, 1, id(5, 2), vec![entry(6, 3)], 3);
    assert_eq!(subject.receive(N2, message), [sends(N2, reject(3, 1, 1, id(4, 2)))]);
    // Another entry in its place.
    let message = prepare(&view, 2, id(4, 3), vec![entry(5, 3)], 3);
    assert_eq!(subject.receive(N2, message), [sends(N2, reject(3, 2, 1, id(4, 2)))]);
    // Nothing is cut, and nothing committed, on the word of a Prepare that does not fit.
    assert_eq!(subject.log(), (vec![id(1, 1), id(2, 1), id(3, 2), id(4, 2)], 4, 1));
}

#[test]
fn a_heartbeat_commits_only_what_agrees() {
    let (mut subject, view) = backup(0);
    // #4 is committed somewhere, but whether this log holds it is not known yet.
    assert_eq!(subject.receive(N2, prepare(&view, 1, EntryId::ZERO, vec![], 4)), [sends(N2, ok(3, 0))]);
    let expected = [applies(entries(&[1, 1])), sends(N2, ok(3, 2))];
    assert_eq!(subject.receive(N2, prepare(&view, 2, id(2, 1), vec![], 4)), expected);
}

#[test]
#[should_panic(expected = "P8 tails yield: n1 would cut the committed entry #2 of g1")]
fn a_committed_entry_is_never_cut() {
    let (mut subject, view) = backup(3);
    subject.receive(N2, prepare(&view, 1, id(1, 1), vec![entry(2, 3)], 1));
}

#[test]
fn a_primary_starts_again_behind_the_last_common_entry() {
    let view = view(3, N1, &[N1, N2], &[]);
    let mut subject = Subject::told(config(), &view, &[1, 1, 2, 2], 1);
    // n2 has the last entry that it names, and so has everything before it in common.
    let expected = [sends(N2, prepare(&view, 2, id(3, 2), vec![entry(4, 2), entry(5, 3)], 1))];
    assert_eq!(subject.receive(N2, reject(3, 1, 0, id(3, 2))), expected);
}

#[test]
fn a_primary_starts_again_behind_what_is_sure_to_agree() {
    let view = view(3, N1, &[N1, N2], &[]);
    let mut subject = Subject::told(config(), &view, &[1, 1, 2, 2], 1);
    // The last entry of n2 is unknown here.
    let all = vec![entry(2, 1), entry(3, 2), entry(4, 2), entry(5, 3)];
    let expected = [sends(N2, prepare(&view, 2, id(1, 1), all, 1))];
    assert_eq!(subject.receive(N2, reject(3, 1, 1, id(9, 1))), expected);
}

#[test]
fn several_rejections_of_one_loss_cause_one_rewind() {
    let view = view(1, N1, &[N1, N2], &[]);
    let mut subject = Subject::leading(&view);
    for _ in 0..3 {
        subject.propose();
    }
    // The Prepare 2 was lost; 3 and 4 are rejected.
    let again = prepare(&view, 5, id(1, 1), vec![entry(2, 1), entry(3, 1), entry(4, 1)], 1);
    assert_eq!(subject.receive(N2, reject(1, 3, 1, id(1, 1))), [sends(N2, again)]);
    assert_eq!(subject.receive(N2, reject(1, 4, 1, id(1, 1))), []);
    // The repetition is lost as well, and a heartbeat brings it to light.
    subject.now = subject.now + Duration::from_millis(INTERVAL);
    assert_eq!(subject.elapse(0), [sends(N2, prepare(&view, 6, id(4, 1), vec![], 1))]);
    let again = prepare(&view, 7, id(1, 1), vec![entry(2, 1), entry(3, 1), entry(4, 1)], 1);
    assert_eq!(subject.receive(N2, reject(1, 6, 1, id(1, 1))), [sends(N2, again)]);
}

#[test]
fn a_rejection_does_not_take_back_what_was_acknowledged() {
    let view = view(1, N1, &[N1, N2], &[]);
    let mut subject = Subject::leading(&view);
    subject.propose();
    subject.propose();
    subject.receive(N2, ok(1, 2));
    let expected = [sends(N2, prepare(&view, 4, id(2, 1), vec![entry(3, 1)], 1))];
    assert_eq!(subject.receive(N2, reject(1, 3, 0, EntryId::ZERO)), expected);
    assert_eq!(subject.replica.acknowledged(), [(N2, Index(2))]);
}
