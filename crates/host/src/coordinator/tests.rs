mod parked;
mod parts;

use std::time::Duration;

use onecopy_core::{BootNumber, Member, ViewNumber};

use super::batch::ANSWER_PATIENCE;
use super::*;

const TIMEOUT: Duration = Duration::from_secs(5);
const LIFE: Incarnation = Incarnation(7);

fn at(millis: u64) -> Instant {
    Instant::ZERO + Duration::from_millis(millis)
}

fn view(number: u64, primary: u32) -> View {
    let member = |node| Member { node: NodeId(node), incarnation: Incarnation(u128::from(node)) };
    View {
        number: ViewNumber(number),
        primary: NodeId(primary),
        boot: BootNumber(1),
        members: [member(1), member(2)].into(),
        learners: [].into(),
    }
}

fn coordinator() -> Coordinator<&'static str> {
    Coordinator::new(GroupId(1), LIFE, CoordinatorConfig::new(TIMEOUT))
}

fn submit(coordinator: &mut Coordinator<&'static str>, kind: Kind, client: &'static str) {
    coordinator.submit(Submission { kind, segment: Bytes::from_static(client.as_bytes()), client });
}

fn dispatch(coordinator: &mut Coordinator<&'static str>, now: Instant) -> Vec<(u32, u64, Kind)> {
    let mut dispatches = Vec::new();
    coordinator.dispatch(now, ReadBatches::Together, &mut dispatches);
    dispatches.into_iter().map(|it| (it.to.0, it.forward.sequence, it.forward.kind)).collect()
}

fn replies(coordinator: &mut Coordinator<&'static str>) -> Vec<(&'static str, Reply)> {
    coordinator.replies().collect()
}

/// A coordinator that has sent a write of `a` to node 1, in view 1.
fn with_a_write_at_node_1() -> Coordinator<&'static str> {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    submit(&mut coordinator, Kind::Write, "a");
    assert_eq!(dispatch(&mut coordinator, at(0)), [(1, 1, Kind::Write)]);
    coordinator
}

#[test]
fn a_turn_makes_one_batch_of_each_kind() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    for (kind, client) in [(Kind::Write, "a"), (Kind::Read, "b"), (Kind::Write, "c"), (Kind::Read, "d")] {
        submit(&mut coordinator, kind, client);
    }
    let mut dispatches = Vec::new();
    coordinator.dispatch(at(0), ReadBatches::Together, &mut dispatches);
    let bodies: Vec<_> = dispatches.iter().map(|it| (it.forward.kind, &it.forward.body[..])).collect();
    assert_eq!(bodies, [(Kind::Write, &b"ac"[..]), (Kind::Read, b"bd")]);
    let outstanding: Vec<_> = coordinator.outstanding().collect();
    assert_eq!(outstanding, [(1, &["a", "c"][..]), (2, &["b", "d"])]);

    let response = Bytes::from_static(b"\x01\0\0\0A\x01\0\0\0C");
    coordinator.complete(1, Outcome::Done { response, as_of: Index(9) });
    let done =
        |reply: &'static str| Reply::Done { reply: Bytes::from_static(reply.as_bytes()), as_of: Index(9) };
    assert_eq!(replies(&mut coordinator), [("a", done("A")), ("c", done("C"))]);
    // What has been answered has been answered.
    coordinator.complete(1, Outcome::Busy);
    assert_eq!(replies(&mut coordinator), []);
}

#[test]
fn reads_that_may_have_to_wait_travel_apart() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    for (kind, client) in [(Kind::Write, "a"), (Kind::Read, "b"), (Kind::Write, "c"), (Kind::Read, "d")] {
        submit(&mut coordinator, kind, client);
    }
    coordinator.dispatch(at(0), ReadBatches::Apart, &mut Vec::new());
    let outstanding: Vec<_> = coordinator.outstanding().collect();
    assert_eq!(outstanding, [(1, &["b"][..]), (2, &["d"]), (3, &["a", "c"])]);
}

