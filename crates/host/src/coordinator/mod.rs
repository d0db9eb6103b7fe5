//! The coordinator: it takes clients' requests to the primary, wherever that is.
//!
//! It caches the view of the group and asks nobody per request. All requests that arrive in one turn make one
//! batch of writes and one of reads, unless these are [better apart](ReadBatches::Apart) or the batch becomes
//! too large.
//!
//! A large value takes its time on the wire and on disks, and whatever is ordered behind it waits. So a batch
//! with more than a usual load of bytes travels in [parts](onecopy_core::parts), each after the answer to the
//! one before: small batches come between them. A few large ones at a time are on their way.
//!
//! A batch is tried until it is answered or the request timeout is over, under the same id: whichever primary
//! gets it, it is executed once ([`onecopy_core::session`]). So a client sees a pause while primaries change,
//! and no error. Only when the time is over, and a write was sent, nobody can say what became of it. A batch
//! that waits at the primary behind something long, as it would in Redis, is asked for every second, and has
//! its time again whenever the primary says that its answer will come ([`Outcome::Executing`]). One that is
//! parked ([`Kind::Wait`]) is not asked for at all: see `parked.rs`.

mod batch;
mod config;
mod parked;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Bytes, BytesMut};
use onecopy_core::segments::split_response;
use onecopy_core::{GroupId, Incarnation, Index, Instant, NodeId, View};

use crate::message::{Answer, Forward, Kind, Outcome};
use batch::Batch;
pub use config::{BATCH_BYTES_MAX, CoordinatorConfig, LARGE_BYTES, PART_BYTES};
use parked::Parked;

/// So many batches that travel in parts are on their way at a time; the others wait. Replicas keep what has
/// come of so many of each coordinator.
const LARGE_TOGETHER: usize = 4;

/// A request of one client. `T` is whatever tells the caller whom to answer.
#[derive(Debug)]
pub struct Submission<T> {
    /// What it needs.
    pub kind: Kind,
    /// One [segment](onecopy_core::segments).
    pub segment: Bytes,
    /// Comes back with the [`Reply`].
    pub client: T,
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was executed.
    Done {
        /// The reply of the state machine to the segment.
        reply: Bytes,
        /// The last entry that the state reflected, see [`Outcome::Done`].
        as_of: Index,
    },
    /// A write was sent, and nobody can say what became of it: it may or may not have been executed, or will
    /// be.
    Unknown,
    /// It was not executed, and never will be: no primary was reached in time.
    Refused,
    /// A read that was under way at one primary after the other when they were lost. It may be what they were
    /// lost for, and is not taken to the next (rule E2).
    Dangerous,
    /// It was not executed, and never will be: the database lacked copies all the time.
    TooFewCopies {
        /// How many there were.
        has: u32,
        /// How many a write needs.
        needs: u32,
    },
    /// It was executed, once; its answer was lost on its way, and too large to be remembered for a
    /// repetition.
    Forgotten,
    /// It was not executed, and never will be: its database was dropped.
    NoDatabase,
    /// It was executed, but the response of the primary does not fit the batch, so nobody knows the reply. An
    /// error of the state machine.
    Broken,
}

/// How the reads of a turn travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadBatches {
    /// In one batch, which costs least.
    Together,
    /// Each client's in its own: at a backup, one may have to wait for a write that does not concern the
    /// others.
    Apart,
}

/// What the coordinator wants to send.
#[derive(Debug)]
pub struct Dispatch {
    /// To which node, perhaps this one.
    pub to: NodeId,
    /// The batch.
    pub forward: Forward,
    /// It was sent to a primary before, and nobody knows what has become of it. What reads may cost a primary
    /// its place is tried on nobody but another primary (rule E2).
    pub is_lost: bool,
}

/// A batch that is being made.
#[derive(Debug)]
struct Open<T> {
    segments: Vec<Bytes>,
    bytes: usize,
    clients: Vec<T>,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Self { segments: Vec::new(), bytes: 0, clients: Vec::new() }
    }
}

