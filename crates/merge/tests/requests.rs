//! Requests in segments, as coordinators hand them in: transactions, `WATCH`, and large responses.

use bytes::Bytes;
use onecopy_core::segments::split_response;
use onecopy_core::{Incarnation, Timestamp};
use onecopy_keyspace::request::{SegmentBuilder, WatchId};
use onecopy_merge::{Delta, Replica, ReplicaId, Requests, Rules};
use onecopy_resp::Version;

const WATCH: WatchId = WatchId { process: Incarnation(7), number: 1 };

struct Rig {
    replica: Replica,
    requests: Requests,
    made: Vec<Delta>,
}

impl Rig {
    fn new() -> Self {
        let replica = Replica::new(ReplicaId(1), Rules::default());
        Self { replica, requests: Requests::default(), made: Vec::new() }
    }

    /// The reply to one segment, and how many updates it made.
    fn ask(&mut self, segment: SegmentBuilder, lines: &[&str]) -> (String, usize) {
        let mut segment = segment;
        lines.iter().for_each(|line| segment.push(line.split(' ').map(str::as_bytes)));
        let (mut response, mut seed, before) = (Vec::new(), 0, self.made.len());
        let mut chance = || {
            seed += 1;
            seed
        };
        self.requests.answer(
            &mut self.replica,
            (Timestamp(1_000), &mut chance),
            &segment.finish(),
            &mut response,
            &mut self.made,
        );
        let replies: Vec<Bytes> = split_response(&response.into()).map(|it| it.unwrap().unwrap()).collect();
        assert_eq!(replies.len(), 1);
        (String::from_utf8(replies[0].to_vec()).unwrap(), self.made.len() - before)
    }

    fn run(&mut self, lines: &[&str]) -> (String, usize) {
        self.ask(SegmentBuilder::new(0, Version::Two), lines)
    }
}

#[test]
fn commands_are_updates_of_their_own_and_a_transaction_is_one() {
    let mut rig = Rig::new();
    let (replies, made) = rig.run(&["SET a 1", "INCR a", "GET a"]);
    assert_eq!((replies.as_str(), made), ("+OK\r\n:2\r\n$1\r\n2\r\n", 2));
    let queue = SegmentBuilder::new(0, Version::Two).transaction();
    let (replies, made) = rig.ask(queue, &["INCR a", "SELECT 3", "SET a x", "LPUSH a y", "GET a"]);
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value\r\n";
    assert_eq!((replies, made), (format!("*5\r\n:3\r\n+OK\r\n+OK\r\n{wrong}$1\r\nx\r\n"), 1));
    assert_eq!(rig.run(&["GET a"]).0, "$1\r\n3\r\n");
}

#[test]
fn a_watched_key_that_changes_stops_the_transaction() {
    let watched = || SegmentBuilder::new(0, Version::Two).watched(WATCH);
    let queue = || SegmentBuilder::new(0, Version::Two).transaction().watched(WATCH);
    let mut rig = Rig::new();
    rig.ask(watched(), &["WATCH a b"]);
    assert_eq!(rig.ask(queue(), &["SET a 1"]).0, "*1\r\n+OK\r\n");
    rig.ask(watched(), &["WATCH a b"]);
    rig.run(&["INCR b"]);
    assert_eq!(rig.ask(queue(), &["SET a 2"]), ("*-1\r\n".to_owned(), 0));
    // It ended with the transaction, and one that is not known guards nothing.
    assert_eq!(rig.ask(queue(), &["SET a 2"]).0, "*-1\r\n");
    // What somebody else changes counts as well, though it has the same value.
    rig.ask(watched(), &["WATCH a"]);
    let mut other = Rig::new();
    rig.made.clone().into_iter().for_each(|delta| drop(other.replica.receive(Timestamp(1_000), delta)));
    other.replica = other.replica.in_life(ReplicaId(2));
    other.run(&["SET a 1"]);
    other.made.into_iter().for_each(|delta| drop(rig.replica.receive(Timestamp(1_000), delta)));
    assert_eq!(rig.ask(queue(), &["SET a 2"]).0, "*-1\r\n");
    assert_eq!(rig.run(&["GET a"]).0, "$1\r\n1\r\n");
}

#[test]
fn what_is_not_mergeable_is_refused_within_a_transaction_too() {
    let queue = SegmentBuilder::new(0, Version::Two).transaction();
    let (replies, made) = Rig::new().ask(queue, &["SET a 1", "XADD s * f v"]);
    assert!(replies.starts_with("*2\r\n+OK\r\n-NOTMERGEABLE 'xadd'"), "{replies}");
    assert_eq!(made, 1);
}

#[test]
fn ranks_come_with_scores() {
    let mut rig = Rig::new();
    rig.run(&["ZADD z 1 a 2 b"]);
    let (replies, _) = rig.run(&["ZRANK z b WITHSCORE", "ZREVRANK z b WITHSCORE", "ZRANK z c WITHSCORE"]);
    assert_eq!(replies, "*2\r\n:1\r\n$1\r\n2\r\n*2\r\n:0\r\n$1\r\n2\r\n*-1\r\n");
}
