//! Reading images, in pieces cut anywhere.
//!
//! Nothing is believed: lengths are compared with the bytes that are there before anything is allocated, keys
//! and elements that come twice are errors, and at the end the checksum must agree, and then the digest of
//! what has been built.

mod channels;
mod moves;
mod values;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use onecopy_core::machine::RestoreError;
use onecopy_core::{BatchId, Incarnation, Timestamp};
use onecopy_resp::Version;
use onecopy_script::{Described, Flags};
use xxhash_rust::xxh3::Xxh3;

use super::large::{Awaited, Queue};
use super::{
    ABSENT, BesideMut, END, ENDS, EPOCHS, FEED, HAS_TARGET, HAS_TOKEN, IS_RESP3, LARGE, LIBRARY, LISTENER,
    MAGIC, MOVES, NOTIFIED, PART, RECORD, SCRIPT, STANDS, TOKENS, TRACKED, TRACKED_EPOCHS, VERSION, WAITER,
    WAS_THERE, WATCH,
};
use crate::database::Database;
use crate::machine::DATABASES;
use crate::scripts::{Library, Scripts};
use crate::seed::Seed;
use crate::slot::New;
use crate::slot::blocks::BLOCK;
use crate::slots::slot_of;
use crate::tokens::{Executed, TOKEN_BYTES_MAX, TOKEN_NUMBER_MAX, Tokens};

use crate::value::Value;
use crate::waiters::{Address, Waiter, WaiterId, Waiters, Wanted, Wants};
use crate::watches::{WatchId, Watches};

const HEADER: usize = 7 + 1 + 8 + 8 + 8 + 8;
const RECORD_HEADER: usize = 1 + 1 + 8;
const TRAILER: usize = 1 + 8 + 8;

/// An image that is being read.
pub(crate) struct Restore {
    /// What has arrived but is not complete.
    buffer: BytesMut,
    checksum: Xxh3,
    header: Option<(Seed, Timestamp)>,
    /// Large values that are missing, in the order in which they come.
    large: Queue,
    /// The digest that the end of the image says.
    digest: Option<u64>,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore")
            .field("waiting", &self.buffer.len())
            .field("digest", &self.digest)
            .finish_non_exhaustive()
    }
}

fn wrong(reason: impl Into<String>) -> RestoreError {
    RestoreError { reason: reason.into() }
}

impl Restore {
    pub(crate) fn new() -> Self {
        let (buffer, checksum, large) = (BytesMut::new(), Xxh3::new(), Queue::new());
        Self { buffer, checksum, header: None, large, digest: None }
    }

    /// The seed and the clock of the image, once they have been read.
    pub(crate) fn header(&self) -> Option<(Seed, Timestamp)> {
        self.header
    }

    /// Takes a piece, and puts what is complete into the databases.
    pub(crate) fn take(
        &mut self,
        chunk: &[u8],
        databases: &mut [Option<Box<Database>>],
        tokens: &mut Tokens,
        beside: &mut BesideMut<'_>,
    ) -> Result<(), RestoreError> {
        self.buffer.extend_from_slice(chunk);
        while self.take_part(databases, tokens, beside)? {}
        Ok(())
    }

    /// Whether everything has come, and what was built of it has this digest.
    pub(crate) fn finish(&self, built: u64) -> Result<(), RestoreError> {
        match self.digest {
            None => Err(wrong("the image ends too early")),
            Some(digest) if digest != built => Err(wrong(format!(
                "the digest of what was built of the image is {built:016x}, it should be {digest:016x}"
            ))),
            Some(_) => Ok(()),
        }
    }

