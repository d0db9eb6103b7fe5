//! Sorted sets: members with scores, and the members in order of their scores.

use std::ops::Range;

use onecopy_core::Encodings;

use super::dict::Dict;
use super::pack::Pack;
use super::ranked::Ranked;
use super::{DICT_COST, ELEMENT_COST, PACKED_BYTES_MAX, PACKED_MAX, allocated};
use crate::seed::Seed;
use crate::slot::record::Payload;

/// What a member's place in the order costs, and its score.
const RANKED_COST: u64 = 24;
/// A score lies before its member.
const SCORE: usize = 8;

/// A sorted set value.
#[derive(Clone, Debug)]
pub(crate) enum Zset {
    /// Few members, all of them short: each a score and the bytes of the member, in order of their scores.
    Few(Pack),
    Many(Box<Many>),
}

/// A sorted set that has more members, or a long one.
#[derive(Clone, Debug)]
pub(crate) struct Many {
    /// The score of each.
    members: Dict,
    ranked: Ranked,
    /// How many of the members are long.
    long: usize,
}

fn payload_of(score: f64) -> Payload<'static> {
    Payload::Integer(score.to_bits().cast_signed())
}

fn score_of(payload: Payload<'_>) -> f64 {
    match payload {
        Payload::Integer(bits) => f64::from_bits(bits.cast_unsigned()),
        Payload::Bytes(_) | Payload::Beside(_) => unreachable!("a member has a score"),
    }
}

/// A member and its score, of an item of the short form.
fn pair_of(item: &[u8]) -> (&[u8], f64) {
    let (score, member) = item.split_first_chunk::<SCORE>().expect("an item begins with a score");
    (member, f64::from_le_bytes(*score))
}

impl Many {
    pub(super) fn memory(&self) -> u64 {
        let cost = ELEMENT_COST + RANKED_COST;
        DICT_COST + self.members.names() + self.members.len() as u64 * cost
    }

    fn member(&self, position: usize) -> (&[u8], f64) {
        let (member, payload) = self.members.at(position).expect("what is ranked is there");
        (member, score_of(payload))
    }

    fn insert(&mut self, member: &[u8], score: f64) {
        let position = self.members.len();
        self.members.insert_new(member, payload_of(score));
        self.long += usize::from(member.len() > PACKED_BYTES_MAX);
        let Self { members, ranked, .. } = self;
        ranked.insert(score, position, |position| name(members, position));
    }

    /// Removes the member at a position.
    fn remove(&mut self, position: usize) {
        let (member, score) = self.member(position);
        let is_long = member.len() > PACKED_BYTES_MAX;
        let Self { members, ranked, .. } = self;
        ranked.remove(score, position, |position| name(members, position));
        let last = members.len() - 1;
        if position != last {
            let score = members.at(last).map_or(0.0, |(_, payload)| score_of(payload));
            ranked.moved(score, last, position, |position| name(members, position));
        }
        self.members.remove_at(position);
        self.long -= usize::from(is_long);
    }

    /// Lets the member at a position and the last one change places.
    fn swap_with_last(&mut self, position: usize) {
        let last = self.members.len() - 1;
        if position != last {
            let scored = |position| (self.member(position).1, position);
            let (first, second) = (scored(position), scored(last));
            let Self { members, ranked, .. } = self;
            ranked.swap(first, second, |position| name(members, position));
            members.swap_with_last(position);
        }
    }

    fn set(&mut self, position: usize, before: f64, score: f64) {
        let Self { members, ranked, .. } = self;
        ranked.remove(before, position, |position| name(members, position));
        ranked.insert(score, position, |position| name(members, position));
        members.set(position, payload_of(score));
    }

    /// The short form of it, if it has one.
    fn packed(&self) -> Option<Pack> {
        (self.members.len() <= PACKED_MAX && self.long == 0).then(|| {
            let mut pack = Pack::default();
            for position in self.ranked.range(0..self.members.len()) {
                let (member, score) = self.member(position);
                pack.push(&item_of(member, score));
            }
            pack
        })
    }
}

fn name(members: &Dict, position: usize) -> &[u8] {
    members.at(position).map_or(b"", |(member, _)| member)
}

fn item_of(member: &[u8], score: f64) -> Vec<u8> {
    [score.to_le_bytes().as_slice(), member].concat()
}

impl Zset {
    pub(crate) fn new() -> Self {
        Self::Few(Pack::default())
    }

