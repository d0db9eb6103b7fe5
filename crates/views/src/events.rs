//! Why did that happen? Every change of the table is recorded with who decided it, when, and on what
//! evidence.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Grounds, NodeId, Timestamp, View};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::table::CorruptTable;

/// How many events the table remembers.
pub(crate) const REMEMBERED: usize = 256;

/// A command as it is replicated: with what its proposer knew. For people: the table does not depend on it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Proposal {
    /// The view node that proposed it.
    pub by: NodeId,
    /// Its wall clock.
    pub at: Timestamp,
    /// What it knew.
    pub evidence: Vec<Evidence>,
    /// What is to be done.
    pub command: Command,
}

/// Something that a view node knew when it decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Evidence {
    /// The last ping of a node was so long ago.
    LastPing {
        /// Whose.
        node: NodeId,
        /// How long ago.
        ago: Duration,
    },
    /// A node has not been heard since the view node started.
    NeverPinged {
        /// Which one.
        node: NodeId,
    },
    /// The view node could not connect to a node.
    Refused {
        /// Which one.
        node: NodeId,
    },
    /// A replica reported another one.
    Accused {
        /// Who is accused.
        node: NodeId,
        /// By whom.
        by: NodeId,
        /// Of what.
        grounds: Grounds,
    },
    /// A disk had not finished a write for so long.
    DiskWaits {
        /// Whose.
        node: NodeId,
        /// For how long.
        waiting: Duration,
    },
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastPing { node, ago } => write!(f, "{node} pinged {} ms ago", ago.as_millis()),
            Self::NeverPinged { node } => write!(f, "{node} has not pinged"),
            Self::Refused { node } => write!(f, "{node} refuses connections"),
            Self::Accused { node, by, grounds } => write!(f, "{by} reports that {node} {grounds}"),
            Self::DiskWaits { node, waiting } => {
                write!(f, "a disk write of {node} takes {} ms", waiting.as_millis())
            }
        }
    }
}

impl Proposal {
    /// The proposal as it is replicated.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a proposal always has an encoding"))
    }

    /// What [`Proposal::encode`] made.
    ///
    /// # Errors
    /// When the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, CorruptTable> {
        postcard::from_bytes(bytes).map_err(|error| CorruptTable { reason: error.to_string() })
    }
}

