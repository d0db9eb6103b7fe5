//! What has been handed to the disk, and what of it is durable.
//!
//! The writes of one step share one ticket. A message that promises something asks here for the ticket that
//! it must wait for; `None` means that everything it promises is durable already.

use std::collections::VecDeque;

use onecopy_core::{Entry, EntryId, Index, Ticket, Write};

use crate::durable::Promise;
use crate::effect::Effect;

/// The order of one member's writes.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Disk {
    /// The last ticket that was handed out.
    issued: Ticket,
    /// Everything through this ticket is durable.
    persisted: Ticket,
    /// The ticket of the last promise.
    promised: Ticket,
    /// The promise that this step made, if any.
    promise: Option<Promise>,
    /// The other writes of this step.
    writes: Vec<Write>,
    /// When `ticket` is durable, the log is durable through `Index`. Both never decrease along the queue.
    pending: VecDeque<(Ticket, Index)>,
    /// The log is durable through here.
    durable: Index,
    /// Whether anything waits for the disk at all (a simulator may switch it off).
    waits: bool,
}

impl Disk {
    /// After a restart: all of the log that was found is durable.
    pub fn new(durable: Index, waits: bool) -> Self {
        Self {
            issued: Ticket::default(),
            persisted: Ticket::default(),
            promised: Ticket::default(),
            promise: None,
            writes: Vec::new(),
            pending: VecDeque::new(),
            durable,
            waits,
        }
    }

    /// The log is durable through here.
    pub fn durable(&self) -> Index {
        self.durable
    }

    /// Writes term and vote.
    pub fn promise(&mut self, promise: Promise) {
        self.promise = Some(promise);
        self.promised = self.upcoming();
    }

    /// Writes entries at the end of the log.
    pub fn append(&mut self, entries: Vec<Entry>, commit: Index) {
        let Some(last) = entries.last().map(|entry| entry.id.index) else { return };
        self.writes.push(Write::Append { entries, commit });
        match self.waits {
            true => self.pending.push_back((self.upcoming(), last)),
            false => self.durable = last,
        }
    }

    /// Drops the tail of the log. What was pending of it will never count.
    pub fn cut(&mut self, from: Index) {
        self.writes.push(Write::Cut { from });
        let last = from.previous();
        self.durable = self.durable.min(last);
        for (_, pending) in &mut self.pending {
            *pending = (*pending).min(last);
        }
    }

    /// Drops what a durable snapshot covers. That it is durable says nothing of the log, whose entries may
    /// still be on their way: without them, and without this write, a restart finds neither.
    pub fn compact(&mut self, through: EntryId) {
        self.writes.push(Write::Compact { through });
    }

    /// Replaces the log by a durable snapshot. Until this write is durable too, a restart finds the log that
    /// was there before.
    pub fn install(&mut self, snapshot: EntryId) {
        self.writes.push(Write::Install { snapshot });
        self.pending.clear();
        self.durable = Index(0);
        match self.waits {
            true => self.pending.push_back((self.upcoming(), snapshot.index)),
            false => self.durable = snapshot.index,
        }
    }

    /// The writes of this step, to be carried out under one ticket.
    pub fn take(&mut self) -> Option<Effect> {
        let promise = self.promise.take().map(|promise| Write::State(promise.encode()));
        let writes: Vec<Write> = promise.into_iter().chain(self.writes.drain(..)).collect();
        match writes.is_empty() {
            true => None,
            false => Some(Effect::Persist { ticket: self.issued.take(), writes }),
        }
    }

    /// Everything through `ticket` is durable.
    pub fn persisted(&mut self, ticket: Ticket) {
        assert!(
            ticket <= self.issued,
            "raft disk: {ticket:?} is durable, but only {:?} was issued",
            self.issued
        );
        self.persisted = self.persisted.max(ticket);
        while let Some((_, index)) = self.pending.pop_front_if(|(pending, _)| *pending <= ticket) {
            self.durable = self.durable.max(index);
        }
    }

    /// What a message must wait for that speaks of term or vote.
    pub fn after_promise(&self) -> Option<Ticket> {
        let durable = !self.waits || self.promised <= self.persisted;
        (!durable).then_some(self.promised)
    }

