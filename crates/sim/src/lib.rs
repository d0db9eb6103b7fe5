//! The simulator: the production protocols as a whole cluster, in one thread, from a seed.

pub mod checks;
pub mod client;
pub mod clock;
pub mod dice;
pub mod disk;
pub mod env;
pub mod faults;
mod inject;
pub mod message;
pub mod network;
pub mod node;
pub mod run;
pub mod shrink;
pub mod trace;
pub mod world;

#[cfg(feature = "sabotage")]
pub use run::run_sabotage;
pub use run::{Caught, Options, Outcome, run};
