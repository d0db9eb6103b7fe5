//! What the view service can decide, why, and why not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use onecopy_core::{BootNumber, EntryId, GroupId, Level, Member, NodeId, View, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::clocks::ClockError;
use crate::database::{Database, Kind};
use crate::options::OptionChanges;
use crate::table::Registration;
use crate::users::UserChanges;

/// Why a view is changed. For people: nothing depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// No ping for the failure timeout.
    Silent,
    /// It pings under another incarnation: its data is gone (rule P9).
    LostItsData,
    /// Its process was restarted (rule P11).
    Restarted,
    /// It says that it cannot lead the view.
    CannotLead,
    /// Its disk does not finish a write.
    DiskStalled,
    /// Another replica reports that it is silent.
    Suspected,
    /// It holds something else than the primary (rule P10).
    Diverged,
    /// An operator wants its node empty, or the copies elsewhere, and others have everything.
    Drained,
    /// There are more copies than there should be.
    Surplus,
    /// The primary reports that it does not acknowledge, although it answers.
    Slow,
    /// Its process is about to stop, and says so.
    Leaving,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Silent => "no ping",
            Self::LostItsData => "returned without its data",
            Self::Restarted => "its process was restarted",
            Self::CannotLead => "it cannot lead",
            Self::DiskStalled => "its disk is stalled",
            Self::Suspected => "reported as silent by another replica",
            Self::Slow => "reported as slow by the primary",
            Self::Diverged => "it holds something else than the primary",
            Self::Drained => "it is not to stay there",
            Self::Surplus => "there are enough copies",
            Self::Leaving => "it is leaving",
        })
    }
}

/// Of a command about many parameters or users, so many names are remembered.
const REMEMBERED_NAMES_MAX: usize = 16;
/// The values of parameters with such names are not remembered.
const SECRET: [&str; 2] = ["auth", "pass"];
/// So much of a value is remembered.
const REMEMBERED_VALUE_CHARS: usize = 64;

