//! One machine: its clock and its disk, which survive, and the process on it, which may not.
//!
//! A process takes *turns*: everything that has arrived since the last one is taken at once, as by the
//! threads of the node crate, and goes into the same [`DataPlane`](onecopy_host::DataPlane) and
//! [`ControlPlane`](onecopy_host::ControlPlane).

pub(crate) mod agreement;
pub mod archive;
mod process;
mod report;
mod start;
mod watch;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use onecopy_core::{BootNumber, GroupId, Incarnation, Level, NodeId, Ticket, UnknownLevel, Write};
use onecopy_host::known_nodes::KnownNodes;
use onecopy_host::{ArchiveEvent, ArchiveJob, Job, MemberChange, Submission, VIEW_GROUP, ViewImage};
use onecopy_merge::Replica;
use onecopy_views::Command;

use crate::checks::images;
use crate::client::OpId;
use crate::clock::{Clock, MS, SECOND, Time};
use crate::disk::{Disk, is_of_data};
use crate::env::{Env, Event};
use crate::message::Packet;
use crate::trace::violated;
pub use process::Process;

/// The level that processes of a newer version know: there a `SET` [does more](crate::machine).
pub(crate) const NEWER: Level = Level(2);
/// Of a thousand syncs, after how many the log asks for a snapshot.
const SNAPSHOT_WANTED: u64 = 2;

/// What has happened to a process since its last turn.
#[derive(Debug)]
pub enum Happened {
    /// A client wants something.
    Submitted(Submission<OpId>),
    /// Another node said something.
    Received(NodeId, Packet),
    /// Bytes of what another node says have arrived, but not all.
    Arriving(NodeId),
    /// The connection to a node broke.
    Lost(NodeId),
    /// Nobody listens any more where a node was.
    Refused(NodeId),
    /// Writes are durable.
    Persisted(GroupId, Ticket),
    /// The log would let old segments go if there was a snapshot of this group.
    SnapshotWanted(GroupId),
    /// The snapshot thread did something.
    Archived(ArchiveEvent),
    /// The control side has learnt a view table.
    Learnt(Arc<onecopy_views::Table>),
    /// An operator wants another member to be the primary.
    HandOver(GroupId, NodeId),
    /// The control side says that the node is about to stop.
    Leave,
    /// An operator wants the process to stop.
    Stop,
    /// An operator wants other view nodes.
    ChangeMembers(MemberChange),
    /// An operator wants another view node to lead.
    HandOverViews,
    /// An operator wants something of the view service.
    Operated(Command),
    /// Fill the log of the view table.
    Churn,
}

