//! A data thread: clients, the coordinators, and the replicas of all groups, in one event loop.
//!
//! Everything that happens becomes an [`Event`]; one *turn* takes all events that have arrived and hands them
//! to the [`DataPlane`](onecopy_host::DataPlane), which does the rest; then what it wants is handed out.
//! Under load the turns get larger, not more: requests [gather](Gathering), while what is for the replicas
//! has its turn at once. Replicas, state machines and coordinators belong to this thread alone and need no
//! locks.
//!
//! ```text
//! connections ─▶ segments ┐                             ┌▶ journal (log thread)
//! peers ───────▶ messages ┼▶ inbox ─▶ turn ─▶ DataPlane ┼▶ links to peers
//! log thread ──▶ tickets ─┘                             └▶ replies to connections
//! ```
//!
//! There may be several such threads, each with some of the groups ([`threads`]).

mod alarm;
pub(crate) mod inbox;
pub(crate) mod observer;
pub(crate) mod plane;
pub(crate) mod starting;
pub(crate) mod threads;

use std::rc::Rc;

use onecopy_host::{ArchiveEvent, Gathering};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::mpsc::error::TryRecvError;

use crate::journal::JournalEvent;
use alarm::Alarm;
use inbox::{Event, FromControl, Inbox, sort};
use plane::Plane;

/// The channels of a data thread: what other threads tell it.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) journal: UnboundedReceiver<JournalEvent>,
    pub(crate) archive: UnboundedReceiver<ArchiveEvent>,
    pub(crate) control: UnboundedReceiver<FromControl>,
    /// The other data threads.
    pub(crate) others: UnboundedReceiver<Vec<Event>>,
}

/// Turns until the control thread is gone.
pub(crate) async fn run(mut plane: Plane, inbox: Rc<Inbox>, mut channels: Channels) {
    let mut events = Vec::new();
    let mut requests = Vec::new();
    let mut gathering = Gathering::default();
    let mut alarm = Alarm::new();
    // The clock is read before anything happens: what it shows later is compared with this.
    plane.turn(std::iter::empty());
    loop {
        let now = plane.now();
        let due = plane.due(now);
        tokio::select! {
            biased;
            () = inbox.filled() => {}
            Some(event) = channels.journal.recv() => events.push(Event::Journal(event)),
            Some(event) = channels.archive.recv() => events.push(Event::Archive(event)),
            Some(batch) = channels.others.recv() => sort(batch, &mut events, &mut requests),
            event = channels.control.recv() => match event {
                Some(event) => events.push(Event::Control(event)),
                None => return,
            },
            () = alarm.rings(now, due) => {}
        }
        loop {
            if channels.drain_into(&mut events, &mut requests).is_err() {
                return;
            }
            inbox.drain_into(&mut events, &mut requests);
            if !gathering.goes_on(plane.now(), requests.len()) {
                plane.turn(events.drain(..).chain(requests.drain(..)));
                break;
            }
            // What is for the replicas waits for nobody.
            if !events.is_empty() {
                plane.turn(events.drain(..));
            }
            // Everybody else's turn: who was answered writes, and whoever can be read is.
            tokio::task::yield_now().await;
        }
    }
}

impl Channels {
    /// Moves everything out.
    ///
    /// # Errors
    /// The control thread is gone.
    fn drain_into(&mut self, events: &mut Vec<Event>, requests: &mut Vec<Event>) -> Result<(), TryRecvError> {
        while let Ok(event) = self.journal.try_recv() {
            events.push(Event::Journal(event));
        }
        while let Ok(event) = self.archive.try_recv() {
            events.push(Event::Archive(event));
        }
        while let Ok(batch) = self.others.try_recv() {
            sort(batch, events, requests);
        }
        loop {
            match self.control.try_recv() {
                Ok(event) => events.push(Event::Control(event)),
                Err(TryRecvError::Empty) => return Ok(()),
                Err(gone) => return Err(gone),
            }
        }
    }
}
