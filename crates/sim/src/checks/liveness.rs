//! After the faults: writes are served again, redundancy is restored, and all copies are equal (rule P10). A
//! protocol that never does anything is safe; this is what tells it from a good one. (Alpern and Schneider,
//! "Defining Liveness", 1985; what is owed is what `docs/guarantees.md` promises while a majority of the view
//! nodes and one member live.)

use onecopy_core::{GroupId, Level, Member};
use onecopy_host::optimistic::Place;
use onecopy_raft::Role;
use onecopy_views::Table;

use crate::checks::merged::Merged;
use crate::checks::{GroupChecks, expiry, lost, members};
use crate::client::Client;
use crate::clock::{Time, truth};
use crate::env::Env;
use crate::node::{NEWER, Node};
use crate::scar;
use crate::trace::violated;

const CHECKER: &str = "liveness";

/// Whether the protocol owes anything: a majority of the view nodes and one member of the group have their
/// disks.
#[must_use]
pub fn is_owed(env: &Env, nodes: &[Node]) -> bool {
    let is_led = env.checks.members.survive(|member| nodes.iter().any(|node| members::lives(node, member)));
    let alive = |view: &onecopy_core::View| {
        view.members.iter().any(|member| {
            nodes.iter().any(|node| node.id == member.node && node.incarnation == member.incarnation)
        })
    };
    let survives = |group: &GroupChecks| match &group.raft {
        None => group.views.newest().is_none_or(alive),
        Some(raft) => raft.members.survive(|member| nodes.iter().any(|node| lives(node, member))),
    };
    is_led && env.checks.groups.values().filter(|group| !group.is_gone).all(survives)
}

/// What is still missing; `None` if the cluster is as good as new.
#[must_use]
pub fn missing(env: &Env, nodes: &[Node], clients: &[Client], was_drained: bool) -> Option<String> {
    if was_drained {
        return Some("a node is still drained: what becomes of its copies is yet to be seen".to_owned());
    }
    if let Some(client) = clients.iter().position(|client| client.served < 3) {
        return Some(format!("client {client} is not served"));
    }
    let mut groups = env.checks.groups.iter();
    if let Some(missing) = groups.find_map(|(group, checks)| missing_of(*group, checks, env, nodes)) {
        return Some(missing);
    }
    if let Some(merged) = env.checks.merged.as_ref().filter(|merged| placed(merged.group, nodes).is_none()) {
        return Some(format!("the copies of {} are not where they should be", merged.group));
    }
    let tables = nodes.iter().filter_map(|node| node.process.as_ref()?.view_table());
    let level = tables.max_by_key(|table| table.version()).map_or(Level::FIRST, Table::level);
    if env.profile.rolls.is_some() && level < NEWER {
        return Some(format!("E4: all processes know level {NEWER}, and level {level} is in force"));
    }
    // What it decided while things went wrong, and could not commit, it commits only now.
    let raft = nodes.iter().filter_map(|node| node.process.as_ref()?.raft());
    let leader = raft.filter(|raft| raft.role() == Role::Leader).max_by_key(|raft| raft.term());
    if leader.is_none_or(|leader| leader.commit() < leader.log().last().index) {
        return Some("the view service has not committed all that it has decided".to_owned());
    }
    env.checks.members.missing(nodes)
}

/// Whether this life of a node's data is that of today.
#[must_use]
pub fn lives(node: &Node, member: Member) -> bool {
    (node.id, node.incarnation) == (member.node, member.incarnation)
}

/// Who still has something of a database that was dropped.
fn left_of(group: GroupId, nodes: &[Node]) -> Option<String> {
    let holds = |node: &&Node| {
        let process = node.process.as_ref();
        process.is_some_and(|process| process.group(group).is_some()) || node.disk.has_something_of(group)
    };
    nodes
        .iter()
        .find(holds)
        .map(|node| format!("{} still has something of {group}, which was dropped", node.id))
}

