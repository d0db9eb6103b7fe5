//! Whose wall clock is out of step with those of the others.
//!
//! A ping says what the wall clock of its node shows. The network delays it, so that a clock looks as if it
//! were behind, never as if it were ahead: of the last pings of a node, the one that was delayed least
//! counts. What most clocks show, within [`TOLERANCE_MS`], is taken for the time; the leader notes in the
//! table whose clock shows something else, and by how much. Where no majority agrees, as with two nodes that
//! differ, nobody can tell, and nothing is noted.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use onecopy_core::{Instant, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::decide::PROPOSAL_PATIENCE;
use crate::monitor::Monitor;
use crate::ping::Ping;
use crate::table::Table;

/// A clock that differs by as much from most others is out of step, in milliseconds.
const TOLERANCE_MS: u64 = 1_000;
/// Of so many pings, the one that was delayed least counts.
const PINGS: usize = 8;
/// No ping is delayed for so long: a clock that is as far ahead is known by its first one. In milliseconds.
const BEYOND_DELAY_MS: u64 = 10_000;
/// A clock was set if what it shows, less the time that has passed, changes by as much, in milliseconds.
const SET_MS: u64 = 500;

/// What the two clocks of a node showed at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The monotonic clock.
    pub at: Instant,
}

impl ClockReading {
    /// How the wall clock is set: what it showed when the monotonic clock showed 0, in milliseconds. Changes
    /// only when somebody sets it, and with the process.
    #[must_use]
    pub fn set_ms(self) -> i64 {
        self.wall.0.cast_signed() - (self.at.0 / 1_000_000).cast_signed()
    }
}

/// A wall clock that is out of step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ClockError {
    /// How it was set then ([`ClockReading::set_ms`]).
    pub set_ms: i64,
    /// How many milliseconds it is ahead of most others; negative if it is behind.
    pub ahead_ms: i64,
}

impl ClockError {
    /// Whether it is about a clock that is set as this one is.
    #[must_use]
    pub fn is_about(self, reading: ClockReading) -> bool {
        self.set_ms.abs_diff(reading.set_ms()) <= TOLERANCE_MS
    }
}

impl std::fmt::Display for ClockError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let side = if self.ahead_ms < 0 { "behind" } else { "ahead of" };
        let tenths = (self.ahead_ms.unsigned_abs() + 50) / 100;
        write!(f, "{}.{} s {side} the others", tenths / 10, tenths % 10)
    }
}

/// What the clocks of all nodes show, against the monotonic clock of this view node.
#[derive(Debug, Default)]
pub(crate) struct Clocks {
    heard: BTreeMap<NodeId, Shown>,
    /// The last proposals, so that they are not made again while they are on their way.
    noting: BTreeMap<NodeId, Instant>,
}

#[derive(Debug)]
struct Shown {
    set_ms: i64,
    /// What the wall clock showed, less what the monotonic clock here did when that arrived. The last ones.
    offsets: VecDeque<i64>,
}

impl Shown {
    /// The offset with the least delay.
    fn offset(&self) -> i64 {
        self.offsets.iter().copied().max().unwrap_or_default()
    }

    fn is_settled(&self) -> bool {
        self.offsets.len() >= PINGS
    }
}

impl Clocks {
    pub(crate) fn heard(&mut self, now: Instant, from: NodeId, ping: &Ping) {
        let set_ms = ping.clock.set_ms();
        let offset = ClockReading { wall: ping.clock.wall, at: now }.set_ms();
        let new = || Shown { set_ms, offsets: VecDeque::new() };
        let shown = self.heard.entry(from).or_insert_with(new);
        if shown.set_ms.abs_diff(set_ms) > SET_MS {
            *shown = new();
        }
        shown.set_ms = set_ms;
        shown.offsets.push_back(offset);
        if shown.offsets.len() > PINGS {
            shown.offsets.pop_front();
        }
    }

    /// What was heard may have been waiting for long.
    pub(crate) fn forget(&mut self) {
        self.heard.clear();
    }

    /// By how much the clocks of these nodes are out of step, as far as that can be told. `None` if no
    /// majority agrees.
    fn errors(&self, nodes: &BTreeSet<NodeId>) -> Option<BTreeMap<NodeId, Option<ClockError>>> {
        let shown: BTreeMap<NodeId, &Shown> = self
            .heard
            .iter()
            .filter(|(node, _)| nodes.contains(node))
            .map(|(node, shown)| (*node, shown))
            .collect();
        let mut offsets: Vec<i64> = shown.values().map(|shown| shown.offset()).collect();
        offsets.sort_unstable();
        let middle = *offsets.get(offsets.len() / 2)?;
        let agrees = |shown: &Shown| shown.offset().abs_diff(middle) < TOLERANCE_MS;
        let agreeing: Vec<&Shown> = shown.values().copied().filter(|shown| agrees(shown)).collect();
        if 2 * agreeing.len() <= shown.len() {
            return None;
        }
        let is_settled = agreeing.iter().all(|shown| shown.is_settled());
        let error = |shown: &Shown| {
            let ahead_ms = shown.offset() - middle;
            let is_sure = match ahead_ms.cast_unsigned() {
                _ if ahead_ms >= BEYOND_DELAY_MS.cast_signed() => true,
                _ if ahead_ms >= 0 => is_settled,
                _ => is_settled && shown.is_settled(),
            };
            let error = (!agrees(shown)).then_some(ClockError { set_ms: shown.set_ms, ahead_ms });
            is_sure.then_some(error)
        };
        Some(shown.iter().filter_map(|(node, shown)| Some((*node, error(shown)?))).collect())
    }
}

/// Whether a note has to be written anew.
fn is_news(known: Option<ClockError>, found: Option<ClockError>) -> bool {
    match (known, found) {
        (Some(known), Some(found)) => {
            known.ahead_ms.abs_diff(found.ahead_ms) >= TOLERANCE_MS
                || known.set_ms.abs_diff(found.set_ms) >= TOLERANCE_MS
        }
        (known, found) => known.is_some() != found.is_some(),
    }
}

impl Monitor {
    /// Notes about clocks that the table does not hold yet, or that are over.
    pub(crate) fn decide_clocks(&mut self, now: Instant, table: &Table) -> Vec<Command> {
        let speaks = |node: &NodeId| !self.is_silent(now, *node);
        let nodes: BTreeSet<NodeId> = table.nodes().keys().copied().filter(speaks).collect();
        let Some(errors) = self.clocks.errors(&nodes) else { return Vec::new() };
        let lately = |at: &Instant| now.since(*at) < PROPOSAL_PATIENCE;
        let mut commands = Vec::new();
        for (node, error) in errors {
            let is_on_its_way = self.clocks.noting.get(&node).is_some_and(lately);
            if is_news(table.clocks().get(&node).copied(), error) && !is_on_its_way {
                self.clocks.noting.insert(node, now);
                commands.push(Command::NoteClock { node, error });
            }
        }
        commands
    }
}
