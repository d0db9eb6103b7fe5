//! Who hears of what happens to masters. It is looked whenever something may have changed: the view table, a
//! view, or to whom this node has a connection.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use super::changes::{Seen, changes};
use super::{Event, masters};
use crate::client::mailbox::{Mail, Mailbox};
use crate::config::Config;
use crate::knowledge::Knowledge;
use crate::lock::lock;
use crate::topology::split;

/// What was seen last, and who is told of what changes.
#[derive(Debug)]
pub(crate) struct Events {
    /// Whether the node speaks Sentinel's protocol at all.
    is_on: bool,
    alias: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: nothing was ever seen, and so nothing has changed.
    seen: Option<BTreeMap<String, Seen>>,
    /// By the ids of clients.
    mailboxes: BTreeMap<u64, Arc<Mailbox>>,
}

impl Events {
    pub(crate) fn new(config: &Config) -> Self {
        let (is_on, alias) = (config.sentinel.is_some(), config.sentinel_alias.clone());
        Self { is_on, alias, state: Mutex::default() }
    }

    /// A client is told of everything, and picks out what it listens to.
    pub(in crate::client) fn add(&self, client: u64, mailbox: Arc<Mailbox>) {
        lock(&self.state).mailboxes.insert(client, mailbox);
    }

    pub(in crate::client) fn remove(&self, client: u64) {
        lock(&self.state).mailboxes.remove(&client);
    }

    /// Something may have changed.
    pub(crate) fn look(&self, knowledge: &Knowledge) {
        if !self.is_on {
            return;
        }
        // Whoever sees the newer state says so last: it is looked under the lock.
        let mut state = lock(&self.state);
        if knowledge.table().version() == 0 {
            return;
        }
        let masters = masters(knowledge, &self.alias).into_iter();
        let seen = masters.filter_map(|master| Some((Seen::of(&master)?, master.name)));
        let now: BTreeMap<String, Seen> = seen.map(|(seen, name)| (name, seen)).collect();
        if let Some(before) = &state.seen {
            let happened =
                changes(before, &now, knowledge.quorum(), |host, port| is_reached(knowledge, host, port));
            for event in happened {
                let event: Arc<Event> = Arc::new(event);
                state.mailboxes.values().for_each(|mailbox| mailbox.put(Mail::Event(event.clone())));
            }
        }
        state.seen = Some(now);
    }
}

/// Whether there is a connection to the node that takes clients there.
fn is_reached(knowledge: &Knowledge, host: &str, port: u16) -> bool {
    let table = knowledge.table();
    let there = table.nodes().iter().find(|(_, known)| {
        let mut endpoints = known.addresses.endpoints.iter();
        endpoints.any(|endpoint| split(&endpoint.address).is_some_and(|at| at == (host.to_owned(), port)))
    });
    there.is_some_and(|(node, _)| knowledge.is_reached(*node))
}
