//! Small settings, every way in which they can come out: a few updates of three replicas, in every order,
//! with duplicates, in groups, and split between two replicas that then repair each other. The state, the
//! digest and the answers must always be the same.

use onecopy_core::Timestamp;
use onecopy_merge::{Delta, Replica, ReplicaId, Rules};

use crate::support::{NOW, ask, pull, replicas, run, settle};

/// What was there before, what is done concurrently, and what is asked in the end, with the answers.
///
/// A step `2 SET k v` is a command at replica 2, `2 < 1` lets replica 2 hear everything that replica 1 has
/// done so far, and `2 @ 500` lets replica 2 remove what is due by its clock, which shows half a second more.
struct Setting {
    before: &'static [&'static str],
    steps: &'static [&'static str],
    answers: &'static [(&'static str, &'static str)],
}

/// Carries the steps out; the replica that all start from, and the deltas.
fn play(setting: &Setting) -> (Replica, Vec<Delta>) {
    let mut base = Replica::new(ReplicaId(9), Rules::default());
    let mut replicas = replicas(3, Rules::default());
    for line in setting.before {
        let delta = run(&mut base, line).expect("a change");
        replicas.iter_mut().for_each(|replica| drop(replica.receive(NOW, delta.clone())));
    }
    let (mut made, mut all): (Vec<Vec<Delta>>, Vec<Delta>) = (vec![Vec::new(); 3], Vec::new());
    for step in setting.steps {
        let (who, line) = step.split_once(' ').expect("who and what");
        let who = who.parse::<usize>().expect("a number") - 1;
        if let Some(other) = line.strip_prefix("< ") {
            let other = other.parse::<usize>().expect("a number") - 1;
            for delta in made[other].clone() {
                replicas[who].receive(NOW, delta.clone());
                made[who].push(delta);
            }
            continue;
        }
        let delta = match line.strip_prefix("@ ") {
            Some(after) => {
                replicas[who].advance(Timestamp(NOW.0 + after.parse::<u64>().expect("a time")), 10)
            }
            None => run(&mut replicas[who], line),
        };
        if let Some(delta) = delta {
            made[who].push(delta.clone());
            all.push(delta);
        }
    }
    (base, all)
}

fn permutations(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: Vec<usize>| {
        (0..count).map(move |at| {
            let mut order = order.clone();
            order.insert(at, count - 1);
            order
        })
    };
    permutations(count - 1).into_iter().flat_map(insert).collect()
}

/// How often each setting came out, and what all saw.
fn check(name: &str, setting: &Setting) -> usize {
    let (base, deltas) = play(setting);
    let observe = |order: &[usize], twice: bool| {
        let mut replica = base.clone();
        for (count, at) in order.iter().enumerate() {
            replica.receive(NOW, deltas[*at].clone());
            if twice {
                order[..=count].iter().for_each(|at| drop(replica.receive(NOW, deltas[*at].clone())));
            }
        }
        replica
    };
    let orders = permutations(deltas.len());
    let first = observe(&orders[0], false);
    let expect = |replica: &Replica, how: &str| {
        assert!(replica.waiting().is_empty(), "{name}: {how}: nothing waits in the end");
        assert_eq!(replica.clock(), first.clock(), "{name}: {how}");
        assert_eq!(replica.digest(), first.digest(), "O1 {name}: {how}");
        assert_eq!(replica.digest(), replica.store().recount(), "O1 {name}: {how}");
        for (question, answer) in setting.answers {
            assert_eq!(ask(replica, question), *answer, "{name}: {question} ({how})");
        }
    };
    let mut outcomes = 0;
    for order in &orders {
        for twice in [false, true] {
            expect(&observe(order, twice), &format!("{order:?}, duplicates: {twice}"));
            outcomes += 1;
        }
    }
    // Split between two, who repair each other.
    for split in 0..1_u32 << deltas.len() {
        let part = |own: bool| -> Vec<usize> {
            (0..deltas.len()).filter(|at| (split >> at & 1 == 1) == own).collect()
        };
        let (mut a, mut b) = (observe(&part(true), false), observe(&part(false), false));
        for _ in 0..deltas.len() {
            pull(&mut a, &mut b, NOW);
            pull(&mut b, &mut a, NOW);
        }
        expect(&a, &format!("split {split:b}, repaired"));
        expect(&b, &format!("split {split:b}, repaired"));
        outcomes += 2;
    }
    // Time ends what replicas left behind, the same everywhere.
    let mut all: Vec<Replica> = (1..=3).map(|id| first.clone().in_life(ReplicaId(id))).collect();
    settle(&mut all, NOW);
    crate::support::assert_same(&all);
    outcomes
}

