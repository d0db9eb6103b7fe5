//! What a group does while its machine is in the middle of something long.

use std::panic::{AssertUnwindSafe, catch_unwind};

use onecopy_core::BatchId;

use super::*;

/// A primary of two members, whose machine is in the middle of a write.
fn behind() -> Rig {
    let mut rig = Rig::primary_of(&[ME, OTHER]);
    rig.other_acknowledges();
    rig.group.hold_execution(true);
    rig.offer(1, Kind::Write, b"a", 1);
    rig.end_turn();
    rig.sync();
    rig.other_acknowledges();
    rig
}

#[test]
fn what_is_committed_beside_something_long_is_executed_after_it() {
    let mut rig = behind();
    assert_eq!((rig.group.replica().commit(), rig.group.applied()), (Index(2), Index(1)));
    assert_eq!((rig.answers(), rig.group.behind()), (Vec::new(), 1));
    rig.group.hold_execution(false);
    assert_eq!(rig.group.deadline(NOW), Some(NOW), "the next turn goes on with it");
    rig.end_turn();
    assert_eq!(rig.answers(), [answer(1, "a as of #2")]);
    assert_eq!(rig.group.behind(), 0);
}

#[test]
fn a_turn_executes_so_much_and_the_next_one_goes_on() {
    let entry = |index| Entry {
        id: EntryId::new(index, 1),
        time: Timestamp(index),
        seed: 0,
        payload: Builder::new(Header::default()).finish(),
    };
    let (count, commit) = (10_000, Index(10_000));
    let recovered = Recovered { entries: (1..=count).map(entry).collect(), commit, ..Recovered::default() };
    let mut rig = Rig::start(recovered, Memory::default());
    let mut turns = 1;
    while rig.group.behind() > 0 {
        let applied = rig.group.applied();
        assert!(applied > Index(250), "{applied}");
        assert_eq!(rig.group.deadline(NOW), Some(NOW));
        rig.end_turn();
        turns += 1;
        assert!(rig.group.applied() > applied);
    }
    assert_eq!((rig.group.applied(), turns), (commit, 20));
}

#[test]
fn a_read_waits_for_what_is_committed_and_not_executed() {
    let mut rig = behind();
    rig.offer(2, Kind::Read, b"x", 1);
    rig.end_turn();
    let round = Message::Confirmed { view: ViewNumber(1), round: 1 };
    rig.step(Input::Received { from: OTHER, message: round });
    assert_eq!(rig.answers(), [], "the write has an answer nowhere, but it is committed");
    rig.group.hold_execution(false);
    rig.end_turn();
    rig.sync();
    rig.other_acknowledges();
    let answers = rig.answers();
    assert_eq!(answers[0], answer(1, "a as of #2"));
    assert!(answers[1].1.starts_with("x\u{1}"), "{answers:?}");
}

#[test]
fn a_snapshot_is_of_the_state_that_it_is_named_after() {
    let mut rig = behind();
    rig.offer(2, Kind::Write, b"b", 1);
    rig.end_turn();
    rig.sync();
    rig.other_acknowledges();
    rig.group.snapshot_wanted(&mut ());
    rig.end_turn();
    assert_eq!(rig.archive(), [], "nobody can look into the machine");
    rig.group.hold_execution(false);
    rig.end_turn();
    assert_eq!(rig.machine().bytes, b"ab");
    let [ArchiveJob::Write { name, data, .. }, ..] = &rig.archive()[..] else { panic!("an image") };
    assert_eq!((name.id.index, data.last()), (Index(2), Some(&b'a')), "it begins between the two");
}

#[test]
fn who_leads_no_more_answers_what_was_committed_and_disowns_the_rest() {
    let mut rig = behind();
    rig.offer(2, Kind::Write, b"b", 1);
    rig.end_turn();
    rig.sync();
    rig.step(Input::Announced { view: view(2, OTHER, &[ME, OTHER]) });
    assert_eq!(rig.answers(), [answer(2, "Unknown")]);
    rig.group.hold_execution(false);
    rig.end_turn();
    assert_eq!(rig.answers(), [answer(1, "a as of #2")]);
}

