//! What a primary knows of each other replica: what it holds, what is on its way to it, what it promised.

use std::collections::VecDeque;
use std::time::Duration;

use onecopy_core::{Entry, EntryId, Index, Instant, NodeId};

use crate::config::Config;
use crate::lease::Terms;
use crate::pace::Pace;
use crate::snapshot_transfer::SnapshotTransfer;

/// How many Prepares may be on their way after one was rejected. Enough for the usual pauses of a network,
/// and few enough that sending them again costs little.
const IN_FLIGHT_AFTER_REJECTION: usize = 32;

/// What the primary knows of another replica.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Peer {
    pub(crate) node: NodeId,
    pub(crate) is_member: bool,
    /// Everything up to here agrees and is durable there.
    pub(crate) matched: Index,
    /// After this entry it held what this primary holds (rule P10).
    pub(crate) checked: Index,
    /// The next entry to send.
    pub(crate) next: Index,
    /// The last sequence number used.
    sequence: u64,
    /// Rejections of Prepares up to this one have been dealt with.
    rewound_at: u64,
    /// Prepares on their way: their last index and their size.
    in_flight: VecDeque<(Index, usize)>,
    in_flight_bytes: usize,
    /// How many Prepares may be on their way. A rejection lowers it, and every acknowledgement doubles it: a
    /// network that loses or reorders would otherwise have the whole window sent again for every Prepare that
    /// comes out of turn.
    in_flight_max: usize,
    /// Entries from this one on are being read from the disk for it.
    pub(crate) awaits: Option<EntryId>,
    /// The snapshot that is being sent, while the log does not reach back far enough.
    pub(crate) transfer: Option<SnapshotTransfer>,
    /// How many there have been.
    pub(crate) transfers: u64,
    /// How many bytes of a snapshot it got in the last one.
    pub(crate) got: u64,
    /// When it last said anything.
    pub(crate) heard: Instant,
    /// How fast it acknowledges.
    pub(crate) pace: Pace,
    /// When it was last sent anything.
    pub(crate) sent: Instant,
    /// Until when its promise lets this primary read.
    pub(crate) promised_until: Instant,
    /// Its clock when it sent its last answer: that is what a lease for it counts from. And the clock here
    /// when it came.
    pub(crate) answered: Option<(Instant, Instant)>,
    /// It wants to hear at once what is committed.
    pub(crate) reads: bool,
    /// The commit index that it was last told.
    pub(crate) told: Index,
}

impl Peer {
    /// One of which nothing is known yet.
    pub(crate) fn new(node: NodeId, is_member: bool, now: Instant) -> Self {
        Self {
            node,
            is_member,
            matched: Index(0),
            checked: Index(0),
            next: Index(0),
            sequence: 0,
            rewound_at: 0,
            in_flight: VecDeque::new(),
            in_flight_bytes: 0,
            in_flight_max: usize::MAX,
            awaits: None,
            transfer: None,
            transfers: 0,
            got: 0,
            heard: now,
            pace: Pace::new(now),
            sent: now,
            promised_until: Instant::ZERO,
            answered: None,
            reads: false,
            told: Index(0),
        }
    }

    /// Whether more may be on its way to it: so many bytes at most, and a little beyond.
    pub(crate) fn has_room(&self, window_max: usize) -> bool {
        self.in_flight.len() < self.in_flight_max && self.in_flight_bytes < window_max
    }

    /// A Prepare leaves for it, with these entries and this commit index. Returns its sequence number.
    pub(crate) fn sends(&mut self, now: Instant, entries: &[Entry], commit: Index) -> u64 {
        self.sequence += 1;
        self.sent = now;
        self.told = commit;
        if let Some(last) = entries.last() {
            let size = entries.iter().map(Entry::size).sum();
            self.next = last.id.index.next();
            self.in_flight.push_back((last.id.index, size));
            self.in_flight_bytes += size;
        }
        self.sequence
    }

    /// How many bytes the Prepare has that it acknowledges next.
    pub(crate) fn next_bytes(&self) -> usize {
        self.in_flight.front().map_or(0, |(_, size)| *size)
    }

    /// Whether the rejection of this Prepare has been dealt with.
    pub(crate) fn was_rewound_for(&self, sequence: u64) -> bool {
        sequence <= self.rewound_at
    }

    /// Whether it holds everything through `last`, was told that it is committed, and nothing is on its way.
    pub(crate) fn has_heard_all(&self, last: Index) -> bool {
        let is_sent = self.next == last.next() && self.in_flight.is_empty();
        let is_fed = self.transfer.is_none() && self.awaits.is_none();
        is_sent && is_fed && self.matched == last && self.told == last
    }

    pub(crate) fn acknowledge(&mut self, durable: Index) {
        self.matched = self.matched.max(durable);
        let before = self.in_flight.len();
        while let Some((last, size)) = self.in_flight.front().copied() {
            if last > self.matched {
                break;
            }
            self.in_flight.pop_front();
            self.in_flight_bytes -= size;
        }
        if self.in_flight.len() < before {
            self.in_flight_max = self.in_flight_max.saturating_mul(2);
        }
    }

    /// Whether it can send a snapshot to another replica: it is a member that has said something lately, and
    /// lacks none itself.
    pub(crate) fn can_serve(&self, now: Instant, lately: Duration) -> bool {
        self.is_member && self.transfer.is_none() && self.matched > Index(0) && now.since(self.heard) < lately
    }

    pub(crate) fn take_terms(&mut self, now: Instant, terms: Terms, config: &Config) {
        self.reads = terms.reads;
        if self.answered.is_none_or(|(sent, _)| sent < terms.sent) {
            self.answered = Some((terms.sent, now));
        }
        if let Some(promise) = terms.lease {
            self.promised_until = self.promised_until.max(config.held_until(now, promise));
        }
    }

    pub(crate) fn rewind(&mut self, next: Index) {
        self.next = next;
        self.rewound_at = self.sequence;
        self.in_flight.clear();
        self.in_flight_bytes = 0;
        self.in_flight_max = IN_FLIGHT_AFTER_REJECTION;
    }
}
