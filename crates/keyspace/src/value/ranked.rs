//! Positions in the order of their scores, by rank.
//!
//! They lie in blocks of some hundred, in order, with the scores beside them: only where scores are equal
//! must the members be compared. How many lie in the blocks before one is summed up in a tree of partial sums
//! (Fenwick: "A new data structure for cumulative frequency tables", 1994), so that a rank is found, and
//! found out, in logarithmic time; when blocks are split or joined, the tree is built again.

use std::cmp::Ordering;
use std::ops::Range;

/// A block of more is split in two.
const BLOCK_MAX: usize = 256;
/// A block of fewer is joined with the next, if both are at most half a block together.
const BLOCK_MIN: usize = 64;

/// Some positions with their scores. None of these is NaN, or a negative zero.
#[derive(Clone, Debug, Default)]
struct Block {
    scores: Vec<f64>,
    positions: Vec<u32>,
}

impl Block {
    fn len(&self) -> usize {
        self.scores.len()
    }
}

/// Positions in the order of their scores, and of the members' bytes where these are equal.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranked {
    /// None is empty.
    blocks: Vec<Block>,
    /// At `n`, counted from one: how many lie in as many blocks up to `n` as the lowest bit of `n` says.
    sums: Vec<usize>,
}

/// A place: a block, and a number within it.
type At = (usize, usize);

/// Makes room for one more, and not much more than that.
fn grow<T>(part: &mut Vec<T>) {
    if part.len() == part.capacity() {
        part.reserve_exact((part.len() / 8).max(8));
    }
}

impl Ranked {
    /// The same again, block by block. `step` hears of the steps of each.
    pub(crate) fn copy(&self, step: &mut dyn FnMut(usize)) -> Self {
        let copy = |block: &Block| {
            step(1 + block.len() / 4);
            block.clone()
        };
        Self { blocks: self.blocks.iter().map(copy).collect(), sums: self.sums.clone() }
    }