    /// What a message must wait for that says that the log is durable through `through`.
    pub fn after_entries(&self, through: Index) -> Option<Ticket> {
        if self.durable >= through {
            return self.after_promise();
        }
        let covering = self.pending.iter().find(|(_, index)| *index >= through).map(|(ticket, _)| *ticket);
        let Some(ticket) = covering else {
            panic!("raft disk: {through} was never written, the log is durable through {}", self.durable)
        };
        self.after_promise().max(Some(ticket))
    }

    /// The ticket of the writes of this step.
    fn upcoming(&self) -> Ticket {
        Ticket(self.issued.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use onecopy_core::{Term, Timestamp};

    use super::*;

    fn entries(from: u64, through: u64) -> Vec<Entry> {
        let entry =
            |index| Entry { id: EntryId::new(index, 1), time: Timestamp(0), seed: 0, payload: Bytes::new() };
        (from..=through).map(entry).collect()
    }

    fn written(disk: &mut Disk, from: u64, through: u64) -> Ticket {
        disk.append(entries(from, through), Index(0));
        match disk.take() {
            Some(Effect::Persist { ticket, .. }) => ticket,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_writes_of_a_step_share_a_ticket_and_the_promise_comes_first() {
        let mut disk = Disk::new(Index(0), true);
        assert_eq!(disk.take(), None);
        disk.append(entries(1, 1), Index(0));
        let promise = Promise { term: Term(1), vote: None };
        disk.promise(promise);
        let writes =
            vec![Write::State(promise.encode()), Write::Append { entries: entries(1, 1), commit: Index(0) }];
        assert_eq!(disk.take(), Some(Effect::Persist { ticket: Ticket(1), writes }));
        assert_eq!(disk.take(), None);
    }

    #[test]
    fn a_message_waits_for_the_first_ticket_that_covers_it() {
        let mut disk = Disk::new(Index(0), true);
        let (first, second) = (written(&mut disk, 1, 2), written(&mut disk, 3, 4));
        assert_eq!(disk.after_entries(Index(0)), None);
        assert_eq!(disk.after_entries(Index(2)), Some(first));
        assert_eq!(disk.after_entries(Index(3)), Some(second));
        disk.persisted(first);
        assert_eq!((disk.durable(), disk.after_entries(Index(2))), (Index(2), None));
        disk.persisted(second);
        assert_eq!((disk.durable(), disk.after_entries(Index(4))), (Index(4), None));
    }

    #[test]
    fn an_acknowledgement_waits_for_the_term_too() {
        let mut disk = Disk::new(Index(3), true);
        disk.promise(Promise { term: Term(2), vote: None });
        assert_eq!(disk.after_promise(), Some(Ticket(1)));
        assert_eq!(disk.after_entries(Index(3)), Some(Ticket(1)));
        disk.take();
        disk.persisted(Ticket(1));
        assert_eq!(disk.after_entries(Index(3)), None);
    }

    #[test]
    fn what_was_cut_never_counts() {
        let mut disk = Disk::new(Index(0), true);
        let old = written(&mut disk, 1, 4);
        disk.cut(Index(3));
        let new = written(&mut disk, 3, 3);
        disk.persisted(old);
        assert_eq!(disk.durable(), Index(2));
        assert_eq!(disk.after_entries(Index(3)), Some(new));
        disk.persisted(new);
        assert_eq!(disk.durable(), Index(3));
    }

    #[test]
    fn a_snapshot_counts_once_the_log_says_so() {
        let mut disk = Disk::new(Index(0), true);
        let entries = written(&mut disk, 1, 4);
        disk.compact(EntryId::new(4, 1));
        disk.take();
        assert_eq!((disk.durable(), disk.after_entries(Index(4))), (Index(0), Some(entries)));
        disk.install(EntryId::new(9, 1));
        disk.take();
        disk.persisted(entries);
        assert_eq!((disk.durable(), disk.after_entries(Index(9))), (Index(0), Some(Ticket(3))));
        disk.persisted(Ticket(3));
        assert_eq!((disk.durable(), disk.after_entries(Index(9))), (Index(9), None));
    }

    #[test]
    #[should_panic(expected = "only Ticket(0) was issued")]
    fn a_ticket_that_was_never_issued_is_refused() {
        Disk::new(Index(0), true).persisted(Ticket(1));
    }
}
