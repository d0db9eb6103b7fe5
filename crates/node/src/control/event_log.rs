//! What the view service has decided, told once: in the log of the process, and counted.

use std::collections::BTreeMap;

use onecopy_views::{Command, Event, Table};
use tracing::{debug, info, warn};

/// Follows the events of the view table.
#[derive(Debug, Default)]
pub(crate) struct EventLog {
    /// The version up to which events have been told; `None` before the first table.
    told: Option<u64>,
}

/// How often each kind of change was seen, by what was changed and why.
pub(crate) type Changes = BTreeMap<(&'static str, String), u64>;

impl EventLog {
    /// Tells the events that are new in a table. What had happened before the node heard of the cluster is no
    /// news.
    pub(crate) fn follow(&mut self, table: &Table, changes: &mut Changes) {
        let told = self.told.replace(table.version());
        for event in table.events() {
            match told {
                Some(told) if event.version > told => {
                    tell(event);
                    *changes.entry(kind(&event.proposal.command)).or_default() += 1;
                }
                Some(_) => {}
                None => debug!(version = event.version, %event, "view table, before"),
            }
        }
    }
}

fn tell(event: &Event) {
    let Event { version, proposal, view } = event;
    let evidence: Vec<String> = proposal.evidence.iter().map(ToString::to_string).collect();
    let evidence = evidence.join(", ");
    let view = view.as_ref().map(ToString::to_string).unwrap_or_default();
    let (by, change) = (proposal.by, &proposal.command);
    match proposal.command {
        Command::PromoteMember { .. }
        | Command::RemoveMember { .. }
        | Command::Recover { .. }
        | Command::GiveUpNode { .. }
        | Command::NoteClock { error: Some(_), .. } => {
            warn!(version, %by, %change, view, evidence, "view table");
        }
        _ => info!(version, %by, %change, view, evidence, "view table"),
    }
}

/// The kind of a change, and its reason if it has one.
fn kind(command: &Command) -> (&'static str, String) {
    let reason = match command {
        Command::RemoveMember { reason, .. }
        | Command::PromoteMember { reason, .. }
        | Command::RemoveLearner { reason, .. }
        | Command::RetireCopy { reason, .. } => reason.to_string(),
        _ => String::new(),
    };
    (name(command), reason)
}

/// The name of a kind of change, for programs.
pub(crate) fn name(command: &Command) -> &'static str {
    match command {
        Command::RegisterNode { .. } | Command::RegisterWithLevel { .. } => "register_node",
        Command::RaiseLevel { .. } => "raise_level",
        Command::HoldLevel { .. } => "hold_level",
        Command::CreateGroup { .. } => "create_group",
        Command::CreateDatabase { .. } => "create_database",
        Command::RemoveMember { .. } => "remove_member",
        Command::PromoteMember { .. } => "promote_member",
        Command::Handover { .. } => "handover",
        Command::AddLearner { .. } => "add_learner",
        Command::RemoveLearner { .. } => "remove_learner",
        Command::AddMember { .. } => "add_member",
        Command::SetCopies { .. } => "set_copies",
        Command::SetDrained { .. } => "set_drained",
        Command::SetViewNodes { .. } => "set_view_nodes",
        Command::ForgetNode { .. } => "forget_node",
        Command::Recover { .. } => "recover",
        Command::NoteClock { .. } => "note_clock",
        Command::SetParameters { .. } => "set_parameters",
        Command::ChangeUsers { .. } => "change_users",
        Command::ChangeRoster { .. } => "change_roster",
        Command::RosterReached { .. } => "roster_reached",
        Command::DropDatabase { .. } => "drop_database",
        Command::SetOptions { .. } => "set_options",
        Command::SwitchKind { .. } => "switch_kind",
        Command::CompleteSwitch { .. } => "complete_switch",
        Command::RetireCopy { .. } => "retire_copy",
        Command::KeepCopy { .. } => "keep_copy",
        Command::LetCopyGo { .. } => "let_copy_go",
        Command::GiveUpNode { .. } => "give_up_node",
        Command::SetCopiesBeforeOk { .. } => "set_copies_before_ok",
    }
}
