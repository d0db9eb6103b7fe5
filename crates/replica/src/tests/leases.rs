//! Leases (rules L1 to L6): who may read on its own word, and until when. The drift bound is 1 % here.

use super::*;

/// How long leases last, in milliseconds.
const LEASE: u64 = 100;

fn leasing() -> Config {
    Config { lease: Some(Duration::from_millis(LEASE)), drift_ppm: 10_000, ..config() }
}

fn at(milliseconds: u64) -> Instant {
    Instant(milliseconds * 1_000_000)
}

fn loan(earned: u64, lasts: u64) -> Option<Loan> {
    Some(Loan { earned: at(earned), lasts: Duration::from_millis(lasts) })
}

fn terms(sent: u64, lease: Option<Loan>) -> Option<Terms> {
    Some(Terms { sent: at(sent), lease, reads: false })
}

/// An acknowledgement of view 1 that was sent at `sent` of the sender's clock, and promises a lease that
/// counts from `earned` of the primary's.
fn promise_of(durable: u64, earned: u64, sent: u64) -> Message {
    Message::PrepareOk {
        view: ViewNumber(1),
        durable: Index(durable),
        checked: Index(0),
        terms: terms(sent, loan(earned, LEASE)),
    }
}

fn prepare_with(view: &View, entries: Vec<Entry>, commit: u64, terms: Option<Terms>) -> Message {
    let previous =
        entries.first().map_or(EntryId::ZERO, |first| EntryId::new(first.id.index.0 - 1, first.id.epoch.0));
    let previous = if previous.index == Index(0) { EntryId::ZERO } else { previous };
    Message::Prepare {
        view: view.clone(),
        sequence: 1,
        previous,
        entries,
        commit: Index(commit),
        digest: None,
        terms,
    }
}

fn ready(token: u64, through: u64) -> Effect {
    Effect::ReadReady { token, through: Index(through) }
}

/// The primary of `view` 1 at 1 s, whose no-op is committed, without any lease yet.
fn leading(view: &View) -> Subject {
    let mut subject = Subject::leading_with(leasing(), view);
    subject.now = at(1_000);
    subject
}

/// A member of view 1, whose primary n2 sent the no-op at 1000 of its own clock; it is 500 here.
fn backing(lease: Option<Loan>) -> (Subject, View) {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::told(leasing(), &view, &[], 0);
    subject.now = at(500);
    subject.receive(N2, prepare_with(&view, entries(&[1]), 0, terms(1_000, lease)));
    subject.persisted(2);
    (subject, view)
}

#[test]
fn a_primary_reads_at_once_while_all_others_promise() {
    let mut subject = leading(&view(1, N1, &[N1, N2, N3], &[]));
    subject.receive(N2, promise_of(1, 990, 7));
    assert_eq!(
        subject.read(1),
        [sends(N2, confirm(1, 1)), sends(N3, confirm(1, 1))],
        "L1: n3 promised nothing"
    );
    subject.receive(N3, promise_of(1, 990, 7));
    assert_eq!(subject.read(2), [ready(2, 1)]);
}

#[test]
fn a_lease_counts_from_when_its_holder_asked_and_ends_early() {
    // L2: 100 ms from 950, less 1 %.
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, promise_of(1, 950, 7));
    subject.now = at(1_048);
    assert_eq!(subject.read(1), [ready(1, 1)]);
    subject.now = at(1_049);
    assert_eq!(subject.read(2), [sends(N2, confirm(1, 1))]);
}

#[test]
fn nobody_earned_a_lease_in_the_future() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, promise_of(1, 1_000_000, 7));
    subject.now = at(1_099);
    assert_eq!(subject.read(1), [sends(N2, confirm(1, 1))]);
}

#[test]
fn a_member_without_leases_is_asked_to_confirm() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, ok(1, 1));
    assert_eq!(subject.read(1), [sends(N2, confirm(1, 1))]);
}

#[test]
fn leases_of_a_view_end_with_it() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, promise_of(1, 1_000, 7));
    subject.announce(&view(2, N1, &[N1, N2], &[]));
    assert_eq!(subject.read(1), [holds(N2, confirm(2, 1), 3)]);
}

