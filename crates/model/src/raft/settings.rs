//! How much may happen.

use onecopy_core::Rules;

use crate::network::Order;

/// Where the group begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Start {
    /// With n1 as the leader of term 1, whose first entry is committed and durable everywhere.
    Settled,
    /// With empty disks, and nobody leads.
    Cold,
    /// In term 3, as in part (b) of the paper's Figure 8: n1 led term 2 and n2 term 3, each wrote one entry
    /// that nobody else got, and all three have just been restarted.
    Figure8,
}

/// The bounds of a model. Within them, everything happens in every order.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Where the group begins.
    pub start: Start,
    /// How often something is left to happen, at the beginning.
    pub budget: Budget,
    /// No member asks for an election beyond this term.
    pub terms: u64,
    /// Which message may be next.
    pub order: Order,
    /// Disks may take their time even when no crash is left that could make a difference.
    pub slow_disks: bool,
    /// The rules in force.
    pub rules: Rules,
}

/// How often something may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Entries with a payload.
    pub writes: u8,
    /// Reads.
    pub reads: u8,
    /// Timeouts: a follower asks for an election, or a leader steps down.
    pub timeouts: u8,
    /// Crashes, each followed by a restart.
    pub crashes: u8,
    /// Messages that arrive twice.
    pub duplicates: u8,
}

impl Budget {
    /// Nothing happens.
    pub const NOTHING: Self = Self { writes: 0, reads: 0, timeouts: 0, crashes: 0, duplicates: 0 };
}