impl<T> Open<T> {
    fn push(&mut self, segment: Bytes, client: T) {
        self.bytes += segment.len();
        self.segments.push(segment);
        self.clients.push(client);
    }

    /// The segments in a row. A single one is not copied.
    fn body(&mut self) -> Bytes {
        if self.segments.len() == 1 {
            return self.segments.pop().unwrap_or_default();
        }
        let mut body = BytesMut::with_capacity(self.bytes);
        self.segments.iter().for_each(|segment| body.extend_from_slice(segment));
        body.freeze()
    }
}

/// Routes the requests for one group.
#[derive(Debug)]
pub struct Coordinator<T> {
    group: GroupId,
    incarnation: Incarnation,
    config: CoordinatorConfig,
    view: Option<View>,
    /// Members decide by themselves who leads: whoever is taken for the primary may not be, and nobody may
    /// come to say so. These are asked too.
    asks_around: Option<Vec<NodeId>>,
    /// Every member executes requests by itself, and knows nothing of what others have executed.
    takes_any: bool,
    /// How often in this view a batch came back, from whoever was taken for the primary.
    detours: usize,
    sequence: u64,
    arrived: Vec<Submission<T>>,
    /// What has been given a sequence number and not been answered.
    batches: BTreeMap<u64, Batch<T>>,
    parked: Parked<T>,
    replies: Vec<(T, Reply)>,
}

impl<T> Coordinator<T> {
    /// A coordinator that knows no view. `incarnation` is of this start of the process; no two starts,
    /// anywhere, may have the same.
    #[must_use]
    pub fn new(group: GroupId, incarnation: Incarnation, config: CoordinatorConfig) -> Self {
        Self {
            group,
            incarnation,
            config,
            view: None,
            asks_around: None,
            takes_any: false,
            detours: 0,
            sequence: 0,
            arrived: Vec::new(),
            batches: BTreeMap::new(),
            parked: Parked::default(),
            replies: Vec::new(),
        }
    }

    /// The group that it serves.
    #[must_use]
    pub fn group(&self) -> GroupId {
        self.group
    }

    /// Which start of which coordinator this is.
    #[must_use]
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// The view as it is cached.
    #[must_use]
    pub fn view(&self) -> Option<&View> {
        self.view.as_ref()
    }

    /// The members decide by themselves who leads: if the primary of the view does not answer, others are
    /// asked, who name the one that they know. If none of them is a member any more, one of `nodes` is.
    pub fn ask_around(&mut self, nodes: Vec<NodeId>) {
        self.asks_around = Some(nodes);
    }

    /// The view service says who leads.
    pub fn rely_on_views(&mut self) {
        self.asks_around = None;
    }

    /// Every member executes requests by itself: the primary of the view is only the one that is asked first.
    /// What one of them may have executed is taken to no other.
    pub fn take_any(&mut self) {
        (self.asks_around, self.takes_any) = (Some(Vec::new()), true);
    }

    /// Whether it does so.
    #[must_use]
    pub fn takes_any(&self) -> bool {
        self.takes_any
    }

    /// Whoever is to be asked first can be asked again.
    pub fn come_home(&mut self) {
        self.detours = 0;
    }

    /// Whether it does so.
    #[must_use]
    pub fn asks_around(&self) -> bool {
        self.asks_around.is_some()
    }

    /// The nodes that it asks beside members, if it asks around.
    #[must_use]
    pub fn asks_beside(&self) -> Option<&[NodeId]> {
        self.asks_around.as_deref()
    }

    /// The batches that have not been answered, and whose requests each carries, in their order.
    pub fn outstanding(&self) -> impl Iterator<Item = (u64, &[T])> {
        self.batches
            .iter()
            .chain(self.parked.iter())
            .map(|(sequence, batch)| (*sequence, batch.clients.as_slice()))
    }

    /// Takes a request for the next batch.
    pub fn submit(&mut self, submission: Submission<T>) {
        self.arrived.push(submission);
    }

