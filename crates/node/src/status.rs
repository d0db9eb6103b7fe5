//! What a node tells about itself, over HTTP and in `INFO`.
//!
//! The types are public and can be read back, so that the command line shows what the node says without a
//! second description of it.

mod copy;
mod data;
mod replica;

use std::collections::BTreeSet;

use onecopy_core::Member;
use onecopy_host::ViewService;
use serde::{Deserialize, Serialize};

pub use copy::{CopyStatus, OtherCopy};
pub(crate) use data::{BusyScript, ClientCounters, DataStatus, ReplicaCounters};
pub use replica::{BusyStatus, KeyCounts, ReplicaStatus};

use crate::disk_room::DiskRoom;

/// Everything that `GET /status` answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The node.
    pub node: u32,
    /// The name of its cluster.
    pub cluster: String,
    /// The version of the program.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Seconds since the process was started.
    pub uptime_seconds: u64,
    /// What the node is for.
    pub roles: Vec<String>,
    /// The highest level that the program knows: by which version's rules it can execute.
    #[serde(default)]
    pub level: u32,
    /// The level in force in the cluster, as far as the node knows.
    #[serde(default)]
    pub level_in_force: u32,
    /// Whether an operator holds it where it is.
    #[serde(default)]
    pub level_held: bool,
    /// Why the node does not acknowledge writes any more, if it does not.
    pub failure: Option<String>,
    /// What an operator should look at, although everything is served.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// The room on the disk of the data directory.
    #[serde(default)]
    pub disk: Option<DiskRoom>,
    /// What the node is in the view service, if it is a view node.
    pub view_service: Option<ViewServiceStatus>,
    /// Its data threads, by number.
    #[serde(default)]
    pub threads: Vec<ThreadReport>,
    /// The replicas on the node.
    pub replicas: Vec<ReplicaStatus>,
    /// The nodes of the cluster, as the node knows them.
    pub nodes: Vec<KnownNode>,
    /// The groups of the cluster, as the node knows them.
    pub groups: Vec<KnownGroup>,
}

/// What a view node is in the view service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewServiceStatus {
    /// `leader`, `follower`, `candidate`, `learner` (gets the log, has no vote yet), `founding` (waits for
    /// the other view nodes of a new cluster) or `waiting` (is no member).
    pub role: String,
    /// The Raft term.
    pub term: u64,
    /// The leader, if it is known.
    pub leader: Option<u32>,
    /// Who votes, as far as this node knows; during a change, who will.
    pub voters: Vec<u32>,
    /// Who gets the log without a vote.
    pub learners: Vec<u32>,
}

impl ViewServiceStatus {
    pub(crate) fn of(service: &ViewService) -> Self {
        let Some(raft) = service.raft() else {
            return Self { role: "founding".to_owned(), ..Self::default() };
        };
        let configuration = raft.configuration();
        let ids = |members: &BTreeSet<Member>| members.iter().map(|member| member.node.0).collect();
        let role = match (configuration.learners.contains(&raft.id()), service.is_member()) {
            (true, _) => "learner".to_owned(),
            (_, true) => raft.role().to_string(),
            _ => "waiting".to_owned(),
        };
        Self {
            role,
            term: raft.term().0,
            leader: raft.leader().map(|leader| leader.node.0),
            voters: ids(&configuration.voters),
            learners: ids(&configuration.learners),
        }
    }
}

/// A data thread of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadReport {
    /// Its number, from 0 on.
    pub thread: u32,
    /// How many replicas belong to it: those of the groups whose number leaves this one, divided by the
    /// number of threads.
    pub replicas: u64,
    /// How many clients it serves.
    pub clients: u64,
    /// Its turns, since the process was started.
    pub turns: u64,
    /// For which part of the last second that it has counted it was in a turn, in thousandths.
    pub busy_permille: u64,
}

/// A node as another one knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownNode {
    /// The node.
    pub node: u32,
    /// Its process, when it last registered.
    pub pid: u32,
    /// Where it takes Redis clients.
    pub redis: String,
    /// Where it answers HTTP.
    pub http: String,
    /// Where it takes other nodes.
    pub peer: String,
    /// Whether it holds data.
    pub holds_data: bool,
    /// Whether it is to hold nothing.
    pub drained: bool,
    /// What it fails together with; empty if nobody said.
    pub zone: String,
    /// The highest level that it knows, as it said when it last registered.
    #[serde(default)]
    pub level: u32,
}

/// A group as a node knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownGroup {
    /// The group.
    pub group: u32,
    /// The database that it holds, with its numbers, such as `carts:16`.
    #[serde(default)]
    pub database: String,
    /// How it is replicated: `primary-backup` or `raft`.
    #[serde(default)]
    pub kind: String,
    /// The number of its view; of a Raft group, one more than the term of its leader.
    pub view: u64,
    /// The node that orders requests: of a Raft group, the last leader that this node has heard of.
    pub primary: u32,
    /// The other members.
    pub backups: Vec<u32>,
    /// The replicas that are catching up.
    pub learners: Vec<u32>,
    /// How many members there should be.
    pub copies: u32,
    /// Without how many of them writes are refused, if that is set for this database alone.
    #[serde(default)]
    pub min_copies: Option<u32>,
    /// Whether its reads are confirmed, whatever the settings of the nodes say.
    #[serde(default)]
    pub confirms_reads: bool,
    /// The only nodes on which its copies are to be; empty: whichever.
    #[serde(default)]
    pub nodes: Vec<u32>,
    /// Of an optimistic database: how many copies have a write before it is answered.
    #[serde(default)]
    pub copies_before_ok: Option<u32>,
    /// Of an optimistic database: the nodes whose copies are to go.
    #[serde(default)]
    pub leaving: Vec<u32>,
}
