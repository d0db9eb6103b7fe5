//! Bugs that others had, each as it happened.

use onecopy_core::Timestamp;
use onecopy_merge::{AHEAD_MAX_MS, Received, Replica, ReplicaId, Rules};

use crate::support::{NOW, ask, ask_at, assert_same, everywhere, pull, replicas, run, run_at, settle, tell};

const YEAR_MS: u64 = 31_536_000_000;

/// Cassandra, Riak: a replica is away until the tombstones of the others are collected, and brings everything
/// back that was deleted meanwhile.
#[test]
fn a_replica_that_was_away_brings_nothing_back() {
    let mut all = replicas(3, Rules::default());
    for at in 0..200 {
        everywhere(&mut all, 0, &format!("SET k{at} v"));
        everywhere(&mut all, 0, &format!("SADD s{at} m"));
        everywhere(&mut all, 0, &format!("INCR n{at}"));
    }
    let mut away = all.pop().expect("three");
    for at in 0..200 {
        everywhere(&mut all, at % 2, &format!("DEL k{at} s{at} n{at}"));
    }
    settle(&mut all, NOW);
    for replica in &all {
        assert_eq!(replica.store().objects().count(), 0, "deletes leave nothing");
    }
    let own = run(&mut away, "SET new here");
    assert!(own.is_some());
    pull(&mut all[0], &mut away, NOW);
    assert_eq!(ask(&all[0], "DBSIZE"), "1", "only what is new came along");
    pull(&mut away, &mut all[0], NOW);
    assert_eq!((ask(&away, "DBSIZE"), ask(&away, "GET new")), ("1".into(), "here".into()));
}

/// A backup is restored: it comes as another life, gives what nobody has removed, and brings back nothing
/// else.
#[test]
fn a_restored_backup_brings_nothing_back() {
    let mut all = replicas(3, Rules::default());
    everywhere(&mut all, 0, "SADD s kept gone");
    let lost = run(&mut all[2], "SADD s only-here");
    assert!(lost.is_some());
    let backup = all.pop().expect("three");
    everywhere(&mut all, 0, "SREM s gone");
    let mut restored = backup.in_life(ReplicaId(4));
    let new = run(&mut restored, "SADD s new").expect("a change");
    assert_eq!(new.dot.replica, ReplicaId(4), "O5: it is not who it was");
    pull(&mut all[0], &mut restored, NOW);
    assert_eq!(ask(&all[0], "SMEMBERS s"), "kept new only-here");
    pull(&mut restored, &mut all[0], NOW);
    assert_eq!(ask(&restored, "SMEMBERS s"), "kept new only-here");
}

/// Riak's counters, Redis Enterprise's `DEL`: a reset forgets what others counted meanwhile, or a later count
/// brings back what was reset. Also when a repair brings the state and not the delta.
#[test]
fn a_counter_remembers_through_a_concurrent_reset() {
    for by_repair in [false, true] {
        let mut all = replicas(3, Rules::default());
        everywhere(&mut all, 0, "INCRBY n 5");
        let (reset, more) = (run(&mut all[1], "DEL n"), run(&mut all[0], "INCRBY n 2"));
        if by_repair {
            let (low, high) = all.split_at_mut(1);
            pull(&mut high[0], &mut low[0], NOW);
            pull(&mut high[1], &mut low[0], NOW);
            assert_eq!(ask(&high[1], "GET n"), "7", "the third has not heard of the reset yet");
            let (second, third) = high.split_at_mut(1);
            pull(&mut third[0], &mut second[0], NOW);
            pull(&mut low[0], &mut second[0], NOW);
        } else {
            tell(&mut all, [reset, more]);
        }
        assert_same(&all);
        assert!(all.iter().all(|replica| ask(replica, "GET n") == "2"), "by repair: {by_repair}");
        everywhere(&mut all, 0, "INCR n");
        everywhere(&mut all, 2, "INCR n");
        assert!(all.iter().all(|replica| ask(replica, "GET n") == "4"));
    }
}

/// The reset is seen where the counter was not, and the counter comes later by repair from a third replica.
#[test]
fn a_reset_that_came_before_what_it_resets_by_another_way() {
    let mut all = replicas(3, Rules::default());
    let counted = run(&mut all[0], "INCRBY n 5").expect("a change");
    all[1].receive(NOW, counted.clone());
    let reset = run(&mut all[1], "DEL n").expect("a change");
    assert_eq!(all[2].receive(NOW, reset), Received::Waits, "O4");
    let more = run(&mut all[0], "INCRBY n 2").expect("a change");
    all[2].receive(NOW, more);
    let (low, high) = all.split_at_mut(1);
    pull(&mut high[1], &mut low[0], NOW);
    assert_eq!(ask(&high[1], "GET n"), "2", "the repair brought what the reset waited for");
}

