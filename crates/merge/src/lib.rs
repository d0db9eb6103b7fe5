//! Mergeable data: what optimistic databases hold.

mod amount;
mod cell;
mod clock;
mod command;
mod delta;
mod dot;
mod expiry;
mod frozen;
mod object;
mod place;
mod position;
mod random;
pub mod repair;
mod replica;
mod rules;
mod score;
mod series;
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
pub use object::Object;
pub use place::{Kind, Place};
pub use position::Position;
pub use replica::{Ahead, Call, Received, Replica, foldable};
pub use rules::{Rule, Rules};
pub use series::{Point, Series};
pub use stamp::{AHEAD_MAX_MS, HybridClock, Stamp, WALL_MAX_MS};
pub use store::{Key, Store};
pub use waiting::{WAITING_BYTES_MAX, Waiting};
