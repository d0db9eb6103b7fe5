//! Point-in-time images of the whole keyspace, made while commands go on.
//!
//! # Format
//!
//! All numbers are little-endian.
//!
//! ```text
//! image   := "1COPYKS" version:u8 seed:u64 seed:u64 clock:u64 first:u64 record* end
//! record  := 1:u8 db:u8 length:u64 slot:u16 block:u32 count:u32 entry*   length: of what follows it
//!          | 3:u8  0:u8 length:u64 count:u32 token*
//!          | 4:u8 db:u8 length:u64 slot:u16 position:u32 part:u32 byte*   a part of a large value
//!          | 5:u8  0:u8 length:u64 process:u128 number:u64 since:u64 count:u32 watched*   a watch
//!          | 6:u8 db:u8 length:u64 place:u64 process:u128 number:u64 coordinator:u128 sequence:u64
//!            flags:u8 [until:u64] [bytes command:u64] [key] wants:u8 count:u32 key* count:u32 bytes*
//!                                                              a waiter; bit 0 of flags: RESP3; 1: it ends;
//!                                                              2: it has a token; 3: and a target
//!          | 7:u8  0:u8 length:u64 next:u64 count:u32 (coordinator:u128 since:u64)*
//!                                                              who is absent
//!          | 8:u8  0:u8 length:u64 loaded:u8 bytes             a script
//!          | 9:u8  0:u8 length:u64 bytes bytes count:u32 function*
//!                                                              a library: its name, its text
//!          | 10:u8 0:u8 length:u64 coordinator:u128 number:u64 count:u32 (sort:u8 bytes)*   a listener
//!          | 11:u8 0:u8 length:u64 coordinator:u128 epoch:u64 put:u64 flags:u8
//!            [process:u128 number:u64 sequence:u64 known:u64] [since:u64] count:u32 message*
//!                                                              a feed; bit 0 of flags: it is fetched; 1: its
//!                                                              coordinator is absent
//!          | 12:u8 0:u8 length:u64 epochs:u64                  how many feeds have begun
//!          | 13:u8 0:u8 length:u64 classes:u16                 which events are published
//!          | 14:u8, as 11:u8, of changes                       a feed of keys that change
//!          | 15:u8, as 12:u8                                   how many of these have begun
//!          | 16:u8 0:u8 length:u64 last:u64 count:u32 departure* count:u32 arrivals*
//!                                                              keys that go to other groups, and those that
//!                                                              came from some
//! entry   := key kind:u8 [expires:u64] [value]                 bit 7 of kind: it expires; bit 6: its value
//!                                                              is large
//! value   := integer:i64 | bytes                               kinds 0 and 1: a string
//!          | count:u32 bytes*                                  2: a list; 4: a set
//!          | count:u32 (bytes bytes)*                          3: a hash
//!          | count:u32 (bytes score:f64)*                      5: a sorted set
//!          | count:u32 bytes*                                  6: a stream, item by item
//!                                                              (value/stream/items.rs)
//! token   := bytes expires:u64 command:u64 (0:u8 | 1:u8 bytes) what was executed under it, and the answer
//!                                                              if it is kept
//! watched := db:u8 seen:u8 key                                 bit 0 of seen: it was there; bit 1: unchanged
//! message := sort:u8 bytes bytes                              its channel, what was said
//! change  := (`tracking/change.rs`)                            a key that has changed
//! departure := number:u64 db:u8 bytes group:u64 db:u8 since:u64  which key, where to, since when
//! arrivals := group:u64 below:u64 count:u32 (number:u64 taken:u8)*
//! function := bytes described:u8 bytes flags:u8                its name, and what it says of itself
//! key, bytes := length:u32 byte*
//! end     := 2:u8 digest:u64 checksum:u64                      xxh3 of everything before the checksum
//! ```
//!
//! A record is a block of 1,024 keys of one slot (the last block of a slot has fewer), or some tokens. The
//! records of a database come in the order of slots and blocks, the entries within one and the elements
//! within a value in the order of their positions: it decides which element a random choice picks, so it is
//! state. Tokens come in the order in which they were used, and `first` is the number of the first. Watches,
//! waiters, scripts, libraries, listeners and feeds come behind the header: they are few, and are serialized
//! all at once when the image is begun.
//!
//! # What vouches for what
//!
//! The value of an entry that occupies more than 16 KiB is large: it is not there, but follows behind the
//! block, in parts of 64 KiB, cut anywhere; the large values of a block in the order of their entries.
//!
//! The checksum vouches for the bytes. The digest vouches for what has been made of them: it is the sum of
//! the hashes of every block, part, token, watch, waiter, script and so on, as it was serialized, and of
//! the header. Whoever restores the image serializes what has been built in memory once more, and compares
//! the sums: they agree only if both hold the same, in the same order, to the bit.
//!
//! # Limits
//!
//! What takes longest at once is a block: a thousand keys with values of at most 16 KiB. What is about to
//! change is serialized first, or, if it is a large value, copied, and held in memory until its turn comes:
//! in the worst case, when everything changes before the image is read, that is one copy of the data.

