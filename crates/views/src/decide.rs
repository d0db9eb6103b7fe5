//! The judgement: which commands the evidence calls for.

use std::collections::BTreeSet;
use std::time::Duration;

use onecopy_core::{
    BootNumber, Grounds, GroupId, Index, Instant, Level, Member, NodeId, Rule, View, ViewNumber,
};

use crate::command::{Command, Reason};
use crate::database::{Kind, MAIN};
use crate::monitor::Monitor;
use crate::new_database::NewDatabase;
use crate::ping::{GroupReport, ReplicaRole};
use crate::placement;
use crate::table::{Group, Registration, Table};

/// How long a proposal is given before it is made again.
pub(crate) const PROPOSAL_PATIENCE: Duration = Duration::from_millis(200);
/// How many databases are created at once: with each batch of them the whole table is announced.
const CREATED_AT_ONCE: usize = 128;

impl Monitor {
    /// The commands that the leader should propose now. At most one for each group: the next view may answer
    /// the other questions differently.
    pub fn decide(&mut self, now: Instant, table: &Table) -> Vec<Command> {
        self.look_back(now, table);
        let mut commands = self.registrations(now, table);
        commands.extend(self.decide_level(now, table));
        // Before whoever is wrong about the time may become a primary.
        commands.extend(self.decide_clocks(now, table));
        for (id, group) in table.groups() {
            match table.kind(*id) {
                Kind::PrimaryBackup => {}
                // Who leads it is for its copies to decide; where they are to be, is not.
                Kind::Raft => {
                    commands.extend(self.decide_roster(now, table, *id, group));
                    continue;
                }
                Kind::Optimistic => {}
            }
            if self.is_proposed(now, *id, group.view.number) {
                continue;
            }
            let command = match table.kind(*id) {
                Kind::Optimistic => self.decide_copies(now, table, *id, group),
                _ => self.decide_group(now, table, *id, group),
            };
            if let Some(command) = command {
                self.proposed.insert(*id, (group.view.number, now));
                commands.push(command);
            }
        }
        commands
    }

    /// The primary of a view says that a learner has everything (rule P5); or, of an optimistic database, the
    /// learner itself.
    pub fn certified(
        &mut self,
        now: Instant,
        table: &Table,
        from: NodeId,
        id: GroupId,
        view: ViewNumber,
        learner: Member,
    ) -> Option<Command> {
        if table.kind(id) == Kind::Optimistic {
            return self.filled(now, table, from, (id, view), learner);
        }
        let current = &table.groups().get(&id)?.view;
        // Only the primary can certify, and only for the view that it is in.
        if current.primary != from || current.number != view || self.is_proposed(now, id, view) {
            return None;
        }
        self.proposed.insert(id, (view, now));
        Some(Command::AddMember { group: id, expected: view, learner })
    }

    /// The primary of a view hands over to another member.
    pub fn handover(
        &mut self,
        now: Instant,
        table: &Table,
        from: NodeId,
        (id, view): (GroupId, ViewNumber),
        heir: NodeId,
    ) -> Option<Command> {
        let current = &table.groups().get(&id)?.view;
        if current.primary != from || current.number != view || self.is_proposed(now, id, view) {
            return None;
        }
        let member = current.member(heir)?;
        if self.ailment(now, heir, member.incarnation).is_some() {
            return None;
        }
        let stays = |node: NodeId| node != from && !self.is_leaving(node);
        if self.is_leaving(heir) && current.members.iter().any(|member| stays(member.node)) {
            return None;
        }
        let boot = self.ping(heir)?.boot;
        self.proposed.insert(id, (view, now));
        Some(Command::Handover { group: id, expected: view, heir, boot })
    }

