//! A running process, and what its driver has not done yet.

use std::collections::VecDeque;

use bytes::Bytes;
use onecopy_core::chunks::{CHUNK, Chunk};
use onecopy_core::{Entry, EntryId, Ticket, Timestamp, Write};

use crate::{Disk, Image, Machine};

/// A message on its way. `A` is how members of the group are addressed.
#[derive(Clone, Debug)]
pub struct Envelope<A, M> {
    /// The sender.
    pub from: A,
    /// The receiver.
    pub to: A,
    /// What is said.
    pub message: M,
}

/// Work that the driver does in its own time.
#[derive(Debug)]
enum Task<A> {
    Take(Image),
    Read { to: A, snapshot: EntryId, offset: u64 },
    ReadEntries { to: A, first: EntryId, bytes_max: usize },
    Written { snapshot: EntryId, end: u64 },
    Install { snapshot: EntryId },
}

/// What the driver has got done, for the protocol to hear of.
#[derive(Debug)]
pub enum Done<A> {
    /// The image of this snapshot is durable.
    Taken {
        /// Which.
        snapshot: EntryId,
        /// The time of its last entry.
        time: Timestamp,
        /// How many bytes of it mean something.
        bytes: u64,
    },
    /// Entries were read for another; none if they are gone.
    Entries {
        /// For whom.
        to: A,
        /// The one that was asked for.
        first: EntryId,
        /// That one, and some behind it.
        entries: Vec<Entry>,
    },
    /// A piece of the snapshot was read for another; `None` if the snapshot is gone.
    Read {
        /// For whom.
        to: A,
        /// Of which snapshot.
        snapshot: EntryId,
        /// The piece.
        chunk: Option<Chunk>,
    },
    /// A piece of a snapshot that is being received was written.
    Written {
        /// Of which snapshot.
        snapshot: EntryId,
        /// How many bytes of it there are now.
        end: u64,
    },
    /// The snapshot that was received is in force.
    Installed(Image),
    /// It is none.
    Unusable {
        /// Which it should have been.
        snapshot: EntryId,
    },
}

/// A process.
#[derive(Debug)]
pub struct Process<P, A, M> {
    /// What is tested.
    pub protocol: P,
    /// What it applies entries to.
    pub machine: Machine,
    /// Writes that are not durable yet.
    pub queue: VecDeque<(Ticket, Vec<Write>)>,
    /// Messages that wait for the disk.
    held: Vec<(Ticket, Envelope<A, M>)>,
    tasks: VecDeque<Task<A>>,
    /// The snapshot that is being received.
    received: Vec<u8>,
}

impl<P, A, M> Process<P, A, M> {
    /// One that has just been started.
    pub fn new(protocol: P, machine: Machine) -> Self {
        let (queue, held, tasks, received) = (VecDeque::new(), Vec::new(), VecDeque::new(), Vec::new());
        Self { protocol, machine, queue, held, tasks, received }
    }

    // ---- what the protocol wants --------------------------------------------------------------------------

    /// These writes, some time.
    pub fn persist(&mut self, ticket: Ticket, writes: Vec<Write>) {
        self.queue.push_back((ticket, writes));
    }

    /// This message, once the ticket is durable.
    pub fn hold(&mut self, after: Ticket, envelope: Envelope<A, M>) {
        self.held.push((after, envelope));
    }

    /// An image of what is applied, which must be `at`.
    ///
    /// # Panics
    /// When something else is.
    pub fn take_snapshot(&mut self, at: EntryId, time: Timestamp, extra: Bytes) {
        let machine = self.machine.clone();
        assert_eq!((machine.applied, machine.time), (at, time), "a snapshot of what is applied");
        self.tasks.push_back(Task::Take(Image { snapshot: at, time, extra, machine }));
    }

    /// A piece of a snapshot, for another.
    pub fn read_snapshot(&mut self, to: A, snapshot: EntryId, offset: u64) {
        self.tasks.push_back(Task::Read { to, snapshot, offset });
    }

    /// Entries from this one on, for another.
    pub fn read_entries(&mut self, to: A, first: EntryId, bytes_max: usize) {
        self.tasks.push_back(Task::ReadEntries { to, first, bytes_max });
    }

    /// This piece of a snapshot that is being received is to be written.
    ///
    /// # Panics
    /// When it does not follow the last one.
    pub fn write_snapshot(&mut self, chunk: &Chunk) {
        if chunk.offset == 0 {
            self.received.clear();
        }
        assert_eq!(chunk.offset, self.received.len() as u64, "a snapshot is written without gaps");
        assert!(chunk.data.len() <= CHUNK, "a chunk is not too large");
        self.received.extend_from_slice(&chunk.data);
        let end = self.received.len() as u64;
        self.tasks.push_back(Task::Written { snapshot: chunk.snapshot, end });
    }

    /// The snapshot that was received is to be loaded.
    pub fn install_snapshot(&mut self, snapshot: EntryId) {
        self.tasks.push_back(Task::Install { snapshot });
    }

    // ---- what the driver does -----------------------------------------------------------------------------

    /// Makes the oldest queued write durable. Its ticket, and the messages that waited for it.
    pub fn write_next(&mut self, disk: &mut Disk) -> Option<(Ticket, Vec<Envelope<A, M>>)> {
        let (ticket, writes) = self.queue.pop_front()?;
        disk.write(writes);
        let held = std::mem::take(&mut self.held);
        let (leave, stay) = held.into_iter().partition::<Vec<_>, _>(|(after, _)| *after <= ticket);
        self.held = stay;
        Some((ticket, leave.into_iter().map(|(_, envelope)| envelope).collect()))
    }

    /// Does the oldest task. Images have so much padding.
    pub fn work(&mut self, disk: &mut Disk, padding: usize) -> Option<Done<A>> {
        let done = match self.tasks.pop_front()? {
            Task::Take(image) => {
                let (snapshot, time, bytes) = (image.snapshot, image.time, image.bytes());
                disk.keep(image);
                Done::Taken { snapshot, time, bytes }
            }
            Task::Read { to, snapshot, offset } => {
                Done::Read { to, snapshot, chunk: disk.read(snapshot, offset, padding) }
            }
            Task::ReadEntries { to, first, bytes_max } => {
                Done::Entries { to, first, entries: disk.entries(first, bytes_max) }
            }
            Task::Written { snapshot, end } => Done::Written { snapshot, end },
            Task::Install { snapshot } => {
                let image = Image::decode(&self.received, padding);
                match image.filter(|image| image.snapshot == snapshot) {
                    Some(image) => {
                        self.machine = image.machine.clone();
                        disk.keep(image.clone());
                        Done::Installed(image)
                    }
                    None => Done::Unusable { snapshot },
                }
            }
        };
        Some(done)
    }

    /// Ends. Of its queued writes, the first `survive` have reached the disk.
    pub fn crash(self, disk: &mut Disk, survive: usize) {
        self.queue.into_iter().take(survive).for_each(|(_, writes)| disk.write(writes));
    }
}
