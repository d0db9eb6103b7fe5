//! The coordinator: it takes clients' requests to the primary, wherever that is.
//!
//! It caches the view of the group and asks nobody per request. All requests that arrive in one turn make at most
//! one batch of writes and one of reads. A batch that was certainly not executed is tried again until the
//! request timeout; one whose outcome cannot be known is answered with exactly that.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{GroupId, Incarnation, Instant, NodeId, View, ViewNumber};
use onecopy_keyspace::request::{BodyBuilder, split_response};
use tokio::sync::oneshot;

use super::inbox::{Answer, Submission, is_news};
use crate::peer::message::{Forward, Kind, Outcome};

/// The write was sent, and nobody can say what became of it.
const UNKNOWN: &str = "UNKNOWN the primary failed before it answered: the write may or may not have been \
                       executed, now or a moment later. Read before you repeat it";
/// Nothing was executed.
const NO_PRIMARY: &str = "TRYAGAIN no primary could be reached in time; nothing was executed";
/// A response does not fit its request.
const BROKEN: &str = "ERR internal error: the response of the primary does not fit the request";
/// A batch is closed when it has grown to this many bytes.
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often batches that found no primary are tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);

/// Routes the requests for one group.
#[derive(Debug)]
pub(crate) struct Coordinator {
    group: GroupId,
    incarnation: Incarnation,
    request_timeout: Duration,
    view: Option<View>,
    sequence: u64,
    arrived: Vec<Submission>,
    batches: BTreeMap<u64, Batch>,
    next_retry: Instant,
}

/// Requests of several clients that travel together.
#[derive(Debug)]
struct Batch {
    kind: Kind,
    body: Bytes,
    clients: Vec<oneshot::Sender<Answer>>,
    since: Instant,
    /// To whom it was sent; `None` while it waits for a primary.
    sent_to: Option<NodeId>,
}

/// What the coordinator wants to send.
#[derive(Debug)]
pub(crate) struct Dispatch {
    pub(crate) to: NodeId,
    pub(crate) forward: Forward,
}

impl Coordinator {
    pub(crate) fn new(group: GroupId, incarnation: Incarnation, request_timeout: Duration) -> Self {
        Self {
            group,
            incarnation,
            request_timeout,
            view: None,
            sequence: 0,
            arrived: Vec::new(),
            batches: BTreeMap::new(),
            next_retry: Instant::ZERO,
        }
    }

    /// Which start of which coordinator this is.
    pub(crate) fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The view as it is cached.
    pub(crate) fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// Takes a request for the next batch.
    pub(crate) fn submit(&mut self, submission: Submission) {
        self.arrived.push(submission);
    }

    /// A view was learnt. What was sent to a primary that is none any more is tried again if it was a read, and has an
    /// unknown outcome if it was a write.
    pub(crate) fn learn(&mut self, view: &View) {
        if !is_news(self.view.as_ref(), view) {
            return;
        }
        let primary = view.primary;
        self.view = Some(view.clone());
        self.next_retry = Instant::ZERO;
        self.give_up_on(|node| node != primary);
    }

    /// The connection to a node broke: its answers are lost.
    pub(crate) fn lost(&mut self, node: NodeId) {
        self.give_up_on(|other| other == node);
    }

    fn give_up_on(&mut self, gone: impl Fn(NodeId) -> bool) {
        let affected = self.batches.iter().filter(|(_, batch)| batch.sent_to.is_some_and(&gone));
        let affected: Vec<u64> = affected.map(|(sequence, _)| *sequence).collect();
        for sequence in affected {
            self.complete(sequence, Outcome::Unknown);
        }
    }