    /// Takes the header, a record or the end, if it is complete.
    fn take_part(
        &mut self,
        databases: &mut [Option<Box<Database>>],
        tokens: &mut Tokens,
        beside: &mut BesideMut<'_>,
    ) -> Result<bool, RestoreError> {
        if self.buffer.is_empty() {
            return Ok(false);
        }
        if self.digest.is_some() {
            return Err(wrong("the image goes on after its end"));
        }
        let Some(header) = self.header else { return self.take_header(tokens) };
        match self.buffer[0] {
            PART => self.take_record(header, databases, tokens, beside),
            RECORD | TOKENS | WATCH | WAITER | ABSENT | SCRIPT | LIBRARY | EPOCHS | LISTENER | FEED
            | NOTIFIED | TRACKED | TRACKED_EPOCHS | MOVES | END
                if !self.large.is_empty() =>
            {
                Err(wrong("parts of a large value are missing"))
            }
            RECORD | TOKENS | WATCH | WAITER | ABSENT | SCRIPT | LIBRARY | EPOCHS | LISTENER | FEED
            | NOTIFIED | TRACKED | TRACKED_EPOCHS | MOVES => {
                self.take_record(header, databases, tokens, beside)
            }
            END => self.take_end(),
            other => Err(wrong(format!("unknown part {other}"))),
        }
    }

    fn take_header(&mut self, tokens: &mut Tokens) -> Result<bool, RestoreError> {
        // Another version may have a shorter header.
        let prefix = &self.buffer[..self.buffer.len().min(MAGIC.len())];
        if !MAGIC.starts_with(prefix) {
            return Err(wrong("this is no image of a keyspace"));
        }
        if let Some(version) = self.buffer.get(MAGIC.len()).filter(|version| **version != VERSION) {
            return Err(wrong(format!(
                "the image has version {version}, this program knows version {VERSION}"
            )));
        }
        if self.buffer.len() < HEADER {
            return Ok(false);
        }
        let header = self.buffer.split_to(HEADER);
        self.checksum.update(&header);
        let mut header = &header[MAGIC.len() + 1..];
        let seed = Seed([header.get_u64_le(), header.get_u64_le()]);
        self.header = Some((seed, Timestamp(header.get_u64_le())));
        let first = header.get_u64_le();
        if first > TOKEN_NUMBER_MAX {
            return Err(wrong(format!("no token has the number {first}")));
        }
        *tokens = Tokens::beginning(seed, first);
        Ok(true)
    }

    fn take_record(
        &mut self,
        (seed, clock): (Seed, Timestamp),
        databases: &mut [Option<Box<Database>>],
        tokens: &mut Tokens,
        beside: &mut BesideMut<'_>,
    ) -> Result<bool, RestoreError> {
        let Some((mut header, rest)) = self.buffer.split_at_checked(RECORD_HEADER) else { return Ok(false) };
        let kind = header.get_u8();
        let number = header.get_u8();
        let length = usize::try_from(header.get_u64_le()).map_err(|_| wrong("a record is too long"))?;
        if !matches!(kind, RECORD | PART | WAITER) && number != 0 {
            return Err(wrong("tokens, watches, scripts, channels and who is absent belong to no database"));
        }
        let Some(slot) = databases.get_mut(usize::from(number)) else {
            return Err(wrong(format!("there is no database {number}")));
        };
        if rest.len() < length {
            return Ok(false);
        }
        let total = RECORD_HEADER.checked_add(length).ok_or_else(|| wrong("a record is too long"))?;
        let record = self.buffer.split_to(total);
        self.checksum.update(&record);
        let reader = Reader { rest: &record[RECORD_HEADER..], seed };
        match kind {
            TOKENS => reader.tokens(tokens),
            WATCH => reader.watch(beside.watches),
            WAITER => reader.waiter(number, beside.waiters),
            ABSENT => reader.absent(beside.waiters),
            SCRIPT => reader.script(beside.scripts),
            LIBRARY => reader.library(beside.scripts),
            EPOCHS => reader.epochs(&mut beside.channels.feeds),
            LISTENER => reader.listener(beside.channels),
            FEED => reader.feed(&mut beside.channels.feeds),
            TRACKED => reader.feed(&mut beside.tracking.feeds),
            TRACKED_EPOCHS => reader.epochs(&mut beside.tracking.feeds),
            NOTIFIED => reader.notified(beside.notified),
            MOVES => reader.moves(beside.moves),
            PART => reader.part(number, slot.as_deref_mut(), &mut self.large),
            _ => {
                let database = slot.get_or_insert_with(|| Box::new(Database::new(seed, clock)));
                reader.record(number, database, &mut self.large)
            }
        }
        .map_err(wrong)?;
        Ok(true)
    }

