//! One run: a cluster, its clients, what goes wrong, and the order in which it all happens.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use onecopy_core::{Incarnation, Member, NodeId, Rules};
use onecopy_host::{Group, VIEW_GROUP};
use onecopy_raft::{Configuration, Role};
use onecopy_replica::Standing;
use onecopy_views::Membership;

use crate::caches::Shelf;
use crate::carts::Cart;
use crate::channels::Ear;
use crate::checks::bounded::{self, Bounds, Sizes};
use crate::checks::{Checks, GroupChecks, copies, kept, leases, liveness, promise, quorums, search, tail};
use crate::client::{Client, group_of};
use crate::clock::{Clock, SECOND, Time};
use crate::dice::Dice;
use crate::ending::Phase;
use crate::env::{Env, Event, Stats};
use crate::faults::Fault;
use crate::node::{Happened, NEWER, Node, agreement};
use crate::porters::Porters;
use crate::profile::Profile;
use crate::stray::Stray;
use crate::trace::{Trace, violated};

/// How many clients an optimistic database has.
const CARTS: usize = 3;
/// Of a thousand runs, how many begin with the founding of the view service.
const FOUNDINGS: u64 = 200;

/// One run.
#[derive(Debug)]
pub struct World {
    /// Everything that is outside of the nodes.
    pub env: Env,
    /// The machines.
    pub nodes: Vec<Node>,
    /// The clients.
    pub clients: Vec<Client>,
    /// Those of the optimistic database, if there is one.
    pub(crate) carts: Vec<Cart>,
    pub(crate) seed: u64,
    pub(crate) phase: Phase,
    bounds: Bounds,
    founding: Founding,
    /// The next client asks for more than anybody can bear.
    pub(crate) asks_costly: bool,
    /// Those who publish and subscribe.
    pub(crate) ears: Vec<Ear>,
    pub(crate) shelves: Vec<Shelf>,
    /// Those who move keys between databases.
    pub(crate) porters: Porters,
    /// Processes that should not be.
    pub(crate) strays: Vec<Stray>,
}

/// Where the cluster is with the founding of its view service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Founding {
    /// Not every view node has the membership on its disk.
    Awaited,
    /// All have had it, since then at the latest.
    Over(Time),
}

impl World {
    /// A fresh cluster of empty disks.
    #[must_use]
    pub fn new(seed: u64, profile: Profile, rules: Rules, trace: Trace) -> Self {
        let mut env = Env::new(Dice::new(seed, 1), profile, rules, trace);
        let ids: Vec<NodeId> = (1..=env.profile.nodes).map(NodeId).collect();
        let lives: BTreeMap<NodeId, Incarnation> =
            ids.iter().map(|id| (*id, Incarnation(env.new_life()))).collect();
        // If operators are to change them, not all nodes need be view nodes from the beginning.
        let founders = match env.profile.weights.contains_key(&Fault::Members) {
            true => *env.dice.pick(&[1, 3, ids.len()]),
            false => ids.len(),
        };
        // And if they add and remove nodes: view nodes are there from the beginning, and stay.
        let weights = &env.profile.weights;
        let founders =
            match [Fault::AddNode, Fault::RemoveNode].iter().any(|fault| weights.contains_key(fault)) {
                true => founders.min(*env.dice.pick(&[1, ids.len() - 1])),
                false => founders,
            };
        let founders: BTreeMap<NodeId, Incarnation> =
            lives.iter().take(founders).map(|(id, life)| (*id, *life)).collect();
        let view_nodes = Rc::new(founders);
        let members = view_nodes.iter().map(|(node, life)| Member { node: *node, incarnation: *life });
        env.checks.members.founded(Configuration::of(members));
        let drift = env.profile.drift_ppm;
        let nodes = ids.iter().map(|id| {
            let ppm = env.dice.below(2 * drift.unsigned_abs() + 1) as i64 - drift;
            let clock = Clock::new(env.dice.below(1_000_000) * SECOND, ppm);
            let incarnation = Incarnation(env.new_life());
            Node::new(*id, clock, (incarnation, lives[id]), view_nodes.clone())
        });
        let mut nodes: Vec<Node> = nodes.collect();
        if env.profile.years_apart {
            let (mut dice, hour) = (Dice::new(seed, 11), 3_600_000_i64);
            for node in &mut nodes {
                let hours = if dice.chance(300) { dice.below(10 * 365 * 24) } else { dice.below(48) };
                let ahead = dice.chance(700);
                node.clock.set_wall(0, hours.cast_signed() * if ahead { hour } else { -hour });
            }
            env.checks.clocks.look(0, &nodes, false);
        }
        let founding = if env.dice.chance(FOUNDINGS) { Founding::Awaited } else { Founding::Over(0) };
        if founding != Founding::Awaited {
            let membership = Membership { members: (*view_nodes).clone() };
            let founders = nodes.iter_mut().filter(|node| view_nodes.contains_key(&node.id));
            founders.for_each(|node| node.disk.found(&membership));
        }
        let clients = (0..env.profile.clients).map(|_| Client {
            home: *env.dice.pick(&ids),
            waiting: None,
            again: None,
            watching: None,
            attempts: 0,
            wakes: 0,
            served: 0,
        });
        let clients = clients.collect();
        let carts = vec![Cart::default(); if env.profile.optimistic.is_some() { CARTS } else { 0 }];
        let bounds = Bounds::of(&env.profile);
        let ears = Ear::all(seed, env.profile.ears, &ids);
        let shelves = Shelf::all(seed, env.profile.shelves, &ids, env.rules);
        let porters = Porters::of(seed, &env.profile);
        Self {
            env,
            nodes,
            clients,
            carts,
            seed,
            phase: Phase::Faults,
            bounds,
            founding,
            asks_costly: false,
            ears,
            shelves,
            porters,
            strays: Vec::new(),
        }
    }

