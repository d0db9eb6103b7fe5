//! The encoding of commands and of responses between a coordinator and the state machine.
//!
//! A *segment* is a run of commands of one client connection, in one database; bodies of batches and
//! responses are made of segments and replies as [`onecopy_core::segments`] says. All numbers are
//! little-endian:
//!
//! ```text
//! segment  := db:u8 flags:u8 count:u32 length:u32 watch? waiter? listener? client? command* rights?
//!                                                              length: of the commands
//!                                                              bit 0 of flags: RESP3
//!                                                              bit 1: it is a transaction
//!                                                              bit 2: there is a watch
//!                                                              bit 3: there is a waiter
//!                                                              bit 4: there is a listener
//!                                                              bit 5: there are rights
//!                                                              bit 6: there is a client that caches
//!                                                              bit 7: it is no use of the keys
//! watch    := process:u128 number:u64                          whose keys it is about ([`WatchId`])
//! waiter   := process:u128 number:u64                          who waits, or waits no more ([`WaiterId`])
//! listener := number:u64                                       who subscribes ([`ListenerId`])
//! client   := coordinator:u128 number:u64                      whose feed the response is about; the number
//!                                                              is 0 if it is to hear of its own changes
//! rights   := length:u32 byte*                                 what its scripts may do (`rights`); all if
//!                                                              nothing is said
//! command  := argc:u32 (length:u32 byte*)*                     argument 0 is the command's name
//! reply    := one for each command, in order; of a transaction one array with all of them
//! ```
//!
//! A transaction is executed as a whole, or not at all (`transaction.rs`). Its watch
//! guards it; that of another segment is the one that its `WATCH` and `UNWATCH` are about.
//!
//! A segment with a waiter has one command, and is alone in its batch: then it may wait. Or its command has
//! no name and one argument, `TIMEOUT`, `ERROR` or `GONE`: that waiter is taken away, for this reason. Its
//! reply says whether it was there.
//!
//! Or its command is `LISTEN epoch count`, also without a name before: the coordinator fetches what was
//! published for its listeners ([`channels`](crate::channels)), and waits until there is something.
//!
//! `FOLLOW epoch count` is the same of keys that change ([`tracking`](crate::tracking)), and `UNFOLLOW`, in a
//! segment without a waiter, ends it.
//!
//! Behind the replies to a segment of a client that caches come two more: where the feed stood (a mark), and
//! the keys that its scripts have read, nil if those are too many.
//!
//! A command without a name and with the arguments `NOTIFY classes` sets which events about keys are
//! published; without classes it tells. Its reply is how Redis writes them.
//!
//! Decoding hands out slices of the body and does not allocate per command.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use onecopy_core::Incarnation;
pub use onecopy_core::segments::{BodyBuilder, Malformed, Replies, split_response};
use onecopy_resp::Version;
use smallvec::SmallVec;

pub use crate::channels::ListenerId;
use crate::error::CommandError;
use crate::feeds::Following;
pub use crate::waiters::WaiterId;
pub use crate::watches::WatchId;

const SEGMENT_HEADER: usize = 1 + 1 + 4 + 4;
const NAME: usize = 16 + 8;
const RESP3: u8 = 1;
const TRANSACTION: u8 = 1 << 1;
const WATCHED: u8 = 1 << 2;
const WAITS: u8 = 1 << 3;
const LISTENS: u8 = 1 << 4;
const RULED: u8 = 1 << 5;
const CACHES: u8 = 1 << 6;
const UNTOUCHING: u8 = 1 << 7;

/// The arguments of one command; the first is its name.
pub type Args<'a> = SmallVec<[&'a [u8]; 16]>;

impl From<Malformed> for CommandError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

/// Puts a segment together, command by command.
#[derive(Clone, Debug)]
pub struct SegmentBuilder {
    buffer: BytesMut,
    count: u32,
    /// Where its commands begin.
    commands_at: usize,
    /// What its scripts may do.
    rights: Option<Bytes>,
}

