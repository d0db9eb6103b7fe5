//! What replicas hold against each other when they report to the view service.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// On what grounds a replica is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Grounds {
    /// Nothing has been heard of it for so long.
    Silent(Duration),
    /// It answers, but has not acknowledged for so long what others have acknowledged: it is slow, or stuck.
    Behind(Duration),
}

impl Grounds {
    /// For how long.
    #[must_use]
    pub fn lasts(self) -> Duration {
        match self {
            Self::Silent(lasts) | Self::Behind(lasts) => lasts,
        }
    }
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Silent(lasts) => write!(f, "has been silent for {} ms", lasts.as_millis()),
            Self::Behind(lasts) => write!(f, "has not acknowledged for {} ms", lasts.as_millis()),
        }
    }
}
