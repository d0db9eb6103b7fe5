//! Transactions, and the watches that guard them.

use onecopy_core::{Incarnation, StateMachine, Timestamp};
use onecopy_keyspace::request::SegmentBuilder;
use onecopy_resp::Version;

use crate::support::{Machine, Reply, replies, transaction, words};

#[test]
fn a_transaction_is_answered_with_one_array() {
    let mut machine = Machine::default();
    machine.expect("SET text x => OK");
    let reply = machine.transact(None, &["SET a 1", "INCR a", "INCR text", "LPUSH text x", "GET a"]);
    let expected = "[OK :2 -ERR value is not an integer or out of range \
                    -WRONGTYPE Operation against a key holding the wrong kind of value 2]";
    assert_eq!(reply.text(), expected, "what is behind an error is executed");
    assert_eq!(machine.transact(None, &[]).text(), "[]");
    machine.version = Version::Three;
    let reply =
        machine.transact(None, &["HSET h f v", "HGETALL h", "GET nothing", "ZADD z 1.5 m", "ZSCORE z m"]);
    assert_eq!(reply.text(), "[:1 {f v} nil :1 ,1.5]");
}

#[test]
fn a_transaction_may_select_databases() {
    let mut machine = Machine::default();
    let reply = machine.transact(None, &["SET a 0", "SELECT 3", "SET a 3", "SELECT 16", "SELECT x", "GET a"]);
    let expected = "[OK OK OK -ERR DB index is out of range -ERR value is not an integer or out of range 3]";
    assert_eq!(reply.text(), expected);
    machine.expect("GET a => 0");
    machine.db = 3;
    machine.expect("GET a => 3");
}

#[test]
fn what_the_connection_answers_leaves_a_place() {
    let mut machine = Machine::default();
    let reply = machine.apply_segment(transaction((0, Version::Two), None, &["SET a 1", "''", "GET a"]));
    assert_eq!(reply, b"*3\r\n+OK\r\n+\r\n$1\r\n1\r\n");
}

#[test]
fn tokens_hold_within_a_transaction() {
    let mut machine = Machine::default();
    for _ in 0..2 {
        let reply = machine.transact(None, &["ONCE t1 DECRBY a 5", "ONCE t2 INCRBY b 5"]);
        assert_eq!(reply.text(), "[:-5 :5]");
    }
    let reply = machine.transact(None, &["ONCE t3 WATCH a"]);
    assert!(reply.text().contains("'WATCH' is not one of them"), "{}", reply.text());
}

/// What becomes of a transaction that watches `key`, if these lines are executed meanwhile by somebody else.
fn is_executed(before: &str, meanwhile: &str) -> bool {
    let mut machine = Machine::default();
    before.split(" | ").filter(|line| !line.is_empty()).for_each(|line| drop(machine.run(line)));
    assert_eq!(machine.watching(1, "WATCH key other"), "OK");
    meanwhile.split(" | ").for_each(|line| match line {
        "wait" => machine.sleep(1_000),
        line => drop(machine.run(line)),
    });
    match machine.transact(Some(1), &["SET done 1"]) {
        Reply::Null => false,
        reply => {
            assert_eq!(reply.text(), "[OK]");
            true
        }
    }
}

