//! What has to be asked of whom for an operation, and what shows that it was done.

use onecopy_core::{BootNumber, GroupId, Member, NodeId, View, ViewNumber};
use onecopy_host::MemberChange;
use onecopy_views::{Command, Database, Kind, MAIN, NoDatabase, NoKind, OptionChanges, Rejection, Table};

use crate::operation::Operation;

/// An operation on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// The view service has to execute a command.
    Command(Command),
    /// The view service has to change its members.
    Members(MemberChange),
    /// The primary of a group has to hand over.
    Handover {
        /// Of which group.
        group: GroupId,
        /// The view that it led when it was asked.
        view: ViewNumber,
        /// Who led it.
        primary: NodeId,
        /// The heir, if the operator has named one.
        to: Option<NodeId>,
    },
}

impl Question {
    /// What has to be asked for `operation`, as the table is.
    pub(crate) fn of(operation: Operation, table: &Table) -> Result<Self, String> {
        match operation {
            Operation::Handover { group, to } => {
                let group = GroupId(group);
                Self::handover(group, view(group, table)?, to.map(NodeId))
            }
            Operation::Copies { group, copies } => {
                let group = GroupId(group);
                if !table.groups().is_empty() {
                    view(group, table)?;
                }
                Ok(Self::Command(Command::SetCopies { group, copies }))
            }
            Operation::CreateDatabase { name, numbers, replication, copies } => {
                create((&name, &numbers), replication.as_deref(), copies, table)
            }
            Operation::SetDatabase { name, copies, min_copies, reads, nodes } => {
                let confirms_reads = match reads.as_deref() {
                    None => None,
                    Some("confirm") => Some(true),
                    Some("lease") => Some(false),
                    Some(other) => {
                        return Err(format!("reads are answered under a lease, or confirmed, not by {other:?}"));
                    }
                };
                let nodes = nodes.map(|nodes| nodes.into_iter().map(NodeId).collect());
                let group = named(&name, table)?;
                let changes = OptionChanges { copies, min_copies, confirms_reads, nodes };
                match changes == OptionChanges::default() {
                    true => Err("nothing is to change: say copies, min_copies, reads or nodes".to_owned()),
                    false => Ok(Self::Command(Command::SetOptions { group, changes })),
                }
            }
            Operation::SetCopiesBeforeOk { name, copies } => {
                Ok(Self::Command(Command::SetCopiesBeforeOk { group: named(&name, table)?, copies }))
            }
            Operation::SwitchDatabase { name, replication } => {
                let kind: Kind = replication.parse().map_err(|error: NoKind| error.to_string())?;
                Ok(Self::Command(Command::SwitchKind { group: named(&name, table)?, kind }))
            }
            Operation::DropDatabase { name, again } => drop_database(name, &again, table),
            Operation::Drain { node } => {
                Ok(Self::Command(Command::SetDrained { node: NodeId(node), drained: true }))
            }
            Operation::Undrain { node } => {
                Ok(Self::Command(Command::SetDrained { node: NodeId(node), drained: false }))
            }
            Operation::HoldLevel { held } => Ok(Self::Command(Command::HoldLevel { is_held: held })),
            Operation::Remove { node, accept_data_loss: true } => {
                Ok(Self::Command(Command::GiveUpNode { node: NodeId(node) }))
            }
            Operation::Remove { node, accept_data_loss: false } => remove(NodeId(node), table),
            Operation::AddViewNodes { nodes } => Ok(Self::Members(MemberChange::Add(ids(&nodes)))),
            Operation::RemoveViewNodes { nodes } => Ok(Self::Members(MemberChange::Remove(ids(&nodes)))),
            Operation::Recover { accept_data_loss: false, .. } => Err(
                "the group would go on with what one replica has: writes that were acknowledged and are not there are \
                 lost for good. Wait for the other members if they can return at all; if they cannot, say that you accept \
                 the loss of data"
                    .to_owned(),
            ),
            Operation::Recover { group, node, accept_data_loss: true } => {
                let group = GroupId(group);
                Self::recover(group, view(group, table)?, node, table)
            }
        }
    }

    fn handover(group: GroupId, view: &View, to: Option<NodeId>) -> Result<Self, String> {
        match to {
            Some(to) if to == view.primary => Err(format!("node {} is the primary already", to.0)),
            Some(to) if view.member(to).is_none() => Err(format!(
                "node {} is not a member of the group: the primary hands over to one of nodes {}",
                to.0,
                nodes(view)
            )),
            None if view.members.len() < 2 => Err(
                "the group has no other member to hand over to: start another node, or wait until a learner has caught up"
                    .to_owned(),
            ),
            _ => Ok(Self::Handover { group, view: view.number, primary: view.primary, to }),
        }
    }

