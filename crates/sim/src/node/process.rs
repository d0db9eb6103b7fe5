//! A running process: the data side and the control side of a node, and what they tell each other. Both are
//! those of production; this is the shell that the threads and sockets of the node crate are there.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use onecopy_core::{
    BootNumber, GroupId, Incarnation, Index, Instant, Level, Member, NodeId, Petition, Plea, Timestamp,
    UnknownLevel,
};
use onecopy_host::group::Corrupt;
use onecopy_host::known_nodes::KnownNodes;
use onecopy_host::optimistic::{News, is_optimistic};
use onecopy_host::{
    ControlEffect, ControlPlane, DataEffect, DataPlane, Group, OptimisticCopy, Out, Placement, Reply, Room,
    ViewService, Vitals, Whereabouts,
};
use onecopy_raft::Raft;
use onecopy_replica::{Standing, Status};
use onecopy_views::{Kind, MAIN, NUMBERS_MAX, Registration, Table};

use super::archive::Archive;
use super::start;
use super::watch::{GroupWatch, ViewWatch};
use super::{Happened, Node, agreement, report};
use crate::checks::{handover, turns};
use crate::client::{self, OpId, group_of};
use crate::disk::Disk;
use crate::env::Env;
use crate::faults::Fault;
use crate::machine::Machine;
use crate::message::{ControlMessage, GroupMessage, Packet};
use crate::network;
use crate::scar;
use crate::trace::violated;

/// Longer than anything takes.
const LONG: Duration = Duration::from_secs(3600);
/// How often the control side hears how the replica is.
const STATUS_INTERVAL: Duration = Duration::from_millis(20);

/// A running process.
#[derive(Debug)]
pub struct Process {
    me: Member,
    boot: BootNumber,
    /// What has happened since the last turn.
    pub inbox: Vec<Happened>,
    /// What the data side has not got to yet.
    backlog: Vec<Happened>,
    /// When the data side has its next turn if nothing happens.
    data_due: Instant,
    data: DataPlane<Machine, OpId>,
    /// What the data side wants.
    pub(super) data_out: Out<DataEffect>,
    /// The last batches of the coordinators that the ledgers know.
    ledgers_know: BTreeMap<GroupId, u64>,
    /// The last entries that were on the disk at the start.
    found: BTreeMap<GroupId, Index>,
    /// It has executed something that costs more than it can bear.
    pub(super) is_stricken: bool,
    /// The groups whose machines are held in the middle of something long.
    held: BTreeSet<GroupId>,
    control: ControlPlane,
    /// What the control side wants.
    pub(super) control_out: Out<ControlEffect>,
    /// The snapshot files that are being written.
    pub archive: Archive,
    /// Where it looks for the others.
    whereabouts: Whereabouts,
    /// What its disk is to remember of the others, until somebody asks.
    news: Option<KnownNodes>,
    /// Why it must end: its version is too old.
    pub(super) is_too_old: Option<UnknownLevel>,
    /// It was told to stop, and others have taken over what they could.
    pub(super) has_left: bool,
    status: Option<(Instant, Vec<(GroupId, Status)>)>,
    /// While its log waits for room.
    room: Option<Room>,
}

impl Process {
    /// The name by which its coordinators go.
    #[must_use]
    pub fn life(&self) -> Incarnation {
        self.data.incarnation()
    }