    /// Whether there is a reason against the group's going on with what one replica has, as an operator
    /// wants: somebody may have more, or that one has nothing.
    ///
    /// # Errors
    /// The reason.
    pub fn may_recover(&self, now: Instant, table: &Table, command: &Command) -> Result<(), String> {
        let Command::Recover { group, sole, boot, .. } = command else { return Ok(()) };
        let name = sole.node.0;
        let silent = || format!("node {name} is not heard: start it first");
        let ping = self.ping(sole.node).filter(|_| !self.is_silent(now, sole.node)).ok_or_else(silent)?;
        if (ping.incarnation, ping.boot) != (sole.incarnation, *boot) {
            return Err(format!("node {name} was started again just now: repeat the command"));
        }
        let has_some = |report: &GroupReport| report.durable > Index(0) || report.commit > Index(0);
        if !self.report(sole.node, *group).is_some_and(has_some) {
            return Err(format!("node {name} has nothing of the group: there is nothing to go on with"));
        }
        let Some(view) = table.groups().get(group).map(|group| &group.view) else { return Ok(()) };
        let is_better = |member: &&Member| {
            *member != sole && self.ailment(now, member.node, member.incarnation).is_none()
        };
        match view.members.iter().find(is_better) {
            Some(member) => Err(format!(
                "node {} is alive, a member, and has everything that was acknowledged: nothing needs to be lost. (If its copy \
                 is of no use, stop it first.)",
                member.node.0
            )),
            None => Ok(()),
        }
    }

    /// Whether a change of this view is on its way.
    pub(crate) fn is_proposed(&self, now: Instant, group: GroupId, view: ViewNumber) -> bool {
        self.proposed
            .get(&group)
            .is_some_and(|(proposed, at)| *proposed == view && now.since(*at) < PROPOSAL_PATIENCE)
    }

    /// Creates a group once enough nodes that hold data are there.
    #[must_use]
    pub fn decide_creation(&mut self, now: Instant, table: &Table, group: GroupId) -> Option<Command> {
        if table.groups().contains_key(&group) || self.is_proposed(now, group, ViewNumber(0)) {
            return None;
        }
        let (members, primary, boot) = self.first_members(now, table, self.config.copies)?;
        self.proposed.insert(group, (ViewNumber(0), now));
        Some(Command::CreateGroup { group, copies: self.config.copies, members, primary, boot })
    }

    /// Creates what is missing of these databases, once `main` is there and enough nodes that hold data are.
    /// Some at a time: each sees where those before it are to be.
    #[must_use]
    pub fn decide_databases(&mut self, now: Instant, table: &Table, wanted: &[NewDatabase]) -> Vec<Command> {
        // Usually all of them are there, and there may be many.
        let existing: BTreeSet<&str> = table.database_names().collect();
        let is_new = |NewDatabase { database, .. }: &&NewDatabase| {
            !existing.contains(database.name.as_str())
                && !table.was_dropped(&database.name)
                && table.has_room_for(database).is_ok()
        };
        let mut missing = wanted.iter().filter(is_new).peekable();
        let is_founded = table.groups().contains_key(&MAIN);
        if missing.peek().is_none() || !is_founded || self.is_proposed(now, table.next_group(), ViewNumber(0))
        {
            return Vec::new();
        }
        let (mut planned, mut commands) = (table.clone(), Vec::new());
        for NewDatabase { database, copies } in missing.take(CREATED_AT_ONCE) {
            let copies = copies.unwrap_or_else(|| database.kind.copies(self.config.copies));
            // There may be enough nodes for the others.
            let Some((members, primary, boot)) = self.first_members(now, &planned, copies) else { continue };
            let (group, database) = (planned.next_group(), database.clone());
            let command = Command::CreateDatabase { group, database, copies, members, primary, boot };
            // Those of the settings may collide with each other.
            if planned.apply(&command, self.config.rules).is_ok() {
                self.proposed.insert(group, (ViewNumber(0), now));
                commands.push(command);
            }
        }
        commands
    }

