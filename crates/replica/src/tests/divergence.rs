//! Same order, same result (rule P10): what becomes of a backup that holds something else than the primary.

use super::*;

fn digest(after: u64, value: u64) -> Digest {
    Digest { after: Index(after), value }
}

fn executed(subject: &mut Subject, digests: &[Digest]) -> Vec<Effect> {
    subject.step(Input::Executed { digests: digests.to_vec() })
}

fn heartbeat(view: &View, previous: EntryId, commit: u64, digest: Option<Digest>) -> Message {
    Message::Prepare {
        view: view.clone(),
        sequence: 1,
        previous,
        entries: vec![],
        commit: Index(commit),
        digest,
        terms: None,
    }
}

fn checked_ok(view: u64, durable: u64, checked: u64) -> Message {
    Message::PrepareOk {
        view: ViewNumber(view),
        durable: Index(durable),
        checked: Index(checked),
        terms: None,
    }
}

/// An accusation by somebody who last began anew in the view `began`.
fn accuses(view: u64, began: u64) -> Message {
    Message::Diverged { view: ViewNumber(view), began: ViewNumber(began) }
}

fn diverged(after: u64, own: u64, primarys: u64) -> Effect {
    Effect::Diverged { after: Index(after), own, primarys }
}

/// A backup in `view` 1 that has executed two entries, after which its digests were 10 and 20.
fn backing(view: &View) -> Subject {
    let mut subject = Subject::told(config(), view, &[1, 1], 2);
    assert_eq!(executed(&mut subject, &[digest(1, 10), digest(2, 20)]), []);
    subject
}

#[test]
fn a_primary_says_what_it_holds() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    executed(&mut subject, &[digest(1, 10)]);
    let effects = subject.propose();
    let said = effects.iter().find_map(|effect| match effect {
        Effect::Send { message: Message::Prepare { digest, .. }, .. } => Some(*digest),
        _ => None,
    });
    assert_eq!(said, Some(Some(digest(1, 10))));
}

#[test]
fn a_backup_that_agrees_says_how_far() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&view);
    let effects = subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(1, 10))));
    assert_eq!(effects, [sends(N2, checked_ok(1, 2, 1))]);
    let effects = subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(2, 20))));
    assert_eq!(effects, [sends(N2, checked_ok(1, 2, 2))]);
}

#[test]
fn a_backup_that_disagrees_says_nothing_any_more() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&view);
    let effects = subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(2, 21))));
    assert_eq!(effects, [diverged(2, 20, 21), sends(N2, accuses(1, 0))]);
    assert_eq!(subject.replica.standing(), Standing::Diverged);
    assert_eq!(subject.elapse(INTERVAL), [sends(N2, accuses(1, 0))], "until somebody hears it");
    assert_eq!(subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(2, 20)))), []);
    assert_eq!(subject.receive(N2, prepare(&view, 2, id(2, 1), vec![entry(3, 1)], 2)), []);
}

#[test]
fn what_is_not_executed_yet_is_compared_later() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&view);
    subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(3, 30))));
    // The next one waits its turn.
    subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(2, 99))));
    assert_eq!(executed(&mut subject, &[digest(3, 31)]), [diverged(3, 31, 30), sends(N2, accuses(1, 0))]);
}

#[test]
fn what_a_primary_said_is_not_held_against_the_next_one() {
    let first = view(1, N2, &[N1, N2, N3], &[]);
    let mut subject = backing(&first);
    subject.receive(N2, heartbeat(&first, id(2, 1), 2, Some(digest(3, 31))));
    let second = view(2, N3, &[N1, N3], &[]);
    subject.announce(&second);
    subject.receive(N3, prepare(&second, 1, id(2, 1), vec![entry(3, 1)], 3));
    assert_eq!(executed(&mut subject, &[digest(3, 30)]), []);
    assert_eq!(subject.replica.standing(), Standing::Backup);
}

#[test]
fn what_was_executed_too_long_ago_is_not_compared() {
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&view);
    let many: Vec<Digest> = (3..10_000).map(|index| digest(index, index)).collect();
    executed(&mut subject, &many);
    let effects = subject.receive(N2, heartbeat(&view, id(2, 1), 2, Some(digest(2, 99))));
    assert_eq!(effects, [sends(N2, checked_ok(1, 2, 0))]);
}

#[test]
fn a_diverged_replica_begins_anew_when_it_is_no_member_any_more() {
    let first = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&first);
    subject.step(taken(id(2, 1)));
    assert_eq!(subject.replica.newest_snapshot(), id(2, 1));
    subject.receive(N2, heartbeat(&first, id(2, 1), 2, Some(digest(2, 21))));
    let second = view(2, N2, &[N2], &[]);
    let install = persists(4, Write::Install { snapshot: EntryId::ZERO });
    let expected = [promises(3, &second), install, Effect::Rebuild, becomes(Standing::Outside, &second)];
    assert_eq!(subject.announce(&second), expected);
    assert_eq!(subject.log(), (vec![], 0, 0));
    assert_eq!(subject.replica.newest_snapshot(), EntryId::ZERO, "it holds what was damaged");
    // It is recruited again, and gets everything anew.
    let third = view(3, N2, &[N2], &[N1]);
    assert_eq!(subject.announce(&third)[1], becomes(Standing::Learner, &third));
    subject.persisted(5);
    let effects = subject.receive(N2, prepare(&third, 1, id(2, 1), vec![entry(3, 3)], 2));
    assert_eq!(effects, [sends(N2, reject(3, 1, 0, EntryId::ZERO))]);
}