/// Cassandra: one write by a clock that is a year ahead, and whatever is written to that key for a year is
/// lost.
#[test]
fn a_clock_that_is_a_year_ahead_blocks_nobody() {
    let mut all = replicas(3, Rules::default());
    let far = Timestamp(NOW.0 + YEAR_MS);
    let (_, delta) = run_at(&mut all[2], far, "SET k from-the-future");
    tell(&mut all, [delta]);
    assert_eq!(
        all[0].take_ahead().map(|ahead| (ahead.replica, ahead.by_ms)),
        Some((ReplicaId(3), YEAR_MS)),
        "it is reported"
    );
    assert_eq!(all[0].take_ahead(), None, "once");
    everywhere(&mut all, 0, "SET k later");
    assert!(all.iter().all(|replica| ask(replica, "GET k") == "later"), "O7: who has seen it overwrites it");
    let stamp = run(&mut all[0], "SET k x").expect("a change").stamp;
    assert!(stamp.wall_ms <= NOW.0 + AHEAD_MAX_MS, "the wrong clock does not spread");
    // The wrong clock was put right: its stamps are right as well.
    let (_, delta) = run_at(&mut all[2], NOW, "SET other x");
    assert!(delta.expect("a change").stamp.wall_ms <= NOW.0 + AHEAD_MAX_MS);
}

/// A clock that is years behind: concurrent writes of others win, and nothing else happens.
#[test]
fn a_clock_that_is_years_behind_loses_nothing_that_was_not_overwritten() {
    let mut all = replicas(2, Rules::default());
    let past = Timestamp(NOW.0 - 5 * YEAR_MS);
    for line in ["SADD s m", "INCR n", "RPUSH l e", "SET k v"] {
        let (_, delta) = run_at(&mut all[1], past, line);
        tell(&mut all, [delta]);
    }
    everywhere(&mut all, 0, "SET k w");
    let (_, delta) = run_at(&mut all[1], past, "SET k from-the-past");
    tell(&mut all, [delta]);
    for (question, answer) in
        [("GET k", "from-the-past"), ("SMEMBERS s", "m"), ("GET n", "1"), ("LRANGE l 0 -1", "e")]
    {
        assert!(all.iter().all(|replica| ask(replica, question) == answer), "{question}");
    }
}

/// A delta that is delivered at least once is counted at least once.
#[test]
fn a_delta_that_comes_twice_counts_once() {
    let mut all = replicas(2, Rules::default());
    let deltas: Vec<_> = (0..5).filter_map(|_| run(&mut all[0], "INCR n")).collect();
    for _ in 0..3 {
        for delta in deltas.iter().rev().chain(&deltas) {
            all[1].receive(NOW, delta.clone());
        }
    }
    assert_eq!(ask(&all[1], "GET n"), "5");
    let (low, high) = all.split_at_mut(1);
    pull(&mut high[0], &mut low[0], NOW);
    assert_eq!(ask(&high[0], "GET n"), "5");
}

/// CRDT sets by element: `SREM` sent as "remove this member" removes an add that it had not seen.
#[test]
fn what_was_not_seen_is_not_removed() {
    let mut all = replicas(2, Rules::default());
    everywhere(&mut all, 0, "SADD s m");
    let deltas = [run(&mut all[0], "FLUSHALL"), run(&mut all[1], "SADD s m"), run(&mut all[1], "SET k v")];
    tell(&mut all, deltas);
    assert!(all.iter().all(|replica| ask(replica, "SMEMBERS s") == "m" && ask(replica, "GET k") == "v"));
}

