//! Members in the order of their scores, by rank. The only file that knows the tree library.
//!
//! The library is young, so it is used through few of its functions, and those are compared with a sorted
//! vector in the tests. Ranges given to it are open on one side: one that ends before it begins would panic.

use std::cmp::Ordering;
use std::ops::{Bound, Range};
use std::sync::Arc;

use wabi_tree::OSBTreeSet;

/// A member's bytes, shared between the tree and the table of a sorted set.
pub(crate) type Member = Arc<[u8]>;

#[derive(Clone, Debug)]
struct Element {
    /// Never NaN.
    score: f64,
    member: Member,
}

impl Ord for Element {
    fn cmp(&self, other: &Self) -> Ordering {
        // Both zeros are equal, as they are to Redis.
        let by_score = self.score.partial_cmp(&other.score).unwrap_or(Ordering::Equal);
        by_score.then_with(|| self.member.cmp(&other.member))
    }
}

impl PartialOrd for Element {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Element {}

/// Pairs of score and member, sorted by score and then by the member's bytes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranked {
    tree: OSBTreeSet<Element>,
}

impl Ranked {
    pub(crate) fn len(&self) -> usize {
        self.tree.len()
    }

    /// Adds a pair that is not there.
    pub(crate) fn insert(&mut self, score: f64, member: Member) {
        self.tree.insert(Element { score, member });
    }

    /// Removes a pair that is there.
    pub(crate) fn remove(&mut self, score: f64, member: &Member) {
        self.tree.remove(&Element { score, member: Arc::clone(member) });
    }

    /// Drops up to `count` pairs.
    pub(crate) fn shed(&mut self, count: usize) {
        (0..count).for_each(|_| drop(self.tree.pop_last()));
    }

    /// The rank of a pair that is there.
    pub(crate) fn rank(&self, score: f64, member: &Member) -> Option<usize> {
        self.tree.rank_of(&Element { score, member: Arc::clone(member) })
    }

    /// The pair with a rank.
    pub(crate) fn at(&self, rank: usize) -> Option<(&[u8], f64)> {
        self.tree.get_by_rank(rank).map(|element| (element.member.as_ref(), element.score))
    }

    /// How many pairs sort before (`score`, `member`), which need not be there.
    pub(crate) fn below(&self, score: f64, member: &[u8]) -> usize {
        let bound = Element { score, member: member.into() };
        match self.tree.range((Bound::Included(&bound), Bound::Unbounded)).next() {
            Some(first) => self.tree.rank_of(first).unwrap_or(self.len()),
            None => self.len(),
        }
    }

    /// The pairs with these ranks, upwards.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let first = if ranks.is_empty() { None } else { self.tree.get_by_rank(ranks.start) };
        first
            .into_iter()
            .flat_map(|first| self.tree.range((Bound::Included(first), Bound::Unbounded)))
            .take(ranks.len())
            .map(|element| (element.member.as_ref(), element.score))
    }

    /// The pairs with these ranks, downwards.
    pub(crate) fn range_reversed(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let last = if ranks.is_empty() { None } else { self.tree.get_by_rank(ranks.end - 1) };
        last.into_iter()
            .flat_map(|last| self.tree.range((Bound::Unbounded, Bound::Included(last))).rev())
            .take(ranks.len())
            .map(|element| (element.member.as_ref(), element.score))
    }
}
