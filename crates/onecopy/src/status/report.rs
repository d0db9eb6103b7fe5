//! What the nodes of a cluster say, put together. The names of the fields are those of `--json`: programs
//! rely on them.

use std::collections::BTreeMap;

use onecopy_node::{BusyStatus, KnownGroup, KnownNode, NodeStatus, ReplicaStatus, ThreadReport};
use serde::Serialize;

use super::ask::Answer;

/// A cluster, as far as its nodes answered.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name of the cluster.
    pub cluster: String,
    /// Whether every group has all its copies.
    pub complete: bool,
    /// The level in force: by which version's rules commands are executed.
    pub level: u32,
    /// Whether an operator holds it where it is.
    pub level_held: bool,
    /// The groups, in the newest view that any node knows.
    pub groups: Vec<GroupReport>,
    /// The nodes, by id.
    pub nodes: Vec<NodeReport>,
}

/// A group of replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GroupReport {
    /// The group.
    pub group: u32,
    /// The database that it holds, with its numbers.
    pub database: String,
    /// How it is replicated.
    pub kind: String,
    /// The number of its view.
    pub view: u64,
    /// The node that orders requests.
    pub primary: u32,
    /// The other members.
    pub backups: Vec<u32>,
    /// The replicas that are catching up.
    pub learners: Vec<u32>,
    /// How many copies there should be.
    pub copies_wanted: u32,
    /// How many members of the view answer.
    pub copies_have: u32,
    /// Without how many writes are refused, if that is set for this database alone.
    pub min_copies: Option<u32>,
    /// Whether its reads are confirmed, whatever the settings of the nodes say.
    pub confirms_reads: bool,
    /// The only nodes on which its copies are to be; empty: whichever.
    pub only_on: Vec<u32>,
    /// Of an optimistic database: how many copies have a write before it is answered.
    pub copies_before_ok: Option<u32>,
    /// Of an optimistic database: the nodes whose copies are to go.
    pub leaving: Vec<u32>,
}

impl GroupReport {
    /// If nobody leads it, because its copies take requests by themselves: which nodes have copies.
    #[must_use]
    pub fn equal_copies(&self) -> Option<Vec<u32>> {
        let mut all: Vec<u32> = std::iter::once(self.primary).chain(self.backups.iter().copied()).collect();
        all.sort_unstable();
        (self.kind == "optimistic").then_some(all)
    }
}

/// A node.
#[derive(Clone, Debug, Serialize)]
pub struct NodeReport {
    /// The node.
    pub node: u32,
    /// `up`, `failed` (it answers, but acknowledges no writes any more) or `unreachable`.
    pub state: &'static str,
    /// Why it is not up.
    pub error: Option<String>,
    /// What an operator should look at, as it says.
    pub warnings: Vec<String>,
    /// Its process, when it was last heard of.
    pub pid: Option<u32>,
    /// Seconds since the process was started.
    pub uptime_seconds: Option<u64>,
    /// The version of the program.
    pub version: Option<String>,
    /// The highest level that it knows; of one that does not answer, that it knew when it was last heard of.
    pub level: Option<u32>,
    /// Whether it is to hold nothing.
    pub drained: bool,
    /// What it fails together with; empty if nobody said.
    pub zone: String,
    /// What it is for: `view`, `data`, `coordinator`.
    pub roles: Vec<String>,
    /// What it is in the view service: `leader`, `follower`, `candidate`, `learner`, `founding` or `waiting`;
    /// null if it is not part of it.
    pub view_service: Option<String>,
    /// Where it takes Redis clients; empty if it does not.
    pub redis: String,
    /// Where it answers HTTP.
    pub http: String,
    /// Where it takes other nodes.
    pub peer: String,
    /// Its data threads.
    pub threads: Vec<ThreadReport>,
    /// Its replicas.
    pub replicas: Vec<ReplicaReport>,
}

/// A replica on a node.
#[derive(Clone, Debug, Serialize)]
pub struct ReplicaReport {
    /// The group.
    pub group: u32,
    /// The data thread of the node that it belongs to.
    pub thread: u32,
    /// The number of the view that it knows.
    pub view: u64,
    /// `primary`, `backup`, `learner`, `retired` or `spare`.
    pub role: String,
    /// The highest index in its log.
    pub last: u64,
    /// The highest durable index.
    pub durable: u64,
    /// The highest index that it knows to be committed.
    pub commit: u64,
    /// The highest index that it has executed.
    pub executed: u64,
    /// The command that it is in the middle of, and for how long; null if there is none.
    pub busy: Option<BusyStatus>,
    /// How many entries of the primary's log it has not acknowledged; null if the primary does not say.
    pub lag: Option<u64>,
    /// Of a copy of an optimistic database that is to go: the copies that still lack something of it, and how
    /// many updates.
    pub hands_on_to: Vec<(u32, u64)>,
    /// How many keys it holds.
    pub keys: u64,
    /// How many bytes its state occupies.
    pub memory_bytes: u64,
}

