//! What the view service has decided and why, as HTTP and the command line tell it.

use onecopy_views::{Event, Table};
use serde::{Deserialize, Serialize};

use crate::control::change_name;

/// A change of the view table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    /// The version of the table after it: counted up by one with every change.
    pub version: u64,
    /// The wall clock of who decided it, in milliseconds since 1970.
    pub unix_ms: u64,
    /// The view node that decided it.
    pub decided_by: u32,
    /// What kind of change it is: `promote_member`, `remove_member`, `handover`, …
    pub kind: String,
    /// What it is, in words.
    pub what: String,
    /// The group, if it is about one.
    pub group: Option<u32>,
    /// The view of the group after it, in words.
    pub view: Option<String>,
    /// What the view node knew when it decided.
    pub evidence: Vec<String>,
}

impl Happened {
    /// All that a table remembers, oldest first.
    pub(crate) fn all(table: &Table) -> Vec<Self> {
        table.events().iter().map(Self::of).collect()
    }

    fn of(event: &Event) -> Self {
        let Event { version, proposal, view } = event;
        Self {
            version: *version,
            unix_ms: proposal.at.0,
            decided_by: proposal.by.0,
            kind: change_name(&proposal.command).to_owned(),
            what: proposal.command.to_string(),
            group: proposal.command.group().map(|group| group.0),
            view: view.as_ref().map(ToString::to_string),
            evidence: proposal.evidence.iter().map(ToString::to_string).collect(),
        }
    }
}
