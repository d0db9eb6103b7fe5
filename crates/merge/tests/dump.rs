//! Values between optimistic databases and the others, as `DUMP` and `RESTORE` have them.

#[path = "../../keyspace/tests/support/mod.rs"]
mod support;

use onecopy_core::Timestamp;
use onecopy_merge::{Call, Replica, ReplicaId, Rules};
use onecopy_resp::Version;
use support::{Machine, Reply, words};

struct Ours(Replica);

impl Ours {
    fn new() -> Self {
        Self(Replica::new(ReplicaId(1), Rules::default()))
    }

    fn apply(&mut self, args: &[Vec<u8>]) -> Vec<u8> {
        let call = Call { now: Timestamp(1_000_000), db: 0, seed: 7, version: Version::Two };
        let (args, mut reply): (Vec<&[u8]>, _) = (args.iter().map(Vec::as_slice).collect(), Vec::new());
        self.0.execute(call, &args, &mut reply);
        reply
    }

    fn run(&mut self, line: &str) -> String {
        String::from_utf8_lossy(&self.apply(&words(line))).into_owned()
    }
}

fn payload(reply: &[u8]) -> Vec<u8> {
    match Reply::parse(&mut &reply[..]).expect("a reply") {
        Reply::Bulk(payload) => payload,
        other => panic!("{other:?}"),
    }
}

fn restore(key: &str, payload: Vec<u8>, rest: &str) -> Vec<Vec<u8>> {
    let mut args = words(&format!("RESTORE {key} 0 payload {rest}"));
    args[3] = payload;
    args
}

/// One key of each type, and how it is read.
const VALUES: [(&str, &str); 7] = [
    ("SET k text", "GET k"),
    ("SET k -12345678901", "GET k"),
    ("RPUSH k a b a 7", "LRANGE k 0 -1"),
    ("SADD k only", "SMEMBERS k"),
    ("HSET k f 1 g text h -3", "HMGET k f g h"),
    ("ZADD k 1.5 a -inf b 3 c", "ZRANGE k 0 -1 WITHSCORES"),
    ("INCRBY k 41", "INCR k"),
];

#[test]
fn every_type_goes_there_and_back() {
    for (write, read) in VALUES {
        let (mut ours, mut theirs) = (Ours::new(), Machine::default());
        theirs.apply(&words(write));
        let dumped = payload(&theirs.apply(&words("DUMP k")));
        assert_eq!(ours.apply(&restore("k", dumped, "")), b"+OK\r\n", "{write}");
        // What was restored is dumped before it is read: reading may change it.
        let again = payload(&ours.apply(&words("DUMP k")));
        let expected = theirs.apply(&words(read));
        assert_eq!(ours.run(read), String::from_utf8_lossy(&expected), "{write}");
        let mut third = Machine::default();
        assert_eq!(third.apply(&restore("k", again, "")), b"+OK\r\n", "{write}");
        assert_eq!(third.apply(&words(read)), expected, "{write}");
    }
}

#[test]
fn what_is_there_and_when_it_ends_are_minded() {
    let (mut ours, mut theirs) = (Ours::new(), Machine::default());
    theirs.apply(&words("SET k text"));
    let dumped = payload(&theirs.apply(&words("DUMP k")));
    ours.run("SADD k member");
    let busy = String::from_utf8(ours.apply(&restore("k", dumped.clone(), ""))).unwrap();
    assert!(busy.starts_with("-BUSYKEY"), "{busy}");
    assert_eq!(ours.apply(&restore("k", dumped.clone(), "REPLACE")), b"+OK\r\n");
    assert_eq!((ours.run("GET k"), ours.run("PTTL k")), ("$4\r\ntext\r\n".to_owned(), ":-1\r\n".to_owned()));
    let mut expiring = restore("e", dumped.clone(), "ABSTTL");
    expiring[2] = b"1000500".to_vec();
    assert_eq!((ours.apply(&expiring), ours.run("PTTL e")), (b"+OK\r\n".to_vec(), ":500\r\n".to_owned()));
    expiring[2] = b"999999".to_vec();
    expiring[1] = b"over".to_vec();
    assert_eq!((ours.apply(&expiring), ours.run("EXISTS over")), (b"+OK\r\n".to_vec(), ":0\r\n".to_owned()));
    assert_eq!(ours.run("DUMP nothing"), "$-1\r\n");
}

#[test]
fn what_makes_no_sense_or_does_not_merge_is_refused() {
    let (mut ours, mut theirs) = (Ours::new(), Machine::default());
    theirs.apply(&words("XADD k 1-1 f v"));
    let stream = payload(&theirs.apply(&words("DUMP k")));
    let refused = String::from_utf8(ours.apply(&restore("k", stream, ""))).unwrap();
    assert!(refused.starts_with("-NOTMERGEABLE the value is a stream"), "{refused}");
    // A set that has a member twice.
    let mut twice = b"\x02\x02\x01a\x01a".to_vec();
    onecopy_rdb::seal(&mut twice, onecopy_rdb::RDB_VERSION, &mut |_| {});
    let mut empty = b"\x01\x00".to_vec();
    onecopy_rdb::seal(&mut empty, onecopy_rdb::RDB_VERSION, &mut |_| {});
    for bad in [twice, empty] {
        let refused = String::from_utf8(ours.apply(&restore("k", bad, ""))).unwrap();
        assert_eq!(refused, "-ERR Bad data format\r\n");
    }
    let refused = String::from_utf8(ours.apply(&restore("k", b"nonsense".to_vec(), ""))).unwrap();
    assert!(refused.contains("checksum"), "{refused}");
    assert_eq!(ours.run("EXISTS k"), ":0\r\n");
}