impl SegmentBuilder {
    /// A segment without commands.
    #[must_use]
    pub fn new(db: u8, version: Version) -> Self {
        let mut buffer = BytesMut::with_capacity(256);
        buffer.put_u8(db);
        buffer.put_u8(if version == Version::Three { RESP3 } else { 0 });
        // The count and the length are filled in at the end.
        buffer.put_u64_le(0);
        Self { buffer, count: 0, commands_at: SEGMENT_HEADER, rights: None }
    }

    /// The same, as a transaction.
    #[must_use]
    pub fn transaction(mut self) -> Self {
        self.buffer[1] |= TRANSACTION;
        self
    }

    /// The same, whose commands are no use of the keys that they look at.
    #[must_use]
    pub fn untouching(mut self) -> Self {
        self.buffer[1] |= UNTOUCHING;
        self
    }

    /// The same, about the keys of a watch. Panics if it has commands already.
    #[must_use]
    pub fn watched(mut self, watch: WatchId) -> Self {
        assert_eq!(self.buffer.len(), SEGMENT_HEADER, "a watch comes before all commands, and once");
        self.buffer[1] |= WATCHED;
        self.buffer.put_u128_le(watch.process.0);
        self.buffer.put_u64_le(watch.number);
        self.commands_at = self.buffer.len();
        self
    }

    /// The same, of a waiter. Panics if it has commands already.
    #[must_use]
    pub fn waiting(mut self, waiter: WaiterId) -> Self {
        assert_eq!(self.buffer.len(), self.commands_at, "a waiter comes before all commands, and once");
        self.buffer[1] |= WAITS;
        self.buffer.put_u128_le(waiter.process.0);
        self.buffer.put_u64_le(waiter.number);
        self.commands_at = self.buffer.len();
        self
    }

    /// The same, about the subscriptions of a listener. Panics if it has commands already.
    #[must_use]
    pub fn listening(mut self, listener: u64) -> Self {
        assert_eq!(self.buffer.len(), self.commands_at, "a listener comes before all commands, and once");
        self.buffer[1] |= LISTENS;
        self.buffer.put_u64_le(listener);
        self.commands_at = self.buffer.len();
        self
    }

    /// The same, of a client that caches. Panics if it has commands already.
    #[must_use]
    pub fn caching(mut self, client: ListenerId) -> Self {
        assert_eq!(self.buffer.len(), self.commands_at, "a client comes before all commands, and once");
        self.buffer[1] |= CACHES;
        self.buffer.put_u128_le(client.coordinator.0);
        self.buffer.put_u64_le(client.number);
        self.commands_at = self.buffer.len();
        self
    }

    /// A segment that fetches what was published, of a feed that was followed so far.
    #[must_use]
    pub fn listen(waiter: WaiterId, following: Following) -> BytesMut {
        Self::fetch(b"LISTEN", waiter, following)
    }

    /// A segment that fetches which keys have changed, of a feed that was followed so far. The feed begins if
    /// there is none.
    #[must_use]
    pub fn follow(waiter: WaiterId, following: Following) -> BytesMut {
        Self::fetch(b"FOLLOW", waiter, following)
    }

    fn fetch(word: &[u8], waiter: WaiterId, following: Following) -> BytesMut {
        let mut segment = Self::new(0, Version::Two).waiting(waiter);
        let [epoch, count] = [following.epoch, following.count].map(|number| number.to_string());
        segment.push([b"".as_slice(), word, epoch.as_bytes(), count.as_bytes()]);
        segment.finish()
    }

    /// A segment that ends the feed of keys that change.
    #[must_use]
    pub fn unfollow() -> BytesMut {
        let mut segment = Self::new(0, Version::Two);
        segment.push([b"".as_slice(), b"UNFOLLOW"]);
        segment.finish()
    }

    /// Its scripts may do no more than these [rights](crate::rights) allow.
    pub fn carry_rights(&mut self, rights: Bytes) {
        self.rights = Some(rights);
    }

    /// A segment that sets which events are published about keys, or asks.
    #[must_use]
    pub fn notify(classes: Option<&[u8]>) -> BytesMut {
        let mut segment = Self::new(0, Version::Two);
        segment.push([b"".as_slice(), b"NOTIFY"].into_iter().chain(classes));
        segment.finish()
    }