    /// Runs to the end, and returns the numbers. Unwinds at a violation.
    pub fn run(&mut self) -> Stats {
        for node in &mut self.nodes {
            let is_founder = node.view_nodes.contains_key(&node.id);
            // A group begins with all its copies.
            let profile = &self.env.profile;
            let most = profile.copies.max(profile.raft_copies.unwrap_or_default());
            let may_come_later = !is_founder && node.id.0 > most;
            let comes_later = may_come_later && self.env.profile.weights.contains_key(&Fault::AddNode);
            if !comes_later || self.env.dice.chance(300) {
                node.start(&mut self.env);
            }
        }
        for client in 0..self.clients.len() {
            self.env.schedule(SECOND, Event::Client(client));
        }
        for ear in 0..self.ears.len() {
            self.env.schedule(SECOND, Event::Ear(ear));
        }
        for shelf in 0..self.shelves.len() {
            self.env.schedule(SECOND, Event::Shelf(shelf));
        }
        for cart in 0..self.carts.len() {
            self.env.schedule(SECOND, Event::Cart(cart));
        }
        for porter in 0..self.porters.len() {
            self.env.schedule(SECOND, Event::Porter(porter));
        }
        // Nothing spares the founding but that no disk is lost.
        let quiet = if self.founding == Founding::Awaited { 0 } else { 2 * SECOND };
        let first = quiet + self.env.dice.below(self.env.profile.fault_interval);
        self.env.schedule(first, Event::Fault);
        self.env.schedule(self.env.profile.fault_time, Event::Heal);
        if let Some(at) = self.env.profile.rolls {
            self.env.rolling = Dice::new(self.seed, 7);
            self.env.schedule(at, Event::Roll);
        }
        if let Some((at, group)) = self.env.profile.dropped {
            self.env.schedule(at, Event::Drop(group));
        }
        for (at, group, kind) in self.env.profile.switched.clone() {
            self.env.schedule(at, Event::Switch(at, group, kind));
        }
        if self.env.profile.before_ok > 1 {
            self.env.schedule(2 * SECOND, Event::BeforeOk);
        }
        for (at, copies) in self.env.profile.resized.clone() {
            self.env.schedule(at, Event::Resize(copies));
        }
        if let Some((at, group)) = self.env.profile.moved {
            self.env.schedule(at, Event::Move(group, BTreeSet::new()));
        }
        if self.env.profile.churn > 0 {
            self.env.schedule(SECOND, Event::Churn);
        }
        while self.phase != Phase::Over {
            let Some(event) = self.env.next_event() else { break };
            let writes = matches!(event, Event::Synced(..));
            self.happen(event);
            bounded::no_storm(self.env.stats.events);
            self.look(writes);
        }
        let keys = self.env.profile.workload.keys;
        self.env.checks.groups.values().for_each(|group| search::check(&group.ledger, keys));
        let mut stats = std::mem::take(&mut self.env.stats);
        stats.seeds = 1;
        stats.lost += u64::from(!liveness::is_owed(&self.env, &self.nodes));
        let rose = self.newest_table().is_some_and(|table| table.level() == NEWER);
        stats.levels[0] = u64::from(rose);
        stats.time = self.env.time;
        stats.views = self.env.checks.view_changes();
        stats.handovers = self.handovers();
        stats.groups = self.env.checks.groups.len() as u64;
        if let Some(merged) = &self.env.checks.merged {
            let copies = self.nodes.iter().filter_map(|node| node.process.as_ref()?.copy(merged.group));
            let repairs = copies.map(|copy| copy.repairs().count).sum();
            stats.merged = [merged.answered, repairs, merged.moves[0], merged.moves[1]];
        }
        for GroupChecks { ledger, raft, .. } in self.env.checks.groups.values() {
            stats.moves += raft.as_ref().map_or(0, |raft| raft.roster.number);
            stats.repeated += ledger.repeated;
            stats.in_parts += ledger.in_parts;
            stats.tokens_repeated += ledger.tokens_repeated;
            stats.evicted += ledger.evicted;
            stats.entries += ledger.len();
            stats.operations += ledger.ops.iter().count() as u64;
            stats.answered += ledger.ops.iter().filter(|(_, op)| op.got.is_some()).count() as u64;
        }
        stats
    }

