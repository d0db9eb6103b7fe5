use bytes::Bytes;
use onecopy_core::{
    ApplyContext, BatchId, Incarnation, Index, Policy, QueryContext, StateMachine, Timestamp,
};
use onecopy_resp::Version;

use super::Change;
use crate::Keyspace;
use crate::channels::ListenerId;
use crate::feeds::{Following, marked};
use crate::request::{BodyBuilder, SegmentBuilder, WaiterId};

const A: Incarnation = Incarnation(1);
const OTHER: Incarnation = Incarnation(9);

struct Machine {
    keyspace: Keyspace,
    sequence: u64,
    time: u64,
    /// Beyond so many bytes keys go; never if it is 0.
    memory_max: u64,
    following: Following,
}

impl Machine {
    fn new() -> Self {
        let following = Following::default();
        Self { keyspace: Keyspace::new([1, 2]), sequence: 0, time: 1_000, memory_max: 0, following }
    }

    /// One whose changes a coordinator follows.
    fn followed() -> Self {
        let mut machine = Self::new();
        assert_eq!(machine.changes(), ["another feed"]);
        machine
    }

    fn context(&self, coordinator: Incarnation) -> ApplyContext<'static> {
        let batch = Some(BatchId { coordinator, sequence: self.sequence });
        let context = ApplyContext::new(Index(self.sequence), Timestamp(self.time), 7);
        let policy = if self.memory_max > 0 { Policy::AllkeysRandom } else { Policy::NoEviction };
        ApplyContext { batch, policy, memory_max: self.memory_max, ..context }
    }

    fn send(&mut self, coordinator: Incarnation, segment: &[u8]) -> Vec<u8> {
        self.sequence += 1;
        let mut body = BodyBuilder::new();
        body.push(segment);
        let (context, mut response) = (self.context(coordinator), Vec::new());
        self.keyspace.advance(&context);
        self.keyspace.present(&context, coordinator);
        self.keyspace.apply(&context, &body.finish(), &mut response);
        response
    }

    /// Executes commands of a connection to another node.
    fn run(&mut self, lines: &[&str]) -> String {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        lines.iter().for_each(|line| segment.push(words(line)));
        let response = self.send(OTHER, &segment.finish());
        String::from_utf8(response[4..].to_vec()).expect("text")
    }

    /// The changes that are fetched at once, in words.
    fn changes(&mut self) -> Vec<String> {
        let waiter = WaiterId { process: A, number: self.sequence };
        self.send(A, &SegmentBuilder::follow(waiter, self.following));
        let outputs = self.keyspace.outputs();
        let own =
            |output: &onecopy_core::Output| output.to == BatchId { coordinator: A, sequence: self.sequence };
        let Some(output) = outputs.iter().find(|output| own(output)) else { return Vec::new() };
        let followed = self.following.take::<Change>(output.response.slice(4..)).expect("nothing is missing");
        let word = |change: &Change| match change {
            Change::Key { key, by: None } => String::from_utf8_lossy(key).into_owned(),
            Change::Key { key, by: Some(by) } => format!("{} by {by}", String::from_utf8_lossy(key)),
            Change::Everything => "everything".to_owned(),
        };
        let another = followed.is_another.then(|| "another feed".to_owned());
        another.into_iter().chain(followed.items.iter().map(word)).collect()
    }

    /// Executes commands of a client that caches, in an entry or as a read: the replies, with the mark and
    /// the keys that scripts have read.
    fn cached(&mut self, number: u64, lines: &[&str], reads: bool) -> String {
        let client = ListenerId { coordinator: A, number };
        let mut segment = SegmentBuilder::new(0, Version::Two).caching(client);
        lines.iter().for_each(|line| segment.push(words(line)));
        let segment = segment.finish();
        let response = if reads {
            let mut body = BodyBuilder::new();
            body.push(&segment);
            let mut response = Vec::new();
            let context = QueryContext::at(Timestamp(self.time));
            self.keyspace.query(&context, &body.finish(), &mut response);
            response
        } else {
            self.send(A, &segment)
        };
        String::from_utf8(response[4..].to_vec()).expect("text")
    }
}

/// The words of a line; those in quotes are one.
fn words(line: &str) -> Vec<&[u8]> {
    let parts = line.split('\'').enumerate();
    let words = parts.flat_map(|(at, part)| match at % 2 {
        0 => part.split_ascii_whitespace().collect::<Vec<_>>(),
        _ => vec![part],
    });
    words.map(str::as_bytes).collect()
}

