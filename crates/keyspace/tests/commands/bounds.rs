//! What a command may cost is known before it is paid (rule E2).

use onecopy_core::{QueryContext, StateMachine, Timestamp};
use onecopy_resp::Version;

use crate::support::{Machine, body_of, words};

const TOO_LONG: &str = "-ERR the command would take too long; ask for less at a time";
const TOO_LARGE: &str = "-ERR the reply would be too large; ask for less at a time";

/// Fills a set, a sorted set, a hash and a list with the same numbers.
fn fill(machine: &mut Machine, suffix: &str, count: usize) {
    for start in (0..count).step_by(5_000) {
        let numbers = start..count.min(start + 5_000);
        let members: Vec<String> = numbers.clone().map(|number| number.to_string()).collect();
        let pairs: Vec<String> = numbers.map(|number| format!("{number} {number}")).collect();
        for command in ["SADD s", "RPUSH l"] {
            machine.apply(&words(&format!("{command}{suffix} {}", members.join(" "))));
        }
        for command in ["ZADD z", "HSET h"] {
            machine.apply(&words(&format!("{command}{suffix} {}", pairs.join(" "))));
        }
    }
}

#[test]
fn an_operand_that_is_repeated_costs_once() {
    let mut machine = Machine::default();
    fill(&mut machine, "", 30_000);
    let operands = "s ".repeat(30_000);
    for command in ["SINTERSTORE", "SUNIONSTORE"] {
        assert_eq!(machine.run(&format!("{command} d {operands}")), ":30000");
    }
    assert_eq!(machine.run(&format!("SDIFFSTORE d s {operands}")), ":0");
    assert_eq!(machine.run(&format!("SINTERCARD 30000 {operands}")), ":30000");
}

#[test]
fn what_costs_too_much_is_an_error_and_changes_nothing() {
    let mut machine = Machine::default();
    fill(&mut machine, "", 30_000);
    for number in 0..300 {
        machine.run(&format!("COPY s s{number}"));
    }
    let digest = machine.keyspace.digest();
    let sets: Vec<String> = (0..300).map(|number| format!("s{number}")).collect();
    let sets = sets.join(" ");
    for command in ["SINTERSTORE d", "SUNIONSTORE d"] {
        assert_eq!(machine.run(&format!("{command} {sets}")), TOO_LONG, "{command}");
    }
    let zsets = "z ".repeat(300);
    for command in ["ZUNIONSTORE d 300", "ZINTERSTORE d 300", "ZINTERCARD 300"] {
        assert_eq!(machine.run(&format!("{command} {zsets}")), TOO_LONG, "{command}");
    }
    assert_eq!(machine.keyspace.digest(), digest);
    assert_eq!(machine.run("EXISTS d"), ":0");
}

#[test]
fn long_strings_cost_what_is_read_of_them() {
    let mut machine = Machine::default();
    machine.expect("SETRANGE k 268435455 x => :268435456\nBITOP OR two k k => :268435456");
    let digest = machine.keyspace.digest();
    assert_eq!(machine.run("BITOP OR three k k k"), TOO_LONG);
    assert_eq!(machine.keyspace.digest(), digest);
    machine.expect("BITCOUNT k => :4\nBITPOS k 1 => :2147483641");
}

#[test]
fn what_is_looked_up_for_each_element_is_paid() {
    let mut machine = Machine::default();
    fill(&mut machine, "", 30_000);
    let patterns = " GET nothing*".repeat(100);
    for command in ["SORT_RO l BY nosort", "SORT l STORE d BY nosort"] {
        assert_eq!(machine.run(&format!("{command}{patterns}")), TOO_LONG, "{command}");
    }
    machine.apply(&[b"RPUSH".to_vec(), b"few".to_vec(), b"x".to_vec(), b"y".to_vec()]);
    machine.apply(&[b"SET".to_vec(), b"large".to_vec(), vec![b'x'; 60 << 20]]);
    let patterns = " GET lar*e".repeat(10);
    machine.apply(&words("RPUSH g g"));
    assert_eq!(machine.run(&format!("SORT_RO g BY nosort{patterns}")), TOO_LARGE);
    assert_eq!(machine.run(&format!("SORT g BY nosort STORE d{patterns}")), TOO_LONG);
    assert_eq!(machine.run("EXISTS d"), ":0");
}