    /// A batch has been answered.
    pub(crate) fn complete(&mut self, sequence: u64, outcome: Outcome) {
        let Some(batch) = self.batches.get_mut(&sequence) else { return };
        match outcome {
            Outcome::Done(response) => {
                let Some(batch) = self.batches.remove(&sequence) else { return };
                batch.answer(&response);
            }
            Outcome::Unknown if batch.kind == Kind::Write => {
                let Some(batch) = self.batches.remove(&sequence) else { return };
                batch.fail(UNKNOWN);
            }
            Outcome::NotPrimary(view) => {
                batch.sent_to = None;
                if let Some(view) = view {
                    self.learn(&view);
                }
            }
            Outcome::Busy | Outcome::Unknown => batch.sent_to = None,
        }
    }

    /// Makes batches of what has arrived, and pushes what is to be sent now.
    pub(crate) fn dispatch(&mut self, now: Instant, dispatches: &mut Vec<Dispatch>) {
        self.make_batches(now);
        self.expire(now);
        let Some((to, view)) = self.view.as_ref().map(|view| (view.primary, view.number)) else { return };
        let retry = now >= self.next_retry;
        if retry {
            self.next_retry = now + RETRY_INTERVAL;
        }
        let done_below = self.batches.keys().next().copied().unwrap_or(self.sequence + 1);
        for (sequence, batch) in &mut self.batches {
            if batch.sent_to.is_none() && (retry || batch.since == now) {
                batch.sent_to = Some(to);
                let forward = batch.forward(self.group, view, self.incarnation, *sequence, done_below);
                dispatches.push(Dispatch { to, forward });
            }
        }
    }

    /// When something must be tried again or given up.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let oldest = self.batches.values().map(|batch| batch.since + self.request_timeout).min();
        let waiting = self.view.is_some() && self.batches.values().any(|batch| batch.sent_to.is_none());
        match waiting {
            true => oldest.map(|oldest| oldest.min(self.next_retry)),
            false => oldest,
        }
    }

    fn make_batches(&mut self, now: Instant) {
        let mut open: BTreeMap<bool, (BodyBuilder, Vec<oneshot::Sender<Answer>>)> = BTreeMap::new();
        for submission in std::mem::take(&mut self.arrived) {
            let is_read = submission.kind == Kind::Read;
            let (body, clients) = open.entry(is_read).or_default();
            body.push(&submission.segment);
            clients.push(submission.answer);
            if body.size() >= BATCH_BYTES_MAX {
                let (body, clients) = open.remove(&is_read).unwrap_or_default();
                self.add_batch(now, submission.kind, body, clients);
            }
        }
        for (is_read, (body, clients)) in open {
            self.add_batch(now, if is_read { Kind::Read } else { Kind::Write }, body, clients);
        }
    }

    fn add_batch(
        &mut self,
        now: Instant,
        kind: Kind,
        body: BodyBuilder,
        clients: Vec<oneshot::Sender<Answer>>,
    ) {
        self.sequence += 1;
        let batch = Batch { kind, body: body.finish(), clients, since: now, sent_to: None };
        self.batches.insert(self.sequence, batch);
    }

    fn expire(&mut self, now: Instant) {
        // Sequences are given out in the order of time.
        while let Some(entry) = self.batches.first_entry() {
            if now.since(entry.get().since) < self.request_timeout {
                return;
            }
            let batch = entry.remove();
            let unknown = batch.sent_to.is_some() && batch.kind == Kind::Write;
            batch.fail(if unknown { UNKNOWN } else { NO_PRIMARY });
        }
    }
}

impl Batch {
    fn forward(
        &self,
        group: GroupId,
        view: ViewNumber,
        coordinator: Incarnation,
        sequence: u64,
        done_below: u64,
    ) -> Forward {
        Forward { group, view, coordinator, sequence, done_below, kind: self.kind, body: self.body.clone() }
    }

    fn answer(self, response: &Bytes) {
        let mut replies = split_response(response);
        for client in self.clients {
            let answer = match replies.next() {
                Some(Ok(replies)) => Answer::Replies(replies),
                _ => Answer::Failed(BROKEN),
            };
            // A client that has hung up does not mind.
            let _ = client.send(answer);
        }
    }

    fn fail(self, error: &'static str) {
        for client in self.clients {
            let _ = client.send(Answer::Failed(error));
        }
    }
}
