//! Values, written.

use onecopy_core::Budget;
use onecopy_rdb::{Kind, Node, Output};

use crate::steps::{ELEMENT, copying};
use crate::value::stream::{Entry, Group, Id};
use crate::value::{Content, Stream, Text};

/// What is added to a value's bytes, about.
const ROOM: u64 = 64;

/// A value, with its kind before it.
pub(super) fn value(value: Content<'_>, budget: Budget<'_>) -> Vec<u8> {
    let mut out = Out { rdb: Output::new(kind(value)), budget };
    if !matches!(value, Content::Stream(_)) {
        out.rdb.reserve(usize::try_from(value.memory() + ROOM).unwrap_or(0));
    }
    match value {
        Content::Text(Text::Integer(integer)) => out.rdb.integer(integer),
        Content::Text(Text::Raw(bytes)) => out.string(bytes),
        Content::List(list) => {
            out.rdb.length(list.len() as u64);
            list.iter().for_each(|element| out.string(element));
        }
        Content::Set(set) => {
            out.rdb.length(set.len() as u64);
            set.iter().for_each(|member| out.string(member));
        }
        Content::Hash(hash) => {
            out.rdb.length(hash.len() as u64);
            for (field, value) in hash.iter() {
                out.string(field);
                out.string(value);
            }
        }
        Content::Zset(zset) => {
            out.rdb.length(zset.len() as u64);
            for (member, score) in zset.iter() {
                out.string(member);
                out.rdb.score(score);
            }
        }
        Content::Stream(stream) => out.stream(stream),
    }
    out.rdb.into_bytes()
}

/// The plainest encoding of its type.
fn kind(value: Content<'_>) -> Kind {
    match value {
        Content::Text(_) => Kind::String,
        Content::List(_) => Kind::List,
        Content::Hash(_) => Kind::Hash,
        Content::Set(_) => Kind::Set,
        Content::Zset(_) => Kind::Zset,
        Content::Stream(_) => Kind::Stream,
    }
}

struct Out<'a> {
    rdb: Output,
    budget: Budget<'a>,
}

/// An id as RDB has it.
fn pair(Id { ms, seq }: Id) -> (u64, u64) {
    (ms, seq)
}

impl Out<'_> {
    fn string(&mut self, bytes: &[u8]) {
        self.budget.spend(ELEMENT + copying(bytes.len()));
        self.rdb.string(bytes);
    }

    fn stream(&mut self, stream: &Stream) {
        let nodes = nodes(stream, self.budget);
        self.rdb.length(nodes.len() as u64);
        nodes.into_iter().for_each(|node| self.rdb.node(node));
        self.rdb.length(stream.log().len() as u64);
        self.rdb.id(pair(stream.last()));
        self.rdb.id(stream.log().first().map_or((0, 0), |first| pair(first.id)));
        self.rdb.id(pair(stream.deleted()));
        self.rdb.length(stream.progress().added.cast_unsigned());
        self.rdb.length(stream.groups().len() as u64);
        for (name, group) in stream.groups() {
            self.string(name);
            self.group(group);
        }
    }

    fn group(&mut self, group: &Group) {
        self.rdb.id(pair(group.last));
        // What is not known is written as -1.
        self.rdb.length(group.read.unwrap_or(-1).cast_unsigned());
        self.rdb.length(group.pending().len() as u64);
        for pending in group.pending().since_position(0) {
            self.budget.spend(ELEMENT);
            self.rdb.raw_id(pair(pending.id));
            self.rdb.millis(pending.delivered);
            self.rdb.length(pending.deliveries);
        }
        self.rdb.length(group.len() as u64);
        for consumer in group.consumers() {
            self.string(&consumer.name);
            self.rdb.millis(consumer.seen);
            self.rdb.millis(consumer.active.unwrap_or(u64::MAX));
            self.rdb.length(consumer.pending.len() as u64);
            for id in consumer.pending.since_position(0) {
                self.budget.spend(ELEMENT);
                self.rdb.raw_id(pair(*id));
            }
        }
    }
}

/// The entries of a stream, some in each node.
fn nodes(stream: &Stream, budget: Budget<'_>) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    for entry in stream.log().iter() {
        let size = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        budget.spend(ELEMENT + copying(size));
        let owned = owned(&entry);
        let pairs: Vec<(&[u8], &[u8])> =
            owned.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        if nodes.last().is_none_or(|node| node.is_full(size)) {
            nodes.push(Node::new(pair(entry.id), pairs.iter().map(|(name, _)| *name)));
        }
        if let Some(node) = nodes.last_mut() {
            node.entry(pair(entry.id), &pairs);
        }
    }
    nodes
}

/// The fields of an entry, and their values written out.
fn owned<'a>(entry: &Entry<'a>) -> Vec<(&'a [u8], Vec<u8>)> {
    entry.pairs().map(|(name, value)| (name, value.to_vec())).collect()
}
