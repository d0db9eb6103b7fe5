//! The log of a replica, in memory and on its disk, and what may be said only once the disk has got so far.

use std::collections::VecDeque;
use std::time::Duration;

use onecopy_core::{Entry, EntryId, Index, Instant, Log, Ticket, Timestamp, Write};

use crate::config::Config;
use crate::core::{Core, Step};
use crate::effect::Effect;
use crate::pace::time_for;
use crate::snapshot::Demand;

/// A write that may take so many milliseconds is large, and those that share a sync with it wait for it. Many
/// small ones that gather because a disk stands still are no excuse for it.
const LARGE_MS: usize = 32;

/// What has been given to the disk, and how far it got.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Disk {
    /// The last ticket taken.
    issued: Ticket,
    /// Everything up to here is durable.
    done: Ticket,
    /// The highest index that is durable.
    pub(crate) durable: Index,
    /// Writes on their way.
    pending: VecDeque<Pending>,
    /// How many bytes they have.
    pending_bytes: usize,
}

/// A write on its way to the disk.
#[derive(Clone, Copy, Debug, Hash)]
struct Pending {
    ticket: Ticket,
    /// The last index of the log after it.
    last: Index,
    since: Instant,
    bytes: usize,
    /// How many bytes were on their way then, its own included.
    behind: usize,
}

impl Disk {
    /// One that holds everything through `durable`.
    pub(crate) fn holding(durable: Index) -> Self {
        Self { durable, ..Self::default() }
    }

    /// For how long the oldest write has been on its way, beyond what its bytes may take. The disk may well
    /// finish it together with what came after it.
    pub(crate) fn waits(&self, config: &Config, now: Instant) -> Option<Duration> {
        let large = LARGE_MS * config.bytes_per_ms;
        let oldest = self.pending.front()?;
        let later = self.pending.iter().skip(1).map(|pending| pending.bytes);
        let bytes = oldest.behind + later.filter(|bytes| *bytes >= large).sum::<usize>();
        Some(now.since(oldest.since).saturating_sub(time_for(config, bytes)))
    }

    /// Everything up to this ticket is durable.
    pub(crate) fn done(&self) -> Ticket {
        self.done
    }

    /// What is on its way leads to a log that ends here, or before.
    fn shorten(&mut self, end: Index) {
        self.pending.iter_mut().for_each(|pending| pending.last = pending.last.min(end));
    }
}

impl Core {
    pub(crate) fn persist(&mut self, step: &mut Step<'_>, writes: Vec<Write>) -> Ticket {
        let ticket = self.disk.issued.take();
        let (last, bytes) = (self.log.last().index, writes.iter().map(Write::size).sum());
        self.disk.pending_bytes += bytes;
        let behind = self.disk.pending_bytes;
        self.disk.pending.push_back(Pending { ticket, last, since: step.now, bytes, behind });
        step.push(Effect::Persist { ticket, writes });
        ticket
    }

    /// Appends entries at the end of the log, in memory and to the disk.
    pub(crate) fn append(&mut self, step: &mut Step<'_>, entries: Vec<Entry>) {
        entries.iter().cloned().for_each(|entry| self.log.append(entry));
        self.persist(step, vec![Write::Append { entries, commit: self.commit }]);
    }

    /// Cuts the tail from `from` on (rule P8).
    pub(crate) fn cut(&mut self, step: &mut Step<'_>, from: Index) {
        assert!(
            from > self.commit,
            "P8 tails yield: {} would cut the committed entry {from} of {} (committed through {})",
            self.config.me.node,
            self.config.group,
            self.commit
        );
        self.log.cut(from);
        self.disk.durable = self.disk.durable.min(from.previous());
        self.disk.shorten(from.previous());
        self.persist(step, vec![Write::Cut { from }]);
    }

    /// Replaces the whole log by a snapshot that covers everything through `base`.
    pub(crate) fn replace_log(&mut self, step: &mut Step<'_>, base: EntryId, time: Timestamp) {
        self.log = Log::new(base);
        self.base_time = time;
        self.commit = base.index;
        // Durable once the ticket is; until then nothing of the new log is.
        self.disk.durable = Index(0);
        self.disk.shorten(Index(0));
        self.persist(step, vec![Write::Install { snapshot: base }]);
    }

    /// Drops the entries that a durable snapshot covers; `time` is that of the last one.
    pub(crate) fn compact_log(&mut self, step: &mut Step<'_>, through: EntryId, time: Timestamp) {
        self.log.compact(through);
        self.base_time = time;
        self.persist(step, vec![Write::Compact { through }]);
    }

    /// The time of the last entry: no later entry may have a lower one.
    pub(crate) fn last_time(&self) -> Timestamp {
        self.time_at(self.log.last().index)
    }

    /// The time of an entry of the log that is not before the last committed one.
    pub(crate) fn time_at(&self, index: Index) -> Timestamp {
        self.log.get(index).map_or(self.base_time, |entry| entry.time)
    }

    /// Raises the commit index and has the newly committed entries executed. `demand` is what others need of
    /// the log.
    pub(crate) fn commit_through(&mut self, step: &mut Step<'_>, index: Index, demand: Demand) {
        if index <= self.commit {
            return;
        }
        let count = (index.0 - self.commit.0) as usize;
        let entries = self.log.between(self.commit, index);
        assert_eq!(entries.len(), count, "commit: {index} is beyond the log's end {}", self.log.last());
        self.commit = index;
        step.push(Effect::Apply { entries });
        self.maybe_take_snapshot(step, demand);
        self.release_log();
    }

    /// Lets go of entries that will not be cut, and that the disk has. The last committed one stays: it has
    /// the time of the state.
    fn release_log(&mut self) {
        let settled = self.commit.min(self.disk.durable);
        self.log.release(settled.previous(), self.config.log_memory_bytes_max);
    }

    /// Everything up to this ticket is durable.
    pub(crate) fn persisted(&mut self, ticket: Ticket) {
        assert!(ticket <= self.disk.issued, "persisted: {ticket:?} was never issued");
        self.disk.done = self.disk.done.max(ticket);
        while let Some(pending) = self.disk.pending.pop_front_if(|pending| pending.ticket <= ticket) {
            self.disk.pending_bytes -= pending.bytes;
            self.disk.durable = self.disk.durable.max(pending.last);
        }
        self.release_log();
    }
}
