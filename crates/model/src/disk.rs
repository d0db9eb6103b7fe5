//! The disk of one node: writes become durable in the order of their tickets, one after the other, whenever
//! the checker wants.

use std::collections::VecDeque;

use onecopy_core::{Entry, Recovered, Ticket, Write};

/// What is durable, and what is on its way to there.
#[derive(Clone, Debug, Default, Hash)]
pub struct Disk {
    durable: Recovered,
    /// The number of the view, or term, that is durably promised.
    promised: u64,
    /// Writes on their way: their ticket, and what the node has promised with them.
    pending: VecDeque<(Ticket, u64, Vec<Write>)>,
}

impl Disk {
    /// A disk on which this was found.
    #[must_use]
    pub fn holding(durable: Recovered, promised: u64) -> Self {
        Self { durable, promised, pending: VecDeque::new() }
    }

    /// What a start would find now.
    #[must_use]
    pub fn durable(&self) -> &Recovered {
        &self.durable
    }

    /// Whether this very entry is durable here, with its content.
    #[must_use]
    pub fn holds(&self, entry: &Entry) -> bool {
        self.durable.entries.contains(entry)
    }

    /// How many tickets are on their way.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// The number of the view, or term, that a start would find promised.
    #[must_use]
    pub fn promised(&self) -> u64 {
        self.promised
    }

    /// Whether the next ticket is a promise.
    #[must_use]
    pub fn begins_with_promise(&self) -> bool {
        self.pending.front().is_some_and(|(_, promised, _)| *promised > self.promised)
    }

    /// Takes writes of a node that has promised the view, or term, with this number.
    pub fn submit(&mut self, ticket: Ticket, promised: u64, writes: Vec<Write>) {
        self.pending.push_back((ticket, promised, writes));
    }

    /// Makes the next ticket durable.
    pub fn persist(&mut self) -> Option<Ticket> {
        let (ticket, promised, writes) = self.pending.pop_front()?;
        self.promised = promised;
        writes.into_iter().for_each(|write| self.write(write));
        Some(ticket)
    }

    /// The process dies. The first `kept` tickets had reached the disk, although nobody had been told yet.
    pub fn crash(&mut self, kept: usize) {
        for _ in 0..kept {
            self.persist();
        }
        self.pending.clear();
    }

    fn write(&mut self, write: Write) {
        let log = &mut self.durable;
        match write {
            Write::State(state) => log.state = Some(state),
            Write::Append { entries, commit } => {
                let last = log.entries.last().map_or(log.base, |entry| entry.id);
                if let Some(first) = entries.first() {
                    assert_eq!(
                        first.id.index,
                        last.index.next(),
                        "disk: {} is written after {last}",
                        first.id
                    );
                }
                log.entries.extend(entries);
                let last = log.entries.last().map_or(log.base, |entry| entry.id);
                log.commit = log.commit.max(commit.min(last.index));
            }
            Write::Cut { from } => {
                assert!(from > log.commit, "disk: the committed {from} is cut");
                log.entries.retain(|entry| entry.id.index < from);
            }
            Write::Compact { .. } | Write::Install { .. } | Write::Forget => {
                panic!(
                    "disk: the settings of the model are too small for snapshots and dropped groups, but there is one: {write:?}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{EntryId, Index, Timestamp};

    use super::*;

    fn append(index: u64) -> Write {
        let id = EntryId::new(index, 1);
        let entry = Entry { id, time: Timestamp(0), seed: 0, payload: Bytes::new() };
        Write::Append { entries: vec![entry], commit: Index(0) }
    }

    fn busy() -> Disk {
        let mut disk = Disk::default();
        disk.submit(Ticket(1), 1, vec![Write::State(Bytes::from_static(b"v1"))]);
        disk.submit(Ticket(2), 1, vec![append(1)]);
        disk.submit(Ticket(3), 1, vec![append(2)]);
        disk
    }

    #[test]
    fn tickets_become_durable_one_by_one() {
        let mut disk = busy();
        assert!(disk.begins_with_promise());
        assert_eq!((disk.persist(), disk.promised(), disk.pending()), (Some(Ticket(1)), 1, 2));
        assert!(!disk.begins_with_promise());
        assert_eq!((disk.persist(), disk.durable().entries.len()), (Some(Ticket(2)), 1));
        assert_eq!((disk.persist(), disk.persist()), (Some(Ticket(3)), None));
    }

    #[test]
    fn a_crash_keeps_a_beginning() {
        for kept in 0..=3 {
            let mut disk = busy();
            disk.crash(kept);
            assert_eq!((disk.durable().entries.len(), disk.pending()), (kept.saturating_sub(1), 0));
            assert_eq!(disk.durable().state.is_some(), kept > 0);
        }
    }
}
