//! How much is sent at once, and what is sent again.

use super::*;

/// The size of the entries of these tests, which have no payload.
fn size() -> usize {
    entry(1, 1).size()
}

fn prepares(effects: &[Effect]) -> Vec<(u64, usize)> {
    let prepare = |effect: &Effect| match effect {
        Effect::Send { message: Message::Prepare { sequence, entries, .. }, .. } => {
            Some((*sequence, entries.len()))
        }
        _ => None,
    };
    effects.iter().filter_map(prepare).collect()
}

#[test]
fn a_prepare_carries_no_more_than_its_bound_but_at_least_one_entry() {
    for (bound, expected) in [(0, [1, 1, 1, 1, 1].as_slice()), (2 * size(), &[2, 2, 1]), (1 << 20, &[5])] {
        let config = Config { prepare_bytes_max: bound, ..config() };
        let view = view(2, N1, &[N1, N2], &[]);
        let mut subject = Subject::told(config, &view, &[1, 1, 1, 1], 0);
        let sent: Vec<usize> =
            prepares(&subject.receive(N2, reject(2, 1, 0, EntryId::ZERO))).iter().map(|(_, n)| *n).collect();
        assert_eq!(sent, expected);
    }
}

#[test]
fn the_window_bounds_what_is_on_its_way() {
    let config = Config { window_bytes_max: 2 * size(), ..config() };
    let view = view(1, N1, &[N1, N2], &[]);
    let mut subject = Subject::leading_with(config, &view);
    assert_eq!(prepares(&subject.propose()), [(2, 1)]);
    assert_eq!(prepares(&subject.propose()), [(3, 1)]);
    assert_eq!(prepares(&subject.propose()), []);
    assert_eq!(prepares(&subject.propose()), []);
    // Each acknowledgement makes room; what waited meanwhile goes in one Prepare.
    let expected = [sends(N2, prepare(&view, 4, id(3, 1), vec![entry(4, 1), entry(5, 1)], 1))];
    assert_eq!(subject.receive(N2, ok(1, 2)), expected);
    assert_eq!(prepares(&subject.propose()), []);
    assert_eq!(prepares(&subject.receive(N2, ok(1, 5))), [(5, 1)]);
}

#[test]
fn a_closed_window_is_opened_again_by_a_heartbeat() {
    let config = Config { window_bytes_max: size(), ..config() };
    let view = view(1, N1, &[N1, N2], &[]);
    let mut subject = Subject::leading_with(config, &view);
    subject.propose();
    subject.propose();
    // The first was lost. The heartbeat says what was sent last, the answer what is missing.
    let heartbeat = prepare(&view, 3, id(2, 1), vec![], 1);
    assert_eq!(subject.elapse(INTERVAL), [sends(N2, heartbeat)]);
    let expected = [sends(N2, prepare(&view, 4, id(1, 1), vec![entry(2, 1), entry(3, 1)], 1))];
    assert_eq!(subject.receive(N2, reject(1, 3, 1, id(1, 1))), expected);
}

#[test]
fn heartbeats_go_to_everybody_in_every_interval() {
    let view = view(1, N1, &[N1, N2], &[N3]);
    let mut subject = Subject::leading(&view);
    assert_eq!(subject.elapse(INTERVAL - 1), []);
    let heartbeat = |sequence| prepare(&view, sequence, id(1, 1), vec![], 1);
    assert_eq!(subject.elapse(1), [sends(N2, heartbeat(2)), sends(N3, heartbeat(2))]);
    assert_eq!(subject.replica.deadline(), Some(subject.now + Duration::from_millis(INTERVAL)));
    assert_eq!(subject.elapse(INTERVAL), [sends(N2, heartbeat(3)), sends(N3, heartbeat(3))]);
}

#[test]
fn an_acknowledgement_in_time_is_no_silence() {
    let view = view(1, N1, &[N1, N2], &[]);
    let mut subject = Subject::leading(&view);
    for _ in 0..30 {
        let effects = subject.elapse(INTERVAL);
        assert!(!effects.iter().any(is_suspicion));
        subject.receive(N2, ok(1, 1));
    }
    subject.wait(9);
    assert_eq!(subject.elapse(INTERVAL)[0], suspects(1, N2, 10 * INTERVAL));
}

#[test]
fn silence_counts_only_beyond_what_the_next_entry_takes() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    // 32 MiB may take a second more, however many small entries gather behind it.
    subject.propose_bytes(32 << 20);
    (0..100).for_each(|_| drop(subject.propose_bytes(10_000)));
    assert!(!subject.wait(29).iter().any(is_suspicion));
    assert!(subject.wait(2).iter().any(is_suspicion));
    // Many small ones that gather because a backup is silent are no excuse for it.
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    (0..1_000).for_each(|_| drop(subject.propose_bytes(30_000)));
    assert!(subject.wait(10).iter().any(is_suspicion));
}

