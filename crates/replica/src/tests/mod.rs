//! One replica at a time: the state after each input, and the exact list of its effects.

mod divergence;
mod flow;
mod handover;
mod hostile;
mod joining;
mod leases;
mod pace;
mod reads;
mod receiving;
mod sending;
mod serving;
mod snapshots;
mod tails;
mod views;
mod window;
mod writes;
mod written;

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::chunks::Chunk;
use onecopy_core::{
    BootNumber, Digest, Entry, EntryId, Grounds, GroupId, Incarnation, Index, Instant, Member, NodeId,
    Petition, Plea, Protocol, Recovered, Ticket, Timestamp, View, ViewNumber, Write,
};

use crate::promise::Promise;
use crate::{
    Base, Config, Effect, Granted, HandoverError, Input, Loan, Message, Refusal, Replica, Standing, Terms,
};

const N1: NodeId = NodeId(1);
const N2: NodeId = NodeId(2);
const N3: NodeId = NodeId(3);
const N4: NodeId = NodeId(4);

/// The boot of every process, and of every view, unless a test says otherwise.
const BOOT: BootNumber = BootNumber(1);

/// How often a primary sends, in milliseconds; suspicions begin after ten times as much.
const INTERVAL: u64 = 50;

fn member(node: NodeId) -> Member {
    Member { node, incarnation: Incarnation(u128::from(node.0)) }
}

fn view(number: u64, primary: NodeId, members: &[NodeId], learners: &[NodeId]) -> View {
    let replicas = |nodes: &[NodeId]| nodes.iter().copied().map(member).collect();
    View {
        number: ViewNumber(number),
        primary,
        boot: BOOT,
        members: replicas(members),
        learners: replicas(learners),
    }
}

fn config() -> Config {
    Config::new(GroupId(1), member(N1), BOOT)
}

/// Entries in these tests differ by their names alone.
fn entry(index: u64, epoch: u64) -> Entry {
    Entry { id: EntryId::new(index, epoch), time: Timestamp(0), seed: 0, payload: Bytes::new() }
}

/// The entries 1, 2, … of these epochs.
fn entries(epochs: &[u64]) -> Vec<Entry> {
    epochs.iter().zip(1..).map(|(epoch, index)| entry(index, *epoch)).collect()
}

fn id(index: u64, epoch: u64) -> EntryId {
    EntryId::new(index, epoch)
}

fn recovered(promised: Option<&View>, epochs: &[u64], commit: u64) -> Recovered {
    Recovered {
        state: promised.map(|view| promise(view, 0)),
        base: EntryId::ZERO,
        entries: entries(epochs),
        commit: Index(commit),
    }
}

/// What is on disk of a promise; `lease` is in milliseconds.
fn promise(view: &View, lease: u64) -> Bytes {
    Promise { view: view.clone(), lease: Duration::from_millis(lease) }.encode()
}

/// The replica of n1.
struct Subject {
    replica: Replica,
    now: Instant,
}

impl Subject {
    /// One that has never heard of any view.
    fn fresh() -> Self {
        Self::start(config(), Recovered::default()).0
    }

    fn start(config: Config, recovered: Recovered) -> (Self, Vec<Effect>) {
        let mut effects = Vec::new();
        let replica = Replica::new(config, recovered, Base::default(), Instant::ZERO, &mut effects).unwrap();
        replica.check_invariants();
        (Self { replica, now: Instant::ZERO }, effects)
    }

    /// One that was restarted with this log, has since been told of `view`, and has promised it durably with
    /// ticket 1. A primary has not yet written its no-op, ticket 2.
    fn told(config: Config, view: &View, epochs: &[u64], commit: u64) -> Self {
        let (mut subject, _) = Self::start(config, recovered(None, epochs, commit));
        subject.announce(view);
        subject.persisted(1);
        subject
    }

    /// The primary of `view` 1 with an empty log, whose no-op (#1@1) every member has and which is committed.
    fn leading_with(config: Config, view: &View) -> Self {
        let mut subject = Self::told(config, view, &[], 0);
        subject.persisted(2);
        for backup in view.backups() {
            subject.receive(backup.node, ok(1, 1));
        }
        assert_eq!((subject.replica.standing(), subject.replica.commit()), (Standing::Primary, Index(1)));
        subject
    }

    fn leading(view: &View) -> Self {
        Self::leading_with(config(), view)
    }

    fn step(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.replica.step(self.now, input, &mut effects);
        self.replica.check_invariants();
        effects
    }

