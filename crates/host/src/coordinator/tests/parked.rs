use super::*;

const SPOKEN_WITHIN: u64 = 200;
const TEN_MINUTES: u64 = 600_000;

/// What is sent now: which batch, below which number all is done, and what was heard.
fn sent(coordinator: &mut Coordinator<&'static str>, now: u64) -> Vec<(u64, u64, Vec<u64>)> {
    let mut dispatches = Vec::new();
    coordinator.dispatch(at(now), ReadBatches::Together, &mut dispatches);
    let forwards = dispatches.into_iter().map(|dispatch| dispatch.forward);
    forwards.map(|it| (it.sequence, it.done_below, it.heard)).collect()
}

fn done(coordinator: &mut Coordinator<&'static str>, sequence: u64) {
    let response = Bytes::from_static(b"\x01\0\0\0x");
    coordinator.complete(sequence, Outcome::Done { response, as_of: Index(9) });
}

/// Two clients wait in batches 1 and 2, of which the first is parked.
fn with_one_parked() -> Coordinator<&'static str> {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    submit(&mut coordinator, Kind::Wait, "a");
    submit(&mut coordinator, Kind::Wait, "b");
    assert_eq!(sent(&mut coordinator, 0), [(1, 1, vec![]), (2, 1, vec![])], "each alone");
    coordinator.complete(1, Outcome::Parked);
    coordinator
}

#[test]
fn what_is_parked_holds_nothing_up_and_is_not_asked_for() {
    let mut coordinator = with_one_parked();
    done(&mut coordinator, 2);
    assert_eq!(replies(&mut coordinator).len(), 1);
    submit(&mut coordinator, Kind::Write, "c");
    assert_eq!(sent(&mut coordinator, 1), [(3, 3, vec![2])]);
    done(&mut coordinator, 3);
    assert_eq!(coordinator.deadline(), Some(at(1 + TEN_MINUTES)), "it only says that it is there");
    assert_eq!(sent(&mut coordinator, TEN_MINUTES), []);
    assert_eq!(sent(&mut coordinator, 1 + TEN_MINUTES), [(4, 4, vec![])]);
    assert_eq!(coordinator.outstanding().map(|(sequence, _)| sequence).collect::<Vec<_>>(), [4, 1]);
    replies(&mut coordinator);
    done(&mut coordinator, 1);
    assert!(matches!(replies(&mut coordinator)[..], [("a", Reply::Done { .. })]));
}

#[test]
fn that_an_answer_was_heard_is_said_until_it_has_arrived() {
    let mut coordinator = with_one_parked();
    done(&mut coordinator, 2);
    done(&mut coordinator, 1);
    replies(&mut coordinator);
    // There is nothing else to say.
    assert_eq!(coordinator.deadline(), Some(at(SPOKEN_WITHIN)));
    assert_eq!(sent(&mut coordinator, SPOKEN_WITHIN), [(3, 3, vec![2, 1])]);
    let again: usize =
        (1..5).map(|second| sent(&mut coordinator, SPOKEN_WITHIN + 1_000 * second).len()).sum();
    assert_eq!(again, 4);
    // That batch is given up: another one says it.
    let ended = SPOKEN_WITHIN + TIMEOUT.as_millis() as u64;
    assert_eq!(sent(&mut coordinator, ended), []);
    assert_eq!(sent(&mut coordinator, ended + 1), [(4, 4, vec![2, 1])]);
    coordinator.complete(4, Outcome::Done { response: Bytes::new(), as_of: Index(9) });
    assert_eq!(coordinator.deadline(), None);
}

#[test]
fn a_primary_that_may_not_have_heard_is_told_that_somebody_is_there() {
    let mut coordinator = with_one_parked();
    assert_eq!(sent(&mut coordinator, 1_000), [(2, 2, vec![])], "the answer did not come");
    assert_eq!(
        sent(&mut coordinator, 1_001),
        [(3, 2, vec![])],
        "what is parked may not be given to the absent"
    );
    done(&mut coordinator, 2);
    done(&mut coordinator, 3);
    replies(&mut coordinator);
    assert_eq!(sent(&mut coordinator, 1_500), [(4, 4, vec![2])], "it is said once, and what was heard");
    done(&mut coordinator, 4);
    assert_eq!(sent(&mut coordinator, 5_000), []);
}

