//! What a view node knows when it proposes a command, for those who ask later why.

use onecopy_core::{Instant, NodeId, Timestamp};

use crate::command::Command;
use crate::events::{Evidence, Proposal};
use crate::monitor::Monitor;
use crate::table::Table;

impl Monitor {
    /// A command with what this view node, `by`, knows about those whom it is about.
    #[must_use]
    pub fn propose(
        &self,
        now: Instant,
        (by, at): (NodeId, Timestamp),
        table: &Table,
        command: Command,
    ) -> Proposal {
        let evidence =
            accused(&command, table).into_iter().flat_map(|node| self.evidence(now, table, &command, node));
        let evidence = evidence.collect();
        Proposal { by, at, evidence, command }
    }

    fn evidence(&self, now: Instant, table: &Table, command: &Command, node: NodeId) -> Vec<Evidence> {
        let mut evidence = vec![match self.last_ping(now, node) {
            Some((ago, _)) => Evidence::LastPing { node, ago },
            None => Evidence::NeverPinged { node },
        }];
        if self.refuses(node) {
            evidence.push(Evidence::Refused { node });
        }
        let group = command.group().and_then(|id| Some((id, table.groups().get(&id)?)));
        if let Some((id, group)) = group {
            let accusers = self.accusers(now, id, group.view.number, node);
            evidence.extend(accusers.map(|(by, grounds)| Evidence::Accused { node, by, grounds }));
        }
        evidence.extend(self.disk_waits(node).map(|waiting| Evidence::DiskWaits { node, waiting }));
        evidence
    }
}

/// Whom a command is to the disadvantage of.
fn accused(command: &Command, table: &Table) -> Vec<NodeId> {
    match command {
        Command::RemoveMember { node, .. } | Command::RemoveLearner { node, .. } => vec![*node],
        Command::PromoteMember { group, dropped, .. } => {
            let primary = table.groups().get(group).map(|group| group.view.primary);
            let others = dropped.iter().copied().filter(|node| Some(*node) != primary);
            primary.into_iter().chain(others).collect()
        }
        _ => Vec::new(),
    }
}