    fn announce(&mut self, view: &View) -> Vec<Effect> {
        self.step(Input::Announced { view: view.clone() })
    }

    fn receive(&mut self, from: NodeId, message: Message) -> Vec<Effect> {
        self.step(Input::Received { from, message })
    }

    fn persisted(&mut self, ticket: u64) -> Vec<Effect> {
        self.step(Input::Persisted { ticket: Ticket(ticket) })
    }

    fn propose(&mut self) -> Vec<Effect> {
        self.propose_bytes(0)
    }

    fn propose_bytes(&mut self, bytes: usize) -> Vec<Effect> {
        self.step(Input::Propose { payload: vec![0; bytes].into(), time: Timestamp(0), seed: 0 })
    }

    fn read(&mut self, token: u64) -> Vec<Effect> {
        self.step(Input::Read { token, at_least: Index(0), touched: None })
    }

    /// Lets time pass, then tells the replica.
    fn elapse(&mut self, milliseconds: u64) -> Vec<Effect> {
        self.now = self.now + Duration::from_millis(milliseconds);
        self.step(Input::Elapsed)
    }

    /// So many heartbeat intervals pass, in each of which it is told the time; what it wants in all of them.
    fn wait(&mut self, intervals: u64) -> Vec<Effect> {
        (0..intervals).flat_map(|_| self.elapse(INTERVAL)).collect()
    }

    /// The names of the entries in the log, and how far they are durable and committed.
    fn log(&self) -> (Vec<EntryId>, u64, u64) {
        let log = self.replica.log();
        let names = log.after(log.base().index, usize::MAX).iter().map(|entry| entry.id).collect();
        let status = self.replica.status(self.now);
        (names, status.durable.0, status.commit.0)
    }
}

fn sends(to: NodeId, message: Message) -> Effect {
    Effect::Send { to, message, after: None }
}

fn holds(to: NodeId, message: Message, ticket: u64) -> Effect {
    Effect::Send { to, message, after: Some(Ticket(ticket)) }
}

fn persists(ticket: u64, write: Write) -> Effect {
    Effect::Persist { ticket: Ticket(ticket), writes: vec![write] }
}

fn promises(ticket: u64, view: &View) -> Effect {
    persists(ticket, Write::State(promise(view, 0)))
}

fn appends(ticket: u64, entries: Vec<Entry>, commit: u64) -> Effect {
    persists(ticket, Write::Append { entries, commit: Index(commit) })
}

fn applies(entries: Vec<Entry>) -> Effect {
    Effect::Apply { entries }
}

fn becomes(standing: Standing, view: &View) -> Effect {
    Effect::ViewChanged { view: view.clone(), standing }
}

fn suspects(view: u64, node: NodeId, milliseconds: u64) -> Effect {
    let grounds = Grounds::Silent(Duration::from_millis(milliseconds));
    petitions(view, Plea::Suspect { node, grounds })
}

fn petitions(view: u64, plea: Plea) -> Effect {
    config().petition(ViewNumber(view), plea)
}

fn is_suspicion(effect: &Effect) -> bool {
    matches!(effect, Effect::Petition(Petition { plea: Plea::Suspect { .. }, .. }))
}

fn prepare(view: &View, sequence: u64, previous: EntryId, entries: Vec<Entry>, commit: u64) -> Message {
    Message::Prepare {
        view: view.clone(),
        sequence,
        previous,
        entries,
        commit: Index(commit),
        digest: None,
        terms: None,
    }
}

fn ok(view: u64, durable: u64) -> Message {
    Message::PrepareOk { view: ViewNumber(view), durable: Index(durable), checked: Index(0), terms: None }
}

fn reject(view: u64, sequence: u64, agreed: u64, last: EntryId) -> Message {
    Message::PrepareReject { view: ViewNumber(view), sequence, agreed: Index(agreed), last }
}

fn confirm(view: u64, round: u64) -> Message {
    Message::Confirm { view: ViewNumber(view), round }
}

fn confirmed(view: u64, round: u64) -> Message {
    Message::Confirmed { view: ViewNumber(view), round }
}

/// A snapshot of no bytes was taken.
fn taken(snapshot: EntryId) -> Input {
    Input::SnapshotTaken { snapshot, time: Timestamp(0), bytes: 0 }
}

fn chunk(snapshot: EntryId, offset: u64, length: usize, last: bool) -> Chunk {
    Chunk { snapshot, time: Timestamp(0), offset, data: Bytes::from(vec![7; length]), last }
}
