//! The view table: the replicated state of the view service.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use onecopy_core::{BootNumber, GroupId, Incarnation, Level, Member, NodeId, Rule, Rules, View, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::change;
use crate::clocks::ClockError;
use crate::command::{Command, Rejection};
use crate::copies::Copies;
use crate::database::{Database, Kind, MAIN};
use crate::dropped::Dropped;
use crate::endpoint::Addresses;
use crate::events::{self, Event, Proposal};
use crate::levels::TableLevels;
use crate::options::Options;
use crate::roster::Roster;
use crate::settings::Settings;
use crate::switch::{Switch, Switched};
use crate::users::Users;

/// What the table knows of a node.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// The life of its data.
    pub incarnation: Incarnation,
    /// The start of its process.
    pub boot: BootNumber,
    /// Whether it holds data.
    pub holds_data: bool,
    /// What it fails together with (a rack, a data centre); empty if nobody said. Copies are spread over
    /// zones.
    pub zone: String,
    /// The process id, for people.
    pub pid: u32,
    /// A random number of the process: an old image of its disk would start under the same boot number.
    pub run: u64,
    /// Where it can be reached.
    pub addresses: Addresses,
}

/// What the table knows of a group.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Group {
    /// The current view.
    pub view: View,
    /// How many members it should have.
    pub copies: u32,
}

/// A table or command could not be decoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the view table cannot be understood: {reason}")]
pub struct CorruptTable {
    /// What is wrong.
    pub reason: String,
}

/// The registered nodes and the current view of every group.
///
/// Guaranteed after every command:
/// 1. every view is [valid](View::valid);
/// 2. view numbers only grow, by one; by more when a [switch](Switched) is over;
/// 3. the primary of a view was a member of the view before, in the same incarnation (rule P4), unless an
///    operator recovered the group;
/// 4. a member of a view was a member, or a learner, of the view before, with the same exception;
/// 5. no node is registered in a start, or a life, that is over (rule P9);
/// 6. a Raft group keeps its first view, which says who founded it; where its copies are to be is in its
///    [roster](Roster), and its copies decide all else. The view of an optimistic one says which nodes have
///    copies, and a member of it goes only once it has said that others have everything, or an operator has
///    given it up;
/// 7. the numbers of rosters only grow, by one;
/// 8. no group has the number of one that was dropped;
/// 9. the level in force never goes down, and all registered nodes know it (rule E4).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    version: u64,
    nodes: BTreeMap<NodeId, Registration>,
    /// The lives of data directories that were followed by others.
    ended_lives: BTreeSet<Incarnation>,
    /// The version of the table since which the life of a node is registered.
    lives_since: BTreeMap<NodeId, u64>,
    /// Nodes that are to hold nothing.
    drained: BTreeSet<NodeId>,
    /// Whom everybody pings.
    view_nodes: BTreeSet<NodeId>,
    pub(crate) groups: BTreeMap<GroupId, Group>,
    /// The last changes, oldest first.
    events: VecDeque<Event>,
    /// Wall clocks that are out of step.
    clocks: BTreeMap<NodeId, ClockError>,
    /// What the groups hold, but for `main`.
    pub(crate) databases: BTreeMap<GroupId, Database>,
    /// What is set for all nodes.
    settings: Settings,
    /// Who may do what.
    users: Users,
    /// Where the copies of Raft groups are to be, of those that are not where they were founded.
    pub(crate) rosters: BTreeMap<GroupId, Roster>,
    /// What is remembered of databases that were dropped.
    pub(crate) dropped: Dropped,
    /// What is set for some databases alone.
    pub(crate) options: BTreeMap<GroupId, Options>,
    /// Which groups are to be replicated in another way.
    pub(crate) switches: BTreeMap<GroupId, Switch>,
    /// Which groups were, and how that went the last time.
    pub(crate) switched: BTreeMap<GroupId, Switched>,
    /// By the rules of which level entries are executed.
    pub(crate) levels: TableLevels,
    /// What is known of the copies of optimistic databases, beside their views.
    pub(crate) copies: BTreeMap<GroupId, Copies>,
}

impl Table {
    /// How many commands have changed it.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The registered nodes.
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<NodeId, Registration> {
        &self.nodes
    }

