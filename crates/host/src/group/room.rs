//! Room for new data: how much there may be, what goes where there is none, and who finds that out.
//!
//! The primary settles the limit and the policy in each entry, and names victims: what its own machine takes
//! for the least used. Whether they go is settled as the entry is executed, by every copy alike.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::payload::Header;
use onecopy_core::{Encodings, Eviction, Instant, Level, Need, StateMachine, Timestamp};

use super::Group;

/// If there is nothing to let go of, it is looked for again no earlier.
const SEARCH_INTERVAL: Duration = Duration::from_secs(1);
/// What a command adds may be larger than it, by so much.
const GROWTH: u64 = 2;

impl<M: StateMachine> Group<M> {
    /// All groups of the node together may have so many bytes of memory, if that is set for the cluster.
    /// Entries made from now on say so.
    pub fn set_memory_max(&mut self, set: Option<u64>) {
        self.memory_set = set;
    }

    /// The other groups of the node occupy so many bytes of the memory that all of them may.
    pub fn set_memory_beside(&mut self, bytes: u64) {
        self.memory_beside = bytes;
    }

    /// What goes where there is no room, if that is set for the cluster. Entries made from now on say so.
    pub fn set_eviction(&mut self, set: Option<Eviction>) {
        self.eviction_set = set;
    }

    /// Up to which sizes values are said to have compact encodings. Entries made from now on say so.
    pub fn set_encodings(&mut self, encodings: Encodings) {
        self.encodings = encodings;
    }

    /// The level in force. Entries made from now on carry it.
    pub fn set_level(&mut self, level: Level) {
        self.level = self.level.max(level);
    }

    fn eviction(&self) -> Eviction {
        self.eviction_set.unwrap_or(self.eviction)
    }

    /// The machine observes what the policy wants to know. A machine that is new is told as well.
    pub(super) fn observe(&mut self, clock: Timestamp) {
        let eviction = self.eviction();
        let evicts = eviction.policy.evicts();
        if (evicts || self.observes)
            && let Some(state) = self.state.here_mut()
        {
            state.observe(eviction, clock);
            self.observes = evicts;
        }
    }

    /// So many bytes this group may have; 0: there is no limit.
    fn memory_max(&self) -> u64 {
        match self.memory_set.unwrap_or(self.memory_max) {
            0 => 0,
            max => max.saturating_sub(self.memory_beside).max(1),
        }
    }

    /// What an entry says, in which there are so many bytes of commands.
    pub(super) fn header(&mut self, bytes: usize) -> Header {
        let (memory_max, policy) = (self.memory_max(), self.eviction().policy);
        let absent = self.parked.absent();
        let victims = if policy.evicts() { self.victims(bytes) } else { Bytes::new() };
        let (level, groups, encodings) = (self.level, self.groups, self.encodings);
        Header { level, memory_max, groups, absent, policy, victims, encodings, seal: None }
    }

    /// What should go first, if there may be too little room for so many bytes of commands, and for those
    /// that are not executed yet.
    fn victims(&mut self, bytes: usize) -> Bytes {
        let coming = (bytes + self.execution.behind_bytes()) as u64 * GROWTH;
        let (max, now) = (self.memory_max(), self.clock);
        let Some(state) = self.state.here_mut() else { return Bytes::new() };
        let bytes = (state.memory() + coming).saturating_sub(max);
        if max == 0 || bytes == 0 { Bytes::new() } else { state.victims(Need { now, bytes }) }
    }

    /// Whether there is more than there may be, and something may go: nobody writes, but the limit was
    /// lowered.
    fn is_over(&self) -> bool {
        let max = self.memory_max();
        let is_over = |state: &onecopy_core::Replicated<M>| max > 0 && state.memory() > max;
        self.eviction().policy.evicts() && self.state.here().is_some_and(is_over)
    }

    /// When a primary that has nothing else to do makes an entry, so that something goes.
    pub(super) fn makes_room_at(&self) -> Option<Instant> {
        self.is_over().then_some(self.next_room.max(self.next_lapse))
    }

    /// Whether it does so now.
    pub(super) fn makes_room(&mut self, now: Instant) -> bool {
        if self.makes_room_at().is_none_or(|at| at > now) {
            return false;
        }
        let memory = self.state.here().map_or(0, |state| state.memory());
        // The last entry that was made for this has found nothing.
        let is_stuck = std::mem::replace(&mut self.memory_over, memory) == memory;
        if is_stuck {
            self.next_room = now + SEARCH_INTERVAL;
        }
        true
    }
}
