//! What has happened on the data thread since the last turn.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::Arc;

use onecopy_core::{GroupId, NodeId};
use onecopy_host::{ArchiveEvent, Reply, Submission};
use onecopy_views::Table;
use tokio::sync::{Notify, oneshot};

use super::threads::Client;
use crate::client::front::Front;
use crate::journal::JournalEvent;
use crate::peer::PeerEvent;
use crate::peer::accept::Accepted;
use crate::peer::message::DataMessage;

/// Something happened.
#[derive(Debug)]
pub(crate) enum Event {
    /// A client wants something of a group.
    Submitted { group: GroupId, submission: Submission<Client> },
    /// Another node said something, or is gone.
    Peer(PeerEvent<DataMessage>),
    /// A connection to another node stands: what can be reached is another matter now.
    Met,
    /// The log thread made something durable.
    Journal(JournalEvent),
    /// The snapshot thread did something.
    Archive(ArchiveEvent),
    /// The control thread says something.
    Control(FromControl),
    /// A client of this thread has its reply, from another one.
    Replied { client: oneshot::Sender<Reply>, reply: Reply },
    /// A client has called, and is to be served here. It counts as connected already.
    Called { id: u64, address: SocketAddr, front: Arc<Front>, stream: std::net::TcpStream },
}

impl Event {
    /// Whether it asks for something that may share an entry with others.
    fn is_request(&self) -> bool {
        let forward = |message: &DataMessage| matches!(message, DataMessage::Forward(_));
        match self {
            Self::Submitted { .. } => true,
            Self::Peer(PeerEvent::Received { message, .. }) => forward(message),
            _ => false,
        }
    }
}

/// What the control thread tells the data thread.
#[derive(Debug)]
pub(crate) enum FromControl {
    /// The view table, as far as this node knows it.
    Table(Arc<Table>),
    /// A peer has opened a connection of the data lane.
    Call(Accepted),
    /// An operator wants the primary here to make way, for `to` or whoever is the best.
    HandOver { group: GroupId, to: Option<NodeId> },
    /// The node is about to stop: whatever is led here makes way.
    Leave,
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
        while self.events.borrow().is_empty() {
            self.filled.notified().await;
        }
    }

    /// Moves everything out, see [`sort`].
    pub(crate) fn drain_into(&self, events: &mut Vec<Event>, requests: &mut Vec<Event>) {
        sort(self.events.borrow_mut().drain(..), events, requests);
    }
}

/// Puts requests, which may gather, apart from what waits for nobody.
pub(crate) fn sort(all: impl IntoIterator<Item = Event>, events: &mut Vec<Event>, requests: &mut Vec<Event>) {
    for event in all {
        if event.is_request() { requests.push(event) } else { events.push(event) }
    }
}
