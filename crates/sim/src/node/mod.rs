//! One machine: its clock and its disk, which survive, and the process on it, which may not.
//!
//! A process takes *turns*: everything that has arrived since the last one is taken at once, by the same drivers
//! around the same protocol cores as in the node crate (`group`, `snapshots`, `coordinator`, `view_node`).

pub mod archive;
pub mod coordinator;
pub mod group;
mod process;
mod snapshots;
pub mod view_node;

use std::collections::BTreeMap;
use std::rc::Rc;

use onecopy_core::{GroupId, Incarnation, NodeId, Ticket};

use crate::clock::{Clock, MS, Time};
use crate::disk::{Disk, Job};
use crate::env::{Env, Event};
use crate::message::Packet;
use archive::{ArchiveEvent, ArchiveJob};
use coordinator::Submission;
use group::Wish;
pub use process::Process;
use view_node::ViewWish;

/// What has happened to a process since its last turn.
#[derive(Debug)]
pub enum Happened {
    /// A client wants something.
    Submitted(Submission),
    /// Another node said something.
    Received(NodeId, Packet),
    /// The connection to a node broke.
    Lost(NodeId),
    /// Writes are durable.
    Persisted(GroupId, Ticket),
    /// The snapshot thread did something.
    Archived(ArchiveEvent),
    /// The control side has learnt a view table.
    Learnt(Rc<onecopy_views::Table>),
    /// Fill the log of the view table.
    Churn,
}

/// What a turn wants of the outside.
#[derive(Debug, Default)]
pub struct Out {
    /// To be made durable.
    pub jobs: Vec<Job>,
    /// For the snapshot thread.
    pub archive: Vec<ArchiveJob>,
    /// Of the data group.
    pub wishes: Vec<Wish>,
    /// Of the view service.
    pub view_wishes: Vec<ViewWish>,
}

/// One machine.
#[derive(Debug)]
pub struct Node {
    /// Its name.
    pub id: NodeId,
    /// Its clocks.
    pub clock: Clock,
    /// Its disk.
    pub disk: Disk,
    /// The life of its data.
    pub incarnation: Incarnation,
    /// The life of its whole disk.
    pub view_member: Incarnation,
    /// Who the view nodes are.
    pub view_nodes: Rc<BTreeMap<NodeId, Incarnation>>,
    /// The process, if one runs.
    pub process: Option<Process>,
    /// Counts the processes: what an earlier one asked of the disk is no business of a later one.
    pub generation: u64,
    /// Standing still until then.
    pub paused_until: Time,
    /// The data thread stands still until then.
    pub stalled_until: Time,
    /// The disk does nothing until then.
    pub disk_stalled_until: Time,
    /// How many faults make the disk slow, and the node.
    pub slow_disk: u32,
    /// See there.
    pub slow_node: u32,
    /// The turn that is scheduled.
    next_turn: Option<Time>,
    archive_free_at: Time,
}

impl Node {
    /// A machine with an empty disk, on which nothing runs yet.
    #[must_use]
    pub fn new(
        id: NodeId,
        clock: Clock,
        incarnation: Incarnation,
        view_nodes: Rc<BTreeMap<NodeId, Incarnation>>,
    ) -> Self {
        Self {
            id,
            clock,
            disk: Disk::default(),
            incarnation,
            view_member: view_nodes.get(&id).copied().unwrap_or_default(),
            view_nodes,
            process: None,
            generation: 0,
            paused_until: 0,
            stalled_until: 0,
            disk_stalled_until: 0,
            slow_disk: 0,
            slow_node: 0,
            next_turn: None,
            archive_free_at: 0,
        }
    }

    /// Starts a process.
    pub fn start(&mut self, env: &mut Env) {
        assert!(self.process.is_none(), "two processes on {}", self.id);
        self.generation += 1;
        self.disk.boot += 1;
        env.note(self.id, || format!("starts, boot {}", self.disk.boot));
        let mut out = Out::default();
        let process = Process::start(self, env, &mut out);
        self.process = Some(process);
        self.carry_out(env, out);
        self.turn_by(env, env.time);
    }

    /// The process dies.
    pub fn crash(&mut self, env: &mut Env) {
        if self.process.take().is_some() {
            env.note(self.id, || "crashes".to_owned());
            env.stats.torn += u64::from(self.disk.crash(&mut env.dice));
            self.generation += 1;
            self.next_turn = None;
            self.archive_free_at = 0;
            env.checks.crashed(self.id);
        }
    }

    /// Something happened to the process; if there is none, to nobody.
    pub fn happened(&mut self, env: &mut Env, what: Happened) {
        let Some(process) = &mut self.process else { return };
        process.inbox.push(what);
        let delay = match self.slow_node {
            0 => 0,
            _ => env.dice.between(MS, 40 * MS),
        };
        self.turn_by(env, env.time + delay);
    }

    /// Takes a turn no later than `at`.
    fn turn_by(&mut self, env: &mut Env, at: Time) {
        if self.next_turn.is_none_or(|next| next > at) {
            self.next_turn = Some(at);
            env.schedule(at, Event::Turn(self.id));
        }
    }

    /// A turn is due, unless there has been an earlier one instead.
    pub fn turn(&mut self, env: &mut Env) {
        if self.next_turn != Some(env.time) {
            return;
        }
        self.next_turn = None;
        if self.paused_until > env.time {
            return self.turn_by(env, self.paused_until);
        }
        let Some(mut process) = self.process.take() else { return };
        let mut out = Out::default();
        let stalled = self.stalled_until > env.time;
        let deadline = process.turn(self, stalled, env, &mut out);
        self.process = Some(process);
        self.carry_out(env, out);
        let mut at = self.clock.time_of(deadline).max(env.time + 1);
        if stalled {
            at = at.min(self.stalled_until);
        }
        self.turn_by(env, at);
    }

    // ---- the disk -----------------------------------------------------------------------------------------

    fn carry_out(&mut self, env: &mut Env, out: Out) {
        for job in out.jobs {
            if self.disk.submit(job) {
                self.start_sync(env);
            }
        }
        for job in out.archive {
            let at = self.archive_free_at.max(env.time).max(self.disk_stalled_until) + self.disk_latency(env);
            self.archive_free_at = at;
            env.schedule(at, Event::Archived(self.id, self.generation, Box::new(job)));
        }
    }

    fn disk_latency(&self, env: &mut Env) -> Time {
        let usual = env.dice.between(env.profile.sync / 10, env.profile.sync);
        if self.slow_disk > 0 { usual * env.dice.between(10, 50) } else { usual }
    }

    fn start_sync(&mut self, env: &mut Env) {
        let at = env.time.max(self.disk_stalled_until) + self.disk_latency(env);
        env.schedule(at, Event::Synced(self.id, self.generation));
    }

    /// A sync is done.
    pub fn synced(&mut self, env: &mut Env, generation: u64) {
        if generation != self.generation {
            return;
        }
        let (done, more) = self.disk.synced();
        if more {
            self.start_sync(env);
        }
        for (group, ticket) in done {
            self.happened(env, Happened::Persisted(group, ticket));
        }
    }

    /// A snapshot file has been worked on.
    pub fn archived(&mut self, env: &mut Env, generation: u64, job: ArchiveJob) {
        if generation != self.generation {
            return;
        }
        let Some(process) = &mut self.process else { return };
        if let Some(event) = process.archive.work(&mut self.disk, job) {
            self.happened(env, Happened::Archived(event));
        }
    }
}
