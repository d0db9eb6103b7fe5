//! How a machine that is full makes room: by letting go of what is used least.

use crate::time::Timestamp;

/// Which data goes first, by the names that Redis has for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// None: commands that need memory are refused.
    #[default]
    NoEviction,
    /// What was used least recently.
    AllkeysLru,
    /// What is used least frequently.
    AllkeysLfu,
    /// Any.
    AllkeysRandom,
    /// Of what expires, what was used least recently.
    VolatileLru,
    /// Of what expires, what is used least frequently.
    VolatileLfu,
    /// Any of what expires.
    VolatileRandom,
    /// What expires next.
    VolatileTtl,
}

impl Policy {
    /// All of them, with their names. Where one stands is its number in entries.
    const ALL: [(Self, &'static str); 8] = [
        (Self::NoEviction, "noeviction"),
        (Self::AllkeysLru, "allkeys-lru"),
        (Self::AllkeysLfu, "allkeys-lfu"),
        (Self::AllkeysRandom, "allkeys-random"),
        (Self::VolatileLru, "volatile-lru"),
        (Self::VolatileLfu, "volatile-lfu"),
        (Self::VolatileRandom, "volatile-random"),
        (Self::VolatileTtl, "volatile-ttl"),
    ];

    /// The one with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| name.eq_ignore_ascii_case(known)).map(|(policy, _)| *policy)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL[usize::from(self.number())].1
    }

    /// Its number in entries.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The one with this number.
    #[must_use]
    pub fn numbered(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).map(|(policy, _)| *policy)
    }

    /// Whether anything goes at all.
    #[must_use]
    pub fn evicts(self) -> bool {
        self != Self::NoEviction
    }

    /// Whether only what expires may go.
    #[must_use]
    pub fn is_volatile(self) -> bool {
        matches!(self, Self::VolatileLru | Self::VolatileLfu | Self::VolatileRandom | Self::VolatileTtl)
    }

    /// Whether it is counted how often something is used, instead of remembered when.
    #[must_use]
    pub fn is_lfu(self) -> bool {
        matches!(self, Self::AllkeysLfu | Self::VolatileLfu)
    }

    /// Whether one is as good as any other.
    #[must_use]
    pub fn is_random(self) -> bool {
        matches!(self, Self::AllkeysRandom | Self::VolatileRandom)
    }
}

/// How a primary finds out what is used least. Only what it names comes of that, so copies need not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Eviction {
    /// Which data goes first.
    pub policy: Policy,
    /// Of so many that are looked at, the best one goes.
    pub samples: u32,
    /// The larger, the more often something must be used to be counted as one more use.
    pub lfu_log_factor: u32,
    /// In so many minutes, one use less is counted of what is not used; 0: never.
    pub lfu_decay_minutes: u32,
}

impl Default for Eviction {
    /// Nothing goes; otherwise as Redis has it.
    fn default() -> Self {
        Self { policy: Policy::NoEviction, samples: 5, lfu_log_factor: 10, lfu_decay_minutes: 1 }
    }
}

/// For what a primary names victims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Its clock.
    pub now: Timestamp,
    /// So many bytes of memory have to be found.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_of_one_policy() {
        for (at, (policy, name)) in Policy::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(policy.number()), at);
            assert_eq!((Policy::numbered(policy.number()), policy.name()), (Some(policy), name));
            assert_eq!(Policy::named(&name.to_uppercase()), Some(policy));
        }
        assert_eq!((Policy::named("lru"), Policy::numbered(8)), (None, None));
    }
}
