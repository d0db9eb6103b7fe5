//! Replicas to type commands into, and repairs from beginning to end.

use onecopy_core::Timestamp;
use onecopy_merge::repair::{Answer, Ask, Next};
use onecopy_merge::{Call, Delta, Replica, ReplicaId, Rules};
use onecopy_resp::Version;

/// The time at which most tests happen.
pub const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// SplitMix64.
#[derive(Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }
}

/// A reply in one line: as in RESP2, without the marks.
fn text(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let mut words = Vec::new();
    let mut lines = text.split("\r\n");
    while let Some(line) = lines.next() {
        match line.as_bytes() {
            [b'$', b'-', ..] | [b'*', b'-', ..] => words.push("nil".to_string()),
            [b'$', ..] => words.push(lines.next().unwrap_or_default().to_string()),
            [b'*', ..] | [] => {}
            [b':' | b'+', rest @ ..] => words.push(String::from_utf8_lossy(rest).into_owned()),
            _ => words.push(line.to_string()),
        }
    }
    words.join(" ")
}

/// Executes a line at a time; the reply and the delta.
pub fn run_at(replica: &mut Replica, now: Timestamp, line: &str) -> (String, Option<Delta>) {
    let words: Vec<&[u8]> = line
        .split_whitespace()
        .map(|word| if word == "''" { b"".as_slice() } else { word.as_bytes() })
        .collect();
    let call =
        Call { now, db: 0, seed: now.0 ^ replica.clock().seen_of(replica.id()), version: Version::Two };
    let mut reply = Vec::new();
    let delta = replica.execute(call, &words, &mut reply);
    // What travels is what is sent: every delta of every test goes through its bytes.
    let delta = delta.map(|delta| {
        let again = Delta::decode(&delta.encode()).expect("a delta can be read again");
        assert_eq!(again, delta);
        again
    });
    (text(&reply), delta)
}

/// Executes a line; the delta.
pub fn run(replica: &mut Replica, line: &str) -> Option<Delta> {
    run_at(replica, NOW, line).1
}

/// What a replica answers, without changing it.
pub fn ask(replica: &Replica, line: &str) -> String {
    ask_at(replica, NOW, line)
}

/// The same at a time.
pub fn ask_at(replica: &Replica, now: Timestamp, line: &str) -> String {
    run_at(&mut replica.clone(), now, line).0
}

/// So many replicas, numbered from 1.
pub fn replicas(count: u64, rules: Rules) -> Vec<Replica> {
    (1..=count).map(|id| Replica::new(ReplicaId(id), rules)).collect()
}

/// What a repair has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    pub messages: usize,
    pub bytes: usize,
    pub fetched: usize,
}

/// Lets one replica take over what another has seen.
pub fn pull(to: &mut Replica, from: &mut Replica, now: Timestamp) -> Cost {
    let (mut pull, mut ask) = to.pull();
    let mut cost = Cost::default();
    loop {
        let question = ask.encode();
        let answer = from.serve(&Ask::decode(&question).expect("a question"));
        let bytes = answer.encode();
        cost.messages += 2;
        cost.bytes += question.len() + bytes.len();
        let answer = Answer::decode(&bytes).expect("an answer");
        match to.pull_step(now, &mut pull, answer).expect("a repair") {
            Next::Ask(next) => ask = next,
            Next::Done(_, close) => {
                from.serve(&close);
                cost.fetched = pull.fetched();
                return cost;
            }
        }
    }
}

/// Lets all replicas hear all deltas.
pub fn tell(replicas: &mut [Replica], deltas: impl IntoIterator<Item = Option<Delta>>) {
    for delta in deltas.into_iter().flatten() {
        for replica in replicas.iter_mut() {
            replica.receive(NOW, delta.clone());
        }
    }
}

/// Runs a line at one of several replicas, and lets all others hear of it.
pub fn everywhere(replicas: &mut [Replica], at: usize, line: &str) {
    let delta = run(&mut replicas[at], line);
    tell(replicas, [delta]);
}

/// Lets time do its work everywhere, until nothing is left to do.
pub fn settle(replicas: &mut [Replica], now: Timestamp) {
    loop {
        let mut deltas = Vec::new();
        for replica in replicas.iter_mut() {
            deltas.extend(replica.advance(now, 1_000));
        }
        if deltas.is_empty() {
            return;
        }
        for delta in deltas {
            for replica in replicas.iter_mut() {
                replica.receive(now, delta.clone());
            }
        }
    }
}

/// Panics unless all have the same state, and the digests are what a new count gives.
pub fn assert_same(replicas: &[Replica]) {
    for replica in replicas {
        assert_eq!(
            replica.digest(),
            replica.store().recount(),
            "O1: the digest of {} is kept up to date",
            replica.id()
        );
        assert_eq!(
            replica.clock(),
            replicas[0].clock(),
            "O9: {} and {} have seen the same",
            replica.id(),
            replicas[0].id()
        );
        assert_eq!(
            replica.digest(),
            replicas[0].digest(),
            "O1: {} and {} hold the same",
            replica.id(),
            replicas[0].id()
        );
    }
}
