//! Snapshots in chunks: what the sender and the receiver of a snapshot remember.
//!
//! The sender keeps one chunk in flight per [`WINDOW`], the receiver acknowledges the offset up to which it
//! has everything. Chunks that come twice or too early are answered with the offset that is wanted, so that
//! loss, reordering and a restart of either side cost repeated bytes but never a wrong image: a chunk names
//! the snapshot that it belongs to, and the file at the receiver has a checksum of its own.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::entry::EntryId;
use crate::id::NodeId;
use crate::time::{Instant, Timestamp};

/// How many bytes a chunk has at most.
pub const CHUNK: usize = 256 * 1024;

/// How many chunks may be on their way at once.
pub const WINDOW: u64 = 4;

/// How often a receiver says that it wants the same before that is sent again without waiting for a timeout.
const REPEATS: u32 = 3;

/// One piece of a snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chunk {
    /// The last entry that the snapshot covers.
    pub snapshot: EntryId,
    /// The time of that entry.
    pub time: Timestamp,
    /// Where the piece begins, in bytes.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
    /// Whether the snapshot ends with this piece.
    pub last: bool,
}

impl std::fmt::Debug for Chunk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = if self.last { ", last" } else { "" };
        write!(f, "Chunk({} at {}, {} B{end})", self.snapshot, self.offset, self.data.len())
    }
}

/// The sending side, for one receiver.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Outgoing {
    /// Who gets it.
    pub to: NodeId,
    /// The last entry that the snapshot covers.
    pub snapshot: EntryId,
    /// Everything below is known to have arrived.
    acknowledged: u64,
    /// What the receiver wanted last. Lower than `acknowledged` if it has lost what it had.
    wanted: u64,
    /// Everything below has been asked for from the disk, and sent or will be.
    requested: u64,
    /// The last chunk has been sent: there is nothing to ask for.
    exhausted: bool,
    /// When something was last asked for or acknowledged.
    moved: Instant,
    /// How often the receiver has wanted the same since something moved.
    repeated: u32,
}

impl Outgoing {
    /// Starts at the beginning.
    #[must_use]
    pub fn new(to: NodeId, snapshot: EntryId, now: Instant) -> Self {
        Self {
            to,
            snapshot,
            acknowledged: 0,
            wanted: 0,
            requested: 0,
            exhausted: false,
            moved: now,
            repeated: 0,
        }
    }

    /// The offset of the next chunk to read from the disk and send, if the window allows one more.
    pub fn next(&mut self, now: Instant) -> Option<u64> {
        let in_flight = self.requested - self.acknowledged;
        if self.exhausted || in_flight >= WINDOW * CHUNK as u64 {
            return None;
        }
        let offset = self.requested;
        self.requested += CHUNK as u64;
        self.moved = now;
        Some(offset)
    }

    /// The chunk that ends the snapshot is on its way.
    pub fn sent_last(&mut self) {
        self.exhausted = true;
    }

    /// How many bytes are known to have arrived.
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.acknowledged
    }

    /// The receiver has everything below `offset`. One that asks for the beginning although it had more has
    /// lost what it had, because it was restarted: it gets everything again. Returns whether something has
    /// moved.
    pub fn acknowledge(&mut self, now: Instant, offset: u64) -> bool {
        self.wanted = offset;
        let moves = offset > self.acknowledged;
        if moves {
            self.acknowledged = offset;
            self.requested = self.requested.max(offset);
            self.moved = now;
            self.repeated = 0;
        } else if offset == self.acknowledged {
            // What it wants was overtaken, or lost. Once: what else is on its way makes it say so again.
            self.repeated += 1;
            if self.repeated == REPEATS {
                self.rewind(now);
            }
        }
        moves
    }

    /// When something last moved. A sender for which this lies too far back calls [`Outgoing::rewind`].
    #[must_use]
    pub fn moved(&self) -> Instant {
        self.moved
    }

    /// Sends again everything from what the receiver wanted last: what was not acknowledged, or all of it to
    /// one that was restarted.
    pub fn rewind(&mut self, now: Instant) {
        self.acknowledged = self.wanted;
        self.requested = self.wanted;
        self.exhausted = false;
        self.moved = now;
    }
}

/// The receiving side.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Incoming {
    /// The last entry that the snapshot covers.
    pub snapshot: EntryId,
    /// The time of that entry.
    pub time: Timestamp,
    /// The offset of the chunk that is wanted next.
    pub wanted: u64,
}

