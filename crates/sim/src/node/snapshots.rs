//! The snapshots of a group, as the node crate handles them: making one bit by bit while commands go on, and
//! building a state machine from one that arrives.

use std::collections::VecDeque;

use onecopy_core::transfer::{CHUNK, Chunk};
use onecopy_core::{EntryId, StateMachine, Ticket, Timestamp};
use onecopy_keyspace::Keyspace;
use onecopy_replica::Input;

use super::Out;
use super::archive::{ArchiveEvent, ArchiveJob, Name};
use super::group::Group;
use crate::disk::DATA_GROUP;
use crate::env::Env;

/// How many bytes of an image may be on their way to the snapshot thread.
const IN_FLIGHT_MAX: u64 = 4 * CHUNK as u64;

/// What is going on with the snapshots of one group.
#[derive(Debug, Default)]
pub struct Snapshots {
    taking: Option<Taking>,
    receiving: Option<Receiving>,
    /// Writes that make older snapshots superfluous, once they are durable.
    superseding: VecDeque<(Ticket, EntryId)>,
}

#[derive(Debug)]
struct Taking {
    name: Name,
    sent: u64,
    written: u64,
    complete: bool,
}

#[derive(Debug)]
struct Receiving {
    name: Name,
    machine: Option<Keyspace>,
}

impl Snapshots {
    pub(super) fn superseded(&mut self, ticket: Ticket, snapshot: EntryId) {
        self.superseding.push_back((ticket, snapshot));
    }

    pub(super) fn removable(&mut self, durable: Ticket) -> Option<EntryId> {
        let mut keep = None;
        while let Some((_, snapshot)) = self.superseding.pop_front_if(|(ticket, _)| *ticket <= durable) {
            keep = Some(snapshot);
        }
        keep
    }

    /// Whether the event loop should come back soon, to go on with an image.
    pub(super) fn wants_turn(&self) -> bool {
        self.taking.as_ref().is_some_and(Taking::has_room)
    }
}

impl Taking {
    fn has_room(&self) -> bool {
        !self.complete && self.sent - self.written < IN_FLIGHT_MAX
    }
}

impl Group {
    pub(super) fn begin_snapshot(&mut self, at: EntryId, time: Timestamp) {
        let name = Name { group: DATA_GROUP, id: at, time };
        self.machine.snapshot_begin();
        self.snapshots.taking = Some(Taking { name, sent: 0, written: 0, complete: false });
    }

    pub(super) fn continue_snapshot(&mut self, out: &mut Out) {
        let Some(taking) = self.snapshots.taking.as_mut().filter(|taking| taking.has_room()) else { return };
        let mut data = Vec::new();
        let more = self.machine.snapshot_read(CHUNK, &mut data);
        let (name, offset) = (taking.name, taking.sent);
        taking.sent += data.len() as u64;
        taking.complete = !more;
        out.archive.push(ArchiveJob::Write { name, offset, data: data.into() });
        if !more {
            out.archive.push(ArchiveJob::Finish { name });
        }
    }

    pub(super) fn receive_chunk(&mut self, chunk: Chunk, env: &mut Env, out: &mut Out) {
        let name = Name { group: DATA_GROUP, id: chunk.snapshot, time: chunk.time };
        if chunk.offset == 0 {
            let seed = [env.dice.number(), env.dice.number()];
            self.snapshots.receiving = Some(Receiving { name, machine: Some(Keyspace::new(seed)) });
        }
        if let Some(receiving) = self.snapshots.receiving.as_mut().filter(|receiving| receiving.name == name)
            && let Some(machine) = receiving.machine.as_mut()
            && machine.restore(&chunk.data).is_err()
        {
            receiving.machine = None;
        }
        out.archive.push(ArchiveJob::Write { name, offset: chunk.offset, data: chunk.data });
    }

    pub(super) fn finish_receiving(&mut self, snapshot: EntryId, time: Timestamp, out: &mut Out) {
        out.archive.push(ArchiveJob::Finish { name: Name { group: DATA_GROUP, id: snapshot, time } });
    }

    /// What the snapshot thread did, as an input for the replica.
    pub(super) fn on_archived(&mut self, event: ArchiveEvent, env: &mut Env) -> Option<Input> {
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
                self.snapshots.taking = None;
                Some(Input::SnapshotTaken { snapshot: name.id })
            }
            ArchiveEvent::Finished { name } => Some(self.install(name, env)),
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

    fn install(&mut self, name: Name, env: &mut Env) -> Input {
        let receiving = self.snapshots.receiving.take_if(|receiving| receiving.name == name);
        let Some(mut machine) = receiving.and_then(|receiving| receiving.machine) else {
            return self.spoiled(name);
        };
        if machine.restore_finish().is_err() {
            return self.spoiled(name);
        }
        env.stats.snapshots[1] += 1;
        self.snapshots.taking = None;
        self.machine = machine;
        self.applied = name.id.index;
        Input::SnapshotInstalled { snapshot: name.id }
    }

    fn spoiled(&mut self, name: Name) -> Input {
        self.snapshots.receiving = None;
        Input::SnapshotSpoiled { snapshot: name.id }
    }
}