    /// Starts on a machine, with what its disk kept.
    ///
    /// # Errors
    /// When that is of a level that the version does not know.
    pub fn start(node: &Node, env: &mut Env) -> Result<Self, UnknownLevel> {
        let (now, wall) = (node.clock.instant(env.time), node.clock.wall(env.time));
        let me = Member { node: node.id, incarnation: node.incarnation };
        let boot = BootNumber(node.disk.boot);
        let (mut data_out, mut control_out) = (Out::default(), Out::default());
        let mut data =
            DataPlane::new(node.id, Incarnation(env.new_life()), start::coordinators(&env.profile));
        for group in node.disk.data_groups() {
            if is_optimistic(node.disk.recover(group).0.state.as_deref()) {
                start_copy(node, group, (now, &mut *env), &mut data);
                continue;
            }
            let group = (group, Placement::default());
            let of = (node.knows, me, boot);
            start_group(&node.disk, group, of, (now, &mut *env), &mut data, &mut data_out)?;
        }
        let last = |group: &Group<Machine>| (group.id(), group.replica().log().last().index);
        let found = data.groups().map(last).collect();
        let view_node = Some(start::view_service(node, env));
        let settings = start::control(node, env);
        let whereabouts = whereabouts(node, env);
        let mut watch = ViewWatch { env, me: node.id };
        let known = node.remembered.clone();
        let control =
            ControlPlane::start(settings, known, view_node, (now, wall), &mut watch, &mut control_out);
        Ok(Self {
            me,
            boot,
            inbox: Vec::new(),
            backlog: Vec::new(),
            data_due: now,
            data,
            data_out,
            ledgers_know: BTreeMap::new(),
            found,
            held: BTreeSet::new(),
            is_stricken: false,
            control,
            control_out,
            archive: Archive::default(),
            whereabouts,
            news: None,
            is_too_old: None,
            has_left: false,
            status: None,
            room: None,
        })
    }

    /// The replica of a group, if it has heard of the group.
    #[must_use]
    pub fn group(&self, group: GroupId) -> Option<&Group<Machine>> {
        self.data.group(group)
    }

    /// The copy of an optimistic database.
    #[must_use]
    pub fn copy(&self, group: GroupId) -> Option<&OptimisticCopy> {
        self.data.copy(group)
    }

    /// All replicas.
    pub fn groups(&self) -> impl Iterator<Item = &Group<Machine>> {
        self.data.groups()
    }

    /// Whether it begins anew, since its log has found no room, and there is some now.
    pub fn begins_anew(&mut self, now: Instant, has_room: bool) -> bool {
        self.room.get_or_insert_with(|| Room::wanted(now)).look(now, || has_room)
    }

    /// A bit flips in the memory of a replica; whether one could, because its machine is not in the middle of
    /// a command.
    pub fn flip(&mut self, group: GroupId) -> bool {
        let machine = self.data.group(group).and_then(Group::machine);
        machine.is_some_and(scar::can_be_put) && self.data.damage(group, scar::put)
    }

    /// The part of a view node in the Raft group, unless it does not know of the cluster yet.
    #[must_use]
    pub fn raft(&self) -> Option<&Raft> {
        self.view_service().raft()
    }

