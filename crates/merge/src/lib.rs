//! Mergeable data: what optimistic databases hold.
//!
//! Every replica of an optimistic database takes reads and writes at once, also while it sees nobody else,
//! and replicas that have heard of the same updates hold the same state. This crate is that state and the
//! commands on it: a [`Replica`] takes a command and gives a reply and a [`Delta`], takes the deltas of
//! others in any order, and repairs itself from another replica's state. It has no clock, thread, socket or
//! randomness of its own: time and random bits come with each [`Call`], and nothing depends on the order of a
//! hash table.
//!
//! # How it works
//!
//! - Each update has a **dot**, `(replica, counter)`, and what it adds stands under that dot ([`Cell`]). A
//!   removal removes what its replica had seen, and nothing else: the delta carries the **clock** of its
//!   maker for that. So an add survives a concurrent removal, and overwriting is removing and adding.
//! - A thing that is not there, but whose dot the clock has, was removed. There are **no tombstones**.
//! - A delta is shown after everything that its maker had seen ([`Waiting`]), hence the clock is a plain
//!   version vector ([`Clock`]).
//! - A **hybrid logical clock** stamps each update ([`Stamp`]). Stamps decide between overwrites that did not
//!   know of each other, and nothing else.
//! - Each type is made of cells at **places** of a key ([`Place`]): registers, counters ([`Series`]),
//!   members, scores, elements at positions that order themselves ([`Position`]), and the expiry.
//! - **Digests** of all keys are sums, kept up to date with each update, and let two replicas find out by
//!   ranges what differs ([`repair`]).
//!
//! | module | what |
//! | --- | --- |
//! | `dot`, `clock`, `stamp` | names of updates, sets of them, and when they were made |
//! | `cell`, `series`, `amount`, `place`, `position` | what stands where in a key, and how it merges |
//! | `object`, `store`, `expiry` | keys, and what is known of them together |
//! | `delta`, `transaction`, `waiting` | updates: on the way, in the making, and too early |
//! | `replica`, `image` | all of it together, and as bytes |
//! | `command` | the commands of Redis; [`commands`] says which merges how |
//! | [`repair`], `frozen` | taking over somebody else's state |
//! | [`Requests`], [`Question`] | what clients ask for, as coordinators encode it |
//!
//! # What it is not
//!
//! It does not send, log or sync anything, does not know who the replicas are, and does not check clocks: the
//! reading of the wall clock that it is given should be one that most nodes agree with. A command may take as
//! long as it takes: that is not bounded here as in the state machine of the other databases. Streams,
//! bitmaps and HyperLogLogs do not exist yet.
//!
//! # Why it imports the other state machine
//!
//! What Redis takes for a number, how it adds decimals, matches patterns, spells errors, numbers slots, what
//! the options of its commands mean, and which commands there are with how many arguments, must be the same
//! here to the letter. The crate takes these from `onecopy-keyspace` rather than keep copies that drift, and
//! nothing else from there: none of it knows a log, an order or an entry.

mod amount;
mod cell;
mod cells;
mod clock;
mod command;
mod delta;
mod dot;
mod expiry;
mod frozen;
mod image;
mod object;
mod place;
mod position;
mod random;
pub mod repair;
mod replica;
mod request;
mod score;
mod series;
mod session;
mod stamp;
mod store;
mod transaction;
mod waiting;

pub use amount::Amount;
pub use cell::{Atom, Cell, Part};
pub use clock::Clock;
pub use command::table::{Class, all as commands};
pub use delta::{Change, DELTA_BYTES_MAX, Delta, DeltaError, Op, Put};
pub use dot::{Dot, ReplicaId};
pub use image::ImageError;
pub use object::Object;
pub use onecopy_core::{Rule, Rules};
pub use place::{Kind, Place};
pub use position::Position;
pub use replica::{Ahead, Call, Received, Replica, foldable};
pub use request::Requests;
pub use series::{Point, Series};
pub use session::{Question, Reply as QuestionReply};
pub use stamp::{AHEAD_MAX_MS, HybridClock, Stamp, WALL_MAX_MS};
pub use store::{Key, Store};
pub use waiting::{WAITING_BYTES_MAX, Waiting};
