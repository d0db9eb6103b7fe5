//! Two replicas with different hash seeds and different histories of allocation say the same and hold the
//! same.

use onecopy_core::{Place, StateMachine};
use onecopy_resp::Version;
use proptest::prelude::*;

use crate::support::maker::Maker;
use crate::support::{Machine, words};

/// Commands whose results are random, or whose order is that of the tables.
const UNORDERED: &[&str] = &[
    "RANDOMKEY",
    "SRANDMEMBER t1",
    "SRANDMEMBER t1 3",
    "SRANDMEMBER t2 -5",
    "SPOP t1",
    "SPOP t2 2",
    "HRANDFIELD h1 2 WITHVALUES",
    "HRANDFIELD h2 -4",
    "ZRANDMEMBER z1 2 WITHSCORES",
    "ZRANDMEMBER z2 -4",
    "TIME",
    "KEYS *",
    "SCAN 0 COUNT 5",
];

fn run(seed: u64, count: usize) {
    let mut maker = Maker::new(seed);
    let mut first = Machine::new([1, 2]);
    let mut second = Machine::new([u64::MAX, 0x1234_5678_9abc_def0]);
    let mut scrubbed = Place::BEGINNING;
    for step in 0..count {
        let line = match maker.below(4) {
            0 => UNORDERED[maker.below(UNORDERED.len())].to_string(),
            _ => maker.any_or_once(),
        };
        let version = if step % 2 == 0 { Version::Two } else { Version::Three };
        first.version = version;
        second.version = version;
        if step % 50 == 0 {
            first.sleep(20_000);
            second.sleep(20_000);
        }
        if step % 1_000 == 999 {
            // The memory of the tokens ends in between.
            first.sleep(600_000);
            second.sleep(600_000);
        }
        if step % 97 == 0 {
            // The second goes on from an image of itself.
            let image = second.image();
            let mut restored = Machine::new([7, 7]);
            restored.keyspace.restore(&image).expect("an image");
            restored.keyspace.restore_finish().expect("complete");
            second.keyspace = restored.keyspace;
        }
        let args = words(&line);
        assert_eq!(first.apply(&args), second.apply(&args), "step {step}: {line}");
        assert_eq!(first.keyspace.memory(), second.keyspace.memory(), "step {step}: {line}");
        assert_eq!(first.keyspace.due(), second.keyspace.due(), "step {step}: {line}");
        let (from, bytes) = (scrubbed, maker.below(400));
        let part = first.keyspace.scrub(from, bytes);
        assert_eq!(part, second.keyspace.scrub(from, bytes), "step {step}: {line}");
        // Work that is no part of the state: a copy may do it whenever it likes.
        while step % 3 == 0 && first.keyspace.tidy() {}
        while step % 7 == 0 && second.keyspace.tidy() {}
        scrubbed = part.next;
        if step % 10 == 0 {
            assert_eq!(first.keyspace.digest(), second.keyspace.digest(), "step {step}: {line}");
        }
    }
}

