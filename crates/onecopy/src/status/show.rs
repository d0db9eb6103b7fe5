//! The report for people.

use std::collections::{BTreeMap, BTreeSet};

use super::report::{GroupReport, NodeReport, ReplicaReport, Report};
use crate::table::{aligned, row};

/// Of a data thread with more groups only their number is shown.
const GROUPS_SHOWN: usize = 12;

/// The report as lines of text.
pub(super) fn lines(report: &Report) -> Vec<String> {
    let state =
        if report.complete { "every group has all its copies" } else { "DEGRADED: copies are missing" };
    let mut lines = vec![format!("cluster {}: {state}", report.cluster), level(report), String::new()];
    let mut groups = vec![row(["group", "database", "view", "primary", "backups", "learners", "copies"])];
    groups.extend(report.groups.iter().map(group));
    lines.extend(aligned(&groups));
    lines.push(String::new());
    let mut nodes = vec![row([
        "node",
        "state",
        "pid",
        "role",
        "view service",
        "redis",
        "http",
        "peer",
        "durable",
        "commit",
        "lag",
        "zone",
        "roles",
        "level",
    ])];
    nodes.extend(report.nodes.iter().map(node));
    lines.extend(aligned(&nodes));
    lines.extend(threads(report));
    let errors = report.nodes.iter().filter_map(|node| Some((node.node, node.error.as_ref()?)));
    lines.extend(errors.map(|(node, error)| format!("node {node}: {error}")));
    let busy = report.nodes.iter().flat_map(|node| node.replicas.iter().map(move |replica| (node, replica)));
    let busy = busy.filter_map(|(node, replica)| Some((node.node, replica.busy.as_ref()?)));
    lines.extend(busy.map(|(node, busy)| {
        format!("node {node}: has been executing {} for {} ms", busy.command.to_uppercase(), busy.busy_ms)
    }));
    // All nodes know of some things.
    let warnings: BTreeSet<&String> = report.nodes.iter().flat_map(|node| &node.warnings).collect();
    lines.extend(warnings.into_iter().map(|warning| format!("warning: {warning}")));
    lines
}

/// Which level is in force.
fn level(report: &Report) -> String {
    let held = if report.level_held { ", and held there" } else { "" };
    format!("level {} is in force{held}", report.level)
}

/// The data threads, where a node has several.
fn threads(report: &Report) -> Vec<String> {
    if report.nodes.iter().all(|node| node.threads.len() <= 1) {
        return Vec::new();
    }
    let mut rows = vec![row(["node", "thread", "groups", "clients", "busy"])];
    for node in &report.nodes {
        rows.extend(node.threads.iter().map(|thread| {
            let groups = node.replicas.iter().filter(|replica| replica.thread == thread.thread);
            vec![
                node.node.to_string(),
                thread.thread.to_string(),
                some(&groups.map(|replica| replica.group).collect::<Vec<_>>()),
                thread.clients.to_string(),
                format!("{} %", thread.busy_permille.div_ceil(10)),
            ]
        }));
    }
    let mut lines = vec![String::new()];
    lines.extend(aligned(&rows));
    lines
}

/// Ids of groups, or how many they are if they are many.
fn some(groups: &[u32]) -> String {
    if groups.len() > GROUPS_SHOWN { format!("{} groups", groups.len()) } else { ids(groups) }
}

fn group(group: &GroupReport) -> Vec<String> {
    // Of copies that take requests by themselves none is the primary.
    let (primary, backups) = match group.equal_copies() {
        Some(copies) => (dash(), ids(&copies)),
        None => (group.primary.to_string(), ids(&group.backups)),
    };
    vec![
        group.group.to_string(),
        group.database.clone(),
        group.view.to_string(),
        primary,
        backups,
        ids(&group.learners),
        format!("{} of {}", group.copies_have, group.copies_wanted),
    ]
}

fn node(node: &NodeReport) -> Vec<String> {
    // Of several replicas only what they have in common can be said in one line.
    let replica = node.replicas.first().filter(|_| node.replicas.len() == 1);
    let number = |number: Option<u64>| number.map_or_else(dash, |number| number.to_string());
    let text = |text: &str| if text.is_empty() { dash() } else { text.to_owned() };
    vec![
        node.node.to_string(),
        if node.drained { format!("{}, drained", node.state) } else { node.state.to_owned() },
        number(node.pid.map(u64::from)),
        roles(&node.replicas),
        node.view_service.clone().unwrap_or_else(dash),
        text(&node.redis),
        text(&node.http),
        text(&node.peer),
        number(replica.map(|replica| replica.durable)),
        replica.map_or_else(dash, |replica| match replica.commit.saturating_sub(replica.executed) {
            0 => replica.commit.to_string(),
            behind => format!("{}, {behind} to execute", replica.commit),
        }),
        number(node.replicas.iter().filter_map(|replica| replica.lag).max()),
        text(&node.zone),
        text(&node.roles.join(",")),
        number(node.level.map(u64::from)),
    ]
}

/// What the replicas of a node are: the role of the only one, or how many have which.
pub(crate) fn roles(replicas: &[ReplicaReport]) -> String {
    match replicas {
        [] => dash(),
        [replica] => replica.role.clone(),
        replicas => {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            replicas.iter().for_each(|replica| *counts.entry(&replica.role).or_default() += 1);
            let counts = counts.into_iter().map(|(role, count)| format!("{count} {role}"));
            counts.collect::<Vec<_>>().join(", ")
        }
    }
}

/// Ids of nodes, or a dash if there are none.
pub(crate) fn ids(nodes: &[u32]) -> String {
    if nodes.is_empty() {
        return dash();
    }
    nodes.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

fn dash() -> String {
    "-".to_owned()
}