#[test]
fn as_many_as_people_ask_for_is_no_problem() {
    let mut machine = Machine::default();
    fill(&mut machine, "", 30_000);
    machine.expect(
        "
        ZUNIONSTORE d 2 z z          => :30000
        ZINTERSTORE d 3 z s d        => :30000
        ZDIFFSTORE d 2 z s           => :0
        SDIFFSTORE d s s             => :0
        LREM l 0 17                  => :1
        LINSERT l BEFORE 18 17       => :30000
        ",
    );
    for line in
        ["SMEMBERS s", "HGETALL h", "LRANGE l 0 -1", "ZRANGE z 0 -1 WITHSCORES", "SRANDMEMBER s -30000"]
    {
        assert!(machine.run(line).starts_with('['), "{line}");
    }
    for line in ["SPOP s 30000", "LPOP l 30000", "ZPOPMAX z 30000"] {
        assert!(machine.run(line).starts_with('['), "{line}");
    }
}

#[test]
fn a_pattern_costs_what_it_compares() {
    let mut machine = Machine::default();
    machine.apply(&[b"SET".to_vec(), vec![b'a'; 150_000], b"v".to_vec()]);
    let hostile = [b"*".as_slice(), &vec![b'a'; 75_000], b"b"].concat();
    let ask = |args: &[&[u8]]| {
        let args: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_vec()).collect();
        let mut response = Vec::new();
        let context = QueryContext::at(Timestamp(0));
        machine.keyspace.query(&context, &body_of(0, Version::Two, &args), &mut response);
        String::from_utf8_lossy(&response[4..]).trim_end().to_owned()
    };
    assert_eq!(ask(&[b"KEYS", &hostile]), TOO_LONG);
    assert_eq!(ask(&[b"SCAN", b"0", b"MATCH", &hostile, b"COUNT", b"100000"]), TOO_LONG);
    assert_eq!(ask(&[b"KEYS", b"*b"]), "*0");
}

#[test]
fn a_reply_is_refused_before_it_is_built() {
    let mut machine = Machine::default();
    machine.apply(&[b"SADD".to_vec(), b"one".to_vec(), vec![b'x'; 60_000]]);
    assert_eq!(machine.run("SRANDMEMBER one -9000000"), "-ERR value is out of range");
    assert_eq!(machine.run("SRANDMEMBER one -1000000"), TOO_LARGE);
    for key in 0..9 {
        machine.apply(&[b"RPUSH".to_vec(), b"l".to_vec(), vec![b'0' + key; 64 << 20]]);
        machine.apply(&[b"SADD".to_vec(), b"s".to_vec(), vec![b'0' + key; 64 << 20]]);
    }
    for line in ["LRANGE l 0 -1", "LPOP l 9", "SMEMBERS s", "SPOP s 9"] {
        assert_eq!(machine.run(line), TOO_LARGE, "{line}");
    }
    assert_eq!(machine.run("SUNION s"), TOO_LONG, "to copy it is work, too");
    machine.expect("LLEN l => :9\nSCARD s => :9");
}

#[test]
fn a_request_whose_answers_are_too_large_stops() {
    let mut machine = Machine::default();
    machine.run("SETRANGE k 83886079 x");
    let lines = ["GET k", "GET k", "INCR n", "GET k", "INCR n"].map(str::to_owned);
    let replies = machine.run_together(&lines);
    let full = "-TRYAGAIN the answers before it are too large together; it was not executed";
    assert_eq!(replies[2], ":1");
    assert!(replies[3].len() > 80 << 20);
    assert_eq!(replies[4], full);
    machine.expect("INCR n => :2");
}