#[test]
fn a_batch_is_closed_when_it_is_large() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    for client in ["a", "b", "c"] {
        let segment = Bytes::from(vec![0; BATCH_BYTES_MAX / 2]);
        coordinator.submit(Submission { kind: Kind::Write, segment, client });
    }
    assert_eq!(dispatch(&mut coordinator, at(0)), [(1, 1, Kind::Write), (1, 2, Kind::Write)]);
}

#[test]
fn a_response_that_does_not_fit_is_noticed() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.complete(1, Outcome::Done { response: Bytes::new(), as_of: Index(1) });
    assert_eq!(replies(&mut coordinator), [("a", Reply::Broken)]);
}

#[test]
fn a_batch_whose_answer_does_not_come_is_sent_again_under_its_name() {
    let mut coordinator = with_a_write_at_node_1();
    let late = at(0) + ANSWER_PATIENCE;
    assert_eq!(dispatch(&mut coordinator, at(999)), []);
    assert_eq!(coordinator.deadline(), Some(late));
    assert_eq!(dispatch(&mut coordinator, late), [(1, 1, Kind::Write)]);
    // Nobody knows what became of the first one.
    assert_eq!(dispatch(&mut coordinator, at(0) + TIMEOUT), []);
    assert_eq!(replies(&mut coordinator), [("a", Reply::Unknown)]);
}

#[test]
fn who_waits_behind_something_long_waits_as_long_as_the_primary_says_so() {
    let mut coordinator = with_a_write_at_node_1();
    let mut now = at(0);
    for _ in 0..100 {
        now = now + ANSWER_PATIENCE;
        assert_eq!(dispatch(&mut coordinator, now), [(1, 1, Kind::Write)]);
        coordinator.complete(1, Outcome::Executing);
        assert_eq!(dispatch(&mut coordinator, now), []);
    }
    assert_eq!(replies(&mut coordinator), []);
    // What a primary of yesterday said in time counts for nothing once it is not asked any more.
    coordinator.lost(NodeId(1));
    coordinator.complete(1, Outcome::Executing);
    dispatch(&mut coordinator, now + TIMEOUT);
    assert_eq!(replies(&mut coordinator), [("a", Reply::Unknown)]);
}

#[test]
fn what_was_not_executed_is_tried_again_after_a_while() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.complete(1, Outcome::Busy);
    assert_eq!(dispatch(&mut coordinator, at(5)), []);
    assert_eq!(coordinator.deadline(), Some(at(10)));
    assert_eq!(dispatch(&mut coordinator, at(10)), [(1, 1, Kind::Write)]);
    assert_eq!(coordinator.deadline(), Some(at(10) + ANSWER_PATIENCE));
    // A refusal that names a newer view is followed at once.
    coordinator.complete(1, Outcome::NotPrimary(Some(view(2, 2))));
    assert_eq!(dispatch(&mut coordinator, at(11)), [(2, 1, Kind::Write)]);
    assert_eq!(replies(&mut coordinator), []);
}

#[test]
fn requests_wait_for_a_view() {
    let mut coordinator = coordinator();
    submit(&mut coordinator, Kind::Read, "a");
    assert_eq!(dispatch(&mut coordinator, at(0)), []);
    coordinator.learn(&view(1, 2));
    assert_eq!(dispatch(&mut coordinator, at(3)), [(2, 1, Kind::Read)]);
}

#[test]
fn a_new_primary_gets_what_the_old_one_had_under_the_same_id() {
    let mut coordinator = with_a_write_at_node_1();
    submit(&mut coordinator, Kind::Read, "b");
    dispatch(&mut coordinator, at(1));
    // The same primary: nothing is lost. An older view: no news.
    coordinator.learn(&view(2, 1));
    coordinator.learn(&view(1, 2));
    assert_eq!(dispatch(&mut coordinator, at(1)), []);
    coordinator.learn(&view(3, 2));
    assert_eq!(dispatch(&mut coordinator, at(2)), [(2, 1, Kind::Write), (2, 2, Kind::Read)]);
    assert_eq!(replies(&mut coordinator), []);
}

