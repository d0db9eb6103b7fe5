//! The snapshot thread: it reads and writes snapshot files, and reads old entries back from the log, so that
//! neither the log nor the event loop waits for them.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use onecopy_core::chunks::{CHUNK, Chunk};
use onecopy_core::{Entry, EntryId, GroupId, NodeId};
use onecopy_host::{ArchiveEvent, ArchiveJob, SnapshotName};
use onecopy_storage::{Entries, RealFileSystem, SnapshotError, SnapshotReader, SnapshotWriter, Snapshots};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use crate::journal::Locator;

/// Hands work to the snapshot thread.
#[derive(Clone, Debug)]
pub(crate) struct Archive {
    jobs: Sender<(ArchiveJob, UnboundedSender<ArchiveEvent>)>,
    events: UnboundedSender<ArchiveEvent>,
    written: Arc<AtomicU64>,
}

impl Archive {
    /// Starts the snapshot thread. It ends when all archives of it are gone.
    pub(crate) fn start(
        snapshots: Snapshots<RealFileSystem>,
        log: Locator,
        events: UnboundedSender<ArchiveEvent>,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (jobs, queue) = channel();
        let entries = Entries::new(RealFileSystem);
        let written = Arc::new(AtomicU64::new(0));
        let counter = written.clone();
        let keeper =
            Keeper { snapshots, log, queue, counter, writing: HashMap::new(), reading: None, entries };
        let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(move || keeper.run())?;
        Ok((Self { jobs, events, written }, thread))
    }

    /// The same thread, for another owner.
    pub(crate) fn for_owner(&self, events: UnboundedSender<ArchiveEvent>) -> Self {
        Self { events, ..self.clone() }
    }

    /// How many bytes of snapshots this process has written.
    pub(crate) fn written(&self) -> Arc<AtomicU64> {
        self.written.clone()
    }

    /// Hands in a job. Answered as [`ArchiveJob`] says.
    pub(crate) fn submit(&self, job: ArchiveJob) {
        // The thread ends after its archives.
        let _ = self.jobs.send((job, self.events.clone()));
    }
}

struct Keeper {
    snapshots: Snapshots<RealFileSystem>,
    queue: Receiver<(ArchiveJob, UnboundedSender<ArchiveEvent>)>,
    writing: HashMap<SnapshotName, SnapshotWriter<RealFileSystem>>,
    /// The one that was read last stays open: its other pieces are asked for next.
    reading: Option<SnapshotReader<RealFileSystem>>,
    /// Bytes written.
    counter: Arc<AtomicU64>,
    log: Locator,
    entries: Entries<RealFileSystem>,
}

impl Keeper {
    fn run(mut self) {
        while let Ok((job, events)) = self.queue.recv() {
            let event = match job {
                ArchiveJob::Write { name, offset, data } => self.write(name, offset, &data),
                ArchiveJob::Finish { name } => Some(self.finish(name)),
                ArchiveJob::Read { group, to, id, offset } => Some(self.read(group, to, id, offset)),
                ArchiveJob::ReadEntries { group, to, first, bytes_max } => {
                    let entries = self.read_entries(group, first, bytes_max);
                    Some(ArchiveEvent::EntriesRead { group, to, first, entries })
                }
                ArchiveJob::Keep { group, id } => {
                    if let Err(error) = self.snapshots.remove_older(group, id) {
                        warn!(%group, %error, "old snapshots could not be removed");
                    }
                    None
                }
                ArchiveJob::Forget { group } => {
                    self.writing.retain(|name, _| name.group != group);
                    self.reading = None;
                    if let Err(error) = self.snapshots.remove_group(group) {
                        warn!(%group, %error, "the snapshots of a dropped database could not be removed");
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

    fn write(&mut self, name: SnapshotName, offset: u64, data: &[u8]) -> Option<ArchiveEvent> {
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
    fn try_write(
        &mut self,
        name: SnapshotName,
        offset: u64,
        data: &[u8],
    ) -> Result<Option<u64>, SnapshotError> {
        if offset == 0 {
            self.writing.retain(|other, _| other.group != name.group);
            self.writing.insert(name, self.snapshots.create(name.group, name.id, name.time)?);
        }
        let Some(writer) = self.writing.get_mut(&name) else { return Ok(None) };
        writer.write(data)?;
        self.counter.fetch_add(data.len() as u64, Ordering::Relaxed);
        Ok(Some(writer.written()))
    }

    fn finish(&mut self, name: SnapshotName) -> ArchiveEvent {
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

    fn read_entries(&mut self, group: GroupId, first: EntryId, bytes_max: usize) -> Vec<Entry> {
        // Gone, since there is a snapshot, if it is nowhere.
        let Some(location) = self.log.locate(group, first.index) else { return Vec::new() };
        self.entries.read(location, first, bytes_max).unwrap_or_else(|error| {
            warn!(%group, %first, %error, "entries of the log cannot be read back");
            Vec::new()
        })
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