#[test]
fn a_backup_promises_with_every_acknowledgement() {
    let (mut subject, view) = backing(None);
    subject.now = at(600);
    let effects = subject.receive(N2, prepare_with(&view, vec![], 0, terms(1_090, None)));
    let promise = Message::PrepareOk {
        view: ViewNumber(1),
        durable: Index(1),
        checked: Index(0),
        terms: Some(Terms { sent: at(600), lease: loan(1_090, LEASE), reads: false }),
    };
    assert_eq!(effects, [sends(N2, promise)]);
}

#[test]
fn a_backup_grants_nothing_to_a_primary_that_uses_no_leases() {
    let (mut subject, view) =
        (Subject::told(leasing(), &view(1, N2, &[N1, N2], &[]), &[], 0), view(1, N2, &[N1, N2], &[]));
    assert_eq!(subject.receive(N2, prepare_with(&view, vec![], 0, None)), [sends(N2, ok(1, 0))]);
}

#[test]
fn a_replica_that_is_about_to_stop_promises_nothing_and_takes_no_lease() {
    let (mut subject, view) = backing(loan(450, LEASE));
    subject.replica.decline_leases();
    subject.now = at(520);
    let effects = subject.receive(N2, prepare_with(&view, vec![], 0, terms(1_020, loan(500, LEASE))));
    assert_eq!(effects, [sends(N2, ok(1, 1))]);
    // What it held counts until its end, and not longer: nobody has to outlast more (P6).
    subject.now = at(548);
    assert!(subject.replica.reads_as_backup(subject.now));
    subject.now = at(549);
    assert!(!subject.replica.reads_as_backup(subject.now));
}

#[test]
fn a_primary_that_is_about_to_stop_lends_nothing() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.now = at(1_100);
    subject.receive(N2, promise_of(1, 1_060, 7_000));
    subject.replica.decline_leases();
    assert_eq!(granted(&subject.propose()), None);
}

/// The lease in the first Prepare among `effects`.
fn granted(effects: &[Effect]) -> Option<Loan> {
    effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Prepare { terms, .. }, .. } => terms.and_then(|terms| terms.lease),
        _ => None,
    })
}

#[test]
fn a_backups_lease_counts_from_its_own_clock_and_nests_in_the_primarys() {
    // L4: the primary's own ends at 1060 + 99.
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    assert_eq!(granted(&subject.propose()), None, "there is nothing to lend yet");
    subject.now = at(1_100);
    subject.receive(N2, promise_of(1, 1_060, 7_000));
    assert_eq!(granted(&subject.propose()), loan(7_000, 59));
    subject.now = at(1_159);
    assert_eq!(granted(&subject.propose()), None, "nothing is left to lend");
}

#[test]
fn a_backup_of_a_group_at_rest_has_its_lease_until_the_primarys_ends() {
    // It counts from what was heard at 1100, however long after that it is lent: to 7059 of its clock, 1159
    // here.
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.now = at(1_100);
    subject.receive(N2, promise_of(1, 1_060, 7_000));
    subject.now = at(1_150);
    assert_eq!(granted(&subject.propose()), loan(7_000, 59));
}

#[test]
fn a_backups_lease_nests_in_the_shortest_promise() {
    let mut subject = leading(&view(1, N1, &[N1, N2, N3], &[]));
    subject.now = at(1_100);
    subject.receive(N2, promise_of(1, 1_100, 7_000));
    subject.receive(N3, promise_of(1, 1_010, 5_000));
    assert_eq!(granted(&subject.propose()), loan(7_000, 9));
}

#[test]
fn no_lease_is_granted_before_the_noop_is_committed() {
    // P7
    let mut subject = Subject::told(leasing(), &view(1, N1, &[N1, N2], &[]), &[], 0);
    subject.now = at(1_000);
    subject.receive(N2, promise_of(0, 1_000, 7));
    assert_eq!(granted(&subject.propose()), None);
    subject.persisted(3);
    subject.receive(N2, promise_of(2, 1_000, 7));
    assert_eq!(granted(&subject.propose()), loan(7, 99));
}

#[test]
fn learners_get_no_lease() {
    let view = view(1, N1, &[N1], &[N2]);
    let mut subject = Subject::leading_with(Config { join_lag_max: 0, ..leasing() }, &view);
    subject.now = at(1_000);
    subject.receive(N2, promise_of(0, 1_000, 7));
    assert_eq!(granted(&subject.propose()), None);
}

