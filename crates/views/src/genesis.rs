//! The first moment of a cluster: the view nodes agree on who they are.
//!
//! A Raft node that lost its disk must never vote again as the node that it was: it might help to elect a leader
//! that lacks what it had acknowledged. So the view nodes of a cluster are not just node ids but node ids with an
//! incarnation, and the list of them, the *membership*, is fixed before anybody votes:
//!
//! 1. a fresh node (one with an empty disk) tells all others its incarnation, again and again;
//! 2. the one with the lowest id, once it has heard from all the others that they are fresh too, *founds* the cluster: it
//!    makes the membership durable, then announces it;
//! 3. a fresh node that finds itself, with its own incarnation, in an announced membership makes it durable too.
//!
//! There is one founder, and it founds at most once, so there is one membership. A node that finds its id with
//! another incarnation in it has lost its disk: it stays out, and says so.

use std::collections::BTreeMap;

use onecopy_core::{Incarnation, NodeId};
use serde::{Deserialize, Serialize};

/// Who the view nodes of a cluster are, fixed at its founding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// The view nodes and the lives of their disks.
    pub members: BTreeMap<NodeId, Incarnation>,
}

impl Membership {
    /// The membership as it stands on disk.
    #[must_use]
    pub fn encode(&self) -> bytes::Bytes {
        bytes::Bytes::from(postcard::to_stdvec(self).expect("a membership always has an encoding"))
    }

    /// What [`Membership::encode`] made; `None` if the bytes are something else.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// Whether `node`, in this very life, is a view node of the cluster.
    #[must_use]
    pub fn includes(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.members.get(&node) == Some(&incarnation)
    }
}

/// What view nodes tell each other before, and after, the founding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The life of the sender's disk.
    pub incarnation: Incarnation,
    /// The membership that it knows.
    pub membership: Option<Membership>,
}

/// Where a view node stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It waits for the others, and has heard from these.
    Fresh(BTreeMap<NodeId, Incarnation>),
    /// It is one of these.
    Member(Membership),
    /// The cluster knows this node with another disk. It must not take part.
    Stranger(Membership),
}

/// What a step calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founding {
    /// Nothing.
    Nothing,
    /// Make this membership durable. Only then call [`Genesis::durable`].
    Persist(Membership),
    /// This node lost its disk and stays out.
    StayOut,
}

/// One view node's part in the founding.
#[derive(Debug)]
pub struct Genesis {
    node: NodeId,
    incarnation: Incarnation,
    others: Vec<NodeId>,
    standing: Standing,
}

impl Genesis {
    /// Begins, with what the disk kept. `view_nodes` are the configured ones, `node` among them.
    #[must_use]
    pub fn new(
        node: NodeId,
        incarnation: Incarnation,
        view_nodes: &[NodeId],
        kept: Option<Membership>,
    ) -> Self {
        let others = view_nodes.iter().copied().filter(|other| *other != node).collect();
        let standing = match kept {
            None => Standing::Fresh(BTreeMap::new()),
            Some(membership) if membership.includes(node, incarnation) => Standing::Member(membership),
            Some(membership) => Standing::Stranger(membership),
        };
        Self { node, incarnation, others, standing }
    }

    /// Where this node stands.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The other configured view nodes.
    #[must_use]
    pub fn others(&self) -> &[NodeId] {
        &self.others
    }

    /// What to tell the others.
    #[must_use]
    pub fn hello(&self) -> Hello {
        let membership = match &self.standing {
            Standing::Fresh(_) => None,
            Standing::Member(membership) | Standing::Stranger(membership) => Some(membership.clone()),
        };
        Hello { incarnation: self.incarnation, membership }
    }

    /// Whether everybody is known to be fresh, or nobody else is needed.
    pub fn started(&mut self) -> Founding {
        self.found_if_complete()
    }

    /// Another view node said hello.
    pub fn received(&mut self, from: NodeId, hello: Hello) -> Founding {
        let Standing::Fresh(heard) = &mut self.standing else { return Founding::Nothing };
        match hello.membership {
            Some(membership) if membership.includes(self.node, self.incarnation) => {
                Founding::Persist(membership)
            }
            Some(membership) => {
                self.standing = Standing::Stranger(membership);
                Founding::StayOut
            }
            None if self.others.contains(&from) => {
                heard.insert(from, hello.incarnation);
                self.found_if_complete()
            }
            None => Founding::Nothing,
        }
    }

    /// The membership is durable: this node is a view node now.
    pub fn durable(&mut self, membership: Membership) {
        self.standing = Standing::Member(membership);
    }

    fn found_if_complete(&self) -> Founding {
        let Standing::Fresh(heard) = &self.standing else { return Founding::Nothing };
        let is_founder = self.others.iter().all(|other| self.node < *other);
        if !is_founder || heard.len() < self.others.len() {
            return Founding::Nothing;
        }
        let mut members = heard.clone();
        members.insert(self.node, self.incarnation);
        Founding::Persist(Membership { members })
    }
}