#[test]
fn whatever_changes_a_watched_key_shows() {
    for (before, meanwhile) in [
        ("", "SET key 1"),
        ("SET key 1", "SET key 1"),
        ("", "MSET a 1 other 2"),
        ("", "MSETNX a 1 other 2"),
        ("SET key 1", "DEL key"),
        ("SET key 1", "UNLINK key | SET key 1"),
        ("SET key 1", "APPEND key x"),
        ("SET key 1", "SETRANGE key 3 x"),
        ("SET key 1", "SETBIT key 0 1"),
        ("SET key 1", "BITFIELD key SET u8 0 7"),
        ("SET key 1", "INCR key"),
        ("SET key 1", "INCRBYFLOAT key 0.5"),
        ("SET key 1", "EXPIRE key 100"),
        ("SET key 1 EX 100", "PERSIST key"),
        ("SET key 1 EX 100", "GETEX key PERSIST"),
        ("SET key 1", "GETEX key EX 7"),
        ("SET key 1", "GETDEL key"),
        ("SET key 1", "GETSET key 1"),
        ("SET key 1 PX 500", "wait"),
        ("SET key 1", "PEXPIRE key -1"),
        ("SET key 1", "RENAME key a"),
        ("SET a 1", "RENAME a key"),
        ("SET a 1", "RENAMENX a key"),
        ("SET a 1", "COPY a key"),
        ("SET key 1", "MOVE key 3"),
        ("SET key 1", "FLUSHDB"),
        ("SET key 1", "FLUSHALL | SET key 1"),
        ("SET key 1", "SWAPDB 0 3"),
        ("SET key 1", "SWAPDB 0 3 | SWAPDB 0 3"),
        ("RPUSH a 2 1", "SORT a STORE key"),
        ("SADD a 2 1", "SUNIONSTORE key a"),
        ("ZADD a 2 1", "ZUNIONSTORE key 1 a"),
        ("ZADD a 2 1", "ZRANGESTORE key a 0 -1"),
        ("SET a x", "BITOP NOT key a"),
        ("", "PFADD key a"),
        ("PFADD a a", "PFMERGE key a"),
        ("", "LPUSH key 1"),
        ("LPUSH key 1", "LPUSHX key 1"),
        ("LPUSH key 1 2", "LPOP key"),
        ("LPUSH key 1 2", "LSET key 0 2"),
        ("LPUSH key 1 2", "LMOVE key key LEFT RIGHT"),
        ("LPUSH a 1 2", "LMOVE a key LEFT RIGHT"),
        ("LPUSH key 1 2", "LTRIM key 0 -1"),
        ("LPUSH key 1 2", "LREM key 0 1"),
        ("LPUSH key 1 2", "LINSERT key AFTER 1 3"),
        ("LPUSH key 1 2", "LMPOP 2 a key LEFT"),
        ("HSET key a 1", "HSET key a 1"),
        ("HSET key a 1", "HINCRBY key a 0"),
        ("HSET key a 1 b 1", "HDEL key a"),
        ("SADD key 1", "SADD key 2"),
        ("SADD key 1", "SREM key 1"),
        ("SADD key 1 2", "SPOP key"),
        ("SADD a 1 | SADD key 2", "SMOVE a key 1"),
        ("ZADD key 1 a", "ZADD key 2 a"),
        ("ZADD key 1 a", "ZADD key XX 2 a"),
        ("ZADD key 1 a", "ZINCRBY key 1 a"),
        ("ZADD key 1 a 2 b", "ZPOPMIN key"),
        ("ZADD key 1 a 2 b", "ZREMRANGEBYRANK key 0 0"),
        ("", "GEOADD key 1 1 a"),
        ("", "ONCE token SET key 1"),
    ] {
        assert!(!is_executed(before, meanwhile), "{before} | {meanwhile}");
    }
}

