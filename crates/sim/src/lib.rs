//! The simulator: the production protocols as a whole cluster, in one thread, from a seed.
//!
//! # What it is
//!
//! A [`World`](world::World) is a cluster of machines with clocks, disks and a network that exist only in
//! memory. On every machine a [`Process`](node::Process) runs the code that production runs, all of it that
//! is not I/O: [`onecopy_host`] with its coordinator, its groups and its view service, and in them `Raft`,
//! `Monitor`, `Table`, `Replica` and `Keyspace`. Only the threads, sockets and disks around it are simulated.
//! Clients ask for things through coordinators; a hand breaks whatever can break; and after every event the
//! [`checks`] look at the whole cluster, which no real observer could.
//!
//! ```text
//!            seed
//!             │
//!             ▼               Received, Persisted, Elapsed, …
//!  faults ─▶ World ─ events ─▶ Node ─ turn ─▶ Process ─▶ DataPlane, ViewService ─▶ Replica, Raft, …
//!  clients ─▶  ▲                │                │
//!              └── Env: time, network, dice ◀────┴── Send, Persist, Apply, …
//!                      │
//!                      └─▶ checks (one property per file) ─▶ violation: seed, property, last events
//! ```
//!
//! A run has three parts. First things go wrong, as the [`Profile`](profile::Profile) of the seed says. Then
//! nothing does, and within a bounded time the cluster must serve every client, have all its copies again,
//! and agree. At last nobody asks for anything, and the copies must be equal, and hold what was acknowledged.
//!
//! # What clients ask for
//!
//! Registers, counters, sets; transfers between accounts, whose sum never changes; and leases, which are keys
//! that end by themselves ([`workload`]); and objects of several keys, with the commands that name two and
//! more of them ([`several`]). Some writes have tokens (`ONCE`): a client that gets no answer sends them
//! again, through another node. Which kinds a run knows, how many keys there are, and which of them are
//! popular, is drawn with everything else. What a single copy would answer is said by [`model`], a few lines
//! that are written apart from the keyspace and held against it by a test.
//!
//! # Other machines
//!
//! The protocols know nothing of the keyspace, and so does the world but for [`workload`], [`model`] and some
//! checks. Anybody may bring a machine of their own, its clients and its specification, as a [`Subject`];
//! [`check`] runs it.
//!
//! # Determinism
//!
//! No clock, thread, hash map or address decides anything: one seed gives one history, event for event, in
//! any process ([`dice`]). The trace of a violation is had by running its seed again.
//!
//! # How faults are modelled
//!
//! - **network**: each message is lost, late, early or doubled by itself; cuts are by direction; requests of
//!   coordinators and their answers travel on connections, which double nothing
//! - **disk**: writes become durable together, after a while ([`disk`]); a crash keeps what was durable and
//!   some beginning of what was on its way, cut between records: a torn record is cut off by recovery, so it
//!   is as good as not written
//! - **failing disks**: a log that refuses writes makes nothing durable any more, as the log thread of a node
//!   has it, until somebody starts the process again; a snapshot may find no room
//! - **rot**: a bit flips at rest. Whoever reads it notices: a start that finds it in the log, or in the
//!   snapshot on which the log begins, is refused, and after a while the operator moves the data directory
//!   away; a rotten snapshot cannot be sent
//! - **snapshots**: files beside the log, durable when finished, removed when the log says so
//!   ([`node::archive`]); asked for by the protocols, and now and then by the log
//! - **old entries**: read back from the log that is durable, beside everything else ([`node::archive`]);
//!   none can be read once a bit of it has flipped
//! - **the founding**: one run in five begins with empty disks, and faults from the first moment
//! - **full disks**: the log finds no room; the process begins anew by itself once there is some, and nobody
//!   else starts it
//! - **clocks**: monotonic clocks drift; wall clocks are set forward and back, for seconds by hours
//! - **addresses**: a node moves, and what is sent to where it was gets nowhere; a second process speaks
//!   under the id of one that runs
//! - **processes**: die, alone or together; stand still, wholly or only on the data side; are slow; return
//!   with the next boot number
//! - **lost disks**: a node returns with a new incarnation, without its data or without anything. Neither
//!   this nor rot ever takes the last copy of what was acknowledged, or the majority of the view nodes
//! - **operators**: hand over, and drain nodes, at any time
//! - **memory**: a bit flips in what a backup holds, where no command looks; a process that finds itself
//!   damaged is started again
//! - **the view service**: its nodes stop hearing each other; its leaders die right after their election
//!
//! # Sabotage
//!
//! A check that cannot fail proves nothing. Every check has a test with a history that it must refuse. And
//! with the feature `sabotage` every rule of [`onecopy_core::Rule`] can be switched off, one at a time, by
//! its name or by that of a bug that others have had ([`sabotage::ALIASES`]), and a violation must be found:
//! `--sabotage all` prints which check caught it, and after how many seeds. The profile is biased towards
//! what the rule protects from, in most runs.
//!
//! # What it does not do
//!
//! - No view node loses its whole disk during the founding, nor while a word from before it may be on its
//!   way: a founder that forgets that it has founded founds again.
//! - What storage makes of bytes is the business of the storage crate, which simulates a disk beneath its own
//!   seam. Here a disk has records, and they are there, torn off, or damaged.

pub mod batch;
pub mod caches;
mod carts;
pub mod channels;
pub mod checks;
pub mod cli;
pub mod client;
mod clients;
pub mod clock;
pub mod dice;
pub mod disk;
mod distance;
mod ending;
pub mod env;
pub mod faults;
pub mod front;
mod inject;
pub mod limits;
pub mod machine;
pub mod message;
pub mod model;
pub mod network;
pub mod node;
mod operator;
mod porters;
pub mod profile;
pub mod races;
mod ruin;
pub mod run;
pub mod sabotage;
pub mod scar;
pub mod several;
pub mod shrink;
pub mod stray;
pub mod subject;
pub mod trace;
pub mod workload;
pub mod world;

pub use front::check;
pub use run::{Options, Outcome, run};
pub use subject::{Request, Specification, Subject};
