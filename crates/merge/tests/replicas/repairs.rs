//! Repair: what it costs, and that it happens in one step (rules O4, O6, O9).

use onecopy_merge::repair::{Answer, Ask, Next, RepairError};
use onecopy_merge::{Received, Replica, ReplicaId, Rules};

use crate::support::{Dice, NOW, ask, assert_same, pull, replicas, run, tell};

/// Two replicas with the same keys.
fn twins(keys: usize) -> (Replica, Replica) {
    let mut first = Replica::new(ReplicaId(1), Rules::default());
    for chunk in (0..keys).collect::<Vec<_>>().chunks(500) {
        let pairs: Vec<String> = chunk.iter().map(|key| format!("key:{key} value-of-{key}")).collect();
        run(&mut first, &format!("MSET {}", pairs.join(" ")));
    }
    let second = first.clone().in_life(ReplicaId(2));
    (first, second)
}

#[test]
fn the_cost_is_that_of_the_difference() {
    let (first, second) = twins(50_000);
    let whole: usize = first.store().objects().map(|(key, object)| key.name().len() + object.size()).sum();
    for (differing, bytes_per_key_max) in [(0, 0), (1, 1_500), (100, 900), (5_000, 400)] {
        let (mut from, mut to, mut dice) = (first.clone(), second.clone(), Dice(differing as u64));
        for _ in 0..differing {
            run(&mut from, &format!("SET key:{} changed", dice.below(50_000)));
        }
        let cost = pull(&mut to, &mut from, NOW);
        assert_eq!(from.digest(), to.digest());
        let each = cost.bytes.checked_div(differing).unwrap_or(0);
        println!("{differing} of 50,000 keys differ: {cost:?}, {each} bytes each; the whole has {whole}");
        assert!(cost.fetched <= differing && each <= bytes_per_key_max, "O9: {cost:?}");
        assert!(cost.bytes < whole, "O9: {cost:?}");
        assert!(differing > 0 || cost.bytes < 100, "O9: {cost:?}");
    }
}

#[test]
fn a_large_key_is_repaired_by_its_parts() {
    let mut from = Replica::new(ReplicaId(1), Rules::default());
    for at in 0..40 {
        let members: Vec<String> = (0..500).map(|member| format!("member:{at}:{member}")).collect();
        run(&mut from, &format!("SADD s {}", members.join(" ")));
    }
    let mut to = from.clone().in_life(ReplicaId(2));
    run(&mut from, "SADD s new");
    run(&mut from, "SREM s member:7:7");
    run(&mut to, "SADD s own");
    let cost = pull(&mut to, &mut from, NOW);
    println!("two of 20,000 members differ: {cost:?}");
    assert!(cost.bytes < 10_000, "O9: {cost:?}");
    pull(&mut from, &mut to, NOW);
    assert_eq!(from.digest(), to.digest());
    assert_eq!(
        (ask(&to, "SCARD s"), ask(&to, "SISMEMBER s member:7:7"), ask(&to, "SISMEMBER s own")),
        ("20001".into(), "0".into(), "1".into())
    );
}

#[test]
fn everything_under_one_hash_tag_is_repaired_by_its_parts() {
    let mut from = Replica::new(ReplicaId(1), Rules::default());
    for at in 0..20 {
        let pairs: Vec<String> = (0..500).map(|key| format!("{{tag}}{at}:{key} v")).collect();
        run(&mut from, &format!("MSET {}", pairs.join(" ")));
    }
    let mut to = from.clone().in_life(ReplicaId(2));
    run(&mut from, "DEL {tag}3:3");
    let cost = pull(&mut to, &mut from, NOW);
    println!("one of 10,000 keys of one slot is gone: {cost:?}");
    assert_eq!((from.digest(), ask(&to, "EXISTS {tag}3:3")), (to.digest(), "0".into()));
    assert!(cost.bytes < 4_000, "O9: {cost:?}");
}