#[test]
fn what_changes_nothing_does_not_show() {
    for (before, meanwhile) in [
        ("SET key 1", "GET key | TTL key | STRLEN key"),
        ("SET key 1", "SET a 1 | DEL a"),
        ("SET key 1", "SETNX key 1"),
        ("SET key 1", "MSETNX a 1 key 2"),
        ("SET key x", "INCR key | LPUSH key 1"),
        ("SET key 1", "PERSIST key | GETEX key | GETEX key PERSIST"),
        ("SET key 1", "EXPIRE key 100 XX"),
        ("", "DEL key | EXPIRE key 7 | GETDEL key"),
        ("", "FLUSHALL | SWAPDB 0 3"),
        ("SET key 1 PX 500", "GET key"),
        ("SADD key 1", "SADD key 1 | SREM key 2"),
        ("SADD a 1 | SADD key 1", "SMOVE a key 1"),
        ("HSET key a 1", "HSETNX key a 2 | HDEL key b"),
        ("ZADD key 1 a", "ZADD key 1 a | ZREM key b | ZADD key NX 2 a | ZADD key XX 2 b"),
        ("LPUSH key 1", "LREM key 0 2 | LINSERT key AFTER 2 1 | LPOP key 0"),
        ("PFADD key a", "PFADD key a | PFCOUNT key"),
        ("SET key 1", "SETBIT key 7 1 | BITFIELD key INCRBY u8 0 256 SET u4 0 3"),
    ] {
        assert!(is_executed(before, meanwhile), "{before} | {meanwhile}");
    }
}

#[test]
fn what_had_expired_when_it_was_watched_is_cleared_away_unseen() {
    let mut machine = Machine::default();
    machine.expect("SET key 1 PX 5 => OK");
    // Absent, and not removed: entries remove a few keys each, and this time passes within one.
    machine.context.time.0 += 5;
    assert_eq!(machine.watching(1, "WATCH key"), "OK");
    machine.sleep(1_000);
    assert_eq!(machine.transact(Some(1), &["GET key"]).text(), "[nil]");
}

#[test]
fn a_watch_guards_one_transaction() {
    let mut machine = Machine::default();
    assert_eq!(machine.watching(1, "WATCH key"), "OK");
    assert_eq!(machine.transact(Some(1), &["SET key 1"]).text(), "[OK]");
    assert_eq!(machine.transact(Some(1), &["SET key 2"]), Reply::Null, "it has ended");
    machine.expect("GET key => 1");
    assert_eq!(machine.watching(2, "WATCH key"), "OK");
    assert_eq!(machine.watching(2, "UNWATCH"), "OK");
    assert_eq!(machine.transact(Some(2), &["SET key 2"]), Reply::Null, "so has this one");
    assert_eq!(machine.keyspace.memory(), {
        Machine::default().keyspace.memory() + memory_of_keys(&machine)
    });
    machine.expect("WATCH key => -ERR keys are watched for a connection, and this is none");
}

/// What the keys occupy, without anything beside them.
fn memory_of_keys(machine: &Machine) -> u64 {
    let mut alone = Machine::default();
    alone.run(&format!("SET key {}", machine.query(0, "GET key")));
    alone.keyspace.memory()
}

#[test]
fn the_databases_of_watched_keys_are_told_apart() {
    let mut machine = Machine::default();
    assert_eq!(machine.watching(1, "WATCH key"), "OK");
    machine.db = 1;
    assert_eq!(machine.watching(1, "WATCH other"), "OK");
    machine.expect("SET key 1 => OK");
    machine.db = 0;
    machine.expect("SET other 1 => OK");
    assert_eq!(machine.transact(Some(1), &["SET key 1"]).text(), "[OK]");
}

