//! A batch, from its making to its answer: who has it, and what its clients are told if nobody ever answers.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::Part;
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
    /// It tells that the answers to these batches were heard, which had been parked.
    pub(super) heard: Vec<u64>,
    /// It was parked, and is asked for again: it is waited for as long as it takes.
    is_parked: bool,
    /// If it is so large that it travels in parts: how far.
    parts: Option<Progress>,
    /// How much more time it gets for its bytes, at both ends and in between.
    takes: Duration,
    /// And for the large batches that it may have to wait for.
    ahead: Duration,
    /// When it was made, or got on last.
    since: Instant,
    /// It has got on since the last turn, or was said to be about to be executed.
    gets_on: bool,
    whereabouts: Whereabouts,
    /// Before this it is not sent again.
    not_before: Instant,
    /// It was sent to somebody whose answer is lost: it may have been executed.
    is_lost: bool,
    /// It is not sent again once it may have been executed.
    is_sent_once: bool,
    /// A backup on this node answers it, and no primary.
    is_read_here: bool,
    /// What was sent is not waited for any more, and its answer may come late.
    has_strays: bool,
    /// How many primaries were lost that had it, and in which view the last of them: there may be two signs
    /// of one loss.
    primaries_lost: (u32, Option<ViewNumber>),
    /// In which view it was last sent to a primary that did not answer in time. Somebody else may have taken
    /// over its address since, and have refused.
    unanswered_in: Option<ViewNumber>,
    /// What its clients are told when the time is over and it was certainly not executed.
    refusal: Reply,
}

/// Who has a batch.
#[derive(Clone, Copy, Debug)]
enum Whereabouts {
    /// Nobody: it waits for a primary.
    Here,
    /// A node to which it was sent, at this moment, as the primary of this view. It is executed there, unless
    /// that was a part of it, and not the last.
    Sent { to: NodeId, at: Instant, view: ViewNumber, is_executed: bool },
    /// Nobody: the primary to which it was sent at this moment cannot take it before there is another view.
    /// To ask it all the time would cost the body of the batch every time.
    WaitsForView { asked: Instant },
}

/// How far a batch has got that travels in parts: one at a time, so that whatever others send comes between.
#[derive(Clone, Copy, Debug)]
struct Progress {
    part_bytes: usize,
    /// How long the bytes of one part may take.
    part_takes: Duration,
    /// So many of its bytes are kept by the replicas, as far as they have said.
    kept: usize,
    /// The most that they ever kept.
    most: usize,
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
        // The length of a part and of a batch has 32 bits; what has more is refused by the limit of an entry.
        let is_large = kind != Kind::Read && body.len() >= config.large_bytes;
        let part_bytes = config.part_bytes.max(1);
        let part_takes = config.time_for(part_bytes);
        let progress = Progress { part_bytes, part_takes, kept: 0, most: 0 };
        let parts = is_large.then_some(progress);
        let takes = config.time_for(body.len());
        let (whereabouts, is_lost, refusal) = (Whereabouts::Here, false, Reply::Refused);
        let (not_before, primaries_lost) = (now, (0, None));
        Self {
            kind,
            body,
            clients,
            sizes,
            heard: Vec::new(),
            is_parked: false,
            parts,
            takes,
            ahead: Duration::ZERO,
            since: now,
            gets_on: false,
            whereabouts,
            not_before,
            is_lost,
            is_sent_once: false,
            is_read_here: false,
            has_strays: false,
            primaries_lost,
            unanswered_in: None,
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
    pub(super) fn ends_at(&self, timeout: Duration) -> Option<Instant> {
        (!self.is_parked).then(|| self.since + timeout + self.takes + self.ahead)
    }

    /// It is executed, and its answer comes later.
    pub(super) fn park(&mut self) {
        self.is_parked = true;
    }

    /// Whether it has been executed, and is parked.
    pub(super) fn is_parked(&self) -> bool {
        self.is_parked
    }

    /// Whether it is so large that it travels in parts, and waits for others that do.
    pub(super) fn is_large(&self) -> bool {
        self.parts.is_some()
    }

    /// What is to be sent next: all of it, or a part.
    pub(super) fn next(&self) -> (Option<Part>, Bytes) {
        let Some(Progress { part_bytes, kept, .. }) = self.parts else { return (None, self.body.clone()) };
        let end = self.body.len().min(kept + part_bytes);
        // No limit lets a batch of 4 GiB through.
        let part = Part { at: kept as u32, of: self.body.len() as u32 };
        (Some(part), self.body.slice(kept..end))
    }

    /// So many of its bytes are kept where it was sent: the next part is for whoever is the primary.
    pub(super) fn kept(&mut self, bytes: usize) {
        let Some(progress) = &mut self.parts else { return };
        // More than all would be an answer to something else.
        progress.kept = if bytes < self.body.len() { bytes } else { 0 };
        self.gets_on |= progress.kept > progress.most;
        progress.most = progress.most.max(progress.kept);
        self.come_back(Whereabouts::Here);
        self.not_before = Instant::ZERO;
    }

    /// It is executed where it is now, after something that takes long.
    pub(super) fn will_be_executed(&mut self) {
        self.gets_on |= matches!(self.whereabouts, Whereabouts::Sent { .. });
    }

    /// If it has got on since the last turn, it has as much time again: one that travels in many parts, or
    /// waits behind something long, may take long, as long as it does not stand still.
    pub(super) fn renew(&mut self, now: Instant) {
        if std::mem::take(&mut self.gets_on) {
            self.since = now;
        }
    }

    /// It was made when large batches were outstanding that take so long.
    pub(super) fn behind(mut self, ahead: Duration) -> Self {
        if self.is_large() {
            self.ahead = ahead;
        }
        self
    }

    /// Nobody but the copy to which it is sent knows whether it has been executed, and that one forgets it
    /// with its process: it is sent once. Reads may be sent again.
    pub(super) fn send_once(mut self) -> Self {
        self.is_sent_once = self.kind != Kind::Read;
        self
    }

    /// Whether nobody will ever say what has become of it.
    pub(super) fn is_past_hope(&self) -> bool {
        self.is_sent_once && self.is_lost
    }

    /// How long it may take until what was sent last is answered.
    fn answer_takes(&self) -> Duration {
        self.parts.map_or(self.takes, |progress| progress.part_takes)
    }

    /// How long its bytes may take.
    pub(super) fn takes(&self) -> Duration {
        self.takes
    }

    /// When it is to be sent again if nothing is heard.
    pub(super) fn is_late_at(&self) -> Option<Instant> {
        match self.whereabouts {
            Whereabouts::Here => None,
            Whereabouts::Sent { is_executed: true, .. } if self.is_sent_once => None,
            Whereabouts::Sent { at, .. } | Whereabouts::WaitsForView { asked: at } => {
                Some(at + ANSWER_PATIENCE + self.answer_takes())
            }
        }
    }

    /// Whether nothing was heard for too long.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.is_late_at().is_some_and(|late| now >= late)
    }