    /// The machine of this name.
    pub fn node(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0 as usize - 1]
    }

    fn happen(&mut self, event: Event) {
        let env = &mut self.env;
        match event {
            Event::Arrives { from, to, sent, packet } => {
                // A connection that broke meanwhile delivers nothing; a node that nobody ever started hears
                // nothing.
                if let Some(node) = self.nodes.get_mut(to.0 as usize - 1)
                    && !env.network.is_lost(from, to, sent, env.profile.leaks)
                {
                    node.happened(env, Happened::Received(from, *packet));
                }
            }
            Event::Arriving { from, to, sent } => {
                if let Some(node) = self.nodes.get_mut(to.0 as usize - 1)
                    && !env.network.is_lost(from, to, sent, env.profile.leaks)
                {
                    node.happened(env, Happened::Arriving(from));
                }
            }
            Event::Turn(id) => {
                self.nodes[id.0 as usize - 1].turn(env);
                self.look_at(id);
            }
            Event::Synced(id, generation) => self.nodes[id.0 as usize - 1].synced(env, generation),
            Event::Archived(id, generation, job) => {
                self.nodes[id.0 as usize - 1].archived(env, generation, *job);
            }
            Event::Client(client) => self.client(client),
            Event::Ear(ear) => self.ear(ear),
            Event::Shelf(shelf) => self.shelf(shelf),
            Event::Cart(cart) => self.cart(cart),
            Event::Porter(porter) => self.porter(porter),
            Event::Fault => self.inject(),
            Event::Regicide(node) => self.regicide(node),
            Event::GivesUp(node, until) => {
                self.crash(node, until.saturating_sub(self.env.time));
                self.env.schedule(until, Event::Supervised(node));
            }
            Event::Supervised(node) => self.start(node),
            Event::Undo(undo) => self.undo(undo),
            Event::Stray(number) => self.stray_speaks(number),
            Event::Churn => self.churn(),
            Event::Roll => self.roll(),
            Event::Drop(group) => self.drop_database(group),
            Event::Switch(planned, group, kind) => self.switch_database(planned, group, kind),
            Event::Move(group, nodes) => self.move_database(group, nodes),
            Event::Resize(copies) => self.resize_optimistic(copies),
            Event::BeforeOk => self.set_before_ok(),
            Event::Heal => self.heal(),
            Event::Look => self.look_at_the_whole(),
        }
    }

    /// After every event.
    fn look(&mut self, written: bool) {
        let Checks { groups, clocks, .. } = &mut self.env.checks;
        for (group, checks) in groups {
            let news = (checks.ledger.len(), checks.views.changes());
            if !written && news == checks.seen {
                continue;
            }
            for index in checks.seen.0 + 1..=news.0 {
                clocks.committed(self.env.time, &self.nodes, checks.ledger.time_at(index));
            }
            checks.seen = news;
            let view = checks.views.newest().filter(|_| checks.raft.is_none() && !checks.is_gone);
            if let (Some(view), Some(last)) = (view, checks.ledger.last()) {
                copies::members_hold_all(&self.nodes, *group, view, last);
            }
        }
        let checks = &mut self.env.checks;
        if !checks.commits.is_empty() {
            for (group, primary, id) in std::mem::take(&mut checks.commits) {
                if checks.is_gone(group) || checks.group(group).seals.is_void(id) {
                    continue;
                }
                copies::check(&self.nodes, group, &checks.group(group).began, primary, id);
                leases::check(&self.nodes, self.env.time, group, primary, id);
            }
        }
        for (group, leader, id, configuration) in std::mem::take(&mut self.env.checks.raft_commits) {
            let is_void = |of: &GroupChecks| of.seals.is_void(id);
            if !self.env.checks.is_gone(group) && !self.env.checks.groups.get(&group).is_some_and(is_void) {
                quorums::check(&self.nodes, group, leader, id, &configuration);
            }
        }
        let checks = &mut self.env.checks;
        if !checks.sends.is_empty() {
            let mut sends = std::mem::take(&mut checks.sends);
            sends.retain(|(group, ..)| !checks.is_gone(*group));
            sends.drain(..).for_each(|(group, node, view)| promise::check(&self.nodes, group, node, view));
            self.env.checks.sends = sends;
        }
        if !self.env.checks.answers.is_empty() {
            for (node, op, reply) in std::mem::take(&mut self.env.checks.answers) {
                match &self.env.checks.merged {
                    Some(merged) if group_of(op) == merged.group => self.cart_answer(node, op, &reply),
                    _ => self.answer(node, op, &reply),
                }
            }
        }
    }

    /// After every turn of a node.
    fn look_at(&mut self, id: NodeId) {
        let node = &self.nodes[id.0 as usize - 1];
        let Some(process) = &node.process else { return };
        for (group, checks) in &mut self.env.checks.groups {
            let Some(replica) = process.group(*group).map(Group::replica) else { continue };
            let (waiting, held) = (node.disk.waiting(*group), replica.log());
            // A log may be as long as the snapshot before it, and longer by as much as another replica has
            // got of one, from here or from a backup.
            let images = || {
                let largest = self.nodes.iter().map(|node| node.disk.largest_image(*group)).max();
                2 * largest.unwrap_or_default()
            };
            // What is as long as it may be for a good reason may also come and be written at once. The log
            // may be short again before that is done: the snapshot after it may be.
            let mut disk = waiting.saturating_sub(held.bytes().saturating_sub(self.bounds.log()));
            if disk > self.bounds.disk() {
                disk = disk.saturating_sub(images());
            }
            let memory = match replica.raft().is_none() && process.knows_what_is_settled(*group) {
                true => held.memory_bytes().saturating_sub(waiting),
                false => 0,
            };
            let mut log = held.bytes();
            if node.executed_lately(self.env.time) {
                // What is not executed cannot go either, nor before the snapshot after it is finished.
                log = log.min(self.bounds.log());
            }
            if log > self.bounds.log() {
                log = log.saturating_sub(images());
            }
            self.bounds.check(id, Sizes { log, memory, disk });
            let is_newest =
                replica.standing() == Standing::Primary && replica.view() == checks.views.newest();
            let alone = self.env.profile.alone;
            let bound = match alone {
                Some(Fault::SlowPath) => Some(tail::SLOW),
                Some(Fault::LongCommand) => Some(tail::BUSY),
                _ => None,
            };
            if let Some(bound) = bound.filter(|_| is_newest) {
                let committed = checks.ledger.len().max(replica.commit().0);
                checks.tail.look(self.env.time, committed, replica.log().last().index.0, bound);
            }
            if matches!(alone, Some(Fault::LongCommand | Fault::LongTurn | Fault::LargeValues)) {
                kept::check(checks.views.newest(), checks.views.changes(), self.env.profile.copies);
            }
            agreement::is(checks, id, replica);
            let durable = replica.status(node.clock.instant(self.env.time)).durable;
            let (member, log) = ((id, node.generation), replica.log());
            self.env.checks.durable.look(member, *group, (log, durable), &node.disk);
            match replica.raft().map(|raft| (raft, checks.raft_of(raft))) {
                Some((raft, Some(of))) => {
                    let leads = (raft.role() == Role::Leader).then(|| raft.term());
                    of.logs.look(id, node.generation, leads, raft.log());
                    of.members.look(raft);
                }
                Some(_) => {}
                None => checks.logs.look(id, node.generation, None, replica.log()),
            }
            if process.group(*group).is_some_and(Group::awaits_lost_image) {
                violated("images", format!("{id} waits for an image of {group} that nobody makes"));
            }
        }
        if let Some(merged) = &mut self.env.checks.merged
            && let Some(copy) = process.copy(merged.group)
        {
            merged.look(id, copy);
        }
        if let Some(raft) = process.raft() {
            let leads = (raft.role() == Role::Leader).then(|| raft.term());
            self.env.checks.raft_logs.look(id, node.generation, leads, raft.log());
            self.env.checks.members.look(raft);
            let (member, log) = ((id, node.generation), raft.log());
            self.env.checks.durable.look(member, VIEW_GROUP, (log, raft.durable()), &node.disk);
            agreement::raft_is(&mut self.env.checks, id, raft);
        }
    }

    fn churn(&mut self) {
        if self.phase == Phase::Faults {
            for node in &mut self.nodes {
                node.happened(&mut self.env, Happened::Churn);
            }
            let next = self.env.time + SECOND / self.env.profile.churn;
            self.env.schedule(next, Event::Churn);
        }
    }

    /// Whether a view node may lose its whole disk: a founder that does so during the founding founds a
    /// second time. No word from before the founding may still be on its way, either.
    pub(crate) fn is_founded(&mut self) -> bool {
        if self.founding == Founding::Awaited && self.nodes.iter().all(|node| node.disk.is_founded()) {
            self.founding = Founding::Over(self.env.time);
        }
        let late = self.env.profile.latency + self.env.profile.lateness;
        matches!(self.founding, Founding::Over(since) if since + late < self.env.time)
    }
}
