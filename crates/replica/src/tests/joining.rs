//! A learner becomes a member: rule P5.

use super::*;
use crate::sending::LEARNER_WINDOW_MAX;

fn asks(view: u64, learner: NodeId) -> Effect {
    petitions(view, Plea::AddMember { learner: member(learner) })
}

#[test]
fn a_learner_is_required_before_it_is_asked_to_be_a_member() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    assert_eq!(subject.receive(N3, ok(1, 1)), [asks(1, N3)]);
    // From now on nothing is committed without it: the view service may make it a member, and then the
    // primary, before the answer comes.
    subject.propose();
    subject.persisted(3);
    assert_eq!(subject.receive(N2, ok(1, 2)), []);
    assert_eq!(subject.replica.commit(), Index(1));
    assert_eq!(subject.receive(N3, ok(1, 2)), [applies(vec![entry(2, 1)])]);
}

#[test]
fn a_learner_that_lacks_a_little_is_required_first_and_asked_for_when_it_has_everything() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    subject.propose();
    subject.propose();
    subject.persisted(4);
    subject.receive(N2, ok(1, 2));
    // It joins here, but lacks the committed #2.
    assert_eq!(subject.receive(N3, ok(1, 1)), []);
    assert_eq!(subject.receive(N2, ok(1, 3)), []);
    assert!(!subject.elapse(INTERVAL).contains(&asks(1, N3)));
    assert_eq!(subject.receive(N3, ok(1, 3)), [applies(vec![entry(3, 1)])]);
    assert!(subject.elapse(INTERVAL).contains(&asks(1, N3)));
}

#[test]
fn the_question_is_repeated_until_there_is_a_newer_view() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    subject.receive(N3, ok(1, 1));
    for _ in 0..5 {
        assert!(subject.elapse(INTERVAL).contains(&asks(1, N3)));
    }
    subject.announce(&view(2, N1, &[N1, N2, N3], &[]));
    let effects = subject.elapse(INTERVAL);
    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::Petition(Petition { plea: Plea::AddMember { .. }, .. })))
    );
}

#[test]
fn a_learner_far_behind_does_not_hold_up_anybody() {
    let config = Config { join_lag_max: 1, ..config() };
    let mut subject = Subject::leading_with(config, &view(1, N1, &[N1, N2], &[N3]));
    for index in 2..=4 {
        subject.propose();
        subject.persisted(index + 1);
        subject.receive(N2, ok(1, index));
        assert_eq!(subject.replica.commit(), Index(index));
    }
    subject.receive(N3, ok(1, 2));
    subject.propose();
    subject.persisted(6);
    assert_eq!(subject.receive(N2, ok(1, 5)), [applies(vec![entry(5, 1)])]);
}

#[test]
fn a_learner_that_lacks_few_entries_of_many_bytes_does_not_hold_up_anybody() {
    let config = Config { window_bytes_max: 1, ..config() };
    let mut subject = Subject::leading_with(config, &view(1, N1, &[N1, N2], &[N3]));
    for index in 2..=4 {
        subject.propose();
        subject.persisted(index + 1);
        subject.receive(N2, ok(1, index));
    }
    subject.receive(N3, ok(1, 2));
    subject.propose();
    subject.persisted(6);
    assert_eq!(subject.receive(N2, ok(1, 5)), [applies(vec![entry(5, 1)])]);
    // With nothing on the way it is near enough.
    assert_eq!(subject.receive(N3, ok(1, 5)), [asks(1, N3)]);
}

#[test]
fn a_learner_gets_small_bites() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    let mut propose = || {
        let payload = Bytes::from(vec![0; LEARNER_WINDOW_MAX / 4]);
        subject.step(Input::Propose { payload, time: Timestamp(0), seed: 0 })
    };
    let sent_to = |node: NodeId, effects: &[Effect]| {
        let is_prepare = |effect: &&Effect| matches!(effect, Effect::Send { to, message: Message::Prepare { .. }, .. } if *to == node);
        effects.iter().filter(is_prepare).count()
    };
    let effects: Vec<Effect> = (0..8).flat_map(|_| propose()).collect();
    assert_eq!(sent_to(N2, &effects), 8);
    assert_eq!(sent_to(N3, &effects), 4, "it has nothing acknowledged, not even the no-op");
    assert_eq!(sent_to(N3, &subject.receive(N3, ok(1, 2))), 1);
}

#[test]
fn a_learner_that_has_said_nothing_holds_up_nobody() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    subject.propose();
    subject.persisted(3);
    assert_eq!(subject.receive(N2, ok(1, 2)), [applies(vec![entry(2, 1)])]);
    assert!(!subject.elapse(INTERVAL).contains(&asks(1, N3)));
}

#[test]
fn nobody_joins_before_the_noop_is_committed() {
    let mut subject = Subject::told(config(), &view(2, N1, &[N1, N2], &[N3]), &[1], 1);
    subject.persisted(2);
    assert_eq!(subject.receive(N3, ok(2, 2)), []);
    assert_eq!(subject.receive(N2, ok(2, 2)), [applies(vec![entry(2, 2)]), asks(2, N3)]);
}

#[test]
fn learners_join_one_at_a_time() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3, N4]));
    assert_eq!(subject.receive(N4, ok(1, 1)), [asks(1, N4)]);
    assert_eq!(subject.receive(N3, ok(1, 1)), []);
    subject.propose();
    subject.persisted(3);
    subject.receive(N2, ok(1, 2));
    assert_eq!(subject.receive(N4, ok(1, 2)), [applies(vec![entry(2, 1)])]);
}
