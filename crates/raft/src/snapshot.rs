//! Snapshots: when to take one, and when to forget what it covers (Raft paper, section 7).

use onecopy_core::{EntryId, Index, Instant};

use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::leader::Leader;
use crate::node::Raft;
use crate::role::State;

impl Core {
    /// Asks for a snapshot when the log has grown too large. Not while an older snapshot waits to be made use
    /// of, unless that takes too long.
    pub fn ask_for_snapshot(&mut self, step: &mut Step<'_>) {
        let waiting = self.taking.is_some() || self.snapshot.index > self.log.base().index;
        if self.log.bytes() <= self.config.log_bytes_max || waiting || self.is_installing() {
            return;
        }
        self.take_snapshot(step);
    }

    pub fn take_snapshot(&mut self, step: &mut Step<'_>) {
        let Some(last) = self.log.get(self.applied) else { return };
        let (at, time) = (last.id, last.time);
        if at.index > self.snapshot.index {
            self.taking = Some(at);
            let configuration = self.membership.at(at.index).clone();
            step.push(Effect::TakeSnapshot { at, time, configuration });
        }
    }

    pub fn on_snapshot_taken(&mut self, snapshot: EntryId) {
        if self.taking.is_some_and(|asked| asked.index <= snapshot.index) {
            self.taking = None;
        }
        if snapshot.index <= self.snapshot.index {
            // An installed one overtook it.
            return;
        }
        assert!(snapshot.index <= self.applied, "raft: {snapshot} was snapshot before it was applied");
        assert!(self.log.contains(snapshot), "raft: the snapshot {snapshot} is of another history");
        self.snapshot = snapshot;
    }

    /// Forgets what is before `through`, and that itself.
    fn compact(&mut self, through: EntryId) {
        if let Some(entry) = self.log.get(through.index) {
            self.base_time = entry.time;
        }
        self.log.compact(through);
        self.disk.compact(through);
        self.membership.compact(through.index);
    }
}

impl Raft {
    /// Forgets what the snapshot covers. A leader waits for followers that need it, until that costs too much
    /// memory.
    pub(crate) fn compact_if_possible(&mut self, now: Instant) {
        let core = &mut self.core;
        let through = core.snapshot;
        if through.index <= core.log.base().index || core.is_installing() {
            return;
        }
        let affordable = core.log.bytes() <= core.config.log_bytes_max.saturating_mul(2);
        let is_needed =
            matches!(&self.state, State::Leader(leader) if leader.needs(core, now, through.index));
        if !(affordable && is_needed) {
            core.compact(through);
        }
    }
}

impl Leader {
    /// Whether a live follower still lacks entries through `through`.
    fn needs(&self, core: &Core, now: Instant, through: Index) -> bool {
        self.followers.values().any(|progress| {
            let alive = now.since(progress.heard) < core.config.election_timeout;
            alive && progress.matched < through
        })
    }
}