    /// In whatever life the node is now. Whether it has anything is known to the leader of the view service.
    fn recover(group: GroupId, view: &View, node: u32, table: &Table) -> Result<Self, String> {
        let unknown =
            || format!("node {node} is not known: start it, and look whether `onecopy status` shows it");
        let registration = table.nodes().get(&NodeId(node)).ok_or_else(unknown)?;
        let sole = Member { node: NodeId(node), incarnation: registration.incarnation };
        let boot = registration.boot;
        Ok(Self::Command(Command::Recover { group, expected: view.number, sole, boot }))
    }

    /// Whether the table shows that it was done, and what there is to say.
    pub(crate) fn is_done(&self, table: &Table) -> Option<String> {
        match self {
            Self::Handover { group, view, primary, to } => {
                let now = &table.groups().get(group)?.view;
                let is_heir = to.map_or(now.primary != *primary, |to| now.primary == to);
                (now.number > *view && is_heir).then(|| {
                    format!("{group} was handed over from node {} to node {}", primary.0, now.primary.0)
                })
            }
            Self::Command(command) => shows(command, table).then(|| said(command)),
            // The table names learners too.
            Self::Members(_) => None,
        }
    }

    /// Whether it was decided, and the copies have to bring it about.
    pub(crate) fn goes_on(&self, is_decided: bool, table: &Table) -> bool {
        let Self::Command(Command::SwitchKind { group, kind }) = self else { return false };
        let is_under_way = table.switch(*group).is_some_and(|switch| switch.kind == *kind);
        (is_decided || is_under_way) && !shows(&Command::SwitchKind { group: *group, kind: *kind }, table)
    }

    /// The view may have been changed by something else meanwhile, and a primary forgets a handover with the
    /// view: it has to be asked again then. Whether it has.
    ///
    /// # Errors
    /// Why it cannot be done any more.
    pub(crate) fn renew(&mut self, table: &Table) -> Result<bool, String> {
        let Self::Handover { group, view, primary, to } = self else { return Ok(false) };
        let Some(now) = table.groups().get(group).map(|group| &group.view) else { return Ok(false) };
        let is_possible = now.primary == *primary && to.is_none_or(|to| now.member(to).is_some());
        match now.number > *view {
            true if !is_possible => Err(format!("the view was changed meanwhile, it is {now} now")),
            is_news => {
                *view = now.number;
                Ok(is_news)
            }
        }
    }
}

/// Whether what a command wants is so.
fn shows(command: &Command, table: &Table) -> bool {
    match command {
        Command::SetCopies { group, copies } => {
            table.groups().get(group).is_some_and(|group| group.copies == *copies)
        }
        Command::CreateDatabase { database, .. } => table.databases().any(|(_, known)| known == *database),
        Command::SetOptions { group, changes } => {
            let (options, known) = (table.options(*group), table.groups().get(group));
            changes.copies.is_none_or(|copies| known.is_some_and(|known| known.copies == copies))
                && changes.min_copies.is_none_or(|least| options.min_copies == Some(least))
                && changes.confirms_reads.is_none_or(|confirms| options.confirms_reads == confirms)
                && changes.nodes.as_ref().is_none_or(|nodes| options.nodes == *nodes)
        }
        Command::SwitchKind { group, kind } => table.kind(*group) == *kind && table.switch(*group).is_none(),
        Command::DropDatabase { group, .. } => {
            *group <= table.last_group() && !table.groups().contains_key(group)
        }
        Command::SetDrained { node, drained } => table.drained().contains(node) == *drained,
        Command::HoldLevel { is_held } => table.is_level_held() == *is_held,
        Command::SetCopiesBeforeOk { group, copies } => table.copies_before_ok(*group) == *copies,
        Command::ForgetNode { node } | Command::GiveUpNode { node } => !table.nodes().contains_key(node),
        Command::Recover { group, expected, sole, .. } => table.groups().get(group).is_some_and(|group| {
            group.view.number > *expected && group.view.primary == sole.node && group.view.is_member(sole)
        }),
        Command::SetParameters { values } => table.settings().include(values),
        Command::ChangeUsers { changes, .. } => table.users().include(changes),
        _ => false,
    }
}

/// What a command that was executed means, for people.
pub(crate) fn said(command: &Command) -> String {
    match command {
        Command::SetCopies { group, copies } => {
            format!(
                "{group} shall have {copies} copies: nodes are recruited or dropped, `onecopy status` shows how far it is"
            )
        }
        Command::CreateDatabase { database, .. } => {
            format!("{database} is there: `onecopy database show {}` says who holds it", database.name)
        }
        Command::SetOptions { changes, .. } if changes.copies.is_some() || changes.nodes.is_some() => {
            format!("{command}: nodes are recruited or dropped, `onecopy status` shows how far it is")
        }
        Command::SwitchKind { group, kind } => {
            format!("{group} is replicated as {kind}: `onecopy status` shows who has copies")
        }
        Command::DropDatabase { name, .. } => {
            format!(
                "the database {name} is gone: all nodes give back what it had, those that are away when they return"
            )
        }
        Command::SetDrained { node, drained: true } => format!(
            "node {} is drained: what it leads is handed over, and its copies go once others have everything",
            node.0
        ),
        Command::SetDrained { node, drained: false } => format!("node {} may hold copies again", node.0),
        Command::ForgetNode { node } => format!("node {} is forgotten", node.0),
        Command::GiveUpNode { node } => {
            format!("node {} is forgotten, with what only its copies of optimistic databases had", node.0)
        }
        Command::Recover { group, sole, .. } => format!(
            "{group} goes on with what node {} has: check the data, and start empty nodes as new copies",
            sole.node.0
        ),
        command => command.to_string(),
    }
}

