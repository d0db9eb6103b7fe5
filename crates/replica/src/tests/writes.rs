//! Ordering and committing: rules P1, P6 and P7, and the time of entries.

use super::*;

#[test]
fn a_write_is_committed_only_when_every_member_has_it() {
    let view = view(1, N1, &[N1, N2, N3], &[]);
    let mut subject = Subject::leading(&view);
    let expected = [
        Effect::Proposed { id: id(2, 1) },
        appends(3, vec![entry(2, 1)], 1),
        sends(N2, prepare(&view, 2, id(1, 1), vec![entry(2, 1)], 1)),
        sends(N3, prepare(&view, 2, id(1, 1), vec![entry(2, 1)], 1)),
    ];
    assert_eq!(subject.propose(), expected);
    // P1: in whatever order they have it, the last one decides.
    assert_eq!(subject.receive(N2, ok(1, 2)), []);
    assert_eq!(subject.receive(N3, ok(1, 2)), []);
    assert_eq!(subject.persisted(3), [applies(vec![entry(2, 1)])]);
    subject.propose();
    assert_eq!(subject.persisted(4), []);
    assert_eq!(subject.receive(N3, ok(1, 3)), []);
    assert_eq!(subject.receive(N3, ok(1, 3)), []);
    assert_eq!(subject.receive(N2, ok(1, 3)), [applies(vec![entry(3, 1)])]);
}

#[test]
fn one_acknowledgement_commits_everything_before_it() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.propose();
    subject.persisted(4);
    assert_eq!(subject.receive(N2, ok(1, 3)), [applies(vec![entry(2, 1), entry(3, 1)])]);
    assert_eq!(subject.receive(N2, ok(1, 2)), []);
    assert_eq!(subject.replica.acknowledged(), [(N2, Index(3))]);
}

#[test]
fn a_single_member_commits_what_its_own_disk_has() {
    let view = view(1, N1, &[N1], &[]);
    let mut subject = Subject::fresh();
    subject.announce(&view);
    assert_eq!(subject.persisted(1), []);
    assert_eq!(subject.persisted(2), [applies(vec![entry(1, 1)])]);
    assert_eq!(subject.propose(), [Effect::Proposed { id: id(2, 1) }, appends(3, vec![entry(2, 1)], 1)]);
    assert_eq!(subject.persisted(3), [applies(vec![entry(2, 1)])]);
}

#[test]
fn a_learner_counts_for_nothing() {
    let config = Config { join_lag_max: 0, ..config() };
    let mut subject = Subject::leading_with(config, &view(1, N1, &[N1, N2], &[N3]));
    subject.propose();
    subject.persisted(3);
    assert_eq!(subject.receive(N2, ok(1, 2)), [applies(vec![entry(2, 1)])]);
}

#[test]
fn nothing_is_committed_before_the_noop() {
    let view = view(2, N1, &[N1, N2], &[]);
    let mut subject = Subject::told(config(), &view, &[1, 1], 0);
    // P7: the members have the entries of the view before, but whether those were committed is not the
    // question: another member could still cut them.
    assert_eq!(subject.receive(N2, ok(2, 2)), []);
    assert_eq!(subject.replica.commit(), Index(0));
    assert_eq!(subject.persisted(2), []);
    assert_eq!(subject.receive(N2, ok(2, 3)), [applies(vec![entry(1, 1), entry(2, 1), entry(3, 2)])]);
}

#[test]
fn silence_alone_never_commits() {
    let view = view(1, N1, &[N1, N2, N3], &[]);
    let mut subject = Subject::leading(&view);
    subject.propose();
    subject.persisted(3);
    subject.receive(N2, ok(1, 2));
    // P6: however long n3 says nothing, all that happens is a report.
    subject.elapse(INTERVAL);
    for _ in 0..100 {
        let effects = subject.wait(10);
        let is_report = |effect: &Effect| {
            matches!(effect, Effect::Petition(Petition { plea: Plea::Suspect { node: N3, .. }, .. }))
        };
        assert!(effects.iter().any(is_report));
        assert!(!effects.iter().any(|effect| matches!(effect, Effect::Apply { .. })));
        subject.receive(N2, ok(1, 2));
    }
    assert_eq!(subject.replica.commit(), Index(1));
    // What the view without it needs is its own no-op.
    let without = super::view(2, N1, &[N1, N2], &[]);
    let expected = [
        promises(4, &without),
        becomes(Standing::Primary, &without),
        appends(5, vec![entry(3, 2)], 1),
        holds(N2, prepare(&without, 1, id(2, 1), vec![entry(3, 2)], 1), 4),
    ];
    assert_eq!(subject.announce(&without), expected);
    assert_eq!(subject.receive(N2, ok(2, 3)), []);
    assert_eq!(subject.persisted(5), [applies(vec![entry(2, 1), entry(3, 2)])]);
}