    /// Whether it is so new that it knows this start of a node, and so everything that was decided before. A
    /// node that starts again learns older tables first: they name groups that it has dropped, and must not
    /// found again.
    #[must_use]
    pub fn knows_start(&self, node: NodeId, boot: BootNumber) -> bool {
        self.nodes.get(&node).is_some_and(|registration| registration.boot >= boot)
    }

    /// Since which version the life of a node is registered. No two lives, of whichever nodes, have the same,
    /// and a later one has a higher: in optimistic databases it is the number of a replica (rule O5).
    #[must_use]
    pub fn life_since(&self, node: NodeId) -> Option<u64> {
        self.lives_since.get(&node).copied()
    }

    /// The lives of data directories that were followed by others.
    #[must_use]
    pub fn ended_lives(&self) -> &BTreeSet<Incarnation> {
        &self.ended_lives
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &BTreeMap<GroupId, Group> {
        &self.groups
    }

    /// The databases, each with its group. `main` is the first, and always there.
    pub fn databases(&self) -> impl Iterator<Item = (GroupId, Database)> {
        let others = self.databases.iter().map(|(group, database)| (*group, database.clone()));
        std::iter::once((MAIN, self.main())).chain(others)
    }

    /// What a group holds.
    #[must_use]
    pub fn database(&self, group: GroupId) -> Option<Database> {
        if group == MAIN { Some(self.main()) } else { self.databases.get(&group).cloned() }
    }

    fn main(&self) -> Database {
        Database { kind: self.kind(MAIN), ..Database::main() }
    }

    /// How a group is replicated.
    #[must_use]
    pub fn kind(&self, group: GroupId) -> Kind {
        let created = || self.databases.get(&group).map(|database| database.kind);
        self.switched.get(&group).map(|switched| switched.kind).or_else(created).unwrap_or_default()
    }

    /// The same, with the views of Raft groups as `known` has them: the table itself says only who founded
    /// those.
    #[must_use]
    pub fn with_leaders(&self, known: impl Fn(GroupId) -> Option<View>) -> Self {
        let mut table = self.clone();
        for (id, group) in &mut table.groups {
            let is_raft = self.kind(*id) == Kind::Raft;
            let led = is_raft.then(|| known(*id)).flatten();
            if let Some(view) = led.filter(|view| view.valid() && view.number > group.view.number) {
                group.view = view;
            }
        }
        table
    }

    /// The group that holds the database with this number, and which of the databases of its state machine
    /// that is.
    #[must_use]
    pub fn locate(&self, number: u16) -> Option<(GroupId, u8)> {
        if let Some(local) = Database::main().local(number) {
            return Some((MAIN, local));
        }
        self.databases.iter().find_map(|(group, database)| Some((*group, database.local(number)?)))
    }

    /// The group of the next database.
    pub(crate) fn next_group(&self) -> GroupId {
        self.last_group().next().max(MAIN)
    }

    /// The names of the databases beside `main`.
    pub(crate) fn database_names(&self) -> impl Iterator<Item = &str> {
        self.databases.values().map(|database| database.name.as_str())
    }

    /// Whether a database can be created.
    ///
    /// # Errors
    /// What is wrong with it, or which other one has its name or a number of it.
    pub fn has_room_for(&self, wanted: &Database) -> Result<(), Rejection> {
        if let Some(problem) = wanted.problem() {
            return Err(Rejection::NotAllowed(problem));
        }
        match self.databases.values().find(|existing| existing.collides(wanted)) {
            Some(existing) => {
                Err(Rejection::DatabaseExists { wanted: wanted.clone(), existing: existing.clone() })
            }
            None => Ok(()),
        }
    }

    /// The nodes that are to hold nothing.
    #[must_use]
    pub fn drained(&self) -> &BTreeSet<NodeId> {
        &self.drained
    }

    /// The view nodes, also those without a vote. Empty until the first leader has said who they are.
    #[must_use]
    pub fn view_nodes(&self) -> &BTreeSet<NodeId> {
        &self.view_nodes
    }

    /// The wall clocks that are out of step with the others.
    #[must_use]
    pub fn clocks(&self) -> &BTreeMap<NodeId, ClockError> {
        &self.clocks
    }

    /// What is set for all nodes.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Who may do what.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The last changes, oldest first.
    #[must_use]
    pub fn events(&self) -> &VecDeque<Event> {
        &self.events
    }

    /// The table as a snapshot holds it, and as it is announced.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::from(postcard::to_stdvec(self).expect("a table always has an encoding"))
    }

