//! The coordinator of a node, as the node crate has it: it takes clients' requests to the primary.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use onecopy_core::{Incarnation, Instant, NodeId, View};
use onecopy_keyspace::request::{BodyBuilder, split_response};

use crate::client::{OpId, Reply};
use crate::message::{Forward, Kind, Outcome};

/// How often batches that found no primary are tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// How long a request is tried.
pub const REQUEST_TIMEOUT: Duration = Duration::from_millis(5_000);

/// An operation of a client.
#[derive(Debug)]
pub struct Submission {
    /// Which one.
    pub op: OpId,
    /// What it needs.
    pub kind: Kind,
    /// One segment.
    pub segment: BytesMut,
}

/// Routes the requests of the clients of one node.
#[derive(Debug)]
pub struct Coordinator {
    incarnation: Incarnation,
    view: Option<View>,
    sequence: u64,
    arrived: Vec<Submission>,
    batches: BTreeMap<u64, Batch>,
    next_retry: Instant,
    /// Answers for clients.
    pub answers: Vec<(OpId, Reply)>,
}

#[derive(Debug)]
struct Batch {
    kind: Kind,
    body: Bytes,
    ops: Vec<OpId>,
    since: Instant,
    sent_to: Option<NodeId>,
}

impl Coordinator {
    /// A coordinator that knows no view. `incarnation` is of this start of the process.
    #[must_use]
    pub fn new(incarnation: Incarnation) -> Self {
        Self {
            incarnation,
            view: None,
            sequence: 0,
            arrived: Vec::new(),
            batches: BTreeMap::new(),
            next_retry: Instant::ZERO,
            answers: Vec::new(),
        }
    }

    /// Which start of which coordinator it is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// Takes a request for the next batch.
    pub fn submit(&mut self, submission: Submission) {
        self.arrived.push(submission);
    }

    /// A view was learnt.
    pub fn learn(&mut self, view: &View) {
        if self.view.as_ref().is_some_and(|known| view.number <= known.number) {
            return;
        }
        let primary = view.primary;
        self.view = Some(view.clone());
        self.next_retry = Instant::ZERO;
        self.give_up_on(|node| node != primary);
    }

    /// The connection to a node broke: its answers are lost.
    pub fn lost(&mut self, node: NodeId) {
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
    pub fn complete(&mut self, sequence: u64, outcome: Outcome) {
        let Some(batch) = self.batches.get_mut(&sequence) else { return };
        match outcome {
            Outcome::Done(response, witness) => {
                let Some(batch) = self.batches.remove(&sequence) else { return };
                let mut replies = split_response(&response);
                for op in batch.ops {
                    let reply = match replies.next() {
                        Some(Ok(reply)) => Reply::Done(reply, witness),
                        _ => panic!("the response of the primary does not fit the request"),
                    };
                    self.answers.push((op, reply));
                }
            }
            Outcome::Unknown if batch.kind == Kind::Write => self.fail(sequence, Reply::Unknown),
            Outcome::NotPrimary(view) => {
                batch.sent_to = None;
                if let Some(view) = view {
                    self.learn(&view);
                }
            }
            Outcome::Busy | Outcome::Unknown => batch.sent_to = None,
        }
    }

    fn fail(&mut self, sequence: u64, reply: Reply) {
        let Some(batch) = self.batches.remove(&sequence) else { return };
        self.answers.extend(batch.ops.into_iter().map(|op| (op, reply.clone())));
    }

    /// Makes batches of what has arrived, and pushes what is to be sent now. `named` hears of new batches.
    pub fn dispatch(
        &mut self,
        now: Instant,
        mut named: impl FnMut(u64, &[OpId]),
        dispatches: &mut Vec<(NodeId, Forward)>,
    ) {
        self.make_batches(now, &mut named);
        self.expire(now);
        let Some((to, view)) = self.view.as_ref().map(|view| (view.primary, view.number)) else { return };
        let retry = now >= self.next_retry;
        if retry {
            self.next_retry = now + RETRY_INTERVAL;
        }
        let coordinator = self.incarnation;
        for (sequence, batch) in &mut self.batches {
            if batch.sent_to.is_none() && (retry || batch.since == now) {
                batch.sent_to = Some(to);
                let (sequence, kind, body) = (*sequence, batch.kind, batch.body.clone());
                dispatches.push((to, Forward { view, coordinator, sequence, kind, body }));
            }
        }
    }

    /// When something must be tried again or given up.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let oldest = self.batches.values().map(|batch| batch.since + REQUEST_TIMEOUT).min();
        let waiting = self.view.is_some() && self.batches.values().any(|batch| batch.sent_to.is_none());
        match waiting {
            true => oldest.map(|oldest| oldest.min(self.next_retry)),
            false => oldest,
        }
    }

    fn make_batches(&mut self, now: Instant, named: &mut impl FnMut(u64, &[OpId])) {
        let mut open: BTreeMap<Kind, (BodyBuilder, Vec<OpId>)> = BTreeMap::new();
        for submission in std::mem::take(&mut self.arrived) {
            let (body, ops) = open.entry(submission.kind).or_default();
            body.push(&submission.segment);
            ops.push(submission.op);
        }
        for (kind, (body, ops)) in open {
            self.sequence += 1;
            named(self.sequence, &ops);
            let batch = Batch { kind, body: body.finish(), ops, since: now, sent_to: None };
            self.batches.insert(self.sequence, batch);
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((sequence, batch)) = self.batches.first_key_value() {
            if now.since(batch.since) < REQUEST_TIMEOUT {
                return;
            }
            let unknown = batch.sent_to.is_some() && batch.kind == Kind::Write;
            self.fail(*sequence, if unknown { Reply::Unknown } else { Reply::Refused });
        }
    }
}