mod decode;
pub(crate) mod encode;
pub(crate) mod large;

use bytes::{Buf, BytesMut};
use onecopy_core::Timestamp;
use xxhash_rust::xxh3::Xxh3;

pub(crate) use decode::Restore;

use self::large::Cursor;
use crate::channels::Channels;
use crate::database::Database;
use crate::moves::Moves;
use crate::notifications::Flags;
use crate::scripts::Scripts;
use crate::seed::Seed;
use crate::tokens::Tokens;
use crate::tracking::Tracking;
use crate::waiters::Waiters;
use crate::watches::Watches;

const MAGIC: &[u8; 7] = b"1COPYKS";
const VERSION: u8 = 9;
const RECORD: u8 = 1;
const END: u8 = 2;
const TOKENS: u8 = 3;
const PART: u8 = 4;
const WATCH: u8 = 5;
const WAITER: u8 = 6;
const ABSENT: u8 = 7;
const SCRIPT: u8 = 8;
const LIBRARY: u8 = 9;
const LISTENER: u8 = 10;
const FEED: u8 = 11;
const EPOCHS: u8 = 12;
const NOTIFIED: u8 = 13;
const TRACKED: u8 = 14;
const TRACKED_EPOCHS: u8 = 15;
const MOVES: u8 = 16;
/// What is said of a waiter.
const IS_RESP3: u8 = 1;
const ENDS: u8 = 1 << 1;
const HAS_TOKEN: u8 = 1 << 2;
const HAS_TARGET: u8 = 1 << 3;
/// What is said of a feed.
const IS_FETCHED: u8 = 1;
const IS_ABSENT: u8 = 1 << 1;
/// What is said of a watched key.
const WAS_THERE: u8 = 1;
const STANDS: u8 = 1 << 1;
const EXPIRES: u8 = 0x80;
const LARGE: u8 = 0x40;

/// What kind of value an entry has.
mod kind {
    pub(super) const INTEGER: u8 = 0;
    pub(super) const RAW: u8 = 1;
    pub(super) const LIST: u8 = 2;
    pub(super) const HASH: u8 = 3;
    pub(super) const SET: u8 = 4;
    pub(super) const ZSET: u8 = 5;
    pub(super) const STREAM: u8 = 6;
}

/// What an image has beside keys and tokens.
pub(crate) struct Beside<'a> {
    pub(crate) watches: &'a Watches,
    pub(crate) waiters: &'a Waiters,
    pub(crate) scripts: &'a Scripts,
    pub(crate) channels: &'a Channels,
    pub(crate) tracking: &'a Tracking,
    pub(crate) moves: &'a Moves,
    pub(crate) notified: Flags,
}

/// The same, to be restored.
pub(crate) struct BesideMut<'a> {
    pub(crate) watches: &'a mut Watches,
    pub(crate) waiters: &'a mut Waiters,
    pub(crate) scripts: &'a mut Scripts,
    pub(crate) channels: &'a mut Channels,
    pub(crate) tracking: &'a mut Tracking,
    pub(crate) moves: &'a mut Moves,
    pub(crate) notified: &'a mut Flags,
}

/// A part of an image.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    /// Some records.
    pub(crate) bytes: BytesMut,
    /// The sum of the hashes of everything in them.
    pub(crate) digest: u64,
}

