//! Sorted sets: a table from member to score, and the members in order of their scores.

use std::ops::Range;
use std::sync::Arc;

use super::ranked::{Member, Ranked};
use super::table::Table;
use crate::seed::Seed;

/// What a member costs beyond its bytes.
const MEMBER_COST: u64 = 120;
/// Redis keeps a sorted set as a listpack while it has no more members, and none that is longer.
const LISTPACK_MEMBERS_MAX: usize = 128;
const LISTPACK_BYTES_MAX: usize = 64;

/// A sorted set value.
#[derive(Clone, Debug)]
pub(crate) struct Zset {
    scores: Table<Member, f64>,
    ranked: Ranked,
    bytes: u64,
}

/// Adds scores as Redis does: infinities of both signs cancel out.
pub(crate) fn score_of_parts(a: f64, b: f64) -> f64 {
    let sum = a + b;
    if sum.is_nan() { 0.0 } else { sum }
}

impl Zset {
    pub(crate) fn new(seed: Seed) -> Self {
        Self { scores: Table::new(seed), ranked: Ranked::default(), bytes: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.scores.len()
    }

    pub(crate) fn memory(&self) -> u64 {
        self.bytes + self.scores.len() as u64 * MEMBER_COST
    }

    pub(crate) fn encoding(&self) -> &'static str {
        let compact = self.scores.len() <= LISTPACK_MEMBERS_MAX
            && self.scores.iter().all(|(member, _)| member.len() <= LISTPACK_BYTES_MAX);
        if compact { "listpack" } else { "skiplist" }
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).map(|(_, score)| *score)
    }

    /// Sets a member's score, which must be a number; the score that it had. A negative zero becomes a
    /// positive one: equal scores are then equal in every bit.
    pub(crate) fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        let score = score + 0.0;
        if let Some((shared, old)) = self.scores.get_mut(member) {
            let before = *old;
            #[allow(clippy::float_cmp)]
            if before != score {
                self.ranked.remove(before, shared);
                self.ranked.insert(score, Arc::clone(shared));
                *old = score;
            }
            return Some(before);
        }
        let shared: Member = member.into();
        self.bytes += member.len() as u64;
        self.ranked.insert(score, Arc::clone(&shared));
        self.scores.insert_new(shared, score);
        None
    }

    /// Removes a member; the score that it had.
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (shared, score) = self.scores.remove(member)?;
        self.ranked.remove(score, &shared);
        self.bytes -= shared.len() as u64;
        Some(score)
    }

    /// A member's rank, counted from the lowest score.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        let (shared, score) = self.scores.get(member)?;
        self.ranked.rank(*score, shared)
    }

    /// The member in the table's own order, in which a scan walks.
    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], f64)> {
        self.scores.at(position).map(|(member, score)| (member.as_ref(), *score))
    }

    /// The members in the table's own order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], f64)> {
        self.scores.iter().map(|(member, score)| (member.as_ref(), *score))
    }

    /// The bytes of all members.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Drops up to `count` members of a sorted set that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        self.ranked.shed(count);
        self.scores.shed(count)
    }

    /// The members in order.
    pub(crate) fn ranked(&self) -> &Ranked {
        &self.ranked
    }

    /// Removes the members with these ranks; how many.
    pub(crate) fn remove_range(&mut self, ranks: Range<usize>) -> usize {
        let members: Vec<Box<[u8]>> = self.ranked.range(ranks).map(|(member, _)| member.into()).collect();
        for member in &members {
            self.remove(member);
        }
        members.len()
    }
}
