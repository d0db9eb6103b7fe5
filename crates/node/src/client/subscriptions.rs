//! What one connection listens to, and how it is told what was published.

use std::collections::BTreeMap;

use bytes::Bytes;
use onecopy_keyspace::channels::{Message, Sort};
use onecopy_keyspace::command::Spec;
use onecopy_keyspace::glob;
use onecopy_resp::Writer;

use super::mailbox::Position;

/// What a connection listens to.
#[derive(Debug)]
pub(crate) struct Subscriptions {
    /// How its coordinator calls it.
    pub(super) number: u64,
    /// By the sort and the name: where in the feed it begins.
    pub(super) names: [BTreeMap<Bytes, Position>; 3],
}

impl Subscriptions {
    pub(super) fn count(&self, sort: Sort) -> usize {
        self.names[sort as usize].len()
    }

    /// How many there are, as it is said with each of this sort: shard channels are counted apart.
    pub(super) fn counted(&self, sort: Sort) -> i64 {
        let count = match sort {
            Sort::Shard => self.count(Sort::Shard),
            Sort::Channel | Sort::Pattern => self.count(Sort::Channel) + self.count(Sort::Pattern),
        };
        i64::try_from(count).unwrap_or(i64::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.iter().all(BTreeMap::is_empty)
    }

    /// Writes a message to its client: once for the channel, and for each pattern.
    pub(super) fn write(&self, position: Position, message: &Message, writer: &mut Writer<'_>) {
        let begins_before = |begin: &Position| *begin < position;
        if self.names[message.sort as usize].get(&message.channel).is_some_and(begins_before) {
            writer.push(3);
            writer.bulk(if message.sort == Sort::Shard { b"smessage" } else { b"message" });
            writer.bulk(&message.channel);
            writer.bulk(&message.payload);
        }
        if message.sort != Sort::Channel {
            return;
        }
        for (pattern, _) in self.names[Sort::Pattern as usize]
            .iter()
            .filter(|(pattern, begin)| begins_before(begin) && glob::matches(pattern, &message.channel))
        {
            writer.push(4);
            writer.bulk(b"pmessage");
            writer.bulk(pattern);
            writer.bulk(&message.channel);
            writer.bulk(&message.payload);
        }
    }
}

/// Says that a subscription has begun or ended, and how many there are.
pub(super) fn said(spec: &Spec, name: Option<&Bytes>, count: i64, writer: &mut Writer<'_>) {
    writer.push(3);
    writer.bulk(spec.name.as_bytes());
    match name {
        Some(name) => writer.bulk(name),
        None => writer.null(),
    }
    writer.integer(count);
}