#[test]
fn a_backup_with_a_lease_reads_what_its_log_held() {
    // L5: the no-op is in the log, and not known to be committed.
    let (mut subject, view) = backing(loan(450, LEASE));
    let asks = Message::PrepareOk {
        view: ViewNumber(1),
        durable: Index(1),
        checked: Index(0),
        terms: Some(Terms { sent: at(500), lease: loan(1_000, LEASE), reads: true }),
    };
    assert_eq!(subject.read(1), [sends(N2, asks)], "the primary learns that somebody waits");
    assert_eq!(subject.read(2), []);
    let effects = subject.receive(N2, prepare_with(&view, vec![], 1, terms(1_001, None)));
    assert_eq!(effects[0..3], [applies(entries(&[1])), ready(1, 1), ready(2, 1)]);
    assert_eq!(subject.read(3), [ready(3, 1)]);
}

#[test]
fn a_read_at_a_backup_waits_for_what_touches_it_alone() {
    // L5: the no-op is in the log, and not known to be committed.
    let (mut subject, view) = backing(loan(450, LEASE));
    let read = |token, touched| Input::Read { token, at_least: Index(0), touched: Some(Index(touched)) };
    assert_eq!(subject.step(read(1, 0)), [ready(1, 0)]);
    assert!(!subject.step(read(2, 1)).contains(&ready(2, 1)));
    // A driver cannot name what is not in the log.
    assert!(!subject.step(read(3, 9)).contains(&ready(3, 1)));
    let effects = subject.receive(N2, prepare_with(&view, vec![], 1, terms(1_001, None)));
    assert_eq!(effects[0..3], [applies(entries(&[1])), ready(2, 1), ready(3, 1)]);
}

#[test]
fn a_backup_whose_lease_has_run_out_refuses() {
    // L2: 100 ms from 450, less 1 %.
    let (mut subject, _) = backing(loan(450, LEASE));
    subject.now = at(548);
    assert!(subject.replica.reads_as_backup(subject.now));
    subject.now = at(549);
    assert!(!subject.replica.reads_as_backup(subject.now));
    assert_eq!(subject.read(1), [Effect::ReadRefused { token: 1 }]);
}

#[test]
fn a_backup_without_a_lease_refuses() {
    let (mut subject, _) = backing(None);
    assert_eq!(subject.read(1), [Effect::ReadRefused { token: 1 }]);
}

#[test]
fn waiting_reads_of_a_backup_are_refused_when_the_view_ends() {
    let (mut subject, _) = backing(loan(450, LEASE));
    subject.read(1);
    let effects = subject.announce(&view(2, N2, &[N1, N2], &[]));
    assert_eq!(effects[0], Effect::ReadRefused { token: 1 });
    assert!(!subject.replica.reads_as_backup(subject.now), "the lease was of the view before");
}

#[test]
fn backups_that_read_hear_at_once_what_is_committed() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.propose();
    subject.persisted(3);
    let reading = Terms { sent: at(7), lease: loan(1_000, LEASE), reads: true };
    let message = Message::PrepareOk {
        view: ViewNumber(1),
        durable: Index(2),
        checked: Index(0),
        terms: Some(reading),
    };
    let effects = subject.receive(N2, message);
    assert_eq!(effects[0], applies(vec![entry(2, 1)]));
    assert!(
        matches!(
            &effects[1],
            Effect::Send { to: N2, message: Message::Prepare { commit: Index(2), .. }, .. }
        ),
        "{effects:?}"
    );
}

// ---- the heir ---------------------------------------------------------------------------------------------

/// n1 is promoted to the primary of view 2 at 600, after it promised n2 at 500. It is alone, and its own disk
/// is ready.
fn inherits(subject: &mut Subject, members: &[NodeId]) -> Vec<Effect> {
    subject.now = at(600);
    subject.announce(&view(2, N1, members, &[]));
    subject.persisted(3);
    subject.persisted(4)
}

#[test]
fn an_heir_keeps_what_it_promised() {
    // L3: promised at 500, for 100 ms and 1 %.
    let (mut subject, _) = backing(None);
    assert_eq!(inherits(&mut subject, &[N1]), []);
    assert_eq!(subject.read(1), []);
    assert_eq!(subject.replica.deadline(), Some(at(601)));
    subject.now = at(601);
    assert_eq!(subject.step(Input::Elapsed), [applies(vec![entry(1, 1), entry(2, 2)]), ready(1, 2)]);
}

