use bytes::Bytes;
use onecopy_core::segments::NOT_EXECUTED;
use onecopy_core::{ApplyContext, BatchId, Incarnation, Index, Output, StateMachine, Timestamp};
use onecopy_resp::Version;

use super::*;
use crate::Keyspace;
use crate::feeds::{Followed, Following};
use crate::request::{BodyBuilder, SegmentBuilder, WaiterId};
use crate::waiters::ABSENT_MS;

const A: Incarnation = Incarnation(1);
const B: Incarnation = Incarnation(2);

/// A machine, and how many batches it was sent.
struct Machine {
    keyspace: Keyspace,
    sequence: u64,
    time: u64,
    memory_max: u64,
}

impl Machine {
    fn new() -> Self {
        Self { keyspace: Keyspace::new([1, 2]), sequence: 0, time: 1_000, memory_max: 0 }
    }

    fn context(&self, coordinator: Incarnation) -> ApplyContext<'static> {
        let batch = Some(BatchId { coordinator, sequence: self.sequence });
        let context = ApplyContext::new(Index(self.sequence), Timestamp(self.time), 7);
        ApplyContext { batch, memory_max: self.memory_max, ..context }
    }

    /// Executes a batch of one segment; its response, with its length.
    fn send(&mut self, coordinator: Incarnation, segment: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut body = BodyBuilder::new();
        body.push(segment);
        let (context, mut response) = (self.context(coordinator), Vec::new());
        self.keyspace.present(&context, coordinator);
        self.keyspace.apply(&context, &body.finish(), &mut response);
        response
    }

    fn run(&mut self, coordinator: Incarnation, listener: Option<u64>, line: &str) -> String {
        let segment = SegmentBuilder::new(0, Version::Two);
        let mut segment = match listener {
            Some(listener) => segment.listening(listener),
            None => segment,
        };
        segment.push(line.split(' ').map(str::as_bytes));
        let response = self.send(coordinator, &segment.finish());
        String::from_utf8(response[4..].to_vec()).expect("text")
    }

    fn publish(&mut self, channel: &str, text: &str) -> String {
        self.run(Incarnation(9), None, &format!("PUBLISH {channel} {text}"))
    }

    /// Fetches, and returns what is there at once.
    fn listen(&mut self, coordinator: Incarnation, following: &mut Following) -> Option<Followed<Message>> {
        let waiter = WaiterId { process: coordinator, number: self.sequence };
        let response = self.send(coordinator, &SegmentBuilder::listen(waiter, *following));
        assert_eq!(response, onecopy_core::segments::PARKED.to_le_bytes());
        let mut outputs = self.keyspace.outputs();
        let own = |output: &Output| output.to == BatchId { coordinator, sequence: self.sequence };
        let at = outputs.iter().position(own)?;
        Some(following.take(reply(&outputs.swap_remove(at))).expect("nothing is missing"))
    }

    fn pass(&mut self, ms: u64) -> Vec<Output> {
        self.time += ms;
        self.keyspace.advance(&self.context(Incarnation(9)));
        self.keyspace.outputs()
    }
}

fn reply(output: &Output) -> Bytes {
    output.response.slice(4..)
}

fn texts(followed: &Followed<Message>) -> Vec<String> {
    let text = |message: &Message| String::from_utf8_lossy(&message.payload).into_owned();
    followed.items.iter().map(text).collect()
}

/// One who fetches, and has fetched what there was.
fn followed(machine: &mut Machine, coordinator: Incarnation) -> Following {
    let mut following = Following::default();
    let first = machine.listen(coordinator, &mut following).expect("it hears which feed it is");
    assert!(first.is_another && first.items.is_empty());
    following
}

