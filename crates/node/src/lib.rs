//! One node of a Onecopy cluster: sockets, disks, clocks and threads around the protocols.
//!
//! # Threads
//!
//! | thread | what it does |
//! | --- | --- |
//! | `data` | clients, the coordinator, the replicas and their state machines: one event loop (`data`) |
//! | `control` | pings, the view service, HTTP (`control`) |
//! | `log` | the durable log of all groups: one sync serves all that arrived meanwhile (`journal`) |
//! | `snapshots` | reads and writes snapshot files (`archive`) |
//!
//! They talk through channels and share nothing but counters and what is shown to people (`knowledge`).
//!
//! # The way of a write
//!
//! A connection (`client`) collects the commands that have arrived into a segment. The coordinator puts the
//! segments of a turn into a batch and takes it to the primary, in this process or over a `peer` link. The
//! primary's group puts the batches of a turn into one entry; the replica core hands it to the log and to the
//! backups; when all have it durably, it is executed, and the replies go back the same way. All that is not
//! I/O is in [`onecopy_host`].

mod archive;
#[cfg(test)]
mod bounds;
mod client;
mod clock;
pub mod config;
mod control;
mod crowd;
mod data;
mod disk_room;
mod happened;
mod identity;
mod journal;
mod knowledge;
mod levels;
mod lock;
mod operation;
mod parameters;
mod peer;
mod policy;
mod records;
mod server;
mod status;
mod text;
mod topology;

pub use config::Config;
pub use disk_room::DiskRoom;
pub use happened::Happened;
pub use operation::{Operated, Operation, OperationOutcome};
pub use server::{Ending, Server, StartError, begin_new_life};
pub use status::{
    BusyStatus, CopyStatus, KnownGroup, KnownNode, NodeStatus, OtherCopy, ReplicaStatus, ThreadReport,
    ViewServiceStatus,
};
