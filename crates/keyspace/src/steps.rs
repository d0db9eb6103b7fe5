//! What a command may cost (rule E2), and how it lets others have their turn.
//!
//! A command is paid in *steps*. One step is an element that is looked at, hashed, moved or written, or a few
//! dozen bytes that are copied or compared: at most about a tenth of a microsecond. Who has used up
//! [`STEPS_MAX`] is stopped, with an error, before anything has been changed. The count depends on the
//! command and the state alone, so every copy stops at the same place.
//!
//! What is done is *spent* as well, from the [`Budget`] of whoever drives the machine: there the command
//! pauses when its slice is used up, and goes on later. Steps that are known beforehand are
//! [reserved](Steps::reserve), or [afforded](afford), at once, and spent one by one as the loop goes on. What
//! writes a reply need not spend: the reply does it.
//!
//! Commands that only make room (`DEL`, `UNLINK`, `FLUSHDB`, `FLUSHALL`) are never refused: what they remove
//! is out of sight at once, and goes bit by bit (see [`trash`](crate::trash)).

use onecopy_core::Budget;

use crate::error::{CommandError, Outcome};

/// How many steps a command may take: not much more than half a second.
pub const STEPS_MAX: usize = 1 << 23;
/// To find an element of a collection, or to add one, costs so many.
pub(crate) const ELEMENT: usize = 2;
/// To put an element into an ordered set, or to take it out, costs so many.
pub(crate) const ORDERED: usize = 4;
/// So many bytes are copied in one step.
const BYTES_PER_STEP: usize = 64;

/// So many numbers or short texts are compared in one step.
const COMPARED_PER_STEP: usize = 4;
/// To compute a distance on the earth, and whether it is short enough, costs so many.
pub(crate) const DISTANCE: usize = 3;
/// To find a key costs so many.
pub(crate) const KEY: usize = 4;
/// Bytes are copied in pieces of so many, with a pause between if it is time for one.
pub(crate) const PIECE: usize = 1 << 20;
/// To take a command apart, to find it, its key, and what it answers, costs so many.
pub(crate) const COMMAND: usize = 8;

/// What a command has left.
#[derive(Debug)]
pub(crate) struct Steps<'a> {
    left: usize,
    budget: Budget<'a>,
}

impl<'a> Steps<'a> {
    /// As many as a command may take.
    pub(crate) fn new(budget: Budget<'a>) -> Self {
        Self { left: STEPS_MAX, budget }
    }

    /// Takes so many, and spends them.
    ///
    /// # Errors
    /// When there are not as many left.
    pub(crate) fn take(&mut self, steps: usize) -> Outcome {
        self.reserve(steps)?;
        self.budget.spend(steps);
        Ok(())
    }

    /// Takes so many, which whoever asks for them spends one by one.
    ///
    /// # Errors
    /// When there are not as many left.
    pub(crate) fn reserve(&mut self, steps: usize) -> Outcome {
        self.left = self.left.checked_sub(steps).ok_or(CommandError::TooLong)?;
        self.budget.charge(steps);
        Ok(())
    }

    /// Takes as many as it costs to copy so many bytes, which whoever asks for them spends.
    ///
    /// # Errors
    /// When there are not as many left.
    pub(crate) fn reserve_copy(&mut self, bytes: usize) -> Outcome {
        self.reserve(copying(bytes))
    }
}

/// What it costs to copy so many bytes.
pub(crate) fn copying(bytes: usize) -> usize {
    bytes / BYTES_PER_STEP
}

/// What it costs to sort so many elements: a comparison each, as often as their number can be halved. What
/// long ones cost beyond that is not in it.
pub(crate) fn sorting(count: usize) -> usize {
    count.saturating_mul(rounds(count)) / COMPARED_PER_STEP
}

/// How often so many elements can be halved: so often each is compared when they are sorted.
pub(crate) fn rounds(count: usize) -> usize {
    (usize::BITS - count.leading_zeros()) as usize
}

/// Spends the comparisons of a sort.
pub(crate) struct Comparisons<'a> {
    budget: Budget<'a>,
    done: usize,
}

impl<'a> Comparisons<'a> {
    pub(crate) fn new(budget: Budget<'a>) -> Self {
        Self { budget, done: 0 }
    }

    /// One more, of so many bytes.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.done += 1;
        self.budget.spend(usize::from(self.done.is_multiple_of(COMPARED_PER_STEP)) + copying(bytes));
    }
}

/// Whether a command may take so many steps, all in all. It spends them from its budget as it takes them,
/// where they are charged here.
///
/// # Errors
/// When it may not.
pub(crate) fn afford(budget: Budget<'_>, steps: usize) -> Outcome {
    Steps::new(budget).reserve(steps)
}
