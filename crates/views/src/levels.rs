//! Which level is in force (rule E4, one meaning): the newest that every registered node knows.
//!
//! Nodes say in their pings which is the highest that they know, and the table holds that beside their
//! registrations. The leader raises the level in force once all of them have known a higher one for a while,
//! unless an operator holds it where it is. It never goes down: entries of the higher level are in the logs.
//! Whoever does not know it is not registered any more.
//!
//! *All* nodes count, also those that are down, have no copy, or hold no data: each may come back, or be
//! given a copy. One that will not come back has to be forgotten first.

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::{Instant, Level, NodeId, Rule, Rules};
use serde::{Deserialize, Serialize};

use crate::command::{Command, Rejection};
use crate::decide::PROPOSAL_PATIENCE;
use crate::monitor::Monitor;
use crate::table::Table;

/// All nodes must have known a level for so long before it comes into force: whoever starts the last of the
/// newer versions, and sees it fail at once, may still go back.
const SETTLED_AFTER: Duration = Duration::from_secs(5);

/// What the table knows of levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct TableLevels {
    /// The one in force.
    in_force: Level,
    /// Whether an operator holds it where it is.
    is_held: bool,
    /// The highest one that each node knows, if it is not the first one.
    known: BTreeMap<NodeId, Level>,
}

impl TableLevels {
    /// Whether a node can be registered.
    pub(crate) fn admit(&self, level: Level, rules: Rules) -> Result<(), Rejection> {
        if level < self.in_force && rules.hold(Rule::KnownToAll) {
            return Err(Rejection::NotAllowed("E4 one meaning: the node does not know the level in force"));
        }
        Ok(())
    }

    pub(crate) fn registered(&mut self, node: NodeId, level: Level) {
        match level {
            Level::FIRST => self.known.remove(&node),
            _ => self.known.insert(node, level),
        };
    }

    pub(crate) fn forgotten(&mut self, node: NodeId) {
        self.known.remove(&node);
    }
}

impl Table {
    /// The level in force: entries that are made from now on are executed by its rules. Never lower than
    /// before.
    #[must_use]
    pub fn level(&self) -> Level {
        self.levels.in_force
    }

    /// Whether an operator holds it where it is.
    #[must_use]
    pub fn is_level_held(&self) -> bool {
        self.levels.is_held
    }

    /// The highest level that a registered node knows.
    #[must_use]
    pub fn level_of(&self, node: NodeId) -> Level {
        self.levels.known.get(&node).copied().unwrap_or_default()
    }

    /// The highest level that all registered nodes know; that in force as long as there are none.
    #[must_use]
    pub fn level_known_to_all(&self) -> Level {
        self.nodes().keys().map(|node| self.level_of(*node)).min().unwrap_or(self.levels.in_force)
    }

    pub(crate) fn raise_level(&mut self, level: Level, rules: Rules) -> Result<(), Rejection> {
        if level <= self.levels.in_force {
            return Err(Rejection::NoChange);
        }
        if self.levels.is_held {
            return Err(Rejection::NotAllowed("an operator holds the level where it is"));
        }
        // A node may have been registered since it was proposed.
        if level > self.level_known_to_all() && rules.hold(Rule::KnownToAll) {
            return Err(Rejection::NotAllowed("E4 one meaning: not all nodes know the level"));
        }
        self.levels.in_force = level;
        Ok(())
    }

    pub(crate) fn hold_level(&mut self, is_held: bool) -> Result<(), Rejection> {
        match std::mem::replace(&mut self.levels.is_held, is_held) == is_held {
            true => Err(Rejection::NoChange),
            false => Ok(()),
        }
    }
}

/// What a leader waits for until it raises the level.
#[derive(Debug, Default)]
pub(crate) struct Rising {
    /// The level that all nodes know, and since when.
    settling: Option<(Level, Instant)>,
    proposed: Option<Instant>,
}

impl Monitor {
    /// Raises the level in force once all nodes have known a higher one for a while.
    pub(crate) fn decide_level(&mut self, now: Instant, table: &Table) -> Option<Command> {
        let level = match self.config.rules.hold(Rule::KnownToAll) {
            true => table.level_known_to_all(),
            false => table.nodes().keys().map(|node| table.level_of(*node)).max().unwrap_or_default(),
        };
        if level <= table.level() || table.is_level_held() {
            self.rising.settling = None;
            return None;
        }
        let settling = self.rising.settling.filter(|(settling, _)| *settling == level);
        let (_, since) = *self.rising.settling.insert(settling.unwrap_or((level, now)));
        let is_on_its_way = self.rising.proposed.is_some_and(|at| now.since(at) < PROPOSAL_PATIENCE);
        if now.since(since) < SETTLED_AFTER || is_on_its_way {
            return None;
        }
        self.rising.proposed = Some(now);
        Some(Command::RaiseLevel { level })
    }
}
