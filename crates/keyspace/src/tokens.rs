//! What has been executed under a token of a client, and what was answered: the memory of `ONCE`.
//!
//! Tokens are in the order of their first use, and numbered in it. One is forgotten [`KEPT_MS`] after its
//! first use, by entry time, so that replicas agree on it; earlier only if there are too many, the oldest
//! first. A record never changes, so an image in the making needs to be told only of those that are forgotten
//! before it has them.

use std::collections::VecDeque;
use std::ops::Range;

use onecopy_core::Timestamp;
use smallvec::SmallVec;

use crate::image::{Part, encode};
use crate::seed::Seed;
use crate::slot::record::Payload;
use crate::value::Dict;

/// The longest token.
pub const TOKEN_BYTES_MAX: usize = 64;
/// No keyspace gives out so many numbers.
pub(crate) const TOKEN_NUMBER_MAX: u64 = u64::MAX / 2;
/// How long a token is remembered, in milliseconds.
const KEPT_MS: u64 = 600_000;
/// Tokens are forgotten at whole seconds, in milliseconds: an idle group makes no more than one entry a
/// second for them.
const FORGOTTEN_AT_MS: u64 = 1_000;
/// So many tokens are remembered.
const COUNT_MAX: usize = 1_000_000;
/// So many bytes do they occupy together.
const BYTES_MAX: u64 = 256 << 20;
/// A longer answer to a command under a token is not kept, only that there was one.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;
/// What a token costs beyond two copies of itself and its answer.
const TOKEN_COST: u64 = 192;
/// So many go into an image at once.
const SERIALIZED_TOGETHER: u64 = 64;

/// A token. Those that people make up, such as UUIDs, need no allocation.
pub(crate) type Token = SmallVec<[u8; 40]>;

/// What was executed under a token.
#[derive(Clone, Debug)]
pub(crate) struct Executed {
    pub(crate) token: Token,
    /// When it is forgotten.
    pub(crate) expires: Timestamp,
    /// A hash of the command.
    pub(crate) command: u64,
    /// The answer, in neutral form; `None` if it was too long.
    pub(crate) answer: Option<Box<[u8]>>,
}

impl Executed {
    fn memory(&self) -> u64 {
        let answer = self.answer.as_ref().map_or(0, |answer| answer.len());
        TOKEN_COST + (2 * self.token.len() + answer) as u64
    }
}

/// A number, as it lies beside its token.
fn payload_of(number: u64) -> Payload<'static> {
    Payload::Integer(number.cast_signed())
}

/// What an image in the making needs.
#[derive(Debug)]
struct Imaging {
    /// The numbers of the tokens that it does not have yet.
    missing: Range<u64>,
    /// Tokens that were serialized because they were about to be forgotten.
    saved: Part,
}

/// All tokens that are remembered.
#[derive(Debug)]
pub(crate) struct Tokens {
    queue: VecDeque<Executed>,
    /// The number of the first in the queue.
    first: u64,
    /// The number of each token's last use.
    numbers: Dict,
    memory: u64,
    imaging: Option<Imaging>,
}

impl Tokens {
    /// None, of which the first will have this number.
    pub(crate) fn beginning(seed: Seed, first: u64) -> Self {
        let numbers = Dict::new(seed);
        Self { queue: VecDeque::new(), first, numbers, memory: 0, imaging: None }
    }

    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    /// The number of the oldest, or of the next if there is none.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// When the oldest is forgotten.
    pub(crate) fn due(&self) -> Option<Timestamp> {
        self.queue.front().map(|executed| executed.expires)
    }

    /// The tokens at these positions in the queue, with their numbers.
    pub(crate) fn range(&self, positions: Range<usize>) -> impl Iterator<Item = (u64, &Executed)> {
        (self.first + positions.start as u64..).zip(self.queue.range(positions))
    }

    /// The number of a token's last use.
    fn number_of(&self, token: &[u8]) -> Option<u64> {
        match self.numbers.get(token)? {
            Payload::Integer(number) => Some(number.cast_unsigned()),
            Payload::Bytes(_) | Payload::Beside(_) => None,
        }
    }

    /// What was executed under a token, if it is not forgotten at `clock`.
    pub(crate) fn get(&self, token: &[u8], clock: Timestamp) -> Option<&Executed> {
        let number = self.number_of(token)?;
        // Less than the length of the queue, which fits.
        let executed = self.queue.get((number - self.first) as usize)?;
        (executed.expires > clock).then_some(executed)
    }

    /// Remembers what was executed at `clock` under a token that is new, or forgotten. Where the whole state
    /// is to occupy at most `memory_max` bytes (0: no limit), tokens take a quarter of it at most: who makes
    /// room must not find that tokens fill it.
    pub(crate) fn remember(
        &mut self,
        (token, clock): (&[u8], Timestamp),
        command: u64,
        answer: Option<&[u8]>,
        memory_max: u64,
    ) {
        let bytes_max = if memory_max == 0 { BYTES_MAX } else { BYTES_MAX.min(memory_max / 4) };
        let expires =
            clock.0.saturating_add(KEPT_MS).div_ceil(FORGOTTEN_AT_MS).saturating_mul(FORGOTTEN_AT_MS);
        let answer = answer.filter(|answer| answer.len() <= ANSWER_BYTES_MAX).map(Box::from);
        self.push(Executed { token: token.into(), expires: Timestamp(expires), command, answer });
        while self.queue.len() > COUNT_MAX || self.memory > bytes_max && self.queue.len() > 1 {
            self.forget();
        }
    }