#[test]
fn what_is_published_is_fetched_once_by_whoever_listens() {
    let mut machine = Machine::new();
    assert_eq!(machine.run(A, Some(1), "SUBSCRIBE news sport"), "*2\r\n:1\r\n:0\r\n");
    assert_eq!(machine.run(A, Some(2), "PSUBSCRIBE n*"), "*2\r\n:1\r\n:0\r\n");
    assert_eq!(machine.run(B, Some(1), "SUBSCRIBE news"), "*2\r\n:2\r\n:0\r\n");
    let (mut a, mut b) = (followed(&mut machine, A), followed(&mut machine, B));
    assert_eq!(machine.listen(A, &mut a), None, "there is nothing yet");
    assert_eq!(machine.publish("news", "one"), ":3\r\n");
    let outputs = machine.keyspace.outputs();
    assert_eq!(outputs.len(), 1, "B fetches nothing now");
    assert_eq!(texts(&a.take(reply(&outputs[0])).unwrap()), ["one"], "once for both of its listeners");
    assert_eq!(machine.publish("sport", "two"), ":1\r\n");
    assert_eq!(machine.publish("nothing", "three"), ":1\r\n");
    assert_eq!(machine.publish("else", "four"), ":0\r\n");
    assert_eq!(texts(&machine.listen(B, &mut b).unwrap()), ["one"]);
    assert_eq!(texts(&machine.listen(A, &mut a).unwrap()), ["two", "three"]);
    assert_eq!(machine.run(A, Some(1), "UNSUBSCRIBE news"), "*2\r\n:1\r\n:3\r\n");
    assert_eq!(machine.run(A, Some(2), "PUNSUBSCRIBE"), "*2\r\n:1\r\n:3\r\n");
    assert_eq!(machine.publish("news", "five"), ":1\r\n");
    assert_eq!(machine.listen(A, &mut a), None);
    for (listener, name) in [(A, "UNSUBSCRIBE sport"), (B, "UNSUBSCRIBE news")] {
        machine.run(listener, Some(1), name);
    }
    machine.listen(B, &mut b);
    assert_eq!(machine.keyspace.channels.interest.memory(), 0);
}

#[test]
fn a_second_who_fetches_takes_the_place_of_the_first() {
    let mut machine = Machine::new();
    let mut a = followed(&mut machine, A);
    assert_eq!(machine.listen(A, &mut a), None);
    let before = BatchId { coordinator: A, sequence: machine.sequence };
    let waiter = WaiterId { process: A, number: 77 };
    machine.send(A, &SegmentBuilder::listen(waiter, a));
    let outputs = machine.keyspace.outputs();
    assert_eq!(outputs.iter().map(|output| output.to).collect::<Vec<_>>(), [before]);
    assert!(a.take::<Message>(reply(&outputs[0])).unwrap().items.is_empty());
}

#[test]
fn whoever_is_absent_for_too_long_hears_that_the_feed_is_another_one() {
    let mut machine = Machine::new();
    machine.run(A, Some(1), "SUBSCRIBE news");
    let mut a = followed(&mut machine, A);
    assert_eq!(machine.listen(A, &mut a), None);
    machine.keyspace.absent(&|coordinator| coordinator == A);
    assert_eq!(machine.publish("news", "kept"), ":1\r\n");
    assert!(machine.keyspace.outputs().is_empty(), "nobody knows whether it is there");
    assert!(machine.pass(ABSENT_MS - 1).is_empty());
    machine.keyspace.present(&machine.context(A), A);
    let outputs = machine.keyspace.outputs();
    assert_eq!(texts(&a.take(reply(&outputs[0])).unwrap()), ["kept"]);
    assert_eq!(machine.listen(A, &mut a), None);
    machine.keyspace.absent(&|coordinator| coordinator == A);
    machine.publish("news", "lost");
    let due = machine.keyspace.due().expect("time alone ends it");
    assert_eq!(due, Timestamp(machine.time + ABSENT_MS));
    let outputs = machine.pass(ABSENT_MS);
    assert_eq!(outputs[0].response.as_ref(), NOT_EXECUTED.to_le_bytes());
    assert_eq!(machine.publish("news", "later"), ":0\r\n");
    assert!(machine.keyspace.channels.memory() == 0);
    let again = machine.listen(A, &mut a).expect("it hears at once");
    assert!(again.is_another && again.items.is_empty());
}

