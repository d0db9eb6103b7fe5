//! What one group has handed to the durable log, and what waits for that. The same for a replica and for the
//! Raft group of the view table.

use onecopy_core::{EntryId, GroupId, Ticket, Write};

use crate::disk::{ArchiveJob, Job, Out};
use crate::waiting::Waiting;

/// One group's side of the durable log. `M` is a message, with its receiver.
#[derive(Debug)]
pub(crate) struct Journal<M> {
    group: GroupId,
    /// The protocol counts its tickets from the beginning: they follow this one.
    before: Ticket,
    /// The last one that was handed out.
    last: Ticket,
    /// Messages that promise what is not durable yet.
    held: Waiting<M>,
    /// Writes that make older snapshots superfluous, once they are durable.
    superseding: Waiting<EntryId>,
}

impl<M> Journal<M> {
    pub(crate) fn of(group: GroupId) -> Self {
        let (before, last) = (Ticket::default(), Ticket::default());
        Self { group, before, last, held: Waiting::default(), superseding: Waiting::default() }
    }

    /// Hands writes of the protocol to the log.
    pub(crate) fn persist<W>(&mut self, ticket: Ticket, writes: Vec<Write>, out: &mut Out<W>) {
        self.hand_in(self.follow(ticket), writes, out);
    }

    /// Another protocol takes the place of the one that there was, with these writes: what was held for that
    /// is of no use any more, and what becomes durable of it does not concern the new one.
    pub(crate) fn begin_anew<W>(&mut self, writes: Vec<Write>, out: &mut Out<W>) {
        self.held = Waiting::default();
        let ticket = Ticket(self.last.0 + 1);
        self.hand_in(ticket, writes, out);
        self.before = ticket;
    }

    /// The ticket of the protocol that has become durable with this one, if it is one of its own.
    pub(crate) fn of_protocol(&self, ticket: Ticket) -> Option<Ticket> {
        ticket.0.checked_sub(self.before.0).filter(|own| *own > 0).map(Ticket)
    }

    fn follow(&self, ticket: Ticket) -> Ticket {
        Ticket(self.before.0 + ticket.0)
    }

    fn hand_in<W>(&mut self, ticket: Ticket, writes: Vec<Write>, out: &mut Out<W>) {
        self.last = self.last.max(ticket);
        for write in &writes {
            if let Write::Compact { through: snapshot } | Write::Install { snapshot } = write {
                // A ticket that is being handed out is never durable yet.
                self.superseding.hold(Some(ticket), *snapshot);
            }
        }
        out.writes.push(Job { group: self.group, ticket, writes });
    }

    /// Returns a message that need not wait; another comes out of [`Journal::next`] in its time.
    pub(crate) fn hold(&mut self, after: Option<Ticket>, message: M) -> Option<M> {
        self.held.hold(after.map(|ticket| self.follow(ticket)), message)
    }

    /// All writes up to `ticket` are durable: snapshots may be superfluous, and messages may leave.
    pub(crate) fn persisted<W>(&mut self, ticket: Ticket, out: &mut Out<W>) {
        self.held.persisted(ticket);
        self.superseding.persisted(ticket);
        if let Some(id) = std::iter::from_fn(|| self.superseding.next()).last() {
            out.archive.push(ArchiveJob::Keep { group: self.group, id });
        }
    }

    /// The next message that has waited long enough.
    pub(crate) fn next(&mut self) -> Option<M> {
        self.held.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_snapshots_go_when_a_newer_one_is_in_the_durable_log() {
        let (mut journal, mut out) = (Journal::<()>::of(GroupId(3)), Out::<()>::default());
        let compact = |index| vec![Write::Compact { through: EntryId::new(index, 1) }];
        journal.persist(Ticket(1), compact(4), &mut out);
        journal.persist(Ticket(2), compact(7), &mut out);
        journal.persist(Ticket(3), compact(9), &mut out);
        assert_eq!((out.writes.len(), out.archive.as_slice()), (3, [].as_slice()));
        journal.persisted(Ticket(2), &mut out);
        assert_eq!(out.archive, [ArchiveJob::Keep { group: GroupId(3), id: EntryId::new(7, 1) }]);
    }
}