    /// A segment that takes a waiter away, for this reason: `TIMEOUT`, `ERROR` or `GONE`.
    #[must_use]
    pub fn unblock(waiter: WaiterId, reason: &[u8]) -> BytesMut {
        let mut segment = Self::new(0, Version::Two).waiting(waiter);
        segment.push([b"".as_slice(), reason]);
        segment.finish()
    }

    /// Adds a command. Panics if an argument is larger than 4 GiB, which no limit lets through.
    pub fn push<'a>(&mut self, args: impl IntoIterator<Item = &'a [u8]>) {
        let header = self.buffer.len();
        let mut argc: u32 = 0;
        self.begin_command(argc, 0);
        for arg in args {
            self.begin_argument(arg.len());
            self.extend(arg);
            argc += 1;
        }
        self.buffer[header..header + 4].copy_from_slice(&argc.to_le_bytes());
    }

    /// Begins a command of so many arguments, which have so many bytes together. It is complete after as many
    /// calls of [`begin_argument`](Self::begin_argument), each followed by its bytes: who has many of them
    /// hands them in bit by bit.
    pub fn begin_command(&mut self, argc: u32, bytes: usize) {
        self.buffer.reserve(4 + 4 * argc as usize + bytes);
        self.buffer.put_u32_le(argc);
        self.count += 1;
    }

    /// An argument of so many bytes follows. Panics if they are more than 4 GiB, which no limit lets through.
    pub fn begin_argument(&mut self, bytes: usize) {
        self.buffer.put_u32_le(u32::try_from(bytes).expect("an argument of more than 4 GiB"));
    }

    /// The next bytes of an argument.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.buffer.put_slice(bytes);
    }

    /// How many bytes it has so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.buffer.len()
    }

    /// How many commands it has so far.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many replies it will have.
    #[must_use]
    pub fn replies(&self) -> usize {
        let is_transaction = self.buffer[1] & TRANSACTION != 0;
        if is_transaction { 1 } else { self.count as usize }
    }

    /// Whether it has no command yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The segment. Panics if it is larger than 4 GiB, which no limit lets through.
    #[must_use]
    pub fn finish(mut self) -> BytesMut {
        let length =
            u32::try_from(self.buffer.len() - self.commands_at).expect("a segment of more than 4 GiB");
        self.buffer[2..6].copy_from_slice(&self.count.to_le_bytes());
        self.buffer[6..10].copy_from_slice(&length.to_le_bytes());
        if let Some(rights) = self.rights {
            self.buffer[1] |= RULED;
            self.buffer.put_u32_le(u32::try_from(rights.len()).expect("rights of more than 4 GiB"));
            self.buffer.put_slice(&rights);
        }
        self.buffer
    }
}

/// A run of commands of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// The database that the connection had selected.
    pub db: u8,
    /// The protocol that the replies are written in.
    pub version: Version,
    /// How many commands there should be.
    pub count: u32,
    /// Whether it is a transaction.
    pub is_transaction: bool,
    /// Whether its commands are no use of the keys that they look at (`CLIENT NO-TOUCH`).
    pub is_untouching: bool,
    /// The watch that it is about.
    pub watch: Option<WatchId>,
    /// Who may wait in it, or waits no more.
    pub waiter: Option<WaiterId>,
    /// Who subscribes in it.
    pub listener: Option<u64>,
    /// Whose cache its replies may get into.
    pub client: Option<ListenerId>,
    /// What its scripts may do; all if nothing is said.
    pub rights: Option<&'a [u8]>,
    commands: &'a [u8],
}

/// The segments of a body.
#[derive(Clone, Debug)]
pub struct Segments<'a> {
    rest: &'a [u8],
}

/// Takes a body apart. After an error nothing follows.
#[must_use]
pub fn segments(body: &[u8]) -> Segments<'_> {
    Segments { rest: body }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let segment = self.take();
        if segment.is_err() {
            self.rest = &[];
        }
        Some(segment)
    }
}

