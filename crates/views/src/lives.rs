//! Which starts of a node are over (rule P9): what comes from them is not to be believed.
//!
//! A data directory has a life, its incarnation, and counts the starts of its process. Whoever comes back with a start that is
//! over, or in a life that was followed by another, was restored from an **old image of its disk**: it has forgotten what it
//! has acknowledged and promised since, but goes by the name of those who did. The table remembers, for every node, the last
//! start, and for ever, which lives have ended.

use onecopy_core::{BootNumber, Incarnation, NodeId};

use crate::ping::Ping;
use crate::table::{Registration, Table};

/// One start of a node's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Start {
    /// The life of its data.
    pub incarnation: Incarnation,
    /// How often a process was started in it.
    pub boot: BootNumber,
    /// A random number: two starts from one image have the same boot number.
    pub run: u64,
}

impl Ping {
    /// Which start of the node this comes from.
    #[must_use]
    pub fn start(&self) -> Start {
        Start { incarnation: self.incarnation, boot: self.boot, run: self.run }
    }
}

impl Registration {
    /// Which start of the node this is.
    #[must_use]
    pub fn start(&self) -> Start {
        Start { incarnation: self.incarnation, boot: self.boot, run: self.run }
    }
}

impl Table {
    /// Whether this start of a node is over, or its life is: a later one is registered. Two processes of one start are two
    /// copies of one image, of which the first that was registered counts.
    #[must_use]
    pub fn is_over(&self, node: NodeId, start: Start) -> bool {
        let is_older = |last: Start| {
            let same_life = last.incarnation == start.incarnation;
            same_life && (start.boot < last.boot || (start.boot == last.boot && start.run != last.run))
        };
        self.ended_lives().contains(&start.incarnation)
            || self.nodes().get(&node).is_some_and(|registration| is_older(registration.start()))
    }

    /// Whether a ping comes from a life before the registered one, for all that can be known: from another life, which has not
    /// heard of that one yet. Networks deliver late, and lives have no order of their own; a later life hears of the table with the
    /// answer to its first ping. Unless it has moved, and has to be registered before anybody can answer.
    #[must_use]
    pub fn may_be_delayed(&self, node: NodeId, ping: &Ping) -> bool {
        let Some(registration) = self.nodes().get(&node) else { return false };
        let is_other = registration.incarnation != ping.incarnation;
        let has_heard = self.life_since(node).is_none_or(|since| ping.table >= since);
        is_other && !has_heard && registration.addresses == ping.addresses
    }
}