/// What a group still lacks.
fn missing_of(group: GroupId, checks: &GroupChecks, env: &Env, nodes: &[Node]) -> Option<String> {
    if checks.is_gone {
        return left_of(group, nodes);
    }
    let Some(view) = &checks.view(group, nodes) else { return Some(format!("{group} has no view")) };
    if checks.served < 1 {
        return Some(format!("nobody is served by {group}"));
    }
    let tables = nodes.iter().filter_map(|node| node.process.as_ref()?.view_table());
    let table = tables.max_by_key(|table| table.version());
    if let Some(switch) = table.and_then(|table| table.switch(group)) {
        return Some(format!("{group} has not switched: {switch:?}"));
    }
    // Copies are added for a switch also if it is given up.
    let is_planned = env.profile.switched.iter().any(|(_, of, _)| *of == group);
    let switched = table.filter(|table| is_planned && table.groups().contains_key(&group));
    let copies = match (switched, &checks.raft, env.profile.raft_copies) {
        (Some(table), ..) => (table.groups()[&group].copies as usize).min(nodes.len()),
        (None, Some(_), Some(copies)) => copies as usize,
        _ => (env.profile.copies as usize).min(nodes.len()),
    };
    if view.members.len() != copies {
        return Some(format!("{group}: {view} has {} members instead of {copies}", view.members.len()));
    }
    // A spare that was recruited while a node was drained becomes a member, and one too many is dropped
    // again.
    if !view.learners.is_empty() {
        return Some(format!("{group}: {view} has learners"));
    }
    if let Some(raft) = checks.raft.as_ref().filter(|raft| !raft.roster.reached) {
        return Some(format!("{group} is still changing: {:?}", raft.roster));
    }
    let tables = nodes.iter().filter_map(|node| node.process.as_ref()?.view_table());
    let places = tables.max_by_key(|table| table.version()).map(|table| table.options(group).nodes);
    let is_elsewhere = |member: &&Member| {
        places.as_ref().is_some_and(|nodes| !nodes.is_empty() && !nodes.contains(&member.node))
    };
    if let Some(member) = view.members.iter().find(is_elsewhere) {
        return Some(format!(
            "{group}: {member:?} is not where the operator wants the copies, on {places:?}"
        ));
    }
    let is_over = |member: &&Member| !nodes.iter().any(|node| lives(node, **member));
    if let Some(dead) = view.members.iter().find(is_over) {
        return Some(format!("{group}: {dead:?} has lost its data and is not replaced"));
    }
    let mut scars = Vec::new();
    for member in &view.members {
        let process = nodes.iter().find(|node| node.id == member.node).and_then(|node| node.process.as_ref());
        let replica = process.and_then(|process| process.group(group));
        let Some(group) = replica.filter(|group| group.replica().view() == Some(view)) else {
            return Some(format!("{member:?} does not know {view}"));
        };
        let Some(machine) = group.machine() else {
            return Some(format!("{member:?} is in the middle of a command"));
        };
        // Copies of Raft do not compare what they came to (P10).
        if group.replica().primary_backup().is_some() {
            scars.push(scar::is_in(machine));
        }
    }
    // If all have it, a damaged replica became the primary before it was found out, and it is the truth.
    if scars.iter().any(|scar| *scar != scars[0]) {
        return Some("P10: nobody has found out that the memory of a member is damaged".to_owned());
    }
    None
}