    fn take_end(&mut self) -> Result<bool, RestoreError> {
        if self.buffer.len() < TRAILER {
            return Ok(false);
        }
        let mut end = self.buffer.split_to(TRAILER);
        let (covered, _) = end.split_at(TRAILER - 8);
        self.checksum.update(covered);
        end.advance(1);
        let digest = end.get_u64_le();
        if end.get_u64_le() != self.checksum.digest() {
            return Err(wrong("the checksum does not agree: the image is damaged"));
        }
        self.digest = Some(digest);
        Ok(true)
    }
}

const CUT: &str = "a record is shorter than its contents";

/// Reads one record.
struct Reader<'a> {
    rest: &'a [u8],
    seed: Seed,
}

impl<'a> Reader<'a> {
    fn record(mut self, number: u8, database: &mut Database, large: &mut Queue) -> Result<(), &'static str> {
        let slot = usize::from(u16::from_le_bytes(self.fixed()?));
        let block = self.u32()? as usize;
        let before = database.slot(slot).map_or(0, |slot| slot.len());
        if before != block * BLOCK {
            return Err("a block in a wrong order");
        }
        let count = self.u32()? as usize;
        if count > BLOCK {
            return Err("a block that is too large");
        }
        for position in before..before + count {
            let key = self.bytes()?;
            if slot_of(key) != slot {
                return Err("a key in a wrong slot");
            }
            let spot = database.locate(key);
            if database.object(spot).is_some() {
                return Err("a key comes twice");
            }
            let (kind, expires) = self.kind()?;
            let value = match kind & LARGE {
                0 => self.value(kind)?,
                _ => {
                    let place = (number, slot, position);
                    large.push_back(Awaited::new(place, kind & !LARGE, key, expires, self.seed)?);
                    // Keeps the place.
                    New::Value(Value::Integer(0))
                }
            };
            database.put(spot, key, value, expires);
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    /// A part of a large value: of the first that is missing.
    fn part(
        mut self,
        number: u8,
        database: Option<&mut Database>,
        large: &mut Queue,
    ) -> Result<(), &'static str> {
        let place = (number, usize::from(u16::from_le_bytes(self.fixed()?)), self.u32()? as usize);
        let part = self.u32()?;
        let awaited = large.front_mut().zip(database);
        let Some((awaited, database)) =
            awaited.filter(|(one, _)| (one.number, one.slot, one.position) == place)
        else {
            return Err("a part of a large value that is not missing");
        };
        awaited.read(part, self.rest, self.seed)?;
        if awaited.is_whole()
            && let Some(whole) = large.pop_front()
        {
            let (key, expires) = (whole.key.clone(), whole.expires);
            let value = whole.into_value()?;
            database.put(database.locate(&key), &key, New::Value(value), expires);
        }
        Ok(())
    }

