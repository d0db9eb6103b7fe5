//! What a command may cost (rule E2).
//!
//! A command is paid in *steps*. One step is an element that is looked at, hashed, moved or written, or a few
//! dozen bytes that are copied or compared: at most about a tenth of a microsecond. Who has used up
//! [`STEPS_MAX`] is stopped, with an error, before anything has been changed. The count depends on the
//! command and the state alone, so every copy stops at the same place.
//!
//! Commands that only make room (`DEL`, `UNLINK`, `FLUSHDB`, `FLUSHALL`) are never refused: what they remove
//! is out of sight at once, and goes bit by bit (see [`trash`](crate::trash)).

use crate::error::{CommandError, Outcome};

/// How many steps a command may take: not much more than half a second.
pub const STEPS_MAX: usize = 1 << 23;
/// To put an element into an ordered set, or to take it out, costs so many.
pub(crate) const ORDERED: usize = 4;
/// So many bytes are copied in one step.
const BYTES_PER_STEP: usize = 64;

/// What a command has left.
#[derive(Debug)]
pub(crate) struct Steps {
    left: usize,
}

impl Steps {
    /// As many as a command may take.
    pub(crate) fn new() -> Self {
        Self { left: STEPS_MAX }
    }

    /// Takes so many.
    ///
    /// # Errors
    /// When there are not as many left.
    pub(crate) fn take(&mut self, steps: usize) -> Outcome {
        self.left = self.left.checked_sub(steps).ok_or(CommandError::TooLong)?;
        Ok(())
    }

    /// Takes as many as it costs to copy so many bytes.
    ///
    /// # Errors
    /// When there are not as many left.
    pub(crate) fn copy(&mut self, bytes: usize) -> Outcome {
        self.take(bytes / BYTES_PER_STEP)
    }

    /// What is left, for those who count down themselves.
    pub(crate) fn left_mut(&mut self) -> &mut usize {
        &mut self.left
    }
}

/// Whether a command may take so many steps, all in all.
///
/// # Errors
/// When it may not.
pub(crate) fn afford(steps: usize) -> Outcome {
    Steps::new().take(steps)
}