#[test]
fn an_heir_that_promised_long_ago_does_not_wait() {
    let (mut subject, _) = backing(None);
    subject.now = at(700);
    subject.announce(&view(2, N1, &[N1], &[]));
    subject.persisted(3);
    assert_eq!(subject.persisted(4), [applies(vec![entry(1, 1), entry(2, 2)])]);
}

#[test]
fn a_primary_that_stays_primary_does_not_wait_for_itself() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, promise_of(1, 1_000, 7));
    subject.announce(&view(2, N1, &[N1], &[]));
    subject.persisted(3);
    assert_eq!(subject.persisted(4), [applies(vec![entry(2, 2)])]);
}

#[test]
fn a_dropped_backup_may_still_read_under_its_lease() {
    // P6: granted at 1100, for 59 ms and 1 %.
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.now = at(1_100);
    subject.receive(N2, promise_of(1, 1_060, 7_000));
    assert!(granted(&subject.propose()).is_some());
    subject.announce(&view(2, N1, &[N1], &[]));
    assert_eq!(subject.persisted(5), []);
    let until = at(1_159) + Duration::from_micros(590);
    subject.now = at(1_150);
    assert_eq!(subject.step(Input::Elapsed), [], "a heartbeat interval has passed, the lease has not");
    assert_eq!(subject.replica.deadline(), Some(until));
    subject.now = until;
    assert_eq!(subject.step(Input::Elapsed), [applies(vec![entry(2, 1), entry(3, 2)])]);
}

#[test]
fn a_backup_that_stays_is_not_waited_for_twice() {
    let mut subject = leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, promise_of(1, 1_000, 7));
    assert!(granted(&subject.propose()).is_some());
    subject.announce(&view(2, N1, &[N1, N2], &[]));
    subject.persisted(5);
    assert_eq!(subject.receive(N2, ok(2, 3)), [applies(vec![entry(2, 1), entry(3, 2)])]);
}

// ---- after a restart --------------------------------------------------------------------------------------

fn restarted(config: Config, lease: u64) -> (Subject, Vec<Effect>) {
    let view = view(1, N2, &[N1, N2], &[]);
    let state = Some(promise(&view, lease));
    let recovered = Recovered { state, ..recovered(None, &[1], 1) };
    Subject::start(config, recovered)
}

#[test]
fn a_replica_that_restarted_has_forgotten_what_it_promised() {
    // L6: all that it knows is how long a promise may last.
    let (mut subject, _) = restarted(leasing(), LEASE);
    subject.announce(&view(2, N1, &[N1], &[]));
    subject.persisted(1);
    assert_eq!(subject.persisted(2), []);
    assert_eq!(subject.replica.deadline(), Some(at(50)));
    subject.now = at(101);
    assert_eq!(subject.step(Input::Elapsed)[0], applies(vec![entry(2, 2)]));
}

#[test]
fn a_replica_that_never_promised_a_lease_does_not_wait() {
    let (mut subject, _) = restarted(leasing(), 0);
    subject.persisted(1);
    subject.announce(&view(2, N1, &[N1], &[]));
    subject.persisted(2);
    assert_eq!(subject.persisted(3), [applies(vec![entry(2, 2)])]);
}

#[test]
fn a_longer_lease_is_on_disk_before_anybody_is_promised_it() {
    let (mut subject, effects) = restarted(leasing(), 0);
    let first = view(1, N2, &[N1, N2], &[]);
    assert_eq!(effects[1], persists(1, Write::State(promise(&first, LEASE))));
    let effects = subject.receive(N2, prepare_with(&first, vec![], 0, terms(1_000, None)));
    assert!(matches!(effects[..], [Effect::Send { after: Some(Ticket(1)), .. }]), "{effects:?}");
}

#[test]
fn a_shorter_lease_does_not_shorten_what_was_promised() {
    let short = Config { lease: Some(Duration::from_millis(10)), ..leasing() };
    let (mut subject, _) = restarted(short, LEASE);
    subject.persisted(1);
    subject.announce(&view(2, N1, &[N1], &[]));
    subject.persisted(2);
    assert_eq!(subject.persisted(3), []);
    subject.now = at(101);
    assert_eq!(subject.step(Input::Elapsed)[0], applies(vec![entry(2, 2)]));
}