impl Happened {
    /// Whether the data thread hears it, and not the control thread.
    fn is_of_the_data_side(&self) -> bool {
        match self {
            Self::Submitted(_) | Self::Arriving(_) | Self::Lost(_) | Self::HandOver(..) => true,
            Self::Received(_, packet) => {
                matches!(
                    packet,
                    Packet::Replica(..) | Packet::Heartbeat(_) | Packet::Forward(_) | Packet::Answer(_)
                )
            }
            Self::Persisted(group, _) | Self::SnapshotWanted(group) => is_of_data(*group),
            Self::Archived(event) => is_of_data(event.group()),
            Self::Learnt(_)
            | Self::Leave
            | Self::Stop
            | Self::Refused(_)
            | Self::Operated(_)
            | Self::ChangeMembers(_)
            | Self::HandOverViews
            | Self::Churn => false,
        }
    }
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
    /// Who the view nodes were at the founding: where its configuration tells it to look for the others.
    pub view_nodes: Rc<BTreeMap<NodeId, Incarnation>>,
    /// How often the others had moved when its settings were written.
    pub settings: BTreeMap<NodeId, u64>,
    /// Who they are, and where, as its disk remembers.
    pub remembered: KnownNodes,
    /// The highest level that the next process knows, by its version.
    pub knows: Level,
    /// The process, if one runs.
    pub process: Option<Box<Process>>,
    /// Counts the processes: what an earlier one asked of the disk is no business of a later one.
    pub generation: u64,
    /// When the last process was started.
    pub started: Time,
    /// When an operator who has stopped the process starts it again.
    pub starts_again: Time,
    /// Standing still until then.
    pub paused_until: Time,
    /// The data thread stands still until then.
    pub stalled_until: Time,
    /// Its machines are in the middle of something long until then, or that of one group.
    pub executes_until: Time,
    /// See there.
    pub executes_for: Option<GroupId>,
    /// It executes something that does not pause since then, and until its data thread has come round.
    pub busy_since: Option<Time>,
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
        (incarnation, view_member): (Incarnation, Incarnation),
        view_nodes: Rc<BTreeMap<NodeId, Incarnation>>,
    ) -> Self {
        Self {
            id,
            clock,
            disk: Disk::default(),
            incarnation,
            view_member,
            view_nodes,
            settings: BTreeMap::new(),
            remembered: KnownNodes::default(),
            knows: Level::FIRST,
            process: None,
            generation: 0,
            started: 0,
            starts_again: 0,
            paused_until: 0,
            stalled_until: 0,
            executes_until: 0,
            executes_for: None,
            busy_since: None,
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
        self.started = env.time;
        self.disk.boot += 1;
        self.disk.remove_orphans();
        env.note(self.id, || format!("starts, boot {}", self.disk.boot));
        let mut process = Box::new(self.start_process(env));
        self.submit_jobs(env, &mut process);
        self.process = Some(process);
        self.turn_by(env, env.time);
    }

    /// The operator starts a process; and another one, of the newer version, if that one does not know what
    /// the disk holds.
    fn start_process(&mut self, env: &mut Env) -> Process {
        let start = (self.incarnation, BootNumber(self.disk.boot));
        env.checks.levels.started(self.id, start, self.knows);
        Process::start(self, env).unwrap_or_else(|unknown| {
            self.is_too_old(unknown, env);
            env.checks.levels.started(self.id, start, self.knows);
            Process::start(self, env).expect("the newer version knows all levels")
        })
    }

    /// The version of the process is too old: the next one is of the newer version.
    fn is_too_old(&mut self, unknown: UnknownLevel, env: &mut Env) {
        env.note(self.id, || format!("ends itself: {unknown}"));
        env.stats.levels[1] += 1;
        env.checks.levels.ended(self.id);
        self.knows = NEWER;
    }

    /// The process dies.
    pub fn crash(&mut self, env: &mut Env) {
        if self.process.take().is_some() {
            env.note(self.id, || "crashes".to_owned());
            env.stats.torn += u64::from(self.disk.crash(&mut env.dice));
            self.generation += 1;
            self.next_turn = None;
            self.archive_free_at = 0;
            (self.executes_until, self.busy_since) = (0, None);
            env.checks.crashed(self.id);
        }
    }

    /// Whether the machine of a group is in the middle of something long.
    #[must_use]
    pub fn executes(&self, group: GroupId, now: Time) -> bool {
        self.executes_until > now && self.executes_for.is_none_or(|of| of == group)
    }

    /// Whether one of its machines is, or was a while ago, in the middle of something long.
    #[must_use]
    pub fn executed_lately(&self, now: Time) -> bool {
        self.executes_until > 0 && now < self.executes_until + 5 * SECOND
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
        let stalled = self.stalled_until > env.time;
        let executes = self.executes_until > env.time;
        self.busy_since = self.busy_since.filter(|_| stalled);
        let deadline = process.turn(self, stalled, env);
        if std::mem::take(&mut process.is_stricken) {
            self.process = Some(process);
            return self.struck(env);
        }
        if let Some(unknown) = process.is_too_old.take() {
            self.is_too_old(unknown, env);
            let soon = env.time + env.dice.between(MS, 500 * MS);
            env.schedule(env.time, Event::GivesUp(self.id, soon));
        }
        if let Some(known) = process.take_news() {
            self.remembered = known;
        }
        self.submit_jobs(env, &mut process);
        if self.disk.health.wants_room
            && process.begins_anew(self.clock.instant(env.time), !self.disk.health.is_full)
        {
            env.schedule(env.time, Event::GivesUp(self.id, env.time));
        }
        if std::mem::take(&mut process.has_left) {
            env.note(self.id, || "ends, as it was told to".to_owned());
            env.schedule(env.time, Event::GivesUp(self.id, self.starts_again));
        }
        self.process = Some(process);
        let mut at = self.clock.time_of(deadline).max(env.time + 1);
        if stalled {
            at = at.min(self.stalled_until);
        }
        if executes {
            at = at.min(self.executes_until);
        }
        self.turn_by(env, at);
    }

    /// The process has executed more than it can bear: it dies of that, or stands still for long.
    fn struck(&mut self, env: &mut Env) {
        let length = env.dice.between(600 * MS, 4 * SECOND);
        if env.dice.chance(500) {
            env.schedule(env.time, Event::GivesUp(self.id, env.time + length));
        } else {
            self.paused_until = env.time + length;
            self.turn_by(env, self.paused_until);
        }
    }

    // ---- the disk -----------------------------------------------------------------------------------------

    /// Gives the disk the work that a process has for it.
    fn submit_jobs(&mut self, env: &mut Env, process: &mut Process) {
        let (data, control) = (&mut process.data_out, &mut process.control_out);
        for job in data.writes.drain(..).chain(control.writes.drain(..)) {
            self.note_cuts(env, &job);
            if self.disk.submit(job) {
                self.start_sync(env);
            }
        }
        for job in data.archive.drain(..).chain(control.archive.drain(..)) {
            let at = self.archive_free_at.max(env.time).max(self.disk_stalled_until) + self.disk_latency(env);
            self.archive_free_at = at;
            env.schedule(at, Event::Archived(self.id, self.generation, Box::new(job)));
        }
    }

    fn note_cuts(&self, env: &mut Env, job: &Job) {
        let cuts = job.writes.iter().filter(|_| is_of_data(job.group));
        for write in cuts {
            if let Write::Cut { from } = write {
                env.stats.cuts += 1;
                env.note(self.id, || format!("cuts its tail from {from}"));
            }
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
        // Segments are not modelled: whenever it is, a group may be told that it keeps old ones alive.
        if env.dice.chance(SNAPSHOT_WANTED) {
            let merged = env.checks.merged.as_ref().map(|merged| merged.group);
            let groups = env.checks.groups.keys().copied().chain([VIEW_GROUP]).chain(merged);
            let groups: Vec<GroupId> = groups.collect();
            let group = *env.dice.pick(&groups);
            self.happened(env, Happened::SnapshotWanted(group));
        }
    }

    /// A snapshot file has been worked on.
    pub fn archived(&mut self, env: &mut Env, generation: u64, job: ArchiveJob) {
        if generation != self.generation {
            return;
        }
        let Some(process) = &mut self.process else { return };
        let event = process.archive.work(&mut self.disk, job);
        if let Some(ArchiveEvent::Finished { name }) = &event
            && let Some(image) = self.disk.image(name.group, name.id)
        {
            if env.checks.merged.as_ref().is_some_and(|merged| merged.group == name.group) {
                let whole = Replica::restore(&image.bytes, env.rules);
                whole.unwrap_or_else(|error| violated("images", format!("{}: {error}", name.group)));
            } else if is_of_data(name.group) {
                let of = env.checks.groups.get(&name.group).expect("there is such a group");
                let image = image.bytes.as_slice();
                let begun = (&of.images, self.id);
                images::finished(begun, *name, image, env.subject.as_deref(), env.profile.answers);
            } else if let Ok(image) = ViewImage::decode(&image.bytes.clone().into()) {
                env.checks.members.imaged(name.id.index, &image.configuration);
            }
        }
        if let Some(event) = event {
            self.happened(env, Happened::Archived(event));
        }
    }
}