    pub(super) fn sent(&mut self, to: NodeId, view: ViewNumber, at: Instant) {
        let is_executed = self.parts.is_none_or(|it| it.kept + it.part_bytes >= self.body.len());
        self.whereabouts = Whereabouts::Sent { to, at, view, is_executed };
        self.is_read_here = false;
        self.not_before = at + RETRY_INTERVAL + self.answer_takes();
    }

    /// If it was sent to such a node, no answer will come.
    pub(super) fn give_up_on(&mut self, gone: impl Fn(NodeId) -> bool) {
        if let Whereabouts::Sent { to, view, .. } = self.whereabouts
            && gone(to)
            && !self.is_read_here
        {
            self.lose();
            self.count_primary(view);
        }
    }

    /// There is another primary. The one before is lost, if it had this and never answered.
    pub(super) fn primary_changed(&mut self) {
        self.give_up_on(|_| true);
        if let Some(view) = self.unanswered_in {
            self.count_primary(view);
        }
    }

    fn count_primary(&mut self, view: ViewNumber) {
        if self.primaries_lost.1.is_none_or(|last| last < view) {
            self.primaries_lost = (self.primaries_lost.0 + 1, Some(view));
        }
    }

    /// Whether it may be what primaries are lost for. Only reads: what a write does is in the log, and
    /// bounded there.
    pub(super) fn is_dangerous(&self) -> bool {
        self.kind == Kind::Read && self.primaries_lost.0 >= PRIMARIES_LOST_MAX
    }

    /// No answer will come from where it was sent, or from where it waits for another view.
    pub(super) fn lose(&mut self) {
        self.is_lost |= matches!(self.whereabouts, Whereabouts::Sent { is_executed: true, .. });
        self.has_strays |= matches!(self.whereabouts, Whereabouts::Sent { .. });
        if let Whereabouts::Sent { view, .. } = self.whereabouts
            && !self.is_read_here
        {
            self.unanswered_in = Some(view);
        }
        self.whereabouts = Whereabouts::Here;
    }

    /// Whether it was sent to a primary whose answer is lost.
    pub(super) fn is_lost(&self) -> bool {
        self.is_lost && !self.is_read_here
    }

    /// A backup on this node has taken it, instead of the primary to which it was sent.
    pub(super) fn read_here(&mut self) {
        self.is_read_here = true;
    }

    /// It may be sent at once, although it was sent a moment ago.
    pub(super) fn try_at(&mut self, now: Instant) {
        self.not_before = self.not_before.min(now);
    }

    /// It was not executed where it was sent; unless this is the late answer to a part that was sent before,
    /// and says nothing of the last one.
    fn come_back(&mut self, whereabouts: Whereabouts) {
        let may_be_executed = matches!(self.whereabouts, Whereabouts::Sent { is_executed: true, .. });
        self.is_lost |= self.has_strays && may_be_executed;
        self.whereabouts = whereabouts;
    }

    /// It was not taken where it was sent. Returns where that was, unless it is not waited for any more.
    pub(super) fn refuse(&mut self, refusal: Reply) -> Option<NodeId> {
        let by = self.sent_to();
        self.come_back(Whereabouts::Here);
        self.refusal = refusal;
        by
    }

    /// Who has it, as far as is known.
    pub(super) fn sent_to(&self) -> Option<NodeId> {
        match self.whereabouts {
            Whereabouts::Sent { to, .. } => Some(to),
            Whereabouts::Here | Whereabouts::WaitsForView { .. } => None,
        }
    }

    /// It was not taken where it was sent, and will not be in the view in which it was sent. `newest` is the
    /// newest that is known.
    pub(super) fn refuse_in_this_view(&mut self, refusal: Reply, newest: Option<ViewNumber>) {
        self.come_back(match self.whereabouts {
            Whereabouts::Sent { at, view, .. } if newest == Some(view) => {
                Whereabouts::WaitsForView { asked: at }
            }
            _ => Whereabouts::Here,
        });
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
        let is_open = self.is_lost || matches!(self.whereabouts, Whereabouts::Sent { is_executed: true, .. });
        match self.kind {
            Kind::Read if self.is_dangerous() => Reply::Dangerous,
            Kind::Write | Kind::Wait if is_open => Reply::Unknown,
            Kind::Write | Kind::Wait | Kind::Read => self.refusal.clone(),
        }
    }
}