/// Nothing is asked for any more: the copies must be equal, and hold what was acknowledged, and the view must
/// have stayed as it was when there had been this many, since nothing has gone wrong. Returns whether all
/// have been seen so: a lease may have ended just now, or a comparison been asked for, and its entry is on
/// its way. (Each group is seen by itself: there need be no moment at which nothing is on its way in any of
/// them.)
pub fn settled(env: &mut Env, nodes: &[Node], views: u64, is_last_look: bool) -> bool {
    if env.checks.view_changes() != views {
        let views: Vec<_> = env.checks.groups.values().filter_map(|group| group.views.newest()).collect();
        violated(CHECKER, format!("a view was changed, although nothing was wrong: {views:?}"));
    }
    let (time, keys) = (env.time, env.profile.workload.keys);
    // Where nobody knew the time all along, what it was when a lease was taken says nothing.
    let kept = (!env.profile.years_apart).then_some(env.checks.clocks.is_off);
    let groups = env.checks.groups.iter_mut();
    for (group, checks) in groups.filter(|(_, checks)| !checks.is_settled && !checks.is_gone) {
        checks.is_settled = settled_of(*group, checks, nodes, (time, kept, keys), is_last_look);
    }
    if !env.checks.groups.values().all(|checks| checks.is_settled || checks.is_gone) {
        return false;
    }
    if let Some(merged) = &env.checks.merged {
        let copies = nodes.iter().filter_map(|of| Some((of.id, of.process.as_ref()?.copy(merged.group)?)));
        let copies: Vec<_> = copies.filter(|(_, copy)| copy.place() == Place::Member).collect();
        let members = placed(merged.group, nodes).unwrap_or(0);
        if !merged.settled(&copies, members, is_last_look) {
            if is_last_look {
                violated("merged", format!("O9: the copies differ: {}", Merged::missing(&copies)));
            }
            return false;
        }
    }
    let configuration = env.checks.members.committed();
    let is_member = |node: &&Node| {
        configuration.is_none_or(|of| of.voters.iter().any(|member| members::lives(node, *member)))
    };
    let view_nodes = nodes.iter().filter(is_member);
    let tables: Vec<&Table> = view_nodes.filter_map(|node| node.process.as_ref()?.view_table()).collect();
    if let Some(other) = tables.iter().find(|table| **table != tables[0]) {
        // A clock was noted just now: the others hear with the next heartbeat that it is committed.
        if !is_last_look {
            return false;
        }
        violated(
            CHECKER,
            format!("the view tables differ: versions {} and {}", tables[0].version(), other.version()),
        );
    }
    true
}

/// How many copies an optimistic database has, if that is as many as it should have, and none comes or goes.
fn placed(group: GroupId, nodes: &[Node]) -> Option<usize> {
    let tables = nodes.iter().filter_map(|node| node.process.as_ref()?.view_table());
    let table = tables.max_by_key(|table| table.version())?;
    let known = table.groups().get(&group)?;
    let goes = known.view.members.iter().any(|member| table.is_leaving(group, member.node));
    let is_still = !goes && known.view.learners.is_empty();
    (is_still && known.view.members.len() == known.copies as usize).then_some(known.view.members.len())
}

/// The same of one group.
fn settled_of(
    group: GroupId,
    checks: &mut GroupChecks,
    nodes: &[Node],
    (time, kept, keys): (Time, Option<bool>, u64),
    is_last_look: bool,
) -> bool {
    let Some(view) = checks.view(group, nodes) else { return true };
    let committed = checks.ledger.len();
    for member in &view.members {
        let Some(node) = nodes.iter().find(|node| node.id == member.node) else { continue };
        let Some(process) = &node.process else { continue };
        let Some(group) = process.group(group) else { continue };
        if group.applied().0 != committed {
            if !is_last_look {
                return false;
            }
            violated(CHECKER, format!("{} has executed {} of {committed} entries", node.id, group.applied()));
        }
        let Some(machine) = group.machine() else {
            if !is_last_look {
                return false;
            }
            violated(CHECKER, format!("{} never ends what it executes", node.id));
        };
        checks.digests.compare(node.id, group.applied(), machine);
        lost::check(&checks.ledger, machine, keys);
        if checks.ledger.own.is_none() {
            checks.ledger.waits.check(machine, keys, checks.ledger.time_at(checks.ledger.len()));
        }
        if node.id == view.primary {
            // A process that was down for a while is behind by as much at first: it does not trust the clock
            // that it finds.
            let is_new = time < node.started + expiry::MISTRUST;
            if let Some(is_misled) = kept {
                expiry::check(&checks.ledger, keys, truth(time), is_misled || is_new);
            }
        }
    }
    true
}
