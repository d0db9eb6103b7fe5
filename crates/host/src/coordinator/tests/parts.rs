//! Large batches, which travel in parts.

use onecopy_core::payload::Part;

use super::*;

/// So many bytes; three parts, of which the last is short.
const BYTES: usize = LARGE;
const LARGE: usize = 250;
const PART: usize = 100;

fn coordinator() -> Coordinator<&'static str> {
    on_a_link_of(CoordinatorConfig::new(TIMEOUT).bytes_per_ms)
}

/// So many bytes get a millisecond more of everything.
fn on_a_link_of(bytes_per_ms: usize) -> Coordinator<&'static str> {
    let config = CoordinatorConfig {
        large_bytes: LARGE,
        part_bytes: PART,
        bytes_per_ms,
        ..CoordinatorConfig::new(TIMEOUT)
    };
    let mut coordinator = Coordinator::new(GroupId(1), LIFE, config);
    coordinator.learn(&view(1, 1));
    coordinator
}

/// Its bytes are different ones.
fn body() -> Bytes {
    (0..BYTES).map(|at| at as u8).collect()
}

fn submit_large(coordinator: &mut Coordinator<&'static str>, client: &'static str) {
    coordinator.submit(Submission { kind: Kind::Write, segment: body(), client });
}

/// What is sent: to whom, which batch, from which byte on. The bytes are those of the batch.
fn sent(coordinator: &mut Coordinator<&'static str>, now: Instant) -> Vec<(u32, u64, u32)> {
    let mut dispatches = Vec::new();
    coordinator.dispatch(now, ReadBatches::Together, &mut dispatches);
    let part = |Dispatch { to, forward, .. }: Dispatch| {
        let Part { at, of } = forward.part.expect("all are large");
        assert_eq!(of as usize, BYTES);
        let end = BYTES.min(at as usize + PART);
        assert_eq!(forward.body, body().slice(at as usize..end));
        (to.0, forward.sequence, at)
    };
    dispatches.into_iter().map(part).collect()
}

fn kept(coordinator: &mut Coordinator<&'static str>, sequence: u64, bytes: u32) {
    coordinator.complete(sequence, Outcome::Kept { bytes });
}

fn done(coordinator: &mut Coordinator<&'static str>, sequence: u64) {
    let response = Bytes::from_static(b"\x01\0\0\0A");
    coordinator.complete(sequence, Outcome::Done { response, as_of: Index(9) });
}