impl<'a> Segments<'a> {
    fn take(&mut self) -> Result<Segment<'a>, Malformed> {
        let malformed = Malformed { left: self.rest.len() };
        let (header, rest) = self.rest.split_first_chunk::<SEGMENT_HEADER>().ok_or(malformed)?;
        let mut header = header.as_slice();
        let db = header.get_u8();
        let flags = header.get_u8();
        let count = header.get_u32_le();
        let length = header.get_u32_le() as usize;
        let known = RESP3 | TRANSACTION | WATCHED | WAITS | LISTENS | RULED | CACHES | UNTOUCHING;
        if flags & !known != 0 {
            return Err(malformed);
        }
        let (watch, rest) = take_name(rest, flags & WATCHED != 0).ok_or(malformed)?;
        let (waiter, rest) = take_name(rest, flags & WAITS != 0).ok_or(malformed)?;
        let (listener, rest) = match flags & LISTENS {
            0 => (None, rest),
            _ => {
                let (number, rest) = rest.split_first_chunk().ok_or(malformed)?;
                (Some(u64::from_le_bytes(*number)), rest)
            }
        };
        let (client, rest) = take_name(rest, flags & CACHES != 0).ok_or(malformed)?;
        let client = client.map(|(coordinator, number)| ListenerId { coordinator, number });
        let watch = watch.map(|(process, number)| WatchId { process, number });
        let waiter = waiter.map(|(process, number)| WaiterId { process, number });
        let (commands, rest) = rest.split_at_checked(length).ok_or(malformed)?;
        let (rights, rest) = take_rights(rest, flags & RULED != 0).ok_or(malformed)?;
        self.rest = rest;
        let version = if flags & RESP3 == 0 { Version::Two } else { Version::Three };
        let is_transaction = flags & TRANSACTION != 0;
        let is_untouching = flags & UNTOUCHING != 0;
        Ok(Segment {
            db,
            version,
            count,
            is_transaction,
            is_untouching,
            watch,
            waiter,
            listener,
            client,
            rights,
            commands,
        })
    }
}

/// Takes the name of a watch or a waiter, if there is one.
#[expect(clippy::type_complexity, reason = "a name, and what is behind it")]
fn take_name(bytes: &[u8], is_there: bool) -> Option<(Option<(Incarnation, u64)>, &[u8])> {
    if !is_there {
        return Some((None, bytes));
    }
    let (mut name, rest) = bytes.split_at_checked(NAME)?;
    Some((Some((Incarnation(name.get_u128_le()), name.get_u64_le())), rest))
}

/// Takes rights, if there are some.
fn take_rights(bytes: &[u8], are_there: bool) -> Option<(Option<&[u8]>, &[u8])> {
    if !are_there {
        return Some((None, bytes));
    }
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (rights, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((Some(rights), rest))
}

impl<'a> Segment<'a> {
    /// The commands in order. After an error nothing follows.
    #[must_use]
    pub fn commands(&self) -> Commands<'a> {
        Commands { rest: self.commands }
    }
}

/// The commands of a segment.
#[derive(Clone, Debug)]
pub struct Commands<'a> {
    rest: &'a [u8],
}

impl<'a> Commands<'a> {
    /// Replaces `args` by the arguments of the next command; whether there was one.
    ///
    /// # Errors
    /// When the bytes are no command, or one without a name. Nothing follows it.
    pub fn next_into(&mut self, args: &mut Args<'a>) -> Result<bool, Malformed> {
        args.clear();
        if self.rest.is_empty() {
            return Ok(false);
        }
        let malformed = Malformed { left: self.rest.len() };
        match take_args(self.rest, args) {
            Some(rest) => {
                self.rest = rest;
                Ok(true)
            }
            None => {
                self.rest = &[];
                args.clear();
                Err(malformed)
            }
        }
    }
}

