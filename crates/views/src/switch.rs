//! Databases that are replicated in another way from now on, while they serve.
//!
//! A group stays the group that it is, with its number, its log and what it remembers of clients; what
//! changes is how its copies agree. The table knows two steps of that:
//!
//! 1. An operator has asked for it ([`Switch`]). Once there are as many copies as there are to be, whoever
//!    leads the group *seals* it, by an entry of its own
//!    log: everything before it is executed, nothing after it. Until the next step this can be given up, and
//!    then the group is opened again.
//! 2. Whoever leads the group has said that the seal is executed, and who has it durably. In one command the
//!    group becomes one of the other kind ([`Switched`]), whose first members are those. Each of them goes on
//!    from what it holds itself; all other copies begin with nothing.
//!
//! Numbers of views go on from those of terms, and terms from those of views: so a log has one history,
//! however often its group was switched, and whoever missed a switch is late, and nothing else.

use onecopy_core::{EntryId, GroupId, Holders, Instant, Member, NodeId, View, ViewNumber};
use serde::{Deserialize, Serialize};

use crate::command::{Command, Rejection};
use crate::database::Kind;
use crate::monitor::Monitor;
use crate::roster::Roster;
use crate::table::Table;

/// Between the reign that a Raft group was sealed in, and the first view of primary-backup. Copies that have
/// not heard of the switch may elect leaders meanwhile, who lead nobody: not so many, at several elections a
/// second for a day.
const REIGNS_BETWEEN: u64 = 1 << 20;

/// A switch that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Switch {
    /// The version of the table that asked for it: no two switches have the same, and later ones a higher.
    pub number: u64,
    /// How the group is to be replicated.
    pub kind: Kind,
}

/// How a group became one of the kind that it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Switched {
    /// The number of the switch.
    pub number: u64,
    /// How the group is replicated since then.
    pub kind: Kind,
    /// The last entry that was executed before.
    pub seal: EntryId,
    /// The first view: in a Raft group, all terms follow its number.
    pub view: View,
}

impl Table {
    /// The switch of a group that is under way, if one is.
    #[must_use]
    pub fn switch(&self, group: GroupId) -> Option<Switch> {
        self.switches.get(&group).copied()
    }

    /// The last switch of a group that is over, if there was one.
    #[must_use]
    pub fn switched(&self, group: GroupId) -> Option<&Switched> {
        self.switched.get(&group)
    }

    /// A database is to be replicated like that. To ask for what it is gives up a switch that is under way.
    pub(crate) fn begin_switch(&mut self, group: GroupId, kind: Kind) -> Result<(), Rejection> {
        let known = self.groups.get(&group).ok_or(Rejection::NoSuchGroup(group))?;
        let is = self.kind(group);
        if is == Kind::Optimistic || kind == Kind::Optimistic {
            return Err(Rejection::NotAllowed(
                "a database becomes optimistic, or ceases to be, only when it is created",
            ));
        }
        if is == kind {
            return self.switches.remove(&group).map(drop).ok_or(Rejection::NoChange);
        }
        let copies = kind.copies(known.copies);
        if copies < known.copies {
            return Err(Rejection::NotAllowed("a Raft group has at most 5 copies: set fewer copies first"));
        }
        if self.switches.get(&group).is_some_and(|switch| switch.kind == kind) {
            return Err(Rejection::NoChange);
        }
        let places = self.nodes().iter().filter(|(node, of)| of.holds_data && !self.avoids(group, **node));
        if copies > known.copies && places.count() < copies as usize {
            return Err(Rejection::NotAllowed(
                "a Raft group has 1, 3 or 5 copies: there are fewer nodes for them (`onecopy status`)",
            ));
        }
        // They are made by the group as it is: an even number of voters would survive less than it does.
        self.groups.entry(group).and_modify(|known| known.copies = copies);
        self.switches.insert(group, Switch { number: self.version() + 1, kind });
        Ok(())
    }

    /// The group is sealed, and its holders go on as a group of the other kind.
    pub(crate) fn complete_switch(
        &mut self,
        (group, number): (GroupId, u64),
        expected: ViewNumber,
        seal: EntryId,
        view: &View,
    ) -> Result<(), Rejection> {
        let switch = self.switches.get(&group).copied().filter(|switch| switch.number == number);
        let switch = switch.ok_or(Rejection::NotAllowed("there is no such switch under way"))?;
        let from = self.kind(group);
        let is_registered = |member: &Member| {
            self.nodes().get(&member.node).is_some_and(|of| of.incarnation == member.incarnation)
        };
        let is_sound = view.valid() && view.learners.is_empty() && view.members.iter().all(is_registered);
        let known = self.groups.get_mut(&group).ok_or(Rejection::NoSuchGroup(group))?;
        if !is_sound || view.number <= known.view.number {
            return Err(Rejection::NotAllowed("the first view after a switch would not be valid"));
        }
        // All members of exactly this view have the seal; those of another one may not (rules P1, P5).
        let is_of_view = known.view.number == expected && known.view.members == view.members;
        if from == Kind::PrimaryBackup && !is_of_view {
            return Err(Rejection::ViewChanged { expected, current: known.view.number });
        }
        known.view = view.clone();
        self.switches.remove(&group);
        if let Some(roster) = self.rosters.get_mut(&group).filter(|_| switch.kind == Kind::Raft) {
            let number = roster.number + 1;
            *roster = Roster { number, ..Roster::of_founders(&view.members) };
        }
        if let Some(database) = self.databases.get_mut(&group) {
            database.kind = switch.kind;
        }
        let switched = Switched { number, kind: switch.kind, seal, view: view.clone() };
        self.switched.insert(group, switched);
        Ok(())
    }
}

impl Monitor {
    /// Whoever leads a group says that it is sealed.
    pub fn sealed(
        &mut self,
        now: Instant,
        table: &Table,
        from: NodeId,
        (group, expected): (GroupId, ViewNumber),
        (number, seal, holders): (u64, EntryId, Holders),
    ) -> Option<Command> {
        let switch = table.switch(group).filter(|switch| switch.number == number)?;
        let current = &table.groups().get(&group)?.view;
        let (first, mut members) = match switch.kind {
            Kind::Raft => (current.number.next(), current.members.clone()),
            Kind::PrimaryBackup => (ViewNumber(expected.0 + REIGNS_BETWEEN), holders.iter().collect()),
            Kind::Optimistic => return None,
        };
        let leads = switch.kind != Kind::Raft || (current.primary, current.number) == (from, expected);
        if !leads || self.is_proposed(now, group, expected) {
            return None;
        }
        let boot = self.ping(from)?.boot;
        if switch.kind == Kind::PrimaryBackup {
            members.sort_unstable();
        }
        self.proposed.insert(group, (expected, now));
        let view = View { number: first, primary: from, boot, members, learners: Vec::new() };
        view.valid().then_some(Command::CompleteSwitch { group, number, expected, seal, view })
    }
}
