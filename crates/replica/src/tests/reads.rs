//! Reads: a round of confirmations that begins after the read arrived.

use super::*;

fn ready(token: u64, through: u64) -> Effect {
    Effect::ReadReady { token, through: Index(through) }
}

fn refused(token: u64) -> Effect {
    Effect::ReadRefused { token }
}

#[test]
fn a_read_is_answered_when_all_members_confirmed_the_view() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2, N3], &[N4]));
    assert_eq!(subject.read(7), [sends(N2, confirm(1, 1)), sends(N3, confirm(1, 1))]);
    assert_eq!(subject.receive(N2, confirmed(1, 1)), []);
    assert_eq!(subject.receive(N2, confirmed(1, 1)), []);
    assert_eq!(subject.receive(N4, confirmed(1, 1)), []);
    assert_eq!(subject.receive(N3, confirmed(1, 1)), [ready(7, 1)]);
}

#[test]
fn one_round_serves_all_reads_that_arrived_before_it_began() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.read(1);
    assert_eq!(subject.read(2), []);
    assert_eq!(subject.read(3), []);
    // Confirmations of round 1 say nothing about reads that arrived while it was under way.
    assert_eq!(subject.receive(N2, confirmed(1, 1)), [ready(1, 1), sends(N2, confirm(1, 2))]);
    assert_eq!(subject.receive(N2, confirmed(1, 1)), []);
    assert_eq!(subject.receive(N2, confirmed(1, 2)), [ready(2, 1), ready(3, 1)]);
    assert_eq!(subject.read(4), [sends(N2, confirm(1, 3))]);
}

#[test]
fn a_single_member_answers_at_once() {
    let mut subject = Subject::leading(&view(1, N1, &[N1], &[]));
    assert_eq!(subject.read(1), [ready(1, 1)]);
    assert_eq!(subject.read(2), [ready(2, 1)]);
}

#[test]
fn nothing_is_read_before_the_noop_is_committed() {
    // P7
    let mut subject = Subject::told(config(), &view(2, N1, &[N1, N2], &[]), &[1], 1);
    assert_eq!(subject.read(1), [sends(N2, confirm(2, 1))]);
    assert_eq!(subject.receive(N2, confirmed(2, 1)), []);
    assert_eq!(subject.persisted(2), []);
    assert_eq!(subject.receive(N2, ok(2, 2)), [applies(vec![entry(2, 2)]), ready(1, 2)]);
}

#[test]
fn a_single_member_does_not_read_before_its_promise_and_its_noop_are_durable() {
    let mut subject = Subject::fresh();
    subject.announce(&view(1, N1, &[N1], &[]));
    assert_eq!(subject.read(1), []);
    assert_eq!(subject.read(2), []);
    assert_eq!(subject.persisted(1), []);
    assert_eq!(subject.persisted(2), [applies(vec![entry(1, 1)]), ready(1, 1), ready(2, 1)]);
}

#[test]
fn a_round_waits_for_the_promise_of_the_primary_itself() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.announce(&view(2, N1, &[N1, N2], &[]));
    assert_eq!(subject.read(1), [holds(N2, confirm(2, 1), 3)]);
    assert_eq!(subject.receive(N2, confirmed(2, 1)), []);
    assert_eq!(subject.receive(N2, ok(2, 2)), []);
    assert_eq!(subject.persisted(4), [applies(vec![entry(2, 2)]), ready(1, 2)]);
}

#[test]
fn a_read_may_ask_for_an_entry_that_is_not_committed_yet() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.persisted(3);
    subject.step(Input::Read { token: 1, at_least: Index(2), touched: None });
    subject.read(2);
    assert_eq!(subject.receive(N2, confirmed(1, 1)), [sends(N2, confirm(1, 2))]);
    // The one that asks for nothing does not wait for the one that does.
    assert_eq!(subject.receive(N2, confirmed(1, 2)), [ready(2, 1)]);
    assert_eq!(subject.receive(N2, ok(1, 2)), [applies(vec![entry(2, 1)]), ready(1, 2)]);
}

#[test]
fn lost_confirmations_are_asked_for_again() {
    let view = view(1, N1, &[N1, N2, N3], &[]);
    let mut subject = Subject::leading(&view);
    subject.read(1);
    subject.receive(N2, confirmed(1, 1));
    let effects = subject.elapse(INTERVAL);
    assert!(effects.contains(&sends(N3, confirm(1, 1))));
    assert!(!effects.contains(&sends(N2, confirm(1, 1))));
    assert_eq!(subject.receive(N3, confirmed(1, 1)), [ready(1, 1)]);
}

#[test]
fn silence_does_not_answer_a_read() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.read(1);
    for _ in 0..50 {
        assert!(!subject.elapse(INTERVAL).contains(&ready(1, 1)));
    }
}

#[test]
fn all_waiting_reads_are_refused_when_the_view_ends() {
    let (first, second) = (view(1, N1, &[N1, N2], &[]), view(2, N2, &[N1, N2], &[]));
    let mut subject = Subject::leading(&first);
    subject.propose();
    subject.step(Input::Read { token: 1, at_least: Index(2), touched: None });
    subject.receive(N2, confirmed(1, 1));
    subject.read(2);
    subject.read(3);
    // One is confirmed, one is asked about, one has just arrived.
    let expected =
        [refused(1), refused(2), refused(3), promises(4, &second), becomes(Standing::Backup, &second)];
    assert_eq!(subject.announce(&second), expected);
    assert_eq!(subject.receive(N2, confirmed(1, 2)), []);
}

#[test]
fn a_view_with_the_same_primary_refuses_its_reads_too() {
    // The round was about the members of the view before.
    let (first, second) = (view(1, N1, &[N1, N2], &[]), view(2, N1, &[N1], &[]));
    let mut subject = Subject::leading(&first);
    subject.read(1);
    assert_eq!(subject.announce(&second)[0], refused(1));
}

#[test]
fn a_joining_learner_confirms_too() {
    // P5
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    subject.read(1);
    subject.receive(N3, ok(1, 1));
    // This round began before the learner was asked to join.
    assert_eq!(subject.receive(N2, confirmed(1, 1)), [ready(1, 1)]);
    assert_eq!(subject.read(2), [sends(N2, confirm(1, 2)), sends(N3, confirm(1, 2))]);
    assert_eq!(subject.receive(N2, confirmed(1, 2)), []);
    assert_eq!(subject.receive(N3, confirmed(1, 2)), [ready(2, 1)]);
}