    /// Where (`score`, `member`) is, or would be.
    fn find<'a>(&self, score: f64, member: &[u8], member_of: impl Fn(usize) -> &'a [u8]) -> At {
        let is_below = |block: &Block, at: usize| match block.scores[at].total_cmp(&score) {
            Ordering::Equal => member_of(block.positions[at] as usize) < member,
            other => other == Ordering::Less,
        };
        // The block is the last that begins below, or the first.
        let block = self.blocks.partition_point(|block| is_below(block, 0)).saturating_sub(1);
        let Some(found) = self.blocks.get(block) else { return (0, 0) };
        let (mut low, mut high) = (0, found.len());
        while low < high {
            let middle = low.midpoint(high);
            if is_below(found, middle) { low = middle + 1 } else { high = middle }
        }
        (block, low)
    }

    /// Where a position with this score is, which must be there.
    fn must_find<'a>(&self, score: f64, position: usize, member_of: impl Fn(usize) -> &'a [u8]) -> At {
        let (block, at) = self.find(score, member_of(position), member_of);
        // It may be the first of the block behind.
        let at = if at == self.blocks[block].len() { (block + 1, 0) } else { (block, at) };
        assert_eq!(self.blocks[at.0].positions[at.1] as usize, position, "what is there is ranked");
        at
    }

    /// Builds the sums again.
    fn sum_up(&mut self) {
        self.sums.clear();
        self.sums.resize(self.blocks.len() + 1, 0);
        for number in 1..self.sums.len() {
            self.sums[number] += self.blocks[number - 1].len();
            let next = number + (number & number.wrapping_neg());
            if next < self.sums.len() {
                self.sums[next] += self.sums[number];
            }
        }
    }

    /// A block has one more, or one less.
    fn count(&mut self, block: usize, more: bool) {
        let mut number = block + 1;
        while number < self.sums.len() {
            self.sums[number] = if more { self.sums[number] + 1 } else { self.sums[number] - 1 };
            number += number & number.wrapping_neg();
        }
    }

    /// How many lie in the blocks before one.
    fn before(&self, block: usize) -> usize {
        let (mut number, mut sum) = (block, 0);
        while number > 0 {
            sum += self.sums[number];
            number &= number - 1;
        }
        sum
    }

    /// Where the position with a rank is, if there are as many.
    fn locate(&self, rank: usize) -> At {
        let (mut block, mut left) = (0, rank);
        let mut step = self.blocks.len().next_power_of_two();
        while step > 0 {
            if let Some(sum) = self.sums.get(block + step)
                && *sum <= left
            {
                block += step;
                left -= sum;
            }
            step /= 2;
        }
        (block, left)
    }

    /// Adds a position that is not there. `member_of` gives the bytes of the member at any position.
    pub(crate) fn insert<'a>(&mut self, score: f64, position: usize, member_of: impl Fn(usize) -> &'a [u8]) {
        let (number, at) = self.find(score, member_of(position), member_of);
        if self.blocks.is_empty() {
            self.blocks.push(Block::default());
            self.sum_up();
        }
        let block = &mut self.blocks[number];
        grow(&mut block.scores);
        grow(&mut block.positions);
        block.scores.insert(at, score);
        block
            .positions
            .insert(at, u32::try_from(position).expect("a collection of fewer than 2^32 elements"));
        if block.len() <= BLOCK_MAX {
            self.count(number, true);
            return;
        }
        // Who adds behind all others leaves full blocks.
        let half = if at == BLOCK_MAX { BLOCK_MAX } else { BLOCK_MAX / 2 };
        let other =
            Block { scores: block.scores.split_off(half), positions: block.positions.split_off(half) };
        block.scores.shrink_to_fit();
        block.positions.shrink_to_fit();
        self.blocks.insert(number + 1, other);
        self.sum_up();
    }

    /// Removes a position that is there.
    pub(crate) fn remove<'a>(&mut self, score: f64, position: usize, member_of: impl Fn(usize) -> &'a [u8]) {
        let (number, at) = self.must_find(score, position, member_of);
        let block = &mut self.blocks[number];
        block.scores.remove(at);
        block.positions.remove(at);
        let left = block.len();
        let fits = |block: &Block| block.len() + left <= BLOCK_MAX / 2;
        if left == 0 {
            self.blocks.remove(number);
            self.sum_up();
        } else if left < BLOCK_MIN && self.blocks.get(number + 1).is_some_and(fits) {
            let next = self.blocks.remove(number + 1);
            self.blocks[number].scores.extend(next.scores);
            self.blocks[number].positions.extend(next.positions);
            self.sum_up();
        } else {
            self.count(number, false);
        }
    }

    /// What was at one position is at another now; its member is still found at the old one.
    pub(crate) fn moved<'a>(
        &mut self,
        score: f64,
        from: usize,
        to: usize,
        member_of: impl Fn(usize) -> &'a [u8],
    ) {
        let (block, at) = self.must_find(score, from, member_of);
        self.blocks[block].positions[at] = to as u32;
    }

    /// What was at either of two positions is at the other now; members are still found at the old ones.
    pub(crate) fn swap<'a>(
        &mut self,
        first: (f64, usize),
        second: (f64, usize),
        member_of: impl Fn(usize) -> &'a [u8] + Copy,
    ) {
        let first_at = self.must_find(first.0, first.1, member_of);
        let second_at = self.must_find(second.0, second.1, member_of);
        self.blocks[first_at.0].positions[first_at.1] = second.1 as u32;
        self.blocks[second_at.0].positions[second_at.1] = first.1 as u32;
    }

    /// Drops up to about `count` positions of an order that nobody uses any more.
    pub(crate) fn shed(&mut self, count: usize) {
        self.sums = Vec::new();
        let left = self.blocks.len().saturating_sub(count / BLOCK_MIN + 1);
        self.blocks.truncate(left);
    }

    /// The rank of a position that is there.
    pub(crate) fn rank<'a>(
        &self,
        score: f64,
        position: usize,
        member_of: impl Fn(usize) -> &'a [u8],
    ) -> Option<usize> {
        let (block, at) = self.must_find(score, position, member_of);
        Some(self.before(block) + at)
    }

    /// The position with a rank.
    pub(crate) fn at(&self, rank: usize) -> Option<usize> {
        let (block, at) = self.locate(rank);
        self.blocks.get(block)?.positions.get(at).map(|position| *position as usize)
    }

    /// How many sort before (`score`, `member`), which need not be there.
    pub(crate) fn below<'a>(
        &self,
        score: f64,
        member: &[u8],
        member_of: impl Fn(usize) -> &'a [u8],
    ) -> usize {
        let (block, at) = self.find(score, member, member_of);
        self.before(block) + at
    }

    /// The positions with these ranks, upwards.
    pub(crate) fn range(&self, ranks: Range<usize>) -> impl Iterator<Item = usize> {
        let (block, at) = self.locate(ranks.start);
        let blocks = self.blocks.iter().skip(block).flat_map(|block| &block.positions);
        blocks.skip(at).take(ranks.len()).map(|position| *position as usize)
    }

    /// The positions with these ranks, downwards.
    pub(crate) fn range_reversed(&self, ranks: Range<usize>) -> impl Iterator<Item = usize> {
        let (block, at) = if ranks.is_empty() { (0, 0) } else { self.locate(ranks.end - 1) };
        let first =
            self.blocks.get(block).map_or(&[][..], |block| &block.positions[..block.len().min(at + 1)]);
        let others = self.blocks.iter().take(block).rev().flat_map(|block| block.positions.iter().rev());
        first.iter().rev().chain(others).take(ranks.len()).map(|position| *position as usize)
    }
}
