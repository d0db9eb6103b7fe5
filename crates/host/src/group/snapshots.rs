//! The snapshots of a group: making one bit by bit while commands go on, and building a state machine from
//! one that arrives.

use bytes::Bytes;
use onecopy_core::chunks::{CHUNK, Chunk};
use onecopy_core::{EntryId, StateMachine, Timestamp};
use onecopy_replica::{Input, Replica};

use super::image::{self, Restoring};
use super::{Group, GroupEffect, GroupObserver};
use crate::disk::{ArchiveEvent, ArchiveJob, Out, SnapshotName};

/// How many bytes of an image may be on their way to the archive.
pub(super) const IN_FLIGHT_MAX: u64 = 4 * CHUNK as u64;

/// What is going on with the snapshots of one group.
#[derive(Debug)]
pub(super) struct Snapshots<M> {
    taking: Option<Taking>,
    /// The machine has an image that is of no use any more.
    is_abandoned: bool,
    receiving: Option<Receiving<M>>,
}

#[derive(Debug)]
struct Taking {
    name: SnapshotName,
    /// What goes before the state, until it has gone.
    preamble: Bytes,
    /// How many bytes of the image went to the archive, and how many of them are written.
    sent: u64,
    written: u64,
    complete: bool,
}

#[derive(Debug)]
struct Receiving<M> {
    name: SnapshotName,
    /// The state that it builds; `None` once a piece made no sense.
    state: Option<Restoring<M>>,
}

impl<M> Default for Snapshots<M> {
    fn default() -> Self {
        Self { taking: None, is_abandoned: false, receiving: None }
    }
}

impl<M> Snapshots<M> {
    /// Nothing that is under way is of the state that there is now.
    pub(super) fn forget(&mut self) {
        (self.taking, self.receiving, self.is_abandoned) = (None, None, false);
    }

    /// Whether the next turn should be soon, to go on with an image.
    pub(super) fn want_turn(&self) -> bool {
        self.taking.as_ref().is_some_and(Taking::has_room)
    }

    /// The time of the snapshot that has been received.
    pub(super) fn time_of_received(&self) -> Option<Timestamp> {
        self.receiving.as_ref().map(|receiving| receiving.name.time)
    }

    /// Whether one is being made.
    pub(super) fn is_under_way(&self) -> bool {
        self.taking.is_some()
    }

    fn is_taking(&self, name: SnapshotName) -> bool {
        self.taking.as_ref().is_some_and(|taking| taking.name == name)
    }
}

impl Taking {
    fn has_room(&self) -> bool {
        !self.complete && self.sent - self.written < IN_FLIGHT_MAX
    }
}

impl<M: StateMachine> Group<M> {
    /// Begins an image because the log asks for one, to let old segments go; unless one is being made.
    pub fn snapshot_wanted(&mut self, observer: &mut impl GroupObserver<M>) {
        if self.state.here().is_none() {
            return self.execution.want_any_snapshot();
        }
        // One of this very state may be on its way to a learner: it must not be written again under its name.
        let is_news = self.applied > self.replication.newest_snapshot().index && !self.is_sealed();
        if self.snapshots.taking.is_some() || self.execution.wants_snapshot() || !is_news {
            return;
        }
        if let Some(epoch) = self.replication.log().epoch_at(self.applied) {
            self.begin_snapshot(EntryId { index: self.applied, epoch }, self.applied_time, observer);
        }
    }

    /// Whether the log waits for an image that nobody makes: then it would grow for ever. Never.
    #[must_use]
    pub fn awaits_lost_image(&self) -> bool {
        let awaits = self.replication.primary_backup().is_some_and(Replica::takes_snapshot);
        awaits && self.snapshots.taking.is_none() && !self.execution.wants_snapshot()
    }

    /// Begins an image of the state as it is, which is that after `at`.
    pub(super) fn begin_snapshot(
        &mut self,
        at: EntryId,
        time: Timestamp,
        observer: &mut impl GroupObserver<M>,
    ) {
        let name = SnapshotName { group: self.id, id: at, time };
        self.snapshots.is_abandoned = false;
        let state = self.state.here_mut().expect("a snapshot begins while the machine is here");
        state.snapshot_begin();
        let preamble = image::preamble(self.configuration_of_image(at).as_ref());
        self.snapshots.taking = Some(Taking { name, preamble, sent: 0, written: 0, complete: false });
        observer.snapshot_begun(self, at);
    }

