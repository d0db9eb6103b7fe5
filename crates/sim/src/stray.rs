//! Somebody starts a second process under the id of a node that runs, with an empty directory, on another
//! machine. It says what any new node says, and hears of the view table as any other would, since each ping
//! also goes to some node that shows it; what else others answer goes to the node itself, whose address they
//! know. It is stopped before the node falls silent: whoever takes the place of a node that is gone is no
//! mistake.

use onecopy_core::{BootNumber, Incarnation, NodeId};
use onecopy_views::{Addresses, ClockReading, Hello, Ping};

use crate::clock::{MS, SECOND, Time};
use crate::env::Event;
use crate::message::{ControlMessage, Packet};
use crate::world::World;

/// The random numbers of such processes are higher.
const RUNS: u64 = 1 << 63;

/// A second process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stray {
    node: NodeId,
    life: Incarnation,
    run: u64,
    pings: u64,
    /// The version of the table that it knows.
    table: u64,
    until: Time,
}

/// Whether a process is a second one.
#[must_use]
pub fn is_stray(run: u64) -> bool {
    run >= RUNS
}

impl World {
    /// A second process is started under the id of a node.
    pub(crate) fn stray(&mut self, node: NodeId) -> bool {
        let life = Incarnation(self.env.new_life());
        let length = self.env.dice.between(200 * MS, 2 * SECOND);
        let stray = Stray {
            node,
            life,
            run: RUNS + self.strays.len() as u64,
            pings: 0,
            table: 0,
            until: self.env.time + length,
        };
        if !self.is_well(node) {
            return false;
        }
        self.say(node, "there is a second process with its id");
        self.strays.push(stray);
        self.env.schedule(self.env.time, Event::Stray(self.strays.len() - 1));
        true
    }

    /// Whether a node runs, and can be heard.
    fn is_well(&self, node: NodeId) -> bool {
        let machine = &self.nodes[node.0 as usize - 1];
        let now = self.env.time;
        let is_heard = self.nodes.iter().all(|other| !self.env.network.is_cut(node, other.id));
        let is_awake = machine.paused_until <= now && machine.started + SECOND <= now;
        self.is_faulty() && machine.process.is_some() && is_awake && is_heard
    }

    /// The second process says what new nodes say.
    pub(crate) fn stray_speaks(&mut self, number: usize) {
        let stray = self.strays[number];
        if self.env.time >= stray.until || !self.is_well(stray.node) {
            return;
        }
        let tables =
            self.nodes.iter().filter_map(|node| Some(node.process.as_ref()?.view_table()?.version()));
        let newest = tables.max().unwrap_or_default();
        self.strays[number].pings += 1;
        // The answer to this ping comes before the next one leaves.
        self.strays[number].table = newest.max(stray.table);
        let machine = &self.nodes[stray.node.0 as usize - 1];
        let wall = machine.clock.wall(self.env.time);
        let ping = Ping {
            incarnation: stray.life,
            boot: BootNumber(1),
            number: stray.pings,
            holds_data: true,
            zone: String::new(),
            pid: 2,
            run: stray.run,
            addresses: Addresses { peer: "elsewhere".to_owned(), ..Addresses::default() },
            clock: ClockReading { wall, at: machine.clock.instant(self.env.time) },
            leaving: false,
            busy_for: None,
            seeks: Vec::new(),
            table: stray.table,
            groups: Vec::new(),
            level: machine.knows,
        };
        let view_nodes: Vec<NodeId> = machine.view_nodes.keys().copied().collect();
        for to in view_nodes.into_iter().filter(|to| *to != stray.node) {
            self.env.send(stray.node, to, Packet::Control(ControlMessage::Ping(ping.clone())));
            let hello = Hello { incarnation: stray.life, membership: None };
            self.env.send(stray.node, to, Packet::Control(ControlMessage::Hello(hello)));
        }
        self.env.schedule(self.env.time + 100 * MS, Event::Stray(number));
    }
}
