//! Redis clients.
//!
//! A connection reads what has arrived, answers what concerns only itself, and submits runs of data commands
//! to the coordinator as *segments*. It has one segment on its way at a time: what arrives meanwhile makes up
//! the next one, so that a client's commands are executed and answered in the order in which it sent them,
//! and a deep pipeline costs few round trips.
//!
//! Who has not said who it is may hold little and stay for a short while; what a client that is known may
//! hold is bounded for each and for all together ([`budget`], [`output`]).

mod accounting;
pub(crate) mod budget;
pub(crate) mod caches;
mod cluster;
pub(crate) mod commands;
pub(crate) mod connection;
mod databases;
mod ending;
mod failover;
mod failure;
pub(crate) mod front;
pub(crate) mod guesses;
pub(crate) mod hub;
pub(crate) mod info;
pub(crate) mod listener;
mod mailbox;
pub(crate) mod monitors;
pub(crate) mod moving;
mod output;
mod pause;
mod queue;
pub(crate) mod register;
pub(crate) mod role;
pub(crate) mod sentinel;
pub(crate) mod session;
pub(crate) mod shutdown;
mod subscriptions;
mod tracking;
pub(crate) mod watched;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::GroupId;
use onecopy_host::{Kind, Reply, Submission};
use tokio::sync::oneshot;

use crate::config::Config;
use crate::control::operators::Operators;
use crate::data::inbox::{Event, Inbox};
use crate::data::threads::{Client, Mailboxes};
use crate::knowledge::Knowledge;
use crate::policy::Policy;
use budget::Budget;
use caches::Caches;
use guesses::Guesses;
use hub::Hub;
use monitors::Monitors;
use register::Register;
use shutdown::Shutdown;
use watched::Lives;

/// What all connections of a data thread share.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) config: Rc<Config>,
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) operators: Operators,
    /// Has the process stop.
    pub(crate) shutdown: Shutdown,
    /// For commands that have arrived and are not answered.
    pub(crate) budget: Arc<Budget>,
    /// For replies that are not read.
    pub(crate) replies: Arc<Budget>,
    /// For passwords that are guessed, at any thread.
    pub(crate) guesses: Arc<Guesses>,
    /// Which data thread it is.
    pub(crate) thread: usize,
    pub(crate) mailboxes: Mailboxes,
    /// How watches are called.
    pub(crate) lives: Arc<Lives>,
    /// What clients of any thread listen to.
    pub(crate) hub: Arc<Hub>,
    /// What clients of any thread have cached.
    pub(crate) caches: Arc<Caches>,
    /// Who is shown what clients of any thread send.
    pub(crate) monitors: Arc<Monitors>,
    /// Who is connected, for `CLIENT LIST`, at any thread.
    pub(crate) register: Arc<Register>,
    /// What is set for the whole cluster, as it was when somebody last looked.
    pub(crate) policy: RefCell<Arc<Policy>>,
}

impl Clients {
    /// Hands in a segment for a group; where the answer will come. Without one the node is stopping.
    pub(crate) fn hand_in(&self, group: GroupId, kind: Kind, segment: Bytes) -> oneshot::Receiver<Reply> {
        let (reply, answered) = oneshot::channel();
        let client = Client { thread: self.thread, reply };
        self.inbox.push(Event::Submitted { group, submission: Submission { kind, segment, client } });
        answered
    }

    /// What is set for the whole cluster now.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        let mut known = self.policy.borrow_mut();
        if known.number != self.knowledge.policy_number() {
            *known = self.knowledge.policy();
        }
        known.clone()
    }

    /// Something else may be set: those who are nobody any more are sent away.
    pub(crate) fn policy_changed(&self) {
        let before = self.policy.borrow().revision;
        let policy = self.policy();
        if policy.revision != before {
            self.register.end(|peer| policy.user(&peer.user).is_none());
        }
    }
}
