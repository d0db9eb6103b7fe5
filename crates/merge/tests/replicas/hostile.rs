//! Bytes that no replica sends: errors, and never a panic.

use onecopy_merge::repair::{Answer, Ask};
use onecopy_merge::{Delta, DeltaError, Replica, ReplicaId, Rules};

use crate::support::{Dice, NOW, ask, replicas, run};

fn sample() -> Vec<Delta> {
    let mut all = replicas(2, Rules::default());
    let lines = [
        "INCRBY n 5",
        "INCRBYFLOAT n 0.5",
        "SET k v PX 1000",
        "HSET h f v g w",
        "HINCRBY h f 1",
        "SADD s a b",
        "ZADD z 1 a",
        "ZINCRBY z 2 a",
        "RPUSH l a b",
        "LINSERT l AFTER a c",
        "LPUSH l d",
        "DEL n",
        "PERSIST k",
        "FLUSHALL",
        "SET k v",
    ];
    let mut deltas: Vec<Delta> = lines.iter().filter_map(|line| run(&mut all[0], line)).collect();
    deltas.extend(all[0].fold(NOW, ReplicaId(1), &[]));
    deltas.extend(run(&mut all[0], "SET k w PX 10"));
    deltas
}

#[test]
fn cut_deltas_are_errors() {
    for delta in sample() {
        let bytes = delta.encode();
        for length in 0..bytes.len() {
            assert!(Delta::decode(&bytes[..length]).is_err(), "{length} of {} bytes", bytes.len());
        }
    }
    assert_eq!(Delta::decode(&[]), Err(DeltaError::Format(None)));
    assert_eq!(Delta::decode(&[9, 1, 2]), Err(DeltaError::Format(Some(9))));
}

#[test]
fn flipped_bits_do_not_make_a_replica_panic() {
    let sample = sample();
    let (mut understood, mut refused) = (0, 0);
    for seed in 0..60_000 {
        let mut dice = Dice(seed);
        let mut replica = Replica::new(ReplicaId(2), Rules::default());
        for delta in &sample[..dice.below(sample.len())] {
            replica.receive(NOW, delta.clone());
        }
        let mut bytes = dice.one_of(&sample).encode();
        for _ in 0..1 + dice.below(4) {
            let at = dice.below(bytes.len());
            bytes[at] ^= 1 << dice.below(8);
        }
        match Delta::decode(&bytes) {
            Ok(delta) => {
                understood += 1;
                replica.receive(NOW, delta);
                assert_eq!(replica.digest(), replica.store().recount());
                for line in [
                    "INCR n",
                    "RPUSH l x",
                    "ZRANGE z 0 -1",
                    "HGETALL h",
                    "EXPIRE k 10",
                    "LPUSH l x",
                    "FLUSHALL",
                ] {
                    ask(&replica, line);
                }
                replica.advance(NOW, 100);
            }
            Err(_) => refused += 1,
        }
    }
    println!("{understood} understood, {refused} refused");
    assert!(understood > 1_000 && refused > 1_000);
}

#[test]
fn flipped_bits_do_not_make_a_repair_panic() {
    let mut from = Replica::new(ReplicaId(1), Rules::default());
    for at in 0..40 {
        run(&mut from, &format!("SADD s{} m{at}", at % 7));
        run(&mut from, &format!("INCR n{at}"));
        run(&mut from, &format!("RPUSH l a{at}"));
    }
    for seed in 0..4_000 {
        let mut dice = Dice(seed);
        let (mut from, mut to) = (from.clone(), Replica::new(ReplicaId(2), Rules::default()));
        let (mut pull, mut ask) = to.pull();
        for _ in 0..20 {
            let mut bytes = ask.encode();
            if dice.below(4) == 0 {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            let Ok(question) = Ask::decode(&bytes) else { break };
            let mut bytes = from.serve(&question).encode();
            if dice.below(4) == 0 {
                let at = dice.below(bytes.len());
                bytes[at] ^= 1 << dice.below(8);
            }
            let Ok(answer) = Answer::decode(&bytes) else { break };
            match to.pull_step(NOW, &mut pull, answer) {
                Ok(onecopy_merge::repair::Next::Ask(next)) => ask = next,
                _ => break,
            }
        }
        assert_eq!(to.digest(), to.store().recount());
        run(&mut to, "INCR n0");
    }
}

#[test]
fn images_are_read_again_and_damaged_ones_are_errors() {
    let mut replica = Replica::new(ReplicaId(1), Rules::default());
    for delta in sample() {
        replica.receive(NOW, delta);
    }
    for line in ["INCR n", "SADD s a", "RPUSH l a b", "ZADD z 1 m", "HINCRBYFLOAT h f 0.5", "SET k v PX 100"]
    {
        run(&mut replica, line);
    }
    let image = replica.image();
    let again = Replica::restore(&image, Rules::default()).expect("an image");
    assert_eq!(
        (again.id(), again.clock(), again.digest()),
        (replica.id(), replica.clock(), replica.digest())
    );
    for length in 0..image.len() {
        assert!(Replica::restore(&image[..length], Rules::default()).is_err());
    }
    for seed in 0..20_000 {
        let (mut dice, mut bytes) = (Dice(seed), image.clone());
        let at = dice.below(bytes.len());
        bytes[at] ^= 1 << dice.below(8);
        assert!(Replica::restore(&bytes, Rules::default()).is_err(), "byte {at}");
    }
}
