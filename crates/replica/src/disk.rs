//! The log of a replica, in memory and on its disk, and what may be said only once the disk has got so far.

use std::collections::VecDeque;
use std::time::Duration;

use onecopy_core::{Entry, EntryId, Index, Instant, Log, NodeId, Rule, Ticket, Timestamp, Write};

use crate::effect::Effect;
use crate::message::Message;
use crate::replica::{Replica, Role};

/// What has been given to the disk, and how far it got.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Disk {
    /// The last ticket taken.
    issued: Ticket,
    /// Everything up to here is durable.
    done: Ticket,
    /// The highest index that is durable.
    pub(crate) durable: Index,
    /// Writes on their way: their ticket, the last index of the log after them, since when.
    pending: VecDeque<(Ticket, Index, Instant)>,
}

impl Disk {
    /// One that holds everything through `durable`.
    pub(crate) fn holding(durable: Index) -> Self {
        Self { durable, ..Self::default() }
    }

    /// For how long the oldest write has been on its way.
    pub(crate) fn waits(&self, now: Instant) -> Option<Duration> {
        self.pending.front().map(|(_, _, since)| now.since(*since))
    }
}

impl Replica {
    /// Sends a message that may not leave before the promise of the view is durable (rule P3).
    pub(crate) fn send(&self, to: NodeId, message: Message, effects: &mut Vec<Effect>) {
        let waits = self.promise > self.disk.done && self.config.rules.hold(Rule::DurablePromise);
        effects.push(Effect::Send { to, message, after: waits.then_some(self.promise) });
    }

    /// Whether the promise of the view is durable.
    pub(crate) fn promise_is_durable(&self) -> bool {
        self.promise <= self.disk.done || !self.config.rules.hold(Rule::DurablePromise)
    }

    pub(crate) fn persist(&mut self, now: Instant, writes: Vec<Write>, effects: &mut Vec<Effect>) -> Ticket {
        let ticket = self.disk.issued.take();
        self.disk.pending.push_back((ticket, self.log.last().index, now));
        effects.push(Effect::Persist { ticket, writes });
        ticket
    }

    /// Appends entries at the end of the log, in memory and to the disk.
    pub(crate) fn append(&mut self, now: Instant, entries: Vec<Entry>, effects: &mut Vec<Effect>) {
        entries.iter().cloned().for_each(|entry| self.log.append(entry));
        self.persist(now, vec![Write::Append { entries, commit: self.commit }], effects);
    }

    /// Cuts the tail from `from` on (rule P8).
    pub(crate) fn cut(&mut self, now: Instant, from: Index, effects: &mut Vec<Effect>) {
        assert!(
            from > self.commit,
            "P8 tails yield: {} would cut the committed entry {from} of {} (committed through {})",
            self.config.me.node,
            self.config.group,
            self.commit
        );
        self.log.cut(from);
        self.disk.durable = self.disk.durable.min(from.previous());
        self.disk.pending.iter_mut().for_each(|(_, last, _)| *last = (*last).min(from.previous()));
        self.persist(now, vec![Write::Cut { from }], effects);
    }

    /// Replaces the whole log by a snapshot that covers everything through `base`.
    pub(crate) fn replace_log(
        &mut self,
        now: Instant,
        base: EntryId,
        time: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.log = Log::new(base);
        self.base_time = time;
        self.commit = base.index;
        // Durable once the ticket is; until then nothing of the new log is.
        self.disk.durable = Index(0);
        self.disk.pending.iter_mut().for_each(|(_, last, _)| *last = Index(0));
        self.persist(now, vec![Write::Install { snapshot: base }], effects);
    }

    /// Drops the entries that a durable snapshot covers.
    pub(crate) fn compact_log(&mut self, now: Instant, through: EntryId, effects: &mut Vec<Effect>) {
        self.base_time = self.log.get(through.index).map_or(self.base_time, |entry| entry.time);
        self.log.compact(through);
        self.persist(now, vec![Write::Compact { through }], effects);
    }

    /// The time of the last entry: no later entry may have a lower one.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.time_at(self.log.last().index)
    }

    pub(crate) fn time_at(&self, index: Index) -> Timestamp {
        self.log.get(index).map_or(self.base_time, |entry| entry.time)
    }

    /// Raises the commit index and has the newly committed entries executed.
    pub(crate) fn commit_through(&mut self, index: Index, effects: &mut Vec<Effect>) {
        if index <= self.commit {
            return;
        }
        let count = (index.0 - self.commit.0) as usize;
        let entries = self.log.between(self.commit, index);
        assert_eq!(entries.len(), count, "commit: {index} is beyond the log's end {}", self.log.last());
        self.commit = index;
        effects.push(Effect::Apply { entries });
        self.maybe_take_snapshot(effects);
    }

    pub(crate) fn persisted(&mut self, now: Instant, ticket: Ticket, effects: &mut Vec<Effect>) {
        assert!(ticket <= self.disk.issued, "persisted: {ticket:?} was never issued");
        self.disk.done = self.disk.done.max(ticket);
        while let Some((pending, last, _)) = self.disk.pending.front().copied() {
            if pending > ticket {
                break;
            }
            self.disk.pending.pop_front();
            self.disk.durable = self.disk.durable.max(last);
        }
        match self.role {
            Role::Primary(_) => self.primary_durable(now, effects),
            Role::Follower(_) => self.follower_durable(now, effects),
            Role::Retired | Role::Outside => {}
        }
    }
}
