//! A batch, from its making to its answer: who has it, and what its clients are told if nobody ever answers.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Instant, NodeId, ViewNumber};

use super::{CoordinatorConfig, Reply};
use crate::message::Kind;

/// How long an answer is waited for before a batch is sent again. Whoever has executed it answers as before.
pub(super) const ANSWER_PATIENCE: Duration = Duration::from_secs(1);
/// How long a batch waits at least after it was sent before it is sent again, although it was not taken.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// A read under which so many primaries were lost is not tried on another: one may fail for any reason.
const PRIMARIES_LOST_MAX: u32 = 2;

/// Requests of several clients that travel together.
#[derive(Debug)]
pub(super) struct Batch<T> {
    pub(super) kind: Kind,
    pub(super) body: Bytes,
    /// Whose requests it carries, and how many bytes each has in the body.
    pub(super) clients: Vec<T>,
    sizes: Vec<usize>,
    /// Whether it is so large that it waits for others that are.
    is_large: bool,
    /// How much more time it gets for its bytes, at both ends and in between.
    takes: Duration,
    /// And for the large batches that it may have to wait for.
    ahead: Duration,
    pub(super) since: Instant,
    whereabouts: Whereabouts,
    /// Before this it is not sent again.
    not_before: Instant,
    /// It was sent to somebody whose answer is lost: it may have been executed.
    is_lost: bool,
    /// How many primaries were lost that had it, and in which view the last of them: there may be two signs
    /// of one loss.
    primaries_lost: (u32, Option<ViewNumber>),
    /// What its clients are told when the time is over and it was certainly not executed.
    refusal: Reply,
}

/// Who has a batch.
#[derive(Clone, Copy, Debug)]
enum Whereabouts {
    /// Nobody: it waits for a primary.
    Here,
    /// A node to which it was sent, at this moment, as the primary of this view.
    Sent { to: NodeId, at: Instant, view: ViewNumber },
    /// Nobody: the primary to which it was sent at this moment cannot take it before there is another view. To ask it all
    /// the time would cost the body of the batch every time.
    WaitsForView { asked: Instant },
}

impl<T> Batch<T> {
    pub(super) fn new(
        now: Instant,
        kind: Kind,
        body: Bytes,
        clients: Vec<T>,
        sizes: Vec<usize>,
        config: &CoordinatorConfig,
    ) -> Self {
        let is_large = kind == Kind::Write && body.len() >= config.large();
        let takes = config.time_for(body.len());
        let (whereabouts, is_lost, refusal) = (Whereabouts::Here, false, Reply::Refused);
        let (not_before, primaries_lost) = (now, (0, None));
        Self {
            kind,
            body,
            clients,
            sizes,
            is_large,
            takes,
            ahead: Duration::ZERO,
            since: now,
            whereabouts,
            not_before,
            is_lost,
            primaries_lost,
            refusal,
        }
    }

    /// The requests one by one, with whose they are.
    pub(super) fn into_requests(self) -> impl Iterator<Item = (Bytes, T)> {
        let mut rest = self.body;
        self.sizes.into_iter().map(move |bytes| rest.split_to(bytes)).zip(self.clients)
    }

    /// From when on it is to be sent, if there is a primary that may take it.
    pub(super) fn is_due_at(&self) -> Option<Instant> {
        matches!(self.whereabouts, Whereabouts::Here).then_some(self.not_before)
    }

    /// When its clients are told that nobody has answered; `timeout`: how long those of a small batch wait.
    pub(super) fn ends_at(&self, timeout: Duration) -> Instant {
        self.since + timeout + self.takes + self.ahead
    }

    /// Whether it is so large that it waits for others that are.
    pub(super) fn is_large(&self) -> bool {
        self.is_large
    }

    /// It was made when large batches were outstanding that take so long.
    pub(super) fn behind(mut self, ahead: Duration) -> Self {
        if self.is_large {
            self.ahead = ahead;
        }
        self
    }

    /// How long its bytes may take.
    pub(super) fn takes(&self) -> Duration {
        self.takes
    }

    /// Whether somebody has it.
    pub(super) fn is_sent(&self) -> bool {
        matches!(self.whereabouts, Whereabouts::Sent { .. })
    }

    /// When it is to be sent again if nothing is heard.
    pub(super) fn is_late_at(&self) -> Option<Instant> {
        match self.whereabouts {
            Whereabouts::Here => None,
            Whereabouts::Sent { at, .. } | Whereabouts::WaitsForView { asked: at } => {
                Some(at + ANSWER_PATIENCE + self.takes)
            }
        }
    }

    pub(super) fn sent(&mut self, to: NodeId, view: ViewNumber, at: Instant) {
        self.whereabouts = Whereabouts::Sent { to, at, view };
        self.not_before = at + RETRY_INTERVAL + self.takes;
    }

    /// If it was sent to such a node, no answer will come.
    pub(super) fn give_up_on(&mut self, gone: impl Fn(NodeId) -> bool) {
        if let Whereabouts::Sent { to, view, .. } = self.whereabouts
            && gone(to)
        {
            if self.primaries_lost.1 != Some(view) {
                self.primaries_lost = (self.primaries_lost.0 + 1, Some(view));
            }
            self.lose();
        }
    }

    /// Whether it may be what primaries are lost for. Only reads: what a write does is in the log, and
    /// bounded there.
    pub(super) fn is_dangerous(&self) -> bool {
        self.kind == Kind::Read && self.primaries_lost.0 >= PRIMARIES_LOST_MAX
    }

    /// No answer will come from where it was sent, or from where it waits for another view.
    pub(super) fn lose(&mut self) {
        self.is_lost |= matches!(self.whereabouts, Whereabouts::Sent { .. });
        self.whereabouts = Whereabouts::Here;
    }

    /// It may be sent at once, although it was sent a moment ago.
    pub(super) fn try_at(&mut self, now: Instant) {
        self.not_before = self.not_before.min(now);
    }

    /// It was not taken where it was sent.
    pub(super) fn refuse(&mut self, refusal: Reply) {
        self.whereabouts = Whereabouts::Here;
        self.refusal = refusal;
    }

    /// It was not taken where it was sent, and will not be in the view in which it was sent. `newest` is the newest that is known.
    pub(super) fn refuse_in_this_view(&mut self, refusal: Reply, newest: Option<ViewNumber>) {
        self.whereabouts = match self.whereabouts {
            Whereabouts::Sent { at, view, .. } if newest == Some(view) => {
                Whereabouts::WaitsForView { asked: at }
            }
            _ => Whereabouts::Here,
        };
        self.refusal = refusal;
    }

    /// There is another view, and so somebody who may take it.
    pub(super) fn view_changed(&mut self) {
        self.not_before = self.since;
        if matches!(self.whereabouts, Whereabouts::WaitsForView { .. }) {
            self.whereabouts = Whereabouts::Here;
        }
    }

    /// What its clients are told when the time is over.
    pub(super) fn end(&self) -> Reply {
        let is_open = self.is_lost || matches!(self.whereabouts, Whereabouts::Sent { .. });
        match self.kind {
            Kind::Read if self.is_dangerous() => Reply::Dangerous,
            Kind::Write if is_open => Reply::Unknown,
            Kind::Write | Kind::Read => self.refusal.clone(),
        }
    }
}
