//! Backups that answer but are slow, and who is blamed for it.

use super::*;

/// The failure timeout, in heartbeat intervals.
const TIMEOUT: u64 = 10;

fn behind(node: NodeId, milliseconds: u64) -> Effect {
    let grounds = Grounds::Behind(Duration::from_millis(milliseconds));
    petitions(1, Plea::Suspect { node, grounds })
}

/// Who is reported within so many intervals, in which everybody in `acks` answers every heartbeat with its
/// index.
fn reports(subject: &mut Subject, intervals: u64, acks: &[(NodeId, u64)]) -> Vec<Effect> {
    let mut reports = Vec::new();
    for _ in 0..intervals {
        let effects = subject.elapse(INTERVAL);
        reports.extend(effects.into_iter().filter(is_suspicion));
        for (node, index) in acks {
            subject.receive(*node, ok(1, *index));
        }
    }
    reports
}

#[test]
fn a_backup_that_a_write_waits_for_alone_is_reported() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2, N3], &[]));
    subject.propose();
    subject.persisted(3);
    subject.receive(N3, ok(1, 2));
    let acks = [(N2, 1), (N3, 2)];
    assert_eq!(reports(&mut subject, TIMEOUT - 1, &acks), []);
    assert_eq!(reports(&mut subject, 2, &acks), [behind(N2, 500), behind(N2, 550)]);
    subject.receive(N2, ok(1, 2));
    assert_eq!(reports(&mut subject, TIMEOUT, &[(N2, 2), (N3, 2)]), []);
}

/// A write in every interval, for `intervals`; it is durable at the primary and at the backups so many
/// intervals later.
fn delayed(intervals: u64, primary: u64, backups: &[(NodeId, u64)]) -> Vec<NodeId> {
    let members: Vec<NodeId> = [N1].into_iter().chain(backups.iter().map(|(node, _)| *node)).collect();
    let mut subject = Subject::leading(&view(1, N1, &members, &[]));
    let mut reported = Vec::new();
    for round in 1..=intervals {
        subject.propose();
        for (node, delay) in backups {
            subject.receive(*node, ok(1, 1 + round.saturating_sub(*delay)));
        }
        subject.persisted(2 + round.saturating_sub(primary));
        for effect in subject.elapse(INTERVAL) {
            if let Effect::Petition(Petition { plea: Plea::Suspect { node, grounds }, .. }) = effect
                && matches!(grounds, Grounds::Behind(_))
            {
                reported.push(node);
            }
        }
    }
    reported.dedup();
    reported
}

#[test]
fn a_backup_that_makes_progress_is_reported_for_what_it_costs() {
    assert_eq!(delayed(40, 0, &[(N2, 12)]), [N2]);
    assert_eq!(delayed(40, 0, &[(N2, 12), (N3, 1)]), [N2]);
    assert_eq!(delayed(40, 0, &[(N2, 8)]), []);
}

#[test]
fn nobody_is_reported_for_what_all_are() {
    // The disk of the primary is no better, or another backup.
    assert_eq!(delayed(40, 12, &[(N2, 12)]), []);
    assert_eq!(delayed(40, 12, &[(N2, 0), (N3, 1)]), []);
    assert_eq!(delayed(40, 0, &[(N2, 12), (N3, 12)]), []);
    assert_eq!(delayed(40, 0, &[(N2, 18), (N3, 12)]), []);
}

#[test]
fn whoever_is_stuck_is_reported_although_others_are_too() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2, N3], &[]));
    subject.propose();
    let acks = [(N2, 1), (N3, 1)];
    assert_eq!(reports(&mut subject, 2 * TIMEOUT - 1, &acks), []);
    assert_eq!(reports(&mut subject, 1, &acks), [behind(N2, 1_000), behind(N3, 1_000)]);
}

#[test]
fn large_values_are_given_time() {
    // 16 MiB take about half a second on the slowest link that is good enough.
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    let payload = Bytes::from(vec![0; 16 << 20]);
    subject.step(Input::Propose { payload, time: Timestamp(0), seed: 0 });
    subject.persisted(3);
    assert_eq!(reports(&mut subject, 2 * TIMEOUT, &[(N2, 1)]), []);
    assert_eq!(reports(&mut subject, 1, &[(N2, 1)]), [behind(N2, 1_050)]);
}

#[test]
fn a_primary_that_stood_still_blames_nobody_for_it() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.persisted(3);
    reports(&mut subject, 2, &[(N2, 1)]);
    subject.now = subject.now + Duration::from_secs(3);
    subject.receive(N2, ok(1, 1));
    assert_eq!(reports(&mut subject, TIMEOUT, &[(N2, 1)]), []);
    assert_eq!(reports(&mut subject, 1, &[(N2, 1)]), [behind(N2, 500)]);
}

#[test]
fn a_slow_learner_does_not_join_until_it_keeps_up() {
    let view = view(1, N1, &[N1, N2], &[N3]);
    let mut subject = Subject::leading(&view);
    let asks = |effects: &[Effect]| {
        effects.iter().any(|e| matches!(e, Effect::Petition(Petition { plea: Plea::AddMember { .. }, .. })))
    };
    subject.now = subject.now + Duration::from_millis(400);
    assert!(!asks(&subject.receive(N3, ok(1, 1))));
    // Nobody writes: an entry of the primary's own tries it.
    subject.receive(N2, ok(1, 1));
    let effects = subject.elapse(INTERVAL);
    assert!(effects.contains(&appends(3, vec![entry(2, 1)], 1)), "{effects:?}");
    subject.persisted(3);
    subject.receive(N2, ok(1, 2));
    assert_eq!(subject.replica.commit(), Index(2));
    assert!(asks(&subject.receive(N3, ok(1, 2))));
}

#[test]
fn a_joining_learner_that_turns_out_to_be_slow_holds_up_writes_no_longer() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    subject.propose();
    subject.persisted(3);
    subject.receive(N2, ok(1, 2));
    // It joins, lacks the committed #2, and is stuck.
    subject.receive(N3, ok(1, 1));
    subject.propose();
    subject.persisted(4);
    subject.receive(N2, ok(1, 3));
    assert_eq!(subject.replica.commit(), Index(2));
    assert_eq!(reports(&mut subject, TIMEOUT - 1, &[(N2, 3), (N3, 1)]), []);
    assert_eq!(subject.replica.commit(), Index(2));
    reports(&mut subject, 1, &[(N2, 3), (N3, 1)]);
    assert_eq!(subject.replica.commit(), Index(3));
}

#[test]
fn there_is_no_way_back_for_one_whose_membership_was_asked_for() {
    // P5: the view service may have installed it.
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[N3]));
    subject.receive(N3, ok(1, 1));
    subject.propose();
    subject.persisted(3);
    subject.receive(N2, ok(1, 2));
    assert_eq!(reports(&mut subject, TIMEOUT, &[(N2, 2), (N3, 1)]), [behind(N3, 500)]);
    assert_eq!(subject.replica.commit(), Index(1));
}