#[test]
fn a_diverged_replica_that_missed_its_dismissal_begins_anew_as_well() {
    let first = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&first);
    subject.receive(N2, heartbeat(&first, id(2, 1), 2, Some(digest(2, 21))));
    let third = view(3, N2, &[N2], &[N1]);
    assert!(subject.announce(&third).ends_with(&[Effect::Rebuild, becomes(Standing::Learner, &third)]));
}

#[test]
fn what_differs_from_one_primary_may_be_what_the_next_one_has() {
    let first = view(1, N2, &[N1, N2, N3], &[]);
    let mut subject = backing(&first);
    subject.receive(N2, heartbeat(&first, id(2, 1), 2, Some(digest(2, 21))));
    let second = view(2, N3, &[N1, N2, N3], &[]);
    assert_eq!(subject.announce(&second)[1], becomes(Standing::Backup, &second));
}

#[test]
fn an_heir_that_has_diverged_executes_its_log_anew_before_it_leads() {
    // Its log may be the only one that is left.
    let first = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&first);
    subject.receive(N2, heartbeat(&first, id(2, 1), 2, Some(digest(2, 21))));
    let second = view(2, N1, &[N1], &[]);
    assert_eq!(subject.announce(&second)[1..], [Effect::Damaged, becomes(Standing::Diverged, &second)]);
    assert_eq!(subject.log(), (vec![id(1, 1), id(2, 1)], 2, 2));
}

#[test]
fn a_primary_is_believed_once_and_then_takes_itself_for_damaged() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2, N3], &[]));
    subject.read(1);
    assert_eq!(subject.receive(N2, accuses(1, 0)), []);
    assert_eq!(subject.receive(N2, accuses(1, 0)), [], "the same accusation again");
    assert_eq!(subject.receive(N4, accuses(1, 0)), [], "a stranger");
    let effects = subject.receive(N3, accuses(1, 0));
    assert_eq!(effects, [Effect::ReadRefused { token: 1 }, Effect::Damaged]);
    assert_eq!(subject.replica.standing(), Standing::Diverged);
    assert_eq!(subject.propose(), [Effect::Refused]);
    // Nor does it lead any later view; only a new process can.
    let second = view(2, N1, &[N1, N2, N3], &[]);
    assert_eq!(subject.announce(&second)[1], becomes(Standing::Diverged, &second));
}

#[test]
fn the_same_replica_built_anew_is_a_second_opinion() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2], &[]));
    subject.receive(N2, accuses(1, 0));
    subject.announce(&view(2, N1, &[N1], &[]));
    subject.announce(&view(3, N1, &[N1], &[N2]));
    assert_eq!(subject.receive(N2, accuses(3, 0)), [], "it is what its disk kept, as before");
    assert_eq!(subject.receive(N2, accuses(3, 3)), [Effect::Damaged]);
}

#[test]
fn a_replica_says_since_when_it_has_its_state() {
    let first = view(1, N2, &[N1, N2], &[]);
    let mut subject = backing(&first);
    let accusation = |effects: &[Effect]| effects.contains(&sends(N2, accuses(1, 0)));
    assert!(accusation(&subject.receive(N2, heartbeat(&first, id(2, 1), 2, Some(digest(2, 21))))));
    subject.announce(&view(2, N2, &[N2], &[]));
    let third = view(3, N2, &[N2], &[N1]);
    subject.announce(&third);
    subject.persisted(4);
    subject.receive(N2, prepare(&third, 1, EntryId::ZERO, vec![entry(1, 1)], 1));
    subject.persisted(5);
    executed(&mut subject, &[digest(1, 10)]);
    let effects = subject.receive(N2, heartbeat(&third, id(1, 1), 1, Some(digest(1, 11))));
    assert!(effects.contains(&sends(N2, accuses(3, 2))), "{effects:?}");
}

#[test]
fn accusations_of_a_reign_end_with_it() {
    let mut subject = Subject::leading(&view(1, N1, &[N1, N2, N3], &[]));
    subject.receive(N2, accuses(1, 0));
    subject.announce(&view(2, N2, &[N1, N2, N3], &[]));
    subject.announce(&view(3, N1, &[N1, N2, N3], &[]));
    assert_eq!(subject.receive(N3, accuses(3, 0)), []);
}

#[test]
fn a_learner_is_certified_only_when_it_holds_the_same() {
    // P5 and P10
    let mut subject = Subject::leading(&view(1, N1, &[N1], &[N2]));
    executed(&mut subject, &[digest(1, 10)]);
    assert_eq!(subject.receive(N2, checked_ok(1, 1, 0)), []);
    subject.receive(N2, checked_ok(1, 1, 1));
    let asks = petitions(1, Plea::AddMember { learner: member(N2) });
    assert!(subject.elapse(INTERVAL).contains(&asks));
}

/// A learner that had got the last entry in a snapshot had nothing to compare, and where writes needed more
/// copies there never was anything.
#[test]
fn a_learner_that_has_executed_nothing_gets_an_entry_to_compare_itself_by() {
    let mut subject = Subject::leading(&view(1, N1, &[N1], &[N2]));
    executed(&mut subject, &[digest(1, 10)]);
    subject.receive(N2, checked_ok(1, 1, 0));
    subject.elapse(INTERVAL);
    assert_eq!(subject.replica.log().last().index, Index(2));
    subject.elapse(INTERVAL);
    assert_eq!(subject.replica.log().last().index, Index(2), "one is enough while it is on its way");
}
