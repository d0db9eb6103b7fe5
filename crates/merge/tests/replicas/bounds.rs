//! What is kept beside the data, and how large things get (rule O8).

use onecopy_merge::{Received, Replica, ReplicaId, Rules, Waiting, foldable};

use crate::support::{NOW, ask, assert_same, everywhere, pull, replicas, run, settle, tell};

/// A million updates and deletes of all types leave nothing but the clock.
#[test]
fn a_million_deletes_leave_nothing() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    for round in 0..166_667_u32 {
        let key = round % 1_000;
        let lines = match round % 6 {
            0 => [format!("SET k{key} v"), format!("DEL k{key}")],
            1 => [format!("SADD s{key} a"), format!("SREM s{key} a")],
            2 => [format!("HINCRBY h{key} f 1"), format!("HDEL h{key} f")],
            3 => [format!("RPUSH l{key} e"), format!("LPOP l{key}")],
            4 => [format!("ZADD z{key} 1 m"), format!("ZREM z{key} m")],
            _ => [format!("INCR n{key}"), format!("DEL n{key}")],
        };
        for line in lines.iter().cycle().take(6) {
            run_quickly(&mut replica, line);
        }
    }
    assert_eq!(replica.store().objects().count(), 0);
    assert_eq!((replica.store().beside(), replica.digest(), replica.clock().len()), (0, 0, 1));
    assert_eq!(replica.clock().seen_of(ReplicaId(1)), 1_000_002);
}

/// Without the bytes of deltas, which other tests look at.
fn run_quickly(replica: &mut Replica, line: &str) {
    use onecopy_merge::Call;
    use onecopy_resp::Version;
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let call = Call { now: NOW, db: 0, seed: 0, version: Version::Two };
    assert!(replica.execute(call, &words, &mut Vec::new()).is_some(), "{line}");
}

/// The deletes of one replica, of what others counted: gone once those have heard of it.
#[test]
fn counters_that_others_deleted_leave_nothing_once_their_owner_knows() {
    let mut all = replicas(3, Rules::default());
    for at in 0..100 {
        everywhere(&mut all, at % 3, &format!("INCR n{at}"));
        everywhere(&mut all, (at + 1) % 3, &format!("DEL n{at}"));
    }
    assert!(all[0].store().beside() > 0, "their owners may be counting on");
    settle(&mut all, NOW);
    assert_same(&all);
    for replica in &all {
        assert_eq!((replica.store().objects().count(), replica.store().beside()), (0, 0));
    }
}

/// A replica is gone for ever, with counters that were deleted, and is folded.
#[test]
fn replicas_that_are_over_are_folded_away() {
    let mut all = replicas(4, Rules::default());
    everywhere(&mut all, 2, "INCR n");
    everywhere(&mut all, 2, "SET k kept");
    everywhere(&mut all, 0, "DEL n");
    all.truncate(2);
    let living: Vec<_> = all.iter().map(|replica| (replica.id(), replica.clock())).collect();
    let floor = foldable(&living).expect("they have seen the same");
    assert_eq!(floor, ReplicaId(4));
    let delta = all[1].fold(NOW, floor, &[ReplicaId(1), ReplicaId(2)]);
    tell(&mut all, [delta]);
    assert_same(&all);
    for replica in &all {
        assert_eq!(replica.clock().len(), 2);
        assert_eq!((replica.store().objects().count(), replica.store().beside()), (1, 0));
        assert_eq!(ask(replica, "GET k"), "kept", "what it wrote stays");
    }
    everywhere(&mut all, 0, "DEL k");
    assert_same(&all);
    // Who is over and does not know it is told.
    let mut ghost = all[0].clone().in_life(ReplicaId(3));
    assert_eq!(run(&mut ghost, "SET k back"), None);
    assert!(ask(&ghost, "SET k back").contains("this replica is over"));
    assert_eq!((ghost.advance(NOW, 10), ghost.fold(NOW, floor, &[])), (None, None));
}

/// Replicas that have not seen the same of one that is over must not fold it.
#[test]
fn what_somebody_has_not_seen_is_not_folded() {
    let mut all = replicas(3, Rules::default());
    let delta = run(&mut all[2], "SET k v");
    tell(&mut all[..1], [delta.clone()]);
    let living = |all: &[Replica]| {
        let pairs: Vec<_> = all[..2].iter().map(|replica| (replica.id(), replica.clock().clone())).collect();
        foldable(&pairs.iter().map(|(id, clock)| (*id, clock)).collect::<Vec<_>>())
    };
    assert_eq!(living(&all), None);
    tell(&mut all[..2], [delta]);
    assert_eq!(living(&all), Some(ReplicaId(4)));
}

