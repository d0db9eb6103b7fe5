//! Primary-backup replication, sans-IO: one replica of one group.
//!
//! # The protocol
//!
//! One member of the current [view](onecopy_core::View), the *primary*, orders requests. It puts each batch
//! into an [entry](onecopy_core::Entry) of its log, settles the time and the randomness in it, and sends it
//! to all *backups* at the same moment as it writes its own disk. Once every member has the entry durably it
//! is committed; then, and only then, it is executed and answered. With f+1 members, f may fail and nothing
//! that was answered is lost: every survivor has everything.
//!
//! ```text
//! coordinator      primary                    backup
//!     │──Propose────▶│ append ───Prepare──────▶│ append
//!     │              │ persist                 │ persist
//!     │              │◀──────────PrepareOk─────│
//!     │◀─Apply, reply│ commit                  │
//!     │              │───Prepare (commit) ────▶│ apply
//! ```
//!
//! When a member fails, nobody here decides anything: replicas report what they see ([`Effect::Petition`]),
//! the view service installs a new view, and the replicas adopt it. Several replicas may believe at the same
//! time that they are the primary; the rules below make sure that at most one of them can commit or read.
//!
//! # The rules
//!
//! The names are those of [`Rule`](onecopy_core::Rule); `docs/protocols.md` has the full text and the
//! reasons.
//!
//! | rule | where |
//! | --- | --- |
//! | P1 all backups first | `primary`: the commit index is the minimum over all required replicas |
//! | P2 only the primary | [`Replica::admit`] |
//! | P3 no old primaries, durable promise | `adoption`; messages of a view wait for its promise (`disk`) |
//! | P5 count them before they count | `joining`: a learner is required before its membership is asked for |
//! | P6 drop only what is dropped | `primary`: required replicas come from the view, never from silence |
//! | P7 its own entry first | `primary`: nothing commits or reads below the no-op of the own view |
//! | P8 tails yield | `backup`: the first disagreement cuts the tail, never below the commit index |
//! | P9 one life per data directory | `adoption`: a view with another incarnation of it is not for it |
//! | P11 a new life, a new view | `adoption`: a view that was made for another boot does not make a primary |
//! | P10 same order, same result | `divergence`: digests travel with Prepares; who differs is built anew |
//! | L1 to L6, leases | `lease` keeps the promises, `primary` and `backup` give them, `reads` uses them |
//!
//! Reads are answered under leases, at every member, or by the primary after every member has confirmed the
//! view (`reads`). A primary makes way for another one by `handover`. Of the log, a window is in memory;
//! `sending` has what is older read back from the disk for who lacks it. A replica that needs more than the
//! log has gets a `snapshot`, by a `transfer` from a backup if one can serve it, and otherwise from the
//! primary.
//!
//! # Roles
//!
//! What is known in one view belongs to a role: the primary, or a follower (a backup or a learner). What
//! outlives views belongs to the `core`. An input goes to the role that it is for once, in `replica`; from
//! there on, handlers are methods of the role, and take the core and the step.
//!
//! # What it does not do
//!
//! It does not detect failures by itself (it reports who is silent, or holds up writes: `pace`), does not
//! choose primaries (the view service does), and does not execute anything (the driver does, on
//! [`Effect::Apply`]). Clocks are trusted to run at about the same speed, for reads under leases and nothing
//! else; without leases a slow clock only delays a suspicion.

mod adoption;
mod awake;
mod backup;
mod config;
mod core;
mod disk;
mod divergence;
mod effect;
mod handover;
mod joining;
mod lease;
mod message;
mod pace;
mod peer;
mod primary;
mod promise;
mod quiescence;
mod reads;
mod replica;
mod sending;
mod snapshot;
mod snapshot_transfer;
mod status;

pub use config::Config;
pub use effect::{Effect, Input};
pub use handover::HandoverError;
pub use lease::{Granted, Loan, Terms};
pub use message::Message;
pub use promise::{CorruptPromise, promise_of};
pub use quiescence::{Moved, Still};
pub use replica::{Refusal, Replica};
pub use snapshot::Base;
pub use status::{Standing, Status};

#[cfg(test)]
mod tests;
