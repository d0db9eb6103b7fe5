//! What happened, for people, and how a violation stops a run.

use std::collections::VecDeque;
use std::fmt;

use crate::clock::{MS, Time};

/// Something was found that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property, as its file in `checks` is named; `core` for an assertion of the protocols themselves.
    pub checker: &'static str,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.checker, self.what)
    }
}

/// Stops the run. Unwinding is how the assertions of the protocols stop it too, and nothing of a world is
/// used after either.
pub fn violated(checker: &'static str, what: impl Into<String>) -> ! {
    std::panic::resume_unwind(Box::new(Violation { checker, what: what.into() }))
}

/// The last events, or none: writing them down costs more than making them happen.
#[derive(Debug, Default)]
pub struct Trace {
    /// How many lines are kept; 0 for none.
    keep: usize,
    lines: VecDeque<String>,
}

impl Trace {
    /// Keeps the last `keep` lines.
    #[must_use]
    pub fn new(keep: usize) -> Self {
        Self { keep, lines: VecDeque::new() }
    }

    /// Writes down what `say` says happened at `time` to `who`.
    pub fn note(&mut self, time: Time, who: &dyn fmt::Display, say: impl FnOnce() -> String) {
        if self.keep == 0 {
            return;
        }
        if self.lines.len() == self.keep {
            self.lines.pop_front();
        }
        let (ms, micros) = (time / MS, time % MS / 1_000);
        self.lines.push_back(format!("{ms:>8}.{micros:03} ms  {who:<8} {}", say()));
    }

    /// Whether anybody reads this.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.keep > 0
    }

    /// The lines, oldest first.
    pub fn into_lines(self) -> Vec<String> {
        self.lines.into()
    }
}
