//! The first moment of a cluster: the view nodes agree on who they are.
//!
//! A Raft node that lost its disk must never vote again as the node that it was: it might help to elect a
//! leader that lacks what it had acknowledged. So the view nodes of a cluster are not just node ids but node
//! ids with an incarnation, and the list of them, the *membership*, is fixed before anybody votes:
//!
//! 1. a fresh node (one with an empty disk) tells all others its incarnation, again and again;
//! 2. the one with the lowest id, once it has heard from all the others that they are fresh too, *founds* the
//!    cluster: it makes the membership durable, then announces it;
//! 3. a fresh node that finds itself, with its own incarnation, in an announced membership makes it durable
//!    too.
//!
//! There is one founder, and it founds at most once, so there is one membership. It says who the view nodes
//! *were*, and is the identity of the cluster for ever; who they *are* is for Raft to know from then on. A
//! fresh node that hears of a membership without itself, because it is new or because it lost its disk, makes
//! it durable too: it will never found a second cluster, and waits to be made a member of this one.
//!
//! What this rests on: of the view nodes that a fresh node is told to ask (its configuration), not all are
//! fresh again once the cluster has been founded. If all have lost their disks, they found another cluster.

use std::collections::BTreeMap;

use onecopy_core::{Incarnation, NodeId};
use serde::{Deserialize, Serialize};

/// Who founded a cluster: the first view nodes, and its identity.
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

    /// Whether `node`, in this very life, is a founding view node.
    #[must_use]
    pub fn includes(&self, node: NodeId, incarnation: Incarnation) -> bool {
        self.members.get(&node) == Some(&incarnation)
    }

    /// Names the cluster among all others: the life of the founder's disk, in which it founds once.
    #[must_use]
    pub fn cluster(&self) -> Incarnation {
        self.members.values().next().copied().unwrap_or_default()
    }
}

/// What view nodes tell each other before the founding, and what those who wait to be members tell
/// afterwards.
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
    /// The cluster was founded without it, or with another disk of it: it takes part once Raft makes it a
    /// member.
    Joining(Membership),
}

/// What a step calls for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founding {
    /// Nothing.
    Nothing,
    /// Make this membership durable. Only then call [`Genesis::durable`].
    Persist(Membership),
}

/// One view node's part in the founding.
#[derive(Debug)]
pub struct Genesis {
    node: NodeId,
    incarnation: Incarnation,
    others: Vec<NodeId>,
    /// Whether it is the one that founds.
    may_found: bool,
    standing: Standing,
}

impl Genesis {
    /// Begins, with what the disk kept. `view_nodes` are the configured ones; unless `node` is among them, it
    /// is to join.
    #[must_use]
    pub fn new(
        node: NodeId,
        incarnation: Incarnation,
        view_nodes: &[NodeId],
        kept: Option<Membership>,
    ) -> Self {
        let others: Vec<NodeId> = view_nodes.iter().copied().filter(|other| *other != node).collect();
        let may_found = view_nodes.contains(&node) && others.iter().all(|other| node < *other);
        let standing = Standing::Fresh(BTreeMap::new());
        let mut genesis = Self { node, incarnation, others, may_found, standing };
        if let Some(membership) = kept {
            genesis.durable(membership);
        }
        genesis
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

    /// Who founded the cluster, if that is known and durable here.
    #[must_use]
    pub fn membership(&self) -> Option<&Membership> {
        match &self.standing {
            Standing::Fresh(_) => None,
            Standing::Member(membership) | Standing::Joining(membership) => Some(membership),
        }
    }

    /// What to tell the others.
    #[must_use]
    pub fn hello(&self) -> Hello {
        Hello { incarnation: self.incarnation, membership: self.membership().cloned() }
    }

    /// Whether everybody is known to be fresh, or nobody else is needed.
    pub fn started(&mut self) -> Founding {
        self.found_if_complete()
    }

    /// Another view node said hello.
    pub fn received(&mut self, from: NodeId, hello: Hello) -> Founding {
        let Standing::Fresh(heard) = &mut self.standing else { return Founding::Nothing };
        match hello.membership {
            Some(membership) => Founding::Persist(membership),
            None if self.others.contains(&from) => {
                heard.insert(from, hello.incarnation);
                self.found_if_complete()
            }
            None => Founding::Nothing,
        }
    }

    /// The membership is durable: this node belongs to the cluster now.
    pub fn durable(&mut self, membership: Membership) {
        self.standing = match membership.includes(self.node, self.incarnation) {
            true => Standing::Member(membership),
            false => Standing::Joining(membership),
        };
    }

    fn found_if_complete(&self) -> Founding {
        let Standing::Fresh(heard) = &self.standing else { return Founding::Nothing };
        if !self.may_found || heard.len() < self.others.len() {
            return Founding::Nothing;
        }
        let mut members = heard.clone();
        members.insert(self.node, self.incarnation);
        Founding::Persist(Membership { members })
    }
}