#[test]
fn a_lost_connection_takes_the_answers_with_it() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.lost(NodeId(2));
    assert_eq!(dispatch(&mut coordinator, at(20)), []);
    coordinator.lost(NodeId(1));
    assert_eq!(dispatch(&mut coordinator, at(40)), [(1, 1, Kind::Write)]);
}

#[test]
fn a_primary_that_does_not_know_is_asked_again() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.complete(1, Outcome::Unknown);
    assert_eq!(dispatch(&mut coordinator, at(20)), [(1, 1, Kind::Write)]);
}

#[test]
fn what_was_executed_without_an_answer_ends_and_says_so() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.lost(NodeId(1));
    dispatch(&mut coordinator, at(20));
    coordinator.complete(1, Outcome::Forgotten);
    assert_eq!(replies(&mut coordinator), [("a", Reply::Forgotten)]);
    assert_eq!(dispatch(&mut coordinator, at(2_000)), [], "it is not tried again");
}

#[test]
fn what_may_have_been_executed_once_stays_unknown() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.learn(&view(2, 2));
    dispatch(&mut coordinator, at(1));
    // Node 2 refuses. That says nothing about node 1.
    coordinator.complete(1, Outcome::Busy);
    dispatch(&mut coordinator, at(1) + TIMEOUT);
    assert_eq!(replies(&mut coordinator), [("a", Reply::Unknown)]);
}

#[test]
fn patience_ends() {
    let mut coordinator = with_a_write_at_node_1();
    submit(&mut coordinator, Kind::Write, "b");
    dispatch(&mut coordinator, at(1));
    coordinator.complete(2, Outcome::Busy);
    submit(&mut coordinator, Kind::Read, "c");
    dispatch(&mut coordinator, at(2));
    assert_eq!(dispatch(&mut coordinator, at(2) + TIMEOUT), []);
    // The first was sent and not answered; the second was certainly not executed, and a read never matters.
    let expected = [("a", Reply::Unknown), ("b", Reply::Refused), ("c", Reply::Refused)];
    assert_eq!(replies(&mut coordinator), expected);
    assert_eq!(coordinator.deadline(), None);
}

#[test]
fn answers_to_the_process_before_are_none() {
    let mut coordinator = with_a_write_at_node_1();
    let answer = |coordinator| Answer { group: GroupId(1), coordinator, sequence: 1, outcome: Outcome::Busy };
    coordinator.answered(NodeId(1), answer(Incarnation(6)));
    assert_eq!(dispatch(&mut coordinator, at(20)), []);
    coordinator.answered(NodeId(1), answer(LIFE));
    assert_eq!(dispatch(&mut coordinator, at(40)), [(1, 1, Kind::Write)]);
}

#[test]
fn forwards_tell_what_is_done() {
    let mut coordinator = with_a_write_at_node_1();
    submit(&mut coordinator, Kind::Write, "b");
    let mut dispatches = Vec::new();
    coordinator.dispatch(at(1), ReadBatches::Together, &mut dispatches);
    assert_eq!(dispatches[0].forward.done_below, 1);
    coordinator.complete(1, Outcome::Done { response: Bytes::from_static(b"\x01\0\0\0A"), as_of: Index(1) });
    submit(&mut coordinator, Kind::Write, "c");
    dispatches.clear();
    coordinator.dispatch(at(2), ReadBatches::Together, &mut dispatches);
    assert_eq!(dispatches[0].forward.done_below, 2);
}