    /// A command as an operator has asked for it, with what the leader alone knows: which group a new
    /// database gets, and who is to hold it.
    ///
    /// # Errors
    /// Why there cannot be such a database now.
    pub fn place(&self, now: Instant, table: &Table, command: Command) -> Result<Command, String> {
        let Command::CreateDatabase { database, copies, .. } = command else { return Ok(command) };
        table.has_room_for(&database).map_err(|rejection| rejection.to_string())?;
        if !table.groups().contains_key(&MAIN) {
            return Err("there is no database main yet: wait until enough nodes are up for it".to_owned());
        }
        let copies = if copies == 0 { database.kind.copies(self.config.copies) } else { copies };
        let (members, primary, boot) = self.first_members(now, table, copies).ok_or_else(|| {
            format!(
                "{copies} copies need {copies} nodes that hold data, are up and are not drained: there are fewer \
                 (`onecopy status`)"
            )
        })?;
        Ok(Command::CreateDatabase { group: table.next_group(), database, copies, members, primary, boot })
    }

    /// Who is to hold a new group, the primary first, and the start of its process.
    fn first_members(
        &self,
        now: Instant,
        table: &Table,
        copies: u32,
    ) -> Option<(Vec<Member>, NodeId, BootNumber)> {
        let (mut nodes, mut taken) = (Vec::new(), Vec::new());
        for _ in 0..copies {
            let next = self.next_copy(now, table, &taken, |_| true)?;
            taken.push(next.node);
            nodes.push(next);
        }
        let primary = nodes.first()?.node;
        let boot = self.ping(primary)?.boot;
        Some((nodes, primary, boot))
    }

    /// Nodes that say something of themselves that the table does not hold.
    fn registrations(&mut self, now: Instant, table: &Table) -> Vec<Command> {
        let lately = |at: &Instant| now.since(*at) < PROPOSAL_PATIENCE;
        let news = self.pings().filter_map(|(node, ping)| {
            let registration = Registration {
                incarnation: ping.incarnation,
                boot: ping.boot,
                holds_data: ping.holds_data,
                zone: ping.zone.clone(),
                pid: ping.pid,
                run: ping.run,
                addresses: ping.addresses.clone(),
            };
            let alive = !self.is_silent(now, node);
            let known = table.nodes().get(&node) == Some(&registration) && table.level_of(node) == ping.level;
            let proposed = self.registering.get(&node).is_some_and(lately);
            // Another view node, which led meanwhile, may have registered the life that came after this ping.
            let is_over = table.is_over(node, registration.start()) || table.may_be_delayed(node, ping);
            // E4: it hears that it is too old with the answer to its ping, and ends itself.
            let is_too_old = ping.level < table.level() && self.config.rules.hold(Rule::KnownToAll);
            let is_news = alive && !known && !proposed && !is_over && !is_too_old;
            is_news.then_some((node, registration, ping.level))
        });
        let news: Vec<(NodeId, Registration, Level)> = news.collect();
        self.registering.extend(news.iter().map(|(node, ..)| (*node, now)));
        let register = |(node, registration, level)| match level {
            Level::FIRST => Command::RegisterNode { node, registration },
            _ => Command::RegisterWithLevel { node, registration, level },
        };
        news.into_iter().map(register).collect()
    }

    fn decide_group(&self, now: Instant, table: &Table, id: GroupId, group: &Group) -> Option<Command> {
        let view = &group.view;
        if !self.may_be_left(id, view) {
            return None;
        }
        if let Some(reason) = self.primary_ailment(now, id, view) {
            // Without an heir the group waits for one to return. Nobody is dropped meanwhile: a silent backup
            // may hold the only copy that is left of what a primary without its data had committed.
            return self.succeed_primary(now, table, (id, view), reason);
        }
        self.decide_backups(now, id, view)
            .or_else(|| self.decide_learners(now, table, id, view))
            .or_else(|| self.decide_recruit(now, table, id, group))
            .or_else(|| decide_surplus(table, id, group))
    }

    /// Whether the next view may follow. It always may: a primary that dies before it has entered its view
    /// would otherwise never be succeeded. (Sabotaged, its word is waited for.)
    fn may_be_left(&self, id: GroupId, view: &View) -> bool {
        let has_entered = || {
            let primary = view.member(view.primary)?;
            let is_alive = self.ping(primary.node)?.incarnation == primary.incarnation;
            Some(is_alive && self.report(primary.node, id)?.view == view.number)
        };
        self.config.rules.hold(Rule::LeaveUnacknowledgedViews) || has_entered().unwrap_or(false)
    }

