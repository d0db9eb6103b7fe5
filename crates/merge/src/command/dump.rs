//! Values in and out, as Redis serializes them: `DUMP` and `RESTORE`. What is dumped is what this replica
//! shows, and what is restored is made of new things, as with `COPY`.

use bytes::Bytes;
use onecopy_core::Timestamp;
use onecopy_keyspace::CommandError;
use onecopy_keyspace::options::RestoreOptions;
use onecopy_rdb::{Corrupt, Element, Input, Kind as Encoding, Output, RDB_VERSION, open, read_value, seal};
use onecopy_resp::Writer;

use super::Outcome;
use super::keys::{Shown, afford, put_all, shown};
use crate::cell::sum_of;
use crate::delta::Put;
use crate::object::Object;
use crate::place::{Kind, Place};
use crate::position::Position;
use crate::transaction::Transaction;

const BAD: CommandError = CommandError::Other("ERR Bad data format");

/// The plainest encoding of a type.
fn encoding(kind: Kind) -> Encoding {
    match kind {
        Kind::String => Encoding::String,
        Kind::Hash => Encoding::Hash,
        Kind::List => Encoding::List,
        Kind::Set => Encoding::Set,
        Kind::SortedSet => Encoding::Zset,
    }
}

/// What shows of an object, as a payload.
fn payload(object: &Object, kind: Kind, shown: &Shown) -> Vec<u8> {
    let mut out = Output::new(encoding(kind));
    if kind != Kind::String {
        out.length(object.len_of(kind) as u64);
    }
    for (place, put) in &shown.puts {
        if kind != Kind::String && kind != Kind::List {
            out.string(place.name());
        }
        match put {
            Put::Text(text) => out.string(text),
            Put::Score(score) => out.score(*score),
            Put::Member | Put::Deadline { .. } => {}
        }
    }
    let mut payload = out.into_bytes();
    seal(&mut payload, RDB_VERSION, &mut |_| {});
    payload
}

pub(super) fn dump(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let key = transaction.key(args[1]);
    let object = transaction.object(&key).and_then(|object| Some((object, object.kind()?)));
    match (object, shown(transaction, &key)) {
        (Some((object, kind)), Some(shown)) => reply.bulk(&payload(object, kind, &shown)),
        _ => reply.null(),
    }
    Ok(())
}

/// Why a payload is not restored.
enum Failure {
    Corrupt,
    /// It is of a type that does not merge.
    Stream,
}

impl From<Corrupt> for Failure {
    fn from(_: Corrupt) -> Self {
        Self::Corrupt
    }
}

impl From<Failure> for CommandError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Corrupt => BAD,
            Failure::Stream => Self::Other(
                "NOTMERGEABLE the value is a stream, and streams are not merged yet; use a database with \
                 replication = \"primary-backup\" or \"raft\"",
            ),
        }
    }
}

/// An element, as it is put. The elements of a list get their positions later.
fn put(element: Element<'_>) -> Result<(Place, Put), Failure> {
    let bytes = Bytes::copy_from_slice;
    Ok(match element {
        Element::Text(text) => (Place::Whole, Put::Text(bytes(text))),
        Element::Item(item) => (Place::At(Position::least()), Put::Text(bytes(item))),
        Element::Member(member) => (Place::Member(bytes(member)), Put::Member),
        Element::Field(field, value) => (Place::Field(bytes(field)), Put::Text(bytes(value))),
        Element::Scored(member, score) => (Place::Scored(bytes(member)), Put::Score(sum_of(score, 0.0))),
        _ => return Err(Failure::Stream),
    })
}

/// What a payload has put. Nothing in it is believed.
fn read(payload: &[u8]) -> Result<Vec<(Place, Put)>, CommandError> {
    let value = open(payload, &mut |_| {})
        .map_err(|_| CommandError::Other("ERR DUMP payload version or checksum are wrong"))?;
    let (kind, rest) = value.split_first().ok_or(BAD)?;
    let kind = Encoding::of_byte(*kind).map_err(|_| BAD)?;
    let (mut input, mut puts) = (Input::new(rest), Vec::new());
    read_value::<Failure>(kind, &mut input, &mut |element| {
        puts.push(put(element)?);
        Ok(())
    })?;
    let is_list = matches!(puts.first(), Some((Place::At(_), _)));
    if !is_list {
        puts.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    }
    let is_twice = !is_list && puts.windows(2).any(|pair| pair[0].0 == pair[1].0);
    if puts.is_empty() || is_twice || !input.is_empty() { Err(BAD) } else { Ok(puts) }
}

/// `RESTORE`. What is said of the value's use is checked, and forgotten: nothing is counted here.
pub(super) fn restore(transaction: &mut Transaction<'_>, args: &[&[u8]], reply: &mut Writer<'_>) -> Outcome {
    let (key, ttl, payload) = (transaction.key(args[1]), args[2], args[3]);
    let options = RestoreOptions::parse(&args[4..])?;
    if transaction.object(&key).is_some() && !options.replace {
        return Err(CommandError::Other("BUSYKEY Target key name already exists."));
    }
    let expires = options.expires(ttl, Timestamp(transaction.now_ms()))?;
    let restored = Shown { puts: read(payload)?, expires_ms: expires.map(|at| at.0) };
    afford(transaction, &restored)?;
    put_all(transaction, &key, restored);
    reply.ok();
    Ok(())
}