#[test]
fn a_write_that_lacked_copies_all_the_time_says_so() {
    let lacks = || Outcome::TooFewCopies { has: 1, needs: 2 };
    let mut coordinator = with_a_write_at_node_1();
    coordinator.complete(1, lacks());
    assert_eq!(dispatch(&mut coordinator, at(20)), [], "this view has too few members, and always will");
    assert_eq!(coordinator.deadline(), Some(at(0) + ANSWER_PATIENCE));
    assert_eq!(dispatch(&mut coordinator, at(1_000)), [(1, 1, Kind::Write)], "there may be another");
    coordinator.complete(1, lacks());
    coordinator.learn(&view(2, 1));
    assert_eq!(dispatch(&mut coordinator, at(1_100)), [(1, 1, Kind::Write)], "there is");
    coordinator.learn(&view(3, 1));
    coordinator.complete(1, lacks());
    assert_eq!(
        dispatch(&mut coordinator, at(1_200)),
        [(1, 1, Kind::Write)],
        "that was the answer of the view before"
    );
    coordinator.complete(1, lacks());
    coordinator.lost(NodeId(1));
    dispatch(&mut coordinator, at(0) + TIMEOUT);
    assert_eq!(replies(&mut coordinator), [("a", Reply::TooFewCopies { has: 1, needs: 2 })]);
    // It may have been executed before copies were lacking.
    let mut coordinator = with_a_write_at_node_1();
    coordinator.complete(1, Outcome::Unknown);
    dispatch(&mut coordinator, at(20));
    coordinator.complete(1, lacks());
    dispatch(&mut coordinator, at(0) + TIMEOUT);
    assert_eq!(replies(&mut coordinator), [("a", Reply::Unknown)]);
}

#[test]
fn a_read_that_was_under_way_when_two_primaries_were_lost_is_not_taken_to_a_third() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    submit(&mut coordinator, Kind::Read, "read");
    submit(&mut coordinator, Kind::Write, "write");
    assert_eq!(dispatch(&mut coordinator, at(0)), [(1, 1, Kind::Write), (1, 2, Kind::Read)]);
    // Two connections break, and the view changes: that is one loss.
    coordinator.lost(NodeId(1));
    assert_eq!(dispatch(&mut coordinator, at(10)).len(), 2);
    coordinator.lost(NodeId(1));
    assert_eq!(dispatch(&mut coordinator, at(20)).len(), 2);
    coordinator.learn(&view(2, 2));
    assert_eq!(dispatch(&mut coordinator, at(20)), [(2, 1, Kind::Write), (2, 2, Kind::Read)], "one may fail");
    coordinator.lost(NodeId(2));
    assert_eq!(dispatch(&mut coordinator, at(40)), [(2, 1, Kind::Write)]);
    assert_eq!(replies(&mut coordinator), [("read", Reply::Dangerous)]);
}

#[test]
fn a_primary_that_was_lost_counts_although_its_next_process_refused_the_read() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    submit(&mut coordinator, Kind::Read, "read");
    let mut is_lost_in = |number: u64, millis: u64| {
        assert_eq!(dispatch(&mut coordinator, at(millis)).len(), 1, "view {number}");
        // No connection breaks. Nobody answers in time, and then the next process of the node does.
        assert_eq!(dispatch(&mut coordinator, at(millis + 1_000)).len(), 1, "view {number}");
        coordinator.complete(1, Outcome::NotPrimary(None));
        coordinator.learn(&view(number + 1, 1 + number as u32 % 2));
    };
    is_lost_in(1, 0);
    is_lost_in(2, 1_500);
    assert_eq!(dispatch(&mut coordinator, at(2_600)), []);
    assert_eq!(replies(&mut coordinator), [("read", Reply::Dangerous)]);
}

#[test]
fn a_read_that_a_primary_has_not_answered_is_for_primaries_only() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    submit(&mut coordinator, Kind::Read, "a");
    let mut is_lost = |millis, is_read_here| {
        let mut dispatches = Vec::new();
        coordinator.dispatch(at(millis), ReadBatches::Apart, &mut dispatches);
        if is_read_here {
            coordinator.read_here(1);
        }
        dispatches.iter().map(|dispatch| dispatch.is_lost).collect::<Vec<_>>()
    };
    assert_eq!(is_lost(0, true), [false]);
    assert_eq!(is_lost(1_000, true), [false], "a backup here has it, and no primary");
    assert_eq!(is_lost(2_000, false), [false]);
    assert_eq!(is_lost(3_000, false), [true]);
}

