//! What surrounds the protocol cores on every node, sans-IO: whoever has threads, sockets and disks is a thin
//! shell around it.
//!
//! The cores ([`onecopy_replica`], [`onecopy_raft`], [`onecopy_views`], [`onecopy_merge`]) decide; something
//! must batch requests for them, hold messages until the disk has what they promise, execute what is committed, answer whoever
//! asked, and make and install snapshots. That is this crate. Two shells use it: the node of production and
//! the simulator, so that what is simulated is what runs, down to the last line that is not I/O.
//!
//! ```text
//!                 ┌─ DataPlane ─────────────────────────┐      ┌─ ControlPlane ───────────────────┐
//!   requests ────▶│ Coordinator ─ Forward ─▶ Group ×n   │      │ pings   gossip   known nodes     │
//!   packets ─────▶│      ▲                   │ Replica  │      │ ViewService: Genesis  Monitor    │
//!   "durable" ───▶│      └──── Outcome ──────┘ machine  │      │              Table ─ Raft        │
//!                 └──────────────┬──────────────────────┘      └──────────────┬───────────────────┘
//!                                ▼                                            ▼
//!             Out: writes for the log, jobs for the archive, and effects (messages, suspicions, …)
//! ```
//!
//! # The contract
//!
//! 1. There is no clock, thread, file, socket or chance in here. Time comes in with every call ([`Instant`]
//!    for patience, [`Timestamp`] for entries), randomness as a seed at the start; the same calls give the
//!    same effects.
//! 2. What is wanted of the rest of the node is pushed to an [`Out`], which the caller owns, drains and uses
//!    again. Its three lists are independent of each other: a message that must wait for the disk is not in
//!    it yet.
//! 3. The caller comes back with what became of the [`Job`]s and [`ArchiveJob`]s. A write that failed is
//!    never reported as durable. A message that cannot be sent is lost, as on any network.
//! 4. Things happen in *turns*: the caller hands in everything that has happened, then ends the turn. The
//!    unit of work is the batch: under load the turns get larger, not more.
//!
//! Whoever wants to watch, to log or to check, passes an observer ([`GroupObserver`], [`ControlObserver`]);
//! `()` watches nothing, and costs nothing.
//!
//! | module | what |
//! | --- | --- |
//! | [`message`] | what coordinators and primaries say to each other |
//! | [`disk`] | what is asked of the log and of the archive of snapshots, and what comes back |
//! | [`control_plane`] | pings, what a node knows of the cluster; on a view node the view service, in turns |
//! | [`coordinator`] | takes the requests of clients to the primary, batched |
//! | [`clock`] | what time it is, although clocks are wrong now and then |
//! | [`gathering`] | when the requests that have arrived become a batch |
//! | [`gossip`] | how nodes that have lost each other meet again |
//! | [`group`] | one replica with its state machine |
//! | [`optimistic`] | one copy of an optimistic database |
//! | [`heartbeat`] | what two nodes say once for all quiescent groups that they share |
//! | [`data_plane`] | a coordinator and the replicas of a node, in turns |
//! | [`room`] | a full disk that has room again |
//! | [`whereabouts`] | where other nodes can be reached |
//! | [`view_service`] | a view node: founding, the view table behind Raft, judgement |
//!
//! [`Instant`]: onecopy_core::Instant
//! [`Timestamp`]: onecopy_core::Timestamp

pub mod clock;
pub mod control_plane;
pub mod coordinator;
pub mod data_plane;
pub mod disk;
pub mod gathering;
pub mod gossip;
pub mod group;
pub mod heartbeat;
mod journal;
pub mod known_nodes;
#[cfg(test)]
mod memory;
pub mod message;
pub mod optimistic;
pub mod room;
pub mod view_service;
mod waiting;
pub mod whereabouts;

pub use clock::SteadyClock;
pub use control_plane::{
    ControlEffect, ControlMessage, ControlObserver, ControlPlane, ControlSettings, Vitals,
};
pub use coordinator::{Coordinator, CoordinatorConfig, Dispatch, ReadBatches, Reply, Submission};
pub use data_plane::{DataEffect, DataPlane, Elsewhere, Share};
pub use disk::{ArchiveEvent, ArchiveJob, Job, Out, SnapshotName};
pub use gathering::Gathering;
pub use gossip::Gossip;
pub use group::{
    Busy, Corrupt, Fresh, Group, GroupEffect, GroupObserver, GroupSettings, Origin, Placement, Replication,
    Restored, Restoring, SLICE_STEPS,
};
pub use heartbeat::SharedHeartbeat;
pub use message::{Answer, Forward, GroupMessage, Kind, Letter, MemberChange, Outcome, RaftLetter};
pub use optimistic::OptimisticCopy;
pub use room::Room;
pub use view_service::{
    GENESIS_GROUP, VIEW_GROUP, ViewEffect, ViewImage, ViewObserver, ViewService, ViewSettings,
};
pub use whereabouts::Whereabouts;
