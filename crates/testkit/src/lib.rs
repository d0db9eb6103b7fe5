//! What the tests of everything that implements [`Protocol`](onecopy_core::Protocol) drive it with: a disk, a
//! state machine, and a process that does nothing by itself. The tests say which write becomes durable next,
//! which message arrives, and what the driver gets done.
//!
//! The simulator has all of this too, with faults, clocks and chance. This is for scripts and walks over one
//! protocol, in which a person can follow each step.

mod disk;
mod machine;
mod process;

pub use disk::{Disk, Image};
pub use machine::{Machine, chain};
pub use process::{Done, Envelope, Process};