/// Logoot and others: what two people type at the same place is interleaved letter by letter.
#[test]
fn runs_of_two_replicas_do_not_interleave() {
    for (push, end) in [("RPUSH", "("), ("LPUSH", "("), ("LINSERT l AFTER", "("), ("LINSERT l BEFORE", ")")] {
        let mut all = replicas(2, Rules::default());
        everywhere(&mut all, 0, "RPUSH l ( )");
        let mut deltas = Vec::new();
        for (at, letters) in [(0, ["a", "b", "c", "d"]), (1, ["w", "x", "y", "z"])] {
            let mut last = end;
            for letter in letters {
                let line = if push.starts_with("LINSERT") {
                    format!("{push} {last} {letter}")
                } else {
                    format!("{push} l {letter}")
                };
                deltas.push(run(&mut all[at], &line));
                last = letter;
            }
        }
        tell(&mut all, deltas);
        assert_same(&all);
        let list = ask(&all[0], "LRANGE l 0 -1");
        let runs = ["a b c d", "w x y z", "d c b a", "z y x w"];
        assert_eq!(runs.iter().filter(|run| list.contains(**run)).count(), 2, "{push}: {list}");
    }
}

/// Redis Enterprise, and everybody who keeps a timer: the time of a value that was overwritten deletes the
/// new one.
#[test]
fn an_old_expiry_does_not_delete_a_newer_value() {
    let mut all = replicas(3, Rules::default());
    everywhere(&mut all, 0, "SET session old PX 1000");
    let overwritten = run(&mut all[1], "SET session new");
    let extended = run(&mut all[2], "APPEND session !");
    let later = Timestamp(NOW.0 + 2_000);
    // The first replica removes what is due before it hears of the others.
    let due = all[0].advance(later, 10);
    assert!(due.is_some());
    assert_eq!(ask_at(&all[0], later, "EXISTS session"), "0");
    tell(&mut all, [due, overwritten]);
    assert!(all[..2].iter().all(|replica| ask_at(replica, later, "GET session") == "new"));
    assert_eq!(ask_at(&all[0], later, "TTL session"), "-1");
    // What was written under the expiry goes with it.
    tell(&mut all, [extended]);
    settle(&mut all, later);
    assert_same(&all);
    assert!(all.iter().all(|replica| ask_at(replica, later, "GET session") == "new"));
}

/// The clock of one replica runs ahead of the others: what it removes too early it removes as far as it has
/// seen, and a field that was written meanwhile goes at its own time, and does not stay for ever.
#[test]
fn a_field_that_was_written_while_the_key_expired_goes_as_well() {
    let mut all = replicas(2, Rules::default());
    everywhere(&mut all, 0, "HSET h f v");
    everywhere(&mut all, 0, "PEXPIRE h 1000");
    let early = all[0].advance(Timestamp(NOW.0 + 1_001), 10);
    let written = run(&mut all[1], "HSET h g w");
    tell(&mut all, [early, written]);
    assert_same(&all);
    assert!(all.iter().all(|replica| ask(replica, "HGETALL h") == "g w" && ask(replica, "PTTL h") == "1000"));
    settle(&mut all, Timestamp(NOW.0 + 1_000));
    assert!(all.iter().all(|replica| replica.store().objects().count() == 0));
}

/// What is due is not seen, also by those who only read.
#[test]
fn what_is_due_does_not_show() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    run(&mut replica, "SET k v PX 100");
    run(&mut replica, "SADD s m");
    run(&mut replica, "PEXPIRE s 100");
    for (after, exists) in [(99, "1"), (100, "0")] {
        let now = Timestamp(NOW.0 + after);
        assert_eq!(ask_at(&replica, now, "EXISTS k"), exists);
        assert_eq!(ask_at(&replica, now, "SCARD s"), exists);
        assert_eq!(ask_at(&replica, now, "DBSIZE"), if exists == "1" { "2" } else { "0" });
    }
}

/// A transaction is shown whole or not at all.
#[test]
fn a_transaction_is_one_delta() {
    use onecopy_merge::Call;
    use onecopy_resp::Version;
    let mut all = replicas(2, Rules::default());
    let call = Call { now: NOW, db: 0, seed: 1, version: Version::Two };
    let commands: [&[&[u8]]; 4] =
        [&[b"INCR", b"n"], &[b"RPUSH", b"l", b"a"], &[b"RPUSH", b"l", b"b"], &[b"LPUSH", b"l", b"c"]];
    let mut reply = Vec::new();
    let delta = all[0].transact(call, &commands, &mut reply);
    assert_eq!(reply, b":1\r\n:1\r\n:2\r\n:3\r\n");
    assert_eq!(ask(&all[1], "DBSIZE"), "0");
    tell(&mut all, [delta]);
    assert_same(&all);
    assert_eq!((ask(&all[1], "GET n"), ask(&all[1], "LRANGE l 0 -1")), ("1".into(), "c a b".into()));
}