    /// What is to be told to clients.
    pub fn replies(&mut self) -> std::vec::Drain<'_, (T, Reply)> {
        self.replies.drain(..)
    }

    /// A view was learnt, from wherever. What was sent to a primary that is none any more, or that has been
    /// started again since, is sent again to the new one.
    pub fn learn(&mut self, view: &View) {
        let is_news = self.view.as_ref().is_none_or(|known| view.number > known.number);
        if !view.valid() {
            return;
        }
        if !is_news {
            return self.learn_members(view);
        }
        self.detours = 0;
        let before = self.view.replace(view.clone());
        if self.takes_any {
            // Whoever has a batch goes on with it, whatever becomes of its copy.
            return self.batches.values_mut().for_each(Batch::view_changed);
        }
        let goes_on =
            before.as_ref().is_some_and(|before| (before.primary, before.boot) == (view.primary, view.boot));
        // In a view between, somebody else may have led, and this primary forgotten whom it has to answer.
        let has_led_since = before.is_some_and(|before| before.number.next() == view.number);
        if !(goes_on && has_led_since) {
            self.parked.ask_again(&mut self.batches);
        }
        for batch in self.batches.values_mut() {
            if !goes_on {
                batch.primary_changed();
            }
            batch.view_changed();
        }
    }

    /// Under one leader, others may belong to a Raft group than before. Whoever asks around learns whom to
    /// ask.
    fn learn_members(&mut self, view: &View) {
        let known = self.view.as_mut().filter(|known| known.number == view.number);
        if let Some(known) = known.filter(|_| self.asks_around.is_some()) {
            known.clone_from(view);
        }
    }

    /// The connection to a node broke: its answers are lost.
    pub fn lost(&mut self, node: NodeId) {
        self.pass_by(node);
        self.batches.values_mut().for_each(|batch| batch.give_up_on(|other| other == node));
        if self.view.as_ref().is_some_and(|view| view.primary == node) {
            self.parked.ask_again(&mut self.batches);
        }
    }

    /// A node is of no use as the primary: the next one is asked. However many batches it refuses, that is
    /// one step, or as many as there are members would lead back to it each time.
    fn pass_by(&mut self, node: NodeId) {
        self.detours += usize::from(self.addressee() == Some(node));
    }

    /// Another node has answered. An answer to another start of this coordinator is none. Only whoever has a
    /// batch can say what becomes of it: what a node says that had it before may come late.
    pub fn answered(&mut self, from: NodeId, answer: Answer) {
        let Answer { coordinator, sequence, outcome, .. } = answer;
        if coordinator != self.incarnation {
            return;
        }
        let is_over = matches!(outcome, Outcome::Done { .. } | Outcome::Forgotten);
        let batch = self.batches.get(&sequence).or_else(|| self.parked.get(sequence));
        match outcome {
            outcome if is_over || batch.and_then(Batch::sent_to) == Some(from) => {
                self.complete(sequence, outcome);
            }
            Outcome::NotPrimary(Some(view)) => self.learn(&view),
            _ => {}
        }
    }

    /// A batch has ended; one that has been answered before ends only once.
    pub fn complete(&mut self, sequence: u64, outcome: Outcome) {
        self.parked.wake(sequence, &outcome, &mut self.batches);
        let Some(batch) = self.batches.get_mut(&sequence) else { return };
        match outcome {
            Outcome::Parked => self.parked.park(sequence, &mut self.batches),
            Outcome::Done { response, as_of } => {
                let Some(batch) = self.batches.remove(&sequence) else { return };
                self.parked.heard(sequence, &batch);
                let (kind, mut replies) = (batch.kind, split_response(&response));
                for (segment, client) in batch.into_requests() {
                    match replies.next() {
                        Some(Ok(Some(reply))) => self.replies.push((client, Reply::Done { reply, as_of })),
                        Some(Ok(None)) => self.arrived.push(Submission { kind, segment, client }),
                        _ => self.replies.push((client, Reply::Broken)),
                    }
                }
            }
            Outcome::NotPrimary(view) => {
                let by = batch.refuse(Reply::Refused);
                by.into_iter().for_each(|node| self.pass_by(node));
                if let Some(view) = view {
                    self.learn(&view);
                }
            }
            Outcome::Busy => {
                let by = batch.refuse(Reply::Refused);
                by.into_iter().for_each(|node| self.pass_by(node));
            }
            Outcome::TooFewCopies { has, needs } if self.takes_any => {
                // Whoever is sent it in vain may have executed it: the copies that this one does not see are
                // not asked.
                batch.refuse(Reply::TooFewCopies { has, needs });
            }
            Outcome::TooFewCopies { has, needs } => {
                let newest = self.view.as_ref().map(|view| view.number);
                batch.refuse_in_this_view(Reply::TooFewCopies { has, needs }, newest);
            }
            Outcome::Forgotten => {
                let Some(batch) = self.batches.remove(&sequence) else { return };
                self.parked.heard(sequence, &batch);
                self.replies.extend(batch.clients.into_iter().map(|client| (client, Reply::Forgotten)));
            }
            Outcome::Kept { bytes } => batch.kept(bytes as usize),
            Outcome::Executing => batch.will_be_executed(),
            Outcome::Unknown => batch.lose(),
        }
    }

    /// A batch of reads is answered by a backup on this node.
    pub fn read_here(&mut self, sequence: u64) {
        if let Some(batch) = self.batches.get_mut(&sequence) {
            batch.read_here();
        }
    }

    /// Makes batches of what has arrived, and pushes what is to be sent now.
    pub fn dispatch(&mut self, now: Instant, reads: ReadBatches, dispatches: &mut Vec<Dispatch>) {
        self.make_batches(now, reads);
        if self.parked.wants_to_speak(now) {
            self.add_batch(now, Kind::Write, Open::default());
        }
        self.batches.values_mut().for_each(|batch| batch.renew(now));
        self.expire(now);
        let late = self.batches.values().filter(|batch| batch.is_late(now));
        let silent: BTreeSet<NodeId> = late.filter_map(Batch::sent_to).collect();
        silent.into_iter().for_each(|node| self.pass_by(node));
        let Some((to, view)) = self.addressee().zip(self.view.as_ref().map(|view| view.number)) else {
            return;
        };
        // What is parked holds nothing else up.
        let first = self.batches.iter().find(|(_, batch)| !batch.is_parked()).map(|(sequence, _)| *sequence);
        let done_below = first.unwrap_or(self.sequence + 1);
        let (group, coordinator) = (self.group, self.incarnation);
        for batch in self.batches.values_mut() {
            // A request or its answer was lost on the way: connections end, and begin, at either end by
            // itself.
            if batch.is_late(now) {
                batch.lose();
                batch.try_at(now);
                self.parked.doubt();
            }
        }
        let last_large = self.last_large();
        for (sequence, batch) in &mut self.batches {
            let may_leave = !batch.is_large() || *sequence <= last_large;
            if may_leave && batch.is_due_at().is_some_and(|due| due <= now) {
                let (part, body) = batch.next();
                let is_lost = batch.is_lost();
                batch.sent(to, view, now);
                let (sequence, kind, heard) = (*sequence, batch.kind, batch.heard.clone());
                let forward =
                    Forward { group, view, coordinator, sequence, done_below, kind, part, heard, body };
                dispatches.push(Dispatch { to, forward, is_lost });
            }
        }
    }

    /// Who is asked: the primary; and after it, if members decide who that is, one member after the other.
    fn addressee(&self) -> Option<NodeId> {
        let view = self.view.as_ref()?;
        let Some(others) = self.asks_around.as_ref().filter(|_| self.detours > 0) else {
            return Some(view.primary);
        };
        let members = view.members.iter().map(|member| member.node);
        let others = others.iter().copied().filter(|node| view.member(*node).is_none());
        let asked: Vec<NodeId> = members.chain(others).collect();
        let at = asked.iter().position(|node| *node == view.primary)?;
        asked.get((at + self.detours) % asked.len()).copied()
    }

    /// The last large batch that may be on its way; those behind it wait.
    fn last_large(&self) -> u64 {
        let large = self.batches.iter().filter(|(_, batch)| batch.is_large());
        large.take(LARGE_TOGETHER).last().map_or(0, |(sequence, _)| *sequence)
    }

    /// When something must be tried again or given up.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let last_large = self.last_large();
        let wants = |(sequence, batch): (&u64, &Batch<T>)| {
            let expires = batch.ends_at(self.config.request_timeout);
            let may_leave = self.view.is_some() && (!batch.is_large() || *sequence <= last_large);
            let due = batch.is_due_at().filter(|_| may_leave);
            [expires, batch.is_late_at(), due].into_iter().flatten().min()
        };
        // What was not executed for want of room in a response goes into the next batch.
        let again = (!self.arrived.is_empty()).then_some(Instant::ZERO);
        self.batches.iter().filter_map(wants).chain(again).chain(self.parked.deadline()).min()
    }

    fn make_batches(&mut self, now: Instant, reads: ReadBatches) {
        let mut open: BTreeMap<Kind, Open<T>> = BTreeMap::new();
        let mut arrived = std::mem::take(&mut self.arrived);
        for Submission { kind, segment, client } in arrived.drain(..) {
            let is_large = segment.len() >= self.config.large_bytes;
            let batch = open.entry(kind).or_default();
            if is_large && !batch.clients.is_empty() {
                let batch = std::mem::take(batch);
                self.add_batch(now, kind, batch);
            }
            let batch = open.entry(kind).or_default();
            batch.push(segment, client);
            let travels_alone = kind == Kind::Wait || kind == Kind::Read && reads == ReadBatches::Apart;
            if travels_alone || batch.bytes >= self.config.batch_bytes_max {
                let batch = open.remove(&kind).unwrap_or_default();
                self.add_batch(now, kind, batch);
            }
        }
        self.arrived = arrived;
        for (kind, batch) in open {
            self.add_batch(now, kind, batch);
        }
    }

    fn add_batch(&mut self, now: Instant, kind: Kind, mut open: Open<T>) {
        self.sequence += 1;
        let sizes = open.segments.iter().map(Bytes::len).collect();
        let large = self.batches.values().filter(|batch| batch.is_large());
        let ahead = large.map(Batch::takes).sum();
        let mut batch = Batch::new(now, kind, open.body(), open.clients, sizes, &self.config).behind(ahead);
        if kind != Kind::Read {
            batch.heard = self.parked.speak(now);
        }
        if self.takes_any {
            batch = batch.send_once();
        }
        self.batches.insert(self.sequence, batch);
    }

    /// The database was dropped: everything that waits is answered.
    #[must_use]
    pub fn disband(mut self) -> Vec<(T, Reply)> {
        let mut replies = std::mem::take(&mut self.replies);
        for batch in std::mem::take(&mut self.batches).into_values().chain(self.parked.into_batches()) {
            let reply = match batch.end() {
                Reply::Unknown => Reply::Unknown,
                _ => Reply::NoDatabase,
            };
            replies.extend(batch.into_requests().map(|(_, client)| (client, reply.clone())));
        }
        replies.extend(self.arrived.into_iter().map(|request| (request.client, Reply::NoDatabase)));
        replies
    }

    fn expire(&mut self, now: Instant) {
        let timeout = self.config.request_timeout;
        let ended = self.batches.extract_if(.., |_, batch| {
            let is_late = batch.ends_at(timeout).is_some_and(|end| now >= end);
            is_late || batch.is_dangerous() || batch.is_past_hope()
        });
        for (sequence, batch) in ended {
            let reply = batch.end();
            self.parked.give_up(sequence, &batch);
            self.replies.extend(batch.into_requests().map(|(_, client)| (client, reply.clone())));
        }
    }
}
