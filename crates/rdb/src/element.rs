//! What a value is made of.

/// The id of an entry of a stream: milliseconds, and a number.
pub type StreamId = (u64, u64);

/// How many entries a group of a stream has been given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntriesRead {
    /// So many.
    Count(i64),
    /// Nobody knows.
    Unknown,
    /// The version of Redis that wrote it did not count them.
    NotCounted,
}

/// A part of a value, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Element<'a> {
    /// All of a string.
    Text(&'a [u8]),
    /// The next element of a list.
    Item(&'a [u8]),
    /// A member of a set.
    Member(&'a [u8]),
    /// A field of a hash, and its value.
    Field(&'a [u8], &'a [u8]),
    /// A member of a sorted set, and its score, which is a number.
    Scored(&'a [u8], f64),
    /// The next entry of a stream: fields and values in turn.
    Entry(StreamId, &'a [&'a [u8]]),
    /// How far a stream has come: after its entries.
    Stream {
        /// The last id that was given.
        last: StreamId,
        /// The latest entry that was deleted.
        deleted: StreamId,
        /// How many entries have ever been added.
        added: u64,
    },
    /// A group of consumers of the stream.
    Group {
        /// Its name.
        name: &'a [u8],
        /// The last entry that it was given.
        last: StreamId,
        /// How many entries it has been given.
        read: EntriesRead,
    },
    /// An entry that the group was given, and that is not acknowledged.
    Pending {
        /// Which.
        id: StreamId,
        /// When it was delivered last, in milliseconds.
        delivered: u64,
        /// How often it was.
        deliveries: u64,
    },
    /// A consumer of the group: after everything that is pending.
    Consumer {
        /// Its name.
        name: &'a [u8],
        /// When it was seen last, in milliseconds.
        seen: u64,
        /// When it was given something last, if it ever was.
        active: Option<u64>,
    },
    /// An entry that is pending was given to the consumer.
    Owned(StreamId),
}