fn take_args<'a>(bytes: &'a [u8], args: &mut Args<'a>) -> Option<&'a [u8]> {
    let (argc, mut rest) = bytes.split_first_chunk::<4>()?;
    let argc = u32::from_le_bytes(*argc);
    for _ in 0..argc {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (arg, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        args.push(arg);
        rest = after;
    }
    (argc > 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn body() -> Bytes {
        let mut segment = SegmentBuilder::new(3, Version::Three);
        segment.push([b"SET".as_slice(), b"k", b""]);
        segment.push([b"GET".as_slice(), b"k"]);
        assert_eq!((segment.count(), segment.is_empty()), (2, false));
        let mut body = BodyBuilder::new();
        body.push(&segment.finish());
        body.push(&SegmentBuilder::new(0, Version::Two).finish());
        body.finish()
    }

    #[test]
    fn what_goes_in_comes_out() {
        let body = body();
        let all: Vec<Segment<'_>> = segments(&body).map(Result::unwrap).collect();
        assert_eq!((all[0].db, all[0].version, all[0].count), (3, Version::Three, 2));
        assert_eq!((all[1].db, all[1].version, all[1].count), (0, Version::Two, 0));
        assert!(all.iter().all(|segment| !segment.is_transaction && segment.watch.is_none()));
        let mut commands = all[0].commands();
        let mut args = Args::new();
        assert_eq!(commands.next_into(&mut args), Ok(true));
        assert_eq!(args.as_slice(), [b"SET".as_slice(), b"k", b""]);
        assert_eq!(commands.next_into(&mut args), Ok(true));
        assert_eq!(args.as_slice(), [b"GET".as_slice(), b"k"]);
        assert_eq!(commands.next_into(&mut args), Ok(false));
    }

    #[test]
    fn a_transaction_a_watch_and_a_listener_come_out_too() {
        let watch = WatchId { process: Incarnation(7 << 100), number: u64::MAX };
        let mut guarded = SegmentBuilder::new(3, Version::Three).transaction().watched(watch).listening(9);
        guarded.push([b"GET".as_slice(), b"k"]);
        let body = guarded.finish();
        let segment = segments(&body).next().unwrap().unwrap();
        assert_eq!((segment.is_transaction, segment.watch, segment.count), (true, Some(watch), 1));
        assert_eq!((segment.listener, segment.waiter), (Some(9), None));
        let mut args = Args::new();
        assert_eq!(segment.commands().next_into(&mut args), Ok(true));
        assert_eq!(args.as_slice(), [b"GET".as_slice(), b"k"]);
        for length in 1..body.len() {
            assert!(segments(&body[..length]).next().unwrap().is_err(), "{length}");
        }
    }

    #[test]
    fn rights_come_out_behind_the_commands() {
        let mut segment = SegmentBuilder::new(0, Version::Two);
        segment.push([b"EVAL".as_slice(), b"return 1", b"0"]);
        segment.carry_rights(Bytes::from_static(b"+get ~a"));
        let body = segment.finish();
        let mut all = segments(&body);
        assert_eq!(all.next().unwrap().unwrap().rights, Some(b"+get ~a".as_slice()));
        assert!(all.next().is_none());
        for length in 1..body.len() {
            assert!(segments(&body[..length]).next().unwrap().is_err(), "{length}");
        }
    }

    #[test]
    fn bit_by_bit_it_is_the_same() {
        let (mut whole, mut bits) =
            (SegmentBuilder::new(0, Version::Two), SegmentBuilder::new(0, Version::Two));
        whole.push([b"SET".as_slice(), b"key", &[b'x'; 100]]);
        bits.begin_command(3, 106);
        for arg in [b"SET".as_slice(), b"key", &[b'x'; 100]] {
            bits.begin_argument(arg.len());
            arg.chunks(7).for_each(|bit| bits.extend(bit));
        }
        assert_eq!((bits.count(), bits.finish()), (whole.count(), whole.finish()));
    }

    #[test]
    fn a_cut_body_is_an_error() {
        let body = body();
        for length in 1..body.len() {
            let outcome: Result<Vec<_>, _> = segments(&body[..length]).collect();
            assert!(outcome.is_err() || length == body.len() - SEGMENT_HEADER, "{length}");
        }
        let mut args = Args::new();
        for commands in [[0u8; 4].as_slice(), &[1, 0, 0, 0], &[255; 8], &[1, 0, 0, 0, 2, 0, 0, 0, 7]] {
            assert!(Commands { rest: commands }.next_into(&mut args).is_err());
        }
    }
}
