//! The same commands to a replica by itself and to the state machine of the other kinds of databases: the
//! replies must be equal.
//!
//! What is compared with care: orders that Redis does not promise (sets, hashes, keys) are sorted.

#[path = "../../keyspace/tests/support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use onecopy_core::Timestamp;
use onecopy_merge::{Call, Class, Replica, ReplicaId, Rules, commands};
use onecopy_resp::Version;
use support::maker::Maker;
use support::templates::TEMPLATES;
use support::unordered::unordered;
use support::{Machine, Reply, words};

/// Whether a replica refuses a command on purpose.
fn is_refused(template: &str) -> bool {
    let name = template.split(' ').next().unwrap_or_default().to_lowercase();
    commands().any(|(known, class)| known == name && matches!(class, Class::Refused(_)))
}

fn compare_replies(version: Version, seed: u64, count: usize) {
    let mut machine = Machine { version, ..Machine::default() };
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    let mut maker = Maker::new(seed);
    let (mut executed, mut meaningful) = (0, 0);
    let mut different: BTreeMap<&str, (u64, String)> = BTreeMap::new();
    for step in 0..count {
        let (template, compare) = TEMPLATES[maker.below(TEMPLATES.len())];
        let is_rare = template.starts_with("FLUSH") && maker.below(8) > 0;
        if is_rare || is_refused(template) {
            continue;
        }
        if maker.below(10) == 0 {
            machine.context.time.0 += maker.below(2_000) as u64;
        }
        let line = maker.fill(template);
        let args = words(&line);
        let theirs = machine.apply(&args);
        let call = Call { now: machine.context.time, db: 0, seed: step as u64, version };
        let mut ours = Vec::new();
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        replica.execute(call, &args, &mut ours);
        let text = |raw: &[u8]| unordered(Reply::parse(&mut &raw[..]).expect("a reply"), compare).text();
        executed += 1;
        meaningful += usize::from(!theirs.starts_with(b"-"));
        if text(&ours) != text(&theirs) {
            let report =
                format!("step {step}: {line}\n  keyspace: {}\n  merge:    {}", text(&theirs), text(&ours));
            different.entry(template).or_insert((0, report)).0 += 1;
        }
    }
    assert!(
        executed > count / 2 && meaningful > executed / 2,
        "{executed} commands, {meaningful} make sense"
    );
    let reports: Vec<String> =
        different.values().map(|(times, report)| format!("({times} times) {report}")).collect();
    assert!(reports.is_empty(), "{version:?}, seed {seed}:\n{}", reports.join("\n"));
}

#[test]
fn replies_are_those_of_redis() {
    for seed in 0..8 {
        compare_replies(if seed % 2 == 0 { Version::Two } else { Version::Three }, seed, 60_000);
    }
}

#[test]
fn what_cannot_be_merged_is_refused_and_says_where_it_can_be_done() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    let call = Call { now: Timestamp(1), db: 0, seed: 0, version: Version::Two };
    for line in ["SWAPDB 0 1", "ONCE token INCR x", "SETBIT x 1 1", "SORT x", "PFADD x a", "GEOPOS x a"] {
        let (args, mut reply) = (words(line), Vec::new());
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        assert_eq!(replica.execute(call, &args, &mut reply), None);
        let reply = String::from_utf8(reply).unwrap();
        assert!(reply.starts_with("-NOTMERGEABLE") && reply.contains("primary-backup"), "{reply}");
    }
}
