//! What the checks, the numbers and the trace learn from inside a process.

use onecopy_core::{
    BootNumber, Entry, EntryId, Incarnation, Index, Instant, Member, NodeId, Replicated, Rule, Term, View,
    ViewNumber,
};
use onecopy_host::{ControlObserver, Group, GroupObserver, VIEW_GROUP, ViewObserver};
use onecopy_raft::{Configuration, CorruptState, Raft, Role};
use onecopy_replica::{HandoverError, Standing};
use onecopy_views::{Command, MAIN, Membership, Monitor, Rejection, Table};

use crate::checks::ledger;
use crate::clock::MS;
use crate::env::{Env, Event};
use crate::machine::Machine;
use crate::scar;
use crate::trace::violated;

/// Watches the replica of a node.
pub(super) struct GroupWatch<'a> {
    pub(super) env: &'a mut Env,
    pub(super) me: Member,
    pub(super) boot: BootNumber,
}

impl GroupObserver<Machine> for GroupWatch<'_> {
    fn applied(&mut self, group: &Group<Machine>, before: Index, entry: &Entry) {
        let node = self.me.node;
        self.env.note(node, || format!("applies {}{}", named(group), entry.id));
        let (sealed, opens) = (group.sealed(), ledger::opens(entry));
        let checks = self.env.checks.group(group.id());
        if checks.seals.executed(entry.id, sealed, opens) {
            self.env.stats.opened += 1;
            checks.opened();
        }
        let is_void = sealed.is_some_and(|sealed| sealed.at != entry.id);
        if !is_void || !self.env.rules.hold(Rule::SealedIsOver) {
            checks.applied(node, before, entry, machine(group));
            let level = group.state().map(Replicated::level).unwrap_or_default();
            self.env.checks.levels.executed(group.id(), entry.id.index, level);
        }
    }

    fn committed(&mut self, group: &Group<Machine>, entry: &Entry) {
        let node = self.me.node;
        self.committed_in_raft(group, entry);
        if group.replica().standing() == Standing::Primary {
            if group.replica().primary_backup().is_some() {
                self.env.checks.commits.push((group.id(), node, entry.id));
            }
            let members = group.replica().view().map_or(0, |view| view.members.len());
            self.env.checks.group(group.id()).enough.committed(entry.id.index, members);
        }
    }

    fn view_changed(&mut self, group: &Group<Machine>, view: &View, standing: Standing, _: usize) {
        self.env.note(self.me.node, || format!("is {standing:?} in {}{view}", named(group)));
        let checks = self.env.checks.group(group.id());
        match group.replica().raft().map(|raft| (raft, checks.raft_of(raft))) {
            Some((raft, Some(of))) if standing == Standing::Primary => {
                of.reigns.elected(self.me.node, raft);
                self.env.stats.reigns += 1;
            }
            Some(_) => {}
            None => checks.views.entered((self.me, self.boot), view, standing),
        }
        if standing == Standing::Primary {
            self.env.checks.group(group.id()).digests.leads(self.me.node);
        }
    }

    fn configured(&mut self, group: &Group<Machine>, at: Index, of: &Configuration, committed: bool) {
        let is = if committed { "committed" } else { "appended" };
        self.env.note(self.me.node, || format!("members of {}at {at}, {is}: {of:?}", named(group)));
        let raft = group.replica().raft();
        if let Some(known) = raft.and_then(|raft| self.env.checks.group(group.id()).raft_of(raft)) {
            known.members.configured(at, of, committed);
        }
    }

    fn diverged(&mut self, group: &Group<Machine>, after: Index, _: u64, _: u64) {
        self.env.stats.diverged += 1;
        self.env.note(self.me.node, || format!("has diverged after {after}"));
        let digests = &self.env.checks.group(group.id()).digests;
        if !digests.is_off && !digests.scarred.contains(&self.me.node) {
            violated(
                "digests",
                format!("{} is taken for diverged, and nothing happened to it", self.me.node),
            );
        }
    }

    fn damaged(&mut self, group: &Group<Machine>) {
        let (env, me) = (&mut *self.env, self.me.node);
        env.note(me, || "takes itself for damaged, and stops".to_owned());
        env.checks.group(group.id()).digests.takes_itself_for_damaged(me);
        let soon = env.time + env.dice.between(MS, 500 * MS);
        env.schedule(env.time, Event::GivesUp(me, soon));
    }

    fn rebuilt(&mut self, group: &Group<Machine>) {
        self.env.note(self.me.node, || "begins anew".to_owned());
        let view = group.replica().view().map_or(ViewNumber(0), |view| view.number);
        let checks = self.env.checks.group(group.id());
        checks.began.insert(self.me.node, view);
        checks.digests.scarred.remove(&self.me.node);
    }

    fn handover_failed(&mut self, _: &Group<Machine>, error: HandoverError) {
        self.env.note(self.me.node, || format!("does not hand over: {error}"));
    }

    fn turned(&mut self, group: &Group<Machine>) {
        let kind = if group.replica().raft().is_some() { "Raft" } else { "primary-backup" };
        let at = group.applied();
        self.env.note(self.me.node, || format!("has {}{at}, and turns into a copy of {kind}", named(group)));
        self.env.stats.turned += 1;
        self.env.checks.group(group.id()).turned(self.me.node);
    }

    fn snapshot_begun(&mut self, group: &Group<Machine>, at: EntryId) {
        let checks = self.env.checks.group(group.id());
        checks.images.begun(self.me.node, at, machine(group));
        let raft = group.replica().raft().map(|raft| (raft, checks.raft_of(raft)));
        if let Some((raft, Some(of))) = raft {
            of.members.imaged(at.index, raft.configuration_at(at.index));
        }
        self.env.stats.snapshots[0] += 1;
        self.env.note(self.me.node, || format!("takes a snapshot at {at}"));
    }

    fn snapshot_arrives(&mut self, group: &Group<Machine>, _: EntryId) {
        self.env.checks.group(group.id()).images.forget(self.me.node);
    }

    fn snapshot_installed(&mut self, group: &Group<Machine>, at: EntryId) {
        self.env.stats.snapshots[1] += 1;
        self.env.note(self.me.node, || format!("installs a snapshot at {at}"));
        // Perhaps of a backup that is damaged: it is found out before it counts.
        let checks = self.env.checks.group(group.id());
        checks.digests.restored(self.me.node, scar::is_in(machine(group)));
        checks.installed(self.me.node, at.index, machine(group));
    }
}

