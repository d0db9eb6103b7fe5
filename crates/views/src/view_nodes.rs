//! Who the view nodes are, for everybody: what Raft has settled is written into the table, which reaches all
//! nodes.

use std::collections::BTreeSet;

use onecopy_core::{Instant, NodeId};

use crate::command::Command;
use crate::decide::PROPOSAL_PATIENCE;
use crate::monitor::Monitor;
use crate::table::Table;

impl Monitor {
    /// The command that has the table say what the committed configuration says, if it does not. A leader
    /// that dies before it is committed leaves that to the next.
    pub fn decide_view_nodes(
        &mut self,
        now: Instant,
        table: &Table,
        nodes: &BTreeSet<NodeId>,
    ) -> Option<Command> {
        let is_on_its_way = self.naming.is_some_and(|at| now.since(at) < PROPOSAL_PATIENCE);
        if table.view_nodes() == nodes || is_on_its_way {
            return None;
        }
        self.naming = Some(now);
        Some(Command::SetViewNodes { nodes: nodes.clone() })
    }
}