    /// Adds a token behind all others. Whether it may stand there.
    pub(crate) fn push(&mut self, executed: Executed) -> bool {
        if self.queue.back().is_some_and(|last| last.expires > executed.expires) {
            return false;
        }
        let number = self.first + self.queue.len() as u64;
        if let Some(position) = self.numbers.insert_new(&executed.token, payload_of(number)) {
            // Used again after it was forgotten.
            self.numbers.set(position, payload_of(number));
        }
        self.memory += executed.memory();
        self.queue.push_back(executed);
        true
    }

    /// Forgets what is due at `clock`, at most `count_max`; how many.
    pub(crate) fn expire(&mut self, clock: Timestamp, count_max: usize) -> usize {
        let is_due = |executed: &&Executed| executed.expires <= clock;
        let count = self.queue.iter().take(count_max).take_while(is_due).count();
        (0..count).for_each(|_| self.forget());
        count
    }

    /// Forgets the oldest. An image in the making gets it first.
    fn forget(&mut self) {
        let Some(executed) = self.queue.pop_front() else { return };
        if let Some(Imaging { missing, saved }) = &mut self.imaging
            && missing.start == self.first
            && !missing.is_empty()
        {
            encode::tokens(self.first, std::iter::once(&executed), saved);
            missing.start += 1;
        }
        // It may have been used again since.
        if let Some(position) = self.numbers.position(&executed.token)
            && self.number_of(&executed.token) == Some(self.first)
        {
            self.numbers.remove_at(position);
        }
        self.memory -= executed.memory();
        self.first += 1;
    }

    /// Begins to give the tokens to an image, as they are now.
    pub(crate) fn begin_imaging(&mut self) {
        let missing = self.first..self.first + self.queue.len() as u64;
        self.imaging = Some(Imaging { missing, saved: Part::default() });
    }

    /// The image is given up.
    pub(crate) fn stop_imaging(&mut self) {
        self.imaging = None;
    }

    /// Appends the next part of the image to `out`; whether there was one.
    pub(crate) fn image_next(&mut self, out: &mut Part) -> bool {
        let Some(Imaging { missing, saved }) = &mut self.imaging else { return false };
        if !saved.bytes.is_empty() {
            out.take(saved);
            return true;
        }
        if missing.is_empty() {
            self.imaging = None;
            return false;
        }
        let end = missing.end.min(missing.start + SERIALIZED_TOGETHER);
        // Both are in the queue: what is forgotten is not missing any more.
        let positions = (missing.start - self.first) as usize..(end - self.first) as usize;
        encode::tokens(missing.start, self.queue.range(positions), out);
        missing.start = end;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Tokens {
        Tokens::beginning(Seed([1, 2]), 0)
    }

    fn knows(tokens: &Tokens, token: &str, clock: u64) -> bool {
        tokens.get(token.as_bytes(), Timestamp(clock)).is_some()
    }

    #[test]
    fn a_token_is_forgotten_in_its_time() {
        let mut tokens = fresh();
        tokens.remember((b"a", Timestamp(500)), 1, Some(b"+OK\r\n"), 0);
        tokens.remember((b"b", Timestamp(1_500)), 1, Some(b"+OK\r\n"), 0);
        assert_eq!(tokens.due(), Some(Timestamp(601_000)), "a whole second");
        assert!(knows(&tokens, "a", 600_999) && !knows(&tokens, "a", 601_000));
        assert_eq!(tokens.expire(Timestamp(601_000), 10), 1);
        assert_eq!((tokens.len(), tokens.due()), (1, Some(Timestamp(602_000))));
        assert_eq!(tokens.expire(Timestamp(700_000), 0), 0);
        assert_eq!(tokens.expire(Timestamp(700_000), 10), 1);
        assert_eq!((tokens.memory(), tokens.due(), tokens.first()), (0, None, 2));
    }

    #[test]
    fn a_token_that_is_forgotten_but_still_there_may_be_used_again() {
        let mut tokens = fresh();
        tokens.remember((b"a", Timestamp(0)), 1, None, 0);
        assert!(!knows(&tokens, "a", 600_000));
        tokens.remember((b"a", Timestamp(600_000)), 2, None, 0);
        assert_eq!(tokens.expire(Timestamp(600_000), 10), 1);
        assert_eq!(tokens.get(b"a", Timestamp(600_000)).map(|executed| executed.command), Some(2));
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let mut tokens = fresh();
        for number in 0..=COUNT_MAX as u64 {
            tokens.remember((&number.to_le_bytes(), Timestamp(0)), 1, None, 0);
        }
        assert_eq!((tokens.len(), tokens.first(), tokens.numbers.len()), (COUNT_MAX, 1, COUNT_MAX));
        let mut tokens = fresh();
        let answer = vec![b'x'; ANSWER_BYTES_MAX];
        for number in 0..400u64 {
            tokens.remember((&number.to_le_bytes(), Timestamp(0)), 1, Some(&answer), 0);
            assert!(tokens.memory() <= BYTES_MAX);
        }
        assert!(tokens.first() > 100);
    }

    #[test]
    fn tokens_take_a_quarter_of_the_memory_at_most() {
        let mut tokens = fresh();
        for number in 0..100u64 {
            tokens.remember((&number.to_le_bytes(), Timestamp(0)), 1, Some(&[b'x'; 1_000]), 40_000);
            assert!(tokens.memory() <= 10_000);
        }
        tokens.remember((b"large", Timestamp(0)), 1, Some(&[b'x'; 50_000]), 40_000);
        assert!(knows(&tokens, "large", 0), "the newest is remembered in any case");
    }

    #[test]
    fn a_long_answer_is_not_kept() {
        let mut tokens = fresh();
        tokens.remember((b"a", Timestamp(0)), 1, Some(&vec![b'x'; ANSWER_BYTES_MAX + 1]), 0);
        assert!(tokens.get(b"a", Timestamp(0)).is_some_and(|executed| executed.answer.is_none()));
    }
}
