//! A stream as a row of items, each some bytes: images are written in items, and scrubbing looks at them.
//! Which item has a number is found without a look at those before it.
//!
//! ```text
//! stream   := last:id deleted:id added:i64 chunks:u32 groups:u32, then its chunks, then its groups
//! chunk     := base:id ever:u16, and its bytes                           two items
//! group    := its name, last:id read:option consumers:u32 pending:u32, then the places of its consumers,
//!             then what is pending
//! consumer := its name, there:u8 seen:u64 active:option                 two items; a free place has no name
//! pending  := entry:id delivered:u64 deliveries:u64 consumer:u32
//! option   := there:u8 number:i64
//! ```

use super::group::{Consumer, Group, Pending};
use super::{Id, Stream};

/// The longest item that is made when it is asked for.
const SHORT_MAX: usize = 48;

/// Some bytes of a stream.
#[derive(Clone, Debug)]
pub(crate) enum Item<'a> {
    Lent(&'a [u8]),
    Made([u8; SHORT_MAX], usize),
}

impl AsRef<[u8]> for Item<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Lent(bytes) => bytes,
            Self::Made(bytes, length) => &bytes[..*length],
        }
    }
}

/// An item of these parts.
fn made(parts: &[&[u8]]) -> Item<'static> {
    let (mut bytes, mut length) = ([0; SHORT_MAX], 0);
    for part in parts {
        bytes[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    Item::Made(bytes, length)
}

fn option(number: Option<i64>) -> [u8; 9] {
    let mut bytes = [u8::from(number.is_some()); 9];
    bytes[1..].copy_from_slice(&number.unwrap_or(0).to_le_bytes());
    bytes
}

/// A count within a stream. Four thousand million parts do not fit into the memory that they would need.
fn count(count: usize) -> [u8; 4] {
    u32::try_from(count).expect("fewer than 2^32 parts").to_le_bytes()
}

impl Stream {
    /// The items from one on.
    pub(crate) fn items_from(&self, start: usize) -> impl Iterator<Item = Item<'_>> {
        let head = (start == 0).then(|| self.head());
        let chunks = start.saturating_sub(1)..2 * self.log.chunks();
        let mut skipped = start.saturating_sub(1 + 2 * self.log.chunks());
        let groups = self.groups.iter().filter_map(move |(name, group)| {
            let (from, items) = (skipped, group.items());
            skipped = skipped.saturating_sub(items);
            (from < items).then(|| group_items(name, group, from))
        });
        let chunks = chunks.filter_map(|number| self.chunk_item(number));
        head.into_iter().chain(chunks).chain(groups.flatten())
    }

    fn head(&self) -> Item<'static> {
        let (chunks, groups) = (count(self.log.chunks()), count(self.groups.len()));
        let (last, deleted) = (self.last.to_bytes(), self.deleted.to_bytes());
        made(&[&last, &deleted, &self.added.to_le_bytes(), &chunks, &groups])
    }

    fn chunk_item(&self, number: usize) -> Option<Item<'_>> {
        let chunk = self.log.chunk(number / 2)?;
        Some(match number % 2 {
            0 => made(&[&chunk.base.to_bytes(), &chunk.ever.to_le_bytes()]),
            _ => Item::Lent(&chunk.bytes),
        })
    }
}

/// The items of a group from one on.
fn group_items<'a>(name: &'a [u8], group: &'a Group, start: usize) -> impl Iterator<Item = Item<'a>> {
    let places = group.places();
    let heads = (start..2).map(move |number| if number == 0 { Item::Lent(name) } else { group_head(group) });
    let consumers = start.saturating_sub(2)..2 * places.len();
    let consumers = consumers.map(|number| consumer_item(places[number / 2].as_ref(), number % 2 == 0));
    let pending = group.pending().since_position(start.saturating_sub(2 + 2 * places.len()));
    heads.chain(consumers).chain(pending.map(|pending| -> Item<'a> { pending_item(pending) }))
}

fn group_head(group: &Group) -> Item<'static> {
    let (places, pending) = (count(group.places().len()), count(group.pending().len()));
    made(&[&group.last.to_bytes(), &option(group.read), &places, &pending])
}

fn consumer_item(consumer: Option<&Consumer>, is_name: bool) -> Item<'_> {
    match consumer {
        Some(consumer) if is_name => Item::Lent(&consumer.name),
        Some(Consumer { seen, active, .. }) => {
            made(&[&[1], &seen.to_le_bytes(), &option(active.map(u64::cast_signed))])
        }
        None if is_name => Item::Lent(b""),
        None => made(&[&[0], &0u64.to_le_bytes(), &option(None)]),
    }
}

fn pending_item(pending: &Pending) -> Item<'static> {
    let Pending { id, consumer, delivered, deliveries } = *pending;
    made(&[&id.to_bytes(), &delivered.to_le_bytes(), &deliveries.to_le_bytes(), &consumer.to_le_bytes()])
}

/// Takes what items are made of apart.
pub(super) struct Parts<'a>(pub(super) &'a [u8]);

impl Parts<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn id(&mut self) -> Option<Id> {
        self.take().map(Id::from_bytes)
    }

    pub(super) fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_le_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_le_bytes)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.take()? {
            [flag @ 0..=1] => Some(flag == 1),
            _ => None,
        }
    }

    pub(super) fn option(&mut self) -> Option<Option<i64>> {
        let is_there = self.flag()?;
        let number = self.u64()?.cast_signed();
        match (is_there, number) {
            (true, _) => Some(Some(number)),
            (false, 0) => Some(None),
            _ => None,
        }
    }

    /// Everything was taken.
    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}