/// A stream of so many entries with one field each, and a group that begins before them.
fn stream(machine: &mut Machine, key: &str, count: usize, value: &str) {
    for start in (1..=count).step_by(5_000) {
        let numbers = start..(count + 1).min(start + 5_000);
        let lines: Vec<String> = numbers.map(|number| format!("XADD {key} {number}-0 f {value}")).collect();
        machine.run_together(&lines);
    }
    machine.run(&format!("XGROUP CREATE {key} g 0"));
}

#[test]
fn streams_are_read_as_far_as_there_is_room() {
    let mut machine = Machine::default();
    let value = "x".repeat(60_000);
    stream(&mut machine, "s", 600, &value);
    machine.expect("XGROUP CREATE s late 599 => OK");
    let again = " 0".repeat(10_000);
    let keys = " s".repeat(10_000);
    let digest = machine.keyspace.digest();
    // More than one reply may have.
    for line in [
        format!("XREAD STREAMS{} {}", " s".repeat(16), " 0".repeat(16)),
        format!("XREADGROUP GROUP late c COUNT 1 STREAMS{keys} >{}", &again[2..]),
    ] {
        assert_eq!(machine.run(&line), TOO_LARGE, "{}", &line[..40]);
        assert_eq!(machine.keyspace.digest(), digest);
    }
    for line in
        ["XRANGE s - +", "XREVRANGE s + -", "XREADGROUP GROUP g c STREAMS s >", "XAUTOCLAIM s g c 0 0"]
    {
        assert!(machine.run(line).starts_with('['), "{line}");
    }
}

#[test]
fn an_entry_that_nobody_could_read_is_not_stored() {
    let mut machine = Machine::default();
    let half = vec![b'x'; 256 << 20];
    let add = |value: &[u8]| [b"XADD", b"s".as_slice(), b"*", b"a", &half, b"b", value].map(<[u8]>::to_vec);
    let reply = machine.apply(&add(&vec![b'x'; (256 << 20) + 1024]));
    assert_eq!(reply, b"-ERR Elements are too large to be stored\r\n");
    machine.expect("EXISTS s => :0");
    assert_eq!(machine.apply(&add(&half)), b"$9\r\n1000000-0\r\n");
    assert!(machine.apply(&words("XRANGE s - +")).len() > 511 << 20);
}

#[test]
fn streams_cost_what_is_looked_at() {
    let mut machine = Machine::default();
    stream(&mut machine, "s", 30_000, "x");
    let (keys, ids) = (" s".repeat(300), " 0".repeat(300));
    assert_eq!(machine.run(&format!("XREAD STREAMS{keys}{ids}")), TOO_LONG);
    assert_eq!(machine.run("XREADGROUP GROUP g c COUNT 30000 STREAMS s >").len() / 30_000, 15);
    let digest = machine.keyspace.digest();
    assert_eq!(machine.run(&format!("XREADGROUP GROUP g c STREAMS{keys}{ids}")), TOO_LONG);
    assert_eq!(machine.keyspace.digest(), digest);
    machine.expect(
        "
        XTRIM s MAXLEN 10            => :29990
        XGROUP DELCONSUMER s g c     => :30000
        XADD s MAXLEN 1 * a b        => 1000000-0
        ",
    );
}

#[test]
fn a_large_value_is_removed_at_once_and_freed_bit_by_bit() {
    let mut machine = Machine::default();
    let memory = machine.keyspace.memory();
    fill(&mut machine, "", 30_000);
    fill(&mut machine, "2", 30_000);
    stream(&mut machine, "x", 30_000, "v");
    machine.run("XREADGROUP GROUP g c COUNT 30000 STREAMS x >");
    machine.expect("XGROUP DESTROY x g => :1\nDEL x => :1");
    machine.expect("DEL s l => :2\nUNLINK z h => :2\nEXPIRE s2 1 => :1\nFLUSHDB => OK");
    assert_eq!(machine.keyspace.memory(), memory);
    let mut rounds = 0;
    while machine.keyspace.tidy() {
        rounds += 1;
    }
    assert!((20..100).contains(&rounds), "a few thousand elements at a time: {rounds}");
}
