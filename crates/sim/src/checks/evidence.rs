//! What a view node knows of the others never goes back: within one life of a node's data, a ping that it has
//! taken in is followed by later ones only. Networks deliver late what they once delayed, also from before a
//! restart. (Lamport, "Time, Clocks, and the Ordering of Events", 1978; `onecopy_views::Moment`.)

use std::collections::BTreeMap;

use onecopy_core::{Incarnation, NodeId};
use onecopy_views::{Moment, Ping};

use crate::trace::violated;

const CHECKER: &str = "evidence";

/// The last word of each node that each process of a view node knows.
#[derive(Debug, Default)]
pub struct Evidence {
    known: BTreeMap<(NodeId, NodeId), (Incarnation, Incarnation, Moment)>,
}

impl Evidence {
    /// A node was removed from the cluster, as a view node has learnt: what it says is of a new one.
    pub fn forgotten(&mut self, me: NodeId, node: NodeId) {
        self.known.remove(&(me, node));
    }

    /// A process of a view node knows this as the last word of a node.
    pub fn knows(&mut self, (me, process): (NodeId, Incarnation), node: NodeId, ping: &Ping) {
        let is = (process, ping.incarnation, ping.moment());
        let Some(was) = self.known.insert((me, node), is) else { return };
        if (was.0, was.1) == (is.0, is.1) && was.2 > is.2 {
            violated(CHECKER, format!("{me} knew {:?} of {node}, and goes back to {:?}", was.2, is.2));
        }
    }
}

#[cfg(test)]
mod tests {
    use onecopy_core::BootNumber;
    use onecopy_views::{Addresses, ClockReading};

    use super::*;
    use crate::checks::caught;

    fn ping(life: u128, boot: u64, number: u64) -> Ping {
        Ping {
            incarnation: Incarnation(life),
            boot: BootNumber(boot),
            number,
            holds_data: true,
            zone: String::new(),
            pid: 1,
            run: boot,
            addresses: Addresses::default(),
            clock: ClockReading::default(),
            leaving: false,
            busy_for: None,
            seeks: Vec::new(),
            table: 0,
            groups: Vec::new(),
            level: onecopy_core::Level::FIRST,
        }
    }

    #[test]
    fn a_word_of_an_earlier_start_is_caught() {
        let (me, node, mut evidence) = ((NodeId(1), Incarnation(1)), NodeId(2), Evidence::default());
        let mut knows =
            |me, life, boot, number| caught(|| evidence.knows(me, node, &ping(life, boot, number)));
        assert_eq!((knows(me, 7, 1, 90), knows(me, 7, 2, 1)), (None, None));
        assert_eq!(knows(me, 7, 1, 91), Some(CHECKER));
        assert_eq!(knows(me, 8, 1, 1), None, "another life begins anew");
        assert_eq!(knows((NodeId(1), Incarnation(2)), 8, 1, 0), None, "so does another process");
    }
}
