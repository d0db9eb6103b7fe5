//! What the clients of a load were told, against what is there.

use std::fmt;

use redis::Connection;

use super::counter::Counter;
use super::{key, register, tally};

/// What a writer was told of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was acknowledged: it must be there.
    Acknowledged,
    /// The answer said that it was not executed: it must not be there.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// All that the clients of a load were told.
#[derive(Debug)]
pub struct History {
    pub(super) writers: Vec<Told>,
    /// How many reads were answered.
    pub reads: u64,
    /// Reads that were answered with something too old, or with what nobody had written.
    pub wrong_reads: Vec<String>,
    /// What clients were told that is no answer to their question.
    pub errors: Vec<String>,
}

/// What one writer was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By operation, from 1.
    pub(super) fates: Vec<Fate>,
    pub(super) counter: Counter,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Acknowledged writes that are not there.
    pub lost: u64,
    /// Increments that counted twice, and writes that are there although they were refused, or never sent.
    pub doubled: u64,
    /// Reads that were too old.
    pub stale: u64,
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {}", self.lost, self.doubled, self.stale)
    }
}

/// What the writes of one writer have left.
#[derive(Default)]
struct Left {
    /// Keys that are there.
    keys: u64,
    /// The last write whose key is there.
    last: u64,
    findings: Findings,
}

impl History {
    /// # Panics
    /// If a client was told anything else than what became of its request, or read something wrong.
    pub fn assert_no_errors(&self) {
        let few = |all: &[String]| all[..all.len().min(5)].to_vec();
        assert!(self.errors.is_empty(), "{} errors, the first: {:?}", self.errors.len(), few(&self.errors));
        assert!(self.wrong_reads.is_empty(), "wrong reads: {:?}", few(&self.wrong_reads));
    }

    /// How many writes had this fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.writers.iter().flat_map(|told| &told.fates).filter(|other| **other == fate).count()
    }

    /// Compares the data with what the clients were told.
    ///
    /// # Panics
    /// If an acknowledged write is missing, a refused one is there, there is something that nobody wrote, or
    /// a read was wrong.
    pub fn verify(&self, connection: &mut Connection) {
        assert_eq!(self.check(connection), Findings::default(), "{:?}", self.wrong_reads.first());
    }

    /// Compares the data with what the clients were told, and counts what is wrong.
    ///
    /// # Panics
    /// If the data cannot be read.
    pub fn check(&self, connection: &mut Connection) -> Findings {
        let mut findings = Findings { stale: self.wrong_reads.len() as u64, ..Findings::default() };
        let mut expected_keys = 0;
        for (writer, told) in self.writers.iter().enumerate() {
            let left = left_of(writer, told, connection);
            findings.lost += left.findings.lost;
            findings.doubled += left.findings.doubled;
            let last: Option<u64> = redis::cmd("GET").arg(register(writer)).query(connection).expect("GET");
            findings.lost += u64::from(last.unwrap_or(0) < left.last);
            findings.doubled += u64::from(last.unwrap_or(0) > left.last);
            let count: Option<u64> = redis::cmd("GET").arg(tally(writer)).query(connection).expect("GET");
            let counter = told.counter.read(count.unwrap_or(0));
            findings.lost += counter.lost;
            findings.doubled += counter.doubled;
            expected_keys += left.keys + u64::from(last.is_some()) + u64::from(count.is_some());
        }
        let keys: u64 = redis::cmd("DBSIZE").query(connection).expect("DBSIZE");
        findings.doubled += keys.saturating_sub(expected_keys);
        findings
    }
}

/// Looks for every key that a writer has written.
fn left_of(writer: usize, told: &Told, connection: &mut Connection) -> Left {
    let mut left = Left::default();
    let writes: Vec<(u64, Fate)> =
        (1..).zip(&told.fates).filter(|(n, _)| super::sets_a_key(*n)).map(|(n, fate)| (n, *fate)).collect();
    for chunk in writes.chunks(1000) {
        let keys: Vec<String> = chunk.iter().map(|(n, _)| key(writer, *n)).collect();
        let values: Vec<Option<u64>> = redis::cmd("MGET").arg(keys).query(connection).expect("MGET");
        for ((n, fate), value) in chunk.iter().zip(values) {
            match (fate, value) {
                (Fate::Acknowledged, None) => left.findings.lost += 1,
                (Fate::Refused, Some(_)) => left.findings.doubled += 1,
                (_, Some(value)) if value != *n => left.findings.doubled += 1,
                _ => {}
            }
            if value.is_some() {
                left.keys += 1;
                left.last = *n;
            }
        }
    }
    left
}
