//! The names of the rules of optimistic databases.
//!
//! A check that cannot fail proves nothing. Each rule can be switched off, by name, in builds with the
//! feature `sabotage`; the checks of this crate must then find a violation. Without the feature
//! [`Rules::hold`] is a constant `true` and costs nothing.

use std::fmt;

/// A rule of optimistic databases. `docs/optimistic.md` has their full text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// O1: two replicas that have seen the same dots hold the same state and digest.
    SameSeenSameState,
    /// O2: a removal removes exactly what its replica had seen.
    NothingUnseenRemoved,
    /// O3: an acknowledged update shows everywhere in the end, unless one that had seen it superseded it.
    NoUpdateLost,
    /// O4: who shows an update shows everything that its replica had seen when it was made.
    CausalOrder,
    /// O5: a replica that lost its data returns under a new name, and its old dots are never given again.
    OwnLife,
    /// O6: what all have removed never comes back.
    NoResurrection,
    /// O7: a wall clock that is wrong loses no update and blocks nobody.
    ClocksAreHints,
    /// O8: what is kept beside the data is proportional to live elements and replicas.
    BoundedMetadata,
    /// O9: digests become equal, and what repair sends is proportional to the difference.
    Converges,
}

impl Rule {
    /// All rules, in the order of the documentation.
    pub const ALL: [Self; 9] = [
        Self::SameSeenSameState,
        Self::NothingUnseenRemoved,
        Self::NoUpdateLost,
        Self::CausalOrder,
        Self::OwnLife,
        Self::NoResurrection,
        Self::ClocksAreHints,
        Self::BoundedMetadata,
        Self::Converges,
    ];
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which rules are in force: all of them, unless a simulator has switched one off.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    #[cfg(feature = "sabotage")]
    broken: Option<Rule>,
}

impl Rules {
    /// All rules but one.
    #[cfg(feature = "sabotage")]
    #[must_use]
    pub fn without(rule: Rule) -> Self {
        Self { broken: Some(rule) }
    }

    /// Whether `rule` is in force.
    #[must_use]
    #[cfg_attr(not(feature = "sabotage"), allow(clippy::unused_self))]
    pub fn hold(self, rule: Rule) -> bool {
        #[cfg(feature = "sabotage")]
        return self.broken != Some(rule);
        #[cfg(not(feature = "sabotage"))]
        {
            let _ = rule;
            true
        }
    }
}