/// A change of the table. Changes of a view name the view that they were decided on (`expected`) and are
/// refused if there is a newer one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Command {
    /// A node is new, was restarted, or moved.
    RegisterNode {
        /// Which one.
        node: NodeId,
        /// What it says of itself.
        registration: Registration,
    },
    /// A new group. Refused if it exists.
    CreateGroup {
        /// The new group.
        group: GroupId,
        /// How many members it should have.
        copies: u32,
        /// Its first members, all of them empty.
        members: Vec<Member>,
        /// Which of them is the primary.
        primary: NodeId,
        /// The primary's process start.
        boot: BootNumber,
    },
    /// A backup is dropped.
    RemoveMember {
        /// The group.
        group: GroupId,
        /// The view that it was decided on.
        expected: ViewNumber,
        /// Who is dropped.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A member becomes the primary, perhaps the one that it was.
    PromoteMember {
        /// The group.
        group: GroupId,
        /// The view that it was decided on.
        expected: ViewNumber,
        /// The next primary.
        primary: NodeId,
        /// Its process start.
        boot: BootNumber,
        /// The members that are dropped by the same change.
        dropped: Vec<NodeId>,
        /// What is wrong with the primary that was.
        reason: Reason,
    },
    /// The primary hands over to another member; everybody stays.
    Handover {
        /// The group.
        group: GroupId,
        /// The view whose primary asks for it.
        expected: ViewNumber,
        /// The next primary.
        heir: NodeId,
        /// Its process start.
        boot: BootNumber,
    },
    /// A spare node is recruited.
    AddLearner {
        /// The group.
        group: GroupId,
        /// The view that it was decided on.
        expected: ViewNumber,
        /// The spare.
        learner: Member,
    },
    /// A learner is dropped.
    RemoveLearner {
        /// The group.
        group: GroupId,
        /// The view that it was decided on.
        expected: ViewNumber,
        /// Who is dropped.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A learner that the primary certified becomes a member (rule P5).
    AddMember {
        /// The group.
        group: GroupId,
        /// The view in which it was certified.
        expected: ViewNumber,
        /// The learner.
        learner: Member,
    },
    /// How many members a group should have from now on.
    SetCopies {
        /// The group.
        group: GroupId,
        /// How many.
        copies: u32,
    },
    /// A node is to hold nothing any more, or may hold something again.
    SetDrained {
        /// Which one.
        node: NodeId,
        /// Whether it is to be empty.
        drained: bool,
    },
    /// These are the view nodes from now on: the members of Raft's committed configuration, with and without
    /// a vote.
    SetViewNodes {
        /// All of them.
        nodes: BTreeSet<NodeId>,
    },
    /// A node is gone for good. Refused while it is in a view.
    ForgetNode {
        /// Which one.
        node: NodeId,
    },
    /// An operator accepts that committed writes are lost: no member that is alive will return, and the group
    /// goes on with what this one has. The only change that does not keep rule P4, and nobody but an operator
    /// proposes it.
    Recover {
        /// The group.
        group: GroupId,
        /// The view that the operator saw.
        expected: ViewNumber,
        /// The only member from now on.
        sole: Member,
        /// Its process start.
        boot: BootNumber,
    },
    /// The wall clock of a node is out of step with those of the others; or, without an error, is not any
    /// more.
    NoteClock {
        /// Whose.
        node: NodeId,
        /// By how much.
        error: Option<ClockError>,
    },
    /// A new database beside `main`, and its group. Refused if either exists. An operator says what it is and
    /// how many copies it has (0: as many as others), and the leader of the view service
    /// [all else](crate::Monitor::place).
    CreateDatabase {
        /// The new group.
        group: GroupId,
        /// What it holds.
        database: Database,
        /// How many members it should have.
        copies: u32,
        /// Its first members, all of them empty.
        members: Vec<Member>,
        /// Which of them is the primary.
        primary: NodeId,
        /// The primary's process start.
        boot: BootNumber,
    },
    /// Parameters have other values from now on, on all nodes. All of them, or none.
    SetParameters {
        /// The values, by name.
        values: BTreeMap<String, String>,
    },
    /// Users are made, changed and removed. All of them, or none. Refused if somebody has changed users
    /// meanwhile.
    ChangeUsers {
        /// The revision of the users that it was decided on.
        expected: u64,
        /// What becomes of them.
        changes: UserChanges,
    },
    /// The copies of a Raft group are to be elsewhere. The group itself goes there.
    ChangeRoster {
        /// The group.
        group: GroupId,
        /// The roster that it was decided on.
        expected: u64,
        /// The members to be, in order.
        members: Vec<Member>,
    },
    /// The members of a Raft group are those of its roster, and no others.
    RosterReached {
        /// The group.
        group: GroupId,
        /// Which roster.
        number: u64,
    },
    /// A database has something of its own from now on. All of it, or nothing.
    SetOptions {
        /// The group.
        group: GroupId,
        /// What changes.
        changes: OptionChanges,
    },
    /// A database is to be replicated in another way, while it serves; to ask for what it is gives up a
    /// switch that is under way.
    SwitchKind {
        /// The group.
        group: GroupId,
        /// How it is to be replicated.
        kind: Kind,
    },
    /// The group is sealed, and goes on as one of the other kind.
    CompleteSwitch {
        /// The group.
        group: GroupId,
        /// Which switch is over.
        number: u64,
        /// The view in which the group says that it is sealed.
        expected: ViewNumber,
        /// The last entry that was executed.
        seal: EntryId,
        /// The first view from now on. All its members have the seal.
        view: View,
    },
    /// A database goes, with its group and all its data.
    DropDatabase {
        /// The group.
        group: GroupId,
        /// What it is called.
        name: String,
    },
    /// As [`Command::RegisterNode`], which is of nodes that know the first level only.
    RegisterWithLevel {
        /// Which one.
        node: NodeId,
        /// What it says of itself.
        registration: Registration,
        /// The highest level that it knows.
        level: Level,
    },
    /// This level is in force from now on. Refused unless all nodes know it (rule E4).
    RaiseLevel {
        /// Which one.
        level: Level,
    },
    /// The level in force is to stay where it is, or may rise.
    HoldLevel {
        /// Whether it is to stay.
        is_held: bool,
    },
    /// A copy of an optimistic database is to go: it takes nothing more, and hands on what it has.
    RetireCopy {
        /// The group.
        group: GroupId,
        /// The view that it was decided on.
        expected: ViewNumber,
        /// Whose copy.
        node: NodeId,
        /// Why.
        reason: Reason,
    },
    /// A copy of an optimistic database that was to go may stay.
    KeepCopy {
        /// The group.
        group: GroupId,
        /// The view that it was decided on.
        expected: ViewNumber,
        /// Whose copy.
        node: NodeId,
    },
    /// A copy of an optimistic database that is to go goes: all that stay have everything of it.
    LetCopyGo {
        /// The group.
        group: GroupId,
        /// The view in which it has said so.
        expected: ViewNumber,
        /// Whose copy.
        node: NodeId,
        /// The start of the process that has said so: a later one may have taken something again.
        boot: BootNumber,
    },
    /// A node is gone for good, and an operator accepts that what only its copies of optimistic databases had
    /// is lost.
    GiveUpNode {
        /// Which one.
        node: NodeId,
    },
    /// In an optimistic database, so many copies have a write before it is answered.
    SetCopiesBeforeOk {
        /// The group.
        group: GroupId,
        /// How many.
        copies: u32,
    },
}

impl Command {
    /// The command as it is remembered, for people: a list of what has happened is no place for what users
    /// may do, nor for long values.
    #[must_use]
    pub(crate) fn remembered(&self) -> Self {
        match self {
            Self::ChangeUsers { expected, changes } => {
                let without_rules = |(name, rules): (&Vec<u8>, &Option<Vec<u8>>)| {
                    (name.clone(), rules.as_ref().map(|_| Vec::new()))
                };
                let changes = changes.iter().map(without_rules).take(REMEMBERED_NAMES_MAX).collect();
                Self::ChangeUsers { expected: *expected, changes }
            }
            Self::SetParameters { values } => {
                let is_secret = |name: &str| SECRET.iter().any(|word| name.contains(word));
                let short = |(name, value): (&String, &String)| match is_secret(name) {
                    true => (name.clone(), "(hidden)".to_owned()),
                    false => (name.clone(), value.chars().take(REMEMBERED_VALUE_CHARS).collect()),
                };
                let values = values.iter().map(short).take(REMEMBERED_NAMES_MAX).collect();
                Self::SetParameters { values }
            }
            other => other.clone(),
        }
    }

    /// The group that it is about.
    #[must_use]
    pub fn group(&self) -> Option<GroupId> {
        match self {
            Self::RegisterNode { .. }
            | Self::RegisterWithLevel { .. }
            | Self::RaiseLevel { .. }
            | Self::HoldLevel { .. }
            | Self::SetDrained { .. }
            | Self::SetViewNodes { .. }
            | Self::ForgetNode { .. }
            | Self::GiveUpNode { .. }
            | Self::SetParameters { .. }
            | Self::ChangeUsers { .. }
            | Self::NoteClock { .. } => None,
            Self::CreateGroup { group, .. }
            | Self::CreateDatabase { group, .. }
            | Self::RemoveMember { group, .. }
            | Self::PromoteMember { group, .. }
            | Self::Handover { group, .. }
            | Self::AddLearner { group, .. }
            | Self::RemoveLearner { group, .. }
            | Self::AddMember { group, .. }
            | Self::SetCopies { group, .. }
            | Self::ChangeRoster { group, .. }
            | Self::RosterReached { group, .. }
            | Self::DropDatabase { group, .. }
            | Self::SetOptions { group, .. }
            | Self::SwitchKind { group, .. }
            | Self::CompleteSwitch { group, .. }
            | Self::RetireCopy { group, .. }
            | Self::KeepCopy { group, .. }
            | Self::LetCopyGo { group, .. }
            | Self::SetCopiesBeforeOk { group, .. }
            | Self::Recover { group, .. } => Some(*group),
        }
    }
}

/// Why a command was refused. The table is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// The group does not exist.
    #[error("there is no group {0}")]
    NoSuchGroup(GroupId),
    /// The node is not registered.
    #[error("there is no node {0}")]
    NoSuchNode(NodeId),
    /// Another database has the name, or one of the numbers.
    #[error("{wanted} has the name of {existing}, or one of its numbers")]
    DatabaseExists {
        /// What was to be created.
        wanted: Database,
        /// What is.
        existing: Database,
    },
    /// The group exists already.
    #[error("group {0} exists already")]
    GroupExists(GroupId),
    /// The view was changed meanwhile.
    #[error("decided on {expected}, but the view is {current}")]
    ViewChanged {
        /// What it was decided on.
        expected: ViewNumber,
        /// What is.
        current: ViewNumber,
    },
    /// The roster was changed meanwhile.
    #[error("decided on roster {expected}, but it is {current}")]
    RosterChanged {
        /// What it was decided on.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// Somebody has changed users meanwhile.
    #[error("decided on revision {expected} of the users, but it is {current}")]
    UsersChanged {
        /// What it was decided on.
        expected: u64,
        /// What is.
        current: u64,
    },
    /// Not allowed by the protocol (rules P4, P5).
    #[error("{0}")]
    NotAllowed(&'static str),
    /// Nothing would change.
    #[error("nothing would change")]
    NoChange,
}
