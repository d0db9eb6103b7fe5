//! What a copy writes down, and how it begins with it again.

use std::time::Duration;

use bytes::Bytes;
use onecopy_core::{Entry, EntryId, Index, Instant, Ticket, Write};
use onecopy_merge::repair::Joined;
use onecopy_merge::{Clock, Delta, Received, Replica};

use super::record::{self, Record, decode, encode, encode_state};
use super::window::Window;
use super::{CorruptCopy, EPOCH, OptimisticCopy};
use crate::disk::Out;
use crate::group::GroupEffect;

/// A write on its way to the disk.
#[derive(Debug)]
pub(super) struct Writing {
    pub(super) ticket: Ticket,
    /// What has been seen durably once it is there.
    pub(super) clock: Clock,
    pub(super) bytes: usize,
    pub(super) since: Instant,
    /// The last entry before it.
    pub(super) before: Index,
}

impl OptimisticCopy {
    /// The last entry of its log, and the last that is durable.
    #[must_use]
    pub fn written(&self) -> (Index, Index) {
        let pending = self.writing.iter().map(|writing| writing.before).next();
        (self.last, pending.unwrap_or(self.last))
    }

    /// For how long the oldest write has been on its way to the disk.
    #[must_use]
    pub fn oldest_write(&self, now: Instant) -> Option<Duration> {
        self.writing.front().map(|writing| now.since(writing.since))
    }

    /// These updates have been shown, in this order.
    pub(super) fn record(&mut self, shown: impl IntoIterator<Item = Delta>) {
        for delta in shown {
            let bytes = Bytes::from(delta.encode());
            self.window.push(self.now, delta.dot, bytes.clone());
            self.unwritten.push(Record::Delta(bytes));
        }
    }

    /// The ticket of the write that has everything that has been shown so far.
    pub(super) fn covering(&self) -> Ticket {
        if self.unwritten.is_empty() { self.ticket } else { Ticket(self.ticket.0 + 1) }
    }

    /// Writes what the turn has changed.
    pub(super) fn write_down(&mut self, out: &mut Out<GroupEffect>) {
        if self.unwritten.is_empty() {
            return;
        }
        let mut entries = Vec::new();
        let mut rest = std::mem::take(&mut self.unwritten).into_iter().peekable();
        while rest.peek().is_some() {
            let (mut records, mut bytes) = (Vec::new(), 0);
            while let Some(record) = rest.next_if(|_| bytes < record::PIECE) {
                bytes += record.size();
                records.push(record);
            }
            self.last = self.last.next();
            let id = EntryId { index: self.last, epoch: EPOCH };
            entries.push(Entry { id, time: self.clock, seed: 0, payload: encode(&records) });
        }
        // Before it has a number it may have heard of updates. A start must know what the entries are.
        let mark = (!self.is_marked).then(|| Write::State(encode_state(self.life())));
        self.is_marked = true;
        let append = Write::Append { entries, commit: self.last };
        self.persist(mark.into_iter().chain([append]).collect(), out);
    }

    pub(super) fn persist(&mut self, writes: Vec<Write>, out: &mut Out<GroupEffect>) {
        self.ticket_of(writes, out);
    }

    /// The same, and under which ticket.
    pub(super) fn ticket_of(&mut self, writes: Vec<Write>, out: &mut Out<GroupEffect>) -> Ticket {
        let ticket = self.ticket.take();
        let bytes = writes.iter().map(Write::size).sum();
        self.unsynced += bytes;
        let (clock, since) = (self.replica.clock().clone(), self.now);
        let appended = writes.iter().map(|write| match write {
            Write::Append { entries, .. } => entries.len() as u64,
            _ => 0,
        });
        let before = Index(self.last.0 - appended.sum::<u64>());
        self.writing.push_back(Writing { ticket, clock, bytes, since, before });
        self.journal.persist(ticket, writes, out);
        ticket
    }
}

/// Shows what the log kept, in its order.
pub(super) fn replay(
    replica: &mut Replica,
    entries: &[Entry],
    window: &mut Window,
    now: Instant,
) -> Result<(), CorruptCopy> {
    let mut joining = Vec::new();
    for entry in entries {
        for record in decode(&entry.payload)? {
            match record {
                Record::Delta(bytes) => {
                    let delta = Delta::decode(&bytes)?;
                    let dot = delta.dot;
                    match replica.receive(entry.time, delta) {
                        Received::Shown(_) => window.push(now, dot, bytes),
                        Received::Seen => {}
                        Received::Waits | Received::Dropped => return Err(CorruptCopy::Gap(dot)),
                    }
                }
                Record::Joining(piece) => joining.extend_from_slice(&piece),
                Record::Joined(piece) => {
                    joining.extend_from_slice(&piece);
                    let joined = Joined::decode(&std::mem::take(&mut joining))?;
                    replica.join(entry.time, &joined);
                }
            }
        }
    }
    Ok(())
}
