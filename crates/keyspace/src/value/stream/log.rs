//! The entries of a stream, in order of their ids: a queue of nodes.
//!
//! Where one node ends and the next begins is part of the state: trimming may stop there, and images carry
//! it.

use std::collections::VecDeque;

use onecopy_core::Budget;

use super::id::Id;
use super::node::{Entry, Node};
use crate::steps::copying;

/// What a node costs beyond its bytes.
const NODE_COST: u64 = 72;
/// To let go of a node takes so many steps.
const NODE_STEPS: usize = 4;

#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    /// None is empty.
    nodes: VecDeque<Node>,
    length: usize,
    /// What all nodes have together.
    bytes: u64,
}

/// Which entries stay when a stream is trimmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// So many of the newest.
    Newest(usize),
    /// Those from this id on.
    From(Id),
}

/// How a stream is trimmed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trim {
    pub(crate) kept: Kept,
    /// Only whole nodes go.
    pub(crate) by_nodes: bool,
    /// At most so many entries go.
    pub(crate) limit: usize,
}

impl Log {
    pub(crate) fn len(&self) -> usize {
        self.length
    }

    /// How many nodes there are.
    pub(crate) fn nodes(&self) -> usize {
        self.nodes.len()
    }

    pub(super) fn node(&self, number: usize) -> Option<&Node> {
        self.nodes.get(number)
    }

    pub(super) fn memory(&self) -> u64 {
        self.bytes + self.nodes.len() as u64 * NODE_COST
    }

    /// The same again, node by node. `step` hears of the steps of each.
    pub(super) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |node: &Node| {
            step(NODE_STEPS + copying(node.bytes.len()));
            node.clone()
        };
        Self { nodes: self.nodes.iter().map(copy).collect(), ..*self }
    }

    /// Adds an entry of fields and values in turn. Its id must be later than all others.
    pub(super) fn append(&mut self, id: Id, pairs: &[&[u8]], budget: Budget<'_>) {
        match self.nodes.back_mut() {
            Some(last) if last.has_room(id, pairs) => {
                self.bytes -= last.bytes.len() as u64;
                last.append(id, pairs, budget);
            }
            last => {
                last.into_iter().for_each(Node::close);
                if self.nodes.is_empty() {
                    // Most streams with few entries have no other.
                    self.nodes.reserve_exact(1);
                }
                self.nodes.push_back(Node::new(id, pairs, budget));
            }
        }
        self.bytes += self.nodes.back().map_or(0, |last| last.bytes.len() as u64);
        self.length += 1;
    }

    /// Adds a node that was read from an image; whether it fits behind the others.
    pub(super) fn push(&mut self, node: Node) -> bool {
        let fits = self.last().is_none_or(|last| last.id < node.base);
        self.length += usize::from(node.count);
        self.bytes += node.bytes.len() as u64;
        self.nodes.push_back(node);
        fits
    }

    pub(crate) fn first(&self) -> Option<Entry<'_>> {
        self.nodes.front()?.entries().next()
    }

    pub(crate) fn last(&self) -> Option<Entry<'_>> {
        self.nodes.back()?.entries().last()
    }

    /// The last node that begins with an id, or before it.
    fn node_of(&self, id: Id) -> Option<usize> {
        self.nodes.partition_point(|node| node.base <= id).checked_sub(1)
    }

    pub(crate) fn get(&self, id: Id) -> Option<Entry<'_>> {
        self.nodes[self.node_of(id)?].entries().find(|entry| entry.id >= id).filter(|entry| entry.id == id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Entry<'_>> {
        self.nodes.iter().flat_map(Node::entries)
    }

    /// The entries from one id to another, both included.
    pub(crate) fn range(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let nodes = self.nodes.range(self.node_of(start).unwrap_or(0)..);
        let entries = nodes.flat_map(Node::entries);
        entries.skip_while(move |entry| entry.id < start).take_while(move |entry| entry.id <= end)
    }

    /// The same, from the last to the first.
    pub(crate) fn range_reversed(&self, start: Id, end: Id) -> impl Iterator<Item = Entry<'_>> {
        let nodes = self.nodes.range(..self.node_of(end).map_or(0, |node| node + 1)).rev();
        let entries = nodes.flat_map(|node| node.entries().collect::<Vec<_>>().into_iter().rev());
        entries.skip_while(move |entry| entry.id > end).take_while(move |entry| entry.id >= start)
    }

    /// Removes an entry; whether it was there.
    pub(super) fn remove(&mut self, id: Id) -> bool {
        let Some(number) = self.node_of(id) else { return false };
        let node = &mut self.nodes[number];
        let before = node.bytes.len() as u64;
        if !node.remove(id) {
            return false;
        }
        self.length -= 1;
        if node.count == 0 {
            self.bytes -= before;
            self.nodes.remove(number);
            self.shrink();
        } else {
            self.bytes -= before - node.bytes.len() as u64;
        }
        true
    }

    /// Removes the oldest entries; how many. Takes time for the nodes that go, and for one in part.
    pub(super) fn trim(&mut self, trim: &Trim, budget: Budget<'_>) -> usize {
        let mut removed = 0;
        while let Some(node) = self.nodes.front_mut() {
            let count = usize::from(node.count);
            let is_enough = matches!(trim.kept, Kept::Newest(kept) if self.length <= kept);
            if is_enough || removed + count > trim.limit {
                break;
            }
            budget.spend(NODE_STEPS);
            let goes_whole = match trim.kept {
                Kept::Newest(kept) => self.length - count >= kept,
                Kept::From(id) => node.entries().last().is_none_or(|last| last.id < id),
            };
            if goes_whole {
                self.bytes -= node.bytes.len() as u64;
                self.nodes.pop_front();
            } else if trim.by_nodes {
                break;
            }
            let cut = if goes_whole { count } else { self.trim_first(trim.kept) };
            (removed, self.length) = (removed + cut, self.length - cut);
            if !goes_whole {
                break;
            }
        }
        self.shrink();
        removed
    }

    /// Removes the oldest entries of the first node, of which some stay; how many.
    fn trim_first(&mut self, kept: Kept) -> usize {
        let Some(node) = self.nodes.front_mut() else { return 0 };
        let before = node.bytes.len();
        let mut left = self.length;
        let removed = node.remove_while(|entry| {
            let goes = match kept {
                Kept::Newest(kept) => left > kept,
                Kept::From(id) => entry.id < id,
            };
            left -= usize::from(goes);
            goes
        });
        self.bytes -= (before - node.bytes.len()) as u64;
        removed.into()
    }

    fn shrink(&mut self) {
        let (nodes, room) = (self.nodes.len(), self.nodes.capacity());
        if room > 64 && nodes < room / 4 {
            self.nodes.shrink_to(nodes * 2);
        }
    }

    /// Drops nodes of a stream that nobody uses any more, up to `count`; how many.
    pub(super) fn shed(&mut self, count: usize) -> usize {
        let left = self.nodes.len().saturating_sub(count);
        let shed = self.nodes.len() - left;
        self.nodes.truncate(left);
        shed
    }
}
