//! Clients that wait for other copies: for what these have seen (`CAUSAL token`), or until these have what
//! was done here (`WAIT`).

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Incarnation, Index, Instant};
use onecopy_merge::{Clock, Question, QuestionReply as Reply};

use super::OptimisticCopy;
use super::peer::Peer;
use crate::disk::Out;
use crate::group::{GroupEffect, Origin};
use crate::message::Outcome;

/// So many clients may wait.
pub(super) const WAITS_MAX: usize = 10_000;
/// A coordinator hears so often that its client waits.
pub(super) const REMIND_AFTER: Duration = Duration::from_millis(500);

/// What somebody waits for.
#[derive(Debug)]
enum Need {
    /// This copy has seen all of it.
    Seen(Clock),
    /// So many others have this many of the updates that were made here.
    Copies { enough: u64, updates: u64 },
}

/// Somebody who waits.
#[derive(Debug)]
pub(super) struct Wait {
    need: Need,
    until: Instant,
    reminded: Instant,
    origin: Origin,
    coordinator: Incarnation,
    sequence: u64,
}

impl OptimisticCopy {
    /// Answers a question about other copies, or lets it wait.
    pub(super) fn ask_about_others(
        &mut self,
        question: Question,
        (origin, coordinator, sequence): (Origin, Incarnation, u64),
        out: &mut Out<GroupEffect>,
    ) {
        let (need, patience_ms) = match question {
            Question::Token => {
                let response = Reply::Token(self.settings.group, self.replica.clock()).encode();
                return self.answer_when_durable((origin, coordinator, sequence), response);
            }
            Question::Wrong(why) => {
                let response = Reply::Wrong(why).encode();
                return self.answer_when_durable((origin, coordinator, sequence), response);
            }
            Question::Seen { clock, patience_ms } => (Need::Seen(clock), patience_ms),
            Question::Copies { enough, patience_ms } => {
                let updates = self.replica.clock().seen_of(self.life());
                (Need::Copies { enough, updates }, patience_ms)
            }
        };
        let (until, reminded) = (self.now + Duration::from_millis(patience_ms), self.now);
        self.waits.push(Wait { need, until, reminded, origin, coordinator, sequence });
        self.serve_waits(self.now, out);
    }

    /// Answers those who have what they wait for, or have waited long enough.
    pub(super) fn serve_waits(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        for mut wait in std::mem::take(&mut self.waits) {
            let is_over = now >= wait.until;
            let reply = match &wait.need {
                // Durably: it must not be behind again after a crash.
                Need::Seen(clock) if self.durable.covers(clock) => Some(Reply::Seen),
                Need::Seen(_) => is_over.then_some(Reply::Behind),
                Need::Copies { enough, updates } => {
                    let me = self.life();
                    let has = |peer: &&Peer| peer.standing.clock.seen_of(me) >= *updates;
                    let copies = self.peers.values().filter(has).count() as u64;
                    (is_over || copies >= *enough).then_some(Reply::Copies(copies))
                }
            };
            let Some(reply) = reply else {
                if now.since(wait.reminded) >= REMIND_AFTER {
                    wait.reminded = now;
                    self.answer(wait.origin, Outcome::Executing, out);
                }
                self.waits.push(wait);
                continue;
            };
            let outcome = Outcome::Done { response: reply.encode(), as_of: Index(0) };
            self.sessions.answered(wait.coordinator, wait.sequence, &outcome);
            self.answer(wait.origin, outcome, out);
        }
    }

    /// Nobody waits any longer.
    pub(super) fn end_waits(&mut self, now: Instant, out: &mut Out<GroupEffect>) {
        self.waits.iter_mut().for_each(|wait| wait.until = now);
        self.serve_waits(now, out);
    }

    /// When somebody has waited long enough, or is to be reminded.
    pub(super) fn waits_due(&self) -> Option<Instant> {
        self.waits.iter().map(|wait| wait.until.min(wait.reminded + REMIND_AFTER)).min()
    }

    fn answer_when_durable(&mut self, of: (Origin, Incarnation, u64), response: Bytes) {
        self.let_wait(of, Outcome::Done { response, as_of: Index(0) }, 0);
    }
}