    /// What [`Table::encode`] made.
    ///
    /// # Errors
    /// When the bytes are something else, or a view is not valid.
    pub fn decode(bytes: &[u8]) -> Result<Self, CorruptTable> {
        let table: Self =
            postcard::from_bytes(bytes).map_err(|error| CorruptTable { reason: error.to_string() })?;
        match table.groups.values().find(|group| !group.view.valid()) {
            Some(group) => Err(CorruptTable { reason: format!("{:?} is not a valid view", group.view) }),
            None => Ok(table),
        }
    }

    /// Executes what was proposed, and remembers why.
    ///
    /// # Errors
    /// When it does not fit what the table holds; nothing has changed then.
    pub fn execute(&mut self, proposal: &Proposal, rules: Rules) -> Result<(), Rejection> {
        self.apply(&proposal.command, rules)?;
        // The view of a Raft group says who founded it, and nothing of where its copies are.
        let is_of_roster =
            matches!(proposal.command, Command::ChangeRoster { .. } | Command::RosterReached { .. });
        let group = proposal.command.group().filter(|_| !is_of_roster).and_then(|id| self.groups.get(&id));
        let view = group.map(|group| group.view.clone());
        let proposal = Proposal {
            command: proposal.command.remembered(),
            evidence: proposal.evidence.clone(),
            ..*proposal
        };
        self.events.push_back(Event { version: self.version, proposal, view });
        self.events.drain(..self.events.len().saturating_sub(events::REMEMBERED));
        Ok(())
    }

