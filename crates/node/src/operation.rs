//! What operators may want of a cluster, and what they are told. Any node takes it, over HTTP.

use serde::{Deserialize, Serialize};

/// What an operator wants, as `POST /operate` takes it: `{"operation": "copies", "copies": 3}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case", deny_unknown_fields)]
pub enum Operation {
    /// Another member becomes the primary.
    Handover {
        /// Of which group.
        #[serde(default = "main")]
        group: u32,
        /// The heir; the member with the least to catch up if nobody is named.
        #[serde(default)]
        to: Option<u32>,
    },
    /// How many copies there are from now on.
    Copies {
        /// Of which group.
        #[serde(default = "main")]
        group: u32,
        /// How many.
        copies: u32,
    },
    /// A new database, with a group of its own.
    CreateDatabase {
        /// What people call it.
        name: String,
        /// By which numbers clients select it: `16`, or `16-19`.
        numbers: String,
        /// How it is replicated: `primary-backup` or `raft`; the former if nobody says.
        #[serde(default)]
        replication: Option<String>,
        /// How many copies it has; as many as the settings say if nobody does, and with Raft the next odd
        /// number.
        #[serde(default)]
        copies: Option<u32>,
    },
    /// What a database has from now on.
    SetDatabase {
        /// Which one.
        name: String,
        /// How many copies.
        #[serde(default)]
        copies: Option<u32>,
        /// Without how many of them writes are refused; else as the settings of the nodes say.
        #[serde(default)]
        min_copies: Option<u32>,
        /// `confirm`: each read is confirmed by the other copies, whatever leases there are. `lease`: as the
        /// settings of the nodes say.
        #[serde(default)]
        reads: Option<String>,
        /// The only nodes on which copies are to be from now on; none: whichever.
        #[serde(default)]
        nodes: Option<Vec<u32>>,
    },
    /// In an optimistic database, so many copies have a write before it is answered.
    SetCopiesBeforeOk {
        /// Which one.
        name: String,
        /// How many, the one that answers among them.
        copies: u32,
    },
    /// A database is replicated in another way from now on, while it serves.
    SwitchDatabase {
        /// Which one.
        name: String,
        /// `primary-backup` or `raft`. What it is already gives up a switch that is under way.
        replication: String,
    },
    /// A database goes for good, with all its data.
    DropDatabase {
        /// Which one.
        name: String,
        /// The same name again: whoever has mistyped one drops nothing.
        again: String,
    },
    /// A node is to hold nothing any more.
    Drain {
        /// Which one.
        node: u32,
    },
    /// A drained node may hold something again.
    Undrain {
        /// Which one.
        node: u32,
    },
    /// A node is gone for good.
    Remove {
        /// Which one.
        node: u32,
        /// The operator accepts that what only its copies of optimistic databases had is lost.
        #[serde(default)]
        accept_data_loss: bool,
    },
    /// The level in force stays where it is, or may rise.
    HoldLevel {
        /// Whether it stays.
        held: bool,
    },
    /// These become view nodes.
    AddViewNodes {
        /// Which ones.
        nodes: Vec<u32>,
    },
    /// These are no view nodes any more.
    RemoveViewNodes {
        /// Which ones.
        nodes: Vec<u32>,
    },
    /// The group goes on with what one replica has, although acknowledged writes may be lost.
    Recover {
        /// Of which group.
        #[serde(default = "main")]
        group: u32,
        /// Where that replica is.
        node: u32,
        /// The operator knows what it means.
        #[serde(default)]
        accept_data_loss: bool,
    },
}

/// The group of the database `main`.
fn main() -> u32 {
    onecopy_views::MAIN.0
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operated {
    /// Whether it was done.
    pub outcome: OperationOutcome,
    /// What happened, for people.
    pub message: String,
}

/// Whether an operation was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationOutcome {
    /// It was.
    Done,
    /// It was not, and will not be.
    Refused,
    /// Nobody said: it may be done yet.
    Unknown,
}

impl Operated {
    pub(crate) fn done(message: impl Into<String>) -> Self {
        Self { outcome: OperationOutcome::Done, message: message.into() }
    }

    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { outcome: OperationOutcome::Refused, message: message.into() }
    }

    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self { outcome: OperationOutcome::Unknown, message: message.into() }
    }
}