/// What to do with a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the wanted one: write it.
    Write,
    /// It has come before, or too early: tell the sender what is wanted.
    Skip,
}

impl Incoming {
    /// Starts with the first chunk of a snapshot.
    #[must_use]
    pub fn new(chunk: &Chunk) -> Self {
        Self { snapshot: chunk.snapshot, time: chunk.time, wanted: 0 }
    }

    /// Judges a chunk of this snapshot, and if it is the wanted one, wants the next.
    pub fn accept(&mut self, chunk: &Chunk) -> Verdict {
        if chunk.offset != self.wanted {
            return Verdict::Skip;
        }
        self.wanted += chunk.data.len() as u64;
        Verdict::Write
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(offset: u64, length: usize, last: bool) -> Chunk {
        let data = Bytes::from(vec![0; length]);
        Chunk { snapshot: EntryId::new(5, 1), time: Timestamp(9), offset, data, last }
    }

    #[test]
    fn the_window_bounds_what_is_in_flight() {
        let mut outgoing = Outgoing::new(NodeId(2), EntryId::new(5, 1), Instant::ZERO);
        for expected in 0..WINDOW {
            assert_eq!(outgoing.next(Instant::ZERO), Some(expected * CHUNK as u64));
        }
        assert_eq!(outgoing.next(Instant::ZERO), None);
        outgoing.acknowledge(Instant(1), CHUNK as u64);
        assert_eq!(outgoing.next(Instant(1)), Some(WINDOW * CHUNK as u64));
    }

    #[test]
    fn a_rewind_sends_again_what_was_lost() {
        let mut outgoing = Outgoing::new(NodeId(2), EntryId::new(5, 1), Instant::ZERO);
        outgoing.next(Instant::ZERO);
        outgoing.next(Instant::ZERO);
        outgoing.sent_last();
        assert_eq!(outgoing.next(Instant::ZERO), None);
        outgoing.acknowledge(Instant(1), CHUNK as u64);
        outgoing.rewind(Instant(2));
        assert_eq!(outgoing.next(Instant(2)), Some(CHUNK as u64));
    }

    #[test]
    fn what_was_overtaken_is_sent_again_at_once() {
        let mut outgoing = Outgoing::new(NodeId(2), EntryId::new(5, 1), Instant::ZERO);
        while outgoing.next(Instant::ZERO).is_some() {}
        assert!(outgoing.acknowledge(Instant(1), CHUNK as u64));
        assert_eq!(outgoing.next(Instant(1)), Some(WINDOW * CHUNK as u64));
        assert!(!outgoing.acknowledge(Instant(2), CHUNK as u64));
        assert_eq!(outgoing.next(Instant(2)), None, "it may be on its way");
        outgoing.acknowledge(Instant(3), CHUNK as u64);
        outgoing.acknowledge(Instant(3), CHUNK as u64);
        for offset in 1..=WINDOW {
            assert_eq!(outgoing.next(Instant(3)), Some(offset * CHUNK as u64));
        }
        outgoing.acknowledge(Instant(4), CHUNK as u64);
        outgoing.acknowledge(Instant(5), CHUNK as u64);
        outgoing.acknowledge(Instant(5), CHUNK as u64);
        assert_eq!(outgoing.next(Instant(5)), None, "once is enough");
    }

    #[test]
    fn a_rewind_goes_back_to_what_a_restarted_receiver_wants() {
        let mut outgoing = Outgoing::new(NodeId(2), EntryId::new(5, 1), Instant::ZERO);
        outgoing.next(Instant::ZERO);
        outgoing.acknowledge(Instant(1), CHUNK as u64);
        // Not at once: it may be an old answer that was overtaken.
        outgoing.acknowledge(Instant(2), 0);
        assert_eq!(outgoing.moved(), Instant(1));
        assert_eq!(outgoing.next(Instant(2)), Some(CHUNK as u64));
        outgoing.rewind(Instant(3));
        assert_eq!(outgoing.next(Instant(3)), Some(0));
    }

    #[test]
    fn chunks_are_taken_once_and_in_order() {
        let mut incoming = Incoming::new(&chunk(0, 10, false));
        assert_eq!(incoming.accept(&chunk(10, 10, false)), Verdict::Skip);
        assert_eq!(incoming.accept(&chunk(0, 10, false)), Verdict::Write);
        assert_eq!(incoming.accept(&chunk(0, 10, false)), Verdict::Skip);
        assert_eq!(incoming.accept(&chunk(10, 5, true)), Verdict::Write);
        assert_eq!(incoming.wanted, 15);
    }
}