/// A change of the table, as it is remembered.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// The version of the table after it.
    pub version: u64,
    /// What was proposed, by whom, and why.
    pub proposal: Proposal,
    /// The view of the group after it, if it was about a group.
    pub view: Option<View>,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.proposal.command)?;
        if let Some(view) = &self.view {
            write!(f, ": {view}")?;
        }
        let evidence: Vec<String> = self.proposal.evidence.iter().map(ToString::to_string).collect();
        match evidence.is_empty() {
            true => write!(f, " (decided by {})", self.proposal.by),
            false => write!(f, " (decided by {}: {})", self.proposal.by, evidence.join(", ")),
        }
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RegisterNode { node, registration } => {
                write!(f, "{node} registered, {}, process {}", registration.boot, registration.pid)
            }
            Self::RegisterWithLevel { node, registration, level } => {
                let (boot, pid) = (registration.boot, registration.pid);
                write!(f, "{node} registered, {boot}, process {pid}, knows level {level}")
            }
            Self::RaiseLevel { level } => write!(f, "level {level} is in force: all nodes know it"),
            Self::HoldLevel { is_held: true } => write!(f, "the level in force is held where it is"),
            Self::HoldLevel { is_held: false } => write!(f, "the level in force may rise"),
            Self::CreateGroup { group, copies, .. } => write!(f, "{group} created with {copies} copies"),
            Self::CreateDatabase { group, database, copies, .. } => {
                write!(f, "{group} created with {copies} copies, for the database {database}")
            }
            Self::RemoveMember { group, node, reason, .. } => write!(f, "{group} drops {node}, {reason}"),
            Self::PromoteMember { group, primary, dropped, reason, .. } if dropped.is_empty() => {
                write!(f, "{group} promotes {primary}, {reason}")
            }
            Self::PromoteMember { group, primary, dropped, reason, .. } => {
                write!(f, "{group} promotes {primary} and drops {dropped:?}, {reason}")
            }
            Self::Handover { group, heir, .. } => write!(f, "{group} is handed over to {heir}"),
            Self::AddLearner { group, learner, .. } => write!(f, "{group} recruits {}", learner.node),
            Self::RemoveLearner { group, node, reason, .. } => {
                write!(f, "{group} drops the learner {node}, {reason}")
            }
            Self::AddMember { group, learner, .. } => write!(f, "{group} has a new member, {}", learner.node),
            Self::SetCopies { group, copies } => write!(f, "{group} shall have {copies} copies"),
            Self::SetDrained { node, drained: true } => write!(f, "{node} is drained"),
            Self::SetDrained { node, drained: false } => write!(f, "{node} is in use again"),
            Self::SetViewNodes { nodes } => {
                let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                write!(f, "the view nodes are {}", names.join(", "))
            }
            Self::ForgetNode { node } => write!(f, "{node} is forgotten"),
            Self::NoteClock { node, error: Some(error) } => write!(f, "the wall clock of {node} is {error}"),
            Self::NoteClock { node, error: None } => write!(f, "the wall clock of {node} is right again"),
            Self::SetParameters { values } => {
                let set: Vec<String> =
                    values.iter().map(|(name, value)| format!("{name} = {value:?}")).collect();
                write!(f, "set for all nodes: {}", set.join(", "))
            }
            Self::ChangeUsers { changes, .. } => {
                let name = |(name, rules): (&Vec<u8>, &Option<Vec<u8>>)| {
                    let verb = if rules.is_some() { "" } else { " (removed)" };
                    format!("{}{verb}", String::from_utf8_lossy(name))
                };
                let names: Vec<String> = changes.iter().map(name).collect();
                write!(f, "users are changed: {}", names.join(", "))
            }
            Self::ChangeRoster { group, members, .. } => {
                let names: Vec<String> = members.iter().map(|member| member.node.to_string()).collect();
                write!(f, "the copies of {group} go to {}", names.join(", "))
            }
            Self::RosterReached { group, .. } => write!(f, "the copies of {group} are where they should be"),
            Self::SetOptions { group, changes } => {
                let parts = [
                    changes.copies.map(|copies| format!("{copies} copies")),
                    changes.min_copies.map(|least| format!("no writes on fewer than {least} copies")),
                    changes.nodes.as_ref().map(|nodes| match nodes.is_empty() {
                        true => "copies wherever there is room".to_owned(),
                        false => {
                            let names: Vec<String> = nodes.iter().map(ToString::to_string).collect();
                            format!("copies on {}", names.join(", "))
                        }
                    }),
                    changes.confirms_reads.map(|confirms| match confirms {
                        true => "reads that are confirmed".to_owned(),
                        false => "reads under leases".to_owned(),
                    }),
                ];
                let parts: Vec<String> = parts.into_iter().flatten().collect();
                write!(f, "{group} shall have {}", parts.join(", "))
            }
            Self::RetireCopy { group, node, reason, .. } => {
                write!(f, "the copy of {group} on {node} is to go, {reason}")
            }
            Self::KeepCopy { group, node, .. } => write!(f, "the copy of {group} on {node} may stay"),
            Self::LetCopyGo { group, node, .. } => {
                write!(f, "the copy of {group} on {node} is gone, the others have everything")
            }
            Self::GiveUpNode { node } => {
                write!(f, "{node} is given up, and may have had what no other node has")
            }
            Self::SetCopiesBeforeOk { group, copies } => {
                write!(f, "{group} answers a write when {copies} copies have it")
            }
            Self::SwitchKind { group, kind } => write!(f, "{group} shall be replicated as {kind}"),
            Self::CompleteSwitch { group, seal, .. } => {
                write!(f, "{group} is replicated in the other way after {seal}")
            }
            Self::DropDatabase { group, name } => write!(f, "{group} is gone, with the database {name}"),
            Self::Recover { group, sole, .. } => {
                write!(f, "{group} goes on with what {} has, and may have lost data", sole.node)
            }
        }
    }
}