fn answered(coordinator: &mut Coordinator<&'static str>) -> Vec<&'static str> {
    replies(coordinator).into_iter().map(|(client, _)| client).collect()
}

#[test]
fn a_large_batch_goes_part_by_part_and_small_ones_come_between() {
    let mut coordinator = coordinator();
    submit_large(&mut coordinator, "large");
    assert_eq!(sent(&mut coordinator, at(0)), [(1, 1, 0)]);
    submit(&mut coordinator, Kind::Write, "small");
    assert_eq!(dispatch(&mut coordinator, at(1)), [(1, 2, Kind::Write)]);
    assert!(coordinator.deadline() > Some(at(1)), "the next part is not due");
    kept(&mut coordinator, 1, 100);
    assert_eq!(coordinator.deadline(), Some(Instant::ZERO), "now it is");
    assert_eq!(sent(&mut coordinator, at(2)), [(1, 1, 100)]);
    assert_eq!(sent(&mut coordinator, at(2)), [], "it waits for its answer");
    kept(&mut coordinator, 1, 200);
    assert_eq!(sent(&mut coordinator, at(3)), [(1, 1, 200)]);
    done(&mut coordinator, 2);
    done(&mut coordinator, 1);
    assert_eq!(answered(&mut coordinator), ["small", "large"]);
}

#[test]
fn whoever_keeps_less_gets_it_again() {
    let mut coordinator = coordinator();
    submit_large(&mut coordinator, "large");
    sent(&mut coordinator, at(0));
    kept(&mut coordinator, 1, 100);
    assert_eq!(sent(&mut coordinator, at(1)), [(1, 1, 100)]);
    kept(&mut coordinator, 1, 0);
    assert_eq!(sent(&mut coordinator, at(2)), [(1, 1, 0)]);
    kept(&mut coordinator, 1, u32::MAX);
    assert_eq!(sent(&mut coordinator, at(3)), [(1, 1, 0)], "that was said of something else");
}

#[test]
fn another_primary_is_sent_what_its_log_may_lack() {
    let mut coordinator = coordinator();
    submit_large(&mut coordinator, "large");
    sent(&mut coordinator, at(0));
    kept(&mut coordinator, 1, 100);
    assert_eq!(sent(&mut coordinator, at(1)), [(1, 1, 100)]);
    coordinator.learn(&view(2, 2));
    assert_eq!(sent(&mut coordinator, at(2)), [(2, 1, 100)]);
    coordinator.lost(NodeId(2));
    assert_eq!(sent(&mut coordinator, at(1_000)), [(2, 1, 100)]);
}

#[test]
fn a_few_large_batches_are_on_their_way_and_the_others_wait() {
    let mut coordinator = coordinator();
    for client in ["a", "b", "c", "d", "e", "f"] {
        submit_large(&mut coordinator, client);
    }
    assert_eq!(sent(&mut coordinator, at(0)), [(1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 4, 0)]);
    kept(&mut coordinator, 2, 100);
    assert_eq!(sent(&mut coordinator, at(1)), [(1, 2, 100)], "one that has begun is not overtaken");
    assert!(coordinator.deadline() > Some(at(1)));
    done(&mut coordinator, 1);
    assert_eq!(sent(&mut coordinator, at(2)), [(1, 5, 0)]);
}

#[test]
fn it_is_given_up_when_it_stands_still() {
    let mut coordinator = coordinator();
    submit_large(&mut coordinator, "large");
    sent(&mut coordinator, at(0));
    kept(&mut coordinator, 1, 100);
    sent(&mut coordinator, at(4_000));
    kept(&mut coordinator, 1, 100);
    sent(&mut coordinator, at(8_999));
    assert_eq!(answered(&mut coordinator), [""; 0], "it has got on after four seconds");
    sent(&mut coordinator, at(9_000));
    assert_eq!(replies(&mut coordinator), [("large", Reply::Refused)], "it never came whole");
}

#[test]
fn one_that_may_have_come_whole_is_unknown() {
    let mut coordinator = coordinator();
    submit_large(&mut coordinator, "large");
    sent(&mut coordinator, at(0));
    // The answer to the first part is late, and it is sent again, to another primary.
    coordinator.learn(&view(2, 2));
    sent(&mut coordinator, at(1));
    kept(&mut coordinator, 1, 200);
    assert_eq!(sent(&mut coordinator, at(2)), [(2, 1, 200)]);
    // That answer comes now, and says nothing of the last part.
    coordinator.complete(1, Outcome::NotPrimary(None));
    coordinator.dispatch(at(5_002), ReadBatches::Together, &mut Vec::new());
    assert_eq!(replies(&mut coordinator), [("large", Reply::Unknown)]);
}

#[test]
fn one_that_was_refused_whole_was_not_executed() {
    let mut coordinator = coordinator();
    submit_large(&mut coordinator, "large");
    sent(&mut coordinator, at(0));
    kept(&mut coordinator, 1, 200);
    sent(&mut coordinator, at(1));
    coordinator.complete(1, Outcome::Busy);
    coordinator.dispatch(at(5_001), ReadBatches::Together, &mut Vec::new());
    assert_eq!(replies(&mut coordinator), [("large", Reply::Refused)]);
}

#[test]
fn those_that_wait_for_others_have_the_time_that_these_take() {
    let mut coordinator = on_a_link_of(1);
    ["a", "b", "c", "d", "e"].into_iter().for_each(|client| submit_large(&mut coordinator, client));
    sent(&mut coordinator, at(0));
    // 250 bytes take a quarter of a second. The last one has had none of it when the first is given up.
    sent(&mut coordinator, at(5_250));
    assert_eq!(answered(&mut coordinator), ["a"]);
    sent(&mut coordinator, at(5_000 + 4 * 250));
    assert_eq!(answered(&mut coordinator), ["b", "c", "d"]);
    done(&mut coordinator, 5);
    assert_eq!(answered(&mut coordinator), ["e"]);
}

#[test]
fn a_part_that_was_not_taken_is_not_sent_over_and_over() {
    let mut coordinator = on_a_link_of(1);
    submit_large(&mut coordinator, "large");
    sent(&mut coordinator, at(0));
    coordinator.complete(1, Outcome::Busy);
    assert_eq!(sent(&mut coordinator, at(109)), []);
    assert_eq!(sent(&mut coordinator, at(110)).len(), 1, "a part takes 100 ms");
    coordinator.complete(1, Outcome::Busy);
    coordinator.learn(&view(2, 2));
    assert_eq!(sent(&mut coordinator, at(111)).len(), 1, "a new primary gets it at once");
}