#[test]
fn a_primary_that_is_far_behind_takes_no_more_writes() {
    let mut rig = behind();
    rig.group.execution.committed(vec![Entry {
        id: EntryId::new(3, 1),
        time: Timestamp(0),
        seed: 0,
        payload: vec![0; rig.log_bytes_max].into(),
    }]);
    rig.end_turn();
    rig.offer(2, Kind::Write, b"b", 1);
    assert_eq!(rig.answers(), [answer(2, "Busy")]);
}

/// A primary of one member, whose turns execute so many steps.
fn sliced(steps: u64) -> Rig {
    Rig::start_sliced(steps, 1, Recovered::default(), Memory::default()).lead(&[ME])
}

/// Ends turns until nothing is being executed; how many.
fn turns(rig: &mut Rig) -> usize {
    let mut turns = 0;
    while rig.group.busy().is_some() || rig.group.behind() > 0 {
        assert_eq!(rig.group.deadline(NOW), Some(NOW), "it goes on at once");
        rig.end_turn();
        rig.sync();
        turns += 1;
        assert!(turns < 1_000, "it never ends");
    }
    turns
}

#[test]
fn one_entry_takes_many_turns_if_it_is_long() {
    let mut rig = sliced(10);
    turns(&mut rig);
    rig.offer(1, Kind::Write, &[b'x'; 100], 1);
    rig.end_turn();
    rig.sync();
    let busy = rig.group.busy().expect("it has begun");
    assert_eq!(busy.since, NOW);
    rig.end_turn();
    assert_eq!(rig.group.busy().map(|busy| busy.command), Some("remember"));
    assert!(rig.group.machine().is_none() && rig.group.state().is_none());
    let more = turns(&mut rig);
    // A slice is 10 steps, and 2 once the command is known to be long, but each has at least a byte.
    assert!((20..40).contains(&more), "{more} turns");
    assert_eq!(rig.answers(), [answer(1, "x as of #2")]);
    assert_eq!(rig.machine().bytes.len(), 100);
}

#[test]
fn a_long_command_goes_on_once_the_turn_has_said_what_it_has_to_say() {
    let mut rig = sliced(10);
    turns(&mut rig);
    rig.offer(1, Kind::Write, &[b'x'; 100], 1);
    while !rig.group.executes_long() {
        rig.end_turn();
        rig.sync();
    }
    rig.offer(2, Kind::Write, b"w", 1);
    rig.group.end_turn(NOW, WALL, &mut (), &mut rig.out);
    assert!(rig.group.executes_long() && rig.out.writes.len() == 1, "all that happens is the next entry");
    while rig.group.executes_long() {
        assert_eq!(rig.group.deadline(NOW), Some(NOW));
        rig.group.go_on(NOW, &mut (), &mut rig.out);
    }
    assert_eq!(rig.answers(), [answer(1, "x as of #2")]);
}

#[test]
fn where_execution_pauses_has_no_effect_on_what_comes_of_it() {
    let outcome = |steps| {
        let mut rig = sliced(steps);
        for sequence in 1..10 {
            rig.offer(sequence, Kind::Write, &[b'a' + sequence as u8; 7], 1);
            rig.offer(sequence + 100, Kind::Read, b"r", 1);
            rig.end_turn();
            rig.sync();
            turns(&mut rig);
        }
        let writes: Vec<_> = rig.answers().into_iter().filter(|(sequence, _)| *sequence < 100).collect();
        (rig.group.state().expect("it is here").digest(), rig.machine().bytes.clone(), writes)
    };
    let expected = outcome(u64::MAX);
    for steps in [1, 2, 3, 17, 50] {
        assert_eq!(outcome(steps), expected, "{steps}");
    }
}

#[test]
fn a_long_read_holds_up_no_entry_on_its_way() {
    let mut rig = sliced(10);
    turns(&mut rig);
    rig.offer(1, Kind::Read, &[b'r'; 100], 1);
    rig.end_turn();
    assert_eq!(rig.group.busy().map(|busy| busy.command), Some("recall"));
    rig.offer(2, Kind::Write, b"w", 1);
    rig.offer(3, Kind::Read, b"s", 1);
    rig.end_turn();
    rig.sync();
    assert_eq!(rig.group.busy().map(|busy| busy.command), Some("recall"));
    assert_eq!((rig.group.replica().commit(), rig.group.applied()), (Index(2), Index(1)));
    turns(&mut rig);
    let order: Vec<u64> = rig.answers().into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(order, [1, 2, 3], "what waits behind it keeps its order: an entry, then reads");
}

