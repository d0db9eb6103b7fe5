//! The snapshot thread: it reads and writes snapshot files, so that neither the log nor the event loop waits for
//! them.

use std::collections::HashMap;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use bytes::Bytes;
use onecopy_core::transfer::{CHUNK, Chunk};
use onecopy_core::{EntryId, GroupId, NodeId, Timestamp};
use onecopy_storage::{RealFileSystem, SnapshotError, SnapshotReader, SnapshotWriter, Snapshots};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Name {
    pub(crate) group: GroupId,
    pub(crate) id: EntryId,
    pub(crate) time: Timestamp,
}

/// What the archive tells the owner of a group.
#[derive(Debug)]
pub(crate) enum ArchiveEvent {
    /// A piece has been written; `written` is the offset after it.
    Written { name: Name, written: u64 },
    /// The snapshot is durable.
    Finished { name: Name },
    /// The snapshot could not be written.
    Failed { name: Name },
    /// A piece of a snapshot for another replica; `None` if there is no such snapshot (any more).
    Read { group: GroupId, to: NodeId, id: EntryId, chunk: Option<Chunk> },
}

/// Hands work to the snapshot thread.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    jobs: Sender<(Job, UnboundedSender<ArchiveEvent>)>,
    events: UnboundedSender<ArchiveEvent>,
}

#[derive(Debug)]
enum Job {
    Write { name: Name, offset: u64, data: Bytes },
    Finish { name: Name },
    Read { group: GroupId, to: NodeId, id: EntryId, offset: u64 },
    Keep { group: GroupId, id: EntryId },
}

impl Archive {
    /// Starts the snapshot thread. It ends when all archives of it are gone.
    pub(crate) fn start(
        snapshots: Snapshots<RealFileSystem>,
        events: UnboundedSender<ArchiveEvent>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = channel();
        let keeper = Keeper { snapshots, queue, writing: HashMap::new(), reading: None };
        let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || keeper.run())?;
        Ok((Self { jobs, events }, thread))
    }

    /// The same thread, for another owner.
    pub(crate) fn for_owner(&self, events: UnboundedSender<ArchiveEvent>) -> Self {
        Self { jobs: self.jobs.clone(), events }
    }

    fn submit(&self, job: Job) {
        // The thread ends after its archives.
        let _ = self.jobs.send((job, self.events.clone()));
    }

    /// Appends a piece; one at offset 0 begins a snapshot. Answered by [`ArchiveEvent::Written`].
    pub(crate) fn write(&self, name: Name, offset: u64, data: Bytes) {
        self.submit(Job::Write { name, offset, data });
    }

    /// Makes a snapshot durable. Answered by [`ArchiveEvent::Finished`].
    pub(crate) fn finish(&self, name: Name) {
        self.submit(Job::Finish { name });
    }

    /// Reads a piece for another replica. Answered by [`ArchiveEvent::Read`].
    pub(crate) fn read(&self, group: GroupId, to: NodeId, id: EntryId, offset: u64) {
        self.submit(Job::Read { group, to, id, offset });
    }

    /// Removes all snapshots of a group that are older than this one.
    pub(crate) fn keep(&self, group: GroupId, id: EntryId) {
        self.submit(Job::Keep { group, id });
    }
}

struct Keeper {
    snapshots: Snapshots<RealFileSystem>,
    queue: Receiver<(Job, UnboundedSender<ArchiveEvent>)>,
    writing: HashMap<Name, SnapshotWriter<RealFileSystem>>,
    /// The one that was read last stays open: its other pieces are asked for next.
    reading: Option<SnapshotReader<RealFileSystem>>,
}

impl Keeper {
    fn run(mut self) {
        while let Ok((job, events)) = self.queue.recv() {
            let event = match job {
                Job::Write { name, offset, data } => self.write(name, offset, &data),
                Job::Finish { name } => Some(self.finish(name)),
                Job::Read { group, to, id, offset } => Some(self.read(group, to, id, offset)),
                Job::Keep { group, id } => {
                    if let Err(error) = self.snapshots.remove_older(group, id) {
                        warn!(%group, %error, "old snapshots could not be removed");
                    }
                    None
                }
            };
            if let Some(event) = event {
                // An owner that is gone does not care any more.
                let _ = events.send(event);
            }
        }
    }

    fn write(&mut self, name: Name, offset: u64, data: &[u8]) -> Option<ArchiveEvent> {
        let written = self.try_write(name, offset, data);
        match written {
            Ok(written) => Some(ArchiveEvent::Written { name, written: written? }),
            Err(error) => {
                warn!(group = %name.group, snapshot = %name.id, %error, "a snapshot could not be written");
                self.writing.remove(&name);
                Some(ArchiveEvent::Failed { name })
            }
        }
    }

    /// `None` when the beginning of the snapshot failed before: that has been reported.
    fn try_write(&mut self, name: Name, offset: u64, data: &[u8]) -> Result<Option<u64>, SnapshotError> {
        if offset == 0 {
            self.writing.retain(|other, _| other.group != name.group);
            self.writing.insert(name, self.snapshots.create(name.group, name.id, name.time)?);
        }
        let Some(writer) = self.writing.get_mut(&name) else { return Ok(None) };
        writer.write(data)?;
        Ok(Some(writer.written()))
    }

    fn finish(&mut self, name: Name) -> ArchiveEvent {
        match self.writing.remove(&name).map(SnapshotWriter::finish) {
            Some(Ok(_)) => ArchiveEvent::Finished { name },
            Some(Err(error)) => {
                warn!(group = %name.group, snapshot = %name.id, %error, "a snapshot could not be finished");
                ArchiveEvent::Failed { name }
            }
            None => ArchiveEvent::Failed { name },
        }
    }

    fn read(&mut self, group: GroupId, to: NodeId, id: EntryId, offset: u64) -> ArchiveEvent {
        let chunk = match self.try_read(group, id, offset) {
            Ok(chunk) => Some(chunk),
            Err(error) => {
                warn!(%group, snapshot = %id, %to, %error, "a snapshot cannot be sent");
                None
            }
        };
        ArchiveEvent::Read { group, to, id, chunk }
    }

    fn try_read(&mut self, group: GroupId, id: EntryId, offset: u64) -> Result<Chunk, SnapshotError> {
        let open = |reader: &SnapshotReader<_>| reader.name().group == group && reader.name().id == id;
        let reader = match self.reading.take().filter(open) {
            Some(reader) => reader,
            None => self.snapshots.read(group, id)?,
        };
        let data = reader.read_at(offset, CHUNK)?;
        let last = offset + data.len() as u64 >= reader.image_len();
        let chunk = Chunk { snapshot: id, time: reader.time(), offset, data, last };
        self.reading = Some(reader);
        Ok(chunk)
    }
}