#[test]
fn what_goes_to_make_room_has_changed() {
    let mut machine = Machine::followed();
    machine.run(&[&format!("SET a {}", "x".repeat(50_000))]);
    assert_eq!(machine.changes(), ["a"]);
    machine.memory_max = 30_000;
    machine.run(&["SET b 1"]);
    let changes = machine.changes();
    assert!(changes.starts_with(&["a".to_owned()]), "{changes:?}");
    assert_eq!(machine.run(&["EXISTS a"]), ":0\r\n");
}

#[test]
fn every_change_is_told_once_for_each_command_and_in_order() {
    let mut machine = Machine::followed();
    for (lines, told) in [
        (["SET a 1"].as_slice(), ["a"].as_slice()),
        (&["GET a"], &[]),
        (&["INCR n", "APPEND a x"], &["n", "a"]),
        (&["DEL a", "DEL a", "DEL nothing"], &["a"]),
        (&["MSET a 1 b 2"], &["a", "b"]),
        (&["RENAME a c"], &["a", "c"]),
        (&["MOVE c 3"], &["c"]),
        (&["RPUSH l 1 2", "LMOVE l m LEFT RIGHT", "LPOP l"], &["l", "l", "m", "l"]),
        (&["HSET h f v", "HDEL h g", "HDEL h f"], &["h", "h"]),
        (&["SADD s x", "SADD s x", "SREM s y"], &["s"]),
        (&["SETBIT t 7 1", "SETBIT t 7 1"], &["t"]),
        (&["EXPIRE b 100", "PERSIST b"], &["b", "b"]),
        (&["EVAL 'redis.call(\"SET\", \"x\", 1) redis.call(\"SET\", \"y\", 1)' 0"], &["x", "y"]),
        (&["FLUSHDB"], &["everything"]),
        (&["SET a 1", "SWAPDB 0 1"], &["a", "everything"]),
    ] {
        machine.run(lines);
        assert_eq!(machine.changes(), told, "{lines:?}");
    }
}

#[test]
fn what_expires_is_told_when_it_goes() {
    let mut machine = Machine::followed();
    machine.run(&["SET a 1 PX 100", "SET b 1 PX 100", "SET c 1"]);
    assert_eq!(machine.changes(), ["a", "b", "c"]);
    machine.time += 200;
    // Nobody has removed it yet.
    let context = machine.context(OTHER);
    machine.keyspace.advance(&context);
    let mut told = machine.changes();
    told.sort();
    assert_eq!(told, ["a", "b"]);
}

#[test]
fn a_waiter_that_is_served_changes_its_key() {
    let mut machine = Machine::followed();
    let waiter = WaiterId { process: OTHER, number: 1 };
    let mut segment = SegmentBuilder::new(0, Version::Two).waiting(waiter);
    segment.push(words("BLPOP l 0"));
    machine.send(OTHER, &segment.finish());
    assert_eq!(machine.changes(), [""; 0]);
    // Who brings something changes the key, and so does who takes it.
    machine.cached(7, &["RPUSH l x y"], false);
    assert_eq!(machine.changes(), ["l by 7", "l"]);
}

#[test]
fn replies_say_where_the_feed_stood_and_what_scripts_read() {
    let mut machine = Machine::followed();
    let mark = |reply: &str, behind: &str| marked(reply.strip_suffix(behind)?.as_bytes());
    let reply = machine.cached(0, &["SET a 1"], false);
    assert_eq!(mark(reply.strip_prefix("+OK\r\n").unwrap(), "*0\r\n"), Some((1, 1)));
    let reply = machine.cached(0, &["GET a", "STRLEN a"], true);
    assert_eq!(mark(reply.strip_prefix("$1\r\n1\r\n:1\r\n").unwrap(), "*0\r\n"), Some((1, 1)));
    let script = "EVAL 'redis.call(\"GET\", \"a\") return redis.call(\"MGET\", \"b\", \"c\")' 0";
    let behind = "*3\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n";
    for reads in [false, true] {
        let script = if reads { script.replace("EVAL", "EVAL_RO") } else { script.to_owned() };
        let reply = machine.cached(0, &[&script], reads);
        assert_eq!(
            mark(reply.strip_prefix("*2\r\n$-1\r\n$-1\r\n").unwrap(), behind),
            Some((1, 1)),
            "{reply}"
        );
    }
    // Another coordinator has no feed.
    machine.following = Following::default();
    let mut other = Machine::new();
    assert_eq!(mark(other.cached(0, &[], true).as_str(), "*0\r\n"), Some((0, 0)));
}

