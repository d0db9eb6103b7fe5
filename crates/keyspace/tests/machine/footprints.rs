//! A command changes nothing outside of its footprint, and a read sees nothing outside of its own.

use std::collections::BTreeMap;

use onecopy_core::{Footprint, StateMachine};

use crate::support::maker::Maker;
use crate::support::{Machine, body_of, transaction, words};

const KEYS: &str = "s1 s2 n1 n2 n3 h1 h2 h3 l1 l2 l3 t1 t2 t3 z1 z2 z3 x p1 p2 hf f1 f2 f3 b1 b2 b3 \
    q1 q2 u1 g1 g2 g3 g4 l4 w_a w_1 wh_a m1 m2 m3";

/// Everything that there is to see of each key, in both databases that the commands know.
fn all(machine: &Machine) -> BTreeMap<&'static str, String> {
    let look = |key: &str| {
        let commands =
            ["GET", "HGETALL", "SMEMBERS", "PEXPIRETIME", "TYPE"].map(|name| format!("{name} {key}"));
        let ranges = [
            format!("LRANGE {key} 0 -1"),
            format!("ZRANGE {key} 0 -1 WITHSCORES"),
            format!("XRANGE {key} - +"),
            format!("XINFO STREAM {key} FULL"),
        ];
        let seen = commands.iter().chain(&ranges).map(|line| machine.query(0, line));
        seen.collect::<Vec<_>>().join("|")
    };
    KEYS.split(' ').map(|key| (key, look(key))).collect()
}

fn of_key(key: &str) -> Footprint {
    let mut footprint = Footprint::default();
    footprint.key(key.as_bytes());
    footprint.finish()
}

#[test]
fn a_command_changes_nothing_outside_of_its_footprint() {
    let (mut changed, mut narrow) = (0, 0);
    let mut maker = Maker::new(11);
    let mut machine = Machine::new([1, 2]);
    let mut before = all(&machine);
    for step in 0..20_000 {
        let line = maker.any_or_once();
        let args = words(&line);
        let mut footprint = Footprint::default();
        machine.keyspace.changes(&body_of(0, machine.version, &args), &mut footprint);
        let footprint = footprint.finish();
        machine.apply(&args);
        let after = all(&machine);
        for (key, value) in &after {
            if before[key] != *value {
                changed += 1;
                assert!(footprint.meets(&of_key(key)), "step {step}: {line} changes {key}");
            }
        }
        narrow += usize::from(!footprint.meets(&of_key("nothing else")));
        before = after;
    }
    assert!(changed > 2_000 && narrow > 15_000, "{changed} changes, {narrow} narrow footprints");
}

#[test]
fn a_read_sees_nothing_outside_of_its_footprint() {
    // What it answers does not change when keys outside of its footprint do.
    let mut maker = Maker::new(12);
    let mut machine = Machine::new([1, 2]);
    let mut compared = 0;
    for step in 0..20_000 {
        let (write, read) = (maker.any(), maker.any());
        let (mut changes, mut seen) = (Footprint::default(), Footprint::default());
        machine.keyspace.changes(&body_of(0, machine.version, &words(&write)), &mut changes);
        machine.keyspace.looks_at(&body_of(0, machine.version, &words(&read)), &mut seen);
        let before = machine.query(0, &read);
        machine.apply(&words(&write));
        if !changes.finish().meets(&seen.finish()) {
            compared += 1;
            assert_eq!(machine.query(0, &read), before, "step {step}: {read}, with {write} in between");
        }
    }
    assert!(compared > 5_000, "{compared} compared");
}