    /// The same again, in pieces. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        match self {
            Self::Few(pack) => Self::Few(pack.clone()),
            Self::Many(many) => {
                let (members, ranked) = (many.members.copy(step), many.ranked.copy(step));
                Self::Many(Box::new(Many { members, ranked, long: many.long }))
            }
        }
    }

    /// One with these members, which are in the order of their positions; `None` if one of them comes twice.
    pub(crate) fn of(seed: Seed, pairs: &[(&[u8], f64)]) -> Option<Self> {
        // On the way through the short form, positions would become ranks.
        let is_few =
            pairs.len() <= PACKED_MAX && pairs.iter().all(|(member, _)| member.len() <= PACKED_BYTES_MAX);
        let mut zset = if is_few { Self::new() } else { Self::many(seed) };
        pairs.iter().all(|(member, score)| zset.insert(seed, member, *score).is_none()).then_some(zset)
    }

    /// An empty one in the long form, for one that will be large: on the way through the short form,
    /// positions would become ranks.
    pub(crate) fn many(seed: Seed) -> Self {
        Self::Many(Box::new(Many { members: Dict::new(seed), ranked: Ranked::default(), long: 0 }))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Few(pack) => pack.len(),
            Self::Many(many) => many.members.len(),
        }
    }

    pub(crate) fn memory(&self) -> u64 {
        match self {
            Self::Few(pack) => allocated(pack.size() as u64),
            Self::Many(many) => many.memory(),
        }
    }

    /// Few and short members are a listpack in Redis.
    pub(crate) fn encoding(&self, limits: &Encodings) -> &'static str {
        let fits = |(member, _): (&[u8], f64)| member.len() <= limits.zset_value as usize;
        let is_short = self.len() <= limits.zset_entries as usize && self.iter().all(fits);
        if is_short { "listpack" } else { "skiplist" }
    }

    /// The position of a member, and its score.
    pub(super) fn find(&self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            Self::Few(pack) => {
                let mut pairs = pack.iter().map(pair_of).enumerate();
                pairs.find(|(_, (other, _))| *other == member).map(|(position, (_, score))| (position, score))
            }
            Self::Many(many) => {
                let position = many.members.position(member)?;
                Some((position, many.member(position).1))
            }
        }
    }

    pub(crate) fn score(&self, member: &[u8]) -> Option<f64> {
        self.find(member).map(|(_, score)| score)
    }

    /// Sets a member's score, which must be a number; the score that it had. A negative zero becomes a
    /// positive one: equal scores are then equal in every bit. A sorted set that grows out of its short form
    /// needs a seed.
    pub(crate) fn insert(&mut self, seed: Seed, member: &[u8], score: f64) -> Option<f64> {
        let score = score + 0.0;
        let found = self.find(member);
        let before = found.map(|(_, before)| before);
        #[allow(clippy::float_cmp)]
        if before == Some(score) {
            return before;
        }
        let grows = found.is_none() && self.len() == PACKED_MAX || member.len() > PACKED_BYTES_MAX;
        if let Self::Few(pack) = self
            && grows
        {
            let pack = std::mem::take(pack);
            *self = Self::many(seed);
            if let Self::Many(many) = self {
                pack.iter().map(pair_of).for_each(|(member, score)| many.insert(member, score));
            }
        }
        match (self, found) {
            (Self::Few(pack), found) => {
                if let Some((position, _)) = found {
                    pack.splice(position..position + 1, &[]);
                }
                let rank = below(pack, score, member);
                pack.splice(rank..rank, &[&item_of(member, score)]);
            }
            (Self::Many(many), None) => many.insert(member, score),
            (Self::Many(many), Some((position, before))) => many.set(position, before, score),
        }
        before
    }

    /// So many members, of so many bytes, are about to come.
    pub(crate) fn expect(&mut self, members: usize, bytes: usize) {
        if let Self::Few(pack) = self {
            pack.expect(members, bytes + members * SCORE);
        }
    }

    /// Removes a member; the score that it had.
    #[cfg(test)]
    pub(crate) fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let (position, score) = self.find(member)?;
        self.remove_at(position);
        Some(score)
    }

    /// Removes the member at a position; the last one takes its place. Returns the long form of what is left,
    /// if that has become short.
    pub(super) fn remove_at(&mut self, position: usize) -> Option<Box<Many>> {
        match self {
            Self::Few(pack) => pack.splice(position..position + 1, &[]),
            Self::Many(many) => {
                many.remove(position);
                if let Some(pack) = many.packed()
                    && let Self::Many(many) = std::mem::replace(self, Self::Few(pack))
                {
                    return Some(many);
                }
            }
        }
        None
    }

    /// Lets the member at a position and the last one change places, if they have positions of their own.
    pub(super) fn swap_with_last(&mut self, position: usize) {
        if let Self::Many(many) = self {
            many.swap_with_last(position);
        }
    }

    /// A member's rank, counted from the lowest score.
    pub(crate) fn rank(&self, member: &[u8]) -> Option<usize> {
        let (position, score) = self.find(member)?;
        match self {
            Self::Few(_) => Some(position),
            Self::Many(many) => many.ranked.rank(score, position, |position| name(&many.members, position)),
        }
    }

    /// The member at a position, in the order in which a scan walks.
    pub(crate) fn at(&self, position: usize) -> Option<(&[u8], f64)> {
        match self {
            Self::Few(pack) => pack.get(position).map(pair_of),
            Self::Many(many) => {
                many.members.at(position).map(|(member, payload)| (member, score_of(payload)))
            }
        }
    }

    /// The members by their positions.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], f64)> {
        self.iter_from(0)
    }

    /// The members from a position on.
    pub(crate) fn iter_from(&self, position: usize) -> impl Iterator<Item = (&[u8], f64)> {
        let (few, many) = match self {
            Self::Few(pack) => (Some(pack.iter_from(position)), None),
            Self::Many(many) => (None, Some(many.members.iter_from(position))),
        };
        let many = many.into_iter().flatten().map(|(member, payload)| (member, score_of(payload)));
        few.into_iter().flatten().map(pair_of).chain(many)
    }

    /// The bytes of all members.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Few(pack) => pack.iter().map(|item| (item.len() - SCORE) as u64).sum(),
            Self::Many(many) => many.members.names(),
        }
    }

    /// Drops up to `count` members of a sorted set that nobody uses any more; how many.
    pub(crate) fn shed(&mut self, count: usize) -> usize {
        match self {
            Self::Few(pack) => std::mem::take(pack).len(),
            Self::Many(many) => {
                many.ranked.shed(count);
                many.members.shed(count)
            }
        }
    }

    /// The member with a rank.
    pub(crate) fn ranked(&self, rank: usize) -> Option<(&[u8], f64)> {
        match self {
            Self::Few(pack) => pack.get(rank).map(pair_of),
            Self::Many(many) => many.ranked.at(rank).map(|position| many.member(position)),
        }
    }

    /// How many members sort before (`score`, `member`), which need not be there.
    pub(crate) fn below(&self, score: f64, member: &[u8]) -> usize {
        let score = score + 0.0;
        match self {
            Self::Few(pack) => below(pack, score, member),
            Self::Many(many) => many.ranked.below(score, member, |position| name(&many.members, position)),
        }
    }

    /// The members with these ranks, upwards.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let count = ranks.len();
        let (few, many) = match self {
            Self::Few(pack) => (Some(pack.iter_from(ranks.start)), None),
            Self::Many(many) => (None, Some((many, many.ranked.range(ranks)))),
        };
        let many = many.into_iter().flat_map(|(many, ranks)| ranks.map(|position| many.member(position)));
        few.into_iter().flatten().map(pair_of).chain(many).take(count)
    }

    /// The members with these ranks, downwards.
    pub(crate) fn range_reversed(&self, ranks: Range<usize>) -> impl Iterator<Item = (&[u8], f64)> {
        let (few, many) = match self {
            Self::Few(pack) => {
                let items: Vec<&[u8]> = pack.iter_from(ranks.start).take(ranks.len()).collect();
                (Some(items.into_iter().rev()), None)
            }
            Self::Many(many) => (None, Some((many, many.ranked.range_reversed(ranks)))),
        };
        let many = many.into_iter().flat_map(|(many, ranks)| ranks.map(|position| many.member(position)));
        few.into_iter().flatten().map(pair_of).chain(many)
    }
}

/// How many members of the short form sort before (`score`, `member`).
fn below(pack: &Pack, score: f64, member: &[u8]) -> usize {
    let is_below =
        |(other, its): &(&[u8], f64)| its.total_cmp(&score).then_with(|| (*other).cmp(member)).is_lt();
    pack.iter().map(pair_of).take_while(is_below).count()
}
