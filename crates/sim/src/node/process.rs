//! A running process: the data side and the control side of a node, and what they tell each other.

use std::rc::Rc;
use std::time::Duration;

use onecopy_core::{BootNumber, Incarnation, Instant, Member, NodeId, StateMachine, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_replica::{Config, Input, Replica, Standing, Status};
use onecopy_views::{Addresses, GroupReport, Ping, Role, Suspicion, Table};

use super::archive::Archive;
use super::coordinator::Coordinator;
use super::group::{Group, Origin, Wish};
use super::view_node::{FAILURE_TIMEOUT, ViewNode, ViewWish};
use super::{Happened, Node, Out};
use crate::disk::{DATA_GROUP, Disk, VIEW_GROUP};
use crate::env::Env;
use crate::message::{Answer, Forward, Outcome, Packet};

const PING_INTERVAL: Duration = Duration::from_millis(100);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(50);
/// How often the view service looks at its evidence.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// How often the control side hears how the replica is.
const STATUS_INTERVAL: Duration = Duration::from_millis(20);

/// A running process.
#[derive(Debug)]
pub struct Process {
    me: Member,
    boot: BootNumber,
    view_member: Incarnation,
    view_nodes: Vec<NodeId>,
    /// What has happened since the last turn.
    pub inbox: Vec<Happened>,
    /// What the data side has not got to yet.
    backlog: Vec<Happened>,
    /// The replica.
    pub group: Group,
    coordinator: Coordinator,
    /// The snapshot files that are being written.
    pub archive: Archive,
    /// The view service, unless the node is a stranger to it.
    pub view_node: Option<ViewNode>,
    /// The view table as this node knows it.
    table: Rc<Table>,
    next_ping: Instant,
    next_look: Instant,
    status: Option<(Instant, Status)>,
}

impl Process {
    /// Starts on a machine, with what its disk kept.
    pub fn start(node: &Node, env: &mut Env, out: &mut Out) -> Self {
        let now = node.clock.instant(env.time);
        let me = Member { node: node.id, incarnation: node.incarnation };
        let boot = BootNumber(node.disk.boot);
        let group = start_group(&node.disk, me, boot, now, env, out);
        let is_view_node = node.view_nodes.get(&node.id) == Some(&node.view_member);
        let view_node = is_view_node.then(|| {
            let kept = recover_table(&node.disk);
            ViewNode::start(node.id, node.view_nodes.clone(), kept, now, env, out)
        });
        let coordinator = Coordinator::new(Incarnation(env.new_life()));
        Self {
            me,
            boot,
            view_member: node.view_member,
            view_nodes: node.view_nodes.keys().copied().collect(),
            inbox: Vec::new(),
            backlog: Vec::new(),
            group,
            coordinator,
            archive: Archive::default(),
            view_node,
            table: Rc::new(Table::default()),
            next_ping: now,
            next_look: now,
            status: None,
        }
    }

    /// Takes everything that has happened, and does everything that follows from it. Returns when the next turn is
    /// due if nothing happens.
    pub fn turn(&mut self, node: &Node, stalled: bool, env: &mut Env, out: &mut Out) -> Instant {
        let now = node.clock.instant(env.time);
        let wall = node.clock.wall(env.time);
        let mut control = Vec::new();
        for happened in std::mem::take(&mut self.inbox) {
            match happened {
                Happened::Received(_, Packet::Replica(_) | Packet::Forward(_) | Packet::Answer(_))
                | Happened::Submitted(_)
                | Happened::Lost(_)
                | Happened::Persisted(DATA_GROUP, _) => self.backlog.push(happened),
                Happened::Archived(ref event) if event.group() == DATA_GROUP => self.backlog.push(happened),
                _ => control.push(happened),
            }
        }
        let mut due = now + Duration::from_secs(3600);
        if !stalled {
            self.data_turn(now, wall, env, out);
            let data = [self.group.deadline(), self.coordinator.deadline()];
            due = data.into_iter().flatten().fold(due, Instant::min);
            if self.group.snapshots.wants_turn() {
                due = now;
            }
        }
        self.control_turn(now, wall, control, env, out);
        if !self.inbox.is_empty() || (!stalled && !self.backlog.is_empty()) {
            due = now;
        }
        let service = self.view_node.as_ref().and_then(ViewNode::deadline);
        let look = self.view_node.is_some().then_some(self.next_look);
        [service, look, Some(self.next_ping)].into_iter().flatten().fold(due, Instant::min)
    }

    // ---- the data side ------------------------------------------------------------------------------------

    fn data_turn(&mut self, now: Instant, wall: Timestamp, env: &mut Env, out: &mut Out) {
        for happened in std::mem::take(&mut self.backlog) {
            match happened {
                Happened::Submitted(submission) => self.coordinator.submit(submission),
                Happened::Lost(node) => self.coordinator.lost(node),
                Happened::Persisted(_, ticket) => self.group.persisted(now, ticket, env, out),
                Happened::Archived(event) => self.group.archived(now, event, env, out),
                Happened::Received(from, packet) => self.hear_data(now, from, packet, env, out),
                Happened::Learnt(table) => self.adopt(now, &table, env, out),
                Happened::Churn => {}
            }
        }
        let mut dispatches = Vec::new();
        let coordinator = self.coordinator.incarnation();
        let checks = &mut env.checks;
        self.coordinator.dispatch(
            now,
            |sequence, ops| checks.ledger.batch(coordinator, sequence, ops),
            &mut dispatches,
        );
        for (to, forward) in dispatches {
            self.forward(to, forward, env, out);
        }
        self.group.end_turn(now, wall, env, out);
        while !out.wishes.is_empty() {
            for wish in std::mem::take(&mut out.wishes) {
                self.grant(wish, env);
            }
        }
        for (op, reply) in std::mem::take(&mut self.coordinator.answers) {
            env.checks.answers.push((op, reply));
        }
        if self.status.as_ref().is_none_or(|(at, _)| now.since(*at) >= STATUS_INTERVAL) {
            self.status = Some((now, self.group.replica.status(now)));
        }
    }

    fn adopt(&mut self, now: Instant, table: &Table, env: &mut Env, out: &mut Out) {
        let Some(group) = table.groups().get(&DATA_GROUP) else { return };
        self.coordinator.learn(&group.view);
        self.group.step(now, Input::Announced { view: group.view.clone() }, env, out);
    }

    fn hear_data(&mut self, now: Instant, from: NodeId, packet: Packet, env: &mut Env, out: &mut Out) {
        match packet {
            Packet::Replica(message) => self.group.step(now, Input::Received { from, message }, env, out),
            Packet::Forward(forward) => {
                let origin = Origin::Remote(from, forward.coordinator, forward.sequence);
                self.group.offer(origin, forward, out);
            }
            Packet::Answer(answer) if answer.coordinator == self.coordinator.incarnation() => {
                self.coordinator.complete(answer.sequence, answer.outcome);
            }
            _ => {}
        }
    }

    fn forward(&mut self, to: NodeId, forward: Forward, env: &mut Env, out: &mut Out) {
        let sequence = forward.sequence;
        if to == self.me.node {
            self.group.offer(Origin::Local(sequence), forward, out);
        } else if env.network.is_cut(self.me.node, to) && env.dice.chance(500) {
            // The transport knows already that there is no connection.
            self.coordinator.complete(sequence, Outcome::Busy);
        } else {
            env.send(self.me.node, to, Packet::Forward(forward));
        }
    }

    fn grant(&mut self, wish: Wish, env: &mut Env) {
        match wish {
            Wish::Send(to, message) => {
                env.checks.sends.push((self.me.node, message.view().map_or(0, |view| view.0)));
                env.send(self.me.node, to, Packet::Replica(message));
            }
            Wish::Answer(Origin::Local(sequence), outcome) => self.coordinator.complete(sequence, outcome),
            Wish::Answer(Origin::Remote(node, coordinator, sequence), outcome) => {
                env.send(self.me.node, node, Packet::Answer(Answer { coordinator, sequence, outcome }));
            }
            Wish::Learnt(view) => self.coordinator.learn(&view),
            Wish::Suspect(view, node, silent_for) => {
                let suspicion = Suspicion { group: DATA_GROUP, view, node, silent_for };
                self.tell_view_nodes(&Packet::Suspect(suspicion), env);
            }
            Wish::AskMembership(view, learner) => {
                self.tell_view_nodes(&Packet::AskMembership(view, learner), env);
            }
        }
    }

    // ---- the control side ---------------------------------------------------------------------------------

    fn control_turn(
        &mut self,
        now: Instant,
        wall: Timestamp,
        happened: Vec<Happened>,
        env: &mut Env,
        out: &mut Out,
    ) {
        for happened in happened {
            match happened {
                Happened::Received(_, Packet::Table(table)) => self.learn(table),
                Happened::Received(from, packet) => self.hear_control(now, from, packet, env, out),
                Happened::Persisted(_, ticket) => {
                    if let Some(view_node) = &mut self.view_node {
                        view_node.persisted(now, ticket, env, out);
                    }
                }
                Happened::Archived(event) => {
                    if let Some(view_node) = &mut self.view_node {
                        view_node.archived(now, event, env, out);
                    }
                }
                Happened::Churn => {
                    if let Some(view_node) = self.view_node.as_mut().filter(|view_node| view_node.leads()) {
                        view_node.churn(now, env, out);
                    }
                }
                Happened::Submitted(_) | Happened::Lost(_) | Happened::Learnt(_) => {}
            }
        }
        if let Some(view_node) = &mut self.view_node {
            view_node.look(now, wall, env, out);
            if now >= self.next_look {
                self.next_look = now + LOOK_INTERVAL;
            }
        }
        if now >= self.next_ping {
            self.next_ping = now + PING_INTERVAL;
            let ping = Packet::Ping(Rc::new(self.ping()));
            self.tell_view_nodes(&ping, env);
        }
        while !out.view_wishes.is_empty() {
            for wish in std::mem::take(&mut out.view_wishes) {
                match wish {
                    ViewWish::Send(to, message) => {
                        env.send(self.me.node, to, Packet::Raft(self.view_member, message));
                    }
                    ViewWish::Announce(to, table) if to == self.me.node => self.learn(table),
                    ViewWish::Announce(to, table) => {
                        env.send(self.me.node, to, Packet::Table(table));
                    }
                }
            }
        }
    }

    fn hear_control(&mut self, now: Instant, from: NodeId, packet: Packet, env: &mut Env, out: &mut Out) {
        if let Some(view_node) = &mut self.view_node {
            view_node.hear(now, from, packet, env, out);
        }
    }

    fn tell_view_nodes(&mut self, packet: &Packet, env: &mut Env) {
        for node in self.view_nodes.clone() {
            if node == self.me.node {
                // Heard in the next turn, which is at once.
                self.inbox.push(Happened::Received(node, packet.clone()));
            } else {
                env.send(self.me.node, node, packet.clone());
            }
        }
    }

    fn ping(&self) -> Ping {
        Ping {
            incarnation: self.me.incarnation,
            boot: self.boot,
            holds_data: true,
            pid: 1,
            addresses: Addresses::default(),
            table: self.table.version(),
            groups: self.status.iter().map(|(_, status)| report(status)).collect(),
        }
    }

    /// A view table was announced: if it is news, the data side hears of it too.
    fn learn(&mut self, table: Rc<Table>) {
        if table.version() > self.table.version() {
            self.table = table.clone();
            self.backlog.push(Happened::Learnt(table));
        }
    }
}

fn start_group(
    disk: &Disk,
    me: Member,
    boot: BootNumber,
    now: Instant,
    env: &mut Env,
    out: &mut Out,
) -> Group {
    let (recovered, image) = disk.recover(DATA_GROUP);
    let mut machine = Keyspace::new([env.dice.number(), env.dice.number()]);
    let mut base_time = Timestamp(0);
    if let Some(image) = image {
        machine.restore(&image.bytes).expect("a snapshot on a simulated disk makes sense");
        machine.restore_finish().expect("a snapshot on a simulated disk is complete");
        base_time = image.time;
    }
    let config = Config {
        heartbeat_interval: HEARTBEAT_INTERVAL,
        failure_timeout: FAILURE_TIMEOUT,
        prepare_bytes_max: env.profile.prepare_bytes_max,
        window_bytes_max: env.profile.window_bytes_max,
        uncommitted_bytes_max: env.profile.uncommitted_bytes_max,
        log_bytes_max: env.profile.log_bytes_max,
        join_lag_max: env.profile.join_lag_max,
        rules: env.rules,
        ..Config::new(DATA_GROUP, me, boot)
    };
    let applied = recovered.base.index;
    let mut effects = Vec::new();
    let replica = Replica::new(config, recovered, base_time, now, &mut effects)
        .expect("the promise on a simulated disk makes sense");
    Group::start((me, boot), replica, machine, applied, effects, env, out)
}

fn recover_table(disk: &Disk) -> (onecopy_core::Recovered, Table, Timestamp) {
    let (recovered, image) = disk.recover(VIEW_GROUP);
    match image {
        None => (recovered, Table::default(), Timestamp(0)),
        Some(image) => {
            let table = Table::decode(&image.bytes).expect("a view table on a simulated disk makes sense");
            (recovered, table, image.time)
        }
    }
}

fn report(status: &Status) -> GroupReport {
    GroupReport {
        group: DATA_GROUP,
        view: status.view,
        role: match status.standing {
            Standing::Primary => Role::Primary,
            Standing::Backup => Role::Backup,
            Standing::Learner => Role::Learner,
            Standing::Retired => Role::CannotLead,
            Standing::Outside => Role::Outside,
        },
        last: status.last,
        durable: status.durable,
        commit: status.commit,
        oldest_write: status.oldest_write,
        oldest_prepare: status.oldest_prepare,
    }
}
