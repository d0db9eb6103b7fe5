//! Reading what an image has of channels, and of other feeds: who listens, what was not heard, and which
//! events are published.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use onecopy_core::{BatchId, Incarnation, Timestamp};
use onecopy_resp::Version;

use super::super::{IS_ABSENT, IS_FETCHED};
use super::Reader;
use crate::channels::{Channels, ListenerId, Sort};
use crate::feeds::{Feed, Feeds, Item};
use crate::notifications::Flags;
use crate::waiters::{Address, WaiterId};

impl Reader<'_> {
    pub(super) fn epochs<T: Item>(mut self, feeds: &mut Feeds<T>) -> Result<(), &'static str> {
        feeds.restore_epochs(u64::from_le_bytes(self.fixed()?));
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    pub(super) fn listener(mut self, channels: &mut Channels) -> Result<(), &'static str> {
        let coordinator = Incarnation(u128::from_le_bytes(self.fixed()?));
        let listener = ListenerId { coordinator, number: u64::from_le_bytes(self.fixed()?) };
        let count = self.u32()?;
        if count == 0 {
            return Err("a listener that listens to nothing");
        }
        for _ in 0..count {
            let [sort] = self.fixed()?;
            let sort = *Sort::ALL.get(usize::from(sort)).ok_or("a subscription that makes no sense")?;
            if !channels.interest.insert(listener, sort, self.bytes()?.into()) {
                return Err("a subscription comes twice");
            }
        }
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }

    pub(super) fn feed<T: Item>(mut self, feeds: &mut Feeds<T>) -> Result<(), &'static str> {
        let coordinator = Incarnation(u128::from_le_bytes(self.fixed()?));
        let mark = (u64::from_le_bytes(self.fixed()?), u64::from_le_bytes(self.fixed()?));
        let [flags] = self.fixed()?;
        if flags & !(IS_FETCHED | IS_ABSENT) != 0 {
            return Err("a feed that makes no sense");
        }
        let waiting = match flags & IS_FETCHED {
            0 => None,
            _ => {
                let process = Incarnation(u128::from_le_bytes(self.fixed()?));
                let id = WaiterId { process, number: u64::from_le_bytes(self.fixed()?) };
                let batch = BatchId { coordinator, sequence: u64::from_le_bytes(self.fixed()?) };
                let epoch = u64::from_le_bytes(self.fixed()?);
                Some((Address { id, batch, version: Version::Two }, epoch))
            }
        };
        let absent = match flags & IS_ABSENT {
            0 => None,
            _ => Some(Timestamp(u64::from_le_bytes(self.fixed()?))),
        };
        let (count, mut rest) = (self.u32()?, Bytes::copy_from_slice(self.rest));
        let mut queue = VecDeque::new();
        for _ in 0..count {
            queue.push_back(Arc::new(T::take(&mut rest).ok_or("something in a feed that makes no sense")?));
        }
        if !rest.is_empty() {
            return Err("a record is longer than its contents");
        }
        match feeds.restore(coordinator, Feed::restored(mark, queue, waiting, absent)) {
            true => Ok(()),
            false => Err("a feed comes twice, or knows a time that has not come"),
        }
    }

    pub(super) fn notified(mut self, notified: &mut Flags) -> Result<(), &'static str> {
        let flags = Flags::of_bits(u16::from_le_bytes(self.fixed()?));
        *notified =
            flags.filter(|flags| *flags != Flags::default()).ok_or("classes of events that are none")?;
        if self.rest.is_empty() { Ok(()) } else { Err("a record is longer than its contents") }
    }
}