    fn tokens(mut self, tokens: &mut Tokens) -> Result<(), &'static str> {
        for _ in 0..self.u32()? {
            let token = self.bytes()?;
            if !(1..=TOKEN_BYTES_MAX).contains(&token.len()) {
                return Err("a token of a wrong length");
            }
            let expires = Timestamp(u64::from_le_bytes(self.fixed()?));
            let command = u64::from_le_bytes(self.fixed()?);
            let answer = match self.fixed()? {
                [0] => None,
                [1] => Some(self.bytes()?.into()),
                _ => return Err("an answer that is neither there nor not"),
            };
            if !tokens.push(Executed { token: token.into(), expires, command, answer }) {
                return Err("tokens in a wrong order");
            }
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn watch(mut self, watches: &mut Watches) -> Result<(), &'static str> {
        let process = Incarnation(u128::from_le_bytes(self.fixed()?));
        let id = WatchId { process, number: u64::from_le_bytes(self.fixed()?) };
        let since = Timestamp(u64::from_le_bytes(self.fixed()?));
        for _ in 0..self.u32()? {
            let [db, seen] = self.fixed()?;
            if db >= DATABASES || seen & !(WAS_THERE | STANDS) != 0 {
                return Err("a watched key that makes no sense");
            }
            let key = (db, self.bytes()?, seen & WAS_THERE != 0, seen & STANDS != 0);
            if !watches.restore((id, since), key) {
                return Err("a watched key comes twice");
            }
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn waiter(mut self, db: u8, waiters: &mut Waiters) -> Result<(), &'static str> {
        let place = u64::from_le_bytes(self.fixed()?);
        let process = Incarnation(u128::from_le_bytes(self.fixed()?));
        let id = WaiterId { process, number: u64::from_le_bytes(self.fixed()?) };
        let coordinator = Incarnation(u128::from_le_bytes(self.fixed()?));
        let batch = BatchId { coordinator, sequence: u64::from_le_bytes(self.fixed()?) };
        let [flags] = self.fixed()?;
        if flags & !(IS_RESP3 | ENDS | HAS_TOKEN | HAS_TARGET) != 0 {
            return Err("a waiter that makes no sense");
        }
        let version = if flags & IS_RESP3 == 0 { Version::Two } else { Version::Three };
        let has = |flag: u8| flags & flag != 0;
        let until = if has(ENDS) { Some(Timestamp(u64::from_le_bytes(self.fixed()?))) } else { None };
        let token = match has(HAS_TOKEN) {
            true => Some((self.bytes()?.into(), u64::from_le_bytes(self.fixed()?))),
            false => None,
        };
        let target = if has(HAS_TARGET) { Some(self.bytes()?.into()) } else { None };
        let [wants] = self.fixed()?;
        let wants = *Wants::ALL.get(usize::from(wants)).ok_or("a waiter for nothing")?;
        let (keys, args) = (self.list_of_bytes()?, self.list_of_bytes()?);
        if keys.is_empty() || args.is_empty() {
            return Err("a waiter without a command");
        }
        let wanted = Arc::new(Wanted { wants, args, keys, target, timeout: 0, token });
        let address = Address { id, batch, version };
        if !waiters.insert(place, Waiter { address, db, until, wanted }) {
            return Err("a waiter comes twice, or at a wrong place");
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn script(mut self, scripts: &mut Scripts) -> Result<(), &'static str> {
        let is_loaded = self.flag()?;
        let text = self.bytes()?;
        if !scripts.add(text, is_loaded) {
            return Err("a script comes twice, or there are too many");
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn absent(mut self, waiters: &mut Waiters) -> Result<(), &'static str> {
        let (next, mut absent) = (u64::from_le_bytes(self.fixed()?), BTreeMap::new());
        for _ in 0..self.u32()? {
            let coordinator = Incarnation(u128::from_le_bytes(self.fixed()?));
            absent.insert(coordinator, Timestamp(u64::from_le_bytes(self.fixed()?)));
        }
        if !waiters.restore_rest(next, absent) {
            return Err("who is absent makes no sense");
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn library(mut self, scripts: &mut Scripts) -> Result<(), &'static str> {
        let (name, text, mut functions) = (self.bytes()?.into(), self.bytes()?.into(), Vec::new());
        for _ in 0..self.u32()? {
            let name = self.bytes()?.to_vec();
            let (is_described, description) = (self.flag()?, self.bytes()?.to_vec());
            let [bits] = self.fixed()?;
            let flags = Flags::of_bits(bits).ok_or("a function with unknown flags")?;
            functions.push(Described { name, description: is_described.then_some(description), flags });
        }
        if scripts.load(Library { name, text, functions }, false).is_err() {
            return Err("a library that may not be there");
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    fn list_of_bytes(&mut self) -> Result<Vec<Box<[u8]>>, &'static str> {
        let count = self.u32()?;
        (0..count).map(|_| self.bytes().map(Box::from)).collect()
    }

    fn flag(&mut self) -> Result<bool, &'static str> {
        match self.fixed()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err("a mark that is neither there nor not"),
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (bytes, rest) = self.rest.split_first_chunk::<N>().ok_or(CUT)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn u32(&mut self) -> Result<u32, &'static str> {
        self.fixed().map(u32::from_le_bytes)
    }

    fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u32()? as usize;
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(CUT)?;
        self.rest = rest;
        Ok(bytes)
    }
}
