//! One turn of the data thread: what has happened goes into the data plane, and what it wants goes to the
//! disk, to peers, to the control thread and to clients.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use onecopy_core::{GroupId, Instant, NodeId, Ticket};
use onecopy_host::clock;
use onecopy_host::{DataEffect, DataPlane, Kind, Out};
use onecopy_keyspace::Keyspace;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{info, warn};

use super::inbox::{Event, FromControl, Inbox};
use super::observer::Telling;
use super::starting::Starting;
use super::threads::{Client, Mailboxes, Threads};
use crate::archive::Archive;
use crate::client::front::Front;
use crate::client::{Clients, connection};
use crate::clock::Clock;
use crate::control::FromData;
use crate::journal::{Journal, JournalEvent};
use crate::lock::lock;
use crate::peer::PeerEvent;
use crate::peer::accept::{self, Accepted};
use crate::peer::link::Links;
use crate::peer::message::DataMessage;
use crate::status::{DataStatus, ReplicaCounters, ReplicaStatus};
use onecopy_views::MAIN;

/// The status is renewed at most this often.
const STATUS_INTERVAL: Duration = Duration::from_millis(20);

/// A failover takes less: whoever cannot serve for so long says so.
const UNREADY_PATIENCE: Duration = Duration::from_secs(2);

/// How many connections to this node others have, over all data threads.
pub(crate) type Callers = Arc<Mutex<BTreeMap<NodeId, u32>>>;

/// Everything that belongs to a data thread.
#[derive(Debug)]
pub(crate) struct Plane {
    pub(crate) clock: Clock,
    pub(crate) data: DataPlane<Keyspace, Client>,
    /// What the data plane wants; empty between turns.
    pub(crate) out: Out<DataEffect>,
    pub(crate) journal: Journal,
    /// What became durable as it was handed to the journal. Empty between turns.
    pub(crate) durable: Vec<(GroupId, Ticket)>,
    pub(crate) archive: Archive,
    pub(crate) links: Links,
    pub(crate) inbox: Rc<Inbox>,
    /// To the control thread, which passes it on to the view nodes.
    pub(crate) control: UnboundedSender<FromData>,
    pub(crate) telling: Telling,
    pub(crate) status: Arc<DataStatus>,
    /// When the status may be renewed again, and whether something has happened since it was.
    pub(crate) status_due: Instant,
    pub(crate) status_is_old: bool,
    /// The groups whose status tells for how long they have been waiting for something.
    pub(crate) waiting: BTreeSet<GroupId>,
    /// Who leads, as far as the coordinators here know.
    pub(crate) primaries: BTreeSet<NodeId>,
    /// How many connections to this node others have.
    pub(crate) callers: Callers,
    /// Where this node takes other nodes.
    pub(crate) peer: String,
    /// Since when it cannot serve, and whether that was said.
    pub(crate) unready: Option<(Instant, bool)>,
    /// On a node that holds data.
    pub(crate) starting: Option<Starting>,
    /// On a node that takes clients.
    pub(crate) clients: Option<Rc<Clients>>,
    pub(crate) threads: Threads,
}

