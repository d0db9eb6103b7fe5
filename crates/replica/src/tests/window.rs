//! A part of the log is in memory; the rest is read back from the disk for those who lack it.

use super::*;

fn size() -> usize {
    entry(1, 1).size()
}

fn read(first: EntryId, entries: Vec<Entry>) -> Input {
    Input::EntriesRead { to: N3, first, entries }
}

/// The prepares among these effects: what they follow, and what they carry.
fn prepares(effects: &[Effect]) -> Vec<(EntryId, Vec<EntryId>)> {
    let sent = effects.iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Prepare { previous, entries, .. }, .. } => {
            Some((*previous, entries.iter().map(|entry| entry.id).collect()))
        }
        _ => None,
    });
    sent.collect()
}

/// The primary of view 2 after a restart, with these entries, all but the last two of them on the disk only;
/// the learner n3 has said that it has nothing.
fn asked(epochs: &[u64]) -> (Subject, Vec<Effect>) {
    // Of 4 MiB, a learner is sent an eighth of its window at once.
    let config = Config { log_memory_bytes_max: 2 * size(), prepare_bytes_max: 4 << 20, ..config() };
    let mut subject = Subject::told(config, &view(2, N1, &[N1], &[N3]), epochs, epochs.len() as u64);
    subject.persisted(2);
    let effects = subject.receive(N3, reject(2, 1, 0, EntryId::ZERO));
    (subject, effects)
}

fn awaits(effects: &[Effect]) -> Vec<EntryId> {
    let firsts = effects.iter().filter_map(|effect| match effect {
        Effect::ReadEntries { to: N3, first, .. } => Some(*first),
        _ => None,
    });
    firsts.collect()
}

#[test]
fn what_is_settled_leaves_memory_and_what_may_change_stays() {
    let config = Config { log_memory_bytes_max: 0, ..config() };
    let mut subject = Subject::leading_with(config, &view(1, N1, &[N1, N2], &[]));
    for index in 2..=5 {
        subject.propose();
        subject.persisted(index + 1);
    }
    let window = |subject: &Subject| subject.replica.log().window_base().index.0;
    assert_eq!(window(&subject), 0);
    subject.receive(N2, ok(1, 4));
    // The last committed one has the time of the state.
    assert_eq!((window(&subject), subject.replica.log().bytes()), (3, 5 * size()));
    subject.receive(N2, ok(1, 5));
    assert_eq!(window(&subject), 4);
}

#[test]
fn what_is_not_durable_stays_in_memory() {
    let config = Config { log_memory_bytes_max: 0, ..config() };
    let view = view(1, N2, &[N1, N2], &[]);
    let mut subject = Subject::told(config, &view, &[], 0);
    // The primary does not wait for a learner that it knew to be one.
    subject.receive(N2, prepare(&view, 1, EntryId::ZERO, entries(&[1, 1, 1]), 3));
    assert_eq!(subject.replica.log().window_base(), EntryId::ZERO);
    subject.persisted(2);
    assert_eq!(subject.replica.log().window_base(), id(2, 1));
}

#[test]
fn a_laggard_gets_what_is_read_from_the_disk_and_then_the_rest() {
    let (mut subject, effects) = asked(&[1, 1, 1, 1, 1, 1]);
    assert_eq!(awaits(&effects), [id(1, 1)]);
    assert_eq!(prepares(&effects), []);
    // One piece at a time, whatever it says meanwhile.
    assert_eq!(awaits(&subject.receive(N3, ok(2, 0))), []);
    let effects = subject.step(read(id(1, 1), vec![entry(1, 1), entry(2, 1)]));
    assert_eq!(prepares(&effects), [(EntryId::ZERO, vec![id(1, 1), id(2, 1)])]);
    assert_eq!(awaits(&effects), [id(3, 1)]);
    let effects = subject.step(read(id(3, 1), vec![entry(3, 1), entry(4, 1), entry(5, 1)]));
    assert_eq!(prepares(&effects)[0], (id(2, 1), vec![id(3, 1), id(4, 1), id(5, 1)]));
    // The rest is in memory.
    assert_eq!(prepares(&effects)[1], (id(5, 1), vec![id(6, 1), id(7, 2)]));
    assert_eq!(awaits(&effects), []);
}

#[test]
fn what_was_read_is_believed_as_far_as_it_is_this_log() {
    let (mut subject, _) = asked(&[1, 1, 2, 2, 2, 2]);
    // The tail of an earlier view, which was cut.
    let effects = subject.step(read(id(1, 1), vec![entry(1, 1), entry(2, 1), entry(3, 1)]));
    assert_eq!(prepares(&effects), [(EntryId::ZERO, vec![id(1, 1), id(2, 1)])]);
    assert_eq!(awaits(&effects), [id(3, 2)]);
}

#[test]
fn an_answer_that_nobody_waits_for_changes_nothing() {
    let (mut subject, _) = asked(&[1, 1, 1, 1]);
    assert_eq!(subject.step(read(id(2, 1), vec![entry(2, 1)])), []);
    assert_eq!(awaits(&subject.step(read(id(1, 1), vec![entry(1, 1)]))), [id(2, 1)]);
}

#[test]
fn a_snapshot_takes_the_place_of_what_cannot_be_read() {
    let (mut subject, _) = asked(&[1, 1, 1, 1]);
    let takes = Effect::TakeSnapshot { at: id(5, 2), time: Timestamp(0) };
    assert_eq!(subject.step(read(id(1, 1), Vec::new())), [takes]);
    // Tried again meanwhile, in vain.
    assert_eq!(awaits(&subject.elapse(INTERVAL)), [id(1, 1)]);
    assert_eq!(subject.step(read(id(1, 1), Vec::new())), []);
    subject.step(taken(id(5, 2)));
    assert_eq!(subject.replica.log().base(), id(5, 2));
    assert!(subject.wait(1).iter().any(|effect| matches!(effect, Effect::ReadSnapshot { .. })));
}

#[test]
fn what_a_laggard_has_got_meanwhile_is_not_sent_again() {
    let (mut subject, _) = asked(&[1, 1, 1, 1, 1, 1]);
    subject.receive(N3, ok(2, 2));
    let effects = subject.step(read(id(1, 1), vec![entry(1, 1), entry(2, 1)]));
    assert_eq!((prepares(&effects), awaits(&effects)), (vec![], vec![id(3, 1)]));
}

#[test]
fn what_a_snapshot_covers_by_now_is_not_read_again() {
    let (mut subject, _) = asked(&[1, 1, 1, 1]);
    let (first, nothing) = (id(1, 1), Vec::new());
    subject.step(read(first, nothing.clone()));
    subject.elapse(INTERVAL);
    subject.step(taken(id(5, 2)));
    assert_eq!(subject.replica.log().base(), id(5, 2));
    let effects = subject.step(read(first, nothing));
    assert!(effects.iter().any(|effect| matches!(effect, Effect::ReadSnapshot { .. })), "{effects:?}");
}
