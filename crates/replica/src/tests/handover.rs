//! Planned handover: nothing is lost, and the heir does not wait.

use super::*;

fn failed(error: HandoverError) -> Effect {
    Effect::HandoverFailed { error }
}

fn asks(view: u64, to: NodeId) -> Effect {
    petitions(view, Plea::HandOver { to })
}

fn gives_up(view: u64, granted: Vec<Granted>) -> Message {
    Message::GiveUp { view: ViewNumber(view), granted }
}

fn hand_over(subject: &mut Subject, to: NodeId) -> Vec<Effect> {
    subject.step(Input::HandOver { to })
}

#[test]
fn a_primary_with_nothing_to_do_hands_over_at_once() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    assert_eq!(hand_over(&mut subject, N2), [sends(N2, gives_up(1, vec![])), asks(1, N2)]);
    assert_eq!(subject.replica.admit(ViewNumber(1)), Err(Refusal::HandingOver));
    assert_eq!(subject.propose(), [Effect::Refused]);
}

#[test]
fn what_was_taken_is_committed_first() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    assert_eq!(hand_over(&mut subject, N2), []);
    assert_eq!(subject.replica.admit(ViewNumber(1)), Err(Refusal::HandingOver));
    // What was admitted before, in the same turn, still comes in.
    assert!(subject.propose().contains(&Effect::Proposed { id: id(3, 1) }));
    subject.persisted(4);
    assert_eq!(subject.receive(N2, ok(1, 2)), [applies(vec![entry(2, 1)])]);
    let effects = subject.receive(N2, ok(1, 3));
    assert_eq!(effects, [applies(vec![entry(3, 1)]), sends(N2, gives_up(1, vec![])), asks(1, N2)]);
}

#[test]
fn it_is_asked_for_until_there_is_a_newer_view() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    hand_over(&mut subject, N2);
    let effects = subject.elapse(INTERVAL);
    assert!(effects.ends_with(&[sends(N2, gives_up(1, vec![])), asks(1, N2)]), "{effects:?}");
    let next = view(2, N2, &[N1, N2], &[]);
    assert_eq!(subject.announce(&next), [promises(3, &next), becomes(Standing::Backup, &next)]);
    assert_eq!(subject.elapse(INTERVAL), []);
}

#[test]
fn a_handover_that_does_not_happen_is_given_up() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    hand_over(&mut subject, N2);
    let effects = subject.elapse(500);
    assert!(effects.contains(&failed(HandoverError::TimedOut)), "{effects:?}");
    assert_eq!(subject.replica.admit(ViewNumber(1)), Ok(()));
    assert!(subject.propose().contains(&Effect::Proposed { id: id(2, 1) }));
}

#[test]
fn who_cannot_hand_over_says_why() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    assert_eq!(hand_over(&mut subject, N1), [failed(HandoverError::NotAMember)]);
    assert_eq!(hand_over(&mut subject, N3), [failed(HandoverError::NotAMember)], "a learner is no heir");
    assert_eq!(hand_over(&mut subject, N4), [failed(HandoverError::NotAMember)]);
    hand_over(&mut subject, N2);
    assert_eq!(hand_over(&mut subject, N2), [failed(HandoverError::UnderWay)]);
    subject.announce(&view(2, N2, &[N1, N2], &[]));
    assert_eq!(hand_over(&mut subject, N2), [failed(HandoverError::NotPrimary)]);
    assert_eq!(hand_over(&mut Subject::fresh(), N2), [failed(HandoverError::NotPrimary)]);
}

#[test]
fn a_primary_that_does_not_know_what_was_committed_cannot_hand_over() {
    let mut subject = Subject::told(config(), &view(1, N1, &[N1, N2], &[]), &[], 0);
    assert_eq!(hand_over(&mut subject, N2), [failed(HandoverError::NotPrimary)]);
}

// ---- with leases ------------------------------------------------------------------------------------------

fn leasing() -> Config {
    Config { lease: Some(Duration::from_millis(100)), drift_ppm: 0, ..config() }
}

fn at(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000_000)
}

fn terms(sent: u64, earned: u64, lasts: u64) -> Option<Terms> {
    let loan = Loan { earned: at(earned), lasts: Duration::from_millis(lasts) };
    Some(Terms { sent: at(sent), lease: Some(loan), reads: false })
}

#[test]
fn who_has_given_up_its_leases_confirms_its_reads_and_grants_none() {
    let mut subject = Subject::leading_with(leasing(), &view(1, N1, &[N1, N2], &[]));
    subject.now = at(1_000);
    let promise = Message::PrepareOk {
        view: ViewNumber(1),
        durable: Index(1),
        checked: Index(0),
        terms: terms(7, 1_000, 100),
    };
    subject.receive(N2, promise.clone());
    assert_eq!(subject.read(1), [Effect::ReadReady { token: 1, through: Index(1) }]);
    hand_over(&mut subject, N2);
    assert_eq!(subject.read(2), [sends(N2, confirm(1, 1))]);
    // Also when nothing came of the handover: the heir may still act on it.
    subject.elapse(500);
    subject.receive(N2, confirmed(1, 1));
    subject.receive(N2, promise);
    assert_eq!(subject.read(3), [sends(N2, confirm(1, 2))]);
}