#[test]
fn an_acknowledgement_of_the_view_before_is_forgotten() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.receive(N2, ok(1, 2));
    subject.announce(&view(2, N1, &[N1, N2], &[]));
    subject.persisted(5);
    assert_eq!(subject.replica.acknowledged(), [(N2, Index(0))]);
    assert_eq!(subject.replica.commit(), Index(1));
}

#[test]
fn backups_apply_what_the_next_message_says_is_committed() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::told(config(), &view, &[], 0);
    let first = prepare(&view, 1, EntryId::ZERO, entries(&[1, 1]), 0);
    assert_eq!(subject.receive(N2, first), [appends(2, entries(&[1, 1]), 0)]);
    // Committed means that all have it, this one too: it may be executed before it is known to be durable
    // here.
    let expected = [applies(vec![entry(1, 1)]), sends(N2, ok(1, 0))];
    assert_eq!(subject.receive(N2, prepare(&view, 2, id(2, 1), vec![], 1)), expected);
    assert_eq!(subject.persisted(2), [sends(N2, ok(1, 2))]);
    let expected = [appends(3, vec![entry(3, 1)], 1), applies(vec![entry(2, 1)])];
    assert_eq!(subject.receive(N2, prepare(&view, 3, id(2, 1), vec![entry(3, 1)], 2)), expected);
}

#[test]
fn a_backup_acknowledges_only_what_its_disk_has() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::told(config(), &view, &[], 0);
    subject.receive(N2, prepare(&view, 1, EntryId::ZERO, vec![entry(1, 1)], 0));
    subject.receive(N2, prepare(&view, 2, id(1, 1), vec![entry(2, 1)], 0));
    assert_eq!(subject.receive(N2, prepare(&view, 3, id(2, 1), vec![], 0)), [sends(N2, ok(1, 0))]);
    assert_eq!(subject.persisted(2), [sends(N2, ok(1, 1))]);
    assert_eq!(subject.persisted(3), [sends(N2, ok(1, 2))]);
    // Entries that come twice are neither written twice nor acknowledged again, but a heartbeat always is.
    assert_eq!(subject.receive(N2, prepare(&view, 2, id(1, 1), vec![entry(2, 1)], 0)), []);
    assert_eq!(subject.receive(N2, prepare(&view, 4, id(2, 1), vec![], 0)), [sends(N2, ok(1, 2))]);
}

#[test]
fn commits_of_a_restart_are_executed_at_once() {
    let (subject, effects) = Subject::start(config(), recovered(None, &[1, 1, 2], 2));
    assert_eq!(effects, [applies(entries(&[1, 1]))]);
    assert_eq!(subject.log(), (vec![id(1, 1), id(2, 1), id(3, 2)], 3, 2));
}

#[test]
fn the_time_of_entries_never_goes_back() {
    let propose = |subject: &mut Subject, time| {
        subject.step(Input::Propose { payload: Bytes::new(), time: Timestamp(time), seed: 9 });
        let log = subject.replica.log();
        log.get(log.last().index).unwrap().time
    };
    let mut subject = Subject::leading(&view(1, N1, &[N1], &[]));
    assert_eq!(propose(&mut subject, 100), Timestamp(100));
    // The clock was set back.
    assert_eq!(propose(&mut subject, 50), Timestamp(100));
    assert_eq!(propose(&mut subject, 101), Timestamp(101));
    // The no-op of a new view has no clock at all.
    subject.announce(&view(2, N1, &[N1], &[]));
    assert_eq!(subject.replica.log().get(Index(5)).unwrap().time, Timestamp(101));
}

#[test]
fn the_time_of_entries_never_goes_back_behind_a_snapshot() {
    let kept = Recovered { base: id(7, 1), commit: Index(7), ..Recovered::default() };
    let mut effects = Vec::new();
    let mut replica =
        Replica::new(config(), kept, Base { time: Timestamp(70), bytes: 0 }, Instant::ZERO, &mut effects)
            .unwrap();
    let announced = Input::Announced { view: view(2, N1, &[N1], &[]) };
    replica.step(Instant::ZERO, announced, &mut effects);
    assert_eq!(replica.log().get(Index(8)).unwrap().time, Timestamp(70));
}

#[test]
fn the_status_tells_how_long_things_wait() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    let idle = subject.replica.status(subject.now);
    assert_eq!((idle.oldest_write, idle.oldest_prepare), (None, None));
    subject.propose();
    subject.elapse(20);
    subject.propose();
    subject.elapse(10);
    let (ms, status) = (Duration::from_millis, subject.replica.status(subject.now));
    assert_eq!((status.oldest_write, status.oldest_prepare), (Some(ms(30)), Some(ms(30))));
    assert_eq!((status.last, status.durable, status.commit), (Index(3), Index(1), Index(1)));
    subject.persisted(3);
    subject.receive(N2, ok(1, 2));
    let status = subject.replica.status(subject.now);
    assert_eq!((status.oldest_write, status.oldest_prepare), (Some(ms(10)), Some(ms(10))));
    assert_eq!((status.last, status.durable, status.commit), (Index(3), Index(2), Index(2)));
}