/// A new database. Who is to hold it is up to the leader of the view service.
fn create(
    (name, numbers): (&str, &str),
    replication: Option<&str>,
    copies: Option<u32>,
    table: &Table,
) -> Result<Question, String> {
    let database: Database =
        format!("{name}:{numbers}").parse().map_err(|error: NoDatabase| error.to_string())?;
    let kind: Kind =
        replication.map_or(Ok(Kind::default()), str::parse).map_err(|error: NoKind| error.to_string())?;
    let database = Database { kind, ..database };
    // What is there already would pass for what this question has brought about.
    table.has_room_for(&database).map_err(|rejection| match rejection {
        Rejection::NotAllowed(problem) => format!("{database} cannot be created: {problem}"),
        rejection => rejection.to_string(),
    })?;
    if let Some(problem) = copies.and_then(|copies| kind.problem_with(copies)) {
        return Err(format!("{database} cannot be created: {problem}"));
    }
    let (group, copies) = (GroupId(0), copies.unwrap_or(0));
    let (members, primary, boot) = (Vec::new(), NodeId(0), BootNumber(0));
    Ok(Question::Command(Command::CreateDatabase { group, database, copies, members, primary, boot }))
}

/// A database that goes. Nothing brings it back, so its name must have been said twice.
fn drop_database(name: String, again: &str, table: &Table) -> Result<Question, String> {
    if name != again {
        return Err(format!(
            "nothing was dropped: say the name of the database twice, to be sure ({name:?} and {again:?} are two)"
        ));
    }
    match named(&name, table)? {
        MAIN => Err("main cannot be dropped: FLUSHALL empties it".to_owned()),
        group => Ok(Question::Command(Command::DropDatabase { group, name })),
    }
}

/// A node that is gone for good. What its copies of optimistic databases have may be nowhere else.
fn remove(node: NodeId, table: &Table) -> Result<Question, String> {
    let holds = |(group, known): (&GroupId, &onecopy_views::Group)| {
        let is_held = table.kind(*group) == Kind::Optimistic && known.view.member(node).is_some();
        is_held.then(|| table.database(*group)).flatten().map(|database| database.name)
    };
    let names: Vec<String> = table.groups().iter().filter_map(holds).collect();
    match names.is_empty() {
        true => Ok(Question::Command(Command::ForgetNode { node })),
        false => Err(format!(
            "node {} has copies of optimistic databases ({}), which may have acknowledged what no other copy has: drain it              while it runs, until they have handed everything on. If it never will, say that you accept the loss of              data",
            node.0,
            names.join(", ")
        )),
    }
}

/// The group of a database.
fn named(name: &str, table: &Table) -> Result<GroupId, String> {
    let group = table.databases().find(|(_, database)| database.name == name);
    let unknown = || format!("there is no database {name}: `onecopy database list` shows all");
    group.map(|(group, _)| group).ok_or_else(unknown)
}

fn ids(nodes: &[u32]) -> Vec<NodeId> {
    nodes.iter().copied().map(NodeId).collect()
}

/// What a change of the view nodes that was made means, for people.
pub(crate) fn said_of_members(change: &MemberChange) -> String {
    let (MemberChange::Add(nodes) | MemberChange::Remove(nodes)) = change;
    let names: Vec<String> = nodes.iter().map(|node| node.0.to_string()).collect();
    let verb = if matches!(change, MemberChange::Add(_)) { "now belong to" } else { "have left" };
    format!(
        "nodes {} {verb} the view service: let `view_nodes` say so in the settings of all nodes",
        names.join(", ")
    )
}

fn view(id: GroupId, table: &Table) -> Result<&View, String> {
    let group = table.groups().get(&id);
    let is_founded = !table.groups().is_empty();
    group.map(|group| &group.view).ok_or_else(|| match is_founded {
        true => format!("there is no group {}: `onecopy status` shows all", id.0),
        false => {
            "this node knows no view of the group yet: is the view service founded and reachable?".to_owned()
        }
    })
}

fn nodes(view: &View) -> String {
    let nodes: Vec<String> = view.replicas().map(|replica| replica.node.0.to_string()).collect();
    nodes.join(", ")
}