/// What waits is bounded; what is dropped comes again, or by repair.
#[test]
fn what_waits_is_bounded_and_repair_brings_the_rest() {
    let mut from = Replica::new(ReplicaId(1), Rules::default());
    let mut to = Replica::new(ReplicaId(2), Rules::default()).with_waiting(Waiting::bounded(10_000));
    let deltas: Vec<_> = (0..1_000).filter_map(|at| run(&mut from, &format!("SET k{at} v"))).collect();
    let outcomes: Vec<Received> = deltas[1..].iter().map(|delta| to.receive(NOW, delta.clone())).collect();
    assert!(outcomes.contains(&Received::Waits) && outcomes.contains(&Received::Dropped));
    assert!(to.waiting().bytes() <= 10_000);
    assert_eq!(to.waiting().missing(to.clock()).get(&ReplicaId(1)).map(|(first, _)| *first), Some(1));
    assert_eq!(to.digest(), 0, "O4: nothing shows before what came before it");
    pull(&mut to, &mut from, NOW);
    assert_same(&[from, to.clone()]);
    assert!(to.waiting().is_empty() && to.waiting().bytes() == 0);
}

/// Removing a million things takes a few bytes.
#[test]
fn a_removal_is_as_small_as_its_command() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    for at in 0..200 {
        let members: Vec<String> = (0..500).map(|member| format!("m{at}-{member}")).collect();
        run(&mut replica, &format!("SADD s {}", members.join(" ")));
    }
    assert_eq!(ask(&replica, "SCARD s"), "100000");
    let delta = run(&mut replica.clone(), "DEL s").expect("a change");
    assert!(delta.encode().len() < 40, "{} bytes", delta.encode().len());
    let delta = run(&mut replica, "FLUSHALL").expect("a change");
    assert!(delta.encode().len() < 40, "{} bytes", delta.encode().len());
    assert_eq!(replica.store().objects().count(), 0);
}

/// The delta of an increment of a counter that expires is as small as that of any other.
#[test]
fn deltas_are_small() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    for (line, bytes_max) in [
        ("INCR n", 40),
        ("PEXPIRE n 10000", 40),
        ("INCR n", 60),
        ("SET k value", 40),
        ("RPUSH l a", 50),
        ("RPUSH l b", 50),
        ("ZADD z 1 m", 50),
        ("ZINCRBY z 1 m", 50),
    ] {
        let bytes = run(&mut replica, line).expect("a change").encode().len();
        println!("{line}: {bytes} bytes");
        assert!(bytes <= bytes_max, "{line}: {bytes} bytes");
    }
}

/// What would make a delta larger than any may be is refused, before anything has changed.
#[test]
fn a_delta_that_would_be_too_large_is_refused() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    run(&mut replica, "SET k v");
    let before = replica.digest();
    let refused = "-ERR the update would be too large";
    assert!(ask(&replica, "SETRANGE k 100000000 x").starts_with(refused));
    let long = "x".repeat(onecopy_merge::DELTA_BYTES_MAX);
    assert!(ask(&replica, &format!("SET k {long}")).starts_with(refused));
    assert!(ask(&replica, &format!("RPUSH l {}", "x ".repeat(2_000_000))).starts_with(refused));
    assert_eq!(replica.digest(), before);
}

/// After a restart: the image of some time ago, and the log since, with its own deltas and those of others.
#[test]
fn a_replica_goes_on_from_its_image_and_its_log() {
    let mut all = replicas(2, Rules::default());
    everywhere(&mut all, 0, "RPUSH l a");
    let (image, mut log) = (all[0].image(), Vec::new());
    for at in 0..50 {
        let delta = run(&mut all[at % 2], ["INCR n", "RPUSH l b", "SADD s m", "DEL n"][at % 4]);
        log.extend(delta.clone());
        tell(&mut all, [delta]);
    }
    let mut again = Replica::restore(&image, Rules::default()).expect("an image");
    for delta in log {
        assert!(matches!(again.receive(NOW, delta), Received::Shown(_)));
    }
    assert_same(&[again.clone(), all[0].clone()]);
    let next = run(&mut again, "SET k v").expect("a change");
    assert_eq!(next.dot.counter, all[0].clock().seen_of(ReplicaId(1)) + 1, "O5: no dot is given twice");
}
