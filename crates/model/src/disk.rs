//! The disk of one node: writes become durable in the order of their tickets, one after the other, whenever the
//! checker wants.

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
            Write::Compact { .. } | Write::Install { .. } => {
                panic!(
                    "disk: the settings of the model are too small for snapshots, but there is one: {write:?}"
                )
            }
        }
    }
}
