//! One meaning: an entry is executed by the rules of the same level on every copy, and within a log that
//! never goes down; the level in force never goes down either, and is known to the process of every
//! registered node at that moment; no process ends itself because of it that was not started in an older
//! version than before (rule E4).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use onecopy_core::{BootNumber, GroupId, Incarnation, Index, Level, NodeId};
use onecopy_views::{Registration, Table};

use crate::trace::violated;

const CHECKER: &str = "levels";

/// What is known of the versions of all processes.
#[derive(Debug, Default)]
pub struct LevelChecks {
    /// The highest level that each process knew.
    known: BTreeMap<(NodeId, Incarnation, BootNumber), Level>,
    /// Nodes that were started in an older version than before.
    older: BTreeSet<NodeId>,
    in_force: Level,
    version: u64,
    /// The first and the last entry that was executed by the rules of each level, by group.
    executed: BTreeMap<GroupId, BTreeMap<Level, (Index, Index)>>,
}

impl LevelChecks {
    /// A process starts, in a version that knows this level.
    pub fn started(&mut self, node: NodeId, (life, boot): (Incarnation, BootNumber), knows: Level) {
        self.known.insert((node, life, boot), knows);
    }

    /// The next process of a node will be of an older version.
    pub fn goes_back(&mut self, node: NodeId) {
        self.older.insert(node);
    }

    /// A process ends itself: its version is too old.
    pub fn ended(&self, node: NodeId) {
        if !self.older.contains(&node) {
            violated(CHECKER, format!("E4: {node} is too old, and no older than it was"));
        }
    }

    /// A view node has executed a command.
    pub fn learnt(&mut self, table: &Table) {
        if table.version() <= self.version {
            return;
        }
        self.version = table.version();
        if table.level() < self.in_force {
            violated(CHECKER, format!("E4: level {} follows {}", table.level(), self.in_force));
        }
        self.in_force = table.level();
        table.nodes().iter().for_each(|(node, registration)| self.is_known(*node, registration));
    }

    fn is_known(&self, node: NodeId, registration: &Registration) {
        let known = self.known.get(&(node, registration.incarnation, registration.boot));
        if let Some(known) = known.filter(|known| **known < self.in_force) {
            violated(
                CHECKER,
                format!("E4: level {} is in force, and {node} knows only {known}", self.in_force),
            );
        }
    }

    /// A replica has executed an entry by the rules of this level.
    pub fn executed(&mut self, group: GroupId, at: Index, level: Level) {
        let executed = self.executed.entry(group).or_default();
        let (first, last) = executed.entry(level).or_insert((at, at));
        (*first, *last) = (at.min(*first), at.max(*last));
        let is_apart = |(other, (first, last)): (&Level, &(Index, Index))| match (*other).cmp(&level) {
            Ordering::Less => *last < at,
            Ordering::Equal => true,
            Ordering::Greater => *first > at,
        };
        if let Some((other, (first, last))) = executed.iter().find(|other| !is_apart(*other)) {
            let wrong = format!("{first} to {last} are executed by level {other}");
            violated(CHECKER, format!("E4: {at} of {group} is executed by level {level}, and {wrong}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    const GROUP: GroupId = GroupId(1);

    #[test]
    fn a_log_whose_level_goes_down_or_differs_is_caught() {
        let mut levels = LevelChecks::default();
        let mut executed = |at, level| caught(|| levels.executed(GROUP, Index(at), Level(level)));
        assert_eq!(
            (executed(1, 1), executed(5, 2), executed(2, 1), executed(9, 2)),
            (None, None, None, None)
        );
        assert_eq!(executed(6, 1), Some(CHECKER));
        assert_eq!(executed(2, 2), Some(CHECKER), "another copy");
    }

    #[test]
    fn a_level_that_somebody_does_not_know_is_caught() {
        let mut levels = LevelChecks { in_force: Level(2), ..LevelChecks::default() };
        let (life, boot) = (Incarnation(1), BootNumber(1));
        levels.started(NodeId(1), (life, boot), Level(1));
        let registration = Registration {
            incarnation: life,
            boot,
            holds_data: true,
            zone: String::new(),
            pid: 1,
            run: 1,
            addresses: onecopy_views::Addresses::default(),
        };
        assert_eq!(caught(|| levels.is_known(NodeId(1), &registration)), Some(CHECKER));
        levels.started(NodeId(1), (life, boot), Level(2));
        assert_eq!(caught(|| levels.is_known(NodeId(1), &registration)), None);
        assert_eq!(caught(|| levels.ended(NodeId(1))), Some(CHECKER));
        levels.goes_back(NodeId(1));
        assert_eq!(caught(|| levels.ended(NodeId(1))), None);
    }
}
