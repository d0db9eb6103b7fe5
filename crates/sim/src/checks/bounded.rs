//! Nothing grows without bound while things go wrong: the log in memory, what waits for the disk, what was
//! not committed yet. (The bounds of `crates/replica/src/config.rs`; issue 1 of every overload: queues, "The
//! Tail at Scale", 2013.)

use onecopy_core::NodeId;

use crate::profile::Profile;
use crate::several::SLOTS;
use crate::trace::violated;

const CHECKER: &str = "bounded";

/// How much longer than its bound a log may become while replicas need what is behind the snapshot (one time
/// more than the `PATIENCE` of `crates/replica/src/snapshot.rs`), and again, for what arrives until the next
/// snapshot is finished.
const PATIENCE: usize = 5;

/// How many events a run may have. The busiest have some hundred thousand: millions are a storm of messages
/// that feeds on itself.
const EVENTS_MAX: u64 = 4_000_000;

/// Looks at how much has happened.
pub fn no_storm(events: u64) {
    if events > EVENTS_MAX {
        violated(CHECKER, format!("a storm: there have been {events} events"));
    }
}

/// How large the parts of one node are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sizes {
    /// The log of the replica, behind its snapshot.
    pub log: usize,
    /// What of it is in memory, apart from what waits for the disk.
    pub memory: usize,
    /// What of it waits for the disk. (The log of the view table grows by a few hundred bytes with each
    /// change of a view.)
    pub disk: usize,
}

/// The bounds of a run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds(Sizes);

impl Bounds {
    /// The bounds that follow from the settings.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        // One turn takes what all clients have asked for, whatever the bound was before.
        let turn = profile.clients * (usize::from(SLOTS) * profile.value_bytes + 1_000);
        let uncommitted = profile.uncommitted_bytes_max + turn;
        let log = PATIENCE * profile.log_bytes_max + uncommitted;
        // What is not committed stays in memory, of this primary and of the one before.
        let memory = profile.log_memory_bytes_max + 2 * uncommitted;
        Self(Sizes { log, memory, disk: log + uncommitted })
    }

    /// How long a log may be.
    #[must_use]
    pub fn log(&self) -> usize {
        self.0.log
    }

    /// How much may wait for the disk.
    #[must_use]
    pub fn disk(&self) -> usize {
        self.0.disk
    }

    /// Looks at one node.
    pub fn check(&self, node: NodeId, sizes: Sizes) {
        let Self(most) = self;
        for (what, size, most) in [
            ("the log", sizes.log, most.log),
            ("the log in memory", sizes.memory, most.memory),
            ("what waits for the disk", sizes.disk, most.disk),
        ] {
            if size > most {
                violated(CHECKER, format!("{what} of {node} has {size} bytes, more than {most}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::caught;

    #[test]
    fn what_grows_is_caught() {
        let bounds = Bounds(Sizes { log: 10, memory: 5, disk: 20 });
        bounds.check(NodeId(1), Sizes { log: 10, memory: 5, disk: 20 });
        let grown = |sizes| caught(|| bounds.check(NodeId(1), sizes));
        assert_eq!(grown(Sizes { log: 11, ..Sizes::default() }), Some(CHECKER));
        assert_eq!(grown(Sizes { memory: 6, ..Sizes::default() }), Some(CHECKER));
        assert_eq!(grown(Sizes { disk: 21, ..Sizes::default() }), Some(CHECKER));
    }

    #[test]
    fn a_storm_is_caught() {
        assert_eq!(caught(|| no_storm(EVENTS_MAX)), None);
        assert_eq!(caught(|| no_storm(EVENTS_MAX + 1)), Some(CHECKER));
    }
}
