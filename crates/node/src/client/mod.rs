//! Redis clients.
//!
//! A connection reads what has arrived, answers what concerns only itself, and submits runs of data commands to the
//! coordinator as *segments*. It has one segment on its way at a time: what arrives meanwhile makes up the next
//! one, so that a client's commands are executed and answered in the order in which it sent them, and a deep
//! pipeline costs few round trips.

pub(crate) mod budget;
pub(crate) mod commands;
pub(crate) mod connection;
mod failover;
mod failure;
pub(crate) mod info;
pub(crate) mod listener;
pub(crate) mod session;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::Config;
use crate::control::desk::Operators;
use crate::data::inbox::Inbox;
use crate::knowledge::Knowledge;
use budget::Budget;
use session::Peer;

/// What all connections of the node share.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) config: Rc<Config>,
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) operators: Operators,
    /// For commands that have arrived and are not answered.
    pub(crate) budget: Budget,
    /// For replies that are not read.
    pub(crate) replies: Budget,
    pub(crate) next_id: Cell<u64>,
    /// Who is connected, for `CLIENT LIST`.
    pub(crate) connected: RefCell<BTreeMap<u64, Peer>>,
}