#[test]
fn the_heir_is_told_which_leases_may_still_be_held() {
    let mut subject = Subject::leading_with(leasing(), &view(1, N1, &[N1, N2, N3], &[]));
    subject.now = at(1_000);
    for node in [N2, N3] {
        let message = Message::PrepareOk {
            view: ViewNumber(1),
            durable: Index(1),
            checked: Index(0),
            terms: terms(7, 1_000, 100),
        };
        subject.receive(node, message);
    }
    subject.elapse(50);
    let granted = |node| Granted { holder: member(node), lasts: Duration::from_millis(50) };
    let effects = hand_over(&mut subject, N2);
    assert_eq!(effects, [sends(N2, gives_up(1, vec![granted(N2), granted(N3)])), asks(1, N2)]);
}

/// A backup of n2 that promised it a lease at 500.
fn backup(view: &View) -> Subject {
    let mut subject = Subject::told(leasing(), view, &[], 0);
    subject.now = at(500);
    let message = Message::Prepare {
        view: view.clone(),
        sequence: 1,
        previous: EntryId::ZERO,
        entries: entries(&[1]),
        commit: Index(0),
        digest: None,
        terms: terms(1_000, 0, 0),
    };
    subject.receive(N2, message);
    subject.persisted(2);
    subject
}

/// The same, once it has heard that n2 hands over to it.
fn heir(view: &View, granted: Vec<Granted>) -> Subject {
    let mut subject = backup(view);
    subject.receive(N2, gives_up(1, granted));
    subject
}

#[test]
fn an_heir_does_not_wait_for_what_was_given_up() {
    let mut subject = heir(&view(1, N2, &[N1, N2], &[]), vec![]);
    subject.announce(&view(2, N1, &[N1, N2], &[]));
    subject.persisted(4);
    assert_eq!(subject.receive(N2, ok(2, 2)), [applies(vec![entry(1, 1), entry(2, 2)])]);
}

#[test]
fn an_heir_that_knows_its_view_already_does_not_wait_either() {
    let granted = Granted { holder: member(N3), lasts: Duration::from_millis(70) };
    for (granted, opens) in [(vec![], 500), (vec![granted], 570)] {
        let mut subject = backup(&view(1, N2, &[N1, N2, N3], &[]));
        subject.announce(&view(2, N1, &[N1, N2], &[]));
        subject.persisted(4);
        assert_eq!(subject.receive(N2, ok(2, 2)), [], "n2 may read until 600");
        let mut effects = subject.receive(N2, gives_up(1, granted));
        if opens > 500 {
            assert_eq!(effects, [], "n3 may read until 570");
            subject.now = at(opens);
            effects = subject.step(Input::Elapsed);
        }
        assert_eq!(effects[0], applies(vec![entry(1, 1), entry(2, 2)]));
    }
}

#[test]
fn what_was_given_up_was_given_up_for_the_next_view_alone() {
    // In view 2 the old primary may have earned new leases.
    let mut subject = heir(&view(1, N2, &[N1, N2], &[]), vec![]);
    subject.announce(&view(3, N1, &[N1, N2], &[]));
    subject.persisted(4);
    assert_eq!(subject.receive(N2, ok(3, 2)), []);
    subject.receive(N2, gives_up(1, vec![]));
    assert_eq!(subject.replica.commit(), Index(0));
    subject.now = at(600);
    assert_eq!(subject.step(Input::Elapsed)[0], applies(vec![entry(1, 1), entry(2, 3)]));
}

#[test]
fn an_heir_keeps_what_the_old_primary_granted() {
    // P6: n3 may read until 570, and is not in the view any more.
    let granted = Granted { holder: member(N3), lasts: Duration::from_millis(70) };
    let mut subject = heir(&view(1, N2, &[N1, N2, N3], &[]), vec![granted]);
    subject.announce(&view(2, N1, &[N1, N2], &[]));
    subject.persisted(4);
    assert_eq!(subject.receive(N2, ok(2, 2)), []);
    subject.now = at(570);
    assert_eq!(subject.step(Input::Elapsed)[0], applies(vec![entry(1, 1), entry(2, 2)]));
}

#[test]
fn only_the_primary_of_the_view_gives_up_its_leases() {
    let mut subject = heir(&view(1, N2, &[N1, N2, N3], &[]), vec![]);
    subject.announce(&view(2, N2, &[N1, N2, N3], &[]));
    subject.receive(N3, gives_up(2, vec![]));
    subject.receive(N2, gives_up(1, vec![]));
    subject.announce(&view(3, N1, &[N1], &[]));
    subject.persisted(4);
    assert_eq!(subject.replica.commit(), Index(0), "the promise of 500 is kept until 600");
}