#[test]
fn who_changes_a_key_is_said_to_its_own_node() {
    let mut machine = Machine::followed();
    machine.cached(7, &["SET a 1"], false);
    machine.cached(0, &["SET b 1"], false);
    machine.run(&["SET c 1"]);
    assert_eq!(machine.changes(), ["a by 7", "b", "c"]);
}

#[test]
fn what_expires_is_changed_by_nobody() {
    let mut machine = Machine::followed();
    machine.cached(7, &["SET a 1 PX 100", "SET b 1"], false);
    machine.time += 200;
    // The entry of a client that does not hear of its own changes removes what has expired.
    machine.cached(7, &["SET b 2"], false);
    assert_eq!(machine.changes(), ["a by 7", "b by 7", "a", "b by 7"]);
}

#[test]
fn a_feed_is_in_images_and_goes_on() {
    let mut machine = Machine::followed();
    machine.run(&["SET a 1"]);
    machine.cached(7, &["SET b 1"], false);
    machine.run(&["FLUSHALL"]);
    let mut image = Vec::new();
    machine.keyspace.snapshot_begin();
    while machine.keyspace.snapshot_read(64, &mut image) {}
    let mut restored = Keyspace::new([5, 6]);
    image.chunks(7).for_each(|chunk| restored.restore(chunk).unwrap());
    restored.restore_finish().unwrap();
    assert_eq!(restored.digest(), machine.keyspace.digest());
    assert_eq!(restored.memory(), machine.keyspace.memory());
    machine.keyspace = restored;
    assert_eq!(machine.changes(), ["a", "b by 7", "everything"]);
}

#[test]
fn who_does_not_fetch_hears_that_something_is_missing() {
    let mut machine = Machine::followed();
    let long = "k".repeat(1 << 19);
    for number in 0..200 {
        machine.run(&[&format!("SET {number}{long} 1"), &format!("DEL {number}{long}")]);
    }
    assert!(machine.keyspace.tracking.memory() < 70 << 20);
    assert_eq!(machine.changes().first().map(String::as_str), Some("another feed"));
    machine.run(&["SET a 1"]);
    let rest: Vec<String> = std::iter::repeat_with(|| machine.changes()).take(500).flatten().collect();
    assert_eq!(rest.last().map(String::as_str), Some("a"));
}

#[test]
fn a_command_that_changes_very_much_changes_everything() {
    let mut machine = Machine::followed();
    let keys: String = (0..20_000).map(|number| format!(" key{number} 1")).collect();
    machine.run(&[&format!("MSET{keys}")]);
    assert_eq!(machine.changes(), ["everything"]);
}

#[test]
fn whoever_leaves_is_told_nothing_more_and_nothing_is_left() {
    let mut machine = Machine::followed();
    let memory = Machine::new().keyspace.memory();
    machine.send(A, &SegmentBuilder::unfollow());
    machine.run(&["SET a 1", "DEL a"]);
    assert!(machine.keyspace.tracking.is_empty());
    let _ = machine.keyspace.tidy();
    assert!(machine.keyspace.tracking.memory() == 0 && machine.keyspace.memory() <= memory + 65_536);
    assert_eq!(machine.changes(), ["another feed"]);
}

#[test]
fn changes_come_out_as_they_went_in() {
    use crate::feeds::Item;
    for change in [
        Change::Everything,
        Change::Key { key: Bytes::from_static(b"key"), by: None },
        Change::Key { key: Bytes::new(), by: Some(u64::MAX) },
    ] {
        let mut bytes = bytes::BytesMut::new();
        change.put(&mut bytes);
        let bytes = bytes.freeze();
        assert_eq!(Change::take(&mut bytes.clone()), Some(change));
        for length in 0..bytes.len() {
            assert_eq!(Change::take(&mut bytes.slice(..length)), None);
        }
    }
    assert_eq!(Change::take(&mut Bytes::from_static(&[3, 0, 0, 0, 0])), None);
}
