//! A process that is alive keeps its place: whoever comes second under its id is not registered while it is
//! heard. (Two processes with one id are the mistake of an operator; every process supervisor with two
//! machines has met it.)

use std::collections::BTreeMap;

use onecopy_core::NodeId;
use onecopy_views::Command;

use crate::clock::{MS, Time};
use crate::stray::is_stray;
use crate::trace::violated;

/// Whoever pinged within this time is alive: less than the failure timeout.
const ALIVE: Time = 400 * MS;

/// When view nodes have heard the first process of each node.
#[derive(Debug, Default)]
pub struct Second(BTreeMap<(NodeId, NodeId), Time>);

impl Second {
    /// A view node has heard a ping of the process that is registered, with this random number.
    pub fn heard(&mut self, by: NodeId, from: NodeId, run: u64, now: Time) {
        if !is_stray(run) {
            self.0.insert((by, from), now);
        }
    }

    /// A view node proposes something.
    pub fn proposed(&self, by: NodeId, command: &Command, now: Time) {
        let Command::RegisterNode { node, registration } = command else { return };
        let heard = self.0.get(&(by, *node)).filter(|heard| now - **heard < ALIVE);
        if let Some(heard) = heard.filter(|_| is_stray(registration.run)) {
            violated(
                "second",
                format!(
                    "{by} takes a second process for {node}, which it heard {} ms ago",
                    (now - heard) / MS
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::{BootNumber, Incarnation};
    use onecopy_views::{Addresses, Registration};

    use super::*;
    use crate::checks::caught;

    #[test]
    fn a_second_process_that_takes_a_living_ones_place_is_caught() {
        let registration = |run| Registration {
            incarnation: Incarnation(1),
            boot: BootNumber(1),
            holds_data: true,
            zone: String::new(),
            pid: 1,
            run,
            addresses: Addresses::default(),
        };
        let command = |run| Command::RegisterNode { node: NodeId(2), registration: registration(run) };
        let mut second = Second::default();
        second.heard(NodeId(1), NodeId(2), 7, MS);
        second.heard(NodeId(1), NodeId(2), u64::MAX, 2 * MS);
        let look = |run, now| caught(|| second.proposed(NodeId(1), &command(run), now));
        assert_eq!(look(u64::MAX, ALIVE), Some("second"));
        assert_eq!((look(7, ALIVE), look(u64::MAX, MS + ALIVE)), (None, None));
        assert_eq!(caught(|| second.proposed(NodeId(3), &command(u64::MAX), ALIVE)), None);
    }
}
