//! What is parked: executed, and answered by a later entry.
//!
//! The primary answers once there is an answer; until then nobody asks, and it costs nothing but memory. A
//! primary that is new, or whose connection was lost, does not know whom to answer: then everything that is
//! parked is asked for again, under its id. It is waited for as long as it takes.
//!
//! An answer is remembered by the replicas until they hear that it was heard. That is said with the next
//! batch of writes; where none comes, with one that has nothing else to say. Such a batch also comes now and
//! then while something is parked: whoever is silent for too long is taken for dead.

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::Instant;

use super::batch::Batch;
use crate::message::{Kind, Outcome};

/// So long does what was heard wait for a batch that says so.
const SPEAK_WITHIN: Duration = Duration::from_millis(200);
/// And so often is something said while something is parked: well within the hour after which a silent
/// coordinator is forgotten.
const SPEAK_AT_LEAST: Duration = Duration::from_secs(600);
/// One batch says so much of it.
const HEARD_TOGETHER: usize = 4096;

/// What is parked, and what was heard of it.
#[derive(Debug)]
pub(super) struct Parked<T> {
    batches: BTreeMap<u64, Batch<T>>,
    /// Answers that were heard, and that no batch on its way tells of.
    heard: Vec<u64>,
    /// When something was said last.
    spoke: Instant,
    /// Something was lost on the way: the primary may take this coordinator for absent, and gives the absent
    /// nothing until it hears of them.
    is_in_doubt: bool,
}

impl<T> Default for Parked<T> {
    fn default() -> Self {
        Self { batches: BTreeMap::new(), heard: Vec::new(), spoke: Instant::ZERO, is_in_doubt: false }
    }
}

impl<T> Parked<T> {
    pub(super) fn iter(&self) -> impl Iterator<Item = (&u64, &Batch<T>)> {
        self.batches.iter()
    }

    /// All of them.
    pub(super) fn into_batches(self) -> impl Iterator<Item = Batch<T>> {
        self.batches.into_values()
    }

    /// A batch has been executed, and is parked.
    pub(super) fn park(&mut self, sequence: u64, batches: &mut BTreeMap<u64, Batch<T>>) {
        // Only a client that waits can be kept waiting; another answer would be the primary's error.
        if let Some(mut batch) = batches.remove(&sequence).filter(|batch| batch.kind == Kind::Wait) {
            batch.park();
            self.batches.insert(sequence, batch);
        }
    }

    /// One of them, if it is parked.
    pub(super) fn get(&self, sequence: u64) -> Option<&Batch<T>> {
        self.batches.get(&sequence)
    }

    /// Something is said of a batch: if it is parked, and this is an answer, it is among the others again. If
    /// its primary does not know any more, or will not have it, it is asked for again.
    pub(super) fn wake(&mut self, sequence: u64, outcome: &Outcome, batches: &mut BTreeMap<u64, Batch<T>>) {
        let stays = matches!(outcome, Outcome::Parked | Outcome::Executing | Outcome::Kept { .. });
        if !stays && let Some(batch) = self.batches.remove(&sequence) {
            batches.insert(sequence, batch);
        }
    }

    /// Nobody may know whom to answer: everything is asked for again.
    pub(super) fn ask_again(&mut self, batches: &mut BTreeMap<u64, Batch<T>>) {
        for (sequence, mut batch) in std::mem::take(&mut self.batches) {
            batch.lose();
            batch.try_at(Instant::ZERO);
            batches.insert(sequence, batch);
        }
    }

    /// Something was lost on the way. If something is parked, something is said soon.
    pub(super) fn doubt(&mut self) {
        self.is_in_doubt = true;
    }

    /// A batch was answered.
    pub(super) fn heard(&mut self, sequence: u64, batch: &Batch<T>) {
        if batch.kind == Kind::Wait {
            self.heard.push(sequence);
        }
    }

    /// A batch is not waited for any more. What it was to tell, another one must.
    pub(super) fn give_up(&mut self, sequence: u64, batch: &Batch<T>) {
        self.heard.extend(&batch.heard);
        self.heard(sequence, batch);
    }

    /// Whether a batch is to be made that has nothing else to say.
    pub(super) fn wants_to_speak(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        let within = match (self.heard.is_empty(), self.batches.is_empty()) {
            (false, _) => SPEAK_WITHIN,
            (true, false) if self.is_in_doubt => SPEAK_WITHIN,
            (true, false) => SPEAK_AT_LEAST,
            (true, true) => return None,
        };
        Some(self.spoke + within)
    }

    /// What the next batch of writes tells.
    pub(super) fn speak(&mut self, now: Instant) -> Vec<u64> {
        (self.spoke, self.is_in_doubt) = (now, false);
        let rest = self.heard.split_off(self.heard.len().min(HEARD_TOGETHER));
        std::mem::replace(&mut self.heard, rest)
    }
}
