//! One configuration of a group.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{BootNumber, Incarnation, NodeId, ViewNumber};

/// A replica, named so that a node that lost its data is never taken for the replica that it was (rule P9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The node that holds the replica.
    pub node: NodeId,
    /// The life of that node's data.
    pub incarnation: Incarnation,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.node, self.incarnation.0)
    }
}

/// One configuration of a group: who orders requests, who must have them, and who is catching up.
///
/// Guaranteed by [`View::valid`], which everything that makes or takes a view asserts:
/// 1. the primary is one of the members;
/// 2. no node appears twice, neither among the members nor among the learners nor in both;
/// 3. the number is at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct View {
    /// Only grows; one primary per number.
    pub number: ViewNumber,
    /// The one member that orders requests.
    pub primary: NodeId,
    /// The process start of the primary for which this view was made. A primary that has been restarted since
    /// then never acts in this view (rule P11).
    pub boot: BootNumber,
    /// The replicas that hold every committed entry, the primary among them. Never empty.
    pub members: Vec<Member>,
    /// The replicas that are catching up. They count for nothing.
    pub learners: Vec<Member>,
}

impl View {
    /// Whether the guarantees of the type hold.
    #[must_use]
    pub fn valid(&self) -> bool {
        let mut nodes: Vec<NodeId> = self.replicas().map(|replica| replica.node).collect();
        let count = nodes.len();
        nodes.sort_unstable();
        nodes.dedup();
        self.number.0 >= 1 && nodes.len() == count && self.member(self.primary).is_some()
    }

    /// Members first, then learners.
    pub fn replicas(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().chain(&self.learners)
    }

    /// The member on `node`, if there is one.
    #[must_use]
    pub fn member(&self, node: NodeId) -> Option<&Member> {
        self.members.iter().find(|member| member.node == node)
    }

    /// The learner on `node`, if there is one.
    #[must_use]
    pub fn learner(&self, node: NodeId) -> Option<&Member> {
        self.learners.iter().find(|learner| learner.node == node)
    }

    /// Whether `replica`, in this very life, is a member.
    #[must_use]
    pub fn is_member(&self, replica: &Member) -> bool {
        self.members.contains(replica)
    }

    /// Whether `replica`, in this very life, is a learner.
    #[must_use]
    pub fn is_learner(&self, replica: &Member) -> bool {
        self.learners.contains(replica)
    }

    /// The members but for the primary.
    pub fn backups(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| member.node != self.primary)
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} primary {}", self.number, self.primary)?;
        let list = |f: &mut fmt::Formatter<'_>, name: &str, nodes: Vec<NodeId>| match nodes.is_empty() {
            true => Ok(()),
            false => write!(f, " {name} {nodes:?}"),
        };
        list(f, "backups", self.backups().map(|member| member.node).collect())?;
        list(f, "learners", self.learners.iter().map(|learner| learner.node).collect())
    }
}