#[test]
fn a_primary_that_was_started_again_was_lost_although_no_connection_broke() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    submit(&mut coordinator, Kind::Read, "read");
    assert_eq!(dispatch(&mut coordinator, at(0)), [(1, 1, Kind::Read)]);
    // Somebody else joined: the primary has what it was sent.
    coordinator.learn(&view(2, 1));
    assert_eq!(dispatch(&mut coordinator, at(10)), []);
    for boot in [2, 3] {
        assert_eq!(replies(&mut coordinator), []);
        coordinator.learn(&View { boot: BootNumber(boot), ..view(boot + 1, 1) });
        let expected: &[_] = if boot == 2 { &[(1, 1, Kind::Read)] } else { &[] };
        assert_eq!(dispatch(&mut coordinator, at(10 * boot)), expected);
    }
    assert_eq!(replies(&mut coordinator), [("read", Reply::Dangerous)]);
}

#[test]
fn what_found_no_room_in_a_response_is_asked_for_again() {
    let mut coordinator = coordinator();
    coordinator.learn(&view(1, 1));
    for client in ["a", "b", "c"] {
        submit(&mut coordinator, Kind::Write, client);
    }
    assert_eq!(dispatch(&mut coordinator, at(0)), [(1, 1, Kind::Write)]);
    let response = Bytes::from_static(b"\x01\0\0\0A\xff\xff\xff\xff\xff\xff\xff\xff");
    coordinator.complete(1, Outcome::Done { response, as_of: Index(9) });
    let done = Reply::Done { reply: Bytes::from_static(b"A"), as_of: Index(9) };
    assert_eq!(replies(&mut coordinator), [("a", done)]);
    assert_eq!(coordinator.deadline(), Some(Instant::ZERO));
    assert_eq!(dispatch(&mut coordinator, at(1)), [(1, 2, Kind::Write)]);
    assert_eq!(coordinator.outstanding().collect::<Vec<_>>(), [(2, &["b", "c"][..])]);
}

#[test]
fn where_members_decide_who_leads_others_are_asked_when_the_primary_does_not_answer() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.lost(NodeId(1));
    assert_eq!(dispatch(&mut coordinator, at(20)), [(1, 1, Kind::Write)], "the view service says who leads");
    coordinator.ask_around(Vec::new());
    coordinator.lost(NodeId(1));
    assert_eq!(dispatch(&mut coordinator, at(40)), [(2, 1, Kind::Write)]);
    // It has not heard of another either.
    coordinator.complete(1, Outcome::NotPrimary(Some(view(1, 1))));
    assert_eq!(dispatch(&mut coordinator, at(60)), [(1, 1, Kind::Write)]);
    coordinator.complete(1, Outcome::NotPrimary(Some(view(4, 2))));
    assert_eq!(dispatch(&mut coordinator, at(80)), [(2, 1, Kind::Write)]);
}

#[test]
fn however_many_batches_a_member_refuses_the_next_one_is_asked() {
    let mut coordinator = with_a_write_at_node_1();
    coordinator.ask_around(Vec::new());
    submit(&mut coordinator, Kind::Read, "b");
    assert_eq!(dispatch(&mut coordinator, at(20)), [(1, 2, Kind::Read)]);
    for (now, next) in [(40, 2), (60, 1), (80, 2)] {
        (1..=2).for_each(|batch| coordinator.complete(batch, Outcome::NotPrimary(Some(view(1, 1)))));
        let expected = [(next, 1, Kind::Write), (next, 2, Kind::Read)];
        assert_eq!(dispatch(&mut coordinator, at(now)), expected);
    }
    // Nor is anybody passed by of whom nothing was heard: both are late at once.
    let expected = [(1, 1, Kind::Write), (1, 2, Kind::Read)];
    assert_eq!(dispatch(&mut coordinator, at(100) + ANSWER_PATIENCE), expected);
}
