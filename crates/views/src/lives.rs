//! Which starts of a node are over (rule P9): what comes from them is not to be believed.
//!
//! A data directory has a life, its incarnation, and counts the starts of its process. Whoever comes back
//! with a start that is over, or in a life that was followed by another, was restored from an **old image of
//! its disk**: it has forgotten what it has acknowledged and promised since, but goes by the name of those
//! who did. The table remembers, for every node, the last start, and for ever, which lives have ended.
//!
//! **Two processes with one id** are a mistake of whoever started the second one: with an empty directory,
//! with a copy of the first one's, or in another cluster's place. It must not cost the first one its place,
//! which may be the only one with the data. So a start is followed by another one only once it is silent: by
//! a later start of the same life as soon as it counts as failed, by another life only after [`OTHER_LIFE`],
//! since a replaced disk is in no hurry. Until then the newcomer is not heard, and is told why ([`Refusal`]);
//! its process ends itself.

use std::fmt;
use std::time::Duration;

use onecopy_core::{BootNumber, Incarnation, Instant, NodeId, Rule};
use serde::{Deserialize, Serialize};

use crate::monitor::Monitor;
use crate::ping::Ping;
use crate::table::{Registration, Table};

/// A node has to be silent for so long before another life takes its place.
const OTHER_LIFE: Duration = Duration::from_secs(3);

/// Why a process is not taken for the node that it says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The random number of the process that is meant.
    pub run: u64,
    /// Where the node is that is alive.
    pub at: String,
    /// Its process, for people.
    pub pid: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a process with the same id is alive at {} (process {} there)", self.at, self.pid)
    }
}

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
    /// Whether this start of a node is over, or its life is: a later one is registered. Two processes of one
    /// start are two copies of one image, of which the first that was registered counts.
    #[must_use]
    pub fn is_over(&self, node: NodeId, start: Start) -> bool {
        let is_older = |last: Start| {
            let same_life = last.incarnation == start.incarnation;
            same_life && (start.boot < last.boot || (start.boot == last.boot && start.run != last.run))
        };
        self.ended_lives().contains(&start.incarnation)
            || self.nodes().get(&node).is_some_and(|registration| is_older(registration.start()))
    }

    /// Whether a ping comes from a life before the registered one, for all that can be known: from another
    /// life, which has not heard of that one yet. Networks deliver late, and lives have no order of their
    /// own; a later life hears of the table with the answer to its first ping, which goes to where it says
    /// that it is.
    #[must_use]
    pub fn may_be_delayed(&self, node: NodeId, ping: &Ping) -> bool {
        let Some(registration) = self.nodes().get(&node) else { return false };
        let is_other = registration.incarnation != ping.incarnation;
        let has_heard = self.life_since(node).is_none_or(|since| ping.table >= since);
        is_other && !has_heard
    }
}

impl Monitor {
    /// Whether a ping comes from another process than the one that is known under this id, while that one is
    /// alive. `None` if it may be heard.
    #[must_use]
    pub fn refuses_newcomer(
        &self,
        now: Instant,
        table: &Table,
        from: NodeId,
        ping: &Ping,
    ) -> Option<Refusal> {
        if !self.config.rules.hold(Rule::LivingLife) {
            return None;
        }
        // What the table has registered since a life was heard comes after that life.
        let heard = self.ping(from).filter(|heard| !table.may_be_delayed(from, heard));
        let heard = heard.map(|heard| (heard.start(), heard.addresses.peer.clone(), heard.pid));
        let registered = || {
            let registration = table.nodes().get(&from)?;
            Some((registration.start(), registration.addresses.peer.clone(), registration.pid))
        };
        let (start, at, pid) = heard.or_else(registered)?;
        let is_same_life = start.incarnation == ping.incarnation;
        let is_gone = match is_same_life {
            // What the table knows was heard by an earlier leader. It has had time for several pings, and the
            // node is not judged for the silence of its last process before this one is heard.
            true if self.ping(from).is_none() => self.silence(now, from) >= self.config.failure_timeout / 2,
            true => self.is_silent(now, from),
            false => self.silence(now, from) >= OTHER_LIFE,
        };
        let is_newcomer = start != ping.start() && !is_gone;
        is_newcomer.then_some(Refusal { run: ping.run, at, pid })
    }
}