    /// Executes a command.
    ///
    /// # Errors
    /// When it does not fit what the table holds; nothing has changed then.
    pub fn apply(&mut self, command: &Command, rules: Rules) -> Result<(), Rejection> {
        match command {
            Command::RegisterNode { node, registration } => {
                self.register(*node, registration, Level::FIRST, rules)?;
            }
            Command::RegisterWithLevel { node, registration, level } => {
                self.register(*node, registration, *level, rules)?;
            }
            Command::RaiseLevel { level } => self.raise_level(*level, rules)?,
            Command::HoldLevel { is_held } => self.hold_level(*is_held)?,
            Command::CreateGroup { group, copies, members, primary, boot } => {
                self.create(*group, *copies, first_view(members, *primary, *boot))?;
            }
            Command::CreateDatabase { group, database, copies, members, primary, boot } => {
                self.has_room_for(database)?;
                if let Some(problem) = database.kind.problem_with(*copies) {
                    return Err(Rejection::NotAllowed(problem));
                }
                let is_fixed = !database.kind.is_decided_by_the_view_service();
                if is_fixed && members.len() != *copies as usize {
                    return Err(Rejection::NotAllowed("a group of this kind begins with all of its copies"));
                }
                self.create(*group, *copies, first_view(members, *primary, *boot))?;
                self.dropped.created(*group, Some(&database.name));
                self.databases.insert(*group, database.clone());
            }
            Command::SetOptions { group, changes } => self.set_options(*group, changes)?,
            Command::DropDatabase { group, name } => self.drop_database(*group, name)?,
            Command::RemoveMember { group, expected, node, .. } => {
                self.change(*group, *expected, |view| change::remove_member(view, *node))?;
            }
            Command::PromoteMember { group, expected, primary, boot, dropped, .. } => {
                self.change(*group, *expected, |view| {
                    change::promote(view, *primary, *boot, dropped, rules)
                })?;
            }
            Command::Handover { group, expected, heir, boot } => {
                self.change(*group, *expected, |view| change::promote(view, *heir, *boot, &[], rules))?;
            }
            Command::SetCopies { group, copies } => self.set_copies(*group, *copies)?,
            Command::SetDrained { node, drained } => self.set_drained(*node, *drained)?,
            Command::SetViewNodes { nodes } => self.set_view_nodes(nodes)?,
            Command::ForgetNode { node } => self.forget(*node)?,
            Command::NoteClock { node, error } => self.note_clock(*node, *error)?,
            Command::SetParameters { values } => self.settings.set(values)?,
            Command::ChangeUsers { expected, changes } => self.users.change(*expected, changes)?,
            Command::Recover { group, expected, sole, boot } => {
                let is_registered = self
                    .nodes
                    .get(&sole.node)
                    .is_some_and(|registration| registration.incarnation == sole.incarnation);
                self.change(*group, *expected, |view| change::recover(view, *sole, *boot, is_registered))?;
            }
            Command::AddLearner { group, expected, learner } if self.kind(*group) == Kind::Optimistic => {
                self.recruit_copy(*group, *expected, *learner)?;
            }
            Command::AddMember { group, expected, learner } if self.kind(*group) == Kind::Optimistic => {
                self.install(*group, *expected, |view| change::add_member(view, *learner))?;
            }
            Command::RemoveLearner { group, expected, node, .. } if self.kind(*group) == Kind::Optimistic => {
                self.install(*group, *expected, |view| change::remove_learner(view, *node))?;
                self.forget_copy(*group, *node);
            }
            Command::RetireCopy { group, expected, node, .. } => {
                self.retire_copy(*group, *expected, (*node, true))?;
            }
            Command::KeepCopy { group, expected, node } => {
                self.retire_copy(*group, *expected, (*node, false))?;
            }
            Command::LetCopyGo { group, expected, node, boot } => {
                self.let_copy_go(*group, *expected, (*node, *boot))?;
            }
            Command::GiveUpNode { node } => self.give_up(*node)?,
            Command::SetCopiesBeforeOk { group, copies } => self.set_copies_before_ok(*group, *copies)?,
            Command::AddLearner { group, expected, learner } => {
                self.change(*group, *expected, |view| change::add_learner(view, *learner))?;
            }
            Command::RemoveLearner { group, expected, node, .. } => {
                self.change(*group, *expected, |view| change::remove_learner(view, *node))?;
            }
            Command::AddMember { group, expected, learner } => {
                self.change(*group, *expected, |view| change::add_member(view, *learner))?;
            }
            Command::ChangeRoster { group, expected, members } => {
                self.change_roster(*group, *expected, members)?;
            }
            Command::RosterReached { group, number } => self.reach_roster(*group, *number)?,
            Command::SwitchKind { group, kind } => self.begin_switch(*group, *kind)?,
            Command::CompleteSwitch { group, number, expected, seal, view } => {
                self.complete_switch((*group, *number), *expected, *seal, view)?;
            }
        }
        self.version += 1;
        Ok(())
    }

    fn register(
        &mut self,
        node: NodeId,
        registration: &Registration,
        level: Level,
        rules: Rules,
    ) -> Result<(), Rejection> {
        if self.is_over(node, registration.start()) && rules.hold(Rule::OneLife) {
            return Err(Rejection::NotAllowed("P9 one life: the disk of the node is an old image"));
        }
        self.levels.admit(level, rules)?;
        if self.nodes.get(&node) == Some(registration) && self.level_of(node) == level {
            return Err(Rejection::NoChange);
        }
        self.levels.registered(node, level);
        match self.nodes.insert(node, registration.clone()) {
            Some(before) if before.incarnation != registration.incarnation => {
                self.ended_lives.insert(before.incarnation);
            }
            Some(_) => return Ok(()),
            None => {}
        }
        self.lives_since.insert(node, self.version + 1);
        Ok(())
    }

    fn create(&mut self, group: GroupId, copies: u32, view: View) -> Result<(), Rejection> {
        if self.groups.contains_key(&group) {
            return Err(Rejection::GroupExists(group));
        }
        if group <= self.last_group() && self.dropped != Dropped::default() {
            return Err(Rejection::NotAllowed("the number of a group that was dropped is not used again"));
        }
        if !view.valid() || copies == 0 {
            return Err(Rejection::NotAllowed("the first view would not be valid"));
        }
        self.groups.insert(group, Group { view, copies });
        Ok(())
    }