    /// Whether it leads the view service, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.view_service().leads()
    }

    /// The view table of a view node, unless it does not know of the cluster yet.
    #[must_use]
    pub fn view_table(&self) -> Option<&Table> {
        self.raft().map(|_| self.view_service().table())
    }

    /// Every simulated node is a view node, or waits to be one.
    fn view_service(&self) -> &ViewService {
        self.control.view_service().expect("every simulated node has the role of a view node")
    }

    /// Takes everything that has happened, and does everything that follows from it. Returns when the next
    /// turn is due if nothing happens.
    pub fn turn(&mut self, node: &Node, stalled: bool, env: &mut Env) -> Instant {
        let (now, wall) = (node.clock.instant(env.time), node.clock.wall(env.time));
        let mut control = Vec::new();
        for happened in std::mem::take(&mut self.inbox) {
            let data = happened.is_of_the_data_side();
            if data { &mut self.backlog } else { &mut control }.push(happened);
        }
        // Each side has its turn when something has happened to it, or its time has come.
        self.hold_execution(node, now, env);
        if !stalled && (!self.backlog.is_empty() || now >= self.data_due) {
            self.data_turn(node, (now, wall), env);
            // A slice takes its time. What happens meanwhile comes between it and the next one.
            let is_busy = self.groups().any(|group| group.busy().is_some());
            env.stats.pauses += u64::from(is_busy);
            env.stats.quiescent +=
                self.groups().filter(|group| group.replica().is_quiescent()).count() as u64;
            let slice = if is_busy { env.profile.slice_takes } else { Duration::ZERO };
            let due = self.data.deadline(now).map(|deadline| deadline.max(now + slice));
            self.data_due = due.into_iter().chain(self.status_due(now)).min().unwrap_or(now + LONG);
            if self.is_stricken {
                self.inbox.append(&mut control);
                self.data_due = now;
                return now;
            }
        }
        if !control.is_empty() || now >= self.control.deadline() {
            let busy_for = node.busy_since.map(|since| Duration::from_nanos(env.time - since));
            let full_since = self.groups().filter_map(|group| group.full_since()).min();
            let busy_for = busy_for.max(full_since.map(|since| now.since(since)));
            self.control_turn((now, wall, busy_for), control, env);
        }
        if !self.inbox.is_empty() || (!stalled && !self.backlog.is_empty()) {
            return now;
        }
        let data = if stalled { now + LONG } else { self.data_due };
        data.min(self.control.deadline())
    }

    /// Whether a replica knows what it may let go of. It does not before its data side has been told
    /// everything that happened, which takes a while if it is stalled or slow; and after a start not before
    /// it has heard that the log that it found is committed.
    #[must_use]
    pub fn knows_what_is_settled(&self, group: GroupId) -> bool {
        let is_told = self.inbox.is_empty() && self.backlog.is_empty();
        let found = self.found.get(&group).copied().unwrap_or_default();
        let replica = self.group(group).map(Group::replica);
        is_told && replica.is_some_and(|of| of.commit() >= found.min(of.log().last().index))
    }

    /// The nodes, and where they are, if this node has heard of others since it was asked last.
    pub fn take_news(&mut self) -> Option<KnownNodes> {
        self.news.take()
    }

    // ---- the data side ------------------------------------------------------------------------------------

    /// Machines begin, and end, to be in the middle of something long.
    fn hold_execution(&mut self, node: &Node, now: Instant, env: &Env) {
        for group in env.checks.groups.keys() {
            let is_held = node.executes(*group, env.time);
            if is_held != self.held.contains(group) {
                self.data.hold_execution(*group, is_held);
                self.data_due = now;
                if is_held {
                    self.held.insert(*group)
                } else {
                    self.held.remove(group)
                };
            }
        }
    }

    fn data_turn(&mut self, node: &Node, (now, wall): (Instant, Timestamp), env: &mut Env) {
        for happened in std::mem::take(&mut self.backlog) {
            let watch = &mut GroupWatch { env: &mut *env, me: self.me, boot: self.boot };
            let (data, out) = (&mut self.data, &mut self.data_out);
            match happened {
                Happened::Submitted(submission) => {
                    let number = number_of(group_of(submission.client));
                    // Before it has heard of a database, nobody can be taken there.
                    let located = self.control.table().locate(number);
                    match located {
                        Some((group, _)) => data.submit(group, submission),
                        None => {
                            let refused = (self.me.node, submission.client, client::Reply::Refused);
                            watch.env.checks.answers.push(refused);
                        }
                    }
                }
                Happened::Lost(node) => data.lost(node),
                Happened::Persisted(group, ticket) => data.persisted(now, group, ticket, watch, out),
                Happened::SnapshotWanted(group) => data.snapshot_wanted(group, u64::MAX, watch),
                Happened::Archived(event) => data.archived(now, event, watch, out),
                Happened::Received(from, Packet::Replica(group, message)) => {
                    let mut late = None;
                    if let Some(group) = data.group(group) {
                        let checks = watch.env.checks.group(group.id());
                        agreement::hears(checks, self.me.node, group.replica(), &message);
                        late =
                            agreement::hears_late(group.replica(), &message).map(|is| (is, message.clone()));
                    }
                    data.received(now, from, group, message, watch, out);
                    if let (Some(group), Some((was, message))) = (data.group(group), late)
                        && agreement::hears_late(group.replica(), &message) != Some(was)
                    {
                        violated(
                            "agreed",
                            format!("{from} answers to an earlier view, and is heard: {message:?}"),
                        );
                    }
                }
                Happened::Received(from, Packet::Heartbeat(message)) => {
                    data.heartbeat(now, from, message, out);
                }
                Happened::Received(from, Packet::Forward(forward)) => data.forwarded(from, forward, out),
                Happened::Received(from, Packet::Answer(answer)) => data.answered(from, answer),
                Happened::Arriving(from) => data.arriving(now, from, watch, out),
                Happened::Learnt(table) => {
                    let is_new = table.knows_start(self.me.node, self.boot);
                    for group in table.groups().keys().filter(|_| is_new) {
                        if table.kind(*group) == Kind::Optimistic {
                            let view = &table.groups()[group].view;
                            let is_named = view.replicas().any(|replica| replica.node == self.me.node);
                            if is_named && data.copy(*group).is_none() {
                                start_copy(node, *group, (now, &mut *watch.env), data);
                            }
                            continue;
                        }
                        if data.group(*group).is_none() {
                            start_group(
                                &node.disk,
                                (*group, Placement::of(&table, *group, watch.env.rules)),
                                (node.knows, self.me, self.boot),
                                (now, &mut *watch.env),
                                data,
                                out,
                            )
                            .expect("a group with nothing is of the first level");
                        }
                    }
                    data.announced(now, &table, watch, out);
                }
                Happened::Leave => data.leave(),
                Happened::HandOver(group, to) => data.hand_over(now, group, Some(to), watch, out),
                Happened::Received(..)
                | Happened::Refused(_)
                | Happened::Operated(_)
                | Happened::ChangeMembers(_)
                | Happened::HandOverViews
                | Happened::Stop
                | Happened::Churn => {}
            }
        }
        self.data.route(now, &mut self.data_out);
        for coordinator in self.data.coordinators() {
            if !env.checks.groups.contains_key(&coordinator.group()) {
                continue;
            }
            let known = self.ledgers_know.entry(coordinator.group()).or_default();
            let ledger = &mut env.checks.group(coordinator.group()).ledger;
            let before = *known;
            for (sequence, ops) in coordinator.outstanding().filter(|(sequence, _)| *sequence > before) {
                ledger.batch(self.data.incarnation(), sequence, ops);
                *known = sequence;
            }
        }
        let mut watch = GroupWatch { env: &mut *env, me: self.me, boot: self.boot };
        self.data.end_turn(now, wall, &mut watch, &mut self.data_out);
        self.hear_news(env);
        if let Some(group) = self.groups().find(|group| group.has_requests()) {
            turns::left(self.me.node, group.id());
        }
        self.suffer(env);
        if self.is_stricken {
            return;
        }
        self.post(env);
        if self.data.has_long() {
            let mut watch = GroupWatch { env: &mut *env, me: self.me, boot: self.boot };
            self.data.go_on(now, &mut watch, &mut self.data_out);
            self.post(env);
        }
        let replies = self.data.replies().map(|(op, reply)| (self.me.node, op, understand(reply)));
        env.checks.answers.extend(replies);
        if self.status_due(now).is_none_or(|due| due <= now) {
            let status = |group: &Group<Machine>| (group.id(), group.replica().status(now));
            self.status = Some((now, self.groups().map(status).collect()));
        }
    }

    /// What the copies of optimistic databases have to tell.
    fn hear_news(&mut self, env: &mut Env) {
        let Some(merged) = &mut env.checks.merged else { return };
        for copy in self.data.copies_mut() {
            let news: Vec<News> = copy.take_news().collect();
            for what in news {
                if let News::Repaired { differing, .. } = what {
                    merged.repaired(self.me.node, copy, differing);
                }
            }
        }
    }

    /// When the status is renewed because something has happened since it was.
    fn status_due(&self, now: Instant) -> Option<Instant> {
        self.status.as_ref().filter(|(at, _)| *at < now).map(|(at, _)| *at + STATUS_INTERVAL)
    }

    /// Notes which costly reads were executed. Nothing comes of a turn in which one was, unless the process
    /// gets over it.
    fn suffer(&mut self, env: &mut Env) {
        // After the faults nothing is more than anybody can bear.
        if !env.profile.weights.contains_key(&Fault::CostlyRead) || env.time >= env.profile.fault_time {
            return;
        }
        let executed = |group: &Group<Machine>| {
            let leads = group.replica().standing() == Standing::Primary;
            let costly = group.machine().map(Machine::costly).unwrap_or_default();
            costly.into_iter().map(move |op| (op, leads))
        };
        let costly: Vec<(OpId, bool)> = self.groups().flat_map(executed).collect();
        for (op, leads) in costly {
            env.note(self.me.node, || format!("!! operation {op} is more than it can bear"));
            if leads {
                env.checks.costly.executed(op, self.me.node, self.boot);
            }
            self.is_stricken = true;
        }
    }

    fn post(&mut self, env: &mut Env) {
        let me = self.me.node;
        let mut effect = std::mem::take(&mut self.data_out.effects);
        for effect in effect.drain(..) {
            match effect {
                DataEffect::Replica { to, group, message: GroupMessage::Optimistic(message) } => {
                    // It may have been dropped in this turn, after it had spoken.
                    if let Some(copy) = self.data.copy(group) {
                        env.checks.merged.iter_mut().for_each(|merged| merged.says(me, copy, &message));
                    }
                    self.send(env, to, Packet::Replica(group, GroupMessage::Optimistic(message)));
                }
                DataEffect::Replica { to, group, message } => {
                    let checks = env.checks.group(group);
                    if let Some(group) = self.data.group(group) {
                        agreement::says(checks, me, group.replica(), &message);
                    }
                    if let GroupMessage::PrimaryBackup(message) = &message {
                        env.checks.sends.push((group, me, message.view().map_or(0, |view| view.0)));
                    }
                    self.send(env, to, Packet::Replica(group, message));
                }
                DataEffect::Heartbeat { to, message } => {
                    self.send(env, to, Packet::Heartbeat(message));
                }
                // The transport may know already that there is no connection.
                DataEffect::Forward { to, forward } if env.network.is_cut(me, to) && env.dice.chance(500) => {
                    self.data.undelivered(forward.group, forward.sequence);
                }
                DataEffect::Forward { to, forward } => {
                    let (group, sequence) = (forward.group, forward.sequence);
                    if !self.send(env, to, Packet::Forward(forward)) {
                        self.data.undelivered(group, sequence);
                    }
                }
                DataEffect::Answer { to, answer } => {
                    self.send(env, to, Packet::Answer(answer));
                }
                DataEffect::UnknownLevel(unknown) => self.is_too_old = Some(unknown),
                DataEffect::Petition(petition) => {
                    self.note_petition(petition, env);
                    self.control.petition(petition, &mut self.control_out);
                    self.carry_out(env);
                }
            }
        }
        self.data_out.effects = effect;
    }

    fn note_petition(&self, petition: Petition, env: &mut Env) {
        let me = self.me.node;
        if !matches!(petition.plea, Plea::Suspect { .. }) {
            env.note(me, || format!("asks the view service: {petition}"));
        }
        let table = self.control.table();
        if let (Some(copy), Some(known), Some(merged)) =
            (self.data.copy(petition.group), table.groups().get(&petition.group), &mut env.checks.merged)
            && known.view.number == petition.view
        {
            let members = known.view.members.iter().map(|member| member.node);
            let staying: Vec<NodeId> =
                members.filter(|node| !table.is_leaving(petition.group, *node)).collect();
            merged.asks_for(me, copy, &petition.plea, &staying);
        }
        if let Some(replica) =
            self.data.group(petition.group).and_then(|group| group.replica().primary_backup())
            && matches!(petition.plea, Plea::HandOver { .. })
            && replica.view_number() == petition.view
            && replica.standing() == Standing::Primary
        {
            handover::asked(me, replica.commit(), replica.log().last());
        }
    }

    // ---- the control side ---------------------------------------------------------------------------------

    fn control_turn(
        &mut self,
        (now, wall, busy_for): (Instant, Timestamp, Option<Duration>),
        happened: Vec<Happened>,
        env: &mut Env,
    ) {
        for happened in happened {
            let watch = &mut ViewWatch { env: &mut *env, me: self.me.node };
            let (plane, out) = (&mut self.control, &mut self.control_out);
            match happened {
                Happened::Received(from, Packet::Control(message)) => self.hear(now, from, message, env),
                Happened::Refused(node) => plane.refused(now, node),
                Happened::Persisted(group, ticket) => plane.persisted(now, group, ticket, watch, out),
                Happened::SnapshotWanted(_) => plane.snapshot_wanted(out),
                Happened::Archived(event) => plane.archived(now, event, watch, out),
                Happened::Churn if plane.view_service().is_some_and(ViewService::may_decide) => {
                    plane.propose(now, report::churn(watch.env), watch, out);
                }
                // Nobody waits for the answer: the operator of a simulator looks at the table.
                Happened::ChangeMembers(change) => {
                    // Every request has a number of its own.
                    let change = ControlMessage::ChangeMembers { request: watch.env.time, change };
                    self.hear(now, self.me.node, change, env);
                }
                Happened::Operated(command) => {
                    let operate = ControlMessage::Operate { request: 0, command };
                    self.hear(now, self.me.node, operate, env);
                }
                Happened::Stop => plane.leave(now, watch, out),
                Happened::HandOverViews => drop(plane.hand_over_views(now, watch, out)),
                Happened::Churn
                | Happened::Received(..)
                | Happened::Submitted(_)
                | Happened::Arriving(_)
                | Happened::Lost(_)
                | Happened::HandOver(..)
                | Happened::Leave
                | Happened::Learnt(_) => {}
            }
            self.carry_out(env);
        }
        let replicas = self.status.iter().flat_map(|(_, groups)| groups);
        let groups = || replicas.map(|(group, status)| report::of(*group, status)).collect();
        let vitals = || Vitals { busy_for, groups: groups() };
        let watch = &mut ViewWatch { env: &mut *env, me: self.me.node };
        let (plane, out) = (&mut self.control, &mut self.control_out);
        plane.end_turn((now, wall), &self.whereabouts, vitals, watch, out);
        self.carry_out(env);
    }

    /// Does what the control side wants.
    fn carry_out(&mut self, env: &mut Env) {
        let me = self.me.node;
        let mut effects = std::mem::take(&mut self.control_out.effects);
        for effect in effects.drain(..) {
            match effect {
                ControlEffect::Send { to, message } => {
                    match (&message, self.raft()) {
                        (ControlMessage::Petition(moment, petition), _) => {
                            env.checks.petitions.asked(me, *moment, petition);
                        }
                        (ControlMessage::Raft(letter), Some(raft)) if to != me => {
                            agreement::raft_says(&mut env.checks.raft_agreed, me, raft, &letter.message);
                        }
                        _ => {}
                    }
                    let packet = Packet::Control(message);
                    if to == me {
                        self.inbox.push(Happened::Received(me, packet));
                    } else {
                        self.send(env, to, packet);
                    }
                }
                ControlEffect::LookFor { node, address } => self.look_for(node, &address),
                ControlEffect::Follow(table) => {
                    self.whereabouts.forget_others(&table);
                    for (node, registration) in table.nodes() {
                        self.look_for(*node, &registration.addresses.peer);
                    }
                }
                ControlEffect::Remember(known) => self.news = Some(known),
                ControlEffect::Learnt(table) => self.backlog.push(Happened::Learnt(table)),
                ControlEffect::TellStranger { to, message: ControlMessage::Refused(refusal), .. } => {
                    env.note(me, || format!("does not listen to another {to}: {refusal}"));
                }
                ControlEffect::TellStranger { to, address, message } => {
                    if env.network.is_at(to, &address) {
                        env.send(me, to, Packet::Control(message));
                    }
                }
                ControlEffect::Operated { outcome, .. } => {
                    env.note(me, || format!("tells the operator: {outcome:?}"));
                }
                ControlEffect::LeaveGroups => self.backlog.push(Happened::Leave),
                ControlEffect::End => self.has_left = true,
                ControlEffect::UnknownLevel(unknown) => self.is_too_old = Some(unknown),
                ControlEffect::OldImage => {
                    violated("second", format!("{me} started from an old image of its disk"))
                }
                ControlEffect::HandOver { .. } | ControlEffect::Refused(_) => {
                    unreachable!("nobody says that to a simulated node")
                }
            }
        }
        self.control_out.effects = effects;
    }

    /// A node says that it takes other nodes there.
    fn look_for(&mut self, node: NodeId, address: &str) {
        if node != self.me.node {
            self.whereabouts.tell(node, address);
        }
    }

    /// Sends something to where a node is looked for. Returns false if nobody listens there.
    fn send(&mut self, env: &mut Env, to: NodeId, packet: Packet) -> bool {
        let address = self.whereabouts.address(to).unwrap_or_default();
        if !env.network.is_at(to, address) {
            env.note(self.me.node, || format!("does not find {to} at {address}"));
            self.whereabouts.failed(to);
            return false;
        }
        self.whereabouts.reached(to);
        env.send(self.me.node, to, packet);
        true
    }

    fn hear(&mut self, now: Instant, from: NodeId, message: ControlMessage, env: &mut Env) {
        let me = self.me.node;
        let known = self.view_service().table().nodes().get(&from).map(Registration::start);
        let is_ping = matches!(message, ControlMessage::Ping(_));
        match (&message, self.raft()) {
            (ControlMessage::Ping(ping), _) if known == Some(ping.start()) => {
                env.checks.second.heard(me, from, ping.run, env.time);
            }
            (ControlMessage::Raft(letter), Some(raft)) => {
                agreement::raft_hears(&mut env.checks.raft_agreed, me, raft, &letter.message);
            }
            _ => {}
        }
        let watch = &mut ViewWatch { env: &mut *env, me };
        self.control.received(now, from, message, &self.whereabouts, watch, &mut self.control_out);
        if let Some((_, known)) = self.view_service().monitor().last_ping(now, from).filter(|_| is_ping) {
            env.checks.evidence.knows((me, self.data.incarnation()), from, known);
        }
    }
}