#[test]
fn who_sends_a_large_message_is_not_silent() {
    for (me, other, view) in [(N1, N2, view(1, N1, &[N1, N2], &[])), (N2, N1, view(1, N1, &[N1, N2], &[]))] {
        let silent = |effect: &Effect| {
            let Effect::Petition(Petition { plea: Plea::Suspect { grounds, .. }, .. }) = effect else {
                return false;
            };
            matches!(grounds, Grounds::Silent(_))
        };
        let config = Config { me: member(me), ..config() };
        let mut subject = Subject::told(config, &view, &[1], 1);
        for _ in 0..40 {
            let effects = subject.elapse(INTERVAL);
            assert!(!effects.iter().any(silent), "{effects:?}");
            subject.step(Input::Arriving { from: other });
        }
        assert!(subject.wait(10).iter().any(silent));
    }
}

#[test]
fn who_stood_still_itself_accuses_nobody() {
    for me in [N1, N2] {
        let view = view(1, N1, &[N1, N2], &[]);
        let mut subject = Subject::told(Config { me: member(me), ..config() }, &view, &[1], 1);
        subject.wait(2);
        assert!(!subject.elapse(100 * INTERVAL).iter().any(is_suspicion));
        assert!(!subject.wait(9).iter().any(is_suspicion));
        assert!(subject.wait(1).iter().any(is_suspicion));
    }
}

#[test]
fn a_disk_is_given_the_time_that_its_bytes_take() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    let waits = |subject: &Subject| subject.replica.status(subject.now).oldest_write.unwrap();
    subject.propose_bytes(10_000);
    subject.propose_bytes(32 << 20);
    subject.wait(20);
    assert_eq!(waits(&subject), Duration::ZERO);
    subject.wait(10);
    assert_eq!(waits(&subject), Duration::from_millis(1_500 - 1_024));
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    (0..1_000).for_each(|_| drop(subject.propose_bytes(30_000)));
    subject.wait(10);
    assert_eq!(
        waits(&subject),
        Duration::from_millis(500),
        "small ones have gathered because it stands still"
    );
}

#[test]
fn too_much_that_is_uncommitted_makes_the_primary_refuse() {
    let config = Config { uncommitted_bytes_max: 2 * size(), ..config() };
    let mut subject = Subject::leading_with(config, &view(1, N1, &[N1, N2], &[]));
    for _ in 0..2 {
        subject.propose();
        assert_eq!(subject.replica.admit(ViewNumber(1)), Ok(()));
    }
    subject.propose();
    assert_eq!(subject.replica.admit(ViewNumber(1)), Err(Refusal::Busy));
    subject.persisted(5);
    subject.receive(N2, ok(1, 2));
    assert_eq!(subject.replica.admit(ViewNumber(1)), Ok(()));
}

#[test]
fn what_a_new_primary_found_uncommitted_counts_too() {
    let config = Config { uncommitted_bytes_max: 2 * size(), ..config() };
    let mut subject = Subject::told(config, &view(2, N1, &[N1, N2], &[]), &[1, 1], 0);
    assert_eq!(subject.replica.admit(ViewNumber(2)), Err(Refusal::Busy));
    subject.persisted(2);
    subject.receive(N2, ok(2, 3));
    assert_eq!(subject.replica.admit(ViewNumber(2)), Ok(()));
}

#[test]
fn a_backup_that_starts_again_is_sent_what_its_disk_lost() {
    let view = view(1, N1, &[N1, N2], &[]);
    let mut subject = Subject::leading(&view);
    subject.propose();
    subject.propose();
    // It had #2 in memory only, and comes back with #1.
    subject.elapse(INTERVAL);
    let expected = [sends(N2, prepare(&view, 5, id(1, 1), vec![entry(2, 1), entry(3, 1)], 1))];
    assert_eq!(subject.receive(N2, reject(1, 4, 1, id(1, 1))), expected);
}

#[test]
fn a_rejection_lets_little_be_sent_again_and_acknowledgements_let_more() {
    // One entry in each Prepare, and room for all of them. Each Prepare that comes out of turn is rejected.
    let config = Config { prepare_bytes_max: 0, window_bytes_max: 1 << 20, ..config() };
    let view = view(2, N1, &[N1, N2], &[]);
    let mut subject = Subject::told(config, &view, &[1; 200], 0);
    let sent = |effects: &[Effect]| prepares(effects).len();
    assert_eq!(sent(&subject.receive(N2, reject(2, 1, 0, EntryId::ZERO))), 32);
    assert_eq!(sent(&subject.receive(N2, ok(2, 1))), 33, "twice as many, and one has arrived");
    assert_eq!(sent(&subject.receive(N2, ok(2, 2))), 65);
    assert_eq!(sent(&subject.receive(N2, reject(2, 100, 2, id(2, 1)))), 32, "as few as before");
}