#[test]
fn where_memory_is_full_a_transaction_is_executed_as_a_whole_or_not_at_all() {
    let mut machine = Machine::default();
    machine.expect("SET key 0123456789 => OK");
    machine.context.memory_max = 1;
    assert_eq!(
        machine.watching(1, "WATCH key"),
        "-ERR too many keys are watched by all clients together; try again"
    );
    let refusal = "-EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'.";
    assert_eq!(machine.transact(None, &["DEL key", "SET a 1"]).text(), refusal);
    assert_eq!(machine.transact(None, &["DEL key", "ONCE t SET a 1"]).text(), refusal);
    machine.expect("EXISTS key => :1");
    assert_eq!(machine.transact(None, &["GET key", "DEL key"]).text(), "[0123456789 :1]");
    // It begins where there is room, and takes what it needs.
    machine.context.memory_max = 1 << 10;
    let lines: Vec<String> = (0..100).map(|number| format!("SET k{number} v")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    assert!(!machine.transact(None, &lines).text().contains("OOM"));
    machine.expect("SET k v => -OOM command not allowed when used memory > 'maxmemory'.");
}

#[test]
fn replies_that_are_too_large_together_end_no_transaction() {
    let mut machine = Machine::default();
    machine.expect("SETRANGE long 104857599 x => :104857600");
    let members = "SMISMEMBER s 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20";
    let lines = ["GET long", "GET long", "INCR n", "GET long", members, "GET nothing"];
    let mut raw = machine.apply_segment(transaction((0, Version::Two), None, &lines));
    assert!(raw.starts_with(b"*6\r\n$104857600\r\n"));
    let tail = raw.split_off(raw.len() - 300);
    let tail = String::from_utf8_lossy(&tail);
    let error = "-ERR executed, but the replies of the transaction are too large together\r\n";
    assert!(tail.ends_with(&format!("\r\n:1\r\n{error}{error}$-1\r\n")), "{tail}");
    machine.expect("GET n => 1");
}

#[test]
fn a_transaction_that_finds_little_room_comes_again() {
    use onecopy_keyspace::request::{BodyBuilder, split_response};
    let mut machine = Machine::default();
    machine.expect("SETRANGE long 104857599 x => :104857600");
    let mut body = BodyBuilder::new();
    let mut plain = SegmentBuilder::new(0, Version::Two);
    plain.push(words("GET long").iter().map(Vec::as_slice));
    body.push(&plain.finish());
    body.push(&transaction((0, Version::Two), None, &["INCR n"]).finish());
    body.push(&transaction((0, Version::Two), None, &[]).finish());
    let mut response = Vec::new();
    machine.keyspace.apply(&machine.context, &body.finish(), &mut response);
    let replies: Vec<_> = split_response(&response.into()).map(|reply| reply.expect("well-formed")).collect();
    assert_eq!(replies.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false]);
    machine.expect("EXISTS n => :0");
}

#[test]
fn reads_alone_may_be_read() {
    let mut machine = Machine::default();
    machine.expect("SET a 1 => OK");
    let query = |machine: &Machine, watch, lines: &[&str]| {
        let mut response = Vec::new();
        let context = onecopy_core::QueryContext::at(Timestamp(0));
        machine.keyspace.query(
            &context,
            &transaction((0, Version::Two), watch, lines).finish(),
            &mut response,
        );
        Reply::parse(&mut replies(response).as_slice()).expect("a reply").text()
    };
    assert_eq!(query(&machine, None, &["GET a", "SELECT 1", "GET a"]), "[1 OK nil]");
    let refusal = "-ERR the command 'set' changes or settles state and cannot be executed as a read";
    assert_eq!(query(&machine, None, &["GET a", "SET a 2"]), format!("[1 {refusal}]"));
    assert_eq!(query(&machine, Some(1), &["GET a"]), refusal.replace("set'", "exec'"));
}

#[test]
fn bytes_that_make_no_sense_execute_nothing() {
    let mut machine = Machine::default();
    let mut segment = SegmentBuilder::new(0, Version::Two).transaction();
    segment.push(words("SET a 1").iter().map(Vec::as_slice));
    segment.begin_command(3, 0);
    let reply = machine.apply_segment(segment);
    assert_eq!(reply, b"-ERR malformed request\r\n");
    machine.expect("EXISTS a => :0");
}

#[test]
fn watches_end_with_their_process() {
    let mut machine = Machine::default();
    assert_eq!(machine.watching(1, "WATCH key"), "OK");
    machine.keyspace.coordinators_end(&|process| process == Incarnation(7));
    let with = machine.keyspace.memory();
    machine.keyspace.coordinators_end(&|process| process == Incarnation(8));
    assert!(machine.keyspace.memory() < with);
    assert_eq!(machine.transact(Some(1), &["SET key 1"]), Reply::Null);
}