#[test]
fn whoever_has_lost_what_it_fetched_gets_another_feed() {
    let mut machine = Machine::new();
    machine.run(A, Some(1), "SUBSCRIBE news");
    let mut a = followed(&mut machine, A);
    machine.publish("news", "one");
    let before = a;
    assert_eq!(texts(&machine.listen(A, &mut a).unwrap()), ["one"]);
    a = before;
    assert_eq!(texts(&machine.listen(A, &mut a).unwrap()), ["one"], "the answer was lost on its way");
    assert_eq!(machine.listen(A, &mut a), None, "it was heard");
    let mut forgetful = Following::default();
    assert!(machine.listen(A, &mut forgetful).unwrap().is_another);
    assert!(forgetful.epoch > a.epoch);
    assert_eq!(machine.publish("news", "two"), ":0\r\n", "its listeners have ended");
}

#[test]
fn the_fullest_feed_breaks_and_the_others_do_not() {
    let mut machine = Machine::new();
    machine.memory_max = 40_000;
    machine.run(A, Some(1), "SUBSCRIBE a");
    machine.run(B, Some(1), "SUBSCRIBE b");
    let (mut a, mut b) = (followed(&mut machine, A), followed(&mut machine, B));
    let text = "x".repeat(1_000);
    assert_eq!(machine.publish("b", "small"), ":1\r\n");
    let count = (0..20).take_while(|_| machine.publish("a", &text) == ":1\r\n").count();
    assert_eq!(count, 11, "a quarter of the memory, one that finds it full, and none more");
    assert!(machine.listen(A, &mut a).unwrap().is_another);
    assert_eq!(texts(&machine.listen(B, &mut b).unwrap()), ["small"]);
}

#[test]
fn subscriptions_have_a_limit_together() {
    let mut machine = Machine::new();
    machine.memory_max = 40_000;
    let refused = (0..100).find(|number| {
        machine.run(A, Some(*number), &format!("SUBSCRIBE channel{number}")).starts_with("-ERR too many")
    });
    assert!(refused.is_some_and(|number| number > 10), "{refused:?}");
    assert!(machine.keyspace.channels.interest.memory() <= 10_000);
    assert_eq!(machine.run(A, Some(1), "SUBSCRIBE channel1"), "*2\r\n:1\r\n:0\r\n", "it has this one");
}

#[test]
fn whatever_is_there_comes_back_from_an_image() {
    let mut machine = Machine::new();
    machine.run(A, Some(1), "SUBSCRIBE news");
    machine.run(A, Some(1), "PSUBSCRIBE n*");
    machine.run(B, Some(3), "SSUBSCRIBE shard");
    let (mut a, mut b) = (followed(&mut machine, A), followed(&mut machine, B));
    assert_eq!(machine.listen(B, &mut b), None);
    machine.publish("news", "one");
    machine.keyspace.absent(&|coordinator| coordinator == B);
    let mut image = Vec::new();
    machine.keyspace.snapshot_begin();
    while machine.keyspace.snapshot_read(100, &mut image) {}
    let mut restored = Keyspace::new([3, 4]);
    image.chunks(7).for_each(|chunk| restored.restore(chunk).expect("an image"));
    restored.restore_finish().expect("all of it");
    assert_eq!(restored.digest(), machine.keyspace.digest());
    assert_eq!(restored.memory(), machine.keyspace.memory());
    let mut other = Machine { keyspace: restored, ..machine };
    assert_eq!(texts(&other.listen(A, &mut a).unwrap()), ["one"]);
    assert_eq!(other.run(A, None, "SPUBLISH shard two"), ":1\r\n");
    assert!(other.keyspace.outputs().is_empty());
    other.keyspace.present(&other.context(B), B);
    assert_eq!(texts(&b.take(reply(&other.keyspace.outputs()[0])).unwrap()), ["two"]);
}
