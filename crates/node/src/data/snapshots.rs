//! The snapshots of a group, from the side of the data thread: making one bit by bit while commands go on, and
//! building a state machine from one that arrives.

use std::collections::VecDeque;

use onecopy_core::transfer::{CHUNK, Chunk};
use onecopy_core::{EntryId, StateMachine, Ticket, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_replica::Input;
use tracing::{info, warn};

use super::group::Group;
use crate::archive::{ArchiveEvent, Name};

/// How many bytes of an image may be on their way to the snapshot thread.
const IN_FLIGHT_MAX: u64 = 4 * CHUNK as u64;

/// What is going on with the snapshots of one group.
#[derive(Debug, Default)]
pub(crate) struct Snapshots {
    taking: Option<Taking>,
    receiving: Option<Receiving>,
    /// Writes that make older snapshots superfluous, once they are durable.
    superseding: VecDeque<(Ticket, EntryId)>,
}

#[derive(Debug)]
struct Taking {
    name: Name,
    /// How much of the image went to the snapshot thread, and how much of it is written.
    sent: u64,
    written: u64,
    complete: bool,
}

#[derive(Debug)]
struct Receiving {
    name: Name,
    /// The state machine that it builds; `None` once a piece made no sense.
    machine: Option<Keyspace>,
}

impl Snapshots {
    /// When `ticket` is durable, no snapshot but `snapshot` is needed.
    pub(crate) fn superseded(&mut self, ticket: Ticket, snapshot: EntryId) {
        self.superseding.push_back((ticket, snapshot));
    }

    /// The snapshot to keep, if others can go now that `durable` is.
    pub(crate) fn removable(&mut self, durable: Ticket) -> Option<EntryId> {
        let mut keep = None;
        while let Some((_, snapshot)) = self.superseding.pop_front_if(|(ticket, _)| *ticket <= durable) {
            keep = Some(snapshot);
        }
        keep
    }

    /// Whether the event loop should come back soon, to go on with an image.
    pub(crate) fn wants_turn(&self) -> bool {
        self.taking.as_ref().is_some_and(Taking::has_room)
    }
}

impl Taking {
    fn has_room(&self) -> bool {
        !self.complete && self.sent - self.written < IN_FLIGHT_MAX
    }
}

impl Group {
    /// Begins an image of the state as it is.
    pub(crate) fn begin_snapshot(&mut self, at: EntryId, time: Timestamp) {
        let name = Name { group: self.id, id: at, time };
        info!(group = %self.id, snapshot = %at, "taking a snapshot");
        self.machine.snapshot_begin();
        self.snapshots.taking = Some(Taking { name, sent: 0, written: 0, complete: false });
    }

    /// Begins an image because the log asks for it, unless one is being made.
    pub(crate) fn snapshot_now(&mut self) {
        let commit = self.replica.commit();
        // One of this very state may be on its way to a learner: it must not be written again under its name.
        if self.snapshots.taking.is_some() || commit <= self.replica.newest_snapshot().index {
            return;
        }
        if let Some(last) = self.replica.log().get(commit) {
            let (id, time) = (last.id, last.time);
            self.begin_snapshot(id, time);
        }
    }

    /// Hands the next pieces of the image to the snapshot thread. A little per turn: commands go on meanwhile.
    pub(crate) fn continue_snapshot(&mut self) {
        let Some(taking) = self.snapshots.taking.as_mut().filter(|taking| taking.has_room()) else { return };
        let mut data = Vec::with_capacity(CHUNK + CHUNK / 4);
        let more = self.machine.snapshot_read(CHUNK, &mut data);
        let (name, offset) = (taking.name, taking.sent);
        taking.sent += data.len() as u64;
        taking.complete = !more;
        self.archive.write(name, offset, data.into());
        if !more {
            self.archive.finish(name);
        }
    }

    /// A piece of a snapshot arrived from the primary: to the disk, and into a new state machine.
    pub(crate) fn receive_chunk(&mut self, chunk: Chunk) {
        let name = Name { group: self.id, id: chunk.snapshot, time: chunk.time };
        if chunk.offset == 0 {
            info!(group = %self.id, snapshot = %chunk.snapshot, "receiving a snapshot");
            self.snapshots.receiving = Some(Receiving { name, machine: Some(Keyspace::new(rand::random())) });
        }
        if let Some(receiving) = self.snapshots.receiving.as_mut().filter(|receiving| receiving.name == name)
            && let Some(machine) = receiving.machine.as_mut()
            && let Err(error) = machine.restore(&chunk.data)
        {
            warn!(group = %self.id, snapshot = %chunk.snapshot, %error, "a received snapshot makes no sense");
            receiving.machine = None;
        }
        self.archive.write(name, chunk.offset, chunk.data);
    }

    /// All pieces have arrived.
    pub(crate) fn finish_receiving(&mut self, snapshot: EntryId, time: Timestamp) {
        self.archive.finish(Name { group: self.id, id: snapshot, time });
    }

    /// What the snapshot thread did, as an input for the replica.
    pub(crate) fn archived(&mut self, event: ArchiveEvent) -> Option<Input> {
        match event {
            ArchiveEvent::Read { to, id, chunk, .. } => Some(Input::SnapshotRead { to, snapshot: id, chunk }),
            ArchiveEvent::Written { name, written } if self.is_taking(name) => {
                self.snapshots.taking.as_mut()?.written = written;
                None
            }
            ArchiveEvent::Written { name, written } => {
                Some(Input::SnapshotWritten { snapshot: name.id, wanted: written })
            }
            ArchiveEvent::Finished { name } if self.is_taking(name) => {
                info!(group = %self.id, snapshot = %name.id, "the snapshot is durable");
                self.snapshots.taking = None;
                Some(Input::SnapshotTaken { snapshot: name.id })
            }
            ArchiveEvent::Finished { name } => Some(self.install(name)),
            ArchiveEvent::Failed { name } if self.is_taking(name) => {
                self.machine.snapshot_abandon();
                self.snapshots.taking = None;
                Some(Input::SnapshotFailed)
            }
            ArchiveEvent::Failed { name } => Some(self.spoiled(name)),
        }
    }

    fn is_taking(&self, name: Name) -> bool {
        self.snapshots.taking.as_ref().is_some_and(|taking| taking.name == name)
    }

    /// Puts the received state in the place of the old one.
    fn install(&mut self, name: Name) -> Input {
        let receiving = self.snapshots.receiving.take_if(|receiving| receiving.name == name);
        let Some(mut machine) = receiving.and_then(|receiving| receiving.machine) else {
            return self.spoiled(name);
        };
        if let Err(error) = machine.restore_finish() {
            warn!(group = %self.id, snapshot = %name.id, %error, "a received snapshot is incomplete");
            return self.spoiled(name);
        }
        info!(group = %self.id, snapshot = %name.id, "installed a snapshot");
        self.snapshots.taking = None;
        self.machine = machine;
        Input::SnapshotInstalled { snapshot: name.id }
    }

    fn spoiled(&mut self, name: Name) -> Input {
        self.snapshots.receiving = None;
        Input::SnapshotSpoiled { snapshot: name.id }
    }
}
