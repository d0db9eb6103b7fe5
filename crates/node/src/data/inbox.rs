//! What has happened on the data thread since the last turn.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::View;
use onecopy_views::Table;
use tokio::sync::{Notify, oneshot};

use crate::archive::ArchiveEvent;
use crate::journal::JournalEvent;
use crate::peer::PeerEvent;
use crate::peer::accept::Accepted;
use crate::peer::message::{DataMessage, Kind};

/// Something happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client wants something executed.
    Submitted(Submission),
    /// Another node said something, or is gone.
    Peer(PeerEvent<DataMessage>),
    /// The log thread made something durable.
    Journal(JournalEvent),
    /// The snapshot thread did something.
    Archive(ArchiveEvent),
    /// The control thread says something.
    Control(FromControl),
}

/// What the control thread tells the data thread.
#[derive(Debug)]
pub(crate) enum FromControl {
    /// The view table, as far as this node knows it.
    Table(Arc<Table>),
    /// A peer has opened a connection of the data lane.
    Call(Accepted),
}

/// A run of commands of one client.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) kind: Kind,
    /// One segment, in the encoding of the state machine.
    pub(crate) segment: Bytes,
    /// Where the answer goes. Gone when the client is.
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// How a run of commands ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The replies to all its commands.
    Replies(Bytes),
    /// No reply to any of them: an error, with its code, for each.
    Failed(&'static str),
}

/// The queue of events of the data thread itself.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    events: RefCell<Vec<Event>>,
    filled: Notify,
}

impl Inbox {
    /// Adds an event to the next turn.
    pub(crate) fn push(&self, event: Event) {
        self.events.borrow_mut().push(event);
        self.filled.notify_one();
    }

    /// Completes when there is something.
    pub(crate) async fn filled(&self) {
        self.filled.notified().await;
    }

    /// Moves everything out.
    pub(crate) fn drain_into(&self, events: &mut Vec<Event>) {
        events.append(&mut self.events.borrow_mut());
    }
}

/// A view that was learnt, from wherever.
pub(crate) fn is_news(known: Option<&View>, view: &View) -> bool {
    view.valid() && known.is_none_or(|known| view.number > known.number)
}