    /// Hands the next piece of the image to the archive. A little per turn: commands go on meanwhile. Not
    /// while the machine is in the middle of one.
    pub(super) fn continue_snapshot(&mut self, out: &mut Out<GroupEffect>) {
        let Some(state) = self.state.here_mut() else { return };
        if std::mem::take(&mut self.snapshots.is_abandoned) {
            state.snapshot_abandon();
        }
        let Some(taking) = self.snapshots.taking.as_mut().filter(|taking| taking.has_room()) else { return };
        let mut data = Vec::with_capacity(CHUNK + CHUNK / 4);
        data.extend_from_slice(&std::mem::take(&mut taking.preamble));
        let more = state.snapshot_read(CHUNK, &mut data);
        let (name, offset) = (taking.name, taking.sent);
        taking.sent += data.len() as u64;
        taking.complete = !more;
        out.archive.push(ArchiveJob::Write { name, offset, data: data.into() });
        if !more {
            out.archive.push(ArchiveJob::Finish { name });
        }
    }

    /// A piece of a snapshot arrived from the primary: to the archive, and into a new state machine.
    pub(super) fn receive_chunk(
        &mut self,
        chunk: Chunk,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) {
        let name = SnapshotName { group: self.id, id: chunk.snapshot, time: chunk.time };
        if chunk.offset == 0 {
            let state = Some(Restoring::new(self.fresh_state()));
            self.snapshots.receiving = Some(Receiving { name, state });
            observer.snapshot_arrives(self, name.id);
        }
        if let Some(receiving) = self.snapshots.receiving.as_mut().filter(|receiving| receiving.name == name)
            && let Some(state) = receiving.state.as_mut()
            && let Err(error) = state.restore(&chunk.data)
        {
            let is_known = state.knows_its_level();
            receiving.state = None;
            observer.snapshot_spoiled(self, name.id, &error);
            out.effects.extend(is_known.err().map(GroupEffect::UnknownLevel));
        }
        out.archive.push(ArchiveJob::Write { name, offset: chunk.offset, data: chunk.data });
    }

    /// All pieces have arrived.
    pub(super) fn finish_receiving(
        &mut self,
        snapshot: EntryId,
        time: Timestamp,
        out: &mut Out<GroupEffect>,
    ) {
        let name = SnapshotName { group: self.id, id: snapshot, time };
        out.archive.push(ArchiveJob::Finish { name });
    }

    /// What the archive did, as an input for the replica.
    pub(super) fn understand(
        &mut self,
        event: ArchiveEvent,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) -> Option<Input> {
        match event {
            ArchiveEvent::Read { to, id, chunk, .. } => Some(Input::SnapshotRead { to, snapshot: id, chunk }),
            ArchiveEvent::EntriesRead { to, first, entries, .. } => {
                Some(Input::EntriesRead { to, first, entries })
            }
            ArchiveEvent::Written { name, written } if self.snapshots.is_taking(name) => {
                self.snapshots.taking.as_mut()?.written = written;
                None
            }
            ArchiveEvent::Written { name, written } => {
                Some(Input::SnapshotWritten { snapshot: name.id, wanted: written })
            }
            ArchiveEvent::Finished { name } if self.snapshots.is_taking(name) => {
                let bytes = self.snapshots.taking.take()?.sent;
                observer.snapshot_taken(self, name.id);
                if self.last_image_ended(name.id, Some(bytes)) {
                    return None;
                }
                Some(Input::SnapshotTaken { snapshot: name.id, time: name.time, bytes })
            }
            ArchiveEvent::Finished { name } => Some(self.install(name, observer, out)),
            ArchiveEvent::Failed { name } if self.snapshots.is_taking(name) => {
                // The next turn in which the machine is here gives it up.
                self.snapshots.is_abandoned = true;
                self.snapshots.taking = None;
                if self.last_image_ended(name.id, None) {
                    return None;
                }
                Some(Input::SnapshotFailed)
            }
            ArchiveEvent::Failed { name } => Some(self.spoiled(name)),
        }
    }

    /// Puts the received state in the place of the old one.
    fn install(
        &mut self,
        name: SnapshotName,
        observer: &mut impl GroupObserver<M>,
        out: &mut Out<GroupEffect>,
    ) -> Input {
        let receiving = self.snapshots.receiving.take_if(|receiving| receiving.name == name);
        let Some(state) = receiving.and_then(|receiving| receiving.state) else {
            return self.spoiled(name);
        };
        let (state, configuration) = match state.finish() {
            Ok(restored) => restored,
            Err(error) => {
                observer.snapshot_spoiled(self, name.id, &error);
                return self.spoiled(name);
            }
        };
        self.replication.snapshot_came_with(name.time, configuration);
        self.snapshots.taking = None;
        self.snapshots.is_abandoned = false;
        self.give_up_execution(out);
        self.state.replace(state);
        self.applied = name.id.index;
        self.applied_time = name.time;
        self.note_seal(out);
        observer.snapshot_installed(self, name.id);
        Input::SnapshotInstalled { snapshot: name.id }
    }

    fn spoiled(&mut self, name: SnapshotName) -> Input {
        self.snapshots.receiving = None;
        Input::SnapshotSpoiled { snapshot: name.id }
    }
}
