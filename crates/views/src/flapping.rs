//! Nodes that come and go: each time a node is dropped it waits longer before it is recruited again, so that
//! the views do not change for ever because of one of them.

use std::collections::BTreeMap;
use std::time::Duration;

use onecopy_core::{Instant, NodeId};

use crate::command::{Command, Reason};

/// Being dropped so long ago is forgotten.
const MEMORY: Duration = Duration::from_secs(60);
/// Being dropped once is no habit. The second time costs this, and each time after that twice as much as the
/// one before.
const FIRST_WAIT: Duration = Duration::from_millis(250);
/// And never more: a copy on a bad node is better than none.
const LONGEST_WAIT: Duration = Duration::from_secs(4);

/// When nodes were dropped from views, as far as one view node has seen it.
#[derive(Debug, Default)]
pub(crate) struct Flapping {
    dropped: BTreeMap<NodeId, Vec<Instant>>,
}

impl Flapping {
    /// A change of the table that was not looked at before.
    pub(crate) fn note(&mut self, now: Instant, command: &Command) {
        match command {
            // Who says goodbye does nobody any harm.
            Command::RemoveMember { reason: Reason::Leaving, .. }
            | Command::RemoveLearner { reason: Reason::Leaving, .. } => {}
            Command::RemoveMember { node, .. } | Command::RemoveLearner { node, .. } => {
                self.dropped(now, *node)
            }
            Command::PromoteMember { dropped, .. } => {
                dropped.iter().for_each(|node| self.dropped(now, *node))
            }
            _ => {}
        }
    }

    /// Nothing is held against anybody for ever.
    pub(crate) fn forgive(&mut self, now: Instant) {
        self.dropped.retain(|_, times| {
            times.retain(|at| now.since(*at) < MEMORY);
            !times.is_empty()
        });
    }

    fn dropped(&mut self, now: Instant, node: NodeId) {
        self.dropped.entry(node).or_default().push(now);
    }

    /// Whether a node has to wait before it is recruited again.
    pub(crate) fn must_wait(&self, now: Instant, node: NodeId) -> bool {
        let Some((times, last)) = self.dropped.get(&node).and_then(|times| Some((times, times.last()?)))
        else {
            return false;
        };
        let Some(doublings) = times.len().checked_sub(2) else { return false };
        let wait = FIRST_WAIT.saturating_mul(1 << doublings.min(16)).min(LONGEST_WAIT);
        now.since(*last) < wait
    }
}