impl Part {
    /// Moves what `other` has so far to the end of this one.
    pub(crate) fn take(&mut self, other: &mut Self) {
        self.bytes.unsplit(other.bytes.split());
        self.digest = self.digest.wrapping_add(std::mem::take(&mut other.digest));
    }
}

/// Appends everything of a database to `part`; `written` is called after each of its records.
pub(crate) fn write_database(
    number: u8,
    database: &Database,
    part: &mut Part,
    mut written: impl FnMut(&mut Part),
) {
    database.each_block(|(slot, block), view| {
        let positions = view.block(block);
        let objects = positions.clone().filter_map(|position| view.at(position));
        let large = encode::block(number, (slot, block), positions.len(), objects, part);
        written(part);
        for position in large.into_iter().map(|position| positions.start + position) {
            let Some(object) = view.at(position) else { continue };
            let (mut cursor, mut is_last) = (Cursor::default(), false);
            while !is_last {
                is_last = cursor.write(number, (slot, position), object.value, part);
                written(part);
            }
        }
    });
}

/// The digest that an image of this state has.
pub(crate) fn digest(
    (seed, clock): (Seed, Timestamp),
    databases: &[Option<Box<Database>>],
    tokens: &Tokens,
    beside: &Beside<'_>,
) -> u64 {
    let mut part = encode::header(seed, clock, tokens.first());
    encode::beside(beside, &mut part);
    part.bytes.clear();
    for (database, number) in databases.iter().zip(0u8..) {
        let Some(database) = database else { continue };
        write_database(number, database, &mut part, |part| part.bytes.clear());
    }
    for (number, executed) in tokens.range(0..tokens.len()) {
        part.bytes.clear();
        encode::tokens(number, std::iter::once(executed), &mut part);
    }
    part.digest
}

/// An image in the making.
pub(crate) struct Image {
    /// Databases that were flushed since the image was begun, but that it still needs.
    detached: Vec<Database>,
    /// What is serialized but not yet read, with the digest of everything serialized so far.
    out: Part,
    checksum: Xxh3,
    /// The end has been put into `out`.
    ended: bool,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("unread", &self.out.bytes.len())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl Image {
    /// An image that begins with `header`, and what there is beside keys and tokens.
    pub(crate) fn new(mut header: Part, beside: &Beside<'_>) -> Self {
        encode::beside(beside, &mut header);
        let mut checksum = Xxh3::new();
        checksum.update(&header.bytes);
        Self { detached: Vec::new(), out: header, checksum, ended: false }
    }

    /// Keeps a database that is flushed; it is [released](Self::release) when the image does not need it any
    /// more.
    pub(crate) fn detach(&mut self, database: Database) {
        self.detached.push(database);
    }

    /// The detached databases that it does not need any more.
    pub(crate) fn release(&mut self) -> Vec<Database> {
        self.detached.extract_if(.., |database| !database.is_imaging()).collect()
    }

    /// All of them: the image is given up.
    pub(crate) fn give_up(self) -> Vec<Database> {
        self.detached
    }

    /// Appends up to `bytes_max` bytes to `chunk`; whether there is more.
    pub(crate) fn read(
        &mut self,
        databases: &mut [Option<Box<Database>>],
        tokens: &mut Tokens,
        bytes_max: usize,
        chunk: &mut Vec<u8>,
    ) -> bool {
        let mut room = bytes_max.max(1);
        loop {
            let bytes = &mut self.out.bytes;
            let count = room.min(bytes.len());
            chunk.extend_from_slice(&bytes[..count]);
            bytes.advance(count);
            room -= count;
            if room == 0 || self.ended {
                return !(self.ended && bytes.is_empty());
            }
            self.serialize(databases, tokens);
        }
    }

    /// Puts the next part into `out`, which has no bytes left.
    fn serialize(&mut self, databases: &mut [Option<Box<Database>>], tokens: &mut Tokens) {
        let attached = databases.iter_mut().flatten().map(Box::as_mut);
        let mut sources = attached.chain(self.detached.iter_mut());
        let out = &mut self.out;
        if sources.any(|database| database.image_next(out)) || tokens.image_next(out) {
            self.checksum.update(&self.out.bytes);
        } else {
            encode::end(&mut self.checksum, &mut self.out);
            self.ended = true;
        }
    }
}