/// A backup of two members, whose turns execute few steps.
fn backup() -> Rig {
    let mut rig = Rig::start_sliced(5, 1, Recovered::default(), Memory::default());
    rig.step(Input::Announced { view: view(1, OTHER, &[ME, OTHER]) });
    rig.sync();
    rig
}

/// The primary sends it an entry, and says what is committed.
fn prepare(rig: &mut Rig, index: u64, body: &[u8], commit: u64) {
    let mut payload = Builder::new(Header::default());
    let id = BatchId { coordinator: Incarnation(9), sequence: index };
    payload.push(&Batch {
        id,
        done_below: 1,
        part: None,
        heard: Vec::new(),
        body: Bytes::copy_from_slice(body),
    });
    let (id, previous) = (EntryId::new(index, 1), EntryId::new(index - 1, u64::from(index > 1)));
    let entry = Entry { id, time: Timestamp(index), seed: 0, payload: payload.finish() };
    let message = Message::Prepare {
        view: view(1, OTHER, &[ME, OTHER]),
        sequence: index,
        previous,
        entries: vec![entry],
        commit: Index(commit),
        digest: None,
        terms: None,
    };
    rig.step(Input::Received { from: OTHER, message });
    rig.sync();
}

#[test]
fn a_backup_that_can_hold_no_more_takes_no_more_and_is_not_silent() {
    let mut rig = backup();
    rig.group.hold_execution(true);
    let large = vec![b'l'; rig.log_bytes_max / 2 + 1];
    prepare(&mut rig, 1, &large, 0);
    prepare(&mut rig, 2, &large, 1);
    prepare(&mut rig, 3, b"s", 2);
    assert_eq!(rig.group.full_since(), Some(NOW));
    rig.effects();
    prepare(&mut rig, 4, b"t", 3);
    let said = rig.effects();
    let is_honest = |effect: &GroupEffect| {
        matches!(
            effect,
            GroupEffect::Send { message: PrimaryBackup(Message::PrepareOk { durable: Index(3), .. }), .. }
        )
    };
    assert!(matches!(&said[..], [one] if is_honest(one)), "{said:?}");
    assert_eq!((rig.group.replica().commit(), rig.group.replica().log().last().index), (Index(3), Index(3)));
    rig.group.hold_execution(false);
    while rig.group.busy().is_some() || rig.group.behind() > 0 {
        rig.end_turn();
    }
    assert_eq!(rig.group.full_since(), None);
    prepare(&mut rig, 4, b"t", 3);
    assert_eq!(rig.group.replica().log().last().index, Index(4));
}

#[test]
fn a_backup_acknowledges_while_it_executes() {
    let mut rig = backup();
    prepare(&mut rig, 1, &[b'l'; 100], 0);
    prepare(&mut rig, 2, b"s", 1);
    assert!(rig.group.busy().is_some());
    rig.effects();
    prepare(&mut rig, 3, b"t", 2);
    let is_acknowledged = |effect: &GroupEffect| {
        matches!(
            effect,
            GroupEffect::Send { message: PrimaryBackup(Message::PrepareOk { durable: Index(3), .. }), .. }
        )
    };
    assert!(rig.effects().iter().any(is_acknowledged));
    assert_eq!((rig.group.replica().commit(), rig.group.applied()), (Index(2), Index(0)));
    turns(&mut rig);
    assert_eq!(rig.machine().bytes.len(), 101);
}

/// In the middle of a write, with a write and a read that wait.
fn in_the_middle() -> Rig {
    let mut rig = behind();
    rig.offer(2, Kind::Write, b"b", 1);
    rig.offer(3, Kind::Read, b"x", 1);
    rig.end_turn();
    rig.sync();
    let round = Message::Confirmed { view: ViewNumber(1), round: 1 };
    rig.step(Input::Received { from: OTHER, message: round });
    rig.other_acknowledges();
    assert!(rig.group.busy().is_some() && rig.answers().is_empty());
    rig
}

