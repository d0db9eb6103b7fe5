//! Redis clients.
//!
//! A connection reads what has arrived, answers what concerns only itself, and submits runs of data commands
//! to the coordinator as *segments*. It has one segment on its way at a time: what arrives meanwhile makes up
//! the next one, so that a client's commands are executed and answered in the order in which it sent them,
//! and a deep pipeline costs few round trips.
//!
//! Who has not said who it is may hold little and stay for a short while; what a client that is known may
//! hold is bounded for each and for all together ([`budget`], [`output`]).

pub(crate) mod budget;
pub(crate) mod commands;
pub(crate) mod connection;
mod databases;
mod failover;
mod failure;
pub(crate) mod guesses;
pub(crate) mod hub;
pub(crate) mod info;
pub(crate) mod listener;
mod mailbox;
pub(crate) mod monitors;
mod output;
mod queue;
pub(crate) mod register;
pub(crate) mod session;
mod subscriptions;
pub(crate) mod watched;

use std::rc::Rc;
use std::sync::Arc;

use crate::config::Config;
use crate::control::operators::Operators;
use crate::data::inbox::Inbox;
use crate::data::threads::Mailboxes;
use crate::knowledge::Knowledge;
use budget::Budget;
use guesses::Guesses;
use hub::Hub;
use monitors::Monitors;
use register::Register;
use watched::Lives;

/// What all connections of a data thread share.
#[derive(Debug)]
pub(crate) struct Clients {
    pub(crate) config: Rc<Config>,
    pub(crate) inbox: Rc<Inbox>,
    pub(crate) knowledge: Arc<Knowledge>,
    pub(crate) operators: Operators,
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
    /// Who is shown what clients of any thread send.
    pub(crate) monitors: Arc<Monitors>,
    /// Who is connected, for `CLIENT LIST`, at any thread.
    pub(crate) register: Arc<Register>,
}
