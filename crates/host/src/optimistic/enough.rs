//! Answers that wait until enough copies have what was done (`copies_before_ok`).
//!
//! A copy that sees too few others takes no writes: it says so, and nothing is executed. What is executed and
//! does not come to enough of them in time is answered by nobody: it is here, and comes to the others when
//! they are back, or is lost with this copy before.

use std::collections::VecDeque;
use std::time::Duration;

use onecopy_core::{Instant, Rule};

use super::OptimisticCopy;
use super::peer::Peer;
use super::serving::Waiting;
use super::waits::REMIND_AFTER;
use crate::disk::Out;
use crate::group::GroupEffect;
use crate::message::Outcome;

/// Nobody waits longer than this: about as long as a request is tried.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many answers may wait for other copies.
const HELD_MAX: usize = 10_000;

/// An answer that is durable here, and waits for others.
#[derive(Debug)]
struct Held {
    answer: Waiting,
    since: Instant,
    reminded: Instant,
}

/// Those answers, and how many copies they wait for.
#[derive(Debug)]
pub(super) struct Enough {
    /// How many copies have a write before it is answered, this one among them.
    copies: u32,
    held: VecDeque<Held>,
}

impl Default for Enough {
    fn default() -> Self {
        Self { copies: 1, held: VecDeque::new() }
    }
}

impl Enough {
    pub(super) fn set(&mut self, copies: u32) {
        self.copies = copies;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// When somebody has waited long enough, or is to be reminded.
    pub(super) fn due(&self) -> Option<Instant> {
        self.held.iter().map(|held| (held.since + PATIENCE).min(held.reminded + REMIND_AFTER)).min()
    }
}

impl OptimisticCopy {
    /// How many copies have a write before this one answers it.
    #[must_use]
    pub fn copies_before_ok(&self) -> u32 {
        self.enough.copies
    }

    /// What is said to a write if so few copies are there that it could not be answered.
    pub(super) fn too_few(&self) -> Option<Outcome> {
        let (timeout, needs) = (self.settings.failure_timeout, self.enough.copies);
        let is_there = |peer: &&Peer| peer.place.counts() && peer.is_there(self.now, timeout);
        let has = 1 + self.peers.values().filter(is_there).take(needs as usize).count() as u32;
        (has < needs).then_some(Outcome::TooFewCopies { has, needs })
    }

    /// Whether no more answers may wait.
    pub(super) fn holds_many(&self) -> bool {
        self.enough.held.len() >= HELD_MAX
    }

    /// Whether enough copies have an update of this one durably, which has it itself.
    fn is_enough(&self, update: u64) -> bool {
        let (me, needs) = (self.life(), self.enough.copies as usize);
        if update == 0 || needs <= 1 || !self.rules.hold(Rule::EnoughCopiesBeforeOk) {
            return true;
        }
        let has = |peer: &&Peer| {
            peer.place.counts()
                && peer.standing.life == peer.life
                && peer.standing.clock.seen_of(me) >= update
        };
        1 + self.peers.values().filter(has).count() >= needs
    }

    /// An answer may be given as far as this copy is concerned.
    pub(super) fn answer_when_enough(&mut self, answer: Waiting, out: &mut Out<GroupEffect>) {
        if self.is_enough(answer.update) {
            return self.give(answer, out);
        }
        let (since, reminded) = (self.now, self.now);
        self.enough.held.push_back(Held { answer, since, reminded });
    }

    /// Answers those who have what they wait for, or have waited long enough.
    pub(super) fn answer_enough(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        for mut held in std::mem::take(&mut self.enough.held) {
            if self.is_enough(held.answer.update) {
                self.give(held.answer, out);
            } else if now.since(held.since) >= PATIENCE {
                held.answer.outcome = Outcome::Unknown;
                self.give(held.answer, out);
            } else {
                if now.since(held.reminded) >= REMIND_AFTER {
                    held.reminded = now;
                    self.answer(held.answer.origin, Outcome::Executing, out);
                }
                self.enough.held.push_back(held);
            }
        }
    }
}