#[test]
fn an_heir_is_asked_for_everything_however_long_it_takes() {
    let mut coordinator = with_one_parked();
    coordinator.complete(2, Outcome::Parked);
    coordinator.learn(&view(2, 2));
    assert_eq!(sent(&mut coordinator, 10), [(1, 3, vec![]), (2, 3, vec![])]);
    coordinator.complete(1, Outcome::Parked);
    for second in 1..100 {
        coordinator.complete(2, Outcome::Busy);
        sent(&mut coordinator, 10 + 1_000 * second);
        assert!(replies(&mut coordinator).is_empty());
    }
    coordinator.complete(2, Outcome::Parked);
    // The next view of the same primary says nothing new; one after a view that was missed may.
    coordinator.learn(&view(3, 2));
    assert_eq!(sent(&mut coordinator, 200_000), []);
    coordinator.learn(&view(5, 2));
    assert_eq!(sent(&mut coordinator, 200_001).len(), 2);
    for sequence in [1, 2] {
        coordinator.complete(sequence, Outcome::Parked);
    }
    coordinator.lost(NodeId(1));
    assert_eq!(sent(&mut coordinator, 200_100), []);
    coordinator.lost(NodeId(2));
    assert_eq!(sent(&mut coordinator, 200_200).len(), 2);
}

#[test]
fn what_is_sent_away_is_registered_anew() {
    let mut coordinator = with_one_parked();
    let response = Bytes::from_static(&[0xff; 4]);
    coordinator.complete(1, Outcome::Done { response, as_of: Index(9) });
    assert_eq!(sent(&mut coordinator, 1), [(3, 2, vec![1])]);
    assert!(replies(&mut coordinator).is_empty());
}

#[test]
fn what_was_given_up_is_not_remembered_for_it() {
    let mut coordinator = with_one_parked();
    let ended = TIMEOUT.as_millis() as u64;
    sent(&mut coordinator, ended);
    assert_eq!(replies(&mut coordinator), [("b", Reply::Unknown)], "whoever is parked waits on");
    assert_eq!(sent(&mut coordinator, ended + 1), [(3, 3, vec![2])]);
}

/// Which batches are sent now.
fn numbers(coordinator: &mut Coordinator<&'static str>, now: u64) -> Vec<u64> {
    sent(coordinator, now).into_iter().map(|(sequence, ..)| sequence).collect()
}

#[test]
fn only_whoever_has_a_batch_says_that_it_is_parked() {
    let mut coordinator = with_one_parked();
    let answer = |outcome| Answer { group: GroupId(1), coordinator: LIFE, sequence: 2, outcome };
    coordinator.learn(&view(2, 2));
    assert_eq!(numbers(&mut coordinator, 1), [1, 2], "of the new primary");
    // The primary before has parked it as well, and says so late.
    coordinator.answered(NodeId(1), answer(Outcome::Parked));
    coordinator.answered(NodeId(2), answer(Outcome::Busy));
    assert_eq!(numbers(&mut coordinator, 100), [2], "it is refused, and asked for again");
    // So may another one be late with what it says of who leads.
    coordinator.answered(NodeId(1), answer(Outcome::NotPrimary(Some(view(3, 1)))));
    assert_eq!(numbers(&mut coordinator, 101), [1, 2]);
}

#[test]
fn what_its_primary_will_not_have_is_parked_no_longer() {
    let mut coordinator = with_one_parked();
    coordinator.complete(2, Outcome::Parked);
    coordinator.complete(1, Outcome::Busy);
    assert_eq!(numbers(&mut coordinator, 100), [1]);
}