#[test]
fn a_group_may_go_while_its_machine_executes() {
    drop(in_the_middle());
    // Also when everything goes, because something has gone wrong elsewhere.
    let gone = catch_unwind(AssertUnwindSafe(|| {
        let _rig = in_the_middle();
        std::panic::resume_unwind(Box::new("elsewhere"));
    }));
    assert_eq!(gone.unwrap_err().downcast_ref(), Some(&"elsewhere"));
}

#[test]
fn another_state_ends_what_the_old_one_executes() {
    let mut rig = in_the_middle();
    let fresh = rig.group.fresh_state();
    rig.group.give_up_execution(&mut rig.out);
    rig.group.state.replace(fresh);
    let refused = "the primary is Some(n1)";
    assert_eq!(rig.answers(), [answer(1, "Unknown"), answer(2, "Unknown"), answer(3, refused)]);
    assert!(rig.group.busy().is_none() && rig.machine().bytes.is_empty());
    rig.group.hold_execution(false);
    rig.end_turn();
    assert_eq!((rig.answers(), rig.group.behind()), (Vec::new(), 0), "nothing of it is left");
}

#[test]
fn a_long_read_of_a_state_that_is_of_no_use_is_refused() {
    let mut rig = sliced(10);
    turns(&mut rig);
    rig.offer(1, Kind::Read, &[b'r'; 100], 1);
    rig.end_turn();
    assert!(rig.group.busy().is_some());
    rig.group.refuse_waiting_reads(&mut rig.out);
    assert_eq!(rig.answers(), [answer(1, "the primary is Some(n1)")]);
    turns(&mut rig);
    assert_eq!(rig.answers(), [], "once");
}

#[test]
fn entries_and_reads_take_turns() {
    let mut rig = behind();
    for sequence in 2..5 {
        rig.offer(sequence, Kind::Write, b"w", 1);
        rig.end_turn();
        rig.sync();
    }
    rig.other_acknowledges();
    for sequence in 5..8 {
        let asked = Asked { reads: vec![(Origin::Local { sequence }, Bytes::new())], time: Timestamp(0) };
        rig.group.execution.read_next(asked);
    }
    rig.group.hold_execution(false);
    turns(&mut rig);
    let order: Vec<u64> = rig.answers().into_iter().map(|(sequence, _)| sequence).collect();
    assert_eq!(order, [1, 5, 2, 6, 3, 7, 4]);
}

/// Coordinators ask again when they have heard nothing for a while. A long read was once executed again and
/// again.
#[test]
fn a_read_that_comes_again_while_it_is_executed_is_executed_once() {
    let mut rig = sliced(10);
    turns(&mut rig);
    for _ in 0..3 {
        rig.offer(1, Kind::Read, &[b'r'; 100], 1);
        rig.end_turn();
    }
    assert_eq!(rig.answers(), [answer(1, "Executing"), answer(1, "Executing")]);
    let more = turns(&mut rig);
    assert!(more < 50, "{more} turns");
    assert_eq!(rig.answers().len(), 1);
    rig.offer(1, Kind::Read, b"r", 1);
    rig.end_turn();
    assert_eq!(rig.answers().len(), 1, "its answer may have been lost");
}

#[test]
fn a_write_that_comes_again_while_it_waits_is_not_written_again() {
    let mut rig = in_the_middle();
    let last = rig.group.replica().log().last();
    for sequence in [1, 2] {
        rig.offer(sequence, Kind::Write, b"a", 1);
    }
    rig.end_turn();
    assert_eq!(rig.answers(), [answer(1, "Executing"), answer(2, "Executing")]);
    assert_eq!(rig.group.replica().log().last(), last);
    rig.group.hold_execution(false);
    rig.end_turn();
    let writes: Vec<_> = rig.answers().into_iter().filter(|(sequence, _)| *sequence < 3).collect();
    assert_eq!(writes, [answer(1, "a as of #2"), answer(2, "b as of #3")]);
}

#[test]
fn a_write_that_is_not_committed_is_promised_to_nobody() {
    let mut rig = behind();
    rig.offer(2, Kind::Write, b"b", 1);
    rig.end_turn();
    rig.offer(2, Kind::Write, b"b", 1);
    rig.end_turn();
    assert_eq!(rig.answers(), []);
}