/// While a repair is under way both sides go on, and nothing of it shows before all of it does.
#[test]
fn a_repair_happens_in_one_step_while_everything_goes_on() {
    for seed in 0..200 {
        let mut dice = Dice(seed);
        let mut all = replicas(2, Rules::default());
        let mut late = Vec::new();
        for _ in 0..60 {
            let line = command(&mut dice);
            late.extend(run(&mut all[0], &line));
        }
        let before = all[1].digest();
        let (low, high) = all.split_at_mut(1);
        let (from, to) = (&mut low[0], &mut high[0]);
        let (mut pull, mut question) = to.pull();
        let mut own = Vec::new();
        loop {
            let answer = from.serve(&question);
            match to.pull_step(NOW, &mut pull, answer).expect("a repair") {
                Next::Ask(next) => question = next,
                Next::Done(..) => break,
            }
            assert!(!own.is_empty() || to.digest() == before, "O4: nothing shows before the end");
            for _ in 0..dice.below(3) {
                late.extend(run(from, &command(&mut dice)));
            }
            if dice.below(3) == 0 {
                own.extend(run(to, &command(&mut dice)));
            }
            // What comes meanwhile and is part of the repair waits for it.
            let delta = late[dice.below(late.len())].clone();
            assert_ne!(to.receive(NOW, delta), Received::Dropped);
        }
        let deltas: Vec<_> = late.into_iter().chain(own).map(Some).collect();
        tell(&mut all, deltas);
        assert_same(&all);
    }
}

fn command(dice: &mut Dice) -> String {
    let (key, name) = (dice.below(4), dice.below(3));
    match dice.below(9) {
        0 => format!("SET k{key} v{name}"),
        1 => format!("DEL k{key} n{key} s{key} h{key} l{key}"),
        2 => format!("INCR n{key}"),
        3 => format!("SADD s{key} m{name}"),
        4 => format!("SREM s{key} m{name}"),
        5 => format!("HINCRBY h{key} f{name} 2"),
        6 => format!("HDEL h{key} f{name}"),
        7 => format!("RPUSH l{key} e"),
        _ => format!("LPOP l{key}"),
    }
}

#[test]
fn memory_that_failed_is_repaired_by_choosing_the_same_everywhere() {
    // The same update with other contents: as after a flipped bit.
    let (mut a, mut b) =
        (Replica::new(ReplicaId(1), Rules::default()), Replica::new(ReplicaId(1), Rules::default()));
    run(&mut a, "SET k right");
    run(&mut b, "SET k wrong");
    let mut b = b.in_life(ReplicaId(2));
    pull(&mut a, &mut b, NOW);
    pull(&mut b, &mut a, NOW);
    assert_eq!(a.digest(), b.digest());
}

#[test]
fn an_answer_that_fits_no_question_ends_the_repair() {
    let (mut from, mut to) = twins(10);
    run(&mut from, "SET new v");
    let (mut pull, _) = to.pull();
    assert_eq!(to.pull_step(NOW, &mut pull, Answer::Keys(Vec::new())), Err(RepairError::Senseless));
    let (mut pull, _) = to.pull();
    assert_eq!(to.pull_step(NOW, &mut pull, Answer::Gone), Err(RepairError::Gone));
    assert_eq!(
        from.serve(&Ask::Compare { session: 99, scope: onecopy_merge::repair::Scope::Keys, ranges: vec![] }),
        Answer::Gone
    );
    crate::support::pull(&mut to, &mut from, NOW);
    assert_eq!(from.digest(), to.digest());
}

#[test]
fn large_values_come_in_several_answers() {
    let [mut from, mut to] = [1, 2].map(|id| Replica::new(ReplicaId(id), Rules::default()));
    let value = "x".repeat(1 << 20);
    for at in 0..24 {
        run(&mut from, &format!("SET k{at} {value}"));
        run(&mut from, &format!("HSET h f{at} {value}"));
    }
    let (mut pull, mut ask) = to.pull();
    let mut longest = 0;
    loop {
        let answer = from.serve(&ask);
        longest = longest.max(answer.encode().len());
        match to.pull_step(NOW, &mut pull, answer).expect("a repair") {
            Next::Ask(next) => ask = next,
            Next::Done(..) => break,
        }
    }
    assert!((4 << 20..6 << 20).contains(&longest), "{longest} bytes");
    assert_same(&[from, to]);
}
