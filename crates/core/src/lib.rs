//! What every replication protocol of Onecopy shares: identifiers, entries, a group's log in memory,
//! the contract between a protocol and its driver, and the contract of a state machine.
//!
//! # The shape of a protocol
//!
//! A protocol is a value with one entrance, [`Protocol::step`]. It takes the time and an input, and pushes
//! effects. It has no clock, thread, socket, file or randomness of its own, so that a whole cluster of them
//! can run in one thread, from a seed, and give the same trace twice. Whoever owns the value (the node in
//! production, the simulator in tests) is its *driver*: it carries out the effects and comes back with
//! inputs.
//!
//! ```text
//!                  step(now, input)                     effects
//!   driver ───────────────────────────▶ protocol ─────────────────▶ driver
//!           Received, Propose, Read,               Persist, Send,
//!           Persisted, Elapsed, …                  Apply, ReadReady, …
//! ```
//!
//! Durability order is data, not convention: a [`Persist`](persist::Ticket) effect has a ticket, and a
//! message that must not leave before some write is durable names the ticket that it waits for.
//!
//! # What lives here
//!
//! | module | what |
//! | --- | --- |
//! | [`id`] | nodes, groups, views, terms, log indexes: newtypes, so that they cannot be mixed up |
//! | [`time`] | [`Instant`] (monotonic, of one node) and [`Timestamp`] (wall clock, settled by a primary) |
//! | [`view`] | one configuration of a group |
//! | [`entry`] | one slot of a group's log |
//! | [`log`] | a group's log behind its snapshot: a window in memory, and the outline of the rest |
//! | [`persist`] | what a protocol asks its driver to make durable, and what it gets back after a restart |
//! | [`payload`] | how the batches of several coordinators share one entry |
//! | [`parts`] | how a large batch comes in several entries |
//! | [`segments`] | how the requests of several clients share one batch |
//! | [`footprint`] | which keys a request touches |
//! | [`budget`] | how a machine that executes something long lets others have their turn |
//! | [`encodings`] | up to which sizes a value is said to have a compact encoding |
//! | [`eviction`] | how a machine that is full makes room |
//! | [`level`] | one meaning: how entries do the same on nodes of different versions |
//! | [`machine`] | the determinism contract of a replicated state machine |
//! | [`session`] | exactly once: what was executed is not executed again |
//! | [`replicated`] | a machine with its sessions and the digest by which replicas compare themselves |
//! | [`petition`] | what replicas ask of the view service |
//! | [`chunks`] | snapshots in chunks, with flow control, shared by the protocols |
//! | [`rules`] | the names of the protocol's rules, and how a simulator switches one off |

pub mod budget;
pub mod chunks;
pub mod encodings;
pub mod entry;
pub mod eviction;
pub mod footprint;
pub mod id;
pub mod level;
pub mod log;
pub mod machine;
mod outline;
pub mod parts;
pub mod payload;
pub mod persist;
pub mod petition;
pub mod protocol;
pub mod replicated;
pub mod rules;
pub mod segments;
pub mod session;
pub mod time;
pub mod view;

pub use budget::{Budget, Pause, STOP, Slices};
pub use encodings::Encodings;
pub use entry::{Entry, EntryId};
pub use eviction::{Eviction, Need, Policy};
pub use footprint::Footprint;
pub use id::{BatchId, BootNumber, Epoch, GroupId, Incarnation, Index, NodeId, Term, ViewNumber};
pub use level::{Level, Levels, UnknownLevel};
pub use log::Log;
pub use machine::{ApplyContext, Output, Place, QueryContext, Seen, StateMachine};
pub use persist::{Recovered, Ticket, Write};
pub use petition::{Grounds, Holders, Petition, Plea};
pub use protocol::Protocol;
pub use replicated::{Answer, Digest, ExecuteError, Replicated, Sealed};
pub use rules::{Rule, Rules};
pub use session::AnswerBounds;
pub use time::{Instant, Timestamp};
pub use view::{Member, View};
