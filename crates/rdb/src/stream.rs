//! Streams: a row of listpacks with entries, how far the stream has come, and its groups.
//!
//! ```text
//! stream   := nodes:length node* entries:length last:id [first:id deleted:id added:length]
//!             groups:length group*                      in brackets: since Redis 7.0
//! node     := master:string listpack:string             master: the id from which those of the entries count
//! listpack := count deleted fields name* 0 entry*       the names of the fields of the first entry
//! entry    := flags ms seq (value* | fields (name value)*) back
//! group    := name:string last:id [read:length] pending:length (id:16 delivered:u64 deliveries:length)*
//!             consumers:length consumer*
//! consumer := name:string seen:u64 [active:u64] owned:length id:16*     in brackets: since Redis 7.2
//! ```

use std::borrow::Cow;

use crate::element::{Element, EntriesRead, StreamId};
use crate::input::Input;
use crate::listpack::Listpack;
use crate::{CUT, Corrupt};

/// An entry that was deleted, and stands there still.
pub(crate) const DELETED: i64 = 1;
/// An entry with the fields of the first one, so that only values stand there.
pub(crate) const SAME_FIELDS: i64 = 2;

/// Which version of Redis has written a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    Five,
    Seven,
    SevenTwo,
}

/// Reads a stream.
pub(crate) fn read<E: From<Corrupt>>(
    version: Version,
    input: &mut Input<'_>,
    take: &mut dyn FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut entries = 0u64;
    let mut previous = None;
    for _ in 0..input.count()? {
        let (master, node) = (input.string()?, input.string()?);
        let master = id_of(master.first_chunk().filter(|_| master.len() == 16).ok_or(CUT)?);
        read_node(master, &node, &mut |id, pairs| {
            if previous.is_some_and(|previous| previous >= id) {
                return Err(Corrupt("entries of a stream in a wrong order").into());
            }
            (previous, entries) = (Some(id), entries + 1);
            take(Element::Entry(id, pairs))
        })?;
    }
    if input.length()? != entries {
        return Err(Corrupt("a stream with another number of entries").into());
    }
    let last = id(input)?;
    if previous.is_some_and(|previous| previous > last) {
        return Err(Corrupt("a stream whose last id is not the last").into());
    }
    let (mut deleted, mut added) = ((0, 0), entries);
    if version >= Version::Seven {
        // The first entry is there: nothing is learnt of its id.
        id(input)?;
        (deleted, added) = (id(input)?, input.length()?);
    }
    take(Element::Stream { last, deleted, added })?;
    (0..input.count()?).try_for_each(|_| read_group(version, input, take))
}

/// An id as two lengths.
fn id(input: &mut Input<'_>) -> Result<StreamId, Corrupt> {
    Ok((input.length()?, input.length()?))
}

/// An id as sixteen bytes.
fn id_of(bytes: &[u8; 16]) -> StreamId {
    let number = u128::from_be_bytes(*bytes);
    ((number >> 64) as u64, number as u64)
}

/// Is given an entry: its id, and fields and values in turn.
type TakeEntry<'t, E> = &'t mut dyn FnMut(StreamId, &[&[u8]]) -> Result<(), E>;

/// The entries of a node.
fn read_node<E: From<Corrupt>>(master: StreamId, bytes: &[u8], take: TakeEntry<'_, E>) -> Result<(), E> {
    let mut node = Listpack::new(bytes)?;
    let (count, deleted) = (node.want()?.integer()?, node.want()?.integer()?);
    let names = texts(&mut node, 1)?;
    if node.want()?.integer()? != 0 || count < 0 || deleted < 0 {
        return Err(Corrupt("the first entry of a stream's listpack makes no sense").into());
    }
    let mut there = 0;
    while let Some(flags) = node.next()? {
        let flags = flags.integer()?;
        let (ms, seq) = (node.want()?.integer()?, node.want()?.integer()?);
        let id = (master.0.wrapping_add_signed(ms), master.1.wrapping_add_signed(seq));
        let texts = match flags & SAME_FIELDS {
            0 => texts(&mut node, 2)?,
            _ => some_texts(&mut node, names.len())?,
        };
        // How many entries of the listpack it has, to walk backwards.
        node.want()?;
        if flags & DELETED != 0 {
            continue;
        }
        there += 1;
        let pairs: Vec<&[u8]> = match flags & SAME_FIELDS {
            0 => texts.iter().map(AsRef::as_ref).collect(),
            _ => names.iter().zip(&texts).flat_map(|(name, value)| [&**name, &**value]).collect(),
        };
        if pairs.is_empty() {
            return Err(Corrupt("an entry of a stream without fields").into());
        }
        take(id, &pairs)?;
    }
    if there == count {
        Ok(())
    } else {
        Err(Corrupt("a stream's listpack with another number of entries").into())
    }
}

/// So many texts for each of a number of things.
fn texts<'a>(node: &mut Listpack<'a>, each: usize) -> Result<Vec<Cow<'a, [u8]>>, Corrupt> {
    let count = usize::try_from(node.want()?.integer()?).map_err(|_| CUT)?;
    some_texts(node, count.saturating_mul(each))
}

fn some_texts<'a>(node: &mut Listpack<'a>, count: usize) -> Result<Vec<Cow<'a, [u8]>>, Corrupt> {
    // As many as are announced need not be there.
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(node.want()?.text());
    }
    Ok(texts)
}

fn read_group<E: From<Corrupt>>(
    version: Version,
    input: &mut Input<'_>,
    take: &mut dyn FnMut(Element<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (name, last) = (input.string()?, id(input)?);
    let read = match version {
        Version::Five => EntriesRead::NotCounted,
        Version::Seven | Version::SevenTwo => match input.length()?.cast_signed() {
            -1 => EntriesRead::Unknown,
            read => EntriesRead::Count(read),
        },
    };
    take(Element::Group { name: &name, last, read })?;
    let pending = input.count()?;
    for _ in 0..pending {
        let id = id_of(&input.fixed()?);
        let (delivered, deliveries) = (input.millis()?, input.length()?);
        take(Element::Pending { id, delivered, deliveries })?;
    }
    let mut owned = 0;
    for _ in 0..input.count()? {
        let (name, seen) = (input.string()?, input.millis()?);
        let active = match version {
            Version::SevenTwo => Some(input.millis()?).filter(|active| active.cast_signed() >= 0),
            Version::Five | Version::Seven => Some(seen),
        };
        take(Element::Consumer { name: &name, seen, active })?;
        for _ in 0..input.count()? {
            take(Element::Owned(id_of(&input.fixed()?)))?;
            owned += 1;
        }
    }
    if owned == pending { Ok(()) } else { Err(Corrupt("a pending entry that no consumer has").into()) }
}
