//! The simulator: the production protocols as a whole cluster, in one thread, from a seed.
//!
//! # What it is
//!
//! A [`World`](world::World) is a cluster of machines with clocks, disks and a network that exist only in memory. On every
//! machine a [`Process`](node::Process) runs the code that production runs: `Raft` for the view table, `Monitor` and
//! `Table` for the judgement, `Replica` for the data, `Keyspace` for the state. Only the drivers around them are rewritten, line by
//! line after those of the node crate, because those are made of threads and sockets. Clients ask for things through
//! coordinators; a hand breaks whatever can break; and after every event the [`checks`] look at the whole cluster, which no
//! real observer could.
//!
//! ```text
//!            seed
//!             │
//!             ▼               Received, Persisted, Elapsed, …
//!  faults ─▶ World ─ events ─▶ Node ─ turn ─▶ Process ─▶ Raft, Monitor, Table, Replica, Keyspace
//!  clients ─▶  ▲                │                │
//!              └── Env: time, network, dice ◀────┴── Send, Persist, Apply, …
//!                      │
//!                      └─▶ checks (one property per file) ─▶ violation: seed, property, last events
//! ```
//!
//! A run has three parts. First things go wrong, as the [`Profile`](profile::Profile) of the seed says. Then nothing does, and
//! within a bounded time the cluster must serve every client, have all its copies again, and agree. At last nobody asks for
//! anything, and the copies must be equal, and hold what was acknowledged.
//!
//! # Determinism
//!
//! No clock, thread, hash map or address decides anything: one seed gives one history, event for event, in any process
//! ([`dice`]). The trace of a violation is had by running its seed again.
//!
//! # How faults are modelled
//!
//! | what | how |
//! | --- | --- |
//! | network | each message is lost, late, early or doubled by itself; cuts are by direction; requests of coordinators and their answers travel on connections, which double nothing |
//! | disk | writes become durable together, after a while ([`disk`]); a crash keeps what was durable and some beginning of what was on its way, cut between records (torn records are the business of the storage crate and its tests) |
//! | snapshots | files beside the log, durable when finished, removed when the log says so ([`node::archive`]) |
//! | clocks | monotonic clocks drift; wall clocks are set forward and back |
//! | processes | die, alone or together; stand still, wholly or only on the data side; are slow; return with the next boot number |
//! | lost disks | a node returns with a new incarnation, without its data or without anything; never so that no member would be left |
//! | the view service | its nodes stop hearing each other; its leaders die right after their election |
//!
//! # Sabotage
//!
//! A check that cannot fail proves nothing. With the feature `sabotage` every rule of [`onecopy_core::Rule`] can be switched
//! off, one at a time, and a violation must be found: `--sabotage all` prints which check caught it, and after
//! how many seeds. The profile is biased towards what the rule protects from, in most runs.
//!
//! # What it does not do
//!
//! - The founding of the view service is taken as done; `Genesis` has tests of its own.
//! - Disks do not fail with errors and do not rot: the storage crate simulates that beneath its own seam. A process whose disk
//!   fails stops, which is a crash.
//! - Nobody adds nodes, and nobody hands over: the protocol has no such commands yet.
//! - Batches of writes are not sent again after a change of primaries, so there is no exactly-once to check; an operation is
//!   checked to be executed at most once, and a refused one never.

pub mod batch;
pub mod checks;
pub mod cli;
pub mod client;
pub mod clock;
pub mod dice;
pub mod disk;
mod ending;
pub mod env;
pub mod faults;
mod inject;
pub mod limits;
pub mod message;
pub mod model;
pub mod network;
pub mod node;
pub mod profile;
mod ruin;
pub mod run;
pub mod sabotage;
pub mod shrink;
pub mod trace;
pub mod workload;
pub mod world;

pub use run::{Options, Outcome, run};