#[test]
fn destinations_and_patterns_are_in_the_footprint() {
    let mut machine = Machine::new([1, 2]);
    machine.expect("RPUSH l1 1 2 => :2");
    let of = |machine: &Machine, line: &str, reads: bool| {
        let (body, mut footprint) = (body_of(0, machine.version, &words(line)), Footprint::default());
        if reads {
            machine.keyspace.looks_at(&body, &mut footprint);
        } else {
            machine.keyspace.changes(&body, &mut footprint);
        }
        ["l1", "d", "another"].map(|key| footprint.clone().finish().meets(&of_key(key)))
    };
    for line in [
        "SORT l1 STORE d",
        "SORT l1 BY STORE GET w_* STORE another STORE d",
        "GEORADIUS l1 1 1 1 km WITHDIST STORE d",
        "GEORADIUSBYMEMBER l1 m 1 km STORE another STOREDIST d",
        "GEOSEARCHSTORE d l1 FROMMEMBER m BYRADIUS 1 km",
        "ONCE token SORT l1 STORE d",
        "XREADGROUP GROUP another c NOACK STREAMS l1 d > >",
        "ONCE token XREADGROUP GROUP another c COUNT 1 STREAMS l1 d > >",
    ] {
        assert_eq!(of(&machine, line, false), [true, true, false], "{line}");
    }
    // A pattern names whichever key an element makes of it.
    for line in ["SORT_RO l1 BY w_*", "SORT_RO l1 LIMIT 0 1 GET wh_*->f"] {
        assert_eq!(of(&machine, line, true), [true, true, true], "{line}");
    }
    assert_eq!(of(&machine, "XREAD COUNT 2 STREAMS l1 d 0 another", true), [true, true, false]);
    for line in ["SORT_RO l1", "SORT_RO l1 BY nosort GET # LIMIT 0 1", "GEORADIUS_RO l1 1 1 1 km"] {
        assert_eq!(of(&machine, line, true), [true, false, false], "{line}");
    }
}

#[test]
fn a_transaction_touches_what_its_commands_do() {
    let machine = Machine::new([1, 2]);
    let of = |lines: &[&str], reads: bool| {
        let body = transaction((0, machine.version), None, lines).finish();
        let mut footprint = Footprint::default();
        if reads {
            machine.keyspace.looks_at(&body, &mut footprint);
        } else {
            machine.keyspace.changes(&body, &mut footprint);
        }
        ["a", "b", "c"].map(|key| footprint.clone().finish().meets(&of_key(key)))
    };
    assert_eq!(of(&["SET a 1", "''", "SELECT 3", "GET c", "INCR b"], false), [true, true, false]);
    assert_eq!(of(&["GET a", "''", "SELECT 3", "GET b"], true), [true, true, false]);
    assert_eq!(of(&["GET a", "NONSENSE"], true), [true, true, true]);
    assert_eq!(of(&[], true), [false, false, false]);
}

#[test]
fn a_read_in_a_selected_database_lapses_with_the_key_there() {
    let mut machine = Machine::new([1, 2]);
    machine.db = 3;
    machine.expect("SET a 1 PX 7000 => OK");
    let lapses = |lines: &[&str]| {
        let body = transaction((0, machine.version), None, lines).finish();
        machine.keyspace.looks_at(&body, &mut Footprint::default())
    };
    assert!(lapses(&["SELECT 3", "GET a"]).is_some() && lapses(&["GET a", "SELECT 3"]).is_none());
}

#[test]
fn what_is_watched_is_not_touched() {
    let machine = Machine::new([1, 2]);
    let mut footprint = Footprint::default();
    for line in ["WATCH a", "UNWATCH"] {
        machine.keyspace.changes(&body_of(0, machine.version, &words(line)), &mut footprint);
    }
    assert!(footprint.is_empty());
}

#[test]
fn what_a_pattern_names_may_expire() {
    let mut machine = Machine::new([1, 2]);
    machine.expect("RPUSH l1 1 => :1\nSET w_1 5 PX 7000 => OK\nSET other 5 PX 9000 => OK");
    let lapses = |line: &str| {
        let body = body_of(0, machine.version, &words(line));
        machine.keyspace.looks_at(&body, &mut Footprint::default())
    };
    let expires = machine.query(0, "PEXPIRETIME w_1");
    assert_eq!(lapses("SORT_RO l1 BY w_*").map(|lapses| format!(":{}", lapses.0)), Some(expires));
    assert_eq!(lapses("SORT_RO l1"), None);
}
