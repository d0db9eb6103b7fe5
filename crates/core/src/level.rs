//! One meaning (rule E4): the same entry does the same on nodes of different versions.
//!
//! How a state machine executes its commands has a *level*, a number. A version that executes something
//! differently raises it by one, and goes on to execute the older way wherever an older level is in force: so
//! nodes are replaced by newer ones one at a time, while the others go on. Which level is in force is in the
//! view table, and is never above what every node knows. A primary writes it into the entries that it makes;
//! the state remembers it, and so do snapshots. Within one log it never goes down: an entry is executed at
//! the highest level that it, or one before it, carries. So an heir whose table is older changes nothing.
//!
//! What was written before there were levels is of the first one.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How commands are executed: what differs between two versions has different levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Level(pub u32);

impl Level {
    /// That of everything that does not say another one.
    pub const FIRST: Self = Self(1);

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Default for Level {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The levels by which a version can execute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// The lowest one: what was done before it is forgotten.
    pub oldest: Level,
    /// The highest one.
    pub newest: Level,
}

impl Levels {
    /// Those from the first one to this one.
    #[must_use]
    pub const fn through(newest: Level) -> Self {
        Self { oldest: Level::FIRST, newest }
    }

    /// Whether a level is known.
    ///
    /// # Errors
    /// When it is not: whoever would go on would do something else than the others.
    pub fn know(self, level: Level) -> Result<(), UnknownLevel> {
        match self.oldest <= level && level <= self.newest {
            true => Ok(()),
            false => Err(UnknownLevel { level, known: self }),
        }
    }
}

/// Something is of a level that this version does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownLevel {
    /// Which one.
    pub level: Level,
    /// What is known.
    pub known: Levels,
}

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { level, known: Levels { oldest, newest } } = *self;
        match level > newest {
            true => write!(
                f,
                "level {level} is in force, and this version of Onecopy knows only levels through {newest}: start a \
                 version at least as new as the newest that runs in the cluster"
            ),
            false => write!(
                f,
                "level {level} is in force, and this version of Onecopy knows only levels from {oldest} on: start an older \
                 version, have all nodes run it, and wait until a higher level is in force"
            ),
        }
    }
}

impl std::error::Error for UnknownLevel {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_says_which_version_to_start() {
        let known = Levels { oldest: Level(3), newest: Level(5) };
        assert!([3, 4, 5].into_iter().all(|level| known.know(Level(level)).is_ok()));
        let says = |level| known.know(Level(level)).expect_err("it is not known").to_string();
        assert!(says(6).contains("through 5: start a version at least as new"), "{}", says(6));
        assert!(says(2).contains("from 3 on: start an older version"), "{}", says(2));
    }
}