impl Report {
    /// Puts the answers together.
    #[must_use]
    pub fn of(answers: &[Answer]) -> Self {
        let statuses: Vec<&NodeStatus> =
            answers.iter().filter_map(|answer| answer.status.as_ref().ok()).collect();
        let (groups, primaries) = (groups(&statuses), primaries(&statuses));
        let known: Vec<&KnownNode> = statuses.iter().flat_map(|status| &status.nodes).collect();
        let mut nodes: Vec<NodeReport> = answers
            .iter()
            .filter_map(|answer| {
                let id = answer.node()?;
                let known = known.iter().find(|known| known.node == id).copied();
                Some(match &answer.status {
                    Ok(status) => up(status, known, &answer.http, &primaries),
                    Err(error) => unreachable(id, known, &answer.http, error),
                })
            })
            .collect();
        nodes.sort_by_key(|node| node.node);
        // Whoever knows the highest one knows the newest table.
        let newest = statuses.iter().max_by_key(|status| status.level_in_force);
        Self {
            cluster: statuses.first().map(|status| status.cluster.clone()).unwrap_or_default(),
            level: newest.map_or(0, |status| status.level_in_force),
            level_held: newest.is_some_and(|status| status.level_held),
            complete: !groups.is_empty() && groups.iter().all(GroupReport::is_complete),
            groups,
            nodes,
        }
    }
}

impl GroupReport {
    fn is_complete(&self) -> bool {
        self.copies_have >= self.copies_wanted
    }
}

/// The groups, each in the newest view that somebody knows: nodes that were cut off know older ones. Of a
/// Raft group whose members change under one leader, the leader knows them best.
fn groups(statuses: &[&NodeStatus]) -> Vec<GroupReport> {
    let mut newest: BTreeMap<u32, &KnownGroup> = BTreeMap::new();
    let told = statuses.iter().flat_map(|status| status.groups.iter().map(|group| (status.node, group)));
    for (by, group) in told {
        let known = newest.entry(group.group).or_insert(group);
        if known.view < group.view || known.view == group.view && by == group.primary {
            *known = group;
        }
    }
    let answers = |node: u32| statuses.iter().any(|status| status.node == node && status.failure.is_none());
    let report = |group: &KnownGroup| {
        let members = std::iter::once(group.primary).chain(group.backups.iter().copied());
        GroupReport {
            group: group.group,
            database: group.database.clone(),
            kind: group.kind.clone(),
            view: group.view,
            primary: group.primary,
            backups: group.backups.clone(),
            learners: group.learners.clone(),
            copies_wanted: group.copies,
            copies_have: members.filter(|node| answers(*node)).count() as u32,
            min_copies: group.min_copies,
            confirms_reads: group.confirms_reads,
            only_on: group.nodes.clone(),
            copies_before_ok: group.copies_before_ok,
            leaving: group.leaving.clone(),
        }
    };
    newest.into_values().map(report).collect()
}

fn up(status: &NodeStatus, known: Option<&KnownNode>, http: &str, primaries: &Primaries<'_>) -> NodeReport {
    let replica = |replica: &ReplicaStatus| ReplicaReport {
        group: replica.group,
        thread: replica.thread,
        view: replica.view,
        role: replica.role.clone(),
        last: replica.last,
        durable: replica.durable,
        commit: replica.commit,
        executed: replica.executed,
        busy: replica.busy.clone(),
        lag: lag(status.node, primaries.get(&replica.group)),
        hands_on_to: replica.optimistic.as_ref().map(|copy| copy.hands_on_to.clone()).unwrap_or_default(),
        keys: replica.keys,
        memory_bytes: replica.memory_bytes,
    };
    NodeReport {
        node: status.node,
        state: if status.failure.is_some() { "failed" } else { "up" },
        error: status.failure.clone(),
        warnings: status.warnings.clone(),
        pid: Some(status.pid),
        uptime_seconds: Some(status.uptime_seconds),
        version: Some(status.version.clone()),
        level: Some(status.level),
        drained: known.is_some_and(|known| known.drained),
        zone: known.map(|known| known.zone.clone()).unwrap_or_default(),
        roles: status.roles.clone(),
        view_service: status.view_service.as_ref().map(|service| service.role.clone()),
        redis: known.map(|known| known.redis.clone()).unwrap_or_default(),
        http: http.to_owned(),
        peer: known.map(|known| known.peer.clone()).unwrap_or_default(),
        threads: status.threads.clone(),
        replicas: status.replicas.iter().map(replica).collect(),
    }
}

/// The primary of each group, with its node.
type Primaries<'a> = BTreeMap<u32, (u32, &'a ReplicaStatus)>;

/// Where two nodes take themselves for the primary, the one with the newer view is.
fn primaries<'a>(statuses: &[&'a NodeStatus]) -> Primaries<'a> {
    let mut primaries = Primaries::new();
    for status in statuses {
        for replica in status.replicas.iter().filter(|replica| replica.role == "primary") {
            let known = primaries.entry(replica.group).or_insert((status.node, replica));
            if known.1.view <= replica.view {
                *known = (status.node, replica);
            }
        }
    }
    primaries
}

/// How far the replica of a node is behind the primary.
fn lag(node: u32, primary: Option<&(u32, &ReplicaStatus)>) -> Option<u64> {
    let (primary, replica) = primary?;
    if *primary == node {
        return Some(0);
    }
    replica.lag.iter().find(|(other, _)| *other == node).map(|(_, lag)| *lag)
}

fn unreachable(node: u32, known: Option<&KnownNode>, http: &str, error: &str) -> NodeReport {
    NodeReport {
        node,
        state: "unreachable",
        error: Some(error.to_owned()),
        warnings: Vec::new(),
        pid: known.map(|known| known.pid),
        uptime_seconds: None,
        version: None,
        level: known.map(|known| known.level),
        drained: known.is_some_and(|known| known.drained),
        zone: known.map(|known| known.zone.clone()).unwrap_or_default(),
        roles: Vec::new(),
        view_service: None,
        redis: known.map(|known| known.redis.clone()).unwrap_or_default(),
        http: http.to_owned(),
        peer: known.map(|known| known.peer.clone()).unwrap_or_default(),
        threads: Vec::new(),
        replicas: Vec::new(),
    }
}