#[test]
fn the_hash_seed_does_not_show() {
    run(1, 10_000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn nor_does_it_in_any_history(seed: u64) {
        run(seed, 400);
    }

    #[test]
    fn a_read_answers_what_an_entry_would(seed: u64) {
        let mut maker = Maker::new(seed);
        let mut machine = Machine::default();
        machine.sleep(0);
        for _ in 0..400 {
            let line = maker.any();
            let read = machine.query(0, &line);
            let before = machine.keyspace.digest();
            let applied = machine.run(&line);
            if !read.contains("cannot be executed as a read") {
                prop_assert_eq!(read, applied, "{}", &line);
                prop_assert_eq!(machine.keyspace.digest(), before, "{} is a read", &line);
            }
        }
    }
}

#[test]
fn the_digest_sees_every_difference() {
    let mut digests = std::collections::BTreeSet::new();
    let mut histories = 0;
    for history in [
        "",
        "SET a 1",
        "SET a 2",
        "SET b 1",
        "SET a 1 EX 10",
        "SELECT-1;SET a 1",
        "RPUSH a 1",
        "RPUSH a 1 2",
        "RPUSH a 2 1",
        "RPUSH a 12",
        "SADD a 1",
        "SADD a 1 2",
        "HSET a 1 2",
        "HSET a 2 1",
        "HSET a 1 2 2 1",
        "HSET a 1 1 2 2",
        "ZADD a 1 2",
        "ZADD a 2 1",
        "ZADD a 1 1 2 2",
        "XGROUP CREATE a g $ MKSTREAM",
        "XGROUP CREATE a h $ MKSTREAM",
        "XGROUP CREATE a g 5 MKSTREAM",
        "XGROUP CREATE a g $ MKSTREAM ENTRIESREAD 0",
        "XGROUP CREATE a g $ MKSTREAM;XGROUP CREATECONSUMER a g c",
        "XADD a 1-1 1 2",
        "XADD a 1-2 1 2",
        "XADD a 1-1 2 1",
        "XADD a 1-1 1 2 1 2",
        "XADD a 1-1 1 2;XDEL a 1-1",
        "XADD a 1-1 1 2;XTRIM a MAXLEN 0",
        "XADD a 1-1 1 2;XSETID a 1-1 ENTRIESADDED 2",
        "XADD a 1-1 1 2;XGROUP CREATE a g 0;XREADGROUP GROUP g c STREAMS a >",
        "XADD a 1-1 1 2;XGROUP CREATE a g 0;XREADGROUP GROUP g d STREAMS a >",
        "XADD a 1-1 1 2;XGROUP CREATE a g 0;XREADGROUP GROUP g c STREAMS a >;XREADGROUP GROUP g c STREAMS a 0",
        "XADD a 1-1 1 2;XGROUP CREATE a g 0;XREADGROUP GROUP g c STREAMS a >;XCLAIM a g c 0 1-1 IDLE 5 RETRYCOUNT 1",
        "XADD a 1-1 1 2;XGROUP CREATE a g 0;XREADGROUP GROUP g c NOACK STREAMS a >",
        "ONCE t DEL a",
        "ONCE u DEL a",
        "ONCE t DEL b",
        "ONCE t DEL a;ONCE u DEL a",
        "ONCE u DEL a;ONCE t DEL a",
        "ONCE t SET a 1",
        "ONCE t SET a 1 XX",
    ] {
        let mut machine = Machine::default();
        for line in history.split(';').filter(|line| !line.is_empty()) {
            if line == "SELECT-1" {
                machine.db = 1;
            } else {
                machine.run(line);
            }
        }
        digests.insert(machine.keyspace.digest());
        histories += 1;
    }
    assert_eq!(digests.len(), histories);
    let mut one = Machine::default();
    one.expect("SADD s a b c => :3\nSREM s a => :1\nSADD s a => :1\nHSET h a 1 b 2 => :2");
    let mut other = Machine::default();
    other.expect("HSET h b 2 a 1 => :2\nSADD s c b a => :3");
    one.sleep(0);
    other.sleep(0);
    assert_eq!(one.keyspace.digest(), other.keyspace.digest(), "the order of members does not show");
}

#[test]
fn a_round_of_looks_sees_every_key_of_every_database() {
    let round = |keyspace: &onecopy_keyspace::Keyspace| {
        let (mut parts, mut from) = (Vec::new(), Place::BEGINNING);
        loop {
            let onecopy_core::Seen { digest: part, next, .. } = keyspace.scrub(from, 10_000);
            parts.push(part);
            if next == Place::BEGINNING {
                return parts;
            }
            assert!(next.object > from.object, "it goes on");
            from = next;
        }
    };
    let filled_by = |command: &str, value: &str| {
        let mut machine = Machine::new([3, 4]);
        for key in 0..2_000 {
            machine.apply(&words(&format!("SET key{key} value")));
        }
        for token in 0..200 {
            machine.apply(&words(&format!("ONCE token{token} SET key{token} value")));
        }
        machine.apply(&words(&format!("{command} key777 {value}")));
        machine.keyspace
    };
    let filled = |value: &str| filled_by("SET", value);
    let (one, other) = (round(&filled("value")), round(&filled("valuf")));
    assert!(one.len() > 16, "many small looks: {}", one.len());
    assert_eq!(one, round(&filled("value")));
    assert_eq!(one.iter().zip(&other).filter(|(one, other)| one != other).count(), 1, "one look tells");
    let (one, other) = (filled_by("ONCE t1 SET", "value"), filled_by("ONCE t2 SET", "value"));
    let differ = round(&one).iter().zip(round(&other)).filter(|(one, other)| **one != *other).count();
    assert_eq!(differ, 1, "one look tells of a token");
}