    /// Succeeds a primary that failed, if there is somebody who can.
    fn succeed_primary(
        &self,
        now: Instant,
        table: &Table,
        (id, view): (GroupId, &View),
        reason: Reason,
    ) -> Option<Command> {
        let sick = |member: &&Member| self.ailment(now, member.node, member.incarnation).is_some();
        let suspected = |member: &&Member| member.node == view.primary && reason == Reason::Suspected;
        let (dropped, heirs): (Vec<&Member>, Vec<&Member>) =
            view.members.iter().partition(|member| sick(member) || suspected(member));
        // P4: only a member holds everything that was committed. (Sabotaged, anyone alive will do.)
        let heirs_only = self.config.rules.hold(Rule::HeirsOnly);
        let others = view.learners.iter().filter(|learner| !heirs_only && !sick(learner));
        // Every member holds everything that was committed. The one with the longest log has the least to do,
        // and keeps the most of what was on its way.
        let durable =
            |member: &Member| self.report(member.node, id).map_or(Index(0), |report| report.durable);
        let heir = heirs
            .into_iter()
            .chain(others)
            .filter(|member| member.node != view.primary || reason != Reason::Diverged)
            .max_by_key(|member| {
                // Who differs from a primary that is wrong itself is right. And a log is right whatever was
                // made of it: better an heir that has to execute its log anew than none.
                let report = self.report(member.node, id);
                let differs = report.is_some_and(|report| report.role == ReplicaRole::Diverged);
                let is_sound = !differs || reason == Reason::Diverged;
                let stays = !table.avoids(id, member.node) && !self.is_leaving(member.node);
                (is_sound, stays, durable(member), std::cmp::Reverse(member.node))
            })?;
        Some(Command::PromoteMember {
            group: id,
            expected: view.number,
            primary: heir.node,
            boot: self.ping(heir.node)?.boot,
            dropped: dropped.iter().map(|member| member.node).collect(),
            reason,
        })
    }

    fn primary_ailment(&self, now: Instant, id: GroupId, view: &View) -> Option<Reason> {
        let primary = view.member(view.primary)?;
        if let Some(reason) = self.ailment(now, primary.node, primary.incarnation) {
            return Some(reason);
        }
        if self.ping(primary.node)?.boot != view.boot {
            return Some(Reason::Restarted);
        }
        let report = self.report(primary.node, id);
        match report.filter(|report| report.view == view.number).map(|report| report.role) {
            Some(ReplicaRole::CannotLead) => return Some(Reason::CannotLead),
            Some(ReplicaRole::Diverged) => return Some(Reason::Diverged),
            _ => {}
        }
        // When two replicas cannot hear each other, both accuse; the primary, which pings, is believed.
        let timeout = self.config.failure_timeout;
        let accused = view.backups().any(|backup| {
            self.ailment(now, backup.node, backup.incarnation).is_none()
                && self.accusation(now, (id, view.number), backup.node, primary.node, 2 * timeout).is_some()
                && self.accusation(now, (id, view.number), primary.node, backup.node, timeout).is_none()
        });
        accused.then_some(Reason::Suspected)
    }

    /// Drops a backup that failed.
    fn decide_backups(&self, now: Instant, id: GroupId, view: &View) -> Option<Command> {
        let failed = |backup: &Member| Some((backup.node, self.follower_ailment(now, id, view, backup)?));
        let (node, reason) = view.backups().find_map(failed)?;
        Some(Command::RemoveMember { group: id, expected: view.number, node, reason })
    }

    /// Drops a learner that failed. One that is only slow holds up nobody, and stays unless there is another:
    /// a node that is slow for good does not come and go.
    fn decide_learners(&self, now: Instant, table: &Table, id: GroupId, view: &View) -> Option<Command> {
        let failed = |learner: &Member| {
            let reason = self.follower_ailment(now, id, view, learner)?;
            let is_of_use = reason == Reason::Slow && self.next_learner(now, table, id, view).is_none();
            (!is_of_use).then_some((learner.node, reason))
        };
        let (node, reason) = view.learners.iter().find_map(failed)?;
        Some(Command::RemoveLearner { group: id, expected: view.number, node, reason })
    }

