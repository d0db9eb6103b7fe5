//! After the faults: writes are served again, redundancy is restored, and all copies are equal (rule P10). A protocol
//! that never does anything is safe; this is what tells it from a good one.

use onecopy_core::StateMachine;
use onecopy_views::Table;

use crate::checks::ledger::{End, Ledger, read_reply};
use crate::client::{Action, Client, Family};
use crate::env::Env;
use crate::node::Node;
use crate::trace::violated;

const CHECKER: &str = "liveness";

/// Whether the protocol owes anything: a majority of the view nodes and one member of the group have their disks.
#[must_use]
pub fn is_owed(env: &Env, nodes: &[Node]) -> bool {
    let view_nodes =
        nodes.iter().filter(|node| node.view_nodes.get(&node.id) == Some(&node.view_member)).count();
    let alive = |view: &onecopy_core::View| {
        view.members.iter().any(|member| {
            nodes.iter().any(|node| node.id == member.node && node.incarnation == member.incarnation)
        })
    };
    view_nodes * 2 > nodes.len() && env.checks.views.newest().is_none_or(alive)
}

/// What is still missing; `None` if the cluster is as good as new.
#[must_use]
pub fn missing(env: &Env, nodes: &[Node], clients: &[Client]) -> Option<String> {
    if let Some(client) = clients.iter().position(|client| client.served < 3) {
        return Some(format!("client {client} is not served"));
    }
    let Some(view) = env.checks.views.newest() else { return Some("there is no view".to_owned()) };
    let copies = (env.profile.copies as usize).min(nodes.len());
    if view.members.len() != copies {
        return Some(format!("{view} has {} members instead of {copies}", view.members.len()));
    }
    for member in &view.members {
        let group =
            nodes.iter().find(|node| node.id == member.node)?.process.as_ref().map(|process| process.group());
        if group.is_none_or(|group| group.replica().view() != Some(view)) {
            return Some(format!("{member:?} does not know {view}"));
        }
    }
    None
}

/// Nothing is asked for any more: the copies must be equal, and hold what was acknowledged, and the view must have
/// stayed as it was when there had been this many, since nothing has gone wrong.
pub fn settled(env: &mut Env, nodes: &[Node], views: u64) {
    let Some(view) = env.checks.views.newest().cloned() else { return };
    if env.checks.views.changes() != views {
        violated(CHECKER, format!("the view was changed to {view}, although nothing was wrong"));
    }
    let committed = env.checks.ledger.len();
    for member in &view.members {
        let Some(node) = nodes.iter().find(|node| node.id == member.node) else { continue };
        let Some(process) = &node.process else { continue };
        let group = process.group();
        if group.applied().0 != committed {
            violated(CHECKER, format!("{} has executed {} of {committed} entries", node.id, group.applied()));
        }
        env.checks.ledger.same_state(node.id, group.applied(), group.machine());
        nothing_is_lost(&env.checks.ledger, group.machine(), env.profile.keys);
        let log = group.replica().log();
        let bound = 4 * env.profile.log_bytes_max + env.profile.uncommitted_bytes_max.min(1 << 20);
        if log.bytes() > bound {
            violated(
                "bounded",
                format!("the log of {} has {} bytes, more than {bound}", node.id, log.bytes()),
            );
        }
    }
    let tables: Vec<&Table> = nodes.iter().filter_map(|node| node.process.as_ref()?.view_table()).collect();
    if let Some(other) = tables.iter().find(|table| **table != tables[0]) {
        violated(
            CHECKER,
            format!("the view tables differ: versions {} and {}", tables[0].version(), other.version()),
        );
    }
}

/// The state itself holds every acknowledged write, and nothing that was refused. What is unknown may be there or not.
fn nothing_is_lost(ledger: &Ledger, machine: &impl StateMachine, keys: u64) {
    for key in 0..keys {
        for (action, family) in
            [(Action::Get, Family::Register), (Action::Count, Family::Counter), (Action::Size, Family::Set)]
        {
            let mut reply = Vec::new();
            let context = onecopy_core::QueryContext { now: onecopy_core::Timestamp(0) };
            machine.query(&context, &action.segment(key, 0, 0), &mut reply);
            let expected = read_reply(family, ledger.state_at(family, key, u64::MAX), ledger.value_bytes);
            if reply.get(4..) != Some(&expected) {
                violated(CHECKER, format!("{} holds something else than the ledger", family.key(key)));
            }
            let writes = ledger.ops.iter().filter(|op| op.action.family() == family && op.key == key);
            let writes = writes.filter(|op| op.action.kind() == crate::message::Kind::Write);
            let (mut acknowledged, mut possible) = (0, 0);
            for op in writes {
                acknowledged += i64::from(op.end == End::Done);
                possible += i64::from(op.end != End::Refused);
            }
            let count = ledger.state_at(family, key, u64::MAX);
            if family != Family::Register && !(acknowledged..=possible).contains(&count) {
                violated(
                    "counters",
                    format!(
                        "{} is {count}, with {acknowledged} acknowledged and {possible} possible",
                        family.key(key)
                    ),
                );
            }
        }
    }
}
