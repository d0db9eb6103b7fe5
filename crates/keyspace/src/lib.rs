//! The Redis state machine: the data types and commands of Redis 7 as a deterministic state machine.
//!
//! [`Keyspace`] implements [`StateMachine`](onecopy_core::StateMachine). What it executes comes in the
//! encoding of [`request`]; which commands there are is said by [`command`]. Commands about the connection
//! itself (`PING`, `HELLO`, `CLIENT`, …) are no business of a state machine, and are answered by the node.
//!
//! # Determinism
//!
//! A command may use nothing but its arguments, the state and what the entry settled: the time, a seed for
//! random numbers, and how much memory there may be. In particular:
//!
//! - **Expiry.** What has expired is decided by the time of the last entry (the *clock*), never by a
//!   replica's own time. A key that is due is absent at once for every command; it is removed by the next
//!   entries, a bounded number for each millisecond between them. Only the answers of `TTL` and its relatives
//!   to a read use the time of that read.
//! - **Order.** No order depends on the seed of the hash tables: keys belong to the slots of Redis Cluster,
//!   and within a table elements are in order of insertion, where a removed one is replaced by the last. The
//!   order is part of images, so a replica that was restored picks the same random elements.
//! - **Streams.** Ids that a server makes, and how long something is pending, come from the time of entries;
//!   in the answer to a read, how long comes from the time of that read. Where a chunk of entries ends is
//!   state, as positions are: `MAXLEN ~` trims whole chunks.
//! - **Floats.** `INCRBYFLOAT` adds decimal numbers exactly (see `decimal`), and scores are
//!   added as IEEE doubles, which every platform does alike. Both are written with Rust's own formatting. The
//!   estimates of HyperLogLogs need square roots as well, which IEEE rounds exactly, and no logarithms.
//!   Distances on the earth need sines, which no two C libraries compute alike: they come from the crate
//!   `libm` (see `geo`).
//! - **Texts.** `SORT … ALPHA` compares bytes, whatever the locale of a machine is.
//!
//! # Where Onecopy differs from Redis
//!
//! - Doubles are written with the fewest digits that read back as the same number, as Redis does from 7.2 on.
//! - `OBJECT ENCODING` answers what Redis would use for such a value; the real representation is our own.
//! - What a command may cost is bounded: a command that would take more than 2^23 steps, each an element or
//!   64 bytes, is an error (see `steps`). One reply has at most 512 MiB, and once the answers of a request
//!   have grown to 192 MiB the commands behind are not executed.
//! - At most 2^20 elements are drawn with repetition (`SRANDMEMBER key -n` and its relatives).
//! - A score of negative zero is kept as zero.
//! - `INCRBYFLOAT` is exact where Redis rounds to 80 bits; the sum is rounded to 17 digits after the point,
//!   as there.
//! - `ONCE token command …` is a command of our own: the command is executed once, however often it is sent
//!   under the same token, and answered the same each time (see `commands/once.rs`).
//! - A transaction whose commands need memory is refused as a whole where there is none; none of its
//!   commands is refused while it is queued, for nobody asks the primary then.
//! - `PFCOUNT` changes nothing, where Redis writes the cardinality into the string: after it, the last eight
//!   bytes of the header of a HyperLogLog may be other ones there. All other bytes are the same.
//! - A HyperLogLog whose registers are corrupt is refused by every command that looks at them; Redis notices
//!   only some. Where registers that no element can make speak of infinitely many elements, `PFCOUNT` answers
//!   the largest integer; Redis answers the smallest.
//! - `BITFIELD` writes no field that ends beyond 512 MiB; Redis exceeds its limit by up to eight bytes. An
//!   offset in fields (`#`) that overflows is an error; in Redis it wraps. A number that is far too small for
//!   `SET` with `OVERFLOW SAT` becomes the smallest of the field; in Redis the very smallest become the
//!   largest.
//! - Commands that wait (`BLPOP`, `XREAD … BLOCK`) do so in the state (see `serving`), by the time of
//!   entries. How many may wait is bounded. A stream that expires wakes nobody who waits as a consumer of its
//!   groups.
//! - What is deleted from a stream is gone at once; in Redis it stays in its chunk until that is empty.
//!   Where the newest entry of a chunk was deleted, `MINID ~` may trim that chunk here and not there.
//! - `XINFO STREAM` counts the chunks that entries lie in as `radix-tree-keys`, and one more as
//!   `radix-tree-nodes`.
//! - `OBJECT FREQ` and `IDLETIME` say what the copy that answers has seen; without an eviction policy nothing
//!   is observed, and `IDLETIME` is an error (see `eviction`). `REFCOUNT` is
//!   always 1.
//!
//! - Scripts: what differs is listed in `docs/guarantees.md`.
//!
//! # The way of a command
//!
//! `machine` decodes the body, finds the command in `command`, checks its arity, and calls its function in
//! `commands`. That function parses its arguments (with [`options`], if other state machines have the same
//! command), then executes, then replies. It sees the keyspace through
//! `context`, which treats what has expired as absent, and changes it through `database`, which keeps the
//! accounts, the expiries and the image in the making. To add a command, write its function and its row in
//! `command/table.rs`.
//!
//! # Levels
//!
//! A version that executes something differently than the one before, be it a command, what expires or what
//! an answer says, raises [`LEVELS`] by one, and asks [`ApplyContext::level`](onecopy_core::ApplyContext)
//! (reads: `QueryContext::level`) which of both it is to do, for as long as the lower level is supported.

mod ahead;
pub mod channels;
mod commands;
mod context;
mod counts;
mod database;
pub mod decimal;
mod digest;
mod error;
mod eviction;
mod execution;
pub mod feeds;
mod footprint;
mod geo;
mod hyperloglog;
mod image;
mod index;
mod machine;
pub mod moves;
mod notifications;
pub mod number;
mod pieces;
mod scripting;
mod scripts;
mod scrub;
mod seed;
mod serial;
mod serving;
mod share;
mod slot;
mod spectator;
mod steps;
mod tokens;
pub mod tracking;
mod transaction;
mod trash;
mod undo;
mod value;
mod waiters;
mod watches;
mod whole;

pub mod command;
pub mod glob;
pub mod options;
pub mod request;
pub mod rights;
pub mod slots;

pub use counts::Counts;
pub use error::CommandError;
pub use machine::{DATABASES, DatabaseSize, Keyspace, REPLY_BYTES_MAX, RESPONSE_BYTES_WANTED};
pub use scripting::SCRIPT_STEPS_MAX;
pub use scripts::SCRIPTS_BYTES_MAX;
pub use spectator::Spectator;
pub use steps::STEPS_MAX;
pub use tokens::{ANSWER_BYTES_MAX, TOKEN_BYTES_MAX};
pub use transaction::TRANSACTION_COMMANDS_MAX;
pub use undo::UNDO_BYTES_MAX;
pub use value::TEXT_BYTES_MAX;

use onecopy_core::{Level, Levels};

/// By the rules of which levels the machine can execute (rule E4).
pub const LEVELS: Levels = Levels::through(Level::FIRST);
/// The one that only test builds know, and only where they are told to: there `APPEND` appends twice.
pub const TEST_LEVEL: Level = Level(2);
