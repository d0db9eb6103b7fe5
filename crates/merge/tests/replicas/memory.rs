//! How much memory keys take, and what is refused where there is too little.

use onecopy_core::Timestamp;
use onecopy_merge::{Call, Replica, ReplicaId, Rules};
use onecopy_resp::Version;

fn replica(id: u64) -> Replica {
    Replica::new(ReplicaId(id), Rules::default())
}

fn ask(replica: &mut Replica, line: &str) -> String {
    let call = Call { now: Timestamp(1_000), db: 0, seed: 7, version: Version::Two };
    let (words, mut reply): (Vec<&[u8]>, _) = (line.split(' ').map(str::as_bytes).collect(), Vec::new());
    replica.execute(call, &words, &mut reply);
    String::from_utf8_lossy(&reply).into_owned()
}

#[test]
fn what_is_counted_goes_with_what_was_written() {
    let mut replica = replica(1);
    let mut before = 0;
    for line in
        ["SET k value", "HSET h f 1", "SADD s a", "ZADD z 1 a", "RPUSH l a b c", "INCR n", "EXPIRE n 9"]
    {
        ask(&mut replica, line);
        let now = replica.store().memory();
        assert!(now > before, "{line} takes memory: {before} → {now}");
        before = now;
    }
    ask(&mut replica, &format!("SET k {}", "v".repeat(10_000)));
    assert!(replica.store().memory() > before + 9_000);
    ask(&mut replica, "FLUSHALL");
    // Of a counter that somebody may have gone on with, something is left.
    ask(&mut replica, "DEL n");
    assert!(replica.store().memory() < 1_000, "{}", replica.store().memory());
}

#[test]
fn what_may_need_more_memory_is_refused_and_all_else_is_not() {
    let (mut full, mut other) = (replica(1), replica(2));
    ask(&mut full, &format!("SET k {}", "v".repeat(1_000)));
    full.set_memory_max(100);
    for line in ["SET m 1", "INCR n", "RPUSH l a", "HSET h f 1"] {
        assert!(ask(&mut full, line).starts_with("-OOM "), "{line}");
    }
    assert!(ask(&mut full, "GET k").starts_with("$1000"));
    let call = Call { now: Timestamp(1_000), db: 0, seed: 7, version: Version::Two };
    let delta = other.execute(call, &[b"SET", b"theirs", b"1"], &mut Vec::new()).expect("a change");
    full.receive(call.now, delta);
    assert_eq!(ask(&mut full, "GET theirs"), "$1\r\n1\r\n", "what others have done is taken");
    assert_eq!(ask(&mut full, "DEL k theirs"), ":2\r\n");
    assert_eq!(ask(&mut full, "SET m 1"), "+OK\r\n", "there is room again");
}