    fn follower_ailment(&self, now: Instant, id: GroupId, view: &View, follower: &Member) -> Option<Reason> {
        let timeout = self.config.failure_timeout;
        let report = self.report(follower.node, id);
        // It says so until it has been rebuilt, which it is when it is in no view any more.
        if report.is_some_and(|report| report.role == ReplicaRole::Diverged && report.view == view.number) {
            return Some(Reason::Diverged);
        }
        // It would be waited for in vain. Not if nobody else stays: then it is as good as any.
        let stays = |member: &Member| member.node != follower.node && !self.is_leaving(member.node);
        if self.is_leaving(follower.node) && view.members.iter().any(stays) {
            return Some(Reason::Leaving);
        }
        self.ailment(now, follower.node, follower.incarnation).or_else(|| {
            match self.accusation(now, (id, view.number), view.primary, follower.node, timeout)? {
                Grounds::Silent(_) => Some(Reason::Suspected),
                Grounds::Behind(_) => Some(Reason::Slow),
            }
        })
    }

    /// Recruits a spare when copies are missing. One at a time: a transfer costs the primary. What is on
    /// drained nodes does not count: it is to be replaced.
    fn decide_recruit(&self, now: Instant, table: &Table, id: GroupId, group: &Group) -> Option<Command> {
        let view = &group.view;
        if staying(id, view, table) >= group.copies as usize || !view.learners.is_empty() {
            return None;
        }
        let learner = self.next_learner(now, table, id, view)?;
        Some(Command::AddLearner { group: id, expected: view.number, learner })
    }

    /// The best spare, if there is one.
    fn next_learner(&self, now: Instant, table: &Table, id: GroupId, view: &View) -> Option<Member> {
        let taken: Vec<NodeId> = view.replicas().map(|replica| replica.node).collect();
        // A spare that the primary accuses would be dropped again at once.
        let fits = |node| {
            !table.avoids(id, node)
                && !self.accused_lately(now, id, view.primary, node)
                && !self.flapping.must_wait(now, node)
        };
        self.next_copy(now, table, &taken, fits)
    }

    /// The best place for another copy: a node that holds data, is alive and fits.
    pub(crate) fn next_copy(
        &self,
        now: Instant,
        table: &Table,
        taken: &[NodeId],
        fits: impl Fn(NodeId) -> bool,
    ) -> Option<Member> {
        let usable = |node: NodeId, registration: &Registration| {
            registration.holds_data
                && !table.drained().contains(&node)
                && self.ping(node).is_some_and(|ping| ping.incarnation == registration.incarnation)
                && !self.is_silent(now, node)
                && !self.is_leaving(node)
                && !self.is_stalled(node)
                && fits(node)
        };
        let nodes = table.nodes().iter().filter(|(node, registration)| usable(**node, registration));
        let members =
            nodes.map(|(node, registration)| Member { node: *node, incarnation: registration.incarnation });
        placement::choose(members, taken, table)
    }
}

/// How many members are where they may stay.
fn staying(id: GroupId, view: &View, table: &Table) -> usize {
    view.members.iter().filter(|member| !table.avoids(id, member.node)).count()
}

/// Drops a backup that is not needed any more: where it is not to stay once there are enough copies
/// elsewhere, or one of more copies than there should be. A primary makes way by itself first.
fn decide_surplus(table: &Table, id: GroupId, group: &Group) -> Option<Command> {
    let view = &group.view;
    let all: Vec<NodeId> = view.members.iter().map(|member| member.node).collect();
    let avoided = view.backups().map(|backup| backup.node).find(|node| table.avoids(id, *node));
    let (copies, staying) = (group.copies as usize, staying(id, view, table));
    let (node, reason) = match avoided {
        Some(node) if staying >= copies => (node, Reason::Drained),
        None if staying > copies => {
            (placement::spare(view.backups().map(|backup| backup.node), &all, table)?, Reason::Surplus)
        }
        _ => return None,
    };
    Some(Command::RemoveMember { group: id, expected: view.number, node, reason })
}
