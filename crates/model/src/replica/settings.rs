//! How much may happen.

use onecopy_core::Rules;

use crate::network::Order;

/// What the third node is at the beginning. The first is the primary, the second a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Third {
    /// In no view yet: it may be recruited.
    Spare,
    /// A learner that holds everything, and whose membership the primary has asked for.
    Learner,
    /// A member like the others.
    Member,
}

/// The bounds of a model. Within them, everything happens in every order.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// What the third node is.
    pub third: Third,
    /// How often something is left to happen, at the beginning.
    pub budget: Budget,
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
    /// Writes, all with different payloads.
    pub writes: u8,
    /// Reads.
    pub reads: u8,
    /// Changes of the view.
    pub changes: u8,
    /// Crashes, each followed by a restart.
    pub crashes: u8,
    /// Crashes that lose the whole disk; the node returns as another incarnation.
    pub wipes: u8,
    /// Heartbeat intervals of a primary.
    pub heartbeats: u8,
    /// Messages that arrive twice.
    pub duplicates: u8,
    /// Times that everybody is silent for longer than the failure timeout.
    pub silences: u8,
}

impl Budget {
    /// Nothing happens.
    pub const NOTHING: Self = Self {
        writes: 0,
        reads: 0,
        changes: 0,
        crashes: 0,
        wipes: 0,
        heartbeats: 0,
        duplicates: 0,
        silences: 0,
    };
}
