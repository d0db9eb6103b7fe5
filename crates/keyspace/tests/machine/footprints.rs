//! A command changes nothing outside of its footprint, and a read sees nothing outside of its own.

use std::collections::BTreeMap;

use onecopy_core::{Footprint, StateMachine};

use crate::support::maker::Maker;
use crate::support::{Machine, body_of, words};

const KEYS: &str = "s1 s2 n1 n2 n3 h1 h2 h3 l1 l2 l3 t1 t2 t3 z1 z2 z3 x p1 p2 hf f1 f2 f3 b1 b2 b3 \
    q1 q2 u1";

/// Everything that there is to see of each key, in both databases that the commands know.
fn all(machine: &Machine) -> BTreeMap<&'static str, String> {
    let look = |key: &str| {
        let commands =
            ["GET", "HGETALL", "SMEMBERS", "PEXPIRETIME", "TYPE"].map(|name| format!("{name} {key}"));
        let ranges = [format!("LRANGE {key} 0 -1"), format!("ZRANGE {key} 0 -1 WITHSCORES")];
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
