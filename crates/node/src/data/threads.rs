//! The data threads of a node: which group belongs to which of them, and what they hand each other.
//!
//! They share nothing but the log. A group belongs to one thread, with its coordinator, its replica and its
//! state, and so does a connection. What arrives on another thread is passed on, all that a turn has for a
//! thread in one message, and so are the replies: nobody is woken for each of them (decision 17).

use std::sync::Arc;

use onecopy_core::GroupId;
use onecopy_host::{Reply, Share};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::oneshot;

use super::inbox::Event;
use crate::peer::PeerEvent;

/// Where each thread takes what the others have for it.
pub(crate) type Mailboxes = Arc<[UnboundedSender<Vec<Event>>]>;

/// Where the reply to a run of commands goes.
#[derive(Debug)]
pub(crate) struct Client {
    /// The thread of the connection.
    pub(crate) thread: usize,
    /// Gone when the connection is.
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// One of the data threads.
#[derive(Debug)]
pub(crate) struct Threads {
    share: Share,
    mailboxes: Mailboxes,
    /// What this turn has for each.
    passed: Vec<Vec<Event>>,
}

impl Threads {
    pub(crate) fn new(me: usize, mailboxes: Mailboxes) -> Self {
        let share = Share::new(me, mailboxes.len());
        let passed = mailboxes.iter().map(|_| Vec::new()).collect();
        Self { share, mailboxes, passed }
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.share.planes()
    }

    /// Which one this is.
    pub(crate) fn me(&self) -> usize {
        self.share.plane()
    }

    /// Where each of them takes what the others have for it.
    pub(crate) fn mailboxes(&self) -> Mailboxes {
        self.mailboxes.clone()
    }

    /// Whether a group belongs to this thread.
    pub(crate) fn owns(&self, group: GroupId) -> bool {
        self.share.has(group)
    }

    /// Returns what is for this thread; what is for another one leaves with the end of the turn.
    pub(crate) fn sort(&mut self, event: Event) -> Option<Event> {
        let holder = match &event {
            Event::Submitted { group, .. } => Share::holder(*group, self.count()),
            Event::Peer(PeerEvent::Received { message, .. }) => message.thread(self.count()),
            _ => return Some(event),
        };
        if holder == self.me() {
            return Some(event);
        }
        self.passed[holder].push(event);
        None
    }

    /// Gives a client its reply, on this thread or on its own.
    pub(crate) fn reply(&mut self, client: Client, reply: Reply) {
        match client.thread == self.me() {
            // A client that has hung up does not mind.
            true => drop(client.reply.send(reply)),
            false => self.passed[client.thread].push(Event::Replied { client: client.reply, reply }),
        }
    }

    /// The turn is over: what is for others leaves.
    pub(crate) fn deliver(&mut self) {
        for (mailbox, passed) in self.mailboxes.iter().zip(&mut self.passed) {
            if !passed.is_empty() {
                // Threads end together.
                let _ = mailbox.send(std::mem::take(passed));
            }
        }
    }
}