impl Plane {
    /// The time.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now()
    }

    /// Takes everything that has happened, and does everything that follows from it.
    pub(crate) fn turn(&mut self, events: impl Iterator<Item = Event>) {
        let now = self.clock.now();
        self.status.thread(self.threads.me()).turn_begins(now);
        self.data.set_elsewhere(self.status.beside(self.threads.me()));
        for event in events {
            let Some(event) = self.threads.sort(event) else { continue };
            self.take(now, event);
            if !self.journal.is_direct() {
                // The disks work while the turn goes on.
                self.submit_jobs();
            }
        }
        self.write_down(now);
        self.data.route(now, &mut self.out);
        self.data.end_turn(now, self.clock.wall(), &mut self.telling, &mut self.out);
        self.mind_the_clock();
        self.settle(now);
        for group in self.status.thread(self.threads.me()).take_killed() {
            self.data.stop_read(group);
        }
        if self.data.has_long() {
            self.data.go_on(now, &mut self.telling, &mut self.out);
            self.settle(now);
        }
        self.renew_status(now);
        let status = self.status.thread(self.threads.me());
        status.set_occupied(self.data.occupied());
        status.turn_ends(self.clock.now());
    }

    /// Writes what is to be written, and sends and answers what follows.
    fn settle(&mut self, now: Instant) {
        self.write_down(now);
        self.data.hand_out(&mut self.out);
        self.carry_out();
        self.data.replies().for_each(|(client, reply)| self.threads.reply(client, reply));
        self.threads.deliver();
    }

    /// When the next turn is due if nothing happens.
    pub(crate) fn due(&self, now: Instant) -> Option<Instant> {
        let status = self.status_is_old.then_some(self.status_due);
        let complaint =
            self.unready.filter(|(_, was_said)| !was_said).map(|(since, _)| since + UNREADY_PATIENCE);
        [self.data.deadline(now), status, complaint].into_iter().flatten().min()
    }

    fn take(&mut self, now: Instant, event: Event) {
        let (data, telling, out) = (&mut self.data, &mut self.telling, &mut self.out);
        match event {
            Event::Submitted { group, submission } => data.submit(group, submission),
            Event::Peer(PeerEvent::Lost { node }) => data.lost(node),
            Event::Peer(PeerEvent::Arriving { from }) => data.arriving(now, from, telling, out),
            Event::Peer(PeerEvent::Received { from, message }) => match message {
                DataMessage::Replica { group, message } => {
                    data.received(now, from, group, message, telling, out);
                }
                DataMessage::Heartbeat(message) => data.heartbeat(now, from, message, out),
                DataMessage::Forward(forward) => data.forwarded(from, forward, out),
                DataMessage::Answer(answer) => data.answered(from, answer),
            },
            Event::Met => {}
            Event::Journal(JournalEvent::Persisted { group, ticket }) => {
                data.persisted(now, group, ticket, telling, out);
            }
            Event::Journal(JournalEvent::SnapshotWanted { group, bytes }) => {
                data.snapshot_wanted(group, bytes, telling);
            }
            Event::Archive(event) => data.archived(now, event, telling, out),
            Event::Control(FromControl::Table(table)) => {
                self.links.follow(&table);
                self.start_new_groups(&table);
                self.data.announced(now, &table, &mut self.telling, &mut self.out);
                self.clients.iter().for_each(|clients| clients.policy_changed());
            }
            Event::Control(FromControl::Call(call)) => self.answer_call(call),
            Event::Control(FromControl::HandOver { group, to }) => {
                data.hand_over(now, group, to, telling, out)
            }
            Event::Control(FromControl::Leave) => data.leave(),
            // A client that has hung up does not mind.
            Event::Replied { client, reply } => drop(client.send(reply)),
            Event::Called { id, address, front, stream } => self.serve(id, (address, front), stream),
        }
    }

    fn serve(&self, id: u64, call: (SocketAddr, Arc<Front>), stream: std::net::TcpStream) {
        if let Some(clients) = &self.clients {
            connection::spawn(stream, call, id, clients.clone());
        }
    }

    fn answer_call(&self, call: Accepted) {
        let (inbox, callers, from) = (self.inbox.clone(), self.callers.clone(), call.from);
        *lock(&callers).entry(from).or_default() += 1;
        // Where the other node has as many threads, what comes is for this one.
        let concerns_all = call.thread.1 as usize != self.threads.count();
        let (me, mailboxes) = (self.threads.me(), self.threads.mailboxes());
        let event = move |event| {
            match event {
                PeerEvent::Lost { node } => {
                    if let Some(count) = lock(&callers).get_mut(&from) {
                        *count = count.saturating_sub(1);
                    }
                    if concerns_all {
                        tell_others(me, &mailboxes, || Event::Peer(PeerEvent::Lost { node }));
                    }
                }
                PeerEvent::Arriving { from } if concerns_all => {
                    tell_others(me, &mailboxes, || Event::Peer(PeerEvent::Arriving { from }));
                }
                PeerEvent::Arriving { .. } | PeerEvent::Received { .. } => {}
            }
            inbox.push(Event::Peer(event));
        };
        tokio::task::spawn_local(accept::read_messages(call, event));
    }

    /// Gives the disks their work.
    pub(crate) fn submit_jobs(&mut self) {
        self.journal.submit(self.out.writes.drain(..), &mut self.durable);
        self.out.archive.drain(..).for_each(|job| self.archive.submit(job));
    }

    /// Gives the disks their work, and goes on with what is durable at once.
    fn write_down(&mut self, now: Instant) {
        self.submit_jobs();
        while let Some((group, ticket)) = self.durable.pop() {
            // The last one of a group stands for those before it.
            self.durable.retain(|(other, _)| *other != group);
            self.data.persisted(now, group, ticket, &mut self.telling, &mut self.out);
            self.submit_jobs();
        }
    }

    /// What cannot be sent is lost, as on any network: the protocol repeats what matters.
    fn carry_out(&mut self) {
        for effect in std::mem::take(&mut self.out.effects) {
            match effect {
                DataEffect::Replica { to, group, message } => {
                    let _ = self.links.send(to, DataMessage::Replica { group, message });
                }
                DataEffect::Heartbeat { to, message } => {
                    let _ = self.links.send(to, DataMessage::Heartbeat(message));
                }
                DataEffect::Forward { to, forward } => {
                    let (group, sequence) = (forward.group, forward.sequence);
                    if forward.kind == Kind::Read {
                        ReplicaCounters::add(&self.status.replicas_did.reads_forwarded);
                    }
                    if self.links.send(to, DataMessage::Forward(forward)).is_err() {
                        self.data.undelivered(group, sequence);
                    }
                }
                DataEffect::Answer { to, answer } => {
                    let _ = self.links.send(to, DataMessage::Answer(answer));
                }
                // The control thread ends before this one: what is said after it is nobody's business.
                DataEffect::Petition(petition) => {
                    let _ = self.control.send(FromData::Petition(Box::new(petition)));
                }
                DataEffect::UnknownLevel(unknown) => {
                    let _ = self.control.send(FromData::UnknownLevel(unknown));
                }
            }
        }
    }

    /// Why the requests of clients cannot be taken to the primaries and back, if they cannot.
    fn obstacle(&self) -> Option<String> {
        let primaries = &self.primaries;
        if primaries.is_empty() && !self.threads.owns(MAIN) {
            // It has nothing to serve.
            return None;
        }
        if primaries.is_empty() {
            return self.is_cut_off().or_else(|| Some("no view is known yet".to_owned()));
        }
        let mut others = primaries.iter().copied().filter(|primary| *primary != self.data.me());
        others.find_map(|primary| self.is_cut_off().or_else(|| self.obstacle_to(primary)))
    }

    /// Whether no other node gets here.
    fn is_cut_off(&self) -> Option<String> {
        // Then it hears of no view, and no answer gets here.
        let is_cut_off = self.links.has_others() && lock(&self.callers).values().all(|count| *count == 0);
        is_cut_off.then(|| {
            format!(
                "no other node has a connection to this one, which takes other nodes at {}: the others cannot reach it there, or look \
                 for it elsewhere",
                self.peer
            )
        })
    }

    /// Why requests do not get to a primary, or answers do not get back.
    fn obstacle_to(&self, primary: NodeId) -> Option<String> {
        let name = primary.0;
        let (is_reached, address) = self.links.reaches(primary);
        if !is_reached {
            return Some(format!("node {name}, the primary, cannot be reached at {address}"));
        }
        let calls = lock(&self.callers).get(&primary).is_some_and(|count| *count > 0);
        (!calls).then(|| {
            format!(
                "node {name}, the primary, has no connection to this node and cannot answer it: this node takes other nodes at {}, \
                 which the primary cannot reach, or does not know",
                self.peer
            )
        })
    }

    /// What does not pass within a failover is told to people, once.
    fn complain(&mut self, now: Instant, obstacle: Option<&str>) {
        let Some(obstacle) = obstacle else {
            if let Some((_, true)) = self.unready.take() {
                info!("the primary can be reached again");
            }
            return;
        };
        let (since, was_said) = *self.unready.get_or_insert((now, false));
        if !was_said && now.since(since) >= UNREADY_PATIENCE {
            warn!("no client can be served: {obstacle}");
            self.unready = Some((since, true));
        }
    }

    /// Tells people about a wall clock that has jumped.
    fn mind_the_clock(&mut self) {
        let jump = self.data.clock().jump();
        let known = self.status.thread(self.threads.me()).clock_jump();
        // All threads see it, and one of them says so.
        if known.is_some() != jump.is_some() && self.threads.owns(MAIN) {
            match jump {
                Some(jump) => warn!(
                    ahead_ms = jump.ahead_ms,
                    seconds = clock::PATIENCE.as_secs(),
                    "the wall clock has jumped: it is not believed unless that lasts"
                ),
                None => info!("the wall clock is believed"),
            }
        }
        if known != jump {
            self.status.thread(self.threads.me()).set_clock_jump(jump);
        }
    }

    /// Tells people what the copies of optimistic databases have to tell.
    fn tell_news(&mut self) {
        for copy in self.data.copies_mut() {
            let group = copy.id();
            copy.take_news().for_each(|news| self.telling.news(group, &news));
        }
    }

    fn renew_status(&mut self, now: Instant) {
        // Whoever is told that a script runs is told no longer than it does.
        let runs_script = self.status.thread(self.threads.me()).runs_script();
        self.status_is_old = now < self.status_due && !runs_script;
        if self.status_is_old {
            return;
        }
        self.status_due = now + STATUS_INTERVAL;
        self.tell_news();
        let thread = self.threads.me();
        // There may be many groups in which nothing happens.
        let mut changed = self.data.take_changed();
        changed.append(&mut self.waiting);
        if !changed.is_empty() {
            let (known, waiting) = (self.status.thread(thread), &mut self.waiting);
            known.renew(&changed, |id, before| {
                let copy = self.data.copy(id).map(|copy| ReplicaStatus::of_copy(copy, thread, now));
                let of_group = || Some(ReplicaStatus::of(self.data.group(id)?, thread, now, before));
                let status = copy.or_else(of_group)?;
                waiting.extend(status.is_waiting().then_some(id));
                Some(status)
            });
            let views = changed.iter().filter_map(|id| Some((*id, self.data.coordinator(*id)?.view()?)));
            if known.learn(views)
                && let Some(clients) = &self.clients
            {
                clients.knowledge.events.look(&clients.knowledge);
            }
            known.set_held(
                self.data.groups().count() + self.data.copies().count(),
                self.data.snapshot_bytes(),
            );
            // Where members decide who leads, the primary that is known may be none any more: whoever has
            // something to ask finds out.
            let routed = self.data.coordinators().filter(|coordinator| !coordinator.asks_around());
            self.primaries = routed.filter_map(|coordinator| Some(coordinator.view()?.primary)).collect();
        }
        let obstacle = self.obstacle();
        self.complain(now, obstacle.as_deref());
        self.status.thread(thread).set_obstacle(obstacle);
    }
}

/// Tells all data threads but `me`.
fn tell_others(me: usize, mailboxes: &Mailboxes, event: impl Fn() -> Event) {
    for (_, mailbox) in mailboxes.iter().enumerate().filter(|(thread, _)| *thread != me) {
        // Threads end together.
        let _ = mailbox.send(vec![event()]);
    }
}
