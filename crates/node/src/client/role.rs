//! What a node says of itself to a client that asks whether it is a master.

use onecopy_core::{GroupId, NodeId};
use onecopy_views::Kind;

use super::Clients;
use super::front::Front;
use super::session::Session;
use crate::topology::{Place, split};

/// What a client is told that a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It takes reads and writes, and these are the other copies.
    Master(Vec<(String, u16)>),
    /// This one is the master.
    Slave(String, u16),
}

/// What the node is to this client. Every node takes reads and writes, so to a client that knows of one
/// server every node is a master, with the copies beside the primary's as its replicas. One that can find out
/// who is the primary is told which node that is.
pub(crate) fn role(clients: &Clients, session: &Session) -> Role {
    let (front, group) = (&session.front, session.selected.group);
    let masters = || Role::Master(backups(clients, front, group));
    let knowledge = &clients.knowledge;
    if !front.tells_roles || knowledge.table().kind(group) == Kind::Optimistic {
        return masters();
    }
    let Some(view) = knowledge.view(group) else { return masters() };
    let me = NodeId(clients.config.node);
    if view.primary == me {
        return masters();
    }
    let takes_part = view.member(me).is_some() || view.learners.iter().any(|learner| learner.node == me);
    match place(clients, front, view.primary) {
        // As a node of Redis Cluster that has no slots.
        _ if front.is_cluster() && !takes_part => Role::Master(Vec::new()),
        Some((host, port)) => Role::Slave(host, port),
        // Where the primary takes no clients, this node takes them to it.
        None => masters(),
    }
}

/// Where clients reach the nodes of the copies beside the primary's.
pub(crate) fn backups(clients: &Clients, front: &Front, group: GroupId) -> Vec<(String, u16)> {
    let Some(view) = clients.knowledge.view(group) else { return Vec::new() };
    let place = |node| place(clients, front, node).unwrap_or_default();
    view.backups().map(|member| place(member.node)).collect()
}

/// Where clients who called there reach a node.
pub(crate) fn place(clients: &Clients, front: &Front, node: NodeId) -> Option<(String, u16)> {
    let table = clients.knowledge.table();
    let addresses = &table.nodes().get(&node)?.addresses;
    let endpoint = addresses.endpoint(&front.database, front.is_cluster());
    split(endpoint.map_or(&addresses.redis, |endpoint| &endpoint.address))
}

/// How it is written in answers that name a host and a port.
pub(crate) fn address(place: &Place) -> String {
    match place.host.contains(':') {
        true => format!("[{}]:{}", place.host, place.port),
        false => format!("{}:{}", place.host, place.port),
    }
}