/// Starts a replica with what the disk has of it.
fn start_group(
    disk: &Disk,
    group: (GroupId, Placement),
    (knows, me, boot): (Level, Member, BootNumber),
    (now, env): (Instant, &mut Env),
    data: &mut DataPlane<Machine, OpId>,
    out: &mut Out<DataEffect>,
) -> Result<(), UnknownLevel> {
    let (settings, restored, fresh) = start::group(disk, group, (me, boot), knows, env)?;
    match data.start_group(settings, restored, fresh, now, &mut GroupWatch { env, me, boot }, out) {
        Err(Corrupt::Level(unknown)) => Err(unknown),
        started => {
            started.expect("the promise on a simulated disk makes sense");
            Ok(())
        }
    }
}

/// Starts a copy of the optimistic database with what the disk has of it.
fn start_copy(
    node: &Node,
    group: GroupId,
    (now, env): (Instant, &mut Env),
    data: &mut DataPlane<Machine, OpId>,
) {
    let (settings, restored) = start::copy(node, group, env);
    data.start_copy(settings, restored, now).expect("what is on a simulated disk makes sense");
}

/// By which number clients call the database of a group.
fn number_of(group: GroupId) -> u16 {
    (group.0 - MAIN.0) as u16 * u16::from(NUMBERS_MAX)
}

/// Where a process looks for others at first: what its disk remembers may be newer than its settings.
fn whereabouts(node: &Node, env: &Env) -> Whereabouts {
    let mut whereabouts = Whereabouts::default();
    for other in (1..=env.profile.nodes).map(NodeId).filter(|other| *other != node.id) {
        let moves = node.settings.get(&other).copied().unwrap_or_default();
        whereabouts.configure(other, network::address(other, moves));
    }
    for (other, address) in node.remembered.places().filter(|(other, _)| *other != node.id) {
        whereabouts.tell(other, address);
    }
    whereabouts
}

/// What a client makes of a reply.
fn understand(reply: Reply) -> client::Reply {
    match reply {
        Reply::Done { reply, as_of } => client::Reply::Done(reply, as_of),
        // Whether it was executed once, the ledger knows.
        Reply::Unknown | Reply::Forgotten => client::Reply::Unknown,
        Reply::Refused | Reply::NoDatabase | Reply::Dangerous | Reply::TooFewCopies { .. } => {
            client::Reply::Refused
        }
        Reply::Broken => violated("core", "the response of the primary does not fit the request".to_owned()),
    }
}
