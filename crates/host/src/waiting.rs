//! What waits for the disk.

use std::collections::VecDeque;

use onecopy_core::Ticket;

/// Things that must not happen before a ticket is durable, in the order in which they were asked for.
#[derive(Debug)]
pub(crate) struct Waiting<T> {
    durable: Ticket,
    queue: VecDeque<(Ticket, T)>,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { durable: Ticket::default(), queue: VecDeque::new() }
    }
}

impl<T> Waiting<T> {
    /// Returns `thing` if it need not wait; else it comes out of [`Waiting::next`] in its time.
    pub(crate) fn hold(&mut self, after: Option<Ticket>, thing: T) -> Option<T> {
        match after {
            Some(ticket) if ticket > self.durable => {
                self.queue.push_back((ticket, thing));
                None
            }
            _ => Some(thing),
        }
    }

    /// Everything up to `ticket` is durable.
    pub(crate) fn persisted(&mut self, ticket: Ticket) {
        self.durable = self.durable.max(ticket);
    }

    /// The next thing that has waited long enough.
    pub(crate) fn next(&mut self) -> Option<T> {
        let (_, thing) = self.queue.pop_front_if(|(ticket, _)| *ticket <= self.durable)?;
        Some(thing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_come_out_in_order_and_not_too_early() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.hold(None, "free"), Some("free"));
        assert_eq!(waiting.hold(Some(Ticket(1)), "first"), None);
        assert_eq!(waiting.hold(Some(Ticket(2)), "second"), None);
        assert_eq!(waiting.next(), None);
        waiting.persisted(Ticket(1));
        assert_eq!(waiting.next(), Some("first"));
        assert_eq!(waiting.next(), None);
        assert_eq!(waiting.hold(Some(Ticket(1)), "late"), Some("late"));
        // An old report takes nothing back.
        waiting.persisted(Ticket(2));
        waiting.persisted(Ticket(1));
        assert_eq!((waiting.next(), waiting.next()), (Some("second"), None));
    }
}