macro_rules! settings {
    ($($name:ident: [$($before:literal),*] [$($step:literal),*] [$($question:literal => $answer:literal),*];)*) => {
        $(#[test]
        fn $name() {
            let setting = Setting {
                before: &[$($before),*],
                steps: &[$($step),*],
                answers: &[$(($question, $answer)),*],
            };
            println!("{}: {} outcomes", stringify!($name), check(stringify!($name), &setting));
        })*
    };
}

settings! {
    of_concurrent_writes_the_latest_shows:
        ["SET k old"] ["1 SET k a", "2 SET k b", "3 SET k c"] ["GET k" => "c", "STRLEN k" => "1"];
    who_has_seen_overwrites:
        ["SET k old"] ["3 SET k c", "1 < 3", "1 SET k a", "2 SET other x"] ["GET k" => "a"];
    a_write_survives_a_concurrent_delete:
        ["SET k old"] ["1 DEL k", "2 SET k b", "3 DEL k"] ["GET k" => "b"];
    what_all_have_deleted_is_gone:
        ["SET k old"] ["1 DEL k", "2 DEL k", "3 SET k x", "2 < 3", "2 DEL k"] ["EXISTS k" => "0"];
    concurrent_increments_add_up:
        ["INCRBY n 10"] ["1 INCR n", "2 INCRBY n 5", "3 DECR n", "1 INCR n"] ["GET n" => "16"];
    a_reset_takes_away_what_it_had_seen:
        ["SET n 10"]
        ["1 INCRBY n 5", "2 INCRBY n 7", "3 < 1", "3 SET n 100", "1 INCR n"]
        ["GET n" => "108"];
    a_delete_takes_away_what_it_had_seen:
        ["INCRBY n 10"]
        ["1 INCRBY n 5", "3 < 1", "3 DEL n", "1 INCRBY n 2", "2 INCR n"]
        ["GET n" => "3"];
    a_counter_that_was_deleted_begins_anew:
        ["INCRBY n 10"]
        ["1 INCRBY n 5", "2 < 1", "2 DEL n", "1 < 2", "1 INCR n"]
        ["GET n" => "1"];
    two_resets_of_one_counter:
        ["INCRBY n 10"]
        ["1 INCRBY n 5", "2 < 1", "2 DEL n", "3 SET n 1", "1 INCRBY n 2"]
        ["GET n" => "3"];
    decimals_add_up:
        ["SET n 10"] ["1 INCRBYFLOAT n 0.1", "2 INCRBYFLOAT n 0.2", "3 INCR n"] ["GET n" => "11.3"];
    a_text_hides_what_was_counted:
        ["SET n 10"] ["1 INCR n", "2 SET n text"] ["GET n" => "text"];
    fields_are_written_by_themselves:
        ["HSET h f old g old"]
        ["1 HSET h f a", "2 HSET h g b", "3 HDEL h f g", "3 HSET h x c"]
        ["HGETALL h" => "f a g b x c"];
    fields_count:
        ["HINCRBY h f 10"]
        ["1 HINCRBY h f 1", "2 HINCRBY h f 2", "3 < 1", "3 HDEL h f", "1 HINCRBY h f 4"]
        ["HGET h f" => "6", "HLEN h" => "1"];
    an_add_survives_a_concurrent_removal:
        ["SADD s a b"]
        ["1 SREM s a", "2 SADD s a", "3 SREM s b", "1 SADD s c"]
        ["SMEMBERS s" => "a c"];
    a_set_that_was_deleted_keeps_what_is_new:
        ["SADD s a b"] ["1 DEL s", "2 SADD s c", "3 < 2", "3 SREM s c"] ["EXISTS s" => "0"];
    scores_of_concurrent_adds:
        ["ZADD z 1 m"] ["1 ZADD z 5 m", "2 ZADD z 7 m 1 o", "3 ZREM z m"] ["ZRANGE z 0 -1 WITHSCORES" => "o 1 m 7"];
    scores_count:
        ["ZADD z 1 m"]
        ["1 ZINCRBY z 2 m", "2 ZINCRBY z 4 m", "3 ZADD z 8 o", "1 ZINCRBY z 16 m"]
        ["ZRANGE z 0 -1 WITHSCORES" => "o 8 m 23"];
    what_was_added_to_a_score_goes_with_it:
        ["ZADD z 10 m"] ["1 ZINCRBY z 2 m", "2 ZREM z m", "3 ZINCRBY z 4 m"] ["ZCARD z" => "0"];
    a_member_is_there_with_its_whole_score:
        ["ZADD z 10 m"] ["1 ZADD z 20 m", "2 ZREM z m", "3 < 1", "3 ZINCRBY z 4 m"] ["ZSCORE z m" => "24"];
    pushes_are_all_kept:
        ["RPUSH l x"]
        ["1 RPUSH l a b", "2 RPUSH l c d", "3 LPUSH l e", "1 RPUSH l f"]
        ["LRANGE l 0 -1" => "e x a b f c d"];
    pops_take_what_they_have_seen:
        ["RPUSH l a b c"]
        ["1 LPOP l", "2 LPOP l", "3 RPUSH l d", "2 RPOP l"]
        ["LRANGE l 0 -1" => "b d"];
    an_element_is_what_is_written_to:
        ["RPUSH l a b c"]
        ["1 LPUSH l x", "2 LSET l 1 B", "3 LINSERT l AFTER b n", "1 LREM l 0 a"]
        ["LRANGE l 0 -1" => "x B n c"];
    a_trim_keeps_what_it_has_not_seen:
        ["RPUSH l a b c d"] ["1 LTRIM l 1 2", "2 LINSERT l BEFORE b n", "3 RPUSH l e"] ["LRANGE l 0 -1" => "n b c e"];
    the_latest_expiry_counts:
        ["SET k v"] ["1 PEXPIRE k 1000", "2 PEXPIRE k 2000", "3 PEXPIRE k 3000"] ["PTTL k" => "3000"];
    a_concurrent_persist_that_is_later_counts:
        ["SET k v", "PEXPIRE k 500"] ["1 PEXPIRE k 1000", "2 SET other x", "3 PERSIST k"] ["PTTL k" => "-1"];
    an_expiry_is_about_what_it_had_seen:
        ["SET k v"] ["1 PEXPIRE k 1000", "2 SET k w", "3 APPEND other x"] ["GET k" => "w", "PTTL k" => "-1"];
    types_that_meet_are_all_kept:
        ["SET other x"] ["1 SADD k a", "2 RPUSH k b", "3 HSET k f c"] ["TYPE k" => "hash", "HGET k f" => "c"];
    a_flush_keeps_what_it_has_not_seen:
        ["SET a 1", "INCRBY n 5", "SADD s x"]
        ["1 FLUSHALL", "2 INCR n", "3 SADD s y", "3 SET b 2"]
        ["GET a" => "nil", "GET n" => "1", "SMEMBERS s" => "y", "GET b" => "2"];
    a_rename_takes_what_it_shows:
        ["SET a 1"] ["1 RENAME a b", "2 INCR a", "3 SET c x"] ["GET a" => "1", "GET b" => "1"];
    what_is_due_goes_and_what_is_new_stays:
        ["SET k v PX 1000"] ["1 @ 2000", "2 SET k w", "3 @ 3000"] ["GET k" => "w", "PTTL k" => "-1"];
    what_was_written_under_an_expiry_keeps_it:
        ["SET k v PX 1000"] ["1 @ 2000", "2 SET k w", "3 APPEND k x"] ["GET k" => "vx", "PTTL k" => "1000"];
    a_set_that_is_due_keeps_what_is_new:
        ["SADD s a", "PEXPIRE s 1000"]
        ["1 @ 2000", "2 SADD s b", "3 @ 2000", "2 SREM s a"]
        ["SMEMBERS s" => "b", "PTTL s" => "1000"];
    a_counter_that_is_due_keeps_what_is_new:
        ["INCRBY n 5", "PEXPIRE n 1000"]
        ["1 @ 2000", "2 INCR n", "3 @ 1500", "2 INCR n"]
        ["GET n" => "2", "PTTL n" => "1000"];
    a_value_that_is_older_than_a_concurrent_one_expires_alone:
        ["SET other x"]
        ["1 SET k a PX 1000", "2 SET k b", "3 < 1", "3 @ 2000"]
        ["GET k" => "b", "PTTL k" => "-1"];
    a_database_is_flushed_while_it_counts:
        ["INCRBY n 5", "HINCRBY h f 5"]
        ["1 INCR n", "2 < 1", "2 FLUSHDB", "1 HINCRBY h f 1", "3 FLUSHALL"]
        ["GET n" => "nil", "HGETALL h" => "f 1"];
}