    pub(crate) fn set_copies(&mut self, group: GroupId, copies: u32) -> Result<(), Rejection> {
        let kind = self.kind(group);
        if (1..self.copies_before_ok(group)).contains(&copies) {
            return Err(Rejection::NotAllowed(
                "that is less than copies_before_ok: no write would be answered any more",
            ));
        }
        let (least, nodes) = self.options.get(&group).map_or((None, 0), |of| (of.min_copies, of.nodes.len()));
        let group = self.groups.get_mut(&group).ok_or(Rejection::NoSuchGroup(group))?;
        if nodes > 0 && copies as usize > nodes {
            return Err(Rejection::NotAllowed("there are more copies than nodes on which they are to be"));
        }
        if least.is_some_and(|least| copies < least) {
            return Err(Rejection::NotAllowed(
                "that is less than min_copies: no write would be taken any more",
            ));
        }
        if let Some(problem) = kind.problem_with(copies) {
            return Err(Rejection::NotAllowed(problem));
        }
        match copies {
            _ if group.copies == copies => Err(Rejection::NoChange),
            _ => {
                group.copies = copies;
                Ok(())
            }
        }
    }

    fn set_drained(&mut self, node: NodeId, drained: bool) -> Result<(), Rejection> {
        if !self.nodes.contains_key(&node) {
            return Err(Rejection::NoSuchNode(node));
        }
        let changes = if drained { self.drained.insert(node) } else { self.drained.remove(&node) };
        if changes { Ok(()) } else { Err(Rejection::NoChange) }
    }

    fn set_view_nodes(&mut self, nodes: &BTreeSet<NodeId>) -> Result<(), Rejection> {
        match nodes {
            _ if nodes.is_empty() => Err(Rejection::NotAllowed("there is always a view node")),
            _ if *nodes == self.view_nodes => Err(Rejection::NoChange),
            _ => {
                self.view_nodes.clone_from(nodes);
                Ok(())
            }
        }
    }

    pub(crate) fn forget(&mut self, node: NodeId) -> Result<(), Rejection> {
        if self.is_used(node) {
            return Err(Rejection::NotAllowed("the node has a copy of a group: drain it first"));
        }
        if self.view_nodes.contains(&node) {
            return Err(Rejection::NotAllowed(
                "the node is a view node: remove it from the view service first",
            ));
        }
        self.drained.remove(&node);
        self.forget_place(node);
        self.lives_since.remove(&node);
        self.clocks.remove(&node);
        self.levels.forgotten(node);
        self.nodes.remove(&node).map(drop).ok_or(Rejection::NoSuchNode(node))
    }

    fn note_clock(&mut self, node: NodeId, error: Option<ClockError>) -> Result<(), Rejection> {
        if !self.nodes.contains_key(&node) {
            return Err(Rejection::NoSuchNode(node));
        }
        let before = match error {
            Some(error) => self.clocks.insert(node, error),
            None => self.clocks.remove(&node),
        };
        if before == error { Err(Rejection::NoChange) } else { Ok(()) }
    }

    /// Installs the next view of a group: what `edit` makes of the current one.
    fn change(
        &mut self,
        group: GroupId,
        expected: ViewNumber,
        edit: impl FnOnce(&mut View) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        match self.kind(group) {
            Kind::PrimaryBackup => {}
            Kind::Raft => {
                return Err(Rejection::NotAllowed(
                    "the copies of a Raft group decide among themselves who leads",
                ));
            }
            Kind::Optimistic => {
                return Err(Rejection::NotAllowed(
                    "no copy of an optimistic database leads, and none goes before it has handed everything on",
                ));
            }
        }
        self.install(group, expected, edit)
    }

    /// The same, of a group of whichever kind.
    pub(crate) fn install(
        &mut self,
        group: GroupId,
        expected: ViewNumber,
        edit: impl FnOnce(&mut View) -> Result<(), Rejection>,
    ) -> Result<(), Rejection> {
        let group = self.groups.get_mut(&group).ok_or(Rejection::NoSuchGroup(group))?;
        if group.view.number != expected {
            return Err(Rejection::ViewChanged { expected, current: group.view.number });
        }
        let mut next = group.view.clone();
        edit(&mut next)?;
        next.number = group.view.number.next();
        assert!(next.valid(), "view table: {next:?} is not valid");
        group.view = next;
        Ok(())
    }
}

fn first_view(members: &[Member], primary: NodeId, boot: BootNumber) -> View {
    View { number: ViewNumber(1), primary, boot, members: members.to_vec(), learners: Vec::new() }
}
