//! A stream in the making, of the items that an image has of it. Nothing is believed.

use super::chunk::Chunk;
use super::group::{Consumer, Group, Pending};
use super::items::Parts;
use super::sorted::Sorted;
use super::{Id, Stream};

/// What comes next.
#[derive(Debug)]
enum Next {
    Head,
    /// The chunk's head, and then its bytes.
    Chunk,
    Bytes(Id, u16),
    /// A group's name, and what follows that.
    GroupName,
    GroupHead(Box<[u8]>),
    ConsumerName,
    Consumer(Box<[u8]>),
    Pending,
    Nothing,
}

/// A group that is not complete.
#[derive(Debug)]
struct Unfinished {
    name: Box<[u8]>,
    group: Group,
    consumers: u32,
    pending: u32,
}

#[derive(Debug)]
pub(crate) struct Building {
    stream: Stream,
    next: Next,
    /// How many chunks and groups are missing.
    chunks: u32,
    groups: u32,
    group: Option<Unfinished>,
}

impl Building {
    pub(crate) fn new() -> Self {
        Self { stream: Stream::new(), next: Next::Head, chunks: 0, groups: 0, group: None }
    }

    /// Adds the next item; `None` if it makes no sense.
    pub(crate) fn add(&mut self, item: &[u8]) -> Option<()> {
        let mut parts = Parts(item);
        match std::mem::replace(&mut self.next, Next::Nothing) {
            Next::Head => {
                let stream = &mut self.stream;
                (stream.last, stream.deleted) = (parts.id()?, parts.id()?);
                stream.added = parts.u64()?.cast_signed();
                (self.chunks, self.groups) = (parts.u32()?, parts.u32()?);
                parts.end()?;
            }
            Next::Chunk => {
                self.next = Next::Bytes(parts.id()?, parts.u16()?);
                return parts.end();
            }
            Next::Bytes(base, ever) => {
                let chunk = Chunk::of_bytes(base, ever, item)?;
                self.chunks -= 1;
                let log = &mut self.stream.log;
                let fits = log.push(chunk) && log.last().is_some_and(|last| last.id <= self.stream.last);
                fits.then_some(())?;
            }
            Next::GroupName => {
                self.next = Next::GroupHead(item.into());
                return Some(());
            }
            Next::GroupHead(name) => {
                let group = Group::new(parts.id()?, parts.option()?);
                let (consumers, pending) = (parts.u32()?, parts.u32()?);
                self.groups -= 1;
                self.group = Some(Unfinished { name, group, consumers, pending });
                parts.end()?;
            }
            Next::ConsumerName => {
                self.next = Next::Consumer(item.into());
                return Some(());
            }
            Next::Consumer(name) => {
                let (is_there, seen, active) = (parts.flag()?, parts.u64()?, parts.option()?);
                parts.end()?;
                let active = active.map(i64::cast_unsigned);
                let consumer = Consumer { name: name.into(), seen, active, pending: Sorted::default() };
                let unfinished = self.group.as_mut()?;
                unfinished.consumers -= 1;
                let is_last = unfinished.consumers == 0;
                let makes_sense =
                    is_there || !is_last && seen == 0 && active.is_none() && consumer.name.is_empty();
                let is_new = unfinished.group.restore_consumer(is_there.then_some(consumer));
                (makes_sense && is_new).then_some(())?;
            }
            Next::Pending => {
                let (id, delivered) = (parts.id()?, parts.u64()?);
                let (deliveries, consumer) = (parts.u64()?, parts.u32()?);
                parts.end()?;
                let unfinished = self.group.as_mut()?;
                unfinished.pending -= 1;
                let pending = Pending { id, consumer, delivered, deliveries };
                unfinished.group.restore_pending(pending).then_some(())?;
            }
            Next::Nothing => return None,
        }
        self.go_on()
    }

    /// Finds out what comes next.
    fn go_on(&mut self) -> Option<()> {
        if let Some(Unfinished { name, group, .. }) =
            self.group.take_if(|group| group.consumers == 0 && group.pending == 0)
        {
            let is_in_order = self.stream.groups.last_key_value().is_none_or(|(last, _)| *last < name);
            is_in_order.then_some(())?;
            self.stream.add_group(&name, group);
        }
        self.next = match &self.group {
            Some(group) if group.consumers > 0 => Next::ConsumerName,
            Some(_) => Next::Pending,
            None if self.chunks > 0 => Next::Chunk,
            None if self.groups > 0 => Next::GroupName,
            None => Next::Nothing,
        };
        Some(())
    }

    /// The stream, if nothing is missing.
    pub(crate) fn finish(self) -> Option<Stream> {
        matches!(self.next, Next::Nothing).then_some(self.stream)
    }
}