impl GroupWatch<'_> {
    /// An entry is known to be committed; in a Raft group there is more to look at.
    fn committed_in_raft(&mut self, group: &Group<Machine>, entry: &Entry) {
        let checks = self.env.checks.group(group.id());
        let is_void = checks.seals.is_void(entry.id);
        let raft = group.replica().raft().map(|raft| (raft, checks.raft_of(raft)));
        let Some((raft, Some(of))) = raft.filter(|_| !is_void) else { return };
        of.reigns.applied(entry, 0, raft.term());
        if raft.role() == Role::Leader {
            of.reigns.committed(raft);
            let configuration = raft.configuration().clone();
            self.env.checks.raft_commits.push((group.id(), self.me.node, entry.id, configuration));
        }
    }
}

/// Which group it is, in the trace; of `main` nothing is said.
fn named(group: &Group<Machine>) -> String {
    if group.id() == MAIN { String::new() } else { format!("{} ", group.id()) }
}

/// The machine of a group that has just executed or installed something.
fn machine(group: &Group<Machine>) -> &Machine {
    group.machine().expect("nothing else has begun")
}

/// Watches the view service on a node.
pub(super) struct ViewWatch<'a> {
    pub(super) env: &'a mut Env,
    pub(super) me: NodeId,
}

impl ViewObserver for ViewWatch<'_> {
    fn founded(&mut self, membership: &Membership) {
        self.env.note(self.me, || format!("the view service is founded: {:?}", membership.members));
        self.env.checks.founding.founded(self.me, membership);
    }

    fn waits(&mut self) {
        self.env.note(self.me, || "waits to be a view node".to_owned());
    }

    fn cannot_start(&mut self, error: &CorruptState) {
        violated("raft", format!("{} cannot start with what its own disk kept: {error}", self.me));
    }

    fn foreign_member(&mut self, from: NodeId, incarnation: Incarnation) {
        violated("founding", format!("{} hears {from} with {incarnation:?} of another cluster", self.me));
    }

    fn configured(&mut self, index: Index, configuration: &Configuration, committed: bool) {
        let is = if committed { "committed" } else { "appended" };
        self.env.note(self.me, || format!("view nodes at {index}, {is}: {configuration:?}"));
        self.env.checks.members.configured(index, configuration, committed);
    }

    fn role_changed(&mut self, role: Role, term: Term, leader: Option<NodeId>, raft: &Raft) {
        let (env, me) = (&mut *self.env, self.me);
        env.note(me, || format!("view service: {role} in {term}, leader {leader:?}"));
        if role == Role::Leader {
            env.stats.elections += 1;
            env.checks.raft.elected(me, raft);
            env.checks.informed.elected(me, term.into());
            if env.dice.chance(env.profile.regicide) {
                let soon = env.time + env.dice.below(6 * env.profile.latency);
                env.schedule(soon, Event::Regicide(me));
            }
        }
    }

    fn proposes(&mut self, now: Instant, command: &Command, monitor: &Monitor) {
        self.env.note(self.me, || format!("proposes {command:?}"));
        let heard = |node| monitor.last_ping(now, node).map(|(_, ping)| ping.incarnation);
        self.env.checks.groups.values().for_each(|group| group.views.proposed(command, heard));
        let heard = |node| monitor.last_ping(now, node).map(|(_, ping)| ping.moment());
        self.env.checks.petitions.proposed(command, heard);
        self.env.checks.second.proposed(self.me, command, self.env.time);
        self.env.checks.informed.proposed(self.me);
    }

    fn committed(&mut self, raft: &Raft) {
        let checks = &mut self.env.checks;
        checks.raft.committed(raft);
        if let Some(epoch) = raft.log().epoch_at(raft.commit()) {
            let id = EntryId { index: raft.commit(), epoch };
            checks.raft_commits.push((VIEW_GROUP, self.me, id, raft.configuration().clone()));
        }
    }

    fn executed(&mut self, entry: &Entry, command: &Command, outcome: &Result<(), Rejection>, _: &Table) {
        if let (Command::ForgetNode { node }, Ok(())) = (command, outcome) {
            self.env.checks.evidence.forgotten(self.me, *node);
        }
        self.env.note(self.me, || match outcome {
            Ok(()) => format!("view table {}: {command:?}", entry.id),
            Err(rejection) => format!("view table {}: {command:?} refused: {rejection}", entry.id),
        });
    }

    fn applied(&mut self, entry: &Entry, table: &Table, term: Term) {
        self.env.checks.raft.applied(entry, table.version(), term);
        self.env.checks.informed.executed(self.me, entry.id.epoch);
        self.env.checks.lives.learnt(table);
        self.env.checks.levels.learnt(table);
        self.env.checks.groups.iter_mut().for_each(|(id, group)| group.learnt(*id, table));
    }

    fn installed(&mut self, at: EntryId, table: &Table) {
        self.env.stats.snapshots[2] += 1;
        self.env.checks.raft.installed(at.index, table.version());
        self.env.checks.informed.executed(self.me, at.epoch);
    }
}

impl ControlObserver for ViewWatch<'_> {
    fn makes_way(&mut self) {
        self.env.note(self.me, || "makes way before it stops".to_owned());
    }

    fn made_way(&mut self) {
        self.env.note(self.me, || "has made way".to_owned());
    }

    fn made_no_way(&mut self) {
        self.env.note(self.me, || "stops as if it failed: nobody has taken over".to_owned());
    }
}
