//! The operator who replaces the processes of a cluster by those of a newer version, one at a time, while
//! others use it: `docs/operations.md`, upgrades. Some think better of it, and go back while that can be
//! done.

use onecopy_core::{Level, NodeId};
use onecopy_views::Command;

use crate::clock::{MS, SECOND, Time};
use crate::env::Event;
use crate::node::NEWER;
use crate::world::World;

/// Of a thousand steps, how many go back.
const BACK: u64 = 250;
/// And how many hold the level in force where it is, or let it go.
const HOLDS: u64 = 150;

impl World {
    /// The next step: some node is stopped, and will be started in the other version.
    pub(crate) fn roll(&mut self) {
        if !self.is_faulty() {
            return;
        }
        let (time, dice) = (self.env.time, &mut self.env.rolling);
        let next = time + dice.between(100 * MS, 4 * SECOND);
        let (goes_back, holds, is_held) = (dice.chance(BACK), dice.chance(HOLDS), dice.chance(500));
        let away = dice.between(10 * MS, SECOND);
        let place = dice.number();
        self.env.schedule(next, Event::Roll);
        if holds {
            self.say(NodeId(0), if is_held { "the level is held" } else { "the level may rise" });
            self.operate(&Command::HoldLevel { is_held });
        }
        let is_newer = |node: &&crate::node::Node| node.knows >= NEWER;
        // Whoever goes back looks first. The level may rise meanwhile: then the node ends itself.
        let may_go_back = self.newest_table().is_some_and(|table| table.level() < NEWER);
        let of_version: Vec<NodeId> = match goes_back && may_go_back {
            true => self.nodes.iter().filter(is_newer).map(|node| node.id).collect(),
            false => self.nodes.iter().filter(|node| !is_newer(node)).map(|node| node.id).collect(),
        };
        let Some(node) = of_version.get((place % of_version.len().max(1) as u64) as usize).copied() else {
            return;
        };
        let version = if goes_back && may_go_back { Level::FIRST } else { NEWER };
        self.exchange(node, version, away);
    }

    /// All processes that are not of the newer version yet are exchanged now, and the level may rise.
    pub(crate) fn end_roll(&mut self) {
        for node in self.ids() {
            if self.node(node).knows < NEWER {
                self.exchange(node, NEWER, MS);
                self.start(node);
            }
        }
    }

    /// The next process of a node is of this version. One that runs is ended as by a crash.
    fn exchange(&mut self, node: NodeId, version: Level, away: Time) {
        self.say(node, &format!("is exchanged by a version that knows level {version}"));
        if version < self.node(node).knows {
            self.env.checks.levels.goes_back(node);
        }
        self.node(node).knows = version;
        self.crash(node, away);
    }
}
